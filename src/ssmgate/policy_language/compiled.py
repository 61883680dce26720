"""Decide many requests by the same policies: compiled once, with the answers of `decide`.

The statements of a policy are indexed by their actions, their resources are looked up or matched
by compiled patterns, and their conditions are prepared. Whatever depends on policy variables or on
incomplete ARNs is interpreted by `possible`; tests compare every answer with `decide`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ssmgate.gate.decision.wildcards import Pattern, Wildcard
from ssmgate.policy_language.compiled_conditions import PreparedCondition, prepare_condition
from ssmgate.policy_language.conditions import Outcome
from ssmgate.policy_language.decide import (
    MOST_MATCHES,
    Certainty,
    Finding,
    Possible,
    answer_of,
    decide,
    possible,
    search,
)
from ssmgate.policy_language.document import Effect, Policy, Statement
from ssmgate.policy_language.evaluate import Layer, Policies, evaluate
from ssmgate.policy_language.knowledge import Knowledge, View
from ssmgate.policy_language.matchers import (
    TextSet,
    arn_regex,
    compiled,
    like_regex,
    text_set,
    units,
)
from ssmgate.policy_language.patterns import complete, is_incomplete, variable_before_name
from ssmgate.policy_language.possible import Outcomes, resource_outcomes
from ssmgate.policy_language.resources import has_resource
from ssmgate.policy_language.statements import Request, match_statement
from ssmgate.policy_language.variables import Template, Variable, Version, parse_template

_MATCHED = frozenset({Outcome.MATCHED})
_NOT_MATCHED = frozenset({Outcome.NOT_MATCHED})


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request: as `decide.Finding`, without what only an explanation needs.

    `applying` are the statements that certainly have their effect, those of the layer that allows
    or the ones that deny; `undecided` are those that an unknown answer depends on.
    """

    certainty: Certainty
    explicit: bool = False
    layer: Layer | None = None
    applying: tuple[CompiledStatement, ...] = ()
    undecided: tuple[CompiledStatement, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CompiledStatement:
    """A statement with its resources and conditions compiled; compared by identity.

    `resources` are the complete patterns without variables. `special` says which resources an
    incomplete pattern, or one with variables, may cover; `is_special` whether there is one.
    """

    policy: Policy
    statement: Statement
    order: int
    allows: bool
    anything: bool
    resources: TextSet
    is_special: bool
    special: tuple[re.Pattern[str], ...]
    conditions: tuple[PreparedCondition, ...]

    def state(self, request: Request, text: str, knowledge: Knowledge) -> tuple[bool, bool]:
        """Return whether the statement may and whether it must have its effect.

        `text` is the request's resource by its code units. The action is not looked at.
        """
        outcomes = self._resource(request, text, knowledge)
        if outcomes == _NOT_MATCHED:
            return False, False
        may = must = True
        certain = len(outcomes) == 1
        allows = self.allows
        if allows:
            may, must = Outcome.MATCHED in outcomes, certain
        else:
            must = Outcome.NOT_MATCHED not in outcomes
        for condition in self.conditions:
            outcomes = condition.outcomes(request.context, knowledge)
            if outcomes == _NOT_MATCHED:
                return False, False
            if allows:
                may = may and Outcome.MATCHED in outcomes
                must = must and len(outcomes) == 1
            else:
                must = must and Outcome.NOT_MATCHED not in outcomes
        return may, may and must

    def openness(self, request: Request, text: str, knowledge: Knowledge) -> tuple[bool, bool]:
        """Return for an Allow whether absent keys prevent it, and one unknown condition allows it.

        Both together with those of other statements show that an answer is unknown.
        """
        prevented, undecided = False, 0
        if len(self._resource(request, text, knowledge)) > 1:
            undecided = 2
        for condition in self.conditions:
            if len(condition.outcomes(request.context, knowledge)) > 1:
                undecided += 1
                fails = condition.test is not None and condition.fails_if_absent(
                    request.context, knowledge
                )
                prevented = prevented or fails
        return prevented, prevented and undecided == 1

    def _resource(self, request: Request, text: str, knowledge: Knowledge) -> Outcomes:
        negated = self.statement.negated_resource
        if self.anything or (text != "*" and self.resources.matches(text)):
            return _NOT_MATCHED if negated else _MATCHED
        if self.is_special and (negated or any(e.match(text) for e in self.special)):
            view = View(request.context, knowledge)
            return resource_outcomes(self.policy, self.statement, request.resource, view, [])
        return _MATCHED if negated else _NOT_MATCHED


class CompiledPolicy:
    """One policy, with its statements indexed by their actions."""

    __slots__ = ("_exact", "_others", "_wild", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        exact: dict[str, list[CompiledStatement]] = {}
        self._wild: dict[str, list[tuple[TextSet, CompiledStatement]]] = {}
        self._others: list[tuple[TextSet | None, CompiledStatement]] = []
        for order, statement in enumerate(policy.statements):
            one = _statement(policy, statement, order)
            texts = [text.lower() for text in statement.actions]
            if statement.negated_action:
                self._others.append((text_set(map(_action, texts)), one))
            elif "*" in texts:
                self._others.append((None, one))
            else:
                self._index(texts, one, exact)
        self._exact = {name: tuple(found) for name, found in exact.items()}

    def _index(
        self, texts: list[str], one: CompiledStatement, exact: dict[str, list[CompiledStatement]]
    ) -> None:
        wild: dict[str, list[Pattern]] = {}
        for text in dict.fromkeys(texts):
            pattern = _action(text)
            if any(isinstance(piece, Wildcard) for piece in pattern):
                wild.setdefault(text.partition(":")[0], []).append(pattern)
            else:
                exact.setdefault(units("".join(map(str, pattern))), []).append(one)
        for service, patterns in wild.items():
            self._wild.setdefault(units(service), []).append((text_set(patterns), one))

    def statements(self, action: str) -> Sequence[CompiledStatement]:
        """Return the statements that are about `action`, in their order.

        `action` is in lower case, by its code units.
        """
        exact = self._exact.get(action, ())
        wild = self._wild.get(action.partition(":")[0], ()) if self._wild else ()
        if not wild and not self._others:
            return exact
        found = {one.order: one for one in exact}
        found.update((one.order, one) for texts, one in wild if texts.matches(action))
        for texts, one in self._others:
            # NotAction has its texts, and `*` none.
            if texts is None or not texts.matches(action):
                found[one.order] = one
        return [found[order] for order in sorted(found)]


def _action(text: str) -> Pattern:
    pieces = parse_template(text, Version.V2008).pieces
    return tuple(piece for piece in pieces if isinstance(piece, str | Wildcard))


def _statement(policy: Policy, statement: Statement, order: int) -> CompiledStatement:
    plain: list[Pattern] = []
    special: list[re.Pattern[str]] = []
    anything = is_special = False
    for text in statement.resources:
        template = parse_template(text, policy.version)
        if template.pieces == (Wildcard.ANY,):
            anything = True
        elif template.variables or is_incomplete(text, policy.version):
            is_special = True
            special += _may_cover(template)
        else:
            plain.append(_with_any(template))
    return CompiledStatement(
        policy,
        statement,
        order,
        statement.effect is Effect.ALLOW,
        anything,
        text_set(plain, arns=True),
        is_special,
        tuple(special),
        tuple(prepare_condition(one, policy.version) for one in statement.conditions),
    )


def _with_any(template: Template) -> Pattern:
    return tuple(Wildcard.ANY if isinstance(p, Variable) else p for p in template.pieces)


def _may_cover(template: Template) -> list[re.Pattern[str]]:
    """Return what matches at least every resource that a special pattern can cover."""
    if variable_before_name(template):
        return []
    pattern = _with_any(template)
    expressions = [like_regex(pattern)]
    if not template.variables:
        expressions.append(arn_regex(complete(pattern)) or ".*")
    return [compiled(expression) for expression in expressions]


@dataclass(slots=True)
class _Collected:
    """The statements that matter for a request: those that may or must apply.

    `may_allow` are those of the layers that do not certainly allow, with the number of the layer;
    `lacking` are the layers that certainly do not.
    """

    denying: list[tuple[Layer, CompiledStatement]] = field(default_factory=list)
    lacking: list[Layer] = field(default_factory=list)
    allowing: list[CompiledStatement] = field(default_factory=list)
    may_deny: list[CompiledStatement] = field(default_factory=list)
    may_allow: list[tuple[int, CompiledStatement]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """The policies of one principal, compiled, in the order of `evaluate`'s layers."""

    policies: Policies
    layers: tuple[tuple[Layer, tuple[CompiledPolicy, ...]], ...]

    def decide(
        self,
        request: Request,
        knowledge: Knowledge,
        searched: dict[tuple[object, ...], Answer] | None = None,
    ) -> Answer:
        """Answer `request`: the certainty, `explicit` and `layer` are those of `decide`.

        `searched` has answers to the same request, with the same knowledge, by the statements that
        they depend on; it may be shared by policies of several principals.
        """
        if not has_resource(request.action, request.resource):
            return Answer(Certainty.DENIED, layer=Layer.RESOURCE_TYPE)
        text = units(request.resource)
        found = self._collect(request, text, knowledge)
        if found.denying or found.lacking:
            return Answer(
                Certainty.DENIED,
                bool(found.denying),
                found.denying[0][0] if found.denying else found.lacking[0],
                tuple(one for _, one in found.denying),
            )
        undecided = (*found.may_deny, *(one for _, one in found.may_allow))
        if not undecided:
            return Answer(Certainty.ALLOWED, layer=Layer.IDENTITY, applying=tuple(found.allowing))
        if not found.may_deny and len({number for number, _ in found.may_allow}) == 1:
            open_ = [one.openness(request, text, knowledge) for _, one in found.may_allow]
            if all(one[0] for one in open_) and any(one[1] for one in open_):
                return Answer(Certainty.UNKNOWN, undecided=undecided)
        if searched is None:
            return self._searched(request, knowledge, undecided)
        key = (len(self.layers), *found.may_allow, *found.may_deny)
        if key not in searched:
            searched[key] = self._searched(request, knowledge, undecided)
        return searched[key]

    def _collect(self, request: Request, text: str, knowledge: Knowledge) -> _Collected:
        action = units(request.action.lower())
        found = _Collected()
        for number, (layer, policies) in enumerate(self.layers):
            may_allow: list[tuple[int, CompiledStatement]] = []
            allowed = False
            for policy in policies:
                for one in policy.statements(action):
                    may, must = one.state(request, text, knowledge)
                    if not may:
                        continue
                    if one.allows:
                        may_allow.append((number, one))
                        allowed = allowed or must
                        if must and layer is Layer.IDENTITY:
                            found.allowing.append(one)
                    elif must:
                        found.denying.append((layer, one))
                    else:
                        found.may_deny.append(one)
            if not may_allow:
                found.lacking.append(layer)
            elif not allowed:
                found.may_allow += may_allow
        return found

    def _searched(
        self, request: Request, knowledge: Knowledge, undecided: tuple[CompiledStatement, ...]
    ) -> Answer:
        """Try what is possible for the unknown keys: all of it may give the same answer."""
        root = View(request.context, knowledge)
        action, text = units(request.action.lower()), units(request.resource)
        layers: list[tuple[Layer, list[Possible]]] = []
        for layer, policies in self.layers:
            found = [
                possible(match_statement(one.policy, one.statement, request), request, root)
                for policy in policies
                for one in policy.statements(action)
                if one.state(request, text, knowledge)[0]
            ]
            layers.append((layer, found))
        answer, _ = answer_of(layers)
        if answer is Certainty.UNKNOWN:
            answer = search(layers, request, root, [MOST_MATCHES])
        if answer is Certainty.UNKNOWN:
            return Answer(answer, undecided=undecided)
        evaluation = evaluate(request, self.policies)
        explicit = any(layer.denies for layer in evaluation.layers)
        return Answer(answer, answer is Certainty.DENIED and explicit, evaluation.decided_by)

    def explain(self, request: Request, knowledge: Knowledge) -> Finding:
        """Return the interpreted finding for `request`, with every element of every statement."""
        return decide(request, self.policies, knowledge)


def compile_policies(
    policies: Policies, compiled_policies: dict[int, CompiledPolicy] | None = None
) -> CompiledPolicies:
    """Compile `policies`; `compiled_policies` has by `id` those that other principals share."""
    known = {} if compiled_policies is None else compiled_policies

    def one(policy: Policy) -> CompiledPolicy:
        if (found := known.get(id(policy))) is None:
            found = known[id(policy)] = CompiledPolicy(policy)
        return found

    def layer(kind: Layer, found: Iterable[Policy]) -> tuple[Layer, tuple[CompiledPolicy, ...]]:
        return kind, tuple(map(one, found))

    boundary = policies.boundary
    return CompiledPolicies(
        policies,
        (
            *(layer(Layer.ORGANIZATIONS, level) for level in policies.service_control),
            layer(Layer.IDENTITY, policies.identity),
            *(() if boundary is None else (layer(Layer.BOUNDARY, (boundary,)),)),
        ),
    )
