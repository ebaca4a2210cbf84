# SPDX-License-Identifier: Apache-2.0
"""The audit's seal: whatever a superuser does to rows and seals is found and named, in the database
and in an export; checkpoints; archives; the sealer beside the workers."""
import base64
import hashlib
import ipaddress
import json
import os
import signal
import struct
import subprocess
import time
import uuid
from datetime import datetime, timezone

import pytest

from harness import documents as d
from harness.process import wait_until

TAMPERED = 5
HERE = "speke.audit_event_" + datetime.now(timezone.utc).strftime("%Y_%m")
JANUARY, FEBRUARY = "speke.audit_event_2026_01", "speke.audit_event_2026_02"
FILL = """
    SELECT speke.audit_partition_create('2026-01-01'), speke.audit_partition_create('2026-02-01');
    INSERT INTO speke.audit_event (at, event, status, tenant_id, client_id, remote_user, remote_addr,
                                   speke_version, content_id, kids, systems, recipient_subjects,
                                   recipient_fingerprints)
    SELECT day + n * interval '1 hour', 'release', 200, 1, 1, 'packager', '192.0.2.7', '2.1',
           'film-' || n, ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[gen_random_uuid()],
           CASE WHEN mod(n, 3) = 0 THEN ARRAY['CN="a", O=\u00fc', ''] END,
           CASE WHEN mod(n, 3) = 0 THEN ARRAY[sha256('a'), sha256('b')] END
      FROM unnest(ARRAY['2026-01-10'::timestamptz, '2026-02-10']) AS day, generate_series(1, 20) AS n
     ORDER BY 1;
"""
MORE = """
    INSERT INTO speke.audit_event (event, status, remote_user, remote_addr, detail)
    SELECT 'refusal', 403, 'stranger ' || n, '2001:db8::7', E'no\\n"reason"'
      FROM generate_series(1, 10) AS n;
"""


class Base:
    """A database with 60 rows under three seals, and copies of it to spoil."""

    def __init__(self, site):
        self.site, self.number = site, 0
        site.pg.query("CREATE DATABASE audited", database="postgres")
        site.ctl("--db", site.pg.dsn("audited"), "db", "init", "--sql-dir", site.install.sql)
        for rows in (FILL, MORE, MORE):
            self.sql("audited", rows)
            self.ctl("audited", "audit", "seal")

    def sql(self, database, *statements):
        rows = None
        for statement in statements:
            rows = self.site.pg.query(statement, database=database)
        return rows

    def ctl(self, database, *arguments, user="op", check=True):
        return self.site.ctl(
            "--db", self.site.pg.dsn(database, user), *arguments, check=check
        )

    def copy(self):
        self.number += 1
        name = f"spoilt{self.number}"
        self.site.pg.query(f"CREATE DATABASE {name} TEMPLATE audited", database="postgres")
        return name

    def verify(self, database, *arguments):
        done = self.ctl(database, "audit", "verify", "--json", *arguments, check=False)
        assert done.returncode in (0, TAMPERED), done.stderr
        report = json.loads(done.stdout)
        assert report["ok"] == (done.returncode == 0)
        return report


@pytest.fixture(scope="module")
def base(site):
    return Base(site)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private and a public key of Ed25519, made as the manual says."""
    directory = tmp_path_factory.mktemp("checkpoint")
    private, public = directory / "key.pem", directory / "public.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True
    )
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    os.chmod(private, 0o400)
    return str(private), str(public)


def named(report):
    """What was found, as (word, row or seal)."""
    return {(f["finding"], f.get("event_id") or f.get("seal_no")) for f in report["findings"]}


def test_what_was_not_touched_is_right(base):
    report = base.verify("audited")
    assert report["ok"] and report["rows"] == 60 and report["seals"] == 3
    assert report["unsealed"] == 0 and report["findings"] == []


def test_rows_that_are_not_sealed_yet_are_counted(base):
    database = base.copy()
    base.sql(database, MORE)
    report = base.verify(database)
    assert report["ok"] and report["unsealed"] == 10
    assert abs(
        datetime.fromisoformat(report["unsealed_since"].replace("Z", "+00:00")).timestamp() - time.time()
    ) < 60


# -- the superuser ----------------------------------------------------------------------------------


def unguarded(table, *statements):
    """With the trigger that keeps the rows out of the way."""
    return [
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        *statements,
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER audit_event_append_only",
    ]


def swapped(column):
    """Rows 45 and 46 exchange what they have in a column."""
    return unguarded(
        HERE,
        f"UPDATE {HERE} a SET {column} = b.{column} FROM {HERE} b"
        " WHERE a.event_id IN (45, 46) AND b.event_id = 91 - a.event_id",
    )


COLUMNS = {
    "xact": "xact + 1", "tenant_id": "2", "client_id": "NULL", "status": "404", "event": "'refusal'",
    "via": "'key'", "remote_user": "'somebody'", "remote_addr": "'192.0.2.7/24'",
    "speke_version": "'2.0'", "content_id": "content_id || ' '", "kids": "kids[1:1]",
    "created_kids": "kids", "systems": "'{}'", "operator": "''", "agent": "'psql'", "detail": "''",
    "recipient_fingerprints": "'{}'", "recipient_subjects": "ARRAY[recipient_subjects]",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_column_is_named(base, column):
    database = base.copy()
    base.sql(database, *unguarded(JANUARY, f"UPDATE {JANUARY} SET {column} = {COLUMNS[column]} WHERE event_id = 3"))
    assert named(base.verify(database)) == {("edited", 3)}


TAMPERINGS = {
    "deleted": (unguarded(HERE, f"DELETE FROM {HERE} WHERE event_id = 45"), {("removed", 45)}),
    "several deleted": (
        unguarded(HERE, f"DELETE FROM {HERE} WHERE event_id IN (44, 45, 46, 52)"),
        {("removed", 44), ("removed", 52)},
    ),
    "content of two rows exchanged": (swapped("remote_user"), {("edited", 45), ("edited", 46)}),
    "numbers of two rows exchanged": (
        unguarded(
            HERE,
            f"UPDATE {HERE} SET event_id = -event_id WHERE event_id IN (45, 46)",
            f"UPDATE {HERE} SET event_id = 91 + event_id WHERE event_id < 0",
        ),
        {("edited", 45), ("edited", 46)},
    ),
    "time changed": (
        unguarded(HERE, f"UPDATE {HERE} SET at = at - interval '1 microsecond' WHERE event_id = 45"),
        {("edited", 45)},
    ),
    "moved to another month": (
        # On the parent, whose trigger is its own.
        unguarded(
            "speke.audit_event",
            "UPDATE speke.audit_event SET at = '2026-02-20' WHERE event_id = 45",
        ),
        {("edited", 45)},
    ),
    "inserted among sealed ones": (
        [
            "INSERT INTO speke.audit_event (event_id, xact, event, detail)"
            " OVERRIDING SYSTEM VALUE SELECT 1000, xact, 'release', 'forged'"
            " FROM speke.audit_event WHERE event_id = 45"
        ],
        {("inserted", 1000)},
    ),
    "a number given twice": (
        [
            "INSERT INTO speke.audit_event (event_id, xact, at, event, detail)"
            " OVERRIDING SYSTEM VALUE SELECT 3, xact, '2026-05-05', 'release', 'forged'"
            " FROM speke.audit_event WHERE event_id = 45"
        ],
        {("inserted", 3)},
    ),
    "inserted with an early time": (
        [
            "INSERT INTO speke.audit_event (at, event, detail) VALUES ('2026-01-15', 'release', 'late')",
            "SELECT speke.audit_seal()",
        ],
        {("dated back", 61)},
    ),
    "partition dropped": (
        [f"DROP TABLE {JANUARY}"], {("removed", 1)},
    ),
    "partition detached": (
        [f"ALTER TABLE speke.audit_event DETACH PARTITION {FEBRUARY}"], {("removed", 21)},
    ),
    "row in a partition of other times": (
        # Whoever may write the catalogue can say that a check was made that was not.
        unguarded(
            HERE,
            f"ALTER TABLE speke.audit_event DETACH PARTITION {JANUARY}",
            f"WITH m AS (DELETE FROM {HERE} WHERE event_id = 45 RETURNING *)"
            f" INSERT INTO {JANUARY} SELECT * FROM m",
            f"ALTER TABLE {JANUARY} ADD CONSTRAINT lie CHECK (at IS NOT NULL AND at >="
            " '2026-01-01 00:00+00' AND at < '2026-02-01 00:00+00') NOT VALID",
            "UPDATE pg_constraint SET convalidated = true WHERE conname = 'lie'",
            f"ALTER TABLE speke.audit_event ATTACH PARTITION {JANUARY}"
            " FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00')",
        ),
        {("moved", 45)},
    ),
    "seal's row hash edited": (
        unguarded(
            "speke.audit_seal", "UPDATE speke.audit_seal SET leaves = set_byte(leaves, 32, get_byte(leaves, 32) # 1) WHERE seal_no = 2"
        ),
        {("seal edited", 2), ("edited", 42)},
    ),
    "row and its hash edited": (
        unguarded(HERE, f"UPDATE {HERE} SET detail = 'other' WHERE event_id = 42")
        + unguarded(
            "speke.audit_seal",
            "UPDATE speke.audit_seal s SET leaves = overlay(leaves PLACING (SELECT speke.audit_leaf(e)"
            " FROM speke.audit_event e WHERE event_id = 42) FROM 33) WHERE seal_no = 2",
        ),
        {("seal edited", 2)},
    ),
    "seal made anew in the middle": (
        unguarded(
            "speke.audit_seal",
            "UPDATE speke.audit_seal s SET sealed_at = sealed_at + interval '1 second' WHERE seal_no = 2",
            "UPDATE speke.audit_seal s SET hash = sha256(record_send(ROW('audit_seal 1'::text, seal_no,"
            " sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at, last_at, row_count,"
            " root, previous))) WHERE seal_no = 2",
        ),
        {("seal edited", 3)},
    ),
    "seal removed": (
        unguarded("speke.audit_seal", "DELETE FROM speke.audit_seal WHERE seal_no = 2"),
        {("seal removed", 2)} | {("inserted", n) for n in range(41, 51)},
    ),
    "first seal removed": (
        unguarded("speke.audit_seal", "DELETE FROM speke.audit_seal WHERE seal_no = 1"),
        {("seal removed", 1)} | {("inserted", n) for n in range(1, 41)},
    ),
    "triggers left disabled": (
        [f"ALTER TABLE {JANUARY} DISABLE TRIGGER ALL"], {("trigger", None)},
    ),
    "archive made up": (
        unguarded(JANUARY, f"DELETE FROM {JANUARY} WHERE event_id = 5")
        + [
            "INSERT INTO speke.audit_archive (month, first_seal, last_seal, row_count, event_ids,"
            " rows_sha256, file_name, file_sha256, event_id) VALUES ('2026-01-01', 1, 1, 1, '{[5,5]}',"
            " sha256(''), 'lost', sha256(''), 60)"
        ],
        {("archive", 60)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_is_found_and_named(base, what):
    statements, expected = TAMPERINGS[what]
    database = base.copy()
    base.sql(database, *statements)
    report = base.verify(database)
    assert named(report) == expected, report["findings"]
    for finding in report["findings"]:
        assert str(finding.get("event_id") or finding.get("seal_no") or "") in finding["text"]


def test_a_range_of_removed_rows_is_told_whole(base):
    database = base.copy()
    base.sql(database, f"DROP TABLE {JANUARY}")
    (finding,) = base.verify(database)["findings"]
    assert finding["text"] == "rows 1 to 20 were removed, 20 of them: seal 1 covers them"


def test_a_clock_that_was_set_back_is_told(base):
    """The seal that was made with the right clock has a later time than the next one."""
    database = base.copy()
    base.sql(
        database,
        *unguarded(
            "speke.audit_seal",
            "UPDATE speke.audit_seal SET sealed_at = sealed_at + interval '2 hours' WHERE seal_no = 3",
            "UPDATE speke.audit_seal s SET hash = sha256(record_send(ROW('audit_seal 1'::text, seal_no,"
            " sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at, last_at, row_count,"
            " root, previous))) WHERE seal_no = 3",
        ),
        MORE,
        "SELECT speke.audit_seal()",
    )
    assert named(base.verify(database)) == {("clock set back", 4)} | {
        ("dated back", n) for n in range(61, 71)
    }


# -- checkpoints --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(base, keys, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("kept") / "checkpoint")
    base.ctl("audited", "audit", "checkpoint", "--key", keys[0], "--out", path, user="auditor")
    return path


def test_only_a_checkpoint_tells_that_the_last_seals_and_their_rows_are_gone(base, keys, checkpoint):
    database = base.copy()
    base.sql(
        database,
        *unguarded(HERE, f"DELETE FROM {HERE} WHERE event_id > 50"),
        *unguarded("speke.audit_seal", "DELETE FROM speke.audit_seal WHERE seal_no = 3"),
    )
    assert base.verify(database)["ok"], "what is left is a whole audit"
    for option in ("--checkpoint", "--since"):
        report = base.verify(database, option, checkpoint, "--public", keys[1])
        assert ("checkpoint", 3) in named(report)


def test_only_a_checkpoint_tells_that_all_was_sealed_anew(base, keys, checkpoint):
    database = base.copy()
    base.sql(
        database,
        *unguarded(HERE, f"UPDATE {HERE} SET remote_user = 'nobody' WHERE event_id = 45"),
        *unguarded("speke.audit_seal", "DELETE FROM speke.audit_seal"),
        "SELECT speke.audit_seal()",
        "SELECT speke.audit_seal()",
    )
    assert base.verify(database)["ok"]
    report = base.verify(database, "--checkpoint", checkpoint, "--public", keys[1])
    assert named(report) == {("checkpoint", 3)}


def test_since_a_checkpoint_only_what_came_then_is_looked_at(base, keys, checkpoint):
    database = base.copy()
    base.sql(
        database,
        *unguarded(HERE, f"UPDATE {HERE} SET remote_user = 'nobody' WHERE event_id = 45"),
        MORE,
        "SELECT speke.audit_seal()",
        *unguarded(HERE, f"UPDATE {HERE} SET remote_user = 'nobody' WHERE event_id = 65"),
    )
    report = base.verify(database, "--since", checkpoint, "--public", keys[1])
    assert named(report) == {("edited", 65)} and report["first_seal"] == 3
    assert named(base.verify(database)) == {("edited", 45), ("edited", 65)}


def test_a_checkpoint_is_signed(base, keys, checkpoint, tmp_path):
    with open(checkpoint, encoding="ascii") as text:
        lines = text.read().split("\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(lines[7].removeprefix("signature ")))
    (tmp_path / "signed").write_text("\n".join(lines[:7]) + "\n")
    subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys[1], "-rawin",
         "-in", tmp_path / "signed", "-sigfile", tmp_path / "signature"],
        check=True, capture_output=True,
    )  # fmt: skip
    forged = tmp_path / "forged"
    forged.write_text("\n".join(lines).replace("seal 3", "seal 2"))
    done = base.ctl("audited", "audit", "verify", "--since", str(forged), "--public", keys[1], check=False)
    assert done.returncode == TAMPERED and "signature is not right" in done.stderr


# -- exports ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["jsonl", "csv"])
def export(request, base, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("export") / ("audit." + request.param))
    base.ctl("audited", "audit", "export", "--format", request.param, "--out", path, user="auditor")
    return path


def verify_file(base, path, *arguments):
    # No such database: a file is verified without.
    done = base.site.ctl("audit", "verify", "--json", "--file", str(path), *arguments, user="nobody-at-all", check=False)
    assert done.returncode in (0, TAMPERED), done.stderr
    return json.loads(done.stdout)


def test_an_export_is_verified_without_the_database(base, export, keys, checkpoint):
    report = verify_file(base, export, "--checkpoint", checkpoint, "--public", keys[1])
    assert report["ok"] and report["rows"] == 60 and report["seals"] == 3


def edit(path, out, change):
    with open(path, encoding="utf-8", newline="") as text:
        end = "\r\n" if path.endswith("csv") else "\n"
        lines = text.read().split(end)
    change(lines)
    out.write_text(end.join(lines), encoding="utf-8", newline="")
    return out


def find_row(lines, event_id):
    return next(
        i for i, line in enumerate(lines)
        if f'"event_id":{event_id},' in line[:60] and '"type":"event"' in line
        or line.startswith("event,,") and line.split(",")[3] == str(event_id)
    )  # fmt: skip


def test_tampering_with_an_export_is_named(base, export, tmp_path, keys, checkpoint):
    def edited(lines):
        i = find_row(lines, 45)
        lines[i] = lines[i].replace("stranger", "nobody")

    def removed(lines):
        del lines[find_row(lines, 45)]

    def inserted(lines):
        i = find_row(lines, 45)
        lines.insert(i, lines[i].replace("45", "46", 1).replace("46", "345", 1))

    def doubled(lines):
        i = find_row(lines, 45)
        lines.insert(i, lines[i])

    def reordered(lines):
        i = find_row(lines, 45)
        lines[i], lines[i + 1] = lines[i + 1], lines[i]

    def cut(lines):
        del lines[-2]

    def word(change, *arguments):
        report = verify_file(base, edit(export, tmp_path / "edited", change), *arguments)
        return named(report)

    assert word(edited) == {("edited", 45)}
    assert {("removed", 45)} <= word(removed)
    assert {("inserted", 345)} <= word(inserted)
    assert {("inserted", 45)} <= word(doubled)
    assert word(reordered) == {("reordered", 45)}
    assert word(cut) == {("file", None)}

    def without_last_seal(lines):
        first = find_row(lines, 51) - 1
        del lines[first:first + 11]
        lines[-2] = lines[-2].replace('seals":3', 'seals":2').replace('rows":60', 'rows":50')
        lines[-2] = lines[-2].replace('seals"":3', 'seals"":2').replace('rows"":60', 'rows"":50')

    assert word(without_last_seal) == set()
    assert word(without_last_seal, "--checkpoint", checkpoint, "--public", keys[1]) == {("checkpoint", 3)}


def record(*fields):
    """PostgreSQL's binary form of a record, as doc/audit.md has it."""
    out = struct.pack(">i", len(fields))
    for kind, value in fields:
        out += struct.pack(">I", kind)
        out += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
    return out


def array(kind, items):
    out = struct.pack(">iiI", 1 if items else 0, 0, kind)
    if items:
        out += struct.pack(">ii", len(items), 1)
    return out + b"".join(struct.pack(">i", len(item)) + item for item in items)


def micros(text):
    return struct.pack(
        ">q",
        int((datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z") - datetime(2000, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1_000_000 + 0.5),
    )


def address(text):
    ip = ipaddress.ip_address(text)
    return bytes([2 if ip.version == 4 else 3, ip.max_prefixlen, 0, len(ip.packed)]) + ip.packed


KINDS = {
    "int8": (20, lambda n: struct.pack(">q", n)),
    "int4": (23, lambda n: struct.pack(">i", n)),
    "text": (25, lambda text: text.encode()),
    "inet": (869, address),
    "at": (1184, micros),
    "uuids": (2951, lambda ids: array(2950, [uuid.UUID(i).bytes for i in ids])),
    "texts": (1009, lambda texts: array(25, [t.encode() for t in texts])),
    "byteas": (1001, lambda texts: array(17, [bytes.fromhex(t) for t in texts])),
    "bytea": (17, bytes.fromhex),
}
ROW = [
    ("event_id", "int8"), ("xact", "int8"), ("at", "at"), ("tenant_id", "int4"),
    ("client_id", "int4"), ("status", "int4"), ("event", "text"), ("via", "text"),
    ("remote_user", "text"), ("remote_addr", "inet"), ("speke_version", "text"),
    ("content_id", "text"), ("kids", "uuids"), ("created_kids", "uuids"), ("systems", "uuids"),
    ("operator", "text"), ("agent", "text"), ("detail", "text"),
    ("recipient_fingerprints", "byteas"), ("recipient_subjects", "texts"),
]  # fmt: skip
SEAL = [
    ("seal_no", "int8"), ("sealed_at", "at"), ("cluster", "int8"), ("xact_offset", "int8"),
    ("upto_xact", "int8"), ("upto_event_id", "int8"), ("first_at", "at"), ("last_at", "at"),
    ("row_count", "int4"), ("root", "bytea"), ("previous", "bytea"),
]  # fmt: skip


def hash_of(tag, fields, values):
    encoded = [(25, tag.encode())]
    for name, kind in fields:
        number, encode = KINDS[kind]
        encoded.append((number, None if values[name] is None else encode(values[name])))
    return hashlib.sha256(record(*encoded)).digest()


def test_the_hashes_are_those_of_the_documentation(base, tmp_path):
    """Worked out once more, from the export alone."""
    path = tmp_path / "audit.jsonl"
    base.ctl("audited", "audit", "export", "--out", str(path))
    rows = {}
    seals = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["type"] == "event":
            rows[item["event_id"]] = hash_of("audit_event 1", ROW, item)
        if item["type"] == "seal":
            seals.append(item)
    previous = bytes(32)
    for seal in seals:
        leaves = b"".join(rows[i] for i in seal["event_ids"])
        assert base64.b64decode(seal["leaves"]) == leaves
        ids = array(20, [struct.pack(">q", i) for i in seal["event_ids"]])
        root = hashlib.sha256(record((25, b"audit_root 1"), (1016, ids), (17, leaves))).digest()
        assert seal["root"] == root.hex()
        assert seal["previous"] == previous.hex()
        previous = hash_of("audit_seal 1", SEAL, seal)
        assert seal["hash"] == previous.hex()


def test_an_export_of_a_time_has_whole_seals(base, tmp_path):
    path = tmp_path / "audit.jsonl"
    base.ctl("audited", "audit", "export", "--from", "2026-02-01", "--to", "2026-03-01", "--out", str(path))
    report = verify_file(base, path)
    assert report["ok"] and report["seals"] == 1 and report["rows"] == 40
    done = base.ctl("audited", "audit", "export", "--out", str(path), check=False)
    assert done.returncode == 1 and "exists" in done.stderr, "no file is written over"


def test_a_client_encoding_changes_no_hash(base):
    database = base.copy()
    base.sql(
        database,
        "INSERT INTO speke.audit_event (event, detail) VALUES ('admin', U&'\\00fc\\00df')",
        "SET client_encoding = 'LATIN1'; SELECT speke.audit_seal()",
    )
    report = base.verify(database)
    assert report["ok"] and report["seals"] == 4


# -- archives -----------------------------------------------------------------------------------------


def archive(base, database, directory, *arguments, user="op", month="2026-01"):
    return base.ctl(database, "audit", "archive", "--month", month, "--out", str(directory),
                    "--json", *arguments, user=user, check=False)  # fmt: skip


def test_an_archived_month_leaves_the_rest_verifiable(base, tmp_path):
    database = base.copy()
    done = archive(base, database, tmp_path, "--drop", user="postgres")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    path = tmp_path / "audit-2026-01.jsonl"
    assert told["rows"] == 20 and told["dropped"]
    assert told["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert base.sql(database, "SELECT to_regclass('speke.audit_event_2026_01') AS t")[0]["t"] is None
    base.ctl(database, "audit", "seal")
    report = base.verify(database)
    assert report["ok"] and report["archived"] == 20 and report["rows"] == 42
    assert report["archives"][0]["file_sha256"] == told["file_sha256"]
    assert verify_file(base, path)["ok"]
    # February's first seal covers rows of January too, which only the other file has.
    done = archive(base, database, tmp_path, "--drop", user="postgres", month="2026-02")
    assert done.returncode == 0, done.stderr
    report = verify_file(base, tmp_path / "audit-2026-02.jsonl")
    assert report["ok"] and report["archived"] == 20 and report["rows"] == 20
    base.ctl(database, "audit", "seal")
    assert base.verify(database)["archived"] == 40
    rows = base.sql(database, "SELECT operator, agent, detail FROM speke.v_audit WHERE event = 'admin'")
    assert len(rows) == 4 and all("audit archive" in row["agent"] for row in rows)


def test_nothing_is_dropped_that_is_not_proven(base, tmp_path):
    database = base.copy()
    done = archive(base, database, tmp_path, "--drop")
    assert done.returncode == 1 and "audit_archive_drop" in done.stderr, "an operator may not drop"
    (tmp_path / "audit-2026-01.jsonl").unlink()
    base.sql(database, "INSERT INTO speke.audit_event (at, event) VALUES ('2026-01-20', 'admin')")
    done = archive(base, database, tmp_path, "--drop", user="postgres")
    assert done.returncode == 1 and "not sealed yet" in done.stderr
    (tmp_path / "audit-2026-01.jsonl").unlink()
    base.sql(database, *unguarded(FEBRUARY, f"UPDATE {FEBRUARY} SET detail = 'x' WHERE event_id = 22"))
    done = archive(base, database, tmp_path, "--drop", user="postgres", month="2026-02")
    assert done.returncode == TAMPERED and "row 22" in done.stderr
    now = datetime.now(timezone.utc).strftime("%Y-%m")
    done = archive(base, database, tmp_path, "--drop", user="postgres", month=now)
    assert done.returncode != 0
    rows = base.sql(database, f"SELECT (SELECT count(*) FROM {JANUARY}) + (SELECT count(*) FROM {FEBRUARY}) AS n")
    assert rows[0]["n"] == 41


# -- the sealer ---------------------------------------------------------------------------------------


def test_a_process_beside_the_workers_seals(new_site):
    site = new_site(workers=2, settings={"audit_seal_interval": 1})
    (sealer,) = site.sealer_pids()
    with site.web("lighttpd").client() as client:
        client.login()
        for _ in range(5):
            assert client.post(d.simple_v2()).status == 200

        def sealed():
            report = json.loads(site.ctl("audit", "verify", "--json", user="op").stdout)
            return report["unsealed"] == 0 and report["rows"] >= 5

        wait_until(sealed, 10, "the rows to be sealed")
        os.kill(sealer, signal.SIGKILL)
        wait_until(lambda: site.sealer_pids() not in ([], [sealer]), 10, "another sealer")
        assert client.post(d.simple_v2()).status == 200
        wait_until(sealed, 10, "the next row to be sealed")

        # Two at it at once, and one who holds on: nobody waits, and nothing is sealed twice.
        holder = site.pg.connect()
        holder.autocommit = False
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE speke.audit_seal IN SHARE UPDATE EXCLUSIVE MODE")
            assert client.post(d.simple_v2()).status == 200
            done = site.ctl("audit", "seal", "--json", user="op")
            assert json.loads(done.stdout) == {"rows": 0, "busy": True}
        holder.rollback()
        holder.close()
        wait_until(sealed, 10, "the rows to be sealed again")

        site.write_config(audit_seal_interval=0)
        os.kill(site.responder.pid, signal.SIGHUP)
        wait_until(lambda: site.sealer_pids() == [], 10, "the sealer to end")
        site.write_config(audit_seal_interval=1)
        os.kill(site.responder.pid, signal.SIGHUP)
        wait_until(lambda: len(site.sealer_pids()) == 1, 10, "the sealer to be back")
    assert site.stop_responder() == 0


def test_rows_of_long_transactions_are_sealed_when_they_are_there(base):
    """A number taken early and committed late is in a later seal, and in one."""
    database = base.copy()
    with base.site.pg.connect(database) as slow:
        slow.autocommit = False
        with slow.cursor() as cursor:
            cursor.execute("INSERT INTO speke.audit_event (event, detail) VALUES ('admin', 'slow')")
            base.sql(database, MORE)
            assert base.sql(database, "SELECT speke.audit_seal() AS n")[0]["n"] == 0
            report = base.verify(database)
            assert report["ok"] and report["unsealed"] == 10
        slow.commit()
    assert base.sql(database, "SELECT speke.audit_seal() AS n")[0]["n"] == 11
    report = base.verify(database)
    assert report["ok"] and report["rows"] == 71


def test_a_backup_restored_elsewhere_goes_on(base, tmp_path):
    """Another cluster counts transactions from the beginning."""
    database = base.copy()
    base.sql(database, MORE)
    # What the same rows look like where the numbers are lower.
    base.sql(
        database,
        *unguarded("speke.audit_seal", "UPDATE speke.audit_seal SET cluster = 7",
                   "UPDATE speke.audit_seal s SET hash = sha256(record_send(ROW('audit_seal 1'::text,"
                   " seal_no, sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at,"
                   " last_at, row_count, root, previous))) WHERE seal_no = 1"),
        *unguarded("speke.audit_seal", *[
            "UPDATE speke.audit_seal s SET previous = (SELECT hash FROM speke.audit_seal b"
            f" WHERE b.seal_no = {n} - 1) WHERE seal_no = {n};"
            "UPDATE speke.audit_seal s SET hash = sha256(record_send(ROW('audit_seal 1'::text,"
            " seal_no, sealed_at, cluster, xact_offset, upto_xact, upto_event_id, first_at,"
            f" last_at, row_count, root, previous))) WHERE seal_no = {n}" for n in (2, 3)
        ]),
    )  # fmt: skip
    assert base.verify(database)["ok"]
    assert base.sql(database, "SELECT speke.audit_seal() AS n")[0]["n"] == 10
    base.sql(database, MORE)
    (row,) = base.sql(
        database,
        "SELECT min(xact) > (SELECT max(upto_xact) FROM speke.audit_seal) AS higher"
        " FROM speke.audit_event WHERE event_id > 70",
    )
    assert row["higher"]
    assert base.sql(database, "SELECT speke.audit_seal() AS n")[0]["n"] == 10
    report = base.verify(database)
    assert report["ok"] and report["rows"] == 80 and report["seals"] == 5


# -- an audit that cannot be written ------------------------------------------------------------------


OUTAGES = {
    "insert revoked": (
        "REVOKE INSERT ON speke.audit_event FROM speke_owner",
        "GRANT INSERT ON speke.audit_event TO speke_owner",
    ),
    "a check that no row passes": (
        "ALTER TABLE speke.audit_event ADD CONSTRAINT never CHECK (event_id < 0) NOT VALID",
        "ALTER TABLE speke.audit_event DROP CONSTRAINT never",
    ),
    "no partition takes the row": (
        f"ALTER TABLE speke.audit_event DETACH PARTITION {HERE};"
        "ALTER TABLE speke.audit_event DETACH PARTITION speke.audit_event_rest",
        "ALTER TABLE speke.audit_event ATTACH PARTITION speke.audit_event_rest DEFAULT;"
        f"ALTER TABLE speke.audit_event ATTACH PARTITION {HERE} FOR VALUES FROM"
        " (date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') TO"
        " ((date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC')",
    ),
}


@pytest.mark.parametrize("what", OUTAGES)
def test_no_key_leaves_when_the_audit_cannot_be_written(new_site, what):
    site = new_site(workers=1)
    breaking, mending = OUTAGES[what]
    with site.web("lighttpd").client() as client:
        client.login()
        known = d.simple_v2()
        assert client.post(known).status == 200
        before = site.counts()
        for statement in breaking.split(";"):
            site.query(statement)
        for request in (known, d.simple_v2()):
            answer = client.post(request)
            assert answer.status == 503, f"{answer.status} {answer.text[:200]!r}"
            assert answer.header("Retry-After") and b"PlainValue" not in answer.body
        for statement in mending.split(";"):
            statement = statement.replace(
                "(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')",
                datetime.now(timezone.utc).strftime("('%Y-%m-01 00:00+00')"),
            )
            site.query(next_month(statement))
        assert site.counts() == before, "no key was made"

        def works():
            return client.post(known).status == 200

        wait_until(works, 10, "the service to recover")


def next_month(statement):
    now = datetime.now(timezone.utc)
    after = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=timezone.utc)
    return statement.replace(
        "((date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC')",
        after.strftime("('%Y-%m-01 00:00+00')"),
    )


def test_a_locked_default_partition_stops_nobody(new_site):
    site = new_site(workers=1)
    with site.web("lighttpd").client() as client:
        client.login()
        assert client.post(d.simple_v2()).status == 200
        holder = site.pg.connect()
        holder.autocommit = False
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE speke.audit_event_rest IN ACCESS EXCLUSIVE MODE")
            assert client.post(d.simple_v2()).status == 200
        holder.rollback()
        holder.close()
