#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real PortAudio against a real sound server whose microphone is a FIFO.
set -eu

probe=${PROBE:-${BUILD_DIR:-.}/tests/system/capture-probe}

for tool in pulseaudio pactl; do
        if ! command -v "$tool" >/dev/null; then
                echo "1..0 # SKIP no $tool (Debian: pulseaudio pulseaudio-utils libasound2-plugins)"
                exit 0
        fi
done

# Sanitizers report the races and leaks of the sound libraries, and change how PortAudio ends.
if ldd "$probe" | grep -q 'lib[atlu]*san\.so'; then
        echo "1..0 # SKIP built with a sanitizer"
        exit 0
fi

dir=$(mktemp -d)
server=
cleanup() {
        if [ -n "$server" ]; then
                kill "$server" 2>/dev/null || true
                wait "$server" 2>/dev/null || true
        fi
        rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

mkdir -m 700 "$dir/run" "$dir/home"
export XDG_RUNTIME_DIR="$dir/run" HOME="$dir/home" LC_ALL=C
unset PULSE_SERVER PULSE_SOURCE DISPLAY DBUS_SESSION_BUS_ADDRESS || true
cat >"$HOME/.asoundrc" <<END
pcm.!default { type pulse hint.description "pulse" }
ctl.!default { type pulse }
END

# No configuration, so that nothing but these two modules is there; pactl waits for the server.
pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target=file:"$dir/log" \
        -L module-native-protocol-unix \
        -L "module-pipe-source source_name=mic file=$dir/mic format=s16le rate=16000 channels=1" &
server=$!

tries=0
until pactl info >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 500 ] || ! kill -0 "$server" 2>/dev/null; then
                echo "1..0 # SKIP pulseaudio does not start here"
                exit 0
        fi
        sleep 0.05
done

status=0
timeout 120 "$probe" "$dir/mic" 2>"$dir/stderr" || status=$?

# Nothing of what the libraries say may get through.
if [ -s "$dir/stderr" ]; then
        sed 's/^/# on standard error: /' "$dir/stderr"
        status=1
fi
exit $status
