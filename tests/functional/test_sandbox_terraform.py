"""The calls of Terraform's AWS provider: create, read, update, find drift, delete.

They are those of internal/service/iam and internal/service/ssm in
https://github.com/hashicorp/terraform-provider-aws, in their order. Each script runs as the owner
of the sandbox, in a process of its own: boto3's botocore and awscli's cannot be loaded together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.sandbox import ACCOUNT, OWNER, Server, serving

PRELUDE = """
import json
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(retries={"total_max_attempts": 1})
iam, ssm = (boto3.client(name, config=config) for name in ("iam", "ssm"))

def gone(call, **members):
    try:
        call(**members)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None

def tags(found):
    return {each["Key"]: each["Value"] for each in found}

def policy(*actions):
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}

def show(value):
    print(json.dumps(value, default=str))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def run(server: Server, script: str) -> list[Any]:
    """Run a script. Returns what it has shown."""
    environ = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": OWNER,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HOME": "/nonexistent",
        "PATH": os.environ["PATH"],
    }
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        env=environ, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


USER = """
boundary = iam.create_policy(PolicyName="TfBoundary", PolicyDocument=json.dumps(policy("ssm:*")))
boundary = boundary["Policy"]["Arn"]

def read(name):
    found = iam.get_user(UserName=name)["User"]
    bound = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    show([found["Arn"], found["Path"], bound == boundary, tags(found.get("Tags", []))])

iam.create_user(UserName="tf", Path="/team/", PermissionsBoundary=boundary,
                Tags=[{"Key": "Env", "Value": "dev"}, {"Key": "Old", "Value": "x"}])
read("tf")
iam.tag_user(UserName="tf", Tags=[{"Key": "Env", "Value": "prod"}])
iam.untag_user(UserName="tf", TagKeys=["Old"])
iam.delete_user_permissions_boundary(UserName="tf")
iam.update_user(UserName="tf", NewUserName="tf2", NewPath="/")
read("tf2")
iam.put_user_permissions_boundary(UserName="tf2", PermissionsBoundary=boundary)
# Drift: another tool changes a tag and removes the boundary.
iam.tag_user(UserName="tf2", Tags=[{"Key": "Env", "Value": "drifted"}])
iam.delete_user_permissions_boundary(UserName="tf2")
read("tf2")
iam.create_access_key(UserName="tf2")
iam.create_login_profile(UserName="tf2", Password="a-Password-1")
iam.create_group(GroupName="tf")
iam.add_user_to_group(GroupName="tf", UserName="tf2")
show(gone(iam.delete_user, UserName="tf2"))
show(gone(iam.update_user, UserName="tf2", NewUserName="alice"))
# force_destroy
for group in iam.list_groups_for_user(UserName="tf2")["Groups"]:
    iam.remove_user_from_group(GroupName=group["GroupName"], UserName="tf2")
for key in iam.list_access_keys(UserName="tf2")["AccessKeyMetadata"]:
    iam.delete_access_key(UserName="tf2", AccessKeyId=key["AccessKeyId"])
show(iam.list_ssh_public_keys(UserName="tf2")["SSHPublicKeys"])
show(iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"])
show(iam.list_mfa_devices(UserName="tf2")["MFADevices"])
iam.delete_login_profile(UserName="tf2")
show(gone(iam.delete_login_profile, UserName="tf2"))
show(iam.list_signing_certificates(UserName="tf2")["Certificates"])
show(iam.list_service_specific_credentials(UserName="tf2")["ServiceSpecificCredentials"])
iam.delete_user(UserName="tf2")
show(gone(iam.get_user, UserName="tf2"))
show(gone(iam.list_service_specific_credentials, UserName="tf2"))
iam.delete_group(GroupName="tf")
iam.delete_policy(PolicyArn=boundary)
"""


def test_manages_user(server: Server) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user"
    assert run(server, USER) == [
        [f"{arn}/team/tf", "/team/", True, {"Env": "dev", "Old": "x"}],
        [f"{arn}/tf2", "/", False, {"Env": "prod"}],
        [f"{arn}/tf2", "/", False, {"Env": "drifted"}],
        "DeleteConflict",
        "EntityAlreadyExists",
        [], [], [],
        "NoSuchEntity",
        [], [],
        "NoSuchEntity",
        "NoSuchEntity",
    ]  # fmt: skip


ROLE = """
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
boundary = iam.create_policy(
    PolicyName="TfRoleBoundary", PolicyDocument=json.dumps(policy("ssm:*")))
boundary = boundary["Policy"]["Arn"]

def read():
    found = iam.get_role(RoleName="tf")["Role"]
    service = found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
    bound = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    inline = iam.list_role_policies(RoleName="tf")["PolicyNames"]
    inline = {name: iam.get_role_policy(RoleName="tf", PolicyName=name)["PolicyDocument"]
              ["Statement"][0]["Action"] for name in inline}
    attached = iam.list_attached_role_policies(RoleName="tf")["AttachedPolicies"]
    show([found["Path"], found.get("Description"), found["MaxSessionDuration"], service,
          bound == boundary, tags(found.get("Tags", [])), inline,
          [each["PolicyName"] for each in attached]])

iam.create_role(RoleName="tf", Path="/team/", AssumeRolePolicyDocument=json.dumps(trust),
                Description="first", MaxSessionDuration=3600, PermissionsBoundary=boundary,
                Tags=[{"Key": "Env", "Value": "dev"}])
read()
trust["Statement"][0]["Principal"]["Service"] = "ssm.amazonaws.com"
iam.update_assume_role_policy(RoleName="tf", PolicyDocument=json.dumps(trust))
iam.update_role_description(RoleName="tf", Description="second")
iam.update_role(RoleName="tf", MaxSessionDuration=7200)
iam.delete_role_permissions_boundary(RoleName="tf")
iam.put_role_permissions_boundary(RoleName="tf", PermissionsBoundary=boundary)
iam.delete_role_permissions_boundary(RoleName="tf")
iam.put_role_policy(RoleName="tf", PolicyName="inline",
                    PolicyDocument=json.dumps(policy("ssm:StartSession")))
iam.attach_role_policy(RoleName="tf", PolicyArn=boundary)
iam.tag_role(RoleName="tf", Tags=[{"Key": "Team", "Value": "red"}])
iam.untag_role(RoleName="tf", TagKeys=["Env"])
read()
# Drift: the attachment and the inline policy are gone.
iam.detach_role_policy(RoleName="tf", PolicyArn=boundary)
iam.delete_role_policy(RoleName="tf", PolicyName="inline")
show(gone(iam.get_role_policy, RoleName="tf", PolicyName="inline"))
show(gone(iam.detach_role_policy, RoleName="tf", PolicyArn=boundary))
read()
show(iam.list_instance_profiles_for_role(RoleName="tf")["InstanceProfiles"])
iam.delete_role(RoleName="tf")
show(gone(iam.get_role, RoleName="tf"))
show(gone(iam.delete_role, RoleName="tf"))
iam.delete_policy(PolicyArn=boundary)
"""


def test_manages_role_and_attachment(server: Server) -> None:
    assert run(server, ROLE) == [
        ["/team/", "first", 3600, "ec2.amazonaws.com", True, {"Env": "dev"}, {}, []],
        [
            "/team/", "second", 7200, "ssm.amazonaws.com", False, {"Team": "red"},
            {"inline": ["ssm:StartSession"]}, ["TfRoleBoundary"],
        ],
        "NoSuchEntity",
        "NoSuchEntity",
        ["/team/", "second", 7200, "ssm.amazonaws.com", False, {"Team": "red"}, {}, []],
        [],
        "NoSuchEntity",
        "NoSuchEntity",
    ]  # fmt: skip


POLICY = """
arn = iam.create_policy(
    PolicyName="tf", Path="/team/", Description="d", PolicyDocument=json.dumps(policy("ssm:One")),
    Tags=[{"Key": "Env", "Value": "dev"}])["Policy"]["Arn"]

def read():
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])
    show([found["Arn"], found["Path"], found.get("Description"), found["AttachmentCount"],
          version["PolicyVersion"]["Document"]["Statement"][0]["Action"],
          tags(found.get("Tags", []))])

read()
for action in ("ssm:Two", "ssm:Three", "ssm:Four", "ssm:Five", "ssm:Six"):
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) == 5:
        oldest = min((v for v in versions if not v["IsDefaultVersion"]),
                     key=lambda v: v["CreateDate"])
        iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
    iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=json.dumps(policy(action)), SetAsDefault=True)
iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "Team", "Value": "red"}])
iam.untag_policy(PolicyArn=arn, TagKeys=["Env"])
iam.create_user(UserName="tf")
iam.attach_user_policy(UserName="tf", PolicyArn=arn)
read()
attached = iam.list_attached_user_policies(UserName="tf")["AttachedPolicies"]
show([each["PolicyArn"] == arn for each in attached])
# Drift: another default version, which is then corrected, twice.
default = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
show(len(versions))
other = next(each["VersionId"] for each in versions if not each["IsDefaultVersion"])
iam.set_default_policy_version(PolicyArn=arn, VersionId=other)
show([each["VersionId"] == other for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]
      if each["IsDefaultVersion"]])
iam.set_default_policy_version(PolicyArn=arn, VersionId=default)
iam.set_default_policy_version(PolicyArn=arn, VersionId=default)
read()
entities = iam.list_entities_for_policy(PolicyArn=arn)
show([each["UserName"] for each in entities["PolicyUsers"]])
iam.detach_user_policy(UserName="tf", PolicyArn=arn)
for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
    if not version["IsDefaultVersion"]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
iam.delete_policy(PolicyArn=arn)
show(gone(iam.get_policy, PolicyArn=arn))
iam.delete_user(UserName="tf")
"""


def test_manages_policy_and_attachment(server: Server) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/team/tf"
    read = [arn, "/team/", "d", 1, ["ssm:Six"], {"Team": "red"}]
    assert run(server, POLICY) == [
        [arn, "/team/", "d", 0, ["ssm:One"], {"Env": "dev"}],
        read,
        [True],
        5,
        [True],
        read,
        ["tf"],
        "NoSuchEntity",
    ]


DOCUMENT = """
content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {}}

def read():
    found = ssm.describe_document(Name="Tf-Shell")["Document"]
    text = ssm.get_document(Name="Tf-Shell", DocumentFormat="JSON", DocumentVersion="$LATEST")
    shared = ssm.describe_document_permission(Name="Tf-Shell", PermissionType="Share")
    listed = ssm.list_tags_for_resource(ResourceType="Document", ResourceId="Tf-Shell")["TagList"]
    show([found["Name"], found["Owner"], found["Status"], found["DocumentType"],
          found["DocumentVersion"], found["DefaultVersion"], found["LatestVersion"],
          len(found["Hash"]), found["HashType"], tags(listed)])
    show([json.loads(text["Content"]) == content, shared["AccountIds"]])

ssm.create_document(
    Name="Tf-Shell", Content=json.dumps(content), DocumentType="Session", DocumentFormat="JSON",
    Tags=[{"Key": "Env", "Value": "dev"}])
read()
content["inputs"] = {"idleSessionTimeout": "10"}
updated = ssm.update_document(
    Name="Tf-Shell", Content=json.dumps(content), DocumentFormat="JSON", DocumentVersion="1")
version = updated["DocumentDescription"]["DocumentVersion"]
ssm.update_document_default_version(Name="Tf-Shell", DocumentVersion=version)
ssm.modify_document_permission(
    Name="Tf-Shell", PermissionType="Share", AccountIdsToAdd=["444455556666"])
ssm.add_tags_to_resource(
    ResourceType="Document", ResourceId="Tf-Shell", Tags=[{"Key": "Team", "Value": "red"}])
ssm.remove_tags_from_resource(ResourceType="Document", ResourceId="Tf-Shell", TagKeys=["Env"])
read()
show(gone(ssm.update_document, Name="Tf-Shell", Content=json.dumps(content),
          DocumentFormat="JSON", DocumentVersion="$LATEST"))
# Drift: the default version is another one, and the document is not shared any more.
ssm.update_document_default_version(Name="Tf-Shell", DocumentVersion="1")
ssm.modify_document_permission(
    Name="Tf-Shell", PermissionType="Share", AccountIdsToRemove=["444455556666"])
read()
show(gone(ssm.create_document, Name="Tf-Shell", Content=json.dumps(content),
          DocumentType="Session", DocumentFormat="JSON"))
ssm.delete_document(Name="Tf-Shell")
show(gone(ssm.describe_document, Name="Tf-Shell"))
show(gone(ssm.delete_document, Name="Tf-Shell"))
"""


def test_manages_document(server: Server) -> None:
    start = ["Tf-Shell", ACCOUNT, "Active", "Session"]
    dev, red = {"Env": "dev"}, {"Team": "red"}
    assert run(server, DOCUMENT) == [
        [*start, "1", "1", "1", 64, "Sha256", dev],
        [True, []],
        [*start, "2", "2", "2", 64, "Sha256", red],
        [True, ["444455556666"]],
        "DuplicateDocumentContent",
        [*start, "1", "1", "2", 64, "Sha256", red],
        [True, []],
        "DocumentAlreadyExists",
        "InvalidDocument",
        "InvalidDocument",
    ]
