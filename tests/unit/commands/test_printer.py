"""How the verbs print."""

from __future__ import annotations

import io
import sys

import click
import pytest
from click.testing import CliRunner

from fakes.hostile import FORGED, HOSTILE, SHOWN
from ssmgate.commands import daemon, printer
from ssmgate.commands.common import Problem, WrongUse
from ssmgate.commands.main import main

ONE_LINE = f"{SHOWN}\\n{FORGED.strip()}"


def test_echo_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    printer.echo(HOSTILE + FORGED)
    printer.echo(HOSTILE + FORGED, err=True)

    assert capsys.readouterr() == (f"{ONE_LINE}\n", f"{ONE_LINE}\n")


def test_echo_lines_preserves_line_breaks_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    printer.echo_lines("a\n\tb\x1b[2J\n\nc")

    assert capsys.readouterr().out == "a\n\tb\\x1b[2J\n\nc\n"


@pytest.mark.parametrize("colour", [True, False])
def test_prints_only_colours_of_answers(capsys: pytest.CaptureFixture[str], colour: bool) -> None:
    text = "\x1b[32myes\x1b[0m \x1b[2J\x1b[35m\x1b[32;5m\x1b]0;x\x07"
    printer.echo_lines(text, colour=colour)

    yes = "\x1b[32myes\x1b[0m" if colour else "\\x1b[32myes\\x1b[0m"
    assert capsys.readouterr().out == f"{yes} \\x1b[2J\\x1b[35m\\x1b[32;5m\\x1b]0;x\\x07\n"


def test_echo_exactly_prints_text_unchanged_or_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer.echo_exactly("export A='é\\x1b'\n\tb\n")
    assert capsys.readouterr().out == "export A='é\\x1b'\n\tb\n"
    with pytest.raises(printer.Unprintable):
        printer.echo_exactly("export A='\x1b'")
    assert capsys.readouterr().out == ""


def test_escapes_characters_that_stdout_cannot_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)

    printer.echo("é 日")
    with pytest.raises(printer.Unprintable):
        printer.echo_exactly("日")
    stream.flush()

    assert stream.buffer.getvalue().decode("latin-1") == "é \\u65e5\n"


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (click.ClickException(HOSTILE + FORGED), 255, f"Error: {ONE_LINE}\n"),
        (click.UsageError(HOSTILE + FORGED), 252, f"Error: {ONE_LINE}\n"),
        (click.BadParameter(HOSTILE + FORGED), 252, f"Error: Invalid value: {ONE_LINE}\n"),
        (click.NoSuchOption(HOSTILE + FORGED), 252, f"No such option {ONE_LINE}"),
        (click.FileError("name", HOSTILE + FORGED), 255, f"{ONE_LINE}\n"),
        (Problem(HOSTILE, HOSTILE + FORGED), 253,
         f"ssmgate: [ERROR]: {SHOWN}\nssmgate: hint: {ONE_LINE}\n"),
        (WrongUse(HOSTILE + FORGED, "h"), 252, f"ssmgate: [ERROR]: {ONE_LINE}\nssmgate: hint: h\n"),
        (click.exceptions.Exit(7), 7, ""),
    ],
)  # fmt: skip
def test_prints_each_error_on_one_line(error: Exception, code: int, shown: str) -> None:
    @click.command("fail")
    def fail() -> None:
        raise error

    group = printer.Group("group", commands=[fail])
    ended = CliRunner().invoke(group, ["fail"])

    assert ended.exit_code == code
    assert ended.stdout == ""
    assert shown in ended.stderr.replace("'", "")
    assert bool(shown) == bool(ended.stderr)


def test_help_and_usage_are_those_of_click() -> None:
    for words in (["config"], ["config", "--help"], ["init"], ["cache", "show", "--output", "x"]):
        plain = click.Group(commands=main.commands, params=main.params, help=main.help,
                            epilog=main.epilog, context_settings=main.context_settings,
                            no_args_is_help=main.no_args_is_help)  # fmt: skip
        ended, expected = (
            CliRunner().invoke(one, words, prog_name="ssmgate") for one in (main, plain)
        )
        assert ended.output == expected.output
        assert ended.output
        assert ended.exit_code == {2: 252}.get(expected.exit_code, expected.exit_code)


def test_escapes_answer_of_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_request", lambda kind: [HOSTILE, FORGED, "1", "2"])

    ended = CliRunner().invoke(main, ["daemon", "status"])

    forged = FORGED.replace("\n", "\\n")
    assert ended.output == f"process {SHOWN}, {forged} s; session starts: 1, in progress: 2\n"
