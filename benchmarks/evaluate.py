"""Measure a distinct question to the compiled evaluator, and to the interpreted one.

    benchmarks/evaluate.py ACCOUNT.json

ACCOUNT.json is what `aws iam get-account-authorization-details` prints. Each principal is asked
about documents and nodes that differ in each question, so no answer can be used again. CPU seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from ssmgate.policy_language import Context, Policies, Request
from ssmgate.policy_language.compiled import compile_policies
from ssmgate.policy_language.decide import decide
from ssmgate.policy_language.knowledge import Knowledge
from ssmgate.policy_tools.gaad import read_accounts
from ssmgate.policy_tools.problem import Problem

QUESTIONS = 40
INTERPRETED_QUESTIONS = 2
LEAST = 50
"""How many times faster the compiled evaluator has to be."""


def principals(path: str) -> Iterator[tuple[str, Policies]]:
    """Yield each user and role with its identity-based policies and its boundary."""
    for account in read_accounts([path], lambda _: True):
        if isinstance(account, Problem):
            sys.exit(str(account))
        for one in account.principals:
            boundary = one.boundary.policy if one.boundary else None
            yield one.arn, Policies(tuple(held.policy for held in one.policies), boundary)


def requests(arn: str, count: int) -> list[Request]:
    """Return questions of `arn`, each about another document or node."""
    account = arn.split(":")[4]
    context = Context({"aws:PrincipalArn": arn, "ssm:SessionDocumentAccessCheck": "true"})
    resources = (
        *(f"arn:aws:ssm:us-east-1:{account}:document/Document-{n}" for n in range(count // 2)),
        *(f"arn:aws:ec2:us-east-1:{account}:instance/i-{n:017x}" for n in range(count // 2)),
    )
    return [Request("ssm:StartSession", one, context) for one in resources]


def seconds(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    held = list(principals(sys.argv[1]))
    knowledge = Knowledge()
    compiled = {arn: compile_policies(policies) for arn, policies in held}
    many = {arn: requests(arn, QUESTIONS) for arn in compiled}
    few = {arn: requests(arn, INTERPRETED_QUESTIONS) for arn in compiled}

    def fast() -> None:
        for arn, policies in compiled.items():
            for request in many[arn]:
                policies.decide(request, knowledge)

    def slow() -> None:
        for arn, policies in held:
            for request in few[arn]:
                decide(request, policies, knowledge)

    each_fast = seconds(fast) / sum(map(len, many.values()))
    each_slow = seconds(slow) / sum(map(len, few.values()))
    print(f"{len(held)} principals, CPU seconds a question")
    print(f"  interpreted {each_slow * 1e6:9.1f} us")
    print(f"  compiled    {each_fast * 1e6:9.1f} us, {each_slow / each_fast:.0f} times faster")
    sys.exit(each_slow / each_fast < LEAST)


if __name__ == "__main__":
    main()
