"""Encode and decode the frames of data channel messages. No I/O.

The layout, the names and the numbers are those of session-manager-plugin's public source
(src/message, src/service, src/config), https://github.com/aws/session-manager-plugin.

A message is a header of 116 bytes, four bytes of payload length, and the payload; integers are
big-endian:

    header length 4 | type 32, padded with spaces | schema version 4 | created, ms 8 |
    sequence number 8 | flags 8 | id 16, low half first | SHA-256 of the payload 32 |
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
    """Not a valid message, or not valid content for its type."""


class MessageType(enum.StrEnum):
    """The type of a message, as its header names it."""

    INPUT_STREAM_DATA = "input_stream_data"
    OUTPUT_STREAM_DATA = "output_stream_data"
    ACKNOWLEDGE = "acknowledge"
    CHANNEL_CLOSED = "channel_closed"
    START_PUBLICATION = "start_publication"
    PAUSE_PUBLICATION = "pause_publication"


_TYPES = {str(kind).ljust(32).encode(): kind for kind in MessageType}
_NAMES = {kind: name for name, kind in _TYPES.items()}


class PayloadType(enum.IntEnum):
    """The payload type of a stream message. Not all of them are sent by the sandbox."""

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
    """Return `message` as one frame. Raises struct.error for a number too large for its field."""
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
    """Return the message in `frame`, so that `encode(decode(frame)) == frame`.

    Raises `CodecError` for a changed payload, digest or length, an unknown type or version, a
    creation date of 0 and a negative sequence number. A changed creation date, sequence number,
    flag, ID or payload type is not detected, because the result is another valid message.
    """
    if len(frame) < _HEADER.size:
        raise CodecError(f"malformed message ({len(frame)} bytes)")
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
        raise CodecError("the payload does not match its digest")
    return AgentMessage(
        message_type,
        sequence_number,
        payload_type,
        payload,
        created,
        flags,
        uuid.UUID(bytes=high + low),
    )
