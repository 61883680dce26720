"""Translate exceptions of awscli and botocore into ssmgate's errors, worded as in AWS CLI v2."""

from __future__ import annotations

import re
from dataclasses import replace

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
)
from botocore.parsers import ResponseParserError

from ssmgate.gate.aws import hints
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
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import UnknownReason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, DocumentName, SessionRequest

USAGE = (
    "aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\n"
    "To see help text, you can run:\n\n"
    "  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n"
)
"""The usage of AWS CLI v2, as this command replaces that one."""

# The end of IAM's message about a call that is not allowed. A link or an id may follow.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_WHY_DENIED = re.compile(
    r" (?:with an explicit deny in an? [A-Za-z -]+ (?:policy|boundary)"
    r"|because no [A-Za-z -]+ (?:policy|boundary) allows the iam:SimulatePrincipalPolicy action)"
)

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests")


def translate(
    error: Exception, *, profile: str | None = None, target: str | None = None
) -> GateError:
    """Return ssmgate's error for `error`, which awscli, botocore or any other code raised.

    `profile` and `target` are the options' values, for hints; None if they are not known.
    https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
    """
    translated = _translate(error)
    translated.hints += hints.after(error, profile=profile)
    if target is not None and isinstance(translated, ServiceFailed):
        translated.hints += hints.about_target(translated.error_code, target)
    return translated


def _translate(error: Exception) -> GateError:
    match error:
        case GateError():
            return error
        case UnknownArgumentError():
            return InvalidRequest(
                str(error),
                preamble=f"\nusage: {USAGE}",
                hints=hints.about_options(re.findall(r"--[\w-]+", str(error))),
            )
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
            return GateError(str(error))
        case ResponseParserError():  # its message contains the whole answer
            return GateError("AWS's answer cannot be read")
        case KeyError():
            return GateError(f"AWS's answer lacks {error}")
        case AttributeError() | ImportError() | TypeError():
            from ssmgate.gate.system import awscli_release

            if blamed := awscli_release.blamed(error):
                return blamed
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


def start_failed(error: Exception, request: SessionRequest) -> GateError:
    """Return ssmgate's error for one that StartSession of `request` raised.

    A region has no default document before the preferences of Session Manager are saved there.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-preferences-cli.html
    """
    failed, name = translate(error), request.document_name
    is_default = name is not None and DocumentName.parse(name).name == DEFAULT_DOCUMENT_NAME
    if is_default and failed.error_code == "InvalidDocument":
        failed.notes += (f"this region has no {DEFAULT_DOCUMENT_NAME}: it was never created",)
        failed.hints += (
            "save the preferences of Session Manager once in this region, in its console or with"
            f" 'aws ssm create-document --name {DEFAULT_DOCUMENT_NAME} --document-type Session"
            " --content file://preferences.json'",
        )
    return failed


def of_a_service(error: Exception) -> bool:
    """Return whether a service or the network failed, and not the command or configuration."""
    return isinstance(error, (ClientError, HTTPClientError, ServiceFailed))


def cannot_ask(error: Exception, question: Question | None = None) -> Unknown:
    """Return an outcome with the reason why STS or IAM did not answer, and the next steps."""
    unknown = _cannot_ask(error, question)
    return replace(unknown, hints=hints.after(error))


def _cannot_ask(error: Exception, question: Question | None) -> Unknown:
    match error:
        case ClientError():
            failed = _service_failed(error)
            reason_code = _reason_code(failed)
            if reason_code in (Reason.NOT_ALLOWED_TO_SIMULATE, Reason.SIMULATION_DENIED):
                # Not IAM's whole message: it would read as if the session had been denied.
                reason = "the caller is not allowed to call iam:SimulatePrincipalPolicy"
                if because := _WHY_DENIED.search(failed.details):
                    reason += because[0]
                return Unknown(reason_code, reason, question)
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
        explicit = " with an explicit deny in " in failed.details
        return Reason.SIMULATION_DENIED if explicit else Reason.NOT_ALLOWED_TO_SIMULATE
    if failed.error_code == "InvalidInput" and "does not have access to policies in" in (
        failed.details
    ):
        return Reason.OTHER_ACCOUNT
    return Reason.FAILED
