# SPDX-License-Identifier: Apache-2.0
"""CPIX requests as packagers send them, and ways to spoil them."""
import copy
import uuid

from lxml import etree

CPIX = "urn:dashif:org:cpix"
PSKC = "urn:ietf:params:xml:ns:keyprov:pskc"
SPEKE = "urn:aws:amazon:com:speke"

WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
PLAYREADY = "9a04f079-9840-4286-ab92-e65be0885f95"
FAIRPLAY = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
CLEAR_KEY = "3ea8778f-7742-4bf9-b18b-e834b2acbd47"
HLS_AES_128 = "81376844-f976-481e-a84e-cc25d39b0b33"  # SPEKE v1 only
COMMON = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"

# The key presets of the AWS encryptors: name -> the rules (intended track type, filters).
_VIDEO = "VideoFilter"
_AUDIO = "AudioFilter"
_SD = ("SD", [(_VIDEO, {"maxPixels": "589824"})])
_HD_UP = ("HD", [(_VIDEO, {"minPixels": "589825"})])
_HD = ("HD", [(_VIDEO, {"minPixels": "589825", "maxPixels": "2073600"})])
_HD1 = ("HD1", [(_VIDEO, {"minPixels": "589825", "maxPixels": "921600"})])
_HD2 = ("HD2", [(_VIDEO, {"minPixels": "921601", "maxPixels": "2073600"})])
_SD_HD1 = ("SD+HD1", [(_VIDEO, {"maxPixels": "921600"})])  # AWS sends one filter for two parts
_UHD = ("UHD", [(_VIDEO, {"minPixels": "2073601"})])
_UHD1 = ("UHD1", [(_VIDEO, {"minPixels": "2073601", "maxPixels": "8847360"})])
_UHD2 = ("UHD2", [(_VIDEO, {"minPixels": "8847361"})])
_ALL = ("ALL", [(_VIDEO, {}), (_AUDIO, {})])
_STEREO = ("STEREO_AUDIO", [(_AUDIO, {"maxChannels": "2"})])

VIDEO_PRESETS = {
    "1": [("VIDEO", [(_VIDEO, {})])],
    "2": [_SD, _HD_UP],
    "3": [_SD, _HD, _UHD],
    "4": [_SD, _HD, _UHD1, _UHD2],
    "5": [_SD, _HD1, _HD2, _UHD1, _UHD2],
    "6": [_SD, _HD1, _HD2, _UHD],
    "7": [_SD_HD1, _HD2, _UHD],
    "8": [_SD_HD1, _HD2, _UHD1, _UHD2],
    "SHARED": [_ALL],
    "UNENCRYPTED": [],
}
AUDIO_PRESETS = {
    "1": [("AUDIO", [(_AUDIO, {})])],
    "2": [_STEREO, ("MULTICHANNEL_AUDIO", [(_AUDIO, {"minChannels": "3"})])],
    "3": [
        _STEREO,
        ("MULTICHANNEL_AUDIO_3_6", [(_AUDIO, {"minChannels": "3", "maxChannels": "6"})]),
        ("MULTICHANNEL_AUDIO_7", [(_AUDIO, {"minChannels": "7"})]),
    ],
    "SHARED": [_ALL],
    "UNENCRYPTED": [],
}


def preset_pairs():
    """Every pair that the encryptors allow: SHARED only with SHARED, not both UNENCRYPTED."""
    pairs = []
    for video in VIDEO_PRESETS:
        for audio in AUDIO_PRESETS:
            if (video == "SHARED") != (audio == "SHARED"):
                continue
            if video == "UNENCRYPTED" and audio == "UNENCRYPTED":
                continue
            pairs.append((video, audio))
    return pairs


def preset_rules(video, audio):
    if video == "SHARED":
        return [_ALL]
    return VIDEO_PRESETS[video] + AUDIO_PRESETS[audio]


def scheme_for(systems):
    """The scheme that a set of systems is asked with: FairPlay knows only cbcs, the clear key of
    HLS only cbc1."""
    if CLEAR_KEY in systems:
        return "cbc1"
    return "cbcs" if FAIRPLAY in systems else "cenc"


def new_kid():
    return str(uuid.uuid4())


def new_content_id(prefix="test"):
    return f"{prefix}-{uuid.uuid4()}"


def cpix(name):
    return f"{{{CPIX}}}{name}"


def pskc(name):
    return f"{{{PSKC}}}{name}"


def speke(name):
    return f"{{{SPEKE}}}{name}"


class Document:
    """A CPIX document as a tree, with short ways to reach and to spoil its parts."""

    def __init__(self, root):
        self.root = root

    @classmethod
    def parse(cls, data):
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        return cls(etree.fromstring(data, parser))

    def copy(self):
        return Document(copy.deepcopy(self.root))

    def bytes(self):
        return etree.tostring(self.root, xml_declaration=True, encoding="UTF-8")

    def all(self, name):
        """All cpix elements of that name, in document order."""
        return self.root.findall(f".//{cpix(name)}")

    def one(self, name):
        found = self.all(name)
        assert len(found) == 1, f"expected one {name} in the document, found {len(found)}"
        return found[0]

    @property
    def content_id(self):
        return self.root.get("contentId") or self.root.get("id")

    @property
    def kids(self):
        return [key.get("kid") for key in self.all("ContentKey")]

    # Spoiling; each returns the document, so that they can be chained.

    def set(self, name, attribute, value, index=None):
        """Sets (or with None removes) an attribute of one or of all elements of that name."""
        elements = [self.root] if name == "CPIX" else self.all(name)
        for element in elements if index is None else [elements[index]]:
            if value is None:
                element.attrib.pop(attribute, None)
            else:
                element.set(attribute, value)
        return self

    def remove(self, name, index=None):
        elements = self.all(name)
        for element in elements if index is None else [elements[index]]:
            element.getparent().remove(element)
        return self

    def empty(self, name):
        """Takes the children of the one element of that name away."""
        for child in list(self.one(name)):
            self.one(name).remove(child)
        return self

    def double(self, name, index=0):
        """Repeats an element right after itself."""
        element = self.all(name)[index]
        element.addnext(copy.deepcopy(element))
        return self

    def add(self, parent, name, attributes=None, index=0, namespace=CPIX):
        etree.SubElement(self.all(parent)[index], f"{{{namespace}}}{name}", attributes or {})
        return self


def _root(attributes, with_speke=False):
    namespaces = {"cpix": CPIX, "pskc": PSKC}
    if with_speke:
        namespaces["speke"] = SPEKE
    return etree.Element(cpix("CPIX"), attributes, nsmap=namespaces)


PLACEHOLDERS = {
    WIDEVINE: ("PSSH", "ContentProtectionData", "media", "master"),
    PLAYREADY: ("PSSH", "ContentProtectionData", "media", "master", "Smooth"),
    FAIRPLAY: ("PSSH", "media", "master"),
    CLEAR_KEY: ("media", "master"),
}


def _placeholder(parent, kind):
    if kind in ("media", "master", "multiVariant"):
        etree.SubElement(parent, cpix("HLSSignalingData"), {"playlist": kind})
    elif kind == "Smooth":
        etree.SubElement(parent, cpix("SmoothStreamingProtectionHeaderData"))
    elif kind in ("KeyFormat", "KeyFormatVersions", "ProtectionHeader"):
        etree.SubElement(parent, speke(kind))
    else:
        etree.SubElement(parent, cpix(kind))


def request_v2(
    rules,
    systems,
    content_id=None,
    kids=None,
    scheme=None,
    period=None,
    ivs=None,
    version="2.3",
    period_attributes=None,
    placeholders=None,
):
    """A SPEKE v2 request: one key a rule, every system for every key. period is an index; with
    period_attributes (v2.1) those stand in place of the index."""
    kids = kids or [new_kid() for _ in rules]
    scheme = scheme or scheme_for(systems)
    placeholders = placeholders or PLACEHOLDERS
    root = _root({"contentId": content_id or new_content_id(), "version": version})
    keys = etree.SubElement(root, cpix("ContentKeyList"))
    for index, kid in enumerate(kids):
        attributes = {"kid": kid, "commonEncryptionScheme": scheme}
        if ivs:
            attributes["explicitIV"] = ivs[index]
        etree.SubElement(keys, cpix("ContentKey"), attributes)
    drm = etree.SubElement(root, cpix("DRMSystemList"))
    for kid in kids:
        for system in systems:
            element = etree.SubElement(drm, cpix("DRMSystem"), {"kid": kid, "systemId": system})
            for kind in placeholders[system]:
                _placeholder(element, kind)
    period_id = None
    if period is not None or period_attributes is not None:
        period_id = f"keyPeriod_{uuid.uuid4()}"
        attributes = {"id": period_id}
        if period_attributes is None:
            period_attributes = {"index": str(period)}
        attributes.update(period_attributes)
        periods = etree.SubElement(root, cpix("ContentKeyPeriodList"))
        etree.SubElement(periods, cpix("ContentKeyPeriod"), attributes)
    rule_list = etree.SubElement(root, cpix("ContentKeyUsageRuleList"))
    for kid, (track, filters) in zip(kids, rules):
        rule = etree.SubElement(
            rule_list, cpix("ContentKeyUsageRule"), {"kid": kid, "intendedTrackType": track}
        )
        if period_id:
            etree.SubElement(rule, cpix("KeyPeriodFilter"), {"periodId": period_id})
        for name, attributes in filters:
            etree.SubElement(rule, cpix(name), attributes)
    return Document(root)


def simple_v2(systems=(WIDEVINE,), keys=("VIDEO", "AUDIO"), **more):
    """The request of most tests: a video and an audio key."""
    kinds = {"VIDEO": (_VIDEO, {}), "AUDIO": (_AUDIO, {})}
    rules = [(track, [kinds[track]]) for track in keys]
    return request_v2(rules, list(systems), **more)


def many_keys(count, systems=(WIDEVINE, PLAYREADY, FAIRPLAY), **more):
    """A request for any number of keys."""
    rules = [(f"T{i}", [(_VIDEO, {"minPixels": str(i)})]) for i in range(count)]
    return request_v2(rules, list(systems), **more)


V1_PLACEHOLDERS = {
    HLS_AES_128: ("URIExtXKey", "KeyFormat", "KeyFormatVersions"),
    FAIRPLAY: ("URIExtXKey", "KeyFormat", "KeyFormatVersions"),
    WIDEVINE: ("PSSH",),
    PLAYREADY: ("ProtectionHeader", "PSSH"),
    COMMON: ("PSSH", "ContentProtectionData"),
}
# AWS's reference client asks for everything, whatever the system.
V1_EVERYTHING = (
    "ContentProtectionData",
    "KeyFormat",
    "KeyFormatVersions",
    "ProtectionHeader",
    "PSSH",
    "URIExtXKey",
)


def request_v1(systems, content_id=None, kid=None, period=None, iv=None, everything=False):
    """A SPEKE v1 request: one key; with a period it is live."""
    kid = kid or new_kid()
    root = _root({"id": content_id or new_content_id()}, with_speke=True)
    keys = etree.SubElement(root, cpix("ContentKeyList"))
    key = etree.SubElement(keys, cpix("ContentKey"), {"kid": kid})
    if iv:
        key.set("explicitIV", iv)
    drm = etree.SubElement(root, cpix("DRMSystemList"))
    for system in systems:
        element = etree.SubElement(drm, cpix("DRMSystem"), {"kid": kid, "systemId": system})
        for kind in V1_EVERYTHING if everything else V1_PLACEHOLDERS[system]:
            _placeholder(element, kind)
    if period is not None:
        period_id = f"keyPeriod_{uuid.uuid4()}"
        periods = etree.SubElement(root, cpix("ContentKeyPeriodList"))
        etree.SubElement(
            periods, cpix("ContentKeyPeriod"), {"id": period_id, "index": str(period)}
        )
        rules = etree.SubElement(root, cpix("ContentKeyUsageRuleList"))
        rule = etree.SubElement(rules, cpix("ContentKeyUsageRule"), {"kid": kid})
        etree.SubElement(rule, cpix("KeyPeriodFilter"), {"periodId": period_id})
    return Document(root)
