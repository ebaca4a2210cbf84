# SPDX-License-Identifier: Apache-2.0
"""Where KEKs come from beside a file: a command, a PKCS#11 token; and how a copy of them is kept:
encrypted for a certificate, split among several."""
import base64
import os
import shutil
import signal
import stat
import time

import pytest

from harness import documents as d
from harness import sealed, softhsm
from harness.answers import check_v2
from harness.process import ROOT, run, wait_until
from harness.web import USER

pytestmark = pytest.mark.skipif(not ROOT, reason="gives files to the responder's user")


def restart(site):
    site.stop_responder()
    site.start_responder()


def ask(site, request=None):
    with site.web("lighttpd").client() as client:
        return client.post(request or d.simple_v2())


def expect_keys(site, request, keys):
    answer = ask(site, request)
    assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
    assert check_v2(answer.body, request).key == keys


def first_keys(site):
    request = d.simple_v2()
    answer = ask(site, request)
    assert answer.status == 200, f"{answer.status} {answer.text[:200]!r}"
    return request, check_v2(answer.body, request).key


def script(site, text):
    """A program of the responder's user."""
    path = os.path.join(site.directory, "kek-command")
    with open(path, "w", encoding="ascii") as out:
        out.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o500)
    if USER:
        shutil.chown(path, USER, USER)
    return path


def use_command(site, command):
    site.write_config(kek_command=command, kek_file="/nonexistent/kek")
    restart(site)


def test_command(new_site):
    """Its output is taken; its arguments come as they are; it knows nothing of the environment."""
    site = new_site(workers=1)
    request, keys = first_keys(site)
    seen = os.path.join(site.run_directory, "seen")
    path = script(site, f'env > {seen}; echo "$1 $2" >> {seen}; ls -l /proc/self/fd >> {seen}; exec cat {site.kek}\n')
    use_command(site, f"{path}  one $HOME;id")
    expect_keys(site, request, keys)
    with open(seen, encoding="utf-8") as text:
        told = text.read()
    assert "one $HOME;id" in told, "the words are passed on as they are"
    assert "SPEKE" not in told and "socket:" not in told, told
    done = site.ctl("status", user="op", check=False)
    assert done.returncode == 0 and "kek-command" in done.stdout, done.stdout + done.stderr
    done = site.ctl("kek", "create", "--version", "2", user="op", check=False)
    assert done.returncode == 2 and "--file" in done.stderr
    # Without a version missing it is not run again; SIGHUP has it run again.
    os.unlink(seen)
    for _ in range(3):
        expect_keys(site, request, keys)
    time.sleep(1.2)
    expect_keys(site, request, keys)
    assert not os.path.exists(seen), "the command ran for a KEK that is loaded"
    site.responder.send(signal.SIGHUP)
    wait_until(lambda: ask(site, request).status == 200 and os.path.exists(seen), 10, "the command after SIGHUP")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo no vault here >&2; exit 3\n", "exit code 3: no vault here"),
        ("kill -9 $$\n", "ended by signal 9"),
        ("echo rubbish\n", "no version number"),
        ("exit 0\n", "holds no KEK"),
        ("head -c 20000 /dev/zero\n", "larger than"),
    ],
    ids=["fails", "killed", "rubbish", "empty", "endless"],
)
def test_command_of_no_use(new_site, text, words):
    site = new_site(workers=1)
    use_command(site, script(site, text))
    answer = ask(site)
    assert answer.status == 503 and answer.text.endswith("sealed"), answer.text
    assert words in site.log_text(), site.log_text()[-600:]


@pytest.mark.parametrize("before", ["", "exec >&- 2>&-; "], ids=["open", "output closed"])
def test_command_that_hangs(new_site, before):
    """It and what it started are killed after ten seconds."""
    site = new_site(workers=1)
    use_command(site, script(site, f"{before}sleep 4711 & sleep 4711\n"))
    started = time.monotonic()
    assert ask(site).status == 503
    assert 9 < time.monotonic() - started < 14
    assert "did not end within 10 s" in site.log_text()
    time.sleep(0.3)
    assert not run(["pgrep", "-f", "sleep 4711"], check=False).stdout, "something is left"
    use_command(site, "cat /etc/passwd")
    assert ask(site).status == 503 and "absolute path" in site.log_text()


# --- PKCS#11 ------------------------------------------------------------------------------------------


@pytest.fixture
def hsm_site(new_site):
    if not softhsm.available():
        pytest.skip("needs softhsm2 and opensc")
    site = new_site(workers=2)
    token = softhsm.Token(os.path.join(site.directory, "hsm"))
    site.environment = {"SOFTHSM2_CONF": token.config}
    site.write_config(pkcs11_uri=token.uri())
    restart(site)
    done = site.ctl("kek", "create", "--version", "2", "--pkcs11", user="op", check=False)
    if "without PKCS#11" in done.stderr:
        pytest.skip("built without p11-kit")
    assert done.returncode == 0, done.stderr
    token.own()
    yield site, token


def lines(site):
    with open(site.kek, encoding="ascii") as text:
        return {line.split()[0]: line.split()[1] for line in text if line[0].isdigit()}


def test_token_wraps_the_kek(hsm_site):
    """A KEK whose line only the token opens: in use, moved to, and of no use without the token."""
    site, token = hsm_site
    wrapped = lines(site)["2"]
    assert wrapped.startswith("pkcs11:") and len(base64.b64decode(wrapped[7:])) == 60
    request, keys = first_keys(site)
    row = site.query("SELECT DISTINCT kek_version FROM speke.content_key WHERE content_id = %s", (request.content_id,))
    assert [r["kek_version"] for r in row] == [2]
    site.ctl("kek", "rewrap", user="op")
    site.ctl("kek", "retire", "1", user="op")
    site.ctl("kek", "destroy", "1", "--yes", user="op")
    token.own()
    restart(site)
    expect_keys(site, request, keys)
    assert site.ctl("status", user="op", check=False).returncode == 0
    for pid in site.worker_pids():
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
            assert "softhsm" not in maps.read(), "the token's module is in the worker"
    # Exchanges cost no token operation: without the token a process that has the KEK works on.
    os.rename(token.directory, token.directory + ".away")
    time.sleep(1.2)
    expect_keys(site, request, keys)
    restart(site)
    answer = ask(site, request)
    assert answer.status == 503 and answer.text.endswith("sealed")
    os.rename(token.directory + ".away", token.directory)
    restart(site)
    expect_keys(site, request, keys)


@pytest.mark.parametrize("fault", ["pin", "pin-mode", "key", "number"])
def test_token_faults(hsm_site, fault):
    site, token = hsm_site
    words = {"pin": "logging in", "pin-mode": "mode 0404", "key": "names no secret key", "number": "unwrapping"}[fault]
    if fault == "pin":
        os.chmod(token.pin, 0o600)
        with open(token.pin, "w", encoding="ascii") as out:
            out.write("11111\n")
        os.chmod(token.pin, 0o400)
    elif fault == "pin-mode":
        os.chmod(token.pin, 0o404)
    elif fault == "key":
        site.write_config(pkcs11_uri=token.uri("other"))
    else:
        with open(site.kek, encoding="ascii") as kek:
            text = kek.read()
        os.chmod(site.kek, 0o600)
        with open(site.kek, "w", encoding="ascii") as kek:
            kek.write(text.replace("\n2 pkcs11:", "\n3 pkcs11:"))
        os.chmod(site.kek, 0o400)
    restart(site)
    answer = ask(site)
    assert answer.status == 503 and answer.text.endswith("sealed"), answer.text
    log = site.log_text()
    assert words in log and softhsm.PIN not in log and "11111" not in log, log[-800:]


# --- copies -------------------------------------------------------------------------------------------


def certificate(directory, name, *kind):
    key, cert = os.path.join(directory, name + ".key"), os.path.join(directory, name + ".pem")
    run(
        ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out", cert,
         "-subj", f"/CN={name}", "-days", "30"],
    )  # fmt: skip
    return key, cert


def test_escrow_and_recovery(new_site):
    """For an RSA and an EC certificate; opened by spekectl and by stock OpenSSL."""
    site = new_site(workers=1)
    site.ctl("kek", "create", "--version", "2", "--inactive", user="op")
    keks = sealed.read_kek_file(site.kek)
    rsa = certificate(site.directory, "rsa", "rsa:3072")
    ec = certificate(site.directory, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")
    message = os.path.join(site.directory, "escrow.pem")
    site.ctl("kek", "escrow", "--to", rsa[1], "--to", ec[1], "--out", message)
    assert stat.S_IMODE(os.stat(message).st_mode) == 0o600
    with open(message, "rb") as data:
        text = data.read()
    assert all(base64.b64encode(kek)[:20] not in text and kek not in text for kek in keks.values())
    described = run(["openssl", "cms", "-cmsout", "-print", "-inform", "PEM", "-in", message]).stdout
    assert "rsaesOaep" in described and "aes-256-gcm" in described and "authEnvelopedData" in described
    for number, (key, cert) in enumerate([rsa, ec]):
        path = os.path.join(site.directory, f"recovered-{number}")
        site.ctl("kek", "recover", message, "--key", key, "--file", path)
        assert sealed.read_kek_file(path) == keks and stat.S_IMODE(os.stat(path).st_mode) == 0o400
        again = site.ctl("kek", "recover", message, "--key", key, "--file", path, check=False)
        assert again.returncode == 1 and "not overwritten" in again.stderr
        stock = os.path.join(site.directory, f"stock-{number}")
        run(["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", message, "-recip", cert,
             "-inkey", key, "-out", stock])  # fmt: skip
        assert sealed.read_kek_file(stock) == keks
    stranger, _ = certificate(site.directory, "stranger", "rsa:2048")
    done = site.ctl("kek", "recover", message, "--key", stranger, "--file", site.kek + "-x", check=False)
    assert done.returncode == 1 and not os.path.exists(site.kek + "-x")
    # A bit that was changed in what is encrypted: it is not taken for another KEK.
    der = bytearray(base64.b64decode("".join(text.decode().splitlines()[1:-1])))
    der[-30] ^= 1
    altered = os.path.join(site.directory, "altered.pem")
    with open(altered, "w", encoding="ascii") as out:
        out.write("-----BEGIN CMS-----\n" + base64.encodebytes(der).decode() + "-----END CMS-----\n")
    done = site.ctl("kek", "recover", altered, "--key", rsa[0], "--file", site.kek + "-x", check=False)
    assert done.returncode == 1 and not os.path.exists(site.kek + "-x"), done.stderr
    # Standard output, and the file with which the service then works again.
    assert "BEGIN CMS" in site.ctl("kek", "escrow", "--to", ec[1]).stdout
    request, keys = first_keys(site)
    os.unlink(site.kek)
    restart(site)
    assert ask(site).status == 503
    site.ctl("kek", "recover", message, "--key", ec[0], "--owner", USER)
    wait_until(lambda: ask(site, request).status == 200, 5, "the recovered KEK to be read")
    expect_keys(site, request, keys)


@pytest.mark.skipif(not shutil.which("gfsplit"), reason="needs libgfshare-bin")
def test_split_among_five(new_site):
    """Any three of five shares give the file back, two do not."""
    site = new_site(workers=1)
    with open(site.kek, "rb") as kek:
        text = kek.read()
    shares = os.path.join(site.directory, "shares")
    os.makedirs(shares, 0o700)
    run(["gfsplit", "-n", "3", "-m", "5", site.kek, os.path.join(shares, "kek")])
    names = sorted(os.listdir(shares))
    assert len(names) == 5
    for name in names:
        with open(os.path.join(shares, name), "rb") as share:
            assert text[-20:] not in share.read()
    for chosen, whole in ((names[:3], True), (names[2:], True), (names[:2], False)):
        out = os.path.join(site.directory, "combined")
        run(["gfcombine", "-o", out, *(os.path.join(shares, name) for name in chosen)], check=whole)
        with open(out, "rb") as combined:
            assert (combined.read() == text) == whole
