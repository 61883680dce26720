"""Decide which operations the sandbox offers, and answer all others once and clearly.

moto raises NotImplementedError for an operation that it lacks, which its server turns into a
status of 500 with a traceback. Clients retry such an answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model

from ssmgate.sandbox.faults import ServiceFault

_SERVICES = ("ec2", "iam", "ssm", "sts")

# Clients retry 500, 502, 503 and 504, but not this one.
_NOT_RETRIED = 501


def is_offered(response_class: type, operation: str) -> bool:
    """Return whether `operation`, by AWS's name, has a method in one of moto's classes."""
    name = camelcase_to_underscores(operation)
    return callable(getattr(response_class, name, None)) and not hasattr(BaseResponse, name)


def require(response: Any) -> None:
    """Raise the service's own fault if the request is for an operation that is not supported.

    moto has other services too, whose operations are not checked.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
    https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
    """
    service, operation = response.service_name, response._get_action()
    if service in _SERVICES and not is_offered(type(response), operation or ""):
        raise _not_offered(service, operation)


def failed(response: Any, error: Exception) -> ServiceFault:
    """Return the fault for a request in which moto has raised `error`."""
    service, operation = response.service_name, response._get_action()
    if isinstance(error, NotImplementedError):
        return _not_offered(service, operation)
    return ServiceFault(
        "InternalFailure",
        f"The sandbox failed in {service}:{operation}: {type(error).__name__}: {error}",
        _NOT_RETRIED,
    )


def _not_offered(service: str, operation: str) -> ServiceFault:
    code = "UnknownOperationException" if service == "ssm" else "InvalidAction"
    return ServiceFault(code, f"{service}:{operation} is not supported by the sandbox.")


def with_faults(parse_parameters: Any) -> Callable[[Any, Any], None]:
    """Return moto's parser of requests, which stores an error instead of raising it.

    The error is in `sandbox_unread`. moto parses a request before it calls the operation, where
    an error cannot be answered.
    """

    @functools.wraps(parse_parameters)
    def parse(self: Any, request: Any) -> None:
        self.sandbox_unread = None
        try:
            parse_parameters(self, request)
        except Exception as error:
            self.params = {}
            self.sandbox_unread = error

    return parse


def unread(response: Any) -> ServiceFault | None:
    """Return the fault for a request that could not be parsed; None for any other request."""
    error: Exception | None = getattr(response, "sandbox_unread", None)
    if error is None:
        return None
    code = "SerializationException" if response.service_name == "ssm" else "MalformedQueryString"
    return ServiceFault(code, f"The request cannot be read: {error}")


def models() -> dict[str, tuple[type, list[str]]]:
    """Return for each service moto's class and the names of all operations that AWS has."""
    # The classes of EC2 are loaded with its first request: they take time and memory.
    from moto.ec2.responses import EC2Response
    from moto.iam.responses import IamResponse
    from moto.ssm.responses import SimpleSystemManagerResponse
    from moto.sts.responses import TokenResponse

    classes = (EC2Response, IamResponse, SimpleSystemManagerResponse, TokenResponse)
    return {
        service: (response_class, list(get_service_model(service).operation_names))
        for service, response_class in zip(_SERVICES, classes, strict=True)
    }
