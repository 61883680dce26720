"""Debian systems in directories: commands in them, and whole ones with systemd.

They need root, debootstrap and a Debian mirror (FRESH_MIRROR), or DEB_SYSTEMS, a directory with the
minimal systems `bookworm` and `trixie`, which have the packages of `INCLUDED`.
"""

from __future__ import annotations

import abc
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.needs import require
from fakes.waiting import until

MIRROR = os.environ.get("FRESH_MIRROR", "http://deb.debian.org/debian")
INCLUDED = (
    "python3", "man-db", "systemd", "systemd-sysv", "openssh-server", "nftables", "curl",
    "e2fsprogs", "bash-completion", "zsh", "fish", "dbus-user-session", "libpam-systemd",
)  # fmt: skip
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}

# In namespaces of its own, where $1 is the system's directory: become its systemd, in the control
# group $2, as each systemd takes the top of the hierarchy that it sees for its own.
BOOT = """
set -e
ip link set lo up
ip address add 169.254.169.254/32 dev lo
mount -t cgroup2 cgroup2 "$1/mnt"
mkdir "$1/mnt/$2"
echo 0 > "$1/mnt/$2/cgroup.procs"
umount "$1/mnt"
exec unshare --cgroup sh -c "$3" sh "$1"
"""
INSIDE = """
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -o bind,ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
chmod 1777 dev/shm
for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
exec env -i container=lxc PATH="$PATH" /usr/lib/systemd/systemd --log-target=null
"""


@contextmanager
def shared(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Yield a path that all workers of this run have in common, to one of them at a time."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base / name


def minimal(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return the directory of a minimal Debian, which tests copy. Skips if there is no mirror."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a system")
    for program in ("unshare", "nsenter", "ip"):
        require(program)
    if directory := os.environ.get("DEB_SYSTEMS"):
        return Path(directory, name)
    included = f"--include={','.join(INCLUDED)}"
    debootstrap = [require("debootstrap"), "--variant=minbase", included]
    with shared(factory, name) as base:
        if not base.exists():
            ended = subprocess.run([*debootstrap, name, base, MIRROR], capture_output=True)
            if ended.returncode != 0:
                shutil.rmtree(base, ignore_errors=True)
                pytest.skip(f"debootstrap cannot make {name} from {MIRROR}")
    return base


class Shell(abc.ABC):
    """Where shell commands run as root."""

    @abc.abstractmethod
    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command; return its status and output."""

    def must(self, command: str) -> str:
        """Run a shell command that has to succeed, and return its output."""
        status, printed = self.run(command)
        assert status == 0, f"{command}: {status}\n{printed}"
        return printed


def output(*words: str | Path) -> tuple[int, str]:
    """Run a program with nothing to read; return its status and what it printed."""
    ended = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=ENVIRON, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout


@dataclass
class System(Shell):
    """A Debian below `root`."""

    root: Path

    @classmethod
    @contextmanager
    def copied(cls, factory: pytest.TempPathFactory, name: str, package: Path) -> Iterator[System]:
        """Yield a copy of the minimal system `name`, with the package as /package/ssmgate.deb."""
        root = factory.mktemp(name) / "root"
        subprocess.run(["cp", "-a", minimal(factory, name), root], check=True)
        (root / "package").mkdir()
        shutil.copy(package, root / "package/ssmgate.deb")
        try:
            yield cls(root)
        finally:
            # The guide has the records append-only.
            chattr = ["chattr", "-R", "-f", "-a", root / "var/lib"]
            subprocess.run(chattr, capture_output=True, check=False)
            shutil.rmtree(root)

    def run(self, command: str, *, network: bool = False) -> tuple[int, str]:
        """Run a shell command as root; return its status and output. Without network by default."""
        spaces = ["--mount", "--pid", "--fork", "--kill-child", *([] if network else ["--net"])]
        mounted = f"mount -t proc proc /proc && {command}"
        return output("unshare", *spaces, "chroot", self.root, "sh", "-c", mounted)

    def left(self) -> list[str]:
        """Return the paths with the name of the package, without logs and caches of others."""
        command = "find / -xdev -path /proc -prune -o -path '*ssmgate*' -print"
        others = ("/var/lib/dpkg/", "/var/cache/man/", "/var/log/", "/package")
        return sorted(
            path for path in self.must(command).splitlines() if not path.startswith(others)
        )


@dataclass
class Booted(Shell):
    """A system that runs, with systemd as its first process, which has the pid `pid` here.

    Its network is its own: loopback, which also has the address of EC2's instance metadata.
    """

    system: System
    pid: int

    @classmethod
    @contextmanager
    def started(cls, system: System) -> Iterator[Booted]:
        """Yield `system` after its boot, until the block ends."""
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]
        group = f"ssmgate-test-{os.getpid()}"
        with (system.root.parent / "boot.log").open("w") as log:
            boot = subprocess.Popen(
                ["unshare", *spaces, "sh", "-c", BOOT, "sh", system.root, group, INSIDE],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRON,
            )  # fmt: skip
        children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children")
        try:
            until(lambda: boot.poll() is not None or children.read_text())
            assert boot.poll() is None, (system.root.parent / "boot.log").read_text()
            booted = cls(system, int(children.read_text()))
            until(lambda: booted.run("systemctl is-system-running")[1] in _RUNNING)
            yield booted
        finally:
            boot.send_signal(signal.SIGKILL)
            boot.wait()
            until(lambda: _removed(system.root / "mnt", group))

    def enter(self, *spaces: str) -> list[str]:
        """Return the words before a command that runs in these namespaces of the system."""
        return ["nsenter", "-t", str(self.pid), *spaces]

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command; return its status and output."""
        spaces = ("-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w")
        return output(*self.enter(*spaces), "sh", "-c", command)

    def ssh(self, user: str, key: Path, command: str) -> tuple[int, str]:
        """Run `command` as `user` does, by ssh without a terminal; return status and output."""
        settings = (
            f"IdentityFile={key}", "IdentitiesOnly=yes", "BatchMode=yes",
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
        )  # fmt: skip
        options = [word for setting in settings for word in ("-o", setting)]
        own = ("ssh", "-F", "none", *options, f"{user}@127.0.0.1", command)
        return output(*self.enter("-n"), *own)


def ssh_key(path: Path) -> str:
    """Make a key in `path`, and return its public half."""
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
    subprocess.run(make, check=True)
    return Path(f"{path}.pub").read_text()


def _removed(empty: Path, group: str) -> bool:
    """Remove the control group, which has to be without processes; return whether it is gone."""
    command = (
        'mount -t cgroup2 cgroup2 "$1" && cd "$1" && find "$2" -depth -type d -exec rmdir {} +'
    )
    words = ["unshare", "--mount", "sh", "-c", command, "sh", str(empty), group]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


# Without modules to load, and without devices, some units of Debian's fail.
_RUNNING = ("running\n", "degraded\n")
