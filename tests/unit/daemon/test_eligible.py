"""Starts that a worker cannot make, as they need a descriptor of the calling process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssmgate.daemon import eligible

HOME = {"HOME": "/home/alice"}


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_CONFIG_FILE": "/dev/fd/9"}, {"AWS_CONFIG_FILE": "/proc/self/fd/9"},
        {"AWS_CONFIG_FILE": "//dev/fd/9"}, {"AWS_CONFIG_FILE": "/home/../dev/fd/9"},
        {"AWS_CONFIG_FILE": "~/../../dev/fd/9"}, {"AWS_CONFIG_FILE": "${X}"},
        {"AWS_CA_BUNDLE": "/dev/stdin"}, {"SSL_CERT_FILE": "/dev/fd/9"},
        {"SSMGATE_PLUGIN_PATH": "/proc/self/fd/2"}, {"SSMGATE_AWS_PATH": "/dev/fd/3"},
        {"SSMGATE_RECORD_FILE": "/dev/stderr"},
        {"PATH": "/usr/bin:/dev/fd"}, {"PATH": "/proc/self/cwd/bin:/usr/bin"},
        {"PATH": "/usr/bin:/dev"}, {"HOME": "/proc/self/cwd"}, {"HOME": "/dev/shm/home"},
        {"XDG_CONFIG_HOME": "/proc/self/cwd"}, {"TMPDIR": "/dev/fd/9"},
    ],
    ids=str,
)  # fmt: skip
def test_rejects_environment_variables_that_lead_to_descriptor(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name, text in {**HOME, "X": "/dev/fd/9"}.items():
        monkeypatch.setenv(name, text)

    assert not eligible.is_eligible([], {**HOME, **environ})


@pytest.mark.parametrize(
    "environ",
    [
        {}, {"AWS_CONFIG_FILE": "/dev/null"}, {"AWS_CONFIG_FILE": "/home/alice/dev/config"},
        {"PATH": "/usr/bin:/home/alice/dev/bin:/home/dev/proc/bin"}, {"PATH": ""},
        {"HOME": "/srv/dev/alice"}, {"XDG_RUNTIME_DIR": "/run/user/1000"},
        {"SSH_TTY": "/dev/pts/3"}, {"GPG_TTY": "/dev/pts/3"}, {"PWD": "/proc"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, {"AWS_PROFILE": "dev"},
    ],
    ids=str,
)  # fmt: skip
def test_other_environment_variables_are_eligible(environ: dict[str, str]) -> None:
    assert eligible.is_eligible([], {**HOME, **environ})


def test_relative_paths_below_dev_lead_to_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/dev")

    assert not eligible.is_eligible([], {**HOME, "AWS_CONFIG_FILE": "fd/9"})


def test_deleted_working_directory_is_not_eligible(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")

    assert not eligible.is_eligible([], {**HOME, "AWS_CONFIG_FILE": "config"})
