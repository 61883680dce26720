"""What users and maintainers read: no banned phrases, lines that fit, links that lead somewhere.

The reference and man pages are those that the program generates: `make reference`.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import config_keys
import manpages
import plain_words
import reference
from fakes import pages
from fakes.needs import require
from ssmgate.gate.config.schema import KEYS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
        *DOCS.rglob("*.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
WIDTH = 100
SENTENCE_WORDS = 36
README_LINES = 120


SOURCES = sorted(
    path
    for directory in ("src", "bin", "tools", "demo", "benchmarks")
    for path in (ROOT / directory).rglob("*")
    if path.is_file() and path.suffix in ("", ".py", ".sh", ".toml", ".json", ".md")
    if "__pycache__" not in path.parts
)

TESTS = sorted(
    path
    for path in (ROOT / "tests").rglob("*")
    if path.is_file() and path.suffix in ("", ".py", ".c", ".sh", ".toml")
    if "__pycache__" not in path.parts and path.name != "plain_words.py"
)


@pytest.mark.parametrize("name", NAMES)
def test_page_has_no_banned_phrase(name: str) -> None:
    found = plain_words.found((ROOT / name).read_text())

    assert found == []


def test_source_has_no_banned_phrase() -> None:
    """Messages, help, docstrings and comments."""
    found = {str(path.relative_to(ROOT)): plain_words.found(path.read_text()) for path in SOURCES}

    assert {name: phrases for name, phrases in found.items() if phrases} == {}


def test_tests_have_no_banned_phrase() -> None:
    """Names, IDs, docstrings and comments; files that are not Python as a whole."""
    found = {
        str(path.relative_to(ROOT)): plain_words.found_in_test(path.read_text())
        if path.suffix == ".py"
        else plain_words.found(path.read_text())
        for path in TESTS
    }

    assert {name: phrases for name, phrases in found.items() if phrases} == {}


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        ("def test_caller_is_no_permit(): ...", "is_no"),
        ("class Nobody: ...", "Nobody"),
        ("def read(told): ...", "told"),
        ("def test_status(): ...", "test_status"),
        ("x = 1  # it hangs on a tag", "hangs on"),
        ('def read():\n    """Return what is kept."""', "kept"),
        ('param(1, id="a no")', "a no"),
        ('param(1, ids=["x", "a yes"])', "a yes"),
        ("def test_this_is_no_longer_so(): ...", None),
        ('pwd.getpwnam("nobody")', None),
    ],
)
def test_finds_banned_phrases_in_tests(source: str, phrase: str | None) -> None:
    found = [found for _, found, _ in plain_words.found_in_test(source)]

    assert found == ([phrase] if phrase else [])


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("IAM is told the key", "is told"),
        ("It hangs on a tag", "hangs on"),
        ("a yes of IAM's", "a yes"),
        ("this is no ARN", "is no ARN"),
        ("this is no longer so", None),
        ("Nobody can", "Nobody"),
        ("cached for seconds", None),
    ],
)
def test_finds_banned_phrases(text: str, phrase: str | None) -> None:
    assert [found for _, found, _ in plain_words.found(text)][:1] == ([phrase] if phrase else [])


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_page_fit(name: str) -> None:
    """Addresses of links do not count, nor does output, which the program wraps or does not."""
    long = {number: line for number, line in prose(ROOT / name) if len(visible(line)) > WIDTH}

    assert long == {}


@pytest.mark.parametrize("name", NAMES)
def test_sentences_are_short(name: str) -> None:
    """CONTRIBUTING.md asks for 25 words; nothing gets through that is far from it.

    Lists of names in code do not count.
    """
    long = [
        text
        for text in sentences(ROOT / name)
        if sum(not word.startswith("`") for word in text.split()) > SENTENCE_WORDS
    ]

    assert long == []


def test_counts_words_of_sentences(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\nOne [two\nthree](https://example.com/a.b). Four: `a. b`\nfive.\n\n"
        "* Item one,\n  two.\n* Item three\n\n| a | b |\n| --- | --- |\n\n```sh\ncode. Code\n```\n"
        "\nEnd of a session. ssmgate goes on.\n"
    )

    assert list(sentences(page)) == [
        "One [two three].", "Four: `a. b` five.", "* Item one, two.", "* Item three",
        "End of a session.", "ssmgate goes on.",
    ]  # fmt: skip


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_header(name: str) -> None:
    lines = dict(prose(ROOT / name))
    heads = [n - 1 for n, line in lines.items() if re.fullmatch(r"[|: -]*--[|: -]*\|", line)]
    rows = [n for n, line in lines.items() if line.startswith("|")]
    first = [n for n in rows if n - 1 not in rows]

    assert first == heads
    for number in heads:
        cells = lines[number].strip("|").split("|")
        assert all(cell.strip() for cell in cells), lines[number]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for number, line in prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"(https?|mailto):", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append((number, target))

    assert broken == []


def test_messages_of_troubleshooting_exist() -> None:
    """Each heading that is a message: of ssmgate, or one of these."""
    others = {
        "TargetNotConnected",  # AWS
        "You must specify a region", "Unable to locate credentials",  # the AWS CLI
        "The config profile (…) could not be found",
        "Cannot perform start session: …",  # session-manager-plugin
        "Connection closed by UNKNOWN port 65535",  # ssh
    }  # fmt: skip
    page = (DOCS / "how-to" / "troubleshooting.md").read_text()
    source = "".join(path.read_text() for path in SOURCES if path.suffix == ".py")
    joined = re.sub(r'"\s*f?"', "", source)
    messages = set(re.findall(r"^### `(.+)`$", page, re.MULTILINE))

    assert others <= messages
    for message in messages - others:
        assert all(part.strip() in joined for part in message.split("…")), message


def test_index_leads_to_every_page() -> None:
    index, findings = DOCS / "index.md", DOCS / "reference" / "findings.md"
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in (index, findings)
        for target in re.findall(r"\]\(([^)\s]+\.md[^)]*)\)", page.read_text())
    }

    assert {page for page in DOCS.rglob("*.md") if page != index} <= linked


# What a reader wants, by the table of index.md; the pages that its links lead over; and a part of
# the answer.
QUESTIONS = {
    "try it without an AWS account": (["tutorial/first-session.md"], "ssmgate sandbox --as bob"),
    "have my `aws ssm start-session` checked": (["how-to/shell.md"], "the end of `~/.bashrc`"),
    "use ssh, scp, sftp, rsync, or git through Session Manager": (
        ["how-to/ssh.md"],
        "ssmgate ssh-config --user",
    ),
    "know whether I may start a session, and why not": (
        ["how-to/check-access.md"],
        "ssmgate check --target",
    ),
    "understand an error message": (["how-to/troubleshooting.md"], "could not check access"),
    "know which IAM policies I need": (
        ["reference/iam-permissions.md"],
        '"iam:SimulatePrincipalPolicy"',
    ),
    "test IAM policies before I deploy them": (
        ["how-to/policies-in-ci.md"],
        "ssmgate policy check ops.json",
    ),
    "know what a finding such as SG004 means": (
        ["reference/findings.md", "reference/findings/SG004.md"],
        "AWS-StartPortForwardingSessionToRemoteHost",
    ),
    "know who may start sessions in my accounts": (["how-to/audit.md"], "ssmgate policy audit"),
    "introduce ssmgate to a team": (["how-to/roll-out.md"], 'mode = "permissive"'),
    "run a bastion host with audit records": (["how-to/bastion.md"], "ForceCommand"),
    "start sessions faster": (["how-to/speed-up.md"], "ssmgate daemon run"),
    "know what ssmgate protects against, and what not": (
        ["explanation/threat-model.md"],
        "whoever holds credentials",
    ),
    "upgrade or remove ssmgate": (["how-to/upgrade-uninstall.md"], "pipx uninstall ssmgate"),
}


def test_index_has_these_questions() -> None:
    rows = re.findall(
        r"^\| (.*?) \| \[.*\]\(.*\) \|$", (DOCS / "index.md").read_text(), re.MULTILINE
    )

    assert rows == list(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_links_lead_from_readme_to_answer(question: str) -> None:
    hops, answer = QUESTIONS[question]
    page = ROOT / "README.md"
    for name in ("index.md", *hops):
        row = question if page.name == "index.md" else ""
        lines = [line for line in page.read_text().splitlines() if row in line]
        targets = re.findall(r"\]\(([^)\s#]+)", "\n".join(lines))
        assert DOCS / name in {(page.parent / target).resolve() for target in targets}
        page = DOCS / name

    assert answer in page.read_text()


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page with their numbers, without console output and comments."""
    output = {
        number
        for block in pages.blocks(page)
        if block.language == "console"
        for number in range(block.line, block.line + len(block.text.splitlines()))
    }
    for index, line in enumerate(page.read_text().splitlines()):
        if index not in output and not line.startswith("<!--"):
            yield index + 1, line


def sentences(page: Path) -> Iterator[str]:
    """Yield the sentences of the paragraphs and lists of a page, without addresses of links."""
    code = {
        number
        for block in pages.blocks(page)
        for number in range(block.line - 1, block.line + len(block.text.splitlines()) + 1)
    }
    lines = ["" if n in code else line for n, line in enumerate(page.read_text().splitlines())]
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        if paragraph.lstrip("\n").startswith(("#", "|", "    ", "<!--", "[")):
            continue
        for item in re.split(r"\n(?=\s*(?:\*|\d+\.) )", paragraph):
            text = visible(" ".join(item.split()))
            yield from re.split(r"(?<=[.!?]) (?=[A-Z`*\[]|ssm|ssh)", text) if text else ()


def visible(line: str) -> str:
    """Return a line without the addresses of its links."""
    return re.sub(r"\]\([^)]*\)", "]", line)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    code = {
        number
        for block in pages.blocks(page)
        for number in range(block.line, block.line + len(block.text.splitlines()))
    }
    for index, line in enumerate(page.read_text().splitlines()):
        if index not in code and (heading := re.match(r"#+ (.*)", line)):
            text = re.sub(r"\]\([^)]*\)|[\[\]]", "", heading[1]).lower()
            anchor = re.sub(r"[^\w -]", "", text).strip().replace(" ", "-")
            number = 0
            while (name := f"{anchor}-{number}" if number else anchor) in found:
                number += 1
            found.add(name)
    return found


GENERATED = {
    **{reference.PAGES / name: text for name, text in reference.generated().items()},
    **{manpages.PAGES / name: text for name, text in manpages.generated().items()},
}


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_page_is_generated_from_program(page: Path) -> None:
    assert page.read_text() == GENERATED[page], "run `make reference`"


@pytest.mark.parametrize("page", manpages.NAMES)
def test_man_page_is_valid(page: str) -> None:
    ended = subprocess.run(
        [require("mandoc"), "-T", "lint", "-W", "all", manpages.PAGES / page],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == ("", "")


def test_each_key_has_text() -> None:
    assert list(config_keys.KEYS) == list(KEYS)


@pytest.mark.parametrize("name", config_keys.KEYS)
def test_example_of_key_is_valid(name: str) -> None:
    value: Any = tomllib.loads(config_keys.KEYS[name].example)
    for part in name.split("."):
        value = value[part]

    assert KEYS[name].read(value) is not None
