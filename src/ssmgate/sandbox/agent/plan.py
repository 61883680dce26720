"""What a session document says shall run on the node. Pure.

Documents are read as far as
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html goes for
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
    """The node cannot do what the session is for. The text is told to the client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the handshake tells the client, and what the node does."""

    session_type: SessionType
    properties: Mapping[str, Any]
    command: str = ""
    """For both kinds of commands: a line for sh."""
    profile: str = ""
    """For Standard_Stream: what is typed into the shell first."""
    port: int = 0
    """For Port."""


def plan(content: str, parameters: Mapping[str, Sequence[str]]) -> Plan:
    """Read a session document's JSON, with the request's parameters put into it.

    Values are put in as they are: they are not held against `allowedPattern`, and a command is
    a line for the shell anyway. Raises `WorkError` where nothing can come of it.
    """
    document = _mapping(_json(content))
    values = {
        name: str(_mapping(declared).get("default", ""))
        for name, declared in _mapping(document.get("parameters")).items()
    }
    values |= {name: ",".join(given) for name, given in parameters.items()}
    try:
        session_type = SessionType(str(document.get("sessionType")))
    except ValueError:
        raise WorkError(f"session type {document.get('sessionType')!r} is not known") from None
    properties = _filled(_mapping(document.get("properties")), values)
    match session_type:
        case SessionType.STANDARD_STREAM:
            inputs = _filled(_mapping(document.get("inputs")), values)
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
        raise WorkError(f"port number {number!r} is none")
    return int(number)


def _filled(found: Any, values: Mapping[str, str]) -> Any:
    match found:
        case str():
            return _PARAMETER.sub(lambda name: _value(name[1], values), found)
        case dict():
            return {key: _filled(item, values) for key, item in found.items()}
        case list():
            return [_filled(item, values) for item in found]
        case _:
            return found


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise WorkError(f"the document asks for a parameter {name!r} that it does not declare")
    return values[name]


def _json(content: str) -> object:
    try:
        return json.loads(content)
    except ValueError as error:
        raise WorkError(f"the document's content is not JSON: {error}") from error


def _mapping(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
