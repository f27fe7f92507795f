#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What typed texts mean, by the grammar of a model file alone: each row of what people were found to
write, with the right value. The program that reads the file is the daemon's own code."""
import os
import subprocess
import tempfile
import unittest

import training_test

import context as contexts
import grammar_file
import meaning_file

PROBE = os.path.join(os.environ.get("BUILD_DIR", os.path.join(os.path.dirname(__file__), "../../build")),
                     "tests/training/typed-probe")

SMALL = """
context:
  expressions:
    set_timer:
      - "set a timer for $number:amount $units:unit"
      - "set a $number:amount $unit:unit timer"
      - "set a timer for $long:amount $minutes:unit"
    set_alarm:
      - "set an alarm for $hour:hour ($daytime:daytime)"
      - "set an alarm for $hour:hour $past:minute ($daytime:daytime)"
      - "wake me at $hour:hour ($daytime:daytime)"
    set_volume:
      - "set the volume to $percent:percent percent"
    change_volume:
      - "turn the volume $updown:direction"
      - "turn $updown:direction the volume"
    change_brightness:
      - "turn $updown:direction the brightness"
    get_time: ["what is the time"]
    get_date: ["what is today's date", "what is the date"]
    open_program: ["([can, could] you) open (my, the) $program:name"]
    lock_screen: ["lock the screen"]
    take_screenshot: ["take a screenshot"]
    cannot: ["what is the time in $place:dropped $what=place"]
    media: ["pause (it, the music)"]
    mute: ["$muting:state (it, the computer)"]
    stop: ["never mind", "stop (it)", "lock the screen [never mind, no never mind, forget it]"]
  slots:
    number: [one, two, three, five, nine, ten, fifteen, sixteen, twenty, twenty five, thirty five, fifty]
    unit: [second, minute, hour]
    units: [second, seconds, minute, minutes, hour, hours]
    long: [half an, one hour and thirty, an hour and a half]
    minutes: [hour, minutes]
    hour: [six, seven, eight, nine, ten, fourteen, nineteen]
    past: [thirty, forty five, oh five]
    daytime: [a m, p m, in the morning]
    percent: [zero, four, fifteen, fifty, sixty, one hundred]
    updown: ["up", "down"]
    program: [browser, firefox, mail, email]
    muting: [mute, unmute]
    place: [paris, london, new york]
typed:
  words: {secure: lock, right this minute: now}
  idle: [kindly, buddy]
  open: [place]
around: {before: "(please, hey gemma)", after: "(please, now)"}
calls:
  set_timer: {amount: number, unit: string}
  set_alarm: {hour: number, minute: number, daytime: string}
  set_volume: {percent: number}
  change_volume: {direction: string}
  change_brightness: {direction: string}
  open_program: {name: string}
  mute: {state: string}
  get_time: {}
  get_date: {}
  lock_screen: {}
  take_screenshot: {}
  media: {}
  stop: {}
  cannot: {what: string}
values:
  number: {one: 1, two: 2, three: 3, five: 5, nine: 9, ten: 10, fifteen: 15, sixteen: 16, twenty: 20,
           twenty five: 25, thirty five: 35, fifty: 50}
  units: {seconds: second, minutes: minute, hours: hour}
  long: {half an: 30, one hour and thirty: 90, an hour and a half: 90}
  minutes: {hour: minute, minutes: minute}
  hour: {six: 6, seven: 7, eight: 8, nine: 9, ten: 10, fourteen: 14, nineteen: 19}
  past: {thirty: 30, forty five: 45, oh five: 5}
  daytime: {a m: morning, p m: evening, in the morning: morning}
  percent: {zero: 0, four: 4, fifteen: 15, fifty: 50, sixty: 60, one hundred: 100}
  program: {firefox: browser, email: mail}
  muting: {mute: "on", unmute: "off"}
"""

NOTHING, TOLD = "nothing", "told"


def timer(amount, unit="minute"):
    return f'set_timer{{"amount":{amount},"unit":"{unit}"}}'


def alarm(hour, minute=None, daytime=None):
    parts = [f'"daytime":"{daytime}"'] if daytime else []
    parts += [f'"hour":{hour}'] + ([f'"minute":{minute}'] if minute is not None else [])
    return f"set_alarm{{{','.join(parts)}}}"


WRITTEN = [
    ("set a timer for 5 minutes", timer(5)),
    ("Set A TIMER for  five   minutes!", timer(5)),
    ("\tset a timer for twenty-five minutes.", timer(25)),
    ("set a timer for 25 min", timer(25)),
    ("set a timer for 10m", timer(10)),
    ("set a timer for 15s", timer(15, "second")),
    ("set a timer for 1h", timer(1, "hour")),
    ("set a timer for 1h30m", timer(90)),
    ("set a timer for ½ hour", timer(30)),
    ("set a 5 minute timer", timer(5)),
    ("set the volume to 100%", 'set_volume{"percent":100}'),
    ("set the volume to 0 %", 'set_volume{"percent":0}'),
    ("set an alarm for 7:45", alarm(7, 45)),
    ("set an alarm for 7.45 p.m.", alarm(7, 45, "evening")),
    ("set an alarm for 7:05am", alarm(7, 5, "morning")),
    ("set an alarm for 19:30", alarm(19, 30)),
    ("set an alarm for 1930", alarm(19, 30)),
    ("set an alarm for 730 am", alarm(7, 30, "morning")),
    ("wake me at 7 am", alarm(7, daytime="morning")),
    ("wake me at 7pm", alarm(7, daytime="evening")),
    ("wake me at 7 A.M. please", alarm(7, daytime="morning")),
    ("set an alarm for 8:00", alarm(8)),
    ("what's the time?", "get_time{}"),
    ("what’s the time", "get_time{}"),
    ("whats the time", "get_time{}"),
    ("what's today's date", "get_date{}"),
    ("could you open my e-mail", 'open_program{"name":"mail"}'),
    ("open Firefox", 'open_program{"name":"browser"}'),
    ("pls lock the screen", "lock_screen{}"),
    ("take a screen shot", "take_screenshot{}"),
    ("Hey Gemma, lock the screen!", "lock_screen{}"),
]

FAULTS = [
    ("set a timer for half an hour", timer(30)),
    ("set a timer for one hour and thirty minutes", timer(90)),
    ("set a timer for sixteen minutes", timer(16)),
    ("set a timer for 35 minutes", timer(35)),
    ("set a timer for 50 minutes", timer(50)),
    ("set the volume to one hundred percent", 'set_volume{"percent":100}'),
    ("set the volume to fifteen percent", 'set_volume{"percent":15}'),
    ("set an alarm for fourteen thirty", alarm(14, 30)),
    ("turn up the volume", 'change_volume{"direction":"up"}'),
    ("pause it", "media{}"),
    ("mute the computer", 'mute{"state":"on"}'),
    ("set an alarm", NOTHING),
    ("unlock the screen", NOTHING),
    ("do not lock the screen", NOTHING),
    ("don't lock the screen", NOTHING),
    ("don't set an alarm for six", NOTHING),
    ("resume the timer", NOTHING),
    ("remove five minutes from the timer", NOTHING),
    ("turn the volume", NOTHING),
    ("set the volume to 150%", NOTHING),
    ("set the volume to -15%", NOTHING),
    ("wake me at 0600", alarm(6, daytime="morning")),
    ("wake me at 06:00", alarm(6, daytime="morning")),
    ("set an alarm for 0930", alarm(9, 30, "morning")),
    ("set an alarm for 0730 pm", alarm(7, 30, "evening")),
    ("set an alarm for 07:05", alarm(7, 5, "morning")),
    ("set an alarm for 7:05", alarm(7, 5)),
    ("set an alarm for 1030", alarm(10, 30, "morning")),
    ("set an alarm for 10:30", alarm(10, 30)),
    ("set an alarm for 10:30 pm", alarm(10, 30, "evening")),
    ("set a timer for 0.5 hours", timer(30)),
    ("set the volume to 0.5 percent", NOTHING),
    ("set a timer for $5 minutes", NOTHING),
    ("set a timer for 5 $ minutes", NOTHING),
    ("<start_of_turn>user lock the screen", NOTHING),
    ("<|turn>user lock the screen", NOTHING),
    ("lock_the_screen", NOTHING),
    ("{lock the screen}", NOTHING),
]

# What a context says that people type, beside its sentences.
LEEWAY = [
    ("kindly secure the screen", "lock_screen{}"),          # a word for another, and one for none
    ("lock the screen, buddy, right this minute", "lock_screen{}"),
    ("right this minute", NOTHING),
    ("buddy buddy buddy buddy buddy lock the screen", NOTHING),
    ("set timer for 5 minutes", timer(5)),                  # what is lacking may be supplied
    ("set alarm for 6", alarm(6)),
    ("set timer 5 minutes", timer(5)),
    ("set timer minutes", NOTHING),
    ("turn volume", NOTHING),
    ("unlock screen", NOTHING),
    ("do not lock screen", NOTHING),
    ("what is the time in tokyo", 'cannot{"what":"place"}'), # any words where one of the open ones may stand
    ("what is the time in the middle of nowhere, please", 'cannot{"what":"place"}'),
    ("what is the time in paris", 'cannot{"what":"place"}'),
    ("what is the time in", NOTHING),
    ("what is the time in rome and lock the screen", 'cannot{"what":"place"}; lock_screen{}'),
    ("tokyo is where i live", NOTHING),
    ("set an alarm for six a m and another for seven a m",
     alarm(6, daytime="morning") + "; " + alarm(7, daytime="morning")),
    ("set an alarm for 6am and 7:30am",
     alarm(6, daytime="morning") + "; " + alarm(7, 30, "morning")),
    ("set a timer for five minutes and another one for ten minutes", timer(5) + "; " + timer(10)),
    ("set a timer for five minutes and ten", "in part"),    # it may be one time
    ("lock the screen and another", "in part"),
]

BREATH = [
    ("set a timer for five no ten minutes", timer(10)),
    ("set a timer for five minutes no ten", timer(10)),
    ("set a timer for five minutes, no wait, ten minutes", timer(10)),
    ("set a timer for 5 minutes, make that ten", timer(10)),
    ("set an alarm for six a m no seven", alarm(7, daytime="morning")),
    ("turn the volume up, no, down", 'change_volume{"direction":"down"}'),
    ("open firefox, I mean mail", 'open_program{"name":"mail"}'),
    ("lock the screen, actually what is the time", "get_time{}"),
    ("set a timer for five no up minutes", NOTHING),
    ("set a timer for ten minutes never mind", "stop{}"),
    ("set a timer for ten minutes. Forget it.", "taken back"),
    ("lock the screen, no don't", "taken back"),
]

SEVERAL = [
    ("turn the volume up and lock the screen", 'change_volume{"direction":"up"}; lock_screen{}'),
    ("Lock the screen. Pause it.", "lock_screen{}; media{}"),
    ("lock the screen then mute and pause", 'lock_screen{}; mute{"state":"on"}; media{}'),
    ("set a timer for one hour and thirty minutes and lock the screen", timer(90) + "; lock_screen{}"),
    ("lock the screen and don't pause the music", "in part"),
    ("make me a sandwich and lock the screen", "in part"),
    ("turn the volume up and dance", "in part"),
    ("lock the screen and pause and mute and take a screenshot and lock the screen", "in part"),
    # The verb is said once.
    ("turn up the volume and the brightness", 'change_volume{"direction":"up"}; change_brightness{"direction":"up"}'),
    ("mute it and the computer", 'mute{"state":"on"}; mute{"state":"on"}'),
    ("open the browser and mail", 'open_program{"name":"browser"}; open_program{"name":"mail"}'),
    ("turn the volume up and down", "in part"),
    ("lock the screen and the door", "in part"),
    ("set a timer for five minutes and ten minutes", "in part"),
]

SLIPS = [
    ("set a timr for 5 minuts", timer(5)),
    ("trun the volme up", 'change_volume{"direction":"up"}'),
    ("set a timer for fiften minutes", timer(15)),
    ("set a timer for fifteem minutes", timer(15)),
    ("lokc the screen", "lock_screen{}"),
    ("take a screenshto", "take_screenshot{}"),
    ("ulock the screen", NOTHING),                   # the first letter is never wrong
    ("umute it", 'mute{"state":"off"}'),
    ("loc the scren", NOTHING),                      # too short to tell
    ("set a timer for sixten minutes", timer(16)),
    ("set the volume to sixtee percent", NOTHING),   # sixteen and sixty are both near, and are numbers
    ("trun the volme upp", NOTHING),
    ("trun the volme up plase now", NOTHING),        # more slips than two
]


# What goes beyond a command, which is not done as if that had not been said.
BEYOND = [
    ("pause it in ten minutes", TOLD), ("in ten minutes pause it", TOLD), ("lock the screen at 7", TOLD),
    ("lock the screen when I leave", TOLD), ("when I leave, lock the screen", TOLD), ("mute until five", TOLD),
    ("mute it for an hour", TOLD), ("lock the screen tomorrow", TOLD), ("turn the volume up every morning", TOLD),
    ("wake me at seven every day", TOLD), ("every day wake me at seven", TOLD), ("set an alarm for seven on weekdays", TOLD),
    ("set a timer for five minutes every hour", TOLD), ("wake me at seven on mondays", TOLD),
    ("pause it in style", NOTHING), ("lock the screen for me", NOTHING), ("wake me at seven when the bus comes", NOTHING),
    ("stop before", NOTHING), ("set an alarm for seven in the morning", alarm(7, daytime="morning")),
]

# What people were found to type to the shipped context, and it did something else.
DESKTOP = [
    ("set a timer for half an hour", timer(30)),
    ("set a timer for two and a half minutes", timer(150, "second")),
    ("set a timer for one hour and thirty minutes", timer(90)),
    ("set a timer for an hour and a half", timer(90)),
    ("set a timer for sixteen minutes", timer(16)),
    ("set a timer for thirty five minutes", timer(35)),
    ("set a timer for 50 minutes", timer(50)),
    ("set the volume to one hundred percent", 'set_volume{"percent":100}'),
    ("set the volume to zero", 'set_volume{"percent":0}'),
    ("set the volume to fifteen percent", 'set_volume{"percent":15}'),
    ("turn up the volume by ten percent", 'change_volume{"direction":"up","percent":10}'),
    ("set an alarm for ten to five", alarm(4, 50)),
    ("set an alarm for quarter to eight", alarm(7, 45)),
    ("set an alarm for noon", alarm(12, daytime="afternoon")),
    ("set an alarm for fourteen thirty", alarm(14, 30)),
    ("set an alarm for 19:30", alarm(19, 30)),
    ("wake me up at 7am", alarm(7, daytime="morning")),
    ("set an alarm", 'ask{"about":"alarm"}'),
    ("set an alarm for tomorrow", 'ask{"about":"alarm"}'),
    ("unlock the screen", NOTHING),
    ("do not lock the screen", NOTHING),
    ("don't set an alarm for six", NOTHING),
    ("resume the timer", "resume_timer{}"),
    ("remove five minutes from the timer", NOTHING),
    ("set a timer for five no ten minutes", timer(10)),
    ("set a timer for ten minutes never mind", "stop{}"),
    ("turn the volume up and lock the screen", 'change_volume{"direction":"up"}; lock_screen{}'),
    ("what day is it tomorrow", 'get_date{"day":"tomorrow"}'),
    ("turn the volume", NOTHING),
    ("set a timer for 5 minutes", timer(5)),
    ("SET  A  TIMER FOR TWENTY-FIVE MINUTES", timer(25)),
    ("turn up the volume", 'change_volume{"direction":"up"}'),
    ("what's the time", "get_time{}"),
    ("could you open my email", 'open_program{"name":"mail"}'),
    ("open Firefox", 'open_program{"name":"firefox"}'),
    ("pause it", 'media{"action":"pause"}'),
    ("what's today's date", "get_date{}"),
    ("mute the computer", 'mute{"state":"on"}'),
    ("set the volume to 150%", NOTHING),
    ("set volume to 1000", NOTHING),                 # and not ten, as a clock has it
    ("set brightness to 200", NOTHING),
    ("timer 500 minutes", NOTHING),
    ("alarm 700", alarm(7)),
    ("alarm 1900", alarm(19)),
    ("alarm 1200", alarm(12, daytime="evening")),
    ("alarm 1215", alarm(12, 15, "evening")),
    ("alarm 0000", alarm(0)),
    ("alarm 00:15", alarm(12, 15, "morning")),
    ("wake me up at 0600", alarm(6, daytime="morning")),
    ("volume to 0.5", NOTHING),
    ("volume to 50", 'set_volume{"percent":50}'),
    ("cancel everything", 'cancel_timer{"which":"everything"}'),
    ("cancel that", "stop{}"),
    ("what time is it in a place that no list has", 'cannot{"what":"place"}'),
    ("play the song that nobody wrote", 'cannot{"what":"song"}'),
    ("set alarm for monday at 7 am", 'set_alarm{"day":"monday","daytime":"morning","hour":7}'),
    ("rise the volume a notch, computer", 'change_volume{"direction":"up"}'),
]


# What people ask in words that no sentence of the shipped context has; what does nothing is told, or nothing.
MEANT = [
    ("add 5 minutes", 'add_to_timer{"amount":5,"unit":"minute"}'),
    ("remind me in 10 minutes to call my mother", timer(10)),
    ("at 7 am tomorrow wake me up", 'set_alarm{"day":"tomorrow","daytime":"morning","hour":7}'),
    ("is it possible to set an alarm for 6", alarm(6)),
    ("what is the volume", "get_volume{}"),
    ("could you make it a bit louder", 'change_volume{"direction":"up"}'),
    ("i hate this song", 'media{"action":"next"}'),
    ("what can you do", "help{}"),
    ("how much time is left", "get_timer{}"),
    ("repeat that", "repeat{}"),
    ("cancel", "stop{}"),
    ("set volume to max", 'set_volume{"percent":100}'),
    ("what's playing", "get_playing{}"),
    ("open settings", 'open_program{"name":"settings"}'),
    # What was typed goes along where any words can be meant.
    ("what time is it in tokyo", 'get_time{"place":"tokyo"}'),
    ("what's the time in Houston, TX right now?", 'get_time{"place":"houston tx"}'),
    ("what day is it ten days from now", 'get_date{"day":"ten days from now"}'),
    ("what will the date be in 12 days", 'get_date{"day":"12 days"}'),
    ("play hello by adele", 'media{"action":"play","name":"hello by adele"}'),
    ("can you play some jazz please", 'media{"action":"play","name":"jazz"}'),
    ("open gimp", 'open_program{"name":"gimp"}'), ("launch Blender", 'open_program{"name":"blender"}'),
    ("open LibreOffice Writer", 'open_program{"name":"libreoffice writer"}'), ("open chrome", 'open_program{"name":"chrome"}'),
    ("don't open gimp", NOTHING), ("open a savings account", NOTHING), ("do not play hello by adele", NOTHING),
    ("what time zone is chicago in", TOLD),
    ("shut down", TOLD), ("turn off the computer", TOLD), ("who are you", TOLD), ("hi", TOLD), ("hello", TOLD), ("thanks", TOLD),
    ("take a note", TOLD), ("weather", TOLD), ("what's the weather like", TOLD), ("remind me to buy milk", TOLD),
    ("close the browser", TOLD), ("tell me a joke", TOLD), ("turn off the lights", TOLD),
    # Nothing of it, or another number, or the opposite, is ever done.
    ("don't wake me at 7", NOTHING), ("do not lock the screen", NOTHING), ("remove five minutes from the timer", NOTHING),
    ("order a pizza for 7 pm", NOTHING), ("transfer 50 dollars to my savings", NOTHING),
    ("book a table for two at eight", NOTHING), ("who wrote the book of love", NOTHING), ("set a timer for 5 $ minutes", NOTHING),
    ("i need one alarm at 6:30 am and a second one at 8 am, but no timer", NOTHING),
    # A time of day is one without "am", and what is to be remembered is no part of it.
    ("rouse me at 7", alarm(7)), ("rouse me at 6:30", alarm(6, 30)), ("wake me up at 7 to go running", alarm(7)),
    ("remind me in 10 minutes to lock the door", timer(10)), ("remind me in 10 minutes to take 2 pills", timer(10)),
]

# What is more than one command, or more than what is done.
WALKED = [
    ("cancel the timer and the alarm", "cancel_timer{}; cancel_alarm{}"),
    ("mute the sound and the microphone", 'mute{"state":"on"}; mute{"device":"microphone","state":"on"}'),
    ("stop the timer and the music", 'cancel_timer{}; media{"action":"pause"}'),
    ("set an alarm for 7 on monday and tuesday", 'set_alarm{"day":"monday","hour":7}; set_alarm{"day":"tuesday","hour":7}'),
] + [(text, TOLD) for text in (
    "suspend in 10 minutes", "suspend the computer at 10 pm", "lock the screen in 5 minutes", "log out in 10 minutes",
    "pause the music in 10 minutes", "stop the music after this song", "play some music in 10 minutes", "play some music at 7",
    "turn the volume down at 10 pm", "open the browser at 8", "open my mail tomorrow", "take a screenshot in 10 seconds",
    "dim the screen at 9 pm", "set the brightness to 50 percent at 8 pm", "tell me the time in 10 minutes", "next song in 10 seconds",
    "lock the screen when I leave", "if the battery is low suspend", "suspend when the timer is over", "when the timer ends play music",
    "wake me at 7 on weekdays", "wake me at 7 every day", "wake me up at 7 on mondays", "on weekdays wake me at 7",
    "set an alarm for 7 every morning", "set a daily alarm for 7", "set a repeating alarm for 7 am", "set an alarm for 7 on weekends",
    "set an alarm for 7 monday to friday", "set a timer for 5 minutes every hour", "remind me every 10 minutes to drink",
    "volume up twice", "snooze for 10 minutes twice", "play the next song twice", "what did I ask before", "show my history",
    "play music in the bedroom", "wake me up the day after tomorrow at 7",
    "set an alarm for 7 next week", "move my alarm to 8", "change the timer to 20 minutes", "set the alarm 10 minutes earlier",
    "cancel the alarm at 7", "cancel the alarm for monday")]
WALKED += [("this song belongs on my rock playlist", 'cannot{"what":"song"}'), ("what did you say", "repeat{}"), ("say it one more time", "repeat{}"), ("add hello by adele to the playlist", NOTHING),
           ("is it snowing right now in richmond, va", TOLD), ("cancel all but the pizza timer", TOLD)]


class Typed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.small = os.path.join(cls.folder.name, "small.gguf")
        grammar_file.write(cls.small, contexts.parse(SMALL))
        cls.context = None

    def shipped(self, keys=None):
        """A file of the shipped context, which takes its time; with what was learned of it, if there are keys."""
        model = os.path.join(self.folder.name, "meanings.gguf" if keys else "desktop.gguf")
        if not os.path.exists(model):
            grammar_file.write(model, self.desktop(), keys)
        return model

    def desktop(self):
        if not Typed.context:
            Typed.context = contexts.load(os.path.join(training_test.CONTEXTS, "desktop.yaml"))
        return Typed.context

    def read(self, texts, *arguments, model=None):
        done = subprocess.run([PROBE, model or self.small, *arguments], input="".join(text + "\n" for text in texts), text=True,
                              stdout=subprocess.PIPE, check=True)
        return done.stdout.splitlines()

    def expect(self, rows, model=None):
        found = self.read([text for text, _ in rows], model=model)
        self.assertEqual(list(zip((text for text, _ in rows),
                                  (line if "{" in line else line.split(":")[0] for line in found))), rows)

    def test_desktop(self):
        """the shipped context's commands, as people type them, do what they say or nothing"""
        self.expect(DESKTOP, self.shipped())

    def with_meanings(self):
        keys = meaning_file.keys(meaning_file.beside(os.path.join(training_test.CONTEXTS, "desktop.yaml")), self.desktop())
        self.assertTrue(keys)
        return self.shipped(keys)

    def test_meant(self):
        """what no sentence of the shipped context is does what people mean by it, or is told, or nothing"""
        self.expect(MEANT, self.with_meanings())

    def test_walked(self):
        """what is asked for beyond a command is told, and two things with one verb are both done"""
        self.expect(WALKED, self.with_meanings())

    def test_beyond(self):
        """... by the grammar alone as well"""
        self.expect(BEYOND)

    def test_meant_besides(self):
        """by its meaning nothing is done that a command's own wording forbids"""
        harmless = {NOTHING, TOLD, "in part", "taken back"}
        texts = [text for text, right in DESKTOP if right == NOTHING]
        for text, found in zip(texts, self.read(texts, model=self.with_meanings())):
            self.assertTrue(found.split(":")[0] in harmless or found.startswith("ask{"), (text, found))

    def test_written(self):
        """digits, times, units, contractions, capitals and punctuation are what they are said to be"""
        self.expect(WRITTEN)

    def test_faults(self):
        """what was misunderstood is understood or nothing, never something else"""
        self.expect(FAULTS)

    def test_breath(self):
        """what is corrected in the same breath counts, and what is taken back does not"""
        self.expect(BREATH)

    def test_several(self):
        """several commands are all done in their order, or none is"""
        self.expect(SEVERAL)

    def test_slips(self):
        """a slip of the finger is put right where only one word can be meant"""
        self.expect(SLIPS)

    def test_leeway(self):
        """what a context says of typed words holds: others for them, none, or any"""
        self.expect(LEEWAY)

    def test_hints(self):
        """the nearest sentence is named, never one with another number or the opposite"""
        for text, hint in (
                ("set the timer for five minutes", "set a timer for five minutes"),
                ("set another timer for 25 minutes", "set a timer for twenty five minutes"),
                ("please set an alarm for", "please set an alarm for "),
                ("what is it, the time", "what is the time"),
                ("unlock the screen", ""), ("do not lock the screen", ""),
                ("set the volume to 150 percent", ""), ("who wrote the book of love", "")):
            found = self.read([text])[0]
            self.assertTrue(found.startswith("nothing"), (text, found))
            found = found.partition(": ")[2]
            self.assertTrue(found.startswith(hint) and bool(found) == bool(hint), (text, found))

    def test_ends(self):
        """a sentence is whole where nothing that can follow makes another command of it"""
        rows = [("lock the screen", "whole"), ("lock the screen please", "whole"), ("pause", "whole"),
                ("set a timer for five minutes", "whole"), ("set an alarm for seven", "open"),
                ("set an alarm for seven thirty", "open"), ("set an alarm for seven thirty a m", "whole"),
                ("stop", "whole"), ("set a timer for", "nothing")]
        self.assertEqual(self.read([text for text, _ in rows], "ends"), [end for _, end in rows])

    def test_questions(self):
        """two commands that were heard alike are told apart by what differs"""
        rows = [("set a timer for fifteen minutes/set a timer for fifty minutes", "Fifteen or fifty?"),
                ("turn the volume up/turn the volume down", "Up or down?"),
                ("please turn up the volume/please turn up the brightness", "Volume or brightness?"),
                ("set an alarm for seven/set an alarm for seven thirty", "Seven or seven thirty?"),
                ("set an alarm for seven a m/set an alarm for seven thirty a m",
                 "Set an alarm for seven a m or set an alarm for seven thirty a m?"),
                ("mute it/pause it", "Mute or pause?")]
        self.assertEqual(self.read([text for text, _ in rows], "apart"), [question for _, question in rows])

    def test_answers(self):
        """a bare answer is one of the two that were asked about, or what the command lacked; all else is none"""
        alike = "set a timer for fifteen minutes/set a timer for fifty minutes/"
        near = "set a timer for five minutes/set a timer for twenty five minutes/"
        rows = [(alike + said, timer(15)) for said in (
            "fifteen", "15", "Fifteen, please", "fifteen minutes", "for fifteen minutes", "the first", "the first one")]
        rows += [(alike + said, timer(50)) for said in ("fifty", "50 minutes", "I said fifty", "the second", "second")]
        rows += [(alike + said, "taken back") for said in ("no", "Never mind.", "neither", "forget it")]
        rows += [(alike + said, NOTHING) for said in (
            "sixteen", "five", "minutes", "fifteen or fifty", "timer", "fifty hours", "the third", "not fifty", "yes", "55")]
        rows += [(near + "five minutes", timer(5)), (near + "five", timer(5)), (near + "twenty five", timer(25)),
                 (near + "twenty", NOTHING),
                 ("turn the volume up/turn the volume down/down", 'change_volume{"direction":"down"}'),
                 ("set an alarm for seven/set an alarm for seven thirty/seven thirty", alarm(7, 30)),
                 ("set an alarm for seven/set an alarm for seven thirty/seven", alarm(7))]
        self.assertEqual(list(zip((row for row, _ in rows), self.read([row for row, _ in rows], "answers"))), rows)

    def test_completed(self):
        """what a command of the shipped context lacked is taken from the answer, and nothing else is"""
        model = self.shipped()
        rows = [("set a timer/five minutes", timer(5)), ("set a timer/for five minutes", timer(5)),
                ("set a timer/90 seconds", timer(90, "second")), ("set a timer/5m", timer(5)),
                ("please set a timer for me/ten minutes please", timer(10)), ("set a timer/half an hour", timer(30)),
                ("set an alarm/at 7:45", alarm(7, 45)), ("set an alarm/seven p m", alarm(7, daytime="evening")),
                ("set the volume/fifty percent", 'set_volume{"percent":50}'),
                ("set the volume/to 40", 'set_volume{"percent":40}'),
                ("set the brightness/30%", 'set_brightness{"percent":30}'),
                ("set a timer/no", "taken back"), ("set a timer/never mind", "taken back"),
                ("set a timer/five", NOTHING), ("set a timer/lock the screen", NOTHING), ("set a timer/yes", NOTHING),
                ("set a timer/please", NOTHING), ("set a timer/a hundred and five bananas", NOTHING)]
        self.assertEqual(list(zip((row for row, _ in rows), self.read([row for row, _ in rows], "answers", model=model))), rows)

    def test_long(self):
        """a text that is longer than any command is none, whatever it is made of"""
        rows = ["lock the screen and " * 30, "and " * 48, "no " * 48, "5 " * 40, "a" * 3000, "é" * 40, "7:" * 20]
        for found in self.read(rows):
            self.assertIn(found.split(":")[0], ("too long", "nothing", "in part", "taken back"))


if __name__ == "__main__":
    training_test.main()
