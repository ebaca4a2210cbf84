# SPDX-License-Identifier: Apache-2.0
"""A proxy before PostgreSQL's socket that cuts a connection at the moment that a test chooses."""
import contextlib
import os
import socket
import threading

from .web import USER

CHUNK = 1 << 16
MARK = b"acquire\0"  # the prepared statement's name, in the messages that make it and run it


class Proxy:
    """Listens in a directory of its own, under PostgreSQL's name for sockets. Cuts, once cut() was
    called, the connection of the next acquire(): "before" it is passed on, in the "middle" of it, or
    "after" the server has answered, of which nothing is passed on. cuts counts them."""

    def __init__(self, directory, server):
        self.directory, self.server = directory, os.path.join(server, ".s.PGSQL.5432")
        self.path = os.path.join(directory, ".s.PGSQL.5432")
        self.cuts, self._when = 0, None
        self.lock = threading.Lock()

    def __enter__(self):
        os.makedirs(self.directory)
        os.chmod(self.directory, 0o755)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777 if USER else 0o700)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def cut(self, when):
        with self.lock:
            self._when = when

    def _due(self, data):
        """When to cut the connection that sent this; None: not."""
        with self.lock:
            if self._when is None or MARK not in data:
                return None
            when, self._when = self._when, None
            self.cuts += 1
            return when

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        silent = threading.Event()  # nothing of the server's goes on to the client
        answered = threading.Event()
        with contextlib.suppress(OSError):
            server.connect(self.server)
            back = threading.Thread(target=self._back, args=(server, client, silent, answered), daemon=True)
            back.start()
            while data := client.recv(CHUNK):
                when = self._due(data)
                if when is None:
                    server.sendall(data)
                    continue
                silent.set()
                if when == "middle":
                    server.sendall(data[: len(data) // 2])
                if when == "after":
                    server.sendall(data)
                    answered.wait(10)
                break
        for end in (server, client):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    @staticmethod
    def _back(server, client, silent, answered):
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                if silent.is_set():
                    answered.set()
                else:
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
