"""How long tests wait before they fail: longer on a slow or busy machine.

Times are written for a machine on which `aws --version` takes `USUAL` seconds. The tests measure it
once; `fakes/waiting.py` stretches times by it, and so does the time limit of pytest.
No test passes or fails by how long something took: the limits only end what would never end.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fakes import waiting
from fakes.scripted_aws import ScriptedAws

USUAL = 0.25
MOST = 6.0
"""What times are stretched by at most: what hangs has to fail in the end."""


def bare_start(runs: int = 5) -> float:
    """Return the median of seconds that `aws ssm start-session` takes with a server on loopback."""
    fakes = Path(__file__).parents[1] / "fakes"
    taken = []
    with ScriptedAws() as server, tempfile.TemporaryDirectory() as home:
        environ = {
            "PATH": f"{fakes}{os.pathsep}{os.environ['PATH']}",
            "HOME": home,
            "FAKE_PLUGIN": home,
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": server.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        words = ["ssm", "start-session", "--target", "i-02573cafcfEXAMPLE"]
        for _ in range(runs + 1):
            began = time.monotonic()
            subprocess.run(
                [Path(sys.executable).with_name("aws"), *words], env=environ, check=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120,
            )  # fmt: skip
            taken.append(time.monotonic() - began)
        assert len(server.calls("StartSession")) == runs + 1
    return statistics.median(taken[1:])  # the first fills the disk's cache


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--patience", type=float, help="what time-outs are multiplied by; measured by default"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Workers get the options as they are after this, so that only one process measures.
    if config.option.patience is None:
        config.option.patience = 1.0 if config.option.collectonly else _measured()
    waiting.stretched["by"] = config.option.patience
    if getattr(config.option, "timeout", None) is None:
        config.option.timeout = waiting.seconds(float(config.getini("timeout")))


def _measured() -> float:
    began = time.monotonic()
    aws = Path(sys.executable).with_name("aws")
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [aws, "--version"], env={"HOME": home, "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    # Others may join: with four at work on each processor it takes as many times as long.
    return max(2.0, min(MOST, 2 * (time.monotonic() - began) / USUAL))
