"""The questions about a principal whose policies are in files."""

from __future__ import annotations

from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.question import Caller


def builder(caller: Caller, region: str) -> QuestionBuilder:
    """Return the builder for sessions that `caller` starts in `region`, over TLS.

    Nothing is known of MFA, and no configuration adds context.
    """
    return QuestionBuilder(caller, caller.partition, region, secure_transport=True, mfa_done=False)
