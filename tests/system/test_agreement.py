# SPDX-License-Identifier: Apache-2.0
"""Many clients of many tenants ask at once for the same content ids and KIDs, under quotas, while
keys are revoked and KEKs are changed: what the clients received, the table and the audit tell one
story, to the last key.

SPEKE_AGREEMENT_REQUESTS is the number of requests (default 1000), SPEKE_AGREEMENT_CLIENTS that of
clients that ask at the same time (default 60; the larger of the two for one burst of all)."""
import collections
import contextlib
import copy
import hashlib
import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest

from harness import documents as d
from harness import sealed
from harness.answers import check_v2
from harness.http import at_once
from harness.web import REALM

REQUESTS = int(os.environ.get("SPEKE_AGREEMENT_REQUESTS", "1000"))
CLIENTS = int(os.environ.get("SPEKE_AGREEMENT_CLIENTS", "60"))
TENANTS, CONTENTS, KIDS = 20, 12, 3
PASSWORD = "only-for-this-test"
# What every fifth tenant may, in turn.
KINDS = [None, ("new_keys_per_minute", 9), ("keys_total", 12), ("keys_per_minute", 30), ("read_only", "on")]


@dataclass
class Received:
    tenant: str
    content_id: str
    kids: tuple
    began: float
    status: int = 0
    text: str = ""
    retry_after: str = ""
    keys: dict = field(default_factory=dict)


@dataclass
class Story:
    """All that there is to compare: what clients received, the audit and the table."""

    received: list
    releases: list  # rows of v_audit
    refusals: list
    table: dict  # (tenant, content id, KID) -> (key, revoked)
    revoked: dict  # (tenant, content id, KID) -> when the order to revoke it was carried out
    limits: dict  # tenant -> (name, value)


def spread(kind):
    """Numbers of the tenants of a kind."""
    return [n for n in range(TENANTS) if n % len(KINDS) == kind]


# --- the checker ---------------------------------------------------------------------------------


def differences(what, one, other):
    """The multisets' differences, as lines."""
    one, other = collections.Counter(one), collections.Counter(other)
    lines = [f"{what}: {n} too many of {item}" for item, n in (one - other).items()]
    return lines + [f"{what}: {n} missing of {item}" for item, n in (other - one).items()]


def check_releases(story):
    """Every 200 is a release in the audit, and the other way round, with the same KIDs."""
    got = [(r.tenant, r.content_id, r.kids) for r in story.received if r.status == 200]
    told = [
        (row["tenant"], row["content_id"], tuple(str(kid) for kid in row["kids"]))
        for row in story.releases
    ]
    return differences("releases in the audit", told, got)


def check_refusals(story):
    """Every other answer is a refusal in the audit, with its status and text."""
    got = [(r.tenant, r.content_id, r.status, r.text) for r in story.received if r.status != 200]
    told = [(row["tenant"], row["content_id"], row["status"], row["detail"]) for row in story.refusals]
    return differences("refusals in the audit", told, got)


def check_keys(story):
    """Each key that a client got is the one of its tenant's row, and no two rows have the same."""
    found = []
    for answer in story.received:
        for kid, key in answer.keys.items():
            row = story.table.get((answer.tenant, answer.content_id, kid))
            if row is None:
                found.append(f"{answer.tenant} {answer.content_id} {kid}: given out, and no row")
            elif row[0] != key:
                found.append(f"{answer.tenant} {answer.content_id} {kid}: the row has another key")
    values = collections.Counter(key for key, _ in story.table.values())
    return found + [f"{n} rows have one key" for n in values.values() if n > 1]


def check_creation(story):
    """Each row was made by exactly one request that the audit has, and none is without."""
    told = [
        (row["tenant"], row["content_id"], str(kid))
        for row in story.releases
        for kid in row["created_kids"]
    ]
    return differences("creations in the audit", told, list(story.table))


def check_revoked(story):
    """Who asked after a key was revoked was refused, and nobody without reason."""
    found = []
    for answer in story.received:
        gone = [
            kid
            for kid in answer.kids
            if story.revoked.get((answer.tenant, answer.content_id, kid), answer.began) < answer.began
        ]
        if gone and not (answer.status == 403 and answer.text.endswith(" is revoked")):
            found.append(f"{answer.tenant} {gone}: revoked before, and answered {answer.status}")
        if answer.text.endswith(" is revoked"):
            kid = answer.text.split()[2]
            row = story.table.get((answer.tenant, answer.content_id, kid))
            if kid not in answer.kids or row is None or not row[1]:
                found.append(f"{answer.tenant} {answer.content_id} {kid}: refused, and not revoked")
    return found


def check_quotas(story):
    """By the audit's times and the table, no quota was exceeded; each did refuse somebody."""
    found = []
    for tenant, (name, value) in story.limits.items():
        column = {"keys_per_minute": "kids", "new_keys_per_minute": "created_kids"}.get(name)
        used = collections.Counter()
        if name == "keys_total":
            used["all"] = sum(1 for key in story.table if key[0] == tenant)
        for row in story.releases if column else ():
            if row["tenant"] == tenant:
                used[row["at"].replace(second=0, microsecond=0)] += len(row[column])
        found += [f"{tenant} {name}: {n} in {when}" for when, n in used.items() if n > value]
        text = f"Quota of {value} "
        refused = [r for r in story.received if r.tenant == tenant and r.status == 429]
        if not any(r.text.startswith(text) for r in refused):
            found.append(f"{tenant} {name}: nobody was refused")
        most = 3600 if name == "keys_total" else 60
        for answer in refused:
            if not answer.retry_after.isdigit() or not 0 < int(answer.retry_after) <= most:
                found.append(f"{tenant} {name}: Retry-After {answer.retry_after!r}")
    return found


CHECKS = [check_releases, check_refusals, check_keys, check_creation, check_revoked, check_quotas]


def disagreements(story):
    return [line for check in CHECKS for line in check(story)]


# --- the load ------------------------------------------------------------------------------------


def make_tenants(site):
    with open(site.users, "a", encoding="utf-8") as users:
        for n in range(TENANTS):
            site.query("SELECT speke.tenant_add(%s)", (f"tenant-{n}",))
            site.query("SELECT speke.client_add(%s, %s)", (f"tenant-{n}", f"client-{n}"))
            for make in (hashlib.md5, hashlib.sha256):
                ha1 = make(f"client-{n}:{REALM}:{PASSWORD}".encode()).hexdigest()
                users.write(f"client-{n}:{REALM}:{ha1}\n")


def set_limits(site):
    limits = {}
    for n in range(TENANTS):
        limit = KINDS[n % len(KINDS)]
        if limit:
            site.query("SELECT speke.setting_set(%s, NULL, %s, %s)", (f"tenant-{n}", limit[0], str(limit[1])))
            if limit[0] != "read_only":
                limits[f"tenant-{n}"] = limit
    return limits


def ask(client, number, content_id, kids):
    rules = [(f"T{i}", [("VideoFilter", {"minPixels": str(i)})]) for i in range(len(kids))]
    request = d.request_v2(rules, [d.WIDEVINE], content_id=content_id, kids=list(kids))
    received = Received(f"tenant-{number}", content_id, tuple(kids), time.monotonic())
    answer = client.post(request)
    received.status = answer.status
    if answer.status == 200:
        received.keys = check_v2(answer.body, request).key
    else:
        received.text, received.retry_after = answer.text, answer.header("Retry-After") or ""
    return received


class Changes:
    """Goes on revoking keys and, at its beginning and twice more, making another KEK the active one
    and sealing all keys anew, until it is left."""

    def __init__(self, site):
        self.site, self.over, self.revoked, self.keks, self.faults = site, threading.Event(), {}, 1, []
        self.threads = [threading.Thread(target=self._guard, args=(work,)) for work in (self._revoke, self._seal)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # noqa: B902 - told by the test
            self.faults.append(error)

    def _revoke(self):
        with contextlib.closing(self.site.pg.connect()) as connection, connection.cursor() as cursor:
            while not self.over.wait(0.08):
                cursor.execute(
                    "SELECT t.name, k.content_id, k.kid FROM speke.content_key k JOIN speke.tenant t"
                    " USING (tenant_id) WHERE k.revoked_at IS NULL ORDER BY random() LIMIT 1"
                )
                row = cursor.fetchone()
                if row is None:
                    continue
                key = (row["name"], row["content_id"], str(row["kid"]))
                cursor.execute(
                    "SELECT speke.key_revoke(jsonb_build_object('tenant', %s::text, 'content_id',"
                    " %s::text, 'kids', jsonb_build_array(%s::text)), 'leaked') AS n",
                    key,
                )
                assert cursor.fetchone()["n"] == 1, f"{key} was not revoked"
                self.revoked[key] = time.monotonic()

    def _seal(self):
        while self.keks < 4 and not self.over.is_set():
            self.site.ctl("kek", "create", "--version", str(self.keks + 1), user="op")
            self.keks += 1
            self.site.ctl("kek", "rewrap", "--batch", "20", user="op")
            self.over.wait(0.5)


def run_load(site, contents):
    """Returns what was received."""
    web = site.web("lighttpd")
    clients = []
    for i in range(CLIENTS):
        number = i % TENANTS
        auth = ("digest", f"client-{number}", PASSWORD)
        clients.append((number, web.client(auth=auth).login()))
    start = site.query("SELECT max(event_id) AS n FROM speke.audit_event")[0]["n"]

    def work(index):
        number, client = clients[index]
        received = []
        for _ in range(index, REQUESTS, CLIENTS):
            content_id, kids = random.choice(contents)
            received.append(ask(client, number, content_id, random.sample(kids, random.randint(1, KIDS))))
        return received

    lists = at_once([lambda index=index: work(index) for index in range(CLIENTS)])
    for _, client in clients:
        client.close()
    return start, [one for received in lists for one in received]


def look(site, start, received, changes, limits):
    rows = site.query("SELECT * FROM speke.v_audit WHERE event_id > %s AND event IN ('release', 'refusal')", (start,))
    keks = sealed.read_kek_file(site.kek)
    table = {}
    for row in site.query("SELECT k.*, t.name AS tenant FROM speke.content_key k JOIN speke.tenant t USING (tenant_id)"):
        row["kid"] = str(row["kid"])
        identity = (row["tenant"], row["content_id"], row["kid"])
        table[identity] = (sealed.open_row(keks, row), row["revoked_at"] is not None)
    return Story(
        received,
        [row for row in rows if row["event"] == "release"],
        [row for row in rows if row["event"] == "refusal"],
        table, changes.revoked, limits,
    )  # fmt: skip


@pytest.fixture(scope="module")
def story(install, run_directory):
    from harness.site import Site

    site = Site(install, os.path.join(run_directory, "agreement"), workers=8)
    try:
        site.start()
        make_tenants(site)
        contents = [(d.new_content_id("agree"), [d.new_kid() for _ in range(KIDS)]) for _ in range(CONTENTS)]
        web = site.web("lighttpd")
        seeded = []
        for number in spread(4):  # tenants that are to be read-only have some keys
            with web.client(auth=("digest", f"client-{number}", PASSWORD)).login() as client:
                seeded += [ask(client, number, *content) for content in contents[:3]]
        first = site.query("SELECT max(event_id) AS n FROM speke.audit_event WHERE event = 'refusal'")[0]["n"]
        limits = set_limits(site)
        with Changes(site) as changes:
            start, received = run_load(site, contents)
        assert not changes.faults, changes.faults
        whole = look(site, start, received, changes, limits)
        # The releases of the seeded keys stand before the load's.
        before = site.query(
            "SELECT * FROM speke.v_audit WHERE event_id <= %s AND event = 'release'", (start,)
        )
        assert len(before) == len(seeded) and first
        whole.releases += before
        whole.received += seeded
        yield site, whole, changes
    finally:
        site.stop()


def test_all_agree(story):
    _, whole, changes = story
    by_status = collections.Counter(r.status for r in whole.received)
    texts = collections.Counter(r.text.split(" ")[0] + " … " + r.text.split(" ")[-1] for r in whole.received if r.text)
    print(f"\n{len(whole.received)} requests of {CLIENTS} clients: {dict(by_status)}; {dict(texts)};"
          f" {len(whole.table)} keys, {len(changes.revoked)} revoked, {changes.keks} KEKs")
    assert not disagreements(whole), "\n".join(disagreements(whole)[:20])
    assert set(by_status) == {200, 403, 429}, f"other answers: {by_status}"
    assert changes.keks >= 2 and len(changes.revoked) >= 5, "nothing to speak of was changed meanwhile"
    assert any(r.text.endswith("is revoked") for r in whole.received), "no revoked key was asked for"
    assert any("the tenant may not make keys" in r.text for r in whole.received), "nobody was read-only"


def test_the_same_content_at_all_tenants(story):
    """Content ids and KIDs are the same for all of them, and no key is."""
    _, whole, _ = story
    by_name = collections.defaultdict(dict)
    for (tenant, content_id, kid), (key, _) in whole.table.items():
        by_name[content_id, kid][tenant] = key
    shared = [keys for keys in by_name.values() if len(keys) > 1]
    assert len(shared) > 10, "hardly a KID that two tenants have"
    assert all(len(set(keys.values())) == len(keys) for keys in shared), "two tenants share a key"


def drop_release(story):
    story.releases.pop()


def double_release(story):
    story.releases.append(story.releases[0])


def lose_answer(story):
    story.received.remove(next(r for r in story.received if r.status == 200))


def drop_refusal(story):
    story.refusals.pop()


def change_text(story):
    next(r for r in story.received if r.status == 429).text += "!"


def change_key(story):
    answer = next(r for r in story.received if r.keys)
    answer.keys = {kid: bytes(16) for kid in answer.keys}


def swap_tenants(story):
    answer = next(r for r in story.received if r.keys)
    answer.tenant = f"tenant-{(int(answer.tenant.split('-')[1]) + 1) % TENANTS}"


def add_row(story):
    story.table["tenant-0", "x", d.new_kid()] = (os.urandom(16), False)


def lose_row(story):
    story.table.popitem()


def copy_key(story):
    one, other = list(story.table)[:2]
    story.table[one] = story.table[other]


def revoke_earlier(story):
    answer = next(r for r in story.received if r.status == 200)
    story.revoked[answer.tenant, answer.content_id, answer.kids[0]] = answer.began - 1


def restore(story):
    story.table = {key: (value, False) for key, (value, _) in story.table.items()}


def lower_quota(story):
    tenant = next(t for t, (name, _) in story.limits.items() if name == "keys_per_minute")
    story.limits[tenant] = ("keys_per_minute", 2)


def forget_retry_after(story):
    next(r for r in story.received if r.status == 429).retry_after = ""


@pytest.mark.parametrize(
    "harm",
    [
        drop_release, double_release, lose_answer, drop_refusal, change_text, change_key, swap_tenants, add_row,
        lose_row, copy_key, revoke_earlier, restore, lower_quota, forget_retry_after,
    ],
    ids=lambda harm: harm.__name__,
)  # fmt: skip
def test_the_checker_sees(story, harm):
    """What the checker is for: each kind of disagreement."""
    harmed = copy.deepcopy(story[1])
    harm(harmed)
    assert disagreements(harmed), "nothing was noticed"
