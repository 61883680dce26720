"""A daemon does nothing for a differently confined process, whatever that process sends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import TARGET, Machine, needs
from fakes import confined_client
from fakes.capabilities import become_ordinary, ordinary_directory, ordinary_python
from fakes.daemon_client import DIRECTORY, Daemon, running, until
from ssmgate.daemon import protocol

COLD = protocol.COLD.decode()


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can confine a process so")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """Run the daemon of an ordinary user, also where the tests run as root."""
    directory = ordinary_directory()
    home = directory / "home"
    home.mkdir()
    shutil.chown(home, directory.stat().st_uid, directory.stat().st_gid)
    python, environ = ordinary_python()
    environ |= {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    with running(environ, become=become_ordinary, python=python) as daemon:
        assert daemon.process.poll() is None
        yield daemon
    shutil.rmtree(directory)


@dataclass
class Attack:
    """The request to the daemon, and the program that is planted as a plugin."""

    machine: Machine
    daemon: Daemon

    @property
    def planted(self) -> Path:
        """Return the file that the program creates."""
        return Path(self.daemon.environ["HOME"]).parent / "planted"

    @property
    def program(self) -> str:
        return f"#!/bin/sh\ntouch {self.planted}\necho 1.2.804.0\n"

    def lists(self, *words: str, **environ: str | None) -> list[list[str]]:
        """Return the lists of a request, after the nonce."""
        merged = {**self.machine.environ, **self.daemon.environ, **environ}
        variables = [f"{name}={text}" for name, text in merged.items() if text is not None]
        argv = ["ssm", "start-session", "--target", TARGET, *words]
        return [self.daemon.environment_fingerprint, [], argv, variables]

    def run(
        self,
        how: str,
        lists: list[list[str]],
        *,
        as_root: bool = False,
        before: tuple[str, ...] = (),
    ) -> tuple[str, list[list[str]]]:
        """Send the request from a process that is confined in this way, and return the answer.

        It is an ordinary user's when it connects. `as_root`: it is root's when it confines itself.
        `before` is a program that executes it.
        """
        self.planted.unlink(missing_ok=True)
        home = Path(self.daemon.environ["HOME"])
        arguments = {
            "directory": str(home / DIRECTORY),
            "lists": lists,
            "program": self.program,
        }
        ended = subprocess.run(
            [*before, self.daemon.python, confined_client.__file__, how, json.dumps(arguments)],
            env={
                **self.daemon.environ,
                "ROOT": str(home.parent),
                **({"UID": str(home.stat().st_uid)} if as_root else {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=None if as_root else become_ordinary,
        )
        if ended.returncode and "OSError: [Errno 1] unshare" in ended.stderr:
            pytest.skip("users may make no namespaces here")
        assert ended.returncode == 0, ended.stderr
        kind, answer = json.loads(ended.stdout)
        until(lambda: not self.daemon.children)
        return kind, answer


@pytest.fixture
def attack(machine: Machine, daemon: Daemon) -> Attack:
    return Attack(machine, daemon)


@pytest.fixture
def path(attack: Attack) -> Iterator[Path]:
    """Return the path of the program, which both sides see."""
    path = attack.planted.with_name("program")
    path.write_text(attack.program)
    path.chmod(0o755)
    yield path
    path.unlink()


def test_answers_request_of_unconfined_process(attack: Attack, path: Path) -> None:
    """This proves that the attacks below would leave a file if they were answered."""
    kind, _ = attack.run("nothing", attack.lists(SSMGATE_PLUGIN_PATH=str(path)))

    assert kind == protocol.HANDOVER.decode()
    assert attack.planted.exists()


@pytest.mark.parametrize("plugin", ["/proc/self/fd/2", "path"])
def test_confined_process_runs_nothing_outside(attack: Attack, path: Path, plugin: str) -> None:
    plugin = str(path) if plugin == "path" else plugin

    kind, why = attack.run("sandbox", attack.lists(SSMGATE_PLUGIN_PATH=plugin))

    assert kind == COLD, why
    assert not attack.planted.exists()
    assert attack.machine.aws.operations == []


def assert_refused(attack: Attack, how: str, fact: str, path: Path, *, as_root: bool) -> None:
    lists = attack.lists(SSMGATE_PLUGIN_PATH=str(path))
    kind, why = attack.run(how, lists, as_root=as_root)

    assert (kind, why) == (COLD, [[fact]])
    assert not attack.planted.exists()
    assert attack.machine.aws.operations == []


@pytest.mark.parametrize(
    ("how", "fact"),
    [
        pytest.param("no_new_privs", "different NoNewPrivs", id="no_new_privs"),
        pytest.param("no_new_privs, seccomp", "different NoNewPrivs", id="seccomp"),
        pytest.param("no_new_privs, landlock", "different NoNewPrivs", id="landlock"),
        pytest.param("thread", "it has several threads", id="threads"),
    ],
)
def test_rejects_client_with_any_confinement(
    attack: Attack, path: Path, how: str, fact: str
) -> None:
    assert_refused(attack, how, fact, path, as_root=False)


@pytest.mark.parametrize("space", [*confined_client.SPACES, "read-only HOME", "root"])
def test_rejects_client_in_user_namespace(attack: Attack, path: Path, space: str) -> None:
    """With another namespace or alone. The process has all capabilities in it."""
    lists = attack.lists(SSMGATE_PLUGIN_PATH=str(path))

    kind, why = attack.run(f"user, {space}", lists)

    assert kind == COLD, why
    assert not attack.planted.exists()


@needs("bwrap")
@pytest.mark.parametrize("options", [(), ("--unshare-all", "--share-net"), ("--unshare-all",)])
def test_rejects_client_in_bubblewrap(attack: Attack, path: Path, options: tuple[str, ...]) -> None:
    """A new root directory, a mount namespace and no_new_privs, and further namespaces."""
    lists = attack.lists(SSMGATE_PLUGIN_PATH=str(path))
    bwrap = ("bwrap", "--dev-bind", "/", "/", *options)

    kind, why = attack.run("nothing", lists, before=bwrap)

    assert kind == COLD, why
    assert not attack.planted.exists()


@ROOT
@pytest.mark.parametrize(("how", "fact"), confined_client.BY_ROOT.items())
def test_rejects_client_with_any_confinement_by_root(
    attack: Attack, path: Path, how: str, fact: str
) -> None:
    if how == "login uid" and not os.path.exists("/proc/self/loginuid"):
        pytest.skip("this kernel has no login uid")
    assert_refused(attack, how, fact, path, as_root=True)


LIES = [
    pytest.param([], {"SSMGATE_PLUGIN_PATH": "/proc/self/fd/2"}, id="plugin"),
    pytest.param([], {"SSMGATE_PLUGIN_PATH": "/dev/../dev/stderr"}, id="plugin, another spelling"),
    pytest.param([], {"PATH": "/usr/bin:/proc/self/fd"}, id="PATH"),
    pytest.param([], {"AWS_CONFIG_FILE": "/dev/fd/0"}, id="configuration"),
    pytest.param([], {"AWS_CONFIG_FILE": "$X", "X": "/dev/fd/0"}, id="configuration, expanded"),
    pytest.param([], {"XDG_CONFIG_HOME": "/proc/self/cwd"}, id="directory"),
    pytest.param(["--parameters", "file:///dev/fd/0"], {}, id="words"),
    pytest.param(["help"], {}, id="help"),
    pytest.param([], {"HOME": "/"}, id="another HOME"),
    pytest.param([], {"HOME": "."}, id="relative HOME"),
    pytest.param([], {"HOME": None}, id="no HOME"),
    pytest.param([], {"SSMGATE_DAEMON": "off"}, id="off"),
]


@pytest.mark.parametrize(("words", "environ"), LIES)
def test_rejects_requests_that_client_never_sends(
    attack: Attack, words: list[str], environ: dict[str, str | None]
) -> None:
    kind, why = attack.run("nothing", attack.lists(*words, **environ))

    assert kind == COLD, why
    assert not attack.planted.exists()
    assert attack.machine.aws.operations == []
