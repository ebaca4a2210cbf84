# SPDX-License-Identifier: Apache-2.0
"""Going over to another KEK while requests come: no request fails, no key changes, whenever the work
is killed. SPEKE_REWRAP_KEYS says how many keys (default 5000; 100000 takes a few minutes)."""
import contextlib
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from harness import documents as d
from harness import sealed
from harness.answers import check_v2
from harness.process import ROOT, wait_until

KEYS = int(os.environ.get("SPEKE_REWRAP_KEYS", "5000"))
IN_ONE = 250  # keys of a content
LOADERS = 3


def all_keys(site):
    """Every key of the table, opened from the published layout with the KEK file alone."""
    keks = sealed.read_kek_file(site.kek)
    found = {}
    for row in site.query("SELECT * FROM speke.content_key"):
        kid = str(row["kid"])
        found[row["tenant_id"], row["content_id"], kid] = sealed.open_row(keks, {**row, "kid": kid})
    return found


def make_keys(client, count):
    """Through the service; returns the requests, to be asked again."""
    requests = []
    while count > 0:
        n = min(count, IN_ONE)
        request = d.many_keys(n, systems=(d.CLEAR_KEY,))
        answer = client.post(request)
        assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        requests.append((request, check_v2(answer.body, request, client.base).key))
        count -= n
    return requests


class Load:
    """Fetches keys that exist and makes new ones, until it is told to stop."""

    def __init__(self, site, known):
        self.site, self.known = site, known
        self.over, self.faults, self.fetched, self.made = threading.Event(), [], 0, 0
        self.slowest, self.lock = 0.0, threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(LOADERS)]

    def _one(self, client, turn):
        new = turn % 4 == 0
        request, keys = (d.simple_v2(), None) if new else random.choice(self.known)
        started = time.monotonic()
        answer = client.post(request)
        took = time.monotonic() - started
        assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        given = check_v2(answer.body, request, client.base).key
        assert new or given == keys, "a key changed"
        with self.lock:
            self.slowest = max(self.slowest, took)
            self.made += new
            self.fetched += not new

    def _run(self, turn):
        with self.site.web("lighttpd").client() as client:
            while not self.over.is_set():
                turn += 1
                try:
                    self._one(client, turn)
                except Exception as fault:  # told at the end
                    self.faults.append(repr(fault))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def left(site):
    rows = site.query("SELECT count(*) AS n FROM speke.content_key WHERE kek_version = 1")
    return rows[0]["n"]


def start_rewrap(site, *options):
    return subprocess.Popen(
        [
            site.install.spekectl, "--config", site.config, "--db", site.pg.dsn(user="op"),
            "kek", "rewrap", *options,
        ],
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def kill_when(process, site, share):
    """SIGKILL once a share of the keys is done, which must be before it ends by itself."""
    wait_until(lambda: left(site) <= KEYS * (1 - share), 300, f"{share} of the keys")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


@pytest.fixture
def two_keks(new_site):
    site = new_site(workers=2, settings={"log_level": "warning"})
    with site.web("lighttpd").client() as client:
        known = make_keys(client, KEYS)
    site.ctl("kek", "create", "--version", "2", "--inactive", user="op")
    yield site, known


def test_rewrap_under_load(two_keks):
    site, known = two_keks
    before = all_keys(site)
    assert len(before) == KEYS
    few = [(request, keys) for request, keys in known[:5]]
    for request, _ in few[1:]:
        assert request  # asked for again below, whole contents at a time
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load(site, few))
        wait_until(lambda: load.made > 5 or load.faults, 30, "exchanges")
        site.ctl("kek", "activate", "2", user="op")
        refused = site.ctl("kek", "retire", "1", user="op", check=False)
        assert refused.returncode == 1 and f"{left(site)} keys are sealed under KEK" in refused.stderr
        started = time.monotonic()
        for share in (0.25, 0.6):
            kill_when(start_rewrap(site, "--batch", "100"), site, share)
            assert left(site) > 0
        done = start_rewrap(site, "--batch", "100")
        out, err = done.communicate(timeout=900)
        took = time.monotonic() - started
        assert done.returncode == 0, f"{done.returncode} {out} {err}"
        fetched, made = load.fetched, load.made
    assert not load.faults, f"{len(load.faults)} exchanges failed: {load.faults[:3]}"
    print(
        f"\n{KEYS} keys in {took:.1f} s, killed twice; meanwhile {fetched} fetched, {made} made, "
        f"slowest {load.slowest * 1000:.0f} ms"
    )
    assert fetched > 10 and made > 3, f"only {fetched} and {made} exchanges were made meanwhile"
    assert left(site) == 0, "keys are left under the old KEK"
    after = all_keys(site)
    changed = [identity for identity, key in before.items() if after.get(identity) != key]
    assert not changed, f"{len(changed)} keys changed or went away"
    rows = site.query("SELECT sum(substring(detail from '\\d+')::integer) AS n FROM speke.audit_event"
                      " WHERE detail ~ '^rewrap_store'")
    assert rows[0]["n"] >= KEYS, "the audit does not tell of all of them"

    # The old KEK goes; everything works on without it.
    site.ctl("kek", "retire", "1", user="op")
    assert site.ctl("kek", "destroy", "1", user="op", check=False).returncode == 1, "without --yes"
    assert 1 in sealed.read_kek_file(site.kek)
    site.ctl("kek", "destroy", "1", "--yes", user="op")
    assert set(sealed.read_kek_file(site.kek)) == {2}
    info = os.stat(site.kek)
    assert info.st_mode & 0o777 == 0o400 and (not ROOT or info.st_uid != 0), "mode and owner stay"
    states = {row["kek_version"]: row["state"] for row in site.query("SELECT * FROM speke.v_kek")}
    assert states == {1: "destroyed", 2: "active"}
    site.stop_responder()
    site.start_responder()
    with site.web("lighttpd").client() as client:
        for request, keys in known[:3]:
            answer = client.post(request)
            assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
            assert check_v2(answer.body, request, client.base).key == keys


def test_limit_altered_rows_and_missing_kek(new_site):
    """A row that was altered is named and left; the rest is done. --limit ends early."""
    site = new_site(workers=2)
    with site.web("lighttpd").client() as client:
        client.post(d.many_keys(30, systems=(d.CLEAR_KEY,)))
    site.ctl("kek", "create", "--version", "2", user="op")
    site.query(
        "UPDATE speke.content_key SET sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1)"
        " WHERE kid = (SELECT min(kid::text)::uuid FROM speke.content_key)"
    )
    done = site.ctl("--json", "kek", "rewrap", "--limit", "10", "--batch", "7", user="op", check=False)
    assert left(site) in (20, 21), left(site)
    done = site.ctl("kek", "rewrap", user="op", check=False)
    assert done.returncode == 1 and "1 keys do not open" in done.stderr, done.stderr
    kid = site.query("SELECT kid FROM speke.content_key WHERE kek_version = 1")
    assert len(kid) == 1 and str(kid[0]["kid"]) in done.stderr
    # Without the old KEK in the file nothing can be opened, and nothing is changed.
    with open(site.kek, encoding="ascii") as kek:
        text = kek.read()
    os.chmod(site.kek, 0o600)
    with open(site.kek, "w", encoding="ascii") as kek:
        kek.write("".join(line for line in text.splitlines(True) if not line.startswith("1 ")))
    os.chmod(site.kek, 0o400)
    done = site.ctl("kek", "rewrap", user="op", check=False)
    assert done.returncode == 1 and "not loaded" in done.stderr, done.stderr
    assert left(site) == 1


def test_states_on_the_command_line(new_site):
    site = new_site(workers=1)
    site.ctl("kek", "create", "--version", "2", "--inactive", user="op")
    listed = site.ctl("kek", "list", user="op").stdout
    assert "ready" in listed and "KEYS" in listed
    assert "SK" not in site.ctl("kek", "retire", "1", user="op", check=False).stderr
    for command in (["activate", "7"], ["retire", "7"], ["destroy", "1", "--yes"], ["retire", "1"]):
        done = site.ctl("kek", *command, user="op", check=False)
        assert done.returncode == 1 and done.stderr.startswith("spekectl: "), f"{command}: {done}"
    assert site.ctl("kek", "activate", "0", user="op", check=False).returncode == 2
    assert 1 in sealed.read_kek_file(site.kek), "a refused destruction leaves the file alone"
    # A ready KEK that is not in the file is not activated.
    with open(site.kek, encoding="ascii") as kek:
        text = kek.read()
    os.chmod(site.kek, 0o600)
    with open(site.kek, "w", encoding="ascii") as kek:
        kek.write("".join(line for line in text.splitlines(True) if not line.startswith("2 ")))
    os.chmod(site.kek, 0o400)
    done = site.ctl("kek", "activate", "2", user="op", check=False)
    assert done.returncode == 1 and "does not hold KEK 2" in done.stderr
