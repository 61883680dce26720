"""Look up the tags of the caller and of the resource, if condition keys of policies need them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ssmgate.gate.aws.identity import tags_of
from ssmgate.gate.decision.arn import principal
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

Tags = tuple[tuple[str, str], ...]


@frozen
class Source:
    """A source of the tags of one resource.

    `read` makes at most one call and returns None if that fails. `unread` is the reason if there
    are no tags: "the policies ask for KEY, which UNREAD".
    """

    read: Callable[[], Tags | None]
    unread: str


@frozen
class Found:
    """The tags that were looked up for one denied question.

    `keys` are the condition keys that the policies mention and the question lacks, as
    far as IAM reported them. `entries` are tags for some of them, empty if none of them has a
    value. `unread` are the tag keys whose value could not be read, each with the reason.
    """

    keys: tuple[str, ...] = ()
    entries: tuple[ContextEntry, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


class Lookups:
    """Lookups about one caller after a denial, each of them with at most one call.

    `iam` has to exist already: another thread may use it.
    """

    def __init__(self, iam: Any, caller: Caller) -> None:
        self.iam = iam
        self.caller = caller
        self._mentioned: tuple[tuple[str, ...] | None, ...] = ()
        self._principal_tags: tuple[Tags | None, ...] = ()

    def mentioned(self) -> tuple[str, ...] | None:
        """Return the condition keys in the caller's policies, None if IAM does not report them."""
        if not self._mentioned:
            self._mentioned = (_mentioned_keys(self.iam, self.caller),)
        return self._mentioned[0]

    def principal_tags(self) -> Tags | None:
        """Return the tags of the IAM user or role, None if IAM does not report them.

        A role's tags came with its path from GetRole, so they need no call.
        """
        if self.caller.principal_tags is not None or self.caller.principal_type != "User":
            return self.caller.principal_tags
        if not self._principal_tags:
            self._principal_tags = (user_tags(self.iam, self.caller),)
        return self._principal_tags[0]

    def find(self, denied: Question, keys: Sequence[str] | None, own: Source | None) -> Found:
        """Return the tags among `keys`, and read those of both kinds at the same time.

        `keys` is None if IAM does not report which keys the policies mention: any tag may
        decide then. `own` is None for a resource that cannot have tags of the account.
        """
        wanted = None if keys is None else _not_given(denied, keys)
        needs_own = own is not None and (wanted is None or any(map(is_resource_tag, wanted)))
        needs_principal = wanted is None or any(map(is_principal_tag, wanted))
        # The resource's are read in this thread: a client may have to be made first.
        other = threading.Thread(target=self.principal_tags, daemon=True)
        if both := needs_own and needs_principal:
            other.start()
        own_tags = own.read() if own is not None and needs_own else None
        if both:
            other.join()
        principal_tags = self.principal_tags() if needs_principal else None
        entries = (
            *_entries(RESOURCE_TAG_PREFIXES, own_tags),
            *_entries((PRINCIPAL_TAG_PREFIX,), principal_tags),
        )
        if wanted is not None:
            named = {key.lower() for key in wanted}
            if not any(entry.key_name.lower() in named for entry in entries):
                entries = ()
        unread = _unread(
            self.caller,
            wanted or (),
            own if own_tags is None else None,
            principal_read=principal_tags is not None,
        )
        return Found(wanted or (), entries, unread)


def unread(caller: Caller, denied: Question, keys: Sequence[str], own: Source | None) -> Found:
    """Return what `Lookups.find` returns if no tag can be read."""
    wanted = _not_given(denied, keys)
    return Found(wanted, (), _unread(caller, wanted, own, principal_read=False))


def session_tags(caller: Caller, denied: Question, keys: Sequence[str]) -> tuple[str, ...]:
    """Return those of `keys` that only the live request has: the tags of a role session.

    Its tags (AssumeRole with Tags, SAML, IAM Identity Center) override those of the role, and
    no operation reports them. An IAM user has only its own tags. A tag in `denied`, the question
    that was simulated first, is from the configuration.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    if caller.principal_type == "User":
        return ()
    return tuple(key for key in _not_given(denied, keys) if is_principal_tag(key))


def is_tag(key: str) -> bool:
    """Return whether the condition key is a tag of the principal or of the resource."""
    return is_resource_tag(key) or is_principal_tag(key)


def _unread(
    caller: Caller, keys: Sequence[str], own: Source | None, *, principal_read: bool
) -> tuple[tuple[str, str], ...]:
    return tuple(
        (key, reason)
        for key in keys
        for is_kind, reason in (
            (is_resource_tag, "" if own is None else own.unread),
            (
                is_principal_tag,
                "could not be read (iam:GetUser)"
                if caller.principal_type == "User" and not principal_read
                else "",
            ),
        )
        if reason and is_kind(key)
    )


def _not_given(denied: Question, keys: Sequence[str]) -> tuple[str, ...]:
    """Return `keys` without those in the question, each once: keys are case-insensitive."""
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key.lower(), key)
    return tuple(key for key in first.values() if not denied.gives(key))


def _entries(prefixes: Sequence[str], tags: Tags | None) -> Iterator[ContextEntry]:
    for name, value in tags or ():
        for prefix in prefixes:
            yield ContextEntry(prefix + name, "string", (value,))


def _mentioned_keys(iam: Any, caller: Caller) -> tuple[str, ...] | None:
    source = caller.policy_source_arn
    try:
        answer = iam.get_context_keys_for_principal_policy(PolicySourceArn=source)
        return tuple(str(key) for key in answer.get("ContextKeyNames") or ())
    except Exception:
        return None


def document_tags(ssm: Any, name: str) -> Tags | None:
    """Return the tags of one of the account's documents, None if SSM does not report them."""
    try:
        answer = ssm.list_tags_for_resource(ResourceType="Document", ResourceId=name)
        return tuple((tag["Key"], tag["Value"]) for tag in answer["TagList"])
    except Exception:
        return None


def user_tags(iam: Any, caller: Caller) -> tuple[tuple[str, str], ...] | None:
    """Return the tags of the IAM user that `caller` is, None if IAM does not report them."""
    try:
        user = iam.get_user(UserName=principal(caller.caller_arn).name)["User"]
        return tags_of(user) if user["Arn"] == caller.policy_source_arn else None
    except Exception:
        return None
