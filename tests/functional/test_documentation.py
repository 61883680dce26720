"""Run the commands of the documentation, and compare the output that it shows.

Each page runs in a terminal of 80 columns, in a shell of its own, in the local AWS. After an
intended change UPDATE_DOCS=1 writes the output anew: read the difference. `fakes/pages.py` has the
comments with which a page says how a block is run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from conftest import FAKES
from fakes import pages
from fakes.capabilities import drop_bounding_set
from fakes.pages import Block, Command
from fakes.terminal import without_waits
from fakes.waiting import seconds

ROOT = FAKES.parents[1]
DOCS = ROOT / "docs"
PROGRAMS = Path(sys.executable).parent
# The examples of these pages need records, whose times and chains differ from run to run.
NOT_RUN = {"docs/reference/records.md"}
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
PAGES = [page for page in PAGES if str(page.relative_to(ROOT)) not in NOT_RUN]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# Blocks of these languages are run by the tests named here. `console` is run by this file.
RUN_ELSEWHERE = {
    "docs/how-to/audit.md": {"sql"},  # test_audit_queries.py
    "docs/how-to/ssh.md": {"sh", "ssh-config"},  # test_guides.py
    "docs/how-to/shell.md": {"sh", "bash", "zsh", "fish"},  # test_guides.py, test_init.py
    "docs/how-to/bastion.md": {"sh", "toml", "ini", "sshd_config", "nft"},  # test_bastion_guide.py
    "docs/how-to/bastion-debian.md": {"sh"},  # test_deb_bastion.py
}
NOT_COMMANDS = {"", "json", "toml", "ini", "yaml", "text"}
# How many blocks of each page cannot be run here. The page has the reasons.
SKIPPED = {
    "CONTRIBUTING.md": 2,
    "docs/how-to/bastion.md": 8,
    "docs/how-to/bastion-debian.md": 1,
    "docs/how-to/speed-up.md": 1,
    # They need a package index, and later a release.
    "docs/reference/releases.md": 2,
    "docs/how-to/upgrade-uninstall.md": 4,
    "docs/tutorial/first-session.md": 2,
}

# What differs from run to run and from machine to machine, and what the pages show instead.
STABLE = (
    (r"/tmp/ssmgate-sandbox-\w+", "/tmp/ssmgate-sandbox-1a2b3c4d"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:34567"),
    (r"\b([a-z]{2,})-[0-9a-f]{17}\b", r"\1-0a1b2c3d4e5f60718"),
    (r"aws:userid=\w+", "aws:userid=AIDAEXAMPLE"),
    (r"answered in \d+ ms", "answered in 81 ms"),
    (r"^[$#] $", "sh-5.2$ "),
    (r"^[$#] (?=\w)", "sh-5.2$ "),
    (r"\b20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?", "2026-11-30 14:05"),
    (r"^process \d+, \d+ s;", "process 4711, 12 s;"),
    (r"^ *\d+ s  arn:", " 299 s  arn:"),
    (r"^aws-cli/.*$", "aws-cli/2.31.1 Python/3.13.7 Linux/6.12.48 source/x86_64"),
)


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox, and the environment that it gives a command."""

    environ: dict[str, str]

    def exports(self, name: str) -> str:
        """Return shell code that gives the credentials of a user or role."""
        ended = subprocess.run(
            [PROGRAMS / "ssmgate", "sandbox", "env", name],
            env=self.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return ended.stdout


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox until the block ends."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory, "home")
        home.mkdir()
        report = Path(directory, "environ")
        inherited = {"PATH": path(home.parent), "HOME": str(home), "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            [PROGRAMS / "ssmgate", "sandbox", "--", "sh", "-c",
             f'env -0 >"{report}.new" && mv "{report}.new" "{report}" && echo && exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        items = report.read_text().rstrip("\0").split("\0")
        try:
            yield Sandbox(dict(item.split("=", 1) for item in items))
        finally:
            process.stdin.close()
            process.stdout.close()
            assert process.wait(seconds(30)) == 0


def path(directory: Path) -> str:
    """Return a PATH on which ssmgate is, and none of the other programs of its environment."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("ssmgate", "ssm-start-session", "aws"):
        if not (programs / name).exists():
            (programs / name).symlink_to(PROGRAMS / name)
    return f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def resident() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


class Shell:
    """A shell in a terminal, which runs the commands of one page one after the other."""

    def __init__(self, page: list[Block], running: Sandbox, home: Path) -> None:
        self.home = home
        self.script: list[str] = []
        self.commands: list[tuple[Block, Command]] = []
        self.programs = path(home.parent)
        for block in page:
            if not block.skipped and "already" not in block.settings:
                self.add(block, running)
        script = home.parent / "script"
        script.write_text("".join(f"{line}\n" for line in self.script))
        directories = running.environ["PATH"].split(":")
        own = [d for d in directories if d.startswith(f"{tempfile.gettempdir()}/ssmgate-sandbox-")]
        self.terminal = pexpect.spawn(
            "bash", ["--norc", "--noprofile", str(script)],
            cwd=str(home), encoding="utf-8", timeout=seconds(60), dimensions=(50, 80),
            preexec_fn=drop_bounding_set,
            env={
                "PATH": ":".join([*own, self.programs]),
                "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", "NO_COLOR": "1",
                "SHELL": "/bin/bash", "AWS_EC2_METADATA_DISABLED": "true",
                "_SSMGATE_SANDBOX": running.environ["_SSMGATE_SANDBOX"],
            },
        )  # fmt: skip

    def add(self, block: Block, running: Sandbox) -> None:
        """Append a block to the script."""
        if name := block.settings.get("as"):
            self.script.append(running.exports(name.strip()))
        if variable := block.settings.get("set"):
            self.script.append(f"export {variable}")
        if block.title and block.language != "sh":
            (self.home / block.title).write_text(block.text)
        elif block.language == "sh":
            status = int(block.settings.get("exits", "0"))
            command = Command(f"set -e\n{block.text}set +e", [], block.line, status)
            self._add_command(block, command)
        for command in block.commands:
            self._add_command(block, command)

    def _add_command(self, block: Block, command: Command) -> None:
        self.commands.append((block, command))
        self.script += [
            r"printf '\036'",
            f"{command.text}\n" r"printf '\036%s\036' $?",
        ]

    def outputs(self) -> Iterator[tuple[Block, Command, list[str], int]]:
        """Run the page. Yields each command with its output and its exit status."""
        for block, command in self.commands:
            self.terminal.expect_exact("\x1e")
            before = ""
            for line in command.typed:
                self.terminal.expect(r"[$#] $")
                before += self.terminal.before + self.terminal.after
                self.terminal.sendline(line)
            self.terminal.expect("\x1e([0-9]+)\x1e")
            output = before + self.terminal.before
            yield block, command, self.stable(output), int(self.terminal.match[1])
        self.terminal.expect(pexpect.EOF)

    def stable(self, text: str) -> list[str]:
        """Return the lines of an output, with what pages show in place of what varies."""
        text = without_waits(text)
        for there, shown in (
            (str(self.home.parent / "bin"), "/home/you/.local/bin"),
            (str(self.home), "/home/you"),
            (str(PROGRAMS.parent), "/home/you/.local/share/pipx/venvs/ssmgate"),
        ):
            text = text.replace(there, shown)
        lines = text.replace("\r", "").split("\n")
        for pattern, shown in STABLE:
            lines = [re.sub(pattern, shown, line) for line in lines]
        return lines


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_print_output_of_page(page: Path, resident: Sandbox, tmp_path: Path) -> None:
    parsed = pages.blocks(page)
    elsewhere = RUN_ELSEWHERE.get(str(page.relative_to(ROOT)), set())
    to_run = [block for block in parsed if block.language not in elsewhere]
    if not any(block.commands or block.language == "sh" for block in to_run if not block.skipped):
        return
    failures, changes = [], {}
    with ExitStack() as stack:
        # A page that changes the sandbox has its own.
        own = any("own" in block.settings for block in parsed)
        running = stack.enter_context(sandbox()) if own else resident
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()), "home")
        home.mkdir(mode=0o700)
        shell = Shell(to_run, running, home)
        for block, command, actual, status in shell.outputs():
            at = f"{page.name}:{command.first}: $ {command.text}"
            if status != command.status:
                failures.append(
                    f"{at}\nexits {status}, not {command.status}:\n{chr(10).join(actual)}"
                )
            if command.shown and not pages.matches(command.expected, actual):
                update = "UPDATE_DOCS" in os.environ and not command.opens_session
                if update:
                    changes[command.first] = (command.last, pages.rewritten(command.shown, actual))
                elif block.language == "console":
                    failures.append("\n".join([f"{at}\nprints otherwise:", *actual]))
    if changes:
        pages.update(page, changes)

    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_block_is_run_or_counted(page: Path) -> None:
    """The test above would not run a block whose language is not known."""
    name = str(page.relative_to(ROOT))
    known = {"console", "sh"} | NOT_COMMANDS | RUN_ELSEWHERE.get(name, set())
    found = pages.blocks(page)

    assert {block.language for block in found} <= known
    skipped = [reason for block in found if (reason := block.skipped)]
    elsewhere = [reason.split()[-1] for reason in skipped if reason.startswith("run by ")]
    assert all((ROOT / "tests" / "functional" / test).exists() for test in elsewhere)
    assert len(skipped) - len(elsewhere) == SKIPPED.get(name, 0)
    assert all(block.text.startswith("$ ") for block in found if block.language == "console")


ALL_PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", ALL_PAGES, ids=[str(page.relative_to(ROOT)) for page in ALL_PAGES])
def test_json_and_toml_of_pages_are_valid(page: Path) -> None:
    for block in pages.blocks(page):
        try:
            if block.language == "json" and pages.ELLIPSIS not in block.text:
                json.loads(block.text)
            elif block.language == "toml":
                tomllib.loads(block.text)
        except ValueError as error:
            pytest.fail(f"{page.name}:{block.line}: {error}")


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        (["a", "b"], ["a", "b", ""], True),
        (["a", "b"], ["a", "c"], False),
        (["a", "b"], ["a"], False),
        (["a", "…", "d"], ["a", "b", "c", "d"], True),
        (["a", "…", "d"], ["a", "b", "c"], False),
        (["took … ms"], ["took 12 ms"], True),
        (["a.c"], ["abc"], False),
        (["  a"], ["a"], False),
    ],
)
def test_compares_output_with_page(shown: list[str], actual: list[str], same: bool) -> None:
    assert pages.matches(shown, actual) is same


def test_updates_output_and_keeps_page_shortened(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n```console\n$ x\nold\n…\nend\n$ y\n```\n")
    (block,) = pages.blocks(page)
    command, _ = block.commands
    changes = {
        command.first: (command.last, pages.rewritten(command.shown, ["new", "1", "2", "end"]))
    }

    pages.update(page, changes)

    assert page.read_text() == "text\n\n```console\n$ x\nnew\n…\nend\n$ y\n```\n"


def test_reads_settings_and_continued_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- test: as bob; exits 254 0 -->\n\n```console\n$ a \\\n      b\nout\n$ c\n```\n\n"
        "<!-- test: skip: needs root -->\n```sh\nsudo x\n```\n\n```console\n$ d\n```\n"
    )
    first, second, third = pages.blocks(page)

    assert [(c.text, c.shown, c.status) for c in first.commands] == [
        ("a \\\n      b", ["out"], 254),
        ("c", [], 0),
    ]
    assert first.settings["as"].strip() == "bob"
    assert (second.skipped, third.skipped) == ("needs root", None)


def test_reads_comment_between_commands_and_session_of_the_last(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- test: opens a session -->\n<!-- test: comment: grant -->\n\n"
        "```console\n$ a\nout\n# It is granted.\n$ b\nin\n```\n"
    )
    (block,) = pages.blocks(page)

    assert [(c.text, c.expected, c.typed) for c in block.commands] == [
        ("a", ["out"], []),
        ("grant", [], []),
        ("b", ["…", "in", "…"], ["exit"]),
    ]
