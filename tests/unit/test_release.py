"""`make release`: what each check finds in a small source tree with its own Makefile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import constraints
import release
from fakes.needs import require
from release import Release

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n- A verb.\n"
BENCH = """\
Measured on 2026-11-25: Python 3.11.7.

| **loopback, HTTP** | | | | | | | | | |
| nothing cached | 25 | 385 ms | 163 ms | {} | 0.45 | 384 ms | 163 ms | {} | 0.42 |
"""
MAKEFILE = """\
lint test-all demo:
	@test ! -e broken
bench:
	@cp measured benchmarks/README.md
packages:
	@mkdir -p dist; cd dist; touch $(addprefix ssmgate-0.2.0,.tar.gz -py3-none-any.whl .cdx.json)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a committed source tree that passes each check."""
    files = {
        "src/ssmgate/__init__.py": '__version__ = "0.2.0"\n',
        "CHANGELOG.md": CHANGELOG,
        "Makefile": MAKEFILE,
        "benchmarks/README.md": BENCH.format("0.42", "0.42"),
        "measured": BENCH.format("0.44", "0.40"),
        ".gitignore": "dist\n",
    } | {name: (constraints.ROOT / name).read_text() for name in constraints.FILES}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(tree: Path, *words: str) -> None:
    named = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run([require("git"), *named, *words], cwd=tree, check=True)


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "a change")


@pytest.mark.parametrize("name", sorted({*release.QUICK, *release.SLOW} - {"constraints"}))
def test_check_passes(name: str, tree: Path) -> None:
    assert {**release.QUICK, **release.SLOW}[name](Release("0.2.0", tree)) == []


def test_finds_changes_that_are_not_committed(tree: Path) -> None:
    (tree / "new").touch()

    assert release.check_tree(Release("0.2.0", tree)) == ["not committed: ?? new"]


def test_finds_other_version_and_existing_tag(tree: Path) -> None:
    git(tree, "tag", "v0.3")

    assert release.check_version(Release("0.3", tree)) == [
        "'0.3' is not a version such as 0.2.0",
        "src/ssmgate/__init__.py has the version 0.2.0: set 0.3 there",
        "the tag v0.3 exists",
    ]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("[0.2.0]", "[0.1.0]", "no section '## [0.2.0] - YYYY-MM-DD'"),
        ("2026-12-01", "soon", "no section '## [0.2.0] - YYYY-MM-DD'"),
        ("- A verb.", "", "lists no change of 0.2.0"),
        ("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n- A bug.\n", "changes as unreleased"),
    ],
)
def test_finds_incomplete_changelog(before: str, after: str, problem: str, tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace(before, after))
    (found,) = release.check_changelog(Release("0.2.0", tree))

    assert problem in found


def test_finds_pins_of_packages_that_are_not_installed(tree: Path) -> None:
    (tree / "constraints.txt").write_text("six==0.0.1\n")
    found = release.check_constraints(Release("0.2.0", tree))

    assert found[0].startswith("constraints.txt: six==0.0.1 is not installed here")


def test_reports_tests_that_fail(tree: Path) -> None:
    (tree / "broken").touch()

    assert release.check_tests(Release("0.2.0", tree)) == [
        "make lint test-all demo fails: see above"
    ]


def test_finds_rows_that_are_slower_than_last_release(tree: Path) -> None:
    git(tree, "tag", "v0.1.0")
    (tree / "benchmarks" / "README.md").write_text(BENCH.format("0.9", "0.9"))
    (tree / "measured").write_text(BENCH.format("0.46", "0.60"))
    commit(tree)

    assert release.check_bench(Release("0.2.0", tree)) == [
        "slower (CPU): loopback, HTTP: nothing cached: 0.60 of bare aws, it was 0.42",
        "before: Measured on 2026-11-25: Python 3.11.7.",
        "now: Measured on 2026-11-25: Python 3.11.7.",
    ]


def test_finds_rows_that_are_not_measured(tree: Path) -> None:
    (tree / "measured").write_text("")

    assert release.check_bench(Release("0.2.0", tree)) == [
        "not measured: loopback, HTTP: nothing cached",
        "before: Measured on 2026-11-25: Python 3.11.7.",
        "now: unknown",
    ]


def test_reads_each_row_of_benchmark() -> None:
    page = (constraints.ROOT / "benchmarks" / "README.md").read_text()
    found = release.ratios(page)

    assert len(found) > 20
    assert all(0 < wall < 2 and 0 < cpu < 2 for wall, cpu in found.values())


def test_finds_packages_of_another_version(tree: Path) -> None:
    found = release.check_packages(Release("0.2.1", tree))

    assert "dist/ssmgate-0.2.1.tar.gz is missing" in found
    assert "dist/ssmgate-0.2.0.tar.gz does not belong to the release" in found
    assert len(found) == 6


def test_failed_quick_check_stops_slow_ones(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "broken").touch()
    code = release.run(Release("0.2.0", tree), ["tree", "version", "packages"])
    printed = capsys.readouterr().out

    assert code == 1
    assert "failed   tree\n         not committed: ?? broken\npassed   version\n" in printed
    assert printed.endswith("not run  packages\n")


def test_passed_checks_name_what_remains(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = release.run(Release("0.2.0", tree), ["version", "packages"])

    assert code == 0
    assert "git push origin v0.2.0" in capsys.readouterr().out


def test_list_runs_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["9.9.9", "--list"]) == 0
    printed = capsys.readouterr().out

    assert all(f"{name:12} " in printed for name in {**release.QUICK, **release.SLOW})
    assert "failed" not in printed


def test_rejects_unknown_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release.main(["0.2.0", "all"])

    assert "unknown check 'all': tree, version" in capsys.readouterr().err
