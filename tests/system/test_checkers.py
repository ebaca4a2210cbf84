# SPDX-License-Identifier: Apache-2.0
"""The judges themselves: they accept published vectors and refuse each kind of spoiled answer."""
import base64

import pytest

from harness import documents as d
from harness import sealed
from harness import signalling as s
from harness.answers import check_v2

KID = "11223344-5566-7788-99aa-bbccddeeff00"
KEY = bytes(range(16))
IV = bytes(range(16, 32))
WIDEVINE_BOX = "AAAAOHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABgSEBEiM0RVZneImaq7zN3u/wBI88aJmwY="


def test_widevine_vector():
    box = s.parse_pssh(base64.b64decode(WIDEVINE_BOX))
    assert box.system_id == d.WIDEVINE, "system of the Widevine vector"
    assert s.parse_protobuf(box.data) == [
        (2, bytes.fromhex(KID.replace("-", ""))),
        (9, 1667392371),
    ], "fields of the Widevine vector: key id and cbcs"
    assert s.four_cc("cbcs") == 1667392371, "cbcs as a number"


def test_playready_vectors():
    assert s.playready_checksum(KID, KEY) == "ZNJ8EqtL00E=", "checksum of the running example"
    published = s.playready_checksum(
        "8ba94ade-6eb9-449d-b44f-a5beefaf43b0", bytes.fromhex("dbfd6922c321c4bb486f4a1c44097ed6")
    )
    assert published == "Me48z71nuqY=", "published checksum vector"
    header = s.parse_playready_header(
        f'<WRMHEADER xmlns="{s.WRM}" version="4.0.0.0"><DATA><PROTECTINFO><KEYLEN>16</KEYLEN>'
        "<ALGID>AESCTR</ALGID></PROTECTINFO><KID>RDMiEWZViHeZqrvM3e7/AA==</KID>"
        "<CHECKSUM>ZNJ8EqtL00E=</CHECKSUM></DATA></WRMHEADER>"
    )
    assert (header.kid, header.algorithm, header.checksum) == (
        KID,
        "AESCTR",
        "ZNJ8EqtL00E=",
    ), "fields of the 4.0 header"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda b: b[:3] + bytes([b[3] + 1]) + b[4:],
        lambda b: b.replace(b"pssh", b"psst"),
        lambda b: b[:11] + b"\1" + b[12:],
        lambda b: b[:31] + bytes([b[31] + 1]) + b[32:],
    ],
)
def test_spoiled_pssh_is_seen(spoil):
    with pytest.raises(AssertionError):
        s.parse_pssh(spoil(base64.b64decode(WIDEVINE_BOX)))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def vector_exchange():
    """A request and the answer that it must get, put together by hand."""
    request = d.request_v2(
        [("VIDEO", [("VideoFilter", {})])],
        [d.WIDEVINE, d.FAIRPLAY],
        content_id="movie-42",
        kids=[KID],
        period=0,
    )
    answer = request.copy()
    key = answer.one("ContentKey")
    key.set("explicitIV", base64.b64encode(IV).decode())
    data = d.etree.SubElement(key, d.cpix("Data"))
    secret = d.etree.SubElement(data, d.pskc("Secret"))
    d.etree.SubElement(secret, d.pskc("PlainValue")).text = base64.b64encode(KEY).decode()
    widevine, fairplay = answer.all("DRMSystem")
    line = (
        f'METHOD=SAMPLE-AES,URI="data:text/plain;base64,{WIDEVINE_BOX}",'
        f'KEYFORMAT="urn:uuid:{d.WIDEVINE}",KEYFORMATVERSIONS="1"'
    )
    widevine[0].text = WIDEVINE_BOX
    widevine[1].text = b64(f'<cenc:pssh xmlns:cenc="{s.CENC}">{WIDEVINE_BOX}</cenc:pssh>')
    widevine[2].text, widevine[3].text = b64(f"#EXT-X-KEY:{line}"), b64(f"#EXT-X-SESSION-KEY:{line}")
    skd = b64(f'{{"ContentId":"movie-42","KeyId":"{KID}","IV":"{base64.b64encode(IV).decode()}"}}')
    line = (
        f'METHOD=SAMPLE-AES,URI="skd://{skd}",KEYFORMAT="com.apple.streamingkeydelivery",'
        'KEYFORMATVERSIONS="1"'
    )
    fairplay[1].text, fairplay[2].text = b64(f"#EXT-X-KEY:{line}"), b64(f"#EXT-X-SESSION-KEY:{line}")
    return request, answer


def test_good_answer_passes():
    request, answer = vector_exchange()
    keys = check_v2(answer.bytes(), request)
    assert (keys.key, keys.iv) == ({KID: KEY}, {KID: IV}), "key and IV read from the answer"


def _text(name, change, index=0):
    def spoil(answer):
        element = [e for e in answer.root.iter() if e.tag.endswith("}" + name)][index]
        element.text = change(element.text)

    return spoil


def _line(old, new, indexes=(0, 1)):
    """Replaces text inside the HLS lines of Widevine (0, 1) or FairPlay (2, 3)."""

    def spoil(answer):
        for index in indexes:
            element = answer.all("HLSSignalingData")[index]
            element.text = b64(base64.b64decode(element.text).decode().replace(old, new))

    return spoil


SPOILERS = {
    "key too short": _text("PlainValue", lambda t: "AAEC"),
    "key not canonical": _text("PlainValue", lambda t: t[:-3] + "x=="),
    "key is the IV": _text("PlainValue", lambda t: base64.b64encode(IV).decode()),
    "PSSH of another key": _text("PSSH", lambda t: t.replace("EiM0", "EiM1")),
    "PSSH empty": _text("PSSH", lambda t: ""),
    "FairPlay PSSH filled": _text("PSSH", lambda t: WIDEVINE_BOX, 1),
    "CPD is plain text": _text("ContentProtectionData", lambda t: "cenc"),
    "method": _line("METHOD=SAMPLE-AES", "METHOD=NONE"),
    "scheme attribute": _line('KEYFORMATVERSIONS="1"', 'KEYFORMATVERSIONS="1",SCHEME="cbcs"'),
    "lines differ": _line('VERSIONS="1"', 'VERSIONS="2"', (0,)),
    "media tag in master": _line("SESSION-KEY", "KEY", (1,)),
    "skd IV": _line("skd://eyJD", "skd://eyJE", (2, 3)),
    "id on the root": lambda a: a.set("CPIX", "id", "x"),
    "content id": lambda a: a.set("CPIX", "contentId", "movie-43"),
    "scheme": lambda a: a.set("ContentKey", "commonEncryptionScheme", "cenc"),
    "no IV": lambda a: a.set("ContentKey", "explicitIV", None),
    "KID case": lambda a: a.set("ContentKey", "kid", KID.upper().replace("F", "f", 1)),
    "rule lost": lambda a: a.remove("VideoFilter"),
    "rule attribute": lambda a: a.set("VideoFilter", "maxPixels", "1"),
    "period changed": lambda a: a.set("ContentKeyPeriod", "index", "1"),
    "period list lost": lambda a: a.remove("ContentKeyPeriodList"),
    "system lost": lambda a: a.remove("DRMSystem", 1),
    "placeholder lost": lambda a: a.remove("HLSSignalingData", 3),
    "placeholder added": lambda a: a.add("DRMSystem", "ContentProtectionData", index=1),
    "speke namespace": lambda a: a.add("DRMSystem", "X", namespace=d.SPEKE),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_spoiled_answer_is_seen(name):
    request, answer = vector_exchange()
    SPOILERS[name](answer)
    with pytest.raises((AssertionError, ValueError)):
        check_v2(answer.bytes(), request)


def test_sealing_layout():
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    kek, nonce = bytes(range(32)), bytes(12)
    row = {
        "tenant_id": 3,
        "kek_version": 1,
        "kid": KID,
        "scheme": "cbcs",
        "content_id": "fílm",
    }
    aad = sealed.identity(3, 1, KID, "cbcs", "fílm")
    assert aad == (
        b"speke-fcgi content key 1\0\0\0\0\3\0\0\0\1"
        + bytes.fromhex(KID.replace("-", ""))
        + b"\4cbcs\0\0\0\5f\xc3\xadlm"
    ), "associated data of a sealed key"
    row["sealed"] = nonce + AESGCM(kek).encrypt(nonce, KEY, aad)
    assert sealed.open_row({1: kek}, row) == KEY, "a sealed key opens"
    with pytest.raises(InvalidTag):
        sealed.open_row({1: kek}, {**row, "tenant_id": 4})
