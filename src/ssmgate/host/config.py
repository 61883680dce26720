"""ssmgate's configuration: two files and the environment, the later one over the earlier."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ssmgate.core.errors import ConfigurationProblem
from ssmgate.core.question import FIXED_KEYS, ContextEntry, configured_context
from ssmgate.core.rules import Explicit

SYSTEM_FILE = "/etc/ssmgate/config.toml"
USER_FILE = ".config/ssmgate/config.toml"

# variable -> (the key's name in a file, how its text is read)
_VARIABLES: dict[str, tuple[str, Callable[[str], object]]] = {
    "SSMGATE_MODE": ("mode", str),
    "SSMGATE_CHECKER_PROFILE": ("checker.profile", str),
    "SSMGATE_CHECKER_ROLE_ARN": ("checker.role_arn", str),
    "SSMGATE_CONTEXT": ("context", json.loads),
    "SSMGATE_EXPLICIT": ("explicit", str),
    "SSMGATE_PLUGIN_CREDENTIALS": ("plugin.credentials", str),
    "SSMGATE_AWS_PATH": ("aws.path", str),
}
_TABLES = ("aws", "checker", "plugin")
_KEYS = "mode, explicit, aws.path, checker.profile, checker.role_arn, context, plugin.credentials"


@dataclass(frozen=True, slots=True)
class Checker:
    """Who asks IAM instead of the caller. With both, the role is assumed with the profile.

    The principal that is simulated stays the caller's own.
    """

    profile: str | None = None
    role_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The keys of the configuration.

    `context` is what it adds to every question. `resolved_credentials`: whether the plugin gets
    the very credentials that were checked, instead of finding its own. `aws_path` is the real
    AWS CLI, for lines that start no session; None for the first on PATH. `explicit` is what
    counts as explicit access to a document.
    """

    permissive: bool = False
    checker: Checker | None = None
    context: tuple[ContextEntry, ...] = field(default=())
    explicit: Explicit = Explicit.ALLOWED
    resolved_credentials: bool = False
    aws_path: str | None = None


def load(environ: Mapping[str, str], *, system_file: str = SYSTEM_FILE) -> Config:
    """Read `system_file`, the user's file below `HOME`, and the SSMGATE_… variables.

    A file that does not exist says nothing. Raises `ConfigurationProblem` for a file that cannot
    be read, an unknown key or variable, and a value of the wrong type: a rule that is not
    understood must not be passed over.
    """
    mode, profile, role_arn = "enforce", None, None
    explicit = Explicit.ALLOWED
    plugin_credentials, aws_path = "own", None
    context: dict[str, object] = {}
    for origin, key, value in _settings(environ, system_file):
        match key, value:
            case "mode", "enforce" | "permissive":
                mode = str(value)
            case "mode", _:
                raise _wrong(origin, key, "is 'enforce' or 'permissive'")
            case "explicit", "allowed" | "named":
                explicit = Explicit(value)
            case "explicit", _:
                raise _wrong(origin, key, "is 'allowed' or 'named'")
            case "checker.profile", str() if value:
                profile = value
            case "checker.role_arn", str() if value.startswith("arn:") and ":role/" in value:
                role_arn = value
            case "checker.role_arn", _:
                raise _wrong(origin, key, "is the ARN of an IAM role")
            case "aws.path", str() if value.startswith("/"):
                aws_path = value
            case "aws.path", _:
                raise _wrong(origin, key, "is an absolute path")
            case "context", dict():
                _merge(context, value, origin)
            case "plugin.credentials", "own" | "resolved":
                plugin_credentials = str(value)
            case "plugin.credentials", _:
                raise _wrong(origin, key, "is 'own' or 'resolved'")
            case "checker.profile" | "context", _:
                raise _wrong(origin, key, "is a table" if key == "context" else "is a name")
            case _:
                raise ConfigurationProblem(
                    f"{origin}: unknown key {key!r}",
                    hints=(f"the keys are {_KEYS}",),
                )
    return Config(
        permissive=mode == "permissive",
        checker=Checker(profile, role_arn) if profile or role_arn else None,
        context=configured_context(context),
        explicit=explicit,
        resolved_credentials=plugin_credentials == "resolved",
        aws_path=aws_path,
    )


def _settings(environ: Mapping[str, str], system_file: str) -> list[tuple[str, str, Any]]:
    settings: list[tuple[str, str, Any]] = []
    files = [system_file]
    if home := environ.get("HOME"):
        files.append(os.path.join(home, USER_FILE))
    for path in files:
        for key, value in _read(path).items():
            if key in _TABLES and isinstance(value, dict):
                settings += [(path, f"{key}.{name}", item) for name, item in value.items()]
            else:
                settings.append((path, key, value))
    for variable, text in environ.items():
        if not variable.startswith("SSMGATE_"):
            continue
        if variable not in _VARIABLES:
            raise ConfigurationProblem(
                f"unknown variable {variable}",
                hints=(f"the variables are {', '.join(_VARIABLES)}",),
            )
        key, parse = _VARIABLES[variable]
        try:
            settings.append((variable, key, parse(text)))
        except ValueError as error:
            raise _wrong(variable, key, "is a JSON object of condition keys") from error
    return settings


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            # Most machines have neither file, and the import costs as much as the reading.
            import tomllib

            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationProblem(f"{path}: {error.strerror}") from error
    except ValueError as error:  # TOML, or UTF-8
        raise ConfigurationProblem(f"{path}: {error}") from error


def _merge(context: dict[str, object], table: Mapping[str, object], origin: str) -> None:
    for name, value in table.items():
        if name.lower() in FIXED_KEYS:
            raise ConfigurationProblem(
                f"{origin}: context key {name!r} is ssmgate's own to fill in"
            )
        try:
            configured_context({name: value})
        except ValueError as error:
            raise _wrong(origin, f"context.{name}", str(error)) from error
        # IAM's condition keys have no case.
        for known in [key for key in context if key.lower() == name.lower()]:
            del context[known]
        context[name] = value


def _wrong(origin: str, key: str, expected: str) -> ConfigurationProblem:
    return ConfigurationProblem(f"{origin}: {key} {expected}")
