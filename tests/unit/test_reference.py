"""The reference and man pages are those that the program generates: `make reference`."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

import config_keys
import manpages
import reference
from fakes.needs import require
from ssmgate.gate.config.schema import KEYS

PAGES = {
    **{reference.PAGES / name: text for name, text in reference.generated().items()},
    **{manpages.PAGES / name: text for name, text in manpages.generated().items()},
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_generated_from_program(page: Path) -> None:
    assert page.read_text() == PAGES[page], "run `make reference`"


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

    KEYS[name].read(value)
