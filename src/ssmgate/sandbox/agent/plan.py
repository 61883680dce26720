"""Read from a session document what to run on the node. No I/O.

Documents are read according to
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html for
Linux, without run-as, logging, encryption and time-outs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.sandbox.channel.payloads import SessionType

_PARAMETER = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class WorkError(Exception):
    """The node cannot run what the session requests. The text is sent to the client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The session type and properties for the handshake, and what the node runs."""

    session_type: SessionType
    properties: Mapping[str, Any]
    command: str = ""
    """For InteractiveCommands and NonInteractiveCommands: a command line for sh."""
    profile: str = ""
    """For Standard_Stream: the first line that is typed into the shell."""
    port: int = 0
    """For Port: the port of the node."""


def plan(content: str, parameters: Mapping[str, Sequence[str]]) -> Plan:
    """Return the plan of a session document (JSON), with the request's parameters substituted.

    Values are not checked against `allowedPattern` and not quoted, because a command is a command
    line for the shell. Raises `WorkError` for a document that the node cannot run.
    """
    document = _mapping(_json(content))
    values = {
        name: str(_mapping(declared).get("default", ""))
        for name, declared in _mapping(document.get("parameters")).items()
    }
    values |= {name: ",".join(texts) for name, texts in parameters.items()}
    try:
        session_type = SessionType(str(document.get("sessionType")))
    except ValueError:
        raise WorkError(f"unknown session type {document.get('sessionType')!r}") from None
    properties = _substituted(_mapping(document.get("properties")), values)
    match session_type:
        case SessionType.STANDARD_STREAM:
            inputs = _substituted(_mapping(document.get("inputs")), values)
            profile = _mapping(inputs.get("shellProfile")).get("linux") or ""
            return Plan(session_type, {}, profile=str(profile))
        case SessionType.PORT:
            return Plan(session_type, properties, port=_port(properties))
        case _:
            command = _mapping(properties.get("linux")).get("commands") or ""
            if not command:
                raise WorkError("the document has no commands for Linux")
            return Plan(session_type, properties, command=str(command))


def _port(properties: Mapping[str, Any]) -> int:
    number = str(properties.get("portNumber", ""))
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) < 65536:
        raise WorkError(f"port number {number!r} is not valid")
    return int(number)


def _substituted(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _PARAMETER.sub(lambda name: _value(name[1], values), value)
        case dict():
            return {key: _substituted(item, values) for key, item in value.items()}
        case list():
            return [_substituted(item, values) for item in value]
        case _:
            return value


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise WorkError(f"the document uses a parameter {name!r} that it does not declare")
    return values[name]


def _json(content: str) -> object:
    try:
        return json.loads(content)
    except ValueError as error:
        raise WorkError(f"the document's content is not JSON: {error}") from error


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
