"""Every way in which a start can fail, each with its exit code and its hints."""

from __future__ import annotations

from typing import ClassVar

from ssmgate.gate import exits
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.printer import Layout


class GateError(Exception):
    """Something kept the session from starting. Exits 255.

    `message` is one error in the words of AWS CLI v2 where it has words for it.
    `code` is AWS's short name for the error (`ParamValidation`, `NoRegion`, …), and
    empty where v2 prints the bare message. `hints` are next steps, a line each.
    `preamble` is printed before the error line, as v2 prints its usage there.

    A message is printed as one line, with line breaks escaped, unless it is a `printable.Layout`;
    so is each note and each hint, always. Nothing here may hold a session token.
    """

    exit_code: ClassVar[int] = exits.OTHER

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        notes: tuple[str, ...] = (),
        hints: tuple[str, ...] = (),
        preamble: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        # What a machine reads with --cli-error-format json or text.
        self.error_code = code
        self.details = message
        self.notes = notes
        self.hints = hints
        self.preamble = preamble
        # What --cli-error-format asked for, once it is known.
        self.error_format: str | None = None
        # The authorization that a denial rests on, for whoever explains it outside the gate.
        self.evidence: object = None

    @property
    def text(self) -> str:
        """The error line as `--cli-error-format enhanced`, v2's default, has it."""
        if not self.code:
            return self.message
        text = f"An error occurred ({self.code}): {self.message}"
        return Layout(text) if isinstance(self.message, Layout) else text


class InvalidRequest(GateError):
    """The command line, or the request that it makes, is not valid. Exits 252."""

    exit_code = exits.USAGE


class ConfigurationProblem(GateError):
    """ssmgate or AWS is not configured: no region, no credentials. Exits 253."""

    exit_code = exits.CONFIGURATION


class ServiceFailed(GateError):
    """AWS answered a call with an error. Exits 254."""

    exit_code = exits.SERVICE

    def __init__(self, message: str, *, error_code: str, operation: str, details: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.operation = operation
        self.details = details


@frozen
class DenialFacts:
    """What is known about a session that was not allowed. Each form of the error is made from it.

    `reason` is a clause that stands beside the document's ARN, `full_reason` one that stands alone.
    `document` is the name or ARN that was given, or the default's name; `is_default` is true where
    none was given. `document_arn`, `caller_arn`, `policy_source_arn` and `layer` are empty where
    they are not known, `rule` where no rule of this machine decided. `missing` are condition keys
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
    that are printed. `nearest` is the statement that came closest to the decision; it is filled in
    later, where somebody waits for it. `offers_commands` is false where the reader has no shell.
    """

    exit_code = exits.SERVICE
    decision: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, facts: DenialFacts) -> None:
        super().__init__(f"{self.title}{facts.document}: {facts.reason}")
        self.facts = facts
        self.nearest = ""
        self.offers_commands = True


class AccessDenied(AccessError):
    """IAM denies: there is no explicit access to the session document.

    `details` is what the service would have sent, `sentence` AWS CLI's line around it.
    """

    decision = "denied"
    title = "access denied: session document "

    def __init__(self, facts: DenialFacts, *, details: str) -> None:
        super().__init__(facts)
        self.error_code = "AccessDeniedException"
        self.details = details

    @property
    def sentence(self) -> str:
        """The error as AWS CLI v2 prints the service's own denial."""
        return (
            f"An error occurred ({self.error_code}) when calling the StartSession operation:"
            f" {self.details}"
        )


class AccessUnknown(AccessError):
    """IAM could not be asked, or its answer does not decide."""

    decision = "unknown"
    title = "could not check access to session document "


class RestrictionDenied(AccessError):
    """A rule of this machine's configuration denies what IAM allows."""

    decision = "denied"
    title = "access denied by this machine's rules: session document "


class RecordNotWritten(GateError):
    """A record is required and could not be written. No session stays. Exits 254."""

    exit_code = exits.SERVICE


class ControlFlow(BaseException):
    """What leaves a block without being an error. Each kind says here why it is not an `Exception`.

    * `signals.Interrupted`, a held signal: botocore would wrap an Exception and try again, and a
      session could stay behind.
    * `signals.TimeLimitExceeded`: likewise; and `except Exception` where something may fail would
      extend the limit.
    * `FallbackToColdStart`, another process has to start the session: it is not to be translated
      into an error of this one and printed.
    * `aliases.Version`, --version among the words: awscli's parser translates its Exceptions.
    """


class FallbackToColdStart(ControlFlow):
    """The process that asked a daemon has to start the session by itself."""
