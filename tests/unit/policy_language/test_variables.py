"""Policy variables, after
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import pytest

from ssmgate.gate.decision.wildcards import like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.variables import Variable, Version, parse_template

CONTEXT = Context(
    {
        "aws:username": "alice",
        "aws:PrincipalTag/team": "yellow",
        "aws:PrincipalTag/empty": "",
        "aws:TagKeys": ["team"],
    }
)


def resolved(text, version=Version.V2012):
    found = parse_template(text, version, wildcards=False).resolve(CONTEXT)
    return None if found is None else "".join(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("home/${aws:username}/x", "home/alice/x"),
        ("${AWS:UserName}", "alice"),
        ("${aws:username}${aws:PrincipalTag/team}", "aliceyellow"),
        ("${aws:PrincipalTag/team, 'company-wide'}", "yellow"),
        ("${aws:PrincipalTag/other, 'company-wide'}", "company-wide"),
        ("${aws:PrincipalTag/other, ''}", ""),
        ("${aws:PrincipalTag/empty, 'x'}", ""),
        ("${aws:PrincipalTag/other}", None),
        ("${*}${?}${$}", "*?$"),
        ("$", "$"),
        ("$x{y}", "$x{y}"),
        ("a}{b", "a}{b"),
    ],
)
def test_substitutes_values_defaults_and_escapes(text, value):
    assert resolved(text) == value


def test_multivalued_key_has_no_value_and_no_default():
    # radkawar/stackd@9dc356f5 testdata/aws/iam/condition_sets.json: `${aws:TagKeys, 'fallback'}`
    # equalled neither the tag key nor `fallback`.
    assert resolved("${aws:TagKeys}") is None
    assert resolved("${aws:TagKeys, 'fallback'}") is None


@pytest.mark.parametrize("text", ["${aws:username}", "${*}", "${", "${}"])
def test_older_language_has_no_variables(text):
    assert resolved(text, Version.V2008) == text


def test_escapes_are_not_wildcards():
    pattern = parse_template("a${*}b${?}*", Version.V2012).resolve(Context())
    assert like(pattern, "a*b?xyz")
    assert not like(pattern, "axxb?xyz")


# https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html:
# empty variable, missing brace, missing quote, unsupported space.
@pytest.mark.parametrize(
    "text",
    [
        "${}",
        "${aws:username",
        "${aws:username, 'x}",
        "${aws:username, x}",
        "${aws: username}",
        "${a${aws:username}}",
        "${aws:username,}",
    ],
)
def test_malformed_variable_is_error(text):
    with pytest.raises(PolicyError, match="malformed policy variable"):
        parse_template(text, Version.V2012)


def test_lists_mentioned_variables():
    template = parse_template("${a:b}-${c:d, 'e'}-${*}", Version.V2012)
    assert template.variables == (Variable("a:b"), Variable("c:d", "e"))


class TestContext:
    def test_finds_keys_in_any_case(self):
        assert CONTEXT.get("AWS:USERNAME").values == ("alice",)
        assert "aws:principaltag/TEAM" in CONTEXT

    def test_empty_list_is_absent_key(self):
        assert "aws:TagKeys" not in Context({"aws:TagKeys": []})

    def test_two_spellings_of_one_key_are_error(self):
        with pytest.raises(ValueError, match="one key"):
            Context({"aws:username": "a", "AWS:username": "b"})

    def test_values_are_strings(self):
        with pytest.raises(TypeError, match="values are strings"):
            Context({"aws:MultiFactorAuthPresent": [True]})
