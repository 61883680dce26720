"""A terminal shows what a start, a check or the doctor waits for, and nothing of it remains."""

from __future__ import annotations

import threading

import pytest

from conftest import Machine
from fakes.scripted_aws import after, evaluation
from functional.test_terminal import at_terminal, ended

SHOWN, ERASE = "ssmgate: waiting for SimulatePrincipalPolicy from 127.0.0.1", "\r\x1b[K"


@pytest.fixture
def answered(machine: Machine) -> threading.Event:
    """Return an event; IAM answers once it is set."""
    event = threading.Event()
    machine.aws.script("SimulatePrincipalPolicy", after(event, evaluation("allowed")))
    return event


def test_start_shows_call_and_erases_it_before_plugin(
    machine: Machine, answered: threading.Event
) -> None:
    machine.plugin.on_start("echo ready")
    with at_terminal(machine) as child:
        child.expect_exact(SHOWN)
        answered.set()
        child.expect_exact("ready")

        assert child.before == ERASE
        assert ended(child) == 0


def test_interrupt_during_wait_ends_start_at_once(
    machine: Machine, answered: threading.Event
) -> None:
    with at_terminal(machine) as child:
        child.expect_exact(SHOWN)
        child.send("\x03")

        assert ended(child) == 130
        assert (child.before or "").endswith(f"{ERASE}\r\n")
    answered.set()


def test_error_is_printed_where_wait_was_shown(machine: Machine, answered: threading.Event) -> None:
    machine.aws.script("SimulatePrincipalPolicy", after(answered, evaluation("implicitDeny")))
    with at_terminal(machine) as child:
        child.expect_exact(SHOWN)
        answered.set()

        assert ended(child) == 254
        assert (child.before or "").startswith(f"{ERASE}ssmgate: [ERROR]: access denied")
