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
from harness.http import Client
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
