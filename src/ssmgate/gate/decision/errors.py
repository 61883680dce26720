"""Every way in which a start can fail, each with its exit code and its hints."""

from __future__ import annotations

from typing import ClassVar

from ssmgate.gate import exits
from ssmgate.gate.decision.printable import Layout


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
