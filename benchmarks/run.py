"""Compare a checked session start with bare `aws ssm start-session`: `make bench`.

Both call the same scripted endpoint and execute the same stub of the plugin. The bare aws is from
the same environment. It takes some minutes; --quick makes few runs and writes nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import memory
from daemon import Daemon, daemon
from endpoint import (
    AWS,
    BARE,
    CHECKED,
    SHIM,
    START,
    Endpoint,
    endpoint,
    versions,
)
from measure import Command, Sample, alternately
from plot import plot
from report import RESULTS, Aim, Bytes, Row, write

DELAYS_MS = (0, 25, 50, 100)
COLD, CACHED = "nothing cached", "answer cached"
BY_DAEMON = "daemon, "
BY_SHIM = ", typed as aws"
WARM = Aim(wall=0.12, cpu=0.12)


def _alone(environ: Mapping[str, str], ttl: str) -> Command:
    return Command(CHECKED, {**environ, "SSMGATE_DAEMON": "off", "SSMGATE_CACHE_TTL": ttl})


def _by(running: Daemon, environ: Mapping[str, str], ttl: str) -> Command:
    return Command(CHECKED, {**environ, "SSMGATE_CACHE_TTL": ttl}, running)


def _kinds(aws: Endpoint, running: Daemon) -> dict[str, Command]:
    """Return the ways to start a session, bare aws first."""
    return {
        "bare": Command(BARE, aws.environ),
        COLD: _alone(aws.environ, "0"),
        CACHED: _alone(aws.environ, "900"),
        BY_DAEMON + COLD: _by(running, aws.environ, "0"),
        BY_DAEMON + CACHED: _by(running, aws.environ, "900"),
    }


def _compared(
    aws: Endpoint,
    running: Daemon,
    kinds: Mapping[str, Command],
    runs: int,
    count: int = 1,
) -> tuple[dict[str, Sample], dict[str, list[int]]]:
    """Return the medians of each kind, and the number of IAM simulations of each run.

    For concurrent starts the cache is cleared after each run. Exits if a start was not made by
    its daemon.
    """
    calls: dict[str, list[int]] = defaultdict(list)

    def after(name: str) -> None:
        calls[name].append(aws.calls().get("SimulatePrincipalPolicy", 0))
        if count > 1:
            aws.clear_cache()

    samples = alternately(kinds, runs, count, warm=count == 1, after=after)
    by = [name for name, command in kinds.items() if command.by]
    expected = sum(len(calls[name]) * count for name in by)
    if (actual := running.starts()) != expected:
        sys.exit(f"the daemon made {actual} starts of {expected}")
    # If the daemon does not answer, the client starts the session itself, which takes more CPU.
    alone = min(sample.own_cpu for name, sample in samples.items() if name not in by) / count
    for name in by:
        if (most := samples[name].most_cpu) > alone / 2:
            sys.exit(f"{name}: a start took {most:.3f} CPU seconds by itself, alone {alone:.3f}")
    return samples, calls


def _rows(
    group: str, runs: int, samples: Mapping[str, Sample], aims: Mapping[str, Aim]
) -> list[Row]:
    """Return a row for each kind, compared with the bare one."""
    bare, rows = samples["bare"], []
    for what, sample in samples.items():
        if what == "bare":
            continue
        aim = aims.get(what, Aim())
        row = Row(group, what, runs, bare.wall, sample.wall, bare.cpu, sample.cpu, aim)
        rows.append(row)
        wall, cpu = row.ratios
        print(f"{group:26} {what:40} wall {wall:.2f}  CPU {cpu:.2f}", flush=True)
    return rows


def starts(runs: int) -> list[Row]:
    """Measure one start at a time over HTTP on loopback, also with the shim."""
    with endpoint() as aws, daemon(aws.environ) as running:
        kinds = _kinds(aws, running)
        warm = kinds[BY_DAEMON + CACHED]
        kinds[BY_DAEMON + CACHED + BY_SHIM] = Command([SHIM, *START], warm.environ, running)
        samples, calls = _compared(aws, running, kinds, runs)
    _expect_calls(calls, runs)
    aims = {COLD: Aim(wall=0.45, cpu=0.42), BY_DAEMON + CACHED: WARM}
    return _rows("loopback, HTTP", runs, samples, aims)


def far(runs: int) -> list[Row]:
    """Measure one start at a time over TLS, with different latencies."""
    rows = []
    for delay in DELAYS_MS:
        with endpoint(delay / 1000) as aws, daemon(aws.environ) as running:
            samples, calls = _compared(aws, running, _kinds(aws, running), runs)
        _expect_calls(calls, runs)
        aims = {COLD: Aim(wall=0.75)} if delay == 50 else {}
        rows += _rows(f"TLS, {delay} ms round trip", runs, samples, aims)
    return rows


def _expect_calls(calls: Mapping[str, list[int]], runs: int) -> None:
    """Exit unless each kind called IAM once per run or, if it caches, once in all."""
    for name, counts in calls.items():
        expected = 0 if name == "bare" else runs + 1 if COLD in name else 1
        # The shim uses the decision that is already cached.
        expected = 0 if BY_SHIM in name else expected
        if sum(counts) != expected:
            sys.exit(f"{name}: IAM was asked {sum(counts)} times, not {expected}")


def at_once(count: int, runs: int) -> tuple[list[Row], list[str]]:
    """Measure `count` concurrent starts with an empty cache."""
    with endpoint() as aws, daemon(aws.environ) as running:
        kinds = {
            "bare": Command(BARE, aws.environ),
            "no daemon": _alone(aws.environ, "900"),
            "daemon": _by(running, aws.environ, "900"),
        }
        samples, calls = _compared(aws, running, kinds, runs, count)
    rows = _rows(
        f"{count} starts at once",
        runs,
        samples,
        {"daemon": Aim(wall=0.15)} if count == 100 else {},
    )
    times = ", ".join(
        f"{statistics.median(calls[name]):g} ({name})" for name in kinds if name != "bare"
    )
    return rows, [f"{count} starts at once asked IAM so many times: {times}."]


def shim(runs: int) -> tuple[list[Row], list[str]]:
    """Measure commands that do not start sessions, with bin/aws."""
    rows = []
    with endpoint() as aws:
        # Otherwise the shim would use another aws on PATH.
        named = {**aws.environ, "SSMGATE_AWS_PATH": AWS}
        for words in (["sts", "get-caller-identity"], ["--version"]):
            line = " ".join(["aws", *words])
            samples = alternately(
                {
                    "bare": Command([AWS, *words], aws.environ),
                    line: Command([SHIM, *words], named),
                },
                runs,
            )
            rows += _rows("no session, by bin/aws", runs, samples, {})
        nothing = aws.directory / "nothing"
        nothing.write_text("#!/bin/sh\n")
        nothing.chmod(0o755)
        environ = {**aws.environ, "SSMGATE_AWS_PATH": str(nothing)}
        samples = alternately(
            {
                "bare": Command([str(nothing), "sts"], environ),
                "shim": Command([SHIM, "sts"], environ),
            },
            50,
        )
    more = (samples["shim"].wall - samples["bare"].wall) * 1000
    return rows, [f"bin/aws before a program that does nothing: {more:.1f} ms more."]


def memories(count: int) -> tuple[list[Bytes], list[str]]:
    """Measure memory during a session, and of `count` concurrent starts that wait for AWS."""
    rows = []
    with endpoint() as aws, daemon(aws.environ) as running:
        ways = _three(aws, running)
        for terminal, where in ((True, "at a terminal"), (False, "without one")):
            found = [memory.beside_plugin(each, aws.directory, terminal=terminal) for each in ways]
            rows.append(Bytes(f"a session's, beside the plugin, {where}", *_pss(found)))
        waiting = memory.of([running.pid])
    # With a latency so long that no start has an answer when memory is measured.
    with endpoint(4) as aws, daemon(aws.environ) as running:
        together = [memory.under_way(each, count, 6) for each in _three(aws, running)]
    rows.append(Bytes(f"{count} starts under way", *_pss([all_ for all_, _ in together])))
    forked = together[2][1]
    if len(forked) != count:
        sys.exit(f"{len(forked)} starts of {count} are under way in the daemon")
    each = memory.Memory(
        statistics.median(one.pss for one in forked), statistics.median(one.anon for one in forked)
    )
    return rows, [
        f"A daemon that waits: {_printed(waiting)}. One of {count} processes that it forked, while"
        f" it waits for AWS: {_printed(each)}, shared with the others for the most part."
    ]


def _three(aws: Endpoint, running: Daemon) -> list[Command]:
    return [
        Command(BARE, aws.environ),
        _alone(aws.environ, "0"),
        _by(running, aws.environ, "0"),
    ]


def _pss(found: list[memory.Memory]) -> tuple[float, float, float]:
    bare, alone, by = (each.pss for each in found)
    return bare, alone, by


def _printed(found: memory.Memory) -> str:
    return f"{found.pss / 1e6:.1f} MB (PSS; RssAnon {found.anon / 1e6:.1f} MB)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began = time.monotonic()
    rows = starts(3 if quick else 25) + far(2 if quick else 12)
    notes: list[str] = []
    parts: list[Callable[[], tuple[list[Row], list[str]]]] = [
        lambda: at_once(10, 1 if quick else 5),
        lambda: shim(2 if quick else 12),
    ]
    if not quick:
        parts.insert(1, lambda: at_once(100, 3))
    for part in parts:
        made, said = part()
        rows += made
        notes += said
    bytes_, said = memories(4 if quick else 10)
    notes += said
    for line in (*bytes_, *notes):
        print(line)
    if not quick:
        day = time.strftime("%Y-%m-%d")
        write(rows, bytes_, notes, f"Measured on {day}: {versions()}. Medians of alternating runs.")
        (RESULTS / "ratios.svg").write_text(plot(rows))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
