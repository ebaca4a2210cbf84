# SPDX-License-Identifier: Apache-2.0
"""The program by itself, without a web server: started in each of its ways, with a settings file of
its own and, unless a test brings one, no database behind it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from fcgi_client import fetch
from harness.process import Process, children, log_text, wait_until
from harness.web import USER

NOWHERE = {"database": "host=/nonexistent dbname=speke", "kek_file": "/nonexistent/kek"}


@pytest.fixture(scope="session")
def program(request):
    """SPEKE_RESPONDER names another binary than the one that is installed."""
    return os.environ.get("SPEKE_RESPONDER") or request.getfixturevalue("install").program


class Spawned(Process):
    """A process that inherits what a spawner would leave open for it."""

    def __init__(self, *arguments, popen=(), **more):
        super().__init__(*arguments, **more)
        self.popen = dict(popen)

    def start(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.command,
                stdin=self.popen.pop("stdin", subprocess.DEVNULL),
                stdout=out,
                stderr=out,
                env=self.environment,
                cwd=self.cwd,
                start_new_session=True,
                **self.popen,
                **self.options,
            )
        return self

    def heeds_signals(self):
        """Whether the process has come so far that SIGTERM is held back for it to be read."""
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            blocked = re.search(r"^SigBlk:\s*([0-9a-f]+)$", status.read(), re.M).group(1)
        return int(blocked, 16) >> (signal.SIGTERM - 1) & 1 == 1


class Responder:
    """A directory with settings, log and socket. The program runs as the web server's user, so
    that it does not pass for root's."""

    def __init__(self, program, settings=()):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="speke-responder-")
        os.chmod(self.directory, 0o755)
        if USER:
            shutil.chown(self.directory, USER, USER)
        self.config = self.path("speke.conf")
        self.socket = self.path("speke.sock")
        self.log = self.path("log")
        self.settings = {**NOWHERE, "audit_seal_interval": 0, "log_level": "info", **dict(settings)}
        self.processes = []
        self.write_settings()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write_settings(self, **changes):
        self.settings.update(changes)
        new = self.config + ".new"
        with open(new, "w", encoding="utf-8") as out:
            for name, value in self.settings.items():
                out.write(f"{name} = {value}\n")
        os.chmod(new, 0o644)
        os.replace(new, self.config)

    def process(self, *arguments, command=None, user=USER, environment=None, popen=()):
        """A process of the program that is not started yet; popen holds arguments of Popen."""
        process = Spawned(
            "responder",
            command or [self.program, "--config", self.config, *arguments],
            self.log,
            user=user,
            environment=environment,
            popen=popen,
        )
        self.processes.append(process)
        return process

    def listen(self, *arguments, workers=1, address=None):
        """Stands alone; returns the parent process once it has its workers and answers."""
        address = address or self.socket
        process = self.process("--listen", address, "--workers", workers, *arguments).start()

        def ready():
            process.check()
            return len(children(process.pid)) == workers and self.answers()

        wait_until(ready, 10, "the workers")
        return process

    def spawn(self, *arguments, **more):
        """With a listening socket on standard input, as a web server would."""
        with self.listening_socket() as listener:
            process = self.process(*arguments, popen={"stdin": listener.fileno()}, **more)
            return process.start()

    def listening_socket(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.socket)
        os.chmod(self.socket, 0o666)
        listener.listen(64)
        return listener

    def fetch(self, *arguments, **more):
        return fetch(self.socket, *arguments, **more)

    def heartbeat(self):
        """A request that needs nobody but the program."""
        return self.fetch("/v1.0/heartbeat")

    def answers(self):
        try:
            return self.heartbeat().status == 200
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def log_text(self):
        return log_text(self.log)

    def stop(self):
        for process in self.processes:
            process.stop(signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)
