"""The machine's own rules: they refuse what IAM allows, and never the other way round."""

from __future__ import annotations

import re

from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.reason import RestrictionReason

PATTERN = re.compile(r"[a-zA-Z0-9_\-.:/*?]{1,300}\Z")
"""What a pattern is made of: of everything else one could think that it had a meaning."""


@frozen
class Restrictions:
    """What sessions this machine starts, whatever IAM allows. Empty rules refuse nothing.

    The two `…_allow` are lists of which each has to match, one for each file that tightens.
    A pattern has `*` and `?`. One that begins with `arn:` is compared with the document's ARN,
    any other with the document's name, which in an allow list means a document of the caller's
    own account or of AWS's. A deny pattern means every account's, in whatever case.
    """

    documents_allow: tuple[tuple[str, ...], ...] = ()
    documents_deny: tuple[str, ...] = ()
    targets_allow: tuple[tuple[str, ...], ...] = ()
    require_reason: bool = False


@frozen
class LocalDenial:
    """A rule says no. `rule` is its key in the configuration, `reason` one clause."""

    reason_code: RestrictionReason
    rule: str
    reason: str
