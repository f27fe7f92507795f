#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record.py OUT.svg: the terminal at the top of README.md, made from a real session.

Starts the built gemmad (BUILD_DIR) and gemmad-desktop in folders of their own, types the commands below, and draws what
came of them as an animated SVG: every line appears when it did, but that nobody waits longer than PAUSE for one."""
import html
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("BUILD_DIR", os.path.join(TOP, "build"))
os.environ.setdefault("SOURCE_DIR", TOP)
sys.path.insert(0, os.path.join(TOP, "tests/system"))
from gemmad_test import GEMMACTL, Daemon, speech, wait_until  # noqa: E402

COMMANDS = (
    ("gemmactl ask --audio what-time-is-it.wav", ["ask", "--audio", speech("what-time-is-it.flite-rms.wav")]),
    ("gemmactl ask --audio set-a-timer.wav", ["ask", "--audio", speech("set-a-timer-for-five-minutes.flite-rms.wav")]),
    ("gemmactl trace", ["trace"]),
    ("gemmactl ask how long is left on the timer", ["ask", "how long is left on the timer"]),
)
PAUSE = 1.6      # seconds before a command, and the longest between two lines
LETTER = 0.045   # seconds to type one
CHARACTER = 8.4  # units wide
LINE = 19        # units high
MARGIN = 14


def session():
    """Lines as (second, kind, text); the kind is $ for what is typed."""
    lines, now = [], 0.5
    desktop = os.path.join(os.path.dirname(GEMMACTL), "gemmad-desktop")
    with Daemon() as d:
        hands = subprocess.Popen([desktop], env=d.environment, stderr=d.log, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: "set_timer" in d.ctl("tools").stdout, "gemmad-desktop provides its tools")
            for shown, arguments in COMMANDS:
                lines.append((now, "$", shown))
                now += LETTER * len(shown)
                began = time.monotonic()
                process = subprocess.Popen([GEMMACTL, *arguments], env=d.environment, text=True, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
                for line in process.stdout:
                    lines.append((now + min(time.monotonic() - began, PAUSE), "", line.rstrip("\n")))
                process.wait()
                now = lines[-1][0] + PAUSE
        finally:
            hands.terminate()
            hands.wait()
    return lines, now


def draw(lines, length):
    width = max(len(text) for _, _, text in lines) + 4
    height = MARGIN * 2 + LINE * len(lines)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * CHARACTER + 2 * MARGIN:.0f} {height:.0f}" '
           'font-family="monospace" font-size="14">',
           "<title>A session with gemmactl</title>",
           "<style>text{fill:#d8d8d8;white-space:pre}.p{fill:#7fc97f}.t{fill:#fff}"
           # Who knows no animations sees all of it.
           "@keyframes a{from{opacity:0}to{opacity:1}}"
           "g{animation:a .01s both}"
           "@media(prefers-reduced-motion:reduce){g{animation:none}}</style>",
           '<rect width="100%" height="100%" rx="8" fill="#1c1f24"/>']
    for i, (second, kind, text) in enumerate(lines):
        y = MARGIN + LINE * (i + 0.75)
        prompt = '<tspan class="p">$ </tspan>' if kind else ""
        style = ' class="t"' if kind else ""
        out.append(f'<g style="animation-delay:{second:.2f}s"><text x="{MARGIN}" y="{y:.1f}" xml:space="preserve">{prompt}'
                   f"<tspan{style}>{html.escape(text)}</tspan></text></g>")
    return "\n".join([*out, f"<!-- {length:.0f} seconds -->", "</svg>", ""])


def main():
    lines, length = session()
    with open(sys.argv[1], "w") as f:
        f.write(draw(lines, length))


if __name__ == "__main__":
    main()
