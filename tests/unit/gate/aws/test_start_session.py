"""Only the permitted request is sent. botocore is real up to the bytes on the wire."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import SESSION_ID, STARTED, STREAM_URL, TOKEN
from ssmgate.gate.aws import start_session as module
from ssmgate.gate.aws.session import MfaPrompt, new_session
from ssmgate.gate.aws.start_session import StartedSession, start_session, terminate_session
from ssmgate.gate.decision.decision import Permit, Unknown, override
from ssmgate.gate.decision.errors import GateError, ServiceFailed
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest

REQUEST = SessionRequest(
    "i-1", "AWS-StartSSHSession", "TICKET-1", (("portNumber", ("22",)), ("b", ("1", "2")))
)
UNNAMED = SessionRequest("i-1")
PERHAPS = "AWS may have started a session; the request was not repeated"


class Wire:
    """An SSM client, and what it sends. Answers are bodies, transport errors, or callables."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.client = new_session(MfaPrompt()).create_client(
            "ssm", region_name="us-east-1", aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key="secret",
        )  # fmt: skip
        self.client.meta.events.register("before-send.ssm", self._send)

    def _send(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.sent.append((operation, json.loads(request.body)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        response = AWSResponse(request.url, status, {}, None)
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return response

    def change(self, event: str, change: Callable[[Any], object]) -> None:
        """Register a handler that changes the argument of `event`."""

        def handler(**brought: Any) -> None:
            change(brought)

        # The signer's own, on request-created, comes after it.
        register = self.client.meta.events.register_first
        if event == "before-sign":
            register = self.client.meta.events.register_last
        register(f"{event}.ssm.StartSession", handler)

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.sent]


def refused(code: str, message: str = "the words of the service") -> tuple[int, object]:
    return 400, {"__type": code, "message": message}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


def test_sends_permitted_request() -> None:
    wire = Wire(STARTED)

    started = start_session(wire.client, Permit(REQUEST))

    assert started == StartedSession(SESSION_ID, TOKEN, STREAM_URL, REQUEST)
    assert wire.sent == [("StartSession", REQUEST.to_parameters())]
    assert TOKEN not in repr(started)
    assert STREAM_URL not in repr(started)


# A request that is not the permitted one.

BODY = REQUEST.to_parameters()


def body(**members: object) -> bytes:
    """Return the permitted body with `members`; those that are None are omitted."""
    changed = {**BODY, **members}
    return json.dumps({k: v for k, v in changed.items() if v is not None}).encode()


def with_text(old: str, new: str) -> bytes:
    text = body().decode()
    assert old in text
    return text.replace(old, new).encode()


CHANGED = [
    pytest.param(body(Target="i-2"), id="another Target"),
    pytest.param(body(DocumentName="AWS-StartPortForwardingSession"), id="another DocumentName"),
    pytest.param(body(Reason="TICKET-2"), id="another Reason"),
    pytest.param(body(Parameters={"portNumber": ["23"], "b": ["1", "2"]}), id="another value"),
    pytest.param(body(Parameters={"portNumber": ["22"], "b": ["2", "1"]}), id="another order"),
    pytest.param(body(Parameters={"portNumber": ["22"]}), id="a parameter less"),
    pytest.param(
        body(Parameters={"portNumber": ["22"], "b": ["1", "2"], "c": ["3"]}), id="one more"
    ),
    pytest.param(body(Parameters={"portNumber": "22", "b": ["1", "2"]}), id="a text for a list"),
    pytest.param(body(Target=None), id="no Target"),
    pytest.param(body(DocumentName=None), id="no DocumentName"),
    pytest.param(body(Reason=None), id="no Reason"),
    pytest.param(body(Parameters=None), id="no Parameters"),
    pytest.param(body(AccessToken="x"), id="a member more"),
    pytest.param(body(target="i-1"), id="a member of another case more"),
    pytest.param(body(Target=1), id="a number"),
    pytest.param(with_text('"Reason"', '"Target": "i-2", "Reason"'), id="Target twice"),
    pytest.param(with_text('"Reason"', '"Target": "i-1", "Reason"'), id="Target twice, the same"),
    pytest.param(with_text('"b"', '"portNumber": ["22"], "b"'), id="a parameter twice"),
    pytest.param(body() + b"{}", id="two objects"),
    pytest.param(json.dumps([BODY]).encode(), id="a list"),
    pytest.param(b"\xef\xbb\xbf" + body(), id="a byte order mark"),
    pytest.param(body().decode().encode("utf-16"), id="another encoding"),
    pytest.param(b"\xff" + body(), id="no text"),
    pytest.param(b"{}", id="an empty object"),
    pytest.param(b"null", id="null"),
    pytest.param(b"", id="nothing"),
    pytest.param(None, id="no body"),
    pytest.param(b"Target=i-1", id="no JSON"),
    pytest.param(iter([body()]), id="a stream"),
]


@pytest.mark.parametrize("changed", CHANGED)
def test_does_not_send_changed_body(changed: Any) -> None:
    wire = Wire(STARTED)
    wire.change("request-created", lambda brought: setattr(brought["request"], "data", changed))

    with pytest.raises(GateError, match="changed between the check and the call: not sent"):
        start_session(wire.client, Permit(REQUEST))

    assert wire.sent == []


def drop_reason(brought: Any) -> None:
    del brought["params"]["Reason"]


@pytest.mark.parametrize(
    ("event", "change"),
    [
        pytest.param(
            "provide-client-params",
            lambda brought: brought["params"].update(Target="i-2"),
            id="the call's own parameters",
        ),
        pytest.param(
            "before-parameter-build",
            lambda brought: brought["params"].update(Target="i-2"),
            id="the parameters",
        ),
        pytest.param("before-parameter-build", drop_reason, id="the parameters, one less"),
        pytest.param(
            "before-call",
            lambda brought: brought["params"].update(body=body(Reason="TICKET-2")),
            id="the serialized request",
        ),
        pytest.param(
            "before-sign",
            lambda brought: setattr(brought["request"], "data", body(Target="i-2")),
            id="the request as it is signed",
        ),
    ],
)
def test_does_not_send_request_changed_by_botocore(event: str, change: Any) -> None:
    wire = Wire(STARTED)
    wire.change(event, change)

    with pytest.raises(GateError, match="not sent"):
        start_session(wire.client, Permit(REQUEST))

    assert wire.sent == []


def test_compares_each_attempt() -> None:
    """A handler may change only the second one."""
    wire = Wire(refused("ThrottlingException"), STARTED)
    attempts: list[object] = []

    def second(brought: Any) -> None:
        attempts.append(brought)
        if len(attempts) == 2:
            brought["request"].data = body(Target="i-2")

    wire.change("request-created", second)

    with pytest.raises(GateError, match="not sent"):
        start_session(wire.client, Permit(REQUEST))

    assert wire.sent == [("StartSession", BODY)]


@pytest.mark.parametrize("value", [1, 1.0, True])
def test_distinguishes_values_that_python_finds_equal(value: object) -> None:
    texts = {module._canonical({"Target": one}) for one in (1, 1.0, True, "1")}

    assert len(texts) == 4
    assert module._canonical({"Target": value}) in texts


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(SessionRequest("i-1", reason="päper \u2028 \U0001f600 \"'\\"), id="any text"),
        pytest.param(SessionRequest("i-1", reason="\ud800"), id="half a surrogate pair"),
        pytest.param(SessionRequest("i-1", parameters=()), id="empty parameters"),
        pytest.param(SessionRequest("i-1", parameters=(("a", ()),)), id="an empty list"),
        pytest.param(
            SessionRequest("i-1", "Mine", member_order=("DocumentName", "Target")), id="order"
        ),
    ],
)
def test_sends_unchanged_request_with_any_content(request_: SessionRequest) -> None:
    wire = Wire(STARTED)

    start_session(wire.client, Permit(request_))

    assert wire.sent == [("StartSession", request_.to_parameters())]


def test_compares_each_request_of_a_client() -> None:
    wire = Wire(STARTED, STARTED)
    start_session(wire.client, Permit(REQUEST))

    start_session(wire.client, Permit(SessionRequest("i-2")))

    assert [sent["Target"] for _, sent in wire.sent] == ["i-1", "i-2"]


# The default document's second spelling.


def test_denied_unnamed_default_is_sent_with_its_name() -> None:
    wire = Wire(refused("AccessDeniedException"), STARTED)

    started = start_session(wire.client, Permit(UNNAMED))

    spelled_out = {"Target": "i-1", "DocumentName": DEFAULT_DOCUMENT_NAME}
    assert [sent for _, sent in wire.sent] == [{"Target": "i-1"}, spelled_out]
    assert started.request.to_parameters() == spelled_out


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(b'{"Target": "i-1"}', id="the first request again"),
        pytest.param(b'{"Target": "i-1", "DocumentName": "Dev-Root"}', id="another document"),
    ],
)
def test_compares_second_spelling_with_itself(changed: bytes) -> None:
    wire = Wire(refused("AccessDeniedException", "the first refusal"), STARTED)
    attempts: list[object] = []

    def second(brought: Any) -> None:
        attempts.append(brought)
        if len(attempts) == 2:
            brought["request"].data = changed

    wire.change("request-created", second)

    with pytest.raises(ServiceFailed, match="the first refusal"):
        start_session(wire.client, Permit(UNNAMED))

    assert len(attempts) == 2
    assert wire.sent == [("StartSession", {"Target": "i-1"})]


def test_overridden_denial_has_no_second_spelling() -> None:
    wire = Wire(refused("AccessDeniedException"), STARTED)
    overridden = override(UNNAMED, Unknown(Reason.NO_ANSWER, "IAM did not answer", None))

    with pytest.raises(ServiceFailed):
        start_session(wire.client, overridden)

    assert wire.operations == ["StartSession"]


# Answers.


def timed_out() -> Exception:
    from botocore.exceptions import ReadTimeoutError

    return ReadTimeoutError(endpoint_url="https://ssm.us-east-1.amazonaws.com/")


def closed() -> Exception:
    from botocore.exceptions import ConnectionClosedError

    return ConnectionClosedError(endpoint_url="https://ssm.us-east-1.amazonaws.com/")


def unreachable() -> Exception:
    from botocore.exceptions import EndpointConnectionError

    return EndpointConnectionError(endpoint_url="https://ssm.us-east-1.amazonaws.com/")


@pytest.mark.parametrize("error", [timed_out, closed], ids=["time-out", "closed"])
def test_never_repeats_request_that_service_may_have_received(
    error: Callable[[], Exception],
) -> None:
    wire = Wire(error(), STARTED)

    with pytest.raises(GateError) as raised:
        start_session(wire.client, Permit(REQUEST))

    assert wire.operations == ["StartSession"]
    assert PERHAPS in raised.value.notes[0]


def test_repeats_request_that_service_did_not_receive() -> None:
    wire = Wire(unreachable(), STARTED)

    assert start_session(wire.client, Permit(REQUEST)).session_id == SESSION_ID
    assert wire.operations == ["StartSession", "StartSession"]


def without(*names: str) -> dict[str, object]:
    return {name: text for name, text in STARTED.items() if name not in names}


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        pytest.param(without("TokenValue"), "TokenValue", id="no TokenValue"),
        pytest.param(without("StreamUrl"), "StreamUrl", id="no StreamUrl"),
        pytest.param(without("TokenValue", "StreamUrl"), "TokenValue, StreamUrl", id="neither"),
        pytest.param({**STARTED, "StreamUrl": ""}, "StreamUrl", id="an empty StreamUrl"),
        pytest.param({**STARTED, "StreamUrl": None}, "StreamUrl", id="null"),
        pytest.param({**STARTED, "StreamUrl": [TOKEN]}, "StreamUrl", id="a list"),
    ],
)
def test_terminates_session_that_plugin_cannot_open(answer: object, lacks: str) -> None:
    wire = Wire(answer, {"SessionId": SESSION_ID})

    with pytest.raises(GateError, match=f"answer lacks {lacks}$") as raised:
        start_session(wire.client, Permit(REQUEST))

    assert wire.sent[1:] == [("TerminateSession", {"SessionId": SESSION_ID})]
    assert raised.value.notes == ("the session was terminated",)
    assert TOKEN not in str(raised.value)


def test_reports_failed_termination_of_unusable_session() -> None:
    wire = Wire(without("TokenValue"), refused("AccessDeniedException", "may not"))

    with pytest.raises(GateError) as raised:
        start_session(wire.client, Permit(REQUEST))

    (note,) = raised.value.notes
    assert note.startswith("terminating it failed: ")
    assert note.endswith("may not")


def test_terminates_nothing_without_session_id() -> None:
    wire = Wire(without("SessionId"))

    with pytest.raises(GateError, match="answer lacks SessionId") as raised:
        start_session(wire.client, Permit(REQUEST))

    assert wire.operations == ["StartSession"]
    assert raised.value.notes == ("no session was named to terminate",)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((500, STARTED), id="a session and an error at once"),
        pytest.param((200, [TOKEN]), id="a list"),
        pytest.param((200, json.dumps(STARTED).encode()[:-5]), id="truncated"),
        pytest.param((400, f"<html>{TOKEN} TokenValue</html>".encode()), id="no JSON"),
        pytest.param((200, TOKEN.encode() + b"\xff"), id="no text"),
    ],
)
def test_errors_do_not_show_token(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(*[answer] * 5)
    caplog.set_level(logging.DEBUG)

    with pytest.raises(GateError) as raised:
        start_session(wire.client, Permit(REQUEST))

    shown = raised.value
    assert TOKEN not in f"{shown} {shown.notes} {shown.hints} {shown.__cause__} {caplog.text}"
    assert shown.__suppress_context__ or TOKEN not in str(shown.__context__)
    assert logging.root.manager.disable == logging.NOTSET


# TerminateSession.


def test_terminates_session() -> None:
    wire = Wire({"SessionId": SESSION_ID})

    assert terminate_session(wire.client, SESSION_ID) is None
    assert wire.sent == [("TerminateSession", {"SessionId": SESSION_ID})]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param([refused("AccessDeniedException", "may not")], "may not", id="refused"),
        pytest.param([closed()] * 9, "Connection was closed", id="closed"),
        pytest.param([(200, b"[1]")], "its answer cannot be read", id="another shape"),
    ],
)
def test_reports_failed_termination(answers: list[object], why: str) -> None:
    assert why in str(terminate_session(Wire(*answers).client, SESSION_ID))


def test_limits_time_of_termination(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(module, "TERMINATE_SECONDS", 0.05)
    wire = Wire()
    wire.client.meta.events.register_first("before-send.ssm", lambda **_: time.sleep(30))

    assert terminate_session(wire.client, SESSION_ID) == "no answer within 0.05 s"
