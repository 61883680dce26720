"""Format a report as text, 80 columns wide, optionally with colour.

Text from outside is made printable when it is put into a line, before wrapping and colouring.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME

WIDTH = 80

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
    for name, answer in (("document", report.document), ("target", report.target)):
        lines.append(f"{name}: {style.verdict(answer.verdict)}{line(_reason(answer, ' - '))}")
    lines += [line(note) for note in report.notes]
    return "\n".join(lines)


def explained(report: Report, style: Style) -> str:
    """Return everything that is known about the answers."""
    blocks = [[_first(report, style)], [*_who(report)]]
    name = report.request.document_name
    title = f"document {line(name or DEFAULT_DOCUMENT_NAME)}"
    if name is None:
        title += " (the default, as none was named)"
    blocks.append([*_answer(title, report.document, style), *_grant(report.document)])
    title = f"target {line(report.request.target)}"
    blocks.append([*_answer(title, report.target, style), *_enforced(report.target)])
    if report.data_channel is not None:
        blocks.append([*_data_channel(report.data_channel, style)])
    if report.unread:
        blocks.append([*_unread(report.unread)])
    if report.notes:
        blocks.append([row for note in report.notes for row in _wrapped(note)])
    if changes := [*_changes(report, "  ")]:
        blocks.append(changes)
    elif report.verdict is not Verdict.ALLOWED and report.ask_for is not None:
        blocks.append(["ask for:", _json(report.ask_for, "  ")])
    return "\n\n".join("\n".join(block) for block in blocks)


def _reason(answer: Answer, between: str) -> str:
    """Return what follows the answer's word: the reason, without that word if it begins with it."""
    word = answer.verdict.value
    if f"{answer.reason} ".startswith(f"{word} "):
        return answer.reason.removeprefix(word)
    return f"{between}{answer.reason}"


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
        "I would like to start Session Manager sessions, and"
        + (" may not yet." if denied else " whether I may is not known."),
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
        *_wrapped(f"Of the target: {report.target.verdict.value}{_reason(report.target, ', ')}."),
    ]
    if advice := [*dict.fromkeys((*report.document.advice, *report.target.advice))]:
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
    for owner, title in (("Self", "this account's"), ("Amazon", "AWS's own")):
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
        yield "  nothing: no logs, no KMS key, no run-as user, the usual time-outs"


def _who(report: Report) -> Iterator[str]:
    if report.caller is None:
        return
    yield from _wrapped(f"caller {report.caller.caller_arn}")
    if report.caller.caller_arn != report.caller.policy_source_arn:
        yield from _wrapped(f"by the policies of {report.caller.policy_source_arn}", "  ")
    yield f"region {line(report.region)}"
    if report.endpoints is not None:
        for service, url in report.endpoints.shown().items():
            yield f"endpoint of {NAMES[service]} {line(url)}"


def _answer(title: str, answer: Answer, style: Style) -> Iterator[str]:
    yield title
    reason = _wrapped(f"{answer.verdict.value}{_reason(answer, ': ')}", "  ")
    if style.colour:
        word = answer.verdict.value
        reason[0] = reason[0].replace(word, style.verdict(answer.verdict), 1)
    yield from reason
    if answer.layer is not None:
        yield f"  layer: {line(answer.layer)}"
    for statement in answer.statements:
        yield from _statement(statement)
    for key in answer.missing:
        yield from _wrapped(f"missing: {key.key_name} ({key.supplier})", "  ")
    in_full = any(statement.text is not None for statement in answer.statements)
    for near in answer.nearest:
        if near.part != DENY or not in_full:
            yield from _near(near)
    for advice in answer.advice:
        yield from _with_statement(f"advice: {advice}", "  ")
    if answer.depends_on:
        yield from _wrapped(f"depends on {', '.join(answer.depends_on)}", "  ")
    if answer.questions:
        yield from _context(answer)


def _statement(statement: Statement) -> Iterator[str]:
    location = place(statement.policy, statement.sid, statement.line)
    yield from _wrapped(f"by {location}", "  ")
    if statement.text is not None:
        yield _json(json.loads(statement.text), "    ")


def _near(near: NearMiss) -> Iterator[str]:
    what = "denied by" if near.part == DENY else "nearest"
    yield from _wrapped(f"{what}: {place(near.policy, near.sid, near.line)}", "  ")
    yield from _wrapped(near.sentence, "    ")


def _with_statement(text: str, indent: str) -> Iterator[str]:
    """Yield the lines of an advice. A second line of it is a statement, as JSON."""
    sentence, _, statement = text.partition("\n")
    yield from _wrapped(sentence, indent)
    if statement:
        yield _json(json.loads(statement), indent + "  ")


def _changes(report: Report, indent: str) -> Iterator[str]:
    """Yield what has to be changed, each statement whole, and then what stands in the way."""
    if report.changes:
        then = ", after the obstacles below are removed" if report.obstacles else ""
        yield from _wrapped(f"to allow this session and nothing else{then}:")
    for change in report.changes:
        article = "an" if change.layer[0] in "aeiou" else "the"
        if change.policy is None:
            what = f"add to {article} {change.layer}:"
        else:
            where = f"{place(change.policy, change.sid, change.line)} ({change.layer})"
            what = f"replace {where} with:" if change.statements else f"remove {where}"
        yield from _wrapped(what, indent)
        for statement in change.statements:
            yield _json(statement, indent + "  ")
        if change.note:
            yield from _wrapped(f"note: {change.note}", indent + "  ")
    if report.obstacles:
        yield "what stands in the way:"
        for obstacle in report.obstacles:
            yield from _wrapped(obstacle, indent or "  ")


def _context(answer: Answer) -> Iterator[str]:
    entries = answer.questions[-1].context
    yield from _wrapped(
        "asked with " + ", ".join(f"{e.key_name}={'|'.join(e.values)}" for e in entries), "  "
    )


def _grant(answer: Answer) -> Iterator[str]:
    if answer.grant is not None:
        yield f"  granted by: {line(answer.grant)}"


def _enforced(answer: Answer) -> Iterator[str]:
    match answer.enforced:
        case True:
            yield from _wrapped(
                "the policies demand ssm:SessionDocumentAccessCheck: the service checks the"
                " document too",
                "  ",
            )
        case False:
            yield from _wrapped(
                "allowed with ssm:SessionDocumentAccessCheck false too: by AWS's older text the"
                " service starts a session without checking the document",
                "  ",
            )


def _data_channel(answer: Answer, style: Style) -> Iterator[str]:
    yield from _wrapped(
        "data channel (ssmmessages:OpenDataChannel, which session-manager-plugin 1.2.764.0 and"
        f" later asks for): {answer.verdict.value}"
    )
    if answer.verdict is not Verdict.ALLOWED:
        yield from _wrapped(answer.reason, "  ")


def _unread(unread: Iterable[str]) -> Iterator[str]:
    yield "not read:"
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
