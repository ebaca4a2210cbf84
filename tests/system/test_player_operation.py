# SPDX-License-Identifier: Apache-2.0
"""What an operator does about players: keys for tokens made and taken along to another KEK, a program
that serves players alone, and how often an address may ask."""
import concurrent.futures
import itertools
import json
import os
import stat
import time
import uuid

import pytest
from fcgi_client import fetch
from harness import documents as d
from harness.answers import check_v2
from harness.jwt import Signer
from harness.process import Process, run, wait_until
from harness.web import USER

RATE = 5  # requests a second; twice as many may come at once


def make_content(site, content):
    """(KID, key) of a content that a packager asks for."""
    request = d.request_v2([("VIDEO", [("VideoFilter", {})])], [d.WIDEVINE], content_id=content)
    with site.web("lighttpd").client() as client:
        answer = client.post(request)
        assert answer.status == 200, answer.text
        ((kid, key),) = check_v2(answer.body, request, client.base).key.items()
    return kid, key


def issue(site, path, kid, content):
    """A token as "spekectl token issue" signs it, which needs no database."""
    command = [site.install.spekectl, "token", "issue", "--key-file", path, "--kid", kid]
    return run([*command, "--content-id", content], env={"PATH": "/usr/bin:/bin"}).stdout.strip()


def is_known(player, path, token, seconds=5):
    """The answer once a key for tokens that was just registered is known: a process asks for news
    at most once a second."""
    wait_until(lambda: player.get(path, bearer(token)).status != 401, seconds, "a new token key")
    return player.get(path, bearer(token))


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# Keys for tokens ---------------------------------------------------------------------------------


def test_keys_that_spekectl_makes(site):
    """Made, written down for whoever signs, used, listed; never over another file."""
    content = f"made-{uuid.uuid4().hex}"
    kid, key = make_content(site, content)
    for algorithm in ("HS256", "ES256"):
        name = f"made-{algorithm}-{uuid.uuid4().hex[:8]}"
        path = os.path.join(site.directory, name)
        add = ["token-key", "add", "demo", "--kid", name, "--generate", "--alg", algorithm]
        site.ctl(*add, "--out", path, user="op")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        again = site.ctl(*add[:4], f"{name}-2", *add[5:], "--out", path, user="op", check=False)
        assert again.returncode == 1 and "exists" in again.stderr.lower(), again.stderr
        token = issue(site, path, name, content)
        for kind in ("lighttpd", "apache"):
            with site.web(kind).player() as player:
                answer = is_known(player, f"/demo/client/{content}/{kid}", token)
                assert answer.status == 200 and answer.body == key, f"{kind}: {answer.text}"
        (row,) = [
            row
            for row in json.loads(site.ctl("--json", "token-key", "list", "demo", user="op").stdout)
            if row["kid"] == name
        ]
        assert row["algorithm"] == algorithm and row["enabled"] is True
        assert (row["kek_version"] is None) == (algorithm == "ES256")
    printed = site.ctl("token-key", "add", "demo", "--kid", f"{name}-3", "--generate", user="op").stdout
    assert len(printed.split("\n")[0]) == 43, "32 bytes as base64url, when no file is named"


@pytest.mark.parametrize("command", [["kek", "rewrap"], ["token-key", "rewrap"]], ids=" ".join)
def test_a_secret_goes_over_to_another_kek(new_site, command):
    """Tokens are good before, between and after; a KEK that a secret needs is not retired."""
    site = new_site(workers=1)
    kid, key = make_content(site, "movie")
    paths = {}
    for algorithm in ("HS256", "ES256"):
        paths[algorithm] = os.path.join(site.directory, algorithm)
        site.ctl("token-key", "add", "demo", "--kid", algorithm, "--generate", "--alg", algorithm,
                 "--out", paths[algorithm], user="op")  # fmt: skip
    with site.web("apache").player() as player:

        def fetch_key():
            for algorithm, path in paths.items():
                answer = player.get(
                    f"/demo/client/movie/{kid}", bearer(issue(site, path, algorithm, "movie"))
                )
                assert answer.status == 200 and answer.body == key, f"{algorithm}: {answer.text}"

        fetch_key()
        site.ctl("kek", "create", "--version", "2", user="op")
        fetch_key()
        refused = site.ctl("kek", "retire", "1", user="op", check=False)
        assert refused.returncode == 1 and "keys are sealed under KEK" in refused.stderr
        done = site.ctl(*command, user="op")
        assert "token keys" in done.stdout, done.stdout
        if command[0] == "token-key":
            refused = site.ctl("kek", "retire", "1", user="op", check=False)
            assert "1 keys are sealed under KEK version 1" in refused.stderr
            site.ctl("kek", "rewrap", user="op")
        (row,) = site.query("SELECT kek_version FROM speke.token_key WHERE algorithm = 'HS256'")
        assert row["kek_version"] == 2
        site.ctl("kek", "retire", "1", user="op")
        site.ctl("kek", "destroy", "1", "--yes", user="op")
        site.stop_responder()
        site.start_responder()
        fetch_key()


def test_a_secret_that_does_not_open_is_named(new_site):
    """The rest goes over all the same; the KEK stays for as long as it is there."""
    site = new_site(workers=1)
    for name in ("first", "second", "third"):
        site.ctl("token-key", "add", "demo", "--kid", name, "--generate",
                 "--out", os.path.join(site.directory, name), user="op")  # fmt: skip
    site.query(
        "UPDATE speke.token_key SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
        " WHERE kid = 'second'"
    )
    site.ctl("kek", "create", "--version", "2", user="op")
    done = site.ctl("--json", "kek", "rewrap", user="op", check=False)
    assert done.returncode == 1 and "token key second" in done.stderr, done.stderr
    assert json.loads(done.stdout)["token_keys"] == 2
    left = site.query("SELECT kid FROM speke.token_key WHERE kek_version = 1")
    assert [row["kid"] for row in left] == ["second"]
    refused = site.ctl("kek", "retire", "1", user="op", check=False)
    assert "1 token keys are sealed under KEK version 1: rewrap them first" in refused.stderr
    site.ctl("token-key", "remove", "demo", "second", user="op")
    site.ctl("kek", "retire", "1", user="op")
    # A player with such a token gets 500 and the log the reason, never a key.
    secret = os.path.join(site.directory, "first")
    kid, _ = make_content(site, "movie")
    site.query(
        "UPDATE speke.token_key SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
    )
    with site.web("lighttpd").player() as player:
        answer = player.get(f"/demo/client/movie/{kid}", bearer(issue(site, secret, "first", "movie")))
    assert answer.status == 500 and answer.text == "Internal error", (answer.status, answer.text)
    assert "a token key does not open" in site.log_text()


# A program that serves players alone -------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(site):
    """{door: socket} of two more programs: one has "door = player", one "door = packager"."""
    sockets, processes = {}, []
    for door in ("player", "packager"):
        config = os.path.join(site.directory, f"{door}.conf")
        with open(config, "w", encoding="utf-8") as out:
            for name, value in {**site.settings, "door": door}.items():
                out.write(f"{name} = {value}\n")
        os.chmod(config, 0o644)
        sockets[door] = os.path.join(site.run_directory, f"{door}.sock")
        command = [site.install.program, "--listen", sockets[door], "--workers", 1, "--config", config]
        process = Process(door, command, os.path.join(site.directory, f"{door}.log"), user=USER).start()
        processes.append(process)
        wait_until(lambda door=door: os.path.exists(sockets[door]), 10, f"the socket of {door}")
    yield sockets
    for process in processes:
        process.stop()


def test_each_program_serves_its_door(site, alone):
    """What the setting narrows, the web server's word does not widen."""
    key, exchange = "/demo/client/movie/rubbish", "/v2.0/copyProtection"
    served = {  # without a token and without a body: no 404 is what tells that a route was found
        ("player", None): (401, 404),
        ("player", "player"): (401, 404),
        ("player", "packager"): (404, 404),
        ("player", "any"): (404, 404),
        ("packager", None): (404, 403),
        ("packager", "packager"): (404, 403),
        ("packager", "player"): (404, 404),
        ("packager", ""): (404, 404),
    }
    for (setting, word), expected in served.items():
        answers = (
            fetch(alone[setting], key, SPEKE_DOOR=word),
            fetch(alone[setting], exchange, b"", SPEKE_DOOR=word),
        )
        assert tuple(a.status for a in answers) == expected, (setting, word, [a.text for a in answers])
    for setting in alone:
        assert fetch(alone[setting], "/health").status == 200


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_two_programs_behind_one_web_server(site, alone, kind):
    """As the recipes have it: a socket for either door."""
    web = site.new_web(kind, name=f"{kind}-two", player_socket=alone["player"])
    content = f"two-{uuid.uuid4().hex}"
    kid, key = make_content(site, content)
    name = f"two-{uuid.uuid4().hex}"
    path = os.path.join(site.directory, name)
    site.ctl("token-key", "add", "demo", "--kid", name, "--generate", "--out", path, user="op")
    token = issue(site, path, name, content)
    with web.player() as player, web.client() as packager:
        answer = is_known(player, f"/demo/client/{content}/{kid}", token)
        assert answer.status == 200 and answer.body == key
        assert player.request("POST", "/v2.0/copyProtection", d.simple_v2().bytes()).status == 404
        assert packager.post(d.simple_v2()).status == 200
        assert packager.get(f"/demo/client/{content}/{kid}", bearer(token)).status == 404
    web.stop()


# How often ---------------------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_come_back(new_site):
    site = new_site(workers=1, settings={"player_rate": RATE})
    kid, key = make_content(site, "movie")
    path = os.path.join(site.directory, "token-key")
    site.ctl("token-key", "add", "demo", "--kid", "t", "--generate", "--out", path, user="op")
    token = bearer(issue(site, path, "t", "movie"))
    for kind in ("lighttpd", "apache"):
        time.sleep(2.2)  # a full measure, whatever came before
        with site.web(kind).player() as player:
            started = time.monotonic()
            answers = [player.get(f"/demo/client/movie/{kid}", token) for _ in range(40)]
            took = time.monotonic() - started
            good = [answer for answer in answers if answer.status == 200]
            rest = [answer for answer in answers if answer.status != 200]
            assert 2 * RATE <= len(good) <= 2 * RATE + RATE * took + 1, (kind, len(good), took)
            assert rest, kind
            for answer in rest:
                assert (answer.status, answer.text) == (429, "Too many requests")
                assert answer.header("Retry-After") == "1"
                assert answer.header("Access-Control-Allow-Origin") == "*"
                assert "Retry-After" in answer.header("Access-Control-Expose-Headers")
                assert answer.header("Cache-Control") == "no-store"
            assert player.request("POST", "/demo/clearkey", "{}", token).status == 429, "all routes count"
            time.sleep(int(answer.header("Retry-After")))
            answer = player.get(f"/demo/client/movie/{kid}", token)
            assert answer.status == 200 and answer.body == key
    with site.web("lighttpd").client() as packager:
        assert all(packager.post(d.simple_v2()).status == 200 for _ in range(20)), "packagers do not count"
    site.stop_responder()
    (row,) = site.query("SELECT sum(count) AS n FROM speke.v_player_refusal WHERE reason = 'too_often'")
    assert row["n"] > 20


# What wrong tokens leave behind ------------------------------------------------------------------

WRONG_TOKENS = int(os.environ.get("SPEKE_WRONG_TOKENS", "2000"))
SENDERS = 4


def wrong_requests(path, kid):
    """Endless (path, token), no two alike: another signer, an unknown key, an unknown tenant, none."""
    wrong = Signer("t", os.urandom(32))
    for i in itertools.count():
        yield (
            (f"/demo/client/{path}{i}/{kid}", wrong.token(content_id=f"c{i}")),
            (f"/demo/client/{path}/{uuid.uuid4()}", wrong.token({"kid": f"k{i}"}, content_id=path)),
            (f"/tenant{i}/client/{path}/{kid}", wrong.token(content_id=path)),
            (f"/demo/client/{path}/{kid}", None),
        )[i % 4]


def send_wrong(site, kind, requests, count):
    with site.web(kind).player() as player:
        for path, token in itertools.islice(requests, count):
            answer = player.get(path, bearer(token) if token else {})
            assert answer.status == 401, f"{answer.status} {answer.text}"


def test_wrong_tokens_fill_neither_log_nor_disk(new_site):
    """SPEKE_WRONG_TOKENS=100000 sends as many as that; every one of them is counted."""
    site = new_site(workers=2, settings={"log_level": "notice"})
    kid, _ = make_content(site, "movie")
    path = os.path.join(site.directory, "token-key")
    site.ctl("token-key", "add", "demo", "--kid", "t", "--generate", "--out", path, user="op")
    for kind in ("lighttpd", "apache"):
        site.web(kind)

    def sizes():
        (row,) = site.query(
            "SELECT (SELECT count(*) FROM speke.audit_event) AS n, pg_database_size('speke') AS size"
        )
        return row["n"], row["size"]

    log, (rows, size), started = site.log_mark(), sizes(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        share = WRONG_TOKENS // SENDERS
        for done in [
            pool.submit(send_wrong, site, ("lighttpd", "apache")[i % 2], wrong_requests("movie", kid), share)
            for i in range(SENDERS)
        ]:
            done.result()
    took = time.monotonic() - started
    site.stop_responder()  # which writes down what it has counted
    log = len(site.log_text()) - log
    more_rows, grown = (after - before for after, before in zip(sizes(), (rows, size)))
    kinds = site.query("SELECT reason, sum(count) AS n, count(*) AS rows FROM speke.v_player_refusal GROUP BY reason")
    print(f"\n{WRONG_TOKENS} wrong tokens in {took:.0f} s: log {log} bytes, audit {more_rows} rows, database"
          f" {grown} bytes, {sum(kind['rows'] for kind in kinds)} rows of refusals")  # fmt: skip
    assert more_rows == 0, "refusals of players are counted, not listed"
    assert {kind["reason"]: kind["n"] for kind in kinds} == dict.fromkeys(
        ("token_signature", "token_key_unknown", "tenant_unknown", "no_token"), SENDERS * (share // 4)
    )
    # A line for the first of a kind and one for the rest of it, in each ten seconds and process.
    assert log < 300 * 2 * 4 * 2 * (took / 10 + 2), f"{log} bytes of log"
    assert grown < 2_000_000, f"{grown} bytes of database"
