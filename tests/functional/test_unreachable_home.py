"""A HOME that this uid cannot use: containers, `sudo -E -u`, services with ProtectHome."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import awscli
import pytest

import ssmgate
from conftest import FAKES, TARGET, Ended, FakePlugin
from fakes import bastion as bastions
from fakes.scripted_aws import ScriptedAws

NOBODY = 65534
AS_ROOT = os.geteuid() == 0


class Stranger:
    """An unprivileged uid without its own home directory. As root it is `NOBODY`."""

    def __init__(self, base: Path, aws: ScriptedAws) -> None:
        self.base, self.aws, self.python = base, aws, sys.executable
        (base / "plugin").mkdir()
        (base / "plugin").chmod(0o777)
        self.plugin = FakePlugin(base / "plugin")
        self.environ = {
            "PATH": f"{FAKES}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "FAKE_PLUGIN": str(base / "plugin"),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONWARNINGS": "error",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str, home: str | None) -> Ended:
        environ = self.environ if home is None else {**self.environ, "HOME": home}
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if AS_ROOT else {}
        ended = subprocess.run(
            [self.python, *words], env=environ, cwd=self.base, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False, **who,
        )  # type: ignore[call-overload]  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def find_python(self) -> bool:
        """Return a Python that this user can run: that of the tests, or of the system."""
        with contextlib.suppress(PermissionError):
            return self.run("-c", "import ssmgate", home=None).returncode == 0
        packages = (Path(ssmgate.__file__).parents[1], Path(awscli.__file__).parents[1])
        self.python = bastions.python() or "/usr/bin/python3"
        self.environ["PYTHONPATH"] = os.pathsep.join(map(str, packages))
        return self.run("-c", "import ssmgate.gate.aws", home=None).returncode == 0


@pytest.fixture
def unprivileged_user(scripted: ScriptedAws) -> Iterator[Stranger]:
    # Not below the directory of pytest, which other users cannot enter.
    base = Path(tempfile.mkdtemp(prefix="ssmgate-test-", dir="/tmp"))
    base.chmod(0o755)
    found = Stranger(base, scripted)
    try:
        if not found.find_python():
            pytest.skip("this checkout cannot be read, or no Python be run, by another user")
        yield found
    finally:
        shutil.rmtree(base)


def assert_starts(unprivileged_user: Stranger, home: str | None) -> None:
    ended = unprivileged_user.run("-m", "ssmgate", "start-session", "--target", TARGET, home=home)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert unprivileged_user.plugin.started


def closed(base: Path) -> str:
    """Return a home with a file that only its owner, another user, may enter."""
    directory = base / "closed"
    (directory / ".config" / "ssmgate").mkdir(parents=True)
    (directory / ".config" / "ssmgate" / "config.toml").write_text("mode = \n")
    (directory / ".aws").mkdir()
    (directory / ".aws" / "config").write_text("[default\n")
    directory.chmod(0o700 if AS_ROOT else 0)
    return str(directory)


def test_verbs_work_with_inaccessible_home(unprivileged_user: Stranger) -> None:
    home = closed(unprivileged_user.base)
    try:
        assert_starts(unprivileged_user, home)
        checked = unprivileged_user.run("-m", "ssmgate", "check", "--target", TARGET, home=home)
        shown = unprivileged_user.run("-m", "ssmgate", "config", "show", home=home)
        completed = unprivileged_user.run(
            "-m", "ssmgate", "complete", "profiles", "--", "", home=home
        )
    finally:
        Path(home).chmod(0o700)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("allowed\n")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert 'mode = "enforce"' in shown.stdout
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")


def read_only(base: Path) -> str:
    (base / "read-only").mkdir(mode=0o555)
    return str(base / "read-only")


def a_file(base: Path) -> str:
    (base / "file").touch()
    return str(base / "file")


def a_link_to_itself(base: Path) -> str:
    (base / "link").symlink_to("link")
    return str(base / "link")


HOMES = {
    "unset": lambda _: None,
    "empty": lambda _: "",
    "relative": lambda _: "home",
    "read-only": read_only,
    "over-long": lambda _: "/" + "a" * 5000,
    "a file": a_file,
    "a device": lambda _: "/dev/null",
    "a link to itself": a_link_to_itself,
}


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES.keys())
def test_session_starts_with_any_home(unprivileged_user: Stranger, home: object) -> None:
    assert_starts(unprivileged_user, home(unprivileged_user.base))  # type: ignore[operator]


def own(base: Path) -> Path:
    home = base / "own"
    home.mkdir()
    if AS_ROOT:
        os.chown(home, NOBODY, NOBODY)
    return home


def with_config(make: Callable[[Path], object]) -> Callable[[Path], str]:
    """Return a function that makes a home of this user, and `make` its ~/.config."""

    def home(base: Path) -> str:
        made = own(base)
        make(made / ".config")
        return str(made)

    return home


def closed_config(config: Path) -> None:
    (config / "ssmgate").mkdir(parents=True)
    (config / "ssmgate" / "config.toml").write_text("mode = \n")
    config.chmod(0o700 if AS_ROOT else 0)


def of_another(base: Path) -> str:
    (base / "another").mkdir(mode=0o755)
    return str(base / "another")


PLACES = {
    **HOMES,
    "another's": of_another,
    "another's, closed": closed,
    "~/.config is another's, closed": with_config(closed_config),
    "~/.config is read-only": with_config(lambda config: config.mkdir(mode=0o555)),
    "~/.config is a file": with_config(Path.touch),
    "~/.config is a device": with_config(lambda config: config.symlink_to("/dev/null")),
    "~/.config is a link to itself": with_config(lambda config: config.symlink_to(".config")),
    "~/.config is a link to nothing": with_config(lambda config: config.symlink_to("nothing")),
}

VERBS = {
    "start": ("-m", "ssmgate", "start-session", "--target", TARGET),
    "check": ("-m", "ssmgate", "check", "--target", TARGET),
    "documents": ("-m", "ssmgate", "documents"),
    "config": ("-m", "ssmgate", "config", "show"),
    "completion": ("-m", "ssmgate", "complete", "targets", "--", ""),
    "status": ("-m", "ssmgate", "daemon", "status"),
    "daemon": ("-m", "ssmgate", "daemon", "run", "--idle", "1"),
    "login": ("-m", "ssmgate", "login", "-c", f"start-session --target {TARGET}"),
}
REAL = ("-m", "awscli", "ssm", "start-session", "--target", TARGET)


def run_all(user: Stranger, home: str | None) -> dict[str, Ended]:
    ended = {}
    for name, words in VERBS.items():
        ended[name] = user.run(*words, home=home)
        assert "Traceback" not in ended[name].stderr, name
        assert "Warning" not in ended[name].stderr, name
    return ended


def outcomes(ended: dict[str, Ended], names: Sequence[str]) -> dict[str, tuple[int, str, str]]:
    return {name: (e.returncode, e.stdout, e.stderr) for name, e in ended.items() if name in names}


@pytest.fixture(scope="module")
def usual() -> dict[str, Ended]:
    """Return a place for the results with an empty home, the same for each test."""
    return {}


@pytest.mark.parametrize("place", PLACES)
def test_each_verb_works_as_with_empty_home(
    place: str, unprivileged_user: Stranger, usual: dict[str, Ended]
) -> None:
    unprivileged_user.environ["AWS_DEFAULT_REGION"] = "us-east-1"  # for v1
    home = PLACES[place](unprivileged_user.base)
    try:
        with_real = unprivileged_user.run(*REAL, home=home)
        ended = run_all(unprivileged_user, home)
    finally:
        if "closed" in place:
            Path(str(home), ".config" * ("~" in place)).chmod(0o700)

    assert with_real.returncode == 0
    assert_as_usual(ended, usual, unprivileged_user)


def assert_as_usual(ended: dict[str, Ended], usual: dict[str, Ended], user: Stranger) -> None:
    assert ended["start"].returncode == 0
    assert [ended[name].stderr for name in ("start", "check", "config", "completion")] == [""] * 4
    assert ended["check"].stdout.startswith("allowed\n")
    assert 'mode = "enforce"' in ended["config"].stdout
    if not usual:
        usual.update(run_all(user, str(own(user.base / "plugin"))))
    same = ("check", "documents", "config", "completion", "login")
    assert outcomes(ended, same) == outcomes(usual, same)
    for name, status in (("status", 3), ("daemon", 0)):
        if ended[name].returncode != status:
            assert "\nssmgate: hint: sessions start without a daemon" in ended[name].stderr


@pytest.mark.skipif(not AS_ROOT, reason="only root can mount a file system")
def test_each_verb_works_with_full_home(
    unprivileged_user: Stranger, usual: dict[str, Ended]
) -> None:
    home = unprivileged_user.base / "full"
    home.mkdir()
    options = f"size=8k,mode=700,uid={NOBODY},gid={NOBODY}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        with contextlib.suppress(OSError), open(home / "filling", "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        unprivileged_user.environ["AWS_DEFAULT_REGION"] = "us-east-1"  # for v1
        assert unprivileged_user.run(*REAL, home=str(home)).returncode == 0
        ended = run_all(unprivileged_user, str(home))
    finally:
        subprocess.run(["umount", str(home)], check=True)

    assert_as_usual(ended, usual, unprivileged_user)


def config_toml(make: Callable[[Path], object]) -> Callable[[Path], str]:
    """Return a function that makes a home of this user with a file that `make` makes."""

    def home(base: Path) -> str:
        file = own(base) / ".config" / "ssmgate" / "config.toml"
        file.parent.mkdir(parents=True)
        make(file)
        if AS_ROOT:
            os.chown(file, NOBODY, NOBODY, follow_symlinks=False)
        return str(base / "own")

    return home


def written_by_others(file: Path) -> None:
    file.touch()
    file.chmod(0o666)


BROKEN = {
    "unreadable": (lambda file: file.touch(0), "Permission denied"),
    "no TOML": (lambda file: file.write_text("mode = \n"), "Invalid value (at line 1"),
    "not UTF-8": (lambda file: file.write_bytes(b"# \xff"), "can't decode byte"),
    "an unknown key": (lambda file: file.write_text("mod = 'enforce'\n"), "unknown key 'mod'"),
    "a directory": (Path.mkdir, "Is a directory"),
    "a FIFO": (os.mkfifo, "not a regular file"),
    "a link to itself": (lambda file: file.symlink_to("config.toml"), "Too many levels"),
    "writable for others": (written_by_others, "can be written by others"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_own_configuration_is_error_with_next_step(
    kind: str, unprivileged_user: Stranger
) -> None:
    make, why = BROKEN[kind]
    ended = run_all(unprivileged_user, config_toml(make)(unprivileged_user.base))

    for name in ("start", "check", "documents", "config", "daemon"):
        error, *hints = ended[name].stderr.strip().splitlines()
        assert (ended[name].returncode, ended[name].stdout) == (253, ""), name
        assert "/own/.config/ssmgate/config.toml" in error
        assert why in error
        assert len(hints) == 1, name
        assert hints[0].startswith("ssmgate: hint: ")
    assert (ended["completion"].returncode, ended["completion"].stderr) == (0, "")
    assert "config.toml" not in ended["login"].stderr.partition("hint")[0]
    assert not unprivileged_user.plugin.started


def test_unreadable_own_file_is_error(unprivileged_user: Stranger) -> None:
    home = unprivileged_user.base / "home"
    file = home / ".config" / "ssmgate" / "config.toml"
    file.parent.mkdir(parents=True)
    file.touch(0)
    if AS_ROOT:
        os.chown(file, NOBODY, NOBODY)

    ended = unprivileged_user.run(
        "-m", "ssmgate", "start-session", "--target", TARGET, home=str(home)
    )

    assert (ended.returncode, unprivileged_user.aws.received) == (253, [])
    assert f"{file}: Permission denied" in ended.stderr
    assert "ssmgate: hint: make it a regular file that belongs to you" in ended.stderr


def test_unreadable_aws_files_count_as_absent(unprivileged_user: Stranger) -> None:
    home = unprivileged_user.base / "home"
    (home / ".aws").mkdir(parents=True)
    for name in ("config", "credentials"):
        (home / ".aws" / name).write_text("[default]\nregion = nowhere\n")
        (home / ".aws" / name).chmod(0)

    assert_starts(unprivileged_user, str(home))
    assert unprivileged_user.plugin.argv[1] == "us-east-1"
