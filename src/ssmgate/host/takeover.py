"""The last step of a start: this process becomes the plugin.

Imports nothing that takes time: it is all that a start by a standby does here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping, Sequence
    from typing import NoReturn
else:
    import _signal

# The plugin turns the first three into bytes for the node. Python ignores the last two.
_IGNORED = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTSTP)
_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)


def execute(path: str, argv: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process, with the signal dispositions that the CLI gives its plugin.

    Raises `OSError` or `ValueError` if the system refuses; the dispositions are then as before.
    https://docs.python.org/3/library/subprocess.html (restore_signals)
    """
    before = {number: _signal.getsignal(number) for number in (*_IGNORED, *_DEFAULT)}
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    for number in _DEFAULT:
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execve(path, list(argv), dict(environ))
    except (OSError, ValueError):
        for number, disposition in before.items():
            if disposition is not None:  # None where it was set by no Python code
                _signal.signal(number, disposition)
        raise
