# SPDX-License-Identifier: Apache-2.0
"""The list of rules, and how one of them is measured: each of its checks has a name and is made
whether or not the one before it failed."""
import contextlib
import time
from dataclasses import dataclass, field

import requests
from lxml import etree

RULES = {}  # number -> Rule

# What a provider's answer may lead to, whatever it holds. Anything else is a fault of these tests.
FAULTS = (
    AssertionError, requests.RequestException, etree.LxmlError, ValueError, KeyError, IndexError,
    TypeError, AttributeError,
)  # fmt: skip


class NotMeasured(Exception):
    """A part of a rule that this run can't reach; the text says why."""


@dataclass
class Rule:
    name: str
    says: str
    measure: object


@dataclass
class Outcome:
    """What the checks of one rule gave."""

    name: str
    says: str
    passed: list = field(default_factory=list)  # names of checks
    failed: list = field(default_factory=list)  # (name of the check, why)
    unmeasured: list = field(default_factory=list)  # (name of the check, why)
    notes: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def result(self):
        if self.failed:
            return "fail"
        if self.unmeasured:
            return "in part" if self.passed else "not measured"
        return "pass" if self.passed else "fail"

    def as_dict(self):
        return {
            "rule": self.name,
            "says": self.says,
            "result": self.result,
            "passed": self.passed,
            "failed": [{"check": check, "why": why} for check, why in self.failed],
            "not_measured": [{"check": check, "why": why} for check, why in self.unmeasured],
            "notes": self.notes,
            "seconds": round(self.seconds, 2),
        }


def rule(number, says):
    """Registers a function of (checks, provider) as the measurement of a rule."""

    def register(measure):
        assert number not in RULES, f"R{number} twice"
        RULES[number] = Rule(f"R{number}", says, measure)
        return measure

    return register


class Checks:
    """Passed to each measurement: with check("name"): assertions."""

    def __init__(self, outcome):
        self.outcome = outcome

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except NotMeasured as why:
            self.outcome.unmeasured.append((name, str(why)))
        except FAULTS as fault:
            kind = "" if isinstance(fault, AssertionError) else f"{type(fault).__name__}: "
            self.outcome.failed.append((name, kind + (str(fault) or "no reason given")))
        else:
            self.outcome.passed.append(name)

    def note(self, text):
        if text not in self.outcome.notes:
            self.outcome.notes.append(text)


def measure(one, provider):
    """Measures one rule; returns its Outcome."""
    outcome = Outcome(one.name, one.says)
    started = time.monotonic()
    checks = Checks(outcome)
    with checks.check("preparation"):
        one.measure(checks, provider)
    if outcome.passed and outcome.passed[-1] == "preparation":
        outcome.passed.pop()  # only its failure tells something
    outcome.seconds = time.monotonic() - started
    return outcome
