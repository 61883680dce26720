"""Truth tables of the condition operators.

The words are those of
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
("operators") and …/reference_policies_condition-single-vs-multi-valued-context-keys.html ("sets").
Rows under "observed" are what the real service did with policies and tags like these; they were
recorded by others, in testdata/aws/iam/condition_{values,sets,strings,ip}.json of
radkawar/stackd@9dc356f5.
"""

import pytest

from ssmgate.policy_language.conditions import (
    Cause,
    Condition,
    Outcome,
    match_condition,
    parse_operator,
)
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.variables import Version

MATCH, NO_MATCH, UNDEFINED = Outcome.MATCHED, Outcome.NOT_MATCHED, Outcome.UNDEFINED
KEY = "x:Key"


def match(operator, policy, request, key=KEY, **more):
    """Compare the policy's value or values with the request's: text, a list, or None for absent."""
    values = (policy,) if isinstance(policy, str) else tuple(policy)
    condition = Condition(parse_operator(operator), key, values)
    condition.check(Version.V2012)
    entries = {} if request is None else {KEY: request}
    return match_condition(condition, Version.V2012, Context(entries | more))


def outcome(operator, policy, request, **more):
    return match(operator, policy, request, **more).outcome


# An operator, its negation if it has one, a value of the policy, values of the request that are
# equal, and values that are not.
OPERATORS = [
    pytest.param("StringEquals", "StringNotEquals", "ab", ["ab"], ["AB", "abc", "", "a*"], id="s"),
    pytest.param("StringEquals", "StringNotEquals", "a*", ["a*"], ["ab"], id="no wildcards"),
    pytest.param("StringEquals", "StringNotEquals", "", [""], ["a"], id="empty text"),
    pytest.param(
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "johndoe",
        ["johndoe", "JohnDoe"],
        ["john", "johndoe "],
        id="ignore case",
    ),
    pytest.param("StringLike", "StringNotLike", "a*", ["a", "ab", "a/b:c"], ["A", "ba"], id="star"),
    pytest.param("StringLike", "StringNotLike", "a?", ["ab"], ["a", "abc"], id="question mark"),
    pytest.param(
        "NumericEquals",
        "NumericNotEquals",
        "1",
        ["1", "01", "+1", "1.0", "1.", "1e0"],
        ["2", "1.1", "-1"],
        id="number",
    ),
    pytest.param("NumericLessThan", None, "10", ["9", "-1", "9.9"], ["10", "11"], id="<"),
    pytest.param("NumericLessThanEquals", None, "10", ["9", "10", "10.0"], ["11"], id="<="),
    pytest.param("NumericGreaterThan", None, "10", ["11", "10.1"], ["10", "9"], id=">"),
    pytest.param("NumericGreaterThanEquals", None, "10", ["11", "10"], ["9"], id=">="),
    pytest.param(
        "DateEquals",
        "DateNotEquals",
        "2030-01-01T00:00:00Z",
        [
            "2030-01-01T00:00:00Z",
            "2030-01-01",
            "2030-01",
            "2030-01-01T00:00Z",
            "2030-01-01T02:00:00+02:00",
            "2029-12-31T19:30:00.000-04:30",
            "2030-01-01T00:00:00",
            "1893456000",
            "+1893456000",
        ],
        ["2030-01-01T00:00:01Z", "2030-01-02", "1893456001"],
        id="date",
    ),
    pytest.param(
        "DateLessThan", None, "2020-01-01", ["2019-12-31T23:59:59Z"], ["2020-01-01"], id="before"
    ),
    pytest.param(
        "DateLessThanEquals",
        None,
        "2020-01-01",
        ["2020-01-01T00:00:00Z", "0"],
        ["2020-01-01T00:00:01Z"],
        id="at or before",
    ),
    pytest.param(
        "DateGreaterThan",
        None,
        "2020-01-01T00:00:01Z",
        ["2020-01-01T00:00:02Z"],
        ["2020-01-01T00:00:01Z"],
        id="after",
    ),
    pytest.param(
        "DateGreaterThanEquals",
        None,
        "1577836801",
        ["2020-01-01T00:00:01Z"],
        ["2020-01-01T00:00:00Z"],
        id="at or after",
    ),
    pytest.param("Bool", None, "true", ["true", "True", "TRUE"], ["false"], id="true"),
    pytest.param("Bool", None, "false", ["false"], ["true"], id="false"),
    pytest.param(
        "BinaryEquals",
        None,
        "QmluYXJ5VmFsdWVJbkJhc2U2NA==",
        ["QmluYXJ5VmFsdWVJbkJhc2U2NA=="],
        ["QmluYXJ5VmFsdWVJbkJhc2U2NQ=="],
        id="binary",
    ),
    pytest.param(
        "IpAddress",
        "NotIpAddress",
        "203.0.113.0/24",
        ["203.0.113.0", "203.0.113.255"],
        ["203.0.112.255", "203.0.114.0", "2001:db8::1"],
        id="v4 range",
    ),
    pytest.param(
        "IpAddress", "NotIpAddress", "203.0.113.7", ["203.0.113.7"], ["203.0.113.8"], id="v4 host"
    ),
    pytest.param(
        "IpAddress",
        "NotIpAddress",
        "2001:DB8:1234:5678::/64",
        ["2001:db8:1234:5678::1", "2001:DB8:1234:5678:ffff:ffff:ffff:ffff"],
        ["2001:db8:1234:5679::1", "203.0.113.7"],
        id="v6 range",
    ),
    pytest.param("IpAddress", "NotIpAddress", "::1", ["::1", "0:0::1"], ["::2"], id="v6 host"),
    *(
        pytest.param(
            like,
            negation,
            "arn:aws:iam::*:user/*",
            ["arn:aws:iam::123456789012:user/test", "arn:aws:iam:::user/p/a:b"],
            ["arn:aws:iam::123456789012:role/test", "arn:aws:iam:x:1:user/test"],
            id=like,
        )
        for like, negation in (("ArnLike", "ArnNotLike"), ("ArnEquals", "ArnNotEquals"))
    ),
]


@pytest.mark.parametrize(("operator", "negation", "policy", "equal", "different"), OPERATORS)
class TestOperators:
    def test_equal_values_match(self, operator, negation, policy, equal, different):
        for value in equal:
            assert outcome(operator, policy, value) is MATCH, value
            assert outcome(f"{operator}IfExists", policy, value) is MATCH, value

    def test_different_values_do_not_match(self, operator, negation, policy, equal, different):
        for value in different:
            assert outcome(operator, policy, value) is NO_MATCH, value
            assert outcome(f"{operator}IfExists", policy, value) is NO_MATCH, value

    def test_negated_operator_inverts_match(self, operator, negation, policy, equal, different):
        for suffix in ("", "IfExists") if negation else ():
            for value in equal:
                assert outcome(negation + suffix, policy, value) is NO_MATCH, value
            for value in different:
                assert outcome(negation + suffix, policy, value) is MATCH, value

    def test_absent_key_fails_unless_negated_or_if_exists(
        self, operator, negation, policy, equal, different
    ):
        """operators: "not present … the condition is false", negations "true", IfExists "true"."""
        assert match(operator, policy, None).cause is Cause.KEY_ABSENT
        assert outcome(operator, policy, None) is NO_MATCH
        assert outcome(f"{operator}IfExists", policy, None) is MATCH
        if negation:
            assert outcome(negation, policy, None) is MATCH
            assert outcome(f"{negation}IfExists", policy, None) is MATCH

    def test_set_operators_quantify_values(self, operator, negation, policy, equal, different):
        """sets: ForAllValues wants each value of the request equal, ForAnyValue one of them."""
        one, other = equal[0], different[0]
        for request, every, some in [
            ([one], MATCH, MATCH),
            ([other], NO_MATCH, NO_MATCH),
            ([one, other], NO_MATCH, MATCH),
            ([other, one], NO_MATCH, MATCH),
            (one, MATCH, MATCH),
            (other, NO_MATCH, NO_MATCH),
            ([], MATCH, NO_MATCH),
            (None, MATCH, NO_MATCH),
        ]:
            assert outcome(f"ForAllValues:{operator}", policy, request) is every, request
            assert outcome(f"ForAnyValue:{operator}", policy, request) is some, request
        assert outcome(f"ForAnyValue:{operator}IfExists", policy, None) is MATCH

    def test_negation_applies_to_each_value_of_set(
        self, operator, negation, policy, equal, different
    ):
        """Observed: the negation is of each value, and the set operator is over the results."""
        if not negation:
            return
        one, other = equal[0], different[0]
        for request, every, some in [
            ([one], NO_MATCH, NO_MATCH),
            ([other], MATCH, MATCH),
            ([one, other], NO_MATCH, MATCH),
            (None, MATCH, NO_MATCH),
        ]:
            assert outcome(f"ForAllValues:{negation}", policy, request) is every, request
            assert outcome(f"ForAnyValue:{negation}", policy, request) is some, request
        assert outcome(f"ForAnyValue:{negation}IfExists", policy, None) is MATCH

    def test_multivalued_key_requires_set_operator(
        self, operator, negation, policy, equal, different
    ):
        """sets: "Multivalued condition keys require a set operator". Observed: never a match."""
        for name in filter(None, (operator, negation)):
            for value in (equal[0], different[0]):
                for suffix in ("", "IfExists"):
                    found = match(name + suffix, policy, [value])
                    assert found.outcome is NO_MATCH
                    assert found.cause is Cause.NEEDS_SET_OPERATOR


@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("StringEquals", ["a", "b"], "b", MATCH),
        ("StringEquals", ["a", "b"], "c", NO_MATCH),
        ("StringNotEquals", ["a", "b"], "b", NO_MATCH),
        ("StringNotEquals", ["a", "b"], "c", MATCH),
        ("NumericLessThan", ["1", "5"], "3", MATCH),
        (
            "IpAddress",
            ["203.0.113.0/24", "2001:DB8:1234:5678::/64"],
            "2001:db8:1234:5678::9",
            MATCH,
        ),
        ("NotIpAddress", ["203.0.113.0/24", "192.0.2.0/24"], "192.0.2.1", NO_MATCH),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], MATCH),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], NO_MATCH),
        ("ForAnyValue:StringLike", ["a*", "b*"], ["c", "bc"], MATCH),
    ],
)
def test_policy_values_are_alternatives(operator, policy, request_, expected):
    """…/reference_policies_multi-value-conditions.html: OR, and NOR of a negation."""
    assert outcome(operator, policy, request_) is expected


# operators: "true (the key doesn't exist — it is null) or false (the key exists …)"; the rows
# with an empty value and with other words are observed.
@pytest.mark.parametrize(
    ("policy", "request_", "expected"),
    [
        ("true", None, MATCH),
        ("true", "x", NO_MATCH),
        ("true", "", NO_MATCH),
        ("true", [], MATCH),
        ("true", ["x"], NO_MATCH),
        ("false", None, NO_MATCH),
        ("false", "x", MATCH),
        ("false", "", MATCH),
        ("false", ["x", "y"], MATCH),
        ("TRUE", "x", NO_MATCH),
        ("yes", "x", MATCH),
        ("yes", None, NO_MATCH),
    ],
)
def test_null_operator_tests_presence_of_key(policy, request_, expected):
    assert outcome("Null", policy, request_) is expected


# Each row observed: the request's value is not of the operator's type.
@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("NumericEquals", "1", "no-number", NO_MATCH),
        ("NumericNotEquals", "1", "no-number", MATCH),
        ("NumericEquals", "1", "", NO_MATCH),
        ("NumericNotEquals", "1", "", MATCH),
        ("NumericEquals", "1", "NaN", NO_MATCH),
        ("NumericNotEquals", "1", "NaN", MATCH),
        ("NumericEquals", "1", "Infinity", NO_MATCH),
        ("DateEquals", "2030-01-01T00:00:00Z", "not-a-date", NO_MATCH),
        ("DateNotEquals", "2030-01-01T00:00:00Z", "not-a-date", MATCH),
        ("DateNotEquals", "2030-01-01T00:00:00Z", "", MATCH),
        ("IpAddress", "192.0.2.0/24", "not-an-ip", NO_MATCH),
        ("NotIpAddress", "192.0.2.0/24", "not-an-ip", NO_MATCH),
        ("NotIpAddress", "192.0.2.0/24", "", NO_MATCH),
        ("IpAddress", "192.0.2.0/24", "192.0.2.1/32", NO_MATCH),
        ("NotIpAddress", "192.0.2.0/24", "192.0.2.1/32", NO_MATCH),
        ("ArnLike", "arn:aws:iam::*:user/*", "not-an-arn", NO_MATCH),
        ("ArnNotLike", "arn:aws:iam::*:user/*", "not-an-arn", NO_MATCH),
        ("ArnNotLike", "arn:aws:iam::*:user/*", "", NO_MATCH),
        ("BinaryEquals", "YQ==", "no-binary", NO_MATCH),
        ("BinaryEquals", "YQ==", "YQ", NO_MATCH),
        ("BinaryEquals", "YQ==", "YR==", NO_MATCH),
        ("BinaryEquals", "YQ==", " YQ== ", NO_MATCH),
        ("Bool", "false", "yes", MATCH),
        ("Bool", "false", "1", MATCH),
        ("Bool", "false", "", MATCH),
        ("Bool", "true", " true ", NO_MATCH),
        ("ForAnyValue:NumericEquals", "1", ["no-number", "1"], MATCH),
        ("ForAllValues:NumericEquals", "1", ["no-number", "1"], NO_MATCH),
        ("ForAllValues:NumericNotEquals", "1", ["no-number"], MATCH),
        ("ForAllValues:NumericNotEquals", "1", ["no-number", "1"], NO_MATCH),
        ("ForAllValues:StringEquals", "capture", "", NO_MATCH),
    ],
)
def test_compares_values_of_another_type(operator, policy, request_, expected):
    assert outcome(operator, policy, request_) is expected


# Each row observed: how values are spelled.
@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("NumericEquals", "9007199254740993", "9007199254740992", NO_MATCH),
        ("NumericLessThan", "9007199254740993", "9007199254740992", MATCH),
        ("DateEquals", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00.0001Z", MATCH),
        ("DateEquals", "2030-01-01T00:00:00.1231Z", "2030-01-01T00:00:00.1239Z", MATCH),
        ("Bool", "yes", "false", MATCH),
        ("Bool", "TRUE", "true", MATCH),
        ("IpAddress", "192.0.2.0/24", "192.000.2.1", MATCH),
        ("NotIpAddress", "192.0.2.0/24", "192.000.2.1", NO_MATCH),
        ("IpAddress", "192.000.002.0/24", "192.0.2.1", MATCH),
        ("IpAddress", "192.0.2.5/24", "192.0.2.1", MATCH),
        ("IpAddress", "192.0.2.0/31", "192.0.2.2", NO_MATCH),
        ("IpAddress", "192.0.2.0/0", "203.0.113.1", MATCH),
        ("NotIpAddress", "192.0.2.0/0", "2001:db8::1", MATCH),
        ("IpAddress", "192.0.2.0/024", "192.0.2.1", MATCH),
        ("IpAddress", "192.0.2.0/+24", "192.0.2.1", MATCH),
        ("StringEqualsIgnoreCase", "\u00df", "\u1e9e", MATCH),
        ("StringEqualsIgnoreCase", "\u00df", "SS", NO_MATCH),
        ("StringEqualsIgnoreCase", "K", "\u212a", MATCH),
        ("StringEqualsIgnoreCase", "s", "\u017f", NO_MATCH),
        ("StringEqualsIgnoreCase", "I", "\u0131", NO_MATCH),
        ("StringEqualsIgnoreCase", "\u039f\u03a3", "\u03bf\u03c2", MATCH),
        ("StringEqualsIgnoreCase", "\u039f\u03a3", "\u03bf\u03c3", NO_MATCH),
        ("StringEquals", "\u00e9", "e\u0301", NO_MATCH),
    ],
)
def test_accepts_spellings_of_values(operator, policy, request_, expected):
    assert outcome(operator, policy, request_) is expected


class TestVariables:
    """…/reference_policies_variables.html; negations and ARNs without a value are observed."""

    @pytest.mark.parametrize(
        ("operator", "policy", "request_", "expected"),
        [
            ("StringEquals", "${x:Team}", "ops", MATCH),
            ("StringEquals", "${x:Team}", "dev", NO_MATCH),
            ("StringLike", "${x:Team}-*", "ops-1", MATCH),
            ("StringLike", "a${*}", "a*", MATCH),
            ("StringLike", "a${*}", "ab", NO_MATCH),
            ("StringEquals", "${x:Absent}", "", NO_MATCH),
            ("StringNotEquals", "${x:Absent}", "ops", MATCH),
            ("StringEquals", "${x:Absent, 'ops'}", "ops", MATCH),
            ("StringEquals", "${x:List}", "ops", NO_MATCH),
            ("StringNotEquals", "${x:List}", "ops", MATCH),
            ("Bool", "${x:Flag}", "true", MATCH),
            ("ArnLike", "arn:aws:iam::1:user/${x:Team}", "arn:aws:iam::1:user/ops", MATCH),
            ("ArnLike", "${x:Arn}", "arn:aws:iam::1:user/ops", MATCH),
            ("ArnLike", "${x:Absent}", "arn:aws:iam::1:user/ops", NO_MATCH),
        ],
    )
    def test_substitutes_variables_in_values(self, operator, policy, request_, expected):
        more = {"x:Team": "ops", "x:List": ["ops"], "x:Flag": "TRUE"}
        more["x:Arn"] = "arn:aws:iam::1:user/ops"
        assert outcome(operator, policy, request_, **more) is expected

    @pytest.mark.parametrize("operator", ["ArnLike", "ArnNotLike"])
    @pytest.mark.parametrize(
        ("policy", "request_", "positive", "negative"),
        [
            (["${x:Junk}"], "arn:aws:iam::1:user/a", UNDEFINED, UNDEFINED),
            (["${x:Junk}"], "not-an-arn", NO_MATCH, NO_MATCH),
            (["${x:Junk}", "arn:aws:iam::*:user/*"], "arn:aws:iam::1:user/a", UNDEFINED, UNDEFINED),
            (["arn:aws:iam::*:user/*", "${x:Junk}"], "arn:aws:iam::1:user/a", MATCH, NO_MATCH),
            (["arn:aws:iam::*:role/*", "${x:Junk}"], "arn:aws:iam::1:user/a", UNDEFINED, UNDEFINED),
        ],
    )
    def test_evaluates_variable_without_arn(self, operator, policy, request_, positive, negative):
        expected = negative if operator == "ArnNotLike" else positive
        more = {"x:Junk": "not-an-arn"}
        assert outcome(operator, policy, request_, **more) is expected

    def test_one_value_may_decide_set_with_undefined_value(self):
        user, role = "arn:aws:iam::1:user/a", "arn:aws:iam::1:role/a"
        policy, more = ["arn:aws:iam::*:user/*", "${x:Junk}"], {"x:Junk": "not-an-arn"}
        for operator, request, expected in [
            ("ForAnyValue:ArnLike", [role, user], MATCH),
            ("ForAnyValue:ArnLike", [role], UNDEFINED),
            ("ForAllValues:ArnLike", [user, role], UNDEFINED),
            ("ForAllValues:ArnNotLike", [role, user], NO_MATCH),
        ]:
            assert outcome(operator, policy, request, **more) is expected, (operator, request)

    def test_lists_mentioned_keys(self):
        condition = Condition(parse_operator("StringLike"), KEY, ("${a:b}*", "${c:d, 'e'}"))
        assert condition.variables(Version.V2012) == ("a:b", "c:d")
        assert condition.variables(Version.V2008) == ()


@pytest.mark.parametrize("prefix", ["ForAllValues:", "ForAnyValue:"])
@pytest.mark.parametrize("request_", [None, [], "a", ["a"], ["a", "b"]])
@pytest.mark.parametrize("policy", ["true", "false"])
def test_set_operator_makes_no_difference_to_null(prefix, request_, policy):
    assert outcome(f"{prefix}Null", policy, request_) is outcome("Null", policy, request_)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "StringEqual",
        "stringequals",
        "StringEqualsIfExist",
        "IfExists",
        "StringEqualsIfExistsIfExists",
        "BinaryNotEquals",
        "NullIfExists",
        "ForAnyValue:NullIfExists",
        "ForAnyValues:StringEquals",
        "ForAllValues:",
        ":StringEquals",
        "ForAllValues:ForAnyValue:StringEquals",
    ],
)
def test_unknown_operator_is_error(text):
    with pytest.raises(PolicyError, match="unknown"):
        parse_operator(text)


# Observed for all but the date of four digits: MalformedPolicyDocument when the policy is stored.
@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericEquals", "NaN"),
        ("NumericEquals", "no-number"),
        ("NumericLessThan", ""),
        ("NumericEquals", "1 "),
        ("NumericEquals", "\u0661"),
        ("NumericEquals", "${x:Limit}"),
        ("DateEquals", "not-a-date"),
        ("DateEquals", "2030-13-01"),
        ("DateLessThan", "2030-01-01 00:00:00Z"),
        ("DateLessThan", "2030"),
        ("DateLessThan", "2030-01-01T00:00:00*"),
        ("IpAddress", "not-an-ip"),
        ("IpAddress", "192.0.2.0/33"),
        ("IpAddress", "192.0.2.0/"),
        ("IpAddress", "192.0.2"),
        ("IpAddress", "192.0.2.*"),
        ("IpAddress", "fe80::1%eth0"),
        ("BinaryEquals", "no-binary"),
        ("ArnLike", "not-an-arn"),
        ("StringEquals", "${x:Broken"),
    ],
)
def test_invalid_value_of_operator_is_error(operator, value):
    with pytest.raises(PolicyError, match=r"is no|ARN format|malformed"):
        match(operator, value, "x")


@pytest.mark.parametrize("key", ["", "username", ":username", "aws:"])
def test_key_without_vendor_is_error(key):
    with pytest.raises(PolicyError, match="vendor"):
        match("StringEquals", "a", "a", key=key)


def test_finds_keys_in_any_case():
    assert match("StringEquals", "a", "a", key="X:KEY").outcome is MATCH


def test_result_has_request_values_for_explanation():
    found = match("ForAnyValue:StringEquals", "a", ["b", "c"])
    assert found.values == ("b", "c")
    assert found.cause is Cause.VALUE_DIFFERENT
    assert str(found.condition.operator) == "ForAnyValue:StringEquals"
