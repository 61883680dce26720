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
    ("given", "passes"),
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
def test_passes_harmless_environment_variables_only(given: dict[str, str], passes: bool) -> None:
    assert environment.trusted(given) == (given if passes else {})


def test_environment_is_built_from_configuration() -> None:
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
def test_profile_contains_name_of_unix_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert profile_of(monkeypatch, name) == f"team-{name}"


@pytest.mark.parametrize(
    "name", [None, "", "-x", ".x", "a b", "a/b", "a\n", "ä", "a]", "a" * 65, "a$"]
)
def test_rejects_unix_user_whose_name_is_unsafe_in_profile(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    with pytest.raises(
        ConfigurationProblem, match=r"^refused: the unix user has no name"
    ) as caught:
        profile_of(monkeypatch, name)
    assert caught.value.hints == ("useradd",)
    usual = replace(CONFIG, login=replace(CONFIG.login, profile="ops"))
    assert environment.environment(usual, {})["AWS_PROFILE"] == "ops"


class Checked:
    """The paths whose owner was checked, in a process that was started as a login is."""

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
def checked(monkeypatch: pytest.MonkeyPatch) -> Checked:
    return Checked(monkeypatch)


def test_checks_owner_of_each_file_that_login_runs_and_reads(checked: Checked) -> None:
    environment.require_root_owned(CONFIG)

    ours, awscli, python, *rest = checked.files
    assert ours == ssmgate.__file__
    assert awscli.endswith("/awscli/__init__.py")
    assert python == os.path.realpath(sys.executable)
    assert rest == [
        "/venv/pyvenv.cfg", "/opt/plugin", "/etc/aws/config", "/etc/aws/credentials"
    ]  # fmt: skip
    assert checked.directories == ["/var/empty"]


def test_checks_no_pyvenv_cfg_outside_virtual_environment(checked: Checked) -> None:
    checked.system.prefix = "/usr"
    environment.require_root_owned(
        replace(CONFIG, login=replace(CONFIG.login, aws_config_file=None))
    )

    assert checked.files[3:] == ["/opt/plugin", "/etc/aws/credentials"]


def test_missing_package_fails_check(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _name: None)
    environment.require_root_owned(CONFIG)

    assert checked.files[1] == "", "which no file can be"


@pytest.mark.parametrize(
    ("changes", "isolated", "words"),
    [
        ({"locked": frozenset()}, 1, "the system's configuration locks no keys"),
        ({}, 0, "the login was not started by bin/ssmgate-login"),
        ({"login": Login()}, 1, "no AWS configuration is set"),
        ({"plugin_path": None}, 1, "plugin.path is not set"),
    ],
)
def test_rejects_login_that_cannot_be_checked(
    checked: Checked, changes: dict[str, Any], isolated: int, words: str
) -> None:
    checked.system.flags.isolated = isolated
    with pytest.raises(ConfigurationProblem, match=f"^refused: {words}|^refused: a login {words}"
                       ) as caught:  # fmt: skip
        environment.require_root_owned(replace(CONFIG, **changes))
    assert len(caught.value.hints) == 1
    assert (checked.files, checked.directories) == ([], [])


def test_rejects_untrusted_file_of_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("")
    before = os.listdir("/dev/fd")
    environment._require_trusted(os.path.realpath("/etc/passwd"))
    assert os.listdir("/dev/fd") == before

    path.chmod(0o666)
    with pytest.raises(ConfigurationProblem, match=r"^refused: not trusted: /"):
        environment._require_trusted(str(path))
    with pytest.raises(ConfigurationProblem, match=r"^refused: not trusted:  must be an absolute"):
        environment._require_trusted("")
    with pytest.raises(ConfigurationProblem, match=r"/none: No such file or directory"):
        environment._require_trusted("/none")


def test_rejects_home_that_is_untrusted_or_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationProblem, match=r"^refused: login\.home, /none: No such"):
        environment._require_empty_home("/none")
    with pytest.raises(ConfigurationProblem, match=r"login\.home is not trusted: home must be"):
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
