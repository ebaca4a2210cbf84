# SPDX-License-Identifier: Apache-2.0
"""A web server's side of FastCGI and CGI, down to the bytes: for what a real web server hides."""
import os
import select
import socket
import struct
import subprocess
from dataclasses import dataclass, field

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7
GET_VALUES = 9
RESPONDER, AUTHORIZER = 1, 2
KEEP_CONNECTION = 1
TIMEOUT = 30  # seconds: longer than any time-out that a test waits for


class Broken(Exception):
    """The program closed the connection without an answer."""


@dataclass
class Answer:
    status: int
    headers: list  # of (name, value), as sent
    body: bytes
    records: list = field(default_factory=list)  # content lengths of the STDOUT records
    protocol_status: int = 0

    def header(self, name):
        """The value of a header that stands there once; None when it is absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} stands {len(values)} times in {self.headers}"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode("utf-8")


def parse_response(data):
    """(status, headers, body) of a CGI response."""
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, f"no end of the head in {data[:200]!r}"
    headers = []
    for line in head.decode("ascii").split("\r\n"):
        name, _, value = line.partition(": ")
        headers.append((name, value))
    status = [value for name, value in headers if name == "Status"]
    return int(status[0].split()[0]), [h for h in headers if h[0] != "Status"], body


def variables(path="/health", method="GET", user=None, length=None, **more):
    """Meta-variables as a web server sets them; one that is None is left out."""
    found = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "keys.example",
        "SERVER_PORT": "443",
        "HTTPS": "on",
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "SCRIPT_NAME": path and path.partition("?")[0],
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_USER": user,
        "CONTENT_LENGTH": length,
    }
    found.update(more)
    return {name: str(value) for name, value in found.items() if value is not None}


def record(kind, content=b"", request_id=1, padding=0):
    header = struct.pack(">BBHHBx", 1, kind, request_id, len(content), padding)
    return header + content + bytes(padding)


def begin(request_id=1, role=RESPONDER, flags=0):
    return record(BEGIN, struct.pack(">HB5x", role, flags), request_id)


def _length(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def name_values(pairs):
    data = b""
    for name, value in pairs.items():
        name, value = os.fsencode(name), os.fsencode(value)
        data += _length(len(name)) + _length(len(value)) + name + value
    return data


def stream(kind, data, request_id=1, size=65535):
    """A stream as records of at most size bytes, its end included."""
    parts = [record(kind, data[i : i + size], request_id) for i in range(0, len(data), size)]
    return b"".join(parts) + record(kind, b"", request_id)


class Connection:
    """One connection to the program's socket: a path, or (host, port)."""

    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _take(self, n):
        while len(self.buffer) < n:
            data = self.socket.recv(65536)
            if not data:
                raise Broken(f"end of the connection; {len(self.buffer)} bytes left")
            self.buffer += data
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def read_record(self):
        """(kind, request id, content)"""
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", self._take(8))
        assert version == 1
        content = self._take(length)
        self._take(padding)
        return kind, request_id, content

    def answer(self, request_id=1):
        """The answer up to the end of the request."""
        output, records, ended = b"", [], False
        while True:
            kind, number, content = self.read_record()
            assert number == request_id
            if kind == END:
                assert ended, "END_REQUEST before the end of STDOUT"
                _, protocol_status = struct.unpack(">IB3x", content)
                break
            assert kind == STDOUT and not ended, f"record {kind} in the answer"
            ended = not content
            if content:
                records.append(len(content))
            output += content
        if protocol_status != 0:
            return Answer(0, [], b"", records, protocol_status)
        return Answer(*parse_response(output), records)

    def closed(self):
        """Whether the program closes the connection, having said no more."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def readable(connection, seconds):
    """Whether something comes back within that time."""
    return bool(connection.buffer) or bool(select.select([connection.socket], [], [], seconds)[0])


def request_bytes(parameters, body=b"", flags=0, request_id=1, size=65535):
    return (
        begin(request_id, flags=flags)
        + stream(PARAMS, name_values(parameters), request_id)
        + stream(STDIN, body, request_id, size)
    )


def fetch(address, path="/health", body=None, method=None, **more):
    """One request on a connection of its own; the length of a body is announced unless given."""
    if method is None:
        method = "GET" if body is None else "POST"
    if body is not None:
        more.setdefault("length", len(body))
    with Connection(address) as connection:
        connection.send(request_bytes(variables(path, method, **more), body or b""))
        return connection.answer()


def run_cgi(program, parameters, body=b"", arguments=(), environment=None, timeout=TIMEOUT):
    """Runs the program as a web server runs a CGI program; (answer, what it wrote to stderr)."""
    done = subprocess.run(
        [program, *arguments],
        input=body,
        env={"PATH": "/usr/bin:/bin", **parameters, **(environment or {})},
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr.decode()}"
    return Answer(*parse_response(done.stdout)), done.stderr.decode()
