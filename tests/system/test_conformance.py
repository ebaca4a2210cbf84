# SPDX-License-Identifier: Apache-2.0
"""The conformance run against this service over HTTPS with Digest, behind each of the two servers,
with all hooks: every rule must be measured and pass. SPEKE_CPIX_XSD may name folders with CPIX
schemas, with colons between, to validate the answers as well."""
import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading

import pytest

from harness.site import BUILD, TOP

CONFORMANCE = os.path.join(TOP, "tests", "conformance")
sys.path.insert(0, CONFORMANCE)
from conformance.catalogue import RULES as CATALOGUE  # noqa: E402

TENANT = CLIENT = "conformance"
PASSWORD = "pw-conformance"
OVERRIDE_NAMESPACE = "2f8a9c1e-6b7d-5e43-9a10-5d3c7e8f4b21"
LIMIT = 120  # seconds for a whole run
SCHEMAS = [path for path in os.environ.get("SPEKE_CPIX_XSD", "").split(":") if path]

RULES = [f"R{number}" for number in range(1, 76)]


@pytest.fixture(scope="session")
def tenant_site(site):
    """The shared installation with a tenant of its own, whose settings the run may change."""
    site.ctl("tenant", "add", TENANT, user="op")
    site.ctl("client", "add", CLIENT, "--tenant", TENANT, user="op")
    site.set_password(CLIENT, PASSWORD)
    return site


@pytest.fixture(scope="module")
def restart_hook(tenant_site):
    """A command that ends the service and starts it anew: it asks a server in here to do so."""

    class Restart(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            code = tenant_site.stop_responder()
            tenant_site.start_responder()
            self.send_response(200 if code == 0 else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Restart)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    code = f"import urllib.request; urllib.request.urlopen({url!r}, b'', 30)"
    yield shlex.join([sys.executable, "-c", code])
    server.shutdown()
    thread.join()
    server.server_close()


def setting_hook(site):
    return shlex.join(
        [
            os.path.join(CONFORMANCE, "settings-hook"), TENANT, site.install.spekectl,
            "--config", site.config, "--db", site.pg.dsn(user="op"), "--",
        ]
    )  # fmt: skip


def vector_hook():
    program = "tests/unit/test_cpix_delivery"
    make = shlex.join(["make", "-s", "-C", BUILD, program])
    return shlex.join(["sh", "-c", f"{make} && cd {shlex.quote(BUILD)} && {program}"])


@pytest.fixture(scope="session")
def token_hook(tenant_site):
    """A command that signs a token for a player of the tenant's content."""
    path = os.path.join(tenant_site.directory, "conformance-token")
    tenant_site.ctl("token-key", "add", TENANT, "--kid", "player", "--generate", "--alg", "ES256", "--out", path)
    return shlex.join(
        [tenant_site.install.spekectl, "token", "issue", "--key-file", path, "--kid", "player", "--content-id"]
    )


def run(web, *more):
    return subprocess.run(
        [
            os.path.join(CONFORMANCE, "run"), "--url", f"{web.base}/copyProtection",
            "--user", CLIENT, "--ca", web.p.ca, *more,
        ],
        capture_output=True, text=True, timeout=LIMIT,
        env={"PATH": "/usr/bin:/bin", "SPEKE_PASSWORD": PASSWORD},
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(tenant_site, web, restart_hook, token_hook, tmp_path_factory):
    """{rule: its part of the JSON} of one whole run behind one server."""
    path = tmp_path_factory.mktemp(web.kind) / "conformance.json"
    tenant_site.ctl("drm", "set", TENANT, "all", "player_url", web.player_base, user="op")
    hooks = [
        "--key-url-base", f"{web.player_base}/{TENANT}", "--player-token-hook", token_hook,
        "--restart-hook", restart_hook, "--setting-hook", setting_hook(tenant_site),
        "--vector-hook", vector_hook(), "--override-namespace", OVERRIDE_NAMESPACE,
    ]  # fmt: skip
    if web.kind == "lighttpd":
        hooks.append("--empty-headers-dropped")
    schemas = [word for folder in SCHEMAS for word in ("--cpix-xsd", folder)]
    done = run(web, "--json", str(path), *hooks, *schemas)
    print(done.stdout)
    assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr}"
    measured = {one["rule"]: one for one in json.loads(path.read_text())["rules"]}
    failed = any(one["result"] == "fail" for one in measured.values())
    assert done.returncode == int(failed), f"exit {done.returncode}"
    return measured


def test_all_rules_are_in_the_table(table):
    assert [name for name in table if name in RULES] == RULES


@pytest.mark.parametrize("name", [*RULES, *map(os.path.basename, SCHEMAS)])
def test_rule(table, web, name):
    """Each by its number; nothing of it left out but what lighttpd keeps from the service."""
    one = table[name]
    if name == "R6" and web.kind == "lighttpd":
        assert [left["check"] for left in one.pop("not_measured")] == ["empty"]
        assert one["result"] == "in part" and not one["failed"], json.dumps(one, indent=1)
        return
    assert not one["failed"], json.dumps(one["failed"], indent=1)
    assert not one["not_measured"], json.dumps(one["not_measured"], indent=1)
    assert one["result"] == "pass", one["result"]


def test_only_what_was_chosen(tenant_site, web):
    done = run(web, "--only", "R1,r22")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = [line.split()[0] for line in done.stdout.splitlines()[:-1]]
    assert rules == ["R1", "R22"], done.stdout


def test_basic(tenant_site, web):
    """The other login; R8 and R11 have requests of their own kind."""
    basic = tenant_site.web(web.kind, "basic")
    done = run(basic, "--auth", "basic", "--only", "R1,R8,R11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 pass" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["--only", "R76"], "R75"),
        (["--only", "1"], "R75"),
        (["--user", "nobody"], "login was refused"),
        (["--password-file", "/dev/null"], "password"),
        (["--cpix-xsd", "/"], "--cpix-xsd"),
    ],
)
def test_run_that_is_not_possible(tenant_site, web, arguments, text):
    done = run(web, *arguments)
    assert done.returncode == 2, f"exit {done.returncode}: {done.stdout}"
    assert text in done.stderr, done.stderr
    assert not done.stdout, done.stdout


def test_documented_table():
    """doc/conformance.md has every rule in the words of the run, and a result for each server."""
    with open(os.path.join(TOP, "doc", "conformance.md"), encoding="utf-8") as text:
        rows = re.findall(r"^\| (R\d+) \| (.*) \| (\S[^|]*) \| (\S[^|]*) \|$", text.read(), re.M)
    assert [(name, says) for name, says, _, _ in rows] == [
        (CATALOGUE[number].name, CATALOGUE[number].says) for number in sorted(CATALOGUE)
    ]
    for name, _, *results in rows:
        for server, result in zip(("lighttpd", "apache"), results):
            expected = "in part" if (name, server) == ("R6", "lighttpd") else "pass"
            assert result.startswith(expected), f"{name}: {result}"
