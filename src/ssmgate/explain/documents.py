"""List the session documents that the caller may use, and the settings of the default one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssmgate.explain import reasons, session_documents, settle, sources
from ssmgate.explain.policies import PolicyReader
from ssmgate.explain.report import Answer, DocumentEntry, DocumentsReport, Preferences
from ssmgate.explain.target import simulate_target
from ssmgate.gate.access.documents import authorize_documents
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors
from ssmgate.gate.aws.asking_session import only_ask
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.aws.identity import identify
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.system import signals

SECONDS = 60
"""Time limit for the whole listing."""

MOST_CONTENTS = 20
"""How many of the account's own documents are read for their session type, at most."""

MOST_TAGGED = 20
"""How many of the account's own documents have their tags read, if policies test tags."""

POLICY_SECONDS = 20
"""Time limit for reading the caller's policies, within that of the listing."""

MOST_POLICY_CALLS = 60
"""How many calls may be made to read the caller's policies, if answers depend on unknown keys."""


def list_and_simulate(
    invocation: Invocation, config: Config, *, target: str | None
) -> DocumentsReport:
    """Return each session document of this account and of AWS in this region, with IAM's answer.

    `invocation` has the options; its request is not simulated. `target`, if not None, is
    simulated as well. Each document is decided as `start-session` decides it. Two simulations
    are made, one for the account's documents and one for AWS's: they differ in
    aws:ResourceAccount, and the questions of one call share their context. Documents whose
    denial may depend on tags are simulated again, those with equal tags together. Raises
    `GateError` for an invalid command line or configuration, and if AWS exceeds the time limit.
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
    identity = identify(clients.sts, clients.iam, clients.partition)
    listing = _listed(clients)
    listed, notes = listing.documents, list(listing.notes)
    if isinstance(identity, Unknown):
        caller, builder = None, None
        answers = [reasons.answer(identity, (), ())] * len(listed)
    else:
        caller, builder = identity, QuestionBuilder.live(identity, invocation, clients, config)
        attempts = authorize_documents(
            clients,
            builder,
            [name for name, _ in listed],
            config.allow_wildcard_grants,
            most_tagged=MOST_TAGGED,
        )
        answers = _settled(clients, identity, [reasons.of_attempt(a) for a in attempts])
    entries = [
        DocumentEntry(name, owner, session_documents.WELL_KNOWN.get(name), answer)
        for (name, owner), answer in zip(listed, answers, strict=True)
    ]
    contents = _contents(clients, entries)
    report = DocumentsReport(
        clients.region,
        caller,
        tuple(
            replace(e, session_type=_session_type(contents.get(e.name)) or e.session_type)
            for e in entries
        ),
        _preferences(contents, listing.default_exists, notes),
        tuple(notes),
        complete=listing.complete,
    )
    if target is None or builder is None:
        return report
    # Any of the documents may be named: a customer's is asked about in every way.
    attempt = simulate_target(clients, builder, target, DEFAULT_DOCUMENT_NAME)
    answer = reasons.answer(attempt.obstacle, attempt.questions, attempt.evaluations)
    return replace(report, target_name=target, target=replace(answer, enforced=attempt.demanded))


def _settled(clients: Clients, caller: Caller, answers: list[Answer]) -> list[Answer]:
    """Return `answers`, with the caller's policies read if any depends on unknown keys."""
    if not any(answer.reason_code in settle.DEPENDS_ON_KEYS for answer in answers):
        return answers
    reader = PolicyReader(clients.iam, MOST_POLICY_CALLS)
    try:
        with signals.time_limit(POLICY_SECONDS):
            reader.read(caller)
    except signals.TimeLimitExceeded:
        return answers
    known = sources.read(reader.texts)
    return [settle.settled(answer, caller, known) for answer in answers]


@dataclass(frozen=True, slots=True)
class _Listed:
    """All session documents, each with its owner, and notes about what could not be listed.

    The default document is included even if it does not exist. `complete` is false if some
    documents could not be listed.
    """

    documents: tuple[tuple[str, str], ...]
    default_exists: bool
    complete: bool
    notes: tuple[str, ...]


def _listed(clients: Clients) -> _Listed:
    documents: list[tuple[str, str]] = []
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
                        f"{DEFAULT_DOCUMENT_NAME} does not exist in this region: a session without"
                        " --document-name gets a plain shell, and still needs access to it"
                    )
        if not listed.complete:
            whose = (
                "this account's documents" if owner == session_documents.SELF else "AWS's documents"
            )
            notes.append(f"{whose} could not all be listed ({listed.why})")
        documents += [(name, owner) for name in names]
    return _Listed(tuple(documents), exists, complete, tuple(notes))


def _contents(clients: Clients, entries: Sequence[DocumentEntry]) -> dict[str, dict[str, object]]:
    """Return the contents of the account's documents that can be read, the default one first."""
    own = [e.name for e in entries if e.owner == session_documents.SELF]
    own.sort(key=lambda name: name != DEFAULT_DOCUMENT_NAME)
    contents: dict[str, dict[str, object]] = {}
    for name in own[:MOST_CONTENTS]:
        if (content := session_documents.content(clients.ssm, name)) is not None:
            contents[name] = dict(content)
    return contents


def _session_type(content: dict[str, object] | None) -> str | None:
    session_type = None if content is None else content.get("sessionType")
    return session_type if isinstance(session_type, str) else None


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
