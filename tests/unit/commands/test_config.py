"""`ssmgate config`: what show prints is TOML, and check looks at the files that a file names."""

from __future__ import annotations

import json
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssmgate.commands.main import main
from ssmgate.gate.config.load import USER_FILE


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").write_text("")
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "unreadable").write_text("")
    (tmp_path / "unreadable").chmod(0)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        yield tmp_path


EXISTING = """\
[plugin]
path = "@/program"
[aws]
path = "@/program"
[login]
aws_config_file = "@/file"
aws_credentials_file = "@/file"
home = "@"
[record]
file = "@/{user}.jsonl"
syslog = "@/socket"
"""

PLUGIN = '[plugin]\npath = "@/program"'
CREDENTIALS = 'credentials_file = "@/file"'

# A replacement in the configuration above, and what check prints about it.
UNUSABLE = [
    (PLUGIN, '[plugin]\npath = "@/none"', "plugin.path: @/none does not exist"),
    (PLUGIN, '[plugin]\npath = "@/file"',
     "plugin.path: @/file is not executable"),
    (PLUGIN, '[plugin]\npath = "@"', "plugin.path: @ is not a file"),
    ('[aws]\npath = "@/program"', '[aws]\npath = "@/none"', "aws.path: @/none does not exist"),
    ('config_file = "@/file"', 'config_file = "@/none"',
     "login.aws_config_file: @/none does not exist"),
    (CREDENTIALS, 'credentials_file = "@/file/a"',
     "login.aws_credentials_file: @/file/a: Not a directory"),
    (CREDENTIALS, 'credentials_file = "@"',
     "login.aws_credentials_file: @ is not a file"),
    (CREDENTIALS, 'credentials_file = "@/none/{user}"',
     "login.aws_credentials_file: @/none does not exist"),
    (CREDENTIALS, 'credentials_file = "@/none/{user}/aws"',
     "login.aws_credentials_file: @/none does not exist"),
    ('home = "@"', 'home = "@/none"', "login.home: @/none does not exist"),
    ('home = "@"', 'home = "@/file"', "login.home: @/file is not a directory"),
    ('"@/{user}.jsonl"', '"@/none/{user}.jsonl"', "record.file: @/none does not exist"),
    ('"@/{user}.jsonl"', '"@/file/{user}.jsonl"', "record.file: @/file is not a directory"),
    ('syslog = "@/socket"', 'syslog = "@/none"', "record.syslog: @/none does not exist"),
    ('syslog = "@/socket"', 'syslog = "@/file"', "record.syslog: @/file is not a socket"),
]  # fmt: skip


def check(directory: Path, text: str) -> tuple[int, list[str]]:
    (directory / "new.toml").write_text(text.replace("@", str(directory)))
    ended = CliRunner().invoke(main, ["config", "check", str(directory / "new.toml")])
    lines = ended.output.replace(str(directory), "@").splitlines()
    return ended.exit_code, [line for line in lines if line.startswith("problem: ")]


def test_check_accepts_files_that_exist(directory: Path) -> None:
    assert check(directory, EXISTING) == (0, [])


@pytest.mark.parametrize(("before", "after", "line"), UNUSABLE, ids=[row[2] for row in UNUSABLE])
def test_check_finds_file_that_cannot_be_used(
    before: str, after: str, line: str, directory: Path
) -> None:
    assert before in EXISTING

    assert check(directory, EXISTING.replace(before, after)) == (3, [f"problem: {line}"])


def test_check_accepts_directory_of_each_user(directory: Path) -> None:
    text = EXISTING.replace(CREDENTIALS, 'credentials_file = "@/{user}/aws"')

    assert check(directory, text) == (0, [])


def test_check_accepts_file_that_only_others_can_read(directory: Path) -> None:
    """An administrator checks the configuration of a bastion, whose users read the credentials."""
    text = EXISTING.replace(CREDENTIALS, 'credentials_file = "@/unreadable"')

    assert check(directory, text) == (0, [])


CONTEXT = {"aws:SourceIp": '203.0.113.10 "x\\', "aws:x": "é\x7f\u202e\U0001f600\t", "aws:y": True}


@pytest.mark.parametrize("options", [(), ("--origin",)], ids=str)
def test_show_prints_toml(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / USER_FILE
    path.parent.mkdir(parents=True)
    path.write_text('plugin.path = "/a # b"\ndocuments.allow = ["a*", "b"]\ncache.ttl = 5\n')
    monkeypatch.setenv("SSMGATE_CONTEXT", json.dumps(CONTEXT))

    output = CliRunner().invoke(main, ["config", "show", *options]).output
    found = tomllib.loads(output)

    assert found["context"] == CONTEXT
    assert found["plugin"] == {"path": "/a # b", "pass_credentials": False}
    assert found["documents"] == {"allow": ["a*", "b"]}
    assert (found["mode"], found["cache"]) == ("enforce", {"ttl": 5})
    assert "# aws.path = (not set)" in output


def test_check_accepts_what_show_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSMGATE_CONTEXT", json.dumps(CONTEXT))
    (tmp_path / "shown.toml").write_text(
        CliRunner().invoke(main, ["config", "show", "--origin"]).output
    )

    ended = CliRunner().invoke(main, ["config", "check", str(tmp_path / "shown.toml")])

    assert (ended.exit_code, ended.exception) == (0, None)
