# SPDX-License-Identifier: Apache-2.0
"""One key for one identity, whoever asks when, and whatever is killed meanwhile."""
import http.client
import os
import random
import signal
import threading
import time

import pytest

from harness import documents as d
from harness.answers import check_v2
from harness.http import at_once
from harness.process import wait_until

CLIENTS = 64


def request_for(content_id, kids, shuffled):
    kids = random.sample(kids, len(kids)) if shuffled else kids
    rules = [(f"T{i}", [("VideoFilter", {"minPixels": str(i)})]) for i in range(len(kids))]
    return d.request_v2(rules, [d.WIDEVINE], content_id=content_id, kids=kids)


def expect_agreement(site, content_id, kids, answers):
    """Every answer, the table and the audit tell the same story."""
    given = {kid: {keys.key[kid] for keys in answers} for kid in kids}
    for kid, values in given.items():
        assert len(values) == 1, f"{kid}: {len(values)} different keys were given out"
    for kid in kids:
        ivs = {keys.iv[kid] for keys in answers}
        assert len(ivs) == 1, f"{kid}: {len(ivs)} different IVs were given out"
    stored = site.stored_keys(content_id)
    assert stored == {kid: given[kid].pop() for kid in kids}, "the table holds other keys"
    rows = site.releases(content_id)
    assert len(rows) == len(answers), f"{len(answers)} answers, {len(rows)} releases in the audit"
    for row in rows:
        assert {str(k) for k in row["kids"]} == set(kids), "an audit row names other KIDs"
    created = [str(kid) for row in rows for kid in row["created_kids"]]
    assert sorted(created) == sorted(kids), f"each KID must be created exactly once: {created}"


@pytest.mark.parametrize("shuffled", [False, True], ids=["same-order", "shuffled"])
def test_64_clients_one_new_content(new_site, shuffled):
    """All ask at once for the same content, which nobody asked for before."""
    site = new_site(workers=8)
    for server in ("lighttpd", "apache"):
        web = site.web(server)
        clients = [web.client().login() for _ in range(CLIENTS)]
        for _ in range(4):
            content_id, kids = d.new_content_id("race"), [d.new_kid() for _ in range(5)]

            def ask(client, content_id=content_id, kids=kids):
                request = request_for(content_id, kids, shuffled)
                answer = client.post(request)
                assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
                return check_v2(answer.body, request)

            answers = at_once([lambda client=client: ask(client) for client in clients])
            expect_agreement(site, content_id, kids, answers)
        for client in clients:
            client.close()


@pytest.mark.parametrize("kind", ["lighttpd-spawn", "apache-fcgid", "apache-cgi"])
def test_one_new_content_every_way_to_run(site, kind):
    """The same with processes that the web server starts, in CGI one for each request."""
    web = site.web(kind)
    clients = [web.client().login() for _ in range(16)]
    for _ in range(2):
        content_id, kids = d.new_content_id("race"), [d.new_kid() for _ in range(3)]

        def ask(client, content_id=content_id, kids=kids):
            request = request_for(content_id, kids, True)
            answer = client.post(request)
            assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
            return check_v2(answer.body, request)

        answers = at_once([lambda client=client: ask(client) for client in clients])
        expect_agreement(site, content_id, kids, answers)
    for client in clients:
        client.close()


def test_overlapping_documents(new_site):
    """Contents whose KID sets overlap in part: no deadlock, and still one value each."""
    site = new_site(workers=8)
    web = site.web("lighttpd")
    content_id, kids = d.new_content_id("overlap"), [d.new_kid() for _ in range(12)]
    clients = [web.client().login() for _ in range(32)]

    def ask(client):
        request = request_for(content_id, random.sample(kids, 8), True)
        answer = client.post(request)
        assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        return check_v2(answer.body, request)

    answers = at_once([lambda client=client: ask(client) for client in clients])
    values = {}
    for keys in answers:
        for kid, key in keys.key.items():
            assert values.setdefault(kid, key) == key, f"{kid}: two values"
    assert site.stored_keys(content_id) == values, "the table holds other keys"
    created = [k for row in site.releases(content_id) for k in row["created_kids"]]
    assert len(created) == len(values), "each KID must be created exactly once"
    for client in clients:
        client.close()


def test_two_tenants(site, web):
    """The same content id and KIDs at two tenants are two contents."""
    content_id, kids = d.new_content_id("shared"), [d.new_kid(), d.new_kid()]
    found = {}
    for name in ("encoder", "rival", "encoder-2"):
        with web.client(auth=("digest", name, site.password[name])) as client:
            request = request_for(content_id, kids, False)
            answer = client.post(request)
            assert answer.status == 200, f"{name}: {answer.status} {answer.text[:200]!r}"
            found[name] = check_v2(answer.body, request)
    assert found["encoder"] == found["encoder-2"], "clients of one tenant must get the same keys"
    mine, theirs = set(found["encoder"].key.values()), set(found["rival"].key.values())
    assert not mine & theirs, "two tenants got the same content key"
    for tenant, name in (("demo", "encoder"), ("rival", "rival")):
        stored = site.stored_keys(content_id, tenant)
        assert stored == found[name].key, f"the table of {tenant} holds other keys"


class Load:
    """Clients that ask on and on for new contents, and again for old ones, until told to stop.
    What they were given is kept: content id -> (kids, Keys)."""

    def __init__(self, web, count):
        self.web, self.over = web, threading.Event()
        self.given, self.refused, self.wrong = {}, [], []
        self.cut = 0  # answers that broke off after their head
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._guard) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _guard(self):
        try:
            self._run()
        except Exception as error:  # noqa: B902 - told by the test
            self.wrong.append(error)

    def _run(self):
        client = self.web.client()
        while not self.over.is_set():
            with self.lock:
                old = random.choice(list(self.given)) if self.given and random.random() < 0.3 else None
                kids = self.given[old][0] if old else [d.new_kid() for _ in range(3)]
            content_id = old or d.new_content_id("load")
            request = request_for(content_id, kids, True)
            try:
                answer = client.post(request)
            except (OSError, http.client.HTTPException) as error:
                self.cut += isinstance(error, http.client.IncompleteRead)
                client.close()
                time.sleep(0.02)
                continue
            if answer.status != 200:
                self.refused.append(answer.status)
                time.sleep(0.02)
                continue
            keys = check_v2(answer.body, request)
            with self.lock:
                kept = self.given.setdefault(content_id, (kids, keys))
                if kept[1] != keys:
                    self.wrong.append(AssertionError(f"{content_id}: keys changed"))
        client.close()


def expect_all_there(site, web, load):
    """Nothing was given out that is not in the table and in the audit, and nothing changed."""
    assert not load.wrong, f"wrong answers: {load.wrong[:3]}"
    assert len(load.given) > 25, f"only {len(load.given)} contents got keys: no load to speak of"
    with web.client() as client:
        for content_id, (kids, keys) in load.given.items():
            stored = site.stored_keys(content_id)
            assert stored == keys.key, f"{content_id}: the table holds other keys than were given"
            rows = site.releases(content_id)
            assert rows, f"{content_id}: given out, and not in the audit"
            created = sorted(str(kid) for row in rows for kid in row["created_kids"])
            assert created == sorted(kids), f"{content_id}: created {created}"
        for content_id, (kids, keys) in random.sample(list(load.given.items()), 25):
            request = request_for(content_id, kids, False)
            answer = client.post(request)
            assert answer.status == 200, f"afterwards: {answer.status} {answer.text[:200]!r}"
            assert check_v2(answer.body, request) == keys, f"{content_id}: keys changed"
    orphans = site.query(
        "SELECT count(*) AS n FROM speke.content_key k WHERE NOT EXISTS (SELECT FROM"
        " speke.audit_event a WHERE a.event = 'release' AND a.content_id = k.content_id"
        " AND k.kid = ANY (a.created_kids))"
    )
    assert orphans[0]["n"] == 0, f"{orphans[0]['n']} keys whose creation is not in the audit"


@pytest.mark.parametrize("server", ["lighttpd", "apache"])
def test_kill_workers_under_load(new_site, server):
    """kill -9 of one worker after another: each is replaced, nothing is lost."""
    site = new_site(workers=4)
    web = site.web(server)
    killed = set()
    with Load(web, 12) as load:
        wait_until(lambda: len(load.given) > 20, 10, "the load to begin")
        for _ in range(15):
            pids = site.worker_pids()
            if pids:
                victim = random.choice(pids)
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
            time.sleep(0.2)
        wait_until(lambda: len(site.worker_pids()) == 4, 10, "killed workers to be replaced")
        count = len(load.given)
        wait_until(lambda: len(load.given) > count + 50, 10, "the service to go on")
    assert len(killed) >= 10, f"only {len(killed)} workers were killed"
    assert not killed & set(site.worker_pids()), "a killed worker is still there"
    expect_all_there(site, web, load)


def test_kill_spawned_workers_under_load(new_site):
    """The same for processes that the web server started: lighttpd starts them again."""
    site = new_site(workers=1)
    web = site.web("lighttpd-spawn")
    with Load(web, 8) as load:
        wait_until(lambda: len(load.given) > 20, 10, "the load to begin")
        for _ in range(8):
            pids = wait_until(
                lambda: [pid for pid in web.pids() if pid != web.process.pid], 10, "a process"
            )
            os.kill(random.choice(pids), signal.SIGKILL)
            time.sleep(0.4)
        count = len(load.given)
        wait_until(lambda: len(load.given) > count + 50, 20, "the service to go on")
    expect_all_there(site, web, load)


@pytest.mark.parametrize("audit_wait", ["on", "off"])
def test_kill_postgresql_under_load(new_site, audit_wait):
    """kill -9 of the whole database server, twice; it is started again, and the service recovers
    by itself. With audit_wait off too a key that was given out is not lost."""
    site = new_site(workers=4, settings={"audit_wait": audit_wait})
    web = site.web("lighttpd")
    with Load(web, 12) as load:
        for _ in range(2):
            count = len(load.given)
            wait_until(lambda count=count: len(load.given) > count + 40, 20, "load")
            site.forget_connection()
            site.pg.kill()
            time.sleep(0.5)
            site.pg.start()
        count = len(load.given)
        wait_until(lambda: len(load.given) > count + 40, 20, "the service to recover by itself")
    others = {status for status in load.refused if status not in (503, 502, 504)}
    assert not others, f"without a database expected 503, got {others}"
    if audit_wait == "on":
        expect_all_there(site, web, load)
    else:
        assert not load.wrong, f"wrong answers: {load.wrong[:3]}"
        for content_id, (_, keys) in load.given.items():
            assert site.stored_keys(content_id) == keys.key, f"{content_id}: a given key is lost"


def test_stop_under_load(new_site):
    """SIGTERM: workers end after the request at hand, and no answer is cut."""
    site = new_site(workers=4)
    web = site.web("lighttpd")
    with Load(web, 8) as load:
        wait_until(lambda: len(load.given) > 50, 10, "the load to begin")
        started = time.monotonic()
        code = site.stop_responder()
        took = time.monotonic() - started
        assert code == 0, f"the responder ended with {code}, expected 0"
        assert took < 5, f"SIGTERM took {took:.1f} s"
        assert load.cut == 0, f"{load.cut} answers were cut"
        site.start_responder()
        count = len(load.given)
        wait_until(lambda: len(load.given) > count + 50, 10, "the service to go on")
    expect_all_there(site, web, load)


@pytest.mark.parametrize("kind", ["lighttpd", "apache", "lighttpd-spawn", "apache-fcgid"])
def test_reload_under_load(new_site, kind):
    """A reload of the web server (SIGUSR1): no answer is cut, the program that stands
    alone is left alone, the service goes on."""
    site = new_site(workers=2)
    web = site.web(kind)
    workers = site.worker_pids()
    # mod_fcgid looks for a free process once a second, so no more clients than processes.
    fcgid = kind == "apache-fcgid"
    with Load(web, 2 if fcgid else 6) as load:
        for _ in range(1 if fcgid else 3):
            count = len(load.given)
            wait_until(lambda count=count: len(load.given) > count + 20, 20, "load")
            web.reload()
        count = len(load.given)
        wait_until(lambda: len(load.given) > max(count + 20, 50), 20, "the service to go on")
    assert load.cut == 0, f"{load.cut} answers were cut"
    assert site.worker_pids() == workers, "a reload of the web server touched the workers"
    expect_all_there(site, web, load)
