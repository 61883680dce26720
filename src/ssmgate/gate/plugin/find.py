"""Find session-manager-plugin, before a session is started."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.frozen import frozen

PROGRAM = "session-manager-plugin"

# As in AWS CLI's customizations/sessionmanager.py.
_LAST_WITHOUT_VARIABLE = (1, 2, 497, 0)
_RECOMMENDED = _FIRST_THAT_SIGNS = (1, 2, 764, 0)
_VERSION_SECONDS = 10


@frozen
class Plugin:
    """An executable plugin. `version` is None if it printed none that can be compared."""

    path: str
    version: tuple[int, ...] | None

    @property
    def reads_variable(self) -> bool:
        """Return whether it reads the session's token from the environment, not an argument."""
        return self.version is not None and self.version > _LAST_WITHOUT_VARIABLE

    @property
    def signs_channel(self) -> bool:
        """Return whether it signs OpenDataChannel, for which it needs credentials.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/plugin-version-history.html
        """
        return self.version is not None and self.version >= _FIRST_THAT_SIGNS

    @property
    def version_text(self) -> str:
        """Return the version with its dots, empty if there is none."""
        return ".".join(map(str, self.version or ()))

    @property
    def warning(self) -> str:
        """Return the CLI's warning about an outdated plugin, empty for a current one."""
        if self.version is None or self.version >= _RECOMMENDED:
            return ""
        from ssmgate.gate.plugin import problems

        return problems.OUTDATED


def find(environ: Mapping[str, str], configured: str | None = None) -> Plugin:
    """Return the plugin on PATH that the CLI would use, with its version.

    `configured` is the plugin's absolute path: PATH is not searched then.

    Raises `GateError` if there is none, if it cannot be executed, or if `--version` does not
    succeed in time. Its output is not checked: the CLI treats a plugin with an invalid version as
    an old one.
    """
    path = _on_path(environ) if configured is None else _at(configured)
    try:
        done = subprocess.run(
            [PROGRAM, "--version"],
            executable=path,
            env=dict(environ),
            # Under ProxyCommand stdin belongs to ssh.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unfit(path, f"did not print its version within {_VERSION_SECONDS} s") from None
    except OSError as error:
        raise _unfit(path, f"cannot be executed: {error.strerror}") from error
    if done.returncode != 0:
        raise _unfit(path, f"--version ended with status {done.returncode}")
    return Plugin(path, _version(done.stdout.decode(errors="replace")))


def _on_path(environ: Mapping[str, str]) -> str:
    present = ""
    for directory in os.get_exec_path(environ):
        path = os.path.abspath(os.path.join(directory, PROGRAM))
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            present = present or path
    if present:
        raise _unfit(present, "is not executable")
    from ssmgate.gate.plugin import problems

    raise problems.not_found(PROGRAM, environ)


def _at(path: str) -> str:
    if not os.path.isfile(path):
        raise _unfit(path, "does not exist (plugin.path)")
    if not os.access(path, os.X_OK):
        raise _unfit(path, "is not executable")
    return path


def _unfit(path: str, why: str) -> GateError:
    from ssmgate.gate.plugin import problems

    return problems.unusable(path, why, notes=("nothing was started",))


def _version(text: str) -> tuple[int, ...] | None:
    digits = re.sub(r"\s+", "", text)
    if not re.fullmatch(r"[0-9]{1,99}(\.[0-9]{1,99}){0,3}", digits):
        return None
    parts = [int(part) for part in digits.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))
