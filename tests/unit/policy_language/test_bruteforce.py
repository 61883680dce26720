"""Two readings of the documentation, compared over generated policies, ARNs and contexts."""

import collections
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.examples import examples
from ssmgate.gate.decision.wildcards import like
from ssmgate.policy_language import Context, Policies, Request, evaluate, parse_policy
from ssmgate.policy_language.variables import Version, parse_template
from unit.policy_language import bruteforce

# Few letters and few values, so that they meet.
text = st.text("ab*?", max_size=5)
KEYS = ["a:One", "a:Two", "b:Tag/x", "aws:username"]
keys = st.sampled_from([*KEYS, *(key.upper() for key in KEYS)])


def with_variables(strategy):
    variable = st.sampled_from(
        ["${a:One}", "${A:TWO, 'ab'}", "${aws:username}", "${*}", "${?}", "${$}", "${x:y, ''}"]
    )
    return st.lists(strategy | variable, max_size=3).map("".join)


arns = st.builds(
    "arn:{}:{}:{}:{}:{}".format,
    st.just("aws"),
    st.sampled_from(["ssm", "ec2"]),
    st.sampled_from(["", "r1", "r2"]),
    st.sampled_from(["", "1", "12"]),
    st.sampled_from(["a", "a/b", "a/a", "a:b", "b/ab", "a/*", "a/b:c:d"]),
)
part = st.sampled_from(["*", "?", "", "r1", "r*", "1", "1?", "?*"])
incomplete = st.builds(
    lambda parts: ":".join(["arn", "aws", *parts]),
    st.lists(st.sampled_from(["ssm", "*", "r1", "1", "a*", "a/*"]), min_size=1, max_size=3),
)
arn_patterns = st.just("*") | st.builds(
    "arn:{}:{}:{}:{}:{}".format,
    st.sampled_from(["aws", "*"]),
    st.sampled_from(["ssm", "*", "e?2"]),
    part,
    part,
    with_variables(st.text("ab/:*?", min_size=1, max_size=4)).filter(bool)
    | st.sampled_from(["*", "a*", "a:*", "a/*:?", "a/*:c:*"]),
)
numbers = st.sampled_from(["1", "01", "1.0", "-1", "2", "2.5", "1e1", "10"])
dates = st.sampled_from(
    [
        "2030-01-01",
        "2030-01-01T00:00:00Z",
        "2030-01-01T01:00:00+01:00",
        "2029-12-31T23:59:59Z",
        "1893456000",
        "1893456001",
    ]
)
addresses = st.sampled_from(
    ["10.0.0.0", "10.0.0.1", "10.0.1.0", "11.0.0.1", "::1", "2001:db8::", "2001:DB8:0:1::f"]
)
networks = addresses | st.builds(
    "{}/{}".format, addresses, st.sampled_from(["0", "8", "9", "24", "31", "32"])
)
binaries = st.sampled_from(["", "YQ==", "Yg==", "YWI="])
junk = st.sampled_from(["", "x", "true", "1", "arn:a"])

ORDER = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
TYPES = {
    "String": (
        ["Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike"],
        with_variables(text | st.just("AB")),
        text | st.sampled_from(["AB", "aB"]),
    ),
    "Numeric": (
        ORDER,
        numbers,
        numbers | junk,
    ),
    "Date": (
        ORDER,
        dates,
        dates | junk,
    ),
    "Bool": ([""], st.sampled_from(["true", "false", "${a:One}"]), junk | st.just("false")),
    "BinaryEquals": ([""], binaries, binaries | junk),
    "IpAddress": ([""], networks, addresses | junk),
    "NotIpAddress": ([""], networks, addresses | junk),
    "Arn": (
        ["Equals", "Like", "NotEquals", "NotLike"],
        arn_patterns | st.just("${a:One}"),
        arns | junk,
    ),
    "Null": ([""], st.sampled_from(["true", "false"]), text),
}


def one_or_list(strategy):
    return strategy | st.lists(strategy, min_size=1, max_size=3)


@st.composite
def conditions(draw, context):
    """Generate a Condition element, and values of its types for the keys that it mentions."""
    element = {}
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(TYPES)))
        suffixes, ours, theirs = TYPES[name]
        operator = name + draw(st.sampled_from(suffixes))
        if name != "Null":
            operator = draw(st.sampled_from(["", "ForAllValues:", "ForAnyValue:"])) + operator
            operator += draw(st.sampled_from(["", "IfExists"]))
        key = draw(keys)
        element.setdefault(operator, {})
        if key.lower() in {other.lower() for other in element[operator]}:
            continue
        element[operator][key] = draw(one_or_list(ours))
        present = draw(st.sampled_from(["absent", "single", "single", "list"]))
        if key.lower() not in {other.lower() for other in context}:
            if present == "single":
                context[key] = draw(theirs)
            elif present == "list":
                context[key] = draw(st.lists(theirs, max_size=3))
    return {operator: found for operator, found in element.items() if found}


@st.composite
def policies(draw, context):
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        action = draw(st.sampled_from(["Action", "Action", "NotAction"]))
        resource = draw(st.sampled_from(["Resource", "Resource", "NotResource"]))
        statements.append(
            {
                "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
                action: draw(
                    one_or_list(st.sampled_from(["*", "x:*", "X:DO*", "x:D?", "y:Do", "x:Do"]))
                ),
                resource: draw(one_or_list(arn_patterns | incomplete)),
                "Condition": draw(conditions(context)),
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


@st.composite
def cases(draw):
    context = {}
    if draw(st.booleans()):
        context["aws:username"] = draw(st.sampled_from(["a", "*", "b/a", "a:b"]))
    identity = [draw(policies(context)) for _ in range(draw(st.integers(1, 2)))]
    boundary = draw(st.none() | policies(context))
    levels = [[draw(policies(context))] for _ in range(draw(st.integers(0, 2)))]
    request = {
        "action": draw(st.sampled_from(["x:Do", "x:do", "X:Does", "y:Do"])),
        "resource": draw(arns),
        "context": context,
    }
    return request, identity, boundary, levels


def ours(request, identity, boundary, levels):
    def parse(policy):
        return parse_policy(json.dumps(policy))

    return evaluate(
        Request(request["action"], request["resource"], Context(request["context"])),
        Policies(
            tuple(map(parse, identity)),
            parse(boundary) if boundary else None,
            tuple(tuple(map(parse, level)) for level in levels),
        ),
    ).eval_decision.value


def test_both_readings_agree():
    seen = collections.Counter()

    @settings(max_examples=examples(250), deadline=None)
    @given(cases())
    def compare(case):
        expected = bruteforce.decide(*case)
        seen[expected] += 1
        assert ours(*case) == expected

    compare()
    # Too few examples may leave out an explicit deny.
    assert set(seen) == {"allowed", "implicitDeny", "explicitDeny"} or seen.total() < 250


@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_both_readings_agree_on_single_statements(data):
    """One Allow and one Deny with the same elements: they differ only where a match is
    undefined.
    """
    context = {}
    element = data.draw(conditions(context))
    request = {"action": "x:Do", "resource": data.draw(arns), "context": context}
    for effect in ("Allow", "Deny"):
        statement = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": element}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        expected = bruteforce.decide(request, [policy])
        assert ours(request, [policy], None, []) == expected


values = st.sampled_from(["a", "b", "*", "a:b"])
contexts = st.dictionaries(
    st.sampled_from(["a:One", "A:Two", "aws:username"]), values | st.lists(values, max_size=2)
)


@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from(["Resource", "NotResource"]),
    st.lists(arn_patterns | incomplete, min_size=1),
    arns,
    contexts,
)
def test_both_readings_agree_on_resources(element, patterns, resource, context):
    request = {"action": "x:Do", "resource": resource, "context": context}
    for effect in ("Allow", "Deny"):
        statement = {"Effect": effect, "Action": "*", element: patterns}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        expected = bruteforce.decide(request, [policy])
        assert ours(request, [policy], None, []) == expected


@settings(max_examples=examples(200), deadline=None)
@given(pattern=st.text("ab\n.*?", max_size=8), value=st.text("ab\n.*?", max_size=8))
def test_both_readings_agree_on_wildcards(pattern, value):
    resolved = parse_template(pattern, Version.V2012).resolve(Context())
    expected = bruteforce.re.fullmatch(bruteforce.regex(pattern), value, bruteforce.re.DOTALL)
    assert like(resolved, value) is (expected is not None)
