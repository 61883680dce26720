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

YES, NO, UNDEFINED = Outcome.MATCHED, Outcome.NOT_MATCHED, Outcome.UNDEFINED
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
            assert outcome(operator, policy, value) is YES, value
            assert outcome(f"{operator}IfExists", policy, value) is YES, value

    def test_different_values_do_not_match(self, operator, negation, policy, equal, different):
        for value in different:
            assert outcome(operator, policy, value) is NO, value
            assert outcome(f"{operator}IfExists", policy, value) is NO, value

    def test_negated_operator_inverts_match(self, operator, negation, policy, equal, different):
        for suffix in ("", "IfExists") if negation else ():
            for value in equal:
                assert outcome(negation + suffix, policy, value) is NO, value
            for value in different:
                assert outcome(negation + suffix, policy, value) is YES, value

    def test_absent_key_fails_unless_negated_or_if_exists(
        self, operator, negation, policy, equal, different
    ):
        """operators: "not present … the condition is false", negations "true", IfExists "true"."""
        assert match(operator, policy, None).cause is Cause.KEY_ABSENT
        assert outcome(operator, policy, None) is NO
        assert outcome(f"{operator}IfExists", policy, None) is YES
        if negation:
            assert outcome(negation, policy, None) is YES
            assert outcome(f"{negation}IfExists", policy, None) is YES

    def test_set_operators_quantify_values(self, operator, negation, policy, equal, different):
        """sets: ForAllValues wants each value of the request equal, ForAnyValue one of them."""
        one, other = equal[0], different[0]
        for request, every, some in [
            ([one], YES, YES),
            ([other], NO, NO),
            ([one, other], NO, YES),
            ([other, one], NO, YES),
            (one, YES, YES),
            (other, NO, NO),
            ([], YES, NO),
            (None, YES, NO),
        ]:
            assert outcome(f"ForAllValues:{operator}", policy, request) is every, request
            assert outcome(f"ForAnyValue:{operator}", policy, request) is some, request
        assert outcome(f"ForAnyValue:{operator}IfExists", policy, None) is YES

    def test_negation_applies_to_each_value_of_set(
        self, operator, negation, policy, equal, different
    ):
        """Observed: the negation is of each value, and the set operator is over the results."""
        if not negation:
            return
        one, other = equal[0], different[0]
        for request, every, some in [
            ([one], NO, NO),
            ([other], YES, YES),
            ([one, other], NO, YES),
            (None, YES, NO),
        ]:
            assert outcome(f"ForAllValues:{negation}", policy, request) is every, request
            assert outcome(f"ForAnyValue:{negation}", policy, request) is some, request
        assert outcome(f"ForAnyValue:{negation}IfExists", policy, None) is YES

    def test_multivalued_key_requires_set_operator(
        self, operator, negation, policy, equal, different
    ):
        """sets: "Multivalued condition keys require a set operator". Observed: never a match."""
        for name in filter(None, (operator, negation)):
            for value in (equal[0], different[0]):
                for suffix in ("", "IfExists"):
                    found = match(name + suffix, policy, [value])
                    assert found.outcome is NO
                    assert found.cause is Cause.NEEDS_SET_OPERATOR


@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("StringEquals", ["a", "b"], "b", YES),
        ("StringEquals", ["a", "b"], "c", NO),
        ("StringNotEquals", ["a", "b"], "b", NO),
        ("StringNotEquals", ["a", "b"], "c", YES),
        ("NumericLessThan", ["1", "5"], "3", YES),
        ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::9", YES),
        ("NotIpAddress", ["203.0.113.0/24", "192.0.2.0/24"], "192.0.2.1", NO),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], YES),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], NO),
        ("ForAnyValue:StringLike", ["a*", "b*"], ["c", "bc"], YES),
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
        ("true", None, YES),
        ("true", "x", NO),
        ("true", "", NO),
        ("true", [], YES),
        ("true", ["x"], NO),
        ("false", None, NO),
        ("false", "x", YES),
        ("false", "", YES),
        ("false", ["x", "y"], YES),
        ("TRUE", "x", NO),
        ("yes", "x", YES),
        ("yes", None, NO),
    ],
)
def test_null_operator(policy, request_, expected):
    assert outcome("Null", policy, request_) is expected


# Each row observed: the request's value is not of the operator's type.
@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("NumericEquals", "1", "no-number", NO),
        ("NumericNotEquals", "1", "no-number", YES),
        ("NumericEquals", "1", "", NO),
        ("NumericNotEquals", "1", "", YES),
        ("NumericEquals", "1", "NaN", NO),
        ("NumericNotEquals", "1", "NaN", YES),
        ("NumericEquals", "1", "Infinity", NO),
        ("DateEquals", "2030-01-01T00:00:00Z", "not-a-date", NO),
        ("DateNotEquals", "2030-01-01T00:00:00Z", "not-a-date", YES),
        ("DateNotEquals", "2030-01-01T00:00:00Z", "", YES),
        ("IpAddress", "192.0.2.0/24", "not-an-ip", NO),
        ("NotIpAddress", "192.0.2.0/24", "not-an-ip", NO),
        ("NotIpAddress", "192.0.2.0/24", "", NO),
        ("IpAddress", "192.0.2.0/24", "192.0.2.1/32", NO),
        ("NotIpAddress", "192.0.2.0/24", "192.0.2.1/32", NO),
        ("ArnLike", "arn:aws:iam::*:user/*", "not-an-arn", NO),
        ("ArnNotLike", "arn:aws:iam::*:user/*", "not-an-arn", NO),
        ("ArnNotLike", "arn:aws:iam::*:user/*", "", NO),
        ("BinaryEquals", "YQ==", "no-binary", NO),
        ("BinaryEquals", "YQ==", "YQ", NO),
        ("BinaryEquals", "YQ==", "YR==", NO),
        ("BinaryEquals", "YQ==", " YQ== ", NO),
        ("Bool", "false", "yes", YES),
        ("Bool", "false", "1", YES),
        ("Bool", "false", "", YES),
        ("Bool", "true", " true ", NO),
        ("ForAnyValue:NumericEquals", "1", ["no-number", "1"], YES),
        ("ForAllValues:NumericEquals", "1", ["no-number", "1"], NO),
        ("ForAllValues:NumericNotEquals", "1", ["no-number"], YES),
        ("ForAllValues:NumericNotEquals", "1", ["no-number", "1"], NO),
        ("ForAllValues:StringEquals", "capture", "", NO),
    ],
)
def test_compares_values_of_another_type(operator, policy, request_, expected):
    assert outcome(operator, policy, request_) is expected


# Each row observed: how values are spelled.
@pytest.mark.parametrize(
    ("operator", "policy", "request_", "expected"),
    [
        ("NumericEquals", "9007199254740993", "9007199254740992", NO),
        ("NumericLessThan", "9007199254740993", "9007199254740992", YES),
        ("DateEquals", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00.0001Z", YES),
        ("DateEquals", "2030-01-01T00:00:00.1231Z", "2030-01-01T00:00:00.1239Z", YES),
        ("Bool", "yes", "false", YES),
        ("Bool", "TRUE", "true", YES),
        ("IpAddress", "192.0.2.0/24", "192.000.2.1", YES),
        ("NotIpAddress", "192.0.2.0/24", "192.000.2.1", NO),
        ("IpAddress", "192.000.002.0/24", "192.0.2.1", YES),
        ("IpAddress", "192.0.2.5/24", "192.0.2.1", YES),
        ("IpAddress", "192.0.2.0/31", "192.0.2.2", NO),
        ("IpAddress", "192.0.2.0/0", "203.0.113.1", YES),
        ("NotIpAddress", "192.0.2.0/0", "2001:db8::1", YES),
        ("IpAddress", "192.0.2.0/024", "192.0.2.1", YES),
        ("IpAddress", "192.0.2.0/+24", "192.0.2.1", YES),
        ("StringEqualsIgnoreCase", "\u00df", "\u1e9e", YES),
        ("StringEqualsIgnoreCase", "\u00df", "SS", NO),
        ("StringEqualsIgnoreCase", "K", "\u212a", YES),
        ("StringEqualsIgnoreCase", "s", "\u017f", NO),
        ("StringEqualsIgnoreCase", "I", "\u0131", NO),
        ("StringEqualsIgnoreCase", "\u039f\u03a3", "\u03bf\u03c2", YES),
        ("StringEqualsIgnoreCase", "\u039f\u03a3", "\u03bf\u03c3", NO),
        ("StringEquals", "\u00e9", "e\u0301", NO),
    ],
)
def test_accepts_spellings_of_values(operator, policy, request_, expected):
    assert outcome(operator, policy, request_) is expected


class TestVariables:
    """…/reference_policies_variables.html; negations and ARNs without a value are observed."""

    @pytest.mark.parametrize(
        ("operator", "policy", "request_", "expected"),
        [
            ("StringEquals", "${x:Team}", "ops", YES),
            ("StringEquals", "${x:Team}", "dev", NO),
            ("StringLike", "${x:Team}-*", "ops-1", YES),
            ("StringLike", "a${*}", "a*", YES),
            ("StringLike", "a${*}", "ab", NO),
            ("StringEquals", "${x:Absent}", "", NO),
            ("StringNotEquals", "${x:Absent}", "ops", YES),
            ("StringEquals", "${x:Absent, 'ops'}", "ops", YES),
            ("StringEquals", "${x:List}", "ops", NO),
            ("StringNotEquals", "${x:List}", "ops", YES),
            ("Bool", "${x:Flag}", "true", YES),
            ("ArnLike", "arn:aws:iam::1:user/${x:Team}", "arn:aws:iam::1:user/ops", YES),
            ("ArnLike", "${x:Arn}", "arn:aws:iam::1:user/ops", YES),
            ("ArnLike", "${x:Absent}", "arn:aws:iam::1:user/ops", NO),
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
            (["${x:Junk}"], "not-an-arn", NO, NO),
            (["${x:Junk}", "arn:aws:iam::*:user/*"], "arn:aws:iam::1:user/a", UNDEFINED, UNDEFINED),
            (["arn:aws:iam::*:user/*", "${x:Junk}"], "arn:aws:iam::1:user/a", YES, NO),
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
            ("ForAnyValue:ArnLike", [role, user], YES),
            ("ForAnyValue:ArnLike", [role], UNDEFINED),
            ("ForAllValues:ArnLike", [user, role], UNDEFINED),
            ("ForAllValues:ArnNotLike", [role, user], NO),
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
    assert match("StringEquals", "a", "a", key="X:KEY").outcome is YES


def test_result_has_request_values_for_explanation():
    found = match("ForAnyValue:StringEquals", "a", ["b", "c"])
    assert found.values == ("b", "c")
    assert found.cause is Cause.VALUE_DIFFERENT
    assert str(found.condition.operator) == "ForAnyValue:StringEquals"
