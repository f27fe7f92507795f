#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# test-sound.py once more, at a microphone of PipeWire's.
SOUND_SERVER=pipewire exec python3 "${SOURCE_DIR:-.}/tests/system/test-sound.py"
