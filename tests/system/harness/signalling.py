# SPDX-License-Identifier: Apache-2.0
"""DRM signalling taken apart by hand, from the standards' layouts: pssh boxes, Widevine's
protobuf, PlayReady objects and headers, HLS tag lines."""
import base64
import re
import struct
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lxml import etree

CENC = "urn:mpeg:cenc:2013"
MSPR = "urn:microsoft:playready"
WRM = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"


def strict_base64(text, what):
    """Decodes canonical base64: standard alphabet, padding, no white space, no surplus bits."""
    assert text, f"{what}: expected base64, found nothing"
    assert re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text), f"{what}: no plain base64: {text[:80]!r}"
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text, f"{what}: base64 is not canonical: {text[:80]!r}"
    return data


@dataclass
class Pssh:
    version: int
    system_id: str
    kids: list
    data: bytes


def parse_pssh(box):
    """One pssh box that fills the bytes (ISO/IEC 23001-7 8.1)."""
    assert len(box) >= 32, f"pssh box of {len(box)} bytes: a box has at least 32"
    size, kind, version_flags = struct.unpack(">I4sI", box[:12])
    assert kind == b"pssh", f"box type {kind!r}, expected pssh"
    assert size == len(box), f"pssh size field says {size}, the box has {len(box)} bytes"
    version, flags = version_flags >> 24, version_flags & 0xFFFFFF
    assert version in (0, 1), f"pssh version {version}, expected 0 or 1"
    assert flags == 0, f"pssh flags {flags}, expected 0"
    system_id = str(uuid.UUID(bytes=box[12:28]))
    offset, kids = 28, []
    if version == 1:
        (count,) = struct.unpack(">I", box[28:32])
        offset = 32 + 16 * count
        kids = [str(uuid.UUID(bytes=box[32 + 16 * i : 48 + 16 * i])) for i in range(count)]
    (length,) = struct.unpack(">I", box[offset : offset + 4])
    data = box[offset + 4 :]
    assert len(data) == length, f"pssh DataSize says {length}, {len(data)} bytes follow"
    return Pssh(version, system_id, kids, data)


def _varint(data, at):
    value = shift = 0
    while True:
        assert at < len(data), "protobuf: varint cut short"
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def parse_protobuf(data):
    """[(field number, value)] of a flat message; bytes for length-delimited fields."""
    fields, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        assert number > 0, "protobuf: field number 0"
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            assert at + length <= len(data), f"protobuf: field {number} runs past the end"
            value, at = data[at : at + length], at + length
        else:
            raise AssertionError(f"protobuf: unexpected wire type {wire} in field {number}")
        fields.append((number, value))
    return fields


def four_cc(scheme):
    """protection_scheme of the Widevine message: the four characters as a big-endian number."""
    return int.from_bytes(scheme.encode(), "big")


def parse_playready_object(pro):
    """The WRMHEADER text of an object with one record of type 1."""
    assert len(pro) >= 10, f"PlayReady Object of {len(pro)} bytes"
    total, records, kind, length = struct.unpack("<IHHH", pro[:10])
    assert total == len(pro), f"PlayReady Object: length field {total}, has {len(pro)} bytes"
    assert records == 1, f"PlayReady Object: {records} records, expected 1"
    assert kind == 1, f"PlayReady Object: record type {kind}, expected 1"
    assert length == len(pro) - 10, f"PlayReady record: length {length}, {len(pro) - 10} follow"
    text = pro[10:]
    assert text[:2] not in (b"\xff\xfe", b"\xfe\xff"), "WRMHEADER begins with a byte order mark"
    return text.decode("utf-16-le")


@dataclass
class PlayReadyHeader:
    version: str
    kid: str
    algorithm: str
    checksum: str  # base64 text, None when absent
    la_url: str  # None when absent


def guid_base64_to_uuid(text):
    return str(uuid.UUID(bytes_le=strict_base64(text, "PlayReady KID")))


def parse_playready_header(text):
    """WRMHEADER of the versions 4.0 to 4.3 with one KID, in the canonical form that PlayReady asks
    for."""
    assert text.startswith(f'<WRMHEADER xmlns="{WRM}" version="'), f"WRMHEADER begins {text[:120]!r}"
    assert "/>" not in text, "WRMHEADER holds a self-closing tag"
    assert "\0" not in text, "WRMHEADER holds a zero character"
    root = etree.fromstring(text)
    version = root.get("version")

    def find(path):
        return root.find("/".join(f"{{{WRM}}}{step}" for step in path.split("/")))

    if version == "4.0.0.0":
        kid, algorithm = find("DATA/KID").text, find("DATA/PROTECTINFO/ALGID").text
        assert find("DATA/PROTECTINFO/KEYLEN").text == "16", "WRMHEADER 4.0: KEYLEN is not 16"
        element = find("DATA/CHECKSUM")
        checksum = None if element is None else element.text
    else:
        paths = {
            "4.1.0.0": "DATA/PROTECTINFO/KID",
            "4.2.0.0": "DATA/PROTECTINFO/KIDS/KID",
            "4.3.0.0": "DATA/PROTECTINFO/KIDS/KID",
        }
        assert version in paths, f"WRMHEADER version {version}, expected 4.0.0.0 to 4.3.0.0"
        element = find(paths[version])
        assert element is not None, f"WRMHEADER {version}: no {paths[version]}"
        assert len(root.findall(f".//{{{WRM}}}KID")) == 1, "WRMHEADER: more than one KID"
        names = list(element.attrib)
        assert names == sorted(names), f"WRMHEADER: KID attributes not in order: {names}"
        kid, algorithm = element.get("VALUE"), element.get("ALGID")
        checksum = element.get("CHECKSUM")
    la_url = find("DATA/LA_URL")
    return PlayReadyHeader(
        version,
        guid_base64_to_uuid(kid),
        algorithm,
        checksum,
        None if la_url is None else la_url.text,
    )


def playready_checksum(kid, key):
    """First eight bytes of AES-128-ECB(content key, KID in GUID order), as base64."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    block = encryptor.update(uuid.UUID(kid).bytes_le) + encryptor.finalize()
    return base64.b64encode(block[:8]).decode()


def parse_hls_tag(line):
    """(tag name, [(attribute, raw value)]) of an EXT-X-KEY or EXT-X-SESSION-KEY line."""
    assert "\n" not in line and "\r" not in line, "HLS line holds a line break"
    match = re.fullmatch(r"#(EXT-X-KEY|EXT-X-SESSION-KEY):(.*)", line)
    assert match, f"no EXT-X-KEY or EXT-X-SESSION-KEY line: {line[:80]!r}"
    attributes, rest = [], match.group(2)
    while rest:
        item = re.match(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,(?=.)|$)', rest)
        assert item, f"HLS attribute list breaks at {rest[:80]!r}"
        attributes.append((item.group(1), item.group(2)))
        rest = rest[item.end() :]
    names = [name for name, _ in attributes]
    assert len(names) == len(set(names)), f"HLS attribute twice: {names}"
    return match.group(1), attributes


def parse_content_protection(data):
    """The sibling elements of a ContentProtectionData text: [(qualified name, text)]."""
    text = data.decode("utf-8")
    assert not text.startswith("\ufeff"), "ContentProtectionData begins with a byte order mark"
    assert "<?xml" not in text, "ContentProtectionData holds an XML declaration"
    wrapped = etree.fromstring(f"<cpd>{text}</cpd>")
    assert not (wrapped.text or "").strip(), "ContentProtectionData: text before the first element"
    children = []
    for child in wrapped:
        assert not (child.tail or "").strip(), "ContentProtectionData: text between elements"
        children.append((child.tag, child.text))
    return children
