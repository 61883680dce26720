"""Check that a release can be made, and print what remains to be done by hand.

    make release VERSION=0.2.0                    all checks; it takes hours
    make release VERSION=0.2.0 CHECKS=--list      the checks, without running them
    make release VERSION=0.2.0 CHECKS="version changelog"

Builds dist/, and writes new numbers into benchmarks/. Changes nothing else, and publishes nothing.
The slow checks run only if the quick ones pass. Ends with 1 if a check fails.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import constraints

ROOT = Path(__file__).parents[1]
NUMBERS = r"\d+\.\d+\.\d+"
# Ratios of two runs on the same machine differ by less.
TOLERATED = 0.05

_ROW = re.compile(r"\| (?P<what>[^|*]+?) \| +(?P<runs>\d+) \|(?P<cells>.*)\|")
_GROUP = re.compile(r"\| \*\*(?P<group>.+?)\*\* \|")


@dataclass(frozen=True)
class Release:
    """The release `version`, such as `0.2.0`, of the source tree at `root`."""

    version: str
    root: Path = ROOT

    def git(self, *words: str) -> str:
        """Return what git prints. Raises `CalledProcessError`."""
        return subprocess.run(
            ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout

    def make(self, *targets: str) -> list[str]:
        """Run `make`. Returns the problem, if it fails."""
        ended = subprocess.run(["make", "--no-print-directory", *targets], cwd=self.root)
        return [f"make {' '.join(targets)} fails: see above"] if ended.returncode else []


def check_tree(release: Release) -> list[str]:
    """Find changes that are not committed."""
    return [f"not committed: {line}" for line in release.git("status", "--short").splitlines()]


def check_version(release: Release) -> list[str]:
    """Compare the version of the source and the tags with the release."""
    found = []
    if not re.fullmatch(NUMBERS, release.version):
        found.append(f"{release.version!r} is not a version such as 0.2.0")
    source = (release.root / "src" / "ssmgate" / "__init__.py").read_text()
    given = re.search(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    if given is None or given[1] != release.version:
        has = given[1] if given else "none"
        found.append(f"src/ssmgate/__init__.py has the version {has}: set {release.version} there")
    if release.git("tag", "--list", f"v{release.version}"):
        found.append(f"the tag v{release.version} exists")
    return found


def check_changelog(release: Release) -> list[str]:
    """Look for a dated section of the release, and for changes outside of it."""
    text = (release.root / "CHANGELOG.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found, heading = [], f"[{release.version}] - "
    own = [section for section in sections if section.startswith(heading)]
    if not own or not re.match(r"\d{4}-\d\d-\d\d\n", own[0].removeprefix(heading)):
        found.append(f"CHANGELOG.md has no section '## {heading}YYYY-MM-DD'")
    elif not re.search("^- ", own[0], re.MULTILINE):
        found.append(f"CHANGELOG.md lists no change of {release.version}")
    if any(part.startswith("[Unreleased]") and "\n- " in part for part in sections):
        found.append(f"CHANGELOG.md lists changes as unreleased: move them to {release.version}")
    return found


def check_constraints(release: Release) -> list[str]:
    """Compare the pins with what is installed here, where the tests run."""
    versions = constraints.installed()
    return [
        f"{name}: {pin} is not installed here: run `make constraints`"
        for name in constraints.FILES
        for pin in constraints.untested((release.root / name).read_text(), versions)
    ]


def check_tests(release: Release) -> list[str]:
    """Run lint, all tests, the installers, and the demo."""
    return release.make("lint", "test-all", "demo")


def check_bench(release: Release) -> list[str]:
    """Measure, and compare with the last tagged release, or with HEAD if there is none."""
    tags = release.git("tag", "--list", "v*", "--sort=-version:refname", "--merged").split()
    name = "benchmarks/README.md"
    before = release.git("show", f"{(tags or ['HEAD'])[0]}:{name}")
    if found := release.make("bench"):
        return found
    after = (release.root / name).read_text()
    found = slower(ratios(before), ratios(after))
    # Ratios of another machine may differ by more.
    return found and [*found, f"before: {measured(before)}", f"now: {measured(after)}"]


def measured(page: str) -> str:
    """Return the line of the page that says when and with what it was measured."""
    return next((line for line in page.splitlines() if line.startswith("Measured on ")), "unknown")


def ratios(page: str) -> dict[str, tuple[float, float]]:
    """Return the ratios of wall clock and CPU to bare aws of each row of the benchmark's table."""
    found, group = {}, ""
    for line in page.splitlines():
        if titled := _GROUP.match(line):
            group = titled["group"]
        elif not line.startswith("|"):
            group = ""
        elif group and (row := _ROW.match(line)):
            cells = [cell.strip() for cell in row["cells"].split("|")]
            found[f"{group}: {row['what']}"] = (float(cells[2]), float(cells[6]))
    return found


def slower(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> list[str]:
    """Return the rows of `before` that are missing from `after`, or slower by `TOLERATED`."""
    found = [f"not measured: {name}" for name in before if name not in after]
    for name in before.keys() & after.keys():
        for kind, old, new in zip(("wall", "CPU"), before[name], after[name], strict=True):
            if new > old + TOLERATED:
                found.append(f"slower ({kind}): {name}: {new:.2f} of bare aws, it was {old:.2f}")
    return sorted(found)


def check_packages(release: Release) -> list[str]:
    """Build sdist, wheel and bill of materials, and compare their names with the release."""
    if found := release.make("packages"):
        return found
    names = {path.name for path in (release.root / "dist").iterdir()}
    wanted = {f"ssmgate-{release.version}{end}" for end in (".tar.gz", "-py3-none-any.whl")}
    wanted.add(f"ssmgate-{release.version}.cdx.json")
    return [f"dist/{name} is missing" for name in sorted(wanted - names)] + [
        f"dist/{name} does not belong to the release" for name in sorted(names - wanted)
    ]


QUICK: dict[str, Callable[[Release], list[str]]] = {
    "tree": check_tree,
    "version": check_version,
    "changelog": check_changelog,
    "constraints": check_constraints,
}
SLOW: dict[str, Callable[[Release], list[str]]] = {
    "tests": check_tests,
    "bench": check_bench,
    "packages": check_packages,
}


def by_hand(release: Release) -> str:
    """Return what no check does."""
    tag = f"v{release.version}"
    return "\n".join(
        [
            "To do by hand:",
            "  1. On a machine with root and debootstrap: make fresh",
            "  2. With an AWS account: start, deny and end a session with the real plugin",
            "  3. Read the new numbers, and commit them: git diff benchmarks/",
            f"  4. git tag --sign {tag} --message 'ssmgate {release.version}'",
            f"  5. git push origin {tag}",
            "  6. If GitHub has the repository, wait for its workflow: it attests what it built",
            "  7. With Python 3.11 and 3.13, build the Debian packages: make deb",
            "  8. Publish dist/ and constraints*.txt with the section of CHANGELOG.md",
            "  9. Start the next section of CHANGELOG.md: ## [Unreleased]",
        ]
    )


def run(release: Release, names: Sequence[str]) -> int:
    """Run the checks `names`, the quick ones first. Returns the exit status."""
    failed = False
    for checks in (QUICK, SLOW):
        for name in checks:
            if name not in names:
                continue
            if failed and checks is SLOW:
                print(f"not run  {name}")
                continue
            problems = checks[name](release)
            failed = failed or bool(problems)
            print(f"{'failed' if problems else 'passed'}   {name}", flush=True)
            for problem in problems:
                print(f"         {problem}")
    if not failed:
        print(by_hand(release))
    return int(failed)


def main(words: Sequence[str]) -> int:
    """Run what the command line names. Returns the exit status."""
    checks = {**QUICK, **SLOW}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version")
    parser.add_argument("checks", nargs="*", help=", ".join(checks))
    parser.add_argument("--list", action="store_true", help="list the checks, and run none")
    given = parser.parse_args(words)
    for name in given.checks:
        if name not in checks:
            parser.error(f"unknown check {name!r}: {', '.join(checks)}")
    if given.list:
        for name, check in checks.items():
            print(f"{name:12} {(check.__doc__ or '').strip()}")
        print(by_hand(Release(given.version)))
        return 0
    return run(Release(given.version), given.checks or list(checks))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
