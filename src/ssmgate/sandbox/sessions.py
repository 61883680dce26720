"""ssm:StartSession, ResumeSession and TerminateSession: authorization, errors, and sessions."""

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

from ssmgate.gate.decision.arn import RESERVED_PREFIXES, document_arns
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.decision.target import target_arn
from ssmgate.sandbox.enforcement import Caller, authorize
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.preferences import Preferences, has_preferences, read
from ssmgate.sandbox.session import ChannelDenied, Session, resource_tags

_CHECK = "ssm:SessionDocumentAccessCheck"
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
_RUN_AS_TAG = "aws:PrincipalTag/SSMSessionRunAs"
# AWS keeps ended sessions for 30 days, the sandbox keeps the last ones.
_HISTORY = 500

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
_DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9_\-.:/]{3,128}\Z")
_DOCUMENT_ARN = re.compile(r"arn:[a-z-]+:ssm:[a-z0-9-]+:([0-9]*):document/([a-zA-Z0-9_\-.]+)\Z")


class Model(enum.Enum):
    """The version of AWS's documented behaviour that StartSession has.

    In every model, a document other than the default one that is named is authorized as well as
    the target, with ssm:SessionDocumentAccessCheck true. The target is authorized with the key
    true if the document is AWS's own, and without the key if it is a custom document: `Bool` on
    the target's statement refuses and `BoolIfExists` allows, as observed in 2026.

    `2023` (documentation of 2021 to 2023): without a name only the target is authorized, with
    the key false; a statement with the condition therefore matches only if a name is given.
    `2021` (documentation of 2019 to 2021, in its most permissive reading): the default document
    is never authorized; if it is named, the target is authorized with the key true.
    `2025`: without a name the default document is authorized as if it had been named.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-default-session-document.html
    """

    Y2021 = "2021"
    Y2023 = "2023"
    Y2025 = "2025"


@dataclass(frozen=True, slots=True)
class Node:
    """A managed node. If it is not `online`, its agent does not answer."""

    node_id: str
    tags: Mapping[str, str]
    online: bool


_PLAIN_SHELL = '{"schemaVersion": "1.0", "sessionType": "Standard_Stream"}'


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """An SSM document. `owner` is an account ID or `Amazon`; `content` is JSON."""

    name: str
    document_type: str
    owner: str
    tags: Mapping[str, str]
    content: str = _PLAIN_SHELL


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the account, with the lookups of its nodes and documents."""

    partition: str
    name: str
    account: str
    node: Callable[[str], Node | None]
    document: Callable[[str], SessionDocument | None]

    def document_arn(self, name: str) -> str:
        """Return the ARN of a document in IAM policies: AWS's own have no account in it.

        A full ARN is returned unchanged. Whether the document exists is not checked.
        """
        if name.startswith("arn:"):
            return name
        document = self.document(name)
        if document is None:
            with contextlib.suppress(InvalidRequest):
                # The last one has no account only if the name is certainly that of an AWS document.
                return document_arns(
                    name, partition=self.partition, region=self.name, account=self.account
                )[-1]
        account = "" if document is not None and document.owner == "Amazon" else self.account
        return f"arn:{self.partition}:ssm:{self.name}:{account}:document/{name}"


@dataclass(slots=True)
class Sessions:
    """The sessions of the account, and the rules for starting and ending one.

    `stream_host` is the host and port on which the agent serves data channels. `on_terminate` is
    called with the ID of each session that TerminateSession has ended.
    """

    model: Model
    stream_host: str = ""
    opened: dict[str, Session] = field(default_factory=dict)
    on_terminate: Callable[[str], object] = lambda _: None
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> dict[str, str]:
        """Answer StartSession. The caller None, the owner of the sandbox, is not restricted.

        `Parameters` are not compared with the document's. The request is authorized before the
        document and the node are looked up, so that a denied caller does not learn if they exist.

        Raises `ServiceFault`: ValidationException, AccessDeniedException, InvalidDocument if the
        document is missing or not a session document, TargetNotConnected if the node is unknown
        or offline.
        """
        target, name = _validated(members)
        resource = target_arn(
            target, partition=region.partition, region=region.name, account=region.account
        )
        if resource is None:
            raise ServiceFault("TargetNotConnected", f"{target} is not connected.")
        node = region.node(target)
        if caller is not None:
            keys = resource_tags({} if node is None else node.tags) | self._target_key(name)
            authorize(caller, "ssm:StartSession", resource, {**context, **keys})
            if self._needs_document(name):
                self._authorize_document(name or DEFAULT_DOCUMENT_NAME, caller, region, context)
        content = _PLAIN_SHELL
        if name is not None:
            content = _session_document(name, region).content
        elif (default := region.document(DEFAULT_DOCUMENT_NAME)) is not None:
            content = default.content
        if node is None or not node.online:
            raise ServiceFault("TargetNotConnected", f"{target} is not connected.")
        session = _session(members, caller, region, target, name, content)
        with self._changing:
            self._forget()
            self.opened[session.session_id] = session
        return self._answer(session)

    def resume(
        self,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> dict[str, str]:
        """Answer ResumeSession with a new token, which replaces the last one.

        Raises `ServiceFault`: AccessDeniedException, and DoesNotExistException for a session that
        is not open in this region.
        """
        session_id, session = self._authorized(
            "ssm:ResumeSession", members, caller, region, context
        )
        if session is None:
            raise ServiceFault("DoesNotExistException", f"Session {session_id} does not exist.")
        with self._changing:
            session.token_value = secrets.token_urlsafe(64)
            session.joined = False
        return self._answer(session)

    def _answer(self, session: Session) -> dict[str, str]:
        return {
            "SessionId": session.session_id,
            "TokenValue": session.token_value,
            "StreamUrl": f"ws://{self.stream_host}/v1/data-channel/{session.session_id}"
            "?role=publish_subscribe",
        }

    def _forget(self) -> None:
        ended = [name for name, session in self.opened.items() if session.ended is not None]
        for name in ended[:-_HISTORY]:
            del self.opened[name]

    def terminate(
        self,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> dict[str, str]:
        """Answer TerminateSession.

        Raises `ServiceFault`: AccessDeniedException, and ValidationException for a session that
        is not open in this region.
        """
        session_id, session = self._authorized(
            "ssm:TerminateSession", members, caller, region, context
        )
        if session is None:
            raise ServiceFault("ValidationException", f"Session {session_id} is not active.")
        session.ended = datetime.now(UTC)
        self.on_terminate(session_id)
        return {"SessionId": session_id}

    def _authorized(
        self,
        action: str,
        members: Mapping[str, object],
        caller: Caller | None,
        region: Region,
        context: Mapping[str, str],
    ) -> tuple[str, Session | None]:
        """Return the session ID of a request, and the session if it is open in this region.

        The context has the two tags that policies for sessions use:
        https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html

        Raises `ServiceFault` AccessDeniedException.
        """
        session_id = str(members.get("SessionId") or "")
        session = self.opened.get(session_id)
        if session is not None and (
            (session.account, session.region) != (region.account, region.name)
            or session.ended is not None
        ):
            session = None
        if caller is not None:
            tags = {} if session is None else resource_tags(
                {
                    "aws:ssmmessages:session-id": session.user_id,
                    "aws:ssmmessages:target-id": session.target,
                }
            )  # fmt: skip
            resource = (
                f"arn:{region.partition}:ssm:{region.name}:{region.account}:session/{session_id}"
            )
            authorize(caller, action, resource, {**context, **tags})
        return session_id, session

    def join(self, session_id: str, token_value: str) -> Session:
        """Open the session's data channel, once for each token. May be called from any thread.

        Raises `ChannelDenied` if the session is not open or was joined, or the token is wrong.
        """
        with self._changing:
            session = self.opened.get(session_id)
            if session is None or session.ended is not None:
                raise ChannelDenied("there is no such session")
            if not hmac.compare_digest(session.token_value.encode(), token_value.encode()):
                raise ChannelDenied("the token is not this session's")
            if session.joined:
                raise ChannelDenied("the token has been used")
            session.joined = True
            session.lost = False
            return session

    def lose(self, session_id: str) -> None:
        """Note that the session's data channel was lost. May be called from any thread."""
        if (session := self.opened.get(session_id)) is not None:
            session.lost = True

    def leave(self, session_id: str) -> None:
        """End the session after its data channel was closed. May be called from any thread."""
        if (session := self.opened.get(session_id)) is not None:
            session.ended = session.ended or datetime.now(UTC)

    def _target_key(self, name: str | None) -> dict[str, str]:
        """Return ssm:SessionDocumentAccessCheck for the authorization of the target."""
        if name is None:
            return {_CHECK: "true" if self.model is Model.Y2025 else "false"}
        bare = name.rpartition("/")[2]
        if bare == DEFAULT_DOCUMENT_NAME or bare.lower().startswith(RESERVED_PREFIXES):
            return {_CHECK: "true"}
        return {}

    def _needs_document(self, name: str | None) -> bool:
        if name is None:
            return self.model is Model.Y2025
        return name != DEFAULT_DOCUMENT_NAME or self.model is not Model.Y2021

    def _authorize_document(
        self, name: str, caller: Caller, region: Region, context: Mapping[str, str]
    ) -> None:
        document = _find_document(name, region)
        tags = resource_tags({} if document is None else document.tags)
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


def _find_document(name: str, region: Region) -> SessionDocument | None:
    """Return the document of this name or ARN; None if the ARN is of another account or region."""
    if not name.startswith("arn:"):
        return region.document(name)
    match = _DOCUMENT_ARN.match(name)
    document = None if match is None else region.document(match[2])
    return None if document is None or region.document_arn(document.name) != name else document


def _session_document(name: str, region: Region) -> SessionDocument:
    document = _find_document(name, region)
    if document is None:
        raise ServiceFault("InvalidDocument", f"Document with name {name} does not exist.")
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-troubleshooting.html
    if document.document_type != "Session":
        raise ServiceFault(
            "InvalidDocument",
            f"Document type: '{document.document_type}' is not supported. Only type: 'Session' is"
            " supported for Session Manager.",
        )
    return document


def _session(
    members: Mapping[str, object],
    caller: Caller | None,
    region: Region,
    target: str,
    name: str | None,
    content: str,
) -> Session:
    """Return a new session. Raises `ServiceFault` for preferences that cannot be obeyed."""
    parameters = _parameters(members.get("Parameters"))
    owner = f"arn:{region.partition}:iam::{region.account}:root" if caller is None else caller.arn
    prefix = "root" if caller is None else owner.rpartition("/")[2]
    return Session(
        session_id=f"{prefix}-{secrets.token_hex(9)[:17]}",
        target=target,
        document_name=name or DEFAULT_DOCUMENT_NAME,
        owner=owner,
        user_id=region.account if caller is None else caller.user_id,
        account=region.account,
        region=region.name,
        reason=None if members.get("Reason") is None else str(members["Reason"]),
        started=datetime.now(UTC),
        content=content,
        parameters=parameters,
        token_value=secrets.token_urlsafe(64),
        preferences=_preferences(content, name or DEFAULT_DOCUMENT_NAME, parameters, region),
        run_as="" if caller is None else "".join(caller.context.get(_RUN_AS_TAG, "")),
    )


def _preferences(
    content: str, name: str, parameters: Mapping[str, Sequence[str]], region: Region
) -> Preferences:
    """Return the preferences of a document, or those of the region's if it has none."""
    default = region.document(DEFAULT_DOCUMENT_NAME)
    if default is None or has_preferences(content):
        return read(content, name, parameters)
    return read(default.content, DEFAULT_DOCUMENT_NAME, {})


def _parameters(parameters: object) -> dict[str, list[str]]:
    """Return a map of lists of strings. Other values are left out."""
    if not isinstance(parameters, dict):
        return {}
    return {
        str(name): [str(value) for value in values]
        for name, values in parameters.items()
        if isinstance(values, list)
    }
