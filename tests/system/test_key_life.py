# SPDX-License-Identifier: Apache-2.0
"""The life of a key on a real installation: revoked, restored, destroyed, imported, exported, kept.
SPEKE_MILLION=1 adds an import and an export of a million keys (some minutes)."""
import base64
import csv
import io
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import time
import uuid

import pytest
from cryptography.hazmat.primitives import serialization

from harness import delivery, sealed
from harness import documents as d
from harness.process import run, wait_until

DONE, FAILED, USAGE = range(3)
COLUMNS = ["content_id", "kid", "key", "iv", "scheme", "period_id", "period_index", "period_start",
           "period_end", "start_offset", "end_offset"]  # fmt: skip


def ctl(place, *arguments, code=DONE, user="op", stdin=None):
    done = place.ctl(*arguments, user=user, stdin=stdin, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def ctl_json(place, *arguments, **more):
    return json.loads(ctl(place, "--json", *arguments, **more).stdout)


def exchanged(client, **more):
    """A request for a video and an audio key of a new content, answered."""
    request = d.simple_v2(**more)
    answer = client.post(request)
    assert answer.status == 200, answer.text
    return request


def answered_keys(answer):
    """{KID: key} of an answer with clear keys."""
    return {
        key.get("kid"): base64.b64decode(key.find(f".//{d.pskc('PlainValue')}").text)
        for key in d.Document.parse(answer.body).all("ContentKey")
    }


class Elsewhere:
    """Another installation's database and KEK, in the same cluster."""

    def __init__(self, site):
        self.site, self.name = site, f"elsewhere_{os.urandom(4).hex()}"
        self.directory = os.path.join(site.directory, self.name)
        os.makedirs(self.directory)
        self.kek = os.path.join(self.directory, "kek")
        self.config = os.path.join(self.directory, "speke.conf")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f"kek_file = {self.kek}\n")
        site.pg.query(f"CREATE DATABASE {self.name}", database="postgres")
        self.ctl("db", "init", "--sql-dir", site.install.sql, user="postgres")
        self.ctl("kek", "create")
        self.ctl("tenant", "add", "other")

    def ctl(self, *arguments, user="op", stdin=None, check=True):
        command = [self.site.install.spekectl, "--config", self.config, "--db",
                   self.site.pg.dsn(self.name, user), *arguments]  # fmt: skip
        return run(command, check=check, input=stdin, env={"PATH": "/usr/bin:/bin"}, timeout=1200)

    def query(self, sql, parameters=()):
        return self.site.pg.query(sql, parameters, database=self.name)

    def stored_keys(self, content_id):
        rows = self.query("SELECT * FROM speke.content_key WHERE content_id = %s", (content_id,))
        keks = sealed.read_kek_file(self.kek)
        return {
            str(row["kid"]): sealed.open_row(keks, {**row, "kid": str(row["kid"])}) for row in rows
        }

    def count(self):
        return self.query("SELECT count(*) AS n FROM speke.content_key")[0]["n"]


@pytest.fixture
def elsewhere(site):
    return Elsewhere(site)


@pytest.fixture
def recipient(tmp_path):
    """A recipient whose certificate and key are in PEM files."""
    one = delivery.recipient()
    one.certificate_file, one.key_file = str(tmp_path / "to.pem"), str(tmp_path / "to.key")
    text = base64.encodebytes(one.der).decode()
    with open(one.certificate_file, "w", encoding="ascii") as out:
        out.write(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    with open(one.key_file, "wb") as out:
        out.write(one.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                        serialization.NoEncryption()))  # fmt: skip
    return one


def row(content="film", kid=None, key=None, **more):
    return {"content_id": content, "kid": kid or str(uuid.uuid4()),
            "key": os.urandom(16).hex() if key is None else key, **more}  # fmt: skip


def as_csv(rows, columns=None):
    text = io.StringIO()
    columns = columns or [c for c in COLUMNS if any(c in r for r in rows)]
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def import_csv(place, text, *options, tenant="other", code=DONE):
    return ctl(place, "key", "import", "-", "--format", "csv", "--clear", "--tenant", tenant, *options,
               stdin=text, code=code)  # fmt: skip


# --- revoked and destroyed -----------------------------------------------------------------------


def test_a_revoked_key_is_refused_until_it_is_restored(site, client):
    request = exchanged(client)
    keys = answered_keys(client.post(request))
    kid = request.kids[0]
    ctl(site, "key", "revoke", "--tenant", "demo", "--kid", kid, "--reason", "leaked on a forum")
    answer = client.post(request)
    assert answer.status == 403 and answer.text.strip() == f"Content key {kid} is revoked"
    refusal = site.last_refusal()
    assert (refusal["status"], refusal["content_id"]) == (403, request.content_id)
    assert [str(k) for k in refusal["kids"]] == request.kids and "revoked" in refusal["detail"]
    shown = ctl(site, "key", "show", kid, "--history").stdout
    assert "leaked on a forum" in shown and "key_revoke" in shown and "refusal" in shown
    ctl(site, "key", "restore", "--tenant", "demo", "--kid", kid, "--reason", "it was another one")
    assert answered_keys(client.post(request)) == keys, "the key is what it was"


def test_a_destroyed_key_never_comes_back(site, client):
    request = exchanged(client)
    kid, content = request.kids[1], request.content_id
    old = site.stored_keys(content)[kid]
    choice = ("--tenant", "demo", "--content-id", content, "--kid", kid)
    assert "--yes" in ctl(site, "key", "destroy", *choice, "--reason", "law", code=USAGE).stderr
    assert client.post(request).status == 200, "without --yes nothing is done"
    assert ctl_json(site, "key", "destroy", *choice, "--dry-run")["keys"] == 1
    assert client.post(request).status == 200, "nor by --dry-run"
    ctl(site, "key", "destroy", *choice, "--reason", "law", "--yes")
    answer = client.post(request)
    assert answer.status == 403 and answer.text.strip() == f"Content key {kid} is destroyed"
    found = site.query("SELECT * FROM speke.content_key WHERE content_id = %s AND kid = %s", (content, kid))
    assert len(found) == 1 and found[0]["sealed"] is None and found[0]["reason"] == "law"
    text = as_csv([row(content, kid, old.hex())])
    done = import_csv(site, text, tenant="demo", code=FAILED)
    assert "was destroyed and never comes back" in done.stderr
    assert ctl_json(site, "key", "show", kid)[0]["state"] == "destroyed"
    ctl(site, "key", "restore", *choice, "--reason", "please", code=FAILED)
    ctl(site, "key", "export", *choice, "--clear", "--state", "destroyed", code=USAGE)
    ctl(site, "key", "export", *choice, "--clear", code=FAILED)
    assert client.post(request).status == 403


def test_selections_change_what_they_name_and_nothing_else(site, client):
    one, two = exchanged(client), exchanged(client)
    prefix = one.content_id[:-4]
    assert ctl_json(site, "key", "revoke", "--content-id", prefix + "????", "--reason", "x")["keys"] == 2
    assert client.post(one).status == 403 and client.post(two).status == 200
    listed = ctl_json(site, "key", "list", "--content-id", prefix + "*", "--state", "revoked")
    assert {r["kid"] for r in listed} == set(one.kids)
    assert [r["reason"] for r in listed] == ["x", "x"]
    for arguments, code in (
        (("revoke", "--reason", "x"), USAGE),
        (("revoke", "--tenant", "demo"), USAGE),
        (("revoke", "--tenant", "none", "--reason", "x"), FAILED),
        (("revoke", "--kid", "x", "--reason", "x"), USAGE),
        (("revoke", "--kid", d.new_kid(), "--reason", "x"), FAILED),
        (("revoke", "--state", "gone", "--reason", "x"), USAGE),
        (("revoke", "--tenant", "demo", "--reason", "a\nb"), USAGE),
        (("revoke", "--tenant", "demo", "--since", "whenever", "--reason", "x"), FAILED),
        (("destroy", "--tenant", "rival", "--kid", two.kids[0], "--reason", "x", "--yes"), FAILED),
    ):
        ctl(site, "key", *arguments, code=code)
    assert client.post(two).status == 200
    denied = ctl(site, "key", "revoke", "--tenant", "demo", "--reason", "x", user="auditor", code=FAILED)
    assert "permission denied" in denied.stderr
    assert ctl_json(site, "key", "list", "--kid", two.kids[0], user="auditor")[0]["state"] == "active"


# --- listing -------------------------------------------------------------------------------------


def test_long_lists_come_whole(elsewhere):
    rows = [row(f"c{i // 3}", scheme="cenc") for i in range(3100)]
    import_csv(elsewhere, as_csv(rows))
    listed = ctl_json(elsewhere, "key", "list", "--all")
    assert sorted(r["kid"] for r in listed) == sorted(r["kid"] for r in rows)
    assert {r["created_by"] for r in listed} == {None}
    table = ctl(elsewhere, "key", "list", "--all").stdout.splitlines()
    assert len(table) == 3101 and table[0].startswith("TENANT")
    assert len(ctl_json(elsewhere, "key", "list")) == 100
    assert len(ctl_json(elsewhere, "key", "list", "-n", "7")) == 7
    assert ctl_json(elsewhere, "key", "list", "--content-id", "c1?", "--all", "--kek", "1")
    assert ctl_json(elsewhere, "key", "list", "--kek", "2") == []
    assert ctl(elsewhere, "key", "list", "--before", "2001-01-01").stdout == "(none)\n"
    everything = ctl(elsewhere, "key", "list", "--all").stdout + json.dumps(listed)
    assert not any(r["key"] in everything for r in rows), "no list shows a key"


# --- export --------------------------------------------------------------------------------------


def test_an_encrypted_export_opens_and_comes_back_the_same(site, client, elsewhere, recipient, tmp_path):
    request = exchanged(client, period=7)
    content, file = request.content_id, str(tmp_path / "out.xml")
    other = delivery.recipient()
    ctl(site, "key", "export", "--tenant", "demo", "--content-id", content, "--to",
        recipient.certificate_file, "-o", file)  # fmt: skip
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with open(file, "rb") as text:
        document = d.Document.parse(text.read())
    stored = site.stored_keys(content)
    assert delivery.open_answer(document, recipient).keys == stored
    assert document.content_id == content and b"PlainValue" not in document.bytes()
    with pytest.raises(AssertionError):
        delivery.delivery_of(document, other)
    event = site.query("SELECT * FROM speke.v_audit WHERE event = 'export' AND content_id = %s", (content,))
    assert len(event) == 1 and sorted(map(str, event[0]["kids"])) == sorted(stored)
    assert event[0]["recipient_subjects"] == ["CN=recipient of tests"] and event[0]["operator"] == "op"
    # Elsewhere, with another KEK.
    wrong = str(tmp_path / "wrong.key")
    with open(wrong, "wb") as out:
        out.write(other.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))  # fmt: skip
    for key in ((), ("--clear",), ("--key", wrong)):
        ctl(elsewhere, "key", "import", file, "--tenant", "other", *key, code=FAILED if key else USAGE)
    assert elsewhere.count() == 0
    ctl(elsewhere, "key", "import", file, "--tenant", "other", "--key", recipient.key_file)
    assert elsewhere.stored_keys(content) == stored
    columns = "explicit_iv, scheme"
    ivs = [place.query(f"SELECT kid, {columns} FROM speke.content_key WHERE content_id = %s ORDER BY kid",
                       (content,)) for place in (site, elsewhere)]  # fmt: skip
    assert [(r["kid"], bytes(r["explicit_iv"]), r["scheme"]) for r in ivs[0]] == [
        (r["kid"], bytes(r["explicit_iv"]), r["scheme"]) for r in ivs[1]
    ]
    periods = [place.query("SELECT period_id, period_index, kids FROM speke.v_period WHERE content_id = %s",
                           (content,)) for place in (site, elsewhere)]  # fmt: skip
    assert len(periods[0]) == 1 and periods[0] == periods[1]


def test_many_contents_go_into_a_directory(elsewhere, site, recipient, tmp_path):
    rows = [row(f"c{i}", scheme="cbcs") for i in range(3)] + [row("many") for _ in range(1001)]
    import_csv(elsewhere, as_csv(rows))
    choice = ("key", "export", "--tenant", "other", "--to", recipient.certificate_file)
    assert "--directory" in ctl(elsewhere, *choice, code=USAGE).stderr
    out = str(tmp_path / "out")
    assert ctl_json(elsewhere, *choice, "--directory", out) == {"keys": 1004, "files": 5}
    assert "File exists" in ctl(elsewhere, *choice, "--directory", out, code=FAILED).stderr
    keys = {}
    for name in os.listdir(out):
        with open(os.path.join(out, name), "rb") as text:
            document = d.Document.parse(text.read())
        opened = delivery.open_answer(document, recipient).keys
        keys.update({(document.content_id, kid): key.hex() for kid, key in opened.items()})
    assert keys == {(r["content_id"], r["kid"]): r["key"] for r in rows}
    third = Elsewhere(site)
    assert ctl_json(third, "key", "import", out, "--tenant", "other", "--key", recipient.key_file)["imported"] == 1004
    assert third.stored_keys("many") == elsewhere.stored_keys("many")
    kids = elsewhere.query("SELECT content_id, kids FROM speke.v_audit WHERE event = 'export'")
    named = [(r["content_id"], str(kid)) for r in kids for kid in r["kids"]]
    assert sorted(named) == sorted((r["content_id"], r["kid"]) for r in rows), "each once in the audit"


def test_csv_goes_out_and_in(elsewhere, site, tmp_path):
    rows = [
        row('a, "b"', scheme="cenc", iv=os.urandom(16).hex(), period_id="p", period_start="2026-01-01T00:00:00Z"),
        row("ü/€", scheme="cbcs", iv=os.urandom(16).hex()),
        row("hls", scheme="SAMPLE-AES", iv=os.urandom(16).hex()),
        row("plain", scheme="", iv=os.urandom(16).hex()),
    ]
    rows.append({**rows[0], "key": "", "iv": "", "scheme": "", "period_id": "q", "period_start": "", "period_index": "3"})
    import_csv(elsewhere, as_csv(rows))
    file = str(tmp_path / "out.csv")
    ctl(elsewhere, "key", "export", "--tenant", "other", "--format", "csv", "--clear", "-o", file)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with open(file, encoding="utf-8", newline="") as text:
        out = list(csv.DictReader(text))
    assert len(out) == 5 and list(out[0]) == COLUMNS
    def keys_of(of):
        return {(r["content_id"], r["kid"], r["key"], r["iv"], r["scheme"]) for r in of if r["key"]}

    assert keys_of(out) == keys_of(rows)
    periods = {(r["kid"], r["period_id"], r["period_index"], r["period_start"]) for r in out if r["period_id"]}
    kid = rows[0]["kid"]
    assert periods == {(kid, "p", "", "2026-01-01T00:00:00Z"), (kid, "q", "3", "")}
    third = Elsewhere(site)
    ctl(third, "key", "import", file, "--tenant", "other", "--clear")
    again = ctl(third, "key", "export", "--tenant", "other", "--format", "csv", "--clear").stdout
    with open(file, encoding="utf-8", newline="") as text:
        assert sorted(again.splitlines()) == sorted(text.read().splitlines())
    assert "File exists" in ctl(third, "key", "export", "--tenant", "other", "--format", "csv", "--clear",
                                "-o", file, code=FAILED).stderr  # fmt: skip


def test_keys_leave_by_intention_only(site, client, elsewhere, recipient):
    content = exchanged(client).content_id
    choice = ("key", "export", "--tenant", "demo", "--content-id", content)
    before = site.query("SELECT count(*) AS n FROM speke.v_audit WHERE event = 'export'")
    to = ("--to", recipient.certificate_file)
    for options in ((), ("--clear", *to), ("--format", "csv", *to), ("--format", "pdf", "--clear")):
        assert ctl(site, *choice, *options, code=USAGE).stdout == ""
    ctl(site, *choice, "--to", recipient.key_file, code=FAILED)
    ctl(site, *choice, "--clear", user="auditor", code=FAILED)
    terminal, inside = pty.openpty()
    done = subprocess.run(
        [site.install.spekectl, "--config", site.config, "--db", site.pg.dsn(user="op"), *choice, "--clear"],
        stdout=inside, stderr=subprocess.PIPE, text=True, timeout=60, check=False)  # fmt: skip
    os.close(inside)
    os.close(terminal)
    assert done.returncode == USAGE and "terminal" in done.stderr
    assert site.query("SELECT count(*) AS n FROM speke.v_audit WHERE event = 'export'") == before
    small = delivery.recipient(bits=1024)
    with open(recipient.certificate_file, "w", encoding="ascii") as out:
        text = base64.encodebytes(small.der).decode()
        out.write(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    done = ctl(site, *choice, *to, code=FAILED)
    assert "1024 bits" in done.stderr and done.stdout == ""


def test_a_key_that_does_not_open_stops_an_export(elsewhere, tmp_path):
    rows = [row("good"), row("bad")]
    import_csv(elsewhere, as_csv(rows))
    elsewhere.query("UPDATE speke.content_key SET scheme = 'cens' WHERE content_id = 'bad'")
    file = str(tmp_path / "out.csv")
    done = ctl(elsewhere, "key", "export", "--tenant", "other", "--format", "csv", "--clear", "-o", file, code=FAILED)
    assert "does not open" in done.stderr and rows[1]["kid"] in done.stderr
    assert not os.path.exists(file), "half an export is none"


# --- import --------------------------------------------------------------------------------------


def test_an_imported_key_is_given_out(site, client):
    request = d.simple_v2()
    keys = {kid: os.urandom(16) for kid in request.kids}
    iv = os.urandom(16)
    rows = [row(request.content_id, kid, base64.b64encode(key).decode(), iv=base64.b64encode(iv).decode(),
                scheme="cenc") for kid, key in keys.items()]  # fmt: skip
    import_csv(site, as_csv(rows), tenant="demo")
    answer = client.post(request)
    assert answer.status == 200 and answered_keys(answer) == keys
    ivs = {key.get("explicitIV") for key in d.Document.parse(answer.body).all("ContentKey")}
    assert ivs == {base64.b64encode(iv).decode()}
    event = site.query("SELECT * FROM speke.v_audit WHERE event = 'import' AND content_id = %s", (request.content_id,))
    assert len(event) == 1 and sorted(map(str, event[0]["kids"])) == sorted(keys)
    assert event[0]["operator"] == "op" and event[0]["detail"] == "key_import standard input"
    released = site.releases(request.content_id)[-1]
    assert released["created_kids"] == [], "the exchange made none"


def test_nothing_is_overwritten(elsewhere):
    kept = [row("film", iv=os.urandom(16).hex()) for _ in range(3)]
    import_csv(elsewhere, as_csv(kept))
    before = elsewhere.stored_keys("film")
    changed = [
        {**kept[0], "key": os.urandom(16).hex(), "period_id": "of a key that is left out"},
        {**kept[1], "iv": os.urandom(16).hex()},
        {**kept[2], "iv": ""},
        row("film"),
        row("other film", kept[0]["kid"]),
    ]
    done = import_csv(elsewhere, as_csv(changed), code=FAILED)
    assert f"line 2: conflict: KID {kept[0]['kid']} of content film has another key" in done.stderr
    assert f"line 3: conflict: KID {kept[1]['kid']} of content film has another IV" in done.stderr
    assert "line 4" not in done.stderr and "2 conflicts: nothing is imported" in done.stderr
    assert elsewhere.stored_keys("film") == before and elsewhere.count() == 3
    detail = elsewhere.query("SELECT detail FROM speke.v_audit WHERE event = 'import' ORDER BY event_id DESC LIMIT 1")
    assert detail[0]["detail"] == "key_import refused: standard input: 0 faults, 2 conflicts"
    arguments = ("key", "import", "-", "--format", "csv", "--clear", "--tenant", "other")
    counts = {"imported": 2, "unchanged": 1, "conflicts": 2, "periods": 0}
    dry = ctl_json(elsewhere, *arguments, "--skip-conflicts", "--dry-run", stdin=as_csv(changed))
    assert dry == {**counts, "dry_run": True} and elsewhere.count() == 3
    done = ctl_json(elsewhere, *arguments, "--skip-conflicts", stdin=as_csv(changed))
    assert done == {**counts, "dry_run": False} and elsewhere.count() == 5
    assert {**elsewhere.stored_keys("film"), **before} == elsewhere.stored_keys("film")
    for key in [r["key"] for r in kept + changed]:
        assert key not in detail[0]["detail"]


HEAD = "content_id,kid,key,iv,scheme\n"
KID = "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506"
KEY = "00112233445566778899aabbccddeeff"
BAD_CSV = {
    "nothing": ("", "nothing in it"),
    "no head": (f"a,{KID},{KEY},,\n", "line 1: column 1 has no name that is known"),
    "a column twice": ("content_id,kid,kid,key\n", "line 1: two columns kid"),
    "no key column": ("content_id,kid\n", "line 1: no column key"),
    "no content": (HEAD + f",{KID},{KEY},,\n", "line 2: content_id is empty"),
    "a control character": (HEAD + f"a\x01,{KID},{KEY},,\n", "line 2: content_id holds a control character"),
    "a content that is too long": (HEAD + f"{'a' * 1025},{KID},{KEY},,\n", "line 2: content_id is longer"),
    "a wrong KID": (HEAD + f"a,{KID[:-1]},{KEY},,\n", "line 2: kid is not a UUID"),
    "a short key": (HEAD + f"a,{KID},{KEY[:-2]},,\n", "line 2: key is not 16 bytes"),
    "a long key": (HEAD + f"a,{KID},{KEY}00,,\n", "line 2: key is not 16 bytes"),
    "no hexadecimal": (HEAD + f"a,{KID},{'g' * 32},,\n", "line 2: key is not 16 bytes"),
    "no key": (HEAD + f"a,{KID},,,\n", "line 2: key is empty"),
    "an IV without key": (HEAD + f"a,{KID},,{KEY},\n", "line 2: key is empty"),
    "a wrong IV": (HEAD + f"a,{KID},{KEY},0,\n", "line 2: iv is not 16 bytes"),
    "a wrong scheme": (HEAD + f"a,{KID},{KEY},,aes\n", "line 2: scheme is none that is known"),
    "a field less": (HEAD + f"a,{KID},{KEY},\n", "line 2: 4 fields, not 5"),
    "a field more": (HEAD + f"a,{KID},{KEY},,,\n", "line 2: 6 fields, not 5"),
    "an open quote": (HEAD + f'"a,{KID},{KEY},,\n', "line 2: quotes"),
    "text after a quote": (HEAD + f'"a"b,{KID},{KEY},,\n', "line 2: quotes"),
    "a quote inside": (HEAD + f'a"b,{KID},{KEY},,\n', "line 2: quotes"),
    "a long line": (HEAD + f"{'a' * 500000},{KID},{KEY},,\nb,x,,,\n", "line 2: a line that is too long"),
    "a KID twice": (HEAD + f"a,{KID},{KEY},,\nb,{KID},{KEY},,\na,{KID},{KEY},,\n", "line 4: KID"),
    "a period of no key": (HEAD.strip() + f",period_id\na,{KID},,,,p\n", "line 2: a period of a key"),
    "a long period": (HEAD.strip() + f",period_id\na,{KID},{KEY},,,{'p' * 1025}\n", "line 2: period_id is longer"),
}  # fmt: skip


@pytest.fixture(scope="module")
def empty(site):
    return Elsewhere(site)


@pytest.mark.parametrize("text,fault", BAD_CSV.values(), ids=BAD_CSV)
def test_bad_csv_is_told_with_its_line_and_column(empty, text, fault):
    good = row("good")
    if "\n" in text.strip() and text.startswith(HEAD):
        text += f"good,{good['kid']},{good['key']},,\n"
    done = import_csv(empty, text, code=FAILED)
    assert fault in done.stderr, done.stderr
    assert KEY[:-2] not in done.stderr and good["key"] not in done.stderr
    assert empty.count() == 0, "nothing half done"


def test_bytes_that_are_no_text_are_told(empty, tmp_path):
    file = tmp_path / "bad.csv"
    for bad in (b"\xff", b"\xc0\xaf", b"a\0b", b"\xed\xa0\x80"):
        file.write_bytes(HEAD.encode() + bad + f",{KID},{KEY},,\n".encode())
        done = ctl(empty, "key", "import", str(file), "--tenant", "other", "--clear", code=FAILED)
        assert "line 2: not UTF-8" in done.stderr
    assert empty.count() == 0


def test_all_faults_are_told_but_not_without_end(empty):
    lines = "".join(f"a,x,{KEY},,\n" for _ in range(30))
    done = import_csv(empty, HEAD + lines, code=FAILED)
    assert done.stderr.count("kid is not a UUID") == 20 and "10 faults more" in done.stderr
    assert empty.count() == 0


def test_other_forms_of_csv_are_read(elsewhere):
    text = "\ufeffkey,kid,content_id\r\n\r\n" + f'{KEY.upper()},{KID.upper()},"a ""b"", c"\r\n' + f"{KEY},{d.new_kid()},d"
    import_csv(elsewhere, text)
    assert elsewhere.stored_keys('a "b", c') == {KID: bytes.fromhex(KEY)}
    assert elsewhere.count() == 2


def clear_document(content_id=True, change=lambda root: None):
    request = d.simple_v2(period=1)
    for element in request.all("ContentKey"):
        data = d.etree.SubElement(element, d.cpix("Data"))
        secret = d.etree.SubElement(data, d.pskc("Secret"))
        d.etree.SubElement(secret, d.pskc("PlainValue")).text = base64.b64encode(os.urandom(16)).decode()
    if not content_id:
        request.set("CPIX", "contentId", None)
    change(request)
    return request


def import_cpix(place, document, *options, code=DONE):
    return ctl(place, "key", "import", "-", "--format", "cpix", "--tenant", "other", *options, code=code,
               stdin=document.bytes().decode())  # fmt: skip


def test_clear_documents_want_a_word(elsewhere, recipient):
    document = clear_document()
    done = import_cpix(elsewhere, document, "--key", recipient.key_file, code=FAILED)
    assert "clear" in done.stderr and elsewhere.count() == 0
    import_cpix(elsewhere, document, "--clear")
    assert sorted(elsewhere.stored_keys(document.content_id)) == sorted(document.kids)
    period = elsewhere.query("SELECT period_index, kids, first_seen_by FROM speke.v_period")
    assert [(p["period_index"], sorted(map(str, p["kids"])), p["first_seen_by"]) for p in period] == [
        ("1", sorted(document.kids), None)
    ]
    nameless = clear_document(content_id=False)
    assert "--content-id" in import_cpix(elsewhere, nameless, "--clear", code=FAILED).stderr
    import_cpix(elsewhere, nameless, "--clear", "--content-id", "named")
    assert sorted(elsewhere.stored_keys("named")) == sorted(nameless.kids)


BAD_CPIX = {
    "no key": (lambda r: r.all("ContentKey")[1].remove(r.all("ContentKey")[1][0]), "ContentKey has no key"),
    "a short key": (lambda r: setattr(r.root.find(f".//{d.pskc('PlainValue')}"), "text", "AAAA"), "no key of 16"),
    "a wrong KID": (lambda r: r.set("ContentKey", "kid", "x", 0), "ContentKey@kid is not a UUID"),
    "a wrong IV": (lambda r: r.set("ContentKey", "explicitIV", "AA==", 0), "explicitIV is not"),
    "a wrong scheme": (lambda r: r.set("ContentKey", "commonEncryptionScheme", "x", 0), "none that is known"),
    "no keys": (lambda r: r.empty("ContentKeyList"), "no ContentKey"),
    "a KID twice": (lambda r: r.double("ContentKey"), "is there already"),
    "a long content id": (lambda r: r.set("CPIX", "contentId", "x" * 1025), "contentId is longer"),
}


@pytest.mark.parametrize("change,fault", BAD_CPIX.values(), ids=BAD_CPIX)
def test_bad_documents_are_told(empty, change, fault):
    document = clear_document(change=change)
    done = import_cpix(empty, document, "--clear", code=FAILED)
    assert fault in done.stderr, done.stderr
    assert empty.count() == 0


def test_what_is_no_document_is_told(empty):
    for text in ("", "<a/>", "<cpix:CPIX", "key,kid\n", '<!DOCTYPE x [<!ENTITY a "b">]><x/>'):
        ctl(empty, "key", "import", "-", "--format", "cpix", "--tenant", "other", "--clear", stdin=text, code=FAILED)
    for arguments in (
        ("x.csv", "--clear"), ("x.csv", "--tenant", "other"), ("x", "--tenant", "other", "--clear"),
        ("x.csv", "--tenant", "other", "--clear", "--format", "pdf"), ("--tenant", "other", "--clear"),
    ):  # fmt: skip
        ctl(empty, "key", "import", *arguments, code=USAGE)
    for arguments in (
        ("none.csv", "--tenant", "other", "--clear"), ("none.xml", "--tenant", "other", "--clear"),
        ("none.csv", "--tenant", "none", "--clear"), ("x.xml", "--tenant", "other", "--key", "none"),
    ):  # fmt: skip
        ctl(empty, "key", "import", *arguments, code=FAILED)
    assert empty.count() == 0


def start_import(place):
    command = [place.site.install.spekectl, "--config", place.config, "--db", place.site.pg.dsn(place.name, "op"),
               "--json", "key", "import", "-", "--format", "csv", "--clear", "--tenant", "other"]  # fmt: skip
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def backends(place):
    return place.query("SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'op'", (place.name,))


def test_an_import_that_is_killed_leaves_nothing(elsewhere):
    rows = [row(f"c{i}") for i in range(5000)]
    process = start_import(elsewhere)
    process.stdin.write(as_csv(rows))
    process.stdin.flush()
    wait_until(
        lambda: elsewhere.query(
            "SELECT n_tup_ins >= 0 AND pg_relation_size('speke.key_import') > 0 AS staged"
            " FROM pg_stat_user_tables WHERE relname = 'key_import'"
        )[0]["staged"],
        20, "keys on the stage",
    )  # fmt: skip
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    wait_until(lambda: not backends(elsewhere), 10, "the server to notice")
    assert elsewhere.count() == 0
    assert elsewhere.query("SELECT count(*) AS n FROM speke.key_import")[0]["n"] == 0
    assert elsewhere.query("SELECT count(*) AS n FROM speke.v_audit WHERE event = 'import'")[0]["n"] == 0
    import_csv(elsewhere, as_csv(rows))
    assert elsewhere.count() == 5000


def test_two_imports_at_once(elsewhere):
    """Of the same keys, one of them in another order, and a few of its own each."""
    shared = [row(f"c{i % 50}") for i in range(3000)]
    texts = [as_csv(shared + [row("one")]), as_csv(shared[::-1] + [row("two")])]
    processes = [start_import(elsewhere) for _ in texts]
    for process, text in zip(processes, texts):
        process.stdin.write(text)
        process.stdin.flush()
    results = []
    for process in processes:
        out, error = process.communicate(timeout=60)
        assert process.returncode == DONE, error
        results.append(json.loads(out))
    assert sorted((r["imported"], r["unchanged"]) for r in results) == [(1, 3000), (3001, 0)]
    assert elsewhere.count() == 3002
    stored = elsewhere.stored_keys("c7")
    assert stored == {r["kid"]: bytes.fromhex(r["key"]) for r in shared if r["content_id"] == "c7"}


def test_without_the_kek_nothing_comes_in_or_goes_out(elsewhere, tmp_path):
    import_csv(elsewhere, as_csv([row("film")]))
    os.rename(elsewhere.kek, elsewhere.kek + ".away")
    import_csv(elsewhere, as_csv([row("film")]), code=FAILED)
    ctl(elsewhere, "key", "export", "--tenant", "other", "--clear", "-o", str(tmp_path / "x.xml"), code=FAILED)
    assert elsewhere.count() == 1 and not (tmp_path / "x.xml").exists()
    assert elsewhere.query("SELECT count(*) AS n FROM speke.v_audit WHERE event = 'export'")[0]["n"] == 0


# --- retention -----------------------------------------------------------------------------------


def test_keys_that_nobody_asks_for_are_retired(elsewhere):
    rows = [row("old"), row("used"), row("new")]
    import_csv(elsewhere, as_csv(rows))
    retain = ("key", "retain", "--tenant", "other", "--older-than", "400d")
    assert ctl_json(elsewhere, *retain, "--destroy", "--dry-run")["keys"] == 0
    elsewhere.query("UPDATE speke.content_key SET created_at = now() - interval '500 days'"
                    " WHERE content_id IN ('old', 'used')")  # fmt: skip
    done = ctl(elsewhere, *retain, "--destroy", "--yes", code=FAILED)
    assert "the audit reaches back to" in done.stderr
    released = ("INSERT INTO speke.audit_event (at, tenant_id, event, content_id, kids)"
                " SELECT now() - %s::interval, tenant_id, 'release', content_id, ARRAY[kid]"
                " FROM speke.content_key WHERE content_id = ANY (%s)")  # fmt: skip
    elsewhere.query(released, ("500 days", ["old", "used"]))
    elsewhere.query(released, ("100 days", ["used"]))
    assert ctl_json(elsewhere, *retain, "--destroy", "--dry-run")["keys"] == 1
    ctl(elsewhere, *retain, "--destroy", code=USAGE)
    assert ctl_json(elsewhere, *retain, "--revoke")["keys"] == 1
    assert ctl_json(elsewhere, *retain, "--revoke")["keys"] == 0
    assert ctl_json(elsewhere, *retain, "--destroy", "--yes")["keys"] == 1
    states = {r["content_id"]: (r["state"], r["reason"]) for r in ctl_json(elsewhere, "key", "list")}
    assert states == {"old": ("destroyed", "retention: given to nobody for 400 days"),
                      "used": ("active", None), "new": ("active", None)}  # fmt: skip
    for options in (("--older-than", "400"), ("--older-than", "0d"), ("--older-than", "400d"),
                    ("--older-than", "400d", "--revoke", "--destroy")):  # fmt: skip
        ctl(elsewhere, "key", "retain", "--tenant", "other", *options, code=USAGE)


# --- a million -----------------------------------------------------------------------------------


@pytest.mark.skipif(not os.environ.get("SPEKE_MILLION"), reason="SPEKE_MILLION is not set")
def test_a_million_keys(site, elsewhere, tmp_path):
    file, out = str(tmp_path / "million.csv"), str(tmp_path / "out.csv")
    with open(file, "w", encoding="ascii") as text:
        text.write("content_id,kid,key,iv,scheme\r\n")
        for i in range(1000000):
            text.write(f"content-{i // 3},{uuid.UUID(bytes=os.urandom(16))},{os.urandom(16).hex()},"
                       f"{os.urandom(16).hex()},cenc\r\n")  # fmt: skip
    for arguments in (
        ("key", "import", file, "--tenant", "other", "--clear"),
        ("key", "export", "--tenant", "other", "--format", "csv", "--clear", "-o", out),
    ):
        begun = time.monotonic()
        command = [site.install.spekectl, "--config", elsewhere.config, "--db",
                   site.pg.dsn(elsewhere.name, "op"), *arguments]  # fmt: skip
        pid = os.posix_spawn(command[0], command, {"PATH": "/usr/bin:/bin"})
        _, status, usage = os.wait4(pid, 0)
        assert os.waitstatus_to_exitcode(status) == DONE
        print(f"\n{arguments[1]}: {time.monotonic() - begun:.0f} s, peak {usage.ru_maxrss} KiB", file=sys.stderr)
        assert usage.ru_maxrss < 32 * 1024
    with open(file, encoding="ascii") as text, open(out, encoding="ascii") as other:
        exported = sorted(re.sub(r",+\n$", "", line) for line in other if not line.startswith("content_id,"))
        assert exported == sorted(line.rstrip("\n") for line in text if not line.startswith("content_id,"))
