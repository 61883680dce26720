"""How the menu of a bastion shows names of others."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fakes.hostile import FORGED, HOSTILE, SHOWN
from ssmgate.login import menu


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[menu.Terminal, int]]:
    """Return a terminal for the menu, and the end at which its output is read."""
    reading, writing = os.pipe()
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest: writing if path == "/dev/tty" else real(path, *rest)
    )
    made = menu.Terminal()
    monkeypatch.setattr(os, "open", real)
    monkeypatch.setattr(menu.Terminal, "ask", lambda *_: "1")
    yield made, reading
    made.close()
    os.close(reading)


def test_line_is_printed_as_one_line(terminal: tuple[menu.Terminal, int]) -> None:
    shown, reading = terminal
    shown.say(HOSTILE + FORGED)

    forged = FORGED.replace("\n", "\\n")
    assert os.read(reading, 65536).decode() == f"{SHOWN}{forged}\r\n"


@pytest.mark.parametrize("what", ["node", "document"])
def test_escapes_control_characters_of_names_and_ids(
    terminal: tuple[menu.Terminal, int], what: str
) -> None:
    shown, reading = terminal
    offered = [("i-1", "db\x1b[2J\u202e"), ("Dev\u200b-Shell", "é\n   2  i-3  forged")]

    assert menu._choose(shown, what, offered) == "i-1"
    assert os.read(reading, 65536).decode() == (
        "   1  i-1  db\\x1b[2J\\u202e\r\n   2  Dev\\u200b-Shell  é\\n   2  i-3  forged\r\n"
    )


def test_marks_denied_documents(terminal: tuple[menu.Terminal, int]) -> None:
    shown, reading = terminal

    assert menu._choose(shown, "node", [("i-1", "web"), ("i-2", "")], {"i-2"}) == "i-1"
    assert os.read(reading, 65536).decode() == (f"   1  i-1  web\r\n   2  i-2{menu.DENIED}\r\n")
