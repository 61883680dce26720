"""constraints.txt: complete, hashed, and within the bounds of pyproject.toml."""

from __future__ import annotations

import importlib.metadata

import pytest
from packaging.requirements import Requirement

import constraints

RUNTIME, SANDBOX = constraints.FILES


def pinned(name: str) -> dict[str, tuple[str, list[str]]]:
    return constraints.pins((constraints.ROOT / name).read_text())


def missing(
    requirements: list[Requirement], pins: dict[str, tuple[str, list[str]]], extra: str = ""
) -> list[str]:
    """Return the requirements that apply here and that no pin satisfies."""
    return [
        str(requirement)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        if (name := constraints.canonicalize_name(requirement.name)) not in pins
        or not requirement.specifier.contains(pins[name][0], prereleases=True)
    ]


@pytest.mark.parametrize("name", constraints.FILES)
def test_pins_are_within_bounds_of_pyproject(name: str) -> None:
    assert missing(constraints.requirements(constraints.FILES[name]), pinned(name)) == []


@pytest.mark.parametrize("name", constraints.FILES)
def test_each_pin_has_hashes(name: str) -> None:
    pins = pinned(name)

    assert len(pins) >= len(constraints.requirements(constraints.FILES[name]))
    assert [package for package, (_, hashes) in pins.items() if not hashes] == []


@pytest.mark.parametrize("name", constraints.FILES)
def test_pins_what_pinned_packages_require(name: str) -> None:
    """A package that is installed here in another version says nothing about the pinned one."""
    pins = pinned(name)
    versions = constraints.installed()
    same = {
        package: importlib.metadata.requires(package) or []
        for package, (version, _) in pins.items()
        if versions.get(package) == version
    }

    assert {
        package: lacking
        for package, lines in same.items()
        if (lacking := missing([Requirement(line) for line in lines], pins))
    } == {}


def test_sandbox_pins_include_runtime_pins() -> None:
    assert pinned(RUNTIME).items() <= pinned(SANDBOX).items()


@pytest.mark.parametrize(
    ("pins", "lacking"),
    [
        ("awscli==1.46.3\nclick==8.1\nruamel-yaml==0.18", []),
        ("awscli==1.47.0\nclick==8.1\nruamel-yaml==0.18", ["awscli<1.47,>=1.46.3"]),
        ("awscli==1.46.3\nruamel-yaml==0.18", ["click>=8.1"]),
    ],
)
def test_finds_requirements_without_pin(pins: str, lacking: list[str]) -> None:
    assert missing(constraints.requirements(), constraints.pins(pins)) == lacking


def test_finds_pins_that_were_not_tested() -> None:
    text = "six==1.17.0\nclick==8.2\ncolorama==0.4.6"

    assert constraints.untested(text, {"six": "1.17.0", "click": "8.1"}) == [
        "click==8.2", "colorama==0.4.6",
    ]  # fmt: skip


def test_omits_packages_of_systems_that_are_not_tested() -> None:
    text = (
        "cffi==2.1 ; implementation_name != 'PyPy' \\\n    --hash=sha256:0\n"
        "pywin32==312 ; sys_platform == 'win32' \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n"
        "six==1.17.0 \\\n    --hash=sha256:3\n"
    )

    assert constraints.supported(text).count("sha256") == 2
    assert "pywin32" not in constraints.supported(text)


@pytest.mark.parametrize(
    "text",
    ["six>=1.17.0", "six", "--hash=sha256:" + "0" * 64, "six==1.0\n    --hash=md5:0", "-e ."],
)
def test_rejects_lines_that_pin_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="neither a pin nor a hash"):
        constraints.pins(text)
