"""A machine on which everything is in order, whose parts tests break."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from fakes import waiting
from fakes.scripted_aws import Answer, Received, ScriptedAws, evaluation, json_ok
from ssmgate.doctor import account, program, shell
from ssmgate.doctor.report import Machine, examine
from ssmgate.doctor.results import Result
from ssmgate.gate.argv import parse
from ssmgate.gate.config.load import ConfigSource
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.system import trusted_open

ROOT = Path(__file__).parents[2]
NODE = "i-0123456789abcdef0"

PREFERENCES = '{"schemaVersion": "1.0", "inputs": {"runAsDefaultUser": "ops"}}'


def simulated(decide: Callable[[str, str], str] | None = None, *, checked: bool = True) -> Answer:
    """Return an answer of SimulatePrincipalPolicy.

    `decide` gets the action and the resource, and returns the decision; by default all is allowed.
    A session whose document the service has not checked is denied, unless `checked` is false.
    """

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        action = received.parameters["ActionNames.member.1"]
        decision = "allowed"
        if decide is not None:
            decision = decide(action, received.parameters["ResourceArns.member.1"])
        key = received.context.get("ssm:SessionDocumentAccessCheck")
        if checked and key is not None and key[1] == ["false"]:
            decision = "implicitDeny"
        evaluation(decision, action=action)(handler, received)

    return answer


@dataclass
class HealthyMachine:
    """The files, environment variables and AWS of a user. Each of them can be changed."""

    directory: Path
    aws: ScriptedAws
    monkeypatch: pytest.MonkeyPatch
    words: list[str] = field(default_factory=list)
    terminal: shell.Terminal = field(default_factory=lambda: shell.Terminal(True))
    shims: str | None = str(ROOT / "bin")
    completions: str | None = str(ROOT / "completions")
    awscli: Mapping[str, Any] = field(default_factory=dict)
    held: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(program, "_install", lambda: "install the plugin")
        self.monkeypatch.setattr(account, "SECONDS", waiting.seconds(account.SECONDS))
        for name in ("open_trusted", "require_trusted_directory"):
            self._below_directory(name)
        self.aws.script("SimulatePrincipalPolicy", simulated())
        self.aws.script("GetDocument", json_ok({"Content": PREFERENCES}))
        for name in ("home", "bin", "records", "plugin"):
            (self.directory / name).mkdir(exist_ok=True)
        self.home.chmod(0o755)
        self.program("bin/session-manager-plugin", "echo 1.2.804.0")
        self.program("bin/aws", "exit 0")
        self.program("bin/ssm-start-session", "exit 0")
        self.write(".bashrc", 'eval "$(ssmgate init bash)"\n')
        self.write(".zshrc", 'eval "$(ssmgate init zsh)"\n')
        self.write(".aws/config", "[default]\nregion = us-east-1\n")
        keys = "aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n"
        self.write(".aws/credentials", f"[default]\n{keys}[other]\n{keys}", 0o600)
        command = f"{self.directory}/bin/ssm-start-session --target '%h'"
        self.write(".ssh/config", f"Host i-*\n    ProxyCommand {command}\n", 0o600)
        for name in list(os.environ):
            if name.lower() in ("https_proxy", "http_proxy", "no_proxy", "requests_ca_bundle"):
                self.monkeypatch.delenv(name)
        self.set(
            PATH=f"{ROOT / 'bin'}:{self.directory}/bin:/usr/bin:/bin",
            HOME=str(self.home),
            SHELL="/bin/bash",
            TERM="xterm-256color",
            ZDOTDIR=None,
            AWS_ENDPOINT_URL=self.aws.url,
            AWS_EC2_METADATA_DISABLED="true",
        )

    def _below_directory(self, name: str) -> None:
        """Let `trusted_open` check directories below this one only: others may write above it."""
        function = getattr(trusted_open, name)
        self.monkeypatch.setattr(
            trusted_open, name, lambda *a, **k: function(*a, **{**k, "base": str(self.directory)})
        )

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def set(self, **environ: str | None) -> None:
        """Set environment variables. None removes one."""
        for name, value in environ.items():
            if value is None:
                self.monkeypatch.delenv(name, raising=False)
            else:
                self.monkeypatch.setenv(name, value)

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write the file `name` below HOME."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def program(self, name: str, script: str) -> Path:
        """Write an executable script below the directory of this machine."""
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def configure(self, text: str) -> Path:
        """Write ssmgate's configuration; @ in `text` is the directory of this machine."""
        return self.write(
            ".config/ssmgate/config.toml", text.replace("@", str(self.directory)), 0o600
        )

    def configure_system(self, text: str) -> None:
        """Write the system file; @ in `text` is the directory of this machine."""
        (self.directory / "system.toml").write_text(text.replace("@", str(self.directory)))

    def results(self) -> dict[str, Result]:
        """Return the results of all checks by name."""
        found = program.find_awscli()
        invocation, failure = None, ""
        awscli = program.Awscli(
            **{name: self.awscli.get(name, getattr(found, name)) for name in found.__slots__}
        )
        if not awscli.error:
            try:
                read = parse.read(
                    ["ssm", "start-session", "--target", "i-00000000000000000", *self.words]
                )
                assert not isinstance(read, int)
                invocation = read
            except GateError as error:
                failure = error.message
        results = examine(
            Machine(
                dict(os.environ),
                awscli,
                invocation,
                failure,
                self.shims,
                self.completions,
                self.terminal,
                ConfigSource(
                    str(self.directory / "system.toml"), str(self.directory), os.geteuid()
                ),
            )
        )
        return {result.name: result for result in results}
