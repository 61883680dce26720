"""List session documents, and read their content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME

SELF, AMAZON = "Self", "Amazon"

MAX_DOCUMENTS = 500
"""How many documents of one owner are listed, at most. A longer list is marked incomplete."""

# AWS's own session documents and their session types: listed if ssm:ListDocuments is denied, and
# used instead of reading the documents.
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

    `complete` is false if not all of them could be listed; `why` is then the reason.
    """

    owner: str
    names: tuple[str, ...]
    complete: bool
    why: str = ""


def list_documents(ssm: Any, owner: str) -> Listed:
    """Return the session documents of this account (`SELF`) or of AWS (`AMAZON`) in this region.

    If ssm:ListDocuments is denied or fails, these are the default document or the well-known ones.
    """
    filters = [
        {"Key": "DocumentType", "Values": ["Session"]},
        {"Key": "Owner", "Values": [owner]},
    ]
    arguments: dict[str, Any] = {"Filters": filters, "MaxResults": _PAGE}
    names: list[str] = []
    try:
        while len(names) < MAX_DOCUMENTS:
            answer = ssm.list_documents(**arguments)
            listed = answer.get("DocumentIdentifiers") or ()
            # One without a name cannot be used, and does not hide the others.
            named = [document["Name"] for document in listed if document and document.get("Name")]
            names += [name for name in named if isinstance(name, str)]
            if not answer.get("NextToken"):
                return Listed(owner, tuple(sorted(names)), True)
            arguments["NextToken"] = answer["NextToken"]
    except Exception as error:
        known = (DEFAULT_DOCUMENT_NAME,) if owner == SELF else tuple(WELL_KNOWN)
        code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        return Listed(owner, known, False, f"ssm:ListDocuments: {code}")
    return Listed(owner, tuple(sorted(names)), False, f"more than {MAX_DOCUMENTS}")


def content(ssm: Any, name: str) -> Mapping[str, Any] | None:
    """Return a document's content (ssm:GetDocument), None if it is not a readable JSON object."""
    try:
        parsed = json.loads(ssm.get_document(Name=name, DocumentFormat="JSON")["Content"])
    except Exception:
        return None
    return parsed if isinstance(parsed, dict) else None


def is_missing(ssm: Any, name: str) -> bool:
    """Return whether the region has no document `name`: ssm:GetDocument says InvalidDocument."""
    try:
        ssm.get_document(Name=name)
    except Exception as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        return bool(code == "InvalidDocument")
    return False
