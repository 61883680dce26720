"""Order the messages of a channel: numbers, acknowledgement, resending. No I/O and no clock.

Each direction counts from 0. An unacknowledged message is sent again, the oldest first. An early
message waits for those before it. A duplicate is acknowledged again. All of this is as in
session-manager-plugin's src/datachannel, except for duplicates and `WINDOW`, which it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssmgate.sandbox.channel.codec import AgentMessage, MessageType, encode

PAYLOAD_BYTES = 16384
"""The largest payload sent. The real plugin and agent accept more, and send 1024 bytes."""
WINDOW = 128
"""How many messages may be unacknowledged before the sender waits."""
RESEND_SECONDS = 0.2
TICK_SECONDS = 0.1
_MAX_EARLY = 10000
_AT_ONCE = float("-inf")


@dataclass(slots=True)
class _Sent:
    frame: bytes
    sent: float


class Outgoing:
    """The messages of one type that this end sends."""

    def __init__(self, message_type: MessageType) -> None:
        self._type = message_type
        self._next = 0
        self._unacknowledged: dict[int, _Sent] = {}

    @property
    def has_room(self) -> bool:
        """Return whether another message may be sent now. `add` does not check this."""
        return len(self._unacknowledged) < WINDOW

    @property
    def all_acknowledged(self) -> bool:
        """Return whether every message was acknowledged."""
        return not self._unacknowledged

    @property
    def latest(self) -> int:
        """Return the sequence number of the last message, -1 before the first."""
        return self._next - 1

    def add(self, payload_type: int, payload: bytes, now: float) -> bytes:
        """Return the frame of a new message, to be sent now. `now` is the wall clock in seconds."""
        frame = encode(
            AgentMessage(self._type, self._next, payload_type, payload, milliseconds(now))
        )
        self._unacknowledged[self._next] = _Sent(frame, now)
        self._next += 1
        return frame

    def acknowledge(self, sequence_number: int) -> None:
        """Note the acknowledgement of a message. An unknown number is ignored."""
        self._unacknowledged.pop(sequence_number, None)

    def is_unacknowledged(self, sequence_number: int) -> bool:
        """Return whether that message was sent and not yet acknowledged."""
        return sequence_number in self._unacknowledged

    def send_again(self) -> None:
        """Make all unacknowledged messages overdue, because the connection is another one."""
        for sent in self._unacknowledged.values():
            sent.sent = _AT_ONCE

    def overdue(self, now: float) -> bytes | None:
        """Return the frame of the oldest message if it has to be sent again now, else None."""
        waiting = list(self._unacknowledged.values())
        # After a reconnection, each of them is sent once before the oldest is sent again.
        oldest = next((sent for sent in waiting if sent.sent == _AT_ONCE), None)
        oldest = oldest or next(iter(waiting), None)
        if oldest is None or now - oldest.sent < RESEND_SECONDS:
            return None
        oldest.sent = now
        return oldest.frame


@dataclass(frozen=True, slots=True)
class Delivery:
    """The messages that are deliverable after one has arrived.

    `ready` are to be processed in this order, and each acknowledged after that. `duplicate` was
    processed before and is to be acknowledged at once.
    """

    ready: tuple[AgentMessage, ...] = ()
    duplicate: AgentMessage | None = None


class Incoming:
    """The messages from the other end, in order."""

    def __init__(self) -> None:
        self._expected = 0
        self._early: dict[int, AgentMessage] = {}

    def take(self, message: AgentMessage) -> Delivery:
        """Return what `message` makes deliverable. Early ones beyond `_MAX_EARLY` are dropped."""
        if message.sequence_number < self._expected:
            return Delivery(duplicate=message)
        if message.sequence_number > self._expected:
            if len(self._early) < _MAX_EARLY:
                self._early[message.sequence_number] = message
            return Delivery()
        ready = [message]
        self._expected += 1
        while (following := self._early.pop(self._expected, None)) is not None:
            ready.append(following)
            self._expected += 1
        return Delivery(tuple(ready))


def milliseconds(now: float) -> int:
    """Return the creation date for `now`, in seconds, as milliseconds that are never 0."""
    return max(1, int(now * 1000))
