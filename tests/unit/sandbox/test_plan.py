"""What the node executes for a session document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmgate.sandbox.agent.plan import WorkError, plan
from ssmgate.sandbox.channel.payloads import SessionType
from ssmgate.sandbox.documents import AWS_SESSION_DOCUMENTS


def aws(name: str, **parameters: str) -> Any:
    given = {key: [value] for key, value in parameters.items()}
    return plan(json.dumps(AWS_SESSION_DOCUMENTS[name]), given)


def test_plans_ssh() -> None:
    made = aws("AWS-StartSSHSession")
    assert (made.session_type, made.port) == (SessionType.PORT, 22)
    assert made.properties == {"portNumber": "22"}
    assert aws("AWS-StartSSHSession", portNumber="2222").port == 2222


def test_forwarded_port_reports_local_port() -> None:
    made = aws("AWS-StartPortForwardingSession", portNumber="5432", localPortNumber="15432")
    assert made.port == 5432
    assert made.properties == {
        "portNumber": "5432", "type": "LocalPortForwarding", "localPortNumber": "15432",
    }  # fmt: skip


def test_plans_commands() -> None:
    for name in ("AWS-StartInteractiveCommand", "AWS-StartNonInteractiveCommand"):
        assert aws(name, command="echo {{ not }} it").command == "echo {{ not }} it"


def test_types_shell_profile_first() -> None:
    content = {
        "sessionType": "Standard_Stream",
        "inputs": {"shellProfile": {"linux": "exec bash", "windows": "date"}},
    }
    made = plan(json.dumps(content), {})
    assert (made.session_type, made.profile) == (SessionType.STANDARD_STREAM, "exec bash")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "unknown session type None"),
        ('{"sessionType": "Telepathy"}', "unknown session type 'Telepathy'"),
        ('{"sessionType": "Port", "properties": {"portNumber": "0"}}', "port number '0'"),
        ('{"sessionType": "Port", "properties": {"portNumber": "65536"}}', "port number"),
        ('{"sessionType": "Port", "properties": {"portNumber": "2 2"}}', "port number"),
        ('{"sessionType": "Port", "properties": {"portNumber": "{{ p }}"}}', "'p'"),
        ('{"sessionType": "InteractiveCommands", "properties": {}}', "no commands for Linux"),
    ],
)
def test_rejects_unsupported_documents(content: str, message: str) -> None:
    with pytest.raises(WorkError, match=message):
        plan(content, {})
