# SPDX-License-Identifier: Apache-2.0
"""R38 to R49: the encryption contract."""
from harness import documents as d

from .provider import VERSIONS, contract, eventually, simple
from .reading import E8, E9, E10, A, V, expect_same_list
from .rules import rule

VIDEO, AUDIO = ("VIDEO", [(V, {})]), ("AUDIO", [(A, {})])
STEREO = ("STEREO_AUDIO", [(A, {"maxChannels": "2"})])
SD = ("SD", [(V, {"maxPixels": "589824"})])
HD = ("HD", [(V, {"minPixels": "589825", "maxPixels": "2073600"})])
UHD_LEVELS = [
    ("UHD1", [(V, {"minPixels": "2073601", "maxPixels": "8847360"})]),
    ("UHD2", [(V, {"minPixels": "8847361"})]),
]
SLOW = {"maxFps": "30", "hdr": "false"}
PUBLISHED = {
    1: [("ALL", [(V, {}), (A, {})])],
    2: [VIDEO, AUDIO],
    3: [VIDEO],
    4: [SD, ("HD", [(V, {"minPixels": "589825"})]), AUDIO],
    5: [SD, HD, ("UHD", [(V, {"minPixels": "2073601"})]), AUDIO],
    6: [SD, HD, *UHD_LEVELS, AUDIO],
    7: [
        SD,
        ("HD1", [(V, {"minPixels": "589825", "maxPixels": "921600"})]),
        ("HD2", [(V, {"minPixels": "921601", "maxPixels": "2073600"})]),
        *UHD_LEVELS,
        AUDIO,
    ],
    8: [
        (
            "SD+HD",
            [
                (V, {"maxPixels": "442368", **SLOW}),
                (V, {"minPixels": "442369", "maxPixels": "2073600", **SLOW}),
            ],
        ),
        (
            "HDR+HFR+UHD",
            [(V, {"hdr": "true"}), (V, {"minFps": "30"}), (V, {"minPixels": "2073601"})],
        ),
        AUDIO,
    ],
    9: [VIDEO, STEREO, ("MULTICHANNEL_AUDIO", [(A, {"minChannels": "3"})])],
    10: [
        VIDEO,
        STEREO,
        ("MULTICHANNEL_AUDIO_3_6", [(A, {"minChannels": "3", "maxChannels": "6"})]),
        ("MULTICHANNEL_AUDIO_7", [(A, {"minChannels": "7"})]),
    ],
}
# Of AWS's negative tests: ALL beside other rules, twice, with bounds.
NEGATIVE = {
    "ALL for video beside audio": [
        ("ALL", [(V, {"maxPixels": "442368"})]),
        ("ALL", [(V, {"minPixels": "442369"})]),
        STEREO,
        ("MULTICHANNEL_AUDIO", [(A, {"minChannels": "3"})]),
    ],
    "ALL for audio beside video": [
        ("ALL", [(A, {"maxChannels": "2"})]),
        ("ALL", [(A, {"minChannels": "3"})]),
        ("SD", [(V, {"maxPixels": "442368"})]),
        ("HD", [(V, {"minPixels": "442369"})]),
    ],
}


def refuse(checks, provider, cases, error=E8):
    """cases: {name: function of the version that makes the request}"""
    for version in VERSIONS:
        for name, make in cases.items():
            with checks.check(f"{version} {name}"):
                provider.refused(make(version), error, version)


def accept(checks, provider, cases):
    """Accepted, and the rules as they were."""
    for version in VERSIONS:
        for name, make in cases.items():
            with checks.check(f"{version} {name}"):
                request = make(version)
                answer = provider.document(request, version)
                expect_same_list(answer, request, "ContentKeyUsageRuleList")


def rules(*list_of_rules, **more):
    return lambda version: contract(*list_of_rules, version=version, **more)


def spoilt(spoil, **more):
    return lambda version: spoil(simple(version, **more))


def one(*filters, track="VIDEO"):
    return rules((track, list(filters)))


@rule(38, "the ten published contracts are accepted, the rules come back as they were")
def r38(checks, provider):
    accept(
        checks,
        provider,
        {f"contract {number}": rules(*PUBLISHED[number], period=0) for number in PUBLISHED},
    )


@rule(39, "no filters, or no rules, is a missing contract")
def r39(checks, provider):
    refuse(
        checks,
        provider,
        {
            "no filters": spoilt(lambda r: r.remove(V).remove(A)),
            "period filters only": spoilt(lambda r: r.remove(V).remove(A), period=1),
            "no list": spoilt(lambda r: r.remove("ContentKeyUsageRuleList")),
        },
        E10,
    )


@rule(40, "each key has one rule and each rule a key and a track type")
def r40(checks, provider):
    name = "ContentKeyUsageRule"
    refuse(
        checks,
        provider,
        {
            "no kid": spoilt(lambda r: r.set(name, "kid", None, 1)),
            "no intendedTrackType": spoilt(lambda r: r.set(name, "intendedTrackType", None, 1)),
            "kid of no key": spoilt(lambda r: r.set(name, "kid", d.new_kid(), 1)),
            "key without a rule": spoilt(lambda r: r.remove(name, 1)),
            "two rules for a key": spoilt(
                lambda r: r.double(name, 1).set(name, "intendedTrackType", "OTHER", 2)
            ),
        },
    )


@rule(41, "a track type stands once")
def r41(checks, provider):
    refuse(checks, provider, {"VIDEO twice": rules(VIDEO, VIDEO)})


@rule(42, "ALL is alone, with one bare filter of each type")
def r42(checks, provider):
    refuse(
        checks,
        provider,
        {
            "video alone": one((V, {}), track="ALL"),
            "audio alone": one((A, {}), track="ALL"),
            "video attribute": one((V, {"maxPixels": "9"}), (A, {}), track="ALL"),
            "audio attribute": one((V, {}), (A, {"maxChannels": "2"}), track="ALL"),
            "three filters": one((V, {}), (A, {}), (A, {}), track="ALL"),
            "beside another rule": rules(PUBLISHED[1][0], AUDIO),
        },
    )
    accept(
        checks,
        provider,
        {
            "video first": one((V, {}), (A, {}), track="ALL"),
            "audio first": one((A, {}), (V, {}), track="ALL"),
        },
    )


@rule(43, "as many filters as the track type has parts; one for SD+HD1 unless strict")
def r43(checks, provider):
    two = [(V, {"maxPixels": "1"}), (V, {"minPixels": "2"})]
    sd_hd1 = contract(("SD+HD1", [(V, {"maxPixels": "921600"})]))
    refuse(
        checks,
        provider,
        {
            "VIDEO with two": one(*two),
            "SD+HD with three": one(*two, (V, {"minPixels": "3"}), track="SD+HD"),
            "SD+": one((V, {}), track="SD+"),
        },
    )
    accept(
        checks,
        provider,
        {
            "SD+HD with two": one(*two, track="SD+HD"),
            "SD+HD1 with one": rules(("SD+HD1", [(V, {"maxPixels": "921600"})])),
        },
    )
    with checks.check("strict option: SD+HD1 with one"):
        with provider.settings(strict_cardinality="on"):
            eventually(lambda: provider.refused(sd_hd1, E8))
        eventually(lambda: provider.exchange(sd_hd1))


@rule(44, "filters and attributes that SPEKE does not know are refused")
def r44(checks, provider):
    refuse(
        checks,
        provider,
        {
            "BitrateFilter": one((V, {}), ("BitrateFilter", {"minBitrate": "1"})),
            "LabelFilter": one((V, {}), ("LabelFilter", {"label": "x"})),
            "wcg": one((V, {"wcg": "true"})),
            "unknown attribute": one((V, {"shape": "round"})),
            "unknown attribute of audio": one((A, {"maxPixels": "1"}), track="AUDIO"),
        },
    )


@rule(45, "ranges are numbers up to 4294967295 in order, hdr is a boolean")
def r45(checks, provider):
    refuse(
        checks,
        provider,
        {
            "min above max": one((V, {"minPixels": "2", "maxPixels": "1"})),
            "negative": one((V, {"minPixels": "-1"})),
            "text": one((V, {"maxPixels": "many"})),
            "33 bits": one((V, {"maxPixels": "4294967296"})),
            "hdr yes": one((V, {"hdr": "yes"})),
        },
    )
    accept(checks, provider, {"hdr 1": one((V, {"hdr": "1"}))})


@rule(46, "a KeyPeriodFilter names a period that is there")
def r46(checks, provider):
    def period(value):
        return spoilt(lambda r: r.set("KeyPeriodFilter", "periodId", value, 0), period=1)

    refuse(checks, provider, {"unknown": period("elsewhere"), "absent": period(None)})


@rule(47, "ranges may overlap or leave gaps")
def r47(checks, provider):
    def two(upper, lower):
        return rules(("A", [(V, {"maxPixels": upper})]), ("B", [(V, {"minPixels": lower})]))

    accept(checks, provider, {"overlap": two("100", "50"), "gap": two("100", "500")})


@rule(48, "a contract against the provider's policy is refused; without policy it is fine")
def r48(checks, provider):
    request = contract(PUBLISHED[1][0])
    with checks.check("policy off"):
        provider.exchange(request)
    with checks.check("policy on"):
        with provider.settings(refuse_all="on"):
            eventually(lambda: provider.refused(request, E9))
            provider.exchange(contract(VIDEO, AUDIO))
    with checks.check("policy off again"):
        eventually(lambda: provider.exchange(request))


@rule(49, "the two malformed contracts of AWS's suite are refused")
def r49(checks, provider):
    refuse(checks, provider, {name: rules(*NEGATIVE[name]) for name in NEGATIVE})
