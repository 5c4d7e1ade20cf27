"""Which mistakes are planted: mutmut's own, and three kinds that it lacks."""

from collections.abc import Iterable

import libcst as cst
from mutmut.mutation import mutators


def choose() -> None:
    """Let mutmut plant these mistakes, in functions/ and shared/."""
    own = [
        (node, _strings_but_texts if operator is mutators.operator_string else operator)
        for node, operator in mutators.mutation_operators
    ]
    mutators.mutation_operators[:] = [
        *own,
        (cst.BaseSmallStatement, _dropped),
        (cst.If, _negated),
        (cst.Return, _nothing),
    ]


def _strings_but_texts(node: cst.BaseString) -> Iterable[cst.BaseString]:
    """Leave sentences as they are: a changed word in a message breaks no rule."""
    if isinstance(node, cst.SimpleString) and " " in node.value:
        return
    yield from mutators.operator_string(node)


def _dropped(node: cst.BaseSmallStatement) -> Iterable[cst.Pass]:
    """Forget a call for its effect (a write, a log line, a check), or an error."""
    if isinstance(node, cst.Raise) or (isinstance(node, cst.Expr) and isinstance(node.value, cst.Call)):
        yield cst.Pass()


def _negated(node: cst.If) -> Iterable[cst.If]:
    """Take the other branch. mutmut changes comparisons and `not` itself."""
    if not isinstance(node.test, cst.Comparison | cst.UnaryOperation):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(operator=cst.Not(), expression=test))


def _nothing(node: cst.Return) -> Iterable[cst.Return]:
    """Return None instead of what was computed."""
    if isinstance(node.value, cst.Call | cst.Attribute | cst.Tuple | cst.List | cst.Dict):
        yield node.with_changes(value=cst.Name("None"))
