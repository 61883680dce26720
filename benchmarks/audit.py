"""Measure `ssmgate policy audit` on generated accounts.

    benchmarks/audit.py [--principals N] [--accounts N] [--encoded] [--keep DIRECTORY]
    benchmarks/audit.py --series [--plot FILE.svg]

The accounts are generated with a fixed seed: each principal has one or two of its account's managed
policies and often an inline policy of its own, and the account in the middle is 20 MB. 20 documents
are asked about. Prints the seconds of wall clock and processors, until the first line and until the
end, the largest memory of the process, and how many sets of effective policies are distinct.

`--series` measures 1,000 to 100,000 principals in accounts of 200, and prints a table. There the
largest account grows with the number, 200 bytes for each principal, so that it does not dominate
the small ones. `--plot` draws the seconds and the straight line that fits them best.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import audit_plot

DOCUMENTS = 20
LARGEST = 20_000_000
SERIES = (1_000, 3_000, 10_000, 30_000, 100_000)
ACCOUNT = 200
LIMITS = {"seconds": 30.0, "megabytes": 300.0, "first": 1.0}

_SERVICES = ("s3", "sqs", "sns", "logs", "dynamodb", "kms", "ec2", "lambda", "ecr", "events")


class Generator:
    """Generates accounts."""

    def __init__(self, encoded: bool) -> None:
        self._draw = random.Random(21)
        self._encoded = encoded
        self.sets: set[tuple[object, ...]] = set()

    def _document(self, statements: list[dict[str, Any]]) -> Any:
        document = {"Version": "2012-10-17", "Statement": statements}
        return quote(json.dumps(document), safe="") if self._encoded else document

    def _other(self) -> dict[str, Any]:
        service = self._draw.choice(_SERVICES)
        actions = [f"{service}:{verb}*" for verb in ("Get", "List", "Describe", "Put")]
        resource = f"arn:aws:{service}:*:*:thing-{self._draw.randrange(1000)}/*"
        return {"Effect": "Allow", "Action": actions, "Resource": resource}

    def _session(self, account: str) -> dict[str, Any]:
        number = self._draw.randrange(DOCUMENTS)
        resources = [
            f"arn:aws:ssm:us-east-1:{account}:document/Team-{number}",
            f"arn:aws:ec2:us-east-1:{account}:instance/*",
        ]
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": "ssm:StartSession",
            "Resource": resources if self._draw.random() < 0.8 else "*",
        }
        drawn = self._draw.random()
        if drawn < 0.3:
            check = {"ssm:SessionDocumentAccessCheck": "true"}
            statement["Condition"] = {"BoolIfExists": check}
        elif drawn < 0.5:
            tag = {"ssm:resourceTag/env": self._draw.choice(["dev", "test", "prod"])}
            statement["Condition"] = {"StringEquals": tag}
        return statement

    def _statements(self, account: str) -> list[dict[str, Any]]:
        found = [self._other() for _ in range(self._draw.randint(1, 3))]
        if self._draw.random() < 0.3:
            found.append(self._session(account))
        return found

    def account(self, number: int, principals: int, size: int = 0) -> str:
        """Return one account as JSON, filled up with policies to about `size` bytes."""
        account = f"{100_000_000_000 + number}"
        managed = [self._managed(account, at) for at in range(12)]
        users, roles = [], []
        for at in range(principals):
            kind = "User" if at % 2 else "Role"
            attached = sorted(self._draw.sample(range(len(managed)), self._draw.randint(1, 2)))
            inline: list[dict[str, Any]] = []
            if self._draw.random() < 0.3:
                document = self._document(self._statements(account))
                inline.append({"PolicyName": "own", "PolicyDocument": document})
            self.sets.add((number, *attached, at if inline else None))
            one = {
                "Path": "/",
                f"{kind}Name": f"{kind.lower()}-{at}",
                f"{kind}Id": f"AIDA{number:08d}{at:09d}",
                "Arn": f"arn:aws:iam::{account}:{kind.lower()}/{kind.lower()}-{at}",
                "CreateDate": "2024-01-01T00:00:00+00:00",
                f"{kind}PolicyList": inline,
                "AttachedManagedPolicies": [
                    {"PolicyName": managed[n]["PolicyName"], "PolicyArn": managed[n]["Arn"]}
                    for n in attached
                ],
            }
            (users if at % 2 else roles).append(one)
        answer = {
            "UserDetailList": users,
            "GroupDetailList": [],
            "RoleDetailList": roles,
            "Policies": managed,
        }
        text = json.dumps(answer)
        missing = max(0, size - len(text)) // len(json.dumps(managed[0]))
        managed += [self._managed(account, at) for at in range(12, 12 + missing)]
        return json.dumps(answer)

    def _managed(self, account: str, at: int) -> dict[str, Any]:
        version = {
            "VersionId": "v1",
            "IsDefaultVersion": True,
            "Document": self._document(self._statements(account)),
        }
        return {
            "PolicyName": f"policy-{at}",
            "Arn": f"arn:aws:iam::{account}:policy/policy-{at}",
            "DefaultVersionId": "v1",
            "PolicyVersionList": [version],
        }


def generate(
    directory: Path, accounts: int, principals: int, encoded: bool, largest: int = LARGEST
) -> int:
    """Write the accounts, and return how many sets of effective policies they have."""
    generator = Generator(encoded)
    each = principals // accounts
    for number in range(accounts):
        size = largest if number == accounts // 2 and accounts > 1 else 0
        text = generator.account(number, each, size)
        (directory / f"{number:04d}.json").write_text(text)
    names = [{"Name": f"Team-{n}", "DocumentType": "Session"} for n in range(DOCUMENTS)]
    (directory / "documents").write_text(json.dumps({"DocumentIdentifiers": names}))
    return len(generator.sets)


def measure(directory: Path) -> dict[str, float]:
    """Run the audit, and return its seconds, megabytes and lines."""
    words = [
        *(sys.executable, "-m", "ssmgate", "policy", "audit", "--from", str(directory)),
        *("--documents", str(directory / "documents"), "--output", "ndjson"),
    ]
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines, first = 0, 0.0
        while chunk := os.read(process.stdout.fileno(), 1 << 20):
            first = first or time.perf_counter() - began
            lines += chunk.count(b"\n")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": time.perf_counter() - began,
        "processors": usage.ru_utime + usage.ru_stime,
        "first": first,
        "megabytes": usage.ru_maxrss / 1024,
        "lines": lines,
        "status": process.returncode,
    }


def series(encoded: bool) -> list[tuple[int, float, float]]:
    """Measure growing numbers of principals: their number, CPU seconds and wall clock seconds."""
    points = []
    print("| principals | accounts | wall | CPU | first line | memory | CPU for 1,000 |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for principals in SERIES:
        with tempfile.TemporaryDirectory() as temporary:
            accounts = principals // ACCOUNT
            largest = LARGEST * principals // SERIES[-1]
            generate(Path(temporary), accounts, principals, encoded, largest)
            found = measure(Path(temporary))
        each = found["processors"] * 1000 / principals
        print(
            f"| {principals:,} | {accounts:,} | {found['seconds']:.2f} s |"
            f" {found['processors']:.2f} s | {found['first']:.2f} s |"
            f" {found['megabytes']:.0f} MB | {each:.3f} s |",
            flush=True,
        )
        points.append((principals, found["processors"], found["seconds"]))
    return points


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--principals", type=int, default=100_000)
    options.add_argument("--accounts", type=int, default=500)
    options.add_argument("--encoded", action="store_true")
    options.add_argument("--keep", type=Path)
    options.add_argument("--series", action="store_true")
    options.add_argument("--plot", type=Path)
    chosen = options.parse_args()
    if chosen.series:
        points = series(chosen.encoded)
        if chosen.plot:
            chosen.plot.write_text(audit_plot.plot(points))
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = chosen.keep or Path(temporary)
        directory.mkdir(exist_ok=True)
        sets = generate(directory, chosen.accounts, chosen.principals, chosen.encoded)
        print(f"{chosen.accounts} accounts, {chosen.principals} principals, {sets} sets")
        found = measure(directory)
    for name, value in found.items():
        limit = f" (at most {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"  {name:12} {value:12.2f}{limit}")


if __name__ == "__main__":
    main()
