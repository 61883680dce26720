"""Check what ssmgate runs with: Python, awscli, and session-manager-plugin."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from ssmgate.doctor.results import Result, State, not_checked, ok, problem, unknown, warning
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import ConfigurationProblem, GateError
from ssmgate.gate.plugin import find
from ssmgate.gate.plugin.find import Plugin
from ssmgate.gate.system import awscli_release
from ssmgate.gate.system.installation import installing

_OLDEST_PYTHON = (3, 11)
_OLDEST_PLUGIN = "1.2.764.0"

# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html
_DOWNLOADS = "https://s3.amazonaws.com/session-manager-downloads/plugin/latest"
_PLUGIN_PAGE = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html"
)


def python() -> Result:
    """Check the version of the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        fix = f"pipx reinstall --python python{oldest} ssmgate"
        return problem("python", f"{version} is older than {oldest} ({sys.executable})", fix)
    return ok("python", f"{version} ({sys.executable})")


@dataclass(frozen=True, slots=True)
class Awscli:
    """The package awscli. `version` is empty if it is not installed.

    `error` says why it cannot be used, with a `fix`; both are empty if it can. `reduced`: session
    starts use the reduced service models, which are read in a fraction of the time.
    """

    version: str
    error: str = ""
    fix: str = ""
    reduced: bool = True


def find_awscli() -> Awscli:
    """Return what is installed. Imports awscli."""
    try:
        version = metadata.version("awscli")
    except metadata.PackageNotFoundError:
        version = ""
    try:
        from ssmgate.gate.argv import parse  # noqa: F401
        from ssmgate.gate.aws.service_models import read_cut_down

        return Awscli(version, reduced=bool(read_cut_down(version)))
    except ConfigurationProblem as raised:
        return Awscli(version, raised.message, raised.hints[0])
    except Exception as raised:
        return broken_awscli(version, raised)


def broken_awscli(version: str, error: BaseException) -> Awscli:
    """Return the package awscli of release `version`, which `error` shows to be unusable."""
    blamed = awscli_release.blamed(error)
    if blamed is not None:
        return Awscli(version, blamed.message, blamed.hints[0])
    text = f"{version} cannot be used: {error} (supported: awscli {awscli_release.BOUND})"
    return Awscli(version, text, installing(f"awscli{awscli_release.BOUND}"))


def awscli(found: Awscli) -> Result:
    """Check the package awscli, whose parser and botocore ssmgate uses."""
    if found.error:
        return problem("awscli", found.error, found.fix)
    if not found.reduced:
        from ssmgate.gate.aws.service_models import CUT_DOWN

        mine = os.access(os.path.dirname(CUT_DOWN), os.W_OK)
        build = shlex.join([_program(), "models", "build"])
        return warning(
            "awscli",
            f"{found.version} ({awscli_release.BOUND}), but each start takes about 0.1 s longer:"
            " the reduced service models were made from other files",
            build if mine else f"sudo {build}",
        )
    return ok("awscli", f"{found.version} ({awscli_release.BOUND})")


def _program() -> str:
    """Return the path of `ssmgate`, its name if it is not next to the interpreter."""
    path = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "ssmgate")
    return path if os.access(path, os.X_OK) else "ssmgate"


def plugin(environ: Mapping[str, str], config: Config) -> tuple[Plugin | None, Result]:
    """Find session-manager-plugin as a session start does, and check its version."""
    try:
        found = find.find(environ, config.plugin_path)
    except GateError as error:
        text = error.message
        if "is not found" in text:
            text = f"{find.PROGRAM} is not on PATH"
        return None, problem("plugin", text.removeprefix("SessionManagerPlugin "), _install())
    if found.version is None:
        text = f"{found.path} prints no version that can be compared (minimum {_OLDEST_PLUGIN})"
        return found, warning("plugin", text, _install())
    if not found.signs_channel:
        text = f"{found.path} {found.version_text} is older than {_OLDEST_PLUGIN}, the minimum"
        return found, warning("plugin", text, _install())
    text = f"{found.path} {found.version_text} (minimum {_OLDEST_PLUGIN}), signs the data channel"
    return found, ok("plugin", text)


def plugin_credentials(
    found: Plugin | None, config: Config, only_here: str | None, credentials: Result
) -> Result:
    """Check whether the plugin, which looks for credentials itself, will find the caller's.

    `only_here` is that of the caller's credentials (`gate.aws.clients.Credentials`), None if they
    are not known. `credentials` is the line about them.
    """
    name = "plugin credentials"
    if config.pass_credentials:
        return ok(name, "ssmgate passes the checked credentials to the plugin")
    if found is None:
        return not_checked(name, "plugin")
    if not found.signs_channel:
        return ok(name, "this plugin needs none")
    if only_here is None:
        if credentials.state is State.UNKNOWN:
            return unknown(name, credentials.text)
        return not_checked(name, "credentials")
    if only_here:
        return warning(
            name,
            f"the plugin may not find the credentials of {only_here}",
            "export SSMGATE_PLUGIN_PASS_CREDENTIALS=true",
        )
    return ok(name, "the plugin finds the same credentials")


def _install() -> str:
    """Return the command that installs the plugin, as AWS documents it; else the page."""
    arm = platform.machine() in ("aarch64", "arm64")
    if sys.platform == "darwin":
        return "brew install --cask session-manager-plugin"
    if os.path.exists("/etc/debian_version"):
        package = f"{_DOWNLOADS}/ubuntu_{'arm64' if arm else '64bit'}/session-manager-plugin.deb"
        file = shlex.quote(os.path.basename(package))
        return f"curl -fsSLO {package} && sudo dpkg -i {file}"
    if os.path.exists("/etc/redhat-release") or os.path.exists("/etc/system-release"):
        kind = "arm64" if arm else "64bit"
        return f"sudo yum install -y {_DOWNLOADS}/linux_{kind}/session-manager-plugin.rpm"
    return _PLUGIN_PAGE
