# SPDX-License-Identifier: Apache-2.0
"""The conformance run must notice faults: each rule fails when the answers of the service are
spoilt, on their way to the run, in what the rule is about."""
import base64
import os
import re
import sys
from types import SimpleNamespace

import pytest
from lxml import etree

from harness import documents as d
from harness.site import TOP

sys.path.insert(0, os.path.join(TOP, "tests", "conformance"))
from conformance import provider as provider_module  # noqa: E402
from conformance.catalogue import RULES  # noqa: E402
from conformance.provider import Answer, Provider  # noqa: E402
from conformance.rules import measure  # noqa: E402


class Spoilt(Provider):
    """A provider whose answers pass through spoil(method, body of the request, answer)."""

    spoil = None

    def passed_on(self, answer, method, body):
        return self.spoil(method, body, answer) if self.spoil else answer

    def send(self, method, url=None, body=None, headers=None, auth="own"):
        return self.passed_on(super().send(method, url, body, headers, auth), method, body)

    def post_large(self, body):
        return self.passed_on(super().post_large(body), "POST", body)


# --- ways to spoil --------------------------------------------------------------------------------


def whole(change):
    """change(answer) for every answer, of errors as well."""
    return lambda method, body, answer: change(answer)


def text(pattern, replacement, count=0):
    """Replaces in the bodies of 200 answers."""

    def spoil(method, body, answer):
        if answer.status == 200:
            changed = re.sub(pattern, replacement, answer.body, count=count, flags=re.S)
            return Answer(answer.status, answer.headers, changed)
        return answer

    return spoil


def tree(change):
    """change(document) on the document of 200 answers."""

    def spoil(method, body, answer):
        if answer.status != 200 or method != "POST":
            return answer
        document = d.Document.parse(answer.body)
        change(document)
        # lxml makes <a/> of an empty element, as the service does.
        return Answer(answer.status, answer.headers, etree.tostring(document.root))

    return spoil


def header(name, value):
    """Sets (or with None removes) a header of all answers."""

    def change(answer):
        headers = type(answer.headers)(answer.headers)
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
        return Answer(answer.status, headers, answer.body)

    return whole(change)


def attribute(element, name, value):
    return tree(lambda document: document.set(element, name, value))


def encoded(local_name, change, playlist=None):
    """change(bytes) on what the base64 of all elements of that name holds."""

    def spoil(document):
        for element in document.root.iter(f"{{*}}{local_name}"):
            if element.text and playlist in (None, element.get("playlist")):
                data = change(base64.b64decode(element.text))
                element.text = base64.b64encode(data).decode()

    return tree(spoil)


def reverse(name):
    def spoil(document):
        for parent in document.all(name):
            parent[:] = list(parent)[::-1]

    return tree(spoil)


class Counter:
    """Gives another key at every answer."""

    def __init__(self):
        self.count = 0

    def __call__(self, method, body, answer):
        self.count += 1
        key = base64.b64encode(self.count.to_bytes(16, "big"))
        return text(rb"<pskc:PlainValue>[^<]*", b"<pskc:PlainValue>" + key)(method, body, answer)


class Replay:
    """Gives the first answer with encrypted keys again and again."""

    def __init__(self):
        self.first = None

    def __call__(self, method, body, answer):
        if b"EncryptedValue" in answer.body:
            self.first = self.first or answer
            return self.first
        return answer


ONE_KEY = text(rb"<pskc:PlainValue>[^<]*", b"<pskc:PlainValue>" + base64.b64encode(b"k" * 16))
ACCEPTED = whole(lambda a: Answer(200, a.headers, a.body))
ERROR_TEXT = whole(lambda a: a if a.status == 200 else Answer(a.status, a.headers, a.body + b"\n"))
REFUSED = whole(lambda a: Answer(422, a.headers, b"Malformed encryption contract"))


def spoil_by_request(word, change):
    """Only answers to requests that hold a word."""

    def spoil(method, body, answer):
        return change(method, body, answer) if body and word in body else answer

    return spoil


SPOIL = {
    1: [text(rb"cpix:CPIX\b", b"cpix:OTHER"), REFUSED],
    2: [header("Content-Type", "text/xml"), header("Content-Type", "application/xml; charset=a")],
    3: [header("X-Speke-Version", "2.2"), header("X-Speke-User-Agent", None)],
    4: [header("Speke-User-Agent", None), header("X-Speke-Version", "1.0")],
    5: [Counter(), REFUSED],
    6: [ACCEPTED, ERROR_TEXT],
    7: [ACCEPTED, attribute("CPIX", "id", "x")],
    8: [ACCEPTED, whole(lambda a: Answer(422 if a.status == 413 else a.status, a.headers, a.body))],
    9: [whole(lambda a: Answer(404, a.headers, a.body)),
        whole(lambda a: Answer(a.status, {}, b""))],
    10: [ACCEPTED, ERROR_TEXT],
    11: [ACCEPTED, whole(lambda a: Answer(a.status, a.headers, b"CPIX@id" + a.body))],
    12: [ACCEPTED, ERROR_TEXT],
    13: [ACCEPTED, ERROR_TEXT],
    14: [attribute("CPIX", "contentId", "x"), attribute("CPIX", "name", None),
         attribute("CPIX", "version", "2.2"), attribute("CPIX", "id", "x")],
    15: [text(rb"\bpskc\b(?=[:=])", b"p"), REFUSED],
    16: [text(rb"</cpix:CPIX>", b"<!-- urn:aws:amazon:com:speke --></cpix:CPIX>"),
         text(rb"</cpix:DRMSystem>", b"<cpix:URIExtXKey/></cpix:DRMSystem>")],
    17: [ACCEPTED],
    18: [ACCEPTED, REFUSED],
    19: [ACCEPTED, ERROR_TEXT],
    20: [ACCEPTED, ERROR_TEXT],
    21: [ACCEPTED, ERROR_TEXT, REFUSED],
    22: [text(rb"<pskc:PlainValue>", b"<pskc:PlainValue>AAAA"),
         text(rb"<pskc:PlainValue>", b"<pskc:PlainValue >"),
         text(rb"==</pskc:PlainValue>", b"</pskc:PlainValue>")],
    23: [ONE_KEY, reverse("ContentKeyList"),
         attribute("ContentKey", "commonEncryptionScheme", "cenc")],
    24: [Counter(), ONE_KEY],
    25: [ACCEPTED, attribute("ContentKey", "explicitIV", None),
         attribute("ContentKey", "explicitIV", "AAAAAAAAAAAAAAAAAAAAAA==")],
    26: [Counter(), REFUSED],
    27: [reverse("DRMSystemList"), attribute("DRMSystem", "systemId", d.WIDEVINE)],
    28: [ACCEPTED],
    29: [encoded("PSSH", lambda box: box[:-1]), encoded("PSSH", lambda box: box[:-4] + b"abcd")],
    30: [encoded("ContentProtectionData", lambda data: data.replace(b"AAAA", b"BAAA", 1)),
         encoded("ContentProtectionData", lambda data: data + b"<x/>")],
    31: [encoded("PSSH", lambda box: box[:-2]),
         encoded("ContentProtectionData", lambda data: data[: data.index(b"<mspr:pro")])],
    32: [text(rb"</cpix:DRMSystem>", b"<cpix:PSSH>AA==</cpix:PSSH></cpix:DRMSystem>"),
         text(rb"</cpix:DRMSystem>", b"<cpix:ContentProtectionData/></cpix:DRMSystem>")],
    33: [encoded("HLSSignalingData", lambda line: line + b',SCHEME="x"'),
         encoded("HLSSignalingData", lambda line: re.sub(rb"METHOD=[^,]*", b"METHOD=NONE", line)),
         encoded("HLSSignalingData", lambda line: line + b',X="1"', "media"),
         encoded("HLSSignalingData", lambda line: line.replace(b"SESSION-", b""))],
    34: [encoded("HLSSignalingData", lambda line: re.sub(rb'FORMAT="[^"]*"', b'FORMAT=""', line)),
         encoded("HLSSignalingData", lambda line: re.sub(rb",([^,]*),([^,]*)$", rb",\2,\1", line)),
         encoded("HLSSignalingData", lambda line: line.replace(b";base64,", b";base64,AAAA"))],
    35: [encoded("HLSSignalingData", lambda line: line.replace(b"skd://", b"skd://AAAA")),
         encoded("HLSSignalingData", lambda line: line + b",IV=0x00")],
    36: [text(rb"</cpix:DRMSystem>", b"<cpix:PSSH/></cpix:DRMSystem>"),
         encoded("SmoothStreamingProtectionHeaderData", lambda pro: pro + b"x")],
    37: [spoil_by_request(b"a remark", REFUSED), spoil_by_request(b"a remark", ONE_KEY),
         spoil_by_request(b"a remark", encoded("PSSH", lambda box: box + b"x"))],
    38: [attribute("ContentKeyUsageRule", "intendedTrackType", "X"),
         reverse("ContentKeyUsageRuleList"), REFUSED],
    39: [ACCEPTED, ERROR_TEXT],
    40: [ACCEPTED, ERROR_TEXT],
    41: [ACCEPTED, ERROR_TEXT],
    42: [ACCEPTED, ERROR_TEXT, REFUSED],
    43: [ACCEPTED, ERROR_TEXT, REFUSED],
    44: [ACCEPTED, ERROR_TEXT],
    45: [ACCEPTED, ERROR_TEXT, REFUSED],
    46: [ACCEPTED, ERROR_TEXT],
    47: [REFUSED, reverse("ContentKeyUsageRuleList")],
    48: [REFUSED],
    49: [ACCEPTED, ERROR_TEXT],
    50: [attribute("ContentKeyPeriod", "index", "0"), attribute("ContentKeyPeriod", "id", None),
         text(rb"</cpix:CPIX>", b"<cpix:ContentKeyPeriodList/></cpix:CPIX>")],
    51: [ONE_KEY],
    52: [text(rb"\.250\+02:00", b".25+02:00"), text(rb"PT1H30M", b"PT90M")],
    53: [ACCEPTED, attribute("ContentKeyPeriod", "index", "0")],
    54: [header("X-Speke-Version", "2.0"), attribute("CPIX", "version", "2.3")],
    55: [ACCEPTED, attribute("ContentKey", "commonEncryptionScheme", "cbcs")],
    58: [text(rb"multiVariant", b"master"), text(rb"master", b"multiVariant")],
    59: [text(rb"</pskc:Secret>", b"<pskc:PlainValue/></pskc:Secret>"), reverse("DeliveryData"),
         tree(lambda document: document.remove("DeliveryDataList"))],
    60: [text(rb"\bds\b(?=[:=])", b"dsig"), attribute("MACMethod", "Algorithm", "x"),
         text(rb"rsa-oaep-mgf1p", b"rsa-1_5"), text(rb"aes256-cbc", b"aes128-cbc")],
    61: [Replay()],
    62: [tree(lambda document: document.remove("DeliveryData", 0)
              if len(document.all("DeliveryData")) == 2 else None)],
    63: [ACCEPTED, whole(lambda a: Answer(a.status, a.headers, a.body + b"PlainValue"))],
    65: [encoded("CipherValue", lambda data: data[:-1] + bytes([data[-1] ^ 1]))],
    66: [attribute("CPIX", "id", "x"), attribute("ContentKeyPeriod", "index", "8"),
         encoded("KeyFormat", lambda data: b"other"), encoded("URIExtXKey", lambda data: b"other")],
    67: [ACCEPTED, text(rb"</cpix:CPIX>", b"<cpix:ContentKeyPeriodList/></cpix:CPIX>")],
    68: [text(rb"</cpix:DRMSystem>", b"<cpix:Other>x</cpix:Other></cpix:DRMSystem>"),
         text(rb"(<cpix:PSSH>)[^<]*", rb"\1")],
    69: [encoded("ProtectionHeader", lambda pro: pro[:-2]),
         encoded("ProtectionHeader", lambda pro: b"x")],
    70: [text(rb"</pskc:Secret>", b"<pskc:PlainValue/></pskc:Secret>"), REFUSED],
    71: [attribute("ContentKey", "kid", "00000000-0000-0000-0000-000000000000")],
    73: [encoded("PSSH", lambda box: box[:-1]), Counter(), REFUSED],
    74: [attribute("ContentKeyUsageRule", "intendedTrackType", "X"), REFUSED],
    75: [ACCEPTED],
}  # fmt: skip
# Not by spoilt answers: the settings (below), the vector (R64) and the key URL (R72).
BY_SETTINGS = (43, 48, 56, 57, 71)
CASES = [(number, index) for number in SPOIL for index in range(len(SPOIL[number]))]


@pytest.fixture(scope="module")
def options(site):
    web = site.web("lighttpd")
    return SimpleNamespace(
        url=f"{web.base}/copyProtection", user="encoder", auth="digest", ca=web.p.ca,
        body_limit=1048576, heartbeat_url=None, key_url_base=None, player_token_hook=None,
        restart_hook="true",
        setting_hook=None, vector_hook="true", override_namespace=None,
        empty_headers_dropped=web.kind == "lighttpd",
    )  # fmt: skip


@pytest.fixture
def provider(site, options):
    return Spoilt(SimpleNamespace(**vars(options)), site.password["encoder"])


@pytest.mark.parametrize("number,index", CASES, ids=[f"R{n}-{i + 1}" for n, i in CASES])
def test_fault_is_found(provider, number, index):
    provider.spoil = SPOIL[number][index]
    outcome = measure(RULES[number], provider)
    assert outcome.result == "fail", f"R{number} passed with spoilt answers: {outcome.passed}"
    assert all(check and why for check, why in outcome.failed), "a failure that tells nothing"


@pytest.mark.parametrize("number", BY_SETTINGS)
def test_setting_without_effect_is_found(provider, monkeypatch, number):
    """The hook says that it has changed the setting, and has not."""
    monkeypatch.setattr(provider_module, "SETTING_DELAY", 0.1)
    provider.options.setting_hook = "true"
    assert measure(RULES[number], provider).result == "fail", f"R{number}"


@pytest.mark.parametrize("hook,number", [("restart_hook", 24), ("vector_hook", 64)])
def test_hook_that_fails_is_found(provider, hook, number):
    setattr(provider.options, hook, "false")
    assert measure(RULES[number], provider).result == "fail", f"R{number}"


def test_without_hooks_it_is_said_what_was_not_measured(provider):
    for hook in ("restart_hook", "setting_hook", "vector_hook"):
        setattr(provider.options, hook, None)
    expected = {
        24: "in part", 43: "in part", 48: "in part", 56: "not measured", 57: "not measured",
        64: "in part", 71: "in part", 72: "not measured",
    }  # fmt: skip
    results = {number: measure(RULES[number], provider) for number in expected}
    assert {number: one.result for number, one in results.items()} == expected
    for number, one in results.items():
        assert one.unmeasured and all(why for _, why in one.unmeasured), f"R{number}: no reason"


def test_every_rule_is_spoilt_somewhere():
    left = set(RULES) - set(SPOIL) - set(BY_SETTINGS) - {64, 72}
    assert not left, f"rules that no fault is tried on: {sorted(left)}"


class WithKeyUrl(Spoilt):
    """A provider with a key URL for players, which is played here from what its answers held."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.options.key_url_base = self.mount
        self.keys = {}

    def send(self, method, url=None, body=None, headers=None, auth="own"):
        if method == "POST":
            answer = super().send(method, url, body, headers, auth)
            for key in d.Document.parse(answer.body).all("ContentKey"):
                value = key.find(f".//{d.pskc('PlainValue')}").text
                self.keys[key.get("kid")] = base64.b64decode(value)
            return answer
        allow = {"Access-Control-Allow-Origin": "*"}
        key = self.keys.get(url.rsplit("/", 1)[1])
        if method == "OPTIONS":
            answer = Answer(204, allow, b"")
        else:
            answer = Answer(200, allow, key) if key else Answer(404, {}, b"unknown")
        return self.passed_on(answer, method, body)


KEY_URL_FAULTS = [
    whole(lambda a: Answer(a.status, a.headers, a.body[::-1])),
    whole(lambda a: Answer(a.status, {}, a.body)),
    whole(lambda a: Answer(405 if a.status == 204 else a.status, a.headers, a.body)),
    whole(lambda a: Answer(200 if a.status == 404 else a.status, a.headers, a.body)),
    whole(lambda a: Answer(404, a.headers, a.body)),
]


@pytest.mark.parametrize("spoil", [None, *KEY_URL_FAULTS])
def test_key_url(site, options, spoil):
    """R72 against a key URL, right and with faults."""
    provider = WithKeyUrl(SimpleNamespace(**vars(options)), site.password["encoder"])
    if spoil:  # the answers to packagers pass untouched
        provider.spoil = lambda method, body, answer: (
            answer if method == "POST" else spoil(method, body, answer)
        )
    outcome = measure(RULES[72], provider)
    expected = "fail" if spoil else "pass"
    assert outcome.result == expected, f"{outcome.failed} {outcome.unmeasured}"
