"""A second reading of AWS's documentation, to hold `ssmgate.policy_language` against.

It shares nothing with it: policies are plain dictionaries, patterns become regular expressions,
addresses become strings of bits, numbers fractions. It is written to be compared with the pages of
https://docs.aws.amazon.com/IAM/latest/UserGuide/ named at each function, not to be fast, and it
takes valid policies of version 2012-10-17 only.

None, in place of true or false, is "cannot be said": an Allow does not apply, a Deny does.
"""

import base64
import datetime
import re
from fractions import Fraction


def decide(request, identity, boundary=None, levels=()):
    """Return the decision: deny first, then each layer must allow.

    reference_policies_evaluation-logic.html
    """
    groups = [*levels, identity, *([[boundary]] if boundary else [])]
    statements = [[one for policy in group for one in policy["Statement"]] for group in groups]
    effects = [[one["Effect"] for one in group if applies(one, request)] for group in statements]
    if any("Deny" in group for group in effects):
        return "explicitDeny"
    return "allowed" if all("Allow" in group for group in effects) else "implicitDeny"


def applies(statement, request):
    answers = [action_answer(statement, request), resource_answer(statement, request)]
    for operator, keys in statement.get("Condition", {}).items():
        answers += [
            condition_answer(operator, key, values, request) for key, values in keys.items()
        ]
    if False in answers:
        return False
    return True if None not in answers else statement["Effect"] == "Deny"


def many(value):
    return value if isinstance(value, list) else [value]


def regex(text):
    """reference_policies_elements_resource.html: * any combination, ? any single character."""
    return "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in text)


def action_answer(statement, request):
    """reference_policies_elements_action.html, reference_policies_elements_notaction.html"""
    element = "Action" if "Action" in statement else "NotAction"
    covered = any(
        re.fullmatch(regex(text), request["action"], re.IGNORECASE | re.DOTALL)
        for text in many(statement[element])
    )
    return covered == (element == "Action")


def resource_answer(statement, request):
    """reference_policies_elements_resource.html, reference_policies_elements_notresource.html"""
    element = "Resource" if "Resource" in statement else "NotResource"
    answers = [arn_answer(text, request["resource"], request) for text in many(statement[element])]
    if "either" in answers and True not in answers:
        return None
    if element == "Resource":
        return True in answers
    return False if True in answers else None if None in answers else True


def arn_answer(text, arn, request):
    """…#Conditions_ARN: each of the six colon-delimited components is checked separately."""
    if text == "*":
        return True
    expression = fill_in(text, request, regex)
    if expression is None:
        return None
    parts = expression.split(":", 5)
    if len(parts) < 6:
        return incomplete_answer(text, arn)
    if parts[0] != "arn":  # a variable may bring in anything
        return None
    names = ["partition", "service", "region", "account", "resource"]
    whole = re.fullmatch(
        "arn:" + ":".join(f"(?P<{name}>[^:]*)" for name in names[:-1]) + ":(?P<resource>.*)",
        arn,
        re.DOTALL,
    )
    assert whole, arn
    return all(
        re.fullmatch(part, whole[name], re.DOTALL)
        for part, name in zip(parts[1:], names, strict=True)
    )


def incomplete_answer(text, arn):
    """reference-arns.html: "completes the ARN by adding wildcard characters to all missing fields";
    reference_policies_elements_resource.html: a last * "can expand to match beyond" the colon.
    """
    completed = "arn" + text[3:] + ":*" * (5 - text.count(":"))
    if arn_answer(completed, arn, {"context": {}}):
        return True
    return "either" if re.fullmatch(regex(text), arn, re.DOTALL) else False


VARIABLE = re.compile(r"\$\{([*?$])\}|\$\{([^},]+)(?:, '([^']*)')?\}")


def fill_in(text, request, translate):
    """reference_policies_variables.html: values, defaults, ${*} ${?} ${$}; multivalued: no value.

    The text around the variables goes through `translate`, what they bring in is itself.
    """
    context = lower_keys(request)
    out, at = [], 0
    for found in VARIABLE.finditer(text):
        out.append(translate(text[at : found.start()]))
        at = found.end()
        escape, key, default = found.groups()
        value = escape
        if key is not None:
            value = context.get(key.lower())
            if isinstance(value, list):
                value = None if value else default
            elif value is None:
                value = default
        if value is None:
            return None
        out.append(re.escape(value) if translate is regex else value)
    return "".join(out) + translate(text[at:])


def lower_keys(request):
    """reference_policies_elements_condition.html: "Condition key names are not case-sensitive"."""
    return {key.lower(): value for key, value in request["context"].items()}


def condition_answer(operator, key, values, request):
    """…_elements_condition_operators.html, …_condition-single-vs-multi-valued-context-keys.html"""
    values = many(values)
    have = lower_keys(request).get(key.lower())
    have = None if have == [] else have
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return any((have is None) == (value == "true") for value in values)
    base = re.sub("IfExists$", "", name)
    if have is None:
        if base != name:
            return True
        if quantifier:
            return quantifier == "ForAllValues"
        return "Not" in base
    if isinstance(have, list) and not quantifier:
        return False
    answers = [value_answer(base, values, one, request) for one in many(have)]
    if quantifier == "ForAllValues":
        return False if False in answers else None if None in answers else True
    return True if True in answers else None if None in answers else False


def value_answer(base, values, have, request):
    """Compare one value of the request: OR over the policy's values, and NOR for a negated
    operator.
    """
    negated = "Not" in base
    kind = base.replace("Not", "")
    if kind.startswith("Arn"):
        if not re.fullmatch("arn(:[^:]*){4}:.+", have, re.DOTALL):
            return False
        for value in values:
            found = arn_condition(value, have, request)
            if found is None:
                return None
            if found:
                return not negated
        return negated
    if kind == "IpAddress":
        bits = ip_bits(have)
        if bits is None:
            return False
        return any(bits.startswith(ip_bits(value)) for value in values) != negated
    return any(equal(kind, value, have, request) for value in values) != negated


def arn_condition(value, have, request):
    expression = fill_in(value, request, regex)
    if expression is None:
        return False  # no value: "there is no equal or like value"
    if value != "*" and expression.count(":") < 5:  # only elements are completed, not conditions
        return None
    return arn_answer(value, have, request)


def ip_bits(text):
    """Return an address as `4` or `6` and its bits, a range as the part that its members share."""
    address, slash, prefix = text.partition("/")
    if re.fullmatch(r"\d+(\.\d+){3}", address):
        octets = [int(octet) for octet in address.split(".")]
        if max(octets) > 255:
            return None
        bits, family = "".join(f"{octet:08b}" for octet in octets), "4"
    elif re.fullmatch(r"[0-9a-fA-F:]+", address) and ":" in address:
        head, gap, tail = address.partition("::")
        head, tail = ([one for one in part.split(":") if one] for part in (head, tail))
        groups = head + ["0"] * (8 - len(head) - len(tail) if gap else 0) + tail
        if len(groups) != 8:
            return None
        bits, family = "".join(f"{int(group, 16):016b}" for group in groups), "6"
    else:
        return None
    return family + (bits[: int(prefix)] if slash else bits)


def equal(kind, value, have, request):
    if kind.startswith("String") or kind == "Bool":
        if kind == "StringLike":
            wanted = fill_in(value, request, regex)
            return wanted is not None and bool(re.fullmatch(wanted, have, re.DOTALL))
        wanted = fill_in(value, request, str)
        if wanted is None:
            return False
        if kind == "Bool":
            return bool(re.fullmatch("true", wanted, re.I)) == bool(
                re.fullmatch("true", have, re.I)
            )
        if kind == "StringEqualsIgnoreCase":
            return wanted.lower() == have.lower()
        return wanted == have
    if kind == "BinaryEquals":
        return have == base64.b64encode(base64.b64decode(value)).decode()
    read = number if kind.startswith("Numeric") else moment
    wanted, found = read(value), read(have)
    if found is None:
        return False
    return {
        "Equals": found == wanted,
        "LessThan": found < wanted,
        "LessThanEquals": found <= wanted,
        "GreaterThan": found > wanted,
        "GreaterThanEquals": found >= wanted,
    }[re.sub("^(Numeric|Date)", "", kind)]


def number(text):
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def moment(text):
    if re.fullmatch(r"\d{1,3}|\d{5,}", text):
        return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
