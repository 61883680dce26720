"""What a principal may start, in words."""

import pytest

from ssmgate.policy_tools.answer_words import standing_in_words
from unit.policy_tools.accounts import statement
from unit.policy_tools.test_audit import HERE, NODE, NODES, SSH, standing

MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NAMES = [f"{HERE}:document/Team-{number}" for number in range(7)]
WORDS = {
    "everything": ([statement()], "may start any document"),
    "but SSH": (
        [statement(), statement("Deny", resource=SSH)],
        "may start any document but AWS-StartSSHSession",
    ),
    "but two": (
        [statement(), statement("Deny", resource=[SSH, f"{HERE}:document/Secret"])],
        "may start any document but AWS-StartSSHSession, Secret",
    ),
    "but one that is not known": (
        [statement(), statement("Deny", resource=f"{HERE}:document/Secret", condition=MFA)],
        "may start any document but Secret (allowed unless aws:MultiFactorAuthPresent is true)",
    ),
    "but many": (
        [statement(), statement("Deny", resource=NAMES)],
        "may start any document but Team-0, Team-1, Team-2, Team-3, Team-4, 2 more",
    ),
    "those of the account": (
        [statement(resource=[f"{HERE}:document/*", NODES])],
        "may start any document of the account",
    ),
    "those of the account but one": (
        [statement(resource=[f"{HERE}:document/*", NODES]), statement("Deny", resource=NAMES[:1])],
        "may start any document of the account but Team-0",
    ),
    "those of the account, and SSH": (
        [statement(resource=[f"{HERE}:document/*", SSH, NODES])],
        "may start any document but AWS-",
    ),
    "all but those of AWS": (
        [statement(), statement("Deny", resource="arn:aws:ssm:*::document/*")],
        "may start any document of the account",
    ),
    "one": ([statement(resource=[NAMES[0], NODES])], "may start Team-0"),
    "a node": ([NODE], "may start a session if the service does not check the document"),
    "nothing": ([], "may start nothing"),
    "denied": ([statement(), statement("Deny", "*")], "explicitly denied"),
}


@pytest.mark.parametrize("case", WORDS)
def test_describes_access_of_principal(case, tmp_path):
    statements, words = WORDS[case]
    found = standing_in_words(standing(tmp_path, *statements))
    assert found.startswith(words) if words.endswith("-") else found == words
