# SPDX-License-Identifier: Apache-2.0
"""SPEKE v1: one key, values by system, live and VOD, heartbeat."""
import base64
import os

import pytest

from harness import documents as d
from harness import signalling as s
from harness.answers import check_v1

SYSTEMS = {
    "aes-128": d.HLS_AES_128,
    "sample-aes": d.FAIRPLAY,
    "widevine": d.WIDEVINE,
    "playready": d.PLAYREADY,
    "common": d.COMMON,
}


def exchange(client, request, path="/v1.0/copyProtection", speke=None):
    answer = client.post(request, speke=speke, path=path)
    assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
    assert answer.header("Content-Type").split(";")[0].strip() == "application/xml", "type"
    assert answer.header("Speke-User-Agent"), "v1: Speke-User-Agent must be there"
    for name in ("X-Speke-Version", "X-Speke-User-Agent"):
        assert answer.header(name) is None, f"v1: no {name} in the answer"
    return check_v1(answer.body, request, client.base)


@pytest.mark.parametrize("period", [None, 7], ids=["vod", "live"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(client, name, period):
    """R4, R7, R24, R66, R67, R69."""
    request = d.request_v1([SYSTEMS[name]], period=period)
    first = exchange(client, request)
    assert exchange(client, request) == first, "the same request must give the same key"


@pytest.mark.parametrize("period", [None, 0], ids=["vod", "live"])
def test_all_systems_at_once(client, period):
    """One key for all of them, the example of the documentation among them."""
    keys = exchange(client, d.request_v1(list(SYSTEMS.values()), period=period))
    assert len(keys.key) == 1, "v1 has one key"


def test_everything_asked_for_every_system(client):
    """R68: only what belongs to the system remains."""
    exchange(client, d.request_v1(list(SYSTEMS.values()), period=1, everything=True))


def test_sample_aes_is_given_an_iv_and_keeps_it(client):
    first = d.request_v1([d.FAIRPLAY])
    keys = exchange(client, first)
    assert keys.iv, "v1 FairPlay: an explicitIV is expected"
    raw = os.urandom(16)
    given = d.request_v1([d.FAIRPLAY], iv=base64.b64encode(raw).decode())
    assert list(exchange(client, given).iv.values()) == [raw], "the given IV must be echoed"


def test_playready_header_is_the_object(client):
    """R69: ProtectionHeader is the object inside the pssh box."""
    request = d.request_v1([d.PLAYREADY])
    answer = d.Document.parse(client.post(request, speke=None).body)
    header = next(e for e in answer.root.iter() if e.tag == d.speke("ProtectionHeader")).text
    box = s.parse_pssh(base64.b64decode(answer.one("PSSH").text))
    assert base64.b64decode(header) == box.data, "ProtectionHeader must equal the pssh data"


@pytest.mark.parametrize("path", ["/copyProtection", "/v2.0/copyProtection"])
def test_path_does_not_make_the_version(client, path):
    """R7: without the header it is v1, on every path."""
    exchange(client, d.request_v1([d.WIDEVINE]), path=path)


def test_1_0_in_the_header_is_v1(client):
    request = d.request_v1([d.WIDEVINE])
    answer = client.post(request, speke="1.0")
    assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
    check_v1(answer.body, request)


def test_key_is_the_same_in_v1_and_v2(client):
    """Identity is tenant, content and KID; the version does not enter into it."""
    request = d.request_v1([d.WIDEVINE])
    key = exchange(client, request).key
    second = d.simple_v2((d.WIDEVINE,), ("VIDEO",), content_id=request.content_id, kids=request.kids)
    answer = client.post(second)
    assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
    value = d.Document.parse(answer.body).root.find(f".//{d.pskc('PlainValue')}").text
    assert base64.b64decode(value) == key[request.kids[0]], "v1 and v2 give different keys"


@pytest.mark.parametrize("content_id", ["naïve \"film\" & <more>", "../..%2f", "x" * 1024])
def test_content_id_is_opaque(client, content_id):
    exchange(client, d.request_v1([d.HLS_AES_128, d.FAIRPLAY], content_id=content_id))


def test_heartbeat(client):
    """R9: a text, with the login that everything below the mount point needs."""
    answer = client.login().get("/v1.0/heartbeat")
    assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
    assert answer.text.strip(), "the heartbeat must say something"
    assert answer.header("Content-Type").startswith("text/plain"), "the heartbeat is text"


def test_health_needs_no_login(web):
    """200 and one word; no credentials, no secrets."""
    with web.client(auth=None) as client:
        answer = client.get("/health")
        assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
        assert len(answer.text.split()) == 1, f"health says {answer.text!r}, expected one word"


def test_every_way_to_run(any_client):
    """Spawned by either server, and as plain CGI."""
    exchange(any_client, d.request_v1(list(SYSTEMS.values()), period=1))
