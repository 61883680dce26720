"""Look up what a denial may depend on: tags, and the condition keys that the policies mention."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from ssmgate.gate.aws import assumed_role
from ssmgate.gate.decision.arn import principal
from ssmgate.gate.decision.context_keys import is_tag, unknown_keys
from ssmgate.gate.decision.decision import Layer
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import (
    PRINCIPAL_TAG_PREFIX,
    RESOURCE_TAG_PREFIXES,
    Caller,
    ContextEntry,
    Question,
    is_principal_tag,
    is_resource_tag,
)
from ssmgate.gate.decision.wildcards import like, pattern

__all__ = ["Found", "Lookups", "Source", "Tags", "document_tags", "is_tag", "unread"]

Tags = tuple[tuple[str, str], ...]

_NOT_READ = "was not read"
_NOT_DOCUMENTED = "AWS does not document for this kind of target"


@frozen
class Source:
    """A source of the tags of one resource.

    `read` makes at most one call and returns None if that fails. `unread` is the reason for
    None: "the policies ask for KEY, which UNREAD". `prefixes` are those of the condition
    keys that the resource's tags are known to have.
    """

    read: Callable[[], Tags | None]
    unread: str
    prefixes: tuple[str, ...] = RESOURCE_TAG_PREFIXES


@frozen
class Found:
    """The tags that were looked up for one denied question.

    `keys` are the condition keys that the policies mention and whose value was not known before,
    as far as IAM reported them. `entries` are tags, empty if none of `keys` has a value.
    `resource_unread` and `principal_unread` are the reasons why the tags of that kind are not
    known, empty if they are. `prefixes` are those of `Source`. `session_tags`: the role session may
    have tags of its own, which no operation reports.
    """

    keys: tuple[str, ...] = ()
    entries: tuple[ContextEntry, ...] = ()
    resource_unread: str = _NOT_READ
    principal_unread: str = _NOT_READ
    session_tags: bool = False
    prefixes: tuple[str, ...] = RESOURCE_TAG_PREFIXES

    def unread(self, key_name: str) -> str:
        """Return why the value of a tag's condition key is not known, empty if it is."""
        if is_resource_tag(key_name):
            if not key_name.lower().startswith(tuple(p.lower() for p in self.prefixes)):
                return _NOT_DOCUMENTED
            return self.resource_unread
        return self.principal_unread if is_principal_tag(key_name) else ""


class Lookups:
    """Lookups about one caller after a denial. Each call is made at most once.

    `iam` has to exist already: another thread may use it. `session` is botocore's session with the
    caller's credentials, None if it is not known how they were made.
    """

    def __init__(self, iam: Any, caller: Caller, session: Any = None) -> None:
        self.iam = iam
        self.caller = caller
        self._session = session

    def keys_of(self, layer: Layer) -> tuple[tuple[str, ...] | None, str]:
        """Return the condition keys that an explicit deny in `layer` may depend on.

        None if they cannot be listed, with the reason: "condition keys that REASON". They include
        the keys of other statements. IAM lists those of identity-based policies, and those of a
        boundary if it is given the boundary's text.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
        """
        if layer is Layer.ORGANIZATIONS:
            return None, "cannot be listed"
        if layer is Layer.IDENTITY:
            return self.mentioned(), "could not be listed (iam:GetContextKeysForPrincipalPolicy)"
        return self._boundary_keys, "could not be listed (the boundary could not be read)"

    def mentioned(self) -> tuple[str, ...] | None:
        """Return the condition keys in the caller's own policies, None if IAM does not list them.

        Those of its groups are included, those of a boundary and of an organization are not.
        """
        return self._mentioned

    @cached_property
    def _mentioned(self) -> tuple[str, ...] | None:
        return self._listed()

    def _listed(self, **more: Any) -> tuple[str, ...] | None:
        source = self.caller.policy_source_arn
        try:
            answer = self.iam.get_context_keys_for_principal_policy(PolicySourceArn=source, **more)
            return tuple(str(key) for key in answer.get("ContextKeyNames") or ())
        except Exception:
            return None

    @cached_property
    def _boundary_keys(self) -> tuple[str, ...] | None:
        try:
            arn = (self._entity or {})["PermissionsBoundary"]["PermissionsBoundaryArn"]
            version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
            text = json.dumps(_policy(answer["PolicyVersion"]["Document"]))
        except Exception:
            return None
        return self._listed(PolicyInputList=[text])

    @cached_property
    def _entity(self) -> Mapping[str, Any] | None:
        """IAM's description of the user or role, None if IAM does not give it."""
        caller = self.caller
        if not caller.role_path_known:  # GetRole was denied when the caller was identified
            return None
        name = principal(caller.caller_arn).name
        try:
            entity: Mapping[str, Any] = (
                self.iam.get_user(UserName=name)["User"]
                if caller.principal_type == "User"
                else self.iam.get_role(RoleName=name)["Role"]
            )
            return entity if entity["Arn"] == caller.policy_source_arn else None
        except Exception:
            return None

    def _principal(self) -> tuple[Tags | None, bool]:
        """Return the tags of the principal, None if they are not known, and `Found.session_tags`.

        A user has only its own tags. Tags of a role session (AssumeRole, SAML, IAM Identity Center)
        override those of the role. Whoever passes them needs sts:TagSession in the role's trust
        policy. A session that this process made without tags has only the role's.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
        """
        entity = self._entity
        try:
            tags = None if entity is None else _pairs(entity.get("Tags") or ())
        except Exception:
            return None, False
        if entity is None or self.caller.principal_type == "User":
            return tags, False
        trust = _policy(entity.get("AssumeRolePolicyDocument"))
        if lets_tag_sessions(trust) and not assumed_role.is_untagged(self._session):
            return None, True
        return tags, False

    def find(
        self,
        denied: Question,
        keys: Sequence[str] | None,
        own: Source | None,
        *,
        together: bool = False,
    ) -> Found:
        """Return the tags among `keys`, and read those of both kinds at the same time.

        `keys` is None if IAM does not report which keys the policies mention: any tag may decide
        then. `own` is None for a resource that cannot have tags of the account. `together`: IAM may
        not have reported all keys, so if one kind of tags is needed, the other may be too.
        """
        wanted = None if keys is None else unknown_keys(denied, keys)
        resource = wanted is None or any(map(is_resource_tag, wanted))
        of_principal = wanted is None or any(map(is_principal_tag, wanted))
        if together and own is not None:
            resource = of_principal = resource or of_principal
        resource = resource and own is not None
        # The resource's are read in this thread: a client may have to be made first.
        other = threading.Thread(target=lambda: self._entity, daemon=True)
        if resource and of_principal:
            other.start()
        own_tags = own.read() if own is not None and resource else None
        if resource and of_principal:
            other.join()
        principal_tags, session_tags = self._principal() if of_principal else (None, False)
        prefixes = RESOURCE_TAG_PREFIXES if own is None else own.prefixes
        entries = (
            *_entries(prefixes, own_tags),
            *_entries((PRINCIPAL_TAG_PREFIX,), principal_tags),
        )
        named = {key.lower() for key in wanted or ()}
        if wanted is not None and not any(e.key_name.lower() in named for e in entries):
            entries = ()
        return Found(
            wanted or (),
            entries,
            "" if own is None or own_tags is not None else own.unread,
            "" if principal_tags is not None else _principal_unread(self.caller),
            session_tags,
            prefixes,
        )


def unread(caller: Caller, denied: Question, keys: Sequence[str], own: Source | None) -> Found:
    """Return what `Lookups.find` returns if no tag can be read."""
    why = "" if own is None else own.unread
    return Found(unknown_keys(denied, keys), (), why, _principal_unread(caller))


def lets_tag_sessions(trust: Any) -> bool:
    """Return whether the trust policy `trust` of a role may let anyone pass tags of a session.

    That includes everything but a policy none of whose Allow statements covers sts:TagSession.
    Conditions and Deny statements are not read.
    """
    try:
        statements = trust["Statement"]
        return any(
            _covers_tag_session(one)
            for one in ([statements] if isinstance(statements, dict) else statements)
            if one["Effect"] != "Deny"
        )
    except (KeyError, TypeError, AttributeError):
        return True


def _covers_tag_session(statement: Mapping[str, Any]) -> bool:
    element = "Action" if "Action" in statement else "NotAction"
    actions = statement[element]
    listed = any(
        like(pattern(action.lower()), "sts:tagsession")
        for action in ([actions] if isinstance(actions, str) else actions)
    )
    return listed is (element == "Action")


def _principal_unread(caller: Caller) -> str:
    action = "GetUser" if caller.principal_type == "User" else "GetRole"
    return f"could not be read (iam:{action})"


def _entries(prefixes: Sequence[str], tags: Tags | None) -> Iterator[ContextEntry]:
    for name, value in tags or ():
        for prefix in prefixes:
            yield ContextEntry(prefix + name, "string", (value,))


def _policy(document: Any) -> Any:
    """Return a policy as an object. A client that explains a denial leaves it encoded."""
    if not isinstance(document, str):
        return document
    try:
        return json.loads(unquote(document))
    except ValueError:
        return None


def _pairs(tags: Sequence[Mapping[str, str]]) -> Tags:
    return tuple((tag["Key"], tag["Value"]) for tag in tags)


def document_tags(ssm: Any, name: str) -> Tags | None:
    """Return the tags of one of the account's documents, None if SSM does not report them."""
    try:
        answer = ssm.list_tags_for_resource(ResourceType="Document", ResourceId=name)
        return _pairs(answer["TagList"])
    except Exception:
        return None
