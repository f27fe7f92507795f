#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The user's own tools, from files, and those of MCP servers."""
import os
import sys

from desktop_test import Desktop
from gemmad_test import PATIENCE, SOURCE, Tap, wait_until

tap = Tap()
SERVER = os.path.join(SOURCE, "tests/system/mcp_server.py")


def write(desktop, name, text):
    folder = desktop.at("config/gemmad/tools")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".toml"), "w") as f:
        f.write(text)


def names(desktop):
    """Of the next set of the user's tools."""
    return [t["name"] for t in desktop.gemmad.others.get(timeout=PATIENCE)[1]]


LIGHTS = """
description = "Turns the lights on or off."
command = ["printf", "%s\\\\n", "{state}", "{room}", "done"]
[arguments.state]
type = "string"
enum = ["on", "off"]
required = true
[arguments.room]
type = "string"
description = "which room"
"""


def runs():
    """Its words are the words of the command, never read by a shell; its output is what is said."""
    with Desktop(start=False) as d:
        write(d, "lights", LIGHTS)
        write(d, "weather", 'description = "Tells the weather."\ncommand = ["echo"]\nsay = "It rains."\n')
        write(d, "silent", 'description = "Says nothing."\ncommand = ["true"]\n')
        d.start()
        described = d.gemmad.wait_for_tool("lights")
        assert described["parameters"] == {
            "type": "object", "required": ["state"],
            "properties": {"state": {"type": "string", "enum": ["on", "off"]},
                           "room": {"type": "string", "description": "which room"}}}, described
        answer = d.gemmad.call("lights", state="on", room="$(reboot); `x` 'y' | z")
        assert answer["text"] == "on\n$(reboot); `x` 'y' | z\ndone" == answer["result"]["output"], answer
        assert d.gemmad.say("lights", state="off") == "off\ndone"
        assert d.gemmad.refusal("lights") == "Which state?"
        assert d.gemmad.refusal("lights", state="on", room="--help") == "The room may not begin with a minus."
        assert d.gemmad.say("weather") == "It rains." and d.gemmad.say("silent") == "Done."


def fails():
    with Desktop(start=False) as d:
        write(d, "fails", 'description = "Fails."\ncommand = ["sh", "-c", "echo the bulb is broken; exit 3"]\n')
        write(d, "missing", 'description = "Is not there."\ncommand = ["/nonexistent/program"]\n')
        write(d, "crashes", 'description = "Crashes."\ncommand = ["sh", "-c", "kill -9 $$"]\n')
        # With a child that would go on.
        write(d, "hangs", f'description = "Hangs."\ntimeout = 0.5\n'
                          f'command = ["sh", "-c", "sleep 1000 & echo $! >{d.at("child")}; wait"]\n')
        write(d, "floods", 'description = "Says too much."\ncommand = ["sh", "-c", "yes | head -c 1000000"]\n')
        d.start()
        d.gemmad.wait_for_tool("fails")
        refusal = d.gemmad.refusal
        assert refusal("fails") == "The command failed: the bulb is broken"
        assert refusal("missing").startswith("/nonexistent/program can not be run")
        assert refusal("crashes") == "The command failed."
        assert refusal("hangs") == "The command did not end in time."
        with open(d.at("child")) as f:
            child = int(f.read())
        wait_until(lambda: not os.path.exists(f"/proc/{child}") or is_zombie(child), "the end of its child")
        answer = d.gemmad.call("floods")
        assert len(answer["text"]) <= 500 and len(answer["result"]["output"]) <= 8192, len(answer["text"])
        assert d.gemmad.say("stop") == "OK."


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def asks():
    with Desktop(start=False) as d:
        write(d, "wipe", f'description = "Wipes."\nconfirm = true\ncommand = ["touch", "{d.at("wiped")}"]\n')
        d.start()
        assert d.gemmad.wait_for_tool("wipe")["confirm"] is True
        assert d.gemmad.say("wipe") == "Really run wipe? Say yes or no." and d.gemmad.say("no") == "Then not."
        assert "wake phrase" in d.gemmad.refusal("wipe", begun="open")
        assert not os.path.exists(d.at("wiped"))
        assert d.gemmad.say("wipe") and d.gemmad.say("yes") == "Done." and os.path.exists(d.at("wiped"))


def left_out():
    """What is wrong in a file is said with its place, and the others are there."""
    wrong = {
        "syntax": "description = \n",
        "nothing": "",
        "nocommand": 'description = "x"\n',
        "shell": 'description = "x"\ncommand = "rm -rf /"\n',
        "typeless": 'description = "x"\ncommand = ["true"]\n[arguments.a]\ndescription = "y"\n',
        "unknown": 'description = "x"\ncommand = ["true"]\ncolour = "red"\n',
        "endless": 'description = "x"\ncommand = ["true"]\ntimeout = 100000\n',
        "Bad-Name": 'description = "x"\ncommand = ["true"]\n',
    }
    with Desktop(start=False) as d:
        for name, text in wrong.items():
            write(d, name, text)
        write(d, "right", 'description = "x"\ncommand = ["true"]\n')
        d.start()
        assert names(d) == ["right"]
        for name in wrong:
            assert f"/{name}.toml: " in d.said(), (name, d.said())
        assert "syntax.toml: line 1: " in d.said()


def changes():
    """A file that is written, changed and deleted while it runs; and one that replaces a tool that ships."""
    with Desktop(start=False) as d:
        write(d, "one", 'description = "One."\ncommand = ["echo", "one"]\n')
        d.start()
        assert names(d) == ["one"]
        write(d, "two", 'description = "Two."\ncommand = ["echo", "two"]\n')
        assert sorted(names(d)) == ["one", "two"] and d.gemmad.say("two") == "two"
        os.unlink(d.at("config/gemmad/tools/one.toml"))
        assert names(d) == ["two"] and "no tool" in d.gemmad.refusal("one")
        write(d, "set_volume", 'description = "Mine."\ncommand = ["echo", "{percent}"]\n[arguments.percent]\ntype = "number"\n')
        assert sorted(names(d)) == ["set_volume", "two"]
        assert "set_volume" not in [t["name"] for t in d.gemmad.provided.get(timeout=PATIENCE)]
        assert d.gemmad.say("set_volume", percent=40) == "40"
        # The folder is there from now on, and what ships as well.
        os.unlink(d.at("config/gemmad/tools/set_volume.toml"))
        assert "set_volume" in [t["name"] for t in d.gemmad.provided.get(timeout=PATIENCE)]
        wait_until(lambda: d.gemmad.call("set_volume", percent=40).get("error") == "There is no sound server.", "ours")


def configure(desktop, text):
    os.makedirs(desktop.at("config/gemmad"), exist_ok=True)
    with open(desktop.at("config/gemmad/desktop.toml"), "w") as f:
        f.write(text)


def server(odd="", more=""):
    return f'[mcp.small{odd}]\ncommand = ["{sys.executable}", "{SERVER}", "{odd}"]\n{more}\n'


def mcp():
    """Its tools are tools, with its name in front; what does not only read asks before."""
    with Desktop(start=False) as d:
        configure(d, server(more='environment = { MCP_TEST = "here" }'))
        d.start()
        described = d.gemmad.wait_for_tool("small_shout")
        assert described["description"] == "Says it louder." and described["confirm"] is False, described
        assert described["parameters"]["required"] == ["text"]
        answer = d.gemmad.call("small_shout", text="grüß dich")
        assert answer["text"] == "GRÜSS DICH" == answer["result"]["output"], answer
        assert d.gemmad.say("small_environment") == "here"
        assert d.gemmad.refusal("small_fail") == "It is broken."
        assert d.gemmad.refusal("small_refuse") == "Not today."
        assert d.gemmad.say("small_write_down", text="x") == "Really run small_write_down? Say yes or no."
        assert d.gemmad.say("yes") == "Written."
        assert "small_deep" not in d.gemmad.owners and "is left out: deep" in d.said()
        assert d.gemmad.say("small_grow") == "Done."
        d.gemmad.wait_for_tool("small_new")


def mcp_dies():
    """A call of a server that ends is answered, its tools go, and come back with it."""
    with Desktop(start=False) as d:
        configure(d, server())
        d.start()
        d.gemmad.wait_for_tool("small_shout")
        connection = d.gemmad.providers["small"]
        begun = d.gemmad.begin("small_die")
        wait_until(lambda: "The server small: it has ended" in d.said(), "a line about its end")
        assert d.gemmad.answers[begun].empty() or d.gemmad.answer(begun)["error"] == "small has ended."
        d.gemmad.wait_for_tool("small_shout")
        assert d.gemmad.providers["small"] is not connection
        assert d.gemmad.say("small_shout", text="again") == "AGAIN"


def mcp_odd():
    """Servers that say nothing, or nonsense, or are not there, take nothing along."""
    with Desktop(start=False) as d:
        configure(d, server("deaf") + server("mad") + server(more="confirm = true") +
                  '[mcp.missing]\ncommand = ["/nonexistent/server"]\n'
                  '[mcp.wrong]\ncommand = "a shell line"\n[mcp."Bad Name"]\ncommand = ["true"]\n[more]\n')
        d.start()
        assert d.gemmad.wait_for_tool("small_shout")["confirm"] is True
        wait_until(lambda: "The server smallmad: " in d.said() and "The server missing: " in d.said(), "the others")
        # It is tried again and again, and said once.
        missing = "The server missing: /nonexistent/server: No such file or directory, "
        wait_until(lambda: d.said().count(missing + "again in") >= 2, "two more attempts")
        assert d.said().count(missing + "starting it again in 1 s") == 1, d.said()
        for line in ("[mcp.wrong]: command is no array", "[mcp.Bad Name]: a name", "there is no 'more'"):
            assert line in d.said(), d.said()
        assert d.gemmad.say("stop") == "OK." and d.stop() == 0


tap.rule("a command and its arguments", runs)
tap.rule("commands that fail, hang and flood", fails)
tap.rule("a command that asks before", asks)
tap.rule("files that are wrong", left_out)
tap.rule("files that change", changes)
tap.rule("an MCP server", mcp)
tap.rule("an MCP server that dies", mcp_dies)
tap.rule("odd MCP servers", mcp_odd)
tap.done()
