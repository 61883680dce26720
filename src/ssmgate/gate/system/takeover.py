"""Become the plugin, the last step of a start, and hold signals that may arrive before that."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn
else:
    import _signal

# Signals of signal(7) that are never held, by name because the numbers differ between systems.
_NOT_HELD = (
    *("SIGKILL", "SIGSTOP"),  # no process can
    *("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGINFO"),  # end no process
    *("SIGTSTP", "SIGTTIN", "SIGTTOU"),  # stop it, and it continues later
    *("SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV"),  # a fault: the code after it cannot be trusted
    *("SIGPIPE", "SIGXFSZ"),  # Python ignores both: they are errors of a write
    *(() if sys.platform == "linux" else ("SIGIO",)),  # ends a process on Linux only
)

ENDING = tuple(
    sorted(_signal.valid_signals() - {getattr(_signal, name, None) for name in _NOT_HELD})
)
"""The numbers of all signals that end a process by default and can be held, also real-time ones."""

# The plugin sends the first three to the node as bytes. Python ignores the last two.
IGNORED: Sequence[int] = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTSTP)
_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)


def nothing(_number: int, _frame: object) -> None:
    """Handle a signal without any effect. Unlike SIG_IGN, other programs do not inherit it.

    `hold` does not change signals with this handler.
    """


def hold(handler: Callable[[int, object], object]) -> dict[int, object]:
    """Install `handler` for each signal in `ENDING` that would have an effect on this process.

    Ignored signals stay ignored (nohup). No signal mask is set, as the plugin would inherit it.
    Call it from the main thread. Returns the argument for `restore`.
    """
    before: dict[int, object] = {}
    for number in ENDING:
        disposition = _signal.getsignal(number)
        # None: installed by code that is not Python, which could not be restored.
        if disposition not in (_signal.SIG_IGN, nothing, None):
            before[number] = disposition
            _signal.signal(number, handler)
    return before


def restore(before: dict[int, object]) -> None:
    """Restore the dispositions that `hold` replaced."""
    for number, disposition in before.items():
        _signal.signal(number, disposition)  # type: ignore[arg-type]


def execute(
    path: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    last_check: Callable[[], object] = lambda: None,
    ignored: Sequence[int] = IGNORED,
) -> NoReturn:
    """Replace this process, with the signal dispositions that the CLI gives its plugin.

    `ignored` are the signals that the new program ignores. `last_check` is called just before the
    system call, and raises if a signal arrived. A signal that arrives during the call is for the
    new program, as exec resets handlers. A signal in the microseconds between has no effect: ending
    this process then would leave the session open.

    Raises `OSError` or `ValueError` if execution fails, and what `last_check` raises, with the
    dispositions as before.
    https://docs.python.org/3/library/subprocess.html (restore_signals)
    """
    before = {number: _signal.getsignal(number) for number in (*IGNORED, *_DEFAULT)}
    arguments, variables = list(argv), dict(environ)
    for number in ignored:
        _signal.signal(number, _signal.SIG_IGN)
    for number in _DEFAULT:
        # exec resets it to the default. SIG_DFL itself could end this process too early.
        _signal.signal(number, nothing)
    try:
        last_check()
        os.execve(path, arguments, variables)
    except BaseException:
        # None: set by code that is not Python.
        restore({number: known for number, known in before.items() if known is not None})
        raise
