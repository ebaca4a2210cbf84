# SPDX-License-Identifier: Apache-2.0
"""The cloud front without a cloud: the test gateway of tests/aws carries out aws/template.yaml, and
AWS's own package signs what is sent to it."""
import base64
import contextlib
import datetime
import hashlib
import json
import os
import uuid
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from .process import Process, free_port, log_text, port_open, run, wait_until
from .stack import ACCOUNT, REGION
from .tls import _write_certificate, _write_key

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SOURCES = os.path.join(TOP, "tests", "aws")
NODE = os.environ.get("SPEKE_NODE", "node")


def node_modules():
    """The packages of tests/aws, installed when they are not there yet."""
    return run([os.path.join(TOP, "tools", "npm.sh"), "tests/aws"], timeout=300).stdout.strip()


def gateway_certificate(directory, name="gateway"):
    """A certificate as API Gateway makes them: RSA, signed by itself, no CA, always of this name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ApiGateway")])
    now = datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    path = os.path.join(directory, name)
    _write_certificate(path + ".pem", certificate)
    _write_key(path + ".key", key)
    return path + ".pem", path + ".key"


def session(role):
    """Temporary credentials as STS gives them to a service that assumes the role."""
    return {
        "accessKeyId": "ASIA" + uuid.uuid4().hex[:16].upper(),
        "secretAccessKey": base64.b64encode(os.urandom(30)).decode(),
        "sessionToken": base64.b64encode(os.urandom(200)).decode(),
        "arn": role,
    }


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def header(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} is there {len(found)} times"
        return found[0] if found else None

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


@dataclass
class Request:
    """What is to be signed and sent; "after" is what is changed once it is signed."""

    path: str = "/speke/v2.0/copyProtection"
    method: str = "POST"
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    credentials: dict = None
    date: datetime.datetime = None
    region: str = REGION
    service: str = "execute-api"
    signer: dict = field(default_factory=dict)  # options of the signing package
    after: dict = field(default_factory=dict)


class Gateway:
    """stack: resolved; proof: (certificate, key) that stands for its ClientCertificateId;
    callers: of session()."""

    def __init__(self, directory, stack, site, proof=(None, None), callers=()):
        self.directory, self.stack, self.site = directory, stack, site
        self.proof, self.callers = proof, callers
        self.port = free_port()
        self.log = os.path.join(directory, "gateway.log")
        self.access_log = os.path.join(directory, "access.log")
        self.environment = {"NODE_PATH": node_modules()}
        self.process = None

    @property
    def base(self):
        return f"https://localhost:{self.port}"

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        config = {
            "resources": self.stack.resources,
            "region": REGION,
            "account": ACCOUNT,
            "keys": {
                caller["accessKeyId"]: {
                    "secret": caller["secretAccessKey"],
                    "token": caller.get("sessionToken"),
                    "arn": caller["arn"],
                }
                for caller in self.callers
            },
            "port": self.port,
            "tls": {"certificate": self.site.certificate, "key": self.site.certificate_key},
            "provider": {
                "ca": self.site.authority.ca_file,
                "certificate": self.proof[0],
                "key": self.proof[1],
            },
            "accessLog": self.access_log,
        }
        path = os.path.join(self.directory, "gateway.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        command = [NODE, os.path.join(SOURCES, "gateway.js"), path]
        self.process = Process("gateway", command, self.log, environment=self.environment).start()
        wait_until(self._listening, 20, f"the gateway on port {self.port}")
        return self

    def _listening(self):
        self.process.check()
        return port_open(self.port)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def access_log_text(self):
        return log_text(self.access_log)

    def send_all(self, requests, together=False):
        """Sends them one after the other over one connection, or all at once; returns the answers."""
        wanted = {
            "ca": self.site.authority.ca_file,
            "together": together,
            "requests": [self._as_json(request) for request in requests],
        }
        done = run(
            [NODE, os.path.join(SOURCES, "client.js")],
            input=json.dumps(wanted),
            env={**os.environ, **self.environment},
        )
        return [
            Answer(item["status"], item["headers"], base64.b64decode(item["body"]))
            for item in json.loads(done.stdout)
        ]

    def send(self, request):
        (answer,) = self.send_all([request])
        return answer

    def _as_json(self, request):
        after = dict(request.after)
        if "body" in after:
            after["body"] = base64.b64encode(after["body"]).decode()
        keys = ("accessKeyId", "secretAccessKey", "sessionToken")
        credentials = request.credentials
        return {
            "url": self.base + request.path,
            "method": request.method,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode(),
            "credentials": credentials and {k: credentials[k] for k in keys if k in credentials},
            "region": request.region,
            "service": request.service,
            "date": request.date and request.date.isoformat(),
            "signer": request.signer,
            "after": after,
        }


@contextlib.contextmanager
def running(gateway):
    try:
        yield gateway.start()
    finally:
        gateway.stop()
