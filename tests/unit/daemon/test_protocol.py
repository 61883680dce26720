"""The protocol between a start and its daemon: all messages, and invalid ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.processes import forked
from ssmgate.daemon import protocol, requests

Pair = tuple[socket.socket, socket.socket]

# What os.fsdecode makes of a word's or a variable's bytes: all but NUL, in any order.
TEXTS = st.lists(st.binary(max_size=20).map(lambda b: os.fsdecode(b.replace(b"\0", b""))))
LISTS = st.lists(TEXTS, max_size=5)


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    here.settimeout(5)
    there.settimeout(5)
    with here, there:
        yield here, there


@given(LISTS)
def test_receives_messages_as_sent(lists: list[list[str]]) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.sendall(protocol.packed(protocol.REQUEST, *lists))

        assert requests.receive(here) == (protocol.REQUEST, lists)


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param([], id="none"),
        pytest.param([[]], id="an empty one"),
        pytest.param([[""]], id="an empty text"),
        pytest.param([[], [""], [], ["", ""], []], id="empty ones between"),
        pytest.param([["\udcff\udc80=\udcfe"], ["\n", " ", "3 4"]], id="bytes that are not text"),
        pytest.param([["x" * 300_000]], id="a long text"),
    ],
)
def test_lists_keep_their_boundaries(lists: list[list[str]]) -> None:
    assert protocol.unpacked(protocol.packed(protocol.END, *lists)[5:]) == lists


@given(st.lists(LISTS, max_size=4))
def test_messages_keep_their_boundaries(messages: list[list[list[str]]]) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.sendall(b"".join(protocol.packed(protocol.BEAT, *lists) for lists in messages))
        there.shutdown(socket.SHUT_WR)

        assert [requests.receive(here)[1] for _ in messages] == messages
        with pytest.raises(protocol.Gone):
            requests.receive(here)


@pytest.mark.parametrize("text", ["a\0b", "\0", "\0\0"])
def test_rejects_text_with_nul(text: str) -> None:
    message = protocol.packed(protocol.HANDOVER, [text], ["b"])

    with pytest.raises(protocol.Broken):
        protocol.unpacked(message[5:])


@given(st.binary(max_size=200))
def test_junk_is_broken_or_parsed_as_lists(body: bytes) -> None:
    try:
        lists = protocol.unpacked(body)
    except protocol.Broken:
        return
    assert all(isinstance(text, str) for texts in lists for text in texts)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"x", id="no count"),
        pytest.param(b"-1", id="less than none"),
        pytest.param(b"1", id="less than is counted"),
        pytest.param(b"0\0a", id="more than is counted"),
        pytest.param(b"2 -1\0a\0b", id="a count that gives back"),
        pytest.param(b"1 1\0a", id="the second is missing"),
        pytest.param(b"9" * 5000, id="a count of 5000 digits"),
        pytest.param(b"1.0\0a", id="a fraction"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_wrong_count_is_broken(body: bytes) -> None:
    with pytest.raises(protocol.Broken):
        protocol.unpacked(body)


WHOLE = protocol.packed(protocol.HANDOVER, ["/plugin"], ["a", "b"], ["X=1"])


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_truncated_message_is_broken(pair: Pair, size: int) -> None:
    here, there = pair
    there.sendall(WHOLE[:size])
    there.close()

    with pytest.raises(protocol.Broken):
        requests.receive(here)


def test_receives_message_byte_by_byte(pair: Pair) -> None:
    here, there = pair
    for at in range(len(WHOLE)):
        there.sendall(WHOLE[at : at + 1])

    assert requests.receive(here)[1] == [["/plugin"], ["a", "b"], ["X=1"]]


@pytest.mark.parametrize("length", [protocol.LARGEST + 1, 1 << 31, (1 << 32) - 1])
def test_rejects_too_large_message_at_once(pair: Pair, length: int) -> None:
    here, there = pair
    there.sendall(protocol.END + length.to_bytes(4, "big"))

    with pytest.raises(protocol.Broken):
        requests.receive(here)


def test_silence_times_out(pair: Pair) -> None:
    here, there = pair
    here.settimeout(0.05)
    there.sendall(WHOLE[:7])

    with pytest.raises(TimeoutError):
        requests.receive(here)


def test_reset_connection_is_broken_and_not_gone(pair: Pair) -> None:
    """Closed with unread data: that message had no effect."""
    here, there = pair
    here.sendall(protocol.packed(protocol.GO))
    there.close()

    with pytest.raises(protocol.Broken) as caught:
        requests.receive(here)
    assert caught.type is protocol.Broken


# Descriptors.


@pytest.fixture
def noted(pair: Pair) -> Pair:
    """Make the kernel attach the sender's credentials."""
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return pair


@given(LISTS)
def test_receives_descriptors_with_message(lists: list[list[str]]) -> None:
    here, there = socket.socketpair()
    with here, there, open(os.devnull) as one, open(__file__) as other:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        here.settimeout(5)
        numbers = (one.fileno(), other.fileno(), one.fileno())
        protocol.send_with_descriptors(there, protocol.packed(protocol.REQUEST, *lists), numbers)

        kind, received_lists, writer, descriptors = protocol.receive_noted(here, os.getpid(), 3)

        assert (kind, received_lists, writer) == (protocol.REQUEST, lists, os.getpid())
        same = [os.path.sameopenfile(*two) for two in zip(numbers, descriptors, strict=True)]
        assert same == [True] * 3
        assert not any(os.get_inheritable(descriptor) for descriptor in descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 8, 20])
def test_wrong_number_of_descriptors_is_broken(noted: Pair, count: int) -> None:
    here, there = noted
    with open(os.devnull) as nothing:
        numbers = [nothing.fileno()] * count
        if numbers:
            protocol.send_with_descriptors(there, WHOLE, numbers)
        else:
            there.sendall(WHOLE)

        with pytest.raises(protocol.Broken):
            protocol.receive_noted(here, os.getpid(), 3)


def test_large_message_with_descriptors_arrives_whole(noted: Pair) -> None:
    here, there = noted
    message = protocol.packed(protocol.REQUEST, ["x" * 3_000_000])
    child = os.fork()
    if not child:
        try:
            protocol.send_with_descriptors(there, message, (0, 0, 0))
        finally:
            os._exit(0)

    _, lists, _, descriptors = protocol.receive_noted(here, child, 3)

    os.waitpid(child, 0)
    for descriptor in descriptors:
        os.close(descriptor)
    assert lists == [["x" * 3_000_000]]


def test_message_sent_at_once_is_not_sent_again() -> None:
    class Closes(socket.socket):
        def sendmsg(self, *arguments: object) -> int:
            sent = super().sendmsg(*arguments)
            here.close()
            return sent

    here, there = socket.socketpair()
    with Closes(fileno=there.detach()) as there:
        protocol.send_with_descriptors(there, WHOLE, (0, 0, 0))

    assert here.fileno() == -1  # a second part would have raised an error


@pytest.mark.parametrize("at", [1, 5, 6, len(WHOLE) - 1])
def test_rejects_message_of_several_processes(noted: Pair, at: int) -> None:
    """The first part is of this process, the rest of a process that shares the socket."""
    here, there = noted
    protocol.send_with_descriptors(there, WHOLE[:at], (0, 0, 0))
    os.waitpid(forked(lambda: there.sendall(WHOLE[at:])), 0)

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here, os.getpid(), 3)


def test_rejects_descriptors_after_first_part(noted: Pair) -> None:
    here, there = noted
    protocol.send_with_descriptors(there, WHOLE[:7], (0, 0, 0))
    protocol.send_with_descriptors(there, WHOLE[7:], (0,))

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here, os.getpid(), 3)


@pytest.mark.parametrize("count", [0, 3])
def test_message_without_sender_credentials_is_broken(pair: Pair, count: int) -> None:
    here, there = pair
    protocol.send_with_descriptors(there, WHOLE, (0,) * count)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here, count=count)


@pytest.mark.parametrize("at", [1, 5, 6, len(WHOLE) - 1])
def test_message_of_two_processes_is_broken(noted: Pair, at: int) -> None:
    here, there = noted
    there.sendall(WHOLE[:at])
    os.waitpid(forked(lambda: there.sendall(WHOLE[at:])), 0)

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here)


@pytest.mark.parametrize(("first", "last"), [(1, 5), (5, 7), (6, 9)])
def test_part_of_another_process_is_broken(noted: Pair, first: int, last: int) -> None:
    here, there = noted
    there.sendall(WHOLE[:first])
    child = os.fork()
    if not child:
        try:
            there.sendall(WHOLE[first:last])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    there.sendall(WHOLE[last:])

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here)


def test_knows_sender_of_message(noted: Pair) -> None:
    here, there = noted
    child = os.fork()
    if not child:
        try:
            there.sendall(WHOLE)
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert protocol.receive_noted(here)[2] == child


def test_creates_no_unexpected_descriptors(noted: Pair) -> None:
    here, there = noted
    before = set(os.listdir("/proc/self/fd"))
    protocol.send_with_descriptors(there, WHOLE, (0, 0, 0))

    with pytest.raises(protocol.Broken):
        protocol.receive_noted(here)
    assert set(os.listdir("/proc/self/fd")) <= before
