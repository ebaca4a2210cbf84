# SPDX-License-Identifier: Apache-2.0
"""What the service needs is away: 503 with Retry-After within three seconds, one word that says
why, no key made, and recovery by itself when it is back."""
import os
import threading
import time

import pytest

from harness import documents as d
from harness.answers import check_v2
from harness.http import at_once
from harness.process import wait_until

LIMIT = 3.0  # seconds


def timed(call):
    started = time.monotonic()
    answer = call()
    return answer, time.monotonic() - started


def expect_unavailable(client, word):
    """An exchange and the health page both say 503, soon, and why."""
    answer, took = timed(lambda: client.post(d.simple_v2()))
    assert answer.status == 503, f"expected 503, got {answer.status} {answer.text[:200]!r}"
    assert took < LIMIT, f"503 took {took:.2f} s, allowed {LIMIT}"
    retry = answer.header("Retry-After")
    assert retry and retry.isdigit() and int(retry) > 0, f"Retry-After: {retry!r}"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8", "type of a 503"
    assert b"PlainValue" not in answer.body, "a 503 with keys"
    answer, took = timed(lambda: client.get("/health"))
    assert answer.status == 503, f"health: expected 503, got {answer.status}"
    assert took < LIMIT, f"health took {took:.2f} s, allowed {LIMIT}"
    assert answer.text == word, f"health says {answer.text!r}, expected {word!r}"


def expect_recovery(client, seconds=10):
    """Asking on, as a packager would, succeeds soon, and without anybody's help."""
    request = d.simple_v2()

    def works():
        answer = client.post(request)
        assert answer.status in (200, 503), f"{answer.status} {answer.text[:200]!r}"
        return answer if answer.status == 200 else None

    answer = wait_until(works, seconds, "the service to recover")
    check_v2(answer.body, request)
    health = client.get("/health")
    assert health.status == 200, f"health after recovery: {health.status} {health.text!r}"


@pytest.fixture
def servers(new_site):
    """A site of one's own with a logged-in client on either server."""
    site = new_site(workers=2)
    clients = [site.web(kind).client().login() for kind in ("lighttpd", "apache")]
    for client in clients:
        answer = client.post(d.simple_v2())
        assert answer.status == 200, f"before the outage: {answer.status} {answer.text[:200]!r}"
    yield site, clients
    for client in clients:
        client.close()


def test_database_down(servers):
    """Stopped, and started again later."""
    site, clients = servers
    site.forget_connection()
    site.pg.stop()
    for client in clients:
        for _ in range(3):
            expect_unavailable(client, "database")
    site.pg.start()
    for client in clients:
        expect_recovery(client)


def test_database_killed(servers):
    site, clients = servers
    site.forget_connection()
    site.pg.kill()
    for client in clients:
        expect_unavailable(client, "database")
    site.pg.start()
    for client in clients:
        expect_recovery(client)


def test_database_restarted_between_requests(servers):
    """Nobody asked while it was away: the dead connection is noticed, and the request still
    succeeds or is told to come again at once."""
    site, clients = servers
    site.forget_connection()
    site.pg.stop()
    site.pg.start()
    for client in clients:
        expect_recovery(client, 5)


def test_database_stands_still(servers):
    """SIGSTOP to all of PostgreSQL: connections stay open and say nothing."""
    site, clients = servers
    site.pg.freeze()
    try:
        for client in clients:
            for _ in range(2):
                expect_unavailable(client, "database")
    finally:
        site.pg.thaw()
    for client in clients:
        expect_recovery(client)


def test_refusals_while_the_database_is_away(servers):
    """A refusal that cannot be written into the audit is a 503."""
    site, clients = servers
    site.forget_connection()
    site.pg.stop()
    for client in clients:
        answer, took = timed(lambda client=client: client.post(b"not XML"))
        assert answer.status == 503, f"expected 503, got {answer.status} {answer.text!r}"
        assert took < LIMIT, f"took {took:.2f} s"
    site.pg.start()


def test_many_clients_while_it_stands_still(servers):
    """A queue does not make the wait longer than the time-outs of all that stand before one: each
    worker gives each request up in time."""
    site, clients = servers
    count = 6
    web = site.web("lighttpd")
    many = [web.client().login() for _ in range(count)]
    site.pg.freeze()
    try:
        results = at_once(
            [lambda client=client: timed(lambda: client.post(d.simple_v2())) for client in many]
        )
    finally:
        site.pg.thaw()
    for answer, took in results:
        assert answer.status == 503, f"expected 503, got {answer.status} {answer.text[:100]!r}"
        rounds = count / site.workers
        assert took < LIMIT * rounds, f"a client waited {took:.1f} s"
    for client in many:
        client.close()


def test_row_locked(servers):
    """Somebody holds a lock on the table: the statement is given up in time, no key is made, and
    the transaction does not come true later."""
    site, clients = servers
    holder = site.pg.connect()
    holder.autocommit = False
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE speke.content_key IN ACCESS EXCLUSIVE MODE")
        request = d.simple_v2()
        answer, took = timed(lambda: clients[0].post(request))
        assert answer.status == 503, f"expected 503, got {answer.status} {answer.text[:100]!r}"
        assert took < LIMIT, f"503 took {took:.2f} s, allowed {LIMIT}"
    finally:
        holder.rollback()
        holder.close()
    time.sleep(0.5)
    assert not site.releases(request.content_id), "a release that was given up is in the audit"
    expect_recovery(clients[0])


def test_slow_and_then_silent(servers):
    """The database takes its time to tell who asks and hangs when it is asked for keys: one limit
    holds for both."""
    site, clients = servers
    site.stop_responder()
    site.start_responder()  # workers that know no client yet
    slow, silent = site.pg.connect(), site.pg.connect()
    for holder, table in ((slow, "tenant_setting"), (silent, "content_key")):
        holder.autocommit = False
        with holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLE speke.{table} IN ACCESS EXCLUSIVE MODE")
    release = threading.Timer(1.6, slow.rollback)
    release.start()
    try:
        answer, took = timed(lambda: clients[0].post(d.simple_v2()))
        assert answer.status == 503, f"expected 503, got {answer.status} {answer.text[:100]!r}"
        assert 1.6 < took < LIMIT, f"503 took {took:.2f} s"
    finally:
        release.join()
        silent.rollback()
        slow.close()
        silent.close()
    assert "acquire: no answer within 2500 ms" in site.log_text()
    for client in clients:
        expect_recovery(client)


def test_schema_missing(servers):
    site, clients = servers
    site.query("ALTER SCHEMA speke RENAME TO elsewhere")
    for client in clients:
        expect_unavailable(client, "schema")
    site.query("ALTER SCHEMA elsewhere RENAME TO speke")
    for client in clients:
        expect_recovery(client)


@pytest.mark.parametrize("version", [1, 99], ids=["too-old", "too-new"])
def test_schema_of_another_version(servers, version):
    """The program runs with the schema versions that it knows and refuses others."""
    site, clients = servers
    rows = site.query("SELECT max(version) AS n FROM speke.schema_version")
    newest = rows[0]["n"]
    if version == 99:
        site.query("INSERT INTO speke.schema_version (version, name) VALUES (99, 'later')")
    else:
        site.query("DELETE FROM speke.schema_version WHERE version > 1")
    site.stop_responder()
    site.start_responder()  # the version is looked at when a connection is made
    for client in clients:
        expect_unavailable(client, "schema")
    if version == 99:
        site.query("DELETE FROM speke.schema_version WHERE version = 99")
    else:
        site.query(
            "INSERT INTO speke.schema_version (version, name)"
            " SELECT n, 'again' FROM generate_series(2, %s) n",
            (newest,),
        )
    for client in clients:
        expect_recovery(client)


def restart(site):
    site.stop_responder()
    site.start_responder()


def test_kek_missing(servers):
    """No KEK file: sealed; it is back when the file is."""
    site, clients = servers
    os.rename(site.kek, site.kek + ".away")
    restart(site)
    for client in clients:
        expect_unavailable(client, "sealed")
    os.rename(site.kek + ".away", site.kek)
    for client in clients:
        expect_recovery(client)


def test_wrong_kek(servers):
    """Another key under the right number is found out before it seals anything."""
    site, clients = servers
    with open(site.kek, encoding="ascii") as kek:
        right = kek.read()
    wrong = right.splitlines()
    wrong = [line if line.startswith("#") else "1 " + "A" * 43 + "=" for line in wrong]
    keys = site.counts()["keys"]
    replace_kek(site, "\n".join(wrong) + "\n")
    restart(site)
    for client in clients:
        expect_unavailable(client, "sealed")
    assert site.counts()["keys"] == keys, "a key was sealed under a wrong KEK"
    replace_kek(site, right)
    restart(site)
    for client in clients:
        expect_recovery(client)


def replace_kek(site, text):
    owner = os.stat(site.kek)
    os.chmod(site.kek, 0o600)
    with open(site.kek, "w", encoding="ascii") as kek:
        kek.write(text)
    os.chown(site.kek, owner.st_uid, owner.st_gid)
    os.chmod(site.kek, 0o400)


def test_kek_that_others_can_read(servers):
    """A KEK file with group or other bits is not used."""
    site, clients = servers
    os.chmod(site.kek, 0o444)
    restart(site)
    for client in clients:
        expect_unavailable(client, "sealed")
    os.chmod(site.kek, 0o400)
    for client in clients:
        expect_recovery(client)


def test_row_that_was_edited(servers):
    """A sealed key moved to another row, or edited, does not open: 500, and no key; the others
    are not touched by it."""
    site, clients = servers
    one, two = d.simple_v2(), d.simple_v2()
    for request in (one, two):
        assert clients[0].post(request).status == 200, "making the keys"
    site.query(
        "UPDATE speke.content_key k SET sealed = o.sealed FROM speke.content_key o"
        " WHERE k.content_id = %s AND k.kid = %s AND o.content_id = %s AND o.kid = %s",
        (one.content_id, one.kids[0], two.content_id, two.kids[0]),
    )
    answer = clients[0].post(one)
    assert answer.status == 500, f"expected 500, got {answer.status} {answer.text[:200]!r}"
    assert b"PlainValue" not in answer.body, "an answer with keys although one does not open"
    assert clients[0].post(two).status == 200, "the other content must work on"
