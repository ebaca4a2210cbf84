# SPDX-License-Identifier: Apache-2.0
"""Programs that a test starts and ends, with their output kept in a file."""
import os
import pwd
import signal
import socket
import subprocess
import time

ROOT = os.geteuid() == 0


def wait_until(condition, seconds, what):
    """Polls until condition() is true; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def run(command, user=None, check=True, **more):
    """Runs a command to its end; its output is in the error when it fails."""
    more.setdefault("timeout", 120)
    if user and ROOT:
        command = ["/usr/sbin/runuser", "-u", user, "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if check:
        assert done.returncode == 0, (
            f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def demote(user):
    """Popen arguments that make the child run as that user; none unless root."""
    if not ROOT or user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Process:
    """A server in the foreground in its own session."""

    def __init__(self, name, command, log, user=None, environment=None, cwd="/"):
        self.name, self.log = name, log
        self.command = [str(part) for part in command]
        self.options = demote(user)
        self.environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.environment.update(environment or {})
        self.cwd = cwd
        self.child = None

    def start(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
                cwd=self.cwd,
                start_new_session=True,
                **self.options,
            )
        return self

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def check(self):
        if not self.alive():
            text = log_text(self.log)[-2000:]
            raise AssertionError(f"{self.name} ended with {self.child.returncode}: {text}")

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Ends the program and whatever is left of its session; returns its exit code."""
        if self.child is None:
            return None
        if self.alive():
            self.send(number)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.kill_session()
        code = self.child.wait(10)
        self.child = None
        return code

    def kill_session(self):
        """SIGKILL to all that is left in the session, stopped or not."""
        for pid in session_members(self.child.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def session_members(session):
    """Pids of the processes of a session that are alive."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields and int(fields[3]) == session and fields[0] != "Z":
                members.append(int(name))
    return members


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def children(pid):
    """Pids of the living children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields and int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(name))
    return sorted(found)


def comm(pid):
    """What a process calls itself; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as name:
            return name.read().strip()
    except OSError:
        return ""


def resident_kib(pid):
    """Private resident memory: what a leak would make grow. Of a process that is not dumpable only
    root is told exactly; others subtract what is mapped from files."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            private = [line.split()[1] for line in lines if line.startswith("Private_")]
        return sum(int(size) for size in private)
    except PermissionError:
        with open(f"/proc/{pid}/statm", encoding="ascii") as fields:
            _, resident, shared = (int(field) for field in fields.read().split()[:3])
        return (resident - shared) * os.sysconf("SC_PAGESIZE") // 1024


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_open(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def log_text(path):
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as log:
        return log.read().decode("utf-8", "replace")


def settled_log(path):
    """The text of a log once it is at rest: a request's line is written when its answer is on the
    way already."""
    text = None
    while text != (now := log_text(path)):
        text = now
        time.sleep(0.02)
    return text
