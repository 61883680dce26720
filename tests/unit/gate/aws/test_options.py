"""The options that commands in an error repeat."""

from __future__ import annotations

import shlex

import pytest

from ssmgate.gate.argv import parse
from ssmgate.gate.decision.messages import check_command


@pytest.mark.parametrize(
    ("words", "repeated"),
    [
        ([], ""),
        (["--region", "eu-west-1", "--profile", "p q"], " --profile 'p q' --region eu-west-1"),
        (["--profile=-p"], " --profile=-p"),
        (["--no-verify-ssl"], " --no-verify-ssl"),
        (
            ["--ca-bundle", "/ca.pem", "--endpoint-url", "http://localhost:1"],
            " --endpoint-url http://localhost:1 --ca-bundle /ca.pem",
        ),
        (["--output", "json", "--reason", "x", "--debug"], ""),
    ],
)
def test_repeats_options_that_select_caller(words: list[str], repeated: str) -> None:
    read = parse.read(["ssm", "start-session", "--target", "i-0", *words])
    assert not isinstance(read, int)

    command = check_command("--explain", read.request, read.options.repeated())

    assert command == f"ssmgate check --explain --target i-0{repeated}"
    again = parse.read(["ssm", "start-session", *shlex.split(command)[3:]])
    assert not isinstance(again, int)
    assert again.options.repeated() == read.options.repeated()
