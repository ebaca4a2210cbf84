# SPDX-License-Identifier: Apache-2.0
"""Answers against the published CPIX schemas, with xmllint. In a few places SPEKE asks for what the
schemas do not allow; those are listed here, each with a pattern of xmllint's messages, and doc/
conformance.md explains them. What no pattern covers is the provider's fault."""
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from harness import delivery
from harness import documents as d

from .provider import eventually, simple
from .reading import DRM
from .rules import NotMeasured, Rule
from .rules_delivery import recipient
from .rules_periods import TIMES, expect_unprotected, protected, protected_settings

# CPIX version of the schema -> SPEKE version of the answers; None is v1, whose CPIX 2.0 has no
# published schema: 2.2 is the nearest.
ANSWERS = {"2.2": None, "2.3": "2.0", "2.4": "2.1"}

XMLLINT = ("xmllint", "--nonet", "--noout", "--schema")


@dataclass
class Deviation:
    name: str
    cpix: tuple  # versions of the schema
    pattern: str


CPIX_NAME = r"\{urn:dashif:org:cpix\}"
DEVIATIONS = (
    Deviation("playlist master", ("2.4",), r"attribute 'playlist'.*'master' is not an element"),
    Deviation(
        "DocumentKey@Algorithm",
        ("2.4",),
        r"DocumentKey', attribute 'Algorithm': The attribute 'Algorithm' is not allowed",
    ),
    Deviation(
        "periodId is an ID in the schema",
        ("2.2",),
        r"KeyPeriodFilter', attribute 'periodId': .* not a valid value of the atomic type 'xs:ID'",
    ),
)
# Only where the request had its children in that order, which has to come back.
ORDER = Deviation(
    "order of children",
    ("2.2", "2.3", "2.4"),
    rf"Element '{CPIX_NAME}(PSSH|ContentProtectionData|HLSSignalingData|VideoFilter|"
    r"SmoothStreamingProtectionHeaderData)': This element is not expected",
)
NO_ERROR = re.compile(r"fails to validate|validates$|: Warning: |No precomputed value")


def judge(body, schema, cpix, deviations):
    """(names of the deviations found, messages that are none) of one answer."""
    done = subprocess.run([*XMLLINT, schema, "-"], input=body, capture_output=True, timeout=60)
    found, faults = set(), []
    for line in done.stderr.decode("utf-8", "replace").splitlines():
        if NO_ERROR.search(line):
            continue
        for one in deviations:
            if cpix in one.cpix and re.search(one.pattern, line):
                found.add(one.name)
                break
        else:
            faults.append(line)
    assert done.returncode == 0 or found or faults, f"xmllint ended with {done.returncode}"
    return found, faults


def reordered(request):
    """The order of the examples in SPEKE's documentation: HLS lines first, audio before video."""
    for system in request.all("DRMSystem"):
        for line in reversed(system.findall(d.cpix("HLSSignalingData"))):
            system.insert(0, line)
    for one in request.all("ContentKeyUsageRule"):
        for audio in one.findall(d.cpix("AudioFilter")):
            one.insert(0, audio)
    return request


def samples(version):
    """{name: (request, whether its order is not the schema's)}"""
    if version is None:
        systems = (d.HLS_AES_128, d.FAIRPLAY, d.WIDEVINE)
        return {
            "live": (simple(None, systems, period=7), False),
            "VOD": (simple(None, systems), False),
            "PlayReady": (simple(None, (d.PLAYREADY,)), True),
            "encrypted": (delivery.ask(simple(None), recipient().certificate), False),
        }
    everything = ("PSSH", "ContentProtectionData", "media", "master", "Smooth")
    kinds = {system: everything for system in DRM}
    found = {
        "VOD": (simple(version, DRM), False),
        "live": (simple(version, DRM, period=7), False),
        "every placeholder": (simple(version, DRM, placeholders=kinds), False),
        "Clear Key": (simple(version, (d.CLEAR_KEY,)), False),
        "20 keys": (d.many_keys(20, version=simple(version).root.get("version")), False),
        "encrypted": (delivery.ask(simple(version, DRM), recipient().certificate), False),
        "order of the examples": (reordered(simple(version, DRM)), True),
    }
    if version == "2.1":
        words = {system: ("PSSH", "media", "multiVariant") for system in DRM}
        found["multiVariant"] = (simple(version, DRM, placeholders=words), False)
        for name, attributes in TIMES.items():
            found[f"period: {name}"] = (
                simple(version, DRM, period_attributes=attributes), False,
            )  # fmt: skip
    return found


class Schemas:
    """The folders of --cpix-xsd; each makes one line of the table."""

    def __init__(self, directories):
        self.folders = {}
        for directory in directories:
            name = os.path.basename(os.path.abspath(directory))
            version = re.search(r"\d\.\d", name)
            if not version or version.group() not in ANSWERS:
                raise ValueError(f"{directory}: the name does not tell CPIX 2.2, 2.3 or 2.4")
            schema = os.path.join(directory, "cpix.xsd")
            if not os.path.isfile(schema):
                raise ValueError(f"{directory} has no cpix.xsd")
            self.folders[name] = (schema, version.group())

    def rules(self):
        for name, (schema, cpix) in self.folders.items():
            says = f"answers of SPEKE v{ANSWERS[cpix] or '1'} against the schema of {name}"
            yield Rule(
                name, says,
                lambda checks, provider, s=schema, c=cpix: validate(checks, provider, s, c),
            )  # fmt: skip


def validate(checks, provider, schema, cpix):
    if not shutil.which(XMLLINT[0]):
        raise NotMeasured("needs xmllint")
    version = ANSWERS[cpix]

    def one(name, body, disordered=False):
        with checks.check(name):
            known = (*DEVIATIONS, ORDER) if disordered else DEVIATIONS
            found, faults = judge(body, schema, cpix, known)
            assert not faults, "; ".join(faults[:3])
            for deviation in sorted(found):
                checks.note(f"SPEKE deviates from the schema: {deviation}")

    for name, (request, disordered) in samples(version).items():
        one(name, provider.exchange(request, version).body, disordered)
    if version == "2.1" and provider.options.setting_hook:
        with protected_settings(provider):
            _, answer = protected(provider)
            one("HDCP, robustness and CPC", d.etree.tostring(answer.root))
        eventually(lambda: expect_unprotected(provider, version))
