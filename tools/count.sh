# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# runtests: counts single tests from what ran. A suite that ended badly without naming a failed test,
# or that ran fewer tests than it had announced, counts as one that failed.

COUNT_PASSED=0 COUNT_FAILED=0 COUNT_SKIPPED=0
COUNT_FAILURES=()

# count_one passed|failed|skipped NAME
count_one() {
    case $1 in
    passed) COUNT_PASSED=$((COUNT_PASSED + 1)) ;;
    skipped) COUNT_SKIPPED=$((COUNT_SKIPPED + 1)) ;;
    *)
        COUNT_FAILED=$((COUNT_FAILED + 1))
        COUNT_FAILURES+=("$2")
        ;;
    esac
}

count_add() {
    local name=$1 passed=$2 failed=$3 skipped=$4
    COUNT_PASSED=$((COUNT_PASSED + passed))
    COUNT_SKIPPED=$((COUNT_SKIPPED + skipped))
    COUNT_FAILED=$((COUNT_FAILED + failed))
    count_show "$@"
}

count_show() {
    printf '    %s: %s passed, %s failed, %s skipped\n' "$@"
}

# count_tap NAME FILE STATUS: TAP, of one or more suites one after another.
count_tap() {
    local name=$1 file=$2 status=$3 passed skipped failed planned line
    skipped=$(grep -cE '^(not )?ok [0-9]+.*# ?SKIP|^1\.\.0 # ?SKIP' "$file")
    passed=$(grep -E '^ok [0-9]+' "$file" | grep -cvE '# ?SKIP')
    failed=$(grep -E '^not ok [0-9]+' "$file" | grep -cvE '# ?SKIP')
    planned=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$file" | awk '{n += $1} END {print n + 0}')
    while read -r line; do
        COUNT_FAILURES+=("$name: $line")
    done < <(grep -E '^not ok [0-9]+' "$file")
    if [ "$planned" -gt "$(grep -cE '^(not )?ok [0-9]+' "$file")" ] ||
        { [ "$failed" -eq 0 ] && [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; } ||
        [ $((passed + failed + skipped)) -eq 0 ]; then
        failed=$((failed + 1))
        COUNT_FAILURES+=("$name: broke off, status $status: see $file")
        tail -n 25 "$file" | sed 's/^/    | /'
    elif [ "$failed" -gt 0 ]; then
        awk '/^(not )?ok /{bad = /^not/} bad{print "    | " $0}' "$file" | head -n 100
    fi
    count_add "$name" "$passed" "$failed" "$skipped"
}

# count_check BUILD STATUS: what make check left in var/BUILD: a .log with TAP and a .trs with the
# result of each program.
count_check() {
    local name=$1 status=$2 trs log result ran=0
    local before=$COUNT_PASSED before_failed=$COUNT_FAILED before_skipped=$COUNT_SKIPPED
    for trs in "$VAR/$name"/tests/unit/*.trs; do
        [ -e "$trs" ] || continue
        ran=1
        log=${trs%.trs}.log
        result=$(sed -n 's/^:test-result: *//p' "$trs" | head -n 1)
        case $result in
        PASS*) count_program "$name" "$log" 0 ;;
        SKIP*) count_one skipped "$log" ;;
        *) count_program "$name" "$log" 1 ;;
        esac
    done
    if [ "$ran" -eq 0 ] || { [ "$status" -ne 0 ] && ! grep -qs '^:test-result: *[FEX]' "$VAR/$name"/tests/unit/*.trs; }; then
        count_one failed "make check in $name: see $LOGS/check-$name.log"
        tail -n 25 "$LOGS/check-$name.log" | sed 's/^/    | /'
    fi
    count_show "$name" $((COUNT_PASSED - before)) $((COUNT_FAILED - before_failed)) \
        $((COUNT_SKIPPED - before_skipped))
}

count_program() {
    count_tap "$1 $(basename "$2" .log)" "$2" "$3" >"$LOGS/count.out"
    [ "$3" -eq 0 ] || cat "$LOGS/count.out"
}

# count_junit NAME XML LOG STATUS: what pytest left.
count_junit() {
    local name=$1 xml=$2 log=$3 status=$4 passed=0 failed=0 skipped=0 line
    if [ -s "$xml" ]; then
        read -r passed failed skipped < <(/usr/bin/python3 - "$xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

suites = list(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
tests, bad, skipped = (sum(int(s.get(k)) for s in suites for k in names) for names in
                       (("tests",), ("failures", "errors"), ("skipped",)))
print(tests - bad - skipped, bad, skipped)
PYTHON
        )
    fi
    while read -r line; do
        COUNT_FAILURES+=("$name: $line")
    done < <(grep -E '^(FAILED|ERROR) ' "$log")
    if [ "$failed" -eq 0 ] && [ "$status" -ne 0 ]; then
        failed=1
        COUNT_FAILURES+=("$name: broke off, status $status: see $log")
    fi
    [ "$failed" -eq 0 ] || tail -n 60 "$log" | sed 's/^/    | /'
    count_add "$name" "$passed" "$failed" "$skipped"
}

# follow_lines PID FILE PATTERN: while PID lives shows how far it is: on a terminal the last line
# that matches and how many there are; else every tenth second.
follow_lines() {
    local pid=$1 file=$2 pattern=$3 shown=$SECONDS started=$SECONDS lines last alive=1
    while [ "$alive" -eq 1 ]; do
        kill -0 "$pid" 2>/dev/null || alive=0
        [ "$alive" -eq 0 ] || sleep 0.5
        if [ -n "$UI_TTY" ] || [ $((SECONDS - shown)) -ge 10 ]; then
            shown=$SECONDS
            lines=$(grep -cE "$pattern" "$file")
            last=$(grep -E "$pattern" "$file" | tail -n 1 | tr -cd '[:print:]')
            [ -z "$UI_TTY" ] || printf '\r\e[K'
            printf '    %s s, %s: %.90s' "$((SECONDS - started))" "$lines" "$last"
            [ -n "$UI_TTY" ] || printf '\n'
        fi
    done
    [ -z "$UI_TTY" ] || printf '\r\e[K'
}

count_report() {
    local failure
    if [ "$COUNT_FAILED" -gt 0 ]; then
        step "Failed"
        for failure in "${COUNT_FAILURES[@]}"; do
            say "  $failure"
        done
    fi
    say
    if [ "$COUNT_SKIPPED" -gt 0 ]; then
        say "$COUNT_PASSED passed, $COUNT_FAILED failed, $COUNT_SKIPPED skipped"
    else
        say "$COUNT_PASSED passed, $COUNT_FAILED failed"
    fi
    [ "$COUNT_FAILED" -eq 0 ]
}
