# SPDX-License-Identifier: Apache-2.0
"""./quickstart demo, played in headless Chromium: shaka-player, dash.js and hls.js on the
demonstration's own page, over https, with a CA that the browser trusts as any other. That a picture
came is told by the frames that the browser counts and by what is on the screen."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness.process import ROOT, log_text, run, wait_until
from harness.quickstart import Quickstart
from harness.site import TOP

pytestmark = pytest.mark.skipif(
    not ROOT and os.stat(TOP).st_uid != os.geteuid(),
    reason="quickstart wants to be run by the owner of the checkout, or by root",
)

WAYS = ["shaka-cenc", "shaka-cbcs", "dash-cenc", "dash-cbcs", "hls-aes128"]
ONE_EACH = ["shaka-cenc", "dash-cenc", "hls-aes128"]
PLAYER = {"shaka": "shaka-player", "dash": "dash.js", "hls": "hls.js"}
RATE = 25  # pictures a second
PERIOD = 4  # seconds until HLS AES-128 has another key
CONTENTS = {"cenc": "demo-cenc", "cbcs": "demo-cbcs", "aes128": "demo-aes128"}


class Browser:
    """Chromium with a home directory of its own, driven by tests/playback/drive.mjs."""

    def __init__(self, directory, ca=None):
        self.home = os.path.join(directory, "home")
        store = f"sql:{self.home}/.pki/nssdb"
        os.makedirs(store[4:])
        run(["certutil", "-d", store, "-N", "--empty-password"])
        if ca:
            run(["certutil", "-d", store, "-A", "-t", "C,,", "-n", "quickstart", "-i", ca])
        self.log = os.path.join(directory, "chromium.log")
        modules = run([f"{TOP}/tools/npm.sh", "tests/playback"], timeout=300).stdout.strip()
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                ["node", f"{TOP}/tests/playback/drive.mjs"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True,
                env={
                    "PATH": "/usr/bin:/bin", "HOME": self.home, "TMPDIR": directory,
                    "PLAYWRIGHT": os.path.join(modules, "playwright-core", "package.json"),
                },
            )  # fmt: skip

    def ask(self, do, **arguments):
        self.child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, f"the browser ended: {log_text(self.log)[-2000:]}"
        return json.loads(line)

    def __call__(self, do, **arguments):
        answer = self.ask(do, **arguments)
        assert "ok" in answer, f"{do} {arguments}: {answer['error']}"
        return answer["ok"]

    def close(self):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.child.stdin.close()
            self.child.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(10)


class Demo(Quickstart):
    @property
    def origin(self):
        return f"https://localhost:{self.port}"

    @property
    def page(self):
        return f"{self.origin}/demo/"

    @property
    def ca(self):
        return f"{self.directory}/etc/tls/ca.pem"

    def data(self, name):
        with open(f"{self.directory}/demo/www/data/{name}.json", encoding="utf-8") as file:
            return json.load(file)

    def exchange(self, name):
        with open(f"{self.directory}/demo/www/media/exchange/{name}.json", encoding="utf-8") as file:
            return json.load(file)

    def kids(self, way):
        scheme = way.split("-")[1]
        names = ["period-1", "period-2"] if scheme == "aes128" else [scheme]
        return [key["kid"] for name in names for key in self.exchange(name)["keys"]]

    def command(self, name):
        """One of the commands that the page shows, as a reader would run it."""
        done = subprocess.run(
            ["bash", "-c", self.data("demo")["commands"][name]],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def deliveries(self):
        """(content id, KID) of what players got, from the auditor's view."""
        rows = run(
            [
                "psql", self.environment()["SPEKE_DB"], "-XAtF", " ", "-c",
                "SELECT content_id, unnest(kids) FROM speke.v_audit WHERE event = 'delivery'"
                " ORDER BY event_id",
            ]
        ).stdout  # fmt: skip
        return [tuple(line.split(" ")) for line in rows.splitlines()]


@pytest.fixture(scope="module")
def demo():
    parent = tempfile.mkdtemp(prefix="speke-demo-")
    os.chmod(parent, 0o755)
    demo = Demo(os.path.join(parent, "q"))
    try:
        demo.output = demo.run("demo").stdout
        yield demo
    finally:
        with contextlib.suppress(Exception):
            demo.run("reset", check=False)
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(demo, tmp_path_factory):
    browser = Browser(str(tmp_path_factory.mktemp("browser")), demo.ca)
    try:
        yield browser
    finally:
        browser.close()


class Player:
    """Plays on a page of its own each time, and keeps pictures of the video."""

    def __init__(self, demo, browser, directory):
        self.demo, self.browser = demo, browser
        self.pictures = [os.path.join(directory, name) for name in ("first.png", "second.png")]

    def __call__(self, way, viewer="entitled", frames=(1,), seconds=20):
        self.browser("open", url=self.demo.page)
        return self.browser(
            "play", way=way, viewer=viewer, frames=frames, seconds=seconds, pictures=self.pictures
        )


@pytest.fixture
def play(demo, browser, tmp_path):
    return Player(demo, browser, str(tmp_path))


def colours(path):
    """Number of different colours of a picture that is made small and of 8 shades a component."""
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-vf", "scale=64:36", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert len(raw) == 64 * 36 * 3, f"{path}: {len(raw)} bytes"
    return len({bytes(value >> 5 for value in raw[i : i + 3]) for i in range(0, len(raw), 3)})


def assert_nothing_shown(play, seen, way):
    assert seen["frames"] == 0, f"{way}: {seen['frames']} frames were decoded: {seen}"
    assert seen["state"] == "failed", f"{way}: no failure is shown: {seen}"
    player = PLAYER[way.split("-")[0]]
    assert seen["outcome"].startswith(f"{player}: "), f"{way}: the player's error is not shown: {seen}"
    assert seen["curtain"], f"{way}: the page shows a picture"
    assert colours(play.pictures[0]) < 12, f"{way}: {colours(play.pictures[0])} colours without a key"


# -- playing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_plays(demo, play, way):
    """Frames are decoded, the picture has many colours and moves, every key that is needed came from
    the player's door, each with its audit row, and nothing was asked of anybody else."""
    before = len(demo.deliveries())
    wanted = (PERIOD + 1) * RATE if way == "hls-aes128" else 2 * RATE
    seen = play(way, frames=[5, wanted])
    assert seen["frames"] >= wanted and seen["state"] == "playing", f"{way}: {seen}"
    assert seen["position"] >= wanted / RATE - 0.5, f"{way}: {seen}"
    assert seen["height"] in (360, 720), f"{way}: {seen}"
    pictures = []
    for path in play.pictures:
        assert colours(path) > 40, f"{way}: {colours(path)} colours in {path}"
        with open(path, "rb") as picture:
            pictures.append(picture.read())
    assert pictures[0] != pictures[1], f"{way}: the picture stands still"
    assert seen["origins"] == [demo.origin], f"{way}: asked {seen['origins']}"
    assert any("and got" in event for event in seen["events"]), f"{way}: {seen['events']}"
    content, kids = CONTENTS[way.split("-")[1]], set(demo.kids(way))
    got = demo.deliveries()[before:]
    assert got and {c for c, _ in got} == {content}, f"{way}: the audit has {got}"
    delivered = {kid for _, kid in got}
    assert delivered <= kids, f"{way}: other keys were delivered: {got}"
    # Sound and at least one picture size; of HLS both periods.
    assert len(delivered) >= 2, f"{way}: {got}"


def test_browser_trusts_the_ca_alone(demo, tmp_path):
    """The same browser without that CA does not open the page: nothing is waved through."""
    stranger = Browser(str(tmp_path))
    try:
        answer = stranger.ask("open", url=demo.page)
        assert "ERR_CERT_AUTHORITY_INVALID" in answer.get("error", ""), answer
    finally:
        stranger.close()


def test_page_tells_what_happened(demo, browser, play):
    """The keys of the exchanges without their values, and the audit of both doors."""
    play("shaka-cenc", frames=[5])
    wait_until(
        lambda: any(row["event"] == "delivery" for row in demo.data("audit")["rows"]),
        10, "a delivery in the page's audit",
    )  # fmt: skip
    time.sleep(2.5)  # the page reads it every two seconds
    text = browser("read", selector="main")["text"]
    for kid in (*demo.kids("shaka-cenc"), *demo.kids("shaka-cbcs"), *demo.kids("hls-aes128")):
        assert kid in text, f"KID {kid} is not on the page"
    assert "to a packager" in text and "to a player" in text, text
    assert demo.data("demo")["commands"]["disable"] in text, "the command is not shown"


# -- without entitlement ----------------------------------------------------------------------------


@pytest.mark.parametrize("viewer", ["nobody", "stranger"])
@pytest.mark.parametrize("way", ONE_EACH)
def test_refused(demo, play, way, viewer):
    """No token, and the token of another tenant: no frame, and the player says why."""
    before = demo.deliveries()
    seen = play(way, viewer)
    assert_nothing_shown(play, seen, way)
    assert any("refused" in event for event in seen["events"]), seen["events"]
    assert demo.deliveries() == before, "a delivery is in the audit"


@pytest.mark.parametrize("way", ["dash-cbcs", "hls-aes128"])
def test_token_key_disabled_and_enabled(demo, play, way):
    """The page's command takes every token of the tenant back; the other one brings them back."""
    demo.command("disable")
    try:
        time.sleep(1.2)  # the service looks once a second whether its configuration is the newest
        assert_nothing_shown(play, play(way), way)
    finally:
        demo.command("enable")
    time.sleep(1.2)
    seen = play(way, frames=[5])
    assert seen["frames"] >= 5, f"{way} after enabling: {seen}"


# -- around it --------------------------------------------------------------------------------------


def test_no_keys_lie_about(demo):
    """What the web server shows and what was logged hold no key; tokens are the web server's alone."""
    keys = []
    for arguments in (
        ["--content-id", "demo-cenc", "--drm", "widevine", "--preset", "PRESET-VIDEO-2,PRESET-AUDIO-1"],
        ["--content-id", "demo-aes128", "--drm", "clearkey", "--preset", "SHARED", "--period", "1"],
    ):
        done = subprocess.run(
            [f"{demo.directory}/usr/bin/spekectl", "request", "--json", "--reveal", *arguments],
            env={"PATH": "/usr/bin:/bin", **demo.environment()},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        keys += [(key["key"], key["key_hex"]) for key in json.loads(done.stdout)["keys"]]
    assert len(keys) == 4, keys
    for top in ("demo", "log"):
        for folder, _, names in os.walk(f"{demo.directory}/{top}"):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    data = file.read()
                for text, digits in keys:
                    assert text.encode() not in data and digits.encode() not in data.lower(), f"a key in {name}"
                    assert bytes.fromhex(digits) not in data, f"a key in {name}"
    assert os.stat(f"{demo.directory}/demo/www/data/demo.json").st_mode & 0o077 == 0


def test_second_run_keeps_everything(demo, play):
    kids, tokens = demo.kids("shaka-cenc"), demo.data("demo")["tokens"]
    fingerprints = [key["fingerprint"] for key in demo.exchange("cenc")["keys"]]
    demo.run("demo", "--server", "apache")
    assert demo.kids("shaka-cenc") == kids, "other KIDs"
    assert [key["fingerprint"] for key in demo.exchange("cenc")["keys"]] == fingerprints, "other keys"
    assert demo.data("demo")["tokens"] != tokens, "tokens are new each time"
    seen = play("dash-cenc", frames=[5])
    assert seen["frames"] >= 5, f"behind Apache: {seen}"


@pytest.mark.parametrize("way", ONE_EACH)
def test_service_stopped(demo, play, way):
    """The page is there, the key provider is not."""
    pid_file = f"{demo.directory}/run/speke/responder.pid"
    if os.path.exists(pid_file):
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the responder's end")
    seen = play(way, seconds=30)
    assert_nothing_shown(play, seen, way)
    assert any(re.search(r"\b(503|502)\b", event) for event in seen["events"]), seen["events"]


def test_stop_and_reset_cover_it(demo):
    demo.run("stop")
    left = subprocess.run(["pgrep", "-f", demo.directory], capture_output=True, text=True, check=False)
    assert left.stdout == "", f"processes are left: {left.stdout}"
    demo.run("reset")
    assert not os.path.exists(demo.directory), "reset left the directory"
