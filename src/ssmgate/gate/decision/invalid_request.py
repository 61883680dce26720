"""The errors of a request that StartSession would not accept. Loaded only for one of them."""

from __future__ import annotations

import re

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.printable import Layout
from ssmgate.gate.decision.request import NAME


def document_name(text: str) -> InvalidRequest:
    """Return the error for `text`, which is neither a document's name nor its ARN."""
    return InvalidRequest(
        f"Invalid value for --document-name: {text!r} is neither the name of a session"
        " document nor its full ARN",
        code="ParamValidation",
        hints=(
            "StartSession has no document version: leave ':VERSION' out"
            if re.match(rf"{NAME}:[^:/]*\Z", text)
            else "a name has 3 to 128 letters, digits and _ - . and a document of another"
            " account is named by its ARN, arn:PARTITION:ssm:REGION:ACCOUNT:document/NAME",
        ),
    )


def parameter(message: str) -> InvalidRequest:
    """Return botocore's error about a parameter, with `message`."""
    text = Layout(f"Parameter validation failed:\n{message}")
    return InvalidRequest(text, code="ParamValidation")
