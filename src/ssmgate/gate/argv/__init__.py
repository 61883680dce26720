"""The command line, read by the AWS CLI's own parser."""

from ssmgate.gate import aws  # noqa: F401 - what it changes comes before awscli's modules
