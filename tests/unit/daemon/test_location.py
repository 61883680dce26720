"""The location of a daemon: each relevant part of the environment leads to another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmgate.daemon import instance_lock, location, peer, protocol, spawn
from ssmgate.gate.decision.errors import GateError

HERE = {"HOME": "/home/alice", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
FACTS = {"Uid": "1000\t1000\t1000\t1000", "ns/mnt": "mnt:[1]", "attr/current": "unconfined"}


def name(**environ: str | None) -> str:
    merged = {k: v for k, v in {**HERE, **environ}.items() if v is not None}
    return repr(location.environment_fingerprint(merged, FACTS))


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/home/bob"}, {"HOME": "/home/alice/"},
        {"LANG": "de_DE.UTF-8"}, {"LANG": None}, {"LANG": ""}, {"LC_ALL": "C"}, {"LC_CTYPE": "C"},
        {"LANGUAGE": "de"}, {"TZ": "Europe/Berlin"}, {"TZDIR": "/x"}, {"LOCPATH": "/x"},
        {"LD_PRELOAD": "/x.so"}, {"LD_LIBRARY_PATH": "/x"}, {"DYLD_INSERT_LIBRARIES": "/x"},
        {"PYTHONPATH": "/x"}, {"PYTHONWARNINGS": "error"}, {"PYTHONIOENCODING": "latin-1"},
        {"OPENSSL_CONF": "/x"}, {"MALLOC_ARENA_MAX": "1"}, {"GLIBC_TUNABLES": "x"},
        {"GCONV_PATH": "/x"}, {"RES_OPTIONS": "x"}, {"LOCALDOMAIN": "x"}, {"HOSTALIASES": "/x"},
        {"NLSPATH": "/x"},
    ],
    ids=str,
)  # fmt: skip
def test_fingerprint_contains_environment_variables_that_are_read_once(
    environ: dict[str, str | None],
) -> None:
    assert name(**environ) != name()


@pytest.mark.parametrize(
    "variable",
    ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "PATH", "PWD", "SSH_CONNECTION", "TERM", "USER",
     "SSMGATE_MODE", "HTTPS_PROXY", "SSL_CERT_FILE", "LANGUAGES", "TZX", "XLC_ALL", "odd \udcff"],
)  # fmt: skip
def test_fingerprint_omits_environment_variables_of_request(variable: str) -> None:
    assert name(**{variable: "x"}) == name()


def test_fingerprint_ignores_order_of_variables() -> None:
    there = dict(reversed(HERE.items()))

    assert location.environment_fingerprint(there, FACTS) == location.environment_fingerprint(
        HERE, FACTS
    )


@pytest.mark.parametrize(
    ("owner", "attribute", "value"),
    [
        pytest.param(protocol, "PROTOCOL", "0", id="protocol"),
        pytest.param(location, "__version__", "0", id="version"),
        pytest.param(location, "__file__", "/opt/ssmgate/daemon/place.py", id="installation"),
        pytest.param(sys, "prefix", "/opt/venv", id="environment of Python"),
        pytest.param(sys, "version", "3.99", id="Python"),
        pytest.param(sys, "warnoptions", ["error::Warning"], id="-W"),
        pytest.param(sys, "getfilesystemencoding", lambda: "latin-1", id="encoding"),
    ],
)
def test_fingerprint_contains_program_and_user(
    monkeypatch: pytest.MonkeyPatch, owner: object, attribute: str, value: object
) -> None:
    before = name()
    monkeypatch.setattr(owner, attribute, value)

    assert name() != before


SAY = """from ssmgate.daemon.location import environment_fingerprint
print(environment_fingerprint({"HOME": "/"}, {}))"""


def fingerprint(*flags: str) -> str:
    argv = [sys.executable, *flags, "-c", SAY]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("flag", ["-O", "-Xdev", "-I", "-E", "-Werror"])
def test_fingerprint_contains_python_options(flag: str) -> None:
    assert fingerprint("-P") == fingerprint()
    assert fingerprint(flag) != fingerprint()


@pytest.mark.parametrize("fact", FACTS)
def test_fingerprint_contains_confinement(monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    before = name()
    monkeypatch.setitem(FACTS, fact, "other")

    assert name() != before


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "sockets").mkdir()
    directory = os.open(tmp_path / "sockets", os.O_RDONLY)
    yield directory
    os.close(directory)


def test_undecodable_bytes_give_valid_name(directory: int) -> None:
    assert instance_lock.socket_name(["\udcff\udc80"], directory).isalnum()


def test_name_of_socket_depends_on_fingerprint_and_key(directory: int) -> None:
    """Without the key, the name tells nothing about the daemon's environment variables."""
    name = instance_lock.socket_name(["a"], directory)

    assert instance_lock.socket_name(["a"], directory) == name
    assert instance_lock.socket_name(["b"], directory) != name
    os.unlink(location.KEY, dir_fd=directory)
    assert instance_lock.socket_name(["a"], directory) != name
    assert os.listdir(directory) == [location.KEY]


def test_only_user_can_read_key(directory: int) -> None:
    instance_lock.socket_name(["a"], directory)

    known = os.stat(location.KEY, dir_fd=directory)
    assert (known.st_mode & 0o777, known.st_size) == (0o600, location.KEY_BYTES)


def test_client_makes_no_key(directory: int) -> None:
    with pytest.raises(FileNotFoundError):
        location.socket_name(["a"], directory)
    assert os.listdir(directory) == []


def test_daemon_gets_only_variables_of_fingerprint() -> None:
    secret = {"AWS_SECRET_ACCESS_KEY": "s", "AWS_PROFILE": "p", "PATH": "/bin", "TOKEN": "t"}

    assert spawn.environment({**HERE, **secret}) == HERE


def test_address_is_short_for_long_path(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)

    address = location.address(directory, "/" + "x" * 200, "name")

    os.close(directory)
    assert len(address) < 100


# Where the kernel does not show what confines a process.


@pytest.fixture
def _unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it() -> dict[str, str]:
        raise peer.Unproven("why")

    monkeypatch.setattr(peer, "own_facts", raise_it)


@pytest.mark.usefixtures("_unproven")
def test_does_not_run_where_peer_is_unproven(tmp_path: Path) -> None:
    with (
        pytest.raises(GateError, match="a daemon cannot run here: why"),
        instance_lock.locked_location({"HOME": str(tmp_path)}),
    ):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


@pytest.mark.usefixtures("_unproven")
def test_is_not_spawned_where_peer_is_unproven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spawn.subprocess, "run", None)  # it would fail

    spawn.spawn_background_daemon({"HOME": str(tmp_path)})

    assert list(tmp_path.iterdir()) == [tmp_path / "home"]
