"""The menu of a login without a command: it offers nodes and documents on the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence

from ssmgate.explain.inventory import Listing
from ssmgate.gate.access.documents import authorize_documents
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv import parse
from ssmgate.gate.aws import errors, identity
from ssmgate.gate.aws.asking_session import only_ask
from ssmgate.gate.aws.clients import open_clients
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision import apply_restrictions, printable, restrictions
from ssmgate.gate.decision.decision import Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.errors import GateError, InvalidRequest
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.system import signals
from ssmgate.login import command
from ssmgate.login.command import ParsedCommand

LISTING_SECONDS = 30
"""How long the lists may take. Without them the user has to type a node's id."""

MAX_DOCUMENTS = 20
"""The most documents that are offered. The tags of each may have to be read."""

DENIED = "  (denied; starts only because mode is permissive)"
"""Marks what the rules or IAM do not allow."""

_TRIES = 3
_LONGEST = 512
# The prefixes of documents whose sessions are not for a terminal.
_NOT_SHELLS = ("AWS-StartSSHSession", "AWS-StartPortForwarding", "AWS-PasswordReset")


class Terminal:
    """The controlling terminal, read and written by lines. stdin may be another file."""

    def __init__(self) -> None:
        try:
            self._file = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            raise InvalidRequest(
                "refused: no command was given, and there is no terminal for the menu",
                hints=("start-session --target NODE, or ssh -t",),
            ) from None

    def say(self, text: str) -> None:
        """Write a line. Unprintable characters are escaped: names can contain anything."""
        self._write(f"{printable.line(text)}\r\n")

    def ask(self, prompt: str) -> str:
        """Read one line. Raises `InvalidRequest` at the end of the input, and for a long line."""
        self._write(prompt)
        typed = b""
        while not typed.endswith((b"\n", b"\r")):
            part = os.read(self._file, _LONGEST)
            typed += part
            if not part or len(typed) > _LONGEST:
                raise InvalidRequest("refused: no choice was made")
        return typed.decode(errors="replace").strip()

    def close(self) -> None:
        """Close the terminal."""
        os.close(self._file)

    def _write(self, text: str) -> None:
        os.write(self._file, text.encode(errors="replace"))


def ask(config: Config, eprint: Callable[[str], object]) -> ParsedCommand:
    """Let the user choose a node and a document, and type a reason if the rules require one.

    An offered choice may still be denied: the gate decides about it. Raises `GateError` if there is
    no terminal, or after a few invalid answers.
    """
    terminal = Terminal()
    try:
        nodes, documents, denied = _offer(config, eprint)
        options = {"target": _choose_node(terminal, nodes, denied)}
        offered = [(name, "") for name in documents]
        if document := _choose(terminal, "document", offered, denied):
            options["document-name"] = document
        if config.rules.require_reason:
            options["reason"] = _answer(terminal, "Reason: ", lambda text: text or None)
        return command.parsed(options)
    finally:
        terminal.close()


def _choose_node(
    terminal: Terminal, nodes: Sequence[tuple[str, str]], denied: Container[str]
) -> str:
    if nodes:
        return _choose(terminal, "node", nodes, denied)
    return _answer(terminal, "Node ID: ", lambda text: text or None)


def _choose(
    terminal: Terminal,
    what: str,
    offered: Sequence[tuple[str, str]],
    denied: Container[str] = (),
) -> str:
    """Return the id of the choice by number, id or name; the only id, or '', without a choice.

    Those in `denied` are marked.
    """
    if len(offered) < 2:
        return offered[0][0] if offered else ""
    for number, (identifier, name) in enumerate(offered, 1):
        mark = DENIED if identifier in denied else ""
        terminal.say(f"{number:4}  {identifier}  {name[:60]}".rstrip() + mark)

    def chosen(text: str) -> str | None:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(offered):
            return offered[int(text) - 1][0]
        matches = [
            identifier for identifier, name in offered if text and text in (identifier, name)
        ]
        return matches[0] if len(matches) == 1 else None

    return _answer(terminal, f"{what.capitalize()} (1 to {len(offered)}): ", chosen)


def _answer(terminal: Terminal, prompt: str, read: Callable[[str], str | None]) -> str:
    for _ in range(_TRIES):
        answer = read(terminal.ask(prompt))
        if answer is not None:
            return answer
    raise InvalidRequest("refused: no choice was made")


def _offer(
    config: Config, eprint: Callable[[str], object]
) -> tuple[list[tuple[str, str]], list[str], set[str]]:
    """Return online nodes, documents, and those of both that are denied.

    What is denied is left out unless `config` is permissive: then the gate starts it all the same.
    """
    nodes: list[tuple[str, str]] = []
    documents: list[str] = []
    denied: set[str] = set()
    try:
        with signals.time_limit(LISTING_SECONDS):
            listing = Listing(None, None, None, None)
            online = listing.targets()
            denied |= {node for node, _name in online if not _target_allowed(config, node)}
            nodes = [node for node in online if config.permissive or node[0] not in denied]
            known = _shells([name for name, _owner in listing.documents()])
            permitted = _permitted(config, known)
            denied |= {name for name in known if name not in permitted}
            documents = known if config.permissive else permitted
    except signals.TimeLimitExceeded:
        eprint("ssmgate: the list took too long")
    except Exception as error:
        eprint(f"ssmgate: the nodes cannot be listed: {errors.translate(error).message}")
    return nodes, documents, denied


def _target_allowed(config: Config, target: str) -> bool:
    only_targets = restrictions.Restrictions(targets_allow=config.rules.targets_allow)
    return apply_restrictions.denial_by(only_targets, SessionRequest(target), (), "") is None


def _shells(names: Sequence[str]) -> list[str]:
    """Return the documents for a terminal among `names`, at most `MAX_DOCUMENTS`.

    The default is first: it may be missing in the list, if it was never customized.
    """
    shells = [name for name in names if not name.startswith(_NOT_SHELLS)]
    return list(dict.fromkeys((DEFAULT_DOCUMENT_NAME, *sorted(shells))))[:MAX_DOCUMENTS]


def _permitted(config: Config, names: Sequence[str]) -> list[str]:
    """Return those of `names` that IAM and the rules allow."""
    invocation = parse.read(["ssm", "start-session", "--target=i-0"])
    if isinstance(invocation, int):  # never: this command line starts a session
        return []
    only_ask(invocation.session)
    clients = open_clients(invocation.session, invocation.options, config)
    caller = identity.identify(clients.sts, clients.iam, clients.partition)
    if isinstance(caller, Unknown):
        if config.permissive:
            return []
        raise GateError(caller.reason)
    attempts = authorize_documents(
        clients,
        QuestionBuilder.live(caller, invocation, clients, config),
        names,
        config.allow_wildcard_grants,
        most_tagged=MAX_DOCUMENTS,
    )
    rules = restrictions.Restrictions(config.rules.documents_allow, config.rules.documents_deny)
    return [
        name
        for name, attempt in zip(names, attempts, strict=True)
        if _starts(attempt, rules, caller.account)
    ]


def _starts(attempt: SimulationAttempt, rules: restrictions.Restrictions, account: str) -> bool:
    arns = [question.resource_arn for question in attempt.questions]
    return (
        isinstance(attempt.decision, Permit)
        and apply_restrictions.denial_by(rules, attempt.request, arns, account) is None
    )
