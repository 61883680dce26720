"""Check what ssmgate runs with: Python, awscli, and session-manager-plugin."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from ssmgate.doctor.results import Result, State, not_checked, ok, problem, unknown, warning
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.plugin import find
from ssmgate.gate.plugin.find import Plugin
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
    """The package awscli. `required` is its requirement, such as `awscli<1.47,>=1.46.3`.

    `version` is empty if it is not installed. `error` says why it cannot be used, empty if it can.
    `models_for` is the release that the quickly loaded service models were made from.
    """

    required: str
    version: str
    error: str
    models_for: str


def find_awscli() -> Awscli:
    """Return what is installed. Imports awscli."""
    required, version, error, models_for = "awscli", "", "", ""
    try:
        found = metadata.requires("ssmgate") or []
        required = next(line for line in found if re.match(r"awscli\b", line))
    except (metadata.PackageNotFoundError, StopIteration):
        pass  # a source tree that is not installed
    try:
        version = metadata.version("awscli")
    except metadata.PackageNotFoundError:
        error = "the Python package awscli is not installed"
    try:
        from ssmgate.gate.argv import parse  # noqa: F401
    except Exception as raised:
        error = error or f"awscli cannot be imported: {raised}"
    try:
        # Not the constant in gate.aws, which cannot be imported if awscli is broken.
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with open(os.path.join(package, "gate", "aws", "service_models.json"), "rb") as file:
            models_for = str(json.load(file)["awscli"])
    except (OSError, ValueError, KeyError):
        pass
    return Awscli(required, version, error, models_for)


def awscli(found: Awscli) -> Result:
    """Check the package awscli, whose parser and botocore ssmgate uses."""
    fix = installing(found.required)
    bound = found.required.removeprefix("awscli") or "any"
    if found.error:
        return problem("awscli", f"{found.error} (supported: {bound})", fix)
    if not _within(found.version, bound):
        return problem("awscli", f"{found.version} is not supported ({bound})", fix)
    if found.models_for and found.version != found.models_for:
        return warning(
            "awscli",
            f"{found.version} is supported, but {found.models_for} starts faster: the reduced"
            " service models were made for it",
            installing(f"awscli=={found.models_for}"),
        )
    return ok("awscli", f"{found.version} ({bound})")


def _within(version: str, bound: str) -> bool:
    """Return whether `version` meets `bound`, a list of <, <=, >, >= and == with release numbers.

    A bound in another form is met.
    """
    number = _numbers(version)
    for sign, text in re.findall(r"(<=?|>=?|==)\s*([0-9.]+)", bound):
        limit = _numbers(text)
        met = {
            "<": number < limit,
            "<=": number <= limit,
            ">": number > limit,
            ">=": number >= limit,
            "==": number == limit,
        }
        if not met[sign]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))


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
