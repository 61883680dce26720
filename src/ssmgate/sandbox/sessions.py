"""ssm:StartSession and TerminateSession: what is authorised, what is an error, what is open."""

from __future__ import annotations

import contextlib
import enum
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.question import RESOURCE_TAG_PREFIXES
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.decision.target import target_arn
from ssmgate.sandbox.enforcement import Caller, authorize
from ssmgate.sandbox.faults import ServiceFault

_CHECK = "ssm:SessionDocumentAccessCheck"

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
_DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9_\-.:/]{3,128}\Z")
_DOCUMENT_ARN = re.compile(r"arn:[a-z-]+:ssm:[a-z0-9-]+:([0-9]*):document/([a-zA-Z0-9_\-.]+)\Z")


class Model(enum.Enum):
    """Which of AWS's published behaviours StartSession has. A custom document that is named is
    authorised in all of them, beside the target and with the key true.

    `2023` (the text of 2021 to 2023): without a name only the target is authorised, with the key
    false; a statement under the condition thus matches only when a name is given.
    `2021` (the text before, of 2019 to 2021, read at its most permissive): the default document
    is nobody's to grant; when it is named the target is asked with the key true, the document
    is not.
    `2025`: without a name the default document is authorised as if it had been named.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-default-session-document.html
    """

    Y2021 = "2021"
    Y2023 = "2023"
    Y2025 = "2025"


@dataclass(frozen=True, slots=True)
class Node:
    """A managed node. One that is not `online` has no agent that answers."""

    node_id: str
    tags: Mapping[str, str]
    online: bool


_PLAIN_SHELL = '{"schemaVersion": "1.0", "sessionType": "Standard_Stream"}'


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """An SSM document. `owner` is an account, or `Amazon`; `content` is JSON."""

    name: str
    document_type: str
    owner: str
    tags: Mapping[str, str]
    content: str = _PLAIN_SHELL


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the account: where its nodes and documents are looked up."""

    partition: str
    name: str
    account: str
    node: Callable[[str], Node | None]
    document: Callable[[str], SessionDocument | None]

    def document_arn(self, name: str) -> str:
        """The ARN under which IAM knows the document: AWS's own have no account in theirs.

        A full ARN stays as it is. The document need not exist.
        """
        if name.startswith("arn:"):
            return name
        found = self.document(name)
        if found is None:
            with contextlib.suppress(InvalidRequest):
                # The last: in AWS's account only what AWS's spelling puts there for certain.
                return document_arns(
                    name, partition=self.partition, region=self.name, account=self.account
                )[-1]
        account = "" if found is not None and found.owner == "Amazon" else self.account
        return f"arn:{self.partition}:ssm:{self.name}:{account}:document/{name}"


class Refused(Exception):
    """A data channel is not opened. The text says why, and holds no token."""


@dataclass(slots=True)
class Session:
    """A session that was started: `content` of its document and the request's `parameters` say
    what it does. `joined` once its data channel was opened. `ended` is None while it is open."""

    session_id: str
    target: str
    document_name: str
    owner: str
    user_id: str
    region: str
    reason: str | None
    started: datetime
    content: str
    parameters: Mapping[str, Sequence[str]]
    token_value: str = field(repr=False)
    joined: bool = False
    ended: datetime | None = None


@dataclass(slots=True)
class Sessions:
    """The sessions of the account, and the rules for starting and ending one.

    `stream_host` is where the agent serves data channels. `on_terminate` is told of each session
    that TerminateSession has ended.
    """

    model: Model
    stream_host: str = ""
    opened: dict[str, Session] = field(default_factory=dict)
    on_terminate: Callable[[str], object] = lambda _: None
    _joining: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> dict[str, str]:
        """Answer StartSession. A caller of None, the sandbox's owner, is not restricted.

        `Parameters` are not compared with the document's. Authorisation comes before the look
        for the document and the node: who may not know is not told.

        Raises `ServiceFault`: ValidationException, AccessDeniedException, InvalidDocument for a
        document that is missing or is no session document, TargetNotConnected for a node that
        is unknown or offline.
        """
        target, name = _validated(members)
        resource = target_arn(
            target, partition=region.partition, region=region.name, account=region.account
        )
        if resource is None:
            raise ServiceFault("TargetNotConnected", f"{target} is not connected.")
        node = region.node(target)
        if caller is not None:
            key = {_CHECK: "true" if self._counts_as_named(name) else "false"}
            node_tags = _tags({} if node is None else node.tags)
            authorize(caller, "ssm:StartSession", resource, {**context, **node_tags, **key})
            if self._authorises_document(name):
                self._authorize_document(name or DEFAULT_DOCUMENT_NAME, caller, region, context)
        content = _PLAIN_SHELL
        if name is not None:
            content = _session_document(name, region).content
        elif (default := region.document(DEFAULT_DOCUMENT_NAME)) is not None:
            content = default.content
        if node is None or not node.online:
            raise ServiceFault("TargetNotConnected", f"{target} is not connected.")
        owner = "root" if caller is None else caller.arn.rpartition("/")[2]
        session = Session(
            session_id=f"{owner}-{secrets.token_hex(9)[:17]}",
            target=target,
            document_name=name or DEFAULT_DOCUMENT_NAME,
            owner=f"arn:{region.partition}:iam::{region.account}:root"
            if caller is None
            else caller.arn,
            user_id=region.account if caller is None else caller.user_id,
            region=region.name,
            reason=None if members.get("Reason") is None else str(members["Reason"]),
            started=datetime.now(UTC),
            content=content,
            parameters=_parameters(members.get("Parameters")),
            token_value=secrets.token_urlsafe(64),
        )
        self.opened[session.session_id] = session
        return {
            "SessionId": session.session_id,
            "TokenValue": session.token_value,
            "StreamUrl": f"ws://{self.stream_host}/v1/data-channel/{session.session_id}"
            "?role=publish_subscribe",
        }

    def terminate(
        self,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> dict[str, str]:
        """Answer TerminateSession.

        The session's own two tags are in the context, as policies for it name them:
        https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html

        Raises `ServiceFault`: AccessDeniedException, and ValidationException for a session that
        is not open in this region.
        """
        session_id = str(members.get("SessionId") or "")
        session = self.opened.get(session_id)
        if session is not None and (session.region != region.name or session.ended is not None):
            session = None
        if caller is not None:
            tags = {} if session is None else _tags(
                {
                    "aws:ssmmessages:session-id": session.user_id,
                    "aws:ssmmessages:target-id": session.target,
                }
            )  # fmt: skip
            resource = (
                f"arn:{region.partition}:ssm:{region.name}:{region.account}:session/{session_id}"
            )
            authorize(caller, "ssm:TerminateSession", resource, {**context, **tags})
        if session is None:
            raise ServiceFault("ValidationException", f"Session {session_id} is not active.")
        session.ended = datetime.now(UTC)
        self.on_terminate(session_id)
        return {"SessionId": session_id}

    def join(self, session_id: str, token_value: str) -> Session:
        """Open the session's data channel, once. From any thread.

        Raises `Refused` for a session that is not open or has been joined, and for any token but
        its own.
        """
        with self._joining:
            session = self.opened.get(session_id)
            if session is None or session.ended is not None:
                raise Refused("there is no such session")
            if not hmac.compare_digest(session.token_value.encode(), token_value.encode()):
                raise Refused("the token is not this session's")
            if session.joined:
                raise Refused("the token has been used")
            session.joined = True
            return session

    def leave(self, session_id: str) -> None:
        """The session's data channel is closed, and with it the session. From any thread."""
        if (session := self.opened.get(session_id)) is not None:
            session.ended = session.ended or datetime.now(UTC)

    def describe(self, state: str, region: str) -> list[dict[str, object]]:
        """The sessions of a region, `Active` or `History`, as DescribeSessions lists them."""
        return [
            {
                "SessionId": session.session_id,
                "Target": session.target,
                "Status": "Connected" if session.ended is None else "Terminated",
                "StartDate": session.started,
                "DocumentName": session.document_name,
                "Owner": session.owner,
                **({} if session.reason is None else {"Reason": session.reason}),
                **({} if session.ended is None else {"EndDate": session.ended}),
            }
            for session in self.opened.values()
            if session.region == region and (session.ended is None) is (state == "Active")
        ]

    def _counts_as_named(self, name: str | None) -> bool:
        return name is not None or self.model is Model.Y2025

    def _authorises_document(self, name: str | None) -> bool:
        if name is None:
            return self.model is Model.Y2025
        return name != DEFAULT_DOCUMENT_NAME or self.model is not Model.Y2021

    def _authorize_document(
        self, name: str, caller: Caller, region: Region, context: Mapping[str, str]
    ) -> None:
        found = _find(name, region)
        tags = _tags({} if found is None else found.tags)
        key = {_CHECK: "true"}
        resource = region.document_arn(name)
        authorize(caller, "ssm:StartSession", resource, {**context, **tags, **key})


def _validated(members: Mapping[str, object]) -> tuple[str, str | None]:
    target, name = members.get("Target"), members.get("DocumentName")
    if not isinstance(target, str) or not 1 <= len(target) <= 400:
        raise ServiceFault(
            "ValidationException",
            f"1 validation error detected: Value '{target or ''}' at 'target' failed to satisfy"
            " constraint: Member must have length between 1 and 400, inclusive",
        )
    if name is not None and not (isinstance(name, str) and _DOCUMENT_NAME.match(name)):
        raise ServiceFault(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'documentName' failed to satisfy"
            " constraint: Member must satisfy regular expression pattern:"
            r" ^[a-zA-Z0-9_\-.:/]{3,128}$",
        )
    return target, name if isinstance(name, str) else None


def _find(name: str, region: Region) -> SessionDocument | None:
    """The document of this name or ARN; none where the ARN is another's."""
    if not name.startswith("arn:"):
        return region.document(name)
    match = _DOCUMENT_ARN.match(name)
    found = None if match is None else region.document(match[2])
    return None if found is None or region.document_arn(found.name) != name else found


def _session_document(name: str, region: Region) -> SessionDocument:
    found = _find(name, region)
    if found is None:
        raise ServiceFault("InvalidDocument", f"Document with name {name} does not exist.")
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-troubleshooting.html
    if found.document_type != "Session":
        raise ServiceFault(
            "InvalidDocument",
            f"Document type: '{found.document_type}' is not supported. Only type: 'Session' is"
            " supported for Session Manager.",
        )
    return found


def _parameters(given: object) -> dict[str, list[str]]:
    """A map of lists of strings. Whatever else was sent is left out."""
    if not isinstance(given, dict):
        return {}
    return {
        str(name): [str(value) for value in values]
        for name, values in given.items()
        if isinstance(values, list)
    }


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {prefix + key: value for key, value in tags.items() for prefix in RESOURCE_TAG_PREFIXES}
