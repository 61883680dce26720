"""Starts that a worker does not make, although the client considered them eligible."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ssmgate.daemon import protocol, worker  # first: it decides whose botocore is seen
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import ConfigurationProblem, FallbackToColdStart, InvalidRequest


def raising(error: BaseException) -> Callable[..., Any]:
    def raise_it(*_: object) -> Any:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("load", "read"),
    [
        pytest.param(lambda _: Config(locked=frozenset({"mode"})), None, id="locked keys"),
        pytest.param(lambda _: Config(daemon="off"), None, id="switched off"),
        pytest.param(raising(ConfigurationProblem("x")), None, id="a wrong configuration"),
        pytest.param(lambda _: Config(), raising(InvalidRequest("x")), id="a wrong line"),
        pytest.param(lambda _: Config(), raising(SystemExit(0)), id="the version"),
        pytest.param(lambda _: Config(), lambda: 0, id="help"),
        pytest.param(lambda _: Config(), object, id="a line that starts nothing"),
    ],
)
def test_falls_back_to_cold_start(
    monkeypatch: pytest.MonkeyPatch, load: Any, read: Callable[[], Any] | None
) -> None:
    monkeypatch.setattr(configuration, "load", load)

    with pytest.raises(FallbackToColdStart):
        # Without a line to read it is not read: what reads one would fail the test.
        worker._begun(read or raising(AssertionError()), {})


@pytest.mark.parametrize(
    ("named", "number"),
    [
        pytest.param(False, signal.SIGHUP, id="no session yet"),
        pytest.param(True, None, id="the client knows the session"),
    ],
)
def test_signal_of_client_ends_no_worker_with_named_session(
    monkeypatch: pytest.MonkeyPatch, named: bool, number: int | None
) -> None:
    """The session is handed over or terminated, and the client gets the last message."""
    delivered: list[int] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda _, each: delivered.append(each))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = worker._Client(ours)
        if named:
            client.name_session("alice-0123456789abcdef0")
        client.listen()
        theirs.sendall(protocol.packed(protocol.SIGNAL, [str(int(signal.SIGHUP))]))
        assert client._next(20) == (protocol.SIGNAL, [[str(int(signal.SIGHUP))]])
        theirs.shutdown(socket.SHUT_WR)
        assert client._next(20)[0] == worker._CLOSED  # what came before was handled

    assert delivered[:1] == ([] if number is None else [number])
