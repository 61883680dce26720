"""ssm:ListDocuments: filters and pages, in the shapes of botocore's model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.pages import page

_MOST = 50
_DEFAULT = 10
_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Listed:
    """A document, with the attributes by which it can be filtered.

    `identifier` is its DocumentIdentifier. `owner` is an account ID or `Amazon`.
    """

    name: str
    owner: str
    document_type: str
    platform_types: Sequence[str]
    target_type: str
    tags: Mapping[str, str]
    identifier: Mapping[str, Any]


def list_documents(
    documents: Sequence[Listed], members: Mapping[str, Any], account: str
) -> dict[str, object]:
    """Answer ListDocuments for the documents of a region, sorted by name.

    A document has to match all filters, and each with any of its values. `Name` matches the
    beginning of a name. `Public` documents are Amazon's; no document is shared here, so that
    `Private` and `ThirdParty` match none.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DocumentKeyValuesFilter.html

    Raises `ServiceFault`: InvalidFilterKey, InvalidNextToken, and ValidationException.
    """
    tests = [
        *(_test(each.get("Key"), each.get("Values"), account) for each in _many(members)),
        *(_old_test(each, account) for each in members.get("DocumentFilterList") or []),
    ]
    found, token = page(
        sorted(documents, key=lambda document: document.name),
        lambda document: all(test(document) for test in tests),
        lambda document: document.name,
        members,
        _MOST,
        _DEFAULT,
    )
    answer: dict[str, object] = {"DocumentIdentifiers": [each.identifier for each in found]}
    return answer if token is None else {**answer, "NextToken": token}


def _many(members: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    filters: list[Mapping[str, Any]] = members.get("Filters") or []
    return filters


def _old_test(one: Mapping[str, Any], account: str) -> Callable[[Listed], bool]:
    """Return the test of a member of DocumentFilterList, which has one value and fewer keys."""
    key = one.get("key")
    if key not in ("Name", "Owner", "PlatformTypes", "DocumentType"):
        raise ServiceFault("InvalidFilterKey", f"The filter key {key} is not valid.")
    return _test(key, [one.get("value")], account)


def _test(key: Any, values: Any, account: str) -> Callable[[Listed], bool]:
    wanted = [str(value) for value in values or ()]
    match key:
        case "Name":
            return lambda document: document.name.startswith(tuple(wanted))
        case "Owner":
            if len(wanted) != 1:
                raise ServiceFault("ValidationException", "Owner filter can only have one value.")
            owner = {"Self": account, "Amazon": "Amazon", "Public": "Amazon"}.get(wanted[0])
            if owner is None and wanted[0] not in ("Private", "ThirdParty"):
                raise ServiceFault(
                    "ValidationException", f"The owner {wanted[0]} is not a valid filter value."
                )
            return lambda document: document.owner == owner
        case "DocumentType":
            return lambda document: document.document_type in wanted
        case "PlatformTypes":
            return lambda document: not set(wanted).isdisjoint(document.platform_types)
        case "TargetType":
            return lambda document: document.target_type in wanted
        case "CloudProviders":
            return lambda document: "AWS" in wanted
        case str() if key.startswith(_TAG):
            return lambda document: document.tags.get(key.removeprefix(_TAG)) in wanted
        case _:
            raise ServiceFault("InvalidFilterKey", f"The filter key {key} is not valid.")
