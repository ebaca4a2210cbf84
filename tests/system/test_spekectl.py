# SPDX-License-Identifier: Apache-2.0
"""spekectl from outside: exit codes, files, passwords, and a SPEKE client against real servers and
against one that answers wrongly."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest
import requests
from requests.auth import HTTPDigestAuth

from harness.postgres import Cluster
from harness.process import ROOT, Process, free_port, port_open, run, wait_until
from harness.site import TOP

DONE, FAILED, USAGE, REFUSED, UNAVAILABLE = range(5)
PASSWORD = "correct horse: battery staple"
KEK_LINE = re.compile(r"^(\d+) ([A-Za-z0-9+/]{43}=)$", re.MULTILINE)


class Ctl:
    """spekectl with a database, a settings file and an environment of its own."""

    def __init__(self, install, cluster, directory, database):
        self.install, self.cluster, self.database = install, cluster, database
        self.directory = directory
        self.kek = os.path.join(directory, "kek")
        self.users = os.path.join(directory, "users")
        self.config = os.path.join(directory, "speke.conf")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f"kek_file = {self.kek}\n")

    def dsn(self, user):
        return self.cluster.dsn(self.database, user)

    def __call__(self, *arguments, user="postgres", code=DONE, stdin="", environment=None):
        """Runs a subcommand, expects an exit code and gives back the finished process."""
        command = [self.install.spekectl, "--config", self.config]
        command += ["--db", self.dsn(user)] if user else []
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin", **(environment or {})},
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments, **more):
        return json.loads(self("--json", *arguments, **more).stdout)

    def init(self, *arguments, **more):
        return self("db", "init", "--sql-dir", self.install.sql, *arguments, **more)

    def query(self, sql, parameters=()):
        return self.cluster.query(sql, parameters, database=self.database)

    def leftovers(self):
        """Files in its directory that nobody asked for."""
        return sorted(set(os.listdir(self.directory)) - {"kek", "users", "speke.conf"})


@pytest.fixture(scope="module")
def cluster(run_directory):
    cluster = Cluster(os.path.join(run_directory, "spekectl-pg")).create().start()
    yield cluster
    cluster.stop()


@pytest.fixture
def empty(install, cluster, run_directory):
    """spekectl with an empty database."""
    name = f"ctl_{os.urandom(4).hex()}"
    directory = os.path.join(run_directory, name)
    os.makedirs(directory)
    os.chmod(directory, 0o755)
    cluster.query(f"CREATE DATABASE {name}", database="postgres")
    return Ctl(install, cluster, directory, name)


@pytest.fixture
def ctl(empty):
    """spekectl with a schema, roles, a KEK and a tenant."""
    empty.init()
    for role in ("operator", "auditor"):
        with contextlib.suppress(Exception):  # from the test before
            empty.query(f"CREATE ROLE {role}_login LOGIN IN ROLE speke_{role}")
    empty("kek", "create")
    empty("tenant", "add", "demo")
    return empty


# --- the schema ----------------------------------------------------------------------------------


def test_init_makes_roles_and_schema_and_is_idempotent(empty):
    first = empty.init()
    assert "migration 0001_tables.sql: running" in first.stdout
    second = empty.init()
    assert "nothing to do" in second.stdout and "running" not in second.stdout
    result = json.loads(empty.init("--json").stdout)
    assert result["applied"] == [] and result["privileges"] == "roles"
    versions = [row["version"] for row in empty.query("SELECT version FROM speke.schema_version ORDER BY 1")]
    assert versions == list(range(1, result["schema_version"] + 1))


def test_single_role_owns_everything_and_can_do_everything(empty):
    role = f"owner_{empty.database}"
    empty.query(f"CREATE ROLE {role} LOGIN")
    empty.query(f"ALTER DATABASE {empty.database} OWNER TO {role}")
    done = empty.init(user=role)
    assert "may not create any" in done.stdout and "one database role owns everything" in done.stdout
    owner = empty.query("SELECT nspowner::regrole::text AS owner FROM pg_namespace WHERE nspname = 'speke'")
    assert owner[0]["owner"] == role
    empty("kek", "create", user=role)
    empty("tenant", "add", "demo", user=role)
    empty("client", "add", "encoder", "--tenant", "demo", user=role)
    empty("status", user=role)


def test_single_role_option_leaves_roles_alone(empty):
    done = empty.init("--single-role")
    assert "left alone" in done.stdout


def test_two_inits_at_once_both_succeed(empty):
    command = [empty.install.spekectl, "--config", empty.config, "--db", empty.dsn("postgres"),
               "db", "init", "--sql-dir", empty.install.sql]  # fmt: skip
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    for one in both:
        text, _ = one.communicate(timeout=60)
        assert one.returncode == DONE, text


def test_status_tells_a_missing_schema(empty):
    done = empty("db", "status", "--sql-dir", empty.install.sql, code=FAILED)
    assert "spekectl db init" in done.stderr
    done = empty("tenant", "list", code=FAILED)
    assert "spekectl db init" in done.stderr and done.stderr.count("\n") == 1
    assert empty.json("status", code=FAILED)["ready"] is False
    empty.init()
    status = empty.json("db", "status", "--sql-dir", empty.install.sql)
    assert status["up_to_date"] is True


def test_a_newer_schema_is_left_alone(ctl):
    ctl.query("INSERT INTO speke.schema_version (version, name) VALUES (999, 'from the future')")
    assert "newer release" in ctl.init(code=FAILED).stderr
    ctl("db", "status", "--sql-dir", ctl.install.sql, code=FAILED)


def test_a_broken_migration_leaves_nothing(empty, tmp_path):
    sql = tmp_path / "sql"
    shutil.copytree(empty.install.sql, sql)
    last = sorted((sql / "migrations").iterdir())[-1]
    number = int(last.name[:4]) + 1
    broken = sql / "migrations" / f"{number:04}_broken.sql"
    broken.write_text("BEGIN; CREATE TABLE speke.half (n int); SELECT no_such_function(); COMMIT;\n")
    done = empty("db", "init", "--sql-dir", str(sql), code=FAILED)
    assert "no_such_function" in done.stderr
    assert empty.query("SELECT to_regclass('speke.half') AS half")[0]["half"] is None
    assert empty.query("SELECT max(version) AS v FROM speke.schema_version")[0]["v"] == number - 1
    empty.init()


def test_a_database_that_is_away_is_told(empty):
    done = empty("--db", f"host={empty.directory}", "tenant", "list", user=None, code=UNAVAILABLE)
    assert done.stderr.startswith("spekectl: ") and done.stderr.count("\n") == 1


def test_a_password_in_an_argument_is_refused(empty):
    for dsn in ("host=x password=secret", "postgresql://u:secret@localhost/speke"):
        done = empty("--db", dsn, "tenant", "list", user=None, code=USAGE)
        assert "secret" not in done.stdout + done.stderr


def test_the_environment_names_the_database(ctl):
    done = ctl("tenant", "list", user=None, environment={"SPEKE_DB": ctl.dsn("auditor_login")})
    assert "demo" in done.stdout


# --- KEKs ----------------------------------------------------------------------------------------


def read_keks(path):
    with open(path, encoding="ascii") as text:
        return {int(v): base64.b64decode(key) for v, key in KEK_LINE.findall(text.read())}


def test_kek_create_writes_a_private_file_and_registers_it(ctl):
    info = os.stat(ctl.kek)
    assert stat.S_IMODE(info.st_mode) == 0o400
    keks = read_keks(ctl.kek)
    assert list(keks) == [1] and len(keks[1]) == 32
    check = hmac.new(keks[1], b"speke-fcgi kek check", hashlib.sha256).hexdigest()[:32]
    rows = ctl.json("kek", "list")
    assert [(r["kek_version"], r["state"], r["in_file"], r["check_value"]) for r in rows] == [
        (1, "active", "yes", check)
    ]
    assert ctl.json("status")["ready"] is True
    assert ctl.leftovers() == []


def test_kek_create_warns_and_shows_no_key(empty):
    empty.init()
    done = empty("kek", "create")
    assert "Losing this file is losing every content key" in done.stdout
    key = read_keks(empty.kek)[1]
    for form in (base64.b64encode(key).decode(), key.hex()):
        assert form not in done.stdout + done.stderr
        assert form.encode() not in empty.cluster.dump(empty.database)


def test_kek_create_overwrites_nothing(ctl):
    before = open(ctl.kek, "rb").read()
    assert "active already" in ctl("kek", "create", code=FAILED).stderr
    assert "not overwritten" in ctl("kek", "create", "--version", "1", code=FAILED).stderr
    ctl("kek", "create", "--version", "0", code=USAGE)
    other = os.path.join(ctl.directory, "other")
    done = ctl("kek", "create", "--version", "2", "--file", other, code=FAILED)
    assert "does not hold the active KEK 1" in done.stderr
    assert open(ctl.kek, "rb").read() == before
    assert ctl.leftovers() == []
    assert len(ctl.json("kek", "list")) == 1


def test_a_second_kek_is_added_and_the_first_stays(ctl):
    first = read_keks(ctl.kek)[1]
    assert ctl.json("kek", "create", "--version", "7")["kek_version"] == 7
    keks = read_keks(ctl.kek)
    assert keks[1] == first and keks[7] != first and len(keks) == 2
    assert stat.S_IMODE(os.stat(ctl.kek).st_mode) == 0o400
    states = {r["kek_version"]: (r["state"], r["in_file"]) for r in ctl.json("kek", "list")}
    assert states == {1: ("retiring", "yes"), 7: ("active", "yes")}


def test_no_file_when_the_database_refuses(empty):
    empty.init()
    with contextlib.suppress(Exception):
        empty.query("CREATE ROLE auditor_login LOGIN IN ROLE speke_auditor")
    done = empty("kek", "create", user="auditor_login", code=FAILED)
    assert "permission denied" in done.stderr
    assert not os.path.exists(empty.kek) and empty.leftovers() == []


def test_a_file_that_is_no_kek_file_is_left_alone(empty):
    empty.init()
    for text, mode in (("rubbish\n", 0o400), ("1 AAAA\n", 0o400), ("", 0o644)):
        with open(empty.kek, "w", encoding="ascii") as out:
            out.write(text)
        os.chmod(empty.kek, mode)
        assert "no KEK file that can be added to" in empty("kek", "create", code=FAILED).stderr
        assert open(empty.kek, encoding="ascii").read() == text
        os.chmod(empty.kek, 0o600)
    assert empty.json("kek", "list") == []


def test_a_wrong_kek_under_the_right_number_is_told(ctl):
    os.chmod(ctl.kek, 0o600)
    with open(ctl.kek, "w", encoding="ascii") as out:
        out.write("1 " + base64.b64encode(bytes(32)).decode() + "\n")
    assert ctl.json("kek", "list")[0]["in_file"] == "another key of that number"
    assert ctl.json("status", code=FAILED)["ready"] is False


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_the_file_can_belong_to_the_service(empty):
    empty.init()
    empty("kek", "create", "--owner", "nobody-of-that-name", code=FAILED)
    empty("kek", "create", "--owner", "www-data")
    assert os.stat(empty.kek).st_uid == __import__("pwd").getpwnam("www-data").pw_uid
    assert empty.json("kek", "list")[0]["in_file"] == "yes"
    assert empty.json("status")["ready"] is True
    empty("kek", "create", "--version", "2")
    assert os.stat(empty.kek).st_uid == __import__("pwd").getpwnam("www-data").pw_uid


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_root_finds_the_services_file_below_a_folder_of_its_own(empty, tmp_path):
    """As quickstart has it in /root, where the service may pass and its user by itself may not."""
    empty.init()
    closed = tmp_path / "closed"
    (closed / "etc").mkdir(parents=True)
    os.chmod(closed, 0o700)
    path = str(closed / "etc" / "kek")
    empty("kek", "create", "--owner", "www-data", "--file", path)
    assert empty.json("kek", "list", "--file", path)[0]["in_file"] == "yes"
    os.chmod(path, 0o404)
    assert empty.json("kek", "list", "--file", path)[0]["in_file"] == "file not usable"


# --- tenants and clients -------------------------------------------------------------------------


def ha1(hash_function, user, realm="speke", password=PASSWORD):
    return hash_function(f"{user}:{realm}:{password}".encode()).hexdigest()


def test_clients_are_restricted(ctl):
    ctl("client", "add", "c", "--tenant", "demo")
    before = ctl.json("client", "list")[0]
    names = ("addresses", "fetch_only", "valid_from", "valid_until", "in_force")
    assert [before[name] for name in names] == [None, False, None, None, True]
    done = ctl.json(
        "client", "set", "c", "--address", "192.0.2.0/24", "--address", "2001:db8::1", "--fetch-only",
        "--until", "2999-12-31T23:00+01", user="operator_login",
    )  # fmt: skip
    assert done["client"] == "c" and set(done["set"]) == {"addresses", "fetch_only", "valid_until"}
    row = ctl.json("client", "list", user="auditor_login")[0]
    assert [row[name] for name in names] == [
        ["192.0.2.0/24", "2001:db8::1/128"], True, None, "2999-12-31T22:00:00Z", True
    ]  # fmt: skip
    assert "192.0.2.0/24" in ctl("client", "list").stdout
    ctl("client", "set", "c", "--address", "any", "--create", "--until", "2001-01-01")
    row = ctl.json("client", "list")[0]
    assert [row[name] for name in names] == [None, False, None, "2001-01-01T00:00:00Z", False]
    ctl("client", "set", "c", "--until", "never")
    assert ctl.json("client", "list")[0] == before, "everything is lifted"
    for bad, code, part in (
        (("none", "--fetch-only"), FAILED, "no client"),
        (("c",), USAGE, "at least one option"),
        (("c", "--fetch-only", "--create"), USAGE, "--create"),
        (("c", "--address", "any", "--address", "192.0.2.1"), USAGE, "any"),
        (("c", "--address", "192.0.2.1/24"), FAILED, "cidr"),
        (("c", "--until", "tomorrow-ish"), FAILED, "timestamp"),
        (("c", "--from", "2030-01-01", "--until", "2029-01-01"), FAILED, "client_validity"),
        (("c", "--address", "\udcff"), USAGE, "UTF-8"),
    ):
        done = ctl("client", "set", *bad, code=code)
        assert part in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert ctl.json("client", "list")[0] == before, "what failed changed nothing"


def test_tenants_and_clients_are_listed(ctl):
    ctl("tenant", "add", "second", user="operator_login")
    ctl("client", "add", "cert-client", "--tenant", "second", user="operator_login")
    assert [t["name"] for t in ctl.json("tenant", "list", user="auditor_login")] == ["demo", "second"]
    clients = ctl.json("client", "list", user="auditor_login")
    assert [(c["name"], c["tenant"], c["in_force"]) for c in clients] == [("cert-client", "second", True)]
    assert ctl.json("client", "list", "--tenant", "demo") == []
    assert "cert-client" in ctl("client", "list").stdout


def test_names_that_are_taken_or_unknown_are_told(ctl):
    ctl("client", "add", "c", "--tenant", "demo")
    for arguments, word in (
        (("tenant", "add", "demo"), "exists"),
        (("client", "add", "c", "--tenant", "demo"), "exists"),
        (("client", "add", "d", "--tenant", "none"), "no tenant"),
        (("client", "disable", "none"), "no client"),
        (("client", "enable", "none"), "no client"),
    ):
        assert word in ctl(*arguments, code=FAILED).stderr
    done = ctl("client", "passwd", "none", "--htdigest", ctl.users, code=FAILED, stdin=PASSWORD + "\n")
    assert "no client" in done.stderr and not os.path.exists(ctl.users)


def test_permission_is_asked_of_the_database(ctl):
    done = ctl("tenant", "add", "x", user="auditor_login", code=FAILED)
    assert "speke_operator" in done.stderr
    ctl("audit", "tail", user="operator_login")


def test_wrong_usage_has_its_own_exit_code(ctl):
    for arguments in (
        (), ("db",), ("nothing",), ("tenant", "add"), ("tenant", "add", "a", "b"),
        ("tenant", "list", "--nothing"), ("client", "add", "x"),
        ("client", "add", "x", "--tenant", "demo", "--generate"),
        ("client", "passwd", "x"), ("client", "add", "a:b", "--tenant", "demo", "--htdigest", "f"),
        ("client", "add", "a", "--tenant", "demo", "--htdigest", "f", "--realm", 'a"b'),
        ("audit", "tail", "-n", "0"), ("key", "list", "-n", "x"),
        ("client", "add", "x", "--tenant", "demo", "--password", "p"),
    ):  # fmt: skip
        ctl(*arguments, code=USAGE)


def test_passwords_come_from_standard_input(ctl):
    ctl("client", "add", "enc", "--tenant", "demo", "--htdigest", ctl.users, stdin=PASSWORD + "\nmore\n")
    lines = open(ctl.users, encoding="utf-8").read().splitlines()
    assert lines == [f"enc:speke:{ha1(hashlib.md5, 'enc')}", f"enc:speke:{ha1(hashlib.sha256, 'enc')}"]
    assert stat.S_IMODE(os.stat(ctl.users).st_mode) == 0o640
    for bad in ("", "\n", "a\tb\n", "x" * 600 + "\n"):
        ctl("client", "passwd", "enc", "--htdigest", ctl.users, stdin=bad, code=FAILED)
    assert open(ctl.users, encoding="utf-8").read().splitlines() == lines


def test_generated_passwords_are_shown_once_and_work(ctl):
    add = ("client", "add", "enc", "--tenant", "demo", "--htdigest", ctl.users, "--generate")
    password = ctl("--quiet", *add).stdout.rstrip("\n")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", password)
    assert ha1(hashlib.sha256, "enc", password=password) in open(ctl.users, encoding="utf-8").read()
    other = ctl.json("client", "passwd", "enc", "--htdigest", ctl.users, "--generate")["password"]
    assert other != password
    assert ha1(hashlib.sha256, "enc", password=other) in open(ctl.users, encoding="utf-8").read()
    assert ctl.json("client", "passwd", "enc", "--webauth", stdin="pass word\n") == {"client": "enc"}


def test_the_users_file_keeps_mode_owner_and_others(ctl):
    with open(ctl.users, "w", encoding="utf-8") as out:
        out.write("# ours\nother:speke:0123\nenc:elsewhere:4567\n")
    os.chmod(ctl.users, 0o604)
    if ROOT:
        shutil.chown(ctl.users, "www-data", "www-data")
    before = os.stat(ctl.users)
    ctl("client", "add", "enc", "--tenant", "demo", "--htdigest", ctl.users, stdin=PASSWORD)
    after = os.stat(ctl.users)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    text = open(ctl.users, encoding="utf-8").read()
    assert text.startswith("# ours\nother:speke:0123\nenc:elsewhere:4567\nenc:speke:")
    ctl("client", "disable", "enc", "--htdigest", ctl.users)
    assert open(ctl.users, encoding="utf-8").read() == "# ours\nother:speke:0123\nenc:elsewhere:4567\n"
    assert ctl.leftovers() == []


def test_no_client_without_its_password(ctl):
    """The file cannot be written: then the client is not in the database either."""
    nowhere = os.path.join(ctl.directory, "none", "users")
    ctl("client", "add", "enc", "--tenant", "demo", "--htdigest", nowhere, stdin=PASSWORD, code=FAILED)
    assert ctl.json("client", "list") == []


def test_passwords_for_the_database(ctl):
    ctl("client", "add", "enc", "--tenant", "demo", "--webauth", "--realm", "r 1", stdin=PASSWORD)
    rows = ctl.query("SELECT username, realm, ha1_md5, ha1_sha256 FROM speke.v_digest_user")
    assert [dict(row) for row in rows] == [
        {
            "username": "enc",
            "realm": "r 1",
            "ha1_md5": ha1(hashlib.md5, "enc", "r 1"),
            "ha1_sha256": ha1(hashlib.sha256, "enc", "r 1"),
        }
    ]
    ctl("client", "disable", "enc", "--webauth", "--realm", "r 1")
    assert ctl.query("SELECT * FROM speke.v_digest_user") == []


def test_disabling_holds_even_if_there_is_no_password_to_remove(ctl):
    ctl("client", "add", "enc", "--tenant", "demo")
    done = ctl("client", "disable", "enc", "--webauth", "--htdigest", ctl.users, code=FAILED)
    assert done.stderr.count("\n") == 2
    assert ctl.json("client", "list")[0]["enabled"] is False
    ctl("client", "enable", "enc")
    assert ctl.json("client", "list")[0]["enabled"] is True


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # What a job in the background of a script inherits would be inherited further.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.environ.clear()
            os.execv(command[0], command)
        self.seen = ""

    def expect(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {text!r}, saw {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode()
                except OSError:
                    break
        assert text in self.seen, self.seen

    def send(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        """Reads to the end; returns the exit code."""
        with contextlib.suppress(OSError):
            while select.select([self.fd], [], [], 20)[0]:
                data = os.read(self.fd, 4096)
                if not data:
                    break
                self.seen += data.decode()
            else:
                os.kill(self.pid, signal.SIGKILL)  # it said nothing for so long
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("second,code", [(PASSWORD, DONE), ("another", FAILED)])
def test_passwords_are_asked_for_twice_without_echo(ctl, second, code):
    terminal = Terminal(
        [ctl.install.spekectl, "--config", ctl.config, "--db", ctl.dsn("postgres"),
         "client", "add", "enc", "--tenant", "demo", "--htdigest", ctl.users]
    )  # fmt: skip
    terminal.expect("Password of the client: ")
    terminal.send(PASSWORD + "\n")
    terminal.expect("Password of the client, again: ")
    terminal.send(second + "\n")
    assert terminal.finish() == code, terminal.seen
    assert PASSWORD not in terminal.seen and second not in terminal.seen
    assert os.path.exists(ctl.users) == (code == DONE)


def test_an_interrupt_puts_the_terminal_right(ctl):
    """A shell waits around it, to tell how it ended and whether the terminal echoes again."""
    command = (
        f"{ctl.install.spekectl} --config {ctl.config} --db '{ctl.dsn('postgres')}' "
        f"client add enc --tenant demo --htdigest {ctl.users}; echo ended $?; /usr/bin/stty -a"
    )
    terminal = Terminal(["/bin/bash", "-c", f"trap : INT; {command}"])
    terminal.expect("Password of the client: ")
    terminal.send("half a pass\x03")
    terminal.finish()
    assert "ended 130" in terminal.seen and re.search(r"\becho\b", terminal.seen), terminal.seen
    assert "half" not in terminal.seen
    assert ctl.json("client", "list") == [] and not os.path.exists(ctl.users)


# --- one file of users for both web servers --------------------------------------------------------

LIGHTTPD = """
server.modules = ("mod_auth", "mod_authn_file")
server.document-root = "{directory}/www"
server.bind = "127.0.0.1"
server.port = {port}
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{users}"
auth.require = ("/" => ("method" => "digest", "algorithm" => "{algorithm}", "realm" => "speke",
                        "require" => "valid-user"))
"""

APACHE = """
{modules}
ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/pid
Mutex file:{directory} default
ServerName localhost
ErrorLog {directory}/error.log
Listen 127.0.0.1:{port}
DocumentRoot {directory}/www
<Location "/">
  AuthType Digest
  AuthName speke
  AuthDigestProvider file
  AuthUserFile {users}
  Require valid-user
</Location>
"""

APACHE_MODULES = "mpm_event authn_core authn_file authz_core authz_user auth_digest"


def digest_server(kind, directory, users):
    """Starts a web server that asks for a Digest password; returns its process and URL."""
    os.makedirs(os.path.join(directory, "www"), exist_ok=True)
    with open(os.path.join(directory, "www", "index"), "w", encoding="ascii") as out:
        out.write("let in\n")
    port = free_port()
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in APACHE_MODULES.split()
    )
    if ROOT:
        modules += "\nUser www-data\nGroup www-data"
    template = APACHE if kind == "apache" else LIGHTTPD
    path = os.path.join(directory, "server.conf")
    with open(path, "w", encoding="ascii") as out:
        out.write(template.format(directory=directory, port=port, users=users, modules=modules, algorithm=kind))
    command = (
        ["/usr/sbin/apache2", "-f", path, "-DFOREGROUND"]
        if kind == "apache"
        else ["/usr/sbin/lighttpd", "-D", "-f", path]
    )
    process = Process(kind, command, os.path.join(directory, "console.log")).start()

    def listening():
        process.check()
        return port_open(port)

    wait_until(listening, 15, kind)
    return process, f"http://127.0.0.1:{port}/index"


@pytest.mark.parametrize("kind", ["apache", "MD5", "SHA-256", "SHA-256|MD5"])
def test_both_servers_take_the_same_file(ctl, kind):
    """lighttpd with every algorithm that it knows, and Apache with the one that it knows."""
    add = ("client", "add", "enc", "--tenant", "demo", "--htdigest", ctl.users)
    ctl(*add, stdin=PASSWORD)
    if ROOT:
        shutil.chown(ctl.users, "www-data", "www-data")
    directory = os.path.join(ctl.directory, "web")
    os.makedirs(directory)
    process, url = digest_server(kind, directory, ctl.users)
    try:

        def status(password, user="enc"):
            return requests.get(url, auth=HTTPDigestAuth(user, password), timeout=20).status_code

        assert requests.get(url, timeout=20).status_code == 401
        assert status(PASSWORD) == 200
        assert status("wrong") == 401
        ctl("client", "passwd", "enc", "--htdigest", ctl.users, stdin="a new one")
        assert status("a new one") == 200
        assert status(PASSWORD) == 401
        ctl("client", "disable", "enc", "--htdigest", ctl.users)
        assert status("a new one") == 401
    finally:
        process.stop()


def test_apache_needs_the_md5_line_first(ctl):
    """What the order of the lines is for: the other way round Apache lets nobody in."""
    lines = [f"enc:speke:{ha1(make, 'enc')}\n" for make in (hashlib.sha256, hashlib.md5)]
    with open(ctl.users, "w", encoding="ascii") as out:
        out.writelines(lines)
    if ROOT:
        shutil.chown(ctl.users, "www-data", "www-data")
    directory = os.path.join(ctl.directory, "web")
    os.makedirs(directory)
    process, url = digest_server("apache", directory, ctl.users)
    try:
        assert requests.get(url, auth=HTTPDigestAuth("enc", PASSWORD), timeout=20).status_code == 401
    finally:
        process.stop()


# --- a SPEKE client --------------------------------------------------------------------------------


class Asker:
    """spekectl request as client "encoder" of the shared installation."""

    def __init__(self, site, kind="lighttpd", login="digest"):
        self.site, self.web = site, site.web(kind, login)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "SPEKE_URL": f"{self.web.base}/v2.0/copyProtection",
            "SPEKE_USER": "encoder",
            "SPEKE_PASSWORD": site.password["encoder"],
            "SPEKE_CA": site.authority.ca_file,
        }

    def __call__(self, *arguments, code=DONE, **environment):
        done = subprocess.run(
            [self.site.install.spekectl, "request", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env={**self.environment, **environment},
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments, **more):
        return json.loads(self("--json", *arguments, **more).stdout)


@pytest.fixture
def content():
    return f"ctl-{os.urandom(6).hex()}"


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_request_gets_the_keys_that_are_stored(site, content, kind):
    ask = Asker(site, kind)
    answer = ask.json("--content-id", content, "--preset", "PRESET-VIDEO-2,PRESET-AUDIO-1", "--reveal", "--smooth")
    keys = {key["kid"]: bytes.fromhex(key["key_hex"]) for key in answer["keys"]}
    assert len(keys) == 3 and keys == site.stored_keys(content)
    assert answer["faults"] == []
    assert [key["track_types"] for key in answer["keys"]] == [["SD"], ["HD"], ["AUDIO"]]
    assert {s["system"] for s in answer["systems"]} == {"widevine", "playready", "fairplay"}
    for key in answer["keys"]:
        assert base64.b64decode(key["key"]) == keys[key["kid"]]
        assert key["fingerprint"] == hashlib.sha256(keys[key["kid"]]).hexdigest()[:16]
    again = ask.json("--content-id", content, "--preset", "VIDEO-2,AUDIO-1")
    assert [k["fingerprint"] for k in again["keys"]] == [k["fingerprint"] for k in answer["keys"]]
    assert [k["iv"] for k in again["keys"]] == [k["iv"] for k in answer["keys"]]


def key_forms(site, content):
    for key in site.stored_keys(content).values():
        yield from (key.hex(), key.hex().upper(), base64.b64encode(key).decode())


def test_the_table_shows_no_key_unless_it_is_asked_to(site, content):
    ask = Asker(site)
    shown = ask("--content-id", content)
    kids = list(site.stored_keys(content))
    assert len(kids) == 2
    text = shown.stdout + shown.stderr + json.dumps(ask.json("--content-id", content))
    for form in key_forms(site, content):
        assert form not in text
    for kid in kids:
        assert kid in shown.stdout
    for word in ("VIDEO", "AUDIO", "widevine", "playready", "fairplay", "SAMPLE-AES",
                 "com.apple.streamingkeydelivery", "1 KID", "scheme cbcs"):  # fmt: skip
        assert word in shown.stdout
    revealed = ask("--content-id", content, "--reveal").stdout
    for key in site.stored_keys(content).values():
        assert key.hex() in revealed


def test_the_answer_is_printed_and_saved_as_it_came(site, content, tmp_path):
    ask = Asker(site)
    path = tmp_path / "answer.xml"
    text = ask("--content-id", content, "--xml", "--save", str(path)).stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8") == text.removesuffix("\n")
    for key in site.stored_keys(content).values():
        assert f"<pskc:PlainValue>{base64.b64encode(key).decode()}</pskc:PlainValue>" in text


def test_a_document_that_was_printed_can_be_sent(site, content, tmp_path):
    ask = Asker(site)
    path = tmp_path / "request.xml"
    path.write_text(ask("--content-id", content, "--request-only", SPEKE_URL="").stdout, encoding="utf-8")
    assert site.stored_keys(content) == {}
    sent = ask.json("--send", str(path), "--reveal")
    assert sent["content_id"] == content and sent["faults"] == []
    assert {k["kid"]: bytes.fromhex(k["key_hex"]) for k in sent["keys"]} == site.stored_keys(content)


@pytest.mark.parametrize("more", [(), ("--period", "7"), ("--drm", "aes128,fairplay,widevine,playready,common")])
def test_speke_v1(site, content, more):
    answer = Asker(site).json("--speke", "1.0", "--content-id", content, "--reveal", *more)
    assert answer["speke_version"] == "1.0" and len(answer["keys"]) == 1
    key = answer["keys"][0]
    assert site.stored_keys(content) == {key["kid"]: bytes.fromhex(key["key_hex"])}


def test_live_periods_have_keys_of_their_own(site, content):
    ask = Asker(site)
    kids = set()
    for period in ("0", "1"):
        answer = ask.json("--content-id", content, "--period", period)
        kids |= {key["kid"] for key in answer["keys"]}
    assert len(kids) == 4


def test_kid_iv_and_clear_key(site, content):
    kid, iv = "11223344-5566-7788-99aa-bbccddeeff00", base64.b64encode(os.urandom(16)).decode()
    answer = Asker(site).json(
        "--content-id", content, "--preset", "SHARED", "--drm", "clearkey", "--kid", kid, "--iv", iv
    )
    assert [(k["kid"], k["iv"], k["scheme"]) for k in answer["keys"]] == [(kid, iv, "cbc1")]
    assert answer["systems"][0]["hls_media"].startswith("#EXT-X-KEY:METHOD=AES-128,")


@pytest.mark.parametrize("login", ["basic", "certificate"])
def test_other_ways_to_log_in(site, content, login):
    ask = Asker(site, "lighttpd", login)
    if login == "basic":
        ask("--content-id", content, "--auth", "basic")
        return
    certificate, key = site.authority.issue("encoder", "encoder", False)
    ask("--content-id", content, "--cert", certificate, "--key", key, SPEKE_USER="", SPEKE_PASSWORD="")
    ask("--content-id", content, "--cert", certificate, "--key", key, "--auth", "cert")


def test_the_password_can_come_from_a_file(site, content, tmp_path):
    path = tmp_path / "password"
    path.write_text(site.password["encoder"] + "\n", encoding="utf-8")
    Asker(site)("--content-id", content, "--password-file", str(path), SPEKE_PASSWORD="wrong")


def test_exit_codes_of_request(site, content, tmp_path):
    ask = Asker(site)
    wrong_password = ask("--content-id", content, SPEKE_PASSWORD="wrong", code=REFUSED)
    assert "401" in wrong_password.stderr and "wrong" not in wrong_password.stdout
    misfit = ask("--content-id", content, "--drm", "fairplay", "--scheme", "cenc", code=REFUSED)
    assert "422" in misfit.stderr and "non compatible with DRMSystem" in misfit.stderr
    bad = tmp_path / "bad.xml"
    bad.write_text("<no/>", encoding="utf-8")
    assert "400" in ask("--send", str(bad), code=REFUSED).stderr
    bad.write_text("", encoding="utf-8")
    assert "400" in ask("--send", str(bad), code=REFUSED).stderr
    ask("--content-id", content, SPEKE_CA="/etc/ssl/certs/ca-certificates.crt", code=UNAVAILABLE)
    ask("--content-id", content, SPEKE_URL="https://127.0.0.1:1/", code=UNAVAILABLE)
    ask("--content-id", content, SPEKE_URL="", code=USAGE)
    ask("--content-id", content, SPEKE_URL="ftp://localhost/", code=USAGE)
    ask("--content-id", content, SPEKE_USER="", code=USAGE)
    ask("--content-id", content, "--auth", "cert", code=USAGE)
    ask(code=USAGE)
    done = subprocess.run(
        [site.install.spekectl, "request", "--content-id", content, "--user", "u", ask.web.base],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env={},
    )  # fmt: skip
    assert done.returncode == FAILED and "no password" in done.stderr
    assert site.stored_keys(content) == {}


def test_a_provider_that_is_away_is_told(new_site, content):
    site = new_site(workers=1)
    ask = Asker(site)
    ask("--content-id", content)
    site.forget_connection()
    site.pg.stop()
    done = ask("--content-id", content, code=UNAVAILABLE)
    assert "503" in done.stderr and "try again after" in done.stderr


# --- an answer that is wrong ------------------------------------------------------------------------


@contextlib.contextmanager
def provider(status=200, body="", headers=None):
    """A key provider that answers every request in the same way. Yields its URL and what it got."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            data = body.encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/copyProtection", got
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(scope="module")
def good_answer(site):
    """A real answer for one key and Widevine, and the arguments that ask for it."""
    arguments = ("--content-id", "ctl-good", "--preset", "SHARED", "--drm", "widevine")
    return arguments, Asker(site)(*arguments, "--xml").stdout.strip()


def test_a_good_answer_passes(site, good_answer):
    arguments, text = good_answer
    with provider(body=text, headers={"X-Speke-Version": "2.0"}) as (url, got):
        done = Asker(site)(url, *arguments, "--auth", "basic")
        assert "plain http" in done.stderr
        headers, body = got[0]
        assert headers["X-Speke-Version"] == "2.0" and headers["Content-Type"] == "application/xml"
        assert headers["User-Agent"].startswith("spekectl/")
        assert b'contentId="ctl-good"' in body and b"PlainValue" not in body
        assert Asker(site)(url, *arguments, "--auth", "basic", "--quiet").stderr == ""


WRONG = {
    "another content": (r'contentId="ctl-good"', 'contentId="ctl-evil"', "CPIX@contentId"),
    "another KID": (r'<cpix:ContentKey kid="[^"]*', '<cpix:ContentKey kid="11223344-5566-7788-99aa-bbccddeeff00',
                    "asked was"),
    "a short key": (r"<pskc:PlainValue>[^<]*", "<pskc:PlainValue>AAAA", "no key of 16 bytes"),
    "no key": (r"<cpix:Data>.*</cpix:Data>", "", "no key of 16 bytes"),
    "an empty placeholder": (r"<cpix:PSSH>[^<]*", "<cpix:PSSH>", "did not come"),
    "a broken box": (r"<cpix:PSSH>A", "<cpix:PSSH>B", "pssh boxes"),
    "another contract": (r"<cpix:VideoFilter/>", '<cpix:VideoFilter maxPixels="9"/>', "usage rules"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_in_the_answer_is_found(site, good_answer, case):
    arguments, text = good_answer
    pattern, replacement, word = WRONG[case]
    wrong, count = re.subn(pattern, replacement, text, count=1, flags=re.DOTALL)
    assert count == 1
    with provider(body=wrong, headers={"X-Speke-Version": "2.0"}) as (url, _):
        done = Asker(site)(url, *arguments, "--auth", "basic", "--quiet", code=FAILED)
    assert word in done.stderr
    key = re.search(r"<pskc:PlainValue>([^<]*)", text).group(1)
    assert key not in done.stdout + done.stderr


def test_headers_of_the_answer_are_checked(site, good_answer):
    arguments, text = good_answer
    for headers, word in (
        ({"X-Speke-Version": "2.1"}, "X-Speke-Version"),
        ({}, "X-Speke-Version"),
        ({"X-Speke-Version": "2.0", "Content-Type": "text/html"}, "Content-Type"),
    ):
        with provider(body=text, headers=headers) as (url, _):
            assert word in Asker(site)(url, *arguments, "--auth", "basic", code=FAILED).stderr


@pytest.mark.parametrize(
    "status,body,code,words",
    [
        (422, "Malformed encryption contract", REFUSED, ["422", "Malformed encryption contract"]),
        (403, "\x1b[2J\nspekectl: forged", REFUSED, ["403", "\\x1b[2J\\x0aspekectl: forged"]),
        (503, "Service unavailable: sealed", UNAVAILABLE, ["503", "sealed", "try again after 2 s"]),
        (302, "elsewhere", FAILED, ["302"]),
        (200, "no XML at all", FAILED, ["no CPIX document"]),
        (200, "", FAILED, ["no CPIX document"]),
        (200, "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", FAILED, ["no CPIX document"]),
    ],
)
def test_what_is_no_answer_is_told_on_one_line(site, status, body, code, words):
    headers = {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "2", "Location": "/elsewhere"}
    with provider(status, body, headers) as (url, _):
        done = Asker(site)(url, "--content-id", "x", "--auth", "basic", "--quiet", code=code)
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    for word in words:
        assert word in done.stderr


# --- looking at keys and audit ------------------------------------------------------------------------


def test_key_list_tells_of_keys_but_not_them(site, content):
    Asker(site)("--content-id", content)
    rows = json.loads(site.ctl("--json", "key", "list", "--content-id", content, user="auditor").stdout)
    assert {row["kid"] for row in rows} == set(site.stored_keys(content))
    assert all(row["tenant"] == "demo" and row["created_by"] == "encoder" for row in rows)
    kid = rows[0]["kid"]
    one = json.loads(site.ctl("--json", "key", "list", "--kid", kid, "--tenant", "demo", user="auditor").stdout)
    assert [row["kid"] for row in one] == [kid]
    assert site.ctl("key", "list", "--tenant", "rival", "--content-id", content, user="auditor").stdout == "(none)\n"
    shown = site.ctl("key", "list", user="auditor").stdout
    for form in key_forms(site, content):
        assert form not in shown


def test_audit_tail_tells_who_got_what(site, content):
    Asker(site)("--content-id", content)
    line = site.ctl("--json", "audit", "tail", "-n", "1", user="auditor").stdout
    event = json.loads(line)
    assert line.count("\n") == 1
    assert (event["event"], event["status"], event["client"], event["tenant"]) == ("release", 200, "encoder", "demo")
    assert set(event["kids"]) == set(event["created_kids"]) == set(site.stored_keys(content))
    shown = site.ctl("audit", "tail", "-n", "1", user="auditor").stdout
    for word in ("release", "encoder", "127.0.0.1", content, f"{content}: 2 keys (2 new) for widevine,playready,fairplay"):
        assert word in shown


def test_audit_tail_tells_what_was_refused(site, content):
    Asker(site)("--content-id", content, "--drm", "fairplay", "--scheme", "cenc", code=REFUSED)
    shown = site.ctl("audit", "tail", "-n", "1", user="auditor").stdout
    for word in ("refusal 422", "encoder", f"{content}: ContentKey@commonEncryptionScheme non compatible"):
        assert word in shown


def test_audit_tail_tells_whom_keys_were_encrypted_for(site, content):
    subjects = ["CN=packager, O=\"a,b\"", "CN=\u00e4"]
    site.query(
        "INSERT INTO speke.audit_event (event, status, content_id, recipient_subjects, recipient_fingerprints)"
        " VALUES ('release', 200, %s, %s, ARRAY[sha256('1'), sha256('2')])",
        (content, subjects),
    )
    event = json.loads(site.ctl("--json", "audit", "tail", "-n", "1", user="auditor").stdout)
    prints = [hashlib.sha256(der).hexdigest() for der in (b"1", b"2")]
    assert event["recipients"] == [{"subject": s, "fingerprint": f} for s, f in zip(subjects, prints)]
    assert event["detail"] is None
    assert f"for {subjects[0]} and 1 more" in site.ctl("audit", "tail", "-n", "1", user="auditor").stdout


def test_audit_tail_follows(site, content):
    command = [site.install.spekectl, "--db", site.pg.dsn(user="auditor"), "--json", "audit", "tail", "-n", "1", "-f"]
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin"})
    try:
        last = json.loads(tail.stdout.readline())["event_id"]
        Asker(site)("--content-id", content)
        assert select.select([tail.stdout], [], [], 15)[0], "nothing came"
        event = json.loads(tail.stdout.readline())
        assert event["content_id"] == content and event["event_id"] > last
        time.sleep(2.5)
        assert not select.select([tail.stdout], [], [], 0)[0], "an event came twice"
    finally:
        tail.terminate()
        tail.wait(10)


def test_status_counts(site, content):
    Asker(site)("--content-id", content)
    status = json.loads(site.ctl("--json", "status", user="auditor").stdout)
    assert status["ready"] is True and status["kek_in_file"] == "yes"
    there = site.query(
        "SELECT (SELECT count(*) FROM speke.tenant) AS tenants, count(*) AS clients,"
        " count(*) FILTER (WHERE NOT enabled) AS disabled FROM speke.client"
    )[0]
    assert status["keys"] == site.counts()["keys"] > 0
    assert status["tenants"] == there["tenants"] >= 2 and status["clients"] == there["clients"] >= 4
    assert status["clients_disabled"] == there["disabled"] >= 1


def test_config_shows_the_settings_in_force(site):
    settings = json.loads(site.ctl("--json", "config").stdout)
    assert settings["kek_file"] == site.kek and settings["prepare"] is True
    assert f"kek_file = {site.kek}\n" in site.ctl("config").stdout
    broken = os.path.join(site.directory, "broken.conf")
    with open(broken, "w", encoding="ascii") as out:
        out.write("no_such_setting = 1\n")
    done = run([site.install.spekectl, "--config", broken, "config"], check=False)
    assert done.returncode == FAILED and "no_such_setting" in done.stderr


def test_help_and_version(install):
    for arguments in (["--help"], ["request", "--help"], ["client", "--help"], ["--version"]):
        assert run([install.spekectl, *arguments]).stdout.strip()
    overview = run([install.spekectl, "--help"]).stdout
    for line in overview.splitlines():
        assert len(line) <= 100


def test_the_manual_page_knows_every_command_and_option(install):
    with open(os.path.join(TOP, "doc", "spekectl.1"), encoding="utf-8") as page:
        text = page.read()
    overview = run([install.spekectl, "--help"]).stdout
    commands = re.findall(r"^  ([a-z-]+(?: [a-z]+)?) +[A-Z]", overview, re.MULTILINE)
    assert len(commands) >= 50 and "token-key add" in commands
    for command in commands:
        assert f"Cm {command}" in text, command
        for option in re.findall(r"--([a-z-]+)", run([install.spekectl, *command.split(), "--help"]).stdout):
            letter = {"number": "n", "follow": "f", "output": "o"}.get(option)
            assert f"Fl -{option}" in text or (letter and f"Fl {letter}" in text), (command, option)
