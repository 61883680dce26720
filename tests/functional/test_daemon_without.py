"""Where no daemon can make a start, the start is a cold one, soon and without a message."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import ssmgate
from conftest import Machine
from fakes.capabilities import drop_capabilities
from fakes.daemon_client import (
    BY_DAEMON,
    COLD,
    DIRECTORY,
    Daemon,
    running,
    socket_name,
    start,
    state,
    until,
)
from fakes.processes import challenge, fork_with_threads, nonce_for
from fakes.scripted_aws import ACCOUNT, credentials
from ssmgate.daemon import location, protocol, requests
from ssmgate.daemon.protocol import packed

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NOT_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def daemon(home: Path) -> Iterator[Daemon]:
    environ = {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    with running(environ) as daemon:
        yield daemon


@pytest.fixture
def machine(machine: Machine, home: Path) -> Machine:
    """Return a machine with the HOME of the daemon."""
    machine.environ["HOME"] = str(home)
    return machine


@pytest.fixture
def machine_without_daemon(machine: Machine, tmp_path: Path) -> Machine:
    """Return a machine with its own HOME."""
    machine.environ["HOME"] = str(tmp_path / "home")
    return machine


def assert_cold(machine: Machine, directory: Path, **how: object) -> None:
    ended, way = start(machine, directory, **how)
    assert (ended.returncode, ended.stderr, way) == (0, "", COLD)
    assert machine.plugin.started
    assert machine.aws.calls("TerminateSession") == []


# False daemons.


@contextmanager
def bind_socket(machine: Machine) -> Iterator[socket.socket]:
    """Bind a socket at the path of the machine's daemon, without listening."""
    directory = Path(machine.environ["HOME"]) / DIRECTORY
    directory.mkdir(parents=True, mode=0o700)
    name = socket_name(machine.variables())
    with socket.socket(socket.AF_UNIX) as sock:
        descriptor = os.open(directory, os.O_RDONLY)
        sock.bind(location.address(descriptor, str(directory), name))
        os.close(descriptor)
        yield sock


@contextmanager
def listening(
    machine: Machine, answer: Callable[[socket.socket], object] | None = None
) -> Iterator[None]:
    """Run a process at the path of the machine's daemon, confined as its clients.

    It answers one of them, or accepts none.
    """
    with bind_socket(machine) as sock:
        here, there = socket.socketpair()
        pid = fork_with_threads()
        if not pid:
            try:
                drop_capabilities()
                here.close()
                sock.listen(5)
                there.sendall(b".")
                with suppress(OSError):
                    if answer is not None:
                        accepted, _ = sock.accept()
                        with accepted:
                            answer(accepted)
                there.recv(1)  # until the test ends
            finally:
                os._exit(0)
        there.close()
        try:
            assert here.recv(1)
            yield
        finally:
            here.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


GREETING = packed(protocol.HELLO, [protocol.PROTOCOL])
HELLO = GREETING + challenge("nonce")


def prove(sock: socket.socket) -> None:
    """Answer the client's challenge, so that it sends its request."""
    kind, lists = requests.receive(sock)
    assert kind == protocol.CHALLENGE
    sock.sendall(packed(protocol.PROOF, [nonce_for(sock, lists)]))


Part = bytes | Callable[[socket.socket], None]


def send(sock: socket.socket, *parts: Part) -> None:
    for part in parts:
        if callable(part):
            part(sock)
        else:
            sock.sendall(part)


def says(*parts: Part) -> Callable[[socket.socket], None]:
    def answer(sock: socket.socket) -> None:
        send(sock, *parts)
        time.sleep(0.2)

    return answer


def is_silent_after(*parts: Part) -> Callable[[socket.socket], None]:
    def answer(sock: socket.socket) -> None:
        send(sock, *parts)
        while sock.recv(1 << 20):
            pass

    return answer


def beats_on(sock: socket.socket) -> None:
    send(sock, HELLO, prove)
    while True:
        sock.sendall(packed(protocol.BEAT))
        time.sleep(0.05)


def flood(sock: socket.socket) -> None:
    send(sock, HELLO, prove)
    while True:
        sock.sendall(protocol.END + b"\xff" * 100_000)


FALSE = [
    pytest.param(says(), id="closes at once"),
    pytest.param(says(HELLO), id="closes after its greeting"),
    pytest.param(is_silent_after(), id="never speaks"),
    pytest.param(is_silent_after(GREETING), id="never challenges"),
    pytest.param(is_silent_after(HELLO), id="never proves itself"),
    pytest.param(is_silent_after(HELLO, prove), id="never answers"),
    pytest.param(says(HELLO, packed(protocol.COLD, ["why"])), id="cold instead of a proof"),
    pytest.param(says(HELLO, packed(protocol.PROOF, ["nonce"])), id="a false proof"),
    pytest.param(is_silent_after(HELLO, packed(protocol.PROOF, ["x"])[:6]), id="half a proof"),
    pytest.param(is_silent_after(GREETING, packed(protocol.CHALLENGE)), id="an odd challenge"),
    *(
        pytest.param(
            says(GREETING, packed(protocol.CHALLENGE, [text]), prove), id=f"a challenge of {text!r}"
        )
        for text in ("", "x", "../cwd", "0/../1", "999999", "-1", "\u0661")
    ),
    pytest.param(says(GREETING, packed(protocol.COLD, ["why"])), id="cold before a challenge"),
    pytest.param(is_silent_after(HELLO[:3]), id="half a greeting"),
    pytest.param(is_silent_after(HELLO, prove, b"e\0\0"), id="half a head"),
    pytest.param(
        is_silent_after(HELLO, prove, packed(protocol.END, ["0"])[:6]), id="half a message"
    ),
    pytest.param(beats_on, id="endless beats"),
    pytest.param(flood, id="endless bytes"),
    pytest.param(says(os.urandom(0) + b"\x7fELF" * 100), id="junk"),
    pytest.param(says(HELLO, prove, b"\x7fELF" * 100), id="junk after its greeting"),
    pytest.param(says(packed(protocol.HELLO, ["0"])), id="an older protocol"),
    pytest.param(says(packed(protocol.HELLO, ["99"])), id="a newer protocol"),
    pytest.param(says(packed(protocol.HELLO)), id="a greeting without protocol"),
    pytest.param(says(packed(protocol.END, ["0"])), id="no greeting"),
    pytest.param(says(GREETING, HELLO), id="two greetings"),
    pytest.param(says(HELLO, HELLO[len(GREETING):]), id="two challenges"),
    pytest.param(says(HELLO, prove, packed(protocol.COLD, ["why"])), id="cold"),
    pytest.param(says(HELLO, prove, packed(protocol.COLD)), id="cold without a reason"),
    pytest.param(says(HELLO, prove, packed(protocol.END)), id="an end without status"),
    pytest.param(says(HELLO, prove, packed(protocol.END, [])), id="an end with an empty list"),
    pytest.param(says(HELLO, prove, packed(protocol.END, ["x"])), id="an end that is not a number"),
    pytest.param(says(HELLO, prove, packed(protocol.GO)), id="go before the handover"),
    pytest.param(
        says(HELLO, prove, packed(protocol.HANDOVER), packed(protocol.GO)), id="no handover"
    ),
    pytest.param(
        says(HELLO, prove, packed(protocol.HANDOVER, [], ["a"], ["B=c"]), packed(protocol.GO)),
        id="a handover without program",
    ),
    pytest.param(
        says(
            HELLO,
            prove,
            packed(protocol.HANDOVER, ["/bin/false"], ["a"], ["B"]),
            packed(protocol.GO),
        ),
        id="a handover with an odd variable",
    ),
    pytest.param(
        says(HELLO, prove, packed(protocol.HANDOVER, ["/bin/false"], ["a"], [])), id="no go"
    ),
]  # fmt: skip


@pytest.mark.parametrize("answer", FALSE)
def test_faulty_daemon_falls_back_to_cold_start(
    machine_without_daemon: Machine, tmp_path: Path, answer: Callable[[socket.socket], None]
) -> None:
    with listening(machine_without_daemon, answer):
        patience = ("client.SILENT_SECONDS=0.3", "client.LONGEST_SECONDS=0.5")
        assert_cold(machine_without_daemon, tmp_path, constants=patience)


def test_accepts_daemon_that_proves_itself(machine_without_daemon: Machine, tmp_path: Path) -> None:
    """This proves that the daemons above are not ignored for lack of a proof."""
    with listening(machine_without_daemon, says(HELLO, prove, packed(protocol.END, ["7"]))):
        ended, way = start(machine_without_daemon, tmp_path)

    assert (ended.returncode, way) == (7, BY_DAEMON)


def test_daemon_that_does_not_accept_falls_back(
    machine_without_daemon: Machine, tmp_path: Path
) -> None:
    with listening(machine_without_daemon):
        assert_cold(machine_without_daemon, tmp_path)


def test_full_queue_falls_back_at_once(machine_without_daemon: Machine, tmp_path: Path) -> None:
    directory = Path(machine_without_daemon.environ["HOME"]) / DIRECTORY
    with listening(machine_without_daemon):
        descriptor = os.open(directory, os.O_RDONLY)
        (path,) = (path for path in directory.iterdir() if path.is_socket())
        address = location.address(descriptor, str(directory), path.name)
        waiting = []
        with suppress(BlockingIOError):
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(address)
        os.close(descriptor)
        assert_cold(machine_without_daemon, tmp_path)
        for sock in waiting:
            sock.close()


@ROOT
def test_rejects_daemon_of_another_user(machine_without_daemon: Machine, tmp_path: Path) -> None:
    """The client checks which user listens, whichever user created the socket."""
    with bind_socket(machine_without_daemon) as sock:
        pid = os.fork()
        if not pid:
            try:
                os.setgroups([])
                os.setuid(65534)
                sock.listen(5)
                there, _ = sock.accept()
                word = b""
                with suppress(OSError):  # it is closed at once
                    there.sendall(HELLO + packed(protocol.HANDOVER, ["/bin/false"], ["x"], []))
                    there.sendall(packed(protocol.GO))
                    word = there.recv(1)
                os._exit(7 if word else 0)
            except BaseException:
                os._exit(3)
        time.sleep(0.2)
        assert_cold(machine_without_daemon, tmp_path)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@ROOT
def test_rejects_client_of_another_user(machine: Machine, tmp_path: Path) -> None:
    machine.environ["HOME"] = str(tmp_path / "home")
    with running(machine.environ) as daemon:
        name = daemon.socket.name
        daemon.socket.chmod(0o777)
        daemon.directory.chmod(0o777)
        pid = os.fork()
        if not pid:
            try:
                os.chdir(daemon.directory)
                os.setgroups([])
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(10)
                    sock.connect(name)
                    os._exit(7 if sock.recv(1) else 0)
            except BaseException:
                os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        daemon.directory.chmod(0o700)
        ended, way = start(machine, tmp_path)
        assert (ended.returncode, way) == (0, BY_DAEMON)


# A daemon that does not go on.


def test_starts_cold_without_daemon(machine_without_daemon: Machine, tmp_path: Path) -> None:
    assert_cold(machine_without_daemon, tmp_path)


def test_stopped_daemon_falls_back_to_cold_start(
    machine_without_daemon: Machine, tmp_path: Path
) -> None:
    with running(machine_without_daemon.environ) as daemon:
        os.kill(daemon.pid, signal.SIGSTOP)
        assert_cold(machine_without_daemon, tmp_path)


def test_socket_of_dead_daemon_is_ignored(machine_without_daemon: Machine, tmp_path: Path) -> None:
    with running(machine_without_daemon.environ) as daemon:
        pass
    assert daemon.socket.exists()
    assert_cold(machine_without_daemon, tmp_path)

    with running(machine_without_daemon.environ):  # takes the place
        ended, way = start(machine_without_daemon, tmp_path)
    assert (ended.returncode, way) == (0, BY_DAEMON)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o770])
def test_ignores_directory_that_others_may_enter(
    machine_without_daemon: Machine, tmp_path: Path, mode: int
) -> None:
    with running(machine_without_daemon.environ) as daemon:
        daemon.directory.chmod(mode)
        assert_cold(machine_without_daemon, tmp_path)
        assert daemon.process.poll() is None


def test_ignores_directory_of_another_user(machine_without_daemon: Machine, tmp_path: Path) -> None:
    with running(machine_without_daemon.environ) as daemon:
        daemon.directory.parent.chmod(0o777)
        assert_cold(machine_without_daemon, tmp_path)


def test_does_not_follow_link_to_directory(machine_without_daemon: Machine, tmp_path: Path) -> None:
    with running(machine_without_daemon.environ) as daemon:
        moved = daemon.directory.rename(tmp_path / "moved")
        daemon.directory.symlink_to(moved)
        assert_cold(machine_without_daemon, tmp_path)


def test_link_in_place_of_socket_ends_daemon(
    machine_without_daemon: Machine, tmp_path: Path
) -> None:
    with running(machine_without_daemon.environ) as daemon:
        path = daemon.socket
        path.rename(path.with_suffix(".lock"))
        path.symlink_to(path.with_suffix(".lock"))
        ended, _ = start(machine_without_daemon, tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "")
        daemon.process.wait(30)
        assert path.is_symlink()


def test_dangling_link_falls_back_to_cold_start(
    machine_without_daemon: Machine, tmp_path: Path
) -> None:
    with running(machine_without_daemon.environ) as daemon:
        path = daemon.socket
        path.unlink()
        path.symlink_to("nowhere")
        assert_cold(machine_without_daemon, tmp_path)


def copied(directory: Path) -> Path:
    """Return a copy of the package that a test may change."""
    source = Path(ssmgate.__file__).parent
    shutil.copytree(source, directory / "ssmgate", ignore=shutil.ignore_patterns("sandbox"))
    return directory / "ssmgate"


def size(gate: Path) -> int:
    return (gate / "start.py").stat().st_size


@pytest.mark.parametrize(
    "upgrade",
    [
        pytest.param(lambda g: os.utime(g / "start.py", (1, 1)), id="another file"),
        pytest.param(lambda g: (g / "aws" / "service_models.json").touch(), id="other models"),
        pytest.param(lambda g: os.truncate(g / "start.py", size(g) - 1), id="a shorter file"),
        pytest.param(lambda g: (g.parents[1] / "new").mkdir(), id="another release"),
    ],
)  # fmt: skip
def test_starts_cold_after_upgrade(
    machine_without_daemon: Machine, tmp_path: Path, upgrade: Callable[[Path], object]
) -> None:
    package = copied(tmp_path)
    machine_without_daemon.environ["PYTHONPATH"] = str(tmp_path / "p")
    (tmp_path / "p").mkdir()
    package = package.rename(tmp_path / "p" / "ssmgate")
    with running(machine_without_daemon.environ) as daemon:
        marks = tmp_path / "marks"
        marks.mkdir()
        _, way = start(machine_without_daemon, marks)
        assert way == BY_DAEMON
        upgrade(package / "gate")

        assert_cold(machine_without_daemon, marks)
        daemon.process.wait(30)
        assert list(daemon.directory.glob("????????")) == []


# What the daemon could not make in the same way. The way is the client's to choose.

SURROUNDINGS = [
    {"HOME": "/nonexistent"}, {"LANG": "C"}, {"LANG": None}, {"LC_ALL": "C.UTF-8"},
    {"LC_MESSAGES": "C"}, {"TZ": "UTC"}, {"PYTHONWARNINGS": None}, {"PYTHONHASHSEED": "1"},
    {"LD_LIBRARY_PATH": "/x"}, {"OPENSSL_CONF": "/x"},
    {"HOME": "relative"}, {"HOME": None}, {"HOME": ""},
    {"SSMGATE_DAEMON": "off"},
    {"AWS_CONFIG_FILE": "/dev/fd/9"}, {"AWS_SHARED_CREDENTIALS_FILE": "/proc/self/fd/9"},
    {"AWS_CA_BUNDLE": "/dev/stdin"}, {"REQUESTS_CA_BUNDLE": "/dev/fd/9"},
]  # fmt: skip


@pytest.mark.parametrize("environ", SURROUNDINGS, ids=str)
def test_starts_cold_in_other_environment(
    machine: Machine, daemon: Daemon, tmp_path: Path, environ: dict[str, str | None]
) -> None:
    made = daemon.made
    ended, way = start(machine, tmp_path, **environ)

    assert (way, ended.returncode) == (COLD, 0), ended.stderr
    assert daemon.made == made


WORDS = [
    pytest.param(["--parameters", "file:///dev/stdin"], '{"a": ["b"]}', id="/dev/stdin"),
    pytest.param(["--parameters=file:///dev/fd/0"], '{"a": ["b"]}', id="/dev/fd"),
    pytest.param(["--parameters", "file:///proc/self/fd/0"], '{"a": ["b"]}', id="/proc"),
    pytest.param(["--parameters", "file://link"], '{"a": ["b"]}', id="a link to it"),
    pytest.param(["--parameters", "file://$LINK"], '{"a": ["b"]}', id="a variable"),
    pytest.param(["--parameters=file://./link"], '{"a": ["b"]}', id="a link after ="),
    pytest.param(["--debug"], "", id="--debug"),
    pytest.param(["--deb"], "", id="--deb"),
]


@pytest.mark.parametrize(("words", "stdin"), WORDS)
def test_arguments_that_name_own_descriptors_start_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path, words: list[str], stdin: str
) -> None:
    (tmp_path / "link").symlink_to("/dev/stdin")
    ended, way = start(
        machine, tmp_path, *words, input=stdin, cwd=tmp_path, LINK=str(tmp_path / "link")
    )

    assert (way, ended.returncode) == (COLD, 0), ended.stderr
    if "a" in stdin:
        assert machine.aws.calls("StartSession")[0].parameters["Parameters"] == {"a": ["b"]}


def test_pipe_is_read_by_process_itself(machine: Machine, daemon: Daemon, tmp_path: Path) -> None:
    """A second process could not read it again."""
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=lambda: (tmp_path / "pipe").write_text('{"a": ["b"]}'))
    thread.start()

    ended, way = start(machine, tmp_path, "--parameters", f"file://{tmp_path}/pipe")

    thread.join()
    assert (way, ended.returncode) == (COLD, 0), ended.stderr


@pytest.mark.parametrize("word", ["file://words.json", "file://~/words.json", "file://$W"])
def test_regular_file_is_read_by_daemon(
    machine: Machine, daemon: Daemon, home: Path, tmp_path: Path, word: str
) -> None:
    (home / "words.json").write_text('{"a": ["b"]}')

    ended, way = start(machine, tmp_path, "--parameters", word, cwd=home, W=f"{home}/words.json")

    assert (way, ended.returncode) == (BY_DAEMON, 0), ended.stderr
    assert machine.aws.calls("StartSession")[0].parameters["Parameters"] == {"a": ["b"]}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["help"], 0, id="help"),
        pytest.param(["--generate-cli-skeleton"], 0, id="skeleton"),
        pytest.param(["--gen", "input"], 0, id="--gen"),
        pytest.param(["--version"], 0, id="--version"),
        pytest.param(["--no-such-option"], 252, id="a wrong line"),
        pytest.param(["--document-name", "a b"], 252, id="no document's name"),
        pytest.param(["--cli-auto-prompt"], 252, id="prompt"),
        pytest.param(["--no-sign-request"], 252, id="unsigned"),
        pytest.param(["--parameters", "file://missing"], 252, id="no such file"),
    ],
)
def test_other_commands_run_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path, words: list[str], status: int
) -> None:
    first, way = start(machine, tmp_path, *words, PAGER="cat")
    second, _ = start(machine, tmp_path, *words, PAGER="cat", SSMGATE_DAEMON="off")

    assert (way, first.returncode) == (COLD, status), first.stderr
    assert first == second
    assert machine.aws.operations == []


@pytest.mark.parametrize("closed", ["0<&-", "2>&-"], ids=["stdin", "stderr"])
def test_closed_descriptor_starts_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path, closed: str
) -> None:
    ended, way = start(machine, tmp_path, before=("sh", "-c", f'exec "$@" {closed}', "sh"))

    assert (way, ended.returncode) == (COLD, 0), ended.stderr


def test_configuration_from_own_descriptor_starts_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path
) -> None:
    """AWS_CONFIG_FILE=<(…): the profile is in it, and no other file has one of that name."""
    own, usual = tmp_path / "own", tmp_path / "usual"
    for path, key in ((own, "AKIAOWN"), (usual, "AKIAUSUAL")):
        path.write_text(f"[profile p]\naws_access_key_id={key}\naws_secret_access_key=s\n")

    ended, way = start(
        machine, tmp_path, "--profile", "p",
        before=("sh", "-c", f'exec 9< {own}; exec "$@"', "sh"),
        AWS_CONFIG_FILE="/dev/fd/9", AWS_SHARED_CREDENTIALS_FILE=str(usual),
    )  # fmt: skip

    assert (way, ended.returncode) == (COLD, 0), ended.stderr
    assert {call.access_key for call in machine.aws.received} == {"AKIAOWN"}


def test_deleted_working_directory_starts_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path
) -> None:
    before = ("sh", "-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "sh")
    first, _ = start(machine, tmp_path, before=before, cwd=tmp_path)
    second, _ = start(machine, tmp_path, before=before, cwd=tmp_path, SSMGATE_DAEMON="off")

    assert first == second


@NOT_ROOT
def test_unreadable_working_directory_starts_cold(
    machine: Machine, daemon: Daemon, tmp_path: Path
) -> None:
    directory = tmp_path / "closed"
    directory.mkdir()
    directory.chmod(0o300)

    ended, way = start(machine, tmp_path, cwd=directory)

    assert (way, ended.returncode) == (COLD, 0), ended.stderr


# Starts that may prompt.

KEYS = "aws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
PROFILES = (
    f"[profile base]\n{KEYS}"
    f"[profile mfa]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/Ops\nsource_profile = base\n"
    f"mfa_serial = arn:aws:iam::{ACCOUNT}:mfa/alice\n"
    "[profile process]\ncredential_process = sh -c 'cat process.json; echo >> asked'\n"
    f"[profile from-process]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/Ops\n"
    "source_profile = process\n"
)


@pytest.mark.parametrize(
    ("words", "environ", "status"),
    [
        pytest.param(["--profile", "mfa"], {}, 253, id="an MFA code"),
        pytest.param([], {"SSMGATE_CHECKER_PROFILE": "mfa"}, 253, id="an MFA code of the checker"),
        pytest.param(["--profile", "process"], {}, 0, id="a program for credentials"),
        pytest.param(
            ["--profile", "from-process"], {}, 0, id="a program for credentials of a role"
        ),
        pytest.param([], {"SSMGATE_CHECKER_PROFILE": "process"}, 0, id="one for the checker"),
    ],
)
def test_start_that_may_prompt_runs_cold(
    machine: Machine,
    daemon: Daemon,
    tmp_path: Path,
    words: list[str],
    environ: dict[str, str],
    status: int,
) -> None:
    (tmp_path / "config").write_text(PROFILES)
    key = {"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s"}
    (tmp_path / "process.json").write_text(json.dumps(key))
    machine.aws.script("AssumeRole", credentials("ASIAROLE"))
    environ = {**environ, "AWS_CONFIG_FILE": str(tmp_path / "config")}

    ended, way = start(machine, tmp_path, *words, before=("setsid", "-w"), cwd=tmp_path, **environ)

    assert (way, ended.returncode) == (COLD, status), ended.stderr
    if status == 0:
        assert (tmp_path / "asked").read_text() == "\n"
    assert len(machine.aws.calls("StartSession")) == (status == 0)
    assert ("no terminal to prompt on" in ended.stderr) == (status == 253)


def test_locked_keys_start_cold(machine: Machine, daemon: Daemon, tmp_path: Path) -> None:
    for text, expected in (
        ('mode = "enforce"', BY_DAEMON),
        ('locked = ["mode"]', COLD),
        ('"lock\\u0065d" = ["mode"]', COLD),
        ("x" * 70_000, COLD),
    ):
        (tmp_path / "system.toml").write_text(text)
        constants = (f"client.SYSTEM_FILE={tmp_path}/system.toml",)
        ended, way = start(machine, tmp_path, constants=constants)
        assert (way, ended.returncode) == (expected, 0), text


def test_daemon_off_in_user_file_starts_cold(
    machine_without_daemon: Machine, tmp_path: Path
) -> None:
    with running(machine_without_daemon.environ) as daemon:
        directory = Path(machine_without_daemon.environ["HOME"]) / ".config" / "ssmgate"
        directory.mkdir(parents=True)
        (directory / "config.toml").write_text('daemon = "off"\n')
        assert_cold(machine_without_daemon, tmp_path)
        until(lambda: not daemon.children)
        assert daemon.made == 0
        assert state(daemon.pid) != "Z"
