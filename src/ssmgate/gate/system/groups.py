"""Find the members of a group. Loaded only if a file is writable for a group."""

from __future__ import annotations

import grp
import pwd


def only_member(gid: int) -> int | None:
    """Return the user id of the only member of the group `gid`.

    None for a group that has several members, no members (programs with the set-group-ID bit may
    run with it), or a member that is not a user. Members are those that the group lists and the
    users whose primary group it is, as far as the system enumerates its users: a directory service
    may not.
    """
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return None
    members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
    return members.pop() if len(members) == 1 else None
