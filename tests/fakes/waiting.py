"""Waiting for what happens, and for how long: `seconds` of a quick and quiet machine.

`plugins/patience.py` measures how much slower this machine is. No test passes or fails by how long
something took: these times end what does not end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

stretched = {"by": 1.0}
"""How many times as long things may take here."""


def seconds(usual: float) -> float:
    """`usual` seconds, as long as they are on this machine."""
    return usual * stretched["by"]


def until(true: Callable[[], object], usual: float = 20) -> None:
    """Return when `true` says so. Raises `TimeoutError` when that takes too long."""
    deadline = time.monotonic() + seconds(usual)
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it does not become true: {true}")
        time.sleep(0.01)


def has_got(pid: int, number: int) -> bool:
    """Whether the signal is not on its way to the process any more: it has it, or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    if "\nState:\tZ" in status:  # it has ended, and nobody has asked how
        return True
    masks = [line.split()[1] for line in status.splitlines() if line[:6] in ("SigPnd", "ShdPnd")]
    return not any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def locking(home: Path) -> int:
    """How many processes have a lock of cached answers below `home` open: they ask, or wait.

    The process may be the command's own or a daemon's worker.
    """
    found = 0
    for process in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # it has ended, or is another user's
            names = [os.readlink(each) for each in process.iterdir()]
            found += any(
                n.startswith(f"{home}/") and n.endswith(".lock") and "/answers/" in n for n in names
            )
    return found
