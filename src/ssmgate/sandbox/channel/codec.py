"""The data channel's messages, to bytes and back. Pure.

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
import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_HEADER = struct.Struct(">I32sIQqQ8s8s32sII")
_HEADER_LENGTH = 116
_SCHEMA_VERSION = 1

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


class Flag(enum.IntEnum):
    """The content of a FLAG payload."""

    DISCONNECT_TO_PORT = 1
    TERMINATE_SESSION = 2
    CONNECT_TO_PORT_ERROR = 3


class SessionType(enum.StrEnum):
    """The `sessionType` of a session document."""

    STANDARD_STREAM = "Standard_Stream"
    INTERACTIVE_COMMANDS = "InteractiveCommands"
    NON_INTERACTIVE_COMMANDS = "NonInteractiveCommands"
    PORT = "Port"


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
            _SCHEMA_VERSION,
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
    if schema_version != _SCHEMA_VERSION:
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


# What is inside


@dataclass(frozen=True, slots=True)
class OpenDataChannel:
    """The first thing that a client says, in a text frame of its own."""

    token_value: str = field(repr=False)
    client_id: str
    client_version: str

    def text(self) -> str:
        """The text frame."""
        return json.dumps(
            {
                "MessageSchemaVersion": "1.0",
                "RequestId": str(uuid.uuid4()),
                "TokenValue": self.token_value,
                "ClientId": self.client_id,
                "ClientVersion": self.client_version,
            }
        )

    @classmethod
    def read(cls, text: str | bytes) -> OpenDataChannel:
        """Raises `CodecError`."""
        told = _object(text)
        return cls(_text(told, "TokenValue"), _text(told, "ClientId"), _text(told, "ClientVersion"))


def acknowledge(message: AgentMessage, created: int) -> bytes:
    """The frame that tells the sender of `message` that it has come."""
    content = {
        "AcknowledgedMessageType": message.message_type,
        "AcknowledgedMessageId": str(message.message_id),
        "AcknowledgedMessageSequenceNumber": message.sequence_number,
        "IsSequentialMessage": True,
    }
    return encode(
        AgentMessage(
            MessageType.ACKNOWLEDGE, 0, PayloadType.NONE, _json(content), created, SYN | FIN
        )
    )


def acknowledged(payload: bytes) -> int:
    """The sequence number that an acknowledgement is about. Raises `CodecError`."""
    return _number(_object(payload), "AcknowledgedMessageSequenceNumber")


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """What the agent asks of the client. Encryption by KMS is not among what can be written."""

    agent_version: str
    session_type: str
    properties: Mapping[str, Any]

    def payload(self) -> bytes:
        """The content of a HANDSHAKE_REQUEST."""
        action = {
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": self.session_type, "Properties": self.properties},
        }
        return _json({"AgentVersion": self.agent_version, "RequestedClientActions": [action]})

    @classmethod
    def read(cls, payload: bytes) -> HandshakeRequest:
        """Raises `CodecError` also where another action, such as KMSEncryption, is asked for."""
        told = _object(payload)
        actions = told.get("RequestedClientActions")
        if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
            raise CodecError("not one RequestedClientAction")
        if actions[0].get("ActionType") != "SessionType":
            raise CodecError(f"Unsupported action {actions[0].get('ActionType')}")
        asked = _table(actions[0], "ActionParameters")
        properties = asked.get("Properties")
        if properties is not None and not isinstance(properties, dict):
            raise CodecError("Properties is no object")
        return cls(_text(told, "AgentVersion"), _text(asked, "SessionType"), properties or {})


@dataclass(frozen=True, slots=True)
class HandshakeResponse:
    """What the client makes of it: `errors` is empty if it can do what is asked."""

    client_version: str
    errors: tuple[str, ...] = ()

    def payload(self) -> bytes:
        """The content of a HANDSHAKE_RESPONSE."""
        action = {
            "ActionType": "SessionType",
            "ActionStatus": 2 if self.errors else 1,
            "ActionResult": None,
            "Error": "; ".join(self.errors),
        }
        return _json(
            {
                "ClientVersion": self.client_version,
                "ProcessedClientActions": [action],
                "Errors": list(self.errors) or None,
            }
        )

    @classmethod
    def read(cls, payload: bytes) -> HandshakeResponse:
        """Raises `CodecError`."""
        told = _object(payload)
        errors = told.get("Errors") or []
        if not isinstance(errors, list):
            raise CodecError("Errors is no list")
        return cls(_text(told, "ClientVersion"), tuple(str(error) for error in errors))


@dataclass(frozen=True, slots=True)
class HandshakeComplete:
    """The client may begin. `seconds` is how long the handshake took."""

    seconds: float
    customer_message: str = ""

    def payload(self) -> bytes:
        """The content of a HANDSHAKE_COMPLETE."""
        return _json(
            {
                "HandshakeTimeToComplete": int(self.seconds * 1e9),
                "CustomerMessage": self.customer_message,
            }
        )

    @classmethod
    def read(cls, payload: bytes) -> HandshakeComplete:
        """Raises `CodecError`."""
        told = _object(payload)
        took = _number(told, "HandshakeTimeToComplete") / 1e9
        message = told.get("CustomerMessage") or ""
        return cls(took, str(message))


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The session is over. `output` says why, and is empty for an ordinary end."""

    session_id: str
    destination_id: str
    output: str

    def frame(self, created: int) -> bytes:
        """The binary frame. `created` is milliseconds since 1970."""
        identity = uuid.uuid4()
        content = {
            "MessageId": str(identity),
            "CreatedDate": str(created),
            "DestinationId": self.destination_id,
            "SessionId": self.session_id,
            "MessageType": MessageType.CHANNEL_CLOSED,
            "SchemaVersion": _SCHEMA_VERSION,
            "Output": self.output,
        }
        return encode(
            AgentMessage(
                MessageType.CHANNEL_CLOSED, 0, PayloadType.NONE, _json(content), created,
                SYN | FIN, identity,
            )
        )  # fmt: skip

    @classmethod
    def read(cls, payload: bytes) -> ChannelClosed:
        """Raises `CodecError`."""
        told = _object(payload)
        return cls(
            _text(told, "SessionId"), _text(told, "DestinationId"), str(told.get("Output") or "")
        )


@dataclass(frozen=True, slots=True)
class Size:
    """The client's terminal."""

    columns: int
    rows: int

    def payload(self) -> bytes:
        """The content of a SIZE."""
        return _json({"cols": self.columns, "rows": self.rows})

    @classmethod
    def read(cls, payload: bytes) -> Size:
        """Raises `CodecError` also for a size that no terminal has."""
        told = _object(payload)
        columns, rows = _number(told, "cols"), _number(told, "rows")
        if not (0 <= columns <= 0xFFFF and 0 <= rows <= 0xFFFF):
            raise CodecError(f"a terminal of {columns} by {rows}")
        return cls(columns, rows)


def flag_payload(flag: Flag) -> bytes:
    """The content of a FLAG."""
    return struct.pack(">I", flag)


def read_flag(payload: bytes) -> Flag:
    """Raises `CodecError` for one that is not known."""
    if len(payload) != 4:
        raise CodecError(f"a flag of {len(payload)} bytes")
    try:
        return Flag(int.from_bytes(payload))
    except ValueError as error:
        raise CodecError(str(error)) from error


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _object(payload: bytes | str) -> dict[str, Any]:
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error
    if not isinstance(told, dict):
        raise CodecError("no JSON object")
    return told


def _text(told: Mapping[str, Any], key: str) -> str:
    if not isinstance(value := told.get(key), str):
        raise CodecError(f"{key} is no string")
    return value


def _number(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CodecError(f"{key} is no whole number")
    return value


def _table(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(value := told.get(key), dict):
        raise CodecError(f"{key} is no object")
    return value
