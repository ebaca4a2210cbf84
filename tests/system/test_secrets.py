# SPDX-License-Identifier: Apache-2.0
"""Where keys must not be: the database, its files, logs, temporary files, cores. What was given to
a client is looked for in raw, hexadecimal (either case) and base64."""
import base64
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from harness import documents as d
from harness import sealed
from harness.answers import check_v1, check_v2
from harness.delivery import ask, recipient
from harness.http import Raw
from harness.process import ROOT, children, log_text, run, wait_until
from harness.web import USER


def needles(key):
    """The forms in which 16 bytes could lie somewhere, named."""
    text = base64.b64encode(key)
    return {
        "raw": key,
        "hex": key.hex().encode(),
        "HEX": key.hex().upper().encode(),
        # The characters that do not depend on what stands before and after the key.
        "base64": text[:21],
        "base64url": base64.urlsafe_b64encode(key)[:21],
        "base64 +1": base64.b64encode(b"\0" + key + b"\0")[4:22],
        "base64 +2": base64.b64encode(b"\0\0" + key)[4:24],
    }


def search(secrets, name, data):
    """Complaints about secrets (name -> bytes of a form) found in data."""
    return [f"{form} in {name}" for form, needle in secrets.items() if needle in data]


def files_below(*directories):
    for directory in directories:
        for folder, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path


def fresh_files_below(directory, since):
    """Those of a folder that others use, too: written since then, and on its own file system."""
    device = os.stat(directory).st_dev
    for folder, folders, names in os.walk(directory):
        folders[:] = [f for f in folders if os.lstat(os.path.join(folder, f)).st_dev == device]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(os.path.join(folder, name))
                if stat.S_ISREG(status.st_mode) and max(status.st_mtime, status.st_ctime) >= since:
                    yield os.path.join(folder, name)


def read(path):
    """Contents of a file; nothing of one that has gone or that the system keeps from us."""
    try:
        with open(path, "rb") as data:
            return data.read()
    except (FileNotFoundError, PermissionError):
        return b""


def all_secrets(site):
    """Everything that must not lie about: the content keys and the KEKs, in each form."""
    return {**all_needles(site.keys), **kek_needles(site)}


def kek_needles(site):
    """KEKs by their first half, which is as long as a content key."""
    return {f"{form} of KEK {v}": n for v, kek in site.keks.items() for form, n in needles(kek[:16]).items()}


def all_needles(keys):
    return {f"{form} of key {i}": n for i, key in enumerate(keys) for form, n in needles(key).items()}


@pytest.fixture(scope="module")
def used_site(install, run_directory):
    """Everything logs all that it can; some exchanges of every kind were made on every server."""
    from harness.site import Site

    site = Site(
        install,
        os.path.join(run_directory, "secrets"),
        workers=2,
        settings={"log_level": "debug"},
        postgres={
            "log_statement": "all",
            "log_min_messages": "debug1",
            "log_min_duration_statement": "0",
            "log_parameter_max_length": "-1",
            "log_parameter_max_length_on_error": "-1",
            "log_error_verbosity": "verbose",
            "log_temp_files": "0",
            "shared_preload_libraries": "'pg_stat_statements,auto_explain'",
            "pg_stat_statements.track": "all",
            "pg_stat_statements.track_utility": "on",
            "auto_explain.log_min_duration": "0",
            "auto_explain.log_analyze": "on",
            "auto_explain.log_verbose": "on",
            "auto_explain.log_nested_statements": "on",
            "auto_explain.log_parameter_max_length": "-1",
        },
        web_log_level="debug",
    )
    try:
        site.start()
        site.query("CREATE EXTENSION pg_stat_statements SCHEMA public")
        site.keys = []
        for kind in site.WEB_KINDS:
            with site.web(kind).client() as client:
                site.keys += make_exchanges(client)
        # The KEKs pass through spekectl, too: two more, of which one seals the keys anew.
        site.ctl("kek", "create", "--version", "2", user="op")
        site.ctl("kek", "rewrap", user="op")
        site.ctl("kek", "create", "--version", "3", "--inactive", user="op")
        site.keks = sealed.read_kek_file(site.kek)
        yield site
    finally:
        site.stop()


def make_exchanges(client):
    """Good ones, repeated ones, and failing ones after good ones; returns the keys."""
    keys = []
    for systems in ((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), (d.CLEAR_KEY,)):
        request = d.simple_v2(systems)
        for _ in range(2):
            answer = client.post(request)
            assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
        keys += check_v2(answer.body, request, client.base).key.values()
        bad = request.copy().set("ContentKeyUsageRule", "kid", d.new_kid(), 0)
        assert client.post(bad).status == 422, "a malformed contract"
    request = d.request_v1([d.WIDEVINE, d.PLAYREADY])
    answer = client.post(request, speke=None)
    assert answer.status == 200, f"v1: {answer.status} {answer.text[:200]!r}"
    keys += check_v1(answer.body, request, client.base).key.values()
    # An answer sent back as a request: it carries a key in PlainValue, and a fault.
    spoiled = d.Document.parse(answer.body).set("DRMSystem", "systemId", "x")
    client.post(spoiled, speke=None)
    return keys


def test_the_search_finds(tmp_path):
    """The search itself: each form is found when it is there."""
    key = os.urandom(16)
    for form, needle in needles(key).items():
        path = tmp_path / "file"
        path.write_bytes(os.urandom(1000) + needle + os.urandom(1000))
        hits = [hit for f in files_below(tmp_path) for hit in search(all_needles([key]), f, read(f))]
        assert any(hit.startswith(f"{form} of") for hit in hits), f"{form} was not found"
    for shift in range(3):
        text = base64.b64encode(os.urandom(30 + shift) + key + os.urandom(9))
        assert search(all_needles([key]), "x", text), f"not found inside base64 at {30 + shift}"


def test_database_dump(used_site):
    """A dump holds every row and no usable key."""
    dump = used_site.pg.dump()
    assert dump.count(b"release") >= len(used_site.keys) // 2, "the dump must hold the audit rows"
    found = search(all_secrets(used_site), "the dump", dump)
    assert not found, f"keys in the dump: {found}"


def test_database_files(used_site):
    """Tables, indexes and write-ahead log."""
    used_site.query("CHECKPOINT")
    secrets = all_secrets(used_site)
    found, size = [], 0
    for path in files_below(used_site.pg.data):
        data = read(path)
        size += len(data)
        found += search(secrets, path, data)
    assert size > 10_000_000, f"only {size} bytes of database files were read"
    assert not found, f"keys in database files: {found}"


def test_logs(used_site):
    """Web servers, responder at level debug, PostgreSQL with every statement and parameter."""
    statements = log_text(used_site.pg.log)
    assert "acquire" in statements, "PostgreSQL must have logged the statements"
    assert "parameters" in statements, "PostgreSQL must have logged the parameters"
    assert "Query Text:" in statements and "rewrap_store" in statements, "auto_explain must have logged"
    assert len(used_site.log_text().splitlines()) > 10, "the responder must have logged something"
    found, secrets = [], all_secrets(used_site)
    for name, text in used_site.logs().items():
        found += search(secrets, f"the log of {name}", text.encode())
    for password in used_site.password.values():
        if password != used_site.password["webauth"]:  # CREATE ROLE of the test itself
            found += search({"password": password.encode()}, "logs", "".join(used_site.logs().values()).encode())
    assert not found, f"keys in logs: {found}"


def test_statement_statistics(used_site):
    """pg_stat_statements, which keeps the texts of statements; its file is among the others."""
    rows = used_site.query("SELECT query FROM public.pg_stat_statements")
    text = "\n".join(row["query"] for row in rows)
    assert "acquire" in text and "rewrap_store" in text, "the statistics must know the statements"
    assert not search(all_secrets(used_site), "pg_stat_statements", text.encode())


def test_every_other_file(used_site):
    """Whatever else lies in the installation's directory: uploads, sockets' folders, settings."""
    found, secrets = [], all_needles(used_site.keys)
    for path in files_below(used_site.directory):
        found += search(secrets, path, read(path))
    since = os.stat(used_site.certificate).st_mtime  # made before there was a key
    for directory in ("/var/tmp", "/dev/shm"):
        for path in fresh_files_below(directory, since):
            found += search(secrets, path, read(path))
    assert not found, f"keys in files: {found}"


def test_no_cores_and_no_tracing(used_site):
    """A worker makes no core file, and its memory is not another process's to read."""
    for pid in used_site.worker_pids():
        with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
            line = next(line for line in limits if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], f"core limits of a worker: {line!r}"
        # A process that is not dumpable has its /proc files owned by root.
        owner = os.stat(f"/proc/{pid}/mem").st_uid
        assert owner == 0, f"worker {pid} is dumpable: /proc/PID/mem belongs to {owner}"


def test_command_lines_and_environments(used_site):
    """argv and environment are read by everybody and by root's tools."""
    secrets = all_needles(used_site.keys)
    with open(used_site.kek, encoding="ascii") as kek:
        secrets["KEK"] = next(l for l in kek if l[0].isdigit()).split()[1].encode()
    found = []
    for pid in [used_site.responder.pid, *used_site.worker_pids()]:
        for name in ("cmdline", "environ"):
            found += search(secrets, f"{name} of {pid}", read(f"/proc/{pid}/{name}"))
    assert not found, f"secrets where everybody reads: {found}"


# --- answers that nobody fetches ------------------------------------------------------------------


class FileWatch:
    """Polls the open files of a server for regular files that come and go: a temporary file is
    seen also when it has been unlinked already, and its contents are taken."""

    def __init__(self, web, *directories):
        self.web, self.directories = web, directories
        self.seen, self.over = {}, threading.Event()
        self.known = {*self._paths()}
        self.thread = threading.Thread(target=self._run)

    def _paths(self):
        for pid in self.web.pids():
            folder = f"/proc/{pid}/fd"
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                try:
                    target = os.readlink(f"{folder}/{name}")
                    if target.startswith("/") and os.path.isfile(f"{folder}/{name}"):
                        yield f"{pid}:{target}", f"{folder}/{name}"
                except OSError:
                    continue

    def _take(self, key, path):
        data = read(path)
        if len(data) >= len(self.seen.get(key, b"")):
            self.seen[key] = data

    def _look(self):
        for key, path in self._paths():
            if (key, path) not in self.known:
                self._take(key, path)
        for path in files_below(*self.directories):
            self._take(path, path)

    def _run(self):
        while not self.over.is_set():
            self._look()
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def fetch_slowly(client, request, size_wanted):
    """Asks, reads nothing for a while, then all of it."""
    data = request.bytes()
    with Raw(client, receive_buffer=2048) as raw:
        raw.send(raw.head(headers=[f"Content-Length: {len(data)}"]) + data)
        time.sleep(1.0)
        answer = raw.receive()
    assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
    assert len(answer.body) >= size_wanted, f"the answer has only {len(answer.body)} bytes"
    return list(check_v2(answer.body, request).key.values())


@pytest.mark.parametrize("kind", ["lighttpd", "lighttpd-spawn", "apache", "apache-fcgid", "apache-cgi"])
def test_slow_reader_leaves_no_file(used_site, kind):
    """An answer for ten keys, which nobody fetches for a second, and one for a hundred, do not go
    through a file."""
    web = used_site.web(kind)
    with web.client() as client:
        client.login()
        with FileWatch(web, web.uploads) as watch:
            keys = fetch_slowly(client, d.many_keys(10), 60000)
            keys += fetch_slowly(client, d.many_keys(100), 600000)
    secrets = all_needles(keys)
    found = [hit for name, data in watch.seen.items() for hit in search(secrets, name, data)]
    assert not found, f"keys in temporary files: {found}"
    answers = [name for name, data in watch.seen.items() if b"PlainValue" in data]
    assert not answers, f"answers in temporary files: {answers}"


def test_the_watch_sees_a_spilled_answer(used_site):
    """Control: without the recipe's line about streaming lighttpd does write the answer to disk,
    and the watch sees it."""
    web = used_site.new_web(
        "lighttpd",
        name="control",
        edit=lambda text: text.replace("server.stream-response-body = 2", ""),
    )
    try:
        with web.client() as client:
            client.login()
            with FileWatch(web, web.uploads) as watch:
                keys = fetch_slowly(client, d.many_keys(100), 600000)
        secrets = all_needles(keys)
        found = [hit for name, data in watch.seen.items() for hit in search(secrets, name, data)]
        sizes = {name: len(data) for name, data in watch.seen.items()}
        assert found, f"the watch saw no spilled answer; it saw {sizes}"
    finally:
        web.stop()
        del used_site.webs["control"]


def exchanges_in_every_worker(site):
    """Exchanges of each kind, often enough that every worker has served some; their keys."""
    keys = []
    for kind in ("lighttpd", "apache"):
        with site.web(kind).client() as client:
            for _ in range(2 * site.workers):
                keys += make_exchanges(client)
                request = d.many_keys(5)
                answer = client.post(request)
                assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
                keys += check_v2(answer.body, request).key.values()
                encrypted = ask(d.simple_v2(), recipient().certificate)
                answer = client.post(encrypted)
                assert answer.status == 200 and b"PlainValue" not in answer.body, answer.text[:200]
                keys += site.stored_keys(encrypted.content_id).values()
    return keys


@pytest.mark.skipif(not ROOT or not shutil.which("gcore"), reason="a worker's core needs root and gdb")
def test_core_of_a_worker(used_site, tmp_path):
    """A core that root forces, with the mappings that are left out of cores: no content key, in any
    form. The KEKs are in the secure heap and nowhere else, and a core that leaves out what is
    to be left out has none of them."""
    site = used_site
    keys = exchanges_in_every_worker(site)
    assert len(keys) > 50
    content, keks = all_needles(keys), kek_needles(site)
    raw = {name: needle for name, needle in keks.items() if name.startswith("raw")}
    seen = 0
    for pid in site.worker_pids():
        whole, usual = (core_of(pid, tmp_path, *options) for options in (["-a"], []))
        assert len(whole) > 1_000_000
        assert not search(content, f"core of {pid}", whole), search(content, f"core of {pid}", whole)
        seen += len(search(raw, "core", whole))
        text = {name: needle for name, needle in keks.items() if name not in raw}
        assert not search(text, "core", whole), "the text of the KEK file is left"
        assert not search(keks, "core", usual), "a KEK outside what is left out of cores"
        for name, data in regions_of(pid):
            if search(raw, name, data):
                assert "dd" in flags_of(pid, name) and "lo" in flags_of(pid, name), (
                    f"a KEK in {name}, which is not locked or not left out of cores: {flags_of(pid, name)}"
                )
    assert seen, "control: the search finds the KEKs in a worker that uses them"


def core_of(pid, directory, *options):
    run(["gcore", *options, "-o", str(directory / "core"), str(pid)])
    path = directory / f"core.{pid}"
    data = path.read_bytes()
    path.unlink()
    return data


def flags_of(pid, span):
    """VmFlags of a mapping: "lo" locked, "dd" not in cores."""
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as lines:
        here = False
        for line in lines:
            if line.split()[0] == span:
                here = True
            elif here and line.startswith("VmFlags:"):
                return line.split()[1:]
    return []


@pytest.mark.skipif(not ROOT or not USER, reason="runs spekectl as another user")
def test_spekectl_makes_no_core(used_site):
    """Nor is its memory another process's to read, while it works with keys."""
    site = used_site
    site.ctl("kek", "activate", "3", user="op")
    child = subprocess.Popen(
        ["/usr/sbin/runuser", "-u", USER, "--", site.install.spekectl, "--config", site.config,
         "--db", site.pg.dsn(user="op"), "kek", "rewrap", "--batch", "1", "--pause", "60000"],
        env={"PATH": "/usr/bin:/bin"},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        sql = "SELECT count(*) AS n FROM speke.content_key WHERE kek_version = 3"
        wait_until(lambda: site.query(sql)[0]["n"] == 1, 10, "the first key")
        pid = next(p for p in [child.pid, *children(child.pid)] if "spekectl" in os.readlink(f"/proc/{p}/exe"))
        with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
            line = next(line for line in limits if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, "spekectl is dumpable"
        content = all_needles(site.keys)
        for name, data in regions_of(pid):
            assert not search(content, name, data), f"a content key is left in {name}"
    finally:
        for pid in children(child.pid):
            os.kill(pid, signal.SIGKILL)
        child.kill()
        child.wait()


def regions_of(pid):
    """(span, contents) of the writable regions of a process."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(
        f"/proc/{pid}/mem", "rb", 0
    ) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            if "w" not in mode or "[vvar]" in line:
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(begin)
                yield span, memory.read(end - begin)
            except OSError:
                continue  # a guard page
