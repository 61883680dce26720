"""Restore the terminal after the plugin, with a shell script that runs it."""

from __future__ import annotations

import os

from ssmgate.gate.system import takeover

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping, Sequence
else:
    import _signal

_SHELL = "/bin/sh"
_SCRIPT = os.path.join(os.path.dirname(__file__), "restore_terminal.sh")
_SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL")  # what shells add to the environment
_TERMINALS = (_signal.SIGINT, _signal.SIGQUIT)  # the plugin gets them from the terminal itself


def is_ours() -> bool:
    """Return whether stdin is a terminal with this process in its foreground."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def wrap(path: str, argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return what to execute instead of the plugin: sh, with a script that restores the terminal.

    The plugin leaves it in non-canonical mode, and so does the CLI. The terminal's signals reach
    the plugin, others that end a process are forwarded to it, and its exit status is returned: 128
    plus the number of the signal if one ended it. The plugin itself is executed if /bin/sh is
    missing, or if the plugin is not executable, which sh could not report. Both get `environ`.
    """
    if not (os.access(_SHELL, os.X_OK) and os.access(path, os.X_OK)):
        return path, tuple(argv)
    added = " ".join(name for name in _SHELLS_OWN if name not in environ)
    numbers = " ".join(
        str(number)
        for number in takeover.ENDING
        if number not in _TERMINALS and _signal.getsignal(number) != _signal.SIG_IGN
    )
    return _SHELL, ("sh", _SCRIPT, numbers, added, path, *argv[1:])
