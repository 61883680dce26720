"""Generate answers of iam:GetAccountAuthorizationDetails."""

ACCOUNT = "111122223333"


def statement(effect="Allow", action="ssm:StartSession", resource="*", **condition):
    found = {"Effect": effect, "Action": action, "Resource": resource}
    return found | ({"Condition": condition["condition"]} if condition else {})


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def managed(name, *statements, account=ACCOUNT, older=None):
    versions = [{"VersionId": "v2", "IsDefaultVersion": True, "Document": document(*statements)}]
    if older is not None:
        old = {"VersionId": "v1", "IsDefaultVersion": False, "Document": older}
        versions.insert(0, old)
    return {
        "PolicyName": name,
        "Arn": f"arn:aws:iam::{account}:policy/{name}",
        "DefaultVersionId": "v2",
        "PolicyVersionList": versions,
    }


def principal(kind, name, *statements, attached=(), account=ACCOUNT, **more):
    title = kind.capitalize()
    inline = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    return {
        f"{title}Name": name,
        f"{title}Id": f"AIDA{name.upper():0<17}"[:21],
        "Arn": f"arn:aws:iam::{account}:{kind}/{name}",
        f"{title}PolicyList": inline,
        "AttachedManagedPolicies": [
            {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in attached
        ],
        **more,
    }


def answer(users=(), groups=(), roles=(), policies=(), **more):
    return {
        "UserDetailList": list(users),
        "GroupDetailList": list(groups),
        "RoleDetailList": list(roles),
        "Policies": list(policies),
        **more,
    }
