# SPDX-License-Identifier: Apache-2.0
"""HTTPS as a packager speaks it, down to the bytes: kept connections, Digest with a kept nonce,
and raw requests that no well-behaved library would send."""
import base64
import hashlib
import http.client
import os
import re
import socket
import ssl
import threading
import urllib.parse
from dataclasses import dataclass

TIMEOUT = 40  # seconds; longer than any time-out of the product, so that a hang is seen as one

# What a kept connection says that the server has closed meanwhile.
CLOSED = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name):
        return self.headers.get(name)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


def tls_context(ca, certificate=None, maximum=None, minimum=None):
    """Trusts the run's own authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def parse_challenges(values):
    """[{parameter: value}] of the Digest challenges in WWW-Authenticate values."""
    challenges = []
    for value in values:
        for part in re.split(r"(?:^|,\s*)(?=Digest\s)", value):
            if part.startswith("Digest"):
                found = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', part)
                challenges.append({name: quoted or bare for name, quoted, bare in found})
    return challenges


class Digest:
    """RFC 7616 with qop=auth, keeping the nonce between requests."""

    HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}

    def __init__(self, user, password, algorithm=None):
        self.user, self.password, self.algorithm = user, password, algorithm
        self.challenge, self.count = None, 0

    def take(self, values):
        """Accepts a server's challenge; False when it offers no algorithm that is wanted."""
        for challenge in parse_challenges(values):
            name = challenge.get("algorithm", "MD5").upper()
            if name in self.HASHES and self.algorithm in (None, name):
                self.challenge, self.count = challenge, 0
                return True
        return False

    def header(self, method, uri):
        if self.challenge is None:
            return None
        c = self.challenge
        algorithm = c.get("algorithm", "MD5").upper()

        def h(text):
            return self.HASHES[algorithm](text.encode()).hexdigest()

        self.count += 1
        nc, cnonce = f"{self.count:08x}", os.urandom(8).hex()
        ha1 = h(f"{self.user}:{c['realm']}:{self.password}")
        ha2 = h(f"{method}:{uri}")
        response = h(f"{ha1}:{c['nonce']}:{nc}:{cnonce}:auth:{ha2}")
        text = (
            f'Digest username="{self.user}", realm="{c["realm"]}", nonce="{c["nonce"]}", '
            f'uri="{uri}", algorithm={algorithm}, qop=auth, nc={nc}, cnonce="{cnonce}", '
            f'response="{response}"'
        )
        return text + (f', opaque="{c["opaque"]}"' if c.get("opaque") else "")


def basic_header(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Client:
    """One kept HTTPS connection. base is the URL of the mount point, without a slash at its end.
    auth: ("digest", user, password), ("basic", user, password) or None."""

    def __init__(self, base, ca, auth=None, algorithm=None, certificate=None, context=None):
        self.base = base
        parts = urllib.parse.urlsplit(base)
        self.host, self.port, self.mount = parts.hostname, parts.port, parts.path
        self.context = context or tls_context(ca, certificate)
        self.auth = auth
        self.digest = Digest(auth[1], auth[2], algorithm) if auth and auth[0] == "digest" else None
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _once(self, method, uri, body, headers):
        fresh = self.connection is None
        if fresh:
            self.connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=TIMEOUT, context=self.context
            )
        try:
            try:
                self.connection.request(method, uri, body=body, headers=headers)
            except (ConnectionError, ssl.SSLEOFError):
                if self.connection.sock is None:
                    raise  # nobody listens
                # A server may refuse a large body before it has read it: the answer is there.
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if fresh or not isinstance(error, CLOSED):
                raise
            return self._once(method, uri, body, headers)  # the server had closed an idle one
        if response.will_close:
            self.close()
        return answer

    def request(self, method, path, body=None, headers=None):
        """path is below the mount point. Answers a Digest challenge once."""
        uri = self.mount + path
        headers = dict(headers or {})
        if self.auth and self.auth[0] == "basic":
            headers.setdefault("Authorization", basic_header(self.auth[1], self.auth[2]))
        for attempt in (1, 2):
            if self.digest and self.digest.challenge:
                headers["Authorization"] = self.digest.header(method, uri)
            answer = self._once(method, uri, body, headers)
            if answer.status != 401 or not self.digest or attempt == 2:
                return answer
            if not self.digest.take(answer.headers.get_all("WWW-Authenticate") or []):
                return answer
        raise AssertionError("unreachable")

    def post(self, body, speke="2.0", path="/copyProtection", headers=None):
        """One SPEKE exchange; speke None sends no X-Speke-Version."""
        if hasattr(body, "bytes"):
            body = body.bytes()
        all_headers = {"Content-Type": "application/xml"}
        if speke is not None:
            all_headers["X-Speke-Version"] = speke
        all_headers.update(headers or {})
        return self.request("POST", path, body, all_headers)

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def login(self):
        """Makes sure that connection and nonce are there, so that the next request is one."""
        answer = self.post(b"", speke="2.0")
        assert answer.status != 401, f"login of {self.auth}: 401"
        return self


class Raw:
    """A TLS connection for requests written by hand."""

    def __init__(self, client, receive_buffer=None):
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            # On loopback a segment is larger than such a window, and would come by timer only.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        plain.settimeout(TIMEOUT)
        plain.connect((client.host, client.port))
        self.client = client
        self.socket = client.context.wrap_socket(plain, server_hostname=client.host)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def head(self, method="POST", path="/copyProtection", headers=(), speke="2.0"):
        """The head of an authenticated request as bytes, without Content-Length."""
        uri = self.client.mount + path
        lines = [f"{method} {uri} HTTP/1.1", f"Host: {self.client.host}:{self.client.port}"]
        if self.client.digest:
            if self.client.digest.challenge is None:
                self.client.login()
            lines.append("Authorization: " + self.client.digest.header(method, uri))
        if speke is not None:
            lines.append(f"X-Speke-Version: {speke}")
        lines.append("Content-Type: application/xml")
        lines.extend(headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next answer; None when the server closed the connection without one."""
        response = http.client.HTTPResponse(self.socket, method="POST")
        try:
            response.begin()
            while response.status == 100:
                response = http.client.HTTPResponse(self.socket, method="POST")
                response.begin()
            return Answer(response.status, response.headers, response.read())
        except CLOSED:
            return None


def at_once(workers):
    """Runs the callables in threads that start together; returns their results in order. What one
    raises is raised here."""
    results, errors = [None] * len(workers), []
    barrier = threading.Barrier(len(workers))

    def run(index, work):
        try:
            barrier.wait(TIMEOUT)
            results[index] = work()
        except BaseException as error:  # noqa: B902 - carried over to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
