# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster on a Unix socket."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess

import psycopg2
import psycopg2.extras

from .process import ROOT, Process, children, run, wait_until

psycopg2.extras.register_uuid()

OWNER = "postgres" if ROOT else pwd.getpwuid(os.geteuid()).pw_name


def bin_directory():
    """The newest PostgreSQL of the machine."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if found:
        newest = max(found, key=lambda path: int(path.split("/")[4]))
        return os.path.dirname(newest)
    return os.path.dirname(shutil.which("postgres") or "/usr/local/pgsql/bin/postgres")


class Cluster:
    """One cluster: directory/data, socket in directory/socket. Everybody who reaches the socket is
    let in as whom he says he is, but for the roles named in scram, who need their password."""

    def __init__(self, directory, settings=(), scram=()):
        self.directory, self.scram = directory, scram
        self.data = os.path.join(directory, "data")
        self.socket = os.path.join(directory, "socket")
        self.log = os.path.join(directory, "postgresql.log")
        self.bin = bin_directory()
        self.settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.socket}'",
            "max_connections": "120",
            "shared_buffers": "32MB",
            "log_min_messages": "warning",
            "log_line_prefix": "'%m [%p] %u '",
            # What a killed server had written survives it all the same: only a power cut needs fsync.
            "fsync": "off",
            **dict(settings),
        }
        self.process = None

    def create(self):
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        for path, mode in ((self.data, 0o700), (self.socket, 0o755)):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
            if ROOT:
                shutil.chown(path, OWNER)
        run(
            [
                f"{self.bin}/initdb", "-D", self.data, "-A", "trust", "-U", "postgres",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
            ],
            user=OWNER,
            cwd="/",
        )  # fmt: skip
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as out:
            for name, value in self.settings.items():
                out.write(f"{name} = {value}\n")
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="ascii") as out:
            for role in self.scram:
                out.write(f"local all {role} scram-sha-256\n")
            out.write("local all all trust\n")
        return self

    def start(self, seconds=30):
        self.process = Process(
            "PostgreSQL", [f"{self.bin}/postgres", "-D", self.data], self.log, user=OWNER
        ).start()
        wait_until(self.ready, seconds, "PostgreSQL to accept connections")
        return self

    def ready(self):
        self.process.check()
        command = [f"{self.bin}/pg_isready", "-q", "-h", self.socket]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self):
        if self.process:
            self.process.stop(signal.SIGINT)  # fast shutdown
            self.process = None

    def kill(self):
        """SIGKILL to the postmaster and every backend, as a crash would be."""
        pids = [*children(self.process.pid), self.process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.child.wait(10)
        self.process = None
        # A killed server cannot take its lock files away; a new one finds out by itself.

    def freeze(self):
        for pid in [self.process.pid, *children(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in [self.process.pid, *children(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def dsn(self, database="speke", user="postgres", password=None):
        text = f"host={self.socket} dbname={database} user={user}"
        return text + (f" password={password}" if password else "")

    def connect(self, database="speke", user="postgres", password=None):
        connection = psycopg2.connect(
            self.dsn(database, user, password), cursor_factory=psycopg2.extras.RealDictCursor
        )
        connection.autocommit = True
        return connection

    def query(self, sql, parameters=(), database="speke", user="postgres"):
        """Rows as dictionaries; None for statements without rows."""
        with contextlib.closing(self.connect(database, user)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else None

    def psql_file(self, path, database="speke", user="postgres"):
        run(
            [
                f"{self.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.socket,
                "-U", user, "-d", database, "-f", path,
            ],
        )  # fmt: skip

    def dump(self, database="speke"):
        """pg_dump of everything, as bytes."""
        return subprocess.run(
            [f"{self.bin}/pg_dump", "-h", self.socket, "-U", "postgres", "-d", database],
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout
