"""Decide a request of which some context keys are not known: allowed, denied, or unknown."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ssmgate.policy_language.conditions import Outcome
from ssmgate.policy_language.context import Values
from ssmgate.policy_language.document import Effect
from ssmgate.policy_language.evaluate import Evaluation, Layer, Policies, evaluate
from ssmgate.policy_language.knowledge import Knowledge, Split, View
from ssmgate.policy_language.possible import condition_outcomes, resource_outcomes
from ssmgate.policy_language.resources import has_resource
from ssmgate.policy_language.statements import Request, StatementMatch

MOST_MATCHES = 3_000
"""How many statements are matched under assumptions before the answer is unknown."""


class Certainty(enum.Enum):
    """What is known of a decision."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer about a request, whatever values the unknown keys have.

    `explicit` is whether a deny certainly applies. `layer` is the one that denies, None for an
    unknown answer. For an unknown answer `keys` are the condition keys that it depends on,
    `denies` is whether a deny may apply, `undecided` are the statements that may or may not apply,
    and `two_readings` the incomplete ARNs that AWS's documentation reads in two ways.

    `evaluation` is that of the context without the unknown keys, for an explanation only.
    """

    answer: Certainty
    evaluation: Evaluation
    explicit: bool = False
    layer: Layer | None = None
    keys: tuple[str, ...] = ()
    denies: bool = False
    undecided: tuple[StatementMatch, ...] = ()
    two_readings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Possible:
    """Whether a statement may apply and may not, and what that depends on."""

    match: StatementMatch
    may: bool
    must: bool
    splits: tuple[Split, ...]


def decide(request: Request, policies: Policies, knowledge: Knowledge) -> Finding:
    """Decide `request`, whose context lacks keys that are not known to be absent.

    ALLOWED and DENIED hold for every value that the unknown keys may have, absence included. An
    UNKNOWN answer may be needless: results that cannot occur together are not always recognized.
    """
    evaluation = evaluate(request, policies)
    if not has_resource(request.action, request.resource):
        return Finding(Certainty.DENIED, evaluation, layer=Layer.RESOURCE_TYPE)
    root = View(request.context, knowledge)
    layers = [
        (layer.layer, [possible(match, request, root) for match in layer.statements])
        for layer in evaluation.layers
    ]
    answer, undecided = answer_of(layers)
    if answer is Certainty.UNKNOWN:
        answer = search(layers, request, root, [MOST_MATCHES])
    if answer is Certainty.UNKNOWN:
        return _unknown(evaluation, root, undecided)
    denying = [layer for layer, found in layers if any(is_deny(p) and p.must for p in found)]
    lacking = [layer for layer, found in layers if not any(is_allow(p) and p.may for p in found)]
    explicit = bool(denying) if denying or lacking else _denies(evaluation)
    layer = next(iter((*denying, *lacking)), evaluation.decided_by)
    return Finding(answer, evaluation, answer is Certainty.DENIED and explicit, layer, undecided=())


def _denies(evaluation: Evaluation) -> bool:
    return any(layer.denies for layer in evaluation.layers)


def _unknown(evaluation: Evaluation, root: View, undecided: Sequence[Possible]) -> Finding:
    splits = [split for possible in undecided for split in possible.splits]
    keys: dict[str, str] = {}
    for split in splits:
        if split.key is not None and not isinstance(root.get(split.key), Values):
            keys.setdefault(split.key.lower(), split.key)
    return Finding(
        Certainty.UNKNOWN,
        evaluation,
        keys=tuple(keys.values()),
        denies=any(map(is_deny, undecided)),
        undecided=tuple(possible.match for possible in undecided),
        two_readings=tuple(
            dict.fromkeys(s.atom[-1] for s in splits if s.key is None and s.atom is not None)
        ),
    )


Layers = list[tuple[Layer, list[Possible]]]


def search(layers: Layers, request: Request, view: View, budget: list[int]) -> Certainty:
    """Return the answer that all possible assumptions share, else UNKNOWN.

    `layers` are the statements in `view`. `budget` is how many more may be matched.
    """
    answer, undecided = answer_of(layers)
    if answer is not Certainty.UNKNOWN or budget[0] < 0:
        return answer
    for split in (split for possible in undecided for split in possible.splits):
        if assumed := view.assuming(split):
            answers = set()
            for one in assumed:
                refined = _refined(layers, request, one, budget)
                answers.add(search(refined, request, one, budget))
                if len(answers) > 1 or Certainty.UNKNOWN in answers:
                    return Certainty.UNKNOWN
            return answers.pop()
    return Certainty.UNKNOWN


def _refined(layers: Layers, request: Request, view: View, budget: list[int]) -> Layers:
    """Return `layers` in `view`, which has more assumptions: what was decided remains decided."""

    def again(statement: Possible) -> Possible:
        if statement.may is statement.must:
            return statement
        budget[0] -= 1
        return possible(statement.match, request, view)

    return [(layer, [again(one) for one in found]) for layer, found in layers]


def possible(match: StatementMatch, request: Request, view: View) -> Possible:
    """Return whether the statement of `match` may apply in `view`, and must."""
    policy, statement = match.policy, match.statement
    if match.action.outcome is Outcome.NOT_MATCHED:
        return Possible(match, may=False, must=False, splits=())
    splits: list[Split] = []
    elements = []
    for condition in (None, *statement.conditions):
        found: list[Split] = []
        if condition is None:
            outcomes = resource_outcomes(policy, statement, request.resource, view, found)
        else:
            outcomes = condition_outcomes(condition, policy.version, view, found)
        if outcomes == {Outcome.NOT_MATCHED}:
            return Possible(match, may=False, must=False, splits=())
        elements.append(outcomes)
        splits += found if len(outcomes) > 1 else ()
    if statement.effect is Effect.DENY:
        return Possible(
            match, True, not any(Outcome.NOT_MATCHED in o for o in elements), (*splits,)
        )
    may = all(Outcome.MATCHED in outcomes for outcomes in elements)
    must = may and all(len(outcomes) == 1 for outcomes in elements)
    return Possible(match, may, must, tuple(splits))


def answer_of(layers: Layers) -> tuple[Certainty, list[Possible]]:
    """Return the answer, and the statements that it depends on if it is unknown."""
    everything = [possible for _, found in layers for possible in found]
    denies = [p for p in everything if is_deny(p) and p.may]
    allows = [[p for p in found if is_allow(p) and p.may] for _, found in layers]
    if any(p.must for p in denies) or not all(allows):
        return Certainty.DENIED, []
    undecided = [found for found in allows if not any(p.must for p in found)]
    if not denies and not undecided:
        return Certainty.ALLOWED, []
    return Certainty.UNKNOWN, [*denies, *(p for found in undecided for p in found)]


def is_deny(statement: Possible) -> bool:
    """Return whether the statement is a Deny."""
    return statement.match.statement.effect is Effect.DENY


def is_allow(statement: Possible) -> bool:
    """Return whether the statement is an Allow."""
    return statement.match.statement.effect is Effect.ALLOW
