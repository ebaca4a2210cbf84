# SPDX-License-Identifier: Apache-2.0
"""The cloud front: the template's resources, carried out by the test gateway, in front of Apache and
lighttpd; requests signed by AWS's own package, whole and spoilt."""
import contextlib
import dataclasses
import datetime
import hashlib
import http.client
import http.server
import json
import os
import ssl
import subprocess
import threading
import uuid

import pytest
import requests

import harness.delivery as delivery
from conftest import running as running_site
from harness import cloud
from harness import documents as d
from harness.answers import check_v1, check_v2
from harness.cloud import Request
from harness.http import basic_header
from harness.process import run
from harness.site import Site
from harness.stack import ACCOUNT, REGION, Stack, load

TEMPLATE = os.path.join(cloud.TOP, "aws", "template.yaml")
SECRET = uuid.uuid4().hex + uuid.uuid4().hex
XML = {"Content-Type": "application/xml"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/MediaPackageV2Role"
PROOFS = ["client-certificate", "header-secret"]
SERVERS = ["apache", "lighttpd"]


@pytest.fixture(scope="module")
def front_site(install, run_directory):
    """A site whose clients are what the two kinds of gateway are to the web server."""
    for site in running_site(Site(install, os.path.join(run_directory, "front"))):
        for name in ("ApiGateway", "gateway"):
            site.ctl("client", "add", name, "--tenant", "demo", user="op")
        site.gateway_proof = cloud.gateway_certificate(site.directory)
        # lighttpd looks for the issuer of a lone certificate among those that it trusts for clients.
        with open(site.certificate, "ab") as server, open(site.authority.ca_file, "rb") as issuer:
            server.write(issuer.read())
        yield site


def provider(site, server, proof):
    """The web server as the page tells an operator to set it up."""
    name = f"{server}-{proof}"
    if name not in site.webs:
        login = "certificate" if proof == "client-certificate" else "gateway"
        site.new_web(
            server, login, name, client_ca=site.gateway_proof[0], gateway_secret=SECRET
        )
    return site.webs[name]


@contextlib.contextmanager
def gateway(site, web, proof, secret=SECRET, shown=None, callers=(), **parameters):
    """The stack of the template in front of that web server."""
    stack = Stack(load(TEMPLATE), secret, ProviderUrl=web.base, Proof=proof, **parameters)
    directory = os.path.join(site.directory, f"gateway-{uuid.uuid4().hex[:8]}")
    os.makedirs(directory)
    front = cloud.Gateway(directory, stack, site, shown or site.gateway_proof, callers)
    with cloud.running(front):
        yield front


@pytest.fixture(scope="module")
def encryptor():
    return cloud.session(ROLE)


@pytest.fixture(scope="module")
def stranger():
    return cloud.session(f"arn:aws:iam::{ACCOUNT}:role/Administrator")


@pytest.fixture(scope="module", params=[(s, p) for s in SERVERS for p in PROOFS], ids="-".join)
def front(request, front_site, encryptor, stranger):
    """Each web server behind a gateway that proves itself in either way."""
    server, proof = request.param
    web = provider(front_site, server, proof)
    with gateway(front_site, web, proof, callers=(encryptor, stranger)) as made:
        made.web, made.client = web, "ApiGateway" if proof == "client-certificate" else "gateway"
        yield made


def v2(encryptor, document, version="2.0", **more):
    return Request(
        path=f"/speke/v{version}/copyProtection",
        body=document.bytes(),
        headers={**XML, "X-Speke-Version": version},
        credentials=encryptor,
        **more,
    )


def expect_keys(answer):
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:300]!r}"
    assert answer.header("Content-Type").startswith("application/xml"), answer.headers
    return answer


def expect_refusal(answer, status, words):
    assert answer.status == status, f"expected {status}, got {answer.status} {answer.text[:300]!r}"
    assert words in answer.text, f"expected {words!r} in {answer.text!r}"
    assert b"PlainValue" not in answer.body and b"cpix" not in answer.body, "a refusal with keys"


# --- what goes through ------------------------------------------------------------------------------


def test_v2(front, front_site, encryptor):
    """SPEKE v2.0 and v2.1: keys, the two headers in both directions, and the audit names the client
    that the gateway is."""
    for version, cpix in (("2.0", "2.3"), ("2.1", "2.4")):
        document = d.simple_v2(version=cpix)
        answer = expect_keys(front.send(v2(encryptor, document, version)))
        check_v2(answer.body, document, front.web.base)
        assert answer.header("X-Speke-Version") == version, answer.headers
        assert answer.header("X-Speke-User-Agent"), "X-Speke-User-Agent got lost"
        (row,) = front_site.releases(document.content_id)
        assert row["client"] == front.client, f"the audit names {row['client']!r}"


def test_v1(front, encryptor):
    document = d.request_v1([d.WIDEVINE])
    for path in ("/speke/v1.0/copyProtection", "/speke/copyProtection"):
        request = Request(path=path, body=document.bytes(), headers=XML, credentials=encryptor)
        answer = expect_keys(front.send(request))
        check_v1(answer.body, document, front.web.base)
        assert answer.header("Speke-User-Agent"), "Speke-User-Agent got lost"


def test_heartbeat(front, encryptor):
    request = Request(path="/speke/v1.0/heartbeat", method="GET", credentials=encryptor)
    answer = front.send(request)
    assert answer.status == 200 and answer.body, f"{answer.status} {answer.text!r}"
    expect_refusal(
        front.send(dataclasses.replace(request, credentials=None)), 403, "Missing Authentication Token"
    )


def test_encrypted_delivery(front, encryptor):
    """Content keys for a certificate of the kind that ACM holds: no key passes in clear."""
    document, one = d.simple_v2(), delivery.recipient()
    clear = check_v2(expect_keys(front.send(v2(encryptor, document))).body, document, front.web.base)
    delivery.ask(document, one.certificate)
    answer = expect_keys(front.send(v2(encryptor, document)))
    assert b"PlainValue" not in answer.body, "keys in clear beside a certificate"
    opened = delivery.open_answer(d.Document.parse(answer.body), one)
    assert opened.keys == clear.key, "other keys than in clear"


def test_answers_pass_as_they_are(front, front_site, encryptor):
    """Byte for byte what the web server answers to the same document, keys and errors; also above
    64 KiB, and with letters that UTF-8 needs several bytes for."""
    proof = {"headers": {"X-Speke-Gateway-Secret": SECRET}}
    bad = d.simple_v2().set("ContentKey", "commonEncryptionScheme", "", index=0)
    documents = [
        d.simple_v2(content_id=f"été-日本-{uuid.uuid4()}"),
        d.many_keys(60),
        bad,
    ]
    with front.web.client(auth=None, certificate=front_site.gateway_proof) as straight:
        for document in documents:
            through = front.send(v2(encryptor, document))
            own = straight.post(document, **proof)
            assert (through.status, through.body) == (own.status, own.body), "another answer"
            for name in ("Content-Type", "X-Speke-Version", "X-Speke-User-Agent"):
                assert through.header(name) == own.header(name), f"{name} differs"
            assert through.status == (422 if document is bad else 200), f"got {through.status}"


def test_nothing_of_it_in_logs(front, front_site, encryptor):
    """No key, no document, no token and no secret in what gateway, web server and responder write;
    the access log says who asked for what and how it ended."""
    document = d.simple_v2()
    answer = expect_keys(front.send(v2(encryptor, document)))
    keys = check_v2(answer.body, document, front.web.base)
    (line,) = front.access_log_text().splitlines()[-1:]
    assert f'"caller":"{ROLE}"' in line and '"status":"200"' in line, line
    assert '"path":"/speke/v2.0/copyProtection"' in line, line
    texts = {**front_site.logs(), "access log": front.access_log_text(), "gateway": _log(front)}
    hidden = [SECRET, encryptor["secretAccessKey"], encryptor["sessionToken"], "PlainValue"]
    hidden += [value.text for value in d.Document.parse(answer.body).root.iter(d.pskc("PlainValue"))]
    hidden += [key.hex() for key in keys.key.values()]
    for name, text in texts.items():
        for word in hidden:
            assert word not in text, f"{name} holds {word[:12]}..."


def _log(front):
    with open(front.log, encoding="utf-8", errors="replace") as log:
        return log.read()


# --- what the gateway refuses -----------------------------------------------------------------------


def spoilt(encryptor, stranger, document):
    """(what, request, status, words of the answer)"""
    good = v2(encryptor, document)
    now = datetime.datetime.now(datetime.timezone.utc)
    minutes = datetime.timedelta(minutes=1)
    other_key = {**encryptor, "secretAccessKey": encryptor["secretAccessKey"][::-1]}
    no_token = {key: value for key, value in encryptor.items() if key != "sessionToken"}
    tampered = document.bytes().replace(b"cenc", b"cbcs")
    assert tampered != document.bytes()
    no_match, token = "does not match the signature", "security token included in the request"
    checksum, bare = "is not that of the body", {"applyChecksum": False}

    def but(**changes):
        return dataclasses.replace(good, **changes)

    return [
        ("unsigned", but(credentials=None), 403, "Missing Authentication Token"),
        ("another secret key", but(credentials=other_key), 403, no_match),
        ("an unknown access key", but(credentials=cloud.session(ROLE)), 403, token),
        ("the token left away", but(credentials=no_token), 403, token),
        ("the token of another", but(credentials={**encryptor, "sessionToken": "x"}), 403, token),
        ("a date of six minutes ago", but(date=now - 6 * minutes), 403, "Signature expired"),
        ("a date in six minutes", but(date=now + 6 * minutes), 403, "not yet current"),
        ("a date of yesterday", but(date=now - 1440 * minutes), 403, "Signature expired"),
        ("a body changed", but(after={"body": tampered}), 403, checksum),
        ("a byte more", but(after={"body": document.bytes() + b" "}), 403, checksum),
        ("a body changed that is only in the signature", but(signer=bare, after={"body": tampered}), 403, no_match),
        (
            "the checksum of the body changed as well",
            but(
                after={
                    "body": tampered,
                    "headers": {"x-amz-content-sha256": cloud.sha256(tampered)},
                }
            ),
            403,
            no_match,
        ),
        ("a signed header changed", but(after={"headers": {"X-Speke-Version": "2.1"}}), 403, no_match),
        ("a signed header left away", but(after={"drop": ["x-amz-date"]}), 403, "X-Amz-Date"),
        ("the path of another version", but(after={"target": "/speke/v2.1/copyProtection"}), 403, no_match),
        ("a query added", but(after={"target": good.path + "?a=b"}), 403, no_match),
        ("another method", but(after={"method": "PUT"}), 403, "Missing Authentication Token"),
        ("GET of a key path", but(method="GET", body=b""), 403, "Missing Authentication Token"),
        ("a path that there is not", but(path="/speke/v9.9/copyProtection"), 403, "Missing Authentication Token"),
        ("a path of players", but(path="/speke/client/a/b", method="GET", body=b""), 403, "Missing Auth"),
        ("another stage", but(path="/test/v2.0/copyProtection"), 403, "Missing Authentication Token"),
        ("another Region", but(region="us-east-1"), 403, "Credential should be scoped"),
        ("another service", but(service="s3"), 403, "Credential should be scoped"),
        ("a role that may not", but(credentials=stranger), 403, "not authorized"),
        ("rubbish", but(credentials=None, headers={**good.headers, "Authorization": "AWS4-HMAC-SHA256 x"}), 403, "not of the form"),
        ("Digest", but(credentials=None, headers={**good.headers, "Authorization": 'Digest username="encoder"'}), 403, "not of the form"),
    ]


def test_refusals(front, front_site, encryptor, stranger):
    """None of it reaches the provider."""
    before = front_site.counts()
    cases = spoilt(encryptor, stranger, d.simple_v2())
    answers = front.send_all([request for _, request, _, _ in cases])
    for (what, _, status, words), answer in zip(cases, answers):
        try:
            expect_refusal(answer, status, words)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error
    assert front_site.counts() == before, "something refused reached the database"


def test_signed_by_curl(front, encryptor):
    """As the page has an operator try it; and with a wrong secret key."""
    document = d.simple_v2()
    right, wrong = encryptor["secretAccessKey"], encryptor["secretAccessKey"][::-1]
    for secret, status in ((right, "200"), (wrong, "403")):
        done = subprocess.run(
            [
                "curl", "-sS", "--aws-sigv4", f"aws:amz:{REGION}:execute-api",
                "--user", f"{encryptor['accessKeyId']}:{secret}",
                "-H", f"X-Amz-Security-Token: {encryptor['sessionToken']}",
                "-H", "X-Speke-Version: 2.0", "-H", "Content-Type: application/xml",
                "--cacert", front.site.authority.ca_file, "--max-time", "20",
                "--write-out", "%{stderr}%{http_code}", "--data-binary", "@-",
                f"{front.base}/speke/v2.0/copyProtection",
            ],
            input=document.bytes(),
            capture_output=True,
            check=True,
        )  # fmt: skip
        assert done.stderr.decode() == status, f"expected {status}: {done.stderr} {done.stdout[:200]}"
        if status == "200":
            check_v2(done.stdout, document, front.web.base)


def test_signed_without_checksum_header(front, encryptor):
    """X-Amz-Content-Sha256 is optional: the signature covers the body all the same."""
    expect_keys(front.send(v2(encryptor, d.simple_v2(), signer={"applyChecksum": False})))


def test_dates_within_the_skew(front, encryptor):
    now = datetime.datetime.now(datetime.timezone.utc)
    for minutes in (-4, 4):
        date = now + datetime.timedelta(minutes=minutes)
        expect_keys(front.send(v2(encryptor, d.simple_v2(), date=date)))


def test_throttling(front_site, encryptor):
    """Above burst and rate: 429, which the provider never sees."""
    web, before = provider(front_site, "apache", "client-certificate"), front_site.counts()
    limits = {"ThrottlingRate": "1", "ThrottlingBurst": "3"}
    with gateway(front_site, web, "client-certificate", callers=(encryptor,), **limits) as front:
        requests = [v2(encryptor, d.simple_v2()) for _ in range(12)]
        answers = front.send_all(requests, together=True)
        through = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 429]
        assert 3 <= len(through) <= 6 and len(through) + len(refused) == 12, (
            f"{[answer.status for answer in answers]}"
        )
        expect_refusal(refused[0], 429, "Too Many Requests")
        assert front_site.counts()["releases"] == before["releases"] + len(through), "releases"


# --- what the web server refuses ----------------------------------------------------------------------


@pytest.mark.parametrize("server", SERVERS)
def test_straight_to_the_certificate_door(front_site, server):
    """Past the gateway: without certificate, or with one of the same name that another made."""
    web, before = provider(front_site, server, "client-certificate"), front_site.counts()
    folder = os.path.join(front_site.directory, f"forged-{server}")
    os.makedirs(folder)
    forged = cloud.gateway_certificate(folder)
    secret = {"X-Speke-Gateway-Secret": SECRET}
    for certificate in (None, forged):
        with web.client(auth=None, certificate=certificate) as client:
            with contextlib.suppress(OSError, http.client.HTTPException):  # in the handshake
                answer = client.post(d.simple_v2(), headers=secret)
                assert answer.status in (401, 403), f"got {answer.status}"
    with web.client(auth=None) as client:
        assert client.get("/health").status == 200, "health needs no certificate"
    assert front_site.counts()["keys"] == before["keys"], "keys were made"


@pytest.mark.parametrize("server", SERVERS)
def test_straight_to_the_secret_door(front_site, server):
    """Past the gateway: without the secret, with another, with its checksum, with names in headers."""
    web, before = provider(front_site, server, "header-secret"), front_site.counts()
    name = "X-Speke-Gateway-Secret"
    tries = [
        {},
        {name: ""},
        {name: "none"},
        {name: SECRET[:-1]},
        {name: SECRET + "x"},
        {name: SECRET.upper()},
        {name: hashlib.sha1(SECRET.encode()).hexdigest()},
        {name: f"{SECRET}, {SECRET}"},
        {name: ".*"},
        {"SPEKE_GATEWAY": "gateway", "Speke-Gateway": "gateway", "Remote-User": "gateway"},
        {"Authorization": basic_header("gateway", SECRET)},
    ]
    with web.client(auth=None) as client:
        for headers in tries:
            answer = client.post(d.simple_v2(), headers=headers)
            assert answer.status == 403, f"{headers}: got {answer.status}"
            assert b"cpix" not in answer.body, f"{headers}: keys"
        assert client.get("/health").status == 200, "health needs no secret"
        assert client.post(d.simple_v2(), headers={name: SECRET}).status == 200, "the secret"
        answer = client.request("POST", "/health", b"", {name: SECRET})
        assert answer.status in (403, 405), f"POST to health: {answer.status}"
    assert front_site.counts()["keys"] == before["keys"] + 2, "other keys than those of one request"


@pytest.mark.parametrize("server", SERVERS)
def test_secret_without_tls(front_site, server):
    web = front_site.new_web(
        server, "gateway", f"{server}-secret-plain", tls=False, gateway_secret=SECRET
    )
    answer = requests.post(
        f"{web.base}/copyProtection",
        data=d.simple_v2().bytes(),
        headers={**XML, "X-Speke-Version": "2.0", "X-Speke-Gateway-Secret": SECRET},
        timeout=20,
    )
    assert answer.status_code == 403, f"the secret in clear over HTTP: got {answer.status_code}"


@pytest.mark.parametrize("server", SERVERS)
def test_recipe_without_a_secret(front_site, server):
    """Nobody set the parameter: nobody gets in."""
    web = front_site.new_web(server, "gateway", f"{server}-no-secret")
    with web.client(auth=None) as client:
        for headers in ({}, {"X-Speke-Gateway-Secret": ""}, {"X-Speke-Gateway-Secret": "none"}):
            answer = client.post(d.simple_v2(), headers=headers)
            assert answer.status == 403, f"{headers}: got {answer.status}"


@pytest.mark.parametrize("kind", ["apache-fcgid", "lighttpd-spawn"])
def test_secret_where_the_server_starts_the_program(front_site, kind):
    web = front_site.new_web(kind, "gateway", f"{kind}-secret", gateway_secret=SECRET)
    document, name = d.simple_v2(), "X-Speke-Gateway-Secret"
    with web.client(auth=None) as client:
        answer = client.post(document, headers={name: SECRET})
        assert answer.status == 200, f"the secret: {answer.status} {answer.text[:200]!r}"
        assert client.post(document, headers={name: SECRET[::-1]}).status == 403, "another secret"
    assert front_site.releases(document.content_id)[0]["client"] == "gateway", "the client"


def test_two_secrets_while_one_is_changed(front_site):
    other = uuid.uuid4().hex * 2
    web = front_site.new_web("apache", "gateway", "apache-two", gateway_secret=f"{other}|{SECRET}")
    with web.client(auth=None) as client:
        for secret, status in ((other, 200), (SECRET, 200), (f"{other}|{SECRET}", 403)):
            answer = client.post(d.simple_v2(), headers={"X-Speke-Gateway-Secret": secret})
            assert answer.status == status, f"expected {status}, got {answer.status}"


@pytest.mark.parametrize("server", SERVERS)
def test_gateway_that_is_another(front_site, encryptor, server):
    """A gateway with another certificate, or another secret, gets nothing from the web server."""
    before = front_site.counts()
    folder = os.path.join(front_site.directory, f"other-{server}")
    os.makedirs(folder)
    cases = [
        ("client-certificate", {"shown": cloud.gateway_certificate(folder)}),
        ("header-secret", {"secret": uuid.uuid4().hex * 2}),
    ]
    for proof, how in cases:
        web = provider(front_site, server, proof)
        with gateway(front_site, web, proof, callers=(encryptor,), **how) as front:
            answer = front.send(v2(encryptor, d.simple_v2()))
            assert answer.status in (401, 403, 502), f"{proof}: got {answer.status}"
            assert b"cpix" not in answer.body, f"{proof}: keys"
    assert front_site.counts()["keys"] == before["keys"], "keys were made"


# --- what the gateway hands on --------------------------------------------------------------------------


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps what came in."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        certificate = self.connection.getpeercert(binary_form=True)
        self.server.seen.append((self.path, self.headers, body, certificate))
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def recorder(front_site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(front_site.certificate, front_site.certificate_key)
    context.load_verify_locations(front_site.gateway_proof[0])
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.seen = []
    server.base = f"https://localhost:{server.server_port}/speke"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("proof", PROOFS)
def test_requests_pass_as_they_are(front_site, recorder, encryptor, proof):
    """The body byte for byte, the headers of SPEKE, Host of the integration, the gateway's proof in
    place of what a caller sends under that name, and not the caller's signature."""
    body = "<a>\r\n\t&#x20;été 日本 𝄞 \ufeff</a>\n".encode()
    sent = {**XML, "X-Speke-Version": "2.1", "X-Speke-Gateway-Secret": "mine", "X-Other": "kept"}
    with gateway(front_site, recorder, proof, callers=(encryptor,)) as front:
        request = Request(path="/speke/v2.1/copyProtection", body=body, headers=sent, credentials=encryptor)
        answer = front.send(request)
    assert (answer.status, answer.body) == (200, b"ok"), f"{answer.status} {answer.text!r}"
    ((path, headers, received, certificate),) = recorder.seen
    assert path == "/speke/v2.1/copyProtection", path
    assert received == body, "the body was changed"
    assert headers.get_all("Content-Type") == ["application/xml"], "Content-Type"
    assert headers.get_all("X-Speke-Version") == ["2.1"] and headers["X-Other"] == "kept", "headers"
    assert headers["Host"] == f"localhost:{recorder.server_port}", headers["Host"]
    assert headers["Authorization"] is None, "the signature was handed on"
    secret = headers.get_all("X-Speke-Gateway-Secret")
    with open(front_site.gateway_proof[0], "rb") as pem:
        shown = ssl.PEM_cert_to_DER_cert(pem.read().decode())
    if proof == "client-certificate":
        assert certificate == shown, "the client certificate"
    else:
        assert certificate is None and secret == [SECRET], "the secret, once, and no certificate"


# --- the verification itself --------------------------------------------------------------------------

KNOWN = """
const v = require(process.argv[1]);
const request = {method: 'GET', target: '/', headers: [['Host', 'example.amazonaws.com'], ['X-Amz-Date', '20150830T123600Z']]};
const canonical = v.canonicalRequest(request, ['host', 'x-amz-date'], v.sha256(''));
const scope = ['20150830', 'us-east-1', 'service'];
console.log(JSON.stringify({
  signature: v.signatureOf('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', scope, '20150830T123600Z', canonical),
  uris: ['/', '/a/b/', '/a%20b', '/a//b', '/a/./b/../c', '/a+b*~'].map(v.canonicalUri),
  queries: ['', 'b=2&a=1', 'a=2&a=1', 'a', 'a=%2f&B=x', 'a=%20~*'].map(v.canonicalQuery),
}));
"""


def test_published_vector():
    """The example "get-vanilla" of AWS's test suite, and the rules of paths and queries."""
    done = run([cloud.NODE, "-e", KNOWN, os.path.join(cloud.SOURCES, "sigv4.js")])
    got = json.loads(done.stdout)
    assert got["signature"] == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    assert got["uris"] == ["/", "/a/b/", "/a%2520b", "/a/b", "/a/c", "/a%2Bb%2A~"], got["uris"]
    assert got["queries"] == ["", "a=1&b=2", "a=1&a=2", "a=", "B=x&a=%2F", "a=%20~%2A"], got["queries"]
