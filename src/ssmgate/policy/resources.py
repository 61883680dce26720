"""Which types of resources an action has: an ARN of any other type is denied, whatever is allowed.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""

from __future__ import annotations

# action in lower case -> (service, beginning of the ARN's last part) of each type.
_TYPES: dict[str, tuple[tuple[str, str], ...]] = {
    "ssm:startsession": (
        ("ssm", "document/"),
        ("ec2", "instance/"),
        ("ssm", "managed-instance/"),
        ("ecs", "task/"),
    ),
    "ssm:terminatesession": (("ssm", "session/"),),
    "ssm:resumesession": (("ssm", "session/"),),
}


def has_type(action: str, resource_arn: str) -> bool:
    """Whether `resource_arn` is of a type that `action` has.

    `*` is, and so is every ARN for an action whose types are not listed here.
    """
    types = _TYPES.get(action.lower())
    if types is None or resource_arn == "*":
        return True
    parts = resource_arn.split(":", 5)
    return len(parts) == 6 and any(
        parts[2] == service and parts[5].startswith(beginning) for service, beginning in types
    )
