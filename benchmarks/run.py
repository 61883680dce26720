"""A checked start beside bare `aws ssm start-session`: `make bench`.

Both talk to the same scripted endpoint and become the same stand-in of the plugin. The bare aws is
the one from the same environment. It takes some minutes; --quick takes few runs and writes nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import memory
from daemon import Daemon, daemon, give_up_capabilities
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
from report import DIRECTORY, Aim, Bytes, Row, write

DELAYS_MS = (0, 25, 50, 100)
COLD, CACHED = "nothing cached", "answer cached"
BY_DAEMON = "daemon, "
BY_SHIM = ", typed as aws"
WARM = Aim(wall=0.12, cpu=0.12)


def _alone(environ: Mapping[str, str], ttl: str) -> Command:
    return Command(CHECKED, {**environ, "SSMGATE_DAEMON": "off", "SSMGATE_CACHE_TTL": ttl})


def _by(standing: Daemon, environ: Mapping[str, str], ttl: str) -> Command:
    return Command(CHECKED, {**environ, "SSMGATE_CACHE_TTL": ttl}, standing)


def _kinds(here: Endpoint, standing: Daemon) -> dict[str, Command]:
    """The ways to make a start, the bare one first."""
    return {
        "bare": Command(BARE, here.environ),
        COLD: _alone(here.environ, "0"),
        CACHED: _alone(here.environ, "900"),
        BY_DAEMON + COLD: _by(standing, here.environ, "0"),
        BY_DAEMON + CACHED: _by(standing, here.environ, "900"),
    }


def _compared(
    here: Endpoint,
    standing: Daemon,
    kinds: Mapping[str, Command],
    runs: int,
    count: int = 1,
) -> tuple[dict[str, Sample], dict[str, list[int]]]:
    """The medians of each kind, and how often each run asked IAM.

    More than one at once find no answers of the runs before. Ends the program if a start that was
    to be made by the daemon was not.
    """
    asked: dict[str, list[int]] = defaultdict(list)

    def after(name: str) -> None:
        asked[name].append(here.calls().get("SimulatePrincipalPolicy", 0))
        if count > 1:
            here.forget()

    found = alternately(kinds, runs, count, warm=count == 1, after=after)
    by = [name for name, command in kinds.items() if command.by]
    due = sum(len(asked[name]) * count for name in by)
    if (made := standing.starts()) != due:
        sys.exit(f"the daemon made {made} starts of {due}")
    # One that falls silent leaves the start to the asking process, which then works as one alone.
    alone = min(sample.own_cpu for name, sample in found.items() if name not in by) / count
    for name in by:
        if (most := found[name].most_cpu) > alone / 2:
            sys.exit(f"{name}: a start took {most:.3f} CPU seconds by itself, alone {alone:.3f}")
    return found, asked


def _rows(group: str, runs: int, found: Mapping[str, Sample], aims: Mapping[str, Aim]) -> list[Row]:
    """Each kind beside the bare one."""
    bare, rows = found["bare"], []
    for what, ours in found.items():
        if what == "bare":
            continue
        aim = aims.get(what, Aim())
        made = Row(group, what, runs, bare.wall, ours.wall, bare.cpu, ours.cpu, aim)
        rows.append(made)
        wall, cpu = made.ratios
        print(f"{group:26} {what:40} wall {wall:.2f}  CPU {cpu:.2f}", flush=True)
    return rows


def starts(runs: int) -> list[Row]:
    """One start at a time, near; also by the shim."""
    with endpoint() as here, daemon(here.environ) as standing:
        kinds = _kinds(here, standing)
        warm = kinds[BY_DAEMON + CACHED]
        kinds[BY_DAEMON + CACHED + BY_SHIM] = Command([SHIM, *START], warm.environ, standing)
        found, asked = _compared(here, standing, kinds, runs)
    _expect_asked(asked, runs)
    aims = {COLD: Aim(wall=0.45, cpu=0.42), BY_DAEMON + CACHED: WARM}
    return _rows("loopback, HTTP", runs, found, aims)


def far(runs: int) -> list[Row]:
    """One start at a time over TLS."""
    rows = []
    for delay in DELAYS_MS:
        with endpoint(delay / 1000) as here, daemon(here.environ) as standing:
            found, asked = _compared(here, standing, _kinds(here, standing), runs)
        _expect_asked(asked, runs)
        aims = {COLD: Aim(wall=0.75)} if delay == 50 else {}
        rows += _rows(f"TLS, {delay} ms round trip", runs, found, aims)
    return rows


def _expect_asked(asked: Mapping[str, list[int]], runs: int) -> None:
    """Each asks IAM once, or once for all; ends the program otherwise."""
    for name, counts in asked.items():
        due = 0 if name == "bare" else runs + 1 if COLD in name else 1
        # What is typed at the shim is no other question.
        due = 0 if BY_SHIM in name else due
        if sum(counts) != due:
            sys.exit(f"{name}: IAM was asked {sum(counts)} times, not {due}")


def at_once(count: int, runs: int) -> tuple[list[Row], list[str]]:
    """`count` starts at once, with nothing kept before the first."""
    with endpoint() as here, daemon(here.environ) as standing:
        kinds = {
            "bare": Command(BARE, here.environ),
            "no daemon": _alone(here.environ, "900"),
            "daemon": _by(standing, here.environ, "900"),
        }
        found, asked = _compared(here, standing, kinds, runs, count)
    rows = _rows(
        f"{count} starts at once",
        runs,
        found,
        {"daemon": Aim(wall=0.15)} if count == 100 else {},
    )
    times = ", ".join(
        f"{statistics.median(asked[name]):g} ({name})" for name in kinds if name != "bare"
    )
    return rows, [f"{count} starts at once asked IAM so many times: {times}."]


def shim(runs: int) -> tuple[list[Row], list[str]]:
    """Lines that start no session, by bin/aws."""
    rows = []
    with endpoint() as here:
        # Another one on PATH would come before it.
        named = {**here.environ, "SSMGATE_AWS_PATH": AWS}
        for words in (["sts", "get-caller-identity"], ["--version"]):
            line = " ".join(["aws", *words])
            found = alternately(
                {
                    "bare": Command([AWS, *words], here.environ),
                    line: Command([SHIM, *words], named),
                },
                runs,
            )
            rows += _rows("no session, by bin/aws", runs, found, {})
        nothing = here.directory / "nothing"
        nothing.write_text("#!/bin/sh\n")
        nothing.chmod(0o755)
        environ = {**here.environ, "SSMGATE_AWS_PATH": str(nothing)}
        found = alternately(
            {
                "bare": Command([str(nothing), "sts"], environ),
                "shim": Command([SHIM, "sts"], environ),
            },
            50,
        )
    more = (found["shim"].wall - found["bare"].wall) * 1000
    return rows, [f"bin/aws before a program that does nothing: {more:.1f} ms more."]


def memories(count: int) -> tuple[list[Bytes], list[str]]:
    """What stays beside the plugin; what `count` starts at once have, each waiting for AWS."""
    rows = []
    with endpoint() as here, daemon(here.environ) as standing:
        ways = _three(here, standing)
        for terminal, where in ((True, "at a terminal"), (False, "without one")):
            found = [memory.beside_plugin(each, here.directory, terminal=terminal) for each in ways]
            rows.append(Bytes(f"a session's, beside the plugin, {where}", *_pss(found)))
        waiting = memory.of([standing.pid])
    # Far enough that nobody has an answer when it is looked.
    with endpoint(4) as here, daemon(here.environ) as standing:
        together = [memory.under_way(each, count, 6) for each in _three(here, standing)]
    rows.append(Bytes(f"{count} starts under way", *_pss([all_ for all_, _ in together])))
    forked = together[2][1]
    if len(forked) != count:
        sys.exit(f"{len(forked)} starts of {count} are under way in the daemon")
    each = memory.Memory(
        statistics.median(one.pss for one in forked), statistics.median(one.anon for one in forked)
    )
    return rows, [
        f"A daemon that waits: {_said(waiting)}. One of {count} processes that it forked, while"
        f" it waits for AWS: {_said(each)}, shared with the others for the most part."
    ]


def _three(here: Endpoint, standing: Daemon) -> list[Command]:
    return [
        Command(BARE, here.environ),
        _alone(here.environ, "0"),
        _by(standing, here.environ, "0"),
    ]


def _pss(found: list[memory.Memory]) -> tuple[float, float, float]:
    bare, alone, by = (each.pss for each in found)
    return bare, alone, by


def _said(found: memory.Memory) -> str:
    return f"{found.pss / 1e6:.1f} MB (PSS; RssAnon {found.anon / 1e6:.1f} MB)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began = time.monotonic()
    give_up_capabilities()
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
        (DIRECTORY / "ratios.svg").write_text(plot(rows))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
