"""A hostile client of the daemon: it confines itself and speaks the protocol itself.

Run as a program: `confined_client.py HOW TOLD`. HOW is a key of `CONFINED`; TOLD is JSON: the
directory of the sockets, the lists of the request, and the text of a program that is sent as
standard error. It has no capabilities when it connects. It prints the last message as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":
    # As with -P, but for the other fakes.
    sys.path[0] = str(Path(__file__).parent.parent)

from fakes.capabilities import drop_bounding_set, drop_capabilities
from fakes.processes import challenge
from ssmgate.daemon import peer, protocol, requests

SPACES = {
    "time": 0x80, "mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000,
    "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000,
}  # fmt: skip
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18  # linux/mount.h
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Call a function of the C library. Raises `OSError`."""
    if getattr(_libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def unshare(*names: str) -> None:
    """Leave these namespaces. In a new user namespace the user is root."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", sum(SPACES[name] for name in {*names}))
    if "user" in names:
        with suppress(PermissionError):  # root without capabilities may not: it stays unmapped
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    if {"pid", "time"} & {*names}:  # they are for children
        pid = os.fork()
        if pid:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def no_new_privs() -> None:
    call("prctl", 38, 1, 0, 0, 0)


def filter_calls() -> None:
    """Add a seccomp filter that allows everything."""
    allow = (ctypes.c_uint16 * 4)(0x06, 0, 0, 0x7FFF)  # BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
    call("prctl", 22, 2, program, 0, 0)


def landlock(handled: int = 1) -> None:
    """Enter a Landlock domain that denies what `handled` has bits for: executing files."""
    attributes = ctypes.c_uint64(handled)
    ruleset = _libc.syscall(444, ctypes.byref(attributes), 8, 0)
    if ruleset < 0 or _libc.syscall(446, ruleset, 0) < 0:
        raise OSError(ctypes.get_errno(), "landlock")


def read_only_home() -> None:
    """Mount HOME read-only, in a namespace of its own."""
    home = os.fsencode(os.environ["HOME"])
    call("mount", None, b"/", None, _REC | _PRIVATE, None)
    call("mount", home, home, None, _BIND, None)
    call("mount", None, home, None, _REMOUNT | _BIND | _RDONLY, None)


def sandbox(*, home_is_writable: bool = False) -> None:
    """Apply all confinements that an unprivileged user can combine."""
    unshare("user", "mnt", "net", "pid")
    if not home_is_writable:
        read_only_home()
    drop_capabilities()
    no_new_privs()


def login_as_another() -> None:
    Path("/proc/self/loginuid").write_text("1002")


def start_thread() -> None:
    import threading

    threading.Thread(target=threading.Event().wait, daemon=True).start()


CONFINED: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "sandbox": sandbox,
    "sandbox, HOME is writable": lambda: sandbox(home_is_writable=True),
    "no_new_privs": no_new_privs,
    "no_new_privs, seccomp": lambda: (no_new_privs(), filter_calls()),
    "no_new_privs, landlock": lambda: (no_new_privs(), landlock()),
    "user, read-only HOME": lambda: (unshare("user", "mnt"), read_only_home()),
    "user, root": lambda: (unshare("user"), os.chroot(os.environ["ROOT"])),
    "thread": start_thread,
    **{f"user, {name}": lambda name=name: unshare("user", name) for name in SPACES},
    # By root, who then loses all capabilities.
    **{name: lambda name=name: unshare(name) for name in SPACES if name != "user"},
    "capability": lambda: None,
    "seccomp": filter_calls,
    "landlock": landlock,
    "read-only HOME": lambda: (unshare("mnt"), read_only_home()),
    "root": lambda: os.chroot(os.environ["ROOT"]),
    "group": lambda: os.setgroups([12345]),
    "gid": lambda: os.setgid(12345),
    "login uid": login_as_another,
}

BY_ROOT = {
    **{name: f"different ns/{name}" for name in SPACES if name != "user"},
    "seccomp": "different Seccomp",
    "landlock": "it has not read the nonce",
    "read-only HOME": "different ns/mnt",
    "root": "different root",
    "group": "different Groups",
    "capability": "different CapBnd",
    "gid": "[Errno 13] Permission denied: 'net'",
    "login uid": "different loginuid",
}
"""Single confinements that only root can make, and how the other side names them."""


def confine(how: str) -> None:
    """Confine this process in the way `how`, become the user UID if that is set, and drop all
    capabilities.
    """
    user = int(os.environ.get("UID", os.geteuid()))
    if changes := os.geteuid() != user:
        os.setgroups([])
        os.setgid(user)
    CONFINED[how]()
    but = 13 if how == "capability" else -1  # CAP_NET_RAW
    if changes:
        drop_bounding_set(but=but)
        os.setuid(user)
    drop_capabilities(but=but)
    call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc may be read, in spite of another gid


def nonce(sock: socket.socket) -> str:
    """Return the nonce that the request has to contain. The answering process is not verified.

    Raises `Refused` where the daemon rejects the client.
    """
    found = ""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    while True:
        part, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(12), socket.MSG_PEEK)
        kind, lists = requests.receive(sock)
        if part and kind == protocol.CHALLENGE:
            # 0 in another PID namespace.
            pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            with suppress(OSError):  # the worker may not be traced
                found = peer.nonce(pid, lists[0][0])
            sock.sendall(challenge("nonce"))
        elif kind == protocol.PROOF:
            return found
        elif kind not in (protocol.HELLO, protocol.BEAT):
            raise Refused(kind, lists)


class Refused(Exception):
    """The message that came instead."""


def main() -> None:
    """Run the program that the module's docstring describes."""
    how, text = sys.argv[1:]
    options = json.loads(text)
    directory = os.open(options["directory"], os.O_RDONLY)
    (name,) = (name for name in os.listdir(directory) if "." not in name)
    nothing = os.open(os.devnull, os.O_RDWR)
    stderr = os.memfd_create("program")
    os.write(stderr, options["program"].encode())
    confine(how)
    os.fchdir(directory)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(name)
        try:
            request = protocol.packed(protocol.REQUEST, [nonce(sock)], *options["lists"])
            protocol.send_with_descriptors(sock, request, (nothing, stderr, directory))
            kind, lists = protocol.BEAT, []
            while kind in (protocol.BEAT, protocol.STARTED):
                kind, lists = requests.receive(sock)
        except Refused as refused:
            kind, lists = refused.args
    print(json.dumps([kind.decode(), lists]), flush=True)


if __name__ == "__main__":
    main()
