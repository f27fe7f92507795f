#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gemmad-remote between gemmad and servers that do all that servers and networks do wrong."""
import base64
import contextlib
import fcntl
import http.server
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import wave

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, BUILD, PATIENCE, Daemon, Tap, as_root, is_sanitized, speech,  # noqa: E402
                         wait_until)
from memory import found_in  # noqa: E402

tap = Tap()
REMOTE = os.path.join(BUILD, "gemmad-remote")
QUESTION = "what is the capital of france"
NOT_UNDERSTOOD = "how-are-you-today.flite-rms.wav"
COMMAND = "what-time-is-it.flite-rms.wav"


def chunk(finish=None, **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def event(data):
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def words(*pieces, finish="stop"):
    """A whole answer."""
    return [event(chunk(role="assistant", content="")), *(event(chunk(content=p)) for p in pieces),
            event(chunk(finish)), event(b"[DONE]")]


def calls(*wanted):
    """An answer that is calls, of which the arguments come in two pieces."""
    events = []
    for i, (name, arguments) in enumerate(wanted):
        text = json.dumps(arguments)
        first = {"index": i, "id": f"id-{i}", "type": "function", "function": {"name": name, "arguments": text[:3]}}
        events.append(event(chunk(tool_calls=[first])))
        events.append(event(chunk(tool_calls=[{"index": i, "function": {"arguments": text[3:]}}])))
    return [*events, event(chunk("tool_calls")), event(b"[DONE]")]


class Server(http.server.ThreadingHTTPServer):
    """Answers each question as the next function of `plan` does, or with its own name; `health` is the status of
    a look, None: no answer at all."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name="server", tls=None, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.name, self.tls = name, tls
        self.plan, self.questions, self.headers, self.peers = [], [], [], []
        self.health, self.looks = 200, 0
        self.held = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def get_request(self):
        plain, peer = super().get_request()
        if not self.tls:
            return plain, peer
        # The handshake is in the thread of the connection.
        return self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, *_):
        pass

    def url(self, host="127.0.0.1"):
        return f"{'https' if self.tls else 'http'}://{host}:{self.server_port}/v1"

    def close(self):
        self.held.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def plain(self, status, body=b"{}", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def piece(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end(self):
        self.piece(b"")

    def do_GET(self):
        self.server.looks += 1
        if self.server.health is None:
            self.server.held.wait(PATIENCE)
            self.close_connection = True
            return
        if self.server.health == "endless":
            with contextlib.suppress(OSError):
                gigabyte(b"x" * 65536)(self)
            self.close_connection = True
            return
        self.close_connection = self.server.held.is_set()
        self.plain(self.server.health, b'{"object":"list","data":[]}')

    def do_POST(self):
        s = self.server
        s.questions.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        s.headers.append(dict(self.headers))
        s.peers.append(self.client_address)
        how = s.plan.pop(0) if s.plan else say(s.name)
        with contextlib.suppress(OSError):
            how(self)


# ---- what servers do ----

def say(*pieces, **options):
    def run(h):
        h.begin()
        for e in words(*pieces, **options):
            h.piece(e)
        h.end()
    return run


def send(events, ends=True):
    def run(h):
        h.begin()
        for e in events:
            h.piece(e)
        if ends:
            h.end()
        else:
            h.close_connection = True
    return run


def status(code, body=b'{"error":{"message":"not today"}}', **headers):
    return lambda h: h.plain(code, body, **headers)


def stall(h):
    """Takes the question and never answers."""
    h.server.held.wait(PATIENCE)
    h.close_connection = True


def stall_after(*pieces):
    def run(h):
        h.begin()
        for p in pieces:
            h.piece(event(chunk(content=p)))
        h.server.held.wait(PATIENCE)
        h.close_connection = True
    return run


def hang_up(h):
    h.connection.shutdown(socket.SHUT_RDWR)
    h.close_connection = True


def gigabyte(piece):
    """More than anybody takes; the number of bytes that went is counted."""
    def run(h):
        h.begin()
        h.server.n_sent = 0
        for _ in range((1 << 30) // len(piece)):
            h.piece(piece)
            h.server.n_sent += len(piece)
    return run


# ---- a world of gemmad, gemmad-remote and servers ----

class World:
    def __init__(self, *servers, config="", settings="", start=True, environment=None):
        self.servers = servers
        self.daemon = Daemon("[Model]\nEngine = remote\n[Remote]\nFallbackMs = 60000\n" + config)
        self.toml = os.path.join(self.daemon.folder, "remote.toml")
        listed = ", ".join(f'"{s.url()}"' for s in servers)
        self.write(f'model = "some-model"\ncheck_seconds = 1\nconnect_ms = 60000\n{settings}\nservers = [{listed}]\n')
        self.environment = {**self.daemon.environment, **(environment or {})}
        self.log_path = os.path.join(self.daemon.folder, "remote.log")
        self.process = None
        with open(self.log_path, "wb"):
            pass
        if start:
            self.start()
            self.wait_for_server()

    def write(self, text):
        with open(self.toml, "w") as f:
            f.write(text)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([REMOTE, "-v", "--config", self.toml], env=self.environment, stderr=log,
                                            stdin=subprocess.DEVNULL)

    def status(self):
        with contextlib.closing(self.daemon.client()) as c:
            return c.call(ASSISTANT + "Status")["parameters"]

    def wait_for_server(self):
        url = self.servers[0].url()
        wait_until(lambda: self.status().items() >= {"remote_server": url}.items() and
                   "remote_error" not in self.status(), "a server is there")

    def wait_for_none(self):
        wait_until(lambda: "remote_error" in self.status(), "no server is there")
        return self.status()["remote_error"]

    def wait_for_answers(self, name):
        """The state is told beside the turns: that a server answers again is certain only when it does."""
        wait_until(lambda: self.ask()["answered"] == name, f"{name} answers")

    def wait_for_another(self):
        """... process that talks to servers, in the place of the first."""
        wait_until(lambda: self.said().count("Ready: gemmad may ask") == 2, "another process")
        self.wait_for_server()

    def ask(self, **parameters):
        with contextlib.closing(self.daemon.client()) as c:
            return c.ask(**(parameters or {"text": QUESTION}))

    def events(self, **parameters):
        with contextlib.closing(self.daemon.client()) as c:
            replies = list(c.stream(ASSISTANT + "Ask", parameters or {"text": QUESTION}))
        return [r["parameters"]["event"] for r in replies]

    def said(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def child(self):
        """The process that has the network."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return int(f.read().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if "ERROR: " in self.said() or "runtime error:" in self.said():
            print("# " + self.said().replace("\n", "\n# "))
        self.daemon.__exit__()
        for s in self.servers:
            s.close()


def world(*plan, **options):
    server = Server()
    server.plan = list(plan)
    return World(server, **options)


# ---- rules ----

def is_off():
    with World(Server(), start=False) as w:
        w.daemon.stop()
        with open(w.daemon.config, "w") as f:
            f.write("")
        w.daemon.start()
        w.start()
        wait_until(lambda: "Engine is not remote" in w.said(), "it is told so")
        state = w.status()
        assert state["engine"] == "local" and "remote_server" not in state, state
        turn = w.ask()
        assert turn["unanswered"] == "not_understood" and "remote" not in turn, turn
        assert not w.servers[0].questions and w.servers[0].looks == 0


def a_text_goes_out():
    with world(say("Par", "is.")) as w:
        events = w.events()
        turn = events[-1]["turn"]
        assert turn["answered"] == "Paris." and "unanswered" not in turn, turn
        kinds = [e["kind"] for e in events]
        assert kinds == ["started", "remote", "token", "token", "done"], kinds
        assert events[1]["text"] == w.servers[0].url(), events
        question = w.servers[0].questions[0]
        assert question["stream"] is True and question["model"] == "some-model" and question["max_tokens"] == 512
        assert question["messages"][-1] == {"role": "user", "content": QUESTION}, question
        assert question["messages"][0]["role"] == "system"
        headers = w.servers[0].headers[0]
        assert "Authorization" not in headers and headers["User-Agent"].startswith("gemmad-remote/")


def commands_stay_here():
    with world() as w:
        turn = w.ask(text="what time is it")
        assert turn["calls"][0]["name"] == "get_time" and "remote" not in turn, turn
        turn = w.ask(audio_path=speech(COMMAND))
        assert turn["calls"][0]["name"] == "get_time" and "remote" not in turn, turn
        assert not w.servers[0].questions


def a_sound_goes_out():
    with world(say("Fine.")) as w:
        turn = w.ask(audio_path=speech(NOT_UNDERSTOOD))
        assert turn["answered"] == "Fine.", turn
        part = w.servers[0].questions[0]["messages"][-1]["content"][0]
        assert part["type"] == "input_audio" and part["input_audio"]["format"] == "wav", part
        with wave.open(io.BytesIO(base64.b64decode(part["input_audio"]["data"]))) as sound:
            assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16000)
            samples = sound.readframes(sound.getnframes())
        assert len(samples) == turn["timings"]["frames"] * 640 * 2 and any(samples), len(samples)


def sealed_pixels(width, height, colour):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(fd, bytes(colour) * (width * height))
    fcntl.fcntl(fd, 1033, 0x0002 | 0x0004 | 0x0008)  # F_ADD_SEALS: shrink, grow, write
    return fd


def a_picture_goes_along():
    with world(say("A red square.")) as w:
        fd = sealed_pixels(8, 6, (255, 0, 0))
        with contextlib.closing(w.daemon.client()) as c:
            reply = c.call(ASSISTANT + "Ask", {"text": "what is this", "images": [{"fd": 0, "width": 8, "height": 6}]},
                           fds=[fd])
        os.close(fd)
        assert reply["parameters"]["event"]["turn"]["answered"] == "A red square.", reply
        content = w.servers[0].questions[0]["messages"][-1]["content"]
        assert content[1] == {"type": "text", "text": "what is this"}, content
        url = content[0]["image_url"]["url"]
        data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:24] == bytes([0, 0, 0, 8, 0, 0, 0, 6]), data


def no_eyes_anywhere():
    """A picture that no server has looked at."""
    with world(status(400)) as w:
        fd = sealed_pixels(8, 6, (255, 0, 0))
        with contextlib.closing(w.daemon.client()) as c:
            reply = c.call(ASSISTANT + "Ask", {"text": "what is this", "images": [{"fd": 0, "width": 8, "height": 6}]},
                           fds=[fd])
        os.close(fd)
        assert reply["error"] == ASSISTANT + "CannotSee", reply


TOOLS = [{"name": "find_song", "description": "Finds a song.",
          "parameters": {"type": "object", "properties": {"title": {"type": "string"}}}}]


def provider(w, answers):
    """A client that provides TOOLS; what it was called with is in the list that is returned."""
    taken, client, answering = [], w.daemon.client(), w.daemon.client()
    stream = client.stream(ASSISTANT + "Provide", {"tools": TOOLS, "provider": "test"})
    next(stream)

    def run():
        with contextlib.suppress(Exception):
            for reply in stream:
                call = reply["parameters"]["call"]
                taken.append(call)
                parameters, fds = answers(call)
                answering.call(ASSISTANT + "Respond", {"id": call["id"], **parameters}, fds=fds)
    threading.Thread(target=run, daemon=True).start()
    return taken


def calls_are_carried_out():
    with world(send(calls(("find_song", {"title": "La \"Mer\""}), ("get_time", {}))), say("It is playing.")) as w:
        taken = provider(w, lambda call: ({"result": {"found": 3}, "text": "Found three."}, ()))
        turn = w.ask()
        assert turn["answered"] == "It is playing.", turn
        assert [c["name"] for c in turn["calls"]] == ["find_song", "get_time"], turn
        assert taken[0]["arguments"] == {"title": "La \"Mer\""} and taken[0]["sees"] is True, taken
        first, second = w.servers[0].questions
        named = {t["function"]["name"]: t["function"] for t in first["tools"]}
        assert set(named) == {"find_song", "get_time", "get_date"}, named
        assert named["find_song"]["parameters"] == TOOLS[0]["parameters"]
        called, result, time = second["messages"][-3:]
        assert [c["id"] for c in called["tool_calls"]] == ["id-0", "id-1"], called
        assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"title": "La \"Mer\""}
        assert result["role"] == "tool" and result["tool_call_id"] == "id-0"
        assert json.loads(result["content"]) == {"found": 3} and "It is" in time["content"], (result, time)


def results_show_pictures():
    with world(send(calls(("find_song", {}))), say("I see.")) as w:
        fd = sealed_pixels(2, 2, (0, 0, 255))
        provider(w, lambda call: ({"result": {"shown": True}, "image": {"fd": 0, "width": 2, "height": 2}}, [fd]))
        assert w.ask()["answered"] == "I see."
        os.close(fd)
        tool, seen = w.servers[0].questions[1]["messages"][-2:]
        assert tool["role"] == "tool" and seen["role"] == "user", (tool, seen)
        assert seen["content"][0]["type"] == "image_url", seen


def calls_have_bounds():
    """A server that calls and calls, or calls what can not be called."""
    with world(*[send(calls(("get_time", {})))] * 9) as w:
        turn = w.ask()
        assert len(turn["calls"]) == 5 and len(w.servers[0].questions) == 5, turn
    with world(send(calls(("no such name!", {"a": 1}))), say("Sorry.")) as w:
        turn = w.ask()
        assert turn["answered"] == "Sorry." and turn["calls"] == [], turn
        assert "error" in json.loads(w.servers[0].questions[1]["messages"][-1]["content"])
    with world(send(calls(*[("get_time", {})] * 12)), say("Enough.")) as w:
        turn = w.ask()
        assert len(turn["calls"]) == 8 and turn["answered"] == "Enough.", turn
        results = [m for m in w.servers[0].questions[1]["messages"] if m["role"] == "tool"]
        assert len(results) == 12, results


def the_past_goes_along():
    with world(say("One."), say("Two."), say("Three."), say("Four."), config="HistoryKiB = 1\n") as w:
        w.ask(text="tell me a story about a dragon")
        w.ask(text="what time is it")
        w.ask(text="tell me more about that dragon")
        told = [m["content"] for m in w.servers[0].questions[1]["messages"][1:]]
        assert told == ["tell me a story about a dragon", "One.", "tell me more about that dragon"], told
        with contextlib.closing(w.daemon.client()) as c:
            c.call(ASSISTANT + "Forget", {"all": True})
        w.ask(text="tell me a story about a horse")
        assert len(w.servers[0].questions[2]["messages"]) == 2, w.servers[0].questions[2]
        w.ask(text="tell me a story about " + "a very long name " * 70)
        w.ask(text="tell me a story about a cat")
        assert len(w.servers[0].questions[4]["messages"]) == 2, "the long one had no room"


def an_answer_at_its_limit():
    with world(say("so much", finish="length")) as w:
        turn = w.ask()
        assert turn["outcome"] == "cut" and turn["answered"] == "so much", turn


def markers_are_not_text():
    with world(say("Yes<|tu", "rn>", ".")) as w:
        assert w.ask()["answered"] == "Yes."


def without_streaming():
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "All at once."},
                                    "finish_reason": "stop"}]}).encode()
    with world(status(200, body, Content_Type="application/json")) as w:
        assert w.ask()["answered"] == "All at once."


def connections_are_kept():
    """... and a server that closes them in between is met by another one."""
    with world(say("a"), say("b"), hang_up_after(say("c")), say("d")) as w:
        for wanted in "abcd":
            assert w.ask()["answered"] == wanted
        ports = [port for _, port in w.servers[0].peers]
        assert ports[0] == ports[1] == ports[2] != ports[3], ports


def hang_up_after(how):
    """Keep-alive is promised and not kept."""
    def run(h):
        how(h)
        h.wfile.flush()
        h.connection.shutdown(socket.SHUT_RDWR)
        h.close_connection = True
    return run


def trace_and_watch():
    with world(say("Paris.")) as w:
        watcher = w.daemon.client()
        watcher.send(ASSISTANT + "Watch", more=True)
        turn = w.ask()
        seen = []
        while not seen or seen[-1]["kind"] != "done":
            seen.append(watcher.receive()["parameters"]["event"])
        assert {"kind": "remote", "id": turn["id"], "text": w.servers[0].url()} in seen, seen
        remote = turn["remote"]
        body = int(w.servers[0].headers[0]["Content-Length"])
        assert remote["server"] == w.servers[0].url() and "error" not in remote, remote
        assert body < remote["sent"] < body + 1000 and 100 < remote["received"] < 3000, (body, remote)
        assert 0 < remote["asked"] <= remote["first"] <= turn["timings"]["first_token"], turn
        told = w.daemon.ctl("trace").stdout
        assert f"{remote['sent']} bytes went to {w.servers[0].url()}" in told, told
        shown = w.daemon.ctl("status").stdout
        assert w.servers[0].url() in shown and "remote" in shown, shown
        with contextlib.closing(w.daemon.client()) as c:
            kept = c.call(ASSISTANT + "Show", {"id": turn["id"]})["parameters"]["turn"]
        assert kept["remote"] == remote, kept


# ---- when servers are not as they should be ----

def two(first_plan, **options):
    first, second = Server("first"), Server("second")
    first.plan = list(first_plan)
    return World(first, second, **options)


def the_next_one_answers():
    # Where a connection that was kept has died, curl itself asks once more.
    with two([hang_up, hang_up]) as w:
        assert w.ask()["answered"] == "second"
    with two([]) as w:
        for fault in (status(500), status(401), status(404), status(200, b"<html>\nno\n</html>\n"),
                      send([event(b"no json")]), send([], ends=False),
                      send([event({"error": {"message": "out of memory"}})]), status(429, Retry_After="30")):
            w.wait_for_answers("first")
            w.servers[0].plan = [fault]
            turn = w.ask()
            assert turn["answered"] == "second" and turn["remote"]["server"] == w.servers[1].url(), turn
            assert "error" not in turn["remote"] and not w.servers[0].plan


def who_stalls_is_left():
    with two([stall], config="FallbackMs = 1000\n") as w:
        turn = w.ask()
        assert turn["answered"] == "second", turn


def who_was_down_is_asked_again():
    with two([status(401)]) as w:
        assert w.ask()["answered"] == "second"
        w.wait_for_answers("first")


def a_fault_of_the_moment():
    """The only server fails, and not the second time."""
    with world(status(500), status(503), status(429), say("At last.")) as w:
        turn = w.ask()
        assert turn["answered"] == "At last." and len(w.servers[0].questions) == 4, turn


def a_fault_that_stays():
    with world(*[status(500)] * 20) as w:
        turn = w.ask()
        assert turn["unanswered"] == "not_understood" and "500, it says: not today" in turn["remote"]["error"], turn
        assert len(w.servers[0].questions) == 6, w.servers[0].questions


def nobody_answers():
    """What is understood here is done as ever, and the rest is as without servers."""
    with world(config="FallbackMs = 300\n") as w:
        w.servers[0].plan = [stall] * 50
        turn = w.ask()
        assert turn["unanswered"] == "not_understood" and turn["outcome"] == "answered", turn
        assert "in time" in turn["remote"]["error"] and turn["remote"]["server"], turn["remote"]
        assert "It was not answered there" in w.daemon.ctl("trace").stdout
        assert w.ask(text="what time is it")["calls"]


def nobody_is_there():
    server = Server()
    with World(server) as w:
        port = server.server_port
        server.health = 500
        server.close()
        w.wait_for_none()
        events = w.events()
        assert events[-1]["turn"]["unanswered"] == "not_understood", events
        assert not any(e["kind"] == "remote" for e in events), "nothing leaves"
        assert "error" in events[-1]["turn"]["remote"]
        back = Server(port=port)
        w.servers = (back,)
        w.wait_for_server()
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


def a_broken_answer():
    """What was said is told, and that it is not all."""
    half = event(chunk(content="This is hal"))
    with two([]) as w:
        for fault in (send([half], ends=False), send([half, event(chunk(content="f"))[:-20]], ends=False),
                      send([half]), send([half, event(b"garbage")]),
                      send([half, event({"error": {"message": "full"}})])):
            w.wait_for_answers("first")
            w.servers[0].plan = [fault]
            turn = w.ask()
            assert turn["outcome"] == "failed" and turn["answered"] == "This is hal", turn
            assert "broke off" in turn["error"], turn
        assert not w.servers[1].questions, "nobody says the other half"
        w.wait_for_answers("first")


def a_slow_reader():
    """While gemmad takes nothing of a long answer its servers are looked after, and nothing of the answer is lost."""
    pieces = [f" {i}" for i in range(6000)]
    with world(say(*pieces)) as w, contextlib.closing(w.daemon.client()) as c:
        c.send(ASSISTANT + "Ask", {"text": QUESTION}, more=True)
        wait_until(lambda: w.servers[0].questions, "the question")
        w.daemon.process.send_signal(signal.SIGSTOP)
        looks = w.servers[0].looks
        wait_until(lambda: w.servers[0].looks >= looks + 3, "it is looked after")
        w.daemon.process.send_signal(signal.SIGCONT)
        while (event_ := c.receive()["parameters"]["event"])["kind"] != "done":
            pass
        turn = event_["turn"]
        assert turn["outcome"] == "answered" and turn["answered"] == "".join(pieces), turn["answered"][-100:]


def a_stalled_answer():
    with two([stall_after("This is hal")], settings="stall_seconds = 1") as w:
        turn = w.ask()
        assert turn["outcome"] == "failed" and "broke off" in turn["error"], turn


def a_gigabyte():
    with two([]) as w:
        for piece in (b"x" * 65536, b'data: {"choices":[{"delta":{"content":""}}]}\n\n' * 1000,
                      b": nothing\n" * 8192, b"{" + b" " * 65535):
            w.wait_for_answers("first")
            w.servers[0].plan = [gigabyte(piece)]
            turn = w.ask()
            assert turn["answered"] == "second", turn
            assert w.servers[0].n_sent < 64 << 20, w.servers[0].n_sent
        assert w.said().count("is longer than anything that is meant") == 4, w.said()
        w.wait_for_answers("first")
        w.servers[0].plan = [gigabyte(event(chunk(content="and so on " * 2000)))]
        turn = w.ask()
        assert turn["outcome"] == "failed" and "MaxTextKiB" in turn["error"], turn["error"]
        assert len(turn["answered"]) <= 64 * 1024


def a_look_of_a_gigabyte():
    with world() as w:
        w.servers[0].health = "endless"
        wait_until(lambda: w.servers[0].looks > 3, "it is looked after")
        assert w.servers[0].n_sent < 64 << 20, w.servers[0].n_sent
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


def headers_without_end():
    def run(h):
        h.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(1 << 20):
            h.wfile.write(b"X-More: %d\r\n" % i)
    with two([run]) as w:
        assert w.ask()["answered"] == "second"


def cancelled():
    with world(stall) as w:
        client = w.daemon.client()
        client.send(ASSISTANT + "Ask", {"text": QUESTION}, more=True)
        while client.receive()["parameters"]["event"]["kind"] != "remote":
            pass
        # That it is on its way is told before it has come.
        wait_until(lambda: w.servers[0].questions, "the question has come")
        with contextlib.closing(w.daemon.client()) as c:
            c.call(ASSISTANT + "Cancel")
        event_ = client.receive()["parameters"]["event"]
        assert event_["kind"] == "done" and event_["turn"]["outcome"] == "cancelled", event_
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


# ---- when gemmad-remote is not ----

def killed_before_an_answer():
    with world(stall) as w:
        client = w.daemon.client()
        client.send(ASSISTANT + "Ask", {"text": QUESTION}, more=True)
        while client.receive()["parameters"]["event"]["kind"] != "remote":
            pass
        # That it is on its way is told before it has come.
        wait_until(lambda: w.servers[0].questions, "the question has come")
        os.kill(w.child(), signal.SIGKILL)
        turn = client.receive()["parameters"]["event"]["turn"]
        assert turn["unanswered"] == "not_understood" and "gemmad-remote has ended" in turn["remote"]["error"], turn
        w.wait_for_another()
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())
        assert "starting another one" in w.said()


def killed_in_an_answer():
    with world(stall_after("This is hal")) as w:
        client = w.daemon.client()
        client.send(ASSISTANT + "Ask", {"text": QUESTION}, more=True)
        while client.receive()["parameters"]["event"]["kind"] != "token":
            pass
        os.kill(w.child(), signal.SIGKILL)
        turn = client.receive()["parameters"]["event"]["turn"]
        assert turn["outcome"] == "failed" and "gemmad-remote has ended" in turn["error"], turn
        w.wait_for_another()
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


def stopped():
    """One that hangs holds up nobody for longer than it may."""
    with world(config="FallbackMs = 300\n") as w:
        child = w.child()
        os.kill(child, signal.SIGSTOP)
        turn = w.ask()
        assert turn["unanswered"] == "not_understood", turn
        assert "gemmad-remote does not answer" in turn["remote"]["error"], turn
        os.kill(child, signal.SIGCONT)
        w.wait_for_answers("server")


def gemmad_comes_back():
    with world() as w:
        w.daemon.stop()
        w.daemon.start()
        w.wait_for_server()
        turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


# ---- who may listen ----

class Authority:
    """A CA of the test's own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="gemmad-tls-")
        self.make("ca", "/CN=test authority", None)
        self.make("server", "/CN=localhost", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.make("other", "/CN=other", None, "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.make("elsewhere", "/CN=elsewhere", "ca", "subjectAltName=DNS:elsewhere.example")
        self.make("client", "/CN=client", "ca")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, subject, issuer, extension=None):
        command = ["openssl", "req", "-x509" if not issuer else "-new", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", self.path(name + ".key")]
        if extension:
            command += ["-addext", extension]
        if issuer:
            run(command + ["-out", self.path(name + ".csr")])
            sign = ["openssl", "x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(issuer + ".pem"),
                    "-CAkey", self.path(issuer + ".key"), "-CAcreateserial", "-days", "2", "-out",
                    self.path(name + ".pem")]
            if extension:
                with open(self.path(name + ".ext"), "w") as f:
                    f.write(extension + "\n")
                sign += ["-extfile", self.path(name + ".ext")]
            run(sign)
        else:
            run(command + ["-days", "2", "-out", self.path(name + ".pem")])
        os.chmod(self.path(name + ".key"), 0o600)

    def context(self, name, client_ca=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        if client_ca:
            c.verify_mode = ssl.CERT_REQUIRED
            c.load_verify_locations(self.path(client_ca + ".pem"))
        return c


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done


def tls(authority, name="server", client_ca=None, settings=None):
    server = Server(tls=authority.context(name, client_ca))
    if settings is None:
        settings = f'ca = "{authority.path("ca.pem")}"'
    return World(server, settings=settings, start=False)


def by_tls():
    with Authority() as authority:
        with tls(authority) as w:
            w.start()
            w.wait_for_server()
            turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())
        for name, settings in (("other", None), ("elsewhere", None), ("server", "")):
            with tls(authority, name, settings=settings) as w:
                w.start()
                wait_until(lambda: "remote_server" in w.status() and "remote_error" in w.status(), "it is refused")
                reason = w.status()["remote_error"]
                assert "ertificate" in reason or "SSL" in reason or "subject name" in reason, reason
                turn = w.ask()
                assert turn["unanswered"] == "not_understood" and not w.servers[0].questions, turn


def by_mutual_tls():
    with Authority() as authority:
        ca = f'ca = "{authority.path("ca.pem")}"\n'
        ours = f'certificate = "{authority.path("client.pem")}"\ncertificate_key = "{authority.path("client.key")}"\n'
        os.chmod(authority.path("client.pem"), 0o600)
        with tls(authority, client_ca="ca", settings=ca + ours) as w:
            w.start()
            w.wait_for_server()
            turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())
        with tls(authority, client_ca="ca", settings=ca) as w:
            w.start()
            wait_until(lambda: "remote_server" in w.status() and "remote_error" in w.status(), "it is refused")
            assert w.ask()["unanswered"] == "not_understood" and not w.servers[0].questions


SECRET = "sk-very-secret-0123456789"


def proc(pid, name):
    data = as_root("cat", f"/proc/{pid}/{name}")
    return data if data is not None else b""


def keys_are_seen_by_nobody():
    with world(start=False) as w:
        key = os.path.join(w.daemon.folder, "key")
        with open(key, "w") as f:
            f.write(SECRET + "\n")
        os.chmod(key, 0o600)
        with open(w.toml, "a") as f:
            f.write('\nkey_file = "key"\n')
        w.start()
        w.wait_for_server()
        complaint = {"error": {"message": "this key is unknown: " + SECRET}}
        starred = {"error": {"message": f"this key is unknown: {SECRET[:9]}****{SECRET[-2:]}"}}
        w.servers[0].plan = [status(401, json.dumps(complaint).encode()), status(401, json.dumps(starred).encode()),
                             say("Yes.")]
        assert SECRET not in json.dumps(w.ask())
        w.wait_for_answers("Yes.")
        assert w.servers[0].headers[0]["Authorization"] == "Bearer " + SECRET
        for pid in (w.process.pid, w.child(), w.daemon.process.pid):
            for name in ("cmdline", "environ", "status"):
                assert SECRET.encode() not in proc(pid, name), (pid, name)
        assert SECRET[:9] not in w.said() and SECRET[:9] not in w.daemon.said()
        assert SECRET not in json.dumps(w.status()) and SECRET not in w.daemon.ctl("trace").stdout
        limits = proc(w.child(), "limits").decode()
        if limits:
            core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
            assert core.split()[4:6] == ["0", "0"], core
        os.chmod(key, 0o644)
        done = subprocess.run([REMOTE, "--check", "--config", w.toml], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "chmod 600" in done.stderr and SECRET not in done.stderr, done


def nothing_stays_in_memory():
    """What was asked and answered is nowhere in the process that asked, once it is done with it."""
    if is_sanitized():
        return "a sanitizer keeps what was freed"
    with world() as w:
        if found_in(w.child(), "gemmad") is None:
            return "looking into a process that is not dumpable needs root"
        w.servers[0].plan = [say("The persimmonquagmire ", "is one."), calls(("get_time", {"x": "persimmonquagmire"})),
                             say("persimmonquagmire.")]
        assert "persimmonquagmire" in w.ask(text="what on earth is a xylophonequagmire")["answered"]
        w.ask(text="and what would a second xylophonequagmire be")
        wait_until(lambda: not found_in(w.child(), "(?:xylophone|persimmon)quagmire"), "nothing of it is left")
    return None


def nothing_goes_on():
    """Redirections and proxies of the environment are not followed."""
    other = Server("other")
    with two([status(307, Location=other.url() + "/chat/completions")],
             environment={"http_proxy": other.url(), "https_proxy": other.url(), "all_proxy": other.url()}) as w:
        assert w.ask()["answered"] == "second"
        assert not other.questions and other.looks == 0
    other.close()


def settings_are_checked():
    with world(start=False) as w:
        w.write('model = "m"\nservers = ["http://192.0.2.1/v1"]\n')
        done = subprocess.run([REMOTE, "--config", w.toml], capture_output=True, text=True, check=False,
                              env=w.environment)
        assert done.returncode == 2 and "plain = true" in done.stderr, done
        w.write(f'servers = [{{ url = "{w.servers[0].url()}", model = "m" }}]\n')
        done = subprocess.run([REMOTE, "--check", "--config", w.toml], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout == w.servers[0].url() + " m\n", done


def not_everybody_is_let_in():
    """The call needs what it asks for, and the newest counts."""
    with world(start=False) as w:
        pair, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET), socket.socketpair()
        with contextlib.closing(w.daemon.client()) as c:
            fds = [pair[0].fileno(), other[0].fileno()]
            assert c.call(ASSISTANT + "Remote", {"link_fd": 0, "state_fd": 0})["error"] == ASSISTANT + "NeedsMore"
            assert "error" in c.call(ASSISTANT + "Remote", {"link_fd": 0, "state_fd": 1}, more=True)
            assert "error" in c.call(ASSISTANT + "Remote", {"link_fd": 0, "state_fd": 1}, fds=fds, more=True)
        with contextlib.closing(w.daemon.client()) as c:
            mine = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
            reply = c.call(ASSISTANT + "Remote", {"link_fd": 0, "state_fd": 1}, fds=[m[0].fileno() for m in mine],
                           more=True)
            assert "error" not in reply, reply
            mine[1][1].send(b"garbage")
            # Garbage for an answer is none.
            with contextlib.closing(w.daemon.client()) as asker:
                asker.send(ASSISTANT + "Ask", {"text": QUESTION})
                mine[0][1].settimeout(PATIENCE)
                assert mine[0][1].recv(4096)
                mine[0][1].send(b"\xff" * 700)
                turn = asker.receive()["parameters"]["event"]["turn"]
            assert turn["unanswered"] == "not_understood", turn
            # The newest one takes its place.
            w.start()
            w.wait_for_server()
            turn = w.ask()
        assert turn["answered"] == "server", (turn, w.said())


def what_it_can_not_do():
    """The process that talks to servers reads none of the user's files and runs nothing."""
    with world() as w:
        status_ = proc(w.child(), "status").decode()
        if not status_:
            return "nobody lets us look"
        fields = dict(line.split(":\t", 1) for line in status_.splitlines() if ":\t" in line)
        assert fields["NoNewPrivs"].strip() == "1", fields
        assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0, fields
        # What can never be had again is for root alone to say.
        assert os.getuid() != 0 or int(fields["CapBnd"], 16) == 0, fields
        if not is_sanitized():
            assert fields["Seccomp"].strip() == "2", fields
    return None


if __name__ == "__main__":
    tap.rule("nothing goes out unless it is to", is_off)
    tap.rule("what is typed and not understood is asked elsewhere", a_text_goes_out)
    tap.rule("commands stay here", commands_stay_here)
    tap.rule("what is spoken and not understood goes out as a WAV", a_sound_goes_out)
    tap.rule("a picture goes along", a_picture_goes_along)
    tap.rule("a picture that nobody has looked at is told of", no_eyes_anywhere)
    tap.rule("calls of a server are carried out, and it is told what came of them", calls_are_carried_out)
    tap.rule("a result shows a server a picture", results_show_pictures)
    tap.rule("calls have bounds", calls_have_bounds)
    tap.rule("what servers have answered goes along, and is forgotten", the_past_goes_along)
    tap.rule("an answer at its limit is cut", an_answer_at_its_limit)
    tap.rule("markers are no text", markers_are_not_text)
    tap.rule("a server that does not stream is understood", without_streaming)
    tap.rule("connections are kept, and opened again", connections_are_kept)
    tap.rule("watch, status and trace tell what went where", trace_and_watch)
    tap.rule("when a server fails the next one answers", the_next_one_answers)
    tap.rule("who does not answer in time is left for the next one", who_stalls_is_left)
    tap.rule("who was down is asked again when it is well", who_was_down_is_asked_again)
    tap.rule("a fault of the moment is tried again", a_fault_of_the_moment)
    tap.rule("a fault that stays is not tried without end", a_fault_that_stays)
    tap.rule("when nobody answers all is as without servers", nobody_answers)
    tap.rule("when nobody is there nothing leaves, and it is noticed when somebody is", nobody_is_there)
    tap.rule("an answer that breaks off is told of", a_broken_answer)
    tap.rule("an answer that stalls is told of", a_stalled_answer)
    tap.rule("a gemmad that does not take the answer holds nothing up", a_slow_reader)
    tap.rule("a gigabyte is cut off", a_gigabyte)
    tap.rule("a list of models of a gigabyte is, too", a_look_of_a_gigabyte)
    tap.rule("headers without end are cut off", headers_without_end)
    tap.rule("a turn that waits for a server can be cancelled", cancelled)
    tap.rule("gemmad-remote killed before an answer: the answer is from here", killed_before_an_answer)
    tap.rule("gemmad-remote killed in an answer: that is told", killed_in_an_answer)
    tap.rule("gemmad-remote that hangs holds up nobody", stopped)
    tap.rule("gemmad-remote finds gemmad again", gemmad_comes_back)
    tap.rule("certificates are looked at", by_tls)
    tap.rule("servers may want a certificate of ours", by_mutual_tls)
    tap.rule("keys are seen by nobody", keys_are_seen_by_nobody)
    tap.rule("what was asked and answered does not stay in memory", nothing_stays_in_memory)
    tap.rule("neither servers nor the environment have a say in where it goes", nothing_goes_on)
    tap.rule("settings are checked", settings_are_checked)
    tap.rule("who calls Remote has to bring what it needs", not_everybody_is_let_in)
    tap.rule("gemmad-remote is shut in", what_it_can_not_do)
    tap.done()
