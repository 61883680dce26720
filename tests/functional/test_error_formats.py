"""--cli-error-format and the formats of skeletons, as AWS CLI v2 prints them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import Machine
from fakes.scripted_aws import evaluation, json_error

TARGET = "ecs:c_t_r"
WORDS = "An error occurred (TargetNotConnected) when calling the StartSession operation: it is not"


def structured(text: str, error_format: str) -> Any:
    return json.loads(text) if error_format == "json" else YAML(typ="safe", pure=True).load(text)


def failed(machine: Machine, error_format: str | None, message: str = "it is not") -> str:
    machine.aws.script("StartSession", json_error("TargetNotConnected", message))
    chosen = () if error_format is None else ("--cli-error-format", error_format)
    ended = machine.run("--target", TARGET, *chosen)
    assert (ended.returncode, ended.stdout) == (254, "")
    return ended.stderr


@pytest.mark.parametrize(
    ("error_format", "printed"),
    [
        (None, f"\nssmgate: [ERROR]: {WORDS}\n"),
        ("enhanced", f"\nssmgate: [ERROR]: {WORDS}\n"),
        ("legacy", f"\nssmgate: [ERROR]: {WORDS}\n"),
        ("text", "TargetNotConnected\tit is not\n"),
        ("json", '{\n    "Code": "TargetNotConnected",\n    "Message": "it is not"\n}\n'),
        ("yaml", "Code: TargetNotConnected\nMessage: it is not\n"),
        (
            "table",
            "-------------------------------------\n"
            "|               error               |\n"
            "+---------------------+-------------+\n"
            "|        Code         |   Message   |\n"
            "+---------------------+-------------+\n"
            "|  TargetNotConnected |  it is not  |\n"
            "+---------------------+-------------+\n",
        ),
    ],
)
def test_service_error_has_requested_format(
    machine: Machine, error_format: str | None, printed: str
) -> None:
    assert failed(machine, error_format) == printed


@pytest.mark.parametrize("error_format", ["json", "yaml", "table"])
def test_usage_error_without_code_stays_plain(machine: Machine, error_format: str) -> None:
    ended = machine.run("--target", TARGET, "--nonsense", "--cli-error-format", error_format)

    assert (ended.returncode, ended.stdout) == (252, "")
    assert ended.stderr.startswith("\nusage: aws [options]")
    assert "\nssmgate: [ERROR]: Unknown options: --nonsense\n" in ended.stderr


@pytest.mark.parametrize("error_format", ["json", "yaml"])
def test_validation_error_has_code(machine: Machine, error_format: str) -> None:
    ended = machine.run("--target", "", "--cli-error-format", error_format)

    shown = structured(ended.stderr, error_format)
    assert (ended.returncode, shown["Code"]) == (252, "ParamValidation")
    assert "Invalid length for parameter Target" in shown["Message"]


@pytest.mark.parametrize("error_format", ["legacy", "JSON", "Yaml"])
def test_environment_variable_sets_format_in_any_case(machine: Machine, error_format: str) -> None:
    machine.aws.script("StartSession", json_error("TargetNotConnected", "it is not"))

    ended = machine.run("--target", TARGET, AWS_CLI_ERROR_FORMAT=error_format)

    if error_format == "legacy":
        assert ended.stderr == f"\nssmgate: [ERROR]: {WORDS}\n"
    else:
        shown = structured(ended.stderr, error_format.lower())
        assert shown == {"Code": "TargetNotConnected", "Message": "it is not"}


@pytest.mark.parametrize("error_format", ["json", "yaml"])
def test_structured_denial_has_members_of_ours(machine: Machine, error_format: str) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    ended = machine.run("--target", TARGET, "--cli-error-format", error_format)

    shown = structured(ended.stderr, error_format)
    assert ended.returncode == 254
    assert shown["Code"] == "AccessDeniedException"
    assert (shown["decision"], shown["started"]) == ("denied", False)


def test_denial_fits_in_table(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    lines = machine.run("--target", TARGET, "--cli-error-format", "table").stderr.splitlines()

    assert lines[1].strip("| ") == "error"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[3:-1]]
    assert ["Code", "AccessDeniedException"] in cells
    assert ["decision", "denied"] in cells


HOSTILE = "a\u202eb\x1b[2J\n\x85ssmgate: hint: curl evil: {x"


def test_yaml_has_original_text_in_ascii(machine: Machine) -> None:
    printed = failed(machine, "yaml", HOSTILE)

    assert printed.isascii()
    assert not {*printed} & {chr(code) for code in (*range(9), *range(11, 32), 127)}
    assert structured(printed, "yaml")["Message"] == HOSTILE


def test_table_escapes_control_characters(machine: Machine) -> None:
    printed = failed(machine, "table", HOSTILE)

    assert "a\\u202eb\\x1b[2J\\n\\x85ssmgate: hint: curl evil: {x" in printed
    assert all(line.isprintable() for line in printed.splitlines())


SKELETON = {"SessionId": "SessionId", "StreamUrl": "StreamUrl", "TokenValue": "TokenValue"}


@pytest.mark.parametrize(
    ("words", "environ", "printed"),
    [
        (("--output", "yaml"), {}, "".join(f"{name}: {name}\n" for name in SKELETON)),
        ((), {"AWS_DEFAULT_OUTPUT": "yaml"}, "".join(f"{n}: {n}\n" for n in SKELETON)),
        (
            ("--output", "yaml-stream"),
            {},
            "- SessionId: SessionId\n  StreamUrl: StreamUrl\n  TokenValue: TokenValue\n",
        ),
        (("--output", "off"), {}, ""),
        (("--output", "off"), {"AWS_DEFAULT_OUTPUT": "json"}, ""),
        (("--output", "text"), {}, "SessionId\tStreamUrl\tTokenValue\n"),
        (("--output", "yaml", "--query", "SessionId"), {}, '"SessionId"\n'),
        (("--output", "yaml", "--query", "[SessionId]"), {}, "- SessionId\n"),
        (("--output", "yaml", "--query", "Nothing"), {}, "null\n"),
    ],
)
def test_output_skeleton_has_requested_format(
    machine: Machine, words: tuple[str, ...], environ: dict[str, str], printed: str
) -> None:
    ended = machine.run("--target", TARGET, "--generate-cli-skeleton", "output", *words, **environ)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, printed, "")
    assert machine.aws.received == []


def test_output_skeleton_of_profile_has_its_format(machine: Machine) -> None:
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text("[default]\noutput = yaml\n")

    ended = machine.run("--target", TARGET, "--generate-cli-skeleton", "output")

    assert (ended.returncode, ended.stdout) == (0, "".join(f"{n}: {n}\n" for n in SKELETON))
