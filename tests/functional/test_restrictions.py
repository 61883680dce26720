"""Local rules of the machine, run as a program: after an allow of IAM, never instead of it."""

from __future__ import annotations

import os

import pytest

from conftest import FAKES, TARGET, Machine
from fakes.scripted_aws import evaluation

pytestmark = pytest.mark.starts


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SSMGATE_DOCUMENTS_ALLOW", "Dev-*", "'SSM-SessionManagerRunShell' is not among those"),
        ("SSMGATE_DOCUMENTS_DENY", "SSM-*", "'SSM-SessionManagerRunShell' is denied (documents.de"),
        ("SSMGATE_TARGETS_ALLOW", "mi-*", f"target '{TARGET}' is not among those allowed"),
        ("SSMGATE_REQUIRE_REASON", "true", "this machine requires a --reason (require_reason)"),
    ],
)
def test_rule_denies_despite_allow_of_iam(
    machine: Machine, variable: str, value: str, words: str
) -> None:
    ended = machine.run("--target", TARGET, **{variable: value})

    assert (ended.returncode, ended.stdout) == (254, "")
    assert ended.stderr.startswith(
        f"ssmgate: [ERROR]: access denied by this machine's rules: {TARGET}: session document "
    )
    assert words in ended.stderr
    assert "AccessDenied" not in ended.stderr
    assert "; IAM allows the session document\n" in ended.stderr
    assert machine.aws.calls("SimulatePrincipalPolicy")
    assert machine.aws.calls("StartSession") == []
    assert not machine.plugin.started


def test_starts_where_rules_allow(machine: Machine) -> None:
    ended = machine.run(
        "--target",
        TARGET,
        "--reason",
        "TICKET-1",
        SSMGATE_DOCUMENTS_ALLOW="SSM-*",
        SSMGATE_DOCUMENTS_DENY="Dev-*",
        SSMGATE_TARGETS_ALLOW="i-*",
        SSMGATE_REQUIRE_REASON="true",
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert machine.plugin.started


def test_rules_do_not_override_denial_of_iam(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    ended = machine.run("--target", TARGET, SSMGATE_DOCUMENTS_ALLOW="*", SSMGATE_TARGETS_ALLOW="*")

    assert ended.returncode == 254
    assert "access denied (AccessDeniedException): " in ended.stderr
    assert machine.aws.calls("StartSession") == []


def test_permissive_warns_of_denial_by_rule(machine: Machine) -> None:
    ended = machine.run(
        "--target", TARGET, SSMGATE_MODE="permissive", SSMGATE_REQUIRE_REASON="true"
    )

    assert ended.returncode == 0
    assert "[WARNING]: access denied by this machine's rules: session document" in ended.stderr
    assert ": this machine requires a --reason (require_reason); IAM allows" in ended.stderr
    assert machine.plugin.started


def test_runs_plugin_at_configured_path(machine: Machine) -> None:
    plugin = str(FAKES / "session-manager-plugin")
    path = os.environ["PATH"]

    ended = machine.run("--target", TARGET, SSMGATE_PLUGIN_PATH=plugin, PATH=path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert machine.plugin.started


def test_does_not_search_when_configured_plugin_is_missing(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, SSMGATE_PLUGIN_PATH="/nowhere/session-manager-plugin")

    assert ended.returncode == 255
    assert "/nowhere/session-manager-plugin does not exist (plugin.path)" in ended.stderr
    assert machine.aws.received == []
