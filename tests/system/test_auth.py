# SPDX-License-Identifier: Apache-2.0
"""Who may ask: the web server authenticates, the program authorises; TLS; every recipe."""
import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import time

import psycopg2
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from requests.auth import HTTPDigestAuth

from harness import documents as d
from harness.answers import check_v2
from harness.http import Client, basic_header, parse_challenges, tls_context
from harness.process import wait_until
from harness.site import STRANGER
from harness.tls import Authority
from test_errors import expect_refusal

WAYS = ["lighttpd", "apache", "lighttpd-spawn", "apache-fcgid", "apache-cgi"]


def expect_keys(client, request=None, headers=None):
    request = request or d.simple_v2()
    answer = client.post(request, headers=headers)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]!r}"
    return check_v2(answer.body, request, client.base)


def expect_status(client, status, headers=None):
    answer = client.post(d.simple_v2(), headers=headers)
    assert answer.status == status, f"expected {status}, got {answer.status} {answer.text[:200]!r}"
    assert b"PlainValue" not in answer.body, f"a {status} with keys"
    return answer


# --- Digest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WAYS)
def test_no_credentials(site, kind):
    """R11: 401 with a challenge; the program never sees the request."""
    web, before = site.web(kind), site.counts()
    with web.client(auth=None) as client:
        answer = expect_status(client, 401)
        challenges = parse_challenges(answer.headers.get_all("WWW-Authenticate"))
        assert challenges, "a 401 must carry a Digest challenge"
        assert all(c["realm"] == "speke" for c in challenges), f"realm: {challenges}"
    assert site.counts() == before, "an unauthenticated request reached the database"


@pytest.mark.parametrize("kind", WAYS)
def test_wrong_password(site, kind):
    web, before = site.web(kind), site.counts()
    for auth in (("digest", "encoder", "wrong"), ("digest", "nobody", "x")):
        with web.client(auth=auth) as client:
            expect_status(client, 401)
    assert site.counts() == before, "a wrong password reached the database"


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("name", [STRANGER, "retired"])
def test_authenticated_but_no_client(site, kind, name):
    """Unknown to the database, or disabled there: 403, and an audit row."""
    web, before = site.web(kind), site.counts()
    with web.client(auth=("digest", name, site.password[name])) as client:
        answer = expect_status(client, 403)
        expect_refusal(answer, 403)
        expect_refusal(client.post(b"not XML"), (400, 403))
    after = site.counts()
    assert after["keys"] == before["keys"], "somebody who is no client got a key made"
    assert after["refusals"] == before["refusals"] + 2, "both refusals must be in the audit"
    row = site.last_refusal()
    assert row["remote_user"] == name, f"the audit names {row['remote_user']!r}"
    assert str(row["remote_addr"]).startswith("127.0.0.1"), f"address {row['remote_addr']}"


def test_disabled_at_once(new_site):
    """A client that is disabled gets 403 from its next request on, in every worker and over its
    open connection, and keys again when it is enabled."""
    site = new_site(workers=3)
    for kind in ("lighttpd", "apache"):
        with site.web(kind).client() as client:
            for _ in range(6):
                expect_keys(client)
            site.ctl("client", "disable", "encoder", user="op")
            for _ in range(6):
                expect_status(client, 403)
            site.query("SELECT speke.client_set_enabled('encoder', true)")
            for _ in range(6):
                expect_keys(client)


def test_disabled_tenant(new_site):
    site = new_site(workers=2)
    with site.web("lighttpd").client() as client:
        expect_keys(client)
        site.query("UPDATE speke.tenant SET enabled = false WHERE name = 'demo'")
        for _ in range(4):
            expect_status(client, 403)


@pytest.mark.parametrize("kind", WAYS)
def test_no_remote_user(site, kind):
    """A location that was left open: 403, and the log says which directive is missing. Health
    answers all the same."""
    web, before = site.web(kind, "open"), site.counts()
    with web.client(auth=None) as client:
        answer = expect_status(client, 403)
        expect_refusal(answer, 403)
        assert client.get("/health").status == 200, "health needs no login"
        expect_status(client, 403, {"Authorization": basic_header("encoder", "x")})
        expect_status(client, 403, {"Remote-User": "encoder", "REMOTE_USER": "encoder"})
    assert site.counts()["keys"] == before["keys"], "a request without user made keys"
    log = site.log_text() + web.log_text()
    assert "REMOTE_USER" in log and "Require valid-user" in log, "the log must name the directive"


@pytest.mark.parametrize("kind", WAYS)
def test_authorization_header_is_not_used(site, kind):
    """lighttpd passes the header on; the program looks at REMOTE_USER alone. A name in it counts
    for nothing, whatever the scheme."""
    web = site.web(kind, "open")
    with web.client(auth=None) as client:
        for value in (
            basic_header("encoder", site.password["encoder"]),
            'Digest username="encoder", realm="speke", nonce="x", uri="/", response="x"',
            "Bearer encoder",
        ):
            expect_status(client, 403, {"Authorization": value})


@pytest.mark.parametrize(
    "kind,algorithm", [("lighttpd", "SHA-256"), ("lighttpd", "MD5"), ("apache", "MD5")]
)
def test_digest_algorithms(site, kind, algorithm):
    with site.web(kind).client(algorithm=algorithm) as client:
        expect_keys(client)
        assert client.digest.challenge["algorithm"].upper() == algorithm, "another algorithm"
        for _ in range(3):
            expect_keys(client)
        assert client.digest.count >= 4, "the nonce must serve for several requests"


@pytest.mark.parametrize("kind", WAYS)
def test_digest_as_curl_does_it(site, kind):
    """curl --digest, as the quickstart prints it."""
    web, request = site.web(kind), d.simple_v2()
    done = subprocess.run(
        [
            "curl", "-sS", "--digest", "--user", f"encoder:{site.password['encoder']}",
            "--cacert", site.authority.ca_file, "-H", "X-Speke-Version: 2.0",
            "-H", "Content-Type: application/xml", "--data-binary", "@-",
            "--max-time", "20", f"{web.base}/v2.0/copyProtection",
        ],
        input=request.bytes(),
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"curl: {done.returncode} {done.stderr}"
    check_v2(done.stdout, request, web.base)


def test_digest_as_requests_does_it(site, web):
    """python-requests, a common client of such services."""
    with requests.Session() as session:
        session.auth = HTTPDigestAuth("encoder", site.password["encoder"])
        session.verify = site.authority.ca_file
        session.trust_env = False
        for _ in range(3):
            request = d.simple_v2()
            answer = session.post(
                f"{web.base}/copyProtection",
                data=request.bytes(),
                headers={"X-Speke-Version": "2.0", "Content-Type": "application/xml"},
                timeout=20,
            )
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]!r}"
            check_v2(answer.content, request, web.base)


def test_digest_of_another_uri(site, web):
    """A Digest answer made for another path does not open this one."""
    with web.client() as client:
        client.login()
        stolen = client.digest.header("POST", client.mount + "/v1.0/heartbeat")
        with web.client(auth=None) as thief:
            expect = thief.post(d.simple_v2(), headers={"Authorization": stolen})
            assert expect.status in (400, 401), f"expected 400 or 401, got {expect.status}"


def test_user_names_with_blanks_and_quotes(new_site):
    """Names are compared as they are; a name that looks like SQL is a name."""
    site = new_site(workers=1)
    name = "o'hara %s"
    site.ctl("client", "add", name, "--tenant", "demo", user="op")
    site.set_password(name, "pass word")
    site._own(site.users, 0o640)
    for kind in ("lighttpd", "apache"):
        with site.web(kind).client(auth=("digest", name, "pass word")) as client:
            expect_keys(client)


# --- the other recipes ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lighttpd", "apache", "apache-fcgid", "lighttpd-spawn"])
def test_basic(site, kind):
    web, before = site.web(kind, "basic"), site.counts()
    with web.client() as client:
        expect_keys(client)
        assert client.get("/health").status == 200, "health"
    for auth in (None, ("basic", "encoder", "wrong"), ("basic", "nobody", "x")):
        with web.client(auth=auth) as client:
            expect_status(client, 401)
            assert client.get("/health").status == 200, "health needs no login"
    with web.client(auth=("basic", STRANGER, site.password[STRANGER])) as client:
        expect_status(client, 403)
    assert site.counts()["releases"] == before["releases"] + 1, "one release"


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_client_certificate(site, kind):
    """The subject's common name is the client; without a certificate, or with one of another
    authority, nothing."""
    web = site.web(kind, "certificate")
    good = site.authority.issue("client-encoder", "encoder", False)
    stranger = site.authority.issue("client-stranger", "some other", False)
    with web.client(certificate=good) as client:
        request = d.simple_v2()
        expect_keys(client, request)
        assert client.get("/health").status == 200, "health"
        big = d.many_keys(300, (d.WIDEVINE,))
        assert len(big.bytes()) > 131072, "a body above 128 KiB"
        expect_keys(client, big)
    row = site.releases(request.content_id)[-1]
    assert row["client"] == "encoder", f"the audit names {row['client']!r}"
    with web.client(certificate=stranger) as client:
        expect_status(client, 403)
    with web.client() as client:
        answer = client.post(d.simple_v2())
        assert answer.status in (401, 403), f"no certificate: got {answer.status}"
        assert client.get("/health").status == 200, "health needs no certificate"
    folder = os.path.join(site.directory, f"other-ca-{kind}")
    os.makedirs(folder)
    forged = Authority(folder).issue("forged", "encoder", False)
    context = tls_context(site.authority.ca_file, forged)
    with contextlib.closing(Client(web.base, None, context=context)) as client:
        try:
            answer = client.post(d.simple_v2())
        except (OSError, http.client.HTTPException):
            return  # refused in the handshake
        assert answer.status in (401, 403), f"a forged certificate: got {answer.status}"


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_certificate_recipe_wants_no_password(site, kind):
    """A password instead of a certificate is nothing there."""
    web = site.web(kind, "certificate")
    with web.client(auth=("basic", "encoder", site.password["encoder"])) as client:
        answer = client.post(d.simple_v2())
        assert answer.status in (401, 403), f"expected 401 or 403, got {answer.status}"


def webauth_site(new_site):
    """A site whose Digest users are in the database."""
    site = new_site(workers=2)
    for name in ("encoder", "encoder-2"):
        site.set_password(name, site.password[name], webauth=True)
    return site


def status_of(web, name, password):
    """Status of one exchange on a new connection; None when there was no answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        with web.client(auth=("digest", name, password)) as client:
            answer = client.post(d.simple_v2())
            assert (b"PlainValue" in answer.body) == (answer.status == 200), "keys and status"
            return answer.status
    return None


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_users_in_the_database(new_site, kind):
    """The second option, and what becomes of it when the database was away, as the recipes say:
    Apache lets good users in again by itself; lighttpd gives 401 to those whose look-up it could
    not make until it is reloaded."""
    site = webauth_site(new_site)
    web, password = site.web(kind, "webauth"), site.password
    with web.client() as client:
        expect_keys(client)
    for auth in (None, ("digest", "encoder", "wrong"), ("digest", "rival", password["rival"])):
        with web.client(auth=auth) as client:
            expect_status(client, 401)
    with web.client(auth=None) as client:
        assert client.get("/health").status == 200, "health needs no login"

    site.forget_connection()
    site.pg.stop()
    status = status_of(web, "encoder-2", password["encoder-2"])  # looked up for the first time
    assert status in (401, 500, 503, None), f"database away: got {status}"
    site.pg.start()
    if kind == "lighttpd":
        status = status_of(web, "encoder-2", password["encoder-2"])
        assert status == 401, f"after a failed look-up: {status}; the recipe says 401 until a reload"
        web.reload()
    for name in ("encoder", "encoder-2"):
        wait_until(
            lambda name=name: status_of(web, name, password[name]) == 200, 20, f"{name} to get in"
        )
    status = status_of(web, "encoder", "wrong")
    assert status == 401, f"a wrong password after the outage: got {status}"


@pytest.mark.parametrize("kind,algorithm", [("lighttpd", "SHA-256"), ("lighttpd", "MD5")])
def test_webauth_algorithms(new_site, kind, algorithm):
    site = webauth_site(new_site)
    with site.web(kind, "webauth").client(algorithm=algorithm) as client:
        expect_keys(client)
        assert client.digest.challenge["algorithm"].upper() == algorithm, "another algorithm"


def test_webauth_role_reads_nothing_else(new_site):
    """The web server's role sees user hashes and nothing of the key store."""
    site = webauth_site(new_site)
    with contextlib.closing(
        site.pg.connect(user="webauth", password=site.password["webauth"])
    ) as connection, connection.cursor() as cursor:
        for table in ("content_key", "client", "tenant", "audit_event", "digest_user", "v_key"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(f"SELECT * FROM speke.{table}")


# --- TLS --------------------------------------------------------------------------------------------


def handshake(web, context):
    with socket.create_connection(("127.0.0.1", web.port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            return tls.version(), tls.cipher(), tls.getpeercert(True), tls.session


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
def test_tls_versions(site, web, version):
    name, cipher, der, _ = handshake(
        web, tls_context(site.authority.ca_file, minimum=version, maximum=version)
    )
    assert name == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name], f"got {name}"
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0], f"cipher {cipher[0]}"
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), f"certificate with {type(key).__name__}"
    assert key.curve.name == "secp256r1", f"curve {key.curve.name}, expected P-256"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused(web, version):
    """Also when the client would take the weakest of ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(web, context)
    # The same client gets through with TLS 1.2: it is the version that was refused.
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(web, context)[0] == "TLSv1.2", "control"


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_session_resumption(site, kind, version, tmp_path):
    """The second connection resumes the first one's session."""
    web, path = site.web(kind), str(tmp_path / "session")

    def s_client(*arguments):
        done = subprocess.run(
            [
                "openssl", "s_client", "-connect", f"127.0.0.1:{web.port}", version,
                "-servername", "localhost", "-CAfile", site.authority.ca_file,
                "-ign_eof", *arguments,
            ],
            input=b"GET /speke/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            capture_output=True,
            timeout=30,
            check=False,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "replace")

    first = s_client("-sess_out", path)
    assert "200 OK" in first, f"health over s_client: {first[-400:]}"
    assert "New, TLS" in first, "the first handshake must be a full one"
    again = s_client("-sess_in", path)
    assert "Reused, TLS" in again, f"{kind} {version}: the session was not resumed"


def test_http_1_1_is_what_is_spoken(site, web):
    """A client that offers HTTP/2 is answered in HTTP/1.1: lighttpd 1.4.69 breaks Digest in the
    other."""
    context = tls_context(site.authority.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", web.port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            chosen = tls.selected_alpn_protocol()
    assert chosen in (None, "http/1.1"), f"the server chose {chosen}"


def test_audit_of_a_release(site, web):
    """What the row says: tenant, client, address, time, version, content, KIDs made and read,
    systems, status."""
    request = d.simple_v2((d.WIDEVINE, d.FAIRPLAY))
    with web.client() as client:
        begun = time.time()
        expect_keys(client, request)
        more = d.simple_v2(
            (d.PLAYREADY,), content_id=request.content_id, kids=[request.kids[0], d.new_kid()]
        )
        expect_keys(client, more)
    first, second = site.releases(request.content_id)
    for row in (first, second):
        assert (row["tenant"], row["client"], row["remote_user"]) == ("demo", "encoder", "encoder")
        assert str(row["remote_addr"]).startswith("127.0.0.1"), f"address {row['remote_addr']}"
        assert (row["speke_version"], row["status"]) == ("2.0", 200), f"{row}"
        assert abs(row["at"].timestamp() - begun) < 60, f"time {row['at']}"
    assert [str(k) for k in first["kids"]] == request.kids, "KIDs of the first release"
    assert {str(k) for k in first["created_kids"]} == set(request.kids), "both were made"
    assert {str(s) for s in first["systems"]} == {d.WIDEVINE, d.FAIRPLAY}, "systems"
    assert [str(k) for k in second["created_kids"]] == [more.kids[1]], "one was only read"
