# SPDX-License-Identifier: Apache-2.0
"""./quickstart in a directory and on a port of its own: first run, repeated runs, stop and start,
the other web server, reset."""
import contextlib
import os
import shutil
import tempfile

import psycopg2
import pytest

from harness import documents as d
from harness.answers import check_v2
from harness.process import ROOT, port_open
from harness.quickstart import Quickstart
from harness.site import TOP


pytestmark = pytest.mark.skipif(
    not ROOT and os.stat(TOP).st_uid != os.geteuid(),
    reason="quickstart wants to be run by the owner of the checkout, or by root",
)


@pytest.fixture(scope="module")
def quickstart():
    parent = tempfile.mkdtemp(prefix="speke-quickstart-")
    os.chmod(parent, 0o755)
    quickstart = Quickstart(os.path.join(parent, "q"))
    try:
        yield quickstart.start()
    finally:
        with contextlib.suppress(Exception):
            quickstart.run("reset", check=False)
        shutil.rmtree(parent, ignore_errors=True)


def test_first_run(quickstart):
    """It shows what it does, an exchange, the URL and the curl line; env has what is promised."""
    out = quickstart.output
    assert out.count("==>") >= 5, f"progress is not shown:\n{out}"
    e = quickstart.environment()
    assert set(e) == {
        "SPEKE_URL", "SPEKE_USER", "SPEKE_PASSWORD", "SPEKE_CA", "SPEKE_DB", "SPEKE_PLAYER_URL",
        "SPEKE_TOKEN_KEY",
    }, f"env has {sorted(e)}"  # fmt: skip
    assert e["SPEKE_URL"].startswith(f"https://localhost:{quickstart.port}/speke"), e["SPEKE_URL"]
    assert e["SPEKE_URL"].endswith("copyProtection") and e["SPEKE_URL"] in out, "URL not shown"
    assert e["SPEKE_USER"] == "encoder", f"user {e['SPEKE_USER']}"
    assert len(e["SPEKE_PASSWORD"]) >= 20, "a random password is expected"
    for name in ("env", "netrc"):
        mode = os.stat(f"{quickstart.directory}/{name}").st_mode & 0o777
        assert mode & 0o077 == 0, f"{name} holds a password and has mode {mode:o}"
    assert e["SPEKE_PASSWORD"] not in out, "the password was printed"
    for line in out.splitlines():
        assert "PlainValue" not in line, f"XML with keys on the terminal: {line[:80]}"


def test_curl_repeats_the_exchange(quickstart):
    first = quickstart.demo_keys()
    assert quickstart.demo_keys() == first, "the same request must get the same keys"


def test_other_content_other_keys(quickstart):
    keys = quickstart.demo_keys()
    with open(f"{quickstart.directory}/request.xml", "rb") as request:
        document = d.Document.parse(request.read())
    document.set("CPIX", "contentId", "another")
    with quickstart.client() as client:
        answer = client.post(document)
    assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]!r}"
    others = check_v2(answer.body, document)
    assert not set(others.key.values()) & set(keys.key.values()), "two contents share a key"


def test_auditor_connection(quickstart):
    """SPEKE_DB is a connection string of the auditor: the release is there, key material is not
    for reading, and nothing is for writing."""
    quickstart.demo_keys()
    with contextlib.closing(psycopg2.connect(quickstart.environment()["SPEKE_DB"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT tenant, client FROM speke.v_release LIMIT 1")
            assert cursor.fetchone() == ("demo", "encoder"), "the audit must name tenant and client"
            for statement in (
                "SELECT sealed FROM speke.content_key",
                "DELETE FROM speke.audit_event",
                "SELECT speke.tenant_add('x')",
            ):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement)


def listeners(directory):
    """Addresses (hexadecimal) on which processes that belong to the directory listen."""
    inodes = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                if directory.encode() not in cmdline.read():
                    continue
            for name in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                listening = fields[3] == "0A" or table.startswith("udp")
                if listening and fields[9] in inodes:
                    found.append(fields[1].split(":")[0])
    return found


def test_nothing_listens_beyond_loopback(quickstart):
    found = listeners(quickstart.directory)
    assert "0100007F" in found, f"the web server must listen on 127.0.0.1: {found}"
    allowed = {"0100007F", "00000000000000000000000001000000"}
    assert set(found) <= allowed, f"listening beyond loopback: {found}"


def test_second_run_keeps_everything(quickstart):
    keys, before = quickstart.demo_keys(), quickstart.environment()
    quickstart.start()
    assert quickstart.environment() == before, "a second run changed env"
    assert quickstart.demo_keys() == keys, "a second run changed keys"


def test_status_stop_start(quickstart):
    keys = quickstart.demo_keys()
    assert quickstart.run("status").stdout.count("running") >= 3, "three services must run"
    quickstart.run("stop")
    assert not port_open(quickstart.port), "the web server still listens after stop"
    assert not listeners(quickstart.directory), "something still listens after stop"
    assert quickstart.run("status", check=False).returncode == 3, "status after stop: exit 3"
    quickstart.run("stop")  # again: nothing to do is no error
    quickstart.start()
    assert quickstart.demo_keys() == keys, "stop and start changed keys"


def test_apache_and_back(quickstart):
    """--server apache in place of lighttpd on the same URL, with the same keys."""
    keys = quickstart.demo_keys()
    quickstart.start("--server", "apache")
    with quickstart.client() as client:
        server = client.get("/health").header("Server")
    assert "Apache" in server, f"Server: {server}"
    assert quickstart.demo_keys() == keys, "Apache gives other keys"
    quickstart.start("--server", "lighttpd")
    with quickstart.client() as client:
        server = client.get("/health").header("Server")
    assert "lighttpd" in server, f"Server: {server}"
    assert quickstart.demo_keys() == keys, "lighttpd gives other keys afterwards"


def test_logs_hold_no_keys(quickstart):
    keys = quickstart.demo_keys()
    for folder, _, names in os.walk(f"{quickstart.directory}/log"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as log:
                text = log.read()
            for key in keys.key.values():
                assert key not in text and key.hex().encode() not in text.lower(), f"key in {name}"


def test_foreign_directory_is_left_alone(tmp_path):
    """A directory with something in it that quickstart did not make is neither used nor removed."""
    (tmp_path / "thesis.txt").write_text("years of work")
    foreign = Quickstart(str(tmp_path))
    for action in ("start", "reset"):
        done = foreign.run(action, check=False)
        assert done.returncode != 0, f"{action} in a foreign directory went through: {done.stdout}"
    assert (tmp_path / "thesis.txt").read_text() == "years of work", "a foreign file is gone"


@pytest.mark.parametrize("arguments", [("--server", "nginx"), ("dance",), ("--server",)])
def test_wrong_usage(quickstart, arguments):
    done = quickstart.run(*arguments, check=False)
    assert done.returncode == 2, f"{arguments}: exit {done.returncode}, expected 2"
    assert "Usage" in done.stdout, f"{arguments}: no usage shown"


def test_reset(quickstart):
    """All of it goes; what is started afterwards is a new installation with other keys."""
    keys, before = quickstart.demo_keys(), quickstart.environment()
    quickstart.run("reset")
    assert not os.path.exists(quickstart.directory), "reset left the directory"
    assert not port_open(quickstart.port), "reset left the web server running"
    quickstart.start()
    assert quickstart.environment()["SPEKE_PASSWORD"] != before["SPEKE_PASSWORD"], "old password"
    others = quickstart.demo_keys()
    assert not set(others.key.values()) & set(keys.key.values()), "keys survived a reset"
