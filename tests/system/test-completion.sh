#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What shells complete behind gemmactl, asked of the shells.
set -u
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
. "${SOURCE_DIR:-.}/tests/system/tap.sh"
gemmactl=${BUILD_DIR:-.}/gemmactl

for shell in bash zsh fish; do
        "$gemmactl" completion $shell >"$folder/$shell" || exit 1
done
commands=$("$gemmactl" --help | sed -n '/^Commands:/,/^Options:/s/^  \([a-z]*\).*/\1/p')

# same NAME WANTED GOT
same() {
        if [ "$2" = "$3" ]; then report "$1" 0 ""; else report "$1" 1 "wanted: $2, got: $3"; fi
}

# in_bash WORD...: what is offered for the last.
in_bash() {
        # shellcheck disable=SC2016
        bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gemmactl; echo ${COMPREPLY[*]}' \
                bash "$folder/bash" "$@"
}

# in_fish LINE
in_fish() {
        HOME=$folder XDG_CONFIG_HOME=$folder fish --no-config -c \
                "source $folder/fish; complete -C '$1'" | cut -f 1 | tr '\n' ' '
}

if command -v bash >/dev/null; then
        # shellcheck disable=SC2086
        same 'bash: every command is offered' "$(echo $commands)" \
                "$(in_bash gemmactl '' | tr ' ' '\n' | grep -v -e -- | tr '\n' ' ' | sed 's/ $//')"
        same 'bash: a command' history "$(in_bash gemmactl hist)"
        same 'bash: an option of a command, and of no other' '--limit' "$(in_bash gemmactl history --li)$(
                in_bash gemmactl mute --li)"
        same 'bash: a word that a command takes' wake "$(in_bash gemmactl --json mode w)"
        touch "$folder/a sound.wav"
        same 'bash: a file' "$folder/a sound.wav" "$(in_bash gemmactl ask --audio "$folder/a s")"
else
        skip bash 'no bash'
fi

if command -v zsh >/dev/null; then
        # shellcheck disable=SC2016
        same 'zsh: the script is taken' _gemmactl \
                "$(zsh -fc 'autoload -U compinit && compinit -u -D && . "$1" && print $_comps[gemmactl]' zsh \
                        "$folder/zsh" 2>&1)"
        report 'zsh: the script is well formed' "$(zsh -n "$folder/zsh" >/dev/null 2>&1; echo $?)" ""
else
        skip zsh 'no zsh'
fi

if command -v fish >/dev/null; then
        # shellcheck disable=SC2086
        same 'fish: every command is offered' "$(echo $commands | tr ' ' '\n' | sort | tr '\n' ' ')" \
                "$(in_fish 'gemmactl ' | tr ' ' '\n' | grep . | sort | tr '\n' ' ')"
        same 'fish: an option of a command, and of no other' '--limit ' \
                "$(in_fish 'gemmactl history --li')$(in_fish 'gemmactl mute --li')"
        same 'fish: a word that a command takes' 'wake ' "$(in_fish 'gemmactl mode w')"
else
        skip fish 'no fish'
fi

finish
