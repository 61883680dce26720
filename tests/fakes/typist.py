"""Type in a real interactive shell: send keys, and read the edited line and the screen."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

from fakes.waiting import until

_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
# Ctrl-G prints the edited line.
_TELL = {
    "bash": r"""bind -x '"\C-g": printf "LINE<%s>\n" "$READLINE_LINE"'""",
    "zsh": r"""dump() { print -r -- "LINE<$BUFFER>" }; zle -N dump; bindkey '^G' dump""",
}


def hang_up(child: pexpect.spawn[str]) -> None:
    """Close the terminal, end its process if it does not end by itself, and wait for that."""
    # pexpect itself waits for a tenth of a second.
    with suppress(pexpect.ExceptionPexpect):
        child.close(force=True)
    until(lambda: not child.isalive())


@dataclass
class Typed:
    """The edited line, and what else the terminal showed."""

    line: str
    shown: str


class Typist:
    """An interactive bash or zsh on a pseudo-terminal, as a context manager."""

    def __init__(self, shell: str, environ: dict[str, str], directory: Path) -> None:
        self._child: Any = pexpect.spawn(
            _START[shell][0],
            _START[shell][1:],
            env={**environ, "PS1": "> ", "TERM": "dumb", "INPUTRC": "/dev/null"},
            cwd=str(directory),
            encoding="utf-8",
            timeout=30,
            dimensions=(60, 300),
        )
        self.run(_TELL[shell])

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        hang_up(self._child)

    def run(self, command: str) -> str:
        """Run `command` to its end and return what the terminal showed, echo included."""
        self._child.sendline(f"{command}\necho END$((1 + 1))OF")
        self._child.expect("END2OF\r")
        return str(self._child.before)

    def complete(self, line: str, key: str = "\t") -> Typed:
        """Type `line` and press `key`."""
        # Ctrl-U first: what was typed before is taken away.
        self._child.send(f"\x15{line}{key}\x07")
        self._child.expect("LINE<([^>]*)>")
        return Typed(self._child.match[1], str(self._child.before))
