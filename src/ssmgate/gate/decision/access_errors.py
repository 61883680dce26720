"""The errors of a check that does not allow the session, and what each is made from."""

from __future__ import annotations

from typing import ClassVar

from ssmgate.gate import exits
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.reason import Reason


@frozen
class DenialFacts:
    """The facts about a session that was not allowed. Every form of the error is made from them.

    `reason` is a clause to be shown with the document's ARN, `full_reason` one to be shown alone.
    `document` is the name or ARN that was given, or the default's name; `is_default` is true if
    none was given. `document_arn`, `caller_arn`, `policy_source_arn` and `layer` are empty if they
    are not known, `rule` if no rule of this machine decided. `missing` are condition keys
    without a value in the simulation. `remarks` and `hint` are next steps: `remarks` for a
    terminal, where `heading` and `command` follow them, `hint` for three lines in a log.
    """

    reason_code: Reason
    reason: str
    full_reason: str
    document: str
    is_default: bool
    target: str
    document_arn: str = ""
    caller_arn: str = ""
    policy_source_arn: str = ""
    layer: str = ""
    rule: str = ""
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    heading: str = ""
    command: str = ""
    hint: str = ""


class AccessError(GateError):
    """The check did not allow the session: nothing was started. Exits 254.

    `message` is one line with the document and the reason. `decision.denial_text` makes the forms
    that are printed. `nearest` is the statement that came closest to an allow; it is set later, if
    there is time to look it up. `offers_commands` is false if the user has no shell.
    """

    exit_code = exits.SERVICE
    decision: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, facts: DenialFacts) -> None:
        super().__init__(f"{self.title}{facts.document}: {facts.full_reason}")
        self.facts = facts
        self.nearest = ""
        self.offers_commands = True


class AccessDenied(AccessError):
    """IAM denies: there is no explicit access to the session document.

    `details` is the message that the service would have sent, `sentence` AWS CLI's line with it.
    """

    decision = "denied"
    title = "access denied: session document "

    def __init__(self, facts: DenialFacts, *, details: str) -> None:
        super().__init__(facts)
        self.error_code = "AccessDeniedException"
        self.details = details

    @property
    def sentence(self) -> str:
        """Return the error as AWS CLI v2 prints the service's own denial."""
        return (
            f"An error occurred ({self.error_code}) when calling the StartSession operation:"
            f" {self.details}"
        )


class AccessUnknown(AccessError):
    """IAM could not be called, or its answer does not decide."""

    decision = "unknown"
    title = "could not check access to session document "


class RestrictionDenied(AccessError):
    """A rule of this machine's configuration denies what IAM allows."""

    decision = "denied"
    title = "access denied by this machine's rules: session document "
