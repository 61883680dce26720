"""What a terminal shows during a wait: after a second, one line, erased afterwards."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from fakes.waiting import until
from ssmgate.gate import printer, waiting

ERASE = b"\r\x1b[K"


class Terminal:
    """A pseudo-terminal in place of standard error."""

    def __init__(self) -> None:
        self.leader, self.follower = os.openpty()
        os.set_blocking(self.leader, False)
        self.line = waiting._Line(self.follower)
        self._seen = b""

    def seen(self) -> bytes:
        """Return all that was written until now."""
        try:
            while part := os.read(self.leader, 4096):
                self._seen += part
        except BlockingIOError:
            pass
        return self._seen

    def close(self) -> None:
        self.line.end()
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    terminal = Terminal()
    monkeypatch.setattr(waiting, "_line", terminal.line)
    monkeypatch.setattr(waiting, "SECONDS", 0.01)
    monkeypatch.setattr(waiting.os, "isatty", lambda number: number == 2)
    monkeypatch.setattr(printer, "erase", None)
    logger = logging.getLogger("botocore")
    before = logger.level
    logger.setLevel(logging.WARNING)
    yield terminal
    logger.setLevel(before)
    terminal.close()


def test_shows_what_wait_is_for_and_erases_it(terminal: Terminal) -> None:
    with waiting.notice("credentials"):
        until(lambda: terminal.seen() == b"ssmgate: waiting for credentials")

    assert terminal.seen() == b"ssmgate: waiting for credentials" + ERASE


def test_shows_nothing_for_short_wait(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SECONDS", 3600)
    with waiting.notice("credentials"):
        timer = terminal.line._timer

    assert timer is not None
    until(lambda: not timer.is_alive())
    assert terminal.seen() == b""


def test_shows_wait_whose_time_is_up_at_once(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Timer, "start", threading.Timer.run)
    monkeypatch.setattr(waiting, "SECONDS", 0)
    with waiting.notice("credentials"):
        shown = terminal.seen()

    assert shown == b"ssmgate: waiting for credentials"


@pytest.mark.parametrize("why", ["no terminal", "quiet", "debug", "another thread"])
def test_begins_no_wait(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "no terminal":
        monkeypatch.setattr(waiting.os, "isatty", lambda number: False)
    if why == "quiet":
        waiting.turn_off()
    if why == "debug":
        logging.getLogger("botocore").setLevel(logging.DEBUG)
    if why == "another thread":
        thread = threading.Thread(target=waiting.begin, args=("credentials",))
        thread.start()
        thread.join()
    else:
        waiting.begin("credentials")

    assert terminal.line._timer is None


def test_next_wait_replaces_one_that_has_not_ended(terminal: Terminal) -> None:
    waiting.begin("the first")
    until(lambda: b"the first" in terminal.seen())
    with waiting.notice("the second"):
        until(lambda: b"the second" in terminal.seen())

    first, second = (b"ssmgate: waiting for the " + one for one in (b"first", b"second"))
    assert terminal.seen() == first + ERASE + second + ERASE


def test_printed_line_erases_wait(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    waiting.begin("credentials")
    until(lambda: b"credentials" in terminal.seen())
    printer.eprint("an error")

    assert terminal.seen().endswith(ERASE)
    assert terminal.line._timer is None
    assert capsys.readouterr().err == "an error\n"


def test_line_is_printable_and_fits(terminal: Terminal) -> None:
    waiting.begin("x\x1b[2J" + "y" * 200)
    until(lambda: b"y" in terminal.seen())

    shown = terminal.seen()
    assert b"\x1b" not in shown
    assert len(shown) < 80


def test_leaves_signals_to_main_thread(terminal: Terminal) -> None:
    """A signal that another thread takes would not interrupt the wait for AWS."""
    blocked: list[set[int]] = []
    terminal.line._show = lambda *_: blocked.append(  # type: ignore[method-assign]
        signal.pthread_sigmask(signal.SIG_BLOCK, ())  # type: ignore[arg-type]
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    waiting.begin("credentials")
    until(lambda: bool(blocked))

    assert {signal.SIGINT, signal.SIGTERM, signal.SIGALRM} <= blocked[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
