#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The manual pages are well formed, and the systemd units are what systemd understands.
set -u
cd "${SOURCE_DIR:-.}" || exit 1
. tests/system/tap.sh

for page in man/*.[1-8]; do
        if command -v mandoc >/dev/null; then
                # Our own pages are not installed yet, so they can not be found.
                output=$(mandoc -Tlint -W style "$page" 2>&1 | grep -v 'referenced manual not found')
                report "$page is well formed" 0 "$output"
        else
                skip "$page" 'no mandoc'
        fi
done

finish
