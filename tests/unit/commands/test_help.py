"""The help of every verb: its groups, its width, and the ways to call it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ssmgate import __main__ as program
from ssmgate.commands.help import PassingVerb
from ssmgate.commands.main import GROUPS, main

VERBS = [
    ["start-session"],
    ["check", "documents", "doctor"],
    ["init", "ssh-config"],
    ["config", "cache", "daemon"],
    ["records"],
    ["policy"],
    ["sandbox"],
    ["login"],
    ["help"],
]


def test_each_verb_belongs_to_one_group() -> None:
    shown = [name for name, verb in main.commands.items() if not verb.hidden]

    assert sorted(name for names in GROUPS.values() for name in names) == sorted(shown)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_lists_verbs_in_their_groups(width: int) -> None:
    help_text = CliRunner().invoke(main, ["--help"], terminal_width=width).output
    titles = re.findall(r"^(.+):\n  [a-z-]+  ", help_text, re.MULTILINE)
    sections = [help_text.partition(f"{title}:\n")[2].partition("\n\n")[0] for title in titles]
    verbs = [re.findall(r"^  ([a-z-]+)  ", section, re.MULTILINE) for section in sections]

    assert titles[1:] == [*GROUPS]  # the first are the options
    assert verbs[1:] == VERBS


def verbs(group: click.Group, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each verb below `group`, hidden ones too."""
    for name, verb in group.commands.items():
        yield (*words, name)
        if isinstance(verb, click.Group):
            yield from verbs(verb, *words, name)


ALL = [(), *verbs(main)]


def shown(*words: str, columns: int = 80) -> str:
    """Return what `ssmgate WORDS` prints on a terminal with `columns`."""
    environ = {"COLUMNS": str(columns)}
    ended = CliRunner().invoke(main, words, prog_name="ssmgate", env=environ)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_three_ways_show_same_help(words: tuple[str, ...]) -> None:
    help_text = shown(*words, "--help")

    assert help_text.startswith(" ".join(("Usage: ssmgate", *words, "")))
    assert shown(*words, "-h") == help_text
    assert shown("help", *words) == help_text


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_fits_into_80_columns_without_cuts(words: tuple[str, ...], columns: int) -> None:
    for line in shown("help", *words, columns=columns).splitlines():
        assert len(line) <= 80, line
        # A name that is broken at its hyphen cannot be copied.
        assert not re.search(r"\w-$", line), line
        if not line.startswith("Usage: "):
            assert not re.search(r"[a-z]\.\.\.$|…", line), line


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_lists_each_option_on_its_own_line(words: tuple[str, ...]) -> None:
    verb = _verb(words)
    options = [name for row, _ in getattr(verb, "own", ()) for name in row.split(" ")[:1]]
    options += [
        parameter.opts[-1]
        for parameter in verb.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]
    help_text = shown("help", *words)

    section = help_text.partition("Options:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^  (-.+?)(?:  .*)?$", section, re.MULTILINE)
    for option in (*options, "--help"):
        assert len([row for row in listed if option.strip(",") in re.split("[ ,]+", row)]) == 1


def test_help_of_unknown_verb_is_usage_error() -> None:
    ended = CliRunner().invoke(main, ["help", "cache", "sohw"], prog_name="ssmgate")

    assert ended.exit_code == 252
    assert "No such command 'sohw'" in ended.output


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    ("entry", "argv"),
    [
        (program.ssm_start_session, ["ssm-start-session"]),
        (program.ssm_start_session, ["ssm-start-session", "--target", "i-1"]),
        (program.ssmgate, ["ssmgate", "start-session"]),
        (program.ssmgate, ["ssmgate", "start-session", "--target", "i-1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_option_of_start_session_starts_nothing(
    entry: object,
    argv: list[str],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(entry)
    monkeypatch.setattr(sys, "argv", [*argv, option])
    monkeypatch.setattr(program, "run", lambda *_: pytest.fail("a session would be started"))
    with pytest.raises(SystemExit) as ended:
        entry()

    output = capsys.readouterr().out
    assert not ended.value.code
    assert output.startswith("Usage: ssmgate start-session --target NODE [OPTIONS]")
    assert max(map(len, output.splitlines())) <= 80


def test_verbs_that_pass_arguments_have_rows_for_completion() -> None:
    passing = {" ".join(words) for words in ALL if isinstance(_verb(words), PassingVerb)}

    assert passing == {"check", "documents", "doctor", "policy check", "start-session"}


def _verb(words: tuple[str, ...]) -> click.Command:
    verb: click.Command = main
    for word in words:
        assert isinstance(verb, click.Group)
        verb = verb.commands[word]
    return verb
