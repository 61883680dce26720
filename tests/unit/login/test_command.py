"""Commands that a bastion accepts: start-session with a few options, each once and with a value."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.login.command import LONGEST, ParsedCommand, read

NODE = "i-02573cafcf0123456"
START = f"start-session --target {NODE}"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (START, ParsedCommand(NODE)),
        (f"aws ssm {START}", ParsedCommand(NODE)),
        (f"ssmgate {START}", ParsedCommand(NODE)),
        (f"ssm-{START}", ParsedCommand(NODE)),
        (f"  {START}  ", ParsedCommand(NODE)),
        (f"start-session '--target={NODE}'", ParsedCommand(NODE)),
        (f"{START} --reason 'a b'", ParsedCommand(NODE, reason="a b")),
        (f"{START} --reason=-x", ParsedCommand(NODE, reason="-x")),
        (f"{START} --document-name Dev-Shell", ParsedCommand(NODE, "Dev-Shell")),
        (f"{START} --parameters a=b", ParsedCommand(NODE, parameters="a=b")),
        (f"{START} --reason $HOME", ParsedCommand(NODE, reason="$HOME")),
        (f"{START} --reason ~", ParsedCommand(NODE, reason="~")),
        (f"{START} --reason '*'", ParsedCommand(NODE, reason="*")),
        (f"{START} --reason `id`", ParsedCommand(NODE, reason="`id`")),
        (f"{START} --reason 'see file://x'", ParsedCommand(NODE, reason="see file://x")),
    ],
)
def test_accepts_offered_commands(line: str, wanted: ParsedCommand) -> None:
    assert read(line, ()) == wanted


def test_accepts_permitted_options() -> None:
    line = f"{START} --region eu-west-1 --profile dev"

    assert read(line, ("region", "profile")) == ParsedCommand(
        NODE, region="eu-west-1", profile="dev"
    )
    with pytest.raises(InvalidRequest, match="unknown option '--region'"):
        read(line, ("profile",))


def test_passes_each_value_with_its_option() -> None:
    assert ParsedCommand(NODE, reason="-x y").argv() == [
        "ssm",
        "start-session",
        f"--target={NODE}",
        "--reason=-x y",
    ]


PARAMETERS = (("portNumber", ("22",)), ("command", ("ls -l",)))


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("portNumber=22,command=ls -l", True),
        ("portNumber=22,command='ls -l'", True),
        ('{"portNumber": ["22"], "command": ["ls -l"]}', True),
        ('{"portNumber": ["23"], "command": ["ls -l"]}', False),
        ('{"portNumber": ["22"]}', False),
        ("portNumber=22,command=secret", False),
        (None, False),
    ],
)
def test_parameters_must_be_read_as_typed(typed: str | None, same: bool) -> None:
    request = SessionRequest(NODE, parameters=PARAMETERS)

    assert ParsedCommand(NODE, parameters=typed).is_read_as(request, None, None) is same
    assert not ParsedCommand(NODE, parameters="a=b").is_read_as(SessionRequest(NODE), None, None)


@pytest.mark.parametrize(
    "request_", [SessionRequest("i-2"), SessionRequest(NODE, "Dev-Shell"), SessionRequest(NODE)]
)
def test_rejects_request_that_cli_reads_differently(request_: SessionRequest) -> None:
    assert not ParsedCommand(NODE, reason="x").is_read_as(request_, None, None)
    assert not ParsedCommand(NODE).is_read_as(request_, "us-east-1", None)
    assert not ParsedCommand(NODE).is_read_as(request_, None, "admin")


@pytest.mark.parametrize("region", ["evil.example", "us-east-1.evil", "x@y-1", "US-EAST-1", "a-"])
def test_rejects_invalid_region(region: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a valid --region"):
        read(f"{START} --region {region}", ("region",))


def test_rejects_long_command_line() -> None:
    assert read(f"{START} --reason {'a' * (LONGEST - len(START) - 10)}", ()).reason
    with pytest.raises(InvalidRequest, match="more than 4096 characters"):
        read(f"{START} --reason {'a' * (LONGEST - len(START) - 9)}", ())


@pytest.mark.parametrize("text", ["\u3164", "a\u2800b", "a\ufe0f", "\U000e0100", "a\x9b", "\u202e"])
def test_rejects_invisible_characters(text: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be printed"):
        read(f"{START} --reason '{text}'", ())


@pytest.mark.parametrize("text", ["\\u001b[2J", "\\n", "\\u202e", "\\u3164", "\\u0000", "\\ud800"])
@pytest.mark.parametrize("form", ['{{"a": ["{0}"]}}', '{{"{0}": ["a"]}}', '{{"a": [["{0}"]]}}'])
def test_rejects_escapes_of_invisible_characters_in_parameters(text: str, form: str) -> None:
    with pytest.raises(InvalidRequest, match="--parameters has characters that cannot be printed"):
        read(f"{START} --parameters '{form.format(text)}'", ())


@pytest.mark.parametrize("depth", [2000, *range(900, 1000, 10)])
def test_rejects_parameters_that_are_nested_too_deep(depth: int) -> None:
    """Python 3.14 parses what earlier releases do not; reading it must not fail either."""
    try:
        read(f"{START} --parameters '{'[' * depth}{']' * depth}'", ())
    except InvalidRequest:
        return
    assert depth < 1000


@pytest.mark.parametrize("text", ['{"a": ["b\\\\\\\\u001b"]}', '{"é": ["日"]}', "a=b", '{"a": 1}'])
def test_accepts_printable_parameters(text: str) -> None:
    assert read(f"{START} --parameters '{text}'", ()).parameters
