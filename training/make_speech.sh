#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the demo recordings in tests/speech with plain Debian tools:
#   apt-get install espeak-ng flite festival festvox-kdlpc16k sox
# All voices are held-out voices (see voices.py): no pocket model has heard them in training.
set -eu
out=${1:-$(dirname "$0")/../tests/speech}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
: > "$work/expected.tsv"

# keep NAME TEXT CALL: 16 kHz mono, -6 dB, 0.1 s of silence around it, one line in the table
keep() {
    sox -q -D "$work/raw.wav" -r 16000 -c 1 -b 16 "$out/$1.wav" \
        silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse gain -n -6 pad 0.1 0.1
    printf '%s.wav\t%s\t%s\n' "$1" "$2" "$3" >> "$work/expected.tsv"
}
espeak() { # VOICE NAME TEXT CALL
    espeak-ng -v "$1" -s 155 -w "$work/raw.wav" "$3"
    keep "$2" "$3" "$4"
}
flite_rms() { # NAME TEXT CALL
    flite -voice rms -t "$2" -o "$work/raw.wav"
    keep "$1" "$2" "$3"
}
festival_ked() { # NAME TEXT CALL
    echo "$2" | text2wave -eval '(voice_ked_diphone)' -o "$work/raw.wav"
    keep "$1" "$2" "$3"
}

q='<|"|>'
flite_rms what-time-is-it.flite-rms "what time is it" 'call:get_time{}'
flite_rms set-a-timer-for-five-minutes.flite-rms "set a timer for five minutes" \
    "call:set_timer{amount:5,unit:${q}minute${q}}"
flite_rms hey-gemma-open-the-browser.flite-rms "hey gemma open the browser" \
    "call:open_program{name:${q}browser${q}}"
festival_ked turn-the-volume-up.festival-ked "turn the volume up" \
    "call:change_volume{direction:${q}up${q}}"
festival_ked hey-gemma-play-some-music.festival-ked "hey gemma play some music" \
    "call:media{action:${q}play${q}}"
espeak en-us+f5 lock-the-screen.espeak-f5 "lock the screen" 'call:lock_screen{}'
espeak en-gb+m8 what-day-is-it-today.espeak-m8 "what day is it today" 'call:get_date{}'
espeak en-us+Annie hey-gemma.espeak-annie "hey gemma" 'call:wake{}'

# Not a command: the answer is empty.
flite -voice rms -t "how are you today" -o "$work/raw.wav"
keep how-are-you-today.flite-rms "" ""
sort "$work/expected.tsv" > "$out/expected.tsv"

# Orders for the coffee maker.
out=$out/coffee
mkdir -p "$out"
: > "$work/expected.tsv"
flite_rms can-i-get-a-large-latte.flite-rms "can i get a large latte with soy milk" \
    "call:orderDrink{coffeeDrink:${q}latte${q},milkAmount:${q}soy milk${q},size:${q}large${q}}"
festival_ked make-me-a-double-shot-espresso.festival-ked "make me a double shot dark roast espresso" \
    "call:orderDrink{coffeeDrink:${q}espresso${q},numberOfShots:${q}double shot${q},roast:${q}dark roast${q}}"
espeak en-us+Annie i-want-a-small-coffee.espeak-annie "i want a small coffee with some brown sugar" \
    "call:orderDrink{coffeeDrink:${q}coffee${q},size:${q}small${q},sugarAmount:${q}some brown sugar${q}}"
espeak en-gb+m8 brew-a-sixteen-ounce-americano.espeak-m8 \
    "brew a sixteen ounce medium roast americano with a little bit of cream and lots of sweetener" \
    "call:orderDrink{coffeeDrink:${q}americano${q},milkAmount:${q}a little bit of cream${q},roast:${q}medium roast${q},size:${q}sixteen ounce${q},sugarAmount:${q}lots of sweetener${q}}"
sort "$work/expected.tsv" > "$out/expected.tsv"
