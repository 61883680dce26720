"""Messages of a failed StartSession, and when it is sent once more."""

from __future__ import annotations

import json
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from ssmgate.gate.aws import start_session as module
from ssmgate.gate.aws.errors import NoCredentialsError, ReadTimeoutError  # botocore's
from ssmgate.gate.aws.start_session import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    start_session,
)
from ssmgate.gate.decision.decision import Permit
from ssmgate.gate.decision.errors import ConfigurationProblem, GateError, ServiceFailed
from ssmgate.gate.decision.request import SessionRequest

UNNAMED = SessionRequest("i-1")
PERHAPS = "AWS may have started a session; the request was not repeated"
LIST = "'aws ssm describe-sessions --state Active' lists the sessions"


class Ssm:
    """An SSM client with given errors, and its handlers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.sent: list[dict[str, Any]] = []
        self.handlers: list[tuple[str, Any]] = []
        register = lambda *one: self.handlers.append(one)  # noqa: E731
        events = SimpleNamespace(
            register_last=register,
            register_first=register,
            unregister=lambda *one: self.handlers.remove(one),
        )
        self.meta = SimpleNamespace(events=events)

    def start_session(self, **request: Any) -> Any:
        assert {name for name, _ in self.handlers} == {
            "before-sign.ssm.StartSession", "needs-retry.ssm.StartSession"
        }  # fmt: skip
        self.sent.append(request)
        raise self._errors.pop(0)


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "StartSession")


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "InternalServerError", "TargetNotConnected"]
)
def test_only_denied_request_is_sent_with_its_name(code: str) -> None:
    ssm = Ssm(refused(code))
    with pytest.raises(ServiceFailed) as caught:
        start_session(ssm, Permit(UNNAMED))

    assert (caught.value.error_code, ssm.sent) == (code, [{"Target": "i-1"}])
    assert ssm.handlers == []


def test_denied_request_keeps_error_of_second_spelling() -> None:
    ssm = Ssm(refused("AccessDeniedException"), ReadTimeoutError(endpoint_url="https://ssm"))
    with pytest.raises(ServiceFailed) as caught:
        start_session(ssm, Permit(UNNAMED))

    assert (caught.value.notes, caught.value.hints) == ((PERHAPS,), (LIST,))
    assert [request.get("DocumentName") for request in ssm.sent] == [
        None, "SSM-SessionManagerRunShell"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (HTTPClientError(error="x"), "An HTTP Client raised an unhandled exception: x"),
        (refused("x", "{'TokenValue': 's'}"), "returned both a session and an HTTP error"),
        (refused("x", "{'StreamUrl': 's'}"), "returned both a session and an HTTP error"),
        (KeyError("TokenValue"), "StartSession's answer cannot be read (KeyError)"),
    ],
)
def test_reports_session_that_may_have_started(error: Exception, message: str) -> None:
    with pytest.raises(GateError) as caught:
        start_session(Ssm(error), Permit(UNNAMED))

    assert message in caught.value.message
    assert (caught.value.notes, caught.value.hints) == ((PERHAPS,), (LIST,))


def test_failure_before_call_has_own_message() -> None:
    with pytest.raises(ConfigurationProblem):
        start_session(Ssm(NoCredentialsError()), Permit(UNNAMED))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EndpointConnectionError(endpoint_url="x"), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (ProxyConnectionError(proxy_url="x"), True),
        (ReadTimeoutError(endpoint_url="x"), False),
        (HTTPClientError(error="x"), False),
    ],
)
def test_request_that_service_did_not_receive_may_be_repeated(
    error: Exception, again: bool
) -> None:
    if again:
        module._never_twice(error)
    else:
        with pytest.raises(type(error)):
            module._never_twice(error)


def test_ignores_order_of_members() -> None:
    request = SessionRequest("i-1", "Dev-Shell", "why")
    members = request.to_parameters()
    data = json.dumps(dict(reversed(members.items()))).encode()

    assert module._comparer(request)(SimpleNamespace(data=data)) is None  # it raises otherwise


def test_suppresses_warnings_while_session_may_exist() -> None:
    with warnings.catch_warnings(record=True) as caught, module._silent():
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert caught == []
    with pytest.warns(UserWarning, match="of a library"):
        warnings.warn("of a library", UserWarning, stacklevel=1)
