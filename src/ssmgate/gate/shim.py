"""Read any command line of the AWS CLI, for the shim, the `aws` before the real one on PATH."""

from __future__ import annotations

from collections.abc import Mapping

from ssmgate.gate.argv import passthrough
from ssmgate.gate.argv.aliases import ExternalAlias, NotAStart, read_line
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.config import load as configuration


def read_aws_line(
    argv: list[str], environ: Mapping[str, str], shim_directory: str, real_aws: str
) -> Invocation | int:
    """Read `argv`, the arguments after `aws` of any command line of the AWS CLI.

    `shim_directory` contains the shim; `real_aws` is the path of the real AWS CLI, empty if there
    is none; `aws.path` in the configuration overrides it. If the command line starts no session,
    this process becomes the real AWS CLI by exec, or a shell for an alias with `!`. Otherwise
    returns and raises as `read`.
    """
    line = read_line(argv)
    if isinstance(line, NotAStart):
        configured = configuration.load(environ).aws_path
        passthrough.exec_aws(configured or real_aws, argv, environ)
    if isinstance(line, ExternalAlias):
        passthrough.exec_shell(line.command, shim_directory, environ)
    return line
