"""The forms in which an `AccessError` is printed. Loaded only if a session was not allowed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from ssmgate.gate.decision.access_errors import (
    AccessDenied,
    AccessError,
    AccessUnknown,
    RestrictionDenied,
)
from ssmgate.gate.decision.printable import line
from ssmgate.gate.decision.request import is_for_ssh

_NOTHING_STARTED = "IAM simulation; no session was started"
_WITHOUT_COMMANDS = "Send these lines to your administrator."


class Form(Enum):
    """The form of an error. The first two are ssmgate's own, the others the AWS CLI's."""

    TERMINAL = auto()
    LINES = auto()
    LEGACY = auto()
    TEXT = auto()
    STRUCTURED = auto()


def form(error: AccessError, error_format: str | None, *, terminal: bool) -> Form:
    """Return the form for `error_format`, the value of --cli-error-format, None or empty if unset.

    `terminal`: whether standard error is a terminal. Errors about documents for ssh appear between
    the lines of ssh, so they always get the form for logs. A document is for ssh if its name
    contains "ssh", as AWS-StartSSHSession does.
    """
    match error_format:
        case "json" | "yaml" | "table":
            return Form.STRUCTURED
        case "legacy":
            return Form.LEGACY
        case "text":
            return Form.TEXT
    if terminal and not is_for_ssh(error.facts.document):
        return Form.TERMINAL
    return Form.LINES


def has_time(error: AccessError, error_format: str | None, *, terminal: bool) -> bool:
    """Return whether `nearest` is shown, so that it is worth the seconds that the lookup takes.

    Takes the arguments of `form`.
    """
    return (
        isinstance(error, AccessDenied)
        and form(error, error_format, terminal=terminal) is Form.TERMINAL
    )


def render(error: AccessError, how: Form, notes: Sequence[str] = ()) -> str:
    """Return the whole output for `error`, ready to print, without a line break at its end.

    `how` is not `STRUCTURED`, for which there is `members`. `notes` are other problems, each of one
    line. Text from outside ssmgate is escaped, so that none of it can begin a line.
    """
    rows = _terminal(error) if how is Form.TERMINAL else _lines(error, how)
    return "\n".join([*rows, *(f"ssmgate: {line(note)}" for note in notes)])


def _terminal(error: AccessError) -> list[str]:
    facts = error.facts
    rows = [f"ssmgate: [ERROR]: {error.title}{line(facts.document)}"]
    if facts.is_default:
        rows.append("  It is the default document; no --document-name was given.")
    rows += [f"  {label:10}{line(text)}" for label, text in _labelled(error) if text]
    if _can_do(error, facts.command):
        return [*rows, "", f"  {facts.heading}", f"    {line(facts.command)}"]
    return [*rows, "", f"  {_WITHOUT_COMMANDS}"]


def _can_do(error: AccessError, step: str) -> bool:
    """Return whether the reader can follow `step`, a command or a sentence."""
    return error.offers_commands or not step.startswith("ssmgate ")


def _labelled(error: AccessError) -> list[tuple[str, str]]:
    facts = error.facts
    hints = [("hint", remark) for remark in facts.remarks]
    if isinstance(error, AccessUnknown):
        return [("reason", facts.reason), ("session", "not started"), *hints]
    role = facts.policy_source_arn if facts.policy_source_arn != facts.caller_arn else ""
    rows = [
        ("reason", facts.reason),
        ("rule", facts.rule),
        ("document", facts.document_arn),
        ("caller", facts.caller_arn),
        ("role", role),
        ("nearest", error.nearest),
        ("missing", ", ".join(facts.missing)),
        *hints,
    ]
    if isinstance(error, RestrictionDenied):
        return [*rows, ("session", "not started, although IAM allows the session document")]
    return [*rows, ("code", f"{error.error_code} ({_NOTHING_STARTED})")]


def _lines(error: AccessError, how: Form) -> list[str]:
    facts = error.facts
    step = facts.hint if _can_do(error, facts.hint) else _WITHOUT_COMMANDS
    hint = f"ssmgate: hint: {line(step)}"
    if isinstance(error, AccessDenied):
        if how is Form.LEGACY:  # with the blank line that the AWS CLI prints before its errors
            return ["", f"ssmgate: [ERROR]: {line(error.sentence)}", hint]
        if how is Form.TEXT:
            return [f"{line(error.error_code)}\t{line(error.details)}", hint]
    return [
        f"ssmgate: [ERROR]: {_first(error)}",
        f"ssmgate: reason: {line(facts.full_reason)}",
        hint,
    ]


def _first(error: AccessError) -> str:
    target, document = line(error.facts.target), line(error.facts.document)
    if isinstance(error, AccessUnknown):
        return f"{error.title}{document}: {target}"
    code = f" ({error.error_code})" if error.error_code else ""
    return error.title.replace(": ", f"{code}: {target}: ", 1) + document


def members(error: AccessError) -> dict[str, object]:
    """Return the members of `error` in structured output, unescaped: those of AWS, then ours."""
    facts = error.facts
    return {
        "Code": error.error_code,
        "Message": error.details,
        "decision": error.decision,
        "reason": facts.reason_code.value,
        "layer": facts.layer or None,
        "document": facts.document_arn or facts.document,
        "caller": facts.caller_arn or None,
        "started": False,
    }
