"""End a client whose start the daemon made, if it does not become the plugin."""

from __future__ import annotations

import os
import select
import signal
from typing import NoReturn

from ssmgate.daemon.protocol import Broken
from ssmgate.gate import exits
from ssmgate.gate.system import die


def end(lists: list[list[str]], forwarded: int) -> NoReturn:
    """Exit with the status in the worker's END message, or by the signal if it is negative.

    `forwarded` is the signal that was forwarded, 0 if none was: the worker may have ended before it
    arrived, and a cold start would end by it. Raises `Broken` for an invalid message.
    """
    try:
        status = int(lists[0][0])
    except (IndexError, ValueError):
        raise Broken from None
    if status < 0:
        die_of(-status)
    if forwarded and status != exits.INTERRUPTED:
        die_of(forwarded)
    os._exit(status)


def die_of(number: int) -> NoReturn:
    """End by the signal `number`, or with status 130 and on a new line after Ctrl-C."""
    if number == signal.SIGINT:
        if select.select([], [2], [], 0)[1]:  # not if writing would block
            os.write(2, b"\n")
        os._exit(exits.INTERRUPTED)
    die.die_of(number)
