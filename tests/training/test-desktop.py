#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the desktop's sentences mean: numbers, times, durations, and what must mean nothing."""
import os
import re
import unittest

import training_test

import context as contexts
import grammar
import vocabulary as vocabularies
from numerals import in_words

CONTEXT = contexts.load(os.path.join(training_test.CONTEXTS, "desktop.yaml"))
VOCABULARY = vocabularies.build(CONTEXT)
AUTOMATON = grammar.Automaton(grammar.build(VOCABULARY, CONTEXT))


def call(text):
    """NAME key=value ... of a sentence; "" if it is none."""
    at = AUTOMATON.follow_all(AUTOMATON.start, VOCABULARY.encode(text + grammar.CALL))
    said = []
    while at and (at[0] or at[2]):
        said += AUTOMATON.allowed(at)[:1]
        at = AUTOMATON.follow(at, said[-1])
    name, arguments = re.fullmatch(r"(?:call:(\w+)\{(.*)\}<.*)?", VOCABULARY.decode(said)).groups()
    pairs = [pair.replace(":", "=") for pair in (arguments or "").replace('<|"|>', "").split(",")]
    return " ".join([name or "", *pairs]).strip()


class Said(unittest.TestCase):
    def means(self, table):
        for line in table.strip().split("\n"):
            text, _, wanted = (part.strip() for part in line.partition("->"))
            with self.subTest(text):
                self.assertEqual(call(text), wanted)

    def test_durations(self):
        """durations are what they say, composed ones in one number"""
        self.means("""
            set a timer for half an hour -> set_timer amount=30 unit=minute
            set a timer for two and a half minutes -> set_timer amount=150 unit=second
            set a timer for one hour and thirty minutes -> set_timer amount=90 unit=minute
            set a timer for an hour and a half -> set_timer amount=90 unit=minute
            set a timer for two hours and fifteen minutes -> set_timer amount=135 unit=minute
            set a timer for three minutes and ten seconds -> set_timer amount=190 unit=second
            set a timer for two hours and a half -> set_timer amount=150 unit=minute
            set a timer for a quarter of an hour -> set_timer amount=15 unit=minute
            set a timer for three quarters of an hour -> set_timer amount=45 unit=minute
            set a timer for a couple of minutes -> set_timer amount=2 unit=minute
            set a timer for a minute -> set_timer amount=1 unit=minute
            set a timer for an hour -> set_timer amount=1 unit=hour
            wake me in an hour -> set_timer amount=1 unit=hour
            set a half hour timer -> set_timer amount=30 unit=minute
            add five minutes to the timer -> add_to_timer amount=5 unit=minute
            pizza in twenty minutes -> set_timer amount=20 name=pizza unit=minute""")

    def test_numbers(self):
        """every whole number is itself: 2 to 100 of a duration, 0 to 100 of a percentage"""
        for number in range(2, 101):
            self.assertEqual(call(f"set a timer for {in_words(number)} minutes"),
                             f"set_timer amount={number} unit=minute")
        for number in range(101):
            for what in ("volume", "brightness"):
                self.assertEqual(call(f"set the {what} to {in_words(number)} percent"),
                                 f"set_{what} percent={number}")
            self.assertEqual(call(f"turn up the volume by {in_words(number)} percent"),
                             f"change_volume direction=up percent={number}")

    def test_clock(self):
        """every minute of the clock can be said, in twelve hours or in twenty four"""
        for hour in range(1, 24):
            for minute in range(1, 60):
                said = in_words(minute) if minute > 9 else "oh " + in_words(minute)
                self.assertEqual(call(f"set an alarm for {in_words(hour)} {said}"),
                                 f"set_alarm hour={hour} minute={minute}")

    def test_times(self):
        """times are what they say"""
        self.means("""
            set an alarm for ten to five -> set_alarm hour=4 minute=50
            set an alarm for quarter to eight -> set_alarm hour=7 minute=45
            set an alarm for five to one -> set_alarm hour=12 minute=55
            set an alarm for half past six -> set_alarm hour=6 minute=30
            set an alarm for twenty past nine p m -> set_alarm daytime=evening hour=9 minute=20
            set an alarm for noon -> set_alarm daytime=afternoon hour=12
            set an alarm for midnight -> set_alarm hour=0
            set an alarm for fourteen thirty -> set_alarm hour=14 minute=30
            set an alarm for fourteen hundred hours -> set_alarm hour=14
            set an alarm for seven a m -> set_alarm daytime=morning hour=7
            set an alarm for ten tonight -> set_alarm day=today daytime=evening hour=10
            set an alarm for six tomorrow morning -> set_alarm day=tomorrow daytime=morning hour=6
            set an alarm for tomorrow at six -> set_alarm day=tomorrow hour=6
            wake me up at eight o'clock on monday -> set_alarm day=monday hour=8
            wake me up at noon tomorrow -> set_alarm day=tomorrow daytime=afternoon hour=12""")

    def test_levels(self):
        """to a level is not by so much"""
        self.means("""
            set the volume to a hundred percent -> set_volume percent=100
            turn the volume up to ten percent -> set_volume percent=10
            turn the volume up by ten percent -> change_volume direction=up percent=10
            turn the volume up -> change_volume direction=up
            turn up the volume -> change_volume direction=up
            turn down the brightness -> change_brightness direction=down
            set the volume to twenty no thirty percent -> set_volume percent=30""")

    def test_commands(self):
        """ordinary wordings mean what they say"""
        self.means("""
            what is the time -> get_time
            what is today's date -> get_date
            what day is it tomorrow -> get_date day=tomorrow
            got the time -> get_time
            resume the timer -> resume_timer
            cancel all my timers -> cancel_timer which=all
            could you open my email -> open_program name=mail
            open firefox -> open_program name=firefox
            pause it -> media action=pause
            mute the computer -> mute state=on
            mute the microphone -> mute device=microphone state=on
            grab a screenshot -> take_screenshot
            skip this song and play the next one -> media action=next
            set a timer -> ask about=timer
            set an alarm for tomorrow -> ask about=alarm
            what time is it in london -> cannot what=place
            what will the date be in two hundred days -> cannot what=date
            the timer should have ten minutes set to it -> set_timer amount=10 unit=minute
            tomorrow i need the alarm to go off at five -> set_alarm day=tomorrow hour=5
            play rock music -> cannot what=song""")

    def test_taken_back(self):
        """of what is corrected the last counts, and what is called off stops"""
        self.means("""
            set a timer for five no ten minutes -> set_timer amount=10 unit=minute
            set a timer for five minutes no wait ten minutes -> set_timer amount=10 unit=minute
            set an alarm for six no seven -> set_alarm hour=7
            set a timer for ten minutes never mind -> stop
            lock the screen never mind -> stop""")

    def test_nothing(self):
        """the opposite, half a sentence and what it has no command for mean nothing"""
        self.means("\n".join(f"{text} ->" for text in (
            "unlock the screen", "do not lock the screen", "do not set an alarm for six",
            "remove five minutes from the timer", "turn the volume", "set a timer for",
            "set a timer for ten", "set an alarm for", "do not mute the microphone",
            "set the volume to", "close the browser", "do not cancel the timer", "resume the alarm",
            "set a timer for five minutes ago", "unmute the timer", "open the")))


if __name__ == "__main__":
    training_test.main()
