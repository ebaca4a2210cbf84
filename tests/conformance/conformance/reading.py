# SPDX-License-Identifier: Apache-2.0
"""What the rules look for in an answer."""
import base64

from harness import documents as d
from harness import signalling as s
from harness.answers import Keys, SystemCheck, shape

E1 = "Missing CPIX@contentId"
E2 = "Missing CPIX@version"
E3 = "Unsupported CPIX@version"
E4 = "Missing ContentKey@commonEncryptionScheme for KID {}"
E5 = "Non compliant ContentKey@commonEncryptionScheme combination"
E6 = "ContentKey@commonEncryptionScheme non compatible with DRMSystem {}"
E7 = "Unsupported SPEKE version"
E8 = "Malformed encryption contract"
E9 = "Requested CPIX encryption contract not supported"
E10 = "Missing CPIX encryption contract"

V, A = "VideoFilter", "AudioFilter"
DRM = (d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY)
NAMES = {
    d.WIDEVINE: "Widevine",
    d.PLAYREADY: "PlayReady",
    d.FAIRPLAY: "FairPlay",
    d.CLEAR_KEY: "Clear Key",
    d.HLS_AES_128: "HLS AES-128",
    d.COMMON: "common PSSH",
}
PSSH, CPD = d.cpix("PSSH"), d.cpix("ContentProtectionData")
SMOOTH = d.cpix("SmoothStreamingProtectionHeaderData")


def iv_bytes(text):
    """The 16 bytes of an explicitIV; base64 that is not canonical is fine here."""
    data = base64.b64decode("".join(text.split()))
    assert len(data) == 16, f"explicitIV of {len(data)} bytes, expected 16"
    return data


def plain_keys(answer):
    """{KID in lower case: key} of all PlainValues, each of 16 bytes."""
    keys = {}
    for element in answer.all("ContentKey"):
        kid = element.get("kid").lower()
        values = element.findall(f".//{d.pskc('PlainValue')}")
        assert len(values) == 1, f"{kid}: {len(values)} PlainValues, expected one"
        path = f"{d.cpix('Data')}/{d.pskc('Secret')}/{d.pskc('PlainValue')}"
        assert element.find(path) is values[0], f"{kid}: PlainValue is not in Data/Secret"
        keys[kid] = s.strict_base64(values[0].text, f"{kid}: PlainValue")
        assert len(keys[kid]) == 16, f"{kid}: key of {len(keys[kid])} bytes, expected 16"
    return keys


def ivs(answer):
    """{KID in lower case: explicitIV as bytes} of those that have one."""
    return {
        element.get("kid").lower(): iv_bytes(element.get("explicitIV"))
        for element in answer.all("ContentKey")
        if element.get("explicitIV") is not None
    }


def keys_and_ivs(answer):
    return plain_keys(answer), ivs(answer)


def systems(answer, request, only=None):
    """A SystemCheck for each DRMSystem, or for those of one system."""
    keys = Keys()
    for element in answer.all("ContentKey"):
        kid = element.get("kid").lower()
        value = element.find(f".//{d.pskc('PlainValue')}")
        keys.key[kid] = base64.b64decode(value.text) if value is not None else None
        keys.iv_text[kid] = element.get("explicitIV")
    found = [
        SystemCheck(element, keys, request, element_scheme(answer), "")
        for element in answer.all("DRMSystem")
        if only is None or element.get("systemId").lower() == only
    ]
    assert found, f"no DRMSystem {only or ''} in the answer"
    return found


def element_scheme(answer):
    return answer.all("ContentKey")[0].get("commonEncryptionScheme")


def expect_same_list(answer, request, name):
    """A list that has to come back as it was."""
    asked, given = request.all(name), answer.all(name)
    assert len(asked) == len(given), f"{len(given)} {name} in the answer, {len(asked)} asked"
    for want, have in zip(asked, given):
        assert shape(have) == shape(want), f"{name} changed: {shape(have)}, was {shape(want)}"


def expect_same_systems(answer, request):
    """Number, order and identity of the DRMSystems."""
    asked, given = (
        [(e.get("kid"), e.get("systemId")) for e in document.all("DRMSystem")]
        for document in (request, answer)
    )
    assert given == asked, f"DRMSystems {given}, expected {asked}"


def pssh_box(check, text=None):
    """The box of a system, version 0 and for that system, with the KID in it."""
    box = check.pssh_data(text if text is not None else check.text(PSSH))
    assert box.version == 0, f"{check.what}: box of version {box.version}, expected 0"
    return box


def widevine_box(check, text=None):
    box = pssh_box(check, text)
    fields = s.parse_protobuf(box.data)
    kid = bytes.fromhex(check.kid.replace("-", ""))
    assert (2, kid) in fields, f"{check.what}: the KID is not among the key ids of the box"
    return box


def protection(check):
    """[(name, text)] of the elements in ContentProtectionData."""
    text = check.text(CPD)
    assert text, f"{check.what}: ContentProtectionData is absent or empty"
    return s.parse_content_protection(s.strict_base64(text, f"{check.what}: {CPD}"))


def hls_attributes(check):
    line = check.hls_line()
    assert line is not None, f"{check.what}: no HLSSignalingData"
    return dict(line), [name for name, _ in line]


def unquote(value):
    assert len(value) >= 2 and value[0] == value[-1] == '"', f"{value!r} is not quoted"
    return value[1:-1]


def v1_value(check, name):
    """A base64 text of v1 signalling, decoded."""
    return s.strict_base64(check.text(name), f"{check.what}: {name}").decode()
