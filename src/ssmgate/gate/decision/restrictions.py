"""The rules of this machine. They can deny what IAM allows, and never allow what IAM denies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ssmgate.gate.decision.frozen import frozen

if TYPE_CHECKING:
    from ssmgate.gate.decision.reason_kinds import RestrictionReason

PATTERN = re.compile(r"[a-zA-Z0-9_\-.:/*?]{1,300}\Z")
"""The characters of a pattern. Others are rejected: a reader could take them for wildcards."""


@frozen
class Restrictions:
    """The sessions that this machine may start, of those that IAM allows. Empty rules deny nothing.

    The two `…_allow` are lists, each of which has to match: one for each file that tightens.
    A pattern may contain `*` and `?`. If it begins with `arn:`, it is compared with the document's
    ARN, otherwise with the document's name, which in an allow list means a document of the caller's
    account or of AWS. A deny pattern applies to every account, in upper and lower case.
    """

    documents_allow: tuple[tuple[str, ...], ...] = ()
    documents_deny: tuple[str, ...] = ()
    targets_allow: tuple[tuple[str, ...], ...] = ()
    require_reason: bool = False


@frozen
class LocalDenial:
    """A denial by a rule. `rule` is its key in the configuration, `reason` one clause."""

    reason_code: RestrictionReason
    rule: str
    reason: str
