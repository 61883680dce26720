"""The errors about the installed awscli. Loaded only after something failed."""

from __future__ import annotations

from importlib import metadata

from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.system import supported
from ssmgate.gate.system.installation import installing

BOUND = ">={},<{}".format(*supported.AWSCLI)


def unsupported(fault: str) -> ConfigurationProblem:
    """Return the error for `fault`: no awscli, one outside the bound, or another botocore.

    Another botocore is one that was imported before ssmgate: by a .pth file, by sitecustomize, or
    by the program that imports ssmgate. A separate environment has none of these.
    """
    return _error(fault, f"awscli{BOUND}")


def blamed(error: BaseException) -> ConfigurationProblem | None:
    """Return the error that awscli cannot be used, None if `error` is not due to its release.

    A private part that was renamed is an AttributeError, an ImportError or a TypeError. With the
    oldest supported release, for which ssmgate is tested, that is a defect of ssmgate.
    """
    if not isinstance(error, AttributeError | ImportError | TypeError):
        return None
    try:
        release = metadata.version("awscli")
    except metadata.PackageNotFoundError:
        return unsupported("the Python package awscli is not installed")
    tested = supported.AWSCLI[0]
    if release == tested:
        return None
    return _error(f"awscli {release} cannot be used: {error}", f"awscli=={tested}")


def _error(message: str, requirement: str) -> ConfigurationProblem:
    return ConfigurationProblem(
        f"{message} (supported: awscli {BOUND})", hints=(installing(requirement),)
    )
