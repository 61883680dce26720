"""The request that is parsed, simulated, permitted and sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.frozen import frozen

DEFAULT_DOCUMENT_NAME = "SSM-SessionManagerRunShell"
"""The session document that StartSession uses when none is named.

https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-default-session-document.html
"""

MEMBERS = ("Target", "DocumentName", "Reason", "Parameters")
"""StartSession's input members. With any other, what is checked might not be what is sent.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
"""

# The API's pattern for DocumentName. \Z, as $ also matches before a final newline.
_API_PATTERN = re.compile(r"[a-zA-Z0-9_\-.:/]{3,128}\Z")

# A customer's document can have no other name (CreateDocument, Name), and AWS's follow the rule.
# The API's pattern allows ':' and '/' only because of ARNs.
NAME = r"[a-zA-Z0-9_\-.]{3,128}"
_DOCUMENT = re.compile(
    rf"(?:arn:(aws[a-z-]*):ssm:([a-z0-9-]+):([0-9]{{12}})?:document/)?({NAME})\Z"
)


@frozen
class DocumentName:
    """A document's name, and the other fields of a complete ARN: None for a name alone.

    `account` is empty in the ARN of one of AWS's own documents.
    """

    name: str
    partition: str | None = None
    region: str | None = None
    account: str | None = None

    @classmethod
    def parse(cls, text: str) -> DocumentName:
        """Parse a value for StartSession's DocumentName.

        Raises `InvalidRequest` for anything but a name or a complete document ARN: a value that
        the API's pattern does not match, `Name:Version`, a path.
        """
        match = _DOCUMENT.match(text)
        if not _API_PATTERN.match(text) or match is None:
            from ssmgate.gate.decision import invalid_request

            raise invalid_request.document_name(text)
        if match[1] is None:
            return cls(match[4])
        return cls(match[4], match[1], match[2], match[3] or "")


def is_for_ssh(document_name: str) -> bool:
    """Return whether ssh speaks on stdin: AWS-StartSSHSession, and documents with "ssh" in it."""
    return "ssh" in document_name.rpartition("/")[2].lower()


@frozen
class SessionRequest:
    """StartSession's input, immutable from the parser to the call.

    `document_name` is None if the user named none; it is then not sent.
    `parameters` has each name with its values, in the order typed.
    `member_order` is the order in which the members were given. AWS ignores it;
    the plugin's argument repeats it.
    """

    target: str
    document_name: str | None = None
    reason: str | None = None
    parameters: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    member_order: tuple[str, ...] = field(default=MEMBERS, compare=False)

    def __post_init__(self) -> None:
        if self.document_name is not None:
            DocumentName.parse(self.document_name)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> SessionRequest:
        """Return the request with the parameters of a StartSession call.

        `parameters` are botocore's: the four members by AWS's names. Raises `InvalidRequest`
        for any other member, type or null, also if the user's AWS configuration turns off
        `parameter_validation`. Only the length of DocumentName is checked.
        """
        unknown = [name for name in parameters if name not in MEMBERS]
        if unknown:
            raise _invalid(f"Unknown parameter in input: {unknown[0]!r}")
        if "Target" not in parameters:
            raise _invalid('Missing required parameter in input: "Target"')
        for name in ("Target", "DocumentName", "Reason"):
            if name in parameters and type(parameters[name]) is not str:
                raise _invalid(
                    f"Invalid type for parameter {name}, value: {parameters[name]!r},"
                    f" type: {type(parameters[name])}, valid types: {str}"
                )
        return cls(
            target=str(parameters["Target"]),
            document_name=_optional(parameters, "DocumentName"),
            reason=_optional(parameters, "Reason"),
            parameters=_frozen(parameters["Parameters"]) if "Parameters" in parameters else None,
            member_order=tuple(parameters),
        )

    def to_parameters(self) -> dict[str, object]:
        """Return the request as parameters for botocore, a new mutable copy."""
        values: dict[str, object] = {
            "Target": self.target,
            "DocumentName": self.document_name,
            "Reason": self.reason,
            "Parameters": None
            if self.parameters is None
            else {name: list(texts) for name, texts in self.parameters},
        }
        return {name: values[name] for name in self.member_order if values[name] is not None}

    def named(self, document_name: str) -> SessionRequest:
        """Return this request with `document_name`."""
        order = tuple(name for name in self.member_order if name != "DocumentName")
        return replace(self, document_name=document_name, member_order=(*order, "DocumentName"))


def _optional(parameters: Mapping[str, object], name: str) -> str | None:
    return str(parameters[name]) if name in parameters else None


def _frozen(parameters: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(parameters, dict):  # a JSON value is the CLI's OrderedDict
        raise _invalid(
            f"Invalid type for parameter Parameters, value: {parameters!r},"
            f" type: {type(parameters)}, valid types: {dict}"
        )
    for name, values in parameters.items():
        if type(name) is not str:
            raise _invalid(f"Invalid type for parameter Parameters (key: {name!r})")
        if type(values) is not list or any(type(value) is not str for value in values):
            raise _invalid(
                f"Invalid type for parameter Parameters.{name}, value: {values!r}:"
                " expecting a list of strings"
            )
    return tuple((name, tuple(values)) for name, values in parameters.items())


def _invalid(message: str) -> InvalidRequest:
    from ssmgate.gate.decision import invalid_request

    return invalid_request.parameter(message)
