"""Translate exceptions of awscli and botocore into ssmgate's errors, worded as in AWS CLI v2."""

from __future__ import annotations

from awscli.argprocess import ParamError, ParamSyntaxError
from awscli.arguments import UnknownArgumentError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from ssmgate.gate.aws.preconnect import CHECK
from ssmgate.gate.decision import tokens
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.errors import (
    ConfigurationProblem,
    GateError,
    InvalidRequest,
    ServiceFailed,
)
from ssmgate.gate.decision.printable import Layout
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason, UnknownReason

USAGE = (
    "aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\n"
    "To see help text, you can run:\n\n"
    "  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n"
)
"""The usage of AWS CLI v2, as this command replaces that one."""

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests")


def translate(error: Exception) -> GateError:
    """Return ssmgate's error for one of awscli's or botocore's, or for any other.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
    """
    match error:
        case GateError():
            return error
        case UnknownArgumentError():
            return InvalidRequest(str(error), preamble=f"\nusage: {USAGE}")
        case ParamError() | ParamSyntaxError() | ParamValidationError():
            return InvalidRequest(Layout(error), code="ParamValidation")
        case NoRegionError():
            return ConfigurationProblem(
                f'{error} You can also configure your region by running "aws configure".',
                code="NoRegion",
            )
        case NoCredentialsError():
            return ConfigurationProblem(
                f'{error}. You can configure credentials by running "aws login".',
                code="NoCredentials",
            )
        case MissingDependencyException():
            from ssmgate.gate.system.installation import adding

            return ConfigurationProblem(
                "profiles of 'aws login' need the package awscrt, which is not installed",
                hints=(adding("login"),),
            )
        case ClientError():
            return _service_failed(error)
        case ProfileNotFound():
            return GateError(str(error), hints=("'aws configure list-profiles' lists them",))
        case SSOError() | UnauthorizedSSOTokenError():
            return GateError(str(error), hints=("run 'aws sso login' with this profile",))
        case ResponseParserError():  # its message contains the whole answer
            return GateError("an answer of AWS's is no answer: it cannot be parsed")
        case KeyError():
            return GateError(f"an answer of AWS's lacks {error}")
    # For example from an alias or a credential_process, with its output.
    return GateError(Layout(error) or type(error).__name__)


def _service_failed(error: ClientError) -> ServiceFailed:
    details = error.response.get("Error", {})
    return ServiceFailed(
        tokens.masked(str(error)),
        error_code=tokens.masked(str(details.get("Code", "Unknown"))),
        operation=error.operation_name,
        details=tokens.masked(str(details.get("Message", ""))),
    )


def of_a_service(error: Exception) -> bool:
    """Return whether a service or the network failed, and not the command or configuration."""
    return isinstance(error, (ClientError, HTTPClientError, ServiceFailed))


def cannot_ask(error: Exception, question: Question | None = None) -> Unknown:
    """Return an outcome with the reason why STS or IAM did not answer."""
    match error:
        case ClientError():
            failed = _service_failed(error)
            reason_code = _reason_code(failed)
            if reason_code == Reason.NOT_ALLOWED_TO_SIMULATE:
                # Not IAM's message: it would read as if the session had been denied.
                return Unknown(
                    reason_code,
                    "the caller is not allowed to call iam:SimulatePrincipalPolicy",
                    question,
                )
            return Unknown(reason_code, str(error), question)
        case ReadTimeoutError():
            why = f"{_host(error)} did not answer within {CHECK.read_timeout} s"
            return Unknown(Reason.TIMED_OUT, why, question)
        case ConnectTimeoutError():
            why = f"no connection to {_host(error)} within {CHECK.connect_timeout} s"
            return Unknown(Reason.TIMED_OUT, why, question)
        case EndpointConnectionError() | HTTPClientError():
            return Unknown(Reason.UNREACHABLE, str(error), question)
        case BotoCoreError():
            return Unknown(Reason.FAILED, str(error), question)
    # The parsers' own errors: they quote the whole answer, or have only a member's name.
    who = "STS" if question is None else "IAM"
    why = f"{who}'s answer cannot be read ({type(error).__name__})"
    return Unknown(Reason.UNREADABLE, why, question)


def _host(error: Exception) -> str:
    """Return the host that a client with the time limits of `CHECK` called."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    return url.partition("://")[2].partition("/")[0] or "the endpoint"


def _reason_code(failed: ServiceFailed) -> UnknownReason:
    if failed.error_code in _EXPIRED:
        return Reason.EXPIRED
    if failed.error_code in _THROTTLED:
        return Reason.THROTTLED
    if failed.operation != "SimulatePrincipalPolicy":
        return Reason.FAILED
    # IAM is a query API: its code is AccessDenied, that of JSON services AccessDeniedException.
    if failed.error_code == "AccessDenied":
        return Reason.NOT_ALLOWED_TO_SIMULATE
    if failed.error_code == "InvalidInput" and "does not have access to policies in" in (
        failed.details
    ):
        return Reason.OTHER_ACCOUNT
    return Reason.FAILED
