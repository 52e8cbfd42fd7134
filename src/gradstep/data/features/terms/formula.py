"""A formula in Wilkinson's notation, ``price ~ bs(carat) + color*clarity``, as options of terms.

`formulaic` parses it (the notation: Wilkinson and Rogers, 1973); what its terms mean is said here.
Nothing of a formula is run: calls are looked at as Python's syntax tree.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gradstep.data.features.terms.options import KNOTS, TERMS
from gradstep.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_formula"]

_ALL = "\0all"  # what a point stands for
_FUNCTIONS = "bs(x), bs(x, df=12), log(x), poly(x, 2), I(x**2), C(x)"
_SAYS_IT = ("only", *TERMS)


class _Factor(NamedTuple):
    """A column, and what is to become of it: "" as it is."""

    column: str
    made: str = ""
    number: int = 0


def with_formula(target: str | None, given: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return target and options of `gradstep.prepare`, with what a formula says of them.

    Parameters
    ----------
    target : str, optional
        The column to predict; by default the left side of the formula.
    given : mapping
        The options; without a `formula` they stay as they are.

    Raises
    ------
    InvalidParameter
        If there is no such formula, a term is of no kind that there is, or an option says the same.
    """
    options = dict(given)
    formula = options.pop("formula", None)
    if formula is None:
        return target, options
    if both := [name for name in _SAYS_IT if options.get(name)]:
        msg = f"The formula says which columns and terms there are: leave {', '.join(both)} away."
        raise InvalidParameter(msg)
    reading = _Reading(formula)
    predicted, terms = reading.sides()
    if predicted is not None and target not in {None, predicted}:
        msg = f"The formula {formula!r} predicts {predicted!r}, and the target is {target!r}."
        raise InvalidParameter(msg)
    found = reading.options(terms)
    kinds = {**found.pop("kinds"), **(options.get("kinds") or {})}
    return predicted or target, {**options, **found, "kinds": kinds}


class _Reading:
    """A formula, as it is being read."""

    def __init__(self, formula: str) -> None:
        self.formula = formula

    def refuse(self, why: str) -> NoReturn:
        """Say what is wrong with it."""
        msg = f"The formula {self.formula!r} {why}"
        raise InvalidParameter(msg)

    def sides(self) -> tuple[str | None, list[tuple[_Factor, ...]]]:
        """Return the column on the left, if there is one, and the terms on the right."""
        left, right = self._parsed()
        if len(left) > 1:
            self.refuse("has several terms on its left: one column is predicted.")
        predicted = None
        for term in left:
            (predicted, made, _), *more = self._factors(term)
            if made or more:
                self.refuse(
                    f"predicts {term!r}: the left side is a column. Take its logarithm before, or "
                    "use a loss for what is positive (poisson, gamma)."
                )
        terms = [self._factors(term) for term in right if not _is_one(term)]
        if all(not _is_one(term) for term in right):
            self.refuse("has no intercept (0 or -1): models of tables have one. Leave that away.")
        if not terms:
            self.refuse("has no term on its right.")
        return predicted, terms

    def _parsed(self) -> tuple[list[Any], list[Any]]:
        try:
            from formulaic.errors import FormulaicError
            from formulaic.parser import DefaultFormulaParser
        except ImportError as error:
            msg = (
                "A formula is parsed by formulaic, which is not installed: pip install "
                "'gradstep[formula]'. Without it: splines=..., crosses=..., polynomials=..., "
                "logs=..., only=...."
            )
            raise InvalidParameter(msg) from error
        try:
            context = {"__formulaic_variables_available__": [_ALL]}
            found = DefaultFormulaParser().get_terms(self.formula, context=context)
        except FormulaicError as error:
            self.refuse(f"cannot be parsed: {str(error).splitlines()[0]}")
        left: Any = found.lhs if hasattr(found, "lhs") else []
        right: Any = found.rhs if hasattr(found, "rhs") else found.root
        if isinstance(right, tuple) or isinstance(left, tuple):
            self.refuse("has several parts (|): models have one.")
        terms = list(right)
        names = [factor.expr for term in terms for factor in term.factors]
        if _ALL in names and "-" in re.sub(r"`[^`]*`", "", self.formula):
            self.refuse("takes a term from all columns (. -): leave columns out by drop=....")
        return list(left), terms

    def _factors(self, term: Any) -> tuple[_Factor, ...]:
        return tuple(self._factor(factor) for factor in term.factors)

    def _factor(self, factor: Any) -> _Factor:
        if factor.eval_method.value == "lookup":
            return _Factor(factor.expr)
        quoted: list[str] = re.findall(r"`([^`]*)`", factor.expr)
        names = iter(range(len(quoted)))
        text = re.sub(r"`[^`]*`", lambda _: f"_quoted_{next(names)}", factor.expr)
        found = _called(text)
        if found is None:
            self.refuse(f"has the term {factor.expr}: there are columns, and {_FUNCTIONS}.")
        if found.column.startswith("_quoted_"):
            return found._replace(column=quoted[int(found.column.removeprefix("_quoted_"))])
        return found

    def options(self, terms: list[tuple[_Factor, ...]]) -> dict[str, Any]:
        """Return what the terms on the right are as options of `gradstep.prepare`."""
        alone = [term[0] for term in terms if len(term) == 1]
        everything = _Factor(_ALL) in alone
        made: dict[str, _Factor] = {}
        for factor in alone:
            if factor.made in {"power", "poly"} or factor.column == _ALL:
                continue
            if made.setdefault(factor.column, factor) != factor:
                self.refuse(f"has {factor.column} as two things: a column becomes one.")
        powers = self._powers(alone, made, everything=everything)
        crosses = [term for term in terms if len(term) > 1]
        for cross in crosses:
            self._check_cross(cross, made, everything=everything)
        found: dict[str, Any] = {
            "splines": {c: f.number for c, f in made.items() if f.made == "bs"},
            "crosses": [(one.column, two.column) for one, two in crosses],
            "polynomials": powers,
            "logs": [c for c, f in made.items() if f.made == "log"],
        }
        kinds = {c: "category" for c, f in made.items() if f.made == "category"}
        always = {"only": [] if everything else list(made), "kinds": kinds}
        return always | {name: value for name, value in found.items() if value}

    def _powers(
        self, alone: list[_Factor], made: dict[str, _Factor], *, everything: bool
    ) -> dict[str, int]:
        """Return columns with their highest power, all below of which must be there."""
        powers: dict[str, set[int]] = {}
        for factor in alone:
            if factor.made == "poly":
                made.setdefault(factor.column, _Factor(factor.column))
                powers.setdefault(factor.column, set()).update(range(2, factor.number + 1))
            elif factor.made == "power":
                powers.setdefault(factor.column, set()).add(factor.number)
        for column, has in powers.items():
            plain = made.get(column, _Factor(column) if everything else None)
            if plain != _Factor(column) or set(range(2, max(has) + 1)) != has:
                self.refuse(
                    f"has a power of {column} without all below it: write "
                    f"poly({column}, {max(has)})."
                )
        return {column: max(has) for column, has in powers.items()}

    def _check_cross(
        self, cross: tuple[_Factor, ...], made: Mapping[str, _Factor], *, everything: bool
    ) -> None:
        name = ":".join(factor.column for factor in cross)
        if len(cross) > 2:
            self.refuse(f"has the cross {name}: crosses are of two columns.")
        if all(factor.made == "bs" for factor in cross):
            self.refuse(f"has a cross of two curves ({name}): one of the two can be one.")
        for factor in cross:
            beside = made.get(factor.column, _Factor(factor.column) if everything else None)
            if factor.column == _ALL:
                self.refuse("crosses all columns (.): name the two.")
            if beside != factor and not (
                beside and factor.made == "" and beside.made == "category"
            ):
                self.refuse(
                    f"has the cross {name} without {factor.column} beside it as it is there: "
                    "crosses stand beside their columns. Write * for :."
                )


def _is_one(term: Any) -> bool:
    return all(factor.eval_method.value == "literal" for factor in term.factors)


def _called(text: str) -> _Factor | None:
    """Return what a call says, as ``bs(carat, df=8)``; None if there is nothing of that kind.

    Examples
    --------
    >>> _called("bs(carat, df=12)"), _called("sin(x)")
    (_Factor(column='carat', made='bs', number=10), None)
    """
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(node, ast.Call):
        return _power(node)  # as {x**2}
    function = ast.unparse(node.func).removeprefix("np.")
    values = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
    whole = [n.value for n in values if isinstance(n, ast.Constant) and type(n.value) is int]
    named = {keyword.arg for keyword in node.keywords}
    first = node.args[0] if node.args else None
    found = None
    if function == "I" and first is not None and not values:
        found = _power(first)
    elif isinstance(first, ast.Name) and len(whole) == len(values):
        if function == "bs" and len(whole) <= 1 and named <= {"df"}:
            found = _Factor(first.id, "bs", whole[0] - 2 if whole else KNOTS)
        elif function == "poly" and len(whole) == 1 and named <= {"degree"}:
            found = _Factor(first.id, "poly", whole[0])
        elif function in {"log", "C"} and not whole:
            found = _Factor(first.id, "log" if function == "log" else "category")
    return found


def _power(node: ast.expr) -> _Factor | None:
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Pow)
        and isinstance(node.left, ast.Name)
        and isinstance(node.right, ast.Constant)
        and type(node.right.value) is int
    ):
        return _Factor(node.left.id, "power", node.right.value)
    return None
