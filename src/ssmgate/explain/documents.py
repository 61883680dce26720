"""Which session documents the caller may use here, and what the default one sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ssmgate.explain import reasons, session_documents
from ssmgate.explain.report import Answer, DocumentEntry, DocumentsReport, Preferences
from ssmgate.explain.target import simulate_target
from ssmgate.gate.access import refine
from ssmgate.gate.access.evaluate import ask_control
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors, simulate, tags
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.aws.identity import identify
from ssmgate.gate.aws.session import only_ask
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.decision import (
    Denial,
    Unknown,
    denial_or_unknown,
    verdict,
)
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.system import signals

SECONDS = 60
"""How long all of it may take."""

MOST_CONTENTS = 20
"""Documents of the account's own that are read for their session type."""

MOST_TAGGED = 20
"""Documents of the account's own whose tags are read, where policies ask for them."""

_TOO_MANY = f"is read for {MOST_TAGGED} documents only ('ssmgate check' reads it for one)"


def list_and_ask(invocation: Invocation, config: Config, *, target: str | None) -> DocumentsReport:
    """Every session document of this account and region and of AWS's own, with IAM's answer.

    `invocation` tells the options; of its request only `target` is asked about, and only where
    one is given. IAM is asked once about the account's own and once about AWS's: they differ in
    aws:ResourceAccount, and questions of one call share their context. Documents whose denial may
    depend on tags are asked about again, those with equal tags together. Raises `GateError` where
    the line or the configuration stands in the way.
    """
    only_ask(invocation.session)
    try:
        clients = open_clients(invocation.session, invocation.options, config)
        with signals.time_limit(SECONDS):
            return _report(invocation, clients, config, target)
    except signals.TimeLimitExceeded:
        raise GateError(f"AWS took longer than {SECONDS} s") from None
    except Exception as error:
        raise errors.translate(error) from error


def _report(
    invocation: Invocation, clients: Clients, config: Config, target: str | None
) -> DocumentsReport:
    who = identify(clients.sts, clients.iam, clients.partition)
    caller = None if isinstance(who, Unknown) else who
    entries: list[DocumentEntry] = []
    notes: list[str] = []
    exists, complete = False, True
    for owner in (session_documents.SELF, session_documents.AMAZON):
        listed = session_documents.list_documents(clients.ssm, owner)
        names = listed.names
        complete = complete and listed.complete
        if owner == session_documents.SELF:
            exists = listed.complete and DEFAULT_DOCUMENT_NAME in names
            if DEFAULT_DOCUMENT_NAME not in names:
                names = (DEFAULT_DOCUMENT_NAME, *names)
                if listed.complete:
                    notes.append(
                        f"{DEFAULT_DOCUMENT_NAME} does not exist here: who names no document gets"
                        " a plain shell, and needs access to it all the same"
                    )
        if not listed.complete:
            whose = (
                "this account's documents" if owner == session_documents.SELF else "AWS's documents"
            )
            notes.append(f"{whose} could not all be listed ({listed.why})")
        answers = (
            [reasons.answer(who, (), ())] * len(names)
            if isinstance(who, Unknown)
            else _answers(invocation, clients, who, config, names)
        )
        entries += [
            DocumentEntry(name, owner, session_documents.WELL_KNOWN.get(name), answer)
            for name, answer in zip(names, answers, strict=True)
        ]
    contents = _contents(clients, entries)
    report = DocumentsReport(
        clients.region,
        caller,
        tuple(
            replace(e, session_type=_session_type(contents.get(e.name)) or e.session_type)
            for e in entries
        ),
        _preferences(contents, exists, notes),
        tuple(notes),
        complete=complete,
    )
    if target is None or caller is None:
        return report
    look = simulate_target(
        clients,
        caller,
        target,
        named=True,
        mfa_done=invocation.mfa.done,
        configured=config.context,
    )
    answer = reasons.answer(look.obstacle, look.questions, look.evaluations)
    return replace(report, target_name=target, target=replace(answer, enforced=look.demanded))


def _contents(clients: Clients, entries: Sequence[DocumentEntry]) -> dict[str, dict[str, object]]:
    """The contents of the account's own documents, the default one first, as far as readable."""
    own = [e.name for e in entries if e.owner == session_documents.SELF]
    own.sort(key=lambda name: name != DEFAULT_DOCUMENT_NAME)
    found: dict[str, dict[str, object]] = {}
    for name in own[:MOST_CONTENTS]:
        if (content := session_documents.content(clients.ssm, name)) is not None:
            found[name] = dict(content)
    return found


def _session_type(content: dict[str, object] | None) -> str | None:
    found = None if content is None else content.get("sessionType")
    return found if isinstance(found, str) else None


def _preferences(
    contents: dict[str, dict[str, object]], exists: bool, notes: list[str]
) -> Preferences:
    content = contents.get(DEFAULT_DOCUMENT_NAME)
    if content is None:
        if exists:
            notes.append(f"{DEFAULT_DOCUMENT_NAME} could not be read (ssm:GetDocument)")
        return Preferences(None)
    inputs = content.get("inputs")
    return Preferences(inputs if isinstance(inputs, dict) else {})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A document, IAM's last answer about it, and what stands in the way.

    `denied` is the question as it was asked first, `found` what was looked up after a denial.
    """

    denied: Question
    question: Question
    about: tuple[Evaluation, ...] = ()
    obstacle: Denial | Unknown | None = None
    found: tags.Found | None = None


def _answers(
    invocation: Invocation,
    clients: Clients,
    caller: Caller,
    config: Config,
    names: Sequence[str],
) -> list[Answer]:
    questions = [
        Question.about(
            caller,
            # One ARN: these are names that a service or a list gave, in their owner's spelling.
            document_arns(
                name, partition=clients.partition, region=clients.region, account=caller.account
            )[0],
            region=clients.region,
            secure_transport=clients.secure_transport,
            mfa_done=invocation.mfa.done,
            configured=config.context,
        )
        for name in names
    ]
    lookups = tags.Lookups(clients.iam, caller)
    first = _ask(clients, config, [_Asked(question, question) for question in questions])
    rows = _asked_with_tags(clients, config, lookups, first)
    return [
        reasons.answer(
            row.obstacle
            if row.found is None
            else refine.settled(lookups, row.denied, row.obstacle, row.found),
            (row.question,),
            row.about,
        )
        for row in rows
    ]


def _ask(clients: Clients, config: Config, rows: Sequence[_Asked]) -> list[_Asked]:
    """`rows` with IAM's answer to their questions, which differ in nothing but the document."""
    if not rows:
        return []
    told = simulate.simulate_together(
        clients.iam, [row.question for row in rows], datetime.now(UTC)
    )
    if isinstance(told, Unknown):
        return [replace(row, about=(), obstacle=told) for row in rows]
    answered = []
    for row in rows:
        about = tuple(e for e in told if e.resource_arn == row.question.resource_arn)
        obstacle = _obstacle(clients, config, row.question, about)
        answered.append(replace(row, about=about, obstacle=obstacle))
    return answered


def _asked_with_tags(
    clients: Clients, config: Config, lookups: tags.Lookups, rows: Sequence[_Asked]
) -> list[_Asked]:
    """`rows`, those denied asked again with the tags that may turn that, equal ones in one call."""
    left = MOST_TAGGED

    def source(question: Question) -> tags.Source | None:
        own = refine.document_source(clients, lookups.caller, question)
        if own is None or left == 0:
            return own and tags.Source(lambda: None, _TOO_MANY)

        def read() -> tags.Tags | None:
            nonlocal left
            left -= 1
            return own.read()

        return tags.Source(read, own.unread)

    def looked_up(row: _Asked) -> _Asked:
        if refine.denied(row.obstacle) is None:
            return row
        own = source(row.denied)
        found = refine.look_up(lookups, row.denied, row.obstacle, row.about, own)
        return replace(row, found=found)

    looked = [looked_up(row) for row in rows]
    again: dict[tuple[ContextEntry, ...], list[int]] = {}
    for number, row in enumerate(looked):
        if row.found is not None and row.found.entries:
            again.setdefault(row.found.entries, []).append(number)
    for entries, numbers in again.items():
        asked = [
            replace(looked[n], question=looked[n].denied.with_context(entries)) for n in numbers
        ]
        for number, row in zip(numbers, _ask(clients, config, asked), strict=True):
            looked[number] = row
    return looked


def _obstacle(
    clients: Clients, config: Config, question: Question, about: tuple[Evaluation, ...]
) -> Denial | Unknown | None:
    controls: tuple[Evaluation, ...] = ()
    if not config.allow_wildcard_grants and verdict(question, about) is None:
        answer = ask_control(clients.iam, question, about)
        controls = () if isinstance(answer, Unknown) else answer
    return denial_or_unknown(question, about, config.allow_wildcard_grants, controls)
