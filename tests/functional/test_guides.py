"""The guides, executed: their blocks of commands run one after the other in a real shell."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import FAKES, needs
from fakes import sshd

DOCS = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(guide: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a guide in order: (language, text)."""
    text = (DOCS / guide).read_text()
    return re.findall(r"^```([a-z-]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@needs("ssh", "sshd", "scp", "sftp", "rsync", "git")
def test_commands_of_ssh_guide_log_in(tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    home = tmp_path / "home"
    with sshd.Sshd(tmp_path / "sshd") as server, tempfile.TemporaryDirectory() as short:
        # ssh does not ask HOME for its files: these are its programs with a file that does.
        options = server.client_options().replace("Host i-*", "Host *")
        config = tmp_path / "config"
        config.write_text(
            f"Include {home}/.ssh/config\nHost private-host\n  HostName 127.0.0.1\n{options}"
        )
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("ssh", "scp", "sftp"):
            (programs / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {config} "$@"\n')
            (programs / name).chmod(0o755)
        # The sandbox puts an ssh of its own first on PATH, which reads no file of the user's.
        script = [f"cd {home}", f"PATH={programs}:$PATH"]
        for language, text in blocks("ssh.md"):
            if language == "ssh-config":
                script.append(f"cat >>~/.ssh/config <<'END'\n{text}END")
            elif language == "sh":
                script.append(text)
        commands = "\n".join(script)
        commands = commands.replace("ec2-user", getpass.getuser()).replace(
            "~/.ssh/control", f"{short}/c"
        )
        # The home of the node is that of the machine.
        commands = re.sub(r"(i-0123456789abcdef0:|--bare )", rf"\1{home}/there/", commands)
        commands = commands.replace("put note note", f"put note {home}/there/note")
        (home / "there").mkdir()
        ended = subprocess.run(
            ["ssmgate", "sandbox", "--as", "carol", "--", "sh", "-eu", "-c", commands],
            env={
                "PATH": os.pathsep.join(
                    [
                        str(programs),
                        str(FAKES / "stream"),
                        os.path.dirname(sys.executable),
                        os.environ["PATH"],
                    ]
                ),
                "HOME": str(home),
                "LANG": "C.UTF-8",
            },
            executable=Path(sys.executable).with_name("ssmgate"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    logins = [line for line in ended.stdout.splitlines() if line == os.uname().nodename]
    assert len(logins) == 5, ended.stdout
    assert "ssmgate:" not in ended.stderr
    for tool in ("scp", "sftp", "rsync"):
        assert (home / "there" / f"note-by-{tool}").read_text() == "a file\n"
    assert (home / "project" / ".git").is_dir()


@pytest.mark.parametrize(("user", "status"), [("alice", 0), ("bob", 254)])
@pytest.mark.parametrize(
    "shell", [pytest.param(name, marks=needs(name)) for name in ("bash", "zsh", "fish")]
)
def test_commands_of_shell_guide_install_shim(
    tmp_path: Path, shell: str, user: str, status: int
) -> None:
    script = "".join(text for language, text in blocks("shell.md") if language in (shell, "sh"))
    path = (str(FAKES / "stream"), os.path.dirname(sys.executable), os.environ["PATH"])
    # There may be another aws on the developer's PATH.
    named = {"SSMGATE_AWS_PATH": str(Path(sys.executable).with_name("aws"))}
    ended = subprocess.run(
        ["ssmgate", "sandbox", "--as", user, "--", shell, "-c", script],
        env={"PATH": os.pathsep.join(path), "HOME": str(tmp_path), "LANG": "C.UTF-8", **named},
        executable=Path(sys.executable).with_name("ssmgate"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == status, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("active: aws is ")
    assert lines[1] == f"the real aws: {Path(sys.executable).with_name('aws')}"
    assert any(line.startswith("aws-cli/") for line in lines)
    assert ("Starting session" in ended.stdout) == (status == 0)
    assert ("access denied (AccessDeniedException)" in ended.stderr) == (status == 254)


def test_each_block_of_guides_has_known_language() -> None:
    """The test would not execute a block with a mistyped language."""
    for guide, known in {
        "ssh.md": {"", "sh", "ssh-config", "console"},
        "shell.md": {"sh", "bash", "zsh", "fish"},
    }.items():
        assert {language for language, _ in blocks(guide)} <= known, guide
