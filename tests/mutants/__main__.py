"""Change the lines that decide, one at a time, and see that a unit test fails each time.

    python -m mutants [--jobs N] [--show TEXT] [MODULE…]

A mutant is one module with one change. A mutant that no test fails for has survived:
`survivors.toml` says why that is harmless. The run fails for a survivor that is not explained
there, and for an explanation without a survivor.

mutmut and cosmic-ray were tried and are not used. mutmut changes nothing outside function bodies,
cosmic-ray starts a process for each mutant, and neither takes an entry out of a list, an operand
out of a condition, or an alternative out of a regular expression.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import time
import tomllib
from pathlib import Path

from mutants.mutations import mutations
from mutants.running import ROOT, SOURCE, survivors

EXPLAINED = Path(__file__).with_name("survivors.toml")
"""For each module a list of survivors: `where`, `change`, and `why` it is harmless."""

TARGETS = {
    "gate/decision/decision.py": (
        "gate/decision/test_decision.py",
        "gate/decision/test_denials.py",
        "gate/decision/test_grant.py",
        "gate/decision/test_permit.py",
        "gate/access/test_unasked.py",
    ),
    "gate/aws/simulate.py": ("gate/aws/test_simulate.py", "gate/aws/test_simulate_requests.py"),
    "gate/decision/arn.py": ("gate/decision/test_arn.py", "gate/decision/test_question.py"),
    "gate/decision/question.py": ("gate/decision/test_question.py",),
    "gate/decision/apply_restrictions.py": ("gate/decision/test_restrictions.py",),
    "gate/decision/restrictions.py": ("gate/decision/test_restrictions.py",),
    "gate/decision/grant.py": ("gate/decision/test_grant.py",),
    "gate/decision/controls.py": ("gate/decision/test_grant.py", "gate/decision/test_question.py"),
    "gate/decision/context_keys.py": ("gate/decision/test_context_keys.py",),
    "gate/decision/denial.py": ("gate/decision/test_decision.py", "gate/decision/test_denials.py"),
    "gate/aws/assumed_role.py": ("gate/aws/test_assumed_role.py",),
    "gate/cache/entry.py": ("gate/cache/test_entry.py",),
    "gate/cache/key.py": ("gate/cache/test_key_cached.py", "gate/cache/test_key.py"),
    "gate/aws/start_session.py": (
        "gate/aws/test_start_session_errors.py",
        "gate/aws/test_start_session.py",
    ),
    "gate/cache/cached_authorization.py": (
        "gate/cache/test_key_cached.py",
        "gate/cache/test_key.py",
    ),
    "gate/cache/single_flight.py": ("gate/cache/test_single_flight_waiting.py",),
    "gate/cache/store.py": ("gate/cache/test_store.py",),
    "gate/system/trusted_files.py": (
        "gate/system/test_trusted_files.py",
        "gate/system/test_walk.py",
        "gate/system/test_private_directory.py",
    ),
    "gate/system/trusted_open.py": ("gate/system/test_trusted_files.py",),
    "gate/system/private_directory.py": ("gate/system/test_private_directory.py",),
    "gate/system/private_files.py": ("gate/system/test_private_files.py",),
    "login/command.py": ("login/test_command.py", "login/test_command_refused.py"),
    "login/entry.py": ("login/test_entry.py",),
    "login/environment.py": ("login/test_environment.py",),
    "gate/access/authorize.py": ("gate/access/test_authorize.py", "gate/cache/test_key.py"),
    "gate/access/evaluate.py": ("gate/access/test_evaluate.py",),
    "gate/access/questions.py": ("gate/access/test_questions.py",),
    "gate/access/refine.py": (
        "gate/access/test_refine.py",
        "gate/access/test_refine_settled.py",
        "gate/aws/test_tags.py",
    ),
    "gate/access/unasked.py": ("gate/access/test_unasked.py",),
    "gate/access/shared_simulation.py": ("gate/access/test_evaluate.py",),
}
"""Modules below src/ssmgate, and the tests below tests/unit that have to notice a change there."""


def main() -> int:
    """Run the mutants of some modules, of all by default. Returns 1 for an unexpected result."""
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", metavar="TEXT", help="only those with TEXT, with pytest's output")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as gate/decision/arn.py")
    options = parser.parse_args()
    if unknown := set(options.modules) - set(TARGETS):
        parser.error(f"not a target: {', '.join(sorted(unknown))}")
    # What takes long to load is loaded once, before the forks.
    import ssmgate.gate.access.authorize  # noqa: F401

    explained = tomllib.loads(EXPLAINED.read_text())
    unexpected = 0
    for module in options.modules or TARGETS:
        known = {(e["where"], e["change"]) for e in explained.get(module, ())}
        unexpected += run(module, known, options.jobs, options.show)
    return 1 if unexpected else 0


def run(module: str, explained: set[tuple[str, str]], jobs: int, show: str | None) -> int:
    """Run the mutants of one module. Returns how many results were unexpected."""
    began = time.monotonic()
    tests = [ROOT / "tests" / "unit" / name for name in TARGETS[module]]
    if missing := [test.name for test in tests if not test.exists()]:
        print(f"{module}: no such test: {', '.join(missing)}", flush=True)
        return 1
    tree = ast.parse((SOURCE / module).read_text())
    mutants = [m for m in mutations(tree) if show is None or show in f"{m.where}: {m.change}"]
    left = survivors(module, tree, mutants, tests, jobs, show=show is not None)
    if left is None:
        print(f"{module}: the tests fail without a change", flush=True)
        return 1
    survived = {(mutation.where, mutation.change) for mutation in left.passed}
    print(
        f"{module}: {len(mutants)} mutants, {len(mutants) - len(survived)} killed"
        f" ({len(left.late)} by the time limit), {len(survived & explained)} explained"
        f" ({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    new = sorted(survived - explained)
    stale = [] if show is not None else sorted(explained - survived)
    for where, change in new:
        print(f"  survived: {where}: {change}", flush=True)
    for where, change in stale:
        print(f"  explained, but not a survivor: {where}: {change}", flush=True)
    return len(new) + len(stale)


if __name__ == "__main__":
    sys.exit(main())
