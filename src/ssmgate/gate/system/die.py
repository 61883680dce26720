"""End this process as a signal would. Loaded only if one arrived."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def die_of(number: int) -> NoReturn:
    """End this process as the default action of signal `number` would, but without a core file.

    The process has credentials, and maybe a session token: a core would write them to disk. The
    limit is lowered only here because the plugin would inherit it.
    """
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        # Linux starts no core_pattern program at a limit of 1 byte; at 0 it does. See core(5) and
        # fs/coredump.c. No file is written at either.
        resource.setrlimit(resource.RLIMIT_CORE, (min(1, most) if most >= 0 else 1, most))
    except (ImportError, OSError, ValueError):
        pass
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the signal is blocked
