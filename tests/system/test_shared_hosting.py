# SPDX-License-Identifier: Apache-2.0
"""doc/shared-hosting.md from end to end, with the commands that it shows: an unprivileged user with
a home directory, a web space below it, and a database whose owner may not create roles. The host's
Apache runs the program as that user, with mod_fcgid or as plain CGI, and reads nothing of ours but
the .htaccess file."""
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import uuid

import psycopg2
import pytest

from harness import documents as d
from harness import sealed
from harness.answers import check_v2
from harness.http import Client, basic_header
from harness.postgres import Cluster
from harness.process import ROOT, Process, free_port, log_text, port_open, run, wait_until
from harness.site import TOP
from harness.tls import Authority
from harness.web import APACHE_MODULES

PAGE = os.path.join(TOP, "doc", "shared-hosting.md")
NOT_COPIED = (".git", "var", "autom4te.cache", "__pycache__", "configure")  # of the checkout
MODULES = ("mpm_event authn_core authn_file authz_core authz_user auth_basic auth_digest alias env "
           "reqtimeout ssl socache_shmcb setenvif").split()  # fmt: skip


class Host:
    """The hosting company's machine: a user, a database, Apache."""

    def __init__(self, directory):
        self.directory = directory
        self.home = os.path.join(directory, "home")
        self.web_space = os.path.join(self.home, "public_html")
        self.made_user = None
        self.pg = Cluster(os.path.join(directory, "pg"), scram=["myrole"])
        self.apaches = []
        self.password = f"db-{uuid.uuid4().hex}"
        self.client_password = None

    # -- what the company does ------------------------------------------------------------------

    def open_account(self):
        if ROOT:
            self.user = f"speke-{uuid.uuid4().hex[:8]}"
            run(["/usr/sbin/useradd", "--system", "--no-create-home", "--home-dir", self.home,
                 "--shell", "/bin/sh", "--user-group", self.user])  # fmt: skip
            self.made_user = self.user
        else:
            self.user = pwd.getpwuid(os.geteuid()).pw_name
        os.makedirs(self.web_space)
        for path in (self.home, self.web_space):
            os.chmod(path, 0o755)
            if ROOT:
                shutil.chown(path, self.user, self.user)
        self.pg.create().start()
        self.pg.query(
            f"CREATE ROLE myrole LOGIN NOCREATEROLE NOCREATEDB PASSWORD '{self.password}'",
            database="postgres",
        )
        self.pg.query("CREATE DATABASE mydb OWNER myrole ENCODING 'UTF8'", database="postgres")
        self.authority = Authority(self.directory)
        self.certificate, self.key = self.authority.issue("server", "localhost", True)
        return self

    def apache(self, module):
        """Starts Apache with mod_fcgid or mod_cgid; everything else is the .htaccess file's."""
        port = free_port()
        directory = os.path.join(self.directory, f"apache-{module}")
        os.makedirs(directory)
        if ROOT:
            shutil.chown(directory, self.user, self.user)
        lines = [
            *(f"LoadModule {m}_module {APACHE_MODULES}/mod_{m}.so" for m in [*MODULES, module]),
            f"ServerRoot {directory}\nDefaultRuntimeDir {directory}\nPidFile {directory}/pid",
            f"Mutex file:{directory} default",
            "ServerName localhost\nServerLimit 2\nThreadsPerChild 16\nMaxRequestWorkers 32",
            f"User {self.user}\nGroup {self.user}" if ROOT else "",
            f"ErrorLog {directory}/error.log",
            f"FcgidIPCDir {directory}/fcgid\nFcgidProcessTableFile {directory}/fcgid_shm\n"
            "FcgidMaxRequestLen 2097152"
            if module == "fcgid"
            else f"ScriptSock {directory}/cgisock",
            f"Listen 127.0.0.1:{port}",
            f"<VirtualHost 127.0.0.1:{port}>",
            f"SSLEngine on\nSSLCertificateFile {self.certificate}\nSSLCertificateKeyFile {self.key}",
            f"DocumentRoot {self.web_space}",
            f"<Directory {self.web_space}>",
            "AllowOverride All\nOptions FollowSymLinks\nRequire all granted",
            "</Directory>\n</VirtualHost>",
        ]
        path = os.path.join(directory, "server.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        process = Process(
            "Apache",
            ["/usr/sbin/apache2", "-f", path, "-DFOREGROUND"],
            os.path.join(directory, "console.log"),
        ).start()
        self.apaches.append(process)

        def listening():
            process.check()
            return port_open(port)

        wait_until(listening, 15, "the host's Apache")
        return Account(self, f"https://localhost:{port}/drm/speke", directory)

    # -- what the customer does -----------------------------------------------------------------

    def customer(self, *command, stdin=None, check=True, cwd=None):
        """Runs a command as the account's user, with nothing of the tests' environment."""
        command = ["env", "-i", f"HOME={self.home}", "PATH=/usr/local/bin:/usr/bin:/bin", *command]
        return run(command, user=self.user, input=stdin, check=check, cwd=cwd or self.home,
                   timeout=300)  # fmt: skip

    def write(self, path, text, mode):
        """A file of the user's."""
        path = os.path.join(self.home, path)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        if ROOT:
            shutil.chown(path, self.user, self.user)

    def database(self):
        return f"host={self.pg.socket} dbname=mydb user=myrole"

    def check_out(self):
        """A copy of the checkout that is the user's own."""
        path = os.path.join(self.home, "speke-fcgi")
        shutil.copytree(TOP, path, ignore=shutil.ignore_patterns(*NOT_COPIED, "build*"))
        if ROOT:
            run(["chown", "-R", f"{self.user}:{self.user}", path])
        return path

    def block(self, number):
        """A block of commands of the page, with its example names replaced by real ones."""
        with open(PAGE, encoding="utf-8") as page:
            blocks = re.findall(r"^```sh\n(.*?)^```$", page.read(), re.M | re.S)
        assert len(blocks) == 5, f"the page has {len(blocks)} blocks, this test knows 5"
        text = blocks[number]
        for name, real in (
            ("db.example.com", self.pg.socket),
            ("the-password", self.password),
            ("make\n", f"make -j{os.cpu_count()}\n"),
        ):
            text = text.replace(name, real)
        return text

    def shell(self, script, **variables):
        """Runs a script in a login of the user's; fails when one of its commands fails."""
        names = [f"{name}={value}" for name, value in variables.items()]
        return self.customer(
            *names, "bash", "-c", "set -eu -o pipefail\n" + script,
            cwd=os.path.join(self.home, "speke-fcgi"),
        )  # fmt: skip

    def set_up(self):
        """All blocks but the last in one shell, one after the other, as a reader would."""
        self.check_out()
        out = self.shell("\n".join(self.block(number) for number in range(4))).stdout
        passwords = re.findall(r"not shown again:\n(\S+)\n", out)
        assert len(passwords) == 1, f"the password was not shown:\n{out[-1000:]}"
        self.client_password = passwords[0]
        return self

    def ctl(self, *arguments, **more):
        return self.customer(f"{self.home}/speke/bin/spekectl", *arguments, **more)

    # -- ending -----------------------------------------------------------------------------------

    def close(self):
        for process in self.apaches:
            process.stop()
        self.pg.stop()
        if self.made_user:
            run(["/usr/sbin/userdel", self.made_user], check=False)


class Account:
    """The web space as seen from outside, through one Apache."""

    def __init__(self, host, base, directory):
        self.host, self.base, self.directory = host, base, directory

    def login(self, password=None):
        return ("digest", "packager", password or self.host.client_password)

    def client(self, auth="default"):
        auth = self.login() if auth == "default" else auth
        return Client(self.base, self.host.authority.ca_file, auth)

    def log(self):
        return log_text(os.path.join(self.directory, "error.log"))


@pytest.fixture(scope="module")
def host():
    directory = tempfile.mkdtemp(prefix="speke-hosting-")
    os.chmod(directory, 0o755)
    host = Host(directory)
    try:
        yield host.open_account().set_up()
    finally:
        host.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module", params=["fcgid", "cgid"])
def account(request, host):
    return host.apache(request.param)


def expect_keys(account, client, request):
    answer = client.post(request, path="/v2.0/copyProtection")
    assert answer.status == 200, (
        f"expected 200, got {answer.status} {answer.text[:200]!r}\n{account.log()[-2000:]}"
    )
    return check_v2(answer.body, request, client.base)


def test_last_block_of_the_page(host, account):
    """What the reader is told to try at the end: health, and a request with spekectl."""
    script = host.block(4).replace("https://www.example.com/drm/speke", account.base)
    ca = host.authority.ca_file
    out = host.shell(
        script, CURL_CA_BUNDLE=ca, SPEKE_CA=ca, SPEKE_PASSWORD=host.client_password
    ).stdout
    assert out.startswith("ready"), f"health must say ready:\n{out}"
    releases = host.pg.query(
        "SELECT * FROM speke.v_release WHERE content_id = 'first'", database="mydb"
    )
    assert len(releases) >= 2, "the request for two keys is not in the audit"


def test_users_file_where_apache_is_another_user(host):
    """As the page says: after chmod 0644 others can open the file by its name, and list nothing."""
    etc = f"{host.home}/speke/etc/speke-fcgi"
    if not ROOT:
        pytest.skip("becoming another user needs root")
    host.customer("chmod", "0644", f"{etc}/users.htdigest")
    run(["cat", f"{etc}/users.htdigest"], user="www-data", cwd="/")
    for command in (["ls", etc], ["cat", f"{etc}/kek"], ["cat", f"{etc}/speke.conf"]):
        done = run(command, user="www-data", cwd="/", check=False)
        assert done.returncode != 0, f"another user may {command}"


def test_exchange(account):
    """Real keys, twice the same, with the login of the .htaccess file."""
    with account.client() as client:
        for systems in ((d.WIDEVINE, d.PLAYREADY, d.FAIRPLAY), (d.CLEAR_KEY,)):
            request = d.simple_v2(systems, period=0)
            first = expect_keys(account, client, request)
            assert expect_keys(account, client, request) == first, "keys changed"
        expect_keys(account, client, d.many_keys(100))


def test_same_keys_with_both_modules(host, account):
    """What mod_fcgid's processes made, CGI gives again, and the other way round."""
    request = d.simple_v2(content_id="both", kids=["0" * 8 + "-0000-0000-0000-" + "0" * 11 + c for c in "12"])
    with account.client() as client:
        keys = expect_keys(account, client, request)
    rows = host.pg.query(
        "SELECT * FROM speke.content_key WHERE content_id = 'both'", database="mydb"
    )
    keks = sealed.read_kek_file(f"{host.home}/speke/etc/speke-fcgi/kek")
    stored = {str(r["kid"]): sealed.open_row(keks, {**r, "kid": str(r["kid"])}) for r in rows}
    assert stored == keys.key, "the table holds other keys"


def test_refusals(account):
    """No login, wrong password, bad input, wrong method."""
    request = d.simple_v2()
    for auth in (None, account.login("wrong"), ("digest", "nobody", "x")):
        with account.client(auth) as client:
            answer = client.post(request)
            assert answer.status == 401, f"{auth}: expected 401, got {answer.status}"
    with account.client() as client:
        client.login()
        answer = client.post(b"not XML")
        assert answer.status == 400, f"expected 400, got {answer.status} {answer.text!r}"
        answer = client.post(request.copy().set("CPIX", "contentId", None))
        assert answer.text == "Missing CPIX@contentId", f"got {answer.status} {answer.text!r}"
        answer = client.get("/copyProtection")
        assert answer.status == 405, f"GET: expected 405, got {answer.status}"
        data = request.bytes()
        answer = client.post(data + b" " * (1048577 - len(data)))
        assert answer.status == 413, f"above 1 MiB: expected 413, got {answer.status}"


def test_health_needs_no_login(host, account):
    with account.client(None) as client:
        answer = client.get("/health")
        assert answer.status == 200, f"expected 200, got {answer.status} {answer.text[:200]!r}"
        for path in ("/x/health", "/health/../copyProtection", "/copyProtection/speke/health"):
            answer = client.post(d.simple_v2(), path=path)
            assert answer.status != 200, f"{path}: an exchange without login: {answer.status}"
        answer = client.post(
            d.simple_v2(), headers={"Authorization": basic_header("packager", host.client_password)}
        )
        assert answer.status == 401, f"Basic where Digest is asked for: {answer.status}"


def test_nothing_of_ours_can_be_fetched(host, account):
    """Neither the KEK, which lies outside of the web space, nor the settings, nor .htaccess, nor
    another file of the folder."""
    host.write("public_html/drm/notes.txt", "notes", 0o644)
    base = account.base.rsplit("/", 1)[0]
    with Client(base, host.authority.ca_file, account.login()) as client:
        for path in ("/.htaccess", "/notes.txt", "/", "/../speke/etc/speke-fcgi/kek"):
            answer = client.get(path)
            assert answer.status in (400, 403, 404), f"{path}: got {answer.status}"
    kek = os.path.join(host.home, "speke/etc/speke-fcgi/kek")
    assert not kek.startswith(host.web_space), "the KEK lies in the web space"
    mode = stat.S_IMODE(os.stat(kek).st_mode)
    assert mode & 0o077 == 0, f"the KEK file has mode {mode:o}"


def test_one_role_does_everything(host):
    """The schema went in without roles.sql, and belongs to the one role; that the audit is append
    only holds against it all the same, until it disables the trigger."""
    roles = host.pg.query(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'speke%%'", database="mydb"
    )
    assert not roles, f"roles were made: {roles}"
    owner = host.pg.query(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'speke'", database="mydb"
    )
    assert [row["tableowner"] for row in owner] == ["myrole"], f"owners {owner}"
    connection = psycopg2.connect(f"{host.database()} password={host.password}")
    connection.autocommit = True
    with connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM speke.audit_event")
    connection.close()


def test_password_is_needed(host):
    """The database login of this host is by password; the program takes it from the passfile."""
    done = subprocess.run(
        [f"{host.pg.bin}/psql", "-X", "-w", "-d", host.database(), "-c", "SELECT 1"],
        capture_output=True,
        env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode != 0, "the database lets anybody in: this test would prove nothing"


def test_operator_tool(host, account):
    """spekectl as the customer: keys and audit, and never a key."""
    request = d.simple_v2()
    with account.client() as client:
        keys = expect_keys(account, client, request)
    listed = host.ctl("key", "list", "--content-id", request.content_id).stdout
    for kid in request.kids:
        assert kid in listed, f"key list lacks {kid}:\n{listed}"
    audit = host.ctl("audit", "tail").stdout
    assert request.content_id in audit, f"audit tail lacks the release:\n{audit}"
    for key in keys.key.values():
        assert key.hex() not in (listed + audit).lower(), "spekectl shows a key"
