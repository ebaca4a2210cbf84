# SPDX-License-Identifier: Apache-2.0
"""R66 to R69: SPEKE v1."""
import base64

from harness import documents as d

from .provider import simple
from .reading import NAMES, PSSH, expect_same_list, plain_keys, pssh_box, systems, v1_value
from .rules import rule

HLS = (d.HLS_AES_128, d.FAIRPLAY)
ALL_SYSTEMS = (*HLS, d.WIDEVINE, d.PLAYREADY)
URI, FORMAT, VERSIONS = d.cpix("URIExtXKey"), d.speke("KeyFormat"), d.speke("KeyFormatVersions")
HEADER, DATA = d.speke("ProtectionHeader"), d.cpix("ContentProtectionData")
RELEVANT = {
    d.HLS_AES_128: {URI, FORMAT, VERSIONS},
    d.FAIRPLAY: {URI, FORMAT, VERSIONS},
    d.WIDEVINE: {PSSH, DATA},
    d.PLAYREADY: {PSSH, DATA, HEADER},
}
KEYFORMATS = {d.HLS_AES_128: "identity", d.FAIRPLAY: "com.apple.streamingkeydelivery"}


@rule(66, "v1: id, period and rules come back, HLS values are base64")
def r66(checks, provider):
    request = simple(None, (*HLS, d.WIDEVINE), period=7)
    answer = provider.document(request, None)
    with checks.check("id"):
        have = answer.root.get("id")
        assert have == request.content_id, f"CPIX@id {have!r}"
    with checks.check("key"):
        assert list(plain_keys(answer)) == request.kids, "the KID is not the request's"
    for name in ("ContentKeyPeriodList", "ContentKeyUsageRuleList"):
        with checks.check(name):
            expect_same_list(answer, request, name)
    for system in HLS:
        with checks.check(f"{NAMES[system]} values"):
            (check,) = systems(answer, request, system)
            assert "://" in v1_value(check, URI), f"URIExtXKey {v1_value(check, URI)!r}"
            have = v1_value(check, FORMAT)
            assert have == KEYFORMATS[system], f"KeyFormat {have!r}"
            assert v1_value(check, VERSIONS) == "1", f"versions {v1_value(check, VERSIONS)!r}"
    with checks.check("Widevine PSSH"):
        (check,) = systems(answer, request, d.WIDEVINE)
        pssh_box(check)


@rule(67, "v1: @id is needed, a period and rules are not")
def r67(checks, provider):
    for name, value in {"no id": None, "empty id": ""}.items():
        with checks.check(name):
            provider.refused(simple(None).set("CPIX", "id", value), None, None)
    with checks.check("VOD"):
        request = simple(None, ALL_SYSTEMS)
        answer = provider.document(request, None)
        plain_keys(answer)
        for name in ("ContentKeyPeriodList", "ContentKeyUsageRuleList"):
            assert not answer.all(name), f"a {name} in the answer"


@rule(68, "v1: of all placeholders for every system the relevant ones remain")
def r68(checks, provider):
    request = simple(None, ALL_SYSTEMS, period=1, everything=True)
    answer = provider.document(request, None)
    for check in systems(answer, request):
        with checks.check(NAMES[check.system]):
            have = {child.tag for child in check.element}
            assert have == RELEVANT[check.system], f"{have}, expected {RELEVANT[check.system]}"
            assert all(child.text for child in check.element), "an empty value"


@rule(69, "v1: PlayReady's ProtectionHeader is the object")
def r69(checks, provider):
    request = simple(None, (d.PLAYREADY,))
    (check,) = systems(provider.document(request, None), request)
    with checks.check("object"):
        have = check.playready_object(check.text(HEADER), "ProtectionHeader")
        assert have == base64.b64decode(check.text(HEADER)), "unreadable"
    with checks.check("same as in PSSH"):
        assert base64.b64decode(check.text(HEADER)) == pssh_box(check).data, "another object"
