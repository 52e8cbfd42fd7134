"""Which step an epoch takes: a table of rules, each with the reason that was measured.

The first rule that holds decides. What a step costs is counted in products of a row's features
(`ScaledProblem.products`), of which a Newton step takes the Hessian of all rows. Measurements:
ADR 0010 and 0017, `benchmarks/no_tuning`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.automatic.scaled_problem import ScaledProblem

__all__ = [
    "ALWAYS_NEWTON",
    "RULES",
    "Rule",
    "StepKind",
    "all_rows_are_cheap",
    "batch_size",
    "can_take_newton_steps",
    "has_matrix",
    "hessian_rows",
    "rule_for",
    "sample_rows",
]

ALWAYS_NEWTON = 64  # features up to which the Hessian of all rows costs no more than steps
_MOST_PARAMETERS = 1024  # that a preconditioner is made for,
_MOST_SPARSE = 2048  # and where rows have few of them
_MOST_NUMBERS = 1 << 24  # of the preconditioners of all outputs, of which some copies are made
CHEAP_PRODUCTS = 5e8  # of a Hessian: some 20 ms
_AFFORDABLE_PRODUCTS = 1e10  # where they need to be summed once
_FEW_ROWS = 40  # a feature, whose products cost no more than steps to the solution
_SAMPLE_PASSES = 20  # over all rows, in products, that the Hessian of a sample may cost; but
_LEAST_A_FEATURE = 4  # rows a feature at least,
_ENOUGH_A_FEATURE = 100  # and no more, unless they are next to nothing beside a pass:
_SMALL_PASSES = 5  # over all rows, in products, that
_MOST_A_FEATURE = 400  # rows a feature may cost: each step shrinks the excess by as much
_MOST_SAMPLED = 1 << 26  # and numbers: half a gigabyte
_SOLVED_A_FEATURE = 40  # of a sample whose solution a run starts from, at least
_LEAST_ROWS = 2000  # of any sample
_SAMPLE_PAYS = 4  # times as many rows as a sample has, from which its solution saves passes


class StepKind(IntEnum):
    """How an epoch goes from snapshot to snapshot."""

    SAMPLE = 0
    NEWTON = 1
    QUASI_NEWTON = 2
    REDUCED = 3

    @property
    def words(self) -> str:
        """The same for people."""
        return _WORDS[self]


_WORDS = (
    "the solution of a sample",
    "a Newton step",
    "a quasi-Newton step",
    "variance-reduced steps",
)


class Rule(NamedTuple):
    """A rule of the choice.

    Attributes
    ----------
    holds : callable
        Whether it decides, from the problem.
    kind : StepKind
        What it decides.
    why : str
        The reason, for people.
    """

    holds: Callable[[ScaledProblem], bool]
    kind: StepKind
    why: str


# ------------------------------------------------------------------ what the rules ask


def _most_parameters(of: ScaledProblem) -> int:
    return _MOST_SPARSE if of.is_sparse else _MOST_PARAMETERS


def has_matrix(of: ScaledProblem) -> bool:
    """Tell whether there are few enough parameters for a matrix of each output's."""
    return of.q <= _most_parameters(of) + 1 and min(of.pairs, of.k) * of.q**2 <= _MOST_NUMBERS


def can_take_newton_steps(of: ScaledProblem) -> bool:
    """Tell whether there are few enough parameters for a Hessian."""
    most = _most_parameters(of)
    if of.joint:
        return of.q * of.k <= most + of.k
    return has_matrix(of)


def _is_solved_at_once(of: ScaledProblem) -> bool:
    """Tell whether one sum over rows of few features is the end of it: least squares."""
    sparse = of.products < of.q * of.q
    return of.quadratic and sparse and of.data.n * of.products <= _AFFORDABLE_PRODUCTS


def all_rows_are_cheap(of: ScaledProblem) -> bool:
    """Tell whether the Hessian of all rows costs no more than steps, or once and for all."""
    return of.products <= ALWAYS_NEWTON**2 * of.k or _is_solved_at_once(of)


def _newton(holds: Callable[[ScaledProblem], bool], why: str) -> Rule:
    return Rule(lambda of: can_take_newton_steps(of) and holds(of), StepKind.NEWTON, why)


RULES = (
    Rule(lambda of: of.is_exact, StepKind.NEWTON, "one Newton step is the exact solution"),
    Rule(
        lambda of: of.only_prox, StepKind.REDUCED,
        "the penalty is known by its proximal map alone, which works weight by weight",
    ),
    _newton(
        lambda of: of.constraints is not None, "constraints, which the step to a minimum keeps"
    ),
    _newton(all_rows_are_cheap, "few features: the Hessian of all rows costs no more than steps"),
    _newton(
        lambda of: of.data.n * of.products <= CHEAP_PRODUCTS,
        "little data: the Hessian of all rows takes some 20 ms",
    ),
    _newton(
        lambda of: of.quadratic and of.data.n <= _FEW_ROWS * of.q,
        "least squares of few rows a feature: one Newton step is the solution",
    ),
    _newton(lambda of: not of.smooth, "the loss has kinks, which a Hessian sees best"),
    _newton(lambda of: of.has_l1, "an l1 penalty, whose zeros coordinate descent finds"),
    Rule(
        lambda of: of.has_l1, StepKind.REDUCED,
        "an l1 penalty and too many parameters for a matrix of them",
    ),
    Rule(
        lambda of: not has_matrix(of), StepKind.QUASI_NEWTON,
        "too many parameters for a matrix of them: a pass a step, in a diagonal preconditioner",
    ),
    Rule(
        lambda _: True, StepKind.QUASI_NEWTON,
        "a pass over the rows a step, in the Hessian of a sample",
    ),
)  # fmt: skip


def rule_for(of: ScaledProblem) -> Rule:
    """Return the rule that decides how epochs go, once the first is over."""
    return next(rule for rule in RULES if rule.holds(of))


def hessian_rows(of: ScaledProblem) -> int:
    """Return how many rows the Hessian of a sample is of: what it costs, quasi-Newton steps save.

    It may cost as much as some passes over all rows. A step shrinks the excess by about the rows a
    feature; below some it is a poor one, and beyond a hundred they must cost next to nothing.
    """
    n = of.data.n
    small = min(_SMALL_PASSES * n / of.q, _MOST_A_FEATURE * of.q, _MOST_SAMPLED / of.q)
    return int(min(n, max(_rows_to_solve(of), small)))


def _rows_to_solve(of: ScaledProblem) -> float:
    affordable = min(_SAMPLE_PASSES * of.data.n / of.q, _ENOUGH_A_FEATURE * of.q)
    return max(affordable, _LEAST_A_FEATURE * of.q, _LEAST_ROWS)


def sample_rows(of: ScaledProblem, kind: StepKind) -> int:
    """Return the rows of the sample whose solution a run starts from; 0 where it would not pay."""
    if of.is_exact or kind is StepKind.REDUCED:
        return 0
    if of.quadratic and kind is StepKind.NEWTON and (not of.has_l1 or all_rows_are_cheap(of)):
        return 0  # the first Newton step is the last
    rows = int(max(_rows_to_solve(of), _SOLVED_A_FEATURE * of.q))
    return rows if of.data.n >= _SAMPLE_PAYS * rows else 0


def batch_size(of: ScaledProblem) -> int:
    """Return the rows of a batch of variance-reduced steps: as given, or by what they cost.

    A step costs all features, a row those that it has.
    """
    n = of.data.n
    if of.problem.batch_size:
        return min(of.problem.batch_size, n)
    touched = max(1, of.data.rows.row_bytes() // 8)
    best = min(max(of.q * of.k / (4.0 * touched), 64), 4096)
    return max(1, min(int(2 ** round(math.log2(best))), n // 50))
