# SPDX-License-Identifier: Apache-2.0
"""R27 to R37: DRM systems and their signalling."""
import base64
import json

from lxml import etree

from harness import documents as d
from harness import signalling as s

from .provider import VERSIONS, simple
from .reading import (
    CPD, DRM, NAMES, PSSH, SMOOTH, expect_same_systems, hls_attributes, keys_and_ivs, protection,
    pssh_box, systems, unquote, widevine_box,
)  # fmt: skip
from .rules import rule

ALL_SYSTEMS = (*DRM, d.CLEAR_KEY)
EVERYTHING = ("PSSH", "ContentProtectionData", "media", "master", "Smooth")
KEYFORMATS = {
    d.WIDEVINE: f"urn:uuid:{d.WIDEVINE}",
    d.PLAYREADY: "com.microsoft.playready",
    d.FAIRPLAY: "com.apple.streamingkeydelivery",
    d.CLEAR_KEY: "identity",
}
METHODS = {d.CLEAR_KEY: "AES-128"}  # the others: SAMPLE-AES, or SAMPLE-AES-CTR with cenc


def each(provider, *asked, **more):
    """(version, request, answer) for both versions; asked are the systems."""
    for version in VERSIONS:
        request = simple(version, asked, **more)
        yield version, request, provider.document(request, version)


@rule(27, "number, order, kid and systemId of the DRMSystems stay, in either case")
def r27(checks, provider):
    for version in VERSIONS:
        for name in ("lower", "upper"):
            with checks.check(f"{version} {name} case"):
                request = simple(version, DRM)
                for element in request.all("DRMSystem"):
                    element.set("systemId", getattr(element.get("systemId"), name)())
                expect_same_systems(provider.document(request, version), request)


@rule(28, "a DRMSystem that is unknown or belongs to no key is refused")
def r28(checks, provider):
    faults = {
        "unknown systemId": ("systemId", "00000000-0000-0000-0000-000000000001"),
        "no systemId": ("systemId", None),
        "no kid": ("kid", None),
        "kid of no ContentKey": ("kid", d.new_kid()),
    }
    for version in VERSIONS:
        for name, (attribute, value) in faults.items():
            with checks.check(f"{version} {name}"):
                provider.refused(
                    simple(version).set("DRMSystem", attribute, value, 1), None, version
                )


@rule(29, "Widevine: one PSSH, a version 0 box with the KID")
def r29(checks, provider):
    for scheme in ("cenc", "cbcs"):
        for version, request, answer in each(provider, d.WIDEVINE, scheme=scheme):
            with checks.check(f"{version} {scheme}"):
                for check in systems(answer, request):
                    widevine_box(check)


@rule(30, "Widevine: ContentProtectionData is one cenc:pssh with the text of PSSH")
def r30(checks, provider):
    for version, request, answer in each(provider, d.WIDEVINE):
        with checks.check(version):
            for check in systems(answer, request):
                data = base64.b64decode(check.text(CPD))
                root = etree.fromstring(data)
                assert root.tag == f"{{{s.CENC}}}pssh", f"root {root.tag}"
                assert root.text == check.text(PSSH), "the text is not that of PSSH"


@rule(31, "PlayReady: PSSH and ContentProtectionData hold one right PlayReady Object")
def r31(checks, provider):
    for scheme in ("cenc", "cbcs"):
        for version, request, answer in each(provider, d.PLAYREADY, scheme=scheme):
            for check in systems(answer, request):
                with checks.check(f"{version} {scheme} object"):
                    check.playready_pssh(check.text(PSSH))
                with checks.check(f"{version} {scheme} ContentProtectionData"):
                    children = dict(protection(check))
                    assert set(children) == {
                        f"{{{s.CENC}}}pssh", f"{{{s.MSPR}}}pro",
                    }, f"elements {list(children)}"  # fmt: skip
                    assert children[f"{{{s.CENC}}}pssh"] == check.text(PSSH), "not the PSSH"
                    pro = base64.b64decode(children[f"{{{s.MSPR}}}pro"])
                    assert pro == pssh_box(check).data, "mspr:pro is not the data of PSSH"


@rule(32, "FairPlay and Clear Key: no ContentProtectionData; PSSH only if asked for, and empty")
def r32(checks, provider):
    for system in (d.FAIRPLAY, d.CLEAR_KEY):
        for name, kinds in {"asked for": EVERYTHING, "not asked for": ("media", "master")}.items():
            for version, request, answer in each(provider, system, placeholders={system: kinds}):
                for check in systems(answer, request):
                    with checks.check(f"{version} {NAMES[system]} ContentProtectionData {name}"):
                        assert check.text(CPD) is None, "it is in the answer"
                    with checks.check(f"{version} {NAMES[system]} PSSH {name}"):
                        expected = "" if "PSSH" in kinds else None
                        assert check.text(PSSH) == expected, f"PSSH {check.text(PSSH)!r}"


@rule(33, "HLSSignalingData: the same attributes in both playlists; no SCHEME, METHOD not NONE")
def r33(checks, provider):
    for asked in ((d.WIDEVINE, d.PLAYREADY), (d.FAIRPLAY,), (d.CLEAR_KEY,)):
        for version, request, answer in each(provider, *asked):
            for check in systems(answer, request):
                with checks.check(f"{version} {NAMES[check.system]}"):
                    for playlist in ("media", "master"):
                        assert check.hls(playlist) is not None, f"nothing for {playlist}"
                    attributes, names = hls_attributes(check)
                    assert "SCHEME" not in names, "a SCHEME attribute"
                    assert attributes["METHOD"] != "NONE", "METHOD=NONE"


def expect_keyformat(check):
    attributes, names = hls_attributes(check)
    expected = KEYFORMATS[check.system]
    have = unquote(attributes["KEYFORMAT"])
    assert have == expected, f"KEYFORMAT {have!r}, expected {expected!r}"
    assert unquote(attributes["KEYFORMATVERSIONS"]), "KEYFORMATVERSIONS is empty"
    methods = [METHODS.get(check.system, "SAMPLE-AES")]
    if check.scheme == "cenc":
        methods.append("SAMPLE-AES-CTR")
    assert attributes["METHOD"] in methods, f"METHOD {attributes['METHOD']}, not {methods}"
    return unquote(attributes["URI"]), names


@rule(34, "HLS: KEYFORMAT by system, PlayReady's order of attributes, data URIs")
def r34(checks, provider):
    prefix = "base64,"
    for asked in ((d.WIDEVINE, d.PLAYREADY), DRM, (d.CLEAR_KEY,)):
        for version, request, answer in each(provider, *asked):
            for check in systems(answer, request):
                with checks.check(f"{version} {NAMES[check.system]}"):
                    uri, names = expect_keyformat(check)
                    if check.system == d.WIDEVINE:
                        assert uri.startswith("data:text/plain;base64,"), f"URI {uri[:60]}"
                        assert uri.split(prefix)[1] == check.text(PSSH), "URI is not the PSSH"
                    elif check.system == d.PLAYREADY:
                        order = ["METHOD", "KEYFORMAT", "KEYFORMATVERSIONS", "URI"]
                        assert names == order, f"order {names}, expected {order}"
                        assert uri.startswith("data:text/plain;charset=UTF-16;base64,"), uri[:60]
                        pro = base64.b64decode(uri.split(prefix)[1])
                        assert pro == pssh_box(check).data, "URI is not the PlayReady Object"
                    elif check.system == d.CLEAR_KEY:
                        assert uri.startswith("https://"), f"URI {uri[:60]}"


CONTENT_IDS = ("plain", 'quo"te', "back\\slash", "naïve 日本語 🎬", "a/b?c=d&e <f>")


@rule(35, "FairPlay: skd:// and base64 of JSON with ContentId, KeyId and IV, well escaped")
def r35(checks, provider):
    for content in CONTENT_IDS:
        content_id = d.new_content_id(content)
        for version, request, answer in each(provider, d.FAIRPLAY, content_id=content_id):
            with checks.check(f"{version} {content}"):
                for check in systems(answer, request):
                    attributes, names = hls_attributes(check)
                    assert "IV" not in names, "an IV attribute in the line"
                    uri = unquote(attributes["URI"])
                    assert uri.startswith("skd://"), f"URI {uri[:60]}"
                    have = json.loads(s.strict_base64(uri[6:], "skd"))
                    want = {"ContentId": content_id, "KeyId": check.kid, "IV": check.iv_text}
                    assert have == want, f"{have}, expected {want}"


KEPT = {
    d.WIDEVINE: {"PSSH", "ContentProtectionData", "media", "master"},
    d.PLAYREADY: set(EVERYTHING),
    d.FAIRPLAY: {"PSSH", "media", "master"},
    d.CLEAR_KEY: {"PSSH", "media", "master"},
}


def children(check):
    """The kinds of placeholders that a DRMSystem of the answer has."""
    short = {SMOOTH: "Smooth", PSSH: "PSSH", CPD: "ContentProtectionData"}
    return [child.get("playlist") or short.get(child.tag, child.tag) for child in check.element]


@rule(36, "only what was asked for is filled; the Smooth header is PlayReady's object")
def r36(checks, provider):
    choices = [(), *((kind,) for kind in EVERYTHING), ("master", "PSSH"), EVERYTHING]
    for system in ALL_SYSTEMS:
        for kinds in choices:
            for version, request, answer in each(
                provider, system, placeholders={system: kinds}, keys=("VIDEO",)
            ):
                with checks.check(f"{version} {NAMES[system]} {'+'.join(kinds) or 'nothing'}"):
                    (check,) = systems(answer, request)
                    want = [kind for kind in kinds if kind in KEPT[system]]
                    assert children(check) == want, f"{children(check)}, expected {want}"
    for version, request, answer in each(provider, d.PLAYREADY):
        with checks.check(f"{version} Smooth header"):
            for check in systems(answer, request):
                header = base64.b64decode(check.text(SMOOTH))
                assert header == pssh_box(check).data, "not the PlayReady Object"


def disturbed(request):
    """Lists and placeholders in reverse, with comments, blanks and old text."""
    other = request.copy()
    for element in list(other.root):
        other.root.insert(0, element)
    for system in other.all("DRMSystem"):
        for child in list(system):
            child.text = "b2xk"
            system.insert(0, child)
    for name in ("DRMSystemList", "ContentKeyList", "ContentKeyUsageRule"):
        other.all(name)[0].insert(0, etree.Comment(" a remark "))
        other.all(name)[0].text = "\n   "
    return other


def values(answer, request):
    """All values of the DRMSystems, whatever their order."""
    return [
        sorted((child.tag, child.get("playlist") or "", child.text) for child in check.element)
        for check in systems(answer, request)
    ]


@rule(37, "order of children, comments, blanks and old text do not matter")
def r37(checks, provider):
    for version, request, answer in each(provider, *DRM, period=0):
        other = provider.document(disturbed(request), version)
        with checks.check(f"{version} keys"):
            assert keys_and_ivs(other) == keys_and_ivs(answer), "other keys or IVs"
        with checks.check(f"{version} signalling"):
            assert values(other, request) == values(answer, request), "other values"
