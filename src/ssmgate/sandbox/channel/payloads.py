"""Encode and decode the payloads of data channel messages. No I/O.

The names and the numbers are those of session-manager-plugin's public source (src/message,
src/config), https://github.com/aws/session-manager-plugin.
"""

from __future__ import annotations

import enum
import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ssmgate.sandbox.channel.codec import (
    FIN,
    SCHEMA_VERSION,
    SYN,
    AgentMessage,
    CodecError,
    MessageType,
    PayloadType,
    encode,
)


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
class OpenDataChannel:
    """The first message of a client, in a text frame of its own."""

    token_value: str = field(repr=False)
    client_id: str
    client_version: str

    def text(self) -> str:
        """Return the text frame."""
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
        """Parse the message. Raises `CodecError` if it is not valid."""
        content = _object(text)
        return cls(
            _text(content, "TokenValue"),
            _text(content, "ClientId"),
            _text(content, "ClientVersion"),
        )


def acknowledge(message: AgentMessage, created: int) -> bytes:
    """Return the frame that acknowledges `message` to its sender."""
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
    """Return the sequence number in an acknowledgement. Raises `CodecError`."""
    return _number(_object(payload), "AcknowledgedMessageSequenceNumber")


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """The agent's request to the client. Encryption with KMS is not supported."""

    agent_version: str
    session_type: str
    properties: Mapping[str, Any]

    def payload(self) -> bytes:
        """Return the content of a HANDSHAKE_REQUEST."""
        action = {
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": self.session_type, "Properties": self.properties},
        }
        return _json({"AgentVersion": self.agent_version, "RequestedClientActions": [action]})

    @classmethod
    def read(cls, payload: bytes) -> HandshakeRequest:
        """Parse a request. Raises `CodecError`, also for other actions such as KMSEncryption."""
        content = _object(payload)
        actions = content.get("RequestedClientActions")
        if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
            raise CodecError("not one RequestedClientAction")
        if actions[0].get("ActionType") != "SessionType":
            raise CodecError(f"Unsupported action {actions[0].get('ActionType')}")
        parameters = _table(actions[0], "ActionParameters")
        properties = parameters.get("Properties")
        if properties is not None and not isinstance(properties, dict):
            raise CodecError("Properties is not an object")
        return cls(
            _text(content, "AgentVersion"), _text(parameters, "SessionType"), properties or {}
        )


@dataclass(frozen=True, slots=True)
class HandshakeResponse:
    """The client's response: `errors` is empty if it can process the request."""

    client_version: str
    errors: tuple[str, ...] = ()

    def payload(self) -> bytes:
        """Return the content of a HANDSHAKE_RESPONSE."""
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
        """Parse the message. Raises `CodecError` if it is not valid."""
        content = _object(payload)
        errors = content.get("Errors") or []
        if not isinstance(errors, list):
            raise CodecError("Errors is not a list")
        return cls(_text(content, "ClientVersion"), tuple(str(error) for error in errors))


@dataclass(frozen=True, slots=True)
class HandshakeComplete:
    """The message that lets the client begin. `seconds` is the duration of the handshake."""

    seconds: float
    customer_message: str = ""

    def payload(self) -> bytes:
        """Return the content of a HANDSHAKE_COMPLETE."""
        return _json(
            {
                "HandshakeTimeToComplete": int(self.seconds * 1e9),
                "CustomerMessage": self.customer_message,
            }
        )

    @classmethod
    def read(cls, payload: bytes) -> HandshakeComplete:
        """Parse the message. Raises `CodecError` if it is not valid."""
        content = _object(payload)
        took = _number(content, "HandshakeTimeToComplete") / 1e9
        message = content.get("CustomerMessage") or ""
        return cls(took, str(message))


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The message at the end of a session. `output` is the reason, empty for a normal end."""

    session_id: str
    destination_id: str
    output: str

    def frame(self, created: int) -> bytes:
        """Return the binary frame. `created` is in milliseconds since 1970."""
        identity = uuid.uuid4()
        content = {
            "MessageId": str(identity),
            "CreatedDate": str(created),
            "DestinationId": self.destination_id,
            "SessionId": self.session_id,
            "MessageType": MessageType.CHANNEL_CLOSED,
            "SchemaVersion": SCHEMA_VERSION,
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
        """Parse the message. Raises `CodecError` if it is not valid."""
        content = _object(payload)
        return cls(
            _text(content, "SessionId"),
            _text(content, "DestinationId"),
            str(content.get("Output") or ""),
        )


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the client's terminal."""

    columns: int
    rows: int

    def payload(self) -> bytes:
        """Return the content of a SIZE."""
        return _json({"cols": self.columns, "rows": self.rows})

    @classmethod
    def read(cls, payload: bytes) -> Size:
        """Parse a size. Raises `CodecError`, also if a number does not fit into 16 bits."""
        content = _object(payload)
        columns, rows = _number(content, "cols"), _number(content, "rows")
        if not (0 <= columns <= 0xFFFF and 0 <= rows <= 0xFFFF):
            raise CodecError(f"a terminal of {columns} by {rows}")
        return cls(columns, rows)


def flag_payload(flag: Flag) -> bytes:
    """Return the content of a FLAG."""
    return struct.pack(">I", flag)


def read_flag(payload: bytes) -> Flag:
    """Parse a flag. Raises `CodecError` if it is unknown."""
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
        content = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CodecError("no JSON object")
    return content


def _text(content: Mapping[str, Any], key: str) -> str:
    if not isinstance(value := content.get(key), str):
        raise CodecError(f"{key} is not a string")
    return value


def _number(content: Mapping[str, Any], key: str) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CodecError(f"{key} is not a whole number")
    return value


def _table(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(value := content.get(key), dict):
        raise CodecError(f"{key} is not an object")
    return value
