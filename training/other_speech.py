# SPDX-License-Identifier: Apache-2.0
"""Sentences that are no command: the model must learn to answer them with silence.

Some are everyday talk, some are asked of somebody else, some are near to commands or are commands
that are denied, cut off or about something else, some are cut out of running text, some call
somebody else, some are random words with words of the commands among them, so that hearing
"timer" or "volume" alone is not enough. None is checked for being a command by chance: corpus.py
does that, which knows the context.
"""
import functools
import glob
import re

TALK = """good morning everyone
how are you today
I think it will rain tomorrow
the train was late again
did you see the game last night
we should go home now
my brother lives in another city
can you pass me the salt
I would like a cup of coffee
she said that she would call later
where did you put my keys
this is the best soup I ever had
let us meet on friday afternoon
he bought a new car last week
the children are playing in the garden
nobody knows what happened there
I have to finish this report
do you want something to eat
the weather is lovely this morning
thank you very much for your help
that is a very good question
we are running out of milk
the dog wants to go outside
I forgot to lock the front door
what a beautiful day
it does not matter at all
we watched a film about whales
please close the door behind you
the meeting starts in the big room
yes of course
no thank you
maybe later
I do not know
excuse me
see you tomorrow
what is your name
who is calling
the answer is on the next page
hello there
good night""".split("\n")

NEAR = """what is the weather today
set the table for five people
open the window
open the door for me
close the browser
turn the page
turn left at the next corner
turn on the lights
turn off the oven
play chess with me
start the car
show me the way
how much is it
how long is the river
how much time do we need
the volume of the box is ten
thirty people came to the party
what time did you get up
lock the back door
take the next bus
take a seat
never say never
the music was loud
my timer is broken
I missed the previous train
call me in five minutes
delete the file
send a mail to my mother
what day was your birthday
forget about the song
I can not find the calculator
the sound of the sea
make it a double
make me a sandwich
wake up early tomorrow
two hours ago
we waited for twenty minutes
ninety percent of the people agree
the date is not clear yet
help your sister
hey you
hey gemma how are you
hey gemma tell me a joke
hey gemma what is the weather
hey gemma who are you
hey gemma open the window
hey gemma turn on the lights
hey gemma call my mother""".split("\n")

# What people ask of an assistant that knows more than we do, or of somebody else.
ASKED = """what is the weather like in the mountains
will it rain this weekend
tell me a joke
sing a song for me
how far is it to the airport
how do I get to the station
call my sister
send a message to my boss
text my brother that I am late
read my messages to me
what is on my shopping list
add milk to my shopping list
remind me to water the plants
what do I have to do today
when is my next meeting
put the meeting on friday
book a table for four at eight
book a flight to rome on monday
cancel my reservation
cancel my flight
cancel the order
stop the payment
how much money do I have left
what is my balance
transfer fifty dollars to my savings
pay the water bill
when do I get paid
raise my credit limit
lower my bill
how many calories are in a banana
how long do eggs have to cook
how much time does the cake need in the oven
give me a recipe for soup
what can I use instead of butter
how do you say good evening in spanish
translate this for me
what does this word mean
how do you spell it
what is seventy times twelve
how many inches are in a foot
flip a coin
roll the dice
who made you
who do you work for
how old are you
what is your name
where do you come from
do you have a dog
are you a robot
what are your hobbies
change your name
change your voice
speak more slowly
talk faster
can you whisper
speak another language
call me by another name
good to see you
how are you doing
that is very kind
what is the meaning of life
tell me something about whales
who is playing tonight
what is the name of this song
add this song to my list
put this song on my list
turn on the light in the kitchen
make it warmer in here
lock the front door
is the door locked
find my phone
where did I park the car
how much gas is left
when do I change the oil
the battery of the car is dead
what is the pressure of my tires
how do I start a car that does not start
when is the next holiday
how many days off do I have left
what time does the shop close
what time does the train leave
what time is the meeting
what is the date of the meeting
what day is the party
how long is the flight
how long until we get there
what is the time difference
in what time zone is the city
play a game with me
play chess
open a bank account
open the door
start the dishwasher
show me the way home
show me pictures of cats
check my account
check the oil
set the table
set a good example
reset the settings
take a note
take me home
the sound of the engine is odd
my screen is broken
my alarm did not go off
the volume of the tank
go on
go away
come back
I do not understand
I am not sure
maybe another time
that is not right
that is right
you are right
say that once more
thank you for that""".split("\n")

SUBJECTS = """the teacher|my friend|the old man|our neighbour|a little girl|the doctor|
the company|her sister|the whole team|a stranger|the captain|your uncle""".replace("\n", "").split("|")
VERBS = """wrote|found|carried|painted|sold|forgot|opened|watched|broke|described|
washed|hid|kept|followed|built|counted|lost|borrowed""".replace("\n", "").split("|")
OBJECTS = """a letter|the bicycle|three apples|the wooden box|an umbrella|some flowers|
the broken chair|two tickets|a heavy bag|the green bottle|his camera|seven books|
the newspaper|a large map|the silver ring|a picture""".replace("\n", "").split("|")
PLACES = """in the kitchen|near the station|after lunch|on the bridge|before the storm|
at the market|behind the house|during the holidays|with great care|""".replace("\n", "").split("|")

# Whom else people call: names that begin like the wake phrase.
CALLED = """hey there|hey jenna|hey janet|hey jack|hey jimmy|hey jamie|hey general|hey google|
hey siri|hey everyone|hey man|hey you guys|hey dinner|hey kemal|hey grandma|they germinate|
say generally|okay jenna|hi there|hello mama""".replace("\n", "").split("|")

TEXTS = "/usr/share/games/fortunes/*.u8"  # Debian package fortunes
WORDS = "/usr/share/dict/words"          # Debian package wamerican-small
SMALL_WORDS = "the a to in of and is my for on it you with that we".split()

# Never in training: for measuring how often other speech is taken for a command.
UNSEEN = """the library closes at six on saturdays
could you move a little to the left
we planted tomatoes and beans this spring
my phone ran out of battery yesterday
is there any bread left
nobody told me about the party
put the cups on the shelf
the river is high after the rain
do you remember that song from the radio
he plays the piano every evening
I will be there in ten minutes
let me see the picture again
she never answers her mail on sundays
the museum opens at nine
stop at the red light
what a long day it was
how long did you wait for the bus
the volume of traffic is growing
our timer went off too late
it is cold in here
who left the window open
they started a new company in may
my sister bought a blue dress
that was a quiet night
turn around slowly
tell me about your holiday
the lights are much brighter now
play outside if you like
I need a second opinion
hey gemma where is my wallet
hey gemma sing for me
hey gemma I am tired""".split("\n")


DENIALS = """do not|don't|please do not|please don't|never|you should not|I did not|why did you|
who said|he said|I will not|do you not|don't you|I told you not to""".replace("\n", "").split("|")
DOUBTS = """no|no wait|wait|not now|I mean|or not|maybe|yesterday|last week|he said|for my sister|
box|game|book|store|of the car|and so on|is broken|is not mine""".replace("\n", "").split("|")
# What is done to the same things and is no command, or another one.
OPPOSITE = {"lock": ("unlock",), "open": ("close", "shut"), "start": ("unpack", "watch"), "set": ("unset", "sell"),
            "take": ("delete", "lose"), "turn": ("switch around", "return"), "mute": ("mount",),
            "cancel": ("keep", "counsel"), "play": ("pay", "place"), "pause": ("pass",), "skip": ("ship",),
            "volume": ("column",), "timer": ("tire", "tiger"), "alarm": ("arm", "farm"), "screen": ("door", "window"),
            "music": ("mood", "muse"), "song": ("son",), "time": ("dime", "name"), "date": ("gate", "state"),
            "minutes": ("miles", "dollars", "people"), "minute": ("mile",), "hours": ("towers", "euros"),
            "percent": ("presents", "people"), "to": ("from",), "up": ("around",), "down": ("over",)}


def altered(rng, command):
    """A command that has become none, or perhaps another one: denied, cut off, doubted, or about
    something else."""
    words, kind = command.split(), rng.random()
    if kind < 0.3:
        return f"{rng.choice(DENIALS)} {command}".lower()
    if kind < 0.6:
        return " ".join(words[:rng.randrange(1, max(2, len(words)))])
    if kind < 0.75:
        return f"{command} {rng.choice(DOUBTS)}".lower()
    places = [at for at, word in enumerate(words) if word in OPPOSITE]
    if not places:
        return f"{rng.choice(DENIALS)} {command}".lower()
    at = rng.choice(places)
    return " ".join([*words[:at], rng.choice(OPPOSITE[words[at]]), *words[at + 1:]])


def draw(rng, command):
    """One sentence that is not for us. command: one that would be, without what may stand around it."""
    kind = rng.random()
    if kind < 0.12:
        return rng.choice(NEAR).lower()
    if kind < 0.24:
        return rng.choice(ASKED).lower()
    if kind < 0.46:
        return altered(rng, command)
    if kind < 0.52:
        return rng.choice(TALK).lower()
    if kind < 0.6:
        return f"{rng.choice(CALLED)} {command if rng.random() < 0.5 else ''}".strip()
    if kind < 0.7:
        parts = (rng.choice(SUBJECTS), rng.choice(VERBS), rng.choice(OBJECTS), rng.choice(PLACES))
        return " ".join(p for p in parts if p).lower()
    return piece(rng)


def piece(rng):
    """A few words in a row of a written sentence: they begin and end anywhere, as speech does
    when something else than its end cuts it."""
    words = rng.choice(sentences())
    length = rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9))
    first = rng.randrange(max(1, len(words) - length + 1))
    return " ".join(words[first:first + length])


@functools.lru_cache(maxsize=1)
def sentences():
    """Sentences of ordinary words, each a list of words."""
    found = []
    for path in sorted(glob.glob(TEXTS)):
        with open(path, encoding="utf-8", errors="ignore") as file:
            text = re.sub(r"\s+", " ", file.read().lower())
        found += [sentence.split() for sentence in re.split(r"[.?!;:,%\"()]+ ?", text)
                  if re.fullmatch(r"([a-z']+ ){2,}[a-z']+ ?", sentence)]
    if not found:
        raise SystemExit(f"no text at {TEXTS}: install Debian's package fortunes")
    return found


@functools.lru_cache(maxsize=1)
def dictionary():
    """Ordinary words of a word list, for speech that sounds like anything at all."""
    with open(WORDS, encoding="utf-8") as file:
        return [word for word in file.read().split("\n") if re.fullmatch("[a-z]{3,9}", word)]


def scramble(command_words, rng, phrases=()):
    """Words in no order: some from the dictionary, some that commands are made of. Often
    only one or two: a single word is taken for a short command most easily. phrases: what may
    stand before a command, and stands before a part of these, too."""
    strange = [word for word in dictionary() if word not in command_words]
    words = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 7))):
        pool = rng.choices((strange, SMALL_WORDS, command_words), (0.5, 0.25, 0.25))[0]
        words.append(rng.choice(pool))
    words[rng.randrange(len(words))] = rng.choice(strange)         # never a command
    if phrases and rng.random() < 0.2:
        words.insert(0, rng.choice(phrases))
    return " ".join(words)
