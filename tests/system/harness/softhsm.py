# SPDX-License-Identifier: Apache-2.0
"""A SoftHSM token of one's own, with an AES key that does not leave it."""
import os
import shutil

from .process import ROOT, run
from .web import USER

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "73919"


def available():
    return os.path.exists(MODULE) and shutil.which("pkcs11-tool") and shutil.which("softhsm2-util")


class Token:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(os.path.join(directory, "tokens"))
        self.pin = os.path.join(directory, "pin")
        self.config = os.path.join(directory, "softhsm2.conf")
        self.environment = {"PATH": "/usr/bin:/bin", "SOFTHSM2_CONF": self.config}
        with open(self.config, "w", encoding="ascii") as out:
            out.write(f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\n")
        with open(self.pin, "w", encoding="ascii") as out:
            out.write(PIN + "\n")
        os.chmod(self.pin, 0o400)
        run(
            ["softhsm2-util", "--init-token", "--free", "--label", "speke", "--pin", PIN,
             "--so-pin", "5678"],
            env=self.environment,
        )  # fmt: skip
        run(
            ["pkcs11-tool", "--module", MODULE, "--token-label", "speke", "--login", "--pin", PIN,
             "--keygen", "--key-type", "AES:32", "--label", "kek", "--sensitive"],
            env=self.environment,
        )  # fmt: skip
        self.own()

    def own(self):
        """The token and its PIN belong to the user of the responder."""
        if not ROOT or not USER:
            return
        for folder, _, names in os.walk(self.directory):
            for path in [folder, *(os.path.join(folder, name) for name in names)]:
                shutil.chown(path, USER, USER)

    def uri(self, key="kek"):
        return f"pkcs11:token=speke;object={key}?module-path={MODULE}&pin-source=file:{self.pin}"
