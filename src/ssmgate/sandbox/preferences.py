"""Session preferences: the `inputs` of a session document.

https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.sandbox.faults import ServiceFault

_PARAMETER = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_IDLE_MINUTES = 20


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of a session.

    `max_session_duration` is in minutes, as written in the document; empty for no limit.
    """

    idle_minutes: int = _IDLE_MINUTES
    max_session_duration: str = ""
    run_as_enabled: bool = False
    run_as_default_user: str = ""
    s3_bucket: str = ""
    s3_prefix: str = ""
    log_group: str = ""


def has_preferences(content: str) -> bool:
    """Return whether a session document (JSON) has `inputs`, so that no others are used."""
    return bool(_document(content).get("inputs"))


def read(content: str, name: str, parameters: Mapping[str, Sequence[str]]) -> Preferences:
    """Return the preferences of the document `name`, with the request's parameters substituted.

    Raises `ServiceFault`: ValidationException for a time that AWS does not allow, and for a KMS
    key, because the sandbox encrypts nothing.
    """
    document = _document(content)
    declared = {
        key: str(value.get("default", ""))
        for key, value in _mapping(document.get("parameters")).items()
        if isinstance(value, dict)
    }
    values = declared | {key: ",".join(texts) for key, texts in parameters.items()}
    inputs = {
        key: _PARAMETER.sub(lambda found: values.get(found[1], found[0]), _text(value)).strip()
        for key, value in _mapping(document.get("inputs")).items()
    }
    if inputs.get("kmsKeyId"):
        raise _invalid(
            f"Encryption with a KMS key (kmsKeyId of {name}) is not supported by the sandbox."
        )
    idle = _minutes(inputs, "idleSessionTimeout", 60, name)
    return Preferences(
        int(idle) if idle else _IDLE_MINUTES,
        _minutes(inputs, "maxSessionDuration", 1440, name),
        inputs.get("runAsEnabled", "").lower() == "true",
        inputs.get("runAsDefaultUser", ""),
        inputs.get("s3BucketName", ""),
        inputs.get("s3KeyPrefix", ""),
        inputs.get("cloudWatchLogGroupName", ""),
    )


def _minutes(inputs: Mapping[str, str], key: str, most: int, name: str) -> str:
    text = inputs.get(key, "")
    if text and not (re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= most):
        raise _invalid(f"{key} of {name} is {text!r}, not a number of minutes from 1 to {most}.")
    return text


def _invalid(message: str) -> ServiceFault:
    return ServiceFault("ValidationException", message)


def _document(content: str) -> dict[str, Any]:
    try:
        return _mapping(json.loads(content))
    except ValueError:
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a value as text: AWS writes booleans and numbers with and without quotes."""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value or "")
