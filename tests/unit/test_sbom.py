"""The bill of materials and the page of licenses: what they are compared with."""

from __future__ import annotations

from email.message import Message
from typing import Any

import pytest

import constraints
import licenses
import sbom

PINS = constraints.pins("six==1.17.0\nruamel-yaml==0.19.1")
LICENSE = [{"license": {"id": "MIT"}}]


def component(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "licenses": LICENSE, **more}


SIX, RUAMEL = component("six", "1.17.0"), component("ruamel.yaml", "0.19.1")


@pytest.mark.parametrize(
    ("components", "found"),
    [
        ([SIX, RUAMEL], []),
        ([SIX], ["ruamel-yaml: missing"]),
        ([SIX, RUAMEL, component("pip", "26.0")], ["pip: not pinned"]),
        ([component("six", "1.16.0"), RUAMEL], ["six: 1.16.0, but 1.17.0 is pinned"]),
        ([SIX, component("ruamel.yaml", "0.19.1", licenses=[])], ["ruamel-yaml: no license"]),
    ],
)
def test_finds_packages_that_differ_from_pins(
    components: list[dict[str, Any]], found: list[str]
) -> None:
    assert sbom.problems({"components": components}, PINS) == found


def test_names_version_of_ssmgate() -> None:
    bom = sbom.named({"metadata": {"component": {"name": "ssmgate"}, "tools": {}}}, "1.2.3")

    assert bom["metadata"] == {
        "component": {"name": "ssmgate", "version": "1.2.3", "purl": "pkg:pypi/ssmgate@1.2.3"},
        "tools": {},
    }


def declares(*fields: tuple[str, str]) -> Any:
    message = Message()
    message["Name"] = "six"
    for name, text in fields:
        message[name] = text
    return message


OSI = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT"), ("License", "see LICENSE")], "MIT"),
        ([("License", "Dual"), ("Classifier", OSI + "BSD License")], "BSD License"),
        (
            [("Classifier", OSI + "BSD License"), ("Classifier", OSI + "Apache Software License")],
            "BSD License, Apache Software License",
        ),
        ([("License", "Apache-2.0\nand more"), ("Classifier", "Topic :: Security")], "Apache-2.0"),
    ],
)
def test_license_is_most_exact_declared_one(fields: list[tuple[str, str]], expected: str) -> None:
    assert licenses.license_of(declares(*fields)) == expected


def test_rejects_package_without_license() -> None:
    with pytest.raises(ValueError, match="six declares no license"):
        licenses.license_of(declares(("Classifier", "Topic :: Security")))


def test_page_of_licenses_lists_each_pinned_package() -> None:
    """Of which license it is, the installed version says, which may be another."""
    rows = [line.split(" | ") for line in licenses.PAGE.read_text().splitlines()]
    listed = [row[0].removeprefix("| ") for row in rows if len(row) == 2]
    pinned = constraints.pins((constraints.ROOT / "constraints-sandbox.txt").read_text())

    assert sorted(set(listed) - {"Package", "---"}) == sorted(pinned)


def test_page_of_licenses_is_generated_from_tested_packages() -> None:
    pins = constraints.pins((constraints.ROOT / "constraints-sandbox.txt").read_text())
    versions = constraints.installed()
    if any(versions.get(name) != version for name, (version, _) in pins.items()):
        pytest.skip("other versions than those pinned are installed")

    assert licenses.PAGE.read_text() == licenses.page()
