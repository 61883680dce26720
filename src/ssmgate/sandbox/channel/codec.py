"""The frames of the data channel's messages, to bytes and back. Pure.

The layout, the names and the numbers are those of session-manager-plugin's public source
(src/message, src/service, src/config), https://github.com/aws/session-manager-plugin.

A message is a header of 116 bytes, four bytes of payload length, and the payload; integers are
big-endian:

    header length 4 | type 32, padded with spaces | schema version 4 | created, ms 8 |
    sequence number 8 | flags 8 | id 16, its low half first | SHA-256 of the payload 32 |
    payload type 4 | payload length 4 | payload
"""

from __future__ import annotations

import enum
import hashlib
import struct
import uuid
from dataclasses import dataclass, field

_HEADER = struct.Struct(">I32sIQqQ8s8s32sII")
_HEADER_LENGTH = 116
SCHEMA_VERSION = 1

SYN, FIN = 1, 2
"""The bits of `flags`: the first and the last message of a sequence."""


class CodecError(ValueError):
    """Not a message, or not the content that its kind has."""


class MessageType(enum.StrEnum):
    """What a message is for, in the words of its header."""

    INPUT_STREAM_DATA = "input_stream_data"
    OUTPUT_STREAM_DATA = "output_stream_data"
    ACKNOWLEDGE = "acknowledge"
    CHANNEL_CLOSED = "channel_closed"
    START_PUBLICATION = "start_publication"
    PAUSE_PUBLICATION = "pause_publication"


_TYPES = {str(kind).ljust(32).encode(): kind for kind in MessageType}
_NAMES = {kind: name for name, kind in _TYPES.items()}


class PayloadType(enum.IntEnum):
    """What a stream message carries. The agent knows more of them than are sent here."""

    NONE = 0
    OUTPUT = 1
    ERROR = 2
    SIZE = 3
    PARAMETER = 4
    HANDSHAKE_REQUEST = 5
    HANDSHAKE_RESPONSE = 6
    HANDSHAKE_COMPLETE = 7
    ENC_CHALLENGE_REQUEST = 8
    ENC_CHALLENGE_RESPONSE = 9
    FLAG = 10
    STD_ERR = 11
    EXIT_CODE = 12


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """One message. `created` is in milliseconds and not 0; `payload_type` may be unknown."""

    message_type: MessageType
    sequence_number: int
    payload_type: int
    payload: bytes
    created: int
    flags: int = 0
    message_id: uuid.UUID = field(default_factory=uuid.uuid4)


def encode(message: AgentMessage) -> bytes:
    """`message` as one frame. Its numbers must fit their fields."""
    payload, identity = message.payload, message.message_id.bytes
    return (
        _HEADER.pack(
            _HEADER_LENGTH,
            _NAMES[message.message_type],
            SCHEMA_VERSION,
            message.created,
            message.sequence_number,
            message.flags,
            identity[8:],
            identity[:8],
            hashlib.sha256(payload).digest(),
            message.payload_type,
            len(payload),
        )
        + payload
    )


def decode(frame: bytes) -> AgentMessage:
    """The message in `frame`: `encode(decode(frame)) == frame`, or `CodecError`.

    Within one field, a change of the creation date, the sequence number, the flags, the id or
    the payload's type is not seen, as it makes another message; of any other, the payload among
    them, it is an error, as is any other length. So are a date of 0 and a negative number.
    """
    if len(frame) < _HEADER.size:
        raise CodecError(f"{len(frame)} bytes are no message")
    (
        header_length, name, schema_version, created, sequence_number, flags,
        low, high, digest, payload_type, payload_length,
    ) = _HEADER.unpack_from(frame)  # fmt: skip
    if header_length != _HEADER_LENGTH:
        raise CodecError(f"a header of {header_length} bytes")
    message_type = _TYPES.get(name)
    if message_type is None:
        raise CodecError(f"message type {name!r}")
    if schema_version != SCHEMA_VERSION:
        raise CodecError(f"schema version {schema_version}")
    if created == 0:
        raise CodecError("no creation date")
    if sequence_number < 0:
        raise CodecError(f"sequence number {sequence_number}")
    payload = bytes(memoryview(frame)[_HEADER.size :])
    if len(payload) != payload_length:
        raise CodecError(f"a payload of {len(payload)} bytes, not {payload_length}")
    if hashlib.sha256(payload).digest() != digest:
        raise CodecError("the payload's digest is another")
    return AgentMessage(
        message_type,
        sequence_number,
        payload_type,
        payload,
        created,
        flags,
        uuid.UUID(bytes=high + low),
    )
