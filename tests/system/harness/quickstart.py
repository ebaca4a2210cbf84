# SPDX-License-Identifier: Apache-2.0
"""./quickstart in a directory and on a port of its own."""
import os
import re
import subprocess

from . import documents as d
from .answers import check_v2
from .http import Client
from .process import free_port
from .site import TOP


class Quickstart:
    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.output = ""

    def run(self, *arguments, check=True):
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "QUICKSTART_DIR": self.directory,
            "QUICKSTART_PORT": str(self.port),
        }
        done = subprocess.run(
            [os.path.join(TOP, "quickstart"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd="/",
            timeout=600,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"quickstart {arguments}: {done.returncode}\n{done.stdout}"
        return done

    def start(self, *arguments):
        self.output = self.run(*arguments).stdout
        return self

    def environment(self):
        """The variables of DIR/env, as a shell that sources it sees them."""
        script = f". {self.directory}/env && env -0"
        done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, check=True)
        return dict(
            item.split("=", 1) for item in done.stdout.decode().split("\0") if item.startswith("SPEKE")
        )

    def client(self):
        e = self.environment()
        base = re.sub(r"(/v[0-9.]+)?/copyProtection$", "", e["SPEKE_URL"])
        return Client(base, e["SPEKE_CA"], ("digest", e["SPEKE_USER"], e["SPEKE_PASSWORD"]))

    def demo_keys(self):
        """The keys of the request that the first run made, got with the curl line it printed."""
        lines = [line for line in self.output.splitlines() if line.startswith("curl --digest")]
        assert len(lines) == 1, f"expected one curl line in\n{self.output}"
        done = subprocess.run(
            ["bash", "-c", lines[0]], capture_output=True, cwd="/", timeout=60, check=False
        )
        assert done.returncode == 0, f"{lines[0]}: {done.stderr}"
        with open(f"{self.directory}/request.xml", "rb") as request:
            document = d.Document.parse(request.read())
        keys = check_v2(done.stdout, document)
        assert len(keys.key) == 2, f"the demonstration has {len(keys.key)} keys, expected 2"
        systems = {system.get("systemId") for system in document.all("DRMSystem")}
        assert systems == {d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY}, f"systems {systems}"
        return keys
