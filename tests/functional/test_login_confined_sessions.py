"""Sessions in the sandbox, through a login whose plugin is confined: shell, ports, ssh, run-as.

The plugin is the sandbox's stub, in one file that a confined process can read. The login is root's,
as the sandbox serves its own user only. Encryption with KMS is not tried: the sandbox does not
offer it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import zipapp
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
import websockets

import ssmgate
from conftest import needs
from fakes import bastion as bastions
from fakes.bastion import Bastion
from fakes.capabilities import with_capabilities
from fakes.sandbox import NODE
from fakes.typist import hang_up
from fakes.waiting import until
from ssmgate.login import landlock

OBSTACLE = bastions.obstacle() or ("" if landlock.version() else "this kernel has no Landlock")
pytestmark = pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)

USER = "root"
FORWARD = "AWS-StartPortForwardingSession"
PROMPT = re.compile(r"[#$] $")


@dataclass(frozen=True)
class Host:
    """A bastion whose AWS is a sandbox with nodes, and the environment of a command in it."""

    bastion: Bastion
    environ: dict[str, str]

    def aws(self, *words: str) -> dict[str, Any]:
        command = ["aws", "ssm", *words, "--output", "json"]
        answer: dict[str, Any] = json.loads(
            subprocess.run(command, env=self.environ, stdout=subprocess.PIPE, check=True).stdout
        )
        return answer

    @contextmanager
    def shell(self) -> Iterator[pexpect.spawn[str]]:
        """Log in on a terminal, and wait for the first prompt of the node."""
        child = pexpect.spawn(
            str(self.bastion.entry), ["-c", f"start-session --target {NODE}"],
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm"},  # type: ignore[arg-type]
            encoding="utf-8", timeout=60, dimensions=(24, 80), cwd="/",
        )  # fmt: skip
        try:
            child.expect(PROMPT)
            yield child
        finally:
            hang_up(child)


@contextmanager
def sandbox(directory: Path) -> Iterator[dict[str, str]]:
    """Run a sandbox, and return the environment of its administrator."""
    dump = directory / "environ"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = with_capabilities(
        subprocess.Popen,
        ["ssmgate", "sandbox", "--as", "admin", "--", "sh", "-c",
         'env -0 > "$0"; echo; exec cat >/dev/null', str(dump)],
        env={"PATH": path, "HOME": str(directory), "LANG": "C.UTF-8"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        pairs = (pair.split("=", 1) for pair in dump.read_text().split("\0") if pair)
        yield dict(pairs)
        process.stdin.close()
        assert process.wait(30) == 0


def make_plugin(target: Path, directory: Path) -> None:
    """Write the sandbox's plugin as one executable file."""
    source = Path(ssmgate.__file__).parent
    for name in ("__init__.py", "sandbox/__init__.py", "sandbox/plugin", "sandbox/channel"):
        there = directory / "ssmgate" / name
        there.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (source / name).is_dir() else shutil.copy)(source / name, there)
    shutil.copytree(Path(websockets.__file__).parent, directory / "websockets")
    zipapp.create_archive(
        directory, target, bastions.python(), main="ssmgate.sandbox.plugin.__main__:run"
    )
    target.chmod(0o755)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    bastion = Bastion.build()
    try:
        make_plugin(bastion.plugin_file, tmp_path_factory.mktemp("zipapp"))
        with sandbox(tmp_path_factory.mktemp("sandbox")) as environ:
            bastion.configure(environ["AWS_ENDPOINT_URL"], confine_plugin=True)
            text = bastion.aws_file.read_text()
            text = text.replace("AKIABASTION", environ["AWS_ACCESS_KEY_ID"])
            bastion.aws_file.write_text(
                text.replace("secret-of-bastion", environ["AWS_SECRET_ACCESS_KEY"])
            )
            yield Host(bastion, environ)
    finally:
        bastion.remove()


def test_shell_on_terminal(host: Host) -> None:
    """The script that restores the terminal runs unconfined while the plugin is confined."""
    with host.shell() as child:
        assert termios.tcgetattr(child.child_fd)[3] & termios.ECHO == 0
        child.sendline("echo from-$((40 + 2))")
        child.expect_exact("from-42")
        child.expect(PROMPT)
        child.sendline("exit")
        child.expect_exact("Exiting session with sessionId: ")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
        assert termios.tcgetattr(child.child_fd)[3] & termios.ECHO


def test_size_and_signals_reach_node(host: Host) -> None:
    with host.shell() as child:
        # It says so itself: a signal just before it runs is the shell's, which waits for it then.
        child.sendline("sh -c 'echo be\"\"gun; exec sleep 1000'")
        child.expect_exact("begun")
        child.send("\x03")
        assert child.expect(PROMPT) == 0
        child.setwinsize(50, 132)

        def resized() -> bool:
            child.sendline("stty size")
            return child.expect([r"\n50 132\r+\n", r"\d\r+\n"]) == 0

        until(resized, 30)


def test_session_runs_as_configured_user(host: Host) -> None:
    """The node's user is another one than the login's."""
    name = "SSM-SessionManagerRunShell"
    before = host.aws("get-document", "--name", name)
    inputs = {"runAsEnabled": True, "runAsDefaultUser": "daemon"}
    content = {**json.loads(before["Content"]), "inputs": inputs}
    new = host.aws(
        "update-document", "--name", name, "--content", json.dumps(content),
        "--document-version", "$LATEST",
    )["DocumentDescription"]["DocumentVersion"]  # fmt: skip
    host.aws("update-document-default-version", "--name", name, "--document-version", new)
    try:
        with host.shell() as child:
            child.sendline("echo i''am $(id -un)")
            assert child.expect_exact("iam daemon") == 0
    finally:
        old = before["DocumentVersion"]
        host.aws("update-document-default-version", "--name", name, "--document-version", old)


@pytest.mark.parametrize(
    ("document", "more"), [(FORWARD, ""), (f"{FORWARD}ToRemoteHost", ",host=db.internal")]
)
def test_confined_plugin_forwards_port(host: Host, document: str, more: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        parameters = f"portNumber={server.getsockname()[1]},localPortNumber=0{more}"
        line = f"start-session --target {NODE} --document-name {document}"
        process = host.bastion.popen(USER, "-c", f"{line} --parameters {parameters}")
        assert process.stdout is not None
        opened = None
        for text in process.stdout:
            if opened := re.fullmatch(r"Port (\d+) opened for sessionId \S+\n", text):
                break
        assert opened is not None, process.communicate()[1]
        with socket.create_connection(("127.0.0.1", int(opened[1])), 30) as client:
            client.sendall(b"there")
            server.settimeout(30)
            other, _ = server.accept()
            with other:
                other.settimeout(30)
                assert other.recv(5) == b"there"
                other.sendall(b"back")
                client.settimeout(30)
                assert client.recv(4) == b"back"
        process.send_signal(signal.SIGINT)
        assert "Exiting session" in process.communicate(timeout=60)[0]


@needs("sshd")
def test_ssh_runs_through_confined_plugin(host: Host) -> None:
    """The login as a ProxyCommand: the node's sshd answers."""
    line = f"start-session --target {NODE} --document-name AWS-StartSSHSession"
    ours, theirs = socket.socketpair()
    process = host.bastion.popen(
        USER, "-c", f"{line} --parameters portNumber=22", stdin=theirs.fileno()
    )
    theirs.close()
    with closing(ours):
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(text.startswith("SSH-2.0-") for text in lines), process.communicate()[1]
    drain = threading.Thread(target=process.communicate)
    drain.start()
    process.terminate()
    drain.join(30)
    assert not drain.is_alive()
