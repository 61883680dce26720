"""The whole chain in the sandbox: gate, plugin, data channel, agent, and commands on the node.

Each test runs with the stub plugin, and again with the real one where that is installed.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from conftest import needs
from fakes.capabilities import with_capabilities
from fakes.channel_client import Client
from fakes.processes import is_running
from fakes.typist import hang_up
from fakes.waiting import until
from ssmgate.sandbox import tools

pytestmark = pytest.mark.starts

NODE = "i-0123456789abcdef0"
PLUGIN = "session-manager-plugin"
SSH, FORWARD = "AWS-StartSSHSession", "AWS-StartPortForwardingSession"
PROMPT = re.compile(r"[#$] $")
STARTED = re.compile(r"\r?\nStarting session with SessionId: (\S+)\r?\n")

needs_ssh = needs("ssh", "scp", "sftp", "sshd")


def without_real_plugin() -> str:
    """Return why the tests cannot run with the real plugin; empty if they can.

    It is a binary, and the stubs are scripts. One that connects to AWS only is not used.
    """
    found = shutil.which(PLUGIN)
    if found is None:
        return "the real session-manager-plugin is not installed"
    with open(found, "rb") as file:
        if file.read(2) == b"#!":
            return "the session-manager-plugin on PATH is not the real one"
    version = tools.unusable_plugin(dict(os.environ))
    return f"session-manager-plugin {version} connects to AWS only" if version else ""


@dataclass(frozen=True)
class Inside:
    """The environment of a command of `ssmgate sandbox --as admin -- COMMAND`, for many
    commands.
    """

    environ: dict[str, str]
    directory: Path

    def run(
        self, *command: str, data: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, env=self.environ, input=data, capture_output=True, timeout=timeout, check=False
        )

    def aws(self, *words: str) -> dict[str, object]:
        ended = self.run("aws", "ssm", *words, "--output", "json")
        assert ended.returncode == 0, ended.stderr
        response = json.loads(ended.stdout or b"{}")
        assert isinstance(response, dict)
        return response

    def start(self) -> dict[str, str]:
        """Return the answer of StartSession, for a client of the test."""
        body = json.dumps({"Target": NODE}).encode()
        key = self.environ["AWS_ACCESS_KEY_ID"]
        scope = f"{key}/20260101/us-east-1/ssm/aws4_request"
        request = urllib.request.Request(
            self.environ["AWS_ENDPOINT_URL"],
            body,
            {
                "X-Amz-Target": "AmazonSSM.StartSession",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host,"
                " Signature=0",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            response: dict[str, str] = json.loads(answer.read())
        return response

    def active(self) -> set[str]:
        found = self.aws("describe-sessions", "--state", "Active")["Sessions"]
        assert isinstance(found, list)
        return {session["SessionId"] for session in found}

    def spawn(self, *command: str) -> pexpect.spawn[str]:
        return pexpect.spawn(
            command[0],
            list(command[1:]),
            env=self.environ,  # type: ignore[arg-type]
            encoding="utf-8",
            timeout=30,
            dimensions=(24, 80),
        )

    @contextmanager
    def shell(self, *program: str) -> Iterator[pexpect.spawn[str]]:
        """Open a session on a terminal and wait for its first prompt."""
        child = self.spawn(*(program or ("ssm-start-session",)), "--target", NODE)
        try:
            child.expect(PROMPT)
            yield child
        finally:
            hang_up(child)


PLUGINS = [
    "stub",
    pytest.param(
        "real",
        marks=[
            pytest.mark.real_plugin,
            pytest.mark.skipif(bool(without_real_plugin()), reason=without_real_plugin()),
        ],
    ),
]


@pytest.fixture(scope="module", params=PLUGINS)
def inside(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inside]:
    directory = tmp_path_factory.mktemp("sandbox")
    with sandbox(directory, request.param == "real") as running:
        yield running


@contextmanager
def sandbox(directory: Path, real: bool = False) -> Iterator[Inside]:
    """Run `ssmgate sandbox` with a command that prints its environment and waits."""
    directories = [str(Path(sys.executable).parent)]
    directories += [
        part for part in os.environ["PATH"].split(os.pathsep)
        if real or not os.path.exists(os.path.join(part, PLUGIN))
    ]  # fmt: skip
    environ = {"PATH": os.pathsep.join(directories), "HOME": str(directory), "LANG": "C.UTF-8"}
    dump = directory / "environ"
    process = with_capabilities(
        subprocess.Popen,
        [
            "ssmgate", "sandbox", "--as", "admin", "--",
            "sh", "-c", 'env -0 > "$0"; echo; exec cat >/dev/null', str(dump),
        ],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"\n"
        pairs = dump.read_text().split("\0")
        yield Inside(dict(pair.split("=", 1) for pair in pairs if pair), directory)
    finally:
        process.stdin.close()
        assert process.wait(30) == 0
        process.stdout.close()


def session_id(child: pexpect.spawn[str]) -> str:
    found = STARTED.search(child.before or "")
    assert found is not None, child.before
    return found[1]


def wait_until(holds: Callable[[], bool]) -> None:
    until(holds, 30)


# A terminal


def test_opens_shell(inside: Inside) -> None:
    with inside.shell() as child:
        before = termios.tcgetattr(child.child_fd)
        name = session_id(child)
        child.sendline("echo from-$((40 + 2)) ä→€")
        child.expect_exact("from-42 ä→€")
        child.expect(PROMPT)
        child.sendline("exit")
        child.expect_exact(f"Exiting session with sessionId: {name}.")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
        assert before[3] & termios.ECHO == 0
        assert termios.tcgetattr(child.child_fd)[3] & termios.ECHO
    assert name not in inside.active()


def test_ctrl_keys_reach_node(inside: Inside) -> None:
    # It says so itself: a signal just before it runs is the shell's, which waits for it then.
    command = "sh -c 'echo be\"\"gun; exec sleep 1000'"
    with inside.shell() as child:
        for key, status in (("\x03", 130), ("\x1c", 131)):
            child.sendline(command)
            child.expect_exact("begun")
            child.send(key)
            child.expect(PROMPT)
            child.sendline("echo st''atus=$?")
            assert child.expect_exact(f"status={status}") == 0
            child.expect(PROMPT)
        child.sendline(command)
        child.expect_exact("begun")
        child.send("\x1a")
        assert child.expect_exact("Stopped") == 0
        child.expect(PROMPT)


def test_size_follows_terminal(inside: Inside) -> None:
    with inside.shell() as child:
        for rows, columns in ((24, 80), (50, 132), (7, 300)):
            child.setwinsize(rows, columns)
            # The plugin looks each half second; the node's shell may be asked too early.
            for _ in range(50):
                child.sendline("stty size")
                if child.expect([rf"\n{rows} {columns}\r+\n", r"\d\r+\n"]) == 0:
                    break
                time.sleep(0.05)
            else:
                pytest.fail(f"never {rows} by {columns}")


def test_large_output_arrives_whole(inside: Inside) -> None:
    with inside.shell() as child:
        child.sendline("seq 100001 140000; echo do''ne")
        child.expect(r"\ndone\r+\n")
        lines = (child.before or "").replace("\r", "").split("\n")
        assert [line for line in lines if re.fullmatch(r"1\d{5}", line)] == [
            str(number) for number in range(100001, 140001)
        ]


def test_long_input_line_arrives_whole(inside: Inside) -> None:
    with inside.shell() as child:
        text = "ü" * 1500
        child.sendline(f"printf %s '{text}' | wc -m")
        assert child.expect(r"\n1500\r+\n") == 0


def test_bare_aws_leaves_terminal_as_plugin_does(inside: Inside) -> None:
    child = inside.spawn("sh", "-c", f"aws ssm start-session --target {NODE}; stty -a; exec cat")
    child.expect(PROMPT)
    child.sendline("exit")
    child.expect_exact("Exiting session")
    assert child.expect_exact("-icanon") == 0
    assert child.expect(r"[^-]echo ") == 0
    hang_up(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_no_process_and_no_session(inside: Inside, number: signal.Signals) -> None:
    with inside.shell() as child:
        name = session_id(child)
        child.sendline("sleep 1000 & echo pids $$ $!; sleep 1000")
        child.expect(r"pids (\d+) (\d+)\r+\n")
        there = [int(child.match[1]), int(child.match[2])]
        assert name in inside.active()
        assert all(is_running(process) for process in there)

        child.kill(number)
        child.expect(pexpect.EOF)
        child.wait()

    wait_until(lambda: not any(is_running(process) for process in there))
    wait_until(lambda: name not in inside.active())


def test_terminate_session_ends_live_session(inside: Inside) -> None:
    with inside.shell() as child:
        name = session_id(child)
        child.sendline("echo pid $$; sleep 1000")
        child.expect(r"pid (\d+)\r+\n")
        shell = int(child.match[1])

        inside.aws("terminate-session", "--session-id", name)
        child.expect_exact(f"SessionId: {name} : The session was terminated.")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    wait_until(lambda: not is_running(shell))


# Without one


def test_runs_command(inside: Inside) -> None:
    ended = inside.run(
        "ssm-start-session", "--target", NODE,
        "--document-name", "AWS-StartNonInteractiveCommand",
        "--parameters", json.dumps({"command": ["echo out; echo err >&2"]}),
        data=b"",
    )  # fmt: skip
    # stdin has ended: the plugin does not wait for more then, so output may be cut.
    assert ended.returncode == 0
    assert STARTED.match(ended.stdout.decode())


def test_runs_25_concurrent_sessions(inside: Inside) -> None:
    """All 25 sessions exist at the same time. The plugin is started as the gate does."""
    variable = "AWS_SSM_START_SESSION_RESPONSE"

    def begin(number: int) -> subprocess.Popen[str]:
        request = json.dumps({"Target": NODE})
        process = subprocess.Popen(
            [PLUGIN, variable, "us-east-1", "StartSession", "", request, "http://127.0.0.1:1"],
            env={**inside.environ, variable: json.dumps(inside.start())}, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(f"echo s''ession-{number}\n")
        process.stdin.flush()
        assert process.stdout is not None
        for line in process.stdout:
            # What is typed before the shell has come stands before its prompt.
            if line.rstrip().endswith(f"session-{number}"):
                return process
        raise AssertionError(f"session {number} has ended")

    def end(process: subprocess.Popen[str]) -> int:
        assert process.stdin is not None
        process.stdin.write("exit\n")
        process.stdin.flush()
        # The end of stdin would end the session at once.
        assert process.stdout is not None
        with process.stdout, process.stdin:
            assert "Exiting session" in process.stdout.read()
        return process.wait(30)

    before = inside.active()
    with ThreadPoolExecutor(25) as pool:
        processes = list(pool.map(begin, range(25)))
        assert len(inside.active() - before) == 25
        assert list(pool.map(end, processes)) == [0] * 25
    wait_until(lambda: inside.active() <= before)


# ssh


@needs_ssh
def test_ssh_returns_remote_status(inside: Inside) -> None:
    ended = inside.run("ssh", NODE, "cat; echo err >&2; exit 7", data=b"through\0all\n\r\xff")
    assert (ended.returncode, ended.stdout) == (7, b"through\0all\n\r\xff")
    assert ended.stderr.splitlines()[-1] == b"err"


@needs_ssh
def test_scp_copies_both_ways(inside: Inside, request: pytest.FixtureRequest) -> None:
    """50 MB; 2 MB with the real plugin, which waits a millisecond for each KiB that it sends."""
    real = "real" in request.node.callspec.id
    sent, there, got = (inside.directory / name for name in ("sent", "there", "got"))
    sent.write_bytes(os.urandom(2_000_000 if real else 50_000_000))

    for copy in ((str(sent), f"{NODE}:{there}"), (f"{NODE}:{there}", str(got))):
        ended = inside.run("scp", "-q", *copy)
        assert ended.returncode == 0, ended.stderr

    digests = {hashlib.sha256(path.read_bytes()).digest() for path in (sent, there, got)}
    assert len(digests) == 1
    assert there.stat().st_size == sent.stat().st_size


@needs_ssh
def test_sftp_copies_files(inside: Inside) -> None:
    ended = inside.run(
        "sftp", "-q", "-b", "-", NODE, data=f"mkdir {inside.directory}/made\n".encode()
    )
    assert ended.returncode == 0, ended.stderr
    (inside.directory / "made").rmdir()


@needs_ssh
def test_reaches_nodes_only(inside: Inside) -> None:
    def settings(*words: str) -> dict[str, str]:
        lines = inside.run("ssh", *words).stdout.decode().splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    assert "-m ssmgate start-session" in settings("-G", NODE)["proxycommand"]
    assert settings("-G", NODE)["stricthostkeychecking"] in ("yes", "true")
    assert "proxycommand" not in settings("-G", "example.org")
    # A file that the user names is the user's word.
    assert "proxycommand" not in settings("-F", "/dev/null", "-G", NODE)


# Ports


@contextmanager
def forwarded(inside: Inside, port: int, document: str, more: str) -> Iterator[str]:
    parameters = f"portNumber={port},localPortNumber=0{more}"
    process = subprocess.Popen(
        [
            "ssm-start-session", "--target", NODE, "--document-name", document,
            "--parameters", parameters,
        ],
        env=inside.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    opened = None
    for line in process.stdout:
        if opened := re.fullmatch(r"Port (\d+) opened for sessionId \S+\n", line):
            break
    assert opened is not None
    yield f"http://127.0.0.1:{opened[1]}/"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.startswith("Connection accepted for session")
    assert "Terminate signal received, exiting.\n\n\nExiting session with sessionId: " in output


class Served(http.server.BaseHTTPRequestHandler):
    content = os.urandom(1_000_000)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "64")
        self.end_headers()
        self.wfile.write(hashlib.sha256(data).hexdigest().encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("document", "more"),
    [(FORWARD, ""), ("AWS-StartPortForwardingSessionToRemoteHost", ",host=db.internal")],
)
def test_forwards_port(inside: Inside, web_port: int, document: str, more: str) -> None:
    """One connection after the other, in both directions."""
    with forwarded(inside, web_port, document, more) as url:
        for _ in range(3):
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.read() == Served.content
        with urllib.request.urlopen(url, Served.content[:100_000], timeout=30) as answer:
            digest = answer.read().decode()
        assert digest == hashlib.sha256(Served.content[:100_000]).hexdigest()
    wait_until(lambda: not inside.active())


def test_forwarding_to_closed_port_fails(inside: Inside) -> None:
    ended = inside.run(
        "ssm-start-session", "--target", NODE, "--document-name", FORWARD,
        "--parameters", "portNumber=1",
    )  # fmt: skip
    assert ended.returncode == 0
    assert b": Unable to connect to specified port: 1 of this machine" in ended.stdout


# Invalid clients during a session


def test_invalid_clients_do_not_disturb_session(inside: Inside) -> None:
    with inside.shell() as child:
        mine, other = inside.start(), inside.start()
        assert "not this session's" in Client.open(mine, "wrong").until_closed()
        assert "not this session's" in Client.open(mine, other["TokenValue"]).until_closed()
        client = Client.open(mine)
        client.shake_hands()
        assert "has been used" in Client.open(mine).until_closed()
        client.wire.send(os.urandom(1000))
        client.wire.send(b"\0" * 120)
        client.send(b"echo st''ill\r")
        client.until_output(b"still")
        client.wire.close()

        child.sendline("echo al''ive")
        child.expect_exact("alive")


# The sandbox's own


def test_ended_sandbox_leaves_no_process(tmp_path: Path) -> None:
    with sandbox(tmp_path) as inside:
        client = Client.open(inside.start())
        client.shake_hands()
        client.send(b"echo pid $$ end; sleep 1000\r")
        client.until_output(b" end\r\n")
        found = re.search(rb"pid (\d+) end", client.output)
        assert found is not None
        tools = Path(inside.environ["PATH"].split(os.pathsep)[0])
        assert is_running(int(found[1]))
        assert (tools / PLUGIN).exists()
        assert tools.parent.stat().st_mode & 0o777 == 0o700
    assert not is_running(int(found[1]))
    assert not tools.parent.exists()


def test_does_not_shadow_real_plugin(tmp_path: Path) -> None:
    (tmp_path / PLUGIN).write_text("#!/bin/sh\necho 1.2.3.4\n")
    (tmp_path / PLUGIN).chmod(0o755)
    environ = {
        "PATH": os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.defpath)),
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        ["ssmgate", "sandbox", "--", "sh", "-c", f"command -v {PLUGIN}"],
        env=environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ended.stdout == f"{tmp_path}/{PLUGIN}\n"


# What plugins from 1.2.889.0 on do before they connect.
VALIDATING = """#!/bin/sh
[ "$1" = --version ] && echo 1.2.889.0 && exit 0
case $1$AWS_SSM_START_SESSION_RESPONSE in
    *wss://ssmmessages.*) exit 0 ;;
esac
echo 'Cannot perform start session: invalid stream URL'
"""


# The command's session has no preferences of its own.
LOGGED = """
[[node]]
id = "i-0123456789abcdef0"
[[document]]
name = "SSM-SessionManagerRunShell"
content = '''{"schemaVersion": "1.0", "sessionType": "Standard_Stream",
  "inputs": {"s3BucketName": "bucket", "s3KeyPrefix": "prefix"}}'''
[[user]]
name = "admin"
attached = ["arn:aws:iam::aws:policy/AdministratorAccess"]
"""


def test_newer_plugin_is_replaced_and_session_is_logged(tmp_path: Path) -> None:
    (tmp_path / PLUGIN).write_text(VALIDATING)
    (tmp_path / PLUGIN).chmod(0o755)
    (tmp_path / "seed.toml").write_text(LOGGED)
    environ = {
        "PATH": os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.defpath)),
        "HOME": str(tmp_path),
    }
    command = (
        "ssm-start-session", "--target", NODE,
        "--document-name", "AWS-StartNonInteractiveCommand",
        "--parameters", "command=echo a-$((1 + 1))",
    )  # fmt: skip
    process = subprocess.Popen(
        ["ssmgate", "sandbox", "--seed", "seed.toml", "--session-logs", "logs", "--", *command],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=tmp_path,
    )  # fmt: skip
    with process:
        # The end of standard input would end the session.
        assert process.stdout is not None
        assert process.stderr is not None
        assert "a-2" in process.stdout.read()
        errors = process.stderr.read()
    notice = "ssmgate: sandbox: session-manager-plugin 1.2.889.0 connects to AWS only: the stub"
    assert errors.startswith(notice)
    assert errors.count(notice) == 1
    (log,) = (tmp_path / "logs/s3/bucket/prefix").iterdir()
    assert log.read_text() == "a-2\n"
