"""Read an MFA code. Loaded only when one is needed."""

from __future__ import annotations

import getpass
import os

from ssmgate.gate import printer
from ssmgate.gate.decision.errors import ConfigurationProblem

_LONGEST = 100
"""The most bytes that are read of a line of standard input. A code has six digits."""


def ask(prompt: str, *, stdin: bool) -> str:
    """Return the MFA code that the user types after `prompt`, which is printable.

    It is read from the controlling terminal. Without one, and if `stdin` is true, it is the first
    line of standard input, and the rest is left to the session. Raises `ConfigurationProblem` if
    there is no code.
    """
    if _has_terminal() or (stdin and os.isatty(0)):
        if printer.erase is not None:
            printer.erase()
        try:
            # getpass uses the controlling terminal, or else standard input.
            code = getpass.getpass(prompt)
        except EOFError:
            code = ""
        if not code:
            raise ConfigurationProblem("no MFA code was entered")
        return code
    code = _line() if stdin else ""
    if not code:
        raise ConfigurationProblem(
            "the profile requires an MFA code, and there is no terminal to prompt on",
            hints=("run any aws command with this profile first: its credentials are cached",),
        )
    return code


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _line() -> str:
    line = b""
    while len(line) < _LONGEST and not line.endswith(b"\n"):
        # Byte by byte: what comes after the line belongs to the session.
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line.decode("ascii", "replace").strip()
