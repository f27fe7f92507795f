#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small MCP server over stdio: not a test by itself. Its argument says in what way it is odd."""
import json
import os
import signal
import sys
import time

odd = sys.argv[1] if len(sys.argv) > 1 else ""
deep = {"type": "object", "properties": {}}
for _ in range(12):
    deep = {"type": "object", "properties": {"x": deep}}
READ = {"annotations": {"readOnlyHint": True}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"name": "shout", "description": "Says it louder.", "inputSchema": TEXT, **READ},
    {"name": "write-down", "description": "Writes it down.", "inputSchema": TEXT},
    {"name": "environment", "inputSchema": {"type": "object"}, **READ},
    {"name": "fail", "inputSchema": {"type": "object"}, **READ},
    {"name": "refuse", "inputSchema": {"type": "object"}, **READ},
    {"name": "die", "inputSchema": {"type": "object"}, **READ},
    {"name": "grow", "inputSchema": {"type": "object"}, **READ},
    {"name": "deep", "inputSchema": deep, **READ},
    {"name": "x" * 80, "inputSchema": {"type": "object"}, **READ},
]


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(name, arguments):
    text = {"shout": lambda: arguments["text"].upper(), "write-down": lambda: "Written.",
            "environment": lambda: os.environ.get("MCP_TEST", "")}
    if name in text:
        return {"result": {"content": [{"type": "text", "text": text[name]()}, {"type": "image", "data": ""}]}}
    if name == "fail":
        return {"result": {"isError": True, "content": [{"type": "text", "text": "It is broken."}]}}
    if name == "grow":
        TOOLS.append({"name": "new", "inputSchema": {"type": "object"}, **READ})
        send({"method": "notifications/tools/list_changed"})
        return {"result": {"content": []}}
    if name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"error": {"code": -32602, "message": "Not today."}}


def answer(method, params):
    if method == "initialize":
        assert params["protocolVersion"] and params["clientInfo"]["name"]
        # A client has to answer these, and is not to be confused by others.
        send({"id": 1, "method": "ping"})
        send({"id": "a", "method": "roots/list"})
        send({"method": "notifications/message", "params": {"level": "info", "data": "hello"}})
        return {"result": {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                           "serverInfo": {"name": "small", "version": "1"}}}
    if method == "tools/list":
        # In two pages.
        if "cursor" not in params:
            return {"result": {"tools": TOOLS[:2], "nextCursor": "2"}}
        return {"result": {"tools": TOOLS[2:]}}
    if method == "tools/call":
        return call(params["name"], params["arguments"])
    return {"error": {"code": -32601, "message": "What?"}}


if odd == "deaf":
    time.sleep(1000)
if odd == "mad":
    print("this is no JSON", flush=True)
pinged = refused = False
for line in sys.stdin:
    message = json.loads(line)
    if "method" not in message:
        pinged = pinged or message == {"jsonrpc": "2.0", "id": 1, "result": {}}
        refused = refused or (message.get("id") == "a" and message["error"]["code"] == -32601)
    elif "id" in message:
        if message["method"] == "tools/list":
            assert pinged and refused
        send({"id": message["id"], **answer(message["method"], message.get("params", {}))})
