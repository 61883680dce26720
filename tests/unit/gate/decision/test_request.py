"""The frozen request: the members it accepts, and the members it sends."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.request import SessionRequest

FULL = {
    "Target": "i-1",
    "DocumentName": "Dev-Shell",
    "Reason": "r",
    "Parameters": {"portNumber": ["22"], "empty": []},
}


@pytest.mark.parametrize(
    "parameters",
    [
        {"Target": "i-1"},
        {"Target": "i-1", "Parameters": {}},
        FULL,
        dict(reversed(FULL.items())),
        {"Target": "i-1", "DocumentName": "arn:aws:ssm:us-east-1::document/AWS-X"},
    ],
)
def test_sends_members_as_read_in_typed_order(parameters: dict[str, Any]) -> None:
    sent = SessionRequest.from_parameters(parameters).to_parameters()

    assert sent == parameters
    assert list(sent) == list(parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({}, id="no target"),
        pytest.param({"Target": None}, id="null target"),
        pytest.param({"Target": 1}, id="number as target"),
        pytest.param({"Target": b"i-1"}, id="bytes as target"),
        pytest.param({"Target": "i-1", "DocumentName": None}, id="null document"),
        pytest.param({"Target": "i-1", "DocumentName": ["Dev-Shell"]}, id="list as document"),
        pytest.param({"Target": "i-1", "DocumentName": ""}, id="empty document"),
        pytest.param({"Target": "i-1", "DocumentName": "ab"}, id="two letters"),
        pytest.param({"Target": "i-1", "DocumentName": "x" * 129}, id="129 letters"),
        pytest.param({"Target": "i-1", "DocumentName": "Dev-Shell\n"}, id="final newline"),
        pytest.param({"Target": "i-1", "DocumentName": "Dev Shell"}, id="space"),
        pytest.param({"Target": "i-1", "DocumentName": "Dev*"}, id="wildcard"),
        pytest.param({"Target": "i-1", "DocumentName": "Dév-Shell"}, id="accent"),
        pytest.param({"Target": "i-1", "documentName": "Dev-Shell"}, id="another case of a member"),
        pytest.param({"Target": "i-1", "DocumentVersion": "1"}, id="a fifth member"),
        pytest.param({"Target": "i-1", "Reason": 1}, id="number as reason"),
        pytest.param({"Target": "i-1", "Parameters": []}, id="list as parameters"),
        pytest.param({"Target": "i-1", "Parameters": {"a": "b"}}, id="string as values"),
        pytest.param({"Target": "i-1", "Parameters": {"a": [1]}}, id="number as value"),
        pytest.param({"Target": "i-1", "Parameters": {1: ["a"]}}, id="number as key"),
    ],
)
def test_other_members_are_usage_errors(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"Parameter validation failed|Invalid value"):
        SessionRequest.from_parameters(parameters)


def test_request_is_independent_of_its_source() -> None:
    values = ["22"]
    request = SessionRequest.from_parameters({"Target": "i-1", "Parameters": {"p": values}})
    values.append("23")
    sent = request.to_parameters()
    sent["Parameters"]["p"].append("24")  # type: ignore[index]

    assert request.to_parameters() == {"Target": "i-1", "Parameters": {"p": ["22"]}}


def test_request_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="document_name"):
        SessionRequest("i-1").document_name = "Evil"  # type: ignore[misc]


def test_second_spelling_keeps_other_members() -> None:
    request = SessionRequest.from_parameters({"Reason": "r", "Target": "i-1"})

    assert list(request.named("Dev-Shell").to_parameters().items()) == [
        ("Reason", "r"),
        ("Target", "i-1"),
        ("DocumentName", "Dev-Shell"),
    ]
