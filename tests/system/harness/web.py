# SPDX-License-Identifier: Apache-2.0
"""lighttpd and Apache with the project's own configuration files, unmodified: only parameters are
set in front of them."""
import hashlib
import os
import shutil
import signal
from dataclasses import dataclass, field

from .http import Client
from .process import ROOT, Process, children, free_port, log_text, port_open, run, wait_until

USER = "www-data" if ROOT else None
MOUNT = "/speke"
PLAYER_MOUNT = "/player"
REALM = "speke"
APACHE_MODULES = "/usr/lib/apache2/modules"
APACHE = ("mpm_event authn_core authn_file authz_core authz_user auth_basic auth_digest alias env "
          "proxy proxy_fcgi fcgid cgid reqtimeout ssl socache_shmcb dbd authn_dbd authn_socache setenvif "
          "headers buffer").split()  # fmt: skip

# How the program is reached: kind -> (server, file of the recipe; None for what is written here).
WAYS = {
    "lighttpd": ("lighttpd", "speke-socket.conf"),
    "lighttpd-spawn": ("lighttpd", "speke-spawn.conf"),
    "apache": ("apache", "speke-proxy.conf"),
    "apache-fcgid": ("apache", "speke-fcgid.conf"),
    "apache-cgi": ("apache", None),
}
# The player's door beside it.
PLAYER_WAYS = {
    "lighttpd": "speke-player.conf",
    "lighttpd-spawn": "speke-player-spawn.conf",
    "apache": "speke-player.conf",
    "apache-fcgid": "speke-player-fcgid.conf",
    "apache-cgi": None,
}
# Who may ask: name -> file of the recipe for either server; "open" asks nobody for anything.
LOGINS = {
    "digest": "speke-digest.conf",
    "basic": "speke-basic.conf",
    "certificate": "speke-client-cert.conf",
    "gateway": "speke-gateway.conf",
    "webauth": {"lighttpd": "speke-webauth-dbi.conf", "apache": "speke-webauth-dbd.conf"},
    "open": None,
}

CGI_RECIPE = """
ScriptAlias "${SPEKE_MOUNT}" "${SPEKE_PROGRAM}"
SetEnv SPEKE_CONFIG "${SPEKE_CONFIG}"
<Location "${SPEKE_MOUNT}">
  SetHandler cgi-script
  Options +ExecCGI
</Location>
"""

CGI_PLAYER_RECIPE = """
ScriptAlias "${SPEKE_PLAYER_MOUNT}" "${SPEKE_PROGRAM}"
<Location "${SPEKE_PLAYER_MOUNT}">
  SetHandler cgi-script
  Options +ExecCGI
  SetEnv SPEKE_DOOR player
  CGIPassAuth On
  Require all granted
</Location>
"""


def sha1_of_each(secrets):
    return "|".join(hashlib.sha1(secret.encode()).hexdigest() for secret in secrets.split("|"))


@dataclass
class Parameters:
    """What the recipes are given."""

    directory: str  # of this server: configuration, logs, sockets
    examples: str  # the installed examples, with apache/ and lighttpd/ below
    program: str
    config: str
    socket: str
    users: str
    certificate: str
    key: str
    ca: str
    webauth: dict = field(default_factory=dict)  # host, database, role, password
    processes: int = 2
    player_socket: str = None  # of a program that serves players alone; else the same as socket
    log_level: str = "warn"  # Apache's; with "debug" lighttpd logs what it handles as well
    tls: bool = True
    client_ca: str = ""  # who signs the clients' certificates; the same as ca when empty
    gateway_secret: str = ""  # of speke-gateway.conf; for Apache also "OLD|NEW"
    edit: object = None  # for a control: a function on the text of the way's recipe


class Web:
    """One server on a port of its own. base is the URL of the mount point."""

    def __init__(self, kind, login, parameters):
        self.kind, self.login = kind, login
        self.server, self.way = WAYS[kind]
        self.p = parameters
        self.port = free_port()
        scheme = "https" if parameters.tls else "http"
        self.base = f"{scheme}://localhost:{self.port}{MOUNT}"
        self.player_base = f"{scheme}://localhost:{self.port}{PLAYER_MOUNT}"
        self.log = os.path.join(parameters.directory, "error.log")
        self.uploads = os.path.join(parameters.directory, "uploads")
        self.process = None
        self.credentials = None  # of client(), set by the site

    # -- configuration --------------------------------------------------------------------------

    def _recipe(self, name):
        """Path of a recipe; of an edited copy when a control asks for one."""
        path = os.path.join(self.p.examples, self.server, name)
        if self.p.edit is None or name != self.way:
            return path
        with open(path, encoding="utf-8") as recipe:
            text = self.p.edit(recipe.read())
        copy = os.path.join(self.p.directory, name)
        with open(copy, "w", encoding="utf-8") as out:
            out.write(text)
        return copy

    def _login_recipe(self):
        name = LOGINS[self.login]
        return name[self.server] if isinstance(name, dict) else name

    def _apache(self):
        p, modules = self.p, []
        for name in APACHE:
            path = f"{APACHE_MODULES}/mod_{name}.so"
            modules.append(f"LoadModule {name}_module {path}")
        w = p.webauth
        way = f"Include {self._recipe(self.way)}" if self.way else CGI_RECIPE
        login = self._login_recipe()
        player = PLAYER_WAYS[self.kind]
        player = f"Include {p.examples}/apache/{player}" if player else CGI_PLAYER_RECIPE
        return "\n".join(
            [
                *modules,
                f"ServerRoot {p.directory}",
                f"DefaultRuntimeDir {p.directory}",
                f"PidFile {p.directory}/pid",
                f"Mutex file:{p.directory} default",
                "ServerName localhost",
                f"User {USER}\nGroup {USER}" if USER else "",
                f"ErrorLog {self.log}",
                f"LogLevel {p.log_level}",
                "StartServers 1\nThreadsPerChild 32\nMaxRequestWorkers 128\nServerLimit 4",
                f"ScriptSock {p.directory}/cgisock",
                f"FcgidIPCDir {p.directory}/fcgid",
                f"FcgidProcessTableFile {p.directory}/fcgid_shm",
                f"Define SPEKE_MOUNT {MOUNT}",
                f"Define SPEKE_REALM {REALM}",
                f"Define SPEKE_SOCKET {p.socket}",
                f"Define SPEKE_PLAYER_MOUNT {PLAYER_MOUNT}",
                f"Define SPEKE_PLAYER_SOCKET {p.player_socket or p.socket}",
                f"Define SPEKE_PROGRAM {p.program}",
                f"Define SPEKE_CONFIG {p.config}",
                f"Define SPEKE_PROCESSES {p.processes}",
                f"Define SPEKE_USERS {p.users}",
                f"Define SPEKE_CERTIFICATE {p.certificate}",
                f"Define SPEKE_CERTIFICATE_KEY {p.key}",
                f"Define SPEKE_CLIENT_CA {p.client_ca or p.ca}",
                f"Define SPEKE_GATEWAY_SHA1 {sha1_of_each(p.gateway_secret)}" if p.gateway_secret else "",
                f'Define SPEKE_WEBAUTH_DATABASE "host={w["host"]} dbname={w["database"]} '
                f'user={w["role"]} password={w["password"]} connect_timeout=3"'
                if w
                else "",
                f"Include {p.examples}/apache/speke-server.conf",
                f"Listen 127.0.0.1:{self.port}",
                f"<VirtualHost 127.0.0.1:{self.port}>",
                "ServerName localhost",
                f"Include {p.examples}/apache/tls.conf" if p.tls else "",
                way,
                f"Include {p.examples}/apache/{login}" if login else "",
                player,
                "</VirtualHost>",
                f"<Directory {os.path.dirname(p.program)}>\nRequire all granted\n</Directory>",
            ]
        )

    def _lighttpd(self):
        p, w = self.p, self.p.webauth
        login = self._login_recipe()
        lines = [
            f'server.document-root = "{p.directory}"',
            'server.bind = "127.0.0.1"',
            # With TLS the main socket is one that nobody uses.
            f"server.port = {free_port() if p.tls else self.port}",
            f'server.username = "{USER}"\nserver.groupname = "{USER}"' if USER else "",
            f'server.errorlog = "{self.log}"',
            f'server.upload-dirs = ("{self.uploads}")',
            'debug.log-request-handling = "enable"\ndebug.log-request-header = "enable"\n'
            'debug.log-response-header = "enable"'
            if p.log_level == "debug"
            else "",
            f'include "{p.examples}/lighttpd/speke-defaults.conf"',
            f'speke_examples := "{p.examples}/lighttpd"',
            f'speke_mount := "{MOUNT}"',
            f'speke_realm := "{REALM}"',
            f'speke_listen := "127.0.0.1:{self.port}"',
            f'speke_certificate := "{p.certificate}"',
            f'speke_certificate_key := "{p.key}"',
            f'speke_client_ca := "{p.client_ca or p.ca}"',
            f'speke_gateway_secret := "{p.gateway_secret}"',
            f'speke_socket := "{p.socket}"',
            f'speke_player_mount := "{PLAYER_MOUNT}"',
            f'speke_player_socket := "{p.player_socket or p.socket}"',
            "speke_player_processes := 1",
            f'speke_player_spawn_socket := "{p.directory}/player.sock"',
            f'speke_program := "{p.program}"',
            f'speke_config := "{p.config}"',
            f"speke_processes := {p.processes}",
            f'speke_spawn_socket := "{p.directory}/spawn.sock"',
            f'speke_users := "{p.users}"',
        ]
        if w:
            lines += [
                f'speke_webauth_host := "{w["host"]}"',
                f'speke_webauth_database := "{w["database"]}"',
                f'speke_webauth_role := "{w["role"]}"',
                f'speke_webauth_password := "{w["password"]}"',
            ]
        if p.tls:
            lines.append(f'include "{p.examples}/lighttpd/tls.conf"')
        lines.append(f'include "{self._recipe(self.way)}"')
        if login:
            lines.append(f'include "{p.examples}/lighttpd/{login}"')
        lines.append(f'include "{p.examples}/lighttpd/{PLAYER_WAYS[self.kind]}"')
        return "\n".join(lines)

    # -- life -----------------------------------------------------------------------------------

    def start(self):
        os.makedirs(self.p.directory, exist_ok=True)
        os.makedirs(self.uploads, exist_ok=True)
        if USER:
            shutil.chown(self.p.directory, USER, USER)
            shutil.chown(self.uploads, USER, USER)
        path = os.path.join(self.p.directory, "server.conf")
        apache = self.server == "apache"
        with open(path, "w", encoding="utf-8") as out:
            out.write((self._apache() if apache else self._lighttpd()) + "\n")
        if apache:
            check = ["/usr/sbin/apache2", "-f", path, "-t"]
            command = ["/usr/sbin/apache2", "-f", path, "-k", "start", "-DFOREGROUND"]
        else:
            check = ["/usr/sbin/lighttpd", "-tt", "-f", path]
            command = ["/usr/sbin/lighttpd", "-D", "-f", path]
        run(check)
        console = os.path.join(self.p.directory, "console.log")
        self.process = Process(self.kind, command, console).start()
        wait_until(self._listening, 15, f"{self.kind} on port {self.port}")
        return self

    def _listening(self):
        self.process.check()
        return port_open(self.port)

    def stop(self):
        if self.process:
            self.process.stop(signal.SIGTERM)
            self.process = None

    def reload(self):
        self.process.send(signal.SIGUSR1)

    def pids(self):
        """The server and all its descendants."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue.extend(children(pid))
        return found

    def log_text(self):
        return log_text(self.log) + log_text(os.path.join(self.p.directory, "console.log"))

    def player(self, **more):
        """A new connection to the player's door."""
        return Client(self.player_base, self.p.ca, None, **more)

    def client(self, auth="default", **more):
        """A new connection; auth "default" is the login of the site's first client."""
        if auth == "default":
            auth = self.credentials
        return Client(self.base, self.p.ca, auth, **more)
