# SPDX-License-Identifier: Apache-2.0
"""What tenants and clients may not, seen from outside: the answer says why, the audit has it, no key is
made, and a change holds from the next request on."""
import re
import subprocess
import time

import pytest

from harness import documents as d
from harness.answers import check_v1, check_v2


@pytest.fixture
def demo(site, web):
    """A logged-in client of a tenant that is restricted here, and free again afterwards."""
    with web.client(auth=("digest", "encoder", site.password["encoder"])).login() as client:
        yield client
    site.query(
        "DELETE FROM speke.tenant_setting s USING speke.tenant t"
        " WHERE t.tenant_id = s.tenant_id AND t.name = 'demo'"
    )
    site.query(
        "UPDATE speke.client SET addresses = NULL, fetch_only = false, valid_from = NULL, valid_until = NULL"
        " WHERE name = 'encoder'"
    )


def policy(site, name, value):
    site.ctl("policy", "set", "demo", name, value, user="op")


def restrict(site, *options):
    site.ctl("client", "set", "encoder", *options, user="op")


def refused(site, client, request, status, text, **more):
    """The answer, which the audit has, too; no key of the content is new."""
    before = len(site.stored_keys(request.content_id))
    answer = client.post(request, **more)
    assert answer.status == status, f"expected {status}, got {answer.status} {answer.text[:200]!r}"
    assert re.fullmatch(text, answer.text), f"{answer.text!r}, expected {text!r}"
    row = site.last_refusal()
    assert (row["status"], row["detail"], row["content_id"]) == (status, answer.text, request.content_id)
    assert {str(kid) for kid in row["kids"]} == set(request.kids), "the audit row names other KIDs"
    assert len(site.stored_keys(request.content_id)) == before, "a key was made"
    return answer


def given(client, request):
    answer = client.post(request)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]!r}"
    return check_v2(answer.body, request)


def wait_for_a_new_minute():
    """A quota is not to be used on both sides of the end of a minute."""
    second = time.time() % 60
    if second > 45:
        time.sleep(60.2 - second)


def test_quota_of_new_keys(site, demo):
    """429 with Retry-After, as curl sees it; what exists is given out as ever."""
    wait_for_a_new_minute()
    old = d.simple_v2()
    keys = given(demo, old)
    policy(site, "new_keys_per_minute", "3")
    given(demo, d.simple_v2())
    request = d.simple_v2()
    text = "Quota of 3 new keys a minute exceeded: the request needs 2"
    answer = refused(site, demo, request, 429, text)
    assert 0 < int(answer.header("Retry-After")) <= 60
    assert given(demo, old) == keys, "keys that exist do not count"
    done = subprocess.run(
        [
            "curl", "-sS", "-i", "--digest", "--user", f"encoder:{site.password['encoder']}",
            "--cacert", site.authority.ca_file, "-H", "X-Speke-Version: 2.0",
            "-H", "Content-Type: application/xml", "--data-binary", "@-", f"{demo.base}/copyProtection",
        ],
        input=request.bytes(), capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    head, body = done.stdout.decode().rsplit("\r\n\r\n", 1)
    head = head.split("\r\n\r\n")[-1]
    assert re.match(r"HTTP/[0-9.]+ 429", head), head
    assert re.search(r"^retry-after: [1-9][0-9]?\r?$", head, re.MULTILINE | re.IGNORECASE), head
    assert re.search(r"^content-type: text/plain; charset=utf-8\r?$", head, re.M | re.I), head
    assert body == text
    big = d.many_keys(4)
    answer = refused(site, demo, big, 429, "Quota of 3 new keys a minute exceeded: the request needs 4")
    assert answer.header("Retry-After") == "3600", "a request that can never be served"


def test_other_quotas(site, demo):
    wait_for_a_new_minute()
    request = d.simple_v2()
    given(demo, request)
    policy(site, "keys_per_minute", "4")
    for _ in range(2):
        given(demo, request)
    answer = refused(site, demo, request, 429, "Quota of 4 keys a minute exceeded: the request needs 2")
    assert 0 < int(answer.header("Retry-After")) <= 60
    policy(site, "keys_per_minute", "0")
    there = site.query(
        "SELECT count(*) AS n FROM speke.content_key JOIN speke.tenant USING (tenant_id) WHERE name = 'demo'"
    )[0]["n"]
    policy(site, "keys_total", str(there + 1))
    text = f"Quota of {there + 1} keys in all exceeded: the request needs 2"
    assert refused(site, demo, d.simple_v2(), 429, text).header("Retry-After") == "3600"
    given(demo, request)
    given(demo, d.simple_v2(keys=("VIDEO",)))


def test_read_only_tenant(site, demo):
    request = d.simple_v2()
    keys = given(demo, request)
    policy(site, "read_only", "on")
    assert given(demo, request) == keys
    other = d.simple_v2()
    refused(site, demo, other, 403, f"Content key {other.kids[0]} does not exist, and the tenant may not make keys")


def test_fetch_only_client(site, web, demo):
    with web.client(auth=("digest", "encoder-2", site.password["encoder-2"])) as maker:
        restrict(site, "--fetch-only")
        request = d.simple_v2()
        text = f"Content key {request.kids[0]} does not exist, and the client may not make keys"
        refused(site, demo, request, 403, text)
        keys = given(maker, request)
        assert given(demo, request) == keys
        restrict(site, "--create")
        given(demo, d.simple_v2())


def test_address(site, demo):
    """As both web servers tell it."""
    request = d.simple_v2()
    restrict(site, "--address", "192.0.2.0/24", "--address", "2001:db8::/32")
    refused(site, demo, request, 403, "Client not allowed from this address")
    restrict(site, "--address", "192.0.2.0/24", "--address", "127.0.0.0/8")
    given(demo, request)
    restrict(site, "--address", "192.0.2.1")
    refused(site, demo, request, 403, "Client not allowed from this address")
    answer = demo.post(b"no XML")
    assert (answer.status, answer.text) == (403, "Forbidden"), "what is wrong is told to nobody elsewhere"
    restrict(site, "--address", "any")
    given(demo, request)


def test_end_date(site, demo):
    """It holds when it comes, without a change that the processes could notice."""
    request = d.simple_v2()
    given(demo, request)
    site.query(
        "SELECT speke.client_set('encoder', jsonb_build_object('valid_until', now() + interval '1500 ms'))"
    )
    given(demo, request)
    time.sleep(1.6)
    for _ in range(5):  # more than there are workers that know the client
        answer = demo.post(request)
        assert answer.status == 403, f"{answer.status} {answer.text!r}"
        assert re.fullmatch(r"Client not allowed since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.text)
    assert site.last_refusal()["detail"] == answer.text
    restrict(site, "--until", "never", "--from", "2999-01-01")
    assert demo.post(request).text == "Client not allowed before 2999-01-01T00:00:00Z"
    restrict(site, "--from", "never")
    given(demo, request)


def test_content_ids(site, demo):
    policy(site, "content_ids", "live-*, ????")
    for content_id, served in (("live-1", True), ("live-", True), ("vodé", True), ("vod-1", False), ("Live-1", False)):
        request = d.simple_v2(content_id=content_id)
        if served:
            given(demo, request)
        else:
            refused(site, demo, request, 422, "Content id not served")
    old = d.request_v1([d.WIDEVINE], content_id="vod-9")
    assert demo.post(old, speke=None).text == "Content id not served", "SPEKE v1, too"
    old = d.request_v1([d.WIDEVINE], content_id="live-9")
    answer = demo.post(old, speke=None)
    assert answer.status == 200, answer.text
    check_v1(answer.body, old)


def test_revoked_and_destroyed(site, demo):
    request = d.simple_v2()
    given(demo, request)
    kid = request.kids[1]
    site.ctl("key", "revoke", "--tenant", "demo", "--kid", kid, "--reason", "leaked", user="op")
    refused(site, demo, request, 403, f"Content key {kid} is revoked")
    site.query("UPDATE speke.content_key SET sealed = NULL, destroyed_at = now() WHERE kid = %s", (kid,))
    answer = demo.post(request)
    assert (answer.status, answer.text) == (403, f"Content key {kid} is destroyed")
    assert site.last_refusal()["detail"] == answer.text


def test_one_tenants_limits_are_its_own(site, web, demo):
    """Another tenant with the same content id and KIDs is not touched by any of it."""
    request = d.simple_v2()
    keys = given(demo, request)
    with web.client(auth=("digest", "rival", site.password["rival"])) as rival:
        theirs = given(rival, request)
        assert not set(keys.key.values()) & set(theirs.key.values()), "two tenants share a key"
        policy(site, "read_only", "on")
        policy(site, "keys_per_minute", "1")
        site.ctl("key", "revoke", "--tenant", "demo", "--kid", request.kids[0], "--reason", "x", user="op")
        refused(site, demo, request, 403, f"Content key {request.kids[0]} is revoked")
        assert given(rival, request) == theirs
        given(rival, d.simple_v2())
        assert site.stored_keys(request.content_id, "rival") == theirs.key
