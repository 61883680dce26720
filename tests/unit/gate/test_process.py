"""What the process prints around a start."""

from __future__ import annotations

import io
import sys

import pytest

from fakes.hostile import FORGED, HOSTILE, SHOWN
from ssmgate.commands import completion
from ssmgate.gate import print_error, printer, process
from ssmgate.gate.decision.printable import Layout


def test_line_is_printed_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    printer.eprint(f"ssmgate: {HOSTILE}{FORGED}")

    assert capsys.readouterr() == ("", f"ssmgate: {SHOWN}\\n{FORGED.strip()}\n")


def test_layout_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    printer.eprint(Layout("\nWARNING: old\n  see\tthere \x1b\n"))

    assert capsys.readouterr() == ("", "\nWARNING: old\n  see\tthere \\x1b\n\n")


def test_internal_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error.print_defect(RuntimeError(f"{HOSTILE}{FORGED}"), debug=False)

    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["", f"ssmgate: [ERROR]: RuntimeError: {SHOWN}\\n{FORGED.strip()}"]
    assert len(lines) == 3


def test_notes_of_interrupted_start_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_error._print_lines([f"session {HOSTILE}{FORGED} was terminated"])

    message = f"ssmgate: session {SHOWN}\\n{FORGED.strip()} was terminated\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_escapes_characters_that_stderr_cannot_encode(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict")
    monkeypatch.setattr(sys, "stderr", stream)

    printer.eprint("é 日")

    text = stream.buffer.getvalue().decode(encoding)
    assert text == {"ascii": "\\xe9 \\u65e5\n", "latin-1": "é \\u65e5\n"}[encoding]


@pytest.mark.parametrize("stream", [None, "closed"])
def test_prints_nothing_without_stderr(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stream: str | None
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)

    printer.eprint("é")

    assert capfd.readouterr() == ("", "")


def test_omits_unprintable_completions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered = ["dev", "a\x1bb", "é\t日", "a\tb\tc", "a\nb", "x\u202e", "\u3164\td", "i-1\tb\u200b"]
    monkeypatch.setattr("ssmgate.commands.completion.complete", lambda words: offered)
    monkeypatch.setattr(process, "leave", lambda status: None)

    completion.run([])

    assert capsys.readouterr() == ("dev\né\t日\n", "")
