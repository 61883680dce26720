"""The programs of a sandbox: which of the user's own are replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssmgate.sandbox import tools

PLUGIN = "session-manager-plugin"


def made(directory: Path, script: str | None) -> tuple[tools.Tools, bool]:
    """Return the tools where `script` is the plugin on PATH, and whether there is a stub plugin."""
    installed, own = directory / "installed", directory / "own"
    installed.mkdir()
    own.mkdir()
    if script is not None:
        (installed / PLUGIN).write_text(f"#!/bin/sh\n{script}\n")
        (installed / PLUGIN).chmod(0o755)
    # Without OpenSSH: keys take time.
    found = tools.make(own, {"PATH": str(installed)})
    return found, os.access(Path(found.path, PLUGIN), os.X_OK)


@pytest.mark.parametrize("version", ["1.2.889.0", "1.2.896.0", "1.3.0.0", "2.0.1"])
def test_plugin_that_connects_to_aws_only_is_replaced(tmp_path: Path, version: str) -> None:
    found, stub = made(tmp_path, f"echo {version}")
    assert (found.unused_plugin, stub) == (version, True)


@pytest.mark.parametrize(
    "script",
    [
        "echo 1.2.888.0",
        "echo 1.2.764.0",
        "echo 1.1.900.0",
        "echo version 9",
        "echo",
        "exit 1",
        "kill -9 $$",
    ],
)
def test_other_plugin_is_used(tmp_path: Path, script: str) -> None:
    found, stub = made(tmp_path, script)
    assert (found.unused_plugin, stub) == (None, False)


def test_missing_plugin_is_replaced_silently(tmp_path: Path) -> None:
    found, stub = made(tmp_path, None)
    assert (found.unused_plugin, stub) == (None, True)


def test_plugin_that_does_not_answer_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_SECONDS_TO_ANSWER", 0.1)
    found, stub = made(tmp_path, "exec sleep 1000")
    assert (found.unused_plugin, stub) == (None, False)
