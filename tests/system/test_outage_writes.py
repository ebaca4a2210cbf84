# SPDX-License-Identifier: Apache-2.0
"""The database is there and cannot do what it is asked: its disk is full, its audit cannot be written,
it goes away in the middle of a transaction, or the connection is cut. The client gets a 503 with
Retry-After and no key; the table and the audit agree; and it recovers by itself."""
import contextlib
import os
import subprocess
import threading
import time

import pytest
from test_outage import expect_recovery, replace_kek, timed

from harness import documents as d
from harness.answers import check_v2
from harness.process import ROOT, log_text, wait_until
from harness.proxy import Proxy
from harness.site import Site

LIMIT = 3.0  # seconds
DISK = 256 << 20  # bytes


def expect_503(answer, took=0.0, word="database"):
    assert answer.status == 503, f"expected 503, got {answer.status} {answer.text[:200]!r}"
    assert answer.text == f"Service unavailable: {word}", answer.text
    retry = answer.header("Retry-After")
    assert retry and retry.isdigit() and int(retry) > 0, f"Retry-After: {retry!r}"
    assert b"PlainValue" not in answer.body, "a 503 with keys"
    assert took < LIMIT, f"503 took {took:.2f} s, allowed {LIMIT}"


def rows_of(site, content_id):
    """(keys in the table, releases in the audit) of a content."""
    keys = site.query("SELECT count(*) AS n FROM speke.content_key WHERE content_id = %s", (content_id,))
    return keys[0]["n"], len(site.releases(content_id))


def expect_nothing(site, request):
    assert rows_of(site, request.content_id) == (0, 0), "what was refused has left rows"


def expect_story(site, given):
    """Of each request that got keys there is a release, and its keys are the table's."""
    for request, keys in given:
        assert site.stored_keys(request.content_id) == keys.key, "the table holds other keys"
        assert len(site.releases(request.content_id)) == 1, "not one release for one answer"


@pytest.fixture
def one(new_site):
    """A site, and a client of it that got keys of a first request."""
    site = new_site(workers=2)
    with site.web("lighttpd").client().login() as client:
        first = d.simple_v2()
        assert client.post(first).status == 200, "before the outage"
        yield site, client, first


# --- a full disk ---------------------------------------------------------------------------------


class Disk:
    """A file system of its own for PostgreSQL's data directory, to be filled."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", path], check=True, capture_output=True
        )

    def fill(self):
        with contextlib.suppress(OSError), open(self.path + "/filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 20))
        with contextlib.suppress(OSError), open(self.path + "/filler", "ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        room = os.statvfs(self.path)
        assert room.f_bavail * room.f_bsize < 8192, f"{room.f_bavail} blocks are left"

    def free(self):
        os.unlink(self.path + "/filler")

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def full(install, run_directory):
    if not ROOT:
        pytest.skip("mounting needs root")
    directory = os.path.join(run_directory, f"full-{os.urandom(4).hex()}")
    site = Site(install, directory, workers=2, postgres={"min_wal_size": "'32MB'", "max_wal_size": "'64MB'"})
    disk = Disk(site.pg.data)
    try:
        site.start()
        with site.web("lighttpd").client().login() as client:
            first = d.simple_v2()
            assert client.post(first).status == 200, "before the outage"
            yield site, client, disk
    finally:
        site.stop()
        disk.unmount()


def ask_until_refused(client, request_for):
    """Pages have room for some rows more; then there is none. Returns what was given and the refused
    request."""
    given = []
    for _ in range(2000):
        request = request_for()
        answer, took = timed(lambda request=request: client.post(request))
        if answer.status != 200:
            expect_503(answer, took)
            return given, request
        given.append((request, check_v2(answer.body, request)))
    raise AssertionError("a full disk refuses nothing")


def test_disk_full(full):
    """No room for another page of the table or the audit."""
    site, client, disk = full
    disk.fill()
    given, refused = ask_until_refused(client, d.simple_v2)
    for _ in range(3):
        answer, took = timed(lambda: client.post(refused))
        assert answer.status in (200, 503), answer.status
        if answer.status == 503:
            expect_503(answer, took)
    known, _ = given[-1] if given else (d.simple_v2(), None)
    # Keys that exist go out as long as the audit has room, and then no more.
    for _ in range(2000):
        answer = client.post(known)
        if answer.status != 200:
            break
    expect_503(answer)
    if answer.status == 503 and client.post(refused).status == 503:
        expect_nothing(site, refused)
    assert "No space left on device" in log_text(site.pg.log), "the disk was not what refused"
    disk.free()
    expect_recovery(client)
    for request, keys in given:
        assert site.stored_keys(request.content_id) == keys.key, "the table holds other keys"
    orphans = site.query(
        "SELECT count(*) AS n FROM speke.content_key k WHERE NOT EXISTS (SELECT FROM speke.audit_event a"
        " WHERE a.content_id = k.content_id AND k.kid = ANY (a.created_kids))"
    )
    assert orphans[0]["n"] == 0, "keys whose creation is not in the audit"
    assert client.post(refused).status == 200, "the refused request works now"


def test_disk_full_of_wal(full):
    """No room for the write-ahead log: PostgreSQL panics, and comes up again when there is some."""
    site, client, disk = full
    site.forget_connection()
    disk.fill()
    with contextlib.suppress(Exception), contextlib.closing(site.pg.connect()) as connection:
        with connection.cursor() as cursor:
            for _ in range(100):
                cursor.execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', 4000000))")
    request = d.simple_v2()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer, took = timed(lambda: client.post(request))
        if answer.status == 503:
            break
        request = d.simple_v2()
    expect_503(answer, took)
    for _ in range(3):
        expect_503(*timed(lambda: client.post(request)))
    assert "PANIC" in log_text(site.pg.log), "the server went on"
    disk.free()
    with contextlib.suppress(AssertionError):
        site.pg.process.check()  # it may have given up by itself, as its supervisor would see
        site.pg.kill()
    site.pg.start()
    expect_recovery(client)
    expect_nothing(site, request)
    assert client.post(request).status == 200, "the refused request works now"


# --- an audit that cannot be written -------------------------------------------------------------

NO_RIGHT = ("REVOKE INSERT ON speke.audit_event FROM speke_owner", "GRANT INSERT ON speke.audit_event TO speke_owner")
TRIGGER = (
    "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RAISE EXCEPTION ''read only''; END';"
    "CREATE TRIGGER refuse BEFORE INSERT ON speke.audit_event FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    "DROP TRIGGER refuse ON speke.audit_event; DROP FUNCTION public.refuse()",
)
READ_ONLY = (
    "ALTER DATABASE speke SET default_transaction_read_only = on;"
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'encoder_svc'",
    "ALTER DATABASE speke SET default_transaction_read_only = off",
)


@pytest.mark.parametrize("harm", [NO_RIGHT, TRIGGER, READ_ONLY], ids=["no-right", "trigger", "read-only"])
def test_audit_not_writable(one, harm):
    """No audit row, no key: neither one that exists, nor a new one, nor even a refusal."""
    site, client, first = one
    before = rows_of(site, first.content_id)
    site.query(harm[0])
    new = d.simple_v2()
    for body in (first, new, b"no XML"):
        for _ in range(2):
            expect_503(*timed(lambda body=body: client.post(body)))
    expect_nothing(site, new)
    assert rows_of(site, first.content_id) == before, "something was written"
    with contextlib.closing(site.pg.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute(harm[1])
    expect_recovery(client)
    for request in (first, new):
        answer = client.post(request)
        assert answer.status == 200, f"afterwards: {answer.status} {answer.text!r}"


# --- a KEK that is gone --------------------------------------------------------------------------


def test_old_kek_removed(one):
    """Without the KEK of its keys a content is sealed; others, under the KEK that is there, go on."""
    site, client, old = one
    keys = check_v2(client.post(old).body, old)
    site.ctl("kek", "create", "--version", "2", user="op")
    new = d.simple_v2()
    assert client.post(new).status == 200, "a key under the new KEK"
    with open(site.kek, encoding="ascii") as kek:
        whole = kek.read()
    replace_kek(site, "".join(line for line in whole.splitlines(True) if not line.startswith("1 ")))
    site.stop_responder()
    site.start_responder()
    releases = rows_of(site, old.content_id)[1]
    for _ in range(3):
        expect_503(*timed(lambda: client.post(old)), word="sealed")
        assert client.post(new).status == 200, "a content whose KEK is there"
    assert "KEK version 1 is not loaded" in site.log_text(), "the log names the version"
    replace_kek(site, whole)
    answer = wait_until(lambda: (a := client.post(old)).status == 200 and a, 10, "the KEK to be found again")
    assert check_v2(answer.body, old) == keys, "the key changed"
    assert rows_of(site, old.content_id)[1] > releases


# --- a transaction that does not end -------------------------------------------------------------


@contextlib.contextmanager
def slow_audit(site, seconds=1.0):
    """Every release stays in its transaction for a while after its row was written."""
    site.query(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END';"
        "CREATE TRIGGER slow AFTER INSERT ON speke.audit_event FOR EACH ROW WHEN (NEW.event = 'release')"
        " EXECUTE FUNCTION public.slow()"
    )
    yield
    site.query("DROP TRIGGER slow ON speke.audit_event; DROP FUNCTION public.slow()")


def begin(client, request):
    """Asks in a thread; returns the thread and where the answer will be."""
    found = []
    thread = threading.Thread(target=lambda: found.append(timed(lambda: client.post(request))))
    thread.start()
    return thread, found


SLEEPING = "SELECT pid FROM pg_stat_activity WHERE usename = 'encoder_svc' AND wait_event = 'PgSleep'"


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_backend_ended_in_mid_transaction(one, existing):
    """pg_terminate_backend() while acquire() runs."""
    site, client, first = one
    request = first if existing else d.simple_v2()
    before = rows_of(site, request.content_id)
    with slow_audit(site):
        thread, found = begin(client, request)
        pids = wait_until(lambda: site.query(SLEEPING), 5, "the transaction")
        site.query("SELECT pg_terminate_backend(%s)", (pids[0]["pid"],))
        thread.join()
    expect_503(*found[0])
    assert rows_of(site, request.content_id) == before, "half a transaction is there"
    expect_recovery(client)
    answer = client.post(request)
    assert answer.status == 200, f"afterwards: {answer.status}"
    assert site.stored_keys(request.content_id) == check_v2(answer.body, request).key


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_database_restarted_in_mid_transaction(one, how):
    site, client, _ = one
    request = d.simple_v2()
    with slow_audit(site):
        thread, found = begin(client, request)
        wait_until(lambda: site.query(SLEEPING), 5, "the transaction")
        site.forget_connection()
        getattr(site.pg, how)()
        thread.join()
        expect_503(*found[0])
        expect_503(*timed(lambda: client.post(request)))
        site.pg.start()
    expect_nothing(site, request)
    expect_recovery(client)
    assert client.post(request).status == 200, "the request works now"


# --- a connection that is cut --------------------------------------------------------------------


@pytest.fixture
def proxied(new_site, tmp_path_factory):
    site = new_site(workers=1)
    directory = os.path.join(site.directory, "proxy")
    with Proxy(directory, site.pg.socket) as proxy:
        site.write_config(database=f"host={directory} dbname=speke user=encoder_svc")
        site.stop_responder()
        site.start_responder()
        with site.web("lighttpd").client().login() as client:
            first = d.simple_v2()
            assert client.post(first).status == 200, "before the outage"
            yield site, client, first, proxy


@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_connection_cut(proxied, when):
    """Whether the server had the request, and carried it out, the client does not learn: it gets a
    503, and when it asks again, the key that there is."""
    site, client, first, proxy = proxied
    for request, known in ((d.simple_v2(), False), (first, True)):
        keys, releases = rows_of(site, request.content_id)
        proxy.cut(when)
        expect_503(*timed(lambda request=request: client.post(request)))
        done = 1 if when == "after" else 0
        expected = (keys if known else done * len(request.kids), releases + done)
        found = wait_until(
            lambda request=request, expected=expected: rows_of(site, request.content_id) == expected, 3,
            f"{expected} rows; there are {rows_of(site, request.content_id)}",
        )  # fmt: skip
        assert found
        stored = site.stored_keys(request.content_id)
        expect_recovery(client)
        answer = client.post(request)
        assert answer.status == 200, f"asked again: {answer.status} {answer.text!r}"
        given = check_v2(answer.body, request).key
        assert not stored or stored == given, "another key than was made before the cut"
        assert rows_of(site, request.content_id) == (len(request.kids), releases + done + 1), "sent twice"
    assert proxy.cuts == 2
