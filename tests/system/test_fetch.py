# SPDX-License-Identifier: Apache-2.0
"""Packagers that fetch a content's keys by its name: GET /cpix and /vod-drm, behind Basic and client
certificates on both servers."""
import base64
import json
import time
import urllib.parse
import uuid

import pytest
from lxml import etree

from harness import documents as d
from harness.answers import check_v2
from harness.http import at_once
from harness.site import TOP  # noqa: F401 - makes the harness's paths known

NS = {"c": d.CPIX, "p": d.PSKC}
OVERRIDE = uuid.UUID("2f8a9c1e-6b7d-5e43-9a10-5d3c7e8f4b21")
NAME, PASSWORD, TENANT = "fetcher", "pw-fetcher", "fetching"
SERVERS = ["lighttpd", "apache"]


@pytest.fixture(scope="module")
def tenant_site(site):
    site.ctl("tenant", "add", TENANT, user="op")
    site.ctl("client", "add", NAME, "--tenant", TENANT, user="op")
    site.set_password(NAME, PASSWORD)
    site.ctl("policy", "set", TENANT, "fetch_tracks", "SD HD AUDIO", user="op")
    return site


@pytest.fixture(scope="module", params=SERVERS)
def basic(request, site):
    """A kept connection as client "encoder" of tenant "demo", whose tenant has no settings."""
    with site.web(request.param, "basic").client() as client:
        yield client


@pytest.fixture(scope="module", params=SERVERS)
def maker(request, tenant_site):
    """One as a client whose tenant has keys made when they are fetched first."""
    with tenant_site.web(request.param, "basic").client(auth=("basic", NAME, PASSWORD)) as client:
        yield client


def name():
    return f"film-{uuid.uuid4()}"


def path(kind, content_id, **query):
    text = f"/{kind}/{urllib.parse.quote(content_id, safe='')}"
    return text + ("?" + urllib.parse.urlencode(query) if query else "")


def fetch(client, content_id, status=200, kind="cpix", **query):
    answer = client.get(path(kind, content_id, **query))
    assert answer.status == status, f"expected {status}, got {answer.status} {answer.text[:200]!r}"
    if status != 200:
        assert b"PlainValue" not in answer.body and b'"key"' not in answer.body, f"a {status} with keys"
        assert answer.text.count("\n") == 0, f"an error of more than a line: {answer.text!r}"
        return answer
    assert answer.header("Cache-Control") == "no-store"
    return etree.fromstring(answer.body) if kind == "cpix" else json.loads(answer.body)


def keys_of(document):
    return {
        key.get("kid"): base64.b64decode(key.findtext(".//p:PlainValue", namespaces=NS))
        for key in document.findall("c:ContentKeyList/c:ContentKey", NS)
    }


def rules_of(document):
    """{kid: (track type, [(filter, attributes)])}."""
    return {
        rule.get("kid"): (
            rule.get("intendedTrackType"),
            [(etree.QName(f).localname, dict(f.attrib)) for f in rule],
        )
        for rule in document.findall("c:ContentKeyUsageRuleList/c:ContentKeyUsageRule", NS)
    }


def values_of(document):
    """{(kid, system): {element: text}}."""
    return {
        (system.get("kid"), system.get("systemId")): {
            etree.QName(e).localname + (e.get("playlist") or ""): e.text for e in system
        }
        for system in document.findall("c:DRMSystemList/c:DRMSystem", NS)
    }


def exchange(client, request):
    answer = client.post(request)
    assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
    check_v2(answer.body, request, client.base)
    return etree.fromstring(answer.body)


# --- CPIX -----------------------------------------------------------------------------------------


def test_what_an_exchange_made_is_fetched(site, basic):
    """The same keys, rules and signalling as the encryptor was given; a release by another door."""
    content = name()
    given = exchange(basic, d.request_v2(content_id=content, rules=d.preset_rules("2", "1"),
                                         systems=[d.WIDEVINE, d.PLAYREADY]))
    got = fetch(basic, content)
    assert got.get("contentId") == content and got.get("version") == "2.3" and got.get("id") is None
    assert keys_of(got) == keys_of(given) and len(keys_of(got)) == 3
    assert {kid: key for kid, key in site.stored_keys(content).items()} == keys_of(got)
    assert rules_of(got) == rules_of(given)
    theirs, ours = values_of(given), values_of(got)
    assert set(ours) == set(theirs), "the DRM systems of the tenant's default that fit the scheme"
    for pair, values in theirs.items():
        for element, text in values.items():
            assert ours[pair][element] == text, f"{element} of {pair}"
    last = site.releases(content)[-1]
    assert last["via"] == "cpix" and last["client"] == "encoder" and set(map(str, last["kids"])) == set(keys_of(got))
    assert site.releases(content)[0]["via"] is None


def test_chosen_keys(basic):
    content = name()
    given = exchange(basic, d.request_v2(content_id=content, rules=d.preset_rules("2", "1"), systems=[d.WIDEVINE]))
    audio = [kid for kid, (track, _) in rules_of(given).items() if track == "AUDIO"]
    assert list(keys_of(fetch(basic, content, track="AUDIO"))) == audio
    assert list(keys_of(fetch(basic, content, kid=audio[0]))) == audio
    fetch(basic, content, 404, kid=str(uuid.uuid4()))
    fetch(basic, content, 404, track="UHD")
    fetch(basic, content, 400, kid="rubbish")


def test_periods(basic):
    """A rotation: every key with its period."""
    content, made, named = name(), {}, []
    for index in (1, 2):
        request = d.request_v2(content_id=content, rules=d.preset_rules("1", "UNENCRYPTED"), systems=[d.WIDEVINE],
                               period=index)
        given = exchange(basic, request)
        (period,) = given.findall("c:ContentKeyPeriodList/c:ContentKeyPeriod", NS)
        named.append(dict(period.attrib))
        made.update({kid: period.get("id") for kid in keys_of(given)})
    got = fetch(basic, content)
    assert [dict(p.attrib) for p in got.findall("c:ContentKeyPeriodList/c:ContentKeyPeriod", NS)] == named
    assert set(rules_of(got)) == set(made)
    for kid, (_, filters) in rules_of(got).items():
        assert filters[0] == ("KeyPeriodFilter", {"periodId": made[kid]})


def test_revoked_keys_are_left_out(site, basic):
    content = name()
    given = exchange(basic, d.request_v2(content_id=content, rules=d.preset_rules("2", "1"), systems=[d.WIDEVINE]))
    gone = sorted(keys_of(given))[0]
    site.query("UPDATE speke.content_key SET revoked_at = now() WHERE kid = %s", (gone,))
    assert set(keys_of(fetch(basic, content))) == set(keys_of(given)) - {gone}
    fetch(basic, content, 404, kid=gone)


def test_another_tenant_has_other_content(site, basic):
    content = name()
    exchange(basic, d.simple_v2(content_id=content))
    web = next(w for w in site.webs.values() if w.base == basic.base)
    with web.client(auth=site.credentials("basic", "rival")) as rival:
        fetch(rival, content, 404)


@pytest.mark.parametrize("content", ["a b+c%41", "öäü€", "q?x&y=1", "..."])
def test_content_ids_of_all_kinds(basic, content):
    content = f"{content}-{uuid.uuid4().hex}"
    given = exchange(basic, d.simple_v2(content_id=content))
    assert keys_of(fetch(basic, content)) == keys_of(given)


def test_a_content_id_with_slashes_goes_into_the_query(site, basic):
    content = f"a/b/../{uuid.uuid4().hex}"
    given = exchange(basic, d.simple_v2(content_id=content))
    answer = basic.get("/cpix?" + urllib.parse.urlencode({"content_id": content}))
    assert answer.status == 200 and keys_of(etree.fromstring(answer.body)) == keys_of(given)
    assert basic.get("/cpix?content_id=").status == 400
    assert basic.get("/cpix").status == 400
    refused = site.last_refusal()
    assert refused["status"] == 400 and refused["via"] == "cpix" and refused["detail"] == "No content id"


def test_periods_without_end(site, basic):
    """However many periods packagers name with a key, a fetch stays within bounds."""
    content = name()
    given = exchange(basic, d.simple_v2(content_id=content))
    insert = """INSERT INTO speke.content_period (tenant_id, content_digest, period_digest, content_id,
                                                  period_index, kids)
                SELECT k.tenant_id, k.content_digest, speke.period_digest(NULL, n::text, NULL, NULL, NULL, NULL,
                                                                            ARRAY[k.kid]), k.content_id, n::text,
                       ARRAY[k.kid]
                  FROM speke.content_key k, generate_series(%s, %s) AS n WHERE k.content_id = %s AND k.kid = %s"""
    kid = next(iter(keys_of(given)))
    site.query(insert + " RETURNING 1", (1, 4000, content, kid))
    started = time.monotonic()
    assert keys_of(fetch(basic, content)) == keys_of(given)
    assert time.monotonic() - started < 2
    site.query(insert + " RETURNING 1", (4001, 4001, content, kid))
    assert "4000 periods" in fetch(basic, content, 422).text
    (other,) = set(keys_of(given)) - {kid}
    assert list(keys_of(fetch(basic, content, kid=other))) == [other]


# --- keys that are made by a fetch ----------------------------------------------------------------


def test_first_fetch_makes_keys(tenant_site, maker):
    content = name()
    first = fetch(maker, content)
    tracks = {track: kid for kid, (track, _) in rules_of(first).items()}
    assert set(tracks) == {"SD", "HD", "AUDIO"}
    for track, kid in tracks.items():
        assert uuid.UUID(kid) == uuid.uuid5(OVERRIDE, f"{content}\n{track}\n"), "the published rule"
    assert rules_of(first)[tracks["SD"]][1] == [("VideoFilter", {"maxPixels": "589824"})]
    assert rules_of(first)[tracks["HD"]][1] == [("VideoFilter", {"minPixels": "589825"})]
    assert len(set(keys_of(first).values())) == 3
    again = fetch(maker, content)
    assert keys_of(again) == keys_of(first) and rules_of(again) == rules_of(first)
    assert values_of(again) == values_of(first)
    made = tenant_site.releases(content)[0]
    assert set(map(str, made["created_kids"])) == set(keys_of(first)) and made["via"] == "cpix"


def test_first_fetch_for_a_track(tenant_site, maker):
    """Keys are made for all tracks, and those for the track are given."""
    content, before = name(), tenant_site.counts()["keys"]
    assert fetch(maker, content, 404, track="UHD").text == "No keys of that content"
    assert tenant_site.counts()["keys"] == before
    first = fetch(maker, content, track="HD")
    assert [track for track, _ in rules_of(first).values()] == ["HD"] and len(keys_of(first)) == 1
    every = fetch(maker, content)
    assert {kid for kid, _ in values_of(first)} == set(keys_of(first))
    assert len(keys_of(every)) == 3 and keys_of(first).items() <= keys_of(every).items()
    assert all(values_of(every)[place] == value for place, value in values_of(first).items())
    other = name()
    (got,) = fetch(maker, other, kind="vod-drm", track="AUDIO")
    (kid,) = [k for k, (track, _) in rules_of(fetch(maker, other)).items() if track == "AUDIO"]
    assert uuid.UUID(bytes=base64.b64decode(got["key_id"])) == uuid.UUID(kid)
    assert base64.b64decode(got["key"]) == keys_of(fetch(maker, other))[kid]


def test_first_fetches_at_once(tenant_site, maker):
    content = name()
    web = next(w for w in tenant_site.webs.values() if w.base == maker.base)
    clients = [web.client(auth=("basic", NAME, PASSWORD)) for _ in range(12)]
    answers = at_once([lambda c=c: keys_of(fetch(c, content)) for c in clients])
    for client in clients:
        client.close()
    assert all(keys == answers[0] for keys in answers) and len(answers[0]) == 3


def test_without_tracks_nothing_is_made(site, basic):
    content, before = name(), site.counts()["keys"]
    assert fetch(basic, content, 404).text == "No keys of that content"
    assert site.counts()["keys"] == before
    assert site.last_refusal()["content_id"] == content


def test_a_client_that_may_not_make_keys(tenant_site, maker):
    content = name()
    tenant_site.ctl("client", "set", NAME, "--fetch-only", user="op")
    try:
        answer = fetch(maker, content, 403)
        assert "key" in answer.text.lower()
    finally:
        tenant_site.ctl("client", "set", NAME, "--create", user="op")
    assert len(keys_of(fetch(maker, content))) == 3


def test_encrypted_delivery_is_not_gone_round(tenant_site, maker):
    content = name()
    fetch(maker, content)
    tenant_site.ctl("policy", "set", TENANT, "delivery", "required", user="op")
    try:
        fetch(maker, content, 422)
        fetch(maker, content, 422, kind="vod-drm", track="SD")
    finally:
        tenant_site.ctl("policy", "unset", TENANT, "delivery", user="op")
    fetch(maker, content)


# --- nginx-vod-module -----------------------------------------------------------------------------


def test_json_for_one_key(site, basic):
    content = name()
    given = exchange(basic, d.request_v2(content_id=content, rules=d.preset_rules("2", "1"),
                                         systems=[d.WIDEVINE, d.PLAYREADY]))
    for kid, (track, _) in rules_of(given).items():
        (got,) = fetch(basic, content, kind="vod-drm", track=track)
        assert set(got) == {"key", "key_id", "iv", "pssh"}
        assert base64.b64decode(got["key"]) == keys_of(given)[kid]
        assert uuid.UUID(bytes=base64.b64decode(got["key_id"])) == uuid.UUID(kid)
        assert len(base64.b64decode(got["iv"])) == 16 and got["iv"] != got["key"]
        assert {p["uuid"] for p in got["pssh"]} == {d.WIDEVINE, d.PLAYREADY}
        for pssh in got["pssh"]:
            box = base64.b64decode(values_of(given)[(kid, pssh["uuid"])]["PSSH"])
            assert box[32:] == base64.b64decode(pssh["data"]), "the data of the box that the exchange gave"
        (by_kid,) = fetch(basic, content, kind="vod-drm", kid=kid)
        assert by_kid == got
    assert site.releases(content)[-1]["via"] == "vod-drm"
    assert "3 keys" in fetch(basic, content, 422, kind="vod-drm").text


# --- doors and methods ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_fetches_without_login(site, kind):
    content = name()
    with site.web(kind, "basic").client() as client:
        exchange(client, d.simple_v2(content_id=content))
    for auth, status in ((None, 401), (("basic", "encoder", "wrong"), 401)):
        with site.web(kind, "basic").client(auth=auth) as client:
            for route in ("cpix", "vod-drm"):
                assert client.get(path(route, content)).status == status
    with site.web(kind, "open").client(auth=None) as client:
        fetch(client, content, 403)


@pytest.mark.parametrize("kind", SERVERS)
def test_by_client_certificate(site, kind):
    content = name()
    certificate = site.authority.issue(f"cert-{uuid.uuid4().hex[:8]}", "encoder", False)
    with site.web(kind, "certificate").client(auth=None, certificate=certificate) as client:
        given = exchange(client, d.simple_v2(content_id=content))
        assert keys_of(fetch(client, content)) == keys_of(given)


def test_other_methods(basic):
    for route in ("cpix", "vod-drm"):
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            answer = basic.request(method, path(route, "x"), b"" if method != "HEAD" else None)
            assert answer.status == 405 and answer.header("Allow") == "GET", f"{method}: {answer.status}"


def test_bad_content_ids(basic):
    assert basic.get("/cpix/a%0ab").status in (400, 404)
    assert basic.get("/cpix/%ff%fe").status == 400
    assert basic.get(path("cpix", "x" * 1025)).status in (400, 414)
    assert basic.get("/cpix/").status == 404
    assert basic.get("/cpix/a/b").status == 404
