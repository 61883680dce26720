"""The command that installs missing packages in the environment that ssmgate runs in."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from importlib import metadata


def adding(extra: str) -> str:
    """Return a shell command that installs the packages of `extra`, an extra in pyproject.toml.

    ssmgate itself is not on a package index, so the command installs into its environment: pipx and
    uv have a separate one for each tool, which pipx's command or the interpreter's path names. For
    a source tree that is not installed the command is for that tree.
    """
    try:
        required = metadata.requires("ssmgate") or []
    except metadata.PackageNotFoundError:
        required = []
    packages = []
    for line in required:
        requirement, _, marker = line.partition(";")
        if f"extra=={extra}" in marker.translate({ord(sign): None for sign in " '\""}):
            packages.append(requirement.strip())
    return installing(*(packages or [f".[{extra}]"]))


def installing(*requirements: str) -> str:
    """Return a shell command that installs `requirements` in the environment ssmgate runs in."""
    return shlex.join([*_installer(), *requirements])


def _installer() -> list[str]:
    if os.path.exists(os.path.join(sys.prefix, "pipx_metadata.json")):
        return ["pipx", "inject", os.path.basename(sys.prefix)]
    if importlib.util.find_spec("pip") is None:
        return ["uv", "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]
