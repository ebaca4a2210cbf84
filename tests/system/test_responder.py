# SPDX-License-Identifier: Apache-2.0
"""What speke.fcgi does with a request, byte by byte and without a web server: FastCGI, paths,
bodies, answers, the audit of what is refused before a document was read."""
import base64
import os
import random
import re
import time

import fcgi_client as f
import pytest
from harness import documents as d
from harness.process import children, resident_kib, run, settled_log, wait_until
from harness.site import TOP
from harness.web import USER
from responder import Responder, program  # noqa: F401 (a fixture)

MIB = 1024 * 1024
KEYS = "/speke/v2.0/copyProtection"
V2 = {"HTTP_X_SPEKE_VERSION": "2.0"}


@pytest.fixture(scope="module")
def responder(program):
    """One worker and no database: enough for all that needs none. A stall would be seen."""
    made = Responder(program, {"body_timeout": 1})
    made.listen()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def store(program, site):
    """One worker with the database and the KEK of the shared site."""
    made = Responder(program, {**site.settings, "body_timeout": 1})
    made.listen()
    made.site = site
    yield made
    made.stop()


def document(**more):
    return d.simple_v2((d.WIDEVINE,), **more).bytes()


def exchange(where, body=None, path=KEYS, **more):
    body = document() if body is None else body
    return where.fetch(path, body=body, user="encoder", **{**V2, **more})


# -- paths -----------------------------------------------------------------------------------------

KNOWN = ["/copyProtection", "/v1.0/copyProtection", "/v2.0/copyProtection", "/v2.1/copyProtection"]


@pytest.mark.parametrize("mount", ["", "/speke", "/a/b-c/speke.fcgi", "/caf%C3%A9"])
@pytest.mark.parametrize("path", KNOWN)
def test_the_exchange_is_found_wherever_it_is_mounted(responder, mount, path):
    answer = responder.fetch(mount + path, method="GET")
    assert (answer.status, answer.header("Allow")) == (405, "POST")
    assert responder.fetch(mount + path, body=b"x").status == 403  # nobody is logged in


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "POS", ""])
def test_other_methods_get_405_with_allow(responder, method):
    answer = responder.fetch(KEYS, method=method, user="encoder")
    assert (answer.status, answer.header("Allow")) == (405, "POST")
    assert answer.body == (b"" if method == "HEAD" else b"Method not allowed")
    if method not in ("GET", "HEAD"):
        for path in ("/speke/health", "/speke/v1.0/heartbeat"):
            answer = responder.fetch(path, method=method)
            assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/", "/speke", "/speke/", "/copyProtectionX", "/XcopyProtection", "/copyprotection",
     "/copyProtection/", "/v2.0/copyProtection/x", "/heartbeat", "/v2.0/heartbeat", "/health/",
     "/Health", "/xhealth", "/health;x", "/client/content/kid"],
)  # fmt: skip
def test_unknown_paths_get_404(responder, path):
    answer = responder.fetch(path)
    assert (answer.status, answer.text) == (404, "Not found")


@pytest.mark.parametrize(
    "path",
    ["//copyProtection", "/speke//copyProtection", "/speke/./copyProtection",
     "/health/../copyProtection", "/speke/x/../copyProtection", "/%2e%2e/copyProtection",
     "/speke/%2E/copyProtection", "/speke%2FcopyProtection", "/speke%2fhealth",
     "/speke\\copyProtection", "/speke/%5ccopyProtection", "/x%00/copyProtection",
     "/copyProtection%00", "/copyProtection%0a", "/%7f/health", "/%zz/health", "/health%",
     "/health%4", "/%2", "/health/.."],
)  # fmt: skip
def test_paths_that_could_be_read_in_two_ways_are_refused(responder, path):
    for method in ("GET", "POST"):
        answer = responder.fetch(path, method=method, user="encoder")
        assert (answer.status, answer.text) == (400, "Malformed path")


def test_a_path_is_decoded_once(responder):
    assert responder.fetch("/speke/he%61lth", method="PUT").status == 405
    assert responder.fetch("/speke/he%2561lth", method="PUT").status == 404


def test_a_query_is_no_part_of_the_path(responder):
    assert responder.fetch("/health?/copyProtection", method="PUT").header("Allow") == "GET, HEAD"
    assert responder.fetch("/nowhere?/../health").status == 404


def test_the_length_of_a_path_is_limited(responder):
    assert responder.fetch("/" + "x" * 2046).status == 404
    answer = responder.fetch("/" + "x" * 2047)
    assert (answer.status, answer.text) == (414, "Path longer than 2047 bytes")


def test_without_a_request_uri_the_script_and_its_path_count(responder):
    def ask(**more):
        return responder.fetch(None, method="PUT", **more).status

    assert ask(REQUEST_URI=None, SCRIPT_NAME="/cgi-bin/speke.fcgi", PATH_INFO="/health") == 405
    assert ask(REQUEST_URI=None, SCRIPT_NAME="/speke/health") == 405
    assert ask(REQUEST_URI="http://keys.example/nowhere", SCRIPT_NAME="/health") == 405
    assert ask(REQUEST_URI="*", SCRIPT_NAME="", PATH_INFO="") == 404
    assert ask(REQUEST_URI=None, SCRIPT_NAME="/x", PATH_INFO="/../health") == 400
    assert ask(REQUEST_URI=None, SCRIPT_NAME="/x", PATH_INFO="/he%61lth") == 404


# -- who asks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{}, {"user": ""}, {"HTTP_AUTHORIZATION": "Basic ZW5jb2RlcjpzZWNyZXQ="},
     {"HTTP_REMOTE_USER": "encoder"}, {"REDIRECT_REMOTE_USER": "encoder"},
     {"AUTHENTICATE_USER": "encoder"}],
    ids=str,
)  # fmt: skip
def test_without_remote_user_nobody_gets_a_key(responder, more):
    answer = responder.fetch(KEYS, body=b"<x/>", **more)
    assert (answer.status, answer.text) == (403, "Forbidden")
    line = responder.log_text().splitlines()[-1]
    assert "Require valid-user" in line and "auth.require" in line and "REMOTE_USER" in line


def test_the_authorization_header_is_never_logged(responder):
    responder.fetch(KEYS, body=b"<x/>", user="encoder", HTTP_AUTHORIZATION="Basic c2VjcmV0LXdvcmQ=")
    assert "c2VjcmV0LXdvcmQ=" not in responder.log_text()


# -- answers ---------------------------------------------------------------------------------------


def test_heartbeat_and_health(responder, store):
    answer = responder.fetch("/speke/v1.0/heartbeat")
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    away = responder.fetch("/speke/health")
    assert (away.status, away.text) == (503, "database")
    assert int(away.header("Retry-After")) > 0
    ready = store.fetch("/speke/health")
    assert (ready.status, ready.text, ready.header("Retry-After")) == (200, "ready", None)


def test_every_answer_is_kept_out_of_caches(responder):
    for path in ("/health", "/v1.0/heartbeat", "/nowhere", "//", KEYS):
        answer = responder.fetch(path)
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Content-Length") == str(len(answer.body))
        assert len({name for name, _ in answer.headers}) == len(answer.headers)


def test_head_is_get_without_a_body(responder):
    for path in ("/health", "/v1.0/heartbeat"):
        got, head = responder.fetch(path), responder.fetch(path, method="HEAD")
        assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


def test_an_exchange_is_answered_with_its_headers(store):
    answer = exchange(store)
    assert (answer.status, answer.header("Content-Type")) == (200, "application/xml")
    assert answer.header("X-Speke-Version") == "2.0"
    assert answer.header("X-Speke-User-Agent").startswith("speke-fcgi/")
    assert len(d.Document.parse(answer.body).all("PlainValue")) == 0  # it is pskc's
    assert answer.body.count(b"PlainValue>") == 4
    assert answer.header("Content-Length") == str(len(answer.body))


def test_speke_1_has_its_own_headers(store):
    body = d.request_v1([d.WIDEVINE]).bytes()
    answer = store.fetch("/v1.0/copyProtection", body=body, user="encoder")
    assert answer.status == 200
    assert answer.header("Speke-User-Agent").startswith("speke-fcgi/")
    assert answer.header("X-Speke-Version") is None
    assert answer.header("X-Speke-User-Agent") is None


@pytest.mark.parametrize("value", ["", "2.00", " 2.0", "2.0, 2.0", "3.0", "2.0\r\nX-Evil: 1", "é"])
def test_a_version_that_is_not_known_is_not_echoed(store, value):
    answer = exchange(store, HTTP_X_SPEKE_VERSION=value)
    assert (answer.status, answer.text) == (422, "Unsupported SPEKE version")
    assert answer.header("X-Speke-Version") is None
    assert answer.header("X-Evil") is None


def test_an_error_is_one_line_without_a_newline(store):
    answer = exchange(store, d.simple_v2().set("CPIX", "contentId", None).bytes())
    assert answer.status == 422
    assert answer.body.isascii() and len(answer.body.splitlines()) == 1
    assert not answer.body.endswith(b"\n")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("X-Speke-Version") == "2.0"


def test_each_request_is_one_line_in_the_log(store):
    def lines_of(ask):
        before = len(settled_log(store.log).splitlines())
        ask()
        return [x for x in settled_log(store.log).splitlines()[before:] if "us=" in x]

    (line,) = lines_of(lambda: exchange(store))
    assert re.search(rf"info: POST {KEYS} 200 client=encoder version=2\.0 us=\d+", line)
    (line,) = lines_of(lambda: exchange(store, b"<x/>"))
    assert re.search(rf"notice: POST {KEYS} 400 client=encoder version=2\.0 us=\d+ \S", line)
    (line,) = lines_of(lambda: store.fetch(KEYS, body=b"<x/>", user="no\none"))
    assert r"client=no\x0aone" in line


# -- the URL that players are told -------------------------------------------------------------------


@pytest.mark.parametrize(
    "more, base",
    [
        ({"HTTP_HOST": "drm.example:8443"}, "https://drm.example:8443/speke"),
        ({"HTTP_HOST": "[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443/speke"),
        ({"HTTP_HOST": "a.example", "HTTPS": None}, "http://a.example/speke"),
        (
            {"HTTP_HOST": "a.example", "HTTPS": None, "REQUEST_SCHEME": "https"},
            "https://a.example/speke",
        ),
        ({}, "https://keys.example/speke"),
        ({"SERVER_PORT": "8443"}, "https://keys.example:8443/speke"),
        ({"HTTPS": None, "SERVER_PORT": "80"}, "http://keys.example/speke"),
        ({"SERVER_NAME": "2001:db8::1"}, "https://[2001:db8::1]/speke"),
        ({"HTTP_HOST": 'x"><script>', "SERVER_PORT": "443"}, "https://keys.example/speke"),
        ({"HTTP_HOST": "user@evil.example"}, "https://keys.example/speke"),
        ({"HTTP_HOST": "a/b"}, "https://keys.example/speke"),
        ({"HTTP_HOST": "", "SERVER_NAME": "x y"}, "https://localhost/speke"),
        ({"HTTP_HOST": "a.example", "path": "/copyProtection"}, "https://a.example"),
        (
            {"HTTP_HOST": "a.example", "path": "/a%20b/caf%C3%A9/v2.1/copyProtection"},
            "https://a.example/a%20b/caf%C3%A9",
        ),
    ],
    ids=str,
)
def test_the_key_url_comes_from_the_request(store, more, base):
    more = {"path": "/speke/v1.0/copyProtection", **more}
    body = d.request_v1([d.HLS_AES_128]).bytes()
    answer = store.fetch(more.pop("path"), body=body, user="encoder", **more)
    assert answer.status == 200
    uri = d.Document.parse(answer.body).one("URIExtXKey").text
    text = base64.b64decode(uri).decode()
    assert text.startswith(f"{base}/client/"), text


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 4096, 65527, 65528, 65535])
def test_a_body_may_come_in_records_of_any_size(store, size):
    body = document()
    body += b" " * (70000 - len(body)) if size > 4096 else b""
    parameters = f.variables(KEYS, "POST", "encoder", len(body), **V2)
    with f.Connection(store.socket) as connection:
        connection.send(f.request_bytes(parameters, body, size=size))
        assert connection.answer().status == 200


@pytest.mark.parametrize("size", [65527, 65528, 65535, 65536, 65537, MIB])
def test_a_body_near_the_edges_is_read_whole(store, size):
    body = document()
    assert exchange(store, body + b"\n" * (size - len(body))).status == 200


def test_records_may_be_padded_and_parameters_split(store):
    body = document()
    data = f.name_values(f.variables(KEYS, "POST", "encoder", len(body), **V2))
    with f.Connection(store.socket) as connection:
        connection.send(f.begin())
        for i in range(0, len(data), 3):
            connection.send(f.record(f.PARAMS, data[i : i + 3], padding=i % 256))
        connection.send(f.record(f.PARAMS))
        for i in range(0, len(body), 501):
            connection.send(f.record(f.STDIN, body[i : i + 501], padding=i % 9))
        connection.send(f.record(f.STDIN))
        assert connection.answer().status == 200


def refused(store, status, text, **more):
    """The answer is that, the audit has it, and the next request is served."""
    body = more.pop("body", None)
    answer = exchange(store, body, **more)
    assert (answer.status, answer.text) == (status, text)
    row = store.site.last_refusal()
    assert (row["status"], row["remote_user"], row["detail"]) == (status, "encoder", text)
    assert store.heartbeat().status == 200


def test_a_body_above_the_limit_gets_413(store):
    text = f"Request body larger than {MIB} bytes"
    refused(store, 413, text, body=b"x" * (MIB + 1))
    refused(store, 413, text, body=b"x" * (2 * MIB))
    refused(store, 413, text, body=b"x" * (2 * MIB), length="")
    refused(store, 413, text, body=b"", length=str(10**30))


def test_a_body_that_is_not_announced_is_read_to_its_end(store):
    assert exchange(store, length="").status == 200


def test_a_body_that_is_not_as_long_as_announced_gets_400(store):
    body = document()
    n = len(body)
    refused(store, 400, "Request body is shorter than its Content-Length", length=n + 1, body=body)
    refused(store, 400, "Request body is longer than its Content-Length", length=n - 1, body=body)
    refused(store, 400, "Request body is longer than its Content-Length", length=0, body=body)


@pytest.mark.parametrize("value", ["-1", "+5", "0x10", "1e3", "12 ", " 12", "12,12", "twelve"])
def test_a_length_that_is_no_number_gets_400(store, value):
    refused(store, 400, "Content-Length is no number", length=value)


def test_a_client_that_is_not_known_gets_403_before_anything_else(store):
    answer = store.fetch(KEYS, body=b"x" * (MIB + 1), user="nobody-we-know", **V2)
    assert answer.status == 403


def test_a_body_that_stops_coming_gets_408(store):
    body = document()
    data = f.request_bytes(f.variables(KEYS, "POST", "encoder", len(body), **V2), body)
    with f.Connection(store.socket) as connection:
        connection.send(data[: -len(body) // 2])
        start = time.monotonic()
        answer = connection.answer()
        assert 0.9 < time.monotonic() - start < 3
    assert (answer.status, answer.text) == (408, "Request body did not arrive in time")
    assert store.site.last_refusal()["status"] == 408
    assert store.heartbeat().status == 200


def test_a_body_that_trickles_gets_408(store):
    body = document()
    parameters = f.variables(KEYS, "POST", "encoder", len(body), **V2)
    with f.Connection(store.socket) as connection:
        connection.send(f.begin() + f.stream(f.PARAMS, f.name_values(parameters)))
        start = time.monotonic()
        while not f.readable(connection, 0.3):
            assert time.monotonic() - start < 10
            connection.send(f.record(f.STDIN, b"x"))
        assert connection.answer().status == 408
        assert time.monotonic() - start < 4


def test_a_body_that_is_broken_off_gets_nothing(store):
    body = document()
    data = f.request_bytes(f.variables(KEYS, "POST", "encoder", len(body), **V2), body)
    for end in (b"", f.record(f.ABORT)):
        before = store.site.counts()
        with f.Connection(store.socket) as connection:
            connection.send(data[: -len(body) // 2 - 16] if not end else data[:-8] + end)
        wait_until(
            lambda: store.site.counts()["refusals"] == before["refusals"] + 1, 5, "the refusal"
        )
        assert store.site.counts() == {**before, "refusals": before["refusals"] + 1}
        assert store.site.last_refusal()["status"] == 400


SERVERS = ["Apache/2.4.71", "lighttpd/1.4.69"]  # a long answer goes to the two in different ways


@pytest.mark.parametrize("server", SERVERS)
def test_a_long_answer_arrives_whole(store, server):
    wanted = d.many_keys(100)
    answer = exchange(store, wanted.bytes(), SERVER_SOFTWARE=server)
    assert answer.status == 200
    assert answer.header("Content-Length") == str(len(answer.body))
    assert d.Document.parse(answer.body).kids == wanted.kids


@pytest.mark.parametrize("server", SERVERS)
def test_an_answer_that_nobody_takes_does_not_hold_the_worker(store, server):
    """Larger than what the sockets hold, so that the worker has to wait for its peer."""
    body = d.many_keys(100).bytes()
    parameters = f.variables(
        KEYS, "POST", "encoder", len(body), SERVER_SOFTWARE=server, **V2
    )
    before = store.log_text().count("did not take the answer")
    with f.Connection(store.socket) as connection:
        connection.send(f.request_bytes(parameters, body))
        start = time.monotonic()
        assert store.heartbeat().status == 200
        assert time.monotonic() - start < 6
    wait_until(
        lambda: store.log_text().count("did not take the answer") == before + 1, 5, "the log line"
    )


# -- connections -----------------------------------------------------------------------------------


def test_a_connection_is_closed_even_when_it_should_be_kept(responder):
    """One worker: a connection that were kept would hold it, and the other would never be served."""
    with f.Connection(responder.socket) as first, f.Connection(responder.socket) as second:
        for connection in (first, second):
            data = f.request_bytes(f.variables("/v1.0/heartbeat"), flags=f.KEEP_CONNECTION)
            connection.send(data)
        for connection in (first, second):
            assert connection.answer().status == 200
            assert connection.closed()


def test_a_silent_connection_does_not_hold_the_worker(responder):
    with f.Connection(responder.socket) as silent:
        start = time.monotonic()
        assert responder.heartbeat().status == 200
        assert time.monotonic() - start < 4
        assert silent.closed()


def test_parameters_that_break_off_are_no_request(responder):
    data = f.request_bytes(f.variables("/v1.0/heartbeat"))
    for end in (4, 12, 20, 40, len(data) - 30, len(data) - 20):
        with f.Connection(responder.socket) as connection:
            connection.send(data[:end])
            connection.socket.shutdown(1)
            assert connection.closed(), f"{end} bytes were answered"
    assert responder.heartbeat().status == 200


def test_parameters_that_stall_do_not_hold_the_worker(responder):
    with f.Connection(responder.socket) as connection:
        connection.send(f.begin() + f.record(f.PARAMS, b"\x0e\x03REQUEST"))
        start = time.monotonic()
        assert responder.heartbeat().status == 200
        assert time.monotonic() - start < 4
        assert connection.closed()


def test_other_roles_are_refused(responder):
    for role in (f.AUTHORIZER, 3):
        with f.Connection(responder.socket) as connection:
            parameters = f.name_values(f.variables("/v1.0/heartbeat"))
            connection.send(f.begin(role=role) + f.stream(f.PARAMS, parameters) + f.record(f.STDIN))
            assert connection.answer().protocol_status == 3  # FCGI_UNKNOWN_ROLE
    assert responder.heartbeat().status == 200


def test_the_request_id_is_the_peer_s(responder):
    for number in (1, 255, 256, 65535):
        with f.Connection(responder.socket) as connection:
            data = f.request_bytes(f.variables("/v1.0/heartbeat"), request_id=number)
            connection.send(data)
            assert connection.answer(number).text == "OK"


def test_rubbish_does_no_harm(responder):
    """Whatever arrives, the next request is served, if need be by the next worker."""
    rng = random.Random(20240607)
    good = f.request_bytes(f.variables(KEYS, "POST", "encoder", 2000), b"x" * 2000)
    for turn in range(300):
        data = bytearray(good)
        if turn % 3 == 0:
            data = bytearray(rng.randbytes(rng.randrange(1, 400)))
        else:
            for _ in range(rng.randrange(1, 12)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        with f.Connection(responder.socket) as connection:
            try:
                connection.send(bytes(data))
                connection.socket.shutdown(1)
                while connection.socket.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    wait_until(responder.answers, 5, "an answer")


def test_memory_stays_flat(responder):
    def turn():
        for path in ("/health", "/v1.0/heartbeat", "//", KEYS):
            responder.fetch(path)
        responder.fetch(KEYS, body=b"x" * 100000, user="encoder")
        responder.fetch(KEYS, body=b"x" * (MIB + 1), user="encoder")

    pid = children(responder.processes[0].pid)[0]
    for _ in range(20):
        turn()
    before = resident_kib(pid)
    for _ in range(150):
        turn()
    assert [pid] == children(responder.processes[0].pid)
    assert resident_kib(pid) - before < 300, "KiB in 900 requests"


# -- --check-config, and what the manual says --------------------------------------------------------


@pytest.fixture
def checked(program, site):
    """Runs --check-config as the program's user on the site's settings with changes to them; gives
    the exit code and the lines."""
    where = Responder(program)

    def check(**changes):
        where.settings = {**site.settings, **changes}
        where.write_settings()
        command = [program, "--check-config", "--config", where.config]
        done = run(command, user=USER, check=False)
        return done.returncode, done.stdout.replace(where.config, "FILE").splitlines()

    yield check
    where.stop()


def test_check_config_says_that_all_is_well(checked):
    assert checked() == (0, ["FILE: ready"])


def test_check_config_says_what_is_wrong(checked):
    code, lines = checked(kek_file="/nonexistent/kek")
    assert (code, len(lines)) == (1, 1) and "/nonexistent/kek" in lines[0]
    code, lines = checked(kek_file="/nonexistent/kek", database="host=/nonexistent")
    assert (code, len(lines)) == (1, 2), "the KEK file and the database, a line each"
    assert "/nonexistent/kek" in lines[0] and "database" in lines[1]
    code, lines = checked(max_body="12 apples")
    assert (code, len(lines)) == (1, 1) and "max_body" in lines[0]
    code, lines = checked(secure_heap="65537")
    assert (code, len(lines)) == (1, 1) and "secure_heap" in lines[0]
    code, lines = checked(no_such_setting="1")
    assert (code, len(lines)) == (1, 1) and "no_such_setting" in lines[0]


def settings_in_help(program):
    """{name: default} as --help prints them."""
    text = run([program, "--help"]).stdout.split("Settings, ", 1)[1]
    return dict(re.findall(r"^  (\w+) .*\n +Default: (.*)$", text, re.M))


def test_the_manual_names_every_setting_with_its_default(program):
    """Two defaults depend on the build; the manual describes these."""
    described = {
        "kek_file": (r"/.*/speke-fcgi/kek", "speke-fcgi/kek below the configuration directory"),
        "user_agent": (r"speke-fcgi/[\d.]+", "speke-fcgi/ and the version of the program"),
    }
    with open(os.path.join(TOP, "doc", "speke.conf.5"), encoding="utf-8") as page:
        manual = page.read()
    written = dict(re.findall(r"^\.It Ic (\w+)\n(?:(?!\.It ).*\n)*?\.br\nDefault: (.*)$", manual, re.M))
    printed = settings_in_help(program)
    assert len(printed) > 10
    for name, (pattern, words) in described.items():
        assert re.fullmatch(pattern, printed[name])
        printed[name] = words
    assert written == printed


def test_the_manual_names_every_option(program):
    with open(os.path.join(TOP, "doc", "speke.fcgi.8"), encoding="utf-8") as page:
        manual = page.read()
    for option in re.findall(r"--([a-z-]+)", run([program, "--help"]).stdout.split("SIGTERM")[0]):
        assert re.search(rf"^\.It Fl (\w , Fl )?-{option}( Ar \w+)?$", manual, re.M), option
