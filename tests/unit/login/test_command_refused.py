"""Commands that a bastion rejects: each rule of the command line alone."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.login import command as words
from ssmgate.login.command import LONGEST, ParsedCommand, parsed, read

NODE = "i-02573cafcf0123456"
START = f"start-session --target {NODE}"
PARAMETERS = (("portNumber", ("22",)), ("command", ("ls -l",)))


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ('{"portNumber": ["ls -l"], "command": ["22"]}', False),
        ('{"portNumber": "22", "command": "ls -l"}', False),
        ('["22", "ls -l"]', False),
        ("[22, ls -l]", True),
    ],
)
def test_compares_parameters_as_typed(typed: str, same: bool) -> None:
    request = SessionRequest(NODE, parameters=PARAMETERS)

    assert ParsedCommand(NODE, parameters=typed).is_read_as(request, None, None) is same


def test_passes_document_as_value_of_its_option() -> None:
    assert ParsedCommand(NODE, "Dev-Shell").argv()[-1] == "--document-name=Dev-Shell"


@pytest.mark.parametrize(
    "parameters",
    [
        # The CLI's shorthand reads a file by name@=…, and spaces may stand before the sign.
        "a@=/etc/passwd",
        "a@ =/etc/passwd",
        "a=b,c@=d",
        "a=file:///etc/passwd",
        "a=FILE:///etc/passwd",
        "a=fileb:///etc/passwd",
        "a=x fileb:y",
        '{"a": ["file://x"]}',
    ],
)
def test_rejects_parameters_that_name_file(parameters: str) -> None:
    with pytest.raises(InvalidRequest, match="--parameters must not name a file"):
        parsed({"target": NODE, "parameters": parameters})


def test_accepts_parameters_without_file_reference() -> None:
    for parameters in ("a=b@c", "a=profile:x", "a@b=c"):
        assert parsed({"target": NODE, "parameters": parameters}).parameters == parameters


@pytest.mark.parametrize("name", ["target", "document-name", "reason", "parameters", "region"])
@pytest.mark.parametrize("value", ["file://x", "FILEB://x", "  file:x"])
def test_rejects_options_that_name_file(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--{name} must not name a file"):
        parsed({"target": NODE, name: value})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{START} --reason", "--reason has no value"),
        (f"{START} --reason --document-name X-Y", "--reason has no value"),
        (f"{START} --reason -x", "--reason has no value"),
        (f"{START} --reason=", "--reason has no value"),
        (f"{START} --reason a --reason=b", "--reason was given more than once"),
        (f"{START} --target i-2", "--target was given more than once"),
        ("start-session", "--target is missing"),
        (f"{START} extra", "unknown option 'extra'"),
        (f"{START} -reason x", "unknown option '-reason'"),
        (f"{START} xxreason x", "unknown option 'xxreason'"),
        (f"{START} --rea x", "unknown option '--rea'"),
        (f"{START} --reason 'a\tb'", "the command has characters that cannot be printed"),
        (f"{START} --reason 'a\u202eb'", "the command has characters that cannot be printed"),
        (f"{START}\n", "the command has characters that cannot be printed"),
        (f"{START} --reason 'a", "the command cannot be parsed: No closing quotation"),
        ("", "unknown command ''"),
        ("id", "unknown command 'id'"),
        ("aws ssm send-command", "unknown command 'aws'"),
        ("x" * 60, f"unknown command {'x' * 60!r}"),
        ("x" * 61, f"unknown command {'x' * 60 + '…'!r}"),
    ],
)
def test_rejects_other_commands(line: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(line, ())
    assert caught.value.message == f"refused: {words}"
    (hint,) = caught.value.hints
    assert hint.startswith("start-session --target NODE [")


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("target", "azAZ09:_.-", True),
        ("target", "Zx", True),
        ("target", "9", True),
        ("target", "x" * 400, True),
        ("target", "x" * 401, False),
        ("target", "-x", False),
        ("target", ":x", False),
        ("target", "x y", False),
        ("target", "x/y", False),
        ("region", "us-gov-east-1", True),
        ("region", "eu-west-1 ", False),
        ("region", "u-west-1", False),
        ("region", "us", False),
        ("region", "us-", False),
        ("profile", "azAZ09+=,.@_-", True),
        ("profile", "Zx", True),
        ("profile", "9", True),
        ("profile", "x" * 128, True),
        ("profile", "x" * 129, False),
        ("profile", "=x", False),
        ("profile", "x y", False),
        ("profile", "x/y", False),
        ("document-name", "Dev-Shell", True),
        ("document-name", "Dev-Shell:1", False),
        ("reason", "x" * LONGEST, True),
        ("reason", "x" * (LONGEST + 1), False),
        ("reason", "a\x1b[2Jb", False),
        ("reason", "", False),
    ],
)
def test_menu_values_follow_same_rules(name: str, value: str, valid: bool) -> None:
    options = {"target": NODE, name: value}
    if valid:
        assert getattr(parsed(options), name.replace("-", "_")) == value
    else:
        with pytest.raises(InvalidRequest):
            parsed(options)


@pytest.mark.parametrize(("name", "value"), [("target", "i-1\n"), ("profile", "x\n")])
def test_rejects_value_with_trailing_line_break(name: str, value: str) -> None:
    """Even without the rule for unprintable characters, a line break would be rejected."""
    pattern = {"target": words._TARGET, "profile": words._NAME}[name]
    assert pattern.match(value[:-1])
    assert not pattern.match(value)
