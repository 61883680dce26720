"""Wait for events, with time limits in `seconds` of a fast and idle machine.

`plugins/patience.py` measures how much slower this machine is. No test passes or fails by how long
something took: the limits only end what would never end.
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
    """Return `usual` seconds, stretched for this machine."""
    return usual * stretched["by"]


def until(true: Callable[[], object], usual: float = 20) -> None:
    """Return when `true` returns a true value. Raises `TimeoutError` when that takes too long."""
    deadline = time.monotonic() + seconds(usual)
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it does not become true: {true}")
        time.sleep(0.01)


def is_signal_delivered(pid: int, number: int) -> bool:
    """Return whether the signal is no longer pending: the process has received it, or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    if "\nState:\tZ" in status:  # it has ended, and its parent has not waited for it
        return True
    masks = [line.split()[1] for line in status.splitlines() if line[:6] in ("SigPnd", "ShdPnd")]
    return not any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def count_lock_owners(home: Path) -> int:
    """Return how many processes have a lock of cached answers below `home` open.

    These are leaders and waiting processes: commands or workers of a daemon.
    """
    found = 0
    for process in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # it has ended, or is another user's
            names = [os.readlink(each) for each in process.iterdir()]
            found += any(
                n.startswith(f"{home}/") and n.endswith(".lock") and "/answers/" in n for n in names
            )
    return found
