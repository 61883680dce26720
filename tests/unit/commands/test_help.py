"""`ssmgate --help`: each verb belongs to one group, in this order."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from ssmgate.commands.main import GROUPS, main

VERBS = [
    ["start-session"],
    ["check", "documents", "doctor"],
    ["init", "ssh-config"],
    ["config", "cache", "daemon"],
    ["policy"],
    ["sandbox"],
    ["login"],
]


def test_each_verb_belongs_to_one_group() -> None:
    shown = [name for name, verb in main.commands.items() if not verb.hidden]

    assert sorted(name for names in GROUPS.values() for name in names) == sorted(shown)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_lists_verbs_in_their_groups(width: int) -> None:
    help_text = CliRunner().invoke(main, ["--help"], terminal_width=width).output
    titles = re.findall(r"^(.+):\n  [a-z-]+  ", help_text, re.MULTILINE)
    sections = [help_text.partition(f"{title}:\n")[2].partition("\n\n")[0] for title in titles]
    verbs = [re.findall(r"^  ([a-z-]+)  ", section, re.MULTILINE) for section in sections]

    assert titles[1:] == [*GROUPS]  # the first are the options
    assert verbs[1:] == VERBS
