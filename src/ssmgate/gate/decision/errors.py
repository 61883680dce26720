"""The errors of a session start, each with its exit status and its hints."""

from __future__ import annotations

from typing import ClassVar

from ssmgate.gate import exits
from ssmgate.gate.decision.printable import Layout


class GateError(Exception):
    """The session cannot be started. Exits 255.

    `message` is one error, worded as in AWS CLI v2 if that has the same error.
    `code` is AWS's short name for the error (`ParamValidation`, `NoRegion`, …), and
    empty where v2 prints the bare message. `hints` are next steps, each of one line.
    `preamble` is printed before the error line, as v2 prints its usage there.

    A message is printed as one line, with line breaks escaped, unless it is a `printable.Layout`;
    so is each note and each hint, always. None of these may contain a session token.
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
        # For programs, with --cli-error-format json or text.
        self.error_code = code
        self.details = message
        self.notes = notes
        self.hints = hints
        self.preamble = preamble
        # The value of --cli-error-format, once it is known.
        self.error_format: str | None = None
        # The authorization that led to a denial, for explanations outside the gate.
        self.evidence: object = None

    @property
    def text(self) -> str:
        """Return the error line as with `--cli-error-format enhanced`, v2's default."""
        if not self.code:
            return self.message
        text = f"An error occurred ({self.code}): {self.message}"
        return Layout(text) if isinstance(self.message, Layout) else text


class InvalidRequest(GateError):
    """The command line, or the request in it, is invalid. Exits 252."""

    exit_code = exits.USAGE


class ConfigurationProblem(GateError):
    """ssmgate or AWS is not configured, for example no region or no credentials. Exits 253."""

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
    """A record is required and could not be written. No session is left open. Exits 254."""

    exit_code = exits.SERVICE


class ControlFlow(BaseException):
    """The base of what leaves a block without being an error. Why each is not an `Exception`:

    * `signals.Interrupted`, a held signal: botocore would wrap an Exception and try again, and a
      session could stay open.
    * `signals.TimeLimitExceeded`: likewise; and `except Exception` around optional code would
      extend the limit.
    * `FallbackToColdStart`, another process has to start the session: it must not be translated
      into an error of this process and printed.
    * `aliases.Version`, --version on the command line: awscli's parser translates its Exceptions.
    """


class FallbackToColdStart(ControlFlow):
    """The client of the daemon has to start the session itself."""
