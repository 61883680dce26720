"""A HOME that this uid cannot use: containers, `sudo -E -u`, services with ProtectHome."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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


def start(unprivileged_user: Stranger, home: str | None) -> None:
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
        start(unprivileged_user, home)
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
    start(unprivileged_user, home(unprivileged_user.base))  # type: ignore[operator]


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

    start(unprivileged_user, str(home))
    assert unprivileged_user.plugin.argv[1] == "us-east-1"
