"""The agent over its real websocket: tokens, invalid data, order, and commands on the node."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from fakes.agents import FORWARD, Running
from fakes.channel_client import Client, connected
from fakes.processes import is_running
from fakes.waiting import until
from ssmgate.sandbox.agent.server import TERMINATED
from ssmgate.sandbox.channel import codec, payloads
from ssmgate.sandbox.channel.codec import AgentMessage, MessageType, PayloadType
from ssmgate.sandbox.channel.payloads import Flag, SessionType, Size
from ssmgate.sandbox.channel.sequence import WINDOW

# A shell


def test_shell_session_starts_and_ends(running: Running) -> None:
    client = Client.open(running.start())
    request = client.shake_hands()
    assert (request.session_type, request.properties) == (SessionType.STANDARD_STREAM, {})
    client.send(b"echo a-$((1 + 1)); tty\r")
    client.until_output(b"a-2\r\n/dev/")
    client.send(b"exit\r")
    assert client.until_closed() == ""
    until(lambda: running.open == [])


def test_terminal_has_requested_size(running: Running) -> None:
    client = running.client()
    client.send(Size(71, 33).payload(), PayloadType.SIZE)
    client.send(b"stty size\r")
    client.until_output(b"33 71")
    assert client.output.count(b"33 71") == 1


def test_ctrl_c_ends_running_command(running: Running) -> None:
    client = running.client()
    # It says so itself: a signal just before it runs is the shell's, which waits for it then.
    client.send(b"sh -c 'echo be\"\"gun; exec sleep 1000'; echo en''ded=$?\r")
    client.until_output(b"begun")
    client.send(b"\x03")
    client.send(b"echo st=$?\r")
    client.until_output(b"st=130")
    assert b"ended=" not in client.output


def test_large_output_waits_for_client(running: Running) -> None:
    client = running.client()
    client.send(b"stty -onlcr; head -c 2000000 /dev/zero | tr '\\0' x; echo; echo de''ne\r")
    under_way: dict[int, AgentMessage] = {}
    # Nothing is acknowledged: the agent stops by itself, and begins to repeat the oldest.
    while (message := client.receive()).sequence_number not in under_way or (
        message.message_type is not MessageType.OUTPUT_STREAM_DATA
    ):
        if message.message_type is MessageType.OUTPUT_STREAM_DATA:
            under_way[message.sequence_number] = message
    assert len(under_way) <= WINDOW
    for number, waiting in under_way.items():
        client.acknowledge(waiting)
        client.seen.add(number)
        client.output += waiting.payload
    client.until_output(b"dene")
    assert client.output.count(b"x") >= 2_000_000


def test_slow_client_loses_no_output(running: Running) -> None:
    """The plugin drops data that comes before it is ready, and does not acknowledge it."""
    client = running.client("AWS-StartNonInteractiveCommand", command="echo once")
    ignored = 0
    while ignored < 3:
        message = client.receive()
        if message.payload_type == PayloadType.OUTPUT:
            assert message.payload == b"once\n"
            ignored += 1
        elif message.message_type is MessageType.OUTPUT_STREAM_DATA:
            client.acknowledge(message)
    client.until_output(b"once")
    assert client.until_closed() == ""


# Commands


def test_runs_command_on_terminal(running: Running) -> None:
    client = running.client("AWS-StartInteractiveCommand", command="test -t 0 && echo terminal")
    client.until_output(b"terminal\r\n")
    assert client.until_closed() == ""


def test_runs_command_without_terminal(running: Running) -> None:
    command = "test -t 0 || echo none; echo error >&2"
    client = running.client("AWS-StartNonInteractiveCommand", command=command)
    assert client.until_closed() == ""
    assert client.output == b"none\nerror\n"


def test_ctrl_c_ends_command_without_terminal(running: Running) -> None:
    client = running.client("AWS-StartNonInteractiveCommand", command="echo on; exec sleep 1000")
    client.until_output(b"on")
    client.send(b"\x03")
    assert client.until_closed() == ""


def test_document_without_commands_closes_session(running: Running) -> None:
    client = Client.open(running.start("AWS-PasswordReset", username="x"))
    assert client.until_closed() == "the document has no commands for Linux"
    until(lambda: running.open == [])


# Ports


def test_stream_ends_with_its_connection(running: Running) -> None:
    client = running.client("AWS-StartSSHSession", portNumber="7")
    data = os.urandom(100_000)
    for start in range(0, len(data), 1024):
        client.send(data[start : start + 1024])
    client.until(lambda: len(client.output) == len(data))
    assert client.output == data
    client.send(b"bye")
    assert client.until_closed() == ""


def test_forwarded_port_outlives_its_connections(running: Running) -> None:
    client = running.client(FORWARD, portNumber="7")
    for end in (b"bye", None):
        client.send(b"to the node")
        client.until(lambda: client.output == b"to the node")
        client.output.clear()
        if end is None:
            client.send(payloads.flag_payload(Flag.DISCONNECT_TO_PORT), PayloadType.FLAG)
        else:
            client.send(end)
            time.sleep(0.2)  # else what follows is still the old connection's
    client.send(b"again")
    client.until_output(b"again")
    client.send(payloads.flag_payload(Flag.TERMINATE_SESSION), PayloadType.FLAG)
    assert client.until_closed() == ""
    until(lambda: running.open == [])


def test_reports_closed_port(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    client = running.client(FORWARD, portNumber=port)
    assert client.until_closed().startswith(f"Unable to connect to specified port: {port} of")


# Who may open a channel


def test_only_own_unused_token_opens_channel(running: Running) -> None:
    mine, other = running.start(), running.start()
    for token in ("", "x", mine["TokenValue"] + "x", other["TokenValue"]):
        assert Client.open(mine, token).until_closed() == "the token is not this session's"
    client = Client.open(mine)
    client.shake_hands()
    assert Client.open(mine).until_closed() == "the token has been used"
    client.send(b"echo st''ill\r")
    client.until_output(b"still")
    # The foreign one was not used up.
    Client.open(other).shake_hands()


def test_ended_session_cannot_be_joined(running: Running) -> None:
    started = running.start()
    running.terminate(started)
    assert Client.open(started).until_closed() == "there is no such session"
    unknown = {**started, "StreamUrl": started["StreamUrl"].replace("root-", "root-x")}
    assert Client.open(unknown).until_closed() == "there is no such session"


def test_log_contains_no_token(running: Running) -> None:
    started = running.start()
    Client.open(started, "wrong-token").until_closed()
    client = Client.open(started)
    client.shake_hands()
    client.wire.close()
    until(lambda: running.open == [])
    assert running.log
    log = "\n".join(running.log)
    assert started["TokenValue"] not in log
    assert "wrong-token" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a moment")
def test_rejects_process_of_another_user(running: Running) -> None:
    started = running.start()
    code = (
        "import os, socket, sys, urllib.parse\n"
        "from websockets.sync.client import connect\n"
        "to = urllib.parse.urlsplit(sys.argv[1])\n"
        # A connection is whose it was made by.
        "os.seteuid(65534); sock = socket.socket(); os.seteuid(0)\n"
        "sock.connect((to.hostname, to.port))\n"
        "with connect(sys.argv[1], sock=sock, proxy=None) as wire:\n"
        "    print(wire.recv(timeout=20))\n"  # it is rejected before it sends anything
    )
    result = subprocess.run(
        [sys.executable, "-c", code, started["StreamUrl"]],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "the process is of another user" in result.stdout
    Client.open(started).shake_hands()


def test_rejects_web_page(running: Running) -> None:
    started = running.start()
    with pytest.raises(InvalidStatus, match="403"):
        connect(started["StreamUrl"], origin=Origin("http://127.0.0.1"), proxy=None).__enter__()
    Client.open(started).shake_hands()


# Junk

FIRSTS = [b"", b"\0" * 200, "", "[]", "{}", '{"TokenValue": null}', "x" * 100_000, b"\xff" * 100]


@pytest.mark.parametrize("first", FIRSTS, ids=range(len(FIRSTS)))
def test_rejects_invalid_first_frame(running: Running, first: str | bytes) -> None:
    started = running.start()
    wire = connected(started["StreamUrl"])
    wire.send(first)
    assert Client(wire).until_closed().startswith("not OpenDataChannel")
    Client.open(started).shake_hands()


def test_ignores_junk_in_session(running: Running) -> None:
    client = running.client()
    good = codec.encode(AgentMessage(MessageType.INPUT_STREAM_DATA, 1, 1, b"echo bad\r", 1))
    for junk in (
        b"",
        b"\0" * 119,
        b"\0" * 120,
        os.urandom(500),
        good[:-1],
        good + b"x",
        good.replace(b"bad", b"BAD"),
        good.replace(b"input_stream", b"imput_stream"),
        "text",
        "{}",
    ):
        client.wire.send(junk)
    for kind in MessageType:
        if kind is not MessageType.INPUT_STREAM_DATA:
            client.wire.send(codec.encode(AgentMessage(kind, 1, 0, b"[1", 1)))
    client.send(b"{", PayloadType.SIZE)
    client.send(b"1", PayloadType.FLAG)
    client.send(b"what", 4711)
    client.send(b"echo st''ill\r")
    client.until_output(b"still")
    assert b"bad" not in client.output.lower()


def test_handles_duplicate_and_reordered_messages(running: Running) -> None:
    client = running.client()
    first, second, third = (client.frame(part) for part in (b"echo ", b"o''ne", b"\r"))
    for frame in (third, second, second, first, first, third):
        client.wire.send(frame)
    client.until_output(b"one\r\n")
    client.send(b"echo t''wo\r")
    client.until_output(b"two")
    assert client.output.count(b"one\r\n") == 1


def test_acknowledges_repeated_messages_again(running: Running) -> None:
    client = running.client()
    frame = client.frame(b"#")
    for _ in range(2):
        client.wire.send(frame)
    count = 0
    while count < 2:
        message = client.receive()
        if message.message_type is MessageType.ACKNOWLEDGE:
            count += payloads.acknowledged(message.payload) == 1
    assert count == 2


def test_survives_invalid_clients(running: Running) -> None:
    started = running.start()
    host, port = running.sessions.stream_host.split(":")
    for junk in (b"", b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)):
        with socket.create_connection((host, int(port)), 5) as stranger:
            stranger.sendall(junk)
    wire = connected(started["StreamUrl"])
    wire.send(b"x" * 1_000_000)
    request = Client.open(started).shake_hands()
    assert request.session_type == SessionType.STANDARD_STREAM


def test_declined_handshake_closes_session(running: Running) -> None:
    client = Client.open(running.start())
    client.shake_hands("cannot", "will not")
    assert client.until_closed() == "cannot; will not"


# The end


JOBS = (
    b"(trap '' HUP TERM; while :; do sleep 1000; done) & one=$!;"
    b" sleep 1000 & two=$!; nohup sleep 1000 >/dev/null 2>&1 & three=$!;"
)


def processes(client: Client) -> list[int]:
    """Start all kinds of jobs in a shell, one in the foreground; return the ids of the others."""
    client.send(b"stty -echo\r")
    client.send(JOBS + b" echo pids: $$ $one $two $three end; sleep 1000\r")
    client.until_output(b"end\r\n")
    found = re.search(rb"pids: ([0-9\s]+) end", client.output)
    assert found is not None, client.output
    there = [int(number) for number in found[1].split()]
    assert len(there) == 4
    assert all(is_running(process) for process in there)
    return there


@pytest.mark.parametrize("how", ["terminate", "disconnect", "stop"])
def test_ended_session_leaves_no_process(running: Running, how: str) -> None:
    started = running.start()
    client = Client.open(started)
    client.shake_hands()
    left = processes(client)
    if how == "terminate":
        running.terminate(started)
        assert client.until_closed() == TERMINATED
    elif how == "disconnect":
        client.wire.socket.shutdown(socket.SHUT_RDWR)
    else:
        stopping = threading.Thread(target=running.agent.stop)
        stopping.start()
        assert client.until_closed() == "The sandbox has ended."
        stopping.join()
        running.agent.stop = lambda: None  # type: ignore[method-assign]
    until(lambda: not any(is_running(process) for process in left))
    until(lambda: running.open == [])


def test_background_job_does_not_keep_session_open(running: Running) -> None:
    client = running.client()
    client.send(b"yes & sleep 1000 & exit\r")
    assert client.until_closed() == ""
