# SPDX-License-Identifier: Apache-2.0
"""What no packager would send, over real HTTPS through both servers: a 4xx with one clear line, a
line in the log that names the place, no key, no row but the audit of the refusal, the process
alive, and memory flat."""
import itertools
import time

import pytest

from harness import documents as d
from harness.answers import check_v2
from harness.http import Raw
from harness.process import log_text
from test_errors import expect_refusal

MIB = 1024 * 1024


def good():
    return d.simple_v2((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), content_id="bad-input")


def text(change):
    """The good request's text, changed."""
    return change(good().bytes())


def with_doctype(declaration, use=b""):
    """The good request with a DOCTYPE after the XML declaration, and a use of its entity."""
    head, rest = good().bytes().split(b"?>", 1)
    if use:
        rest = rest.replace(b'contentId="bad-input"', b'contentId="' + use + b'"')
    return head + b"?>" + declaration + rest


BOMB = b"<!DOCTYPE CPIX [" + b"".join(
    b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10 if i else b"ha" * 10) for i in range(10)
) + b"]>"

DEEP = 100000


def deep(levels):
    return text(
        lambda t: t.replace(b"</cpix:CPIX>", b"<x>" * levels + b"</x>" * levels + b"</cpix:CPIX>")
    )


def attributes(count):
    """Names as short as can be, so that so many fit into the size limit."""
    digits = b"0123456789abcdefghijklmnopqrstuvwxyz"
    names = (bytes(name) for name in itertools.product(digits, repeat=4))
    many = b" ".join(b'a%s=""' % name for name in itertools.islice(names, count))
    return text(lambda t: t.replace(b"<cpix:CPIX ", b"<cpix:CPIX " + many + b" ", 1))


def latin1():
    return text(lambda t: t.replace(b"encoding='UTF-8'", b"encoding='ISO-8859-1'"))


def raw_content_id(value):
    """The request with bytes in contentId that no XML library would write."""
    return text(lambda t: t.replace(b'contentId="bad-input"', b'contentId="' + value + b'"'))


# name -> (body, statuses, words of the log line that names the place or the fault)
BODIES = {
    "empty": (lambda: b"", (400,), None),
    "blanks": (lambda: b" \r\n\t ", (400,), None),
    "not XML": (lambda: b"hello, world", (400,), "line 1"),
    "JSON": (lambda: b'{"kids": ["x"]}', (400,), "line 1"),
    "HTML": (lambda: b"<html><body>x</body></html>", (400,), "html"),
    "binary": (lambda: bytes(range(256)) * 20, (400,), None),
    "NUL bytes": (lambda: b"\0" * 1000, (400,), None),
    "NUL at the end": (lambda: text(lambda t: t + b"\0"), (400,), None),
    "wrong root": (lambda: text(lambda t: t.replace(b"cpix:CPIX", b"cpix:CPIY")), (400,), "CPIY"),
    "root of no namespace": (
        lambda: b'<CPIX contentId="bad-input" version="2.3"/>',
        (400,),
        "CPIX",
    ),
    "root of another namespace": (
        lambda: text(lambda t: t.replace(d.CPIX.encode(), b"urn:other")),
        (400,),
        "CPIX",
    ),
    "second root": (lambda: text(lambda t: t + b"<x/>"), (400,), "line"),
    "cut short": (lambda: text(lambda t: t[: len(t) // 2]), (400,), "line"),
    "tags crossed": (lambda: b"<a><b></a></b>", (400,), "line 1"),
    "attribute twice": (
        lambda: text(lambda t: t.replace(b'version="2.3"', b'version="2.3" version="2.3"')),
        (400,),
        "line",
    ),
    "prefix of no namespace": (
        lambda: text(lambda t: t.replace(b"xmlns:cpix", b"xmlns:other")),
        (400,),
        None,
    ),
    "DOCTYPE": (lambda: with_doctype(b"<!DOCTYPE CPIX>"), (400,), "DOCTYPE"),
    "external DTD": (
        lambda: with_doctype(b'<!DOCTYPE CPIX SYSTEM "http://127.0.0.1:9/x.dtd">'),
        (400,),
        "DOCTYPE",
    ),
    "external entity": (
        lambda: with_doctype(
            b'<!DOCTYPE CPIX [<!ENTITY x SYSTEM "file:///etc/passwd">]>', b"&x;"
        ),
        (400,),
        "DOCTYPE",
    ),
    "parameter entity": (
        lambda: with_doctype(b'<!DOCTYPE CPIX [<!ENTITY % x SYSTEM "file:///etc/hosts"> %x;]>'),
        (400,),
        "DOCTYPE",
    ),
    "entity bomb": (lambda: with_doctype(BOMB, b"&a9;"), (400,), "DOCTYPE"),
    "quadratic bomb": (
        lambda: with_doctype(
            b'<!DOCTYPE CPIX [<!ENTITY x "' + b"x" * 50000 + b'">]>', b"&x;" * 10000
        ),
        (400,),
        "DOCTYPE",
    ),
    "undefined entity": (lambda: raw_content_id(b"&nbsp;"), (400,), "line"),
    "deep nesting": (lambda: deep(100), (400, 422), None),
    "100 000 levels": (lambda: deep(DEEP), (400, 422), None),
    "100 000 attributes": (lambda: attributes(100000), (400, 422), None),
    "invalid UTF-8": (lambda: raw_content_id(b"\xff\xfe\x80"), (400,), None),
    "overlong UTF-8": (lambda: raw_content_id(b"\xc0\xaf"), (400,), None),
    "UTF-8 surrogate": (lambda: raw_content_id(b"\xed\xa0\x80"), (400,), None),
    "UTF-16": (lambda: good().bytes().decode().encode("utf-16"), (400,), None),
    "UTF-16 without mark": (lambda: good().bytes().decode().encode("utf-16-be"), (400,), None),
    "UTF-32": (lambda: good().bytes().decode().encode("utf-32"), (400,), None),
    "Latin-1": (latin1, (400,), None),
    "EBCDIC": (lambda: text(lambda t: t.replace(b"UTF-8", b"IBM037")), (400,), None),
    "XML 1.1 control": (lambda: raw_content_id(b"a&#1;b"), (400,), None),
    "NUL in contentId": (lambda: raw_content_id(b"a\0b"), (400,), None),
    "NUL reference": (lambda: raw_content_id(b"a&#0;b"), (400,), None),
    "control character": (lambda: raw_content_id(b"a\x1bb"), (400,), None),
    "10 000 characters": (lambda: raw_content_id(b"x" * 10000), (422,), "contentId"),
    "1 025 characters": (lambda: raw_content_id(b"x" * 1025), (422,), "contentId"),
    "KID that is none": (
        lambda: good().set("ContentKey", "kid", "'; DROP TABLE x; --", 1).bytes(),
        (422,),
        "ContentKey[2]@kid",
    ),
    "KID of 1 MB": (
        lambda: d.simple_v2(content_id="bad-input").set("ContentKey", "kid", "a" * 1000000, 1).bytes(),
        (422,),
        "ContentKey[2]@kid",
    ),
    "duplicate KID": (
        lambda: good().set("ContentKey", "kid", good().kids[0]).bytes(),
        (422,),
        "ContentKey[2]@kid",
    ),
    "unknown system": (
        lambda: good().set("DRMSystem", "systemId", d.new_kid(), 2).bytes(),
        (422,),
        "DRMSystem[3]@systemId",
    ),
    "1 001 keys": (
        lambda: d.many_keys(
            1001, (d.WIDEVINE,), content_id="bad-input", placeholders={d.WIDEVINE: ()}
        ).bytes(),
        (422,),
        None,
    ),
    "a page of comments": (lambda: b"<!--" + b"x" * 500000 + b"-->", (400,), None),
    "CDATA": (lambda: b"<![CDATA[" + b"x" * 1000 + b"]]>", (400,), None),
    "XInclude": (
        lambda: text(
            lambda t: t.replace(
                b"<cpix:ContentKeyList>",
                b'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'
                b"<cpix:ContentKeyList kid='x'>",
                1,
            ).replace(b"<cpix:DRMSystemList>", b"<cpix:DRMSystemLst>")
        ),
        (400,),
        "line",
    ),
}


def log_since(site, mark, text_wanted=None, seconds=2):
    """What the responder logged since the mark; waits a little for a wanted text."""
    deadline = time.monotonic() + seconds
    while True:
        found = log_text(site.log)[mark:]
        if (text_wanted is None and found) or (text_wanted and text_wanted in found):
            return found
        if time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@pytest.mark.parametrize("name", BODIES)
def test_body(site, client, name):
    make, statuses, place = BODIES[name]
    body = make()
    assert len(body) <= MIB, "this test is not about the size limit"
    mark, before, workers = site.log_mark(), site.counts(), site.worker_pids()
    answer = client.post(body)
    expect_refusal(answer, statuses)
    after = site.counts()
    assert after["keys"] == before["keys"], "bad input made a key"
    assert after["releases"] == before["releases"], "bad input is audited as a release"
    assert after["refusals"] == before["refusals"] + 1, "the refusal must be in the audit, once"
    assert site.last_refusal()["status"] == answer.status, "the audit has another status"
    assert site.worker_pids() == workers, "a worker died of bad input"
    log = log_since(site, mark, place)
    assert log.count("\n") == 1, f"expected one log line, got {log!r}"
    assert place is None or place in log, f"the log must name {place!r}: {log!r}"
    assert "/etc/" not in answer.text and "root:" not in answer.text, "a file's content came back"


def test_memory_is_flat(site, client):
    """Every kind of bad body many times over: the workers grow by no more than they warm up."""
    bodies = [make() for make, _, _ in BODIES.values()]

    def round_trip(times):
        for _ in range(times):
            for body in bodies:
                if len(body) < 200000:
                    assert 400 <= client.post(body).status < 500, f"not refused: {body[:80]!r}"

    heavy = [body for body in bodies if len(body) >= 200000]
    for body in heavy * site.workers:
        client.post(body)
    round_trip(3)
    before, workers = site.workers_kib(), site.worker_pids()
    round_trip(12)
    for body in heavy * site.workers:
        client.post(body)
    after = site.workers_kib()
    assert site.worker_pids() == workers, "a worker died"
    grown = after - before
    assert grown < 1024 * site.workers, f"the workers grew by {grown} KiB over {12 * len(bodies)} requests"


# --- size and length ------------------------------------------------------------------------------


def expect_alive(site, client, workers):
    """A good request works, in the same processes as before."""
    request = d.simple_v2()
    answer = client.post(request)
    assert answer.status == 200, f"after it a good request got {answer.status} {answer.text[:100]!r}"
    check_v2(answer.body, request)
    assert site.worker_pids() == workers, "a worker died"


def test_two_mebibytes(site, client):
    """413, from the server or from the program."""
    workers, before = site.worker_pids(), site.counts()
    body = text(lambda t: t + b" " * (2 * MIB - len(t)))
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(body)}"]))
        try:
            raw.send(body)
        except OSError:
            pass  # the answer may come, and the connection end, before all is sent
        answer = raw.receive()
    assert answer is None or answer.status == 413, f"expected 413, got {answer.status}"
    answer = client.post(body)
    assert answer.status == 413, f"expected 413, got {answer.status} {answer.text[:100]!r}"
    assert site.counts()["keys"] == before["keys"], "a body above the limit made a key"
    expect_alive(site, client, workers)


def test_just_inside_the_limit(site, client):
    """1 MiB is allowed, to the byte; one more is not."""
    request = d.simple_v2()
    data = request.bytes()
    answer = client.post(data + b" " * (MIB - len(data)))
    assert answer.status == 200, f"1 MiB: expected 200, got {answer.status} {answer.text[:100]!r}"
    check_v2(answer.body, request)
    answer = client.post(data + b" " * (MIB + 1 - len(data)))
    assert answer.status == 413, f"1 MiB and a byte: expected 413, got {answer.status}"


def test_record_boundaries(client):
    """Bodies about the size of a FastCGI record (65535 bytes) and of usual buffers."""
    request = d.simple_v2()
    data = request.bytes()
    for size in (8191, 8192, 8193, 65527, 65528, 65535, 65536, 65537, 131072):
        answer = client.post(data + b"\n" * (size - len(data)))
        assert answer.status == 200, f"{size} bytes: {answer.status} {answer.text[:100]!r}"
        check_v2(answer.body, request)


def test_body_shorter_than_its_length(site, client):
    """The client promises more than it sends and closes its half: no exchange happens."""
    workers, before = site.worker_pids(), site.counts()
    data = good().bytes()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data) + 100}"]) + data)
        raw.close()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data)}"]) + data[:100])
        raw.close()
    time.sleep(0.3)
    after = site.counts()
    assert after["keys"] == before["keys"], "half a body made a key"
    assert after["releases"] == before["releases"], "half a body got a release"
    expect_alive(site, client, workers)


def test_body_longer_than_its_length(site, client):
    """What follows the promised bytes is no part of this request: it is cut, so not well-formed,
    and the rest is read as another request, which it is not."""
    workers, before = site.worker_pids(), site.counts()
    data = good().bytes()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data) - 20}"]) + data)
        answer = raw.receive()
        expect_refusal(answer, (400,))
    after = site.counts()
    assert after["keys"] == before["keys"], "a cut body made a key"
    expect_alive(site, client, workers)


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999", "10, 10", "0x10"])
def test_length_that_is_none(site, client, length):
    workers, before = site.worker_pids(), site.counts()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {length}"]) + good().bytes())
        answer = raw.receive()
    assert answer is None or 400 <= answer.status < 500, f"expected a 4xx, got {answer.status}"
    assert site.counts()["keys"] == before["keys"], "a request without sound length made a key"
    expect_alive(site, client, workers)


def test_no_length_at_all(site, client):
    """No Content-Length, no Transfer-Encoding: there is no body, so nothing is exchanged."""
    workers, before = site.worker_pids(), site.counts()
    with Raw(client) as raw:
        raw.send(raw.head(headers=["Connection: close"]) + good().bytes())
        answer = raw.receive()
    assert answer is None or 400 <= answer.status < 500, f"expected a 4xx, got {answer.status}"
    assert site.counts()["keys"] == before["keys"], "a request without body made a key"
    expect_alive(site, client, workers)


def chunked(data, size):
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunked(client, size):
    """Read whole, whatever the chunks are."""
    request = d.simple_v2()
    with Raw(client) as raw:
        raw.send(
            raw.head(headers=["Transfer-Encoding: chunked"]) + chunked(request.bytes(), size)
        )
        answer = raw.receive()
    assert answer.status in (200, 411), f"expected 200 or 411, got {answer.status}"
    if answer.status == 200:
        check_v2(answer.body, request)


def test_chunked_nonsense(site, client):
    workers, before = site.worker_pids(), site.counts()
    with Raw(client) as raw:
        raw.send(raw.head(headers=["Transfer-Encoding: chunked"]) + b"zz\r\n" + good().bytes())
        answer = raw.receive()
    assert answer is None or 400 <= answer.status < 500, f"expected a 4xx, got {answer.status}"
    assert site.counts()["keys"] == before["keys"], "broken chunks made a key"
    expect_alive(site, client, workers)


def test_expect_100_continue(client):
    """The server says 100 before the body comes, then the answer follows."""
    request = d.simple_v2()
    data = request.bytes()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data)}", "Expect: 100-continue"]))
        first = raw.socket.recv(4096)
        assert first.startswith(b"HTTP/1.1 100"), f"expected 100, got {first[:60]!r}"
        raw.send(data)
        answer = raw.receive()
    assert answer.status == 200, f"expected 200, got {answer.status}"
    check_v2(answer.body, request)


def test_two_lengths(site, client):
    """Two lengths that differ are how requests are smuggled."""
    workers, before = site.worker_pids(), site.counts()
    data = good().bytes()
    with Raw(client) as raw:
        headers = [f"Content-Length: {len(data)}", "Content-Length: 10"]
        raw.send(raw.head(headers=headers) + data)
        answer = raw.receive()
    assert answer is None or answer.status == 400, f"expected 400, got {answer.status}"
    assert site.counts()["keys"] == before["keys"], "a request with two lengths made a key"
    expect_alive(site, client, workers)


# --- clients that stop ------------------------------------------------------------------------------


def test_client_that_stops_sending(new_site):
    """A body that stands still is given up after body_timeout (or the server's own time-out), and
    meanwhile others are served: with more silent clients than workers too."""
    site = new_site(workers=2, settings={"body_timeout": "2"})
    data = good().bytes()
    for kind in ("lighttpd", "apache"):
        web = site.web(kind)
        with web.client() as client:
            client.login()
            workers = site.worker_pids()
            silent = []
            for _ in range(4):
                raw = Raw(client)
                raw.send(raw.head(headers=[f"Content-Length: {len(data)}"]) + data[:200])
                silent.append(raw)
            time.sleep(0.3)
            started = time.monotonic()
            expect_alive(site, client, workers)
            took = time.monotonic() - started
            # Four silent ones on two workers are two rounds of body_timeout at the most.
            assert took < 8, f"{kind}: a good request waited {took:.1f} s for silent clients"
            answers = []
            for raw in silent:
                answers.append(raw.receive() if kind == "apache" else None)
                raw.close()
            for answer in answers:
                assert answer is None or answer.status in (400, 408), f"{kind}: {answer.status}"
            assert site.query("SELECT count(*) AS n FROM speke.content_key")[0]["n"] == 2 * (
                1 if kind == "lighttpd" else 2
            ), f"{kind}: a silent client made a key"


def test_client_that_leaves_early(site, client):
    """The whole request is there, and nobody waits for the answer."""
    workers = site.worker_pids()
    for _ in range(20):
        request = d.many_keys(10)
        data = request.bytes()
        raw = Raw(client)
        raw.send(raw.head(headers=[f"Content-Length: {len(data)}"]) + data)
        raw.close()
    expect_alive(site, client, workers)


def test_slow_but_steady(client):
    """A body that comes in pieces over a second is a body all the same."""
    request = d.simple_v2()
    data = request.bytes()
    with Raw(client) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data)}"]))
        step = len(data) // 8 + 1
        for at in range(0, len(data), step):
            raw.send(data[at : at + step])
            time.sleep(0.15)
        answer = raw.receive()
    assert answer.status == 200, f"expected 200, got {answer.status}"
    check_v2(answer.body, request)


# --- around the body -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["2.0\x01", "2.0, 2.0", "2" * 5000, "%s%n", "2.0' OR '1'='1"], ids=lambda v: v[:6]
)
def test_strange_version_header(site, client, value):
    workers, before = site.worker_pids(), site.counts()
    data = good().bytes()
    with Raw(client) as raw:
        headers = [f"Content-Length: {len(data)}", f"X-Speke-Version: {value}"]
        raw.send(raw.head(headers=headers, speke=None) + data)
        answer = raw.receive()
    assert answer is not None and 400 <= answer.status < 500, f"expected a 4xx, got {answer}"
    assert site.counts()["keys"] == before["keys"], "a strange version made a key"
    expect_alive(site, client, workers)


@pytest.mark.parametrize(
    "path",
    [
        "/copyProtection?x=1",
        "/x/../copyProtection",
        "/%2e%2e/copyProtection",
        "/copyProtection%00",
        "//copyProtection",
        "/copyprotection",
        "/copyProtection/",
        "/" + "a" * 4000,
    ],
)
def test_strange_paths(site, client, path):
    """Either the very exchange path or a 4xx; never a crash."""
    workers = site.worker_pids()
    client.login()
    answer = client.post(d.simple_v2(), path=path)
    assert answer.status == 200 or 400 <= answer.status < 500, f"{path}: {answer.status}"
    expect_alive(site, client, workers)


def test_forged_log_lines(site, client):
    """Line breaks and escapes in what a client sends do not reach the log as such."""
    mark = site.log_mark()
    forged = "x&#10;speke: released all keys&#27;[31m"
    body = raw_content_id(forged.encode()).replace(b'version="2.3"', b'version="9"')
    body = body.replace(b"&#27;", b"")
    expect_refusal(client.post(body), (400, 422))
    log = log_since(site, mark)
    assert log.count("\n") == 1, f"a forged line stands in the log: {log!r}"
    assert "\x1b" not in log, "an escape character stands in the log"


def test_format_strings(site, client):
    workers = site.worker_pids()
    request = good().set("CPIX", "contentId", "%n%n%n%s%s%s" * 50)
    request.set("ContentKey", "kid", "%n%s", 1)
    expect_refusal(client.post(request), (422,))
    expect_alive(site, client, workers)
