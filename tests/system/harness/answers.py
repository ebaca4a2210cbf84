# SPDX-License-Identifier: Apache-2.0
"""Judges an answer against its request: everything that SPEKE says must be there, be the same, or
be computed from KID and key."""
import base64
import hashlib
import json
import urllib.parse
from dataclasses import dataclass, field

from lxml import etree

from . import documents as d
from . import signalling as s

IV_BYTES = KEY_BYTES = 16


@dataclass
class Keys:
    """What an answer gave, by KID in lower case."""

    key: dict = field(default_factory=dict)  # 16 bytes
    iv: dict = field(default_factory=dict)  # 16 bytes; v1 may give none
    iv_text: dict = field(default_factory=dict)


def _only(parent, name, what):
    found = parent.findall(name)
    assert len(found) == 1, f"{what}: expected one {name}, found {len(found)}"
    return found[0]


def _elements(parent, name):
    return [child for child in parent if child.tag == name]


def read_keys(answer, request):
    """ContentKeyList against the request's: same order, KIDs, schemes; a key each; an IV."""
    keys = Keys()
    asked, given = request.all("ContentKey"), answer.all("ContentKey")
    assert [k.get("kid") for k in given] == [
        k.get("kid") for k in asked
    ], "ContentKeys: number, order and text of the KIDs must be the request's"
    for want, have in zip(asked, given):
        kid = have.get("kid").lower()
        assert have.get("commonEncryptionScheme") == want.get(
            "commonEncryptionScheme"
        ), f"{kid}: commonEncryptionScheme must be echoed"
        data = _only(have, d.cpix("Data"), kid)
        secret = _only(data, d.pskc("Secret"), kid)
        value = _only(secret, d.pskc("PlainValue"), kid)
        assert len(secret) == 1 and len(data) == 1, f"{kid}: more than a PlainValue in Data"
        key = s.strict_base64(value.text, f"{kid}: PlainValue")
        assert len(key) == KEY_BYTES, f"{kid}: key of {len(key)} bytes, expected 16"
        keys.key[kid] = key
        _read_iv(keys, kid, want.get("explicitIV"), have.get("explicitIV"))
        if kid in keys.iv:
            assert keys.iv[kid] != key, f"{kid}: the explicitIV is the content key"
    distinct = set(keys.key.values())
    assert len(distinct) == len(keys.key), "two KIDs got the same content key"
    return keys


def _read_iv(keys, kid, asked, given):
    if asked is not None:
        assert given == asked, f"{kid}: explicitIV {asked!r} must be echoed, got {given!r}"
    if given is None:
        return
    padded = base64.b64decode("".join(given.split()))
    assert len(padded) == IV_BYTES, f"{kid}: explicitIV of {len(padded)} bytes, expected 16"
    keys.iv[kid], keys.iv_text[kid] = padded, given


def path_segment(name):
    """A content id as one segment of a path; by its digest where two programs could read the segment
    differently (doc/players.md)."""
    text = urllib.parse.quote(name.encode(), safe="-._~")
    if len(text) <= 255 and name not in (".", "..") and not name.startswith("~") and not set(name) & set("/\\"):
        return text
    return "~" + base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")


class SystemCheck:
    """One DRMSystem of the answer, judged by the system's own rules."""

    def __init__(self, element, keys, request, scheme, key_url_base):
        self.element, self.request, self.scheme = element, request, scheme
        self.kid = element.get("kid").lower()
        self.system = element.get("systemId").lower()
        self.key = keys.key[self.kid]
        self.iv_text = keys.iv_text.get(self.kid)
        self.what = f"DRMSystem {self.system} of {self.kid}"
        self.key_url_base = key_url_base

    def text(self, name):
        """Text of a child, None when it is not there; '' when empty."""
        found = _elements(self.element, name)
        assert len(found) <= 1, f"{self.what}: {len(found)} elements {name}"
        return None if not found else (found[0].text or "")

    # -- the values -----------------------------------------------------------------------------

    def pssh_data(self, text):
        box = s.parse_pssh(s.strict_base64(text, f"{self.what}: PSSH"))
        assert box.system_id == self.system, f"{self.what}: the box is for {box.system_id}"
        return box

    def widevine_pssh(self, text):
        box = self.pssh_data(text)
        assert box.version == 0, f"{self.what}: pssh version {box.version}, expected 0"
        fields = s.parse_protobuf(box.data)
        kids = [value.hex() for number, value in fields if number == 2]
        assert kids == [self.kid.replace("-", "")], f"{self.what}: key ids {kids}"
        schemes = [value for number, value in fields if number == 9]
        if self.scheme == "cbcs":
            assert schemes, f"{self.what}: no protection_scheme, needed for cbcs"
        if self.scheme in ("cenc", "cbcs"):
            assert schemes in (
                [],
                [s.four_cc(self.scheme)],
            ), f"{self.what}: protection_scheme {schemes} for {self.scheme}"
        for number, value in fields:
            assert number in (2, 3, 4, 6, 9), f"{self.what}: unexpected field {number}"
            if number == 4:
                assert value == self.request.content_id.encode(), f"{self.what}: content_id {value}"

    def playready_object(self, text, what):
        pro = s.strict_base64(text, f"{self.what}: {what}")
        header = s.parse_playready_header(s.parse_playready_object(pro))
        assert header.kid == self.kid, f"{self.what}: {what} names KID {header.kid}"
        if self.scheme == "cbcs":
            assert header.algorithm == "AESCBC", f"{self.what}: ALGID {header.algorithm} for cbcs"
            assert header.version == "4.3.0.0", f"{self.what}: AESCBC in header {header.version}"
            assert header.checksum is None, f"{self.what}: CHECKSUM is forbidden with AESCBC"
        else:
            assert header.algorithm == "AESCTR", f"{self.what}: ALGID {header.algorithm}, not AESCTR"
            right = s.playready_checksum(self.kid, self.key)
            assert header.checksum == right, f"{self.what}: CHECKSUM {header.checksum}, not {right}"
        return pro

    def playready_pssh(self, text):
        box = self.pssh_data(text)
        assert box.version == 0, f"{self.what}: pssh version {box.version}, expected 0"
        self.playready_object(base64.b64encode(box.data).decode(), "pssh data")
        return box.data

    def hls(self, playlist):
        """Attributes of the line for one playlist, None when it was not asked for."""
        lines = [
            element
            for element in _elements(self.element, d.cpix("HLSSignalingData"))
            if (element.get("playlist") or "media") == playlist
        ]
        assert len(lines) <= 1, f"{self.what}: {len(lines)} lines for {playlist}"
        if not lines:
            return None
        data = s.strict_base64(lines[0].text, f"{self.what}: HLSSignalingData {playlist}")
        tag, attributes = s.parse_hls_tag(data.decode("utf-8"))
        expected = "EXT-X-KEY" if playlist == "media" else "EXT-X-SESSION-KEY"
        assert tag == expected, f"{self.what}: {tag} in the {playlist} playlist"
        return attributes

    def hls_line(self):
        """The attributes, the same in every playlist that was asked for; None when in none."""
        lines = {
            playlist: self.hls(playlist) for playlist in ("media", "master", "multiVariant")
        }
        present = [line for line in lines.values() if line is not None]
        for line in present:
            assert line == present[0], f"{self.what}: HLS lines differ: {lines}"
        return present[0] if present else None

    def expect_hls(self, expected):
        line = self.hls_line()
        if line is not None:
            assert line == expected, f"{self.what}: HLS attributes {line}, expected {expected}"

    def absent(self, *names):
        for name in names:
            assert self.text(name) is None, f"{self.what}: {name} must not be in the answer"

    def empty_pssh(self):
        assert self.text(d.cpix("PSSH")) in (None, ""), f"{self.what}: PSSH must stay empty"

    # -- the systems ----------------------------------------------------------------------------

    def widevine(self):
        pssh, cpd = self.text(d.cpix("PSSH")), self.text(d.cpix("ContentProtectionData"))
        if pssh is not None:
            self.widevine_pssh(pssh)
        if cpd is not None:
            data = s.strict_base64(cpd, f"{self.what}: ContentProtectionData")
            children = s.parse_content_protection(data)
            assert [name for name, _ in children] == [
                f"{{{s.CENC}}}pssh"
            ], f"{self.what}: ContentProtectionData holds {children}"
            self.widevine_pssh(children[0][1])
            assert pssh is None or children[0][1] == pssh, f"{self.what}: cenc:pssh is not the PSSH"
        line = self.hls_line()
        if line is not None:
            uri = dict(line)["URI"].strip('"')
            prefix = "data:text/plain;base64,"
            assert uri.startswith(prefix), f"{self.what}: URI {uri[:60]}"
            self.widevine_pssh(uri[len(prefix) :])
            assert pssh is None or uri[len(prefix) :] == pssh, f"{self.what}: URI is not the PSSH"
            self.expect_hls(
                [
                    ("METHOD", "SAMPLE-AES"),
                    ("URI", f'"{uri}"'),
                    ("KEYFORMAT", f'"urn:uuid:{d.WIDEVINE}"'),
                    ("KEYFORMATVERSIONS", '"1"'),
                ]
            )
        self.absent(d.cpix("SmoothStreamingProtectionHeaderData"))

    def playready(self):
        pros = {}
        pssh, cpd = self.text(d.cpix("PSSH")), self.text(d.cpix("ContentProtectionData"))
        if pssh is not None:
            pros["PSSH"] = self.playready_pssh(pssh)
        if cpd is not None:
            data = s.strict_base64(cpd, f"{self.what}: ContentProtectionData")
            children = s.parse_content_protection(data)
            assert [name for name, _ in children] == [
                f"{{{s.CENC}}}pssh",
                f"{{{s.MSPR}}}pro",
            ], f"{self.what}: ContentProtectionData holds {children}"
            assert pssh is None or children[0][1] == pssh, f"{self.what}: cenc:pssh is not the PSSH"
            pros["cenc:pssh"] = self.playready_pssh(children[0][1])
            pros["mspr:pro"] = self.playready_object(children[1][1], "mspr:pro")
        for name in (d.cpix("SmoothStreamingProtectionHeaderData"), d.speke("ProtectionHeader")):
            if self.text(name) is not None:
                pros[name] = self.playready_object(self.text(name), name)
        line = self.hls_line()
        if line is not None:
            uri = dict(line)["URI"].strip('"')
            prefix = "data:text/plain;charset=UTF-16;base64,"
            assert uri.startswith(prefix), f"{self.what}: URI {uri[:60]}"
            pros["HLS"] = self.playready_object(uri[len(prefix) :], "HLS URI")
            self.expect_hls(
                [
                    ("METHOD", "SAMPLE-AES"),
                    ("KEYFORMAT", '"com.microsoft.playready"'),
                    ("KEYFORMATVERSIONS", '"1"'),
                    ("URI", f'"{uri}"'),
                ]
            )
        assert len(set(pros.values())) <= 1, f"{self.what}: different objects in {list(pros)}"

    def fairplay(self):
        self.absent(
            d.cpix("ContentProtectionData"), d.cpix("SmoothStreamingProtectionHeaderData")
        )
        self.empty_pssh()
        line = self.hls_line()
        if line is None:
            return
        uri = dict(line)["URI"].strip('"')
        assert uri.startswith("skd://"), f"{self.what}: URI {uri[:60]}"
        fields = json.loads(s.strict_base64(uri[6:], f"{self.what}: skd"))
        expected = {
            "ContentId": self.request.content_id,
            "KeyId": self.kid,
            "IV": self.iv_text,
        }
        fields["KeyId"] = fields["KeyId"].lower()
        assert fields == expected, f"{self.what}: skd holds {fields}, expected {expected}"
        self.expect_hls(
            [
                ("METHOD", "SAMPLE-AES"),
                ("URI", f'"{uri}"'),
                ("KEYFORMAT", '"com.apple.streamingkeydelivery"'),
                ("KEYFORMATVERSIONS", '"1"'),
            ]
        )

    def key_url(self):
        return f"{self.key_url_base}/client/{path_segment(self.request.content_id)}/{self.kid}"

    def clear_key(self):
        self.absent(
            d.cpix("ContentProtectionData"), d.cpix("SmoothStreamingProtectionHeaderData")
        )
        self.empty_pssh()
        self.expect_hls(
            [
                ("METHOD", "AES-128"),
                ("URI", f'"{self.key_url()}"'),
                ("KEYFORMAT", '"identity"'),
                ("KEYFORMATVERSIONS", '"1"'),
            ]
        )


V2_CHECKS = {
    d.WIDEVINE: SystemCheck.widevine,
    d.PLAYREADY: SystemCheck.playready,
    d.FAIRPLAY: SystemCheck.fairplay,
    d.CLEAR_KEY: SystemCheck.clear_key,
}
# The placeholders that stay in the answer, filled or (FairPlay's PSSH) empty.
_KEPT = {
    d.WIDEVINE: {"PSSH", "ContentProtectionData", "HLSSignalingData"},
    d.PLAYREADY: {
        "PSSH",
        "ContentProtectionData",
        "HLSSignalingData",
        "SmoothStreamingProtectionHeaderData",
    },
    d.FAIRPLAY: {"PSSH", "HLSSignalingData"},
    d.CLEAR_KEY: {"PSSH", "HLSSignalingData"},
}


def shape(element):
    """Name, attributes in order and children of an element that has to come back unchanged."""
    return (
        element.tag,
        list(element.attrib.items()),
        [shape(child) for child in element if isinstance(child.tag, str)],
    )


def _same_list(answer, request, name):
    asked, given = request.all(name), answer.all(name)
    assert len(asked) == len(given), f"{name}: {len(asked)} in the request, {len(given)} back"
    for want, have in zip(asked, given):
        assert shape(have) == shape(want), f"{name} must come back unchanged"


def _kept(element, system):
    """Local names and playlists of the children that an answer must have."""
    names = []
    for child in element:
        if not isinstance(child.tag, str):
            continue
        name = etree.QName(child).localname
        if etree.QName(child).namespace == d.CPIX and name in _KEPT[system]:
            names.append((name, child.get("playlist")))
    return names


def check_v2(body, request, key_url_base=""):
    """Judges a v2.x answer against the request it answers; returns its Keys."""
    assert d.SPEKE.encode() not in body, "a v2 answer names the speke namespace"
    assert b"URIExtXKey" not in body, "a v2 answer holds URIExtXKey"
    assert not body.startswith(b"\xef\xbb\xbf"), "the answer begins with a byte order mark"
    answer = d.Document.parse(body)
    root = answer.root
    assert root.tag == d.cpix("CPIX"), f"root {root.tag}"
    assert root.nsmap.get("cpix") == d.CPIX, "the root must declare the prefix cpix"
    assert root.nsmap.get("pskc") == d.PSKC, "the root must declare the prefix pskc"
    assert root.get("id") is None, "a v2 answer must not have CPIX@id"
    for name in ("contentId", "version", "name"):
        have, want = root.get(name), request.root.get(name)
        assert have == want, f"CPIX@{name} {want!r} must be echoed, got {have!r}"
    for name in ("ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList"):
        answer.one(name)

    keys = read_keys(answer, request)
    plain = body.count(b"<pskc:PlainValue>")
    assert plain == len(keys.key), f"{plain} literal <pskc:PlainValue> for {len(keys.key)} keys"
    for kid in keys.key:
        assert kid in keys.iv, f"{kid}: no explicitIV in a v2 answer"

    asked, given = request.all("DRMSystem"), answer.all("DRMSystem")
    assert [(e.get("kid"), e.get("systemId")) for e in given] == [
        (e.get("kid"), e.get("systemId")) for e in asked
    ], "DRMSystems: number, order, kid and systemId must be the request's"
    scheme = request.all("ContentKey")[0].get("commonEncryptionScheme").strip()
    for want, have in zip(asked, given):
        system = have.get("systemId").lower()
        kept = _kept(want, system)
        found = [
            (etree.QName(child).localname, child.get("playlist"))
            for child in have
            if isinstance(child.tag, str)
        ]
        assert found == kept, f"DRMSystem {system}: children {found}, expected {kept}"
        for name in ("id", "name"):
            assert have.get(name) == want.get(name), f"DRMSystem@{name} must be echoed"
        V2_CHECKS[system](SystemCheck(have, keys, request, scheme, key_url_base))

    _same_list(answer, request, "ContentKeyPeriodList")
    _same_list(answer, request, "ContentKeyUsageRuleList")
    return keys


def check_v1(body, request, key_url_base=""):
    """Judges a v1 answer; returns its Keys."""
    answer = d.Document.parse(body)
    root = answer.root
    assert root.tag == d.cpix("CPIX"), f"root {root.tag}"
    assert root.get("id") == request.root.get("id"), "v1: CPIX@id must be echoed"
    keys = read_keys(answer, request)
    asked, given = request.all("DRMSystem"), answer.all("DRMSystem")
    assert [(e.get("kid"), e.get("systemId")) for e in given] == [
        (e.get("kid"), e.get("systemId")) for e in asked
    ], "v1: DRMSystems must be the request's"
    for want, have in zip(asked, given):
        _check_v1_system(SystemCheck(have, keys, request, None, key_url_base), want)
    _same_list(answer, request, "ContentKeyPeriodList")
    _same_list(answer, request, "ContentKeyUsageRuleList")
    return keys


_V1_VALUES = {
    d.HLS_AES_128: {d.cpix("URIExtXKey"), d.speke("KeyFormat"), d.speke("KeyFormatVersions")},
    d.FAIRPLAY: {d.cpix("URIExtXKey"), d.speke("KeyFormat"), d.speke("KeyFormatVersions")},
    d.WIDEVINE: {d.cpix("PSSH"), d.cpix("ContentProtectionData")},
    d.PLAYREADY: {
        d.cpix("PSSH"),
        d.cpix("ContentProtectionData"),
        d.speke("ProtectionHeader"),
    },
    d.COMMON: {d.cpix("PSSH"), d.cpix("ContentProtectionData")},
}


def _check_v1_system(check, want):
    """Only the values of that system stay, every one of them filled, then judged."""
    relevant = _V1_VALUES[check.system]
    asked = [child.tag for child in want if child.tag in relevant]
    found = [child.tag for child in check.element]
    assert found == asked, f"{check.what}: children {found}, expected {asked}"
    for child in check.element:
        assert child.text, f"{check.what}: {child.tag} is empty"
    if check.system == d.WIDEVINE:
        check.widevine()
    elif check.system == d.PLAYREADY:
        check.playready()
    elif check.system == d.COMMON:
        _check_common(check)
    else:
        _check_v1_hls(check)


def _check_common(check):
    """W3C common pssh: version 1, the KID in the box, no data."""
    text = check.text(d.cpix("PSSH"))
    box = check.pssh_data(text)
    assert (box.version, box.kids, box.data) == (1, [check.kid], b""), f"{check.what}: {box}"
    cpd = check.text(d.cpix("ContentProtectionData"))
    if cpd is not None:
        children = s.parse_content_protection(s.strict_base64(cpd, check.what))
        assert children == [(f"{{{s.CENC}}}pssh", text)], f"{check.what}: {children}"


def _check_v1_hls(check):
    def value(name):
        return s.strict_base64(check.text(name), f"{check.what}: {name}").decode()

    uri = value(d.cpix("URIExtXKey"))
    fairplay = check.system == d.FAIRPLAY
    if fairplay:
        assert uri.startswith("skd://"), f"{check.what}: FairPlay URI {uri!r}, expected skd://"
        assert check.iv_text, f"{check.what}: FairPlay needs an explicitIV"
    else:
        assert uri == check.key_url(), f"{check.what}: URI {uri!r}, expected {check.key_url()!r}"
    expected = "com.apple.streamingkeydelivery" if fairplay else "identity"
    if check.text(d.speke("KeyFormat")) is not None:
        have = value(d.speke("KeyFormat"))
        assert have == expected, f"{check.what}: KeyFormat {have!r}, expected {expected!r}"
    if check.text(d.speke("KeyFormatVersions")) is not None:
        have = value(d.speke("KeyFormatVersions"))
        assert have == "1", f"{check.what}: KeyFormatVersions {have!r}, expected '1'"
