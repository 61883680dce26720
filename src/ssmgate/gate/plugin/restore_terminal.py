"""Restore the terminal after the plugin, and record its end, with a shell script that runs it."""

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


def wrap(
    path: str, argv: Sequence[str], environ: Mapping[str, str], afterwards: Sequence[str] = ()
) -> tuple[str, tuple[str, ...], Sequence[int]]:
    """Return what to execute instead of the plugin, and the signals that it ignores.

    At a terminal that is sh, with a script that restores the terminal. With `afterwards` it is that
    script anywhere, and records the end of the session: `afterwards` are Python, an option of it,
    and an argument, see `records.end`.

    The plugin leaves the terminal in non-canonical mode, and so does the CLI. The terminal's
    signals reach the plugin, others that end a process are forwarded to it, and its exit status is
    returned: 128 plus the number of the signal if one ended it. The plugin itself is executed if
    /bin/sh is missing, if the plugin is not executable, which sh could not report, and without
    stdin, which sh could not pass on. Both get `environ`.
    """
    ours = is_ours()
    wanted = ours or (afterwards and _is_passed_on(0))
    if not (wanted and os.access(_SHELL, os.X_OK) and os.access(path, os.X_OK)):
        return path, tuple(argv), takeover.IGNORED
    direct = _TERMINALS if ours else ()
    added = " ".join(name for name in _SHELLS_OWN if name not in environ)
    numbers = " ".join(
        str(number)
        for number in takeover.ENDING
        if number not in direct and _signal.getsignal(number) != _signal.SIG_IGN
    )
    ignored = [number for number in takeover.IGNORED if ours or number not in _TERMINALS]
    end = afterwards or ("", "", "")
    words = ("sh", _SCRIPT, numbers, added, "restore" if ours else "", *end, path, *argv[1:])
    return _SHELL, words, ignored


def _is_passed_on(descriptor: int) -> bool:
    """Return whether a program gets `descriptor`. Without stdin it may be a socket of ours."""
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False
