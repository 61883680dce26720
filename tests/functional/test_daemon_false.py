"""A client starts nothing for a differently confined daemon, and sends it nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import Machine
from fakes import confined_client, confined_listener
from fakes.capabilities import drop_bounding_set
from fakes.daemon_client import BY_DAEMON, COLD, DIRECTORY, socket_name, start
from ssmgate.daemon import protocol

SANDBOX = "sandbox, HOME is writable"


@dataclass
class Listener:
    """A false daemon, the program that it hands over, and all that its client sent."""

    home: Path
    name: str
    heard: list[list[object]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {"HOME": str(self.home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}

    @property
    def planted(self) -> Path:
        """Return the file that the program creates."""
        return self.home / "planted"

    @contextmanager
    def listening(self, how: str, *, as_root: bool = False) -> Iterator[None]:
        """Listen until the block ends. One client has to connect; `heard` is complete then."""
        path = self.home / DIRECTORY / self.name
        program = self.home / "program"
        for left in (path, self.planted):
            left.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {self.planted}\n")
        program.chmod(0o755)
        arguments = {"socket": str(path), "program": str(program)}
        process = subprocess.Popen(
            [sys.executable, confined_listener.__file__, how, json.dumps(arguments)],
            env={**self.environ, "ROOT": str(self.home.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=None if as_root else drop_bounding_set,
        )
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "listens\n":
                _, stderr = process.communicate(timeout=60)
                if "OSError: [Errno 1] unshare" in stderr:
                    pytest.skip("users may make no namespaces here")
                pytest.fail(stderr)
            yield
            stdout, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
            self.heard = json.loads(stdout)
        finally:
            process.kill()
            process.communicate()

    def status(self) -> subprocess.CompletedProcess[str]:
        """Run `ssmgate daemon status`."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "ssmgate", "daemon", "status"],
            env=self.environ, capture_output=True, text=True, timeout=60, check=False,
            preexec_fn=drop_bounding_set,
        )  # fmt: skip


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Listener:
    listener = Listener(tmp_path_factory.mktemp("user") / "home", "")
    (listener.home / DIRECTORY).mkdir(parents=True, mode=0o700)
    listener.name = socket_name(listener.environ)
    return listener


@pytest.fixture
def machine(machine: Machine, listener: Listener) -> Machine:
    """Return a machine with the HOME of the false daemon."""
    machine.environ |= listener.environ
    return machine


@pytest.mark.parametrize(
    ("how", "constants"),
    [
        pytest.param("nothing", (), id="not confined"),
        pytest.param(SANDBOX, ("unverified",), id="sandboxed, and not compared"),
    ],
)
def test_attack_succeeds_without_confinement(
    machine: Machine, listener: Listener, tmp_path: Path, how: str, constants: tuple[str, ...]
) -> None:
    """This proves that the attacks below would leave a file and receive the environment."""
    with listener.listening(how):
        ended, way = start(machine, tmp_path, constants=constants)

    assert (ended.returncode, way) == (0, BY_DAEMON)
    assert listener.planted.exists()
    assert [kind for kind, _ in listener.heard] == [
        kind.decode() for kind in (protocol.CHALLENGE, protocol.REQUEST, protocol.TAKE)
    ]
    assert "AWS_SECRET_ACCESS_KEY" in str(listener.heard)


def test_sandboxed_daemon_receives_and_executes_nothing(
    machine: Machine, listener: Listener, tmp_path: Path
) -> None:
    with listener.listening(SANDBOX):
        ended, way = start(machine, tmp_path)

    assert (ended.returncode, ended.stderr, way) == (0, "", COLD)
    assert listener.heard == []
    assert not listener.planted.exists()
    assert machine.plugin.started


def test_unconfined_daemon_answers_status(listener: Listener) -> None:
    with listener.listening("nothing"):
        status = listener.status()

    assert (status.returncode, status.stdout) == (
        0, "process 1, 2 s; session starts: 3, in progress: 4\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "why"),
    [
        pytest.param("no_new_privs", "different NoNewPrivs", id="no_new_privs"),
        pytest.param("thread", "it has several threads", id="threads"),
        *(pytest.param(f"user, {space}", "", id=f"user namespace and {space}")
          for space in confined_client.SPACES),
    ],
)  # fmt: skip
def test_rejects_daemon_with_any_confinement(listener: Listener, how: str, why: str) -> None:
    assert_nothing_sent(listener, how, why, as_root=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can confine a process so")
@pytest.mark.parametrize(("how", "why"), confined_client.BY_ROOT.items())
def test_rejects_daemon_with_any_confinement_by_root(
    listener: Listener, how: str, why: str
) -> None:
    if how == "login uid" and not Path("/proc/self/loginuid").exists():
        pytest.skip("this kernel has no login uid")
    assert_nothing_sent(listener, how, why, as_root=True)


def assert_nothing_sent(listener: Listener, how: str, why: str, *, as_root: bool) -> None:
    with listener.listening(how, as_root=as_root):
        status = listener.status()

    assert (status.returncode, status.stdout) == (255, "")
    # An unreadable fact has no name: "[Errno 13] …".
    expected = "the daemon does not answer" if why.startswith("[") else why
    assert expected in status.stderr
    # A Landlock domain shows only when the daemon cannot read the nonce.
    challenged = [protocol.CHALLENGE.decode()] if how == "landlock" else []
    assert [kind for kind, _ in listener.heard] == challenged
