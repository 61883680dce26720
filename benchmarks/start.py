"""A checked start beside bare `aws ssm start-session`, alternately in one run.

Both talk to the same scripted endpoint on loopback and become the same stand-in of the plugin.
Printed are medians and ratios: seconds of two machines cannot be compared, ratios can.
The bare aws is the one from the same environment.

    python benchmarks/start.py [--runs 25] [--delay-ms 0]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WORDS = ["ssm", "start-session", "--target", "i-02573cafcfEXAMPLE"]
PROGRAMS = {
    "bare aws": [str(BIN / "aws"), *WORDS],
    "ssmgate": [str(BIN / "ssm-start-session"), *WORDS[2:]],
}

SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from fakes.scripted_aws import ScriptedAws
with ScriptedAws(delay=float(sys.argv[2])) as aws:
    print(aws.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def endpoint(delay: float) -> Iterator[str]:
    """The scripted AWS in a process of its own, so that its work is not measured."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(ROOT / "tests"), str(delay)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate("")


def measure(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run, children included."""
    began = time.perf_counter()
    child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]} ended with status {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--delay-ms", type=float, default=0, help="added to each answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, endpoint(options.delay_ms / 1000) as url:
        environ = {
            "PATH": f"{ROOT / 'tests' / 'fakes'}:/usr/bin:/bin",
            "HOME": folder,
            "FAKE_PLUGIN": folder,
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
        for number in range(options.runs + 1):
            for name, command in PROGRAMS.items():
                sample = measure(command, environ)
                if number:  # the first of each only warms the disk cache
                    taken[name].append(sample)
    medians = {
        name: [statistics.median(column) for column in zip(*samples, strict=True)]
        for name, samples in taken.items()
    }
    print(f"{options.runs} alternating runs, {options.delay_ms:g} ms added to each answer")
    for name, (wall, cpu) in medians.items():
        print(f"{name:10} wall {wall * 1000:6.0f} ms   CPU {cpu * 1000:6.0f} ms")
    (bare_wall, bare_cpu), (wall, cpu) = medians.values()
    print(f"{'ratio':10} wall {wall / bare_wall:6.2f}      CPU {cpu / bare_cpu:6.2f}")


if __name__ == "__main__":
    main()
