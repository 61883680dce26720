"""Format a report as text, 80 columns wide, optionally with colour.

Text from outside is made printable when it is put into a line, before wrapping and colouring.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ssmgate.explain.report import (
    DENY,
    PRINCIPAL,
    Answer,
    DocumentsReport,
    NearMiss,
    Report,
    Statement,
    Verdict,
)
from ssmgate.explain.sources import place
from ssmgate.gate.decision.endpoints import NAMES
from ssmgate.gate.decision.printable import line
from ssmgate.gate.decision.question import ContextEntry
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME

WIDTH = 80

_SHOWN = ", as above"

_WIDEST = max(len(verdict.value) for verdict in Verdict)
_COLOURS = {Verdict.ALLOWED: "32", Verdict.DENIED: "31", Verdict.UNKNOWN: "33"}


@dataclass(frozen=True, slots=True)
class Style:
    """The style of the output: `colour` is used for the three answers only."""

    colour: bool = False

    def verdict(self, verdict: Verdict) -> str:
        """Return the word of `verdict`, coloured if `colour` is set."""
        if not self.colour:
            return verdict.value
        return f"\x1b[{_COLOURS[verdict]}m{verdict.value}\x1b[0m"


def brief(report: Report, style: Style) -> str:
    """Return the answer alone on the first line, then document and target with their reasons."""
    lines = [_first(report, style)]
    for name, answer in (("document", report.document), ("target", _after(report))):
        lines.append(f"{name}: {style.verdict(answer.verdict)}{line(_reason(answer, ' - '))}")
    lines += [line(note) for note in report.notes]
    return "\n".join(lines)


def explained(report: Report, style: Style) -> str:
    """Return everything that is known about the answers, each statement and sentence once."""
    blocks = [[_first(report, style)], [*_who(report)]]
    name = report.request.document_name
    title = f"document {line(name or DEFAULT_DOCUMENT_NAME)}"
    if name is None:
        title += " (the default, as none was named)"
    shared = _shared_context(report)
    document, target = report.document, _after(report)
    blocks.append([*_answer(title, document, style, (), shared), *_grant(document)])
    title = f"target {line(report.request.target)}"
    blocks.append([*_answer(title, target, style, (document,), shared), *_enforced(target)])
    if shared:
        blocks.append(_wrapped(f"context keys of document and target: {_values(shared)}"))
    if report.data_channel is not None:
        blocks.append([*_data_channel(report.data_channel, report)])
    if report.unread:
        blocks.append([*_unread(report.unread)])
    if report.notes:
        blocks.append([row for note in report.notes for row in _wrapped(note)])
    if changes := [*_changes(report, "  ")]:
        blocks.append(changes)
    elif report.verdict is not Verdict.ALLOWED and report.ask_for is not None:
        blocks.append(["to request:", _json(report.ask_for, "  ")])
    return "\n\n".join("\n".join(block) for block in blocks)


def _reason(answer: Answer, between: str) -> str:
    """Return what follows the answer's word: the reason, without that word if it begins with it."""
    word = answer.verdict.value
    if f"{answer.reason} ".startswith(f"{word} "):
        return answer.reason.removeprefix(word)
    return f"{between}{answer.reason}"


def _after(report: Report) -> Answer:
    """Return the answer about the target without a reason that the document's answer gives."""
    document, target = report.document, report.target
    if target.verdict is Verdict.ALLOWED or target.reason != document.reason:
        return target
    return replace(target, reason="for the same reason")


def _shared_context(report: Report) -> tuple[ContextEntry, ...]:
    """Return the context keys with which both the document and the target were simulated."""
    if not report.document.questions:
        return ()
    of_document = report.document.questions[-1].context
    of_target = report.target.questions[-1].context if report.target.questions else ()
    return tuple(entry for entry in of_document if entry in of_target)


def _first(report: Report, style: Style) -> str:
    word = style.verdict(report.verdict)
    if report.without:
        return f"{word} (without {line(', '.join(report.without))})"
    return word if report.evaluated_by == PRINCIPAL else f"{word} ({report.evaluated_by})"


def request(report: Report) -> str:
    """Return a message to the administrator: caller, resources, IAM's answers and a statement."""
    document = line(report.request.document_name or f"{DEFAULT_DOCUMENT_NAME} (the default)")
    if report.verdict is Verdict.ALLOWED:
        return "nothing to request: IAM allows the document and the target"
    who = "(not known)" if report.caller is None else line(report.caller.caller_arn)
    denied = report.verdict is Verdict.DENIED
    lines = [
        "I would like to start Session Manager sessions."
        + (" Access is denied." if denied else " My access is unknown."),
        "",
        f"  as        {who}",
    ]
    if report.caller and report.caller.policy_source_arn != report.caller.caller_arn:
        lines.append(f"  that is   {line(report.caller.policy_source_arn)}")
    lines += [
        f"  region    {line(report.region)}",
        f"  target    {line(report.request.target)}",
        f"  document  {document}",
        "",
        *_wrapped(
            f"IAM policy simulation of the document: {report.document.verdict.value}"
            f"{_reason(report.document, ', ')}."
        ),
        *_wrapped(f"Of the target: {report.target.verdict.value}{_reason(_after(report), ', ')}."),
    ]
    advised = (*report.document.advice, *report.target.advice)
    reasons = {report.document.reason, report.target.reason}
    if advice := [text for text in dict.fromkeys(advised) if text not in reasons]:
        lines += ["", *(row for text in advice for row in _with_statement(text, ""))]
    if report.notes:
        lines += ["", *(row for note in report.notes for row in _wrapped(note))]
    if changes := [*_changes(report, "")]:
        lines += ["", *changes]
    elif report.ask_for is not None:
        lines += [
            "",
            "The least statement that lets me simulate my own policies:",
            "",
            _json(report.ask_for, ""),
        ]
    return "\n".join(lines)


def documents(report: DocumentsReport, style: Style) -> str:
    """Return a line for each document (answer, name, kind), then the default's preferences."""
    lines: list[str] = []
    if report.target is not None:
        lines += [
            f"target {line(report.target_name or '')}: {style.verdict(report.target.verdict)}"
        ]
        lines += [*_wrapped(report.target.reason, "  "), ""]
    width = max([len(line(entry.name)) for entry in report.documents], default=0)
    for owner, title in (("Self", "documents of this account"), ("Amazon", "documents of AWS")):
        lines.append(f"{title}:")
        for entry in report.documents:
            if entry.owner != owner:
                continue
            verdict = style.verdict(entry.answer.verdict)
            padding = " " * (_WIDEST - len(entry.answer.verdict.value))
            kind = line(entry.session_type or "")
            lines.append(f"  {verdict}{padding} {line(entry.name):{width}} {kind}".rstrip())
    unsure = [e for e in report.documents if e.answer.verdict is Verdict.UNKNOWN]
    if unsure:
        lines.append("")
        for reason in dict.fromkeys(entry.answer.reason for entry in unsure):
            lines += _wrapped(f"unknown: {reason}")
    lines += ["", *_preferences(report)]
    lines += [row for note in report.notes for row in ("", *_wrapped(note))]
    return "\n".join(lines)


_PREFERENCES = {
    "s3BucketName": "logs to S3 bucket",
    "cloudWatchLogGroupName": "logs to CloudWatch group",
    "kmsKeyId": "encrypted with KMS key",
    "runAsEnabled": "run as",
    "runAsDefaultUser": "run as, by default",
    "idleSessionTimeout": "ends when idle, minutes",
    "maxSessionDuration": "ends after, minutes",
}


def _preferences(report: DocumentsReport) -> Iterator[str]:
    inputs = report.preferences.inputs
    if inputs is None:
        yield f"{DEFAULT_DOCUMENT_NAME}: its preferences could not be read"
        return
    yield f"{DEFAULT_DOCUMENT_NAME} sets:"
    any_set = False
    for key, what in _PREFERENCES.items():
        if (value := inputs.get(key)) not in ("", None):
            any_set = True
            shown = line(value) if isinstance(value, str) else json.dumps(value)
            yield f"  {what + ':':26} {shown}"
    if not any_set:
        yield "  no logs, KMS key or run-as user, and the default time-outs"


def _who(report: Report) -> Iterator[str]:
    if report.caller is None:
        return
    yield from _wrapped(f"caller {report.caller.caller_arn}")
    if report.caller.caller_arn != report.caller.policy_source_arn:
        yield from _wrapped(f"with the policies of {report.caller.policy_source_arn}", "  ")
    yield f"region {line(report.region)}"
    if report.endpoints is not None:
        for service, url in report.endpoints.shown().items():
            yield f"endpoint of {NAMES[service]} {line(url)}"


def _answer(
    title: str,
    answer: Answer,
    style: Style,
    before: tuple[Answer, ...],
    shared: tuple[ContextEntry, ...],
) -> Iterator[str]:
    """Yield the lines about `answer`, without what the answers `before` it have shown.

    `shared` are the context keys that are shown elsewhere.
    """
    yield title
    reason = _wrapped(f"{answer.verdict.value}{_reason(answer, ': ')}", "  ")
    if style.colour:
        word = answer.verdict.value
        reason[0] = reason[0].replace(word, style.verdict(answer.verdict), 1)
    yield from reason
    if answer.layer is not None:
        yield f"  layer: {line(answer.layer)}"
    shown = [statement for earlier in before for statement in earlier.statements]
    for statement in answer.statements:
        yield from _statement(statement, again=statement.text is not None and statement in shown)
    missing = [key for earlier in before for key in earlier.missing]
    for key in answer.missing:
        supplier = _SHOWN if key in missing else f" ({key.supplier})"
        yield from _wrapped(f"missing: {key.key_name}{supplier}", "  ")
    in_full = any(statement.text is not None for statement in answer.statements)
    nearest = [near for earlier in before for near in earlier.nearest]
    for near in answer.nearest:
        if near.part != DENY or not in_full:
            yield from _near(near, again=near in nearest)
    said = {answer.reason, *(why for near in answer.nearest for why in near.why.split("; "))}
    said |= {text for earlier in before for text in (earlier.reason, *earlier.advice)}
    for advice in answer.advice:
        what, separator, fix = advice.partition("; ")
        rest = fix if separator and what in said else advice
        if advice not in said:
            yield from _with_statement(f"advice: {rest}", "  ")
    if answer.depends_on:
        yield from _wrapped(f"depends on {', '.join(answer.depends_on)}", "  ")
    context = answer.questions[-1].context if answer.questions else ()
    if own := [entry for entry in context if entry not in shared]:
        yield from _wrapped(f"context keys: {_values(own)}", "  ")


def _statement(statement: Statement, *, again: bool) -> Iterator[str]:
    location = place(statement.policy, statement.sid, statement.line)
    yield from _wrapped(f"by {location}{_SHOWN * again}", "  ")
    if statement.text is not None and not again:
        yield _json(json.loads(statement.text), "    ")


def _near(near: NearMiss, *, again: bool) -> Iterator[str]:
    what = "denied by" if near.part == DENY else "nearest"
    location = place(near.policy, near.sid, near.line)
    yield from _wrapped(f"{what}: {location}{_SHOWN * again}", "  ")
    if not again:
        yield from _wrapped(near.sentence, "    ")


def _with_statement(text: str, indent: str) -> Iterator[str]:
    """Yield the lines of an advice. A second line of it is a statement, as JSON."""
    sentence, _, statement = text.partition("\n")
    yield from _wrapped(sentence, indent)
    if statement:
        yield _json(json.loads(statement), indent + "  ")


def _changes(report: Report, indent: str) -> Iterator[str]:
    """Yield what has to be changed, each statement whole, and then the obstacles."""
    if report.changes:
        then = ", after the obstacles below are removed" if report.obstacles else ""
        yield from _wrapped(f"to allow this session and nothing else{then}:")
    for change in report.changes:
        article = "an" if change.layer[0] in "aeiou" else "the"
        if change.policy is None:
            what = f"add to {article} {change.layer}:"
        else:
            where = f"{place(change.policy, change.sid, change.line)} ({change.layer})"
            what = (
                f"replace {where} with:" if change.statements else f"remove this statement: {where}"
            )
        yield from _wrapped(what, indent)
        for statement in change.statements:
            yield _json(statement, indent + "  ")
        if change.note:
            yield from _wrapped(f"note: {change.note}", indent + "  ")
    if report.obstacles:
        yield "obstacles:"
        for obstacle in report.obstacles:
            yield from _wrapped(obstacle, indent or "  ")


def _values(context: Iterable[ContextEntry]) -> str:
    return ", ".join(f"{entry.key_name}={'|'.join(entry.values)}" for entry in context)


def _grant(answer: Answer) -> Iterator[str]:
    if answer.grant is not None:
        yield f"  grant: {line(answer.grant)}"


def _enforced(answer: Answer) -> Iterator[str]:
    match answer.enforced:
        case True:
            yield from _wrapped(
                "the policies require ssm:SessionDocumentAccessCheck: AWS checks the document too",
                "  ",
            )
        case False:
            yield from _wrapped(
                "also allowed with ssm:SessionDocumentAccessCheck=false: AWS may start a session"
                " without checking the document",
                "  ",
            )


def _data_channel(answer: Answer, report: Report) -> Iterator[str]:
    yield from _wrapped(
        "data channel (ssmmessages:OpenDataChannel, which session-manager-plugin 1.2.764.0 and"
        f" later needs): {answer.verdict.value}"
    )
    same = answer.reason in (report.document.reason, report.target.reason)
    if answer.verdict is not Verdict.ALLOWED:
        yield from _wrapped("for the same reason" if same else answer.reason, "  ")


def _unread(unread: Iterable[str]) -> Iterator[str]:
    yield "could not be read:"
    for what in unread:
        yield from _wrapped(what, "  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        line(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _json(value: object, indent: str) -> str:
    return textwrap.indent(json.dumps(value, indent=2), indent)
