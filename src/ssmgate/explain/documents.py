"""Which session documents the caller may use here, and what the default one sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssmgate.explain import reasons, session_documents
from ssmgate.explain.report import DocumentEntry, DocumentsReport, Preferences
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
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.system import signals

SECONDS = 60
"""How long all of it may take."""

MOST_CONTENTS = 20
"""Documents of the account's own that are read for their session type."""

MOST_TAGGED = 20
"""Documents of the account's own whose tags are read, where policies ask for them."""


def list_and_ask(invocation: Invocation, config: Config, *, target: str | None) -> DocumentsReport:
    """Every session document of this account and region and of AWS's own, with IAM's answer.

    `invocation` tells the options; of its request only `target` is asked about, and only where
    one is given. Each document is decided as `start-session` decides it. IAM is asked once about
    the account's own and once about AWS's: they differ in aws:ResourceAccount, and questions of
    one call share their context. Documents whose denial may depend on tags are simulated again,
    those with equal tags together. Raises `GateError` for an invalid command line or
    configuration.
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
    found = _listed(clients)
    listed, notes = found.documents, list(found.notes)
    if isinstance(who, Unknown):
        caller, builder = None, None
        answers = [reasons.answer(who, (), ())] * len(listed)
    else:
        caller, builder = who, QuestionBuilder.live(who, invocation, clients, config)
        attempts = authorize_documents(
            clients,
            builder,
            [name for name, _ in listed],
            config.allow_wildcard_grants,
            most_tagged=MOST_TAGGED,
        )
        answers = [reasons.of_attempt(attempt) for attempt in attempts]
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
        _preferences(contents, found.default_exists, notes),
        tuple(notes),
        complete=found.complete,
    )
    if target is None or builder is None:
        return report
    look = simulate_target(clients, builder, target, named=True)
    answer = reasons.answer(look.obstacle, look.questions, look.evaluations)
    return replace(report, target_name=target, target=replace(answer, enforced=look.demanded))


@dataclass(frozen=True, slots=True)
class _Listed:
    """All session documents, each with its owner, and notes on what could not be listed.

    The default document is among them even where it does not exist. `complete` is false where
    not everything could be listed.
    """

    documents: tuple[tuple[str, str], ...]
    default_exists: bool
    complete: bool
    notes: tuple[str, ...]


def _listed(clients: Clients) -> _Listed:
    found: list[tuple[str, str]] = []
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
        found += [(name, owner) for name in names]
    return _Listed(tuple(found), exists, complete, tuple(notes))


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
