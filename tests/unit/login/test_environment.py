"""What a login depends on: root's files alone, and an environment of a few variables."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ssmgate
from ssmgate.gate.config.load import Config, Login
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.system import trusted_open
from ssmgate.login import environment

CONFIG = Config(
    locked=frozenset({"mode"}),
    plugin_path="/opt/plugin",
    login=Login("/etc/aws/config", "/etc/aws/credentials", home="/var/empty"),
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"TERM": "xterm-256color", "LANG": "de_DE.UTF-8@euro"}, True),
        ({"SSH_CONNECTION": "fe80::1%eth0 50000 10.0.0.1 22"}, True),
        ({"TERM": ""}, True),
        ({"TERM": "Ab9._:/@%+ -"}, True),
        ({"TERM": "x" * 200}, True),
        ({"TERM": "x" * 201}, False),
        ({"TERM": "x\n"}, False),
        ({"TERM": "$x"}, False),
        ({"TERM": "x;id"}, False),
        ({"LANG": "\x1b[2J"}, False),
        ({"LANG": "ä"}, False),
        ({"PATH": "/tmp"}, False),
        ({"LD_PRELOAD": "x"}, False),
        ({"AWS_PROFILE": "admin"}, False),
        ({"SSMGATE_MODE": "permissive"}, False),
        ({"LC_ALL": "C"}, False),
    ],
)
def test_variables_that_come_through(given: dict[str, str], kept: bool) -> None:
    assert environment.trusted(given) == (given if kept else {})


def test_the_whole_environment() -> None:
    usual = {
        "LANG": "C",
        "HOME": "/var/empty",
        "PATH": "/usr/bin:/bin",
        "AWS_CONFIG_FILE": "/etc/aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/aws/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    given = {"LANG": "C", "HOME": "/home/mallory", "PATH": "/tmp", "AWS_PROFILE": "admin"}
    assert environment.environment(CONFIG, given) == usual

    bare = replace(CONFIG, login=Login(profile="ops"))
    assert environment.environment(bare, {}) == {
        "HOME": "/var/empty",
        "PATH": "/usr/bin:/bin",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PROFILE": "ops",
    }


def profile_of(monkeypatch: pytest.MonkeyPatch, name: str | None) -> str:
    def getpwuid(_uid: int) -> Any:
        if name is None:
            raise KeyError
        return SimpleNamespace(pw_name=name)

    monkeypatch.setattr(environment.pwd, "getpwuid", getpwuid)
    config = replace(CONFIG, login=replace(CONFIG.login, profile="team-{user}"))
    return environment.environment(config, {})["AWS_PROFILE"]


@pytest.mark.parametrize("name", ["alice", "Alice-9_aB.b", "_x", "9a", "A", "a" * 64])
def test_profile_of_the_unix_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert profile_of(monkeypatch, name) == f"team-{name}"


@pytest.mark.parametrize(
    "name", [None, "", "-x", ".x", "a b", "a/b", "a\n", "ä", "a]", "a" * 65, "a$"]
)
def test_user_without_a_plain_name_has_no_profile(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    with pytest.raises(
        ConfigurationProblem, match=r"^refused: the unix user has no name"
    ) as caught:
        profile_of(monkeypatch, name)
    assert caught.value.hints == ("useradd",)
    usual = replace(CONFIG, login=replace(CONFIG.login, profile="ops"))
    assert environment.environment(usual, {})["AWS_PROFILE"] == "ops"


class Held:
    """What was held to root, and a process that was started as a login is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        self.directories: list[str] = []
        self.system = SimpleNamespace(
            flags=SimpleNamespace(isolated=1),
            prefix="/venv",
            base_prefix="/usr",
            executable=sys.executable,
        )
        monkeypatch.setattr(environment, "sys", self.system)
        monkeypatch.setattr(environment, "_require_trusted", self.files.append)
        monkeypatch.setattr(environment, "_require_empty_home", self.directories.append)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def test_everything_that_a_login_runs_and_reads_is_held_to_root(held: Held) -> None:
    environment.require_root_owned(CONFIG)

    ours, awscli, python, *rest = held.files
    assert ours == ssmgate.__file__
    assert awscli.endswith("/awscli/__init__.py")
    assert python == os.path.realpath(sys.executable)
    assert rest == [
        "/venv/pyvenv.cfg", "/opt/plugin", "/etc/aws/config", "/etc/aws/credentials"
    ]  # fmt: skip
    assert held.directories == ["/var/empty"]


def test_outside_a_virtual_environment_there_is_no_file_of_one(held: Held) -> None:
    held.system.prefix = "/usr"
    environment.require_root_owned(
        replace(CONFIG, login=replace(CONFIG.login, aws_config_file=None))
    )

    assert held.files[3:] == ["/opt/plugin", "/etc/aws/credentials"]


def test_package_that_cannot_be_found_is_not_held(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _name: None)
    environment.require_root_owned(CONFIG)

    assert held.files[1] == "", "which no file can be"


@pytest.mark.parametrize(
    ("changes", "isolated", "words"),
    [
        ({"locked": frozenset()}, 1, "needs a configuration that locks something"),
        ({}, 0, "this is not how a login is started"),
        ({"login": Login()}, 1, "no AWS configuration is named"),
        ({"plugin_path": None}, 1, "plugin.path is not set"),
    ],
)
def test_login_that_cannot_be_held_to_root(
    held: Held, changes: dict[str, Any], isolated: int, words: str
) -> None:
    held.system.flags.isolated = isolated
    with pytest.raises(ConfigurationProblem, match=f"^refused: {words}|^refused: a login {words}"
                       ) as caught:  # fmt: skip
        environment.require_root_owned(replace(CONFIG, **changes))
    assert len(caught.value.hints) == 1
    assert (held.files, held.directories) == ([], [])


def test_file_of_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("")
    before = os.listdir("/dev/fd")
    environment._require_trusted(os.path.realpath("/etc/passwd"))
    assert os.listdir("/dev/fd") == before

    path.chmod(0o666)
    with pytest.raises(ConfigurationProblem, match=r"^refused: not trusted: /"):
        environment._require_trusted(str(path))
    with pytest.raises(ConfigurationProblem, match=r"^refused: not trusted:  is not an absolute"):
        environment._require_trusted("")
    with pytest.raises(ConfigurationProblem, match=r"/none: No such file or directory"):
        environment._require_trusted("/none")


def test_home_of_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationProblem, match=r"^refused: login\.home, /none: No such"):
        environment._require_empty_home("/none")
    with pytest.raises(ConfigurationProblem, match=r"login\.home is not trusted: home is not"):
        environment._require_empty_home("home")
    home = tmp_path / "empty"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(ConfigurationProblem, match=r"^refused: login\.home is not trusted: /"):
        environment._require_empty_home(str(home))

    monkeypatch.setattr(trusted_open, "require_trusted_directory", lambda _path: None)
    environment._require_empty_home(str(home))
    (home / ".aws").mkdir()
    with pytest.raises(ConfigurationProblem, match=r"login\.home, /.*, is not empty"):
        environment._require_empty_home(str(home))
