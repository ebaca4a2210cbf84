# SPDX-License-Identifier: Apache-2.0
"""A streaming replica: auditors read there, no key leaves there, and after a failover the service
goes on with the same keys and an audit that is whole."""
import os

import pytest

from harness import documents as d
from harness.answers import check_v2
from harness.postgres import OWNER, Cluster
from harness.process import run, wait_until


@pytest.fixture
def pair(new_site):
    """A site of one's own whose responder knows two servers, a logged-in client, and the standby."""
    site = new_site(workers=1, settings={"audit_seal_interval": 0})
    with open(os.path.join(site.pg.data, "pg_hba.conf"), "a", encoding="ascii") as out:
        out.write("local replication postgres trust\n")
    site.query("SELECT pg_reload_conf()")
    standby = Cluster(os.path.join(site.directory, "standby"), {"hot_standby_feedback": "on"})
    os.makedirs(standby.socket)
    os.chown(standby.socket, os.stat(site.pg.data).st_uid, -1)
    os.chown(standby.directory, os.stat(site.pg.data).st_uid, -1)
    run(
        [
            f"{standby.bin}/pg_basebackup", "-D", standby.data, "-h", site.pg.socket, "-U", "postgres",
            "-R", "-X", "stream", "-c", "fast", "--no-sync",
        ],
        user=OWNER, cwd="/", timeout=60,
    )  # fmt: skip
    with open(os.path.join(standby.data, "postgresql.conf"), "a", encoding="ascii") as out:
        for name, value in standby.settings.items():
            out.write(f"{name} = {value}\n")
    standby.start()
    try:
        with site.web("lighttpd").client() as client:
            yield site, client, standby
    finally:
        standby.stop()


def both(site, standby):
    """What a libpq that knows both servers and wants the one that writes is told."""
    return (
        f"host={site.pg.socket},{standby.socket} dbname=speke user=encoder_svc "
        "target_session_attrs=read-write"
    )


def caught_up(site, standby):
    at = site.query("SELECT pg_current_wal_lsn()::text AS lsn")[0]["lsn"]
    wait_until(
        lambda: standby.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AS there", (at,))[0]["there"],
        30, "the standby to have it all",
    )  # fmt: skip


def spekectl(site, server, *words, check=False):
    return run(
        [site.install.spekectl, "--config", site.config, "--db", server.dsn(user="op"), *words],
        check=check, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def fetch(client, request):
    answer = client.post(request)
    assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
    return check_v2(answer.body, request).key


VIEWS = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'speke'::regnamespace AND relkind = 'v'"
    " AND has_table_privilege('speke_auditor', oid, 'SELECT') ORDER BY 1"
)
# Their rows depend on the time, on VACUUM or on the server.
NOT_COMPARED = {"v_size", "v_growth", "v_limit"}


def test_replica(pair):
    site, client, standby = pair
    request = d.simple_v2()
    keys = fetch(client, request)
    assert client.post(b"<no/>").status >= 400
    site.ctl("audit", "seal", user="op")
    caught_up(site, standby)

    # Auditors.
    for view in [row["relname"] for row in site.query(VIEWS)]:
        sql = f"SELECT v::text AS row FROM speke.{view} AS v ORDER BY 1"
        there = standby.query(sql, user="auditor")
        if view not in NOT_COMPARED:
            assert there == site.pg.query(sql, user="auditor"), view
    assert standby.query("SELECT * FROM speke.key_list('{}', 1)", user="auditor")
    for words in (("audit", "verify"), ("audit", "tail"), ("key", "list"), ("status",)):
        done = spekectl(site, standby, *words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    for words in (("audit", "seal"), ("tenant", "add", "new")):
        done = spekectl(site, standby, *words)
        assert done.returncode != 0 and "primary" in done.stderr, f"{words}: {done.stderr}"

    # A service that knows the standby alone gives no key.
    before = site.counts()
    site.stop_responder()
    site.write_config(database=standby.dsn(user="encoder_svc"))
    site.start_responder()
    answer = client.post(request)
    assert answer.status == 503 and b"PlainValue" not in answer.body, f"{answer.status} {answer.text[:200]!r}"
    assert site.counts() == before
    health = client.get("/health")
    assert (health.status, health.text) == (503, "database"), health.text
    assert "is a standby" in site.log_text()

    # One that knows both uses the primary, and the standby once that is promoted.
    site.stop_responder()
    site.write_config(database=both(site, standby))
    site.start_responder()
    assert fetch(client, request) == keys
    late = d.simple_v2()
    late_keys = fetch(client, late)
    caught_up(site, standby)
    site.forget_connection()
    site.pg.kill()
    answer = client.post(request)
    assert answer.status == 503, f"without a primary: {answer.status} {answer.text[:200]!r}"
    standby.query("SELECT pg_promote()")

    def works():
        again = client.post(request)
        assert again.status in (200, 503), f"{again.status} {again.text[:200]!r}"
        return again if again.status == 200 else None

    answer = wait_until(works, 20, "the service to find the new primary")
    assert check_v2(answer.body, request).key == keys, "a key changed with the failover"
    assert fetch(client, late) == late_keys, "the last key before the failover changed"
    fetch(client, d.simple_v2())
    done = spekectl(site, standby, "audit", "seal")
    assert done.returncode == 0, done.stderr
    done = spekectl(site, standby, "audit", "verify")
    assert done.returncode == 0, f"after the failover: {done.stdout} {done.stderr}"
    rows = standby.query("SELECT count(*) - (SELECT sum(row_count) FROM speke.audit_seal) AS open FROM speke.audit_event")
    assert rows[0]["open"] == 0, "rows without a seal after the failover"
