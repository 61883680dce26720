"""The small changes that a test suite has to notice: one change of one syntax node each.

Besides comparisons, Boolean operators, numbers and statements these are entries of lists, operands,
alternatives of regular expressions and the members of their character classes: where this program
keeps its rules. Docstrings, annotations, decorators and texts of messages (strings with a space)
are left as they are.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Change = tuple[str, ast.AST]

_OTHERS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
}
_CALLED = {"all": "any", "any": "all", "min": "max", "max": "min"}
# Calls that give back almost what they were given.
_FILTERS = {"lower", "upper", "strip", "sorted", "realpath"}
_NOT_CODE = {"annotation", "returns", "decorator_list", "ctx", "type_params"}


@dataclass(frozen=True, eq=False)
class Mutation:
    """One change. `where` and `change` name it, whatever the line numbers are.

    `exchangeable` means that it is in the body of a function, or in a constant of the module.
    """

    where: str
    change: str
    exchangeable: bool
    holder: Any
    field: str
    index: int | None
    node: ast.AST

    def apply(self) -> None:
        """Make the change, in the tree that the mutation was found in."""
        if self.index is None:
            setattr(self.holder, self.field, self.node)
        else:
            getattr(self.holder, self.field)[self.index] = self.node


def mutations(tree: ast.Module) -> list[Mutation]:
    """Return all mutations of a module. Those that read the same are numbered."""
    found: list[Mutation] = []
    seen: Counter[tuple[str, str]] = Counter()
    for where, holder, field, index, node, exchangeable in _nodes(tree, "", False):
        # An entry that is taken out says as much as one that is spelled otherwise.
        entry = field in ("elts", "keys") and isinstance(node, ast.Constant)
        for change, new in () if entry else _changes(node):
            ast.copy_location(new, node)
            ast.fix_missing_locations(new)
            seen[where, change] += 1
            if seen[where, change] > 1:
                change += f" (#{seen[where, change]})"
            found.append(Mutation(where, change, exchangeable, holder, field, index, new))
    return found


def _nodes(
    holder: Any, where: str, exchangeable: bool
) -> Iterator[tuple[str, Any, str, int | None, Any, bool]]:
    for field, value in ast.iter_fields(holder):
        if field in _NOT_CODE:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(node, ast.AST) or _is_left(node) or _is_prose(holder, node):
                continue
            inside = ".".join(filter(None, (where, _name(node, where))))
            here = (
                exchangeable
                or (isinstance(holder, ast.FunctionDef) and field == "body")
                or (
                    isinstance(holder, ast.Module) and isinstance(node, (ast.Assign, ast.AnnAssign))
                )
            )
            yield inside, holder, field, index, node, here
            yield from _nodes(node, inside, here)


def _is_prose(holder: ast.AST, node: ast.AST) -> bool:
    """Return whether `node` is a piece of a formatted message."""
    return (
        isinstance(holder, ast.JoinedStr)
        and isinstance(node, ast.Constant)
        and any(" " in v.value for v in holder.values if isinstance(v, ast.Constant))
    )


def _name(node: ast.AST, where: str) -> str:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and not where:
        return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return ""


def _is_left(node: ast.AST) -> bool:
    """Return whether `node` stays unchanged: a docstring, or an annotation for the type checker."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):  # a union of types
        return set(map(type, ast.walk(node))) <= {ast.BinOp, ast.BitOr, ast.Name, ast.Load}
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _changes(node: ast.AST) -> Iterator[Change]:
    """Return each change of `node` alone, with its description."""
    if change := globals().get(f"_of_{type(node).__name__.lower()}"):
        yield from change(node)
    for field in ("elts", "keys", "ifs", "keywords"):
        if isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        for index, item in enumerate(getattr(node, field, ())):
            new: Any = copy.deepcopy(node)
            del getattr(new, field)[index]
            if field == "keys":
                del new.values[index]
            if item is not None:
                yield f"without {_short(item)} in {_short(node)}", new


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:40]}…{text[-15:]}"


def _to(node: ast.AST, new: ast.AST) -> Change:
    return f"{_short(node)} → {_short(new)}", new


def _of_compare(node: ast.Compare) -> Iterator[Change]:
    for index, operator in enumerate(node.ops):
        for other in _OTHERS[type(operator)]:
            new = copy.deepcopy(node)
            new.ops[index] = other()
            yield f"{_sign(operator)} → {_sign(other())} in {_short(node)}", new


def _sign(operator: ast.cmpop) -> str:
    return ast.unparse(ast.Compare(ast.Name("x"), [operator], [ast.Name("x")]))[2:-2]


def _of_boolop(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    name = "or" if isinstance(node.op, ast.And) else "and"
    yield f"{name} in {_short(node)}", ast.BoolOp(other, node.values)
    for index, value in enumerate(node.values):
        rest = node.values[:index] + node.values[index + 1 :]
        new = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield f"without {_short(value)} in {_short(node)}", copy.deepcopy(new)


def _of_unaryop(node: ast.UnaryOp) -> Iterator[Change]:
    yield _to(node, copy.deepcopy(node.operand))


def _of_binop(node: ast.BinOp) -> Iterator[Change]:
    if isinstance(node.op, ast.BitOr):
        yield f"without {_short(node.right)} in {_short(node)}", copy.deepcopy(node.left)
        yield f"without {_short(node.left)} in {_short(node)}", copy.deepcopy(node.right)
    elif type(node.op) in _ARITHMETIC:
        yield _to(node, ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))


def _of_augassign(node: ast.AugAssign) -> Iterator[Change]:
    new = ast.copy_location(ast.Assign([copy.deepcopy(node.target)], node.value), node)
    yield _to(node, new)


def _of_ifexp(node: ast.IfExp) -> Iterator[Change]:
    yield _to(node, copy.deepcopy(node.body))
    yield _to(node, copy.deepcopy(node.orelse))


def _of_if(node: ast.If) -> Iterator[Change]:
    for value in (True, False):
        new = ast.If(ast.Constant(value), node.body, node.orelse)
        yield f"if {_short(node.test)} → if {value}", new


def _of_while(node: ast.While) -> Iterator[Change]:
    yield (
        f"while {_short(node.test)} → while False",
        ast.While(ast.Constant(False), node.body, node.orelse),
    )


def _of_match(node: ast.Match) -> Iterator[Change]:
    for index, case in enumerate(node.cases):
        if len(node.cases) > 1:
            new = copy.deepcopy(node)
            del new.cases[index]
            yield f"without case {_short(case.pattern)}", new


def _of_try(node: ast.Try) -> Iterator[Change]:
    for index, handler in enumerate(node.handlers):
        new: Any = copy.deepcopy(node)
        del new.handlers[index]
        if not new.handlers and not new.finalbody:
            new = ast.If(ast.Constant(True), new.body + new.orelse, [])
        yield f"without except {_short(handler.type) if handler.type else ''}", new


def _of_call(node: ast.Call) -> Iterator[Change]:
    function = node.func
    name = getattr(function, "id", None) or getattr(function, "attr", "")
    if isinstance(function, ast.Name) and name in _CALLED:
        yield _to(node, ast.Call(ast.Name(_CALLED[name], ast.Load()), node.args, node.keywords))
    if name in _FILTERS:
        inner = node.args[0] if node.args else function.value  # type: ignore[attr-defined]
        yield _to(node, copy.deepcopy(inner))
    for index, argument in enumerate(node.args):
        if name == "suppress" or ast.unparse(argument) in ("re.IGNORECASE", "re.DOTALL"):
            new = copy.deepcopy(node)
            del new.args[index]
            yield f"without {_short(argument)} in {_short(node)}", new


def _of_return(node: ast.Return) -> Iterator[Change]:
    if node.value is not None and ast.unparse(node.value) != "None":
        yield _to(node, ast.Return(ast.Constant(None)))


def _of_raise(node: ast.Raise) -> Iterator[Change]:
    yield f"without {_short(node)}", ast.Pass()


def _of_expr(node: ast.Expr) -> Iterator[Change]:
    if not isinstance(node.value, (ast.Yield, ast.YieldFrom)):
        yield f"without {_short(node)}", ast.Pass()


def _of_assign(node: ast.Assign) -> Iterator[Change]:
    if all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets):
        yield f"without {_short(node)}", ast.Pass()


def _of_break(node: ast.Break) -> Iterator[Change]:
    yield "break → continue", ast.Continue()


def _of_continue(node: ast.Continue) -> Iterator[Change]:
    yield "continue → break", ast.Break()


def _of_constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield _to(node, ast.Constant(not value))
    elif isinstance(value, int | float):
        yield _to(node, ast.Constant(value + 1))
    elif isinstance(value, str) and is_expression(value):
        for change, text in expressions(value):
            yield f"{change} in {_short(node)}", ast.Constant(text)
    elif isinstance(value, str) and " " not in value:
        yield _to(node, ast.Constant(value + "XX"))
    elif isinstance(value, bytes):
        yield _to(node, ast.Constant(value + b"XX"))


def _of_joinedstr(node: ast.JoinedStr) -> Iterator[Change]:
    constants = [v.value for v in node.values if isinstance(v, ast.Constant)]
    prose = any(" " in text for text in constants)
    for index, value in enumerate(node.values):
        if isinstance(value, ast.FormattedValue) and not prose:
            new = copy.deepcopy(node)
            del new.values[index]
            yield f"without {{{_short(value.value)}}} in {_short(node)}", new


# Regular expressions

_CLASS = re.compile(r"\[\^?((?:\\.|[^\]\\])+)\]")
_MEMBER = re.compile(r"(?:\\x[0-9a-f]{2}|\\.|[^\\])(?:-(?:\\x[0-9a-f]{2}|[^\]\\]))?", re.DOTALL)


def is_expression(text: str) -> bool:
    """Return whether `text` looks like a regular expression."""
    return "\\" in text or _CLASS.search(text) is not None


def expressions(text: str) -> Iterator[tuple[str, str]]:
    """Return descriptions and changed texts: one alternative, class member or anchor less, or
    another quantifier.
    """
    classes = [(match.start(1), match.end(1)) for match in _CLASS.finditer(text)]
    gone = list(_alternatives(text))
    for start, end in classes:
        members = [match.span() for match in _MEMBER.finditer(text, start, end)]
        gone += members if len(members) > 1 else []
    gone += [match.span() for match in re.finditer(r"\\[Zb]", text)]
    for start, end in gone:
        yield f"without {text[start:end]}", text[:start] + text[end:]
    for match in re.finditer(r"(?<!\\)[+*]|(?<=,)[0-9]+(?=\})|(?<=\{)[0-9]+(?=[,}])", text):
        if not any(start <= match.start() < end for start, end in classes):
            other = {"+": "*", "*": "+"}.get(match[0]) or str(int(match[0]) + 1)
            yield f"{match[0]} → {other}", text[: match.start()] + other + text[match.end() :]


def _alternatives(text: str) -> Iterator[tuple[int, int]]:
    """Return the span of each alternative, together with one of its bars."""
    bare = re.sub(r"\\.", "..", _CLASS.sub(lambda match: "." * len(match[0]), text))
    for bar in (at for at, sign in enumerate(bare) if sign == "|"):
        yield _edge(bare, bar, -1), bar + 1
        yield bar, _edge(bare, bar, 1)


def _edge(bare: str, at: int, step: int) -> int:
    """Return where the alternative before (`step` -1) or after the bar at `at` ends."""
    opening, closing = ("(", ")") if step > 0 else (")", "(")
    depth = 0
    at += step
    while 0 <= at < len(bare):
        if depth == 0 and bare[at] in ("|", closing):
            break
        depth += (bare[at] == opening) - (bare[at] == closing)
        at += step
    return at if step > 0 else at + 1
