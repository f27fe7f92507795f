#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The systemd units are what systemd understands, and shut as much as they are meant to.
set -u
units=$(mktemp -d) || exit 1
trap 'rm -rf "$units"' EXIT
. "${SOURCE_DIR:-.}/tests/system/tap.sh"

# The program need not be installed yet, but has to exist.
sed -e 's|@bindir[@]/gemmad|/bin/true|' "${SOURCE_DIR:-.}/systemd/gemmad.service.in" \
        >"$units/gemmad.service"
sed -e 's|@bindir[@]/gemmad-desktop|/bin/true|' "${SOURCE_DIR:-.}/systemd/gemmad-desktop.service.in" \
        >"$units/gemmad-desktop.service"
sed -e 's|@bindir[@]/gemmad-remote|/bin/true|' "${SOURCE_DIR:-.}/systemd/gemmad-remote.service.in" \
        >"$units/gemmad-remote.service"
cp "${SOURCE_DIR:-.}/systemd/gemmad.socket" "$units"

# It makes a folder in /run/systemd, which only a machine that systemd has started can be counted on to have:
# elsewhere it gets a /run of its own.
analyze() {
        if [ -d /run/systemd ] || [ -w /run ]; then
                systemd-analyze "$@"
        else
                unshare --map-root-user --mount sh -c \
                        'mount -t tmpfs tmpfs /run && exec systemd-analyze "$@"' sh "$@"
        fi
}

verified='the units are understood'
secured='the service is exposed by no more than 1.2'
networked='the one with a network is exposed by no more than 2.5'
if command -v systemd-analyze >/dev/null; then
        # What is unknown is only printed; the status stays 0.
        XDG_RUNTIME_DIR=$units analyze --user --man=no verify \
                "$units/gemmad.service" "$units/gemmad.socket" "$units/gemmad-desktop.service" \
                "$units/gemmad-remote.service" \
                >"$units/output" 2>&1
        status=$?
        if grep -qE 'Failed to initialize manager|^unshare:' "$units/output"; then
                skip "$verified" "$(tail -n 1 "$units/output")"
        else
                report "$verified" $status "$(cat "$units/output")"
        fi

        if systemd-analyze --help | grep -q -- --offline; then
                output=$(analyze security --no-pager --offline=yes --threshold=12 \
                        "$units/gemmad.service" 2>&1)
                status=$?
                [ $status -eq 0 ] && output=
                case $output in
                unshare:*) skip "$secured" "no /run/systemd, and none of our own: $output" ;;
                *) report "$secured" $status "$output" ;;
                esac
                output=$(analyze security --no-pager --offline=yes --threshold=25 \
                        "$units/gemmad-remote.service" 2>&1)
                status=$?
                [ $status -eq 0 ] && output=
                case $output in
                unshare:*) skip "$networked" "no /run/systemd, and none of our own: $output" ;;
                *) report "$networked" $status "$output" ;;
                esac
        else
                skip "$secured" 'an old systemd-analyze'
                skip "$networked" 'an old systemd-analyze'
        fi
else
        skip "$verified" 'no systemd-analyze'
        skip "$secured" 'no systemd-analyze'
        skip "$networked" 'no systemd-analyze'
fi

finish
