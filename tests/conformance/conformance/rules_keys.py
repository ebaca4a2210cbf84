# SPDX-License-Identifier: Apache-2.0
"""R17 to R26: lists, content keys, their identity and IVs."""
import base64
import os

from harness import delivery
from harness import documents as d

from .provider import VERSIONS, simple
from .reading import DRM, E4, E5, E6, V, iv_bytes, ivs, keys_and_ivs, plain_keys
from .rules import rule


@rule(17, "each of the three lists is there once, and not empty")
def r17(checks, provider):
    for version in VERSIONS:
        for name in ("ContentKeyList", "DRMSystemList", "ContentKeyUsageRuleList"):
            for fault in ("remove", "empty", "double"):
                with checks.check(f"{version} {fault} {name}"):
                    request = simple(version)
                    getattr(request, fault)(name)
                    provider.refused(request, None, version)


@rule(18, "a kid is a UUID of any kind, used once")
def r18(checks, provider):
    for value in (None, "", "x", "5c0f7a3e1b2d4e6f8a90b1c2d3e4f506", d.new_kid()[:-1] + "g"):
        with checks.check(f"kid {value!r}"):
            provider.refused(simple().set("ContentKey", "kid", value, 1))
    twice = simple()
    kid = twice.kids[0]
    for name, value in {"twice": kid, "twice, in the other case": kid.upper()}.items():
        with checks.check(name):
            request = twice.copy().set("ContentKey", "kid", value, 1)
            for part in ("DRMSystem", "ContentKeyUsageRule"):
                request.set(part, "kid", value, 1)
            provider.refused(request)
    for last in ("0", "f"):
        with checks.check("no version-4 UUID"):
            kids = [f"{last * 8}-{last * 4}-{last * 4}-{last * 4}-{last * 12}", d.new_kid()]
            plain_keys(provider.document(simple(kids=kids)))


@rule(19, "no or an empty scheme is refused by naming the key")
def r19(checks, provider):
    for version in VERSIONS:
        for name, value in {"absent": None, "empty": ""}.items():
            with checks.check(f"{version} {name} at the second of three keys"):
                request = d.many_keys(3, (d.WIDEVINE,), version=VERSIONS[version])
                request.set("ContentKey", "commonEncryptionScheme", value, 1)
                provider.refused(request, E4.format(request.kids[1]), version)


@rule(20, "keys with different schemes are refused")
def r20(checks, provider):
    for version in VERSIONS:
        with checks.check(version):
            request = simple(version).set("ContentKey", "commonEncryptionScheme", "cbcs", 1)
            provider.refused(request, E5, version)


@rule(21, "a scheme that a system does not know is refused by naming the system")
def r21(checks, provider):
    misfits = {
        "FairPlay cenc": ((d.FAIRPLAY,), "cenc", d.FAIRPLAY),
        "Clear Key cbcs": ((d.CLEAR_KEY,), "cbcs", d.CLEAR_KEY),
        "one of three": ((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), "cenc", d.FAIRPLAY),
    }
    fits = {
        "FairPlay cbcs": ((d.FAIRPLAY,), "cbcs"),
        "Clear Key cbc1": ((d.CLEAR_KEY,), "cbc1"),
        "Widevine cenc": ((d.WIDEVINE,), "cenc"),
        "Widevine cbcs": ((d.WIDEVINE,), "cbcs"),
        "PlayReady cenc": ((d.PLAYREADY,), "cenc"),
        "PlayReady cbcs": ((d.PLAYREADY,), "cbcs"),
    }
    for version in VERSIONS:
        for name, (systems, scheme, culprit) in misfits.items():
            with checks.check(f"{version} {name}"):
                request = simple(version, systems, scheme=scheme)
                provider.refused(request, E6.format(culprit), version)
        for name, (systems, scheme) in fits.items():
            with checks.check(f"{version} {name}"):
                provider.exchange(simple(version, systems, scheme=scheme), version)


@rule(22, "each ContentKey has one PlainValue of 16 bytes in canonical base64")
def r22(checks, provider):
    for version in VERSIONS:
        answer = provider.exchange(d.many_keys(4, version=VERSIONS[version]), version)
        with checks.check(f"{version} values"):
            plain_keys(d.Document.parse(answer.body))
        with checks.check(f"{version} literal tag"):
            found = answer.body.count(b"<pskc:PlainValue>")
            assert found == 4, f"{found} literal <pskc:PlainValue> for 4 keys"


@rule(23, "KIDs have keys of their own; number, order and scheme of the keys stay")
def r23(checks, provider):
    for version in VERSIONS:
        request = d.many_keys(8, version=VERSIONS[version])
        answer = provider.document(request, version)
        with checks.check(f"{version} order"):
            assert answer.kids == request.kids, f"KIDs {answer.kids}, expected {request.kids}"
        with checks.check(f"{version} distinct keys"):
            assert len(set(plain_keys(answer).values())) == 8, "a key repeats"
        with checks.check(f"{version} scheme"):
            for key in answer.all("ContentKey"):
                have = key.get("commonEncryptionScheme")
                assert have == "cbcs", f"commonEncryptionScheme {have!r}, was 'cbcs'"


@rule(24, "the same request gives the same keys and IVs, also after a restart")
def r24(checks, provider):
    before = {}
    for version in (None, *VERSIONS):
        name = version or "1.0"
        request = simple(version, (d.FAIRPLAY,))
        first = before[name] = (request, keys_and_ivs(provider.document(request, version)))
        with checks.check(f"{name} again"):
            again = keys_and_ivs(provider.document(request, version))
            assert again == first[1], "other keys or IVs"
        with checks.check(f"{name} other content"):
            kids = {"kid": request.kids[0]} if version is None else {"kids": request.kids}
            other = simple(version, (d.FAIRPLAY,), **kids)
            keys = plain_keys(provider.document(other, version))
            assert not set(keys.values()) & set(first[1][0].values()), "contents share a key"
    with checks.check("restart"):
        provider.restart()
        for name, (request, first) in before.items():
            again = keys_and_ivs(provider.document(request, None if name == "1.0" else name))
            assert again == first, f"{name}: other keys or IVs after the restart"


@rule(25, "explicitIV: the given one comes back as text, a missing one is made")
def r25(checks, provider):
    raw = os.urandom(16)
    sloppy = "h3toSFIlyAYpfXVQ795m6x=="  # as in AWS's examples: surplus bits are set
    for version in VERSIONS:
        with checks.check(f"{version} given"):
            given = [base64.b64encode(raw).decode(), sloppy]
            answer = provider.document(simple(version, (d.FAIRPLAY,), ivs=given), version)
            have = [key.get("explicitIV") for key in answer.all("ContentKey")]
            assert have == given, f"{have}, expected {given}"
        for size in (0, 3, 15, 17):
            value = base64.b64encode(bytes(size)).decode() or "="
            with checks.check(f"{version} of {size} bytes"):
                request = simple(version).set("ContentKey", "explicitIV", value, 1)
                provider.refused(request, None, version)
        with checks.check(f"{version} made"):
            answer = provider.document(d.many_keys(4, version=VERSIONS[version]), version)
            for key in answer.all("ContentKey"):
                assert key.get("explicitIV"), f"{key.get('kid')}: no explicitIV"
                iv_bytes(key.get("explicitIV"))
            made, keys = ivs(answer), plain_keys(answer)
            assert not set(made.values()) & set(keys.values()), "an IV is a content key"


@rule(26, "a key depends on content and KID alone")
def r26(checks, provider):
    request = simple()
    kids, content = request.kids, request.content_id
    same = {"content_id": content, "kids": kids}
    first = plain_keys(provider.document(request))
    reverse = {"content_id": content, "kids": kids[::-1]}
    variants = {
        "other systems": simple(systems=DRM, **same),
        "other order of systems": simple(systems=DRM[::-1], **same),
        "other order of keys": simple(**reverse),
        "other track types": simple(keys=("AUDIO", "VIDEO"), **same),
        "upper-case KIDs": simple(content_id=content, kids=[kid.upper() for kid in kids]),
        "other scheme": simple(scheme="cbcs", **same),
        "a period": simple(period=4, **same),
    }
    for name, variant in variants.items():
        with checks.check(name):
            assert plain_keys(provider.document(variant)) == first, "other keys"
    with checks.check("alone"):
        one = d.request_v2(
            [("VIDEO", [(V, {})])], [d.WIDEVINE], content_id=content, kids=kids[:1]
        )
        assert plain_keys(provider.document(one))[kids[0]] == first[kids[0]], "another key"
    with checks.check("v2.1"):
        assert plain_keys(provider.document(simple("2.1", **same), "2.1")) == first, "other keys"
    with checks.check("encrypted delivery"):
        me = delivery.recipient()
        asked = delivery.ask(simple(**same), me.certificate)
        assert delivery.open_answer(provider.document(asked), me).keys == first, "other keys"
