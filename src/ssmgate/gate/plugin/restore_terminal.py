"""The terminal: what stays beside the plugin to put it back."""

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
# What shells add to the environment of what they run.
_SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL")
# Ignored by the plugin, which takes them from the terminal itself.
_TERMINALS = (_signal.SIGINT, _signal.SIGQUIT)


def is_ours() -> bool:
    """Whether stdin is a terminal with this process in its foreground."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def kept(path: str, argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """What to execute instead of the plugin: sh, with a few lines that put the terminal back.

    The real plugin leaves it in non-canonical mode, and so does the CLI. Nothing else is
    different: the terminal's signals reach the plugin, all others that end a process are passed on
    to it, and its status is the status, 128 and the signal's number if one ended it. Without
    /bin/sh the plugin is executed itself; so is one that would fail, for sh could not tell. Both
    read `environ`.
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
