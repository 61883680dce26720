"""Use a permit: call ssm:StartSession, and ssm:TerminateSession for a session without a plugin."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
)

from ssmgate.gate.decision.decision import Permit
from ssmgate.gate.decision.errors import GateError, ServiceFailed
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.system import signals

TERMINATE_SECONDS = 15
"""How long TerminateSession may take, attempts included."""

_MEMBERS = ("SessionId", "TokenValue", "StreamUrl")

# There was no connection yet. After any other network error it is unknown whether the service
# received the request: a second request might start a second session.
_NOT_RECEIVED = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)

_PERHAPS_STARTED = "AWS may have started a session; the request was not repeated"
_LIST_SESSIONS = "'aws ssm describe-sessions --state Active' lists the sessions"


@frozen
class StartedSession:
    """StartSession's answer to `request`, the request that was sent last.

    The token gives access to the session, so `repr` does not show it.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
    """

    session_id: str
    token_value: str = field(repr=False)
    stream_url: str = field(repr=False)
    request: SessionRequest


def start_session(ssm: Any, permit: Permit) -> StartedSession:
    """Send the permitted request, and no other.

    Just before signing, the serialized body is compared with the permit. If the service denies an
    unnamed default document, the request is sent once more with its name, as accounts with the
    older condition need it; if that fails, the first error is raised.

    Raises `ServiceFailed` if the service answers with an error, `GateError` for anything
    else. A session whose answer lacks what the plugin needs is terminated.
    """
    with _silent():
        try:
            return _send(ssm, permit.request)
        except ServiceFailed as first:
            spelled_out = permit.spelled_out()
            if first.error_code != "AccessDeniedException" or spelled_out is None:
                raise
            try:
                return _send(ssm, spelled_out)
            except GateError as second:
                first.notes += second.notes
                first.hints += second.hints
                raise first from None


def terminate_session(ssm: Any, session_id: str) -> str | None:
    """Terminate a session that no plugin took over. Return why that failed, None if it did not.

    Never raises for an error of the service: it would hide the error before it.
    """
    try:
        with _silent(), signals.time_limit(TERMINATE_SECONDS):
            ssm.terminate_session(SessionId=session_id)
    except (BotoCoreError, ClientError) as error:
        return str(error)
    except signals.TimeLimitExceeded:
        return f"no answer within {TERMINATE_SECONDS} s"
    except Exception as error:  # an answer of another shape than JSON's or the model's
        return f"its answer cannot be read ({type(error).__name__})"
    return None


def _send(ssm: Any, request: SessionRequest) -> StartedSession:
    events = ssm.meta.events
    compare = _comparer(request)
    events.register_last("before-sign.ssm.StartSession", compare)
    events.register_first("needs-retry.ssm.StartSession", _never_twice)
    try:
        answer = ssm.start_session(**request.to_parameters())
    except GateError:
        raise
    except HTTPClientError as error:
        raise GateError(str(error), notes=(_PERHAPS_STARTED,), hints=(_LIST_SESSIONS,)) from error
    except (BotoCoreError, ClientError) as error:
        if "TokenValue" in str(error) or "StreamUrl" in str(error):
            # botocore's message contains a body that is not an AWS error unchanged.
            raise GateError(
                "StartSession returned both a session and an HTTP error",
                notes=(_PERHAPS_STARTED,),
                hints=(_LIST_SESSIONS,),
            ) from None
        from ssmgate.gate.aws import errors

        raise errors.start_failed(error, request) from error
    except Exception as error:  # an answer of another shape than JSON's or the model's
        # From None: a parser's error may quote the answer, and --debug would print it.
        raise GateError(
            f"StartSession's answer cannot be read ({type(error).__name__})",
            notes=(_PERHAPS_STARTED,),
            hints=(_LIST_SESSIONS,),
        ) from None
    finally:
        events.unregister("before-sign.ssm.StartSession", compare)
        events.unregister("needs-retry.ssm.StartSession", _never_twice)
    missing = [name for name in _MEMBERS if not _is_text(answer.get(name))]
    if missing:
        note = "no session was named to terminate"
        if _is_text(answer.get("SessionId")):
            failure = terminate_session(ssm, answer["SessionId"])
            note = f"terminating it failed: {failure}" if failure else "the session was terminated"
        raise GateError(f"StartSession's answer lacks {', '.join(missing)}", notes=(note,))
    return StartedSession(answer["SessionId"], answer["TokenValue"], answer["StreamUrl"], request)


def _comparer(request: SessionRequest) -> Any:
    def compare(request: Any, **_: Any) -> None:
        try:
            sent = _canonical(_parsed(request.data))
        except (AttributeError, ValueError):
            sent = None
        if sent != expected:
            raise GateError("the request changed between the check and the call: not sent")

    expected = _canonical(request.to_parameters())
    return compare


def _canonical(value: object) -> str:
    """Return `value` as JSON, to compare it: for Python, 1, 1.0 and True are equal."""
    return json.dumps(value, sort_keys=True)


def _parsed(body: Any) -> object:
    """Return the JSON value of the bytes `body`. Raises `ValueError` for a duplicate name.

    JSON parsers differ in which of the two they use: https://www.rfc-editor.org/rfc/rfc8259#section-4
    """

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise ValueError("duplicate name")
        return value

    # Not json.loads of the bytes, which would guess the encoding.
    return json.loads(body.decode("utf-8"), object_pairs_hook=members)


def _never_twice(caught_exception: Exception | None = None, **_: Any) -> None:
    if caught_exception is not None and not isinstance(caught_exception, _NOT_RECEIVED):
        raise caught_exception


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


@contextmanager
def _silent() -> Iterator[None]:
    """Prevent libraries from writing to standard error while a session may exist.

    With --debug, botocore and urllib3 log the answer, with the token. With --no-verify-ssl, urllib3
    warns at each request. A full pipe would then keep the session open.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
