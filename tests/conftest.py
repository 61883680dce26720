"""Fixtures of all tests: no AWS of the developer, but two local ones, and a plugin that records.

The sandbox evaluates policies: it serves tests of what AWS decides. The scripted AWS sends the
answers that a test sets and stores each request byte for byte: it serves tests of faults, of
unusual answers and of what is sent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import plugins
import ssmgate
from fakes.capabilities import drop_bounding_set
from fakes.needs import fail_if_not_installed, needs
from fakes.needs import summary as not_run
from fakes.sandbox import NODE, Server, SharedServer, serving
from fakes.scripted_aws import ScriptedAws
from plugins import ways

__all__ = ["needs"]

pytest_plugins = plugins.NAMES

FAKES = Path(__file__).parent / "fakes"
TARGET = "i-02573cafcfEXAMPLE"


def pytest_configure(config: pytest.Config) -> None:
    # A shell without job control has what it runs in the background ignore the first two, and
    # nohup the third.
    for number, disposition in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, disposition)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None]:
    yield  # the lines below come last
    for line in not_run(terminalreporter.stats.get("skipped", ())):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_not_installed(report)
    return report


@pytest.fixture(autouse=True)
def _without_developer_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSMGATE_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@dataclass(frozen=True)
class FakePlugin:
    """The recording stub `fakes/session-manager-plugin`, and the directory of its records."""

    directory: Path

    @property
    def started(self) -> bool:
        return (self.directory / "argv").exists()

    @property
    def argv(self) -> list[str]:
        """Return the arguments after the name of the program."""
        return (self.directory / "argv").read_text().split("\0")[1:-1]

    @property
    def environ(self) -> dict[str, str]:
        lines = (self.directory / "environ").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def ignored_signals(self) -> int:
        """Return the mask of ignored signals, bit 0 for signal 1."""
        status = (self.directory / "status").read_text()
        return int(status.partition("SigIgn:")[2].split()[0], 16)

    def version(self, text: str) -> None:
        (self.directory / "version").write_text(text)

    def on_version(self, script: str) -> None:
        (self.directory / "on_version").write_text(script)

    def on_start(self, script: str) -> None:
        (self.directory / "on_start").write_text(script)


@dataclass(frozen=True)
class Ended:
    """The result of a run of the program."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Machine:
    """The machine of a user: its environment, a plugin on PATH, and one of the two local AWSs."""

    aws: ScriptedAws | SharedServer
    plugin: FakePlugin
    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        whole_command: bool = False,
        input: str | None = None,
        timeout: float = 60,
        **environ: str | None,
    ) -> Ended:
        """Run `ssm-start-session WORDS`; with `whole_command`, WORDS are all that follows `aws`.

        `environ` is added to the environment; None removes an environment variable.
        """
        if whole_command:
            program = ["-c", "import sys; from ssmgate.__main__ import run; run(sys.argv[1:])"]
        else:
            program = ["-m", "ssmgate", "start-session"]
        return self.python(*program, *words, input=input, timeout=timeout, **environ)

    def python(
        self,
        *argv: str,
        input: str | None = None,
        timeout: float = 60,
        cwd: Path | None = None,
        **environ: str | None,
    ) -> Ended:
        """Run `python ARGV`, in a fork of a loaded process where the test permits it."""
        ended = ways.python(
            argv,
            env=self.variables(**environ),
            cwd=cwd or self.home,
            input=input,
            timeout=timeout,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def program(self, *before: str) -> subprocess.Popen[str]:
        """Start `BEFORE ssm-start-session --target NODE` and leave it running."""
        target = NODE if isinstance(self.aws, SharedServer) else TARGET
        return subprocess.Popen(
            [*before, sys.executable, "-m", "ssmgate", "start-session", "--target", target],
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            preexec_fn=drop_bounding_set if ways.now() == ways.DAEMON else None,
        )

    def variables(self, **environ: str | None) -> dict[str, str]:
        """Return the environment of a start: `environ` added to that of the user.

        Start a daemon first where the test runs with one.
        """
        if ways.now() == ways.DAEMON:
            ways.daemons.start(self.environ)
        merged: dict[str, str | None] = {**self.environ, **environ}
        return {name: value for name, value in merged.items() if value is not None}


@pytest.fixture
def scripted() -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        yield server


@pytest.fixture
def machine(scripted: ScriptedAws, tmp_path: Path) -> Machine:
    return make_machine(scripted, tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[ScriptedAws], Machine]:
    return lambda server: make_machine(server, tmp_path)


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the sandbox's seed: the default seed of ssmgate and `fakes/seed.toml`."""
    path = tmp_path_factory.mktemp("sandbox") / "seed.toml"
    own = Path(ssmgate.__file__).parent / "sandbox" / "seed.toml"
    path.write_text(own.read_text() + (FAKES / "seed.toml").read_text())
    return path


@pytest.fixture(scope="session")
def sandbox(seed: Path) -> Iterator[Server]:
    """Run one sandbox for all tests of a process. A test that changes it adds its own users."""
    with serving("--seed", str(seed), "--model", "2023", log=seed.with_name("log")) as server:
        yield server


@pytest.fixture
def resident(sandbox: Server, tmp_path: Path) -> Callable[[str], Machine]:
    """Return a function that makes the machine of a user, or of a role session, by name."""
    return lambda name: make_resident(sandbox, name, tmp_path)


def make_resident(server: Server, name: str, directory: Path) -> Machine:
    machine = make_machine(SharedServer.from_now(server), directory)
    ttl = machine.environ.get("SSMGATE_CACHE_TTL")
    machine.environ.update(server.variables(name))
    if ttl is None:
        machine.environ.pop("SSMGATE_CACHE_TTL", None)
    return machine


def make_machine(server: ScriptedAws | SharedServer, directory: Path) -> Machine:
    records, home = directory / "plugin", directory / "home"
    records.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    return Machine(
        aws=server,
        plugin=FakePlugin(records),
        home=home,
        environ={
            "PATH": f"{FAKES}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "FAKE_PLUGIN": str(records),
            "AWS_ENDPOINT_URL": server.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONWARNINGS": "error",
            # Caching has its own tests: here each start simulates.
            **({} if ways.now() == ways.CACHED else {"SSMGATE_CACHE_TTL": "0"}),
        },
    )
