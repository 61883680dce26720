"""The ARN of a session's target, for explanations. StartSession itself checks the target."""

from __future__ import annotations

import re

_ECS_TARGET = re.compile(r"ecs:([a-zA-Z0-9_-]+)_([a-zA-Z0-9]+)_[a-zA-Z0-9-]+\Z")


def target_arn(target: str, *, partition: str, region: str, account: str) -> str | None:
    """Return the ARN under which IAM knows a session's target, None for a kind that is not listed.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    if re.match(r"i-[0-9a-zA-Z]+\Z", target):
        return f"arn:{partition}:ec2:{region}:{account}:instance/{target}"
    if re.match(r"mi-[0-9a-zA-Z]+\Z", target):
        return f"arn:{partition}:ssm:{region}:{account}:managed-instance/{target}"
    if match := _ECS_TARGET.match(target):
        return f"arn:{partition}:ecs:{region}:{account}:task/{match[1]}/{match[2]}"
    return None
