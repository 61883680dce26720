"""docs/how-to/roll-out.md, followed with ten users in the sandbox."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Machine, make_resident
from fakes.log import Log
from fakes.sandbox import NODE, OWNER, Server, text

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "roll-out.md"
ACCOUNT = "111122223333"
DOCUMENT = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
NODES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"

# Ten users: four have access, four have it to nodes only, and two are denied the document.
READY = tuple(f"rollout-ready{n}" for n in range(4))
NODES_ONLY = tuple(f"rollout-nodes{n}" for n in range(4))
FENCED = tuple(f"rollout-fenced{n}" for n in range(2))


def policy(*statements: tuple[str, str]) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": effect, "Action": "ssm:StartSession", "Resource": resource}
                for effect, resource in statements
            ],
        }
    )


ALLOW_NODES, ALLOW_DOCUMENT, FENCE = ("Allow", NODES), ("Allow", DOCUMENT), ("Deny", DOCUMENT)


def arns(users: tuple[str, ...]) -> list[str]:
    return [f"arn:aws:iam::{ACCOUNT}:user/{user}" for user in users]


class Team:
    """The machines of the ten users, which write their records to one log."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.log = Log(directory / "syslog")
        self.keys: dict[str, dict[str, str]] = {}
        self.records: list[dict[str, Any]] = []
        for users, statements in (
            (READY, (ALLOW_NODES, ALLOW_DOCUMENT)),
            (NODES_ONLY, (ALLOW_NODES,)),
            (FENCED, (ALLOW_NODES, ALLOW_DOCUMENT, FENCE)),
        ):
            for user in users:
                self.add(user, policy(*statements))

    def own(self, operation: str, **members: Any) -> Any:
        return self.server.query(OWNER, "iam", operation, **members)

    def add(self, user: str, document: str) -> None:
        self.own("CreateUser", UserName=user)
        managed = f"arn:aws:iam::{ACCOUNT}:policy/AskAboutMyself"
        self.own("AttachUserPolicy", UserName=user, PolicyArn=managed)
        self.put(user, document)
        key = self.own("CreateAccessKey", UserName=user)
        self.keys[user] = {
            "AWS_ACCESS_KEY_ID": str(text(key, "AccessKeyId")),
            "AWS_SECRET_ACCESS_KEY": str(text(key, "SecretAccessKey")),
        }

    def put(self, user: str, document: str, name: str = "Sessions") -> None:
        self.own("PutUserPolicy", UserName=user, PolicyName=name, PolicyDocument=document)

    def machine(self) -> Machine:
        """Return a machine of alice, whose keys a start replaces."""
        machine = make_resident(self.server, "alice", self.directory)
        machine.environ["SSMGATE_RECORD_SYSLOG"] = self.log.path
        return machine

    def start_each(self, **environ: str) -> dict[str, int]:
        """Start a session as each user. Return the exit statuses."""
        machine, statuses = self.machine(), {}
        for user, keys in self.keys.items():
            statuses[user] = machine.run("--target", NODE, **keys, **environ).returncode
            self.records += self.log.records  # the socket has room for few
        return statuses

    def stats(self) -> dict[str, Any]:
        """Return what `records stats` prints of the records since the last call."""
        file = self.directory / "records.jsonl"
        file.write_text("".join(f"{json.dumps(record)}\n" for record in self.records))
        self.records.clear()
        words = ("-m", "ssmgate", "records", "stats", "--output", "json", str(file))
        ended = self.machine().python(*words)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def team(sandbox: Server, tmp_path: Path) -> Iterator[Team]:
    team = Team(sandbox, tmp_path)
    yield team
    team.log.close()


def denials(stats: dict[str, Any]) -> dict[str, tuple[int, int, list[str]]]:
    return {one["why"]: (one["count"], one["started"], one["callers"]) for one in stats["denials"]}


def configurations() -> list[dict[str, Any]]:
    """Return the configurations that the guide shows, in its order."""
    blocks = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [tomllib.loads(block) for block in blocks]


@pytest.mark.parametrize("number", [0, 1])
def test_guide_shows_valid_configuration(number: int, tmp_path: Path) -> None:
    from ssmgate.gate.config import merge

    blocks = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "config.toml").write_text(blocks[number])
    settings, locked = merge.check(str(tmp_path / "config.toml"))

    assert settings["mode"].value == ("permissive", "enforce")[number]
    assert "mode" in locked


def test_enforce_denies_only_users_that_records_named(team: Team) -> None:
    permissive, enforce = (found["mode"] for found in configurations())

    # Permissive: nothing breaks, and the numbers say what would.
    assert set(team.start_each(SSMGATE_MODE=permissive).values()) == {0}
    stats = team.stats()
    assert (stats["sessions"], len(stats["callers"])) == (10, 10)
    assert denials(stats) == {
        "no policy allows it": (4, 4, arns(NODES_ONLY)),
        **{f"user_{user}_Sessions": (1, 1, arns((user,))) for user in FENCED},
    }

    # The administrator grants the document to those who lack it.
    for user in NODES_ONLY:
        team.put(user, policy(ALLOW_DOCUMENT), "Document")
    assert set(team.start_each(SSMGATE_MODE=permissive).values()) == {0}
    assert denials(team.stats()).keys() == {f"user_{user}_Sessions" for user in FENCED}

    # Enforce: those break that the numbers named, and no others.
    statuses = team.start_each(SSMGATE_MODE=enforce)
    assert {user for user, status in statuses.items() if status != 0} == set(FENCED)
    stats = team.stats()
    assert stats["sessions"] == 8
    assert all(started == 0 for _, started, _ in denials(stats).values())
