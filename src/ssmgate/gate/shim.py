"""Read a line that may be any of the AWS CLI's, for the `aws` that stands before the real one."""

from __future__ import annotations

from collections.abc import Mapping

from ssmgate.gate.argv import passthrough
from ssmgate.gate.argv.aliases import ExternalAlias, NotAStart, read_line
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.config import load as configuration


def read_aws_line(
    argv: list[str], environ: Mapping[str, str], shim_directory: str, real_aws: str
) -> Invocation | int:
    """Read `argv`, the words after `aws`, of a line that may be any of the AWS CLI's.

    `shim_directory` holds the `aws` that stands before the real one; `real_aws` is the path of
    that one, empty if there is none; `aws.path` of the configuration comes before it. A line that
    starts no session becomes the real AWS CLI by exec, and an alias with `!` a shell. Otherwise
    returns and raises as `read`.
    """
    line = read_line(argv)
    if isinstance(line, NotAStart):
        configured = configuration.load(environ).aws_path
        passthrough.exec_aws(configured or real_aws, argv, environ)
    if isinstance(line, ExternalAlias):
        passthrough.exec_shell(line.command, shim_directory, environ)
    return line
