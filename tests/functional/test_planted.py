"""Files that a user plants next to the CLI have no effect: what is checked is what is sent."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import TARGET, Machine
from fakes.sandbox import NODE
from fakes.scripted_aws import (
    ACCOUNT,
    SESSION_ID,
    STARTED,
    ScriptedAws,
    credentials,
    identity,
    json_error,
    json_ok,
)

pytestmark = pytest.mark.starts

DATA = Path(importlib.util.find_spec("awscli").origin).parent / "botocore" / "data"
MODELS = {"ssm": "ssm/2014-11-06", "iam": "iam/2010-05-08", "sts": "sts/2011-06-15"}
REQUEST = {"Target": TARGET, "DocumentName": "AWS-StartSSHSession", "Reason": "Evil-Document"}
WORDS = ("--target", TARGET, "--document-name", "AWS-StartSSHSession", "--reason", "Evil-Document")
CHECKED = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"


@pytest.fixture
def planted_server() -> Iterator[ScriptedAws]:
    """Run the server of a planted endpoint: it allows everything."""
    with ScriptedAws() as server:
        yield server


def in_home(machine: Machine) -> Path:
    return machine.home / ".aws" / "models"


def in_data_path(machine: Machine) -> Path:
    machine.environ["AWS_DATA_PATH"] = str(machine.home / "data")
    return machine.home / "data"


PLACES = [
    pytest.param(in_home, id="~/.aws/models"),
    pytest.param(in_data_path, id="AWS_DATA_PATH"),
]
Place = Callable[[Machine], Path]


def plant(machine: Machine, place: Place, service: str, file: str, content: object) -> None:
    directory = place(machine) / MODELS[service]
    directory.mkdir(parents=True)
    (directory / file).write_text(json.dumps(content))


def model(service: str) -> dict[str, Any]:
    return json.loads((DATA / MODELS[service] / "service-2.json").read_text())


def swapped_on_the_wire() -> object:
    planted = model("ssm")
    members = planted["shapes"]["StartSessionRequest"]["members"]
    members["DocumentName"]["locationName"] = "Reason"
    members["Reason"]["locationName"] = "DocumentName"
    return planted


def another_operation() -> object:
    planted = model("ssm")
    planted["operations"]["StartSession"]["name"] = "SendCommand"
    return planted


def a_fifth_member() -> object:
    planted = model("ssm")
    members = planted["shapes"]["StartSessionRequest"]["members"]
    members["Other"] = {"shape": "SessionReason", "locationName": "DocumentName"}
    return planted


def assert_checked_is_sent(machine: Machine) -> None:
    asked = machine.aws.calls("SimulatePrincipalPolicy")
    assert [call.parameters["ResourceArns.member.1"] for call in asked] == [CHECKED]
    assert [call.parameters for call in machine.aws.calls("StartSession")] == [REQUEST]
    assert json.loads(machine.plugin.argv[4]) == REQUEST


def aws_cli(machine: Machine) -> None:
    """Run the real CLI, which such files do affect."""
    code = "import sys; from awscli.clidriver import main; sys.exit(main())"
    subprocess.run(
        [sys.executable, "-c", code, "ssm", "start-session", *WORDS],
        env=machine.variables(AWS_DEFAULT_REGION="us-east-1", PYTHONWARNINGS=None),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=machine.home,
        check=False,
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("planted", [swapped_on_the_wire, another_operation, a_fifth_member])
def test_planted_model_changes_no_member(
    machine: Machine, place: Place, planted: Callable[[], object]
) -> None:
    plant(machine, place, "ssm", "service-2.json", planted())

    ended = machine.run(*WORDS)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert_checked_is_sent(machine)


def test_planted_model_adds_no_option(machine: Machine) -> None:
    plant(machine, in_home, "ssm", "service-2.json", a_fifth_member())

    ended = machine.run(*WORDS, "--other", "Evil-Document")

    assert ended.returncode == 252
    assert machine.aws.operations == []


def test_planted_iam_model_does_not_turn_denial_into_allow(machine: Machine) -> None:
    planted = model("iam")
    members = planted["shapes"]["EvaluationResult"]["members"]
    for name in ("EvalDecision", "ResourceSpecificResults"):
        members[name]["locationName"] = "Nothing"
    plant(machine, in_home, "iam", "service-2.json", planted)

    ended = machine.run(*WORDS)

    assert ended.returncode == 0, ended.stderr
    assert_checked_is_sent(machine)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("service", ["sts", "iam", "ssm"])
def test_planted_rule_set_changes_no_endpoint(
    machine: Machine, planted_server: ScriptedAws, place: Place, service: str
) -> None:
    rules = json.loads((DATA / MODELS[service] / "endpoint-rule-set-1.json").read_text())
    endpoint = {"url": planted_server.url, "properties": {}, "headers": {}}
    rules["rules"] = [{"conditions": [], "endpoint": endpoint, "type": "endpoint"}]
    plant(machine, place, service, "endpoint-rule-set-1.json", rules)

    ended = machine.run(*WORDS)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert planted_server.operations == []
    assert_checked_is_sent(machine)


@pytest.mark.parametrize("place", PLACES)
def test_planted_partitions_change_no_region(machine: Machine, place: Place) -> None:
    partitions = json.loads((DATA / "partitions.json").read_text())
    for partition in partitions["partitions"]:
        partition["id"] = partition["outputs"]["name"] = "aws-evil"
    endpoints = json.loads((DATA / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["partition"] = "aws-evil"
    directory = place(machine)
    directory.mkdir(parents=True)
    (directory / "partitions.json").write_text(json.dumps(partitions))
    (directory / "endpoints.json").write_text(json.dumps(endpoints))

    ended = machine.run(*WORDS)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert_checked_is_sent(machine)


def test_planted_models_change_real_cli(machine: Machine) -> None:
    plant(machine, in_home, "ssm", "service-2.json", swapped_on_the_wire())

    aws_cli(machine)

    sent = machine.aws.calls("StartSession")[0].parameters
    assert sent["DocumentName"] == "Evil-Document"


def test_planted_rule_sets_change_real_cli(machine: Machine, planted_server: ScriptedAws) -> None:
    rules = json.loads((DATA / MODELS["ssm"] / "endpoint-rule-set-1.json").read_text())
    endpoint = {"url": planted_server.url, "properties": {}, "headers": {}}
    rules["rules"] = [{"conditions": [], "endpoint": endpoint, "type": "endpoint"}]
    plant(machine, in_home, "ssm", "endpoint-rule-set-1.json", rules)

    aws_cli(machine)

    assert planted_server.operations == ["StartSession"]


# Code.

EVIL = """
import os
open(os.environ["MARKER"], "w").close()
def awscli_initialize(events): pass
def initialize_client_plugin(client): pass
"""


def plant_module(machine: Machine) -> Path:
    directory = machine.home / "modules"
    directory.mkdir()
    (directory / "evil.py").write_text(EVIL)
    marker = machine.home / "marker"
    machine.environ |= {"PYTHONPATH": str(directory), "MARKER": str(marker)}
    return marker


def configure(machine: Machine, text: str) -> None:
    (machine.home / ".aws").mkdir(exist_ok=True)
    (machine.home / ".aws" / "config").write_text(text)


def cli_plugins(machine: Machine) -> None:
    directory = machine.environ["PYTHONPATH"]
    configure(machine, f"[plugins]\nevil = evil\ncli_legacy_plugin_path = {directory}\n")


def botocore_plugins(machine: Machine) -> None:
    machine.environ["BOTOCORE_EXPERIMENTAL__PLUGINS"] = "evil=evil"


CODE = [
    pytest.param(cli_plugins, id="[plugins]"),
    pytest.param(botocore_plugins, id="BOTOCORE_EXPERIMENTAL__PLUGINS"),
]


@pytest.mark.parametrize("planted", CODE)
def test_planted_code_does_not_run(machine: Machine, planted: Callable[[Machine], None]) -> None:
    marker = plant_module(machine)
    planted(machine)

    ended = machine.run(*WORDS)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert not marker.exists()
    assert_checked_is_sent(machine)


@pytest.mark.parametrize("planted", CODE)
def test_planted_code_runs_in_real_cli(
    machine: Machine, planted: Callable[[Machine], None]
) -> None:
    marker = plant_module(machine)
    planted(machine)

    aws_cli(machine)

    assert marker.exists()


@pytest.mark.parametrize(
    "alias",
    [
        pytest.param("[toplevel]\nssm = !touch {marker}\n", id="of ssm, a program"),
        pytest.param("[toplevel]\nssm = s3\n", id="of ssm, another command"),
        pytest.param("[command ssm]\nstart-session = !touch {marker}\n", id="of start-session"),
    ],
)
def test_expands_no_alias(machine: Machine, alias: str) -> None:
    marker = machine.home / "marker"
    directory = machine.home / ".aws" / "cli"
    directory.mkdir(parents=True)
    (directory / "alias").write_text(alias.format(marker=marker))

    ended = machine.run("ssm", "start-session", *WORDS, whole_command=True)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert not marker.exists()
    assert_checked_is_sent(machine)


@pytest.mark.parametrize(
    "section",
    [
        pytest.param("api_versions =\n  ssm = 1999-01-01\n", id="an api version of ssm"),
        pytest.param("api_versions =\n  iam = 1999-01-01\n  sts = 1999-01-01\n", id="of the rest"),
        pytest.param("parameter_validation = false\n", id="no validation"),
        pytest.param("cli_follow_urlparam = true\n", id="followed URLs"),
        pytest.param("cli_auto_prompt = on\n", id="the prompt"),
    ],
)
def test_ignores_irrelevant_settings(machine: Machine, section: str) -> None:
    configure(machine, f"[default]\n{section}")

    ended = machine.run(*WORDS)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert_checked_is_sent(machine)


# Whose credentials, whose endpoint.

PROFILE = "[profile p]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"


@pytest.mark.parametrize(
    ("words", "environ", "key"),
    [
        pytest.param([], {"AWS_PROFILE": "p"}, "AKIAEXAMPLE", id="AWS_PROFILE, and keys"),
        pytest.param([], {"AWS_DEFAULT_PROFILE": "p"}, "AKIAEXAMPLE", id="the older name"),
        pytest.param(["--profile", "p"], {}, "AKIAPROFILE", id="--profile, and keys"),
        pytest.param(
            [], {"AWS_PROFILE": "p", "AWS_ACCESS_KEY_ID": None}, "AKIAPROFILE", id="AWS_PROFILE"
        ),
    ],
)
def test_all_calls_use_credentials_of_cli(
    machine: Machine, words: list[str], environ: dict[str, str | None], key: str
) -> None:
    configure(machine, PROFILE)
    if "AWS_ACCESS_KEY_ID" in environ:
        environ = {**environ, "AWS_SECRET_ACCESS_KEY": None}

    ended = machine.run(*WORDS, *words, **environ)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert {call.access_key for call in machine.aws.received} == {key}
    assert len(machine.aws.received) == 3


SERVICES = "[default]\nservices = s\n[services s]\nssm =\n  endpoint_url = {url}\n"


@pytest.mark.parametrize("how", ["--endpoint-url", "AWS_ENDPOINT_URL_SSM", "the profile's ssm"])
def test_ssm_endpoint_is_used_for_ssm_only(
    machine: Machine, planted_server: ScriptedAws, how: str
) -> None:
    words: tuple[str, ...] = ()
    if how == "--endpoint-url":
        words = (how, planted_server.url)
    elif how == "AWS_ENDPOINT_URL_SSM":
        machine.environ[how] = planted_server.url
    else:
        configure(machine, SERVICES.format(url=planted_server.url))
        del machine.environ["AWS_ENDPOINT_URL"]
        machine.environ["AWS_ENDPOINT_URL_STS"] = machine.aws.url
        machine.environ["AWS_ENDPOINT_URL_IAM"] = machine.aws.url
    planted_server.script(
        "StartSession", json_error("AccessDeniedException", "no"), json_ok(STARTED)
    )

    ended = machine.run("--target", TARGET, *words)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert machine.aws.operations == ["GetCallerIdentity", "SimulatePrincipalPolicy"]
    assert planted_server.operations == ["StartSession", "StartSession"]
    assert machine.plugin.argv[5] == planted_server.url


def test_terminates_session_at_endpoint_that_started_it(
    machine: Machine, planted_server: ScriptedAws, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    plugin = tmp_path / "bin" / "session-manager-plugin"
    plugin.write_text('#!/bin/sh\necho 1.2.804.0\nrm "$0"\n')
    plugin.chmod(0o755)
    machine.environ["PATH"] = f"{plugin.parent}:{machine.environ['PATH'].partition(':')[2]}"

    ended = machine.run("--target", TARGET, "--endpoint-url", planted_server.url)

    assert ended.returncode == 255
    assert "TerminateSession" not in machine.aws.operations
    assert planted_server.operations == ["StartSession", "TerminateSession"]
    assert planted_server.calls("TerminateSession")[0].parameters == {"SessionId": SESSION_ID}


def test_role_is_not_assumed_at_ssm_endpoint(machine: Machine, planted_server: ScriptedAws) -> None:
    configure(
        machine,
        f"{PROFILE}[profile r]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/Ops\nsource_profile = p\n",
    )
    machine.aws.script("AssumeRole", credentials("ASIAROLE"))
    machine.aws.script(
        "GetCallerIdentity", identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/alice")
    )

    ended = machine.run(*WORDS, "--profile", "r", "--endpoint-url", planted_server.url)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [c.access_key for c in machine.aws.calls("AssumeRole")] == ["AKIAPROFILE"]
    assert planted_server.operations == ["StartSession"]
    assert planted_server.received[0].access_key == "ASIAROLE"


def test_respects_ignore_configured_endpoints(
    machine: Machine, planted_server: ScriptedAws
) -> None:
    machine.environ["AWS_ENDPOINT_URL_SSM"] = planted_server.url
    machine.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    machine.environ["HTTPS_PROXY"] = "http://127.0.0.1:9"

    ended = machine.run(*WORDS)

    assert ended.returncode == 254
    assert (planted_server.operations, machine.aws.operations) == ([], [])


@pytest.mark.parametrize(
    "program",
    [
        pytest.param([sys.executable, "-m", "ssmgate", "start-session"], id="python -m ssmgate"),
        pytest.param(
            [str(Path(sys.executable).with_name("ssm-start-session"))], id="ssm-start-session"
        ),
        pytest.param(
            [str(Path(__file__).parents[2] / "bin" / "ssm-start-session")],
            id="bin/ssm-start-session",
        ),
    ],
)
def test_does_not_import_from_current_directory(
    resident: Callable[[str], Machine], program: list[str]
) -> None:
    machine = resident("alice")
    for name in ("awscli", "botocore", "urllib3", "tomllib"):
        (machine.home / f"{name}.py").write_text("print('PLANTED')")
    ended = subprocess.run(
        [*program, "--target", NODE],
        env=machine.variables(),
        cwd=machine.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert machine.plugin.started
