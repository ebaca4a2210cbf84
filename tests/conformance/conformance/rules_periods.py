# SPDX-License-Identifier: Apache-2.0
"""R50 to R58: periods and rotation, what v2.1 adds."""
from lxml import etree

from harness import documents as d
from harness import signalling as s

from .provider import VERSIONS, eventually, simple
from .reading import CPD, DRM, E6, expect_same_list, plain_keys, systems
from .rules import rule

LISTS = ("ContentKeyPeriodList", "ContentKeyUsageRuleList")


@rule(50, "a period list comes back as it was, and none is made")
def r50(checks, provider):
    for version in VERSIONS:
        for index in (0, 1, 11425, 4294967295):
            with checks.check(f"{version} index {index}"):
                request = simple(version, period=index)
                answer = provider.document(request, version)
                for name in LISTS:
                    expect_same_list(answer, request, name)
        with checks.check(f"{version} VOD"):
            answer = provider.document(simple(version), version)
            assert not answer.all("ContentKeyPeriodList"), "a ContentKeyPeriodList in the answer"


@rule(51, "each rotation has other keys")
def r51(checks, provider):
    for version in VERSIONS:
        with checks.check(version):
            content, seen = d.new_content_id(), set()
            for period in range(3):
                request = simple(version, content_id=content, period=period)
                keys = set(plain_keys(provider.document(request, version)).values())
                assert not seen & keys, f"period {period} repeats a key"
                seen |= keys


TIMES = {
    "wall clock": {"index": "1", "start": "2027-03-01T10:00:00Z", "end": "2027-03-01T10:05:00Z"},
    "zone and fractions": {
        "index": "2",
        "start": "2027-03-01T12:00:00.250+02:00",
        "end": "2027-03-01T12:05:00.50+02:00",
    },
    "offsets": {"index": "3", "startOffset": "PT0S", "endOffset": "PT1H30M"},
    "offsets with fractions": {
        "index": "4", "startOffset": "P0Y0M0DT0H0M0.0S", "endOffset": "PT300.250S",
    },
}  # fmt: skip


@rule(52, "v2.1: times and offsets of periods come back byte for byte")
def r52(checks, provider):
    for name, attributes in TIMES.items():
        with checks.check(name):
            request = simple("2.1", period_attributes=attributes)
            answer = provider.document(request, "2.1")
            have = dict(answer.one("ContentKeyPeriod").attrib)
            want = dict(request.one("ContentKeyPeriod").attrib)
            assert have == want, f"{have}, expected {want}"


@rule(53, "v2.1 takes a period without index but with start and end, v2.0 does not")
def r53(checks, provider):
    bare = {name: value for name, value in TIMES["wall clock"].items() if name != "index"}
    with checks.check("2.1"):
        request = simple("2.1", period_attributes=bare)
        expect_same_list(provider.document(request, "2.1"), request, "ContentKeyPeriodList")
    with checks.check("2.0"):
        provider.refused(simple(period_attributes=bare))
    with checks.check("2.0, no times either"):
        provider.refused(simple(period_attributes={}))


@rule(54, "v2.1: accepted, both version numbers come back")
def r54(checks, provider):
    answer = provider.exchange(simple("2.1", DRM, period=0), "2.1")
    with checks.check("X-Speke-Version"):
        have = answer.headers.get("X-Speke-Version")
        assert have == "2.1", f"{have!r}, expected '2.1'"
    with checks.check("CPIX@version"):
        have = d.Document.parse(answer.body).root.get("version")
        assert have == "2.4", f"{have!r}, expected '2.4'"


@rule(55, "SAMPLE-AES fits FairPlay in v2.1 and nothing in v2.0")
def r55(checks, provider):
    with checks.check("2.1"):
        request = simple("2.1", (d.FAIRPLAY,), scheme="SAMPLE-AES")
        answer = provider.document(request, "2.1")
        have = {key.get("commonEncryptionScheme") for key in answer.all("ContentKey")}
        assert have == {"SAMPLE-AES"}, f"scheme {have} in the answer"
    with checks.check("2.0"):
        request = simple("2.0", (d.FAIRPLAY,), scheme="SAMPLE-AES")
        provider.refused(request, E6.format(d.FAIRPLAY))


LEVEL, ROBUSTNESS = "TYPE-1", "HW_SECURE_ALL"
CPC = f"urn:uuid:{d.WIDEVINE}:HW_SECURE_ALL/SW_SECURE_CRYPTO"
PROTECTION = (
    '<OutputProtection xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'schemeIdUri="urn:mpeg:dash:output-protection:hdcp:2020" value="2.2"/>'
)


def protected_settings(provider):
    return provider.settings(
        hdcp_level=LEVEL, output_protection=PROTECTION, robustness=ROBUSTNESS, hls_allowed_cpc=CPC
    )


def protected(provider, asked=(d.WIDEVINE, d.PLAYREADY)):
    """Request and answer of v2.1 once the settings are in force."""

    def attempt():
        request = simple("2.1", asked)
        answer = provider.document(request, "2.1")
        assert len(answer.all("HDCPData")) == 2, "no HDCPData for each of two keys"
        return request, answer

    return eventually(attempt)


def expect_unprotected(provider, version):
    body = provider.exchange(simple(version), version).body
    for name in (b"HDCPData", b"robustness", b"HLSAllowedCPC"):
        assert name not in body, f"{name.decode()} in an answer of v{version}"


@rule(56, "HDCP, robustness and CPC stand where they belong in v2.1, never in v2.0")
def r56(checks, provider):
    with protected_settings(provider):
        request, answer = protected(provider)
        with checks.check("HDCPData"):
            for key in answer.all("ContentKey"):
                data = key.find(d.cpix("HDCPData"))
                assert data is not None, f"{key.get('kid')}: no HDCPData"
                level = data.get("HLSHDCPLevel")
                assert level == LEVEL, f"HLSHDCPLevel {level!r}, expected {LEVEL!r}"
                assert data.find(d.cpix("HDCPOutputProtectionData")) is not None, "no child"
        with checks.check("robustness"):
            for check in systems(answer, request, d.WIDEVINE):
                have = check.element.find(CPD).get("robustness")
                assert have == ROBUSTNESS, f"robustness {have!r}, expected {ROBUSTNESS!r}"
        with checks.check("HLSAllowedCPC"):
            for check in systems(answer, request, d.WIDEVINE):
                have = check.element.get("HLSAllowedCPC")
                assert have == CPC, f"HLSAllowedCPC {have!r}, expected {CPC!r}"
        with checks.check("other systems"):
            for check in systems(answer, request, d.PLAYREADY):
                assert check.element.get("HLSAllowedCPC") is None, "Widevine's value at PlayReady"
                assert check.element.find(CPD).get("robustness") is None, "likewise robustness"
        with checks.check("2.0"):
            expect_unprotected(provider, "2.0")
    with checks.check("without the settings"):
        eventually(lambda: expect_unprotected(provider, "2.1"))


@rule(57, "HDCPData stands before Data, its output protection is base64 of XML")
def r57(checks, provider):
    with protected_settings(provider):
        _, answer = protected(provider)
        with checks.check("order"):
            for key in answer.all("ContentKey"):
                names = [etree.QName(child).localname for child in key]
                assert names == ["HDCPData", "Data"], f"children {names}"
        with checks.check("XML"):
            for element in answer.all("HDCPOutputProtectionData"):
                text = s.strict_base64(element.text, "HDCPOutputProtectionData")
                assert not text.startswith(b"\xef\xbb\xbf"), "a byte order mark"
                name = etree.QName(etree.fromstring(text)).localname
                assert name == "OutputProtection", f"root {name}"
    eventually(lambda: expect_unprotected(provider, "2.1"))


@rule(58, "the playlist word that the request uses comes back")
def r58(checks, provider):
    for word in ("master", "multiVariant"):
        with checks.check(word):
            kinds = {system: ("media", word) for system in DRM}
            answer = provider.document(simple("2.1", DRM, placeholders=kinds), "2.1")
            for system in answer.all("DRMSystem"):
                have = [line.get("playlist") for line in system.findall(d.cpix("HLSSignalingData"))]
                assert have == ["media", word], f"playlists {have}"
                assert all(line.text for line in system), "an empty line"

