# SPDX-License-Identifier: Apache-2.0
"""spekectl lint, spekectl show and encrypted delivery of spekectl request, against documents that are
encrypted here with another implementation (python3-cryptography)."""
import base64
import datetime
import glob
import hashlib
import hmac
import http.server
import json
import os
import re
import subprocess
import threading

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree
from requests.auth import HTTPDigestAuth

from harness.site import TOP

DONE, FAILED, USAGE = range(3)
LINT = os.path.join(TOP, "tests", "vectors", "lint")
CPIX, PSKC = "urn:dashif:org:cpix", "urn:ietf:params:xml:ns:keyprov:pskc"
ENC, DS = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2000/09/xmldsig#"
SHAPES = ["speke", "library", "pskc"]
KIDS = ["5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506", "e2b7d1c4-0a39-4f58-9d6c-77a1b2c3d4e5"]
KEYS = [bytes.fromhex("8d6f0b1e52c34a97b0e1d2f3a4b5c6d7"), bytes(range(0x30, 0x40))]


def b64(value):
    return base64.b64encode(value).decode()


class Recipient:
    def __init__(self, name, bits=2048):
        self.key = rsa.generate_private_key(65537, bits)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime(2026, 1, 1)
        certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(self.key.public_key()).serial_number(1).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=9000)).sign(self.key, hashes.SHA256())
        )  # fmt: skip
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.public = certificate.public_key()

    def save(self, directory):
        """Writes key and certificate; the paths of both."""
        paths = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for path, value in zip(paths, (private, self.pem)):
            with open(path, "wb") as out:
                out.write(value)
        return paths


def cipher_data(value):
    return f"<enc:CipherData><enc:CipherValue>{b64(value)}</enc:CipherValue></enc:CipherData>"


class Encryption:
    """The keys of one document, and what they make (SPEKE, "Content key encryption")."""

    def __init__(self, mac_key=None):
        self.document_key, self.mac_key = os.urandom(32), mac_key or os.urandom(64)

    def mac(self, value):
        return f"<pskc:ValueMAC>{b64(hmac.new(self.mac_key, value, hashlib.sha512).digest())}</pskc:ValueMAC>"

    def wrap(self, value, public):
        oaep = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        return public.encrypt(value, oaep)

    def encrypt(self, key):
        iv = os.urandom(16)
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self.document_key), modes.CBC(iv)).encryptor()
        return iv + encryptor.update(padder.update(key) + padder.finalize()) + encryptor.finalize()

    def delivery(self, name, der, public, shape):
        document, mac = self.wrap(self.document_key, public), self.wrap(self.mac_key, public)
        if shape == "speke":
            method = f"<cpix:Key><pskc:EncryptedValue>{cipher_data(mac)}</pskc:EncryptedValue>{self.mac(mac)}</cpix:Key>"
        elif shape == "library":
            method = f"<cpix:Key>{cipher_data(mac)}</cpix:Key>"
        else:
            method = f"<pskc:MACKey>{cipher_data(mac)}</pskc:MACKey>"
        return (
            f'<cpix:DeliveryData id="{name}"><cpix:DeliveryKey><ds:X509Data><ds:X509Certificate>{b64(der)}'
            f"</ds:X509Certificate></ds:X509Data></cpix:DeliveryKey><cpix:DocumentKey><cpix:Data><pskc:Secret>"
            f"<pskc:EncryptedValue>{cipher_data(document)}</pskc:EncryptedValue>{self.mac(document)}</pskc:Secret>"
            f"</cpix:Data></cpix:DocumentKey><cpix:MACMethod>{method}</cpix:MACMethod></cpix:DeliveryData>"
        )

    def secret(self, key):
        cipher = self.encrypt(key)
        return (
            f"<cpix:Data><pskc:Secret><pskc:EncryptedValue>{cipher_data(cipher)}</pskc:EncryptedValue>"
            f"{self.mac(cipher)}</pskc:Secret></cpix:Data>"
        )


def answer(encryption, recipients, shape="speke"):
    """An encrypted answer of SPEKE 2.1 with two keys."""
    people = "".join(encryption.delivery(f"r{i}", r.der, r.public, shape) for i, r in enumerate(recipients))
    keys = "".join(
        f'<cpix:ContentKey kid="{kid}" commonEncryptionScheme="cbcs"><cpix:HDCPData HLSHDCPLevel="TYPE-1">'
        f"<cpix:HDCPOutputProtectionData>{b64(b'<OutputProtection/>')}</cpix:HDCPOutputProtectionData>"
        f"</cpix:HDCPData>{encryption.secret(key)}</cpix:ContentKey>"
        for kid, key in zip(KIDS, KEYS)
    )
    return (
        f'<cpix:CPIX contentId="movie" version="2.4" xmlns:cpix="{CPIX}" xmlns:pskc="{PSKC}" xmlns:enc="{ENC}" '
        f'xmlns:ds="{DS}">\n<cpix:DeliveryDataList>{people}</cpix:DeliveryDataList>\n'
        f"<cpix:ContentKeyList>{keys}</cpix:ContentKeyList>\n<cpix:DRMSystemList>"
        f'<cpix:DRMSystem kid="{KIDS[0]}" systemId="edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" HLSAllowedCPC="a:B">'
        f'<cpix:ContentProtectionData robustness="HW"></cpix:ContentProtectionData>'
        f"</cpix:DRMSystem></cpix:DRMSystemList></cpix:CPIX>\n"
    )


@pytest.fixture(scope="module")
def people():
    return Recipient("origin-a"), Recipient("origin-b")


@pytest.fixture
def ctl(install):
    def call(*arguments, code=DONE, stdin="", **environment):
        done = subprocess.run(
            [install.spekectl, *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": "/usr/bin:/bin", **environment},
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    return call


def forms(key):
    return key.hex(), b64(key)


# --- lint ------------------------------------------------------------------------------------------


def test_lint_tells_line_place_text_and_rule(ctl):
    path = os.path.join(LINT, "many-faults.xml")
    done = ctl("lint", path, "--speke", "2.0", code=FAILED)
    lines = done.stdout.splitlines()
    assert lines[0] == f"{path}:2: CPIX@contentId: Missing CPIX@contentId [E1]"
    assert len(lines) == 8 and lines[-1].endswith("SPEKE 2.0, 7 faults")
    found = json.loads(ctl("--json", "lint", path, "--speke", "2.0", code=FAILED).stdout)
    assert found["speke_version"] == "2.0" and not found["guessed"] and len(found["faults"]) == 7
    assert set(found["faults"][0]) == {"line", "place", "rule", "text"}


def test_lint_exits_with_0_without_a_fault_and_reads_standard_input(ctl):
    good = glob.glob(f"{LINT}/good-*.xml")
    assert good
    for path in good:
        assert ctl("lint", path, "-q").stdout == ""
        with open(path, encoding="utf-8") as document:
            assert json.loads(ctl("lint", "-", "--json", stdin=document.read()).stdout)["faults"] == []
    assert "-:1: The document is empty [R8]" in ctl("lint", "-", code=FAILED).stdout


def test_lint_wants_a_file_and_a_version_that_exists(ctl):
    ctl("lint", code=USAGE)
    ctl("lint", "-", "--speke", "3.0", code=USAGE)
    assert "no-such-file" in ctl("lint", "no-such-file", code=FAILED).stderr


def test_lint_says_first_what_the_provider_answers(ctl, site):
    """The text of the first fault is the body that a client gets."""
    web = site.web("lighttpd", "digest")
    for name in ("many-faults", "key-kid-twice", "contract-hdr-yes", "xml-doctype", "list-no-rules"):
        path = os.path.join(LINT, f"{name}.xml")
        with open(path, "rb") as document:
            got = requests.post(
                f"{web.base}/v2.0/copyProtection", data=document.read(), timeout=30, verify=site.authority.ca_file,
                headers={"Content-Type": "application/xml", "X-Speke-Version": "2.0"},
                auth=HTTPDigestAuth("encoder", site.password["encoder"]),
            )  # fmt: skip
        found = json.loads(ctl("--json", "lint", path, "--speke", "2.0", code=FAILED).stdout)["faults"]
        assert got.text == found[0]["text"], name


# --- show ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("which", [0, 1])
def test_show_opens_what_another_implementation_encrypted(ctl, people, tmp_path, shape, which):
    key, _ = people[which].save(tmp_path)
    document = tmp_path / "answer.xml"
    document.write_text(answer(Encryption(), people, shape), encoding="utf-8")
    shown = json.loads(ctl("--json", "show", str(document), "--key", key, "--reveal").stdout)
    assert [k["key_hex"] for k in shown["keys"]] == [k.hex() for k in KEYS]
    assert shown["opened"] == {"recipient": which + 1, "macs_verified": 4 if shape == "speke" else 3}
    assert [r["subject"] for r in shown["recipients"]] == ["CN=origin-a", "CN=origin-b"]
    assert shown["recipients"][0]["sha256"] == hashlib.sha256(people[0].der).hexdigest()
    assert shown["keys"][0]["hdcp_level"] == "TYPE-1"
    assert shown["keys"][0]["hdcp_output_protection"] == "<OutputProtection/>"
    assert shown["systems"][0]["robustness"] == "HW" and shown["systems"][0]["hls_allowed_cpc"] == "a:B"


def test_show_hides_keys_unless_it_is_asked_to(ctl, people, tmp_path):
    key, _ = people[0].save(tmp_path)
    text = answer(Encryption(), people)
    for arguments in (["show", "-"], ["show", "-", "--key", key], ["--json", "show", "-", "--key", key]):
        done = ctl(*arguments, stdin=text)
        for secret in KEYS:
            assert not any(form in done.stdout + done.stderr for form in forms(secret))
    assert "(encrypted)" in ctl("show", "-", stdin=text).stdout
    opened = ctl("show", "-", "--key", key, stdin=text).stdout
    assert "4 MACs verified" in opened and hashlib.sha256(KEYS[0]).hexdigest()[:16] in opened
    assert KEYS[1].hex() in ctl("show", "-", "--key", key, "--reveal", stdin=text).stdout


def flip(text, xpath, number):
    """The document with a bit of an element's base64 bytes changed."""
    tree = etree.fromstring(text)
    element = tree.xpath(xpath, namespaces={"cpix": CPIX, "pskc": PSKC, "enc": ENC, "ds": DS})[number]
    value = bytearray(base64.b64decode(element.text))
    value[-1] ^= 1
    element.text = b64(bytes(value))
    return etree.tostring(tree).decode()


CONTENT = "//cpix:ContentKey//"
DOCUMENT_KEY, MAC_KEY = "//cpix:DocumentKey//", "//cpix:MACMethod//"


@pytest.mark.parametrize(
    "xpath, number, words",
    [
        (CONTENT + "enc:CipherValue", 0, f"the ValueMAC is wrong for the key of KID {KIDS[0]}"),
        (CONTENT + "enc:CipherValue", 1, f"the ValueMAC is wrong for the key of KID {KIDS[1]}"),
        (CONTENT + "pskc:ValueMAC", 1, f"the ValueMAC is wrong for the key of KID {KIDS[1]}"),
        (DOCUMENT_KEY + "pskc:ValueMAC", 0, "the ValueMAC of the document key is wrong"),
        (MAC_KEY + "pskc:ValueMAC", 0, "the ValueMAC of the MAC key is wrong"),
        (DOCUMENT_KEY + "enc:CipherValue", 0, "DocumentKey holds no key of 32 bytes"),
        (MAC_KEY + "enc:CipherValue", 0, "MACMethod holds no key of 64 bytes"),
    ],
)
def test_show_opens_nothing_that_was_tampered_with(ctl, people, tmp_path, xpath, number, words):
    key, _ = people[0].save(tmp_path)
    text = flip(answer(Encryption(), people), xpath, number)
    done = ctl("show", "-", "--key", key, "--reveal", stdin=text, code=FAILED)
    assert words in done.stderr and "(encrypted)" in done.stdout
    for secret in KEYS:
        assert not any(form in done.stdout + done.stderr for form in forms(secret))


def test_show_says_why_keys_cannot_be_opened(ctl, people, tmp_path):
    stranger, _ = Recipient("stranger").save(tmp_path)
    text = answer(Encryption(), people)
    assert "no DeliveryData is for this private key" in ctl("show", "-", "--key", stranger, stdin=text, code=FAILED).stderr
    _, certificate = people[0].save(tmp_path)
    assert "no RSA private key" in ctl("show", "-", "--key", certificate, stdin=text, code=FAILED).stderr
    key, _ = people[0].save(tmp_path)
    no_mac = re.sub(r"(<cpix:ContentKeyList>.*?)<pskc:ValueMAC>.*?</pskc:ValueMAC>", r"\1", text, count=1, flags=re.S)
    assert "no ValueMAC came" in ctl("show", "-", "--key", key, stdin=no_mac, code=FAILED).stderr
    short = answer(Encryption(os.urandom(32)), people)
    assert "no key of 64 bytes" in ctl("show", "-", "--key", key, stdin=short, code=FAILED).stderr
    assert "no DeliveryData" in ctl(
        "show", os.path.join(LINT, "good-v2.0.xml"), "--key", key, code=FAILED
    ).stderr
    assert "The root element is not CPIX" in ctl("show", "-", stdin="<cpix", code=FAILED).stderr


def test_show_decodes_boxes_headers_and_lines_of_a_real_answer(ctl, site, tmp_path):
    web, path = site.web("lighttpd", "digest"), str(tmp_path / "answer.xml")
    ctl("request", f"{web.base}/v2.0/copyProtection", "--content-id", "shown", "--preset", "SHARED", "--smooth",
        "--user", "encoder", "--ca", site.authority.ca_file, "--save", path, SPEKE_PASSWORD=site.password["encoder"],
        )  # fmt: skip
    text = ctl("show", path, "--reveal").stdout
    ((kid, key),) = site.stored_keys("shown").items()
    assert f"{kid}  ALL     cbcs    {key.hex()}" in text and "answer" in text
    for line in ("#EXT-X-KEY:METHOD=SAMPLE-AES,", "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,", "VideoFilter, AudioFilter"):
        assert line in text
    assert text.count('<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"') == 2
    assert re.search(r"PSSH +version 0, \d+ bytes, system edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", text)
    shown = json.loads(ctl("--json", "show", path).stdout)
    assert shown["kind"] == "answer" and shown["content_id"] == "shown" and "opened" not in shown
    boxes = {s["system"]: s["pssh"]["boxes"] for s in shown["systems"] if s.get("pssh")}
    assert set(boxes) == {"widevine", "playready"}
    assert all(box["kids"] == [kid] for (box,) in boxes.values())
    assert boxes["widevine"][0]["protection_scheme"] == "cbcs"


# --- request ---------------------------------------------------------------------------------------


class Provider:
    """Answers on loopback with the request's own document and two keys of its own."""

    def __init__(self, encrypted=True, tamper=None):
        outer = self
        self.encrypted, self.tamper, self.asked = encrypted, tamper, None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = outer.reply(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("X-Speke-Version", self.headers["X-Speke-Version"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def reply(self, body):
        tree = etree.fromstring(body)
        names = {"cpix": CPIX, "pskc": PSKC, "ds": DS}
        self.asked = tree
        encryption = Encryption()
        wrapper = f'<x xmlns:cpix="{CPIX}" xmlns:pskc="{PSKC}" xmlns:enc="{ENC}" xmlns:ds="{DS}">%s</x>'
        for delivery in tree.xpath("//cpix:DeliveryData", namespaces=names):
            der = base64.b64decode(delivery.xpath(".//ds:X509Certificate", namespaces=names)[0].text)
            public = x509.load_der_x509_certificate(der).public_key()
            made = etree.fromstring(wrapper % encryption.delivery(delivery.get("id"), der, public, "speke"))
            delivery.getparent().replace(delivery, made[0])
        for element, key in zip(tree.xpath("//cpix:ContentKey", namespaces=names), KEYS):
            clear = f"<cpix:Data><pskc:Secret><pskc:PlainValue>{b64(key)}</pskc:PlainValue></pskc:Secret></cpix:Data>"
            element.append(etree.fromstring(wrapper % (encryption.secret(key) if self.encrypted else clear))[0])
        for system in tree.xpath("//cpix:DRMSystem", namespaces=names):
            for child in list(system):
                system.remove(child)
        text = etree.tostring(tree).decode()
        return (flip(text, *self.tamper) if self.tamper else text).encode()

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


ASK = ["request", "--content-id", "movie", "--drm", "fairplay", "--user", "u", "--auth", "basic"]


def test_request_opens_what_was_encrypted_for_its_own_certificate(ctl, people, tmp_path):
    key, certificate = people[0].save(tmp_path)
    for how in (["--encrypt"], ["--recipient-key", key, "--recipient-cert", certificate]):
        with Provider() as provider:
            done = ctl("--json", *ASK, provider.url, "--reveal", *how, SPEKE_PASSWORD="x", code=FAILED)
        shown = json.loads(done.stdout)
        assert [k["key_hex"] for k in shown["keys"]] == [k.hex() for k in KEYS]
        assert shown["opened"]["macs_verified"] == 4
        assert not [fault for fault in shown["faults"] if "was asked for and did not come" not in fault]
        ders = provider.asked.xpath("//ds:X509Certificate/text()", namespaces={"ds": DS})
        assert len(ders) == 1 and (how == ["--encrypt"]) == (ders[0] != b64(people[0].der))


def test_request_takes_no_clear_and_no_changed_keys_for_encrypted_ones(ctl):
    with Provider(encrypted=False) as provider:
        done = ctl(*ASK, provider.url, "--encrypt", SPEKE_PASSWORD="x", code=FAILED)
    assert "keys came in the clear" in done.stderr and "MACs verified" not in done.stdout
    with Provider(tamper=(CONTENT + "enc:CipherValue", 1)) as provider:
        done = ctl(*ASK, provider.url, "--encrypt", SPEKE_PASSWORD="x", code=FAILED)
    assert "the ValueMAC is wrong" in done.stderr and "MACs verified" not in done.stdout


@pytest.mark.parametrize("version", ["1.0", "2.0", "2.1"])
def test_keys_that_come_encrypted_are_those_that_are_stored(ctl, site, people, tmp_path, version):
    web, path = site.web("lighttpd", "digest"), str(tmp_path / "answer.xml")
    content = f"sealed-{version}"
    ask = ["--json", "request", f"{web.base}/v{version}/copyProtection", "--speke", version, "--content-id", content,
           "--user", "encoder", "--ca", site.authority.ca_file, "--reveal"]  # fmt: skip
    key, certificate = people[0].save(tmp_path)
    for how in ([], ["--encrypt"], ["--recipient-key", key, "--recipient-cert", certificate, "--save", path]):
        got = json.loads(ctl(*ask, *how, SPEKE_PASSWORD=site.password["encoder"]).stdout)
        stored = site.stored_keys(content)
        assert {k["kid"]: bytes.fromhex(k["key_hex"]) for k in got["keys"]} == stored and stored
        assert got["faults"] == []
        assert got.get("opened") == ({"recipient": 1, "macs_verified": 2 + len(stored)} if how else None)
    with open(path, encoding="utf-8") as document:
        text = document.read()
    assert "PlainValue" not in text
    shown = json.loads(ctl("--json", "show", path, "--key", key, "--reveal", "--speke", version).stdout)
    assert {k["kid"]: bytes.fromhex(k["key_hex"]) for k in shown["keys"]} == stored


@pytest.mark.parametrize(
    "more",
    [
        ["--encrypt", "--recipient-key", "x"],
        ["--recipient-key", "x"],
        ["--recipient-cert", "x"],
        ["--send", "x", "--encrypt"],
        ["--send", "x", "--recipient-key", "x", "--recipient-cert", "x"],
    ],
)
def test_request_says_which_options_go_together(ctl, more):
    assert "--recipient-key" in ctl("request", "--content-id", "a", *more, code=USAGE).stderr


def test_a_certificate_must_be_that_of_the_key(ctl, people, tmp_path):
    key, _ = people[0].save(tmp_path)
    (tmp_path / "other").mkdir()
    _, certificate = people[1].save(tmp_path / "other")
    done = ctl("request", "--content-id", "a", "--recipient-key", key, "--recipient-cert", certificate, code=FAILED)
    assert "not that of the private key" in done.stderr
