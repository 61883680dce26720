"""Which process connects, how it is confined, and which processes are rejected."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.processes import challenge, forked, nonce_for, own
from ssmgate.daemon import peer, protocol, requests
from ssmgate.daemon.protocol import TAKE, packed

STATUS = """\
Name:\tpython3
Umask:\t0022
State:\tS (sleeping)
Uid:\t1000\t1000\t1000\t1000
Gid:\t1000\t1000\t1000\t1000
Groups:\t4 27 1000
Threads:\t1
SigIgn:\t0000000001001000
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Seccomp_filters:\t0
"""
SPACES = ("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "user", "uts")


@dataclass
class Process:
    """A directory like those in /proc."""

    path: Path

    def facts(self) -> dict[str, str]:
        opened = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        try:
            return peer.facts_of(opened)[0]
        finally:
            os.close(opened)

    def status(self, old: str, new: str) -> None:
        file = self.path / "status"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def link(self, name: str, target: str) -> None:
        (self.path / name).unlink(missing_ok=True)
        (self.path / name).symlink_to(target)


def make_process(path: Path) -> Process:
    (path / "ns").mkdir(parents=True)
    (path / "attr").mkdir()
    (path / "status").write_text(STATUS)
    (path / "loginuid").write_text("1000")
    (path / "attr" / "current").write_text("unconfined\n")
    process = Process(path)
    for number, name in enumerate(SPACES):
        process.link(f"ns/{name}", f"{name}:[{4026531834 + number}]")
    process.link("root", "/")
    return process


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return make_process(tmp_path / "4711")


def status(old: str, new: str) -> Callable[[Process], None]:
    return lambda process: process.status(old, new)


def field(name: str, value: str) -> Callable[[Process], None]:
    line = next(line for line in STATUS.splitlines() if line.startswith(f"{name}:"))
    return status(line, f"{name}:\t{value}")


def text(name: str, value: str) -> Callable[[Process], object]:
    return lambda process: (process.path / name).write_text(value)


DIFFERENT: list[tuple[str, Callable[[Process], object]]] = [
    *(("Uid", field("Uid", "\t".join(ids)))
      for ids in (("0", "1000", "1000", "1000"), ("1000", "0", "1000", "1000"),
                  ("1000", "1000", "0", "1000"), ("1000", "1000", "1000", "0"))),
    ("Gid", field("Gid", "1000\t1000\t4\t1000")),
    ("Groups", field("Groups", "4 1000")),
    ("Groups", field("Groups", "")),
    *((name, field(name, "0000000000000400"))
      for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
    ("NoNewPrivs", field("NoNewPrivs", "1")),
    ("Seccomp", field("Seccomp", "2")),
    ("Seccomp_filters", field("Seccomp_filters", "1")),
    ("Seccomp_filters", status("Seccomp_filters:\t0\n", "")),
    *((f"ns/{name}", lambda process, name=name: process.link(f"ns/{name}", f"{name}:[1]"))
      for name in SPACES),
    ("ns/time", lambda process: process.link("ns/time", "time:[4026531834]")),
    ("ns/net", lambda process: (process.path / "ns" / "net").unlink()),
    ("root", lambda process: process.link("root", "/usr")),
    # The same path, elsewhere, and the same directory by another path.
    ("root", lambda process: process.link("root", "/.")),
    ("loginuid", text("loginuid", "1002")),
    ("loginuid", lambda process: (process.path / "loginuid").unlink()),
    ("attr/current", text("attr/current", "docker-default (enforce)\n")),
    ("attr/current", lambda process: (process.path / "attr" / "current").unlink()),
    ("attr/apparmor/current", lambda process: (
        (process.path / "attr" / "apparmor").mkdir(),
        (process.path / "attr" / "apparmor" / "current").write_text("x"),
    )),
]  # fmt: skip


@pytest.mark.parametrize("names", [("CapInh",), ("CapInh", "CapPrm", "CapEff", "CapAmb")])
def test_capability_of_logins_makes_no_difference(
    process: Process, tmp_path: Path, names: Sequence[str]
) -> None:
    """CAP_WAKE_ALARM: of what systemd's user manager starts, and of logins at the machine."""
    other = make_process(tmp_path / "4712")
    for name in names:
        field(name, "0000000800000000")(other)
    assert peer.difference(process.facts(), other.facts()) == ""

    field("CapBnd", "0000000800000000")(other)
    assert peer.difference(process.facts(), other.facts()) == "CapBnd"


@pytest.mark.parametrize(("name", "change"), DIFFERENT)
def test_names_differing_confinement(
    process: Process, tmp_path: Path, name: str, change: Callable[[Process], object]
) -> None:
    other = make_process(tmp_path / "4712")
    assert peer.difference(process.facts(), other.facts()) == ""

    change(other)

    assert peer.difference(process.facts(), other.facts()) == name
    assert peer.difference(other.facts(), process.facts()) == name


@pytest.mark.parametrize(
    "line", [status("Name:\tpython3", "Name:\tother"), status("(sleeping)", "(running)")]
)
def test_ignores_facts_that_do_not_confine(
    process: Process, tmp_path: Path, line: Callable[[Process], object]
) -> None:
    other = make_process(tmp_path / "4712")
    line(other)

    assert peer.difference(process.facts(), other.facts()) == ""


@pytest.mark.parametrize("missing", peer._FIELDS)
def test_facts_missing_on_both_sides_are_not_equal(process: Process, missing: str) -> None:
    process.status(f"{missing}:", f"Other{missing}:")

    with pytest.raises(peer.Unproven, match=missing):
        process.facts()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(status("python3", "x\nNoNewPrivs:\t0"), id="a field twice"),
        pytest.param(lambda p: [file.unlink() for file in (p.path / "ns").iterdir()], id="no ns"),
    ],
)
def test_ambiguous_facts_are_unproven(process: Process, spoil: Callable[[Process], object]) -> None:
    spoil(process)

    with pytest.raises(peer.Unproven):
        process.facts()


@pytest.mark.parametrize("name", ["status", "ns", "root"])
def test_unreadable_facts_are_unproven(process: Process, name: str) -> None:
    (process.path / name).rename(process.path / "other")

    with pytest.raises(OSError, match="No such file"):
        process.facts()


def test_unreadable_label_is_unproven(process: Process) -> None:
    (process.path / "attr" / "current").unlink()
    (process.path / "attr" / "current").mkdir()  # any error but those of a missing module

    with pytest.raises(IsADirectoryError):
        process.facts()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"NoNewPrivs": "1"}, "no_new_privs"),
        ({"NoNewPrivs": "2"}, "no_new_privs"),
        ({"CapEff": "0000000000200000"}, "CAP_SYS_ADMIN"),
        ({"CapPrm": "0000000000200000"}, "CAP_SYS_ADMIN"),
        ({"CapEff": "000001ffffdfffff", "CapPrm": "000001ffffdfffff"}, ""),
        # An ordinary user's program gains nothing from it, root's does.
        ({"CapBnd": "000001ffffffffff"}, ""),
        ({"Uid": "0\t0\t0\t0"}, "CAP_SYS_ADMIN"),
        ({"Uid": "1000\t1000\t0\t1000"}, "CAP_SYS_ADMIN"),
        ({"Uid": "0\t0\t0\t0", "CapBnd": "00000000a80425fb"}, ""),
    ],
)
def test_finds_obstacle_in_process_that_may_hide_confinement(
    process: Process, fields: dict[str, str], why: str
) -> None:
    for name, value in fields.items():
        field(name, value)(process)

    found = peer.obstacle(process.facts(), {})

    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize(
    ("mode", "filters", "first", "obstacle"),
    [
        ("0", "0", None, False),  # process 1 is not read
        ("2", "1", {"Seccomp": "2", "Seccomp_filters": "1"}, False),  # in a container
        ("2", "2", {"Seccomp": "2", "Seccomp_filters": "2"}, False),
        ("2", "1", {"Seccomp": "0", "Seccomp_filters": "0"}, True),
        ("2", "2", {"Seccomp": "2", "Seccomp_filters": "1"}, True),
        ("2", "1", {"Seccomp": "2", "Seccomp_filters": "2"}, True),
        ("1", "0", {"Seccomp": "0", "Seccomp_filters": "0"}, True),
        ("2", "1", {"Seccomp": "2"}, True),
        ("2", "", {"Seccomp": "2"}, True),  # before Linux 5.9
        ("2", "1", {}, True),
    ],
)
def test_seccomp_filter_that_process_1_lacks_is_obstacle(
    process: Process, mode: str, filters: str, first: dict[str, str] | None, obstacle: bool
) -> None:
    """The kernel shows the number of filters, and not what they deny."""
    field("Seccomp", mode)(process)
    if filters:
        field("Seccomp_filters", filters)(process)
    else:
        status("Seccomp_filters:\t0\n", "")(process)

    found = peer.obstacle(process.facts(), first or {})

    assert ("seccomp filter" in found) == obstacle


def test_system_without_pidfd_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")

    with pytest.raises(peer.Unproven, match="does not show which process it is"):
        peer.own_facts()


def test_system_without_proc_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(peer.os, "open", missing)

    with pytest.raises(peer.Unproven, match="does not show which process it is"):
        peer.own_facts()


# Which process it is. Both routes to a pidfd.

REQUEST = ([["said"], [], ["argv"], ["A=b"]], (0, 0, 0))
CHALLENGE = challenge("client's")
Speak = Callable[[socket.socket], object]


@pytest.fixture(params=["of the connection", "by number"])
def _route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by number":
        monkeypatch.setattr(peer, "SO_PEERPIDFD", 9999)  # no kernel has it


pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        yield listener


def connected(listener: socket.socket) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(listener.getsockname())
    return sock


def challenged(sock: socket.socket) -> str:
    """Return the nonce of the worker, which is not verified but has sent its proof."""
    kind, lists = requests.receive(sock)
    assert kind == protocol.CHALLENGE
    nonce = nonce_for(sock, lists)
    sock.sendall(CHALLENGE)
    assert requests.receive(sock) == (protocol.PROOF, [["client's"]])
    return nonce


def answer(sock: socket.socket, nonce: str | None = None) -> None:
    """Send the request, with the nonce of the challenge if none is given."""
    lists, descriptors = REQUEST
    found = challenged(sock)
    nonce = found if nonce is None else nonce
    protocol.send_with_descriptors(
        sock, protocol.packed(protocol.REQUEST, [nonce], *lists), descriptors
    )


def requested(listener: socket.socket) -> requests.Request:
    sock, _ = listener.accept()
    with sock:
        sock.settimeout(10)
        return requests.request(sock, own())


@pytest.mark.usefixtures("_route")
def test_serves_process_that_connects_and_answers(listener: socket.socket) -> None:
    def ask() -> None:
        os.umask(0o27)
        sock = connected(listener)
        answer(sock)
        sock.recv(1)

    pid = forked(ask)
    request = requested(listener)

    os.waitpid(pid, 0)
    assert (request.kind, request.lists) == (protocol.REQUEST, REQUEST[0])
    assert request.umask == 0o27
    for descriptor in request.descriptors:
        os.close(descriptor)


@pytest.mark.usefixtures("_route")
def test_rejects_answer_of_process_that_shares_socket(
    listener: socket.socket,
) -> None:
    def ask() -> None:
        sock = connected(listener)
        os.waitpid(forked(lambda: answer(sock)), 0)
        sock.recv(1)

    pid = forked(ask)
    with pytest.raises(protocol.Broken):
        requested(listener)
    os.waitpid(pid, 0)


@pytest.mark.usefixtures("_route")
def test_rejects_connection_of_ended_process(listener: socket.socket) -> None:
    sock = None

    def ask() -> None:
        nonlocal sock
        sock = connected(listener)
        forked(lambda: answer(sock))

    os.waitpid(forked(ask), 0)
    with pytest.raises((OSError, peer.Unproven)):
        requested(listener)


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(lambda sock: sock.sendall(packed(TAKE, ["x"])), id="another kind"),
        pytest.param(lambda sock: os.waitpid(forked(lambda: sock.sendall(CHALLENGE)), 0),
                     id="another process"),
    ],
)  # fmt: skip
def test_worker_proves_itself_only_to_connecting_process(
    listener: socket.socket, challenge: Speak
) -> None:
    def ask() -> None:
        sock = connected(listener)
        requests.receive(sock)
        challenge(sock)
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""

    pid = forked(ask)
    with pytest.raises(protocol.Broken):
        requested(listener)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.usefixtures("_route")
def test_rejects_answer_sent_before_challenge(
    listener: socket.socket,
) -> None:
    def ask() -> None:
        sock = connected(listener)
        answer(sock, nonce="0" * 32)
        sock.recv(1)

    pid = forked(ask)
    with pytest.raises(peer.Unproven, match="has not read the nonce"):
        requested(listener)
    os.waitpid(pid, 0)


@pytest.mark.usefixtures("_route")
def test_rejects_process_that_ends_after_its_answer(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process id may belong to another process by now, whose facts were then read."""
    pid = forked(lambda: answer(connected(listener)))
    receive = protocol.receive_noted

    def then_reaped(*arguments: object) -> object:
        received = receive(*arguments)
        if received[0] == protocol.REQUEST:
            os.waitpid(pid, 0)
        return received

    monkeypatch.setattr(protocol, "receive_noted", then_reaped)
    with pytest.raises(peer.Unproven, match="does not show the process"):
        requested(listener)


def test_rejects_reused_process_id(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connecting process left its socket to a confined process, and ended."""
    monkeypatch.setattr(peer, "SO_PEERPIDFD", 9999)
    here, there = socket.socketpair()
    honest = forked(lambda: (here.close(), there.recv(1)))
    confined = forked(lambda: answer(connected(listener)))
    monkeypatch.setattr(peer, "_peer", lambda _: honest)

    with here, there, pytest.raises(protocol.Broken):
        requested(listener)
    for pid in (honest, confined):
        os.waitpid(pid, 0)


@pytest.mark.usefixtures("_route")
def test_rejects_differently_confined_process(listener: socket.socket) -> None:
    def ask() -> None:
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        answer(connected(listener))

    pid = forked(ask)
    with pytest.raises(peer.Unproven, match="different NoNewPrivs"):
        requested(listener)
    os.waitpid(pid, 0)


@pytest.mark.usefixtures("_route")
def test_rejects_process_confined_after_challenge(
    listener: socket.socket,
) -> None:
    def ask() -> None:
        sock = connected(listener)
        nonce = challenged(sock)
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        lists, descriptors = REQUEST
        protocol.send_with_descriptors(
            sock, protocol.packed(protocol.REQUEST, [nonce], *lists), descriptors
        )
        sock.recv(1)

    pid = forked(ask)
    with pytest.raises(peer.Unproven, match="by now different NoNewPrivs"):
        requested(listener)
    os.waitpid(pid, 0)


@pytest.mark.usefixtures("_route")
def test_rejects_process_with_several_threads(listener: socket.socket) -> None:
    def ask() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        answer(connected(listener))

    pid = forked(ask)
    with pytest.raises(peer.Unproven, match="several threads"):
        requested(listener)
    os.waitpid(pid, 0)


def test_rejects_process_without_id_in_this_namespace() -> None:
    class Elsewhere:
        def getsockopt(self, *_: int) -> bytes:
            return bytes(12)

    with pytest.raises(peer.Unproven, match="another PID namespace"):
        peer.connected(Elsewhere(), {})  # type: ignore[arg-type]


def test_proc_of_another_namespace_is_unproven(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_number", lambda _: os.getppid())
    pid = forked(lambda: answer(connected(listener)))

    with pytest.raises(peer.Unproven, match="does not show the process"):
        requested(listener)
    os.waitpid(pid, 0)
