"""A checked start beside bare `aws ssm start-session`: `make bench`.

Both talk to the same scripted endpoint and become the same stand-in of the plugin. The bare aws is
the one from the same environment. It takes some minutes; --quick takes few runs and writes nothing.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time

from measure import Sample, alternately, many, medians, memory
from report import Row, write
from surroundings import BARE, CHECKED, Surroundings, cold, surroundings, versions

DELAYS_MS = (0, 25, 100)


def row(what: str, runs: int, bare: Sample, ours: Sample) -> Row:
    made = Row(what, runs, bare[0], ours[0], bare[1], ours[1])
    wall, cpu = made.ratios
    print(f"{what:40} wall {wall:.2f}  CPU {cpu:.2f}", flush=True)
    return made


def starts(runs: int) -> list[Row]:
    """One start at a time, near."""
    with surroundings() as here:
        found = alternately(
            {
                "bare": (BARE, here.environ),
                "cold": (CHECKED, cold(here.environ)),
                "cached": (CHECKED, {**here.environ, "SSMGATE_CACHE_TTL": "900"}),
            },
            runs,
        )
    return [
        row("a start, nothing cached", runs, found["bare"], found["cold"]),
        row("a start, answer cached", runs, found["bare"], found["cached"]),
    ]


def far(runs: int) -> list[Row]:
    """One start at a time over TLS, nothing cached and cached."""
    rows = []
    for delay in DELAYS_MS:
        with surroundings(delay / 1000) as here:
            found = alternately(
                {
                    "bare": (BARE, here.environ),
                    "cold": (CHECKED, cold(here.environ)),
                    "cached": (CHECKED, {**here.environ, "SSMGATE_CACHE_TTL": "900"}),
                },
                runs,
            )
        for kind in ("cold", "cached"):
            said = "nothing cached" if kind == "cold" else "answer cached"
            rows.append(row(f"TLS, {delay} ms away, {said}", runs, found["bare"], found[kind]))
    return rows


def at_once(count: int, runs: int) -> tuple[list[Row], str]:
    """`count` starts at once, with nothing kept before the first."""
    taken: dict[str, list[Sample]] = {"bare": [], "ours": []}
    asked = []
    with surroundings() as here:
        for _ in range(runs):
            taken["bare"].append(many((BARE, here.environ), count))
            here.calls()
            shutil.rmtree(here.home / ".cache", ignore_errors=True)
            taken["ours"].append(many((CHECKED, here.environ), count))
            asked.append(here.calls().get("SimulatePrincipalPolicy", 0))
    made = row(f"{count} starts at once", runs, medians(taken["bare"]), medians(taken["ours"]))
    return [made], f"{count} starts at once asked IAM {statistics.median(asked):g} times."


def resident(here: Surroundings) -> str:
    """What stays in memory beside the plugin."""
    said = []
    for terminal in (True, False):
        bare, ours = (
            memory((words, cold(here.environ)), here.plugin, terminal=terminal) / 1e6
            for words in (BARE, CHECKED)
        )
        where = "at a terminal" if terminal else "without one"
        said.append(f"{where} {ours:.1f} MB beside the plugin, bare aws {bare:.1f} MB")
    return f"In memory during a session: {'; '.join(said)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    runs, crowds = (3, ((10, 1),)) if quick else (25, ((10, 5), (100, 2)))
    rows = starts(runs) + far(3 if quick else 12)
    notes = []
    for count, times in crowds:
        made, note = at_once(count, times)
        rows += made
        notes.append(note)
    with surroundings() as here:
        notes.append(resident(here))
    for note in notes:
        print(note)
    if not quick:
        day = time.strftime("%Y-%m-%d")
        write(rows, notes, f"Measured on {day}: {versions()}. Medians of alternating runs.")


if __name__ == "__main__":
    main()
