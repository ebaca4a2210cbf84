# SPDX-License-Identifier: Apache-2.0
"""Refusals: the standard strings, the statuses, and what must not happen besides."""
import base64

import pytest

from harness import documents as d

E1 = "Missing CPIX@contentId"
E2 = "Missing CPIX@version"
E3 = "Unsupported CPIX@version"
E4 = "Missing ContentKey@commonEncryptionScheme for KID {}"
E5 = "Non compliant ContentKey@commonEncryptionScheme combination"
E6 = "ContentKey@commonEncryptionScheme non compatible with DRMSystem {}"
E7 = "Unsupported SPEKE version"
E8 = "Malformed encryption contract"
E10 = "Missing CPIX encryption contract"

V, A = "VideoFilter", "AudioFilter"


def expect_refusal(answer, status=None, body=None):
    """A 4xx with one line of text that is no XML; with body the very string and 422."""
    status = status or 422
    wanted = status if isinstance(status, tuple) else (status,)
    assert answer.status in wanted, f"expected {wanted}, got {answer.status} {answer.text[:200]!r}"
    if body is not None:
        assert answer.text == body, f"expected exactly {body!r}, got {answer.text!r}"
    assert answer.text, "the body must say what is wrong"
    assert "\n" not in answer.text and "\r" not in answer.text, f"not one line: {answer.text!r}"
    assert len(answer.body) < 400, f"a long answer to a bad request: {answer.text!r}"
    assert "<" not in answer.text, f"XML in the answer to a bad request: {answer.text!r}"
    kind = answer.header("Content-Type")
    assert kind == "text/plain; charset=utf-8", f"Content-Type {kind!r} of an error"


def refuse(site, client, request, body=None, speke="2.0", status=422):
    """Posts and expects the refusal, no key made, and one audit row of it."""
    data = request.bytes() if hasattr(request, "bytes") else request
    before = site.counts()
    answer = client.post(data, speke=speke)
    expect_refusal(answer, status, body)
    after = site.counts()
    assert after["keys"] == before["keys"], "a refused request made keys"
    assert after["releases"] == before["releases"], "a refused request is audited as a release"
    assert after["refusals"] == before["refusals"] + 1, "a refusal must be in the audit, once"
    row = site.last_refusal()
    assert row["status"] == answer.status, f"audited status {row['status']}, sent {answer.status}"
    assert row["detail"].startswith(answer.text[:60]), f"audited {row['detail']!r}"
    return answer


def simple(*systems, **more):
    return d.simple_v2(systems or (d.WIDEVINE,), **more)


# --- the root -----------------------------------------------------------------------------------

ROOT_CASES = {
    "E1 absent": (lambda r: r.set("CPIX", "contentId", None), E1),
    "E1 empty": (lambda r: r.set("CPIX", "contentId", ""), E1),
    "E1 blank": (lambda r: r.set("CPIX", "contentId", "  "), E1),
    "E1 with id": (lambda r: r.set("CPIX", "contentId", None).set("CPIX", "id", "x"), E1),
    "E2 absent": (lambda r: r.set("CPIX", "version", None), E2),
    "E2 empty": (lambda r: r.set("CPIX", "version", ""), E2),
    "E3 4.0": (lambda r: r.set("CPIX", "version", "4.0"), E3),
    "E3 2.4 with 2.0": (lambda r: r.set("CPIX", "version", "2.4"), E3),
    "E1 before E2": (lambda r: r.set("CPIX", "contentId", None).set("CPIX", "version", None), E1),
    "E2 before lists": (lambda r: r.set("CPIX", "version", None).remove("ContentKeyList"), E2),
}


@pytest.mark.parametrize("name", ROOT_CASES)
def test_root(site, client, name):
    """R12, R13 and the order of the checks."""
    spoil, body = ROOT_CASES[name]
    refuse(site, client, spoil(simple()), body)


def test_version_pairs(site, client):
    """R13: 2.1 wants CPIX 2.4 and nothing else."""
    refuse(site, client, simple(version="2.3"), E3, speke="2.1")


# --- X-Speke-Version ------------------------------------------------------------------------------


def test_empty_version(site, client, web):
    """R6: lighttpd leaves an empty header out, so there it is as good as none, which a v2 document
    does not pass with either."""
    text = E7 if web.server == "apache" else None
    refuse(site, client, simple(), text, speke="")


@pytest.mark.parametrize("value", ["3.0", "2", "2.00", "2.2", "02.0", "v2.0", "2.0.0"])
def test_unsupported_version(site, client, value):
    """R6: E7, whatever the document holds; it is not even looked at."""
    refuse(site, client, simple(), E7, speke=value)
    refuse(site, client, simple().set("CPIX", "contentId", None), E7, speke=value)


def test_version_is_not_guessed(site, client):
    """R7: a v2 document without the header is refused as v1, by a text that names the header."""
    answer = refuse(site, client, simple(), speke=None)
    assert "X-Speke-Version" in answer.text, f"the header must be named: {answer.text!r}"


# --- lists ----------------------------------------------------------------------------------------

LISTS = ("ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("spoil", ["remove", "empty", "double"])
def test_lists(site, client, name, spoil):
    """R17."""
    request = simple()
    getattr(request, spoil)(name)
    body = E10 if name == "ContentKeyUsageRuleList" and spoil != "double" else None
    refuse(site, client, request, body)


@pytest.mark.parametrize("name", ["ContentKeyPeriodList"])
def test_second_period_list(site, client, name):
    refuse(site, client, simple(period=1).double(name))


# --- keys -----------------------------------------------------------------------------------------

NOT_UUIDS = [
    "x",
    "5c0f7a3e1b2d4e6f8a90b1c2d3e4f506",
    "{5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506}",
    "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f50g",
    "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f5066",
    "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f50",
    "5c0f7a3e_1b2d_4e6f_8a90_b1c2d3e4f506",
]


@pytest.mark.parametrize("kid", [None, "", *NOT_UUIDS])
@pytest.mark.parametrize("name", ["ContentKey", "DRMSystem"])
def test_kid_is_a_uuid(site, client, name, kid):
    """R18, R28."""
    refuse(site, client, simple().set(name, "kid", kid, 1))


def test_duplicate_kid(site, client):
    """R18: also when the two differ in case alone."""
    request = simple()
    kid = request.kids[0]
    refuse(site, client, request.copy().set("ContentKey", "kid", kid, 1))
    refuse(site, client, request.copy().set("ContentKey", "kid", kid.upper(), 1))


@pytest.mark.parametrize("value", [None, "", " "])
def test_missing_scheme(site, client, value):
    """R19: E4 names the KID, as the request wrote it."""
    request = simple(keys=("VIDEO", "AUDIO"))
    second = request.copy().set("ContentKey", "commonEncryptionScheme", value, 1)
    refuse(site, client, second, E4.format(request.kids[1]))
    both = request.copy().set("ContentKey", "commonEncryptionScheme", value)
    refuse(site, client, both, E4.format(request.kids[0]))
    upper = request.copy().set("ContentKey", "kid", request.kids[0].upper(), 0)
    upper.set("ContentKey", "commonEncryptionScheme", value)
    refuse(site, client, upper, E4.format(request.kids[0].upper()))


def test_mixed_schemes(site, client):
    """R20, and that E5 goes before E6."""
    request = simple(d.FAIRPLAY).set("ContentKey", "commonEncryptionScheme", "cenc", 1)
    refuse(site, client, request, E5)


MISFITS = [
    ((d.FAIRPLAY,), "cenc", d.FAIRPLAY),
    ((d.FAIRPLAY,), "cbc1", d.FAIRPLAY),
    ((d.FAIRPLAY,), "SAMPLE-AES", d.FAIRPLAY),
    ((d.CLEAR_KEY,), "cbcs", d.CLEAR_KEY),
    ((d.CLEAR_KEY,), "cenc", d.CLEAR_KEY),
    ((d.WIDEVINE,), "cbc1", d.WIDEVINE),
    ((d.WIDEVINE,), "cens", d.WIDEVINE),
    ((d.PLAYREADY,), "cens", d.PLAYREADY),
    ((d.WIDEVINE,), "rot13", d.WIDEVINE),
    ((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), "cenc", d.FAIRPLAY),
    ((d.WIDEVINE, d.CLEAR_KEY, d.PLAYREADY), "cenc", d.CLEAR_KEY),
]


@pytest.mark.parametrize(
    "systems,scheme,culprit", MISFITS, ids=[f"{len(m[0])}-{m[1]}-{m[2][:4]}" for m in MISFITS]
)
def test_scheme_against_system(site, client, systems, scheme, culprit):
    """R21, R55: E6 names the system at fault, as the request wrote it."""
    refuse(site, client, simple(*systems, scheme=scheme), E6.format(culprit))
    upper = simple(*systems, scheme=scheme)
    for system in upper.all("DRMSystem"):
        system.set("systemId", system.get("systemId").upper())
    refuse(site, client, upper, E6.format(culprit.upper()))


@pytest.mark.parametrize(
    "value", ["AAAA", "x", base64.b64encode(bytes(15)).decode(), base64.b64encode(bytes(17)).decode()]
)
def test_bad_explicit_iv(site, client, value):
    """R25."""
    refuse(site, client, simple().set("ContentKey", "explicitIV", value, 0))


# --- systems --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "widevine"])
def test_system_id_is_a_uuid(site, client, value):
    """R28."""
    refuse(site, client, simple().set("DRMSystem", "systemId", value, 1))


@pytest.mark.parametrize(
    "system", ["00000000-0000-0000-0000-000000000001", d.HLS_AES_128], ids=["unknown", "v1-only"]
)
def test_unknown_system(site, client, system):
    """R28: the whole request is refused, and the system named."""
    request = simple().set("DRMSystem", "systemId", system, 1)
    refuse(site, client, request, f"Unsupported DRMSystem {system}")


def test_system_of_no_key(site, client):
    """R28."""
    refuse(site, client, simple().set("DRMSystem", "kid", d.new_kid(), 1))


def test_two_lines_for_one_playlist(site, client):
    kinds = {d.WIDEVINE: ("PSSH", "media", "media")}
    refuse(site, client, simple(placeholders=kinds))


def test_encrypted_keys_are_not_answered_in_the_clear(site, client):
    """A request for content key encryption, which is not there yet, never gets clear keys."""
    request = simple()
    request.root.insert(0, d.etree.Element(d.cpix("DeliveryDataList")))
    data = d.etree.SubElement(request.root[0], d.cpix("DeliveryData"), {"id": "r"})
    d.etree.SubElement(data, d.cpix("DeliveryKey"))
    refuse(site, client, request)


# --- the contract ---------------------------------------------------------------------------------


def contract(*rules, **more):
    return d.request_v2(list(rules), [d.WIDEVINE], **more)


CONTRACTS = {
    "rule without kid": lambda: simple().set("ContentKeyUsageRule", "kid", None, 1),
    "rule with empty kid": lambda: simple().set("ContentKeyUsageRule", "kid", "", 1),
    "rule without type": lambda: simple().set("ContentKeyUsageRule", "intendedTrackType", None, 1),
    "rule with empty type": lambda: simple().set("ContentKeyUsageRule", "intendedTrackType", "", 1),
    "rule of no key": lambda: simple().set("ContentKeyUsageRule", "kid", d.new_kid(), 1),
    "key without rule": lambda: simple().remove("ContentKeyUsageRule", 1),
    "two rules for a key": lambda: simple()
    .double("ContentKeyUsageRule", 1)
    .set("ContentKeyUsageRule", "intendedTrackType", "OTHER", 2),
    "track type twice": lambda: contract(("VIDEO", [(V, {})]), ("VIDEO", [(V, {})])),
    "ALL with video only": lambda: contract(("ALL", [(V, {})])),
    "ALL with audio only": lambda: contract(("ALL", [(A, {})])),
    "ALL with attributes": lambda: contract(("ALL", [(V, {"maxPixels": "9"}), (A, {})])),
    "ALL with audio attributes": lambda: contract(("ALL", [(V, {}), (A, {"maxChannels": "2"})])),
    "ALL with three filters": lambda: contract(("ALL", [(V, {}), (A, {}), (A, {})])),
    "ALL beside another": lambda: contract(("ALL", [(V, {}), (A, {})]), ("AUDIO", [(A, {})])),
    "two filters for one part": lambda: contract(("VIDEO", [(V, {}), (V, {"hdr": "true"})])),
    "three filters for two parts": lambda: contract(("SD+HD", [(V, {})] * 3)),
    "empty part at the end": lambda: contract(("SD+", [(V, {})])),
    "empty part at the front": lambda: contract(("+SD", [(V, {})])),
    "empty part in the middle": lambda: contract(("SD++HD", [(V, {})] * 3)),
    "one rule without filters": lambda: contract(("VIDEO", [(V, {})]), ("AUDIO", [])),
    "BitrateFilter": lambda: contract(("VIDEO", [(V, {}), ("BitrateFilter", {"minBitrate": "1"})])),
    "LabelFilter": lambda: contract(("VIDEO", [(V, {}), ("LabelFilter", {"label": "x"})])),
    "wcg": lambda: contract(("VIDEO", [(V, {"wcg": "true"})])),
    "unknown attribute": lambda: contract(("VIDEO", [(V, {"shape": "round"})])),
    "video attribute on audio": lambda: contract(("AUDIO", [(A, {"maxPixels": "1"})])),
    "min above max": lambda: contract(("VIDEO", [(V, {"minPixels": "2", "maxPixels": "1"})])),
    "fps min equals max": lambda: contract(("VIDEO", [(V, {"minFps": "30", "maxFps": "30"})])),
    "negative": lambda: contract(("VIDEO", [(V, {"minPixels": "-1"})])),
    "no number": lambda: contract(("VIDEO", [(V, {"maxPixels": "many"})])),
    "empty number": lambda: contract(("VIDEO", [(V, {"maxPixels": ""})])),
    "33 bits": lambda: contract(("VIDEO", [(V, {"maxPixels": "4294967296"})])),
    "huge number": lambda: contract(("VIDEO", [(V, {"maxPixels": "9" * 40})])),
    "hdr yes": lambda: contract(("VIDEO", [(V, {"hdr": "yes"})])),
    "channels min above max": lambda: contract(
        ("AUDIO", [(A, {"minChannels": "3", "maxChannels": "2"})])
    ),
    "unknown period": lambda: simple(period=1).set("KeyPeriodFilter", "periodId", "elsewhere", 0),
    "period filter without id": lambda: simple(period=1).set("KeyPeriodFilter", "periodId", None, 0),
    "aws negative 1": lambda: contract(
        ("ALL", [(V, {"maxPixels": "442368"})]),
        ("ALL", [(V, {"minPixels": "442369"})]),
        ("STEREO_AUDIO", [(A, {"maxChannels": "2"})]),
        ("MULTICHANNEL_AUDIO", [(A, {"minChannels": "3"})]),
    ),
    "aws negative 2": lambda: contract(
        ("ALL", [(A, {"maxChannels": "2"})]),
        ("ALL", [(A, {"minChannels": "3"})]),
        ("SD", [(V, {"maxPixels": "442368"})]),
        ("HD", [(V, {"minPixels": "442369"})]),
    ),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_malformed_contract(site, client, name):
    """R40 to R46, R49: E8."""
    refuse(site, client, CONTRACTS[name](), E8)


def test_no_filters_at_all(site, client):
    """R39: E10."""
    request = simple().remove(V).remove(A)
    refuse(site, client, request, E10)
    refuse(site, client, simple(period=0).remove(V).remove(A), E10)


# --- periods --------------------------------------------------------------------------------------


def test_period_without_index(site, client):
    """R53: v2.0 needs the index."""
    refuse(site, client, simple(period_attributes={}))
    times = {"start": "2027-03-01T10:00:00Z", "end": "2027-03-01T10:05:00Z"}
    refuse(site, client, simple(period_attributes=times))


# --- the negative list of AWS's suite (R75) -------------------------------------------------------

SUITE = {
    "empty body": lambda: b"",
    "version 4.0": lambda: simple().set("CPIX", "version", "4.0"),
    "no ContentKey": lambda: simple().remove("ContentKey"),
    "no DRMSystem": lambda: simple().remove("DRMSystem"),
    "no ContentKeyUsageRule": lambda: simple().remove("ContentKeyUsageRule"),
    "no kid of keys": lambda: simple().set("ContentKey", "kid", None),
    "no scheme": lambda: simple().set("ContentKey", "commonEncryptionScheme", None),
    "no kid of systems": lambda: simple().set("DRMSystem", "kid", None),
    "no systemId": lambda: simple().set("DRMSystem", "systemId", None),
    "no kid of rules": lambda: simple().set("ContentKeyUsageRule", "kid", None),
    "no type": lambda: simple().set("ContentKeyUsageRule", "intendedTrackType", None),
    "FairPlay with cenc": lambda: simple(d.FAIRPLAY, scheme="cenc"),
}


@pytest.mark.parametrize("name", SUITE)
def test_negative_list(site, client, name):
    refuse(site, client, SUITE[name](), status=(400, 422))


# --- v1 -------------------------------------------------------------------------------------------

V1_CASES = {
    "no id": lambda r: r.set("CPIX", "id", None),
    "empty id": lambda r: r.set("CPIX", "id", ""),
    "no key list": lambda r: r.remove("ContentKeyList"),
    "empty key list": lambda r: r.empty("ContentKeyList"),
    "no system list": lambda r: r.remove("DRMSystemList"),
    "empty system list": lambda r: r.empty("DRMSystemList"),
    "no kid": lambda r: r.set("ContentKey", "kid", None),
    "bad kid": lambda r: r.set("ContentKey", "kid", "x"),
    "unknown system": lambda r: r.set("DRMSystem", "systemId", d.new_kid()),
    "no systemId": lambda r: r.set("DRMSystem", "systemId", None),
    "v2's clear key": lambda r: r.set("DRMSystem", "systemId", d.CLEAR_KEY),
}


@pytest.mark.parametrize("name", V1_CASES)
def test_v1(site, client, name):
    """R67."""
    request = V1_CASES[name](d.request_v1([d.WIDEVINE], period=1))
    answer = refuse(site, client, request, speke=None)
    assert answer.header("Speke-User-Agent"), "v1: Speke-User-Agent on errors too"


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/copyProtection", "/v1.0/copyProtection", "/v2.0/copyProtection"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_methods(client, method, path):
    """R9: 405 with Allow."""
    client.login()
    answer = client.request(method, path)
    assert answer.status == 405, f"{method}: expected 405, got {answer.status}"
    assert "POST" in (answer.header("Allow") or ""), f"Allow: {answer.header('Allow')!r}"


@pytest.mark.parametrize("path", ["/v1.0/heartbeat", "/health"])
def test_post_where_get_belongs(client, path):
    client.login()
    answer = client.request("POST", path, b"x", {"Content-Type": "text/plain"})
    assert answer.status == 405, f"expected 405, got {answer.status}"
    assert "GET" in (answer.header("Allow") or ""), f"Allow: {answer.header('Allow')!r}"


@pytest.mark.parametrize("path", ["", "/", "/other", "/copyProtection/x", "/copyprotection"])
def test_unknown_path(client, path):
    """404, but never an exchange."""
    client.login()
    answer = client.post(simple(), path=path)
    assert answer.status == 404, f"{path!r}: expected 404, got {answer.status} {answer.text[:100]!r}"


def test_error_headers(client):
    """1.3: the provider's name, and the version when it is a supported one."""
    answer = client.post(simple().set("CPIX", "contentId", None))
    assert answer.status == 422, f"expected 422, got {answer.status}"
    assert answer.header("X-Speke-User-Agent"), "X-Speke-User-Agent on errors too"
    assert answer.header("X-Speke-Version") == "2.0", "X-Speke-Version on errors too"
    answer = client.post(simple(), speke="9.9")
    assert answer.status == 422, f"expected 422, got {answer.status}"
    assert answer.header("X-Speke-Version") is None, "an unsupported version is not echoed"


def test_every_way_to_run(site, any_client):
    """The same refusals from spawned processes and plain CGI."""
    refuse(site, any_client, simple().set("CPIX", "contentId", None), E1)
    refuse(site, any_client, simple(), E7, speke="3.0")
    refuse(site, any_client, contract(("VIDEO", [(V, {"wcg": "true"})])), E8)
    answer = any_client.request("GET", "/copyProtection")
    assert answer.status == 405, f"GET: expected 405, got {answer.status}"
