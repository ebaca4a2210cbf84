# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens made by hand (RFC 7515, RFC 7519), also such as no signer would make."""
import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hs256(secret, data):
    return hmac.new(secret, data, hashlib.sha256).digest()


def es256(key, data):
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def assemble(header, claims, sign):
    """sign: a function of the signed bytes. header and claims: objects, or bytes as they are."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)
    ]
    signed = ".".join(b64url(part) for part in parts)
    return f"{signed}.{b64url(sign(signed.encode()))}"


class Signer:
    """A registered key. secret: bytes for HS256, an EC private key for ES256."""

    def __init__(self, kid, secret):
        self.kid, self.secret = kid, secret
        self.algorithm = "HS256" if isinstance(secret, bytes) else "ES256"

    def sign(self, data):
        make = hs256 if self.algorithm == "HS256" else es256
        return make(self.secret, data)

    def token(self, header=None, ttl=600, **claims):
        """A claim that is None is left out."""
        now = int(time.time())
        body = {"exp": now + ttl, **claims}
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **(header or {})}
        return assemble(
            {name: value for name, value in head.items() if value is not None},
            {name: value for name, value in body.items() if value is not None},
            self.sign,
        )

    def public_pem(self):
        return self.secret.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
