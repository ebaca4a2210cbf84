# SPDX-License-Identifier: Apache-2.0
"""Opens the key table's rows with Python's AES-GCM, from the published layout alone."""
import base64
import struct
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LABEL = b"speke-fcgi content key 1\0"


def read_kek_file(path):
    """{version: 32 bytes}"""
    keks = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            line = line.split("#")[0].split()
            if line:
                keks[int(line[0])] = base64.b64decode(line[1])
    assert all(len(kek) == 32 for kek in keks.values()), f"{path}: a KEK is not 32 bytes"
    return keks


def identity(tenant_id, kek_version, kid, scheme, content_id):
    """The associated data that binds a sealed key to its row."""
    scheme, content = scheme.encode(), content_id.encode()
    return (
        LABEL
        + struct.pack(">II", tenant_id, kek_version)
        + uuid.UUID(kid).bytes
        + bytes([len(scheme)])
        + scheme
        + struct.pack(">I", len(content))
        + content
    )


def open_row(keks, row):
    """The content key of a row with tenant_id, content_id, kid, scheme, sealed, kek_version."""
    sealed = bytes(row["sealed"])
    assert len(sealed) == 44, f"sealed value of {len(sealed)} bytes, expected 44"
    aad = identity(
        row["tenant_id"], row["kek_version"], row["kid"], row["scheme"] or "", row["content_id"]
    )
    return AESGCM(keks[row["kek_version"]]).decrypt(sealed[:12], sealed[12:], aad)
