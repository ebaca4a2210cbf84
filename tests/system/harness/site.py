# SPDX-License-Identifier: Apache-2.0
"""A whole installation for tests: database, KEK, tenants and clients, responder, web servers."""
import contextlib
import glob
import hashlib
import os
import shutil
import signal
import tempfile
import uuid

from . import sealed
from .postgres import Cluster
from .process import (
    ROOT,
    Process,
    children,
    comm,
    log_text,
    resident_kib,
    run,
    settled_log,
    wait_until,
)
from .tls import Authority
from .web import REALM, USER, WAYS, Parameters, Web

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("SPEKE_BUILD", os.path.join(TOP, "var", "build"))

# client name -> (tenant, enabled). "stranger" can log in but is no client.
CLIENTS = {
    "encoder": ("demo", True),
    "encoder-2": ("demo", True),
    "rival": ("rival", True),
    "retired": ("demo", False),
}
STRANGER = "stranger"


class Install:
    """The built tree, installed where a web server's user can read it."""

    def __init__(self, directory):
        self.root = os.path.join(directory, "root")
        run(["make", "-s", "-C", BUILD, "install", f"DESTDIR={self.root}"], timeout=300)
        self.program = self._find("*/speke-fcgi/speke.fcgi")
        self.spekectl = self._find("bin/spekectl")
        data = os.path.dirname(self._find("speke-fcgi/sql/roles.sql"))
        self.sql = data
        self.examples = os.path.join(os.path.dirname(data), "examples")

    def _find(self, pattern):
        found = glob.glob(f"{self.root}/**/{pattern}", recursive=True)
        assert len(found) == 1, f"make install: expected one {pattern}, found {found}"
        return found[0]


def work_directory():
    """A new directory that every user may pass through."""
    directory = tempfile.mkdtemp(prefix="speke-system-")
    os.chmod(directory, 0o755)
    return directory


class Site:
    """Starts with start(), ends with stop(). Web servers are started when first asked for."""

    WEB_KINDS = tuple(WAYS)

    def __init__(
        self, install, directory, workers=4, settings=(), postgres=(), web_log_level="warn"
    ):
        self.install, self.directory, self.workers = install, directory, workers
        self.web_log_level = web_log_level
        self.password = {
            name: f"pw-{uuid.uuid4().hex}" for name in [*CLIENTS, STRANGER, "webauth"]
        }
        self.pg = Cluster(os.path.join(directory, "pg"), postgres, scram=["webauth"])
        self.config = os.path.join(directory, "speke.conf")
        self.kek = os.path.join(directory, "kek")
        self.users = os.path.join(directory, "users.htdigest")
        self.run_directory = os.path.join(directory, "run")
        self.socket = os.path.join(self.run_directory, "speke.sock")
        self.log = os.path.join(directory, "responder.log")
        self.settings = {
            "database": self.pg.dsn(user="encoder_svc"),
            "kek_file": self.kek,
            "log_level": "info",
            **dict(settings),
        }
        self.environment = {}  # of the responder and of spekectl, beside PATH
        self.responder, self.webs = None, {}
        self._sql = None

    # -- making ---------------------------------------------------------------------------------

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        self.authority = Authority(self.directory)
        self.certificate, self.certificate_key = self.authority.issue("server", "localhost", True)
        self._own(self.certificate_key, 0o400)  # lighttpd reads it again when it is reloaded
        self.pg.create().start()
        self.pg.query("CREATE DATABASE speke", database="postgres")
        self.write_config()
        self.ctl("db", "init", "--sql-dir", self.install.sql)
        self._login_roles()
        self.ctl("kek", "create", user="op")
        self._own(self.kek, 0o400)
        self._clients()
        os.makedirs(self.run_directory, exist_ok=True)
        if USER:
            shutil.chown(self.run_directory, USER, USER)
        self.start_responder()
        return self

    def _own(self, path, mode):
        os.chmod(path, mode)
        if USER:
            shutil.chown(path, USER, USER)

    def _login_roles(self):
        self.pg.query(
            "CREATE ROLE encoder_svc LOGIN IN ROLE speke_service;"
            "CREATE ROLE op LOGIN IN ROLE speke_operator;"
            "CREATE ROLE auditor LOGIN IN ROLE speke_auditor;"
            f"CREATE ROLE webauth LOGIN PASSWORD '{self.password['webauth']}'"
            " IN ROLE speke_webauth"
        )

    def _clients(self):
        for tenant in sorted({tenant for tenant, _ in CLIENTS.values()}):
            self.ctl("tenant", "add", tenant, user="op")
        for name, (tenant, enabled) in CLIENTS.items():
            self.ctl("client", "add", name, "--tenant", tenant, user="op")
            self.set_password(name, self.password[name])
            if not enabled:
                self.ctl("client", "disable", name, user="op")
        with open(self.users, "a", encoding="utf-8") as users:
            for make in (hashlib.md5, hashlib.sha256):
                text = f"{STRANGER}:{REALM}:{self.password[STRANGER]}"
                users.write(f"{STRANGER}:{REALM}:{make(text.encode()).hexdigest()}\n")
        self._own(self.users, 0o640)

    def set_password(self, name, password, webauth=False):
        """In the users' file, or with webauth in the database."""
        place = ["--webauth"] if webauth else ["--htdigest", self.users]
        self.ctl(
            "client", "passwd", name, *place, "--realm", REALM, user="op", stdin=password + "\n"
        )

    def write_config(self, **changes):
        self.settings.update(changes)
        with open(self.config, "w", encoding="utf-8") as out:
            for name, value in self.settings.items():
                out.write(f"{name} = {value}\n")
        self._own(self.config, 0o640)

    def ctl(self, *arguments, user="postgres", stdin=None, check=True):
        """Runs spekectl as a database user; returns the finished process."""
        return run(
            [
                self.install.spekectl, "--config", self.config, "--db", self.pg.dsn(user=user),
                *arguments,
            ],
            check=check,
            input=stdin,
            env={"PATH": "/usr/bin:/bin", **self.environment},
        )  # fmt: skip

    # -- the responder --------------------------------------------------------------------------

    def start_responder(self):
        self.responder = Process(
            "responder",
            [
                self.install.program, "--listen", self.socket, "--workers", self.workers,
                "--config", self.config,
            ],
            self.log,
            user=USER,
            environment=self.environment,
        ).start()  # fmt: skip

        def listening():
            self.responder.check()
            return os.path.exists(self.socket) and len(self.worker_pids()) == self.workers

        wait_until(listening, 10, "the responder's socket and workers")

    def stop_responder(self):
        if self.responder:
            code = self.responder.stop(signal.SIGTERM)
            self.responder = None
            return code
        return None

    def worker_pids(self):
        return [pid for pid in children(self.responder.pid) if pid not in self.sealer_pids()]

    def sealer_pids(self):
        return [pid for pid in children(self.responder.pid) if comm(pid) == "speke-sealer"]

    def workers_kib(self):
        return sum(resident_kib(pid) for pid in self.worker_pids())

    def log_text(self):
        return log_text(self.log)

    def log_mark(self):
        """Length of the responder's log once it is at rest."""
        return len(settled_log(self.log))

    # -- web servers ----------------------------------------------------------------------------

    def parameters(self, name, **more):
        return Parameters(
            directory=os.path.join(self.directory, name),
            examples=self.install.examples,
            program=self.install.program,
            config=self.config,
            socket=self.socket,
            users=self.users,
            certificate=self.certificate,
            key=self.certificate_key,
            ca=self.authority.ca_file,
            webauth={
                "host": self.pg.socket,
                "database": "speke",
                "role": "webauth",
                "password": self.password["webauth"],
            },
            log_level=self.web_log_level,
            **more,
        )

    def web(self, kind, login="digest"):
        """The running server of that kind and login; started when it is asked for first."""
        name = f"{kind}-{login}"
        if name not in self.webs:
            self.webs[name] = self.new_web(kind, login)
        return self.webs[name]

    def new_web(self, kind, login="digest", name=None, **more):
        """Starts a server of one's own; stopped by the site at the end at the latest."""
        name = name or f"{kind}-{login}"
        web = Web(kind, login, self.parameters(name, **more))
        web.credentials = self.credentials(login)
        self.webs[name] = web
        return web.start()

    def credentials(self, login="digest", name="encoder"):
        method = {"basic": "basic", "digest": "digest", "webauth": "digest"}.get(login)
        return (method, name, self.password[name]) if method else None

    # -- looking into the database ----------------------------------------------------------------

    def query(self, sql, parameters=()):
        """On a kept connection of a superuser."""
        if self._sql is None or self._sql.closed:
            self._sql = self.pg.connect()
        with self._sql.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    def forget_connection(self):
        if self._sql is not None:
            self._sql.close()
            self._sql = None

    def counts(self):
        row = self.query(
            "SELECT (SELECT count(*) FROM speke.content_key) AS keys,"
            " count(*) FILTER (WHERE event = 'release') AS releases,"
            " count(*) FILTER (WHERE event = 'refusal') AS refusals FROM speke.audit_event"
        )
        return dict(row[0])

    def last_refusal(self):
        rows = self.query(
            "SELECT * FROM speke.audit_event WHERE event = 'refusal' ORDER BY event_id DESC LIMIT 1"
        )
        return rows[0] if rows else None

    def stored_keys(self, content_id, tenant="demo"):
        """{kid: key} of a content, opened with the KEK file alone."""
        rows = self.query(
            "SELECT k.* FROM speke.content_key k JOIN speke.tenant USING (tenant_id)"
            " WHERE name = %s AND content_id = %s",
            (tenant, content_id),
        )
        keks = sealed.read_kek_file(self.kek)
        return {
            str(row["kid"]): sealed.open_row(keks, {**row, "kid": str(row["kid"])}) for row in rows
        }

    def releases(self, content_id):
        """The audit rows of the content's releases, oldest first."""
        return self.query(
            "SELECT * FROM speke.v_audit WHERE event = 'release' AND content_id = %s"
            " ORDER BY event_id",
            (content_id,),
        )

    # -- ending -----------------------------------------------------------------------------------

    def stop(self):
        """Stops everything, whatever state it is in."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.pg.stop)
            stack.callback(self.forget_connection)
            stack.callback(self.stop_responder)
            for web in self.webs.values():
                stack.callback(web.stop)

    def logs(self):
        """{name: text} of every log there is."""
        found = {"responder": self.log_text(), "PostgreSQL": log_text(self.pg.log)}
        for name, web in self.webs.items():
            found[name] = web.log_text()
        return found


def remove(directory):
    if ROOT or os.access(directory, os.W_OK):
        shutil.rmtree(directory, ignore_errors=True)
