"""The order of a channel: lost, duplicate and reordered messages all arrive once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmgate.sandbox.channel.codec import AgentMessage, MessageType, PayloadType, decode
from ssmgate.sandbox.channel.sequence import RESEND_SECONDS, WINDOW, Incoming, Outgoing


def outgoing(count: int) -> tuple[Outgoing, list[bytes]]:
    sending = Outgoing(MessageType.INPUT_STREAM_DATA)
    return sending, [sending.add(PayloadType.OUTPUT, bytes((n,)), 100.0) for n in range(count)]


def test_sequence_numbers_begin_at_zero() -> None:
    sending, frames = outgoing(3)
    assert [decode(frame).sequence_number for frame in frames] == [0, 1, 2]
    assert sending.latest == 2


def test_window_closes_and_opens() -> None:
    sending, _ = outgoing(WINDOW)
    assert not sending.has_room
    sending.acknowledge(5)
    assert sending.has_room
    assert not sending.is_unacknowledged(5)
    assert sending.is_unacknowledged(6)


def test_resends_oldest_until_acknowledged() -> None:
    sending, frames = outgoing(2)
    assert sending.overdue(100.0) is None
    assert sending.overdue(100.0 + RESEND_SECONDS) == frames[0]
    assert sending.overdue(100.0 + RESEND_SECONDS) is None, "just sent again"
    sending.acknowledge(0)
    assert sending.overdue(101.0) == frames[1]
    sending.acknowledge(1)
    sending.acknowledge(77)
    assert sending.overdue(200.0) is None
    assert sending.all_acknowledged


@given(st.integers(1, 12), st.data())
def test_unreliable_transport_changes_nothing(count: int, data: st.DataObject) -> None:
    """Any order and any duplicates; then the sender resends what was lost."""
    sending, frames = outgoing(count)
    receiving = Incoming()
    got: list[AgentMessage] = []

    def arrive(frame: bytes) -> None:
        taken = receiving.take(decode(frame))
        got.extend(taken.ready)
        for message in taken.ready:
            sending.acknowledge(message.sequence_number)
        if taken.duplicate is not None:
            sending.acknowledge(taken.duplicate.sequence_number)

    for index in data.draw(st.lists(st.integers(0, count - 1), max_size=40)):
        arrive(frames[index])
    now = 100.0
    for _ in range(count + 1):
        now += RESEND_SECONDS
        if (frame := sending.overdue(now)) is not None:
            arrive(frame)

    assert sending.all_acknowledged
    assert [message.payload for message in got] == [bytes((n,)) for n in range(count)]


def test_duplicate_is_acknowledged_and_not_delivered_again() -> None:
    _, frames = outgoing(1)
    receiving = Incoming()
    assert len(receiving.take(decode(frames[0])).ready) == 1
    taken = receiving.take(decode(frames[0]))
    assert (taken.ready, taken.duplicate) == ((), decode(frames[0]))
