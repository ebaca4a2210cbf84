# SPDX-License-Identifier: Apache-2.0
"""Settings of tenants over HTTPS: what they change in answers, what they refuse, that they hold from
the next request on without a restart, and that spekectl lets no bad one in."""
import base64
import datetime
import json
import os
import re
import subprocess
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from harness import documents as d
from harness.answers import check_v2
from harness.delivery import ask, open_answer, recipient
from harness.http import at_once
from harness.process import wait_until
from harness.signalling import parse_hls_tag, parse_playready_object, parse_pssh
from harness.site import TOP

IRDETO = "80a6be7e-1448-4c37-9e70-d5aebe04c8d2"
MARLIN = "5e629af5-38da-4063-8977-97ffbd9902d4"
E7 = "Unsupported SPEKE version"
E9 = "Requested CPIX encryption contract not supported"
OVERRIDE = uuid.UUID("2f8a9c1e-6b7d-5e43-9a10-5d3c7e8f4b21")
NAME, PASSWORD = "tuned-encoder", "pw-tuned"
ALL_ELEMENTS = ("PSSH", "ContentProtectionData", "media", "master")


@pytest.fixture(scope="session")
def tenant_site(site):
    site.ctl("tenant", "add", "tuned", user="op")
    site.ctl("client", "add", NAME, "--tenant", "tuned", user="op")
    site.set_password(NAME, PASSWORD)
    return site


class Tuned:
    """The tenant, its settings and a connection as its client."""

    def __init__(self, site, client):
        self.site, self.client = site, client
        self.used = []

    def drm(self, system, name, value):
        self.site.ctl("drm", "set", "tuned", system, name, value, user="op")
        self.used.append(("drm", "unset", "tuned", system, name))

    def policy(self, name, value):
        self.site.ctl("policy", "set", "tuned", name, "--file", "-", user="op", stdin=value + "\n")
        self.used.append(("policy", "unset", "tuned", name))

    def unset(self):
        # What another setting needs was set before it, and goes after it.
        for command in dict.fromkeys(reversed(self.used)):
            self.site.ctl(*command, user="op")
        self.used = []

    def get(self, request, speke="2.0"):
        """Posts, expects 200 and gives the answer as a document."""
        answer = self.client.post(request, speke=speke)
        assert answer.status == 200, f"expected 200, got {answer.status}: {answer.text[:200]}"
        return d.Document.parse(answer.body)

    def refused(self, request, speke="2.0"):
        answer = self.client.post(request, speke=speke)
        assert answer.status == 422, f"expected 422, got {answer.status}: {answer.text[:200]}"
        return answer.text


@pytest.fixture
def tuned(tenant_site, web):
    with web.client(auth=("digest", NAME, PASSWORD)) as client:
        made = Tuned(tenant_site, client)
        yield made
        made.unset()


def decoded(element):
    return base64.b64decode(element.text, validate=True)


def line(document, playlist, index=0):
    found = [e for e in document.all("HLSSignalingData") if e.get("playlist") == playlist]
    return decoded(found[index]).decode()


# -- at once ------------------------------------------------------------------------------------


def everywhere(web, request):
    """The answers to a request that comes on many connections at once, so that all workers and not
    just the one that is free first have it to answer."""

    def post():
        with web.client(auth=("digest", NAME, PASSWORD)) as client:
            return [client.post(request) for _ in range(4)]

    return [answer for answers in at_once([post] * 12) for answer in answers]


def test_settings_hold_from_the_next_request_on(tuned, web):
    """Workers that have served the tenant before do not answer as before."""
    request = d.simple_v2((d.FAIRPLAY,))
    for value in ("skd://one/{kid}", "skd://two/{kid_hex}"):
        tuned.drm("fairplay", "hls_uri", value)
        start = value.split("{", maxsplit=1)[0]
        for answer in everywhere(web, request):
            assert f'URI="{start}' in line(d.Document.parse(answer.body), "media")
    tuned.unset()
    assert 'URI="skd://ey' in line(tuned.get(request), "media"), "the default again"


def test_refusals_end_as_soon_as_the_policy_does(tuned, web):
    """A worker that remembers the policy must not go on refusing."""
    request = d.simple_v2()
    tuned.policy("max_keys", "1")
    assert {answer.text for answer in everywhere(web, request)} == {E9}
    tuned.policy("max_keys", "2")
    assert {answer.status for answer in everywhere(web, request)} == {200}


def test_other_tenants_are_left_alone(tuned, client):
    tuned.policy("versions", "2.1")
    request = d.simple_v2()
    assert tuned.refused(request) == E7
    assert client.post(request).status == 200


# -- signalling ---------------------------------------------------------------------------------


def test_playready_licence_url_and_header(tuned):
    tuned.drm("playready", "la_url", "https://lic.example.com/rm.asmx?a=1&b=2")
    tuned.drm("playready", "header", "4.1")
    answer = tuned.get(d.simple_v2((d.PLAYREADY,)))
    header = parse_playready_object(decoded(answer.all("SmoothStreamingProtectionHeaderData")[0]))
    assert "<LA_URL>https://lic.example.com/rm.asmx?a=1&amp;b=2</LA_URL>" in header
    assert 'version="4.1.0.0"' in header


def test_widevine_provider_policy_and_hls(tuned):
    tuned.drm("widevine", "provider", "acme")
    tuned.drm("widevine", "policy", "hd-rental")
    tuned.drm("widevine", "content_id", "on")
    tuned.drm("widevine", "hls_keyid", "on")
    tuned.drm("widevine", "hls_ctr_method", "on")
    tuned.drm("widevine", "hls_keyformat", "com.widevine.test")
    request = d.simple_v2()
    answer = tuned.get(request)
    box = decoded(answer.all("PSSH")[0])
    for part in (b"\x1a\x04acme", b"\x32\x09hd-rental", request.content_id.encode()):
        assert part in box
    attributes = dict(parse_hls_tag(line(answer, "media"))[1])
    assert attributes["METHOD"] == "SAMPLE-AES-CTR"
    assert attributes["KEYID"] == "0x" + request.kids[0].replace("-", "")
    assert attributes["KEYFORMAT"].strip('"') == "com.widevine.test"


def test_v21_values_and_never_in_v20(tuned):
    """R56, R57: HDCP, robustness and CPC stand where they belong, in v2.1 alone."""
    protection = (
        '<OutputProtection xmlns="urn:mpeg:dash:schema:mpd:2011" '
        'schemeIdUri="urn:mpeg:dash:output-protection:hdcp:2020" value="2.2"/>'
    )
    tuned.drm("all", "hdcp_level", "TYPE-1")
    tuned.drm("all", "output_protection", protection)
    tuned.drm("widevine", "robustness", "HW_SECURE_ALL")
    tuned.drm("widevine", "hls_allowed_cpc", "urn:uuid:x:HW/SW")
    request = d.simple_v2((d.WIDEVINE, d.FAIRPLAY), version="2.4")
    answer = tuned.get(request, "2.1")
    for key in answer.all("ContentKey"):
        assert [child.tag for child in key] == [d.cpix("HDCPData"), d.cpix("Data")]
        assert key[0].get("HLSHDCPLevel") == "TYPE-1"
        element = etree.fromstring(decoded(key[0][0]))
        assert etree.QName(element).localname == "OutputProtection"
        assert decoded(key[0][0]).decode() == protection
    for system in answer.all("DRMSystem"):
        widevine = system.get("systemId") == d.WIDEVINE
        assert system.get("HLSAllowedCPC") == ("urn:uuid:x:HW/SW" if widevine else None)
        data = system.find(d.cpix("ContentProtectionData"))
        assert (data.get("robustness") == "HW_SECURE_ALL") if widevine else data is None
    request = d.simple_v2((d.WIDEVINE, d.FAIRPLAY))
    text = etree.tostring(tuned.get(request).root).decode()
    for word in ("HDCP", "robustness", "HLSAllowedCPC"):
        assert word not in text


@pytest.mark.parametrize("word", ["master", "multiVariant"])
def test_playlist_is_echoed(tuned, word):
    """R58."""
    kinds = {d.WIDEVINE: ("media", word)}
    answer = tuned.get(d.simple_v2(placeholders=kinds, version="2.4"), "2.1")
    found = [e.get("playlist") for e in answer.all("HLSSignalingData")]
    assert found == ["media", word] * 2
    assert line(answer, word).startswith("#EXT-X-SESSION-KEY:")


def test_explicit_iv_always_or_where_it_is_needed(tuned):
    def given(systems, scheme):
        answer = tuned.get(d.simple_v2(systems, scheme=scheme))
        return {key.get("explicitIV") is not None for key in answer.all("ContentKey")}

    assert given((d.WIDEVINE,), "cenc") == {True}
    tuned.drm("all", "explicit_iv", "cbc")
    assert given((d.WIDEVINE,), "cenc") == {False}
    assert given((d.WIDEVINE,), "cbcs") == {True}
    tuned.drm("all", "explicit_iv", "needed")
    assert given((d.WIDEVINE,), "cbcs") == {False}
    assert given((d.WIDEVINE, d.FAIRPLAY), "cbcs") == {True}
    iv = base64.b64encode(bytes(range(16))).decode()
    answer = tuned.get(d.simple_v2(ivs=[iv, iv]))
    assert {key.get("explicitIV") for key in answer.all("ContentKey")} == {iv}


# -- systems that the program does not know ---------------------------------------------------


def test_unknown_systems_are_served_from_templates(tuned):
    kinds = {IRDETO: ALL_ELEMENTS, MARLIN: ALL_ELEMENTS}
    content_id = f'ü&"{uuid.uuid4()}'
    request = d.simple_v2((IRDETO,), ("VIDEO",), placeholders=kinds, content_id=content_id)
    assert tuned.refused(request) == f"Unsupported DRMSystem {IRDETO}"
    tuned.drm(IRDETO, "pssh", '{{"kid":"{kid}","id":{content_id_json}}}{hex:00ff}{kid_bytes}')
    tuned.drm(IRDETO, "content_protection", "<i:x xmlns:i='urn:i' b='{pssh}'>{content_id_raw}</i:x>")
    tuned.drm(IRDETO, "hls_uri", "irdeto://{kid_hex}/{content_id}?p={pssh}")
    answer = tuned.get(request)
    kid = request.kids[0]
    pssh = answer.one("PSSH").text
    box = parse_pssh(decoded(answer.one("PSSH")))
    data = json.dumps({"kid": kid, "id": content_id}, ensure_ascii=False, separators=(",", ":"))
    assert box.system_id == IRDETO
    assert box.data == data.encode() + b"\x00\xff" + uuid.UUID(kid).bytes
    element = etree.fromstring(decoded(answer.one("ContentProtectionData")))
    assert element.text == content_id and element.get("b") == pssh
    attributes = dict(parse_hls_tag(line(answer, "media"))[1])
    assert attributes["URI"].strip('"').startswith(f"irdeto://{kid.replace('-', '')}/%C3%BC%26%22")
    assert attributes["KEYFORMAT"].strip('"') == f"urn:uuid:{IRDETO}"
    assert line(answer, "master").split(":", 1)[1] == line(answer, "media").split(":", 1)[1]


def test_a_template_of_a_box_that_is_not_there(tuned):
    """Refused whichever setting comes first; past spekectl, a system that nobody set up."""

    def refused(*arguments):
        done = tuned.site.ctl("drm", *arguments, user="op", check=False)
        assert done.returncode == 2, done.stderr
        return done.stderr

    uri, xml = "nagra:{kid}?{pssh}", "<b>{pssh}</b>"
    assert "hls_uri, byte 13: {pssh}" in refused("set", "tuned", IRDETO, "hls_uri", uri)
    assert "content_protection, byte 4" in refused("set", "tuned", IRDETO, "content_protection", xml)
    assert "has no PSSH box" in refused("set", "tuned", "fairplay", "hls_uri", "skd://{pssh}")
    tuned.drm(IRDETO, "hls_uri", "nagra:{kid}")
    tuned.drm(IRDETO, "pssh", "{kid}")
    tuned.drm(IRDETO, "hls_uri", uri)
    assert "hls_uri, byte 13: {pssh}" in refused("unset", "tuned", IRDETO, "pssh")
    request = d.simple_v2((IRDETO,), placeholders={IRDETO: ALL_ELEMENTS})
    tuned.get(request)
    assert tuned.site.ctl("drm", "show", "tuned", user="op").stdout.count(IRDETO) == 2
    mark = tuned.site.log_mark()
    tuned.site.query("DELETE FROM speke.tenant_setting WHERE name = 'pssh'")
    try:
        assert tuned.refused(request) == f"Unsupported DRMSystem {IRDETO}"
        logged = tuned.site.log_text()[mark:]
        assert f'tenant "tuned": DRM system {IRDETO} is not served: hls_uri, byte 13' in logged
        assert tuned.client.post(d.simple_v2()).status == 200, "other systems are served"
        # What is in disorder can be brought back into order.
        assert "is not set" in refused("set", "tuned", IRDETO, "pssh_kid", "on")
    finally:
        tuned.site.ctl("drm", "set", "tuned", IRDETO, "pssh", "{kid}", user="op")
    tuned.get(request)


def test_elements_without_a_template_are_left_out(tuned):
    kinds = {MARLIN: (*ALL_ELEMENTS, "Smooth")}
    tuned.drm(MARLIN, "content_protection", "<m:id xmlns:m='urn:m'>urn:marlin:kid:{kid_hex}</m:id>")
    request = d.simple_v2((MARLIN,), ("VIDEO",), placeholders=kinds)
    system = tuned.get(request).one("DRMSystem")
    assert [child.tag for child in system] == [d.cpix("ContentProtectionData")]
    kid = request.kids[0].replace("-", "")
    assert f"urn:marlin:kid:{kid}<".encode() in decoded(system[0])


def test_schemes_of_a_system_from_templates(tuned):
    """E6 where the tenant says so."""
    tuned.drm(IRDETO, "pssh", "{kid}")
    tuned.drm(IRDETO, "schemes", "cenc")
    kinds = {IRDETO: ("PSSH",)}
    assert tuned.get(d.simple_v2((IRDETO,), placeholders=kinds, scheme="cenc"))
    assert tuned.refused(d.simple_v2((IRDETO,), placeholders=kinds, scheme="cbcs")) == (
        f"ContentKey@commonEncryptionScheme non compatible with DRMSystem {IRDETO}"
    )


# -- policy -------------------------------------------------------------------------------------


def test_versions_of_a_tenant(tuned):
    """A version that is not the tenant's is refused like one that does not exist."""
    tuned.policy("versions", "2.0")
    assert tuned.get(d.simple_v2())
    assert tuned.refused(d.simple_v2(version="2.4"), "2.1") == E7
    assert tuned.refused(d.request_v1([d.WIDEVINE]), None) == E7
    assert tuned.site.last_refusal()["detail"] == E7


def test_systems_of_a_tenant(tuned):
    tuned.policy("systems", f"widevine {IRDETO}")
    assert tuned.get(d.simple_v2())
    assert tuned.refused(d.simple_v2((d.PLAYREADY,))) == f"Unsupported DRMSystem {d.PLAYREADY}"


UHD_AND_AUDIO = [("UHD+AUDIO", [("VideoFilter", {"minPixels": "2073601"}), ("AudioFilter", {})])]
MIXED = [("VIDEO", [("VideoFilter", {})]), ("AUDIO", [("AudioFilter", {})])]


@pytest.mark.parametrize(
    "policy,rules",
    [
        ("refuse_all", d.preset_rules("SHARED", "SHARED")),
        ("refuse_audio_with_uhd", d.preset_rules("SHARED", "SHARED")),
        ("refuse_audio_with_uhd", UHD_AND_AUDIO),
        ("refuse_mixed_uhd", MIXED),
    ],
)
def test_contracts_that_a_policy_refuses(tuned, policy, rules):
    """R48: policy on: E9; off: 200."""
    request = d.request_v2(rules, [d.WIDEVINE])
    assert tuned.get(request)
    tuned.policy(policy, "on")
    assert tuned.refused(request) == E9
    tuned.policy(policy, "off")
    assert tuned.get(request)


def test_a_good_contract_passes_every_policy(tuned):
    for policy in ("refuse_all", "refuse_audio_with_uhd", "refuse_mixed_uhd"):
        tuned.policy(policy, "on")
    assert tuned.get(d.request_v2(d.preset_rules("3", "2"), [d.WIDEVINE]))


def test_checks_of_the_contract_that_a_tenant_may_change(tuned):
    one_filter = d.request_v2(d.preset_rules("7", "1"), [d.WIDEVINE])
    wcg = d.request_v2([("VIDEO", [("VideoFilter", {"wcg": "true"})])], [d.WIDEVINE])
    assert tuned.get(one_filter)
    assert tuned.refused(wcg) == "Malformed encryption contract"
    tuned.policy("strict_cardinality", "on")
    tuned.policy("allow_unsupported_filters", "on")
    assert tuned.refused(one_filter) == "Malformed encryption contract"
    assert tuned.get(wcg).one("VideoFilter").get("wcg") == "true"


def test_keys_leave_encrypted_or_not_at_all(tuned):
    tuned.policy("delivery", "required")
    text = tuned.refused(d.simple_v2())
    assert text == "Content key encryption required: missing DeliveryDataList"


@pytest.fixture(scope="session")
def certificates():
    """A CA and recipients: name -> (certificate, private key)."""
    made = {}

    def issue(name, issuer=None, bits=2048, days=1):
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(made[issuer][0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=10))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(name == "ca", None), True)
        )
        made[name] = (builder.sign(made[issuer][1] if issuer else key, hashes.SHA256()), key)

    issue("ca")
    issue("of the ca", issuer="ca")
    issue("stranger")
    issue("expired", days=-1)
    return made


def pem(certificate):
    return certificate[0].public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate):
    return certificate[0].fingerprint(hashes.SHA256()).hex()


def encrypted_for(*recipients):
    request = d.simple_v2()
    ds = "{http://www.w3.org/2000/09/xmldsig#}"
    parts = etree.Element(d.cpix("DeliveryDataList"))
    for certificate, _ in recipients:
        data = etree.SubElement(parts, d.cpix("DeliveryData"))
        key = etree.SubElement(data, d.cpix("DeliveryKey"))
        x509_data = etree.SubElement(key, f"{ds}X509Data")
        der = certificate.public_bytes(serialization.Encoding.DER)
        etree.SubElement(x509_data, f"{ds}X509Certificate").text = base64.b64encode(der).decode()
    request.root.insert(0, parts)
    return request


def test_recipients_that_a_tenant_lets_in(tuned, certificates):
    """Fingerprints and CAs, each alone and together; nobody gets keys in the clear instead."""
    of_ca, stranger = certificates["of the ca"], certificates["stranger"]

    def let_in():
        found = []
        for recipient in (of_ca, stranger):
            answer = tuned.client.post(encrypted_for(recipient))
            assert answer.status in (200, 422), answer.text
            assert b"PlainValue" not in answer.body
            found.append(answer.status == 200)
        return found

    assert let_in() == [True, True]
    tuned.policy("delivery_ca", pem(certificates["ca"]))
    assert let_in() == [True, False]
    tuned.policy("delivery_recipients", fingerprint(stranger))
    assert let_in() == [True, True]
    assert tuned.client.post(encrypted_for(of_ca, stranger)).status == 200
    tuned.unset()
    tuned.policy("delivery_recipients", fingerprint(stranger).upper())
    assert let_in() == [False, True]
    assert tuned.client.post(encrypted_for(of_ca, stranger)).status == 422


def test_sizes_and_dates_of_certificates(tuned, certificates):
    expired, good = certificates["expired"], certificates["stranger"]
    tuned.get(encrypted_for(expired))
    tuned.policy("delivery_validity", "on")
    tuned.get(encrypted_for(good))
    tuned.refused(encrypted_for(expired))
    tuned.policy("delivery_min_rsa", "3072")
    tuned.refused(encrypted_for(good))


@pytest.mark.parametrize(
    "certificate,count,says",
    [
        ("", 32, None),
        ("", 33, "Too many DeliveryData elements"),
        ("AAAA", 1000, "Too many DeliveryData elements"),
        ("A" * 900000, 1, "X509Certificate is too large"),
    ],
    ids=["32 recipients", "33", "1000", "certificate of 900 000 characters"],
)
def test_limits_of_recipients(tuned, certificate, count, says):
    """What makes the request larger than a request may be gets 413 for that."""
    one = recipient()
    request = ask(d.simple_v2(), *[certificate or one.certificate] * count)
    if says:
        assert tuned.refused(request) == says
    else:
        assert len(tuned.get(request).all("DeliveryData")) == count


def test_required_encryption_and_the_shape_of_the_mac_method(tuned, certificates):
    tuned.policy("delivery", "required")
    request = encrypted_for(certificates["stranger"])
    speke = tuned.get(request).one("MACMethod")
    assert [child.tag for child in speke] == [d.cpix("Key")]


@pytest.mark.parametrize("shape", ["speke", "library", "pskc"])
def test_every_shape_of_the_mac_method_opens(tuned, tmp_path, shape):
    """With python3-cryptography, spekectl show and spekectl request; the keys are those that go out
    in the clear."""
    tuned.policy("delivery_mac", shape)
    plain = d.simple_v2()
    clear = {
        key.get("kid"): base64.b64decode(next(key.iter(d.pskc("PlainValue"))).text)
        for key in tuned.get(plain).all("ContentKey")
    }
    one = recipient()
    answer = tuned.get(ask(plain.copy(), one.certificate))
    assert open_answer(answer, one, shape).keys == clear
    (tmp_path / "answer.xml").write_bytes(etree.tostring(answer.root))
    (tmp_path / "key.pem").write_bytes(one.pem)
    files = (tmp_path / "answer.xml", "--key", tmp_path / "key.pem")
    shown = json.loads(tuned.site.ctl("show", *files, "--reveal", "--json").stdout)
    assert {key["kid"]: base64.b64decode(key["key"]) for key in shown["keys"]} == clear
    answered = subprocess.run(
        [tuned.site.install.spekectl, "request", "--json", "--encrypt", "--content-id", "shapes"],
        capture_output=True,
        timeout=60,
        check=True,
        env={
            "PATH": "/usr/bin:/bin",
            "SPEKE_URL": f"{tuned.client.base}/v2.0/copyProtection",
            "SPEKE_USER": NAME,
            "SPEKE_PASSWORD": PASSWORD,
            "SPEKE_CA": tuned.site.authority.ca_file,
        },
    )
    answered = json.loads(answered.stdout)
    assert answered["faults"] == []
    assert all(key["fingerprint"] for key in answered["keys"])


def test_recipients_are_audited(tuned, certificates):
    recipient = certificates["stranger"]
    request = encrypted_for(recipient)
    tuned.get(request)
    rows = tuned.site.query(
        "SELECT recipient_fingerprints, recipient_subjects FROM speke.v_audit"
        " WHERE content_id = %s",
        (request.content_id,),
    )
    assert rows[0]["recipient_fingerprints"] == [fingerprint(recipient)]
    assert rows[0]["recipient_subjects"] == ["CN=stranger"]


# -- KID override -------------------------------------------------------------------------------


def expected_kid(content_id, track, period=""):
    return str(uuid.uuid5(OVERRIDE, f"{content_id}\n{track}\n{period}"))


def test_kid_override_in_v2(tuned):
    """R71: off: the request's KIDs. On: the rule's, everywhere, in the same order, each time."""
    systems = (d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY)
    rules = d.preset_rules("3", "2")
    request = d.request_v2(rules, systems, period=7)
    first = tuned.get(request)
    assert first.kids == request.kids
    check_v2(etree.tostring(first.root), request, tuned.client.base)
    tuned.policy("kid_override", "on")
    expected = [expected_kid(request.content_id, track, "7") for track, _ in rules]
    answer = tuned.client.post(request).body
    assert d.Document.parse(answer).kids == expected
    assert [rule.get("kid") for rule in d.Document.parse(answer).all("ContentKeyUsageRule")] == expected
    for old in request.kids:
        assert old.encode() not in answer, "a KID of the request is left in the answer"
    # With the new KIDs in the request, the answer is right in every other respect as well.
    renamed = request.copy()
    for name in ("ContentKey", "DRMSystem", "ContentKeyUsageRule"):
        for element in renamed.all(name):
            element.set("kid", expected[request.kids.index(element.get("kid"))])
    check_v2(answer, renamed, tuned.client.base)
    assert tuned.client.post(request).body == answer
    # Another packager's KIDs for the same content: the same keys.
    other = d.request_v2(rules, systems, content_id=request.content_id, period=7)
    values = [e.text for e in tuned.get(other).root.iter(d.pskc("PlainValue"))]
    assert values == [e.text for e in d.Document.parse(answer).root.iter(d.pskc("PlainValue"))]


def test_kid_override_in_v1_and_by_start(tuned):
    tuned.policy("kid_override", "on")
    request = d.request_v1([d.WIDEVINE], period=7)
    answer = tuned.get(request, None)
    kid = expected_kid(request.content_id, "", "7")
    assert answer.kids == [kid]
    assert answer.one("DRMSystem").get("kid") == kid
    assert answer.one("ContentKeyUsageRule").get("kid") == kid
    assert uuid.UUID(kid).bytes in decoded(answer.one("PSSH"))
    start = "2027-03-01T10:00:00.5+02:00"
    times = {"start": start, "end": "2027-03-01T10:05:00Z"}
    request = d.simple_v2(keys=("VIDEO",), period_attributes=times, version="2.4")
    assert tuned.get(request, "2.1").kids == [expected_kid(request.content_id, "VIDEO", start)]


def video_in_periods(*periods):
    """A request for two keys of one track type, each in a period of its own."""
    request = d.simple_v2(keys=("VIDEO",), version="2.4")
    again = d.simple_v2(keys=("VIDEO",), version="2.4")
    for name in ("ContentKey", "DRMSystem", "ContentKeyUsageRule"):
        request.one(name + "List").extend(again.all(name))
    parts = etree.Element(d.cpix("ContentKeyPeriodList"))
    request.root.insert(2, parts)
    for i, rule in enumerate(request.all("ContentKeyUsageRule")):
        etree.SubElement(parts, d.cpix("ContentKeyPeriod"), {"id": f"p{i}", **periods[i]})
        rule.insert(0, etree.Element(d.cpix("KeyPeriodFilter"), {"periodId": f"p{i}"}))
    return request


def test_kid_override_of_periods_with_offsets_alone(tuned):
    tuned.policy("kid_override", "on")
    request = video_in_periods(
        {"startOffset": "PT0S", "endOffset": "PT10M"}, {"startOffset": "PT10M", "endOffset": "PT1H"}
    )
    expected = [expected_kid(request.content_id, "VIDEO", start) for start in ("PT0S", "PT10M")]
    assert tuned.get(request, "2.1").kids == expected
    assert tuned.get(request, "2.1").kids == expected


def test_periods_are_kept(tuned):
    """As received, once, with the KIDs of their rules."""
    times = {"start": "2027-03-01T10:00:00.50+02:00", "end": "2027-03-01T10:05:00Z"}
    request = d.simple_v2(period_attributes=times, version="2.4")
    tuned.get(request, "2.1")
    tuned.get(request, "2.1")
    rows = tuned.site.query(
        "SELECT period_index, period_start, period_end, kids::text[] AS kids FROM speke.v_period"
        " WHERE content_id = %s",
        (request.content_id,),
    )
    assert [dict(row) for row in rows] == [
        {
            "period_index": None,
            "period_start": times["start"],
            "period_end": times["end"],
            "kids": sorted(request.kids),
        }
    ]


# -- spekectl -----------------------------------------------------------------------------------


def test_lint_by_the_settings_of_a_tenant(tuned, certificates, tmp_path):
    """All that the policy refuses, and what the templates serve. The provider says the first."""
    expired, _ = certificates["expired"], certificates["stranger"]
    kinds = {d.WIDEVINE: ("PSSH",), IRDETO: ("PSSH",)}
    request = d.simple_v2((d.WIDEVINE, IRDETO), placeholders=kinds, scheme="cbcs")
    request.root.insert(0, encrypted_for(expired).one("DeliveryDataList"))
    path = tmp_path / "request.xml"
    path.write_bytes(etree.tostring(request.root))

    def faults(*more):
        done = tuned.site.ctl("lint", path, "--json", *more, user="op", check=False)
        found = [(f["rule"], f["text"]) for f in json.loads(done.stdout)["faults"]]
        assert done.returncode == (1 if found else 0), done.stderr
        return found

    unknown = ("R28", f"Unsupported DRMSystem {IRDETO}")
    assert set(faults()) == {unknown}
    tuned.drm(IRDETO, "pssh", "{kid}")
    assert faults("--tenant", "tuned") == []
    assert tuned.client.post(request).status == 200
    tuned.drm(IRDETO, "schemes", "cenc")
    tuned.policy("versions", "2.1")
    tuned.policy("max_keys", "1")
    tuned.policy("refuse_mixed_uhd", "on")
    tuned.policy("delivery_validity", "on")
    tuned.policy("delivery_min_rsa", "3072")
    tuned.policy("delivery_recipients", "00" * 32)
    misfit = ("E6", f"ContentKey@commonEncryptionScheme non compatible with DRMSystem {IRDETO}")
    expected = [
        ("E7", E7), misfit, misfit,
        ("R63", "X509Certificate has an RSA key of 2048 bits, less than 3072"),
        ("R63", "X509Certificate has expired"),
        ("R63", "X509Certificate is of no registered recipient"),
        ("V17", E9), ("V17", E9),
    ]  # fmt: skip
    assert faults("--tenant", "tuned") == expected
    assert tuned.refused(request) == E7
    text = tuned.site.ctl("lint", path, "--tenant", "tuned", user="op", check=False).stdout
    assert "(max_keys: 2 keys, the tenant allows 1): " + E9 in text
    assert "(refuse_mixed_uhd: one key for UHD and smaller video): " + E9 in text
    # As the keys have to leave encrypted and this request has no recipient, that is told, too.
    tuned.policy("delivery", "required")
    request.root.remove(request.one("DeliveryDataList"))
    path.write_bytes(etree.tostring(request.root))
    required = ("policy", "Content key encryption required: missing DeliveryDataList")
    assert required in faults("--tenant", "tuned")
    done = tuned.site.ctl("lint", path, "--tenant", "nobody", user="op", check=False)
    assert done.returncode == 1 and 'no tenant "nobody"' in done.stderr


def test_kids_that_would_collide(tuned, tmp_path):
    tuned.policy("kid_override", "on")
    request = video_in_periods({"index": "7"}, {"index": "7"})
    kid = expected_kid(request.content_id, "VIDEO", "7")
    text = f"KID override gives two ContentKeys the same KID: {kid}"
    assert tuned.refused(request, "2.1") == text
    path = tmp_path / "request.xml"
    path.write_bytes(etree.tostring(request.root))
    done = tuned.site.ctl("lint", path, "--tenant", "tuned", user="op", check=False)
    assert f": ContentKeyList/ContentKey[2]@kid: {text} [R71]" in done.stdout
    assert tuned.site.ctl("lint", path).returncode == 0


@pytest.mark.parametrize(
    "arguments,says",
    [
        (("drm", "set", "tuned", "fairplay", "hls_uri", "skd://{kidd}"), "byte 7: {kidd}"),
        (("drm", "set", "tuned", "playready", "la_url", "lic.example.com"), "no absolute URL"),
        (("drm", "set", "tuned", "widevine", "hls_keyformat", 'a"b'), "byte 2: a quote"),
        (("drm", "set", "tuned", IRDETO, "content_protection", "<a>"), "line "),
        (("drm", "set", "tuned", "all", "output_protection", "<x/>"), "OutputProtection"),
        (("drm", "set", "tuned", "nosuch", "la_url", "x"), "neither a DRM system's name"),
        (("drm", "set", "tuned", "widevine", "la_url", "x"), "no such setting"),
        (("drm", "set", "tuned", "all", "max_keys", "1"), 'belongs to "spekectl policy"'),
        (("policy", "set", "tuned", "versions", "3.0"), "one or more of: 1.0 2.0 2.1"),
        (("policy", "set", "tuned", "delivery_ca", "x"), "no certificate"),
        (("policy", "set", "tuned", "max_keys"), "a value is missing"),
    ],
)
def test_bad_settings_are_refused_when_set(tenant_site, arguments, says):
    done = tenant_site.ctl(*arguments, user="op", check=False)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    rows = tenant_site.query("SELECT count(*) AS n FROM speke.v_setting WHERE tenant = 'tuned'")
    assert rows[0]["n"] == 0


def test_settings_are_shown_and_their_changes_audited(tuned):
    tuned.drm("playready", "la_url", "https://a.example/")
    tuned.drm(IRDETO, "pssh", "{kid}")
    tuned.policy("max_keys", "8")

    def rows(*words):
        shown = json.loads(tuned.site.ctl(*words, "--json", user="op").stdout)
        return [(row["system"], row["name"], row["value"]) for row in shown]

    assert rows("drm", "show", "tuned") == [
        (IRDETO, "pssh", "{kid}"),
        ("playready", "la_url", "https://a.example/"),
    ]
    assert rows("policy", "show", "tuned") == [("all", "max_keys", "8")]
    assert "la_url" in tuned.site.ctl("drm", "show", "tuned", user="op").stdout
    done = tuned.site.ctl("drm", "show", "nobody", user="op", check=False)
    assert done.returncode == 1 and 'no tenant "nobody"' in done.stderr
    audited = tuned.site.query(
        "SELECT detail FROM speke.v_audit WHERE event = 'admin' ORDER BY event_id DESC LIMIT 1"
    )
    assert "setting_set 'max_keys'" in audited[0]["detail"]


def test_a_value_from_a_file(tuned):
    """Lines and all, but for the line end that a file has at its end."""
    element = "<OutputProtection>\n<a/>\n</OutputProtection>"
    path = os.path.join(tuned.site.directory, "output-protection.xml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(element + "\n")
    arguments = ("tuned", "all", "output_protection")
    tuned.site.ctl("drm", "set", *arguments, "--file", path, user="op")
    tuned.used.append(("drm", "unset", *arguments))
    answer = tuned.get(d.simple_v2(version="2.4"), "2.1")
    assert decoded(answer.all("HDCPOutputProtectionData")[0]).decode() == element
    done = tuned.site.ctl("drm", "set", *arguments, "--file", path + ".not", user="op", check=False)
    assert done.returncode == 1 and "No such file" in done.stderr


def test_a_setting_that_got_in_another_way_stops_the_tenant(tuned):
    """A restriction that cannot be read must not be passed over."""
    tuned.site.query("SELECT speke.setting_set('tuned', NULL, 'no_such_setting', '1')")
    tuned.site.query("COMMIT")
    try:
        answer = tuned.client.post(d.simple_v2())
        assert (answer.status, answer.text) == (500, "Internal error")
        # The line is written behind the answer.
        wait_until(lambda: "no_such_setting" in tuned.site.log_text(), 10, "the log's line")
    finally:
        tuned.site.query("SELECT speke.setting_unset('tuned', NULL, 'no_such_setting')")
        tuned.site.query("COMMIT")
    assert tuned.get(d.simple_v2())


def test_the_manual_page_knows_every_setting(tenant_site):
    """With its default and its example, as the help has them."""
    with open(os.path.join(TOP, "doc", "speke-tenant.5"), encoding="utf-8") as page:
        text = page.read().replace("\\(dq", '"').replace("\\&", "").replace("\\e", "\\")
    count = 0
    for family in ("drm", "policy"):
        shown = tenant_site.ctl(family, "set", "--help").stdout
        for name, default, example in re.findall(
            r"^  (\w+)(?:  \(.*\))?\n      .*\n      .*; default (.*)\n      example: (.*)$",
            shown,
            re.MULTILINE,
        ):
            count += 1
            item = [part for part in text.split(".It Cm ") if re.match(rf"{name}\b", part)]
            default = f".Ql {default[1:-1]} ." if default != "none" else "Default: none."
            assert any(default in part and f".Dl {example}" in part for part in item), name
    assert count > 30
