# SPDX-License-Identifier: Apache-2.0
"""What the database is worth without the KEK, and what somebody who may write to it can do: rows
that were swapped, edited, or come from an old backup do not open; the rest works on."""
import os
import shutil
import signal

import pytest

from harness import documents as d
from harness import sealed
from harness.answers import check_v2
from harness.process import run, wait_until
from test_secrets import needles, search

SERVER = "lighttpd"


def ask(client, request):
    answer = client.post(request)
    keys = check_v2(answer.body, request).key if answer.status == 200 else None
    return answer, keys


@pytest.fixture
def custody(new_site):
    """A site of one's own and a logged-in client."""
    site = new_site(workers=1)
    with site.web(SERVER).client() as client:
        yield site, client


def make(client, count=1):
    """Contents with two keys each, as (request, keys)."""
    made = []
    for _ in range(count):
        request = d.simple_v2()
        answer, keys = ask(client, request)
        assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        made.append((request, keys))
    return made


def expect_refused(site, client, request, status, word):
    """No key goes out; a 500 is on record as a refusal of these KIDs."""
    mark = site.log_mark()
    answer, _ = ask(client, request)
    assert answer.status == status, f"expected {status}, got {answer.status} {answer.text[:200]!r}"
    assert b"PlainValue" not in answer.body
    # The line is written behind the answer.
    wait_until(lambda: word in site.log_text()[mark:], 10, f"the log to say {word!r}")
    if status == 500:
        row = site.last_refusal()
        assert row["content_id"] == request.content_id and row["status"] == 500, row
        assert {str(kid) for kid in row["kids"]} == set(request.kids), row
        assert answer.text == "Internal error", "the client learns no more"


def expect_keys(client, made):
    for request, keys in made:
        answer, got = ask(client, request)
        assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        assert got == keys, "a key changed"


def write_keks(site, lines):
    owner = os.stat(site.kek)
    fresh = site.kek + ".new"
    with open(fresh, "w", encoding="ascii") as out:
        out.write("".join(lines))
    os.chmod(fresh, 0o400)
    os.chown(fresh, owner.st_uid, owner.st_gid)
    os.rename(fresh, site.kek)


def kek_lines(site):
    with open(site.kek, encoding="ascii") as text:
        return text.readlines()


# --- KEKs that are not there --------------------------------------------------------------------------


def test_one_kek_is_not_loaded(custody):
    """What is sealed under it fails, and the log says which it is; the rest goes on."""
    site, client = custody
    old = make(client, 2)
    site.ctl("kek", "create", "--version", "2", user="op")
    new = make(client, 2)
    lines = kek_lines(site)
    write_keks(site, [line for line in lines if not line.startswith("1 ")])
    site.responder.send(signal.SIGHUP)
    wait_until(lambda: client.post(old[0][0]).status == 503, 5, "the changed file to be read")
    expect_refused(site, client, old[0][0], 503, "KEK version 1 is not loaded")
    expect_keys(client, new)
    make(client)
    assert client.get("/health").status == 200
    status = site.ctl("status", user="op", check=False)
    assert status.returncode == 1 and "KEK 1" in status.stdout, status.stdout
    before = site.counts()["keys"]
    write_keks(site, lines)
    wait_until(lambda: client.post(old[0][0]).status == 200, 5, "recovery by itself")
    expect_keys(client, old + new)
    assert site.counts()["keys"] == before
    assert site.ctl("status", user="op").returncode == 0


def test_kek_file_goes_while_it_runs(custody):
    """Processes that have the KEKs work on; new ones are sealed, and well again when it is back."""
    site, client = custody
    made = make(client, 2)
    os.rename(site.kek, site.kek + ".away")
    status = site.ctl("status", user="op", check=False)
    assert status.returncode == 1 and "does not hold the active KEK" in status.stdout
    expect_keys(client, made)
    keys = site.counts()["keys"]
    site.responder.send(signal.SIGHUP)
    wait_until(lambda: client.post(made[0][0]).status == 503, 5, "the settings to be read again")
    answer = client.post(d.simple_v2())
    assert (answer.status, answer.text) == (503, "Service unavailable: sealed")
    assert answer.header("Retry-After")
    assert client.get("/health").text == "sealed"
    assert site.counts()["keys"] == keys, "a key was made while sealed"
    os.rename(site.kek + ".away", site.kek)
    wait_until(lambda: client.post(made[0][0]).status == 200, 5, "recovery by itself")
    expect_keys(client, made)


# --- rows that somebody wrote --------------------------------------------------------------------------


def test_rows_swapped(custody):
    site, client = custody
    one, two, rest = make(client, 3)
    kids = one[0].kids
    site.query(
        "UPDATE speke.content_key k SET sealed = o.sealed FROM speke.content_key o"
        " WHERE k.content_id = %(c)s AND o.content_id = %(c)s AND k.kid <> o.kid",
        {"c": one[0].content_id},
    )
    assert len(kids) == 2
    expect_refused(site, client, one[0], 500, "its row was altered")
    # A whole row under another content id.
    site.query("CREATE TABLE public.kept AS SELECT * FROM speke.content_key WHERE content_id = %s", (two[0].content_id,))
    site.query(
        "UPDATE speke.content_key k SET sealed = o.sealed, kek_version = o.kek_version, scheme = o.scheme"
        " FROM speke.content_key o WHERE k.content_id = %s AND o.content_id = %s",
        (two[0].content_id, rest[0].content_id),
    )
    expect_refused(site, client, two[0], 500, "its row was altered")
    expect_keys(client, [rest])
    # Put right, it works: nothing was made in place of what did not open.
    site.query("UPDATE speke.content_key k SET sealed = o.sealed FROM public.kept o WHERE k.kid = o.kid"
               " AND k.content_id = o.content_id")  # fmt: skip
    expect_keys(client, [two, rest])


@pytest.mark.parametrize(
    "change",
    [
        "sealed = set_byte(sealed, 3, get_byte(sealed, 3) # 1)",
        "sealed = set_byte(sealed, 17, get_byte(sealed, 17) # 128)",
        "sealed = set_byte(sealed, 43, get_byte(sealed, 43) # 1)",
        "scheme = 'cens'",
        "kek_version = 2",
    ],
)
def test_row_edited(custody, change):
    site, client = custody
    site.ctl("kek", "create", "--version", "2", "--inactive", user="op")
    bad, good = make(client, 2)
    site.query(f"UPDATE speke.content_key SET {change} WHERE content_id = %s", (bad[0].content_id,))
    expect_refused(site, client, bad[0], 500, "its row was altered")
    expect_keys(client, [good])


def test_rows_of_another_tenant(custody):
    """Copied under another tenant with content id and KID alike: not the first one's key."""
    site, client = custody
    (request, _), = make(client)
    site.query(
        "INSERT INTO speke.content_key (tenant_id, created_by, kek_version, kid, content_digest,"
        " explicit_iv, sealed, scheme, content_id)"
        " SELECT c.tenant_id, c.client_id, k.kek_version, k.kid, k.content_digest, k.explicit_iv, k.sealed,"
        " k.scheme, k.content_id FROM speke.content_key k, speke.client c WHERE c.name = 'rival'"
    )
    web = site.web(SERVER)
    web.credentials = site.credentials(name="rival")
    with web.client() as rival:
        answer, _ = ask(rival, request)
    web.credentials = site.credentials()
    assert answer.status == 500 and b"PlainValue" not in answer.body


def test_rows_of_an_old_backup(custody):
    """From before a rewrap: whole rows open with the old KEK, to the same keys, and no longer once
    it was destroyed; half of a row, never."""
    site, client = custody
    made = make(client, 3)
    site.query("CREATE TABLE public.backup AS SELECT * FROM speke.content_key")
    restore = (
        "UPDATE speke.content_key k SET sealed = b.sealed {more} FROM public.backup b"
        " WHERE k.kid = b.kid AND k.content_id = b.content_id AND k.content_id = %s"
    )
    site.ctl("kek", "create", "--version", "2", user="op")
    site.ctl("kek", "rewrap", user="op")
    site.query(restore.format(more=""), (made[0][0].content_id,))
    expect_refused(site, client, made[0][0], 500, "its row was altered")
    whole = restore.format(more=", kek_version = b.kek_version")
    site.query(whole, (made[0][0].content_id,))
    expect_keys(client, made)
    site.ctl("kek", "rewrap", user="op")
    site.ctl("kek", "retire", "1", user="op")
    site.ctl("kek", "destroy", "1", "--yes", user="op")
    site.query(whole, (made[1][0].content_id,))
    wait_until(lambda: client.post(made[1][0]).status == 503, 5, "the changed KEK file to be read")
    expect_refused(site, client, made[1][0], 503, "KEK version 1 is not loaded")
    expect_keys(client, [made[0], made[2]])


# --- backups -------------------------------------------------------------------------------------------


def test_backup_without_and_with_the_kek(custody):
    """A dump that is restored elsewhere: sealed without the KEK; with it, the same keys."""
    site, client = custody
    made = make(client, 4)
    keks = sealed.read_kek_file(site.kek)
    dump = site.pg.dump()
    secrets = {f"{form} of a key": n for _, keys in made for key in keys.values() for form, n in needles(key).items()}
    secrets |= {f"{form} of a KEK": n for kek in keks.values() for form, n in needles(kek[:16]).items()}
    assert b"content_key" in dump and not search(secrets, "the dump", dump)

    site.pg.query("CREATE DATABASE elsewhere", database="postgres")
    run([f"{site.pg.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", site.pg.socket, "-U", "postgres",
         "-d", "elsewhere"], input=dump.decode())  # fmt: skip
    kept = site.kek + ".kept"
    shutil.copy2(site.kek, kept)
    os.chown(kept, os.stat(site.kek).st_uid, os.stat(site.kek).st_gid)
    site.write_config(database=site.pg.dsn("elsewhere", "encoder_svc"), kek_file=kept + ".missing")
    site.stop_responder()
    site.start_responder()
    for request in (made[0][0], d.simple_v2()):
        answer, _ = ask(client, request)
        assert (answer.status, answer.text) == (503, "Service unavailable: sealed")
    site.write_config(kek_file=kept)
    site.responder.send(signal.SIGHUP)
    wait_until(lambda: client.post(made[0][0]).status == 200, 5, "the KEK to be read")
    expect_keys(client, made)
    rows = site.pg.query("SELECT count(*) AS n FROM speke.v_release", database="elsewhere")
    assert rows[0]["n"] >= 12, "the audit goes on in the restored database"
