# SPDX-License-Identifier: Apache-2.0
"""R71 to R75: KID override, key URL, the matrix of AWS's tests."""
import itertools
import uuid

from harness import documents as d
from harness.answers import check_v2

from .provider import VERSIONS, contract, eventually, quote, simple
from .reading import (
    DRM, E7, A, V, expect_same_list, expect_same_systems, hls_attributes, plain_keys, systems,
    unquote,
)  # fmt: skip
from .rules_contract import NEGATIVE, PUBLISHED
from .rules import NotMeasured, rule


def expect_no_override(provider, version):
    request = simple(version, DRM, period=1)
    answer = provider.document(request, version)
    assert answer.kids == request.kids, "the KIDs are not the request's"
    expect_same_systems(answer, request)
    expect_same_list(answer, request, "ContentKeyUsageRuleList")


def renamed(request, kids):
    """The request as if it had come with these KIDs."""
    other = request.copy()
    for element in other.root.iter():
        if element.get("kid") in kids:
            element.set("kid", kids[element.get("kid")])
    return other


def expected_kid(namespace, content_id, track, period):
    """The published rule: a UUID of version 5 of content id, track type and period."""
    return str(uuid.uuid5(uuid.UUID(namespace), f"{content_id}\n{track}\n{period}"))


def overridden(provider, version, request):
    """The answer and the KIDs it has in place of the request's."""
    answer = provider.document(request, version)
    assert answer.kids != request.kids, "the KIDs are the request's"
    return answer, dict(zip(request.kids, answer.kids))


@rule(71, "KID override: off it changes nothing, on the new KID stands everywhere")
def r71(checks, provider):
    for version in VERSIONS:
        with checks.check(f"{version} off"):
            expect_no_override(provider, version)
    with checks.check("on"):
        with provider.settings(kid_override="on"):
            for version in VERSIONS:
                measure_override(checks, provider, version)
    if provider.options.setting_hook:
        with checks.check("off again"):
            eventually(lambda: expect_no_override(provider, "2.0"))


def measure_override(checks, provider, version):
    request = simple(version, DRM, period=3)
    answer, kids = eventually(lambda: overridden(provider, version, request))
    with checks.check(f"{version} distinct KIDs"):
        assert len(set(kids.values())) == 2, f"new KIDs {list(kids.values())}"
        assert not set(kids) & set(kids.values()), "a KID was kept"
    expected = renamed(request, kids)
    with checks.check(f"{version} everywhere"):
        expect_same_systems(answer, expected)
        expect_same_list(answer, expected, "ContentKeyUsageRuleList")
        expect_same_list(answer, expected, "ContentKeyPeriodList")
    with checks.check(f"{version} signalling"):
        check_v2(d.etree.tostring(answer.root), expected)
    with checks.check(f"{version} again"):
        again = provider.document(request, version)
        assert again.kids == answer.kids, "other KIDs"
        assert plain_keys(again) == plain_keys(answer), "other keys"
    if provider.options.override_namespace:
        with checks.check(f"{version} published rule"):
            rules = request.all("ContentKeyUsageRule")
            for one, have in zip(rules, answer.kids):
                want = expected_kid(
                    provider.options.override_namespace, request.content_id,
                    one.get("intendedTrackType"), "3",
                )  # fmt: skip
                assert have == want, f"{one.get('intendedTrackType')}: {have}, expected {want}"


@rule(72, "AES-128: the key's URL gives a player its 16 bytes")
def r72(checks, provider):
    base = provider.options.key_url_base
    if not base:
        raise NotMeasured("the key URL is served for players, not for packagers (--key-url-base)")
    base = base.rstrip("/")
    request = simple(systems=(d.CLEAR_KEY,), content_id=d.new_content_id("a b/../c"))
    answer = provider.document(request)
    keys = plain_keys(answer)
    origin = {"Origin": "https://player.example"}
    token = provider.player_token(request.content_id)
    player = {**origin, **({"Authorization": f"Bearer {token}"} if token else {})}
    for check in systems(answer, request):
        uri = unquote(hls_attributes(check)[0]["URI"])
        with checks.check("URL in the playlist"):
            assert uri.startswith(base + "/"), f"{uri} is not below {base}"
        with checks.check("key"):
            got = provider.send("GET", uri, headers=player, auth=None)
            assert got.status == 200, f"expected 200, got {got.brief()}"
            assert got.body == keys[check.kid], f"{len(got.body)} bytes that are not the key"
            assert got.headers.get("Access-Control-Allow-Origin"), "no Access-Control-Allow-Origin"
        with checks.check("OPTIONS"):
            got = provider.send(
                "OPTIONS", uri, auth=None,
                headers={**origin, "Access-Control-Request-Method": "GET"},
            )  # fmt: skip
            assert got.status in (200, 204), f"expected 200 or 204, got {got.brief()}"
            assert got.headers.get("Access-Control-Allow-Origin"), "no Access-Control-Allow-Origin"
        with checks.check("unknown KID"):
            unknown = uri.replace(check.kid, d.new_kid())
            got = provider.send("GET", unknown, headers=player, auth=None)
            assert got.status == 404, f"expected 404, got {got.brief()}"
        if token:
            with checks.check("no token"):
                got = provider.send("GET", uri, headers=origin, auth=None)
                assert got.status in (401, 403), f"expected 401 or 403, got {got.brief()}"
    with checks.check("traversal"):
        for content in ("..", "../../etc/passwd", "%2e%2e"):
            url = f"{base}/client/{quote(content)}/{d.new_kid()}"
            got = provider.send("GET", url, headers=player, auth=None)
            assert got.status in (400, 403, 404), f"{content}: {got.brief()}"


# The track types of AWS's tests; HD without an upper bound beside UHD, as they send it.
FILTERS = {
    "VIDEO": (V, {}),
    "AUDIO": (A, {}),
    "SD": (V, {"maxPixels": "589824"}),
    "HD": (V, {"minPixels": "589825"}),
    "UHD": (V, {"minPixels": "2073601"}),
    "HD1": (V, {"minPixels": "589825", "maxPixels": "921600"}),
    "HD2": (V, {"minPixels": "921601", "maxPixels": "2073600"}),
    "SD+HD1": (V, {"maxPixels": "921600"}),
    "UHD1": (V, {"minPixels": "2073601", "maxPixels": "8847360"}),
    "UHD2": (V, {"minPixels": "8847361"}),
    "STEREO_AUDIO": (A, {"maxChannels": "2"}),
    "MULTICHANNEL_AUDIO": (A, {"minChannels": "3"}),
    "MULTICHANNEL_AUDIO_3_6": (A, {"minChannels": "3", "maxChannels": "6"}),
    "MULTICHANNEL_AUDIO_7": (A, {"minChannels": "7"}),
}
TRACKS = (
    "VIDEO AUDIO",
    "SD HD UHD STEREO_AUDIO MULTICHANNEL_AUDIO",
    "SD HD1 HD2 UHD1 UHD2 STEREO_AUDIO MULTICHANNEL_AUDIO_3_6 MULTICHANNEL_AUDIO_7",
    "SD+HD1 HD2 UHD1 UHD2 STEREO_AUDIO MULTICHANNEL_AUDIO",
    "SD HD",
    "STEREO_AUDIO MULTICHANNEL_AUDIO",
)
LETTERS = {d.WIDEVINE: "W", d.PLAYREADY: "P", d.FAIRPLAY: "F"}


@rule(73, "AWS's matrix of track types and systems, live and VOD")
def r73(checks, provider):
    sets = [chosen for size in (1, 2, 3) for chosen in itertools.combinations(DRM, size)]
    for version in VERSIONS:
        for tracks, chosen, period in itertools.product(TRACKS, sets, (None, 0)):
            names = tracks.split()
            letters = "".join(LETTERS[system] for system in chosen)
            kind = "VOD" if period is None else "live"
            with checks.check(f"{version} {tracks}, {letters}, {kind}"):
                rules = [(name, [FILTERS[name]]) for name in names]
                request = d.request_v2(
                    rules, chosen, period=period, version=VERSIONS[version]
                )
                answer = provider.exchange(request, version)
                check_v2(answer.body, request)
                count = len(d.Document.parse(answer.body).all("DRMSystem"))
                assert count == len(names) * len(chosen), f"{count} DRMSystems"


@rule(74, "one key, Widevine, one rule ALL, with a period")
def r74(checks, provider):
    for version in VERSIONS:
        with checks.check(version):
            request = contract(PUBLISHED[1][0], version=version, period=1)
            check_v2(provider.exchange(request, version).body, request)


def negative_list(version):
    """{name: request} of AWS's tests; each must be refused."""

    def without(name):
        return simple(version, DRM, period=0).remove(name)

    def bare(name, attribute):
        return simple(version, DRM, period=0).set(name, attribute, None)

    names = ("ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList", "ContentKey",
             "DRMSystem", "ContentKeyUsageRule")  # fmt: skip
    attributes = (
        ("ContentKey", "kid"), ("ContentKey", "commonEncryptionScheme"), ("DRMSystem", "kid"),
        ("DRMSystem", "systemId"), ("ContentKeyUsageRule", "kid"),
        ("ContentKeyUsageRule", "intendedTrackType"),
    )  # fmt: skip
    return {
        "empty body": b"",
        "version 4.0": simple(version).set("CPIX", "version", "4.0"),
        **{f"no {name}": without(name) for name in names},
        "no filters": simple(version).remove(V).remove(A),
        **{f"no {name}@{attribute}": bare(name, attribute) for name, attribute in attributes},
        "FairPlay with cenc": simple(version, (d.FAIRPLAY,)).set(
            "ContentKey", "commonEncryptionScheme", "cenc"
        ),
        **{name: contract(*NEGATIVE[name], version=version) for name in NEGATIVE},
    }


@rule(75, "the faulty requests of AWS's suite are refused")
def r75(checks, provider):
    for version in VERSIONS:
        for name, request in negative_list(version).items():
            with checks.check(f"{version} {name}"):
                answer = provider.post(request, version)
                assert 400 <= answer.status < 600, f"expected an error, got {answer.brief()}"
                assert b"PlainValue" not in answer.body, "a key in the answer"
                assert answer.text != E7, "refused for its version"
