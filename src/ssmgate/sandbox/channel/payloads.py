"""What the data channel's messages carry, to bytes and back. Pure.

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
