# SPDX-License-Identifier: Apache-2.0
"""How speke.fcgi is started, told to end and told to read its settings again."""
import os
import re
import signal
import socket
import stat
import subprocess
import time

import fcgi_client as f
import pytest
from harness.process import ROOT, children, free_port, run, wait_until
from harness.web import USER
from responder import Responder, program  # noqa: F401 (a fixture)

IDLE_END = 1.0  # seconds within which an idle process has to be gone


@pytest.fixture
def responder(program):
    made = Responder(program)
    yield made
    made.stop()


def ends(process, within, code=0):
    """Waits for the end and looks at how long it took and at the exit code."""
    start = time.monotonic()
    assert process.child.wait(10) == code
    assert time.monotonic() - start < within


# -- spawned ---------------------------------------------------------------------------------------


def test_a_listening_socket_on_standard_input_is_served(responder):
    process = responder.spawn()
    for _ in range(3):
        assert responder.heartbeat().text == "OK"
    assert children(process.pid) == []
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)


def test_spawned_processes_share_a_socket(responder):
    with responder.listening_socket() as listener:
        made = [
            responder.process(popen={"stdin": listener.fileno()}).start() for _ in range(3)
        ]
    for _ in range(20):
        assert responder.heartbeat().status == 200
    for process in made[:2]:
        wait_until(process.heeds_signals, 10, "a process that heeds SIGTERM")
        process.send(signal.SIGTERM)
        ends(process, IDLE_END)
    assert responder.heartbeat().status == 200


def test_a_spawned_process_becomes_a_parent_when_told(responder):
    process = responder.spawn("--workers", 3)
    wait_until(lambda: len(children(process.pid)) == 3, 5, "three workers")
    assert responder.heartbeat().status == 200
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)


def test_inherited_tcp_is_served_on_loopback_alone(responder):
    for host, served in (("127.0.0.1", True), ("0.0.0.0", False)):
        with socket.create_server((host, 0)) as listener:
            port = listener.getsockname()[1]
            process = responder.process(popen={"stdin": listener.fileno()}).start()
        if served:
            assert f.fetch(("127.0.0.1", port), "/v1.0/heartbeat").status == 200
            process.send(signal.SIGTERM)
        ends(process, 5, 0 if served else 1)
    assert "listens beyond this machine" in responder.log_text()


def test_systemd_hands_over_a_socket(responder):
    with responder.listening_socket() as listener:
        script = 'exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        process = responder.process(
            command=["/bin/sh", "-c", script, "sh", responder.program, "--config", responder.config],
            popen={"stdin": listener.fileno()},
        ).start()
    wait_until(lambda: len(children(process.pid)) == 4, 5, "the default of four workers")
    assert responder.heartbeat().status == 200
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)
    assert os.path.exists(responder.socket), "the socket is systemd's"


def test_a_socket_meant_for_another_process_is_not_taken(responder):
    with responder.listening_socket() as listener:
        process = responder.process(
            command=["/bin/sh", "-c", 'exec 3<&0 0</dev/null; exec "$@"', "sh", responder.program],
            popen={"stdin": listener.fileno()},
            environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        ).start()
        ends(process, 5, 2)


# -- standing alone --------------------------------------------------------------------------------


def test_standing_alone_makes_a_socket_and_keeps_workers(responder):
    pid_file = responder.path("pid")
    process = responder.listen("--pid-file", pid_file, workers=3)
    mode = os.stat(responder.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    with open(pid_file, encoding="ascii") as pid:
        assert pid.read() == f"{process.pid}\n"
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)
    assert not os.path.exists(responder.socket)
    assert not os.path.exists(pid_file)


@pytest.mark.skipif(not ROOT, reason="a foreign group needs root")
@pytest.mark.parametrize("group, gid", [("daemon", 1), ("12345", 12345)])
def test_the_socket_gets_the_group_that_was_asked_for(responder, group, gid):
    process = responder.process(
        "--listen", responder.socket, "--socket-group", group, user=None
    ).start()
    wait_until(responder.answers, 5, "an answer")
    status = os.stat(responder.socket)
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (gid, 0o660)
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)


def test_a_group_that_is_not_there_is_an_error(responder):
    process = responder.process(
        "--listen", responder.socket, "--socket-group", "no-such-group"
    ).start()
    ends(process, 5, 1)
    assert 'no group "no-such-group"' in responder.log_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp_on_loopback_is_served_when_asked_for(responder, host):
    port = free_port()
    process = responder.process("--listen", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    process.start()

    def answers():
        process.check()
        try:
            return f.fetch((host, port), "/v1.0/heartbeat").status == 200
        except ConnectionRefusedError:
            return False

    wait_until(answers, 5, "an answer")
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:9000", ":9000", "9000", "[::]:9000", "localhost:9000", "127.0.0.1:0",
     "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:90x", "127.0.0.2:9000", "/" + "x" * 108],
)  # fmt: skip
def test_other_addresses_are_refused(responder, address):
    process = responder.process("--listen", address).start()
    ends(process, 5, 1)
    assert address in responder.log_text()


def test_a_socket_in_use_is_left_alone(responder):
    responder.listen()
    second = responder.process("--listen", responder.socket).start()
    ends(second, 5, 1)
    assert f"{responder.socket} is in use" in responder.log_text()
    assert responder.heartbeat().status == 200


def test_a_stale_socket_is_replaced(responder):
    stale = responder.listening_socket()
    stale.close()
    assert os.path.exists(responder.socket)
    responder.listen()


def test_a_file_that_is_no_socket_is_left_alone(responder):
    with open(responder.socket, "w", encoding="ascii") as out:
        out.write("precious")
    process = responder.process("--listen", responder.socket).start()
    ends(process, 5, 1)
    with open(responder.socket, encoding="ascii") as left:
        assert left.read() == "precious"


# -- workers ---------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(responder):
    process = responder.listen(workers=2)
    before = children(process.pid)
    os.kill(before[0], signal.SIGKILL)
    wait_until(
        lambda: len(now := children(process.pid)) == 2 and before[0] not in now, 5, "a new worker"
    )
    assert responder.heartbeat().status == 200
    assert f"worker {before[0]} was killed by signal 9" in responder.log_text()


def test_workers_that_cannot_start_are_tried_less_and_less(responder):
    process = responder.process(
        command=["/bin/sh", "-c", 'ulimit -S -n 5; exec "$@"', "sh", responder.program,
                 "--config", responder.config, "--listen", responder.socket, "--workers", "2"],
    ).start()  # fmt: skip
    time.sleep(3)
    tries = responder.log_text().count("the next one starts in")
    assert 4 <= tries <= 12, "two workers at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 seconds"
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)


def test_workers_end_with_a_killed_parent(responder):
    process = responder.listen(workers=2)
    workers = children(process.pid)
    process.send(signal.SIGKILL)
    process.child.wait(5)

    def gone():
        return not any(os.path.exists(f"/proc/{pid}") for pid in workers)

    wait_until(gone, 5, "the workers to end")
    responder.listen()  # the socket that was left behind is in nobody's way


def test_a_worker_is_replaced_after_max_requests(responder):
    responder.write_settings(max_requests=5)
    process = responder.listen()
    first = children(process.pid)
    for _ in range(5):
        assert responder.heartbeat().status == 200
    wait_until(lambda: children(process.pid) not in ([], first), 2, "a new worker")
    for _ in range(12):
        assert responder.heartbeat().status == 200
    assert "next one starts in" not in responder.log_text(), "that was no accident"


def test_descriptors_that_were_left_open_or_closed(responder):
    reading, writing = os.pipe()
    script = 'exec 0<&- 1<&- 2<&-; exec "$@"'
    process = responder.process(
        command=["/bin/sh", "-c", script, "sh", responder.program, "--config", responder.config,
                 "--listen", responder.socket],
        popen={"pass_fds": (reading,)},
    ).start()  # fmt: skip
    os.close(reading)
    os.close(writing)
    wait_until(responder.answers, 5, "an answer")
    folder = f"/proc/{process.pid}/fd"
    left = {int(fd): os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}
    assert [left[fd] for fd in (0, 1, 2)] == ["/dev/null"] * 3
    assert not any("pipe:" in target for target in left.values()), left


def test_a_worker_leaves_no_core(responder):
    process = responder.listen()
    with open(f"/proc/{children(process.pid)[0]}/limits", encoding="ascii") as limits:
        assert re.search(r"Max core file size +0 +0 ", limits.read())


@pytest.mark.skipif(not ROOT or USER is None, reason="the program needs a user of its own")
def test_a_worker_cannot_be_read_by_its_own_user(responder):
    """A process that is not dumpable belongs to root in /proc; the parent holds no secret."""
    process = responder.listen()
    worker = children(process.pid)[0]
    assert os.stat(f"/proc/{worker}/mem").st_uid == 0
    assert os.stat(f"/proc/{process.pid}/mem").st_uid != 0


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_busy_worker_ends_after_its_answer(responder, number):
    process = responder.listen()
    data = f.request_bytes(f.variables("/copyProtection", "POST", "encoder", 1000), b"x" * 1000)
    with f.Connection(responder.socket) as connection:
        connection.send(data[:-500])
        time.sleep(0.3)
        process.send(number)
        time.sleep(0.3)
        assert process.alive()
        connection.send(data[-500:])
        assert connection.answer().status == 503
        ends(process, IDLE_END)


def test_signals_come_through_while_connections_wait(responder):
    """A mask that is lifted only while there is nothing to do would never let SIGTERM in."""
    process = responder.listen()
    waiting = [f.Connection(responder.socket) for _ in range(40)]
    for connection in waiting:
        connection.send(f.request_bytes(f.variables("/v1.0/heartbeat")))
    process.send(signal.SIGTERM)
    ends(process, IDLE_END)
    for connection in waiting:
        connection.socket.close()


def test_signals_come_through_while_a_connection_is_silent(responder):
    process = responder.listen()
    with f.Connection(responder.socket):
        time.sleep(0.2)
        responder.write_settings(user_agent="renamed/2")
        process.send(signal.SIGHUP)
        wait_until(lambda: "settings read again" in responder.log_text(), 4, "the log line")
    with f.Connection(responder.socket):
        time.sleep(0.2)
        process.send(signal.SIGTERM)
        ends(process, IDLE_END)


def test_sighup_reads_the_settings_again(responder):
    process = responder.listen(workers=2)
    workers = children(process.pid)
    responder.write_settings(user_agent="renamed/2")
    process.send(signal.SIGHUP)
    wait_until(lambda: responder.log_text().count("settings read again") == 2, 5, "both workers")
    for _ in range(6):
        assert responder.heartbeat().header("Speke-User-Agent") == "renamed/2"
    assert children(process.pid) == workers
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len(children(process.pid)) == 2, 5, "a new worker")
    for _ in range(6):
        assert responder.heartbeat().header("Speke-User-Agent") == "renamed/2"


def test_sighup_with_a_broken_file_changes_nothing(responder):
    responder.write_settings(user_agent="kept/1")
    process = responder.listen()
    responder.write_settings(user_agent="lost/2", max_body="many")
    process.send(signal.SIGHUP)
    wait_until(lambda: "the settings stay as they were" in responder.log_text(), 5, "the log line")
    assert "max_body" in responder.log_text()
    assert responder.heartbeat().header("Speke-User-Agent") == "kept/1"
    assert process.alive()


def test_sighup_waits_for_the_request_at_hand(responder):
    process = responder.listen()
    data = f.request_bytes(f.variables("/copyProtection", "POST", "encoder", 100), b"x" * 100)
    with f.Connection(responder.socket) as connection:
        connection.send(data[:-50])
        time.sleep(0.2)
        responder.write_settings(user_agent="renamed/2")
        process.send(signal.SIGHUP)
        time.sleep(0.2)
        connection.send(data[-50:])
        assert connection.answer().status == 503
    assert responder.heartbeat().header("Speke-User-Agent") == "renamed/2"


# -- plain CGI -------------------------------------------------------------------------------------


def cgi(responder, parameters, body=b"", arguments=()):
    return f.run_cgi(
        responder.program, parameters, body, arguments, {"SPEKE_CONFIG": responder.config}
    )


def test_cgi_answers_one_request(responder):
    answer, log = cgi(responder, f.variables("/cgi-bin/speke.fcgi/v1.0/heartbeat"))
    assert (answer.status, answer.text) == (200, "OK")
    assert "GET /cgi-bin/speke.fcgi/v1.0/heartbeat 200" in log
    head, _ = cgi(responder, f.variables("/v1.0/heartbeat", "HEAD"))
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", "2")


def test_cgi_reads_its_body_and_needs_its_length(responder):
    parameters = f.variables("/copyProtection", "POST", "encoder", 5000)
    answer, log = cgi(responder, parameters, b"x" * 5000)
    assert answer.status == 503
    assert "database" in log
    answer, _ = cgi(responder, f.variables("/copyProtection", "POST", "encoder"), b"x" * 5000)
    assert answer.status == 503, "the refusal could not be written down"


def test_cgi_takes_no_arguments_from_the_query(responder):
    """A web server passes "?--listen+/tmp/x" on as arguments."""
    mark = responder.path("made-by-the-query")
    for arguments in (["--version"], ["--pid-file", mark], ["--listen", mark, "--workers", "1"]):
        answer, _ = cgi(responder, f.variables("/v1.0/heartbeat"), arguments=arguments)
        assert answer.text == "OK"
    assert not os.path.exists(mark)


def test_cgi_with_broken_settings_answers_500(responder):
    responder.write_settings(max_body="many")
    answer, log = cgi(responder, f.variables("/v1.0/heartbeat"))
    assert (answer.status, answer.text) == (500, "Internal error")
    assert "max_body" in log


def test_cgi_does_not_wait_for_a_body_for_ever(responder):
    responder.write_settings(body_timeout=1)
    parameters = f.variables("/copyProtection", "POST", "encoder", 100)
    child = subprocess.Popen(
        [responder.program],
        env={**parameters, "SPEKE_CONFIG": responder.config},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdin.write(b"x" * 50)
    child.stdin.flush()
    start = time.monotonic()
    assert child.wait(10) == 0
    assert 0.9 < time.monotonic() - start < 5
    assert child.stdout.read().startswith(b"Status: 503")  # 408, had it been written down
    for pipe in (child.stdin, child.stdout, child.stderr):
        pipe.close()


# -- options ---------------------------------------------------------------------------------------


def test_started_in_no_way_it_knows_it_says_so(responder):
    done = run([responder.program], check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and "--listen" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-option"], ["--workers", "0"], ["--workers", "1025"], ["--workers", "4x"],
     ["--workers", ""], ["stray"], ["--listen"], ["--socket-group", "daemon"],
     ["--listen", "127.0.0.1:9", "--socket-group", "daemon"]],
)  # fmt: skip
def test_wrong_arguments_end_with_2(responder, arguments):
    done = run([responder.program, *arguments], check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(("speke.fcgi: ", f"{responder.program}: "))


def test_version_and_help(responder):
    version = run([responder.program, "--version"]).stdout
    assert re.fullmatch(r"speke\.fcgi \d+\.\d+\.\d+\n", version)
    text = run([responder.program, "--help"]).stdout
    for option in ("--config", "--listen", "--socket-group", "--workers", "--pid-file",
                   "--check-config", "--version", "--help"):  # fmt: skip
        assert option in text


def test_broken_settings_are_refused_at_the_start(responder):
    responder.write_settings(log_level="loud")
    process = responder.process("--listen", responder.socket).start()
    ends(process, 5, 1)
    assert re.search(r"speke\.conf, line \d+: log_level: one of", responder.log_text())
    assert not os.path.exists(responder.socket)
