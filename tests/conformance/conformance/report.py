# SPDX-License-Identifier: Apache-2.0
"""The table of a run, as text and as JSON."""
import json
import textwrap

WIDTH = 110


def lines(outcome):
    """One line for the rule, and below it what failed, was not measured, or is to be said."""
    yield f"{outcome.name:<9} {outcome.result:<12}  {outcome.says}"
    details = [
        *((f"FAILED  {check}: {why}") for check, why in outcome.failed),
        *((f"not measured  {check}: {why}") for check, why in outcome.unmeasured),
        *((f"note  {text}") for text in outcome.notes),
    ]
    for text in details:
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 12,
            break_long_words=True,
        )  # fmt: skip


def summary(outcomes, requests, seconds):
    count = {"pass": 0, "fail": 0, "in part": 0, "not measured": 0}
    for outcome in outcomes:
        count[outcome.result] += 1
    checks = sum(len(outcome.passed) + len(outcome.failed) for outcome in outcomes)
    return (
        f"{len(outcomes)} rules: {count['pass']} pass, {count['fail']} fail, "
        f"{count['in part']} pass as far as measured, {count['not measured']} not measured; "
        f"{checks} checks, {requests} requests, {seconds:.0f} s"
    )


def write_json(path, outcomes, url):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"url": url, "rules": [outcome.as_dict() for outcome in outcomes]}, out, indent=1)
        out.write("\n")
