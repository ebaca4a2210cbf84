# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How quickstart and runtests talk; to be sourced by bash.

if [ -t 1 ]; then
    UI_BOLD=$'\e[1m' UI_DIM=$'\e[2m' UI_RED=$'\e[31m' UI_PLAIN=$'\e[0m' UI_TTY=1
else
    UI_BOLD='' UI_DIM='' UI_RED='' UI_PLAIN='' UI_TTY=''
fi

say() {
    printf '%s\n' "$*"
}

step() {
    printf '%s==> %s%s\n' "$UI_BOLD" "$*" "$UI_PLAIN"
}

die() {
    printf '%serror:%s %s\n' "$UI_RED" "$UI_PLAIN" "$*" >&2
    exit 1
}

# ui_follow PID LOG: until PID ends, shows that something happens: on a terminal the last line of
# LOG, changing; else a line from time to time.
ui_follow() {
    local pid=$1 log=$2 last started=$SECONDS shown=$SECONDS
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [ -n "$UI_TTY" ]; then
            last=$(tail -n 1 "$log" 2>/dev/null | tr -cd '[:print:]')
            printf '\r\e[K    %s%.70s%s' "$UI_DIM" "$last" "$UI_PLAIN"
        elif [ $((SECONDS - shown)) -ge 10 ]; then
            shown=$SECONDS
            last=$(tail -n 1 "$log" 2>/dev/null | tr -cd '[:print:]')
            printf '    %s s: %.90s\n' "$((SECONDS - started))" "$last"
        fi
    done
    [ -z "$UI_TTY" ] || printf '\r\e[K'
}

# logged LOG COMMAND...: runs the command with its output appended to LOG and shows progress; when
# it fails, the end of the LOG. Returns the command's status.
logged() {
    local log=$1 started=$SECONDS status=0 pid
    shift
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    ui_follow "$pid" "$log"
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        printf '    %sfailed%s (status %s); the end of %s:\n' "$UI_RED" "$UI_PLAIN" "$status" "$log"
        tail -n 25 "$log" | sed 's/^/    | /'
    elif [ $((SECONDS - started)) -ge 3 ]; then
        printf '    %sdone in %s s%s\n' "$UI_DIM" "$((SECONDS - started))" "$UI_PLAIN"
    fi
    return "$status"
}
