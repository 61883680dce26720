"""Sessions over the agent's websocket that are lost and resumed, and their preferences."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import json
import os
import pwd
import re
import socket
import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from fakes.agents import NODE, REGION, Running, is_there
from fakes.channel_client import Client
from fakes.waiting import until
from ssmgate.sandbox.agent.plan import WorkError
from ssmgate.sandbox.agent.preferred import run_as
from ssmgate.sandbox.agent.server import TERMINATED
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.preferences import Preferences
from ssmgate.sandbox.sessions import SessionDocument

# A lost connection


def lose(client: Client) -> None:
    """End the connection of a client without closing the websocket."""
    client.wire.socket.shutdown(socket.SHUT_RDWR)
    client.wire.close()


def resumed(running: Running, started: dict[str, str], client: Client) -> Client:
    """Return the client with the connection of a resumed session."""
    again = running.sessions.resume({"SessionId": started["SessionId"]}, None, REGION, {})
    return dataclasses.replace(client, wire=Client.open(again).wire)


def status(running: Running, started: dict[str, str]) -> str:
    return running.sessions.opened[started["SessionId"]].status


def test_resumed_session_continues_where_it_was_lost(running: Running) -> None:
    started = running.start()
    client = Client.open(started)
    client.shake_hands()
    client.send(b"x=same; echo pid-$$-\r")
    client.until_output(b"pid-")
    lose(client)
    until(lambda: status(running, started) == "Disconnected")
    client = resumed(running, started, client)
    client.send(b"echo $x-$x\r")
    client.until_output(b"same-same")
    assert status(running, started) == "Connected"
    client.send(b"exit\r")
    assert client.until_closed() == ""
    until(lambda: running.open == [])


def test_resumed_session_ends_its_former_connection(running: Running) -> None:
    started = running.start()
    first = Client.open(started)
    first.shake_hands()
    second = resumed(running, started, first)
    second.send(b"echo a-$((1 + 1))\r")
    second.until_output(b"a-2")
    with pytest.raises(ConnectionClosed):
        first.until(lambda: False)
    running.terminate(started)
    assert second.until_closed() == TERMINATED


def test_output_while_disconnected_arrives_after_resuming(running: Running) -> None:
    started = running.start("AWS-StartNonInteractiveCommand", command="sleep 0.3; seq 1000")
    client = Client.open(started)
    client.shake_hands()
    lose(client)
    client = resumed(running, started, client)
    assert client.until_closed() == ""
    assert bytes(client.output).split() == [str(number).encode() for number in range(1, 1001)]


def test_lost_session_that_is_not_resumed_ends(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssmgate.sandbox.agent.line.RESUME_SECONDS", 0.1)
    started = running.start()
    client = Client.open(started)
    client.shake_hands()
    client.send(b"echo pid $$ e''nd\r")
    client.until_output(b" end\r\n")
    found = re.search(rb"pid (\d+) end", client.output)
    assert found is not None
    lose(client)
    until(lambda: running.open == [])
    until(lambda: not is_there(int(found[1])))
    with pytest.raises(ServiceFault, match="does not exist"):
        resumed(running, started, client)


# Preferences


def preferred(running: Running, **inputs: object) -> dict[str, str]:
    """Start a session of a document with these inputs."""
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}
    own = SessionDocument("Own", "Session", "111122223333", {}, json.dumps(content))
    region = dataclasses.replace(REGION, document=lambda name: own)
    return running.sessions.start({"Target": NODE, "DocumentName": "Own"}, None, region, {})


@pytest.fixture
def short_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmgate.sandbox.agent.preferred._MINUTE", 0.3)


@pytest.mark.usefixtures("short_minutes")
def test_idle_session_times_out(running: Running) -> None:
    client = Client.open(preferred(running, idleSessionTimeout="2"))
    client.shake_hands()
    # Output of the node is not input of the client.
    client.send(b"while echo beat; do sleep 0.05; done\r")
    assert client.until_closed() == "The session has timed out because of inactivity."
    until(lambda: running.open == [])


@pytest.mark.usefixtures("short_minutes")
def test_session_ends_at_maximum_duration_despite_input(running: Running) -> None:
    client = Client.open(preferred(running, idleSessionTimeout="1", maxSessionDuration="3"))
    client.shake_hands()
    stop = threading.Event()

    def type_on() -> None:
        while not stop.wait(0.02):
            with contextlib.suppress(ConnectionClosed):
                client.send(b"\r")

    typing = threading.Thread(target=type_on)
    typing.start()
    try:
        assert client.until_closed() == "The session has reached its maximum duration."
    finally:
        stop.set()
        typing.join()


def test_output_is_logged_in_place_of_s3_and_cloudwatch(running: Running, tmp_path: Path) -> None:
    running.agent.logs = str(tmp_path)
    started = preferred(
        running, s3BucketName="bucket", s3KeyPrefix="a/../b", cloudWatchLogGroupName="/ssm/group"
    )
    client = Client.open(started)
    client.shake_hands()
    client.send(b"echo a-$((1 + 1)); exit\r")
    assert client.until_closed() == ""
    until(lambda: running.open == [])
    name = f"{started['SessionId']}.log"
    logs = [tmp_path / "s3/bucket/a/b" / name, tmp_path / "cloudwatch/ssm/group" / name]
    assert [log.read_bytes() for log in logs] == [bytes(client.output)] * 2
    assert b"a-2" in client.output
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(logs)


def test_log_that_cannot_be_written_ends_session(running: Running, tmp_path: Path) -> None:
    (tmp_path / "s3").write_text("")
    running.agent.logs = str(tmp_path)
    client = Client.open(preferred(running, s3BucketName="bucket"))
    client.shake_hands()
    assert "the session log" in client.until_closed()
    until(lambda: running.open == [])


def test_reports_log_without_directory(running: Running) -> None:
    client = Client.open(preferred(running, s3BucketName="bucket"))
    client.shake_hands()
    client.send(b"exit\r")
    assert client.until_closed() == ""
    assert any("is not logged: start the sandbox with --session-logs" in x for x in running.log)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "please set the RunAs default user"),
        (
            {"runAsDefaultUser": "no-such-user"},
            "failed to start pty since RunAs user no-such-user does not exist",
        ),
        ({"runAsDefaultUser": "root"}, "RunAs user root is not supported by Session Manager"),
    ],
)
def test_session_without_usable_user_is_refused(
    running: Running, inputs: dict[str, object], text: str
) -> None:
    client = Client.open(preferred(running, runAsEnabled="true", **inputs))
    client.shake_hands()
    assert client.until_closed() == text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run programs as another user")
@pytest.mark.parametrize("default", ["daemon", "nobody"])
def test_session_runs_as_default_user_of_preferences(running: Running, default: str) -> None:
    client = Client.open(preferred(running, runAsEnabled=True, runAsDefaultUser=default))
    client.shake_hands()
    client.send(b"echo [$(id -un) $USER $(id -Gn)]; tty >/dev/null && echo on-t''ty\r")
    client.until_output(b"on-tty\r\n")
    groups = " ".join(
        grp.getgrgid(number).gr_name
        for number in os.getgrouplist(default, pwd.getpwnam(default).pw_gid)
    )
    assert f"[{default} {default} {groups}]".encode() in client.output


def test_tag_of_caller_comes_before_default_user() -> None:
    enabled = Preferences(run_as_enabled=True, run_as_default_user="root")
    with pytest.raises(WorkError, match="RunAs user no-such-user does not exist"):
        run_as(enabled, "no-such-user")
    assert run_as(Preferences(run_as_default_user="root"), "no-such-user") is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_running_as_another_user_requires_root(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(WorkError, match="needs a sandbox that root has started"):
        run_as(Preferences(run_as_enabled=True), "nobody")
    monkeypatch.setattr("os.getuid", lambda: nobody.pw_uid)
    assert run_as(Preferences(run_as_enabled=True), "nobody") == nobody
