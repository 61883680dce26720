"""Leave the check of a document to the service where IAM cannot be asked. Loaded only then."""

from __future__ import annotations

from dataclasses import replace

from ssmgate.gate.access.authorize import Authorization
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import NOT_ASKABLE, Unknown, leave_to_service
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.decision.restrictions import Restrictions


def left_to_service(authorization: Authorization, config: Config) -> Authorization:
    """Return `authorization`, permitted with the document named if IAM could not be asked at all.

    Nothing is left to the service once IAM has answered any question, nor if this machine's rules
    could not be applied: whether a statement names the document, and which account the document
    and the caller belong to, only IAM and STS show.
    """
    attempt = authorization.attempt
    unknown, request = attempt.decision, attempt.request
    if (
        not isinstance(unknown, Unknown)
        or unknown.reason_code not in NOT_ASKABLE
        or attempt.evaluations
        or not config.allow_wildcard_grants
        or (config.rules != Restrictions() and not attempt.questions)
    ):
        return authorization
    named = request if request.document_name else request.named(DEFAULT_DOCUMENT_NAME)
    permit = leave_to_service(named, unknown)
    return replace(authorization, attempt=replace(attempt, request=named, decision=permit))
