# SPDX-License-Identifier: Apache-2.0
"""SPEKE v2: what a valid request gets. Every answer is judged whole by harness.answers."""
import base64
import itertools
import os

import pytest

from harness import documents as d
from harness.answers import check_v2

SYSTEM_SETS = [
    systems
    for size in (1, 2, 3)
    for systems in itertools.combinations((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), size)
]
LETTERS = {d.WIDEVINE: "W", d.PLAYREADY: "P", d.FAIRPLAY: "F"}


def names(systems):
    return "".join(LETTERS[system] for system in systems)


def exchange(client, request, version="2.0"):
    """Posts, expects 200 and a right answer; returns its keys."""
    answer = client.post(request, speke=version)
    assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
    content_type = answer.header("Content-Type")
    assert content_type.split(";")[0].strip() == "application/xml", f"type {content_type!r}"
    if "charset" in content_type:
        assert "charset=utf-8" in content_type.lower(), f"charset in {content_type!r}"
    assert answer.header("X-Speke-Version") == version, "X-Speke-Version must be the request's"
    assert answer.header("X-Speke-User-Agent"), "X-Speke-User-Agent must not be empty"
    assert "no-store" in answer.header("Cache-Control"), "nobody may keep an answer with keys"
    return check_v2(answer.body, request, client.base)


@pytest.mark.parametrize("period", [None, 0], ids=["vod", "live"])
@pytest.mark.parametrize("systems", SYSTEM_SETS, ids=names)
@pytest.mark.parametrize("video,audio", d.preset_pairs())
def test_every_preset(client, video, audio, systems, period):
    """R1, R22, R27, R29-R35, R50, R73: the preset pairs of the AWS encryptors, and R24: the same
    again when asked again."""
    rules = d.preset_rules(video, audio)
    request = d.request_v2(rules, systems, period=period)
    assert len(request.all("DRMSystem")) == len(rules) * len(systems), "the request's own count"
    first = exchange(client, request)
    assert len(first.key) == len(rules), f"{len(rules)} keys expected, got {len(first.key)}"
    again = exchange(client, request)
    assert again == first, "the same request must give the same keys and IVs"


@pytest.mark.parametrize("systems", [(d.WIDEVINE,), (d.PLAYREADY,), (d.WIDEVINE, d.PLAYREADY)])
def test_widevine_and_playready_take_cbcs(client, systems):
    """R21: the other scheme that these two know."""
    exchange(client, d.simple_v2(systems, scheme="cbcs"))


@pytest.mark.parametrize("period", [None, 3], ids=["vod", "live"])
def test_clear_key_aes_128(client, period):
    """R21, R32: Clear Key AES-128 with cbc1; nothing but HLS lines that name the key's URL."""
    exchange(client, d.simple_v2((d.CLEAR_KEY,), period=period))


def test_clear_key_with_every_placeholder(client):
    """R32, R36: what has no meaning for Clear Key is taken out, PSSH stays empty."""
    kinds = {d.CLEAR_KEY: ("PSSH", "ContentProtectionData", "media", "master", "Smooth")}
    exchange(client, d.simple_v2((d.CLEAR_KEY,), placeholders=kinds))


def test_all_placeholders_for_all_systems(client):
    """R32, R36: meaningless placeholders are removed, none is added."""
    every = ("PSSH", "ContentProtectionData", "media", "master", "Smooth")
    kinds = {system: every for system in (d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY)}
    exchange(client, d.simple_v2(tuple(kinds), placeholders=kinds))


@pytest.mark.parametrize(
    "kinds",
    [(), ("PSSH",), ("ContentProtectionData",), ("media",), ("master",), ("master", "media")],
    ids=lambda kinds: "+".join(kinds) or "nothing",
)
@pytest.mark.parametrize("system", [d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY], ids=LETTERS.get)
def test_only_what_was_asked_for(client, system, kinds):
    """R36."""
    exchange(client, d.simple_v2((system,), placeholders={system: kinds}))


def test_single_rule_all(client):
    """R74: one key, Widevine, one rule ALL with the VideoFilter first, with a period."""
    exchange(client, d.request_v2(d.preset_rules("SHARED", "SHARED"), [d.WIDEVINE], period=1))


# The ten contracts that AWS publishes (R38).
_V, _A = "VideoFilter", "AudioFilter"
_NUMBERS = {
    "SD": {"maxPixels": "589824"},
    "HD": {"minPixels": "589825", "maxPixels": "2073600"},
    "UHD": {"minPixels": "2073601"},
}
_SD, _HD, _UHD = ((name, [(_V, _NUMBERS[name])]) for name in ("SD", "HD", "UHD"))
_VIDEO, _AUDIO = ("VIDEO", [(_V, {})]), ("AUDIO", [(_A, {})])
_STEREO = ("STEREO_AUDIO", [(_A, {"maxChannels": "2"})])
_UHD_LEVELS = [
    ("UHD1", [(_V, {"minPixels": "2073601", "maxPixels": "8847360"})]),
    ("UHD2", [(_V, {"minPixels": "8847361"})]),
]
CONTRACTS = {
    1: [("ALL", [(_V, {}), (_A, {})])],
    2: [_VIDEO, _AUDIO],
    3: [_VIDEO],
    4: [_SD, ("HD", [(_V, {"minPixels": "589825"})]), _AUDIO],
    5: [_SD, _HD, _UHD, _AUDIO],
    6: [_SD, _HD, *_UHD_LEVELS, _AUDIO],
    7: [
        _SD,
        ("HD1", [(_V, {"minPixels": "589825", "maxPixels": "921600"})]),
        ("HD2", [(_V, {"minPixels": "921601", "maxPixels": "2073600"})]),
        *_UHD_LEVELS,
        _AUDIO,
    ],
    8: [
        (
            "SD+HD",
            [
                (_V, {"maxPixels": "442368", "maxFps": "30", "hdr": "false"}),
                (_V, {"minPixels": "442369", "maxPixels": "2073600", "maxFps": "30", "hdr": "false"}),
            ],
        ),
        (
            "HDR+HFR+UHD",
            [(_V, {"hdr": "true"}), (_V, {"minFps": "30"}), (_V, {"minPixels": "2073601"})],
        ),
        _AUDIO,
    ],
    9: [_VIDEO, _STEREO, ("MULTICHANNEL_AUDIO", [(_A, {"minChannels": "3"})])],
    10: [
        _VIDEO,
        _STEREO,
        ("MULTICHANNEL_AUDIO_3_6", [(_A, {"minChannels": "3", "maxChannels": "6"})]),
        ("MULTICHANNEL_AUDIO_7", [(_A, {"minChannels": "7"})]),
    ],
}


@pytest.mark.parametrize("number", CONTRACTS)
def test_published_contracts(client, number):
    """R38: accepted, and the rules come back as they were."""
    exchange(client, d.request_v2(CONTRACTS[number], [d.WIDEVINE], period=0))


@pytest.mark.parametrize(
    "rules",
    [
        [("ALL", [(_A, {}), (_V, {})])],
        [("SD+HD", [(_V, {"maxPixels": "1"}), (_V, {"minPixels": "2"})])],
        [("SD+HD1", [(_V, {"maxPixels": "921600"})])],
        [("VIDEO", [(_V, {"hdr": "1"})])],
        [("A", [(_V, {"maxPixels": "100"})]), ("B", [(_V, {"minPixels": "50"})])],
        [("A", [(_V, {"maxPixels": "100"})]), ("B", [(_V, {"minPixels": "500"})])],
        [("A", [(_V, {"minPixels": "4294967295"})])],
    ],
    ids=["all-audio-first", "two-parts", "aws-sd-hd1", "hdr-1", "overlap", "gap", "largest-number"],
)
def test_contracts_that_are_fine(client, rules):
    """R42, R43, R45, R47."""
    exchange(client, d.request_v2(rules, [d.WIDEVINE]))


# --- headers and text ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x-speke-version", "X-SPEKE-VERSION", "X-sPeKe-vErSiOn"])
def test_header_name_in_any_case(client, name):
    """R5."""
    request = d.simple_v2()
    answer = client.post(request, speke=None, headers={name: "2.0"})
    assert answer.status == 200, f"{name}: expected 200, got {answer.status} {answer.text[:200]}"
    check_v2(answer.body, request)
    assert answer.header("X-Speke-Version") == "2.0", f"{name}: version not echoed"


@pytest.mark.parametrize("content_type", [None, "text/xml", "application/octet-stream"])
def test_content_type_of_the_request_does_not_matter(client, content_type):
    request = d.simple_v2()
    headers = {"Content-Type": content_type or ""}
    answer = client.post(request, headers=headers)
    assert answer.status == 200, f"{content_type}: expected 200, got {answer.status}"
    check_v2(answer.body, request)


@pytest.mark.parametrize(
    "path", ["/copyProtection", "/v1.0/copyProtection", "/v2.0/copyProtection"]
)
def test_every_path(client, path):
    """The version is in the header alone, on every path."""
    request = d.simple_v2()
    answer = client.post(request, path=path)
    assert answer.status == 200, f"{path}: expected 200, got {answer.status} {answer.text[:200]}"
    check_v2(answer.body, request)


def test_other_prefixes(client):
    """R15: the answer declares cpix and pskc, whatever the request's prefixes are."""
    request = d.simple_v2((d.WIDEVINE, d.PLAYREADY))
    text = request.bytes().replace(b"xmlns:pskc", b"xmlns:pksc")
    text = text.replace(b"<cpix:", b"<").replace(b"</cpix:", b"</")
    text = text.replace(b"xmlns:cpix", b"xmlns")
    assert b"cpix:CPIX" not in text, "the request must use the default namespace"
    answer = client.post(text)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]}"
    check_v2(answer.body, request)


def test_speke_namespace_is_dropped(client):
    """R16."""
    request = d.simple_v2((d.WIDEVINE,))
    noisy = request.copy()
    for index in range(2):
        noisy.add("DRMSystem", "KeyFormat", index=index, namespace=d.SPEKE)
        noisy.add("DRMSystem", "URIExtXKey", index=index)
    answer = client.post(noisy)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]}"
    check_v2(answer.body, request)


def test_names_and_ids_are_echoed(client):
    """R14, and @name and @id of DRMSystem."""
    request = d.simple_v2((d.WIDEVINE,)).set("CPIX", "name", "A & B <film>")
    request.set("DRMSystem", "name", "Wídevine", 0)
    keys = exchange(client, request)
    with_id = request.copy().set("CPIX", "id", "other")
    answer = client.post(with_id)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]}"
    assert check_v2(answer.body, request) == keys, "CPIX@id must not matter in v2"


@pytest.mark.parametrize(
    "content_id",
    [
        'quote" and \\backslash\\',
        "naïve Füchse 日本語 🎬",
        "<&>'\"]]>",
        "../../etc/passwd",
        "%s%n%x%d",
        "'; DROP TABLE speke.content_key; --",
        "a" * 1024,
        "\U0001f3ac" * 1024,
        " blanks inside and  around ",
        "{kid}{key_url}{content_id}",
    ],
    ids=lambda text: text[:12].encode("ascii", "replace").decode(),
)
def test_content_id_is_opaque(client, content_id):
    """R35 and more: any text up to 1024 characters goes through unharmed."""
    request = d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), content_id=content_id)
    exchange(client, request)
    exchange(client, d.simple_v2((d.CLEAR_KEY,), content_id=content_id))


def test_order_comments_and_old_text_do_not_matter(client):
    """R37."""
    request = d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), period=0)
    keys = exchange(client, request)
    other = request.copy()
    for element in list(other.root):
        other.root.insert(0, element)  # the lists in reverse
    for system in other.all("DRMSystem"):
        for child in list(system):
            child.text = "b2xk"
            system.insert(0, child)
    for name in ("DRMSystemList", "ContentKeyList", "ContentKeyUsageRule"):
        other.all(name)[0].insert(0, d.etree.Comment(" a remark "))
        other.all(name)[0].text = "\n   "
    answer = client.post(other)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]}"
    assert check_v2(answer.body, other) == keys, "order, comments and blanks changed the keys"


def test_byte_order_mark_and_declarations(client):
    request = d.simple_v2()
    bare = d.etree.tostring(request.root)
    first = None
    for text in (
        bare,
        b"\xef\xbb\xbf" + bare,
        b'<?xml version="1.0"?>\n' + bare,
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>' + bare,
        b"<!-- hello -->" + bare + b"\n<!-- bye -->\n",
    ):
        answer = client.post(text)
        assert answer.status == 200, f"{text[:60]!r}: {answer.status} {answer.text[:200]}"
        keys = check_v2(answer.body, request)
        first = first or keys
        assert keys == first, f"{text[:60]!r}: other keys"


# --- identity of keys ---------------------------------------------------------------------------


def test_same_kid_other_content(client):
    """R24."""
    one = d.simple_v2()
    other = d.simple_v2(kids=one.kids)
    keys, others = exchange(client, one), exchange(client, other)
    assert not set(keys.key.values()) & set(others.key.values()), "contents share a content key"
    assert not set(keys.iv.values()) & set(others.iv.values()), "contents share an IV"


def test_key_depends_on_content_and_kid_alone(client):
    """R26: not on systems, scheme, order, track type, case of the KID or company."""
    request = d.simple_v2((d.WIDEVINE,))
    kids, content = request.kids, request.content_id
    first = exchange(client, request)
    variants = [
        d.simple_v2((d.PLAYREADY, d.FAIRPLAY), content_id=content, kids=kids),
        d.simple_v2((d.FAIRPLAY, d.WIDEVINE), content_id=content, kids=kids, period=5),
        d.simple_v2((d.WIDEVINE,), ("AUDIO", "VIDEO"), content_id=content, kids=kids),
        d.simple_v2((d.WIDEVINE,), content_id=content, kids=kids[::-1]),
        d.simple_v2((d.WIDEVINE,), content_id=content, kids=[kid.upper() for kid in kids]),
    ]
    for variant in variants:
        assert exchange(client, variant) == first, f"other keys for {variant.bytes()!r}"
    alone = d.simple_v2((d.WIDEVINE,), ("VIDEO",), content_id=content, kids=kids[:1])
    assert exchange(client, alone).key[kids[0]] == first.key[kids[0]], "other key without company"


def test_uppercase_ids_are_echoed(client):
    """R27."""
    request = d.simple_v2((d.WIDEVINE, d.PLAYREADY))
    for system in request.all("DRMSystem"):
        system.set("systemId", system.get("systemId").upper())
    exchange(client, request)


def test_kid_that_is_no_version_4_uuid(client):
    """R18: version and variant bits are not looked at."""
    kids = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    exchange(client, d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), kids=kids))


def test_rotation_gives_other_keys(client):
    """R51."""
    content, seen = d.new_content_id(), set()
    for period in range(4):
        request = d.simple_v2(content_id=content, period=period)
        keys = exchange(client, request)
        assert not seen & set(keys.key.values()), f"period {period} repeats a key"
        seen |= set(keys.key.values())


def test_explicit_iv_is_echoed_and_kept(client):
    """R25: given IVs come back as text, also when their base64 is not canonical."""
    raw = os.urandom(16)
    canonical = base64.b64encode(raw).decode()
    sloppy = "h3toSFIlyAYpfXVQ795m6x=="  # from AWS's examples: surplus bits are set
    request = d.simple_v2((d.FAIRPLAY,), ivs=[canonical, sloppy])
    keys = exchange(client, request)
    assert keys.iv[request.kids[0]] == raw, "the given IV was changed"


def test_explicit_iv_once_given_stays(client):
    """R24, R25: what was given at the first request is the IV when none is given later."""
    raw = os.urandom(16)
    first = d.simple_v2((d.FAIRPLAY,), ("VIDEO",), ivs=[base64.b64encode(raw).decode()])
    exchange(client, first)
    second = d.simple_v2((d.FAIRPLAY,), ("VIDEO",), content_id=first.content_id, kids=first.kids)
    assert exchange(client, second).iv[first.kids[0]] == raw, "the IV that was given is forgotten"


def test_made_ivs_are_not_the_keys_and_differ(client):
    """R25, and what the reference server gets wrong: the key used as the IV."""
    keys = exchange(client, d.many_keys(8))
    assert len(set(keys.iv.values())) == 8, "IVs repeat"
    assert not set(keys.iv.values()) & set(keys.key.values()), "an IV is one of the keys"


def test_many_keys(client):
    """An answer of some hundred kilobytes."""
    request = d.many_keys(60)
    assert exchange(client, request) == exchange(client, request), "60 keys changed"


def test_largest_documented_number_of_keys(client):
    """max_keys is 1000 by default and the body limit of 1 MiB holds so many."""
    request = d.many_keys(1000, (d.WIDEVINE,), placeholders={d.WIDEVINE: ("PSSH",)})
    assert len(request.bytes()) < 1048576, "the request must fit into 1 MiB"
    keys = exchange(client, request)
    assert len(keys.key) == 1000, f"expected 1000 keys, got {len(keys.key)}"


# --- v2.1 ---------------------------------------------------------------------------------------


def request_2_1(**more):
    return d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), version="2.4", **more)


@pytest.mark.parametrize("period", [None, 0], ids=["vod", "live"])
def test_version_2_1(client, period):
    """R54."""
    exchange(client, request_2_1(period=period), "2.1")


@pytest.mark.parametrize(
    "attributes",
    [
        {"index": "1", "start": "2027-03-01T10:00:00Z", "end": "2027-03-01T10:05:00Z"},
        {"start": "2027-03-01T12:00:00.250+02:00", "end": "2027-03-01T12:05:00.5+02:00"},
        {"startOffset": "PT0S", "endOffset": "PT1H30M"},
        {"index": "7", "startOffset": "P0Y0M0DT0H0M0.0S", "endOffset": "PT300.25S"},
    ],
    ids=["wall-clock", "offset-zone", "offsets", "all"],
)
def test_period_times_are_echoed(client, attributes):
    """R52, R53."""
    exchange(client, request_2_1(period_attributes=attributes), "2.1")


def test_hls_method_as_scheme(client):
    """R55: in v2.1 the scheme may be an HLS method's name."""
    kinds = {d.FAIRPLAY: ("media", "master")}
    request = d.simple_v2((d.FAIRPLAY,), version="2.4", scheme="SAMPLE-AES", placeholders=kinds)
    exchange(client, request, "2.1")


@pytest.mark.parametrize("word", ["master", "multiVariant"])
def test_playlist_word_is_echoed(client, word):
    """R58."""
    systems = (d.WIDEVINE, d.FAIRPLAY)
    kinds = {system: ("PSSH", "media", word) for system in systems}
    request = d.simple_v2(systems, version="2.4", placeholders=kinds)
    exchange(client, request, "2.1")


# --- the other ways to run ------------------------------------------------------------------------


def test_every_way_to_run(any_client):
    """Spawned by either server, and as plain CGI: the same answers as standing alone."""
    for systems in SYSTEM_SETS:
        request = d.simple_v2(systems, period=1)
        assert exchange(any_client, request) == exchange(any_client, request), "keys changed"
    exchange(any_client, d.many_keys(10))
    exchange(any_client, d.simple_v2((d.CLEAR_KEY,)))


def test_same_keys_whichever_way(site):
    """R24: one content has the same keys in front of every server."""
    request, first = d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY)), None
    for kind in site.WEB_KINDS:
        with site.web(kind).client() as client:
            keys = exchange(client, request)
        first = first or keys
        assert keys == first, f"{kind} gave other keys"
