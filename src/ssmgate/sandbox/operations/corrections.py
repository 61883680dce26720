"""Correct operations of moto's IAM that differ from AWS's.

Each function takes moto's method and returns its replacement.
"""

from __future__ import annotations

import functools
from typing import Any

from ssmgate.sandbox.faults import ServiceFault


def with_conflicts(delete_user: Any) -> Any:
    """Return DeleteUser that refuses a user with attached items, as IAM does.

    moto's own refuses policies only, and leaves the others without their user.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
    """

    @functools.wraps(delete_user)
    def delete(self: Any) -> Any:
        name = self._get_param("UserName")
        user = self.backend.get_user(name)
        attached = (
            (self.backend.get_groups_for_user(name), "must remove users from group first"),
            (user.access_keys, "must delete access keys first"),
            (user.ssh_public_keys, "must delete SSH public keys first"),
            (user.signing_certificates, "must delete signing certificates first"),
            (user.mfa_devices, "must delete MFA device first"),
            (user.password, "must delete login profile first"),
        )
        for items, remedy in attached:
            if items:
                raise ServiceFault("DeleteConflict", f"Cannot delete entity, {remedy}.", 409)
        return delete_user(self)

    return delete


def with_one_default(update_default_version: Any) -> Any:
    """Return a managed policy's change of the default version, also to the one that it has.

    After such a change moto's own policy has no default version.
    """

    @functools.wraps(update_default_version)
    def update(self: Any, version_id: str) -> None:
        update_default_version(self, version_id)
        for version in self.versions:
            version.is_default = version.version_id == version_id

    return update


def with_kept_tags(update_user: Any) -> Any:
    """Return UpdateUser that keeps the tags of a user whose name or path changes.

    moto's own loses them, and replaces another user of the new name.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html
    """

    @functools.wraps(update_user)
    def update(self: Any) -> Any:
        user = self.backend.get_user(self._get_param("UserName"))
        name, tagger = self._get_param("NewUserName"), self.backend.tagger
        if name and name != user.name and name in self.backend.users:
            raise ServiceFault("EntityAlreadyExists", f"User with name {name} already exists.", 409)
        tags = tagger.list_tags_for_resource(user.arn)["Tags"]
        tagger.delete_all_tags_for_resource(user.arn)
        answer = update_user(self)
        tagger.tag_resource(user.arn, tags)
        return answer

    return update


def with_kept_members(update_role: Any) -> Any:
    """Return UpdateRole that changes only what the request has. moto's own clears the others.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
    """

    @functools.wraps(update_role)
    def update(self: Any) -> Any:
        role = self.backend.get_role(self._get_param("RoleName"))
        description, duration = role.description, role.max_session_duration
        answer = update_role(self)
        if self._get_param("Description") is None:
            role.description = description
        if self._get_param("MaxSessionDuration") is None:
            role.max_session_duration = duration
        return answer

    return update
