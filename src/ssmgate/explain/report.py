"""The result of a check, as values and as JSON according to `schema.json`."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest

SCHEMA_VERSION = 2
"""Increased if a member changes its meaning or is removed, not if a member is added."""


DENY = "deny"

PRINCIPAL = "IAM, by the principal's policies"
SIMULATED = "IAM, by the given policies"
LOCAL = "local evaluation, not IAM's answer"
"""Which evaluation an answer comes from."""


class Verdict(enum.Enum):
    """The three answers, with their words and exit statuses."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """Return the exit status of `ssmgate check` and `ssmgate policy check`."""
        return {Verdict.ALLOWED: 0, Verdict.DENIED: 3, Verdict.UNKNOWN: 4}[self]


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return DENIED if it is among `verdicts`, else UNKNOWN if that is, else ALLOWED."""
    for verdict in (Verdict.DENIED, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.ALLOWED


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that decided. `sid`, `line` and `text` are None if they are not known.

    `line` counts from 1 in the policy as it is stored.
    """

    policy: str
    policy_type: str
    sid: str | None = None
    line: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A context key that IAM was not given, and who could supply it."""

    key_name: str
    supplier: str


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A statement that comes close, its location, and the part that fails.

    `part` is `Action`, `Resource`, `Condition`, their Not… forms, several joined by `and`, or
    DENY for a statement that denies.
    """

    policy: str
    sid: str | None
    line: int | None
    part: str
    why: str

    @property
    def sentence(self) -> str:
        """Return what fails or, for a denying statement, what it denies."""
        return f"it {self.why}" if self.part == DENY else f"its {self.part} fails: {self.why}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about the document, the target or the data channel.

    `questions` are those of the last simulation. `depends_on` are the condition keys because of
    which an allowed answer might change. `layer` is the kind of policy that decided, None
    if it is not known. `grant` is how explicitly a document is allowed. `enforced` is whether the
    policies make the service check the document too. Both are None if not applicable or unknown.
    """

    verdict: Verdict
    reason_code: Reason
    reason: str
    questions: tuple[Question, ...] = ()
    layer: str | None = None
    statements: tuple[Statement, ...] = ()
    missing: tuple[MissingKey, ...] = ()
    grant: str | None = None
    enforced: bool | None = None
    nearest: tuple[NearMiss, ...] = ()
    advice: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change of a policy that was tried: whole statements to add to a policy of `layer`.

    `policy`, `sid` and `line` are those of the statement that they replace, None if they replace
    none. `statements` is empty if that statement is to be removed. `note` is a sentence about what
    else changes, empty if nothing does.
    """

    layer: str
    statements: tuple[Mapping[str, Any], ...]
    policy: str | None = None
    sid: str | None = None
    line: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check. `ask_for` is the statement to request, None if no statement helps.

    `changes` together allow the session and nothing else, once `obstacles`, a sentence each, are
    removed. `notes` are sentences about anything else. `without` are the policies that were
    excluded from the simulation.
    `unread` are the policies that could not be read, None if no attempt was made. `endpoints` are
    those of the calls to STS and IAM and of StartSession, None if no call was made.
    """

    request: SessionRequest
    region: str
    caller: Caller | None
    document: Answer
    target: Answer
    data_channel: Answer | None = None
    ask_for: Mapping[str, Any] | None = None
    changes: tuple[PolicyChange, ...] = ()
    obstacles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    unread: tuple[str, ...] | None = None
    evaluated_by: str = PRINCIPAL
    endpoints: Endpoints | None = None

    @property
    def verdict(self) -> Verdict:
        """Return the worse of the two answers: a session needs both resources."""
        return worst((self.document.verdict, self.target.verdict))


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A session document that `ssmgate documents` lists. An unknown `session_type` is None."""

    name: str
    owner: str
    session_type: str | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Preferences:
    """The inputs that the default document sets, by AWS's names; None if it cannot be read.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
    """

    inputs: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class DocumentsReport:
    """The result of `ssmgate documents`. If not `complete`, `notes` say what is missing."""

    region: str
    caller: Caller | None
    documents: tuple[DocumentEntry, ...]
    preferences: Preferences
    notes: tuple[str, ...] = ()
    target_name: str | None = None
    target: Answer | None = None
    complete: bool = True

    @property
    def exit_code(self) -> int:
        """Return the exit status of `ssmgate documents`.

        It is 4 if a document was not listed or an answer is unknown, else 0: denied documents
        are not an error.
        """
        answers = [entry.answer for entry in self.documents]
        answers += [] if self.target is None else [self.target]
        unknown = any(answer.verdict is Verdict.UNKNOWN for answer in answers)
        return Verdict.UNKNOWN.exit_code if unknown or not self.complete else 0


def to_json(report: Report | DocumentsReport) -> dict[str, Any]:
    """Return the report as `schema.json` describes it. It has no tokens and no credentials."""
    common: dict[str, Any] = {
        "version": SCHEMA_VERSION,
        "region": report.region,
        "caller": None if report.caller is None else _caller(report.caller),
    }
    if isinstance(report, Report):
        request = report.request
        return {
            **common,
            "kind": "check",
            "evaluated_by": report.evaluated_by,
            "answer": report.verdict.value,
            "request": {
                "target": request.target,
                "document_name": request.document_name,
                "document_in_force": request.document_name or DEFAULT_DOCUMENT_NAME,
            },
            "document": _answer(report.document),
            "target": _answer(report.target),
            "data_channel": None if report.data_channel is None else _answer(report.data_channel),
            "ask_for": report.ask_for,
            "changes": [_change(change) for change in report.changes],
            "obstacles": list(report.obstacles),
            "notes": list(report.notes),
            "without": list(report.without),
            "unread": None if report.unread is None else list(report.unread),
            "endpoints": None if report.endpoints is None else report.endpoints.shown(),
        }
    return {
        **common,
        "kind": "documents",
        "documents": [
            {
                "name": entry.name,
                "owner": entry.owner,
                "session_type": entry.session_type,
                **_answer(entry.answer),
            }
            for entry in report.documents
        ],
        "default_preferences": report.preferences.inputs,
        "target": None
        if report.target is None
        else {"name": report.target_name, **_answer(report.target)},
        "notes": list(report.notes),
    }


def _caller(caller: Caller) -> dict[str, Any]:
    return {
        "arn": caller.caller_arn,
        "account": caller.account,
        "policy_source_arn": caller.policy_source_arn,
    }


def _change(change: PolicyChange) -> dict[str, Any]:
    return {
        "layer": change.layer,
        "policy": change.policy,
        "sid": change.sid,
        "line": change.line,
        "statements": [dict(statement) for statement in change.statements],
        "note": change.note,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.verdict.value,
        "reason_code": answer.reason_code.value,
        "reason": answer.reason,
        "resources": [question.resource_arn for question in answer.questions],
        "layer": answer.layer,
        "statements": [
            {
                "policy": s.policy,
                "policy_type": s.policy_type,
                "sid": s.sid,
                "line": s.line,
                "text": _parsed(s.text),
            }
            for s in answer.statements
        ],
        "context": [
            {"key": e.key_name, "type": e.key_type, "values": list(e.values)}
            for e in (answer.questions[-1].context if answer.questions else ())
        ],
        "missing": [{"key": m.key_name, "supplier": m.supplier} for m in answer.missing],
        "grant": answer.grant,
        "enforced": answer.enforced,
        "nearest": [
            {"policy": n.policy, "sid": n.sid, "line": n.line, "part": n.part, "why": n.why}
            for n in answer.nearest
        ],
        "advice": list(answer.advice),
        "depends_on": list(answer.depends_on),
    }


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
