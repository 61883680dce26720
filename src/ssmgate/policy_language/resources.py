"""The types of resource that each action has."""

from __future__ import annotations

from collections.abc import Mapping

from ssmgate.policy_language.patterns import split_arn

# A type is the service in its ARN, and how the last part of the ARN begins.
_DOCUMENT = ("ssm", "document/")
_INSTANCE = ("ec2", "instance/")
_MANAGED_INSTANCE = ("ssm", "managed-instance/")
_TASK = ("ecs", "task/")
_SESSION = ("ssm", "session/")
# A bucket and an object differ by a slash, which is not checked here.
_S3 = ("s3", "")
_GROUP = ("iam", "group/")
_ROLE = ("iam", "role/")
_USER = ("iam", "user/")

# The Service Authorization Reference, for the actions that sessions and ssmgate use:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
RESOURCE_TYPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ec2:describeinstances": (),
    "iam:getcontextkeysforcustompolicy": (),
    "iam:getcontextkeysforprincipalpolicy": (_GROUP, _ROLE, _USER),
    "iam:getrole": (_ROLE,),
    "iam:getuser": (_USER,),
    "iam:listroletags": (_ROLE,),
    "iam:listusertags": (_USER,),
    "iam:simulatecustompolicy": (),
    "iam:simulateprincipalpolicy": (_GROUP, _ROLE, _USER),
    "s3:getobject": (_S3,),
    "s3:putobject": (_S3,),
    "ssm:createdocument": (_DOCUMENT,),
    "ssm:deletedocument": (_DOCUMENT,),
    "ssm:describedocument": (_DOCUMENT,),
    "ssm:describeinstanceinformation": (),
    "ssm:describeinstanceproperties": (),
    "ssm:describesessions": (),
    "ssm:getconnectionstatus": (_INSTANCE, _MANAGED_INSTANCE, _TASK),
    "ssm:getdocument": (_DOCUMENT,),
    "ssm:listdocuments": (),
    "ssm:resumesession": (_SESSION,),
    "ssm:sendcommand": (_S3, _DOCUMENT, _INSTANCE, _MANAGED_INSTANCE),
    "ssm:startsession": (_DOCUMENT, _INSTANCE, _MANAGED_INSTANCE, _TASK),
    "ssm:terminatesession": (_SESSION,),
    "ssm:updatedocument": (_DOCUMENT,),
}


def has_resource(action: str, resource: str) -> bool:
    """Return whether `action` can have `resource`; if not, no policy can allow it.

    Returns True for the resource `*`, and for an action that is not in the table. Whether such
    an action exists is not checked; IAM does not check it either.
    """
    types = RESOURCE_TYPES.get(action.lower())
    parts = split_arn(resource)
    if types is None or parts is None:
        return resource == "*" or types is None
    return any(parts[2] == service and parts[5].startswith(prefix) for service, prefix in types)
