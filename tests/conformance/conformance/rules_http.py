# SPDX-License-Identifier: Apache-2.0
"""R1 to R16: HTTP and the root of the document."""
from harness import documents as d

from .provider import VERSIONS, contract, expect_refusal, simple
from .reading import E1, E2, E3, E4, E5, E6, E7, E8, E10, V, keys_and_ivs
from .rules import NotMeasured, rule

# The requests of AWS's own tests have this in place of pskc.
MISSPELT = b"xmlns:pksc"


@rule(1, "a valid v2.0 document gets 200 and a CPIX document")
def r1(checks, provider):
    with checks.check("200 and the root"):
        root = provider.document(simple()).root
        assert root.tag == d.cpix("CPIX"), f"root {root.tag}"


@rule(2, "Content-Type is application/xml, a charset utf-8")
def r2(checks, provider):
    for version in VERSIONS:
        with checks.check(version):
            value = provider.exchange(simple(version), version).headers.get("Content-Type", "")
            assert "application/xml" in value, f"Content-Type {value!r}"
            if "charset" in value.lower():
                assert "charset=utf-8" in value.lower().replace('"', ""), f"Content-Type {value!r}"


@rule(3, "X-Speke-Version is the request's, X-Speke-User-Agent is not empty")
def r3(checks, provider):
    for version in VERSIONS:
        with checks.check(version):
            headers = provider.exchange(simple(version), version).headers
            given = headers.get("X-Speke-Version")
            assert given == version, f"X-Speke-Version {given!r}, expected {version!r}"
            assert (headers.get("X-Speke-User-Agent") or "").strip(), "no X-Speke-User-Agent"


@rule(4, "v1: Speke-User-Agent is there, X-Speke-Version is not")
def r4(checks, provider):
    headers = provider.exchange(simple(None), None).headers
    with checks.check("Speke-User-Agent"):
        assert (headers.get("Speke-User-Agent") or "").strip(), "no Speke-User-Agent"
    with checks.check("no X-Speke-Version"):
        assert headers.get("X-Speke-Version") is None, headers.get("X-Speke-Version")


@rule(5, "the version header counts in any case of its name")
def r5(checks, provider):
    for version in VERSIONS:
        request = simple(version)
        first = keys_and_ivs(provider.document(request, version))
        for name in ("x-speke-version", "X-SPEKE-VERSION", "X-sPeKe-VeRsIoN"):
            with checks.check(f"{version} {name}"):
                answer = provider.post(request, None, {name: version})
                assert answer.status == 200, f"expected 200, got {answer.brief()}"
                given = answer.headers.get("X-Speke-Version")
                assert given == version, f"X-Speke-Version {given!r} in the answer"
                again = keys_and_ivs(d.Document.parse(answer.body))
                assert again == first, "other keys or IVs"


@rule(6, "an unknown version is refused, the document not looked at")
def r6(checks, provider):
    for value in ("3.0", "2", "2.00"):
        with checks.check(f"{value}, valid document"):
            provider.refused(simple(), E7, value)
        with checks.check(f"{value}, document with a fault of its own"):
            provider.refused(simple().set("CPIX", "contentId", None), E7, value)
    with checks.check("empty"):
        if provider.options.empty_headers_dropped:
            # The provider sees a request of v1, for which the document is one of another version.
            expect_refusal(provider.post(simple(), ""))
            raise NotMeasured("the web server passes on no header without a value (the option)")
        provider.refused(simple(), E7, "")


@rule(7, "without the version header a request is v1")
def r7(checks, provider):
    with checks.check("v1 document"):
        request = simple(None)
        root = provider.document(request, None).root
        assert root.get("id") == request.content_id, f"CPIX@id {root.get('id')!r}"
    with checks.check("v2 document"):
        provider.refused(simple(), None, None)


def too_large(limit):
    document = simple().bytes()
    comment = b"<!--" + b" " * max(limit + 1 - len(document), 1) + b"-->"
    return document.replace(b"<cpix:ContentKeyList", comment + b"<cpix:ContentKeyList", 1)


@rule(8, "bodies that are no CPIX document are refused, too large ones with 413")
def r8(checks, provider):
    valid = simple().bytes()
    head = b"<?xml version='1.0' encoding='UTF-8'?>\n"
    bare = valid[valid.index(b"<cpix:CPIX") :]
    bodies = {
        "empty": b"",
        "not XML": b"{}",
        "cut short": valid[: len(valid) // 2],
        "other root": head + b'<CPIX xmlns="urn:example:other"/>',
        "no namespace": head + b"<CPIX/>",
        "DOCTYPE": head + b"<!DOCTYPE x>" + bare,
        "DOCTYPE with entities": head + b'<!DOCTYPE x [<!ENTITY e "v">]>' + bare,
        "undeclared prefix": bare.replace(b"cpix:ContentKeyList", b"other:ContentKeyList"),
    }
    for name, body in bodies.items():
        with checks.check(name):
            provider.refused(body)
    with checks.check("too large"):
        answer = provider.post_large(too_large(provider.options.body_limit))
        assert answer.status == 413, f"expected 413, got {answer.brief()}"


@rule(9, "GET gets 405; v1's heartbeat says something")
def r9(checks, provider):
    with checks.check("GET"):
        answer = provider.send("GET")
        assert answer.status == 405, f"expected 405, got {answer.brief()}"
    with checks.check("heartbeat"):
        answer = provider.send("GET", provider.heartbeat)
        assert answer.status == 200, f"expected 200, got {answer.brief()}"
        assert answer.text.strip(), "an empty text"


@rule(10, "errors are never 200, their bodies are exactly the standard strings")
def r10(checks, provider):
    two = simple()
    faults = {
        E1: simple().set("CPIX", "contentId", None),
        E2: simple().set("CPIX", "version", None),
        E3: simple().set("CPIX", "version", "1.0"),
        E4.format(two.kids[0]): two.set("ContentKey", "commonEncryptionScheme", None),
        E5: simple().set("ContentKey", "commonEncryptionScheme", "cbcs", 1),
        E6.format(d.FAIRPLAY): simple(systems=(d.FAIRPLAY,), scheme="cenc"),
        E8: contract(("VIDEO", [(V, {}), (V, {})])),
        E10: simple().remove("VideoFilter").remove("AudioFilter"),
    }
    for text, request in faults.items():
        with checks.check(text):
            provider.refused(request, text)
    with checks.check(E7):
        provider.refused(simple(), E7, "9.9")
    with checks.check("a fault without a standard string"):
        answer = provider.refused(simple().remove("ContentKeyList"))
        assert answer.text.strip(), "an empty body"


@rule(11, "who is not logged in gets 401 and nothing else")
def r11(checks, provider):
    if provider.options.auth == "none":
        raise NotMeasured("the provider was called without a login (--auth none)")
    wrong = provider.login(provider.options.user, provider.password + "x")
    nobody = provider.login("nobody-of-that-name", provider.password)
    for name, auth in {"no login": None, "wrong password": wrong, "unknown user": nobody}.items():
        for kind, request in {
            "valid": simple(),
            "faulty": simple().set("CPIX", "contentId", None),
        }.items():
            with checks.check(f"{name}, {kind} document"):
                answer = provider.post(request, auth=auth)
                assert answer.status == 401, f"expected 401, got {answer.brief()}"
                assert answer.headers.get("WWW-Authenticate"), "no WWW-Authenticate"
                assert b"PlainValue" not in answer.body, "a key in the answer"
                assert b"CPIX@" not in answer.body, "the document was looked at"


@rule(12, "no or an empty contentId is refused, whatever @id is")
def r12(checks, provider):
    for version in VERSIONS:
        for name, value in {"absent": None, "empty": ""}.items():
            request = simple(version).set("CPIX", "contentId", value)
            with checks.check(f"{version} {name}"):
                provider.refused(request, E1, version)
            with checks.check(f"{version} {name}, with @id"):
                provider.refused(request.copy().set("CPIX", "id", "x"), E1, version)


@rule(13, "no, an unknown or the other version's CPIX@version is refused")
def r13(checks, provider):
    for version, cpix_version in VERSIONS.items():
        cross = next(other for other in VERSIONS.values() if other != cpix_version)
        for value, error in {None: E2, "": E2, "4.0": E3, cross: E3}.items():
            with checks.check(f"{version} with {'none' if value is None else repr(value)}"):
                provider.refused(simple(version).set("CPIX", "version", value), error, version)


@rule(14, "contentId, version and name come back, @id does not")
def r14(checks, provider):
    for version in VERSIONS:
        request = simple(version, content_id=d.new_content_id('a&b <c> "d" é'))
        request.set("CPIX", "name", "A & B <film>").set("CPIX", "id", "of-no-use")
        root = provider.document(request, version).root
        for name in ("contentId", "version", "name"):
            with checks.check(f"{version} {name}"):
                want, have = request.root.get(name), root.get(name)
                assert have == want, f"{have!r}, expected {want!r}"
        with checks.check(f"{version} id"):
            assert root.get("id") is None, f"CPIX@id {root.get('id')!r}"


@rule(15, "the answer declares the prefixes cpix and pskc, whatever the request's are")
def r15(checks, provider):
    for version in VERSIONS:
        plain = simple(version).bytes()
        bare = plain.replace(b"<cpix:", b"<").replace(b"</cpix:", b"</")
        bodies = {
            "usual": plain,
            "misspelt pksc": plain.replace(b"xmlns:pskc", MISSPELT),
            "cpix as default": bare.replace(b"xmlns:cpix", b"xmlns"),
            "other prefixes": plain.replace(b"cpix:", b"a:").replace(b":cpix=", b":a="),
        }
        for name, body in bodies.items():
            with checks.check(f"{version} {name}"):
                root = provider.document(body, version).root
                for prefix, uri in {"cpix": d.CPIX, "pskc": d.PSKC}.items():
                    have = root.nsmap.get(prefix)
                    assert have == uri, f"xmlns:{prefix} is {have!r}"


@rule(16, "an answer of v2.x has nothing of the speke namespace and no URIExtXKey")
def r16(checks, provider):
    for version in VERSIONS:
        request = simple(version)
        for index in range(2):
            request.add("DRMSystem", "URIExtXKey", index=index)
            request.add("DRMSystem", "KeyFormat", index=index, namespace=d.SPEKE)
            request.add("DRMSystem", "ProtectionHeader", index=index, namespace=d.SPEKE)
        for name, asked in {"plain request": simple(version), "asked for": request}.items():
            with checks.check(f"{version} {name}"):
                body = provider.exchange(asked, version).body
                for text in (d.SPEKE.encode(), b"URIExtXKey"):
                    assert text not in body, f"{text.decode()} is in the answer"
