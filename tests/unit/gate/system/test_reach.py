"""The user's file: absent if this uid cannot reach it, otherwise it has to be readable."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmgate.gate.cache import store
from ssmgate.gate.config.load import USER_FILE, ConfigSource, load
from ssmgate.gate.decision.errors import ConfigurationProblem

PERMISSIVE = 'mode = "permissive"\n'
UNPRIVILEGED = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a home directory of an unprivileged user, below directories that all users can
    enter.
    """
    base = Path(tempfile.mkdtemp(prefix="ssmgate-test-", dir="/tmp"))
    base.chmod(0o755)
    directory = base / "home"
    (directory / USER_FILE).parent.mkdir(parents=True)
    (directory / USER_FILE).write_text(PERMISSIVE)
    for path in (
        directory,
        directory / ".config",
        (directory / USER_FILE).parent,
        directory / USER_FILE,
    ):
        if os.geteuid() == 0:
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    yield directory
    for path in base.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(base)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Change the uid of root: root can enter each directory."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(UNPRIVILEGED)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def loaded(home: str | None) -> bool:
    """Return whether the user's file was read."""
    environ = {} if home is None else {"HOME": home}
    with ordinary_user():
        return load(environ, ConfigSource("/nowhere/config.toml")).permissive


def closed(*names: str) -> Callable[[Path], None]:
    return lambda home: home.joinpath(*names).chmod(0)


def of_root(*names: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        os.chown(home.joinpath(*names), 0, 0)
        home.joinpath(*names).chmod(0o700)

    return change


def replaced(*names: str, by: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        path = home.joinpath(*names)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        by(path)

    return change


def itself(path: Path) -> None:
    path.symlink_to(path.name)


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

ABSENT = {
    "a home that may not be entered": closed(),
    ".config that may not be entered": closed(".config"),
    "its own directory that may not be entered": closed(".config", "ssmgate"),
    "a home that is a file": replaced(by=Path.touch),
    ".config that is a file": replaced(".config", by=Path.touch),
    "a home that is a link to itself": replaced(by=itself),
    ".config that is a link to itself": replaced(".config", by=itself),
    "a home that is a device": replaced(by=lambda path: path.symlink_to("/dev/null")),
    "no home": replaced(by=lambda path: None),
    "a link to nowhere": replaced(USER_FILE, by=lambda path: path.symlink_to("nowhere")),
}
OF_ROOT = {
    "a home of root": of_root(),
    ".config of root": of_root(".config"),
    "a directory of root in .config": of_root(".config", "ssmgate"),
}


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(change, id=name) for name, change in ABSENT.items()),
        *(pytest.param(change, id=name, marks=only_root) for name, change in OF_ROOT.items()),
    ],
)
def test_unreachable_file_is_absent(home: Path, change: Callable[[Path], None]) -> None:
    assert loaded(str(home))
    change(home)

    assert not loaded(str(home))
    with ordinary_user():
        # The cache is not used either, without a word.
        directory = store.DecisionCache(str(home), pytest.fail)
        assert directory.read("a" * 64) is None


@pytest.mark.parametrize(
    "value",
    [None, "", "home", "./home", "/nowhere", "/" + "a" * 300, "/a" * 4000, "/dev/null", "/proc/1"],
)
def test_dangling_home_is_absent(
    home: Path, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)  # so that a relative one would lead to a file

    assert not loaded(value)


def bound_socket(path: Path) -> None:
    """Leave the name of a socket at ``path`` that has no listener any more."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


BROKEN = {
    "unreadable": (closed(USER_FILE), "Permission denied"),
    "a directory": (replaced(USER_FILE, by=Path.mkdir), "Is a directory"),
    "a FIFO": (replaced(USER_FILE, by=os.mkfifo), "is not a regular file"),
    "a link to itself": (replaced(USER_FILE, by=itself), "symbolic links"),
    "a socket": (
        replaced(USER_FILE, by=bound_socket),
        "No such device",
    ),
    "too big": (lambda home: (home / USER_FILE).write_text("#" * 70_000), "more than 65536 bytes"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_existing_unusable_file_is_error(
    home: Path, change: Callable[[Path], object], words: str
) -> None:
    change(home)
    if os.geteuid() == 0:
        os.chown(home / USER_FILE, UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)

    with pytest.raises(ConfigurationProblem, match=words) as raised:
        loaded(str(home))
    (hint,) = raised.value.hints
    assert str(home / USER_FILE) in raised.value.message
    assert "remove it" in hint


@only_root
def test_unreadable_system_file_is_error(home: Path) -> None:
    """It may lock keys."""
    file = home.parent / "system.toml"
    file.write_text('locked = ["*"]')
    file.chmod(0o600)
    with ordinary_user(), pytest.raises(ConfigurationProblem, match="Permission denied"):
        load({}, ConfigSource(str(file), base=str(home.parent)))
    file.chmod(0o644)
    os.mkdir(home.parent / "etc", 0o700)
    shutil.move(file, home.parent / "etc")
    with ordinary_user(), pytest.raises(ConfigurationProblem, match="Permission denied"):
        load({}, ConfigSource(str(home.parent / "etc" / "system.toml"), base=str(home.parent)))
