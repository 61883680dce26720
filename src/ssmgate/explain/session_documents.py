"""Which session documents there are, and what they contain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME

SELF, AMAZON = "Self", "Amazon"

MAX_DOCUMENTS = 500
"""Of one owner. What lies beyond is not listed, and that is said."""

# AWS's own session documents, and their session types, as its documentation and the field name
# them: what is told where listing is not allowed, and kinds that need no look into a document.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
WELL_KNOWN = {
    "AWS-PasswordReset": "InteractiveCommands",
    "AWS-StartInteractiveCommand": "InteractiveCommands",
    "AWS-StartNonInteractiveCommand": "NonInteractiveCommands",
    "AWS-StartPortForwardingSession": "Port",
    "AWS-StartPortForwardingSessionToRemoteHost": "Port",
    "AWS-StartPortForwardingSessionToSocket": "Port",
    "AWS-StartSSHSession": "Port",
}

_PAGE = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """The names of one owner's session documents.

    `complete` is false where they could not be listed, or not to the end: `why` then says why.
    """

    owner: str
    names: tuple[str, ...]
    complete: bool
    why: str = ""


def list_documents(ssm: Any, owner: str) -> Listed:
    """The session documents of this account (`SELF`) or AWS's own (`AMAZON`) in this region.

    Where ssm:ListDocuments is refused or fails: the default document, or the well-known ones.
    """
    filters = [
        {"Key": "DocumentType", "Values": ["Session"]},
        {"Key": "Owner", "Values": [owner]},
    ]
    asked: dict[str, Any] = {"Filters": filters, "MaxResults": _PAGE}
    names: list[str] = []
    try:
        while len(names) < MAX_DOCUMENTS:
            answer = ssm.list_documents(**asked)
            names += [str(found["Name"]) for found in answer.get("DocumentIdentifiers") or ()]
            if not answer.get("NextToken"):
                return Listed(owner, tuple(sorted(names)), True)
            asked["NextToken"] = answer["NextToken"]
    except Exception as error:
        known = (DEFAULT_DOCUMENT_NAME,) if owner == SELF else tuple(WELL_KNOWN)
        code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        return Listed(owner, known, False, f"ssm:ListDocuments: {code}")
    return Listed(owner, tuple(sorted(names)), False, f"more than {MAX_DOCUMENTS}")


def content(ssm: Any, name: str) -> Mapping[str, Any] | None:
    """A document's content (ssm:GetDocument), None where it is not told or is no JSON object."""
    try:
        read = json.loads(ssm.get_document(Name=name, DocumentFormat="JSON")["Content"])
    except Exception:
        return None
    return read if isinstance(read, dict) else None
