# SPDX-License-Identifier: Apache-2.0
"""What players fetch, through the recipes of both servers: AES-128 keys and Clear Key licences, on
the word of tokens that harness.jwt signs by itself."""
import base64
import json
import os
import time
import urllib.parse
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from harness import documents as d
from harness.answers import check_v2
from harness.jwt import Signer, assemble, b64url, hs256, unb64url

NAMES = ["movie-7781", "a b", "50%", "50%25", "é/ü", "a/b", "..", ".", "~x", "a\\b", "x" * 300,
         "a+b&c=d?e#f", "ключ", "https://example.com/a?b"]  # fmt: skip


class Shop:
    """A tenant's content with keys, and signers of tokens for it."""

    def __init__(self, site):
        self.site = site
        self.hs = Signer("hs-1", os.urandom(32))
        self.es = Signer("es-1", ec.generate_private_key(ec.SECP256R1()))
        self.rival = Signer("rival-1", os.urandom(48))
        for tenant, signer in (("demo", self.hs), ("demo", self.es), ("rival", self.rival)):
            register(site, tenant, signer)
        self.content = f"movie-{uuid.uuid4().hex}"
        self.kids = [str(uuid.uuid4()) for _ in range(3)]
        self.keys = make_content(site, self.content, self.kids)
        self.other = f"other-{uuid.uuid4().hex}"
        self.other_kids = [str(uuid.uuid4())]
        self.other_keys = make_content(site, self.other, self.other_kids)

    def path(self, kid=None, content=None, tenant="demo"):
        segment = urllib.parse.quote(content or self.content, safe="")
        return f"/{tenant}/client/{segment}/{kid or self.kids[0]}"

    def token(self, signer=None, **more):
        return (signer or self.hs).token(**{"content_id": self.content, **more})


def register(site, tenant, signer):
    """Registers the key with spekectl, from a file."""
    path = os.path.join(site.directory, f"token-{signer.kid}")
    with open(path, "wb") as out:
        out.write(
            b64url(signer.secret).encode() if signer.algorithm == "HS256" else signer.public_pem()
        )
    site.ctl("token-key", "add", tenant, "--kid", signer.kid, "--key-file", path)


def make_content(site, content, kids, systems=(d.WIDEVINE,), **more):
    """{kid: key} of keys that a packager asks for."""
    rules = [(f"T{i}", [("VideoFilter", {"minPixels": str(i)})]) for i in range(len(kids))]
    request = d.request_v2(rules, list(systems), content_id=content, kids=kids, **more)
    with site.web("lighttpd").client() as client:
        answer = client.post(request)
        assert answer.status == 200, answer.text
        return dict(check_v2(answer.body, request, client.base).key)


@pytest.fixture(scope="module")
def shop(site):
    return Shop(site)


@pytest.fixture(scope="module", params=["lighttpd", "apache", "lighttpd-spawn", "apache-fcgid", "apache-cgi"])
def player(request, site):
    """A connection to the player's door of each way to run the program."""
    with site.web(request.param).player() as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_key_url(player, shop):
    for signer in (shop.hs, shop.es):
        answer = player.get(shop.path(), bearer(shop.token(signer)))
        assert answer.status == 200, answer.text
        assert answer.body == shop.keys[shop.kids[0]], "the 16 bytes that the packager got"
        assert answer.header("Content-Type") == "application/octet-stream"
        assert answer.header("Cache-Control") == "no-store"


def ask_licence(player, kids, token, path="/demo/clearkey", headers=None, **more):
    body = json.dumps({"kids": [b64url(uuid.UUID(kid).bytes) for kid in kids], **more})
    return player.request("POST", path, body, {**bearer(token), **(headers or {})})


def licence_keys(answer):
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store"
    found = json.loads(answer.body)
    for key in found["keys"]:
        assert set(key) == {"kty", "kid", "k"} and key["kty"] == "oct" and "=" not in key["k"]
    return {str(uuid.UUID(bytes=unb64url(key["kid"]))): unb64url(key["k"]) for key in found["keys"]}


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_licence(player, shop, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    unknown = str(uuid.uuid4())
    token = shop.token(shop.es)
    answer = ask_licence(player, [*shop.kids, unknown, shop.kids[0]], token, headers=headers, type="temporary")
    assert answer.status == 200, answer.text
    assert licence_keys(answer) == shop.keys, "those that there are, each once"
    assert json.loads(answer.body)["type"] == "temporary"
    answer = ask_licence(player, [unknown], token, headers=headers)
    assert answer.status == 404


def test_doors_are_apart(player, site, shop):
    """What one door serves, the other does not, whatever a client sends."""
    web = next(web for web in site.webs.values() if web.port == player.port)
    request = d.simple_v2().bytes()
    for path in ("/copyProtection", "/v1.0/heartbeat", "/demo/copyProtection"):
        for headers in ({}, {"Speke-Door": "packager", "Speke_Door": "packager"}):
            answer = player.request("POST", path, request, {"X-Speke-Version": "2.0", **headers})
            assert answer.status == 404, (path, answer.status)
    with web.client() as packager:
        for headers in ({}, {"Speke-Door": "player", "Speke_Door": "player"}):
            answer = packager.get(shop.path(), {**headers})
            assert answer.status == 404, answer.status
            answer = packager.request("POST", "/demo/clearkey", "{}", headers)
            assert answer.status == 404
    assert player.get("/health").status == 200


# What bad input gets -----------------------------------------------------------------------------


def bad_tokens(shop):
    """{what is wrong: (token, status)}"""
    now = int(time.time())
    claims = {"content_id": shop.content, "exp": now + 600}
    head = {"alg": "HS256", "kid": shop.hs.kid}
    none = assemble({"alg": "none", "kid": shop.hs.kid}, claims, lambda _: b"")
    public = assemble(
        {"alg": "HS256", "kid": shop.es.kid}, claims,
        lambda data: hs256(shop.es.public_pem(), data),
    )  # fmt: skip
    deep = b'{"content_id":' + b"[" * 2000 + b"]" * 2000 + b',"exp":9999999999}'
    head64, claims64, signature = shop.token().split(".")
    tampered = shop.token().split(".")
    tampered[1] = b64url(json.dumps({**claims, "content_id": shop.other}).encode())
    return {
        "rubbish": ("rubbish", 401),
        "dots": ("..", 401),
        "three parts of nothing": ("a.b.c", 401),
        "expired": (shop.token(ttl=-3600), 401),
        "not yet valid": (shop.token(nbf=now + 3600), 401),
        "no end": (shop.token(exp=None), 401),
        "an end that is no number": (shop.token(exp="tomorrow"), 401),
        "other tenant": (shop.token(shop.rival), 401),
        "other content": (shop.token(content_id=shop.other), 403),
        "other KID": (shop.token(kids=[str(uuid.uuid4())]), 403),
        "neither content nor KIDs": (shop.token(content_id=None), 401),
        "empty list of contents": (shop.token(content_id=[]), 401),
        "alg none": (none, 401),
        "alg none, no signature": (none.rsplit(".", 1)[0] + ".", 401),
        "HS256 signed with the public key": (public, 401),
        "ES256 said of a secret": (shop.token(header={"alg": "ES256"}), 401),
        "wrong kid": (shop.token(header={"kid": "nobody"}), 401),
        "kid of another key": (shop.token(header={"kid": shop.es.kid}), 401),
        "no kid": (shop.token(header={"kid": None}), 401),
        "kid that is no text": (shop.token(header={"kid": ["hs-1"]}), 401),
        "crit": (shop.token(header={"crit": ["exp"]}), 401),
        "tampered": (".".join(tampered), 401),
        "padding in the midst of the claims": (f"{head64}.{claims64[:7]}={claims64[8:]}.{signature}", 401),
        "padding behind the claims": (f"{head64}.{claims64}==.{signature}", 401),
        "padding behind the signature": (shop.token() + "=", 401),
        "deep JSON": (assemble(head, deep, shop.hs.sign), 401),
        "deep header": (assemble(b'{"kid":' + b"[" * 1000 + b"]" * 1000 + b"}", claims, shop.hs.sign), 401),
        "claims twice": (assemble(head, b'{"exp":9999999999,"exp":1,"content_id":"x"}', shop.hs.sign), 401),
        "claims that are a list": (assemble(head, b"[]", shop.hs.sign), 401),
        "other address": (shop.token(ip="192.0.2.1"), 403),
        "other device": (shop.token(device="tv-1"), 403),
    }  # fmt: skip


def test_bad_tokens(player, shop):
    """Each the right status, the same answer for keys that exist and those that do not, and nothing
    of a key or of why in it."""
    unknown = str(uuid.uuid4())
    for what, (token, status) in bad_tokens(shop).items():
        answers = [
            player.get(shop.path(kid), bearer(token)) for kid in (shop.kids[0], unknown, "rubbish")
        ]
        if what == "other KID":
            answers.pop()
        for answer in answers:
            assert answer.status == status, f"{what}: {answer.status}, expected {status}"
            assert answer.text in ("Unauthorized", "Forbidden"), f"{what}: {answer.text}"
            assert (answer.header("WWW-Authenticate") is not None) == (status == 401), what
            assert answer.header("Access-Control-Allow-Origin") == "*", what
        assert len({a.header("WWW-Authenticate") for a in answers}) == 1, what
        answer = ask_licence(player, shop.kids, token, path=f"/demo/clearkey/{shop.content}")
        assert answer.status == status, f"{what}, licence: {answer.status}"
    assert player.get(shop.path()).status == 401
    assert player.get(shop.path()).header("WWW-Authenticate") == "Bearer"
    expired = player.get(shop.path(), bearer(shop.token(ttl=-3600)))
    assert "expired" in expired.header("WWW-Authenticate"), "a player can fetch a fresh token"
    leeway = player.get(shop.path(), bearer(shop.token(ttl=-10)))
    assert leeway.status == 200, "within the leeway of 30 seconds"


def test_a_token_of_a_mebibyte(player, shop):
    """The web server has a word in this, too: 400, 413, 414, 431 or the program's 401."""
    long = shop.token(padding="x" * (1 << 20))
    for path, headers in (
        (shop.path(), bearer(long)),
        (f"{shop.path()}?token={long}", {}),
        (shop.path(), {"Cookie": f"speke_token={long}"}),
    ):
        try:
            answer = player.get(path, headers)
        except (ConnectionError, OSError):
            player.close()
            continue
        assert answer.status in (400, 401, 413, 414, 431), answer.status
        assert shop.keys[shop.kids[0]] not in answer.body
    assert player.get(shop.path(), bearer(shop.token())).status == 200


def test_where_the_token_may_be(player, shop):
    token = shop.token()
    good = [
        (shop.path(), bearer(token)),
        (shop.path(), {"Authorization": f"bearer {token}"}),
        (f"{shop.path()}?token={token}", {}),
        (f"{shop.path()}?a=b&token={token}&c", {}),
        (shop.path(), {"Cookie": f"a=b; speke_token={token}"}),
    ]
    for path, headers in good:
        assert player.get(path, headers).status == 200, (path, headers)
    bad = [
        (f"{shop.path()}?tokens={token}", {}),
        (f"{shop.path()}?xtoken={token}", {}),
        (shop.path(), {"Cookie": f"xspeke_token={token}"}),
        (shop.path(), {"Authorization": f"Basic {token}"}),
        (shop.path(), {"X-Token": token}),
    ]
    for path, headers in bad:
        assert player.get(path, headers).status == 401, (path, headers)


def test_bound_to_address_and_device(player, shop):
    token = shop.token(ip="127.0.0.1", device="tv-1", kids=shop.kids, content_id=[shop.other, shop.content])
    answer = player.get(shop.path(), {**bearer(token), "X-Speke-Device": "tv-1"})
    assert answer.status == 200, answer.text
    only = shop.token(content_id=None, kids=[shop.kids[1]])
    assert player.get(shop.path(shop.kids[1]), bearer(only)).status == 200
    assert player.get(shop.path(shop.kids[0]), bearer(only)).status == 403
    answer = ask_licence(player, shop.kids, only, path=f"/demo/clearkey/{shop.content}")
    assert set(licence_keys(answer)) == {shop.kids[1]}, "the KIDs that the token allows"
    assert ask_licence(player, shop.kids, only).status == 403, "no content is named"


BAD_LICENCES = [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"kids":[]}', 400),
    (b'{"kids":"x"}', 400), (b'{"kids":["x"]}', 400), (b'{"kids":[1]}', 400),
    (b'{"kids":["ESIzRFVmd4iZqrvM3e7_AA=="]}', 400), (b'{"kids":["ESIzRFVmd4iZqrvM3e7/AA"]}', 400),
    (b'{"kids":["ESIzRFVmd4iZqrvM3e7_AB"]}', 400), (b'{"kids":["ESIzRFVmd4iZqrvM3e7_AA"],"type":"x"}', 400),
    (b'{"kids":["ESIzRFVmd4iZqrvM3e7_AA"],"kids":[]}', 400), (b"[" * 10000, 400),
    (b'{"kids":["' + b'ESIzRFVmd4iZqrvM3e7_AA","' * 200 + b'"]}', 413),
    (b'{"kids":["' + b'ESIzRFVmd4iZqrvM3e7_AA","' * 10000 + b'"]}', 413),
    (b'{"kids":["\xff"]}', 400), (b'{"kids":["\\u0000"]}', 400),
]  # fmt: skip


def test_bad_licence_requests(player, shop):
    for body, status in BAD_LICENCES:
        answer = player.request("POST", "/demo/clearkey", body, bearer(shop.token()))
        assert answer.status == status, f"{body[:60]}: {answer.status} {answer.text}"


def test_content_ids_of_every_kind(player, site, shop):
    """The URL that an answer has leads to the key, whatever the content id is made of."""
    base = player.base
    site.ctl("drm", "set", "demo", "all", "player_url", base)
    try:
        with next(w for w in site.webs.values() if w.port == player.port).client() as packager:
            for name in NAMES:
                content = f"{name}" if name in (".", "..") else f"{name}{uuid.uuid4().hex[:6]}"
                request = d.request_v2(
                    [("VIDEO", [("VideoFilter", {})])], [d.CLEAR_KEY], content_id=content, scheme="cbc1"
                )
                answer = packager.post(request)
                assert answer.status == 200, f"{content}: {answer.text}"
                document = d.Document.parse(answer.body)
                line = base64.b64decode(document.all("HLSSignalingData")[0].text).decode()
                uri = line.split('URI="')[1].split('"')[0]
                assert uri.startswith(base + "/demo/client/"), uri
                key = base64.b64decode(document.all("ContentKey")[0].find(f".//{d.pskc('PlainValue')}").text)
                got = player.get(uri[len(base):], bearer(shop.token(content_id=content)))
                assert got.status == 200 and got.body == key, f"{content}: {uri}: {got.status}"
    finally:
        site.ctl("drm", "unset", "demo", "all", "player_url")


def test_paths_that_are_none(player, shop):
    kid = shop.kids[0]
    for content in ("..", ".", "%2e%2e", "a%2fb", "a%00b", "%ff", "%zz", "a%5cb", "~", "~x", "%252e", "x" * 6000):
        answer = player.get(f"/demo/client/{content}/{kid}", bearer(shop.token()))
        assert answer.status in (400, 403, 404, 414), f"{content}: {answer.status}"
    for path in ("/", "/demo", "/demo/client", f"/demo/client//{kid}", "/demo/clearkey/a/b", "//clearkey"):
        assert player.get(path, bearer(shop.token())).status in (400, 404, 405), path
    assert player.get(f"/nobody/client/{shop.content}/{kid}", bearer(shop.token())).status == 401
    answer = player.get(shop.path("rubbish"), bearer(shop.token()))
    assert answer.status == 404


def test_methods(player, shop):
    token = bearer(shop.token())
    answer = player.request("HEAD", shop.path(), None, token)
    assert answer.status == 200 and answer.body == b""
    assert answer.header("Content-Length") in ("16", None), "Apache leaves it out"
    answer = player.get(shop.path(), {**token, "Range": "bytes=0-"})
    assert answer.status in (200, 206) and answer.body == shop.keys[shop.kids[0]]
    for method in ("PUT", "DELETE", "PATCH"):
        answer = player.request(method, shop.path(), b"", token)
        assert answer.status in (405, 501), (method, answer.status)
    answer = player.request("POST", shop.path(), b"", token)
    assert answer.status == 405 and answer.header("Allow") == "GET, HEAD, OPTIONS"
    answer = player.get("/demo/clearkey", token)
    assert answer.status == 405 and answer.header("Allow") == "POST, OPTIONS"


def test_preflight(player, site, shop):
    asked = {
        "Origin": "https://www.example.com", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }  # fmt: skip
    answer = player.request("OPTIONS", "/demo/clearkey", None, asked)
    assert answer.status in (200, 204) and answer.body == b""
    assert answer.header("Access-Control-Allow-Origin") == "*"
    assert "POST" in answer.header("Access-Control-Allow-Methods")
    allowed = answer.header("Access-Control-Allow-Headers").lower()
    assert "content-type" in allowed and "authorization" in allowed
    site.ctl("policy", "set", "demo", "cors", "https://www.example.com https://tv.example.com")
    try:
        time.sleep(1.1)
        site.ctl("tenant", "list")
        token = bearer(shop.token())
        answer = player.get(shop.path(), {**token, "Origin": "https://www.example.com"})
        assert answer.status == 200
        assert answer.header("Access-Control-Allow-Origin") == "https://www.example.com"
        assert answer.header("Access-Control-Allow-Credentials") == "true"
        assert answer.header("Vary") == "Origin"
        answer = player.get(shop.path(), {**token, "Origin": "https://evil.example"})
        assert answer.header("Access-Control-Allow-Origin") is None
    finally:
        site.ctl("policy", "unset", "demo", "cors")


def test_free_content_and_disabled_keys(player, site, shop):
    """What an operator changes counts from the next key on."""
    assert player.get(shop.path()).status == 401
    site.ctl("policy", "set", "demo", "free_content", f"{shop.content} other-thing-*")
    try:
        time.sleep(1.1)
        assert player.get(shop.path()).status == 200
        assert player.get(shop.path(shop.other_kids[0], shop.other)).status == 401
        assert player.get(shop.path(str(uuid.uuid4()))).status == 404
    finally:
        site.ctl("policy", "unset", "demo", "free_content")
    assert player.get(shop.path()).status == 401
    signer = Signer(f"k-{uuid.uuid4().hex}", os.urandom(32))
    register(site, "demo", signer)
    time.sleep(1.1)
    token = bearer(shop.token(signer))
    assert player.get(shop.path(), token).status == 200
    site.ctl("token-key", "disable", "demo", signer.kid)
    assert player.get(shop.path(), token).status == 401, "at once"
    site.ctl("token-key", "remove", "demo", signer.kid)


def test_a_delivery_is_in_the_audit(player, site, shop):
    token = shop.token(sub="viewer-1", jti="t-1", kids=[shop.kids[0], shop.kids[1]])
    assert player.get(shop.path(), bearer(token)).status == 200
    assert ask_licence(player, shop.kids, token).status == 200
    rows = site.query(
        "SELECT * FROM speke.v_audit WHERE event = 'delivery' ORDER BY event_id DESC LIMIT 2"
    )
    licence, key = rows
    assert (key["via"], licence["via"]) == ("key", "clearkey")
    assert set(map(str, key["kids"])) == {shop.kids[0]}
    assert set(map(str, licence["kids"])) == {shop.kids[0], shop.kids[1]}
    for row in rows:
        assert row["tenant"] == "demo" and row["content_id"] == shop.content
        assert row["detail"] == "token key hs-1, sub viewer-1, jti t-1" and row["status"] == 200
