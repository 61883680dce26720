"""Find out whether `aws` runs ssmgate in the calling shell, and which `aws` is behind it."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ssmgate.doctor.results import Result, ok, problem, warning

MARK = "_ssmgate_aws_in"
"""Environment variable with the process ID of the shell that has ssmgate's function `aws`.

The prefix SSMGATE_ is for the configuration.
"""

_V1 = "that is the AWS CLI v1 that was installed with ssmgate, not your own"
_OWN = "put your own on PATH, or name it in SSMGATE_AWS_PATH or as aws.path in the configuration"


@dataclass(frozen=True, slots=True)
class Shim:
    """What `aws` runs. Paths are None if there is no such program.

    `shims` is the directory of ssmgate's `aws`, `first` the first `aws` on PATH, `real` the AWS CLI
    that runs the commands which start no session. `function`: the calling shell has the function.
    """

    shims: str
    first: str | None
    real: str | None
    function: bool

    @property
    def ours(self) -> str:
        """Return the path of ssmgate's `aws`."""
        return os.path.join(self.shims, "aws")

    @property
    def in_force(self) -> bool:
        """Return whether `aws` runs ssmgate, as far as a program can see."""
        on_path = self.first is not None and os.path.samefile(self.first, self.ours)
        return self.function or on_path

    def is_bundled(self, path: str | None) -> bool:
        """Return whether the AWS CLI at `path` is the one that was installed with ssmgate."""
        # An editable installation may be in another environment than the checkout's .venv.
        own = os.path.join(sysconfig.get_path("scripts"), "aws")
        return path is not None and (_is_bundled(path, self.shims) or _is_script(path, own))


def find_shim(environ: Mapping[str, str], shims: str, configured: str | None) -> Shim:
    """Return what `aws` runs. Aliases and other functions of the shell are not visible.

    `configured` is `aws.path` in the configuration. `shims` has ssmgate's `aws`. Raises `OSError`
    if that is missing.
    """
    ours = os.path.join(shims, "aws")
    os.stat(ours)
    candidates = list(_on_path("aws", environ))
    others = [path for path in candidates if not os.path.samefile(path, ours)]
    # As in the shim, the AWS CLI installed with ssmgate is the last choice.
    real = configured or min(others, key=lambda path: _is_bundled(path, shims), default=None)
    return Shim(
        shims,
        candidates[0] if candidates else None,
        real,
        environ.get(MARK) == str(os.getppid()),
    )


def warn_of_v1(shim: Shim, path: str | None, effect: str) -> Iterator[str]:
    """Yield the warning about the AWS CLI at `path` if it was installed with ssmgate."""
    if shim.is_bundled(path):
        yield f"warning: {_V1}"
        yield f"warning: {effect}; {_OWN}"


def shim(found: Shim, shell: str) -> Result:
    """Check whether `aws` runs ssmgate. `shell` is the name of the user's shell."""
    if found.function:
        return ok("shim", f"aws is a function of this shell, which runs {found.ours}")
    if found.in_force:
        return ok("shim", f"aws is {found.first}")
    text = f"aws is {found.first or 'not on PATH'}: only ssm-start-session is checked"
    return warning("shim", text, "ssmgate init fish | source" if shell == "fish" else _eval(shell))


def _eval(shell: str) -> str:
    return f'eval "$(ssmgate init {"zsh" if shell == "zsh" else "bash"})"'


def real_aws(found: Shim) -> Result:
    """Check the AWS CLI that runs all commands but session starts."""
    real = found.real
    if real is None:
        return warning("aws", "no AWS CLI on PATH: aws can only start sessions")
    if not (os.path.isfile(real) and os.access(real, os.X_OK)):
        return problem(
            "aws",
            f"aws.path names {real}, which is not an executable file",
            "ssmgate config show --origin",
        )
    if found.is_bundled(real):
        text = f"{real} is the AWS CLI v1 that was installed with ssmgate, not your own"
        return warning("aws", text, "export SSMGATE_AWS_PATH=/usr/local/bin/aws")
    return ok("aws", f"commands that start no session run {real}")


def _is_bundled(path: str, shims: str) -> bool:
    """Return whether the shim in `shims` considers the AWS CLI at `path` to be ssmgate's own."""
    locations = ("../../../../../bin/aws", "../.venv/bin/aws")
    return any(_is_script(path, os.path.join(shims, own)) for own in locations)


def _is_script(path: str, own: str) -> bool:
    """Return whether `path` is the script `own` or a link to it.

    AWS CLI v2, which may have been installed over the script, is a binary.
    """
    try:
        if not os.path.samefile(path, own):
            return False
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _on_path(program: str, environ: Mapping[str, str]) -> Iterator[str]:
    for directory in os.get_exec_path(environ):
        path = os.path.abspath(os.path.join(directory, program))
        if os.path.isfile(path) and os.access(path, os.X_OK):
            yield path
