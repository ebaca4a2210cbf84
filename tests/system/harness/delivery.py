# SPDX-License-Identifier: Apache-2.0
"""Content key encryption as a recipient sees it: certificates, the request's list, and the opening
of an answer, all from the algorithms' own definitions."""
import base64
import datetime
import hashlib
import hmac
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID
from lxml import etree

from . import documents as d
from . import signalling as s

DS = "http://www.w3.org/2000/09/xmldsig#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
AES = ENC + "aes256-cbc"
OAEP = ENC + "rsa-oaep-mgf1p"
MAC = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"

RSA_OAEP = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def ds(name):
    return f"{{{DS}}}{name}"


def enc(name):
    return f"{{{ENC}}}{name}"


@dataclass
class Recipient:
    key: object
    der: bytes

    @property
    def certificate(self):
        return base64.b64encode(self.der).decode()

    @property
    def certificate_pem(self):
        return ssl.DER_cert_to_PEM_cert(self.der).encode()

    @property
    def pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def recipient(bits=2048, curve=False):
    """A key and a certificate that it signed itself."""
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if curve
        else rsa.generate_private_key(public_exponent=65537, key_size=bits)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "recipient of tests")])
    now = datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return Recipient(key, certificate.public_bytes(serialization.Encoding.DER))


def ask(request, *certificates):
    """Puts a DeliveryDataList with these certificates (base64) in front of the other lists."""
    data = etree.Element(d.cpix("DeliveryDataList"), nsmap={"ds": DS})
    for index, certificate in enumerate(certificates):
        delivery = etree.SubElement(data, d.cpix("DeliveryData"), {"id": f"recipient-{index}"})
        key = etree.SubElement(delivery, d.cpix("DeliveryKey"))
        holder = etree.SubElement(key, ds("X509Data"))
        etree.SubElement(holder, ds("X509Certificate")).text = certificate
    request.root.insert(0, data)
    return request


def only(parent, path, what):
    found = parent.findall(path)
    assert len(found) == 1, f"{what}: {len(found)} elements {path}, expected one"
    return found[0]


@dataclass
class Sealed:
    """An EncryptedValue with its ValueMAC."""

    algorithm: str
    cipher: bytes
    mac: bytes  # None where the shape has none


def mac_key_of(method, shape):
    """What MACMethod holds in one of its shapes: SPEKE's, with EncryptedValue and ValueMAC in Key;
    that of CPIX libraries, with their content in Key itself; that of the schema, in PSKC's MACKey."""
    holder = only(method, d.pskc("MACKey") if shape == "pskc" else d.cpix("Key"), "MACMethod")
    assert list(method) == [holder], "MACMethod: more than one child"
    if shape == "speke":
        return sealed(holder, "MACMethod")
    assert [child.tag for child in holder] == [enc("EncryptionMethod"), enc("CipherData")]
    cipher = only(holder, f"{enc('CipherData')}/{enc('CipherValue')}", "MACMethod")
    return Sealed(
        holder[0].get("Algorithm"), s.strict_base64(cipher.text, "MACMethod: CipherValue"), None
    )


def sealed(parent, what):
    """What the element (Secret or Key) holds in SPEKE's shape."""
    value = only(parent, d.pskc("EncryptedValue"), what)
    method = only(value, enc("EncryptionMethod"), what).get("Algorithm")
    cipher = only(value, f"{enc('CipherData')}/{enc('CipherValue')}", what)
    mac = only(parent, d.pskc("ValueMAC"), what)
    assert list(parent) == [value, mac], f"{what}: more than EncryptedValue and ValueMAC"
    return Sealed(
        method,
        s.strict_base64(cipher.text, f"{what}: CipherValue"),
        s.strict_base64(mac.text, f"{what}: ValueMAC"),
    )


def delivery_of(answer, one):
    """The DeliveryData of that recipient."""
    mine = [
        data
        for data in answer.all("DeliveryData")
        for certificate in data.iter(ds("X509Certificate"))
        if base64.b64decode("".join((certificate.text or "").split())) == one.der
    ]
    assert len(mine) == 1, f"{len(mine)} DeliveryData with the certificate, expected one"
    return mine[0]


@dataclass
class Opened:
    document_key: bytes
    mac_key: bytes
    keys: dict  # {KID in lower case: key}
    values: dict  # {KID in lower case: Sealed}
    wrapped: list  # the two Sealed of document key and MAC key


def right_mac(mac_key, value):
    """Compares in constant time, as a recipient should."""
    return hmac.compare_digest(hmac.new(mac_key, value.cipher, hashlib.sha512).digest(), value.mac)


def open_value(document_key, mac_key, value, what):
    """Verifies, then decrypts a content key."""
    assert right_mac(mac_key, value), f"{what}: ValueMAC does not match the CipherValue"
    decryptor = Cipher(algorithms.AES(document_key), modes.CBC(value.cipher[:16])).decryptor()
    padded = decryptor.update(value.cipher[16:]) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def open_answer(answer, one, shape="speke"):
    """What the recipient gets out of an answer whose MACMethod has that shape."""
    data = delivery_of(answer, one)
    holder = only(data, d.cpix("DocumentKey"), "DeliveryData")
    secret = only(holder, f"{d.cpix('Data')}/{d.pskc('Secret')}", "DocumentKey")
    document = sealed(secret, "DocumentKey")
    method = only(data, d.cpix("MACMethod"), "DeliveryData")
    mac = mac_key_of(method, shape)
    document_key = one.key.decrypt(document.cipher, RSA_OAEP)
    mac_key = one.key.decrypt(mac.cipher, RSA_OAEP)
    for what, value in (("DocumentKey", document), ("MACMethod", mac)):
        assert value.mac is None or right_mac(mac_key, value), f"{what}: ValueMAC does not match the CipherValue"
    keys, values = {}, {}
    for element in answer.all("ContentKey"):
        kid = element.get("kid").lower()
        values[kid] = sealed(only(element, f"{d.cpix('Data')}/{d.pskc('Secret')}", kid), kid)
        keys[kid] = open_value(document_key, mac_key, values[kid], kid)
        assert len(keys[kid]) == 16, f"{kid}: key of {len(keys[kid])} bytes, expected 16"
    return Opened(document_key, mac_key, keys, values, [document, mac])
