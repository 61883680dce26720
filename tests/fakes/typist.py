"""Somebody who types in a real interactive shell: keys in, the edited line and the screen out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
# Ctrl-G tells what the line is.
_TELL = {
    "bash": r"""bind -x '"\C-g": printf "LINE<%s>\n" "$READLINE_LINE"'""",
    "zsh": r"""dump() { print -r -- "LINE<$BUFFER>" }; zle -N dump; bindkey '^G' dump""",
}


@dataclass
class Typed:
    """What a line became, and what the terminal showed besides."""

    line: str
    shown: str


class Typist:
    """An interactive bash or zsh on a pseudo-terminal, as a context."""

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
        self._child.close(force=True)

    def run(self, command: str) -> str:
        """Run `command` to its end; what the terminal showed, echo included."""
        self._child.sendline(f"{command}\necho END$((1 + 1))OF")
        self._child.expect("END2OF\r")
        return str(self._child.before)

    def complete(self, line: str, key: str = "\t") -> Typed:
        """Type `line`, press `key`."""
        # Ctrl-U first: what was typed before is taken away.
        self._child.send(f"\x15{line}{key}\x07")
        self._child.expect("LINE<([^>]*)>")
        return Typed(self._child.match[1], str(self._child.before))
