#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Past turns: searched, shown, forgotten without a trace, and dropped by their age."""
import contextlib
import json
import os
import select
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, BUILD, PATIENCE, Daemon, Tap, is_sanitized, wait_until  # noqa: E402
from stepped_clock import DAY_NS, SteppedClock  # noqa: E402

tap = Tap()
daemon = Daemon()
INVALID = "org.varlink.service.InvalidParameter"


def bytes_on_disk(word, d=daemon):
    """Whether any file of the state directory holds the word."""
    for folder, _, names in os.walk(os.path.join(d.folder, "state")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                if word.encode() in f.read().lower():
                    return True
    return False


def ids(reply):
    return [t["id"] for t in reply["parameters"]["turns"]]


def search():
    with contextlib.closing(daemon.client()) as c:
        first = c.ask(text="where is the xylophone of my uncle")
        second = c.ask(text="a xylophone and a quagmire")
        find = lambda words, **more: ids(c.call(ASSISTANT + "Search", {"words": words, **more}))  # noqa: E731
        assert find("XYLOPHONE") == [second["id"], first["id"]]
        assert find("xylophone", limit=1) == [second["id"]]
        assert find("uncle xylophone") == [first["id"]]
        assert find("xylo*") == [second["id"], first["id"]]
        assert find("xylo") == [] and find("\"") == [] and find("heard:xylophone OR") == []
        assert c.call(ASSISTANT + "Search", {"words": "  "})["error"] == INVALID
        assert c.call(ASSISTANT + "Search", {"words": "a " * 500})["error"] == INVALID
        assert c.call(ASSISTANT + "Search", {})["error"] == INVALID
        assert c.call(ASSISTANT + "Show", {"id": first["id"]})["parameters"]["turn"] == first
        assert c.call(ASSISTANT + "Show", {"id": 999999})["error"] == ASSISTANT + "NoSuchTurn"
        assert c.call(ASSISTANT + "Show", {"id": 0})["error"] == INVALID


def forget():
    with contextlib.closing(daemon.client()) as c:
        kept = c.ask(text="the zeppelin stays")
        gone = c.ask(text="the bassoon goes")
        assert bytes_on_disk("zeppelin") and bytes_on_disk("bassoon")
        reply = c.call(ASSISTANT + "Forget", {"last": True})
        assert reply["parameters"] == {"forgotten": 1}, reply
        assert not bytes_on_disk("bassoon") and bytes_on_disk("zeppelin")
        assert c.call(ASSISTANT + "Forget", {"id": gone["id"]})["error"] == ASSISTANT + "NoSuchTurn"
        assert c.call(ASSISTANT + "Forget", {"id": kept["id"]})["parameters"] == {"forgotten": 1}
        assert not bytes_on_disk("zeppelin")

        since = int(time.time() * 1e6)
        c.ask(text="a kumquat")
        c.ask(text="another kumquat")
        assert c.call(ASSISTANT + "Forget", {"since": since})["parameters"] == {"forgotten": 2}
        assert not bytes_on_disk("kumquat") and bytes_on_disk("xylophone")

        c.call(ASSISTANT + "Forget", {"all": True})
        assert not bytes_on_disk("xylophone") and not bytes_on_disk("uncle")
        assert ids(c.call(ASSISTANT + "History")) == []
        assert c.call(ASSISTANT + "Forget", {"all": True})["parameters"] == {"forgotten": 0}
        assert c.call(ASSISTANT + "Forget", {"last": True})["parameters"] == {"forgotten": 0}
        assert c.ask(text="help")["id"] > gone["id"]


def forget_what():
    with contextlib.closing(daemon.client()) as c:
        n = len(ids(c.call(ASSISTANT + "History")))
        for wrong in ({}, {"last": False}, {"last": True, "all": True}, {"id": 1, "since": 0}, {"id": 0},
                      {"since": -1}, {"id": "last"}, {"all": None}):
            assert c.call(ASSISTANT + "Forget", wrong)["error"] == INVALID, wrong
        assert len(ids(c.call(ASSISTANT + "History"))) == n


def forget_while_running():
    """What is asked meanwhile is neither lost nor harmed."""
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        c.send(ASSISTANT + "Ask", {"text": "what time is it"}, more=True)
        assert "error" not in other.call(ASSISTANT + "Forget", {"all": True})
        reply = c.receive()
        while reply.get("continues"):
            reply = c.receive()
        assert reply["parameters"]["event"]["turn"]["outcome"] == "answered", reply


def ctl():
    with contextlib.closing(daemon.client()) as c:
        first = c.ask(text="one marmalade please")
        c.ask(text="two marmalades please")
    found = daemon.ctl("search", "marmalade")
    assert found.returncode == 0 and "one marmalade please" in found.stdout, found
    found = daemon.ctl("--json", "search", "-n", "1", "marmalade*", "please")
    assert json.loads(found.stdout)["heard"] == "two marmalades please", found
    found = daemon.ctl("search", "nowhere")
    assert found.returncode == 1 and not found.stdout and "no turn has all of these words" in found.stderr, found
    assert not daemon.ctl("search", "-n", "0", "marmalade").stderr
    assert daemon.ctl("search").returncode == 2
    shown = daemon.ctl("--json", "show", str(first["id"]))
    assert json.loads(shown.stdout) == first, shown
    assert daemon.ctl("show", "999999").returncode == 1
    assert daemon.ctl("show", "x").returncode == 2 and daemon.ctl("show").returncode == 2

    for wrong in ([], ["last", "--all"], ["--all", "--since", "1h"], ["x"], ["0"], ["--since", "soon"],
                  ["last", "2"]):
        assert daemon.ctl("forget", *wrong).returncode == 2, wrong
    assert daemon.ctl("history", "--all").returncode == 2
    assert daemon.ctl("forget", "last").stdout == "forgot 1 turn\n"
    assert not bytes_on_disk("marmalades") and bytes_on_disk("marmalade")
    assert daemon.ctl("forget", str(first["id"])).returncode == 0
    assert daemon.ctl("forget", str(first["id"])).returncode == 1
    assert not bytes_on_disk("marmalade")
    with contextlib.closing(daemon.client()) as c:
        c.ask(text="a rutabaga")
    assert daemon.ctl("forget", "--since", "1h").returncode == 0
    assert not bytes_on_disk("rutabaga")
    assert daemon.ctl("forget", "--all", "--yes").returncode == 0
    assert json.loads(daemon.ctl("--json", "forget", "--all", "--yes").stdout) == {"forgotten": 0}


def keep_days():
    """The days on which it ran count; one start with a clock that is far ahead costs nothing."""
    with Daemon(config="[Store]\nKeepDays=30\n", start=False) as d:
        d.start()
        with contextlib.closing(d.client()) as c:
            old = c.ask(text="an old persimmon")["id"]
        d.stop()
        path = os.path.join(d.folder, "state/gemmad/history.sqlite")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE days SET day = day - 400")
            db.commit()
        d.start()
        with contextlib.closing(d.client()) as c:
            assert ids(c.call(ASSISTANT + "History")) == [old]
            new = c.ask(text="a new tamarind")["id"]
        d.stop()
        with contextlib.closing(sqlite3.connect(path)) as db:
            today = db.execute("SELECT max(day) FROM days").fetchone()[0]
            db.execute("DELETE FROM days WHERE day = ?", (today,))
            db.executemany("INSERT INTO days (day, last_turn) VALUES (?, ?)",
                           [(today - 31 + i, old) for i in range(31)])
            db.commit()
        d.start()
        with contextlib.closing(d.client()) as c:
            assert ids(c.call(ASSISTANT + "History")) == [new]
        wait_until(lambda: "Forgot 1 old" in d.said(), "the old turn is gone")
        assert not bytes_on_disk("persimmon", d) and bytes_on_disk("tamarind", d)


def wrong_clock():
    """A clock that is set by years, before the start and while it runs, and is put right again, costs nothing."""
    if is_sanitized():
        return "a sanitizer wants to be loaded first"
    with Daemon(config="[Store]\nKeepDays=30\n", start=False) as d:
        clock = SteppedClock(os.path.join(d.folder, "clock"))
        d.environment.update(clock.environment)
        asked = []
        for days, later in ((0, 0), (400, -400), (-5000, 5000), (0, 0)):
            clock.set(days * DAY_NS)
            d.start()
            with contextlib.closing(d.client()) as c:
                asked.insert(0, c.ask(text=f"a persimmon of day {days}"))
                clock.set(later * DAY_NS)
                asked.insert(0, c.ask(text=f"a tamarind of day {later}"))
                assert ids(c.call(ASSISTANT + "History")) == [turn["id"] for turn in asked]
            d.stop()
        began = [turn["began"] // 86400000000 for turn in reversed(asked)]
        assert abs(began[2] - began[0] - 400) <= 1 and abs(began[0] - began[3] - 400) <= 1, began
        assert "Forgot" not in d.said()
    return None


def grow(path, n):
    """A history of n turns, copies of its first."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(turns)") if row[1] != "id"]
        db.execute(f"WITH RECURSIVE more (id) AS (SELECT 1000 UNION ALL SELECT id + 1 FROM more LIMIT {n})"
                   f" INSERT INTO turns (id, {', '.join(columns)}) SELECT more.id, {', '.join(columns)} FROM more,"
                   " (SELECT * FROM turns ORDER BY turns.id LIMIT 1)")
        db.execute("UPDATE turns SET heard = heard || ' ' || id")
        db.execute("INSERT INTO words (words) VALUES ('rebuild')")
        db.commit()


def large():
    """Whatever forgetting takes, nobody else waits for it; who asked for it is told when it is done."""
    with Daemon() as d:
        with contextlib.closing(d.client()) as c:
            first = c.ask(text="the persimmon " + "of my uncle " * 20)["id"]
        d.stop()
        grow(os.path.join(d.folder, "state/gemmad/history.sqlite"), 60000)
        d.start()
        with contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as other:
            # How fast it is cannot be known: of twenty that are forgotten one has to be seen under way.
            for gone in range(1234, 1254):
                assert ids(c.call(ASSISTANT + "Search", {"words": str(gone)})) == [gone]
                c.send(ASSISTANT + "Forget", {"id": gone})
                # Of what has come on two connections, the later may be read first.
                wait_until(lambda: ids(other.call(ASSISTANT + "Search", {"words": str(gone)})) == [],  # noqa: B023
                           "the forgetting is noted")
                assert len(ids(other.call(ASSISTANT + "History"))) == 20
                is_under_way = not select.select([c.socket], [], [], 0)[0]
                turn = other.ask(text="a tamarind")
                assert c.receive()["parameters"] == {"forgotten": 1}
                if is_under_way:
                    break
            assert is_under_way, "each forgetting was over before the others"
            assert turn["id"] in ids(other.call(ASSISTANT + "Search", {"words": "tamarind"}))
            assert other.call(ASSISTANT + "Show", {"id": 1234})["error"] == ASSISTANT + "NoSuchTurn"
            assert "turn" in other.call(ASSISTANT + "Show", {"id": first})["parameters"]
            c.send(ASSISTANT + "Forget", {"all": True})
        assert d.stop() == 0


def killed():
    """What was to be forgotten is not shown after a kill either, and is gone in the end."""
    with Daemon() as d:
        with contextlib.closing(d.client()) as c:
            c.ask(text="the persimmon " + "of my uncle " * 20)
        d.stop()
        path = os.path.join(d.folder, "state/gemmad/history.sqlite")
        grow(path, 20000)
        d.start()
        with contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as other:
            c.send(ASSISTANT + "Forget", {"all": True})
            wait_until(lambda: ids(other.call(ASSISTANT + "History")) == [], "the forgetting is noted")
            kept = other.ask(text="a tamarind")["id"]
            d.process.kill()
            d.process.wait()
        d.start()
        with contextlib.closing(d.client()) as c:
            assert ids(c.call(ASSISTANT + "History")) == [kept]
            wait_until(lambda: not bytes_on_disk("persimmon", d), "what was forgotten is gone")
            assert ids(c.call(ASSISTANT + "Search", {"words": "tamarind"})) == [kept]


def refused(client, reason):
    for method, parameters in (("History", {}), ("Search", {"words": "x"}), ("Show", {"id": 1}),
                               ("Forget", {"all": True})):
        reply = client.call(ASSISTANT + method, parameters)
        assert reply.get("error") == ASSISTANT + "TurnFailed", (method, reply)
        assert reason in reply["parameters"]["reason"], reply


def nothing_stored():
    with Daemon(config="[Store]\nEnabled=no\n") as d, contextlib.closing(d.client()) as c:
        c.ask(text="a loganberry")
        refused(c, "the history is off")
        assert not bytes_on_disk("loganberry", d)


def unopened():
    """A history that can not be opened is not an empty one: nobody is told that it forgot."""
    with Daemon(start=False) as d:
        folder = os.path.join(d.folder, "state/gemmad")
        os.makedirs(folder, mode=0o700)
        path = os.path.join(folder, "history.sqlite")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("CREATE TABLE later (word TEXT); INSERT INTO later VALUES ('loganberry');"
                             "PRAGMA user_version = 999")
        d.start()
        with contextlib.closing(d.client()) as c:
            turn = c.ask(text="what time is it")
            assert turn["outcome"] == "answered" and turn["unkept"], turn
            refused(c, "the history can not be opened")
            assert "version 999" in c.call(ASSISTANT + "Status")["parameters"]["history_error"]
        done = d.ctl("forget", "--all", "--yes")
        assert done.returncode == 1 and "can not be opened" in done.stderr, done
        assert bytes_on_disk("loganberry", d)


def damaged():
    """A damaged history is put aside and begun anew; what is left of it goes with what is forgotten."""
    with Daemon(start=False) as d:
        folder = os.path.join(d.folder, "state/gemmad")
        os.makedirs(folder, mode=0o700)
        with open(os.path.join(folder, "history.sqlite"), "w") as f:
            f.write("a loganberry, and no database " * 100)
        d.start()
        with contextlib.closing(d.client()) as c:
            kept = c.ask(text="what time is it")
            assert ids(c.call(ASSISTANT + "History")) == [kept["id"]]
            assert "history_error" not in c.call(ASSISTANT + "Status")["parameters"]
        assert "damaged" in d.said() and bytes_on_disk("loganberry", d)
        assert d.ctl("forget", "--all", "--yes").returncode == 0
        assert not bytes_on_disk("loganberry", d)


def locked():
    """What can not be written at once is told, and written when the other program has done."""
    with Daemon() as d, contextlib.closing(d.client()) as c:
        path = os.path.join(d.folder, "state/gemmad/history.sqlite")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            turn = c.ask(text="a gooseberry")
            assert turn["unkept"] is True, turn
            assert ids(c.call(ASSISTANT + "History")) == []
            assert "1 turns wait" in c.call(ASSISTANT + "Status")["parameters"]["history_error"]
            assert "1 turns wait" in d.ctl("doctor").stdout
        second = c.ask(text="a gooseberry again")
        assert "unkept" not in second
        assert ids(c.call(ASSISTANT + "Search", {"words": "gooseberry"})) == [second["id"], turn["id"]]
        assert "history_error" not in c.call(ASSISTANT + "Status")["parameters"]


def hangs():
    """Nobody waits for a disk that does not answer, neither for an answer nor for the end; what it was given is there."""
    if is_sanitized():
        return "a sanitizer wants to be loaded first"
    with Daemon(start=False) as d:
        disk = os.path.join(d.folder, "disk")

        def hold(held):
            with open(disk, "r+b", 0) as f:
                f.write(bytes([held]))

        with open(disk, "wb") as f:
            f.write(b"\0")
        d.environment.update(LD_PRELOAD=os.path.abspath(os.path.join(BUILD, "tests/system/held-disk.so")), GEMMAD_DISK=disk)
        d.start()
        with contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as other:
            kept = c.ask(text="a gooseberry")
            assert "unkept" not in kept
            hold(True)
            assert c.ask(text="a tamarind")["unkept"] and c.ask(text="another tamarind")["unkept"]
            assert "2 turns wait to be written: the disk does not answer" == other.call(
                ASSISTANT + "Status")["parameters"]["history_error"]
            assert ids(other.call(ASSISTANT + "History")) == [kept["id"]]
            hold(False)
            # Each that is written begins the second anew after which one counts as waiting.
            wait_until(lambda: len(ids(other.call(ASSISTANT + "History"))) == 3, "all is written")
            wait_until(lambda: "history_error" not in other.call(ASSISTANT + "Status")["parameters"], "nothing waits")
            hold(True)
            c.send(ASSISTANT + "Ask", {"text": "what time is it"}, more=True)
            told = [c.receive()]
            d.process.terminate()
            while "continues" in told[-1]:
                told.append(c.receive())
            assert told[-1]["parameters"]["event"]["turn"]["unkept"], told
            assert d.process.wait(PATIENCE) == 0
        hold(False)
        d.start()
        with contextlib.closing(d.client()) as c:
            assert len(ids(c.call(ASSISTANT + "History"))) == 3
    return None


def no_core():
    """What was said is in the memory of the process, so it leaves no core file."""
    with Daemon() as d, open(f"/proc/{d.process.pid}/limits") as f:
        assert [line.split()[4:6] for line in f if line.startswith("Max core")] == [["0", "0"]]


with daemon:
    tap.rule("words are found, and shown by their turn", search)
    tap.rule("what was forgotten is in no file", forget)
    tap.rule("forgetting has to be said in one way", forget_what)
    tap.rule("forgetting while a turn runs", forget_while_running)
    tap.rule("gemmactl search, show and forget", ctl)
    tap.rule("turns older than KeepDays are forgotten at the start", keep_days)
    tap.rule("a clock that is set by years costs no turn", wrong_clock)
    tap.rule("nobody waits while a large history forgets", large)
    tap.rule("a forgetting outlives a kill", killed)
    tap.rule("a history that can not be opened is not an empty one", unopened)
    tap.rule("a damaged history is begun anew", damaged)
    tap.rule("what can not be written at once is written later", locked)
    tap.rule("nobody waits for a disk that does not answer", hangs)
    tap.rule("no core file is left", no_core)
    tap.rule("without a history there is nothing to find or forget", nothing_stored)
tap.done()
