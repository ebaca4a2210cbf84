# SPDX-License-Identifier: Apache-2.0
"""The provider that is measured: its URL, the login, the hooks into its configuration."""
import contextlib
import os
import re
import shlex
import ssl
import subprocess
import time
import urllib.parse
from dataclasses import dataclass

import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from harness import documents as d
from harness.http import Client

from .rules import NotMeasured

TIMEOUT = 30  # seconds for one request
HOOK_TIMEOUT = 60  # seconds
SETTING_DELAY = 8  # seconds until a changed setting must be seen

VERSIONS = {"2.0": "2.3", "2.1": "2.4"}  # X-Speke-Version -> CPIX@version
SECRETS = (b"PlainValue", b"EncryptedValue", b"CipherValue")


@dataclass
class Answer:
    status: int
    headers: object
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def brief(self):
        return f"{self.status} {self.text[:160]!r}"


class Provider:
    def __init__(self, options, password):
        self.options, self.password = options, password
        self.url = options.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = options.ca or True
        self.auth = self.login(options.user, password)
        self.requests = 0

    def login(self, user, password):
        kinds = {"digest": HTTPDigestAuth, "basic": HTTPBasicAuth}
        if self.options.auth == "none":
            return None
        return kinds[self.options.auth](user, password)

    # -- requests -------------------------------------------------------------------------------

    def send(self, method, url=None, body=None, headers=None, auth="own"):
        """Any request; auth None sends it without a login."""
        auth = self.auth if auth == "own" else auth
        self.requests += 1
        response = self.session.request(
            method, url or self.url, data=body, headers=headers, auth=auth, timeout=TIMEOUT,
            allow_redirects=False,
        )  # fmt: skip
        return Answer(response.status_code, response.headers, response.content)

    def post(self, request, version="2.0", headers=None, auth="own"):
        """One SPEKE exchange; version None sends no X-Speke-Version."""
        body = request.bytes() if hasattr(request, "bytes") else request
        sent = {"Content-Type": "application/xml"}
        if version is not None:
            sent["X-Speke-Version"] = version
        sent.update(headers or {})
        return self.send("POST", body=body, headers=sent, auth=auth)

    def post_large(self, body):
        """A server may refuse a large body and close before it has read it. That is an error for
        requests; the client of the system tests, which knows TLS alone, looks for an answer."""
        if not self.url.startswith("https:"):
            return self.post(body)
        self.requests += 2
        context = ssl.create_default_context(cafile=self.options.ca)
        login = (self.options.auth, self.options.user, self.password) if self.auth else None
        with Client(self.url, None, login, context=context) as client:
            client.post(simple(), path="")  # brings the nonce that the large request needs
            answer = client.post(body, path="")
        return Answer(answer.status, answer.headers, answer.body)

    def exchange(self, request, version="2.0"):
        """Posts, expects 200, returns the answer."""
        answer = self.post(request, version)
        assert answer.status == 200, f"expected 200, got {answer.brief()}"
        return answer

    def document(self, request, version="2.0"):
        """Posts, expects 200, returns the document of the answer."""
        return d.Document.parse(self.exchange(request, version).body)

    def refused(self, request, error=None, version="2.0"):
        """Posts, expects a 4xx without keys; with error 422 and exactly that body."""
        answer = self.post(request, version)
        expect_refusal(answer, error)
        return answer

    @property
    def mount(self):
        """The URL below which the conventional paths are."""
        return re.sub(r"(/v\d\.\d)?/copyProtection/?$", "", self.url)

    @property
    def heartbeat(self):
        return self.options.heartbeat_url or f"{self.mount}/v1.0/heartbeat"

    # -- the provider's own side ----------------------------------------------------------------

    def hook(self, command, *arguments):
        """Runs a hook; its end with another code than 0 ends the measurement of the rule.
        Returns what it printed."""
        done = subprocess.run(
            [*shlex.split(command), *arguments], capture_output=True, text=True,
            timeout=HOOK_TIMEOUT, stdin=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        output = (done.stdout + done.stderr).strip()[-400:]
        assert done.returncode == 0, f"hook {command} {' '.join(arguments)}: {output}"
        return done.stdout.strip()

    def player_token(self, content_id):
        """What a player of the content brings; None when keys are had without a token."""
        if not self.options.player_token_hook:
            return None
        return self.hook(self.options.player_token_hook, content_id)

    def restart(self):
        if not self.options.restart_hook:
            raise NotMeasured("needs a restart of the provider (--restart-hook)")
        self.hook(self.options.restart_hook)

    @contextlib.contextmanager
    def settings(self, **values):
        """Changes settings for the time of the block; names with _ for -, see settings-hook."""
        if not self.options.setting_hook:
            raise NotMeasured("needs a change of the provider's settings (--setting-hook)")
        names = [name.replace("_", "-") for name in values]
        try:
            for name, value in zip(names, values.values()):
                self.hook(self.options.setting_hook, name, value)
            yield
        finally:
            for name in names:
                self.hook(self.options.setting_hook, name)


def eventually(attempt):
    """Repeats what may fail until a changed setting has been seen; returns its value."""
    deadline = time.monotonic() + SETTING_DELAY
    while True:
        try:
            return attempt()
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.25)


def expect_refusal(answer, error=None):
    """A 4xx without keys; with error the status 422 and exactly that text."""
    for name in SECRETS:
        assert name not in answer.body, f"a refusal with {name.decode()} in it"
    if error is None:
        assert 400 <= answer.status < 500, f"expected a 4xx, got {answer.brief()}"
        return
    assert answer.status == 422, f"expected 422, got {answer.brief()}"
    assert answer.text == error, f"expected exactly {error!r}, got {answer.text[:160]!r}"


def simple(version="2.0", systems=(d.WIDEVINE,), **more):
    """A request with a video and an audio key; version None is v1 with one key."""
    if version is None:
        return d.request_v1(list(systems), **more)
    return d.simple_v2(tuple(systems), version=VERSIONS[version], **more)


def contract(*rules, version="2.0", **more):
    return d.request_v2(list(rules), [d.WIDEVINE], version=VERSIONS[version], **more)


def quote(text):
    return urllib.parse.quote(text.encode(), safe="-._~")
