#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a spoken turn goes, through a real sound server (PulseAudio).

    stages.py [--times 20] [--model FILE --projector FILE] [--json]

Needs the programs in $BUILD_DIR (build/ unless it is set) and Debian's pulseaudio,
pulseaudio-utils and libasound2-plugins. Says recordings of tests/speech into an open microphone
and prints the median and the 95th percentile of each stage; then, how much of a core it costs to
wait for speech, and how much memory.
"""
import argparse
import contextlib
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from gemmad_test import ASSISTANT, Daemon, speech, wait_until  # noqa: E402
from sound_server import SoundServer  # noqa: E402

SAID = ["hey-gemma-play-some-music.festival-ked.wav", "what-time-is-it.flite-rms.wav"]
QUIET_SECONDS = 20
TURN_SECONDS = 8            # a sentence is heard and answered in less, or was not believed

# Between two times that the daemon reports of a turn, in milliseconds. The last frame of speech is
# the last one before the pause that ended the turn; the pause, EndSilenceMs, has to pass after it.
STAGES = [("last frame of speech -> all sound in the cache", "end_of_speech", "prefilled"),
          ("all sound in the cache -> first token", "prefilled", "first_token"),
          ("last frame of speech -> first token", "end_of_speech", "first_token"),
          ("last frame of speech -> answer complete", "end_of_speech", "done")]


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="spoken turns")
    parser.add_argument("--model", default="")
    parser.add_argument("--projector", default="")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def status(daemon):
    with contextlib.closing(daemon.client()) as c:
        return c.call(ASSISTANT + "Status")["parameters"]


def set_mode(daemon, mode):
    with contextlib.closing(daemon.client()) as c:
        reply = c.call(ASSISTANT + "SetMode", {"mode": mode})
        assert "error" not in reply, reply
    wait_until(lambda: status(daemon)["microphone"] == ("closed" if mode == "push" else "live"), mode)


def next_turn(watcher):
    while True:
        event = watcher.receive()["parameters"]["event"]
        if event["kind"] == "done":
            return event["turn"]


def spoken_turns(daemon, sound, times):
    """The timings of so many turns. What the model does not believe to be for it is said again."""
    with contextlib.closing(daemon.client()) as watcher:
        watcher.send(ASSISTANT + "Watch", more=True)
        watcher.socket.settimeout(TURN_SECONDS)
        said = 0
        while times > 0:
            sound.mouth.say(SAID[said % len(SAID)])
            said += 1
            with contextlib.suppress(TimeoutError):
                yield next_turn(watcher)["timings"]
                times -= 1


def paced_turns(daemon, times):
    """The timings of recordings that are heard at the speed of speech and end with their last
    sound, as when a key is let go: no pause has to pass."""
    with contextlib.closing(daemon.client()) as c:
        return [c.ask(audio_path=speech(SAID[i % len(SAID)]), realtime=True)["timings"] for i in range(times)]


def family(pid):
    """The daemon and the processes of its sound."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [pid] + [p for child in f.read().split() for p in family(int(child))]
    return [pid]


def processor_seconds(daemon):
    total = 0
    for pid in family(daemon):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def share_of_core(pid):
    before, began = processor_seconds(pid), time.monotonic()
    time.sleep(QUIET_SECONDS)
    return 100 * (processor_seconds(pid) - before) / (time.monotonic() - began)


def resident_mib(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":")) / 1024


def sound_mib(pid):
    """What its other processes have to themselves."""
    return sum(resident_mib(p, "RssAnon") for p in family(pid)[1:])


def percentile(values, part):
    """The smallest value that so large a part of them does not exceed."""
    values = sorted(values)
    return values[max(0, -(-len(values) * part // 100) - 1)]


def measure(args):
    sound = SoundServer()
    config = f"[Model]\nPath={args.model}\nProjector={args.projector}\n[Audio]\nLingerSeconds=0\n"
    try:
        with Daemon(config, environment=sound.for_daemon) as daemon:
            rows = [("waiting, microphone closed, % of a core", share_of_core(daemon.process.pid))]
            set_mode(daemon, "open")
            rows.append(("waiting, microphone open, % of a core", share_of_core(daemon.process.pid)))
            rows.append(("... memory of the sound's processes, MiB", sound_mib(daemon.process.pid)))
            turns = [t for t in spoken_turns(daemon, sound, args.times) if t["first_token"] is not None]
            set_mode(daemon, "push")
            paced = paced_turns(daemon, args.times)
            rows.append(("resident memory, MiB", resident_mib(daemon.process.pid)))
    finally:
        sound.stop()
    stages = [(name, [t[b] - t[a] for t in turns]) for name, a, b in STAGES]
    stages = [("callback -> frame, the slowest of the turn", [t["framing"] for t in turns]),
              ("frame -> cache, the slowest of the turn", [t["caching"] for t in turns])] + stages
    stages.append(("end of a recording -> its call", [t["done"] - t["end_of_speech"] for t in paced]))
    stages.append(("frames that waited for the model, at most", [t["largest_backlog"] for t in turns]))
    return stages, rows


def main():
    args = options()
    stages, rows = measure(args)
    if args.json:
        for name, values in stages:
            print(json.dumps({"stage": name, "turns": len(values), "p50": statistics.median(values),
                              "p95": percentile(values, 95)}))
        for name, value in rows:
            print(json.dumps({"stage": name, "value": round(value, 2)}))
        return
    print(f"{'of ' + str(len(stages[0][1])) + ' spoken turns, ms':52}{'p50':>9}{'p95':>9}")
    for name, values in stages:
        print(f"{name:52}{statistics.median(values):9.1f}{percentile(values, 95):9.1f}")
    for name, value in rows:
        print(f"{name:52}{value:9.2f}")


if __name__ == "__main__":
    main()
