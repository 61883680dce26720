"""The order of a channel's messages: numbers, acknowledgement, resending. Pure; time is given.

Each direction counts from 0. A message that is not acknowledged is sent again, the oldest first;
one that comes early waits for those before it; one that comes again is acknowledged again. As in
session-manager-plugin's src/datachannel, but for the last, and for `WINDOW`, which it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssmgate.sandbox.channel.codec import AgentMessage, MessageType, encode

PAYLOAD_BYTES = 16384
"""The most that is put into one message. The real ends take more, and send 1024."""
WINDOW = 128
"""How many messages may be under way before their sender waits."""
RESEND_SECONDS = 0.2
TICK_SECONDS = 0.1
_EARLY = 10000


@dataclass(slots=True)
class _UnderWay:
    frame: bytes
    sent: float


class Outgoing:
    """One end's messages to the other, of one type."""

    def __init__(self, message_type: MessageType) -> None:
        self._type = message_type
        self._next = 0
        self._under_way: dict[int, _UnderWay] = {}

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent now. `add` does not ask."""
        return len(self._under_way) < WINDOW

    @property
    def all_came(self) -> bool:
        """Whether every message was acknowledged."""
        return not self._under_way

    @property
    def latest(self) -> int:
        """The sequence number of the last message, -1 before the first."""
        return self._next - 1

    def add(self, payload_type: int, payload: bytes, now: float) -> bytes:
        """The next message's frame, to be sent now. `now` is seconds of the wall clock."""
        frame = encode(
            AgentMessage(self._type, self._next, payload_type, payload, milliseconds(now))
        )
        self._under_way[self._next] = _UnderWay(frame, now)
        self._next += 1
        return frame

    def came(self, sequence_number: int) -> None:
        """It was acknowledged. A number that is not under way is ignored."""
        self._under_way.pop(sequence_number, None)

    def is_under_way(self, sequence_number: int) -> bool:
        """Whether that message was sent and not acknowledged yet."""
        return sequence_number in self._under_way

    def overdue(self, now: float) -> bytes | None:
        """The oldest message's frame, if it is time to send it again."""
        oldest = next(iter(self._under_way.values()), None)
        if oldest is None or now - oldest.sent < RESEND_SECONDS:
            return None
        oldest.sent = now
        return oldest.frame


@dataclass(frozen=True, slots=True)
class Taken:
    """What a message sets free: `ready` are to be used in this order, each to be acknowledged
    once it is. `again` is one that was used before, to be acknowledged at once."""

    ready: tuple[AgentMessage, ...] = ()
    again: AgentMessage | None = None


class Incoming:
    """The other end's messages, put in order."""

    def __init__(self) -> None:
        self._expected = 0
        self._early: dict[int, AgentMessage] = {}

    def take(self, message: AgentMessage) -> Taken:
        """What `message` sets free. One that comes early waits, and is lost where too many do."""
        if message.sequence_number < self._expected:
            return Taken(again=message)
        if message.sequence_number > self._expected:
            if len(self._early) < _EARLY:
                self._early[message.sequence_number] = message
            return Taken()
        ready = [message]
        self._expected += 1
        while (following := self._early.pop(self._expected, None)) is not None:
            ready.append(following)
            self._expected += 1
        return Taken(tuple(ready))


def milliseconds(now: float) -> int:
    """A creation date."""
    return max(1, int(now * 1000))
