# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For tests in the shell, which source it and end with `finish`.
n=0
failed=0

# report NAME STATUS OUTPUT: well is what ended with 0 and said nothing.
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

# skip NAME REASON
skip() {
        n=$((n + 1))
        echo "ok $n - $1 # SKIP $2"
}

finish() {
        echo "1..$n"
        exit $failed
}
