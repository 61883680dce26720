"""The programs for a command in the sandbox: an ssh that reaches its nodes, and a stub plugin.

Everything is in one private directory, which is deleted with the sandbox. No ssh port is open: the
agent starts an sshd for each connection, with `Tools.serve`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PLUGIN = "session-manager-plugin"
# From this version on, the plugin connects to endpoints of Session Manager only.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/plugin-version-history.html
_VALIDATES_STREAM_URL = (1, 2, 889)
_SECONDS_TO_ANSWER = 5
_SSHD_DIRECTORYS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
# sshd started by root needs this directory for privilege separation.
_SSHD_EMPTY = "/run/sshd"


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs for a command.

    `path` is their directory. `serve` is the command of the sshd that serves one connection on
    its standard input. `ssh_config` is the client's configuration. Both are None without OpenSSH.
    `unused_plugin` is the version of the installed plugin if the stub plugin is used in its place.
    """

    path: str
    serve: tuple[str, ...] | None
    ssh_config: str | None
    unused_plugin: str | None = None


def make(directory: Path, environ: dict[str, str]) -> Tools:
    """Create the programs in `directory`, which is private and empty.

    A program that is on the PATH in `environ` is not created, except for the stub plugin where
    the real one does not connect to the sandbox. Raises OSError.
    """
    programs = directory / "bin"
    programs.mkdir()
    search = environ.get("PATH", os.defpath)
    unused = unusable_plugin(environ)
    for name, module in (
        ("ssm-start-session", "ssmgate start-session"),
        ("ssmgate", "ssmgate"),
        (_PLUGIN, "ssmgate.sandbox.plugin"),
    ):
        if shutil.which(name, path=search) is None or (name == _PLUGIN and unused):
            _script(programs / name, f'{shlex.quote(sys.executable)} -m {module} "$@"')
    serve = _sshd(directory, search)
    if serve is None:
        return Tools(str(programs), None, None, unused)
    config = directory / "ssh_config"
    config.write_text(_client(directory))
    for name in ("ssh", "scp", "sftp"):
        if (real := shutil.which(name, path=search)) is not None:
            _script(programs / name, f'{shlex.quote(real)} -F {shlex.quote(str(config))} "$@"')
    return Tools(str(programs), serve, str(config), unused)


def unusable_plugin(environ: dict[str, str]) -> str | None:
    """Return the version of the plugin on the PATH if it refuses the sandbox's stream URLs.

    A plugin that does not state its version is used.
    """
    found = shutil.which(_PLUGIN, path=environ.get("PATH", os.defpath))
    if found is None:
        return None
    try:
        ended = subprocess.run(
            [found, "--version"],
            env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_SECONDS_TO_ANSWER, check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    version = re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)(\.[0-9]+)?", ended.stdout.strip())
    if version is None or tuple(map(int, version.groups()[:3])) < _VALIDATES_STREAM_URL:
        return None
    return ended.stdout.strip()


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)


def _sshd(directory: Path, search: str) -> tuple[str, ...] | None:
    program = shutil.which("sshd", path=os.pathsep.join((search, *_SSHD_DIRECTORYS)))
    keygen = shutil.which("ssh-keygen", path=search)
    if program is None or keygen is None or _user() is None:
        return None
    keygens = [
        subprocess.Popen(
            [
                keygen,
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "ssmgate-sandbox",
                "-f",
                directory / name,
            ],
            stdin=subprocess.DEVNULL,
        )
        for name in ("host_key", "user_key")
    ]
    if {process.wait() for process in keygens} != {0}:
        return None
    shutil.copy(directory / "user_key.pub", directory / "authorized_keys")
    (directory / "sshd_config").write_text(
        f'HostKey "{directory}/host_key"\n'
        f'AuthorizedKeysFile "{directory}/authorized_keys"\n'
        f"AllowUsers {_user()}\n"
        "PermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
        # The parent directory of temporary directories is writable for all users.
        "StrictModes no\n"
        "PidFile none\nPrintMotd no\nSubsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        with contextlib.suppress(OSError):
            os.makedirs(_SSHD_EMPTY, mode=0o755, exist_ok=True)
    # sshd executes itself again, which needs an absolute path.
    return (
        os.path.abspath(program), "-i",
        "-f", f"{directory}/sshd_config", "-E", f"{directory}/sshd.log",
    )  # fmt: skip


def _client(directory: Path) -> str:
    """Return the client's configuration: for nodes first, then the user's and the system's."""
    key = (directory / "host_key.pub").read_text().split()
    (directory / "known_hosts").write_text(f"* {key[0]} {key[1]}\n")
    gate = f"{shlex.quote(sys.executable)} -m ssmgate start-session".replace("%", "%%")
    return (
        "Host i-*\n"
        f"  User {_user()}\n"
        f"  ProxyCommand {gate} --target %h --document-name AWS-StartSSHSession"
        " --parameters portNumber=%p\n"
        f'  IdentityFile "{directory}/user_key"\n  IdentitiesOnly yes\n'
        f'  UserKnownHostsFile "{directory}/known_hosts"\n  GlobalKnownHostsFile none\n'
        "  StrictHostKeyChecking yes\n  ControlMaster no\n  ControlPath none\n"
        "Host *\n  Include ~/.ssh/config\n  Include /etc/ssh/ssh_config\n"
    )


def _user() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None
