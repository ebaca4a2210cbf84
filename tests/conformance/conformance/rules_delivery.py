# SPDX-License-Identifier: Apache-2.0
"""R59 to R65 and R70: content key encryption."""
import base64
import copy
import functools
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree

from harness import delivery
from harness import documents as d

from .provider import VERSIONS, simple
from .reading import DRM, plain_keys
from .rules import NotMeasured, rule


@functools.lru_cache(maxsize=None)
def recipient(number=0, bits=2048):
    """The run's own recipients; making a key takes a while."""
    return delivery.recipient(bits)


def identity(request):
    """What makes the same request again with other things in it."""
    return {"content_id": request.content_id, "kids": request.kids}


def exchange(provider, version, *recipients, **more):
    """An encrypted exchange: (clear keys, the answer's Answer, its document)."""
    request = simple(version, DRM, **more)
    clear = plain_keys(provider.document(request, version))
    asked = delivery.ask(request, *(one.certificate for one in recipients))
    answer = provider.exchange(asked, version)
    return clear, answer, d.Document.parse(answer.body)


def expect_structure(answer, version, count=1):
    """Names and order of SPEKE's shape."""
    root = answer.root
    first = etree.QName(root[0]).localname
    assert first == "DeliveryDataList", f"first child {first}, expected DeliveryDataList"
    data = answer.all("DeliveryData")
    assert len(data) == count, f"{len(data)} DeliveryData, expected {count}"
    for index, one in enumerate(data):
        names = [etree.QName(child).localname for child in one]
        assert names == ["DeliveryKey", "DocumentKey", "MACMethod"], f"v{version}: {names}"
        assert one.get("id") == f"recipient-{index}", f"DeliveryData@id {one.get('id')!r}"


@rule(59, "one recipient: encrypted values in SPEKE's shape, none in the clear, the same keys")
def r59(checks, provider):
    for version in VERSIONS:
        measure_one_recipient(checks, provider, version)


def measure_one_recipient(checks, provider, version):
    name = version or "1.0"
    kind = {"systems": (d.WIDEVINE,)} if version is None else {"systems": DRM}
    request = simple(version, **kind)
    clear = plain_keys(provider.document(request, version))
    asked = delivery.ask(request, recipient().certificate)
    answer = provider.exchange(asked, version)
    document = d.Document.parse(answer.body)
    with checks.check(f"{name} structure"):
        expect_structure(document, name)
    with checks.check(f"{name} no key in the clear"):
        assert b"PlainValue" not in answer.body, "a PlainValue"
        for key in clear.values():
            assert base64.b64encode(key) not in answer.body, "a key as base64"
            assert key not in answer.body, "the bytes of a key"
    with checks.check(f"{name} decryption"):
        opened = delivery.open_answer(document, recipient())
        assert opened.keys == clear, "other keys than in the clear"


@rule(60, "lengths, algorithms and namespaces of the encrypted values")
def r60(checks, provider):
    for version in VERSIONS:
        _, _, answer = exchange(provider, version, recipient())
        opened = delivery.open_answer(answer, recipient())
        with checks.check(f"{version} content keys"):
            for kid, value in opened.values.items():
                assert len(value.cipher) == 48, f"{kid}: CipherValue of {len(value.cipher)} bytes"
                assert len(value.mac) == 64, f"{kid}: ValueMAC of {len(value.mac)} bytes"
                assert value.algorithm == delivery.AES, f"{kid}: {value.algorithm}"
        with checks.check(f"{version} document and MAC key"):
            for value in opened.wrapped:
                assert len(value.cipher) == 256, f"CipherValue of {len(value.cipher)} bytes"
                assert len(value.mac) == 64, f"ValueMAC of {len(value.mac)} bytes"
                assert value.algorithm == delivery.OAEP, value.algorithm
            sizes = len(opened.document_key), len(opened.mac_key)
            assert sizes == (32, 64), f"keys of {sizes} bytes, expected 32 and 64"
        with checks.check(f"{version} Algorithm attributes"):
            have = [answer.one(name).get("Algorithm") for name in ("DocumentKey", "MACMethod")]
            assert have == [delivery.AES, delivery.MAC], f"{have}"
        with checks.check(f"{version} namespaces"):
            declared = set(answer.root.nsmap.values())
            assert {delivery.DS, delivery.ENC} <= declared, f"the root declares {declared}"
            for prefix, uri in {"ds": delivery.DS, "enc": delivery.ENC}.items():
                have = answer.root.nsmap.get(prefix)
                assert have == uri, f"xmlns:{prefix} is {have!r}"


@rule(61, "fresh IVs for each key, fresh document and MAC keys for each answer")
def r61(checks, provider):
    for version in VERSIONS:
        request = delivery.ask(simple(version), recipient().certificate)
        one, two = (
            delivery.open_answer(provider.document(request, version), recipient())
            for _ in range(2)
        )
        with checks.check(f"{version} IVs"):
            used = [v.cipher[:16] for opened in (one, two) for v in opened.values.values()]
            assert len(set(used)) == 4, "an IV of the encryption repeats"
        with checks.check(f"{version} document keys"):
            assert one.document_key != two.document_key, "the document key repeats"
        with checks.check(f"{version} MAC keys"):
            assert one.mac_key != two.mac_key, "the MAC key repeats"
        with checks.check(f"{version} content keys"):
            assert one.keys == two.keys, "other content keys"


@rule(62, "each of two recipients can decrypt every key")
def r62(checks, provider):
    for version in VERSIONS:
        clear, _, answer = exchange(provider, version, recipient(0), recipient(1))
        with checks.check(f"{version} structure"):
            expect_structure(answer, version, 2)
        for number in (0, 1):
            with checks.check(f"{version} recipient {number + 1}"):
                opened = delivery.open_answer(answer, recipient(number))
                assert opened.keys == clear, "other keys than in the clear"


@rule(63, "recipients that can't be served are refused, never answered with clear keys")
def r63(checks, provider):
    good = recipient()
    certificates = {
        "broken base64": good.certificate[:100] + "!" + good.certificate[100:],
        "truncated DER": base64.b64encode(good.der[:-20]).decode(),
        "no DER": base64.b64encode(os.urandom(400)).decode(),
        "empty certificate": "",
        "EC": delivery.recipient(curve=True).certificate,
        "RSA-1024": recipient(0, 1024).certificate,
    }
    for version in VERSIONS:
        for name, certificate in certificates.items():
            with checks.check(f"{version} {name}"):
                provider.refused(delivery.ask(simple(version), certificate), None, version)
            with checks.check(f"{version} {name} beside a good one"):
                request = delivery.ask(simple(version), good.certificate, certificate)
                provider.refused(request, None, version)
        with checks.check(f"{version} empty list"):
            provider.refused(delivery.ask(simple(version)), None, version)
        with checks.check(f"{version} no DeliveryKey"):
            request = delivery.ask(simple(version), good.certificate).remove("DeliveryKey")
            provider.refused(request, None, version)


VECTOR_KEY = bytes.fromhex("8d6f0b1e52c34a97b0e1d2f3a4b5c6d7")
VECTOR_CIPHER = "oKGio6SlpqeoqaqrrK2urwelDTuqu93BsbiBl9dLS/29cLrsugeis+W6n2e8SwNw"
VECTOR_MAC = (
    "6MOYu5kFd+qQvbaIaV5XTo8yt1gDWnRMovwYW1WFZ4uT4yLrjAtkFcyh+HBJofMSAld2vfqE6HDLnAo9FrOnFQ=="
)


@rule(64, "the vector of an encrypted content key is reproduced")
def r64(checks, provider):
    document_key, mac_key, iv = bytes(range(32)), bytes(range(64, 128)), bytes(range(160, 176))
    value = delivery.Sealed(
        delivery.AES, base64.b64decode(VECTOR_CIPHER), base64.b64decode(VECTOR_MAC)
    )
    with checks.check("made here"):
        encryptor = Cipher(algorithms.AES(document_key), modes.CBC(iv)).encryptor()
        cipher = iv + encryptor.update(VECTOR_KEY + b"\x10" * 16) + encryptor.finalize()
        assert cipher == value.cipher, f"CipherValue {base64.b64encode(cipher)}"
        mac = hmac.new(mac_key, cipher, hashlib.sha512).digest()
        assert mac == value.mac, f"ValueMAC {base64.b64encode(mac)}"
    with checks.check("opened by this run's recipient"):
        key = delivery.open_value(document_key, mac_key, value, "vector")
        assert key == VECTOR_KEY, f"key {key.hex()}"
    with checks.check("the provider's own code"):
        if not provider.options.vector_hook:
            raise NotMeasured("needs the provider's own test of its crypto layer (--vector-hook)")
        provider.hook(provider.options.vector_hook)


def spoil(answer, path, index=0):
    """A copy of the answer in which a bit of one base64 value is turned."""
    other = d.Document(copy.deepcopy(answer.root))
    element = other.root.findall(f".//{path}")[index]
    data = bytearray(base64.b64decode(element.text))
    data[len(data) // 2] ^= 1
    element.text = base64.b64encode(bytes(data)).decode()
    return other


@rule(65, "a changed CipherValue is found by its MAC")
def r65(checks, provider):
    for version in VERSIONS:
        _, _, answer = exchange(provider, version, recipient())
        keys = d.cpix("ContentKeyList")
        cipher = f"{keys}//{delivery.enc('CipherValue')}"
        mac = f"{keys}//{d.pskc('ValueMAC')}"
        with checks.check(f"{version} untouched"):
            delivery.open_answer(answer, recipient())
        for name, path in {"CipherValue": cipher, "ValueMAC": mac}.items():
            with checks.check(f"{version} {name} changed"):
                try:
                    delivery.open_answer(spoil(answer, path), recipient())
                except AssertionError as found:
                    assert "does not match" in str(found), f"another fault: {found}"
                else:
                    raise AssertionError("the change was not noticed")


@rule(70, "v1: content key encryption as in v2.x")
def r70(checks, provider):
    measure_one_recipient(checks, provider, None)
