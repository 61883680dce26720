"""The last step of a start: become the plugin, and hold the signals that may come before that."""

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
    *("SIGTSTP", "SIGTTIN", "SIGTTOU"),  # stop it, and it goes on later
    *("SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV"),  # a fault: the code after it cannot be trusted
    *("SIGPIPE", "SIGXFSZ"),  # Python ignores both: they are errors of a write
    *(() if sys.platform == "linux" else ("SIGIO",)),  # ends a process on Linux only
)

ENDING = tuple(
    sorted(_signal.valid_signals() - {getattr(_signal, name, None) for name in _NOT_HELD})
)
"""The numbers of all signals that end a process by default and can be held, real-time ones too."""

# The plugin turns the first three into bytes for the node. Python ignores the last two.
_IGNORED = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTSTP)
_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)


def nothing(_number: int, _frame: object) -> None:
    """A signal handler for a signal without effect. Unlike SIG_IGN, no other program inherits it.

    `hold` leaves signals with this handler alone.
    """


def hold(handler: Callable[[int, object], object]) -> dict[int, object]:
    """Install `handler` for each signal in `ENDING` that would have an effect on this process.

    Ignored signals stay ignored (nohup). A signal mask would be inherited by the plugin. Call it
    from the main thread. Returns what `restore` takes.
    """
    before: dict[int, object] = {}
    for number in ENDING:
        disposition = _signal.getsignal(number)
        # None: installed by code that is not Python, which could not be put back.
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
) -> NoReturn:
    """Replace this process, with the signal dispositions that the CLI gives its plugin.

    `last_check` is called just before the system call, and raises if a signal came. A signal that
    arrives inside the call is the new program's, as exec resets handlers. One that arrives in the
    microseconds between has no effect: to end this process there would leave the session.

    Raises `OSError` or `ValueError` if the system refuses, and what `last_check` raises, with the
    dispositions as before.
    https://docs.python.org/3/library/subprocess.html (restore_signals)
    """
    before = {number: _signal.getsignal(number) for number in (*_IGNORED, *_DEFAULT)}
    words, variables = list(argv), dict(environ)
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    for number in _DEFAULT:
        # Becomes the default by exec. SIG_DFL itself could end this process a moment too early.
        _signal.signal(number, nothing)
    try:
        last_check()
        os.execve(path, words, variables)
    except BaseException:
        # None where it was set by no Python code.
        restore({number: known for number, known in before.items() if known is not None})
        raise
