"""The command line, read by the AWS CLI's own parser."""

from ssmgate.gate import aws  # noqa: F401 - prepares the process before awscli is imported
