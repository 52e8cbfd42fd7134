"""Which step an epoch takes: a table of rules, each with the reason that was measured.

The first rule that holds decides. What a step costs is counted in products of a row's features
(`ScaledProblem.products`): of a Newton step, all of the Hessian; of a mini-batch step in a
full preconditioner, q² a batch. Measurements: ADR 0010, `benchmarks/no_tuning`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.svrg.scaled_problem import ScaledProblem

__all__ = [
    "ALWAYS_NEWTON",
    "RULES",
    "Rule",
    "StepKind",
    "all_rows_are_cheap",
    "batch_size",
    "begins_plain",
    "can_take_newton_steps",
    "rule_for",
]

ALWAYS_NEWTON = 64  # features up to which the Hessian of all rows costs no more than steps
_MOST_PARAMETERS = 1024  # that a preconditioner is made for,
_MOST_SPARSE = 2048  # and where rows have few of them
_MOST_NUMBERS = 1 << 24  # of the preconditioners of all outputs, of which some copies are made
CHEAP_PRODUCTS = 5e8  # of a Hessian: some 20 ms
_AFFORDABLE_PRODUCTS = 1e10  # where they need to be summed once
_STEPS_PAY = 40  # rows a feature from which mini-batch steps beat a Newton step
_PLAIN_PAYS = 200  # rows a feature from which a plain epoch comes within 1 % of the optimum
_PLAIN_ROWS = 2000
_UNEVEN_ROWS_A_FEATURE = 100


class StepKind(IntEnum):
    """How an epoch goes from snapshot to snapshot."""

    PLAIN = 0
    REDUCED = 1
    NEWTON = 2
    DIAGONAL = 3

    @property
    def words(self) -> str:
        """The same for people."""
        return _WORDS[self]


_WORDS = (
    "mini-batch steps",
    "variance-reduced steps",
    "a Newton step",
    "variance-reduced steps, diagonal preconditioner",
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


def _has_room(of: ScaledProblem) -> bool:
    return min(of.pairs, of.k) * of.q**2 <= _MOST_NUMBERS


def can_take_newton_steps(of: ScaledProblem) -> bool:
    """Tell whether there are few enough parameters for a Hessian."""
    most = _most_parameters(of)
    if of.joint:
        return of.q * of.k <= most + of.k
    return of.q <= most + 1 and _has_room(of)


def _is_solved_at_once(of: ScaledProblem) -> bool:
    """Tell whether one sum over rows of few features is the end of it: least squares."""
    sparse = of.products < of.q * of.q
    return of.quadratic and sparse and of.data.n * of.products <= _AFFORDABLE_PRODUCTS


def all_rows_are_cheap(of: ScaledProblem) -> bool:
    """Tell whether the Hessian of all rows costs no more than steps, or once and for all."""
    return of.products <= ALWAYS_NEWTON**2 * of.k or _is_solved_at_once(of)


def _has_few_rows(of: ScaledProblem) -> bool:
    return of.data.n <= _STEPS_PAY * of.q * (of.k if of.joint else 1)


def _is_uneven(of: ScaledProblem) -> bool:
    harmless = of.bounded and of.columns.measured  # dense rows of a bounded second derivative
    return not harmless and of.is_uneven(_UNEVEN_ROWS_A_FEATURE * of.q)


def _newton(holds: Callable[[ScaledProblem], bool], why: str) -> Rule:
    return Rule(lambda of: can_take_newton_steps(of) and holds(of), StepKind.NEWTON, why)


RULES = (
    Rule(lambda of: of.is_exact, StepKind.NEWTON, "one Newton step is the exact solution"),
    Rule(
        lambda of: of.q > _most_parameters(of) + 1 or not _has_room(of), StepKind.DIAGONAL,
        "too many parameters for a matrix of them",
    ),
    Rule(
        lambda of: of.only_prox, StepKind.DIAGONAL,
        "the penalty is known by its proximal map alone, which works weight by weight",
    ),
    _newton(all_rows_are_cheap, "few features: the Hessian of all rows costs no more than steps"),
    _newton(
        lambda of: of.data.n * of.products <= CHEAP_PRODUCTS,
        "little data: the Hessian of all rows takes some 20 ms",
    ),
    _newton(_has_few_rows, "few rows a feature: a Newton step beats mini-batch steps"),
    _newton(lambda of: not of.smooth, "the loss has kinks, which mini-batch steps do not see"),
    _newton(lambda of: of.has_l1, "an l1 penalty, whose zeros mini-batch steps do not find"),
    _newton(_is_uneven, "rows that lie far out, which make mini-batch steps short"),
    Rule(
        lambda of: of.has_l1, StepKind.DIAGONAL,
        "an l1 penalty and too many parameters for a matrix of all outputs",
    ),
    Rule(lambda _: True, StepKind.REDUCED, "many rows: steps on a share of them lead on fastest"),
)  # fmt: skip


def rule_for(of: ScaledProblem) -> Rule:
    """Return the rule that decides how epochs go, once the first is over."""
    return next(rule for rule in RULES if rule.holds(of))


def begins_plain(of: ScaledProblem, kind: StepKind) -> bool:
    """Tell whether the first epoch takes plain mini-batch steps.

    From some 200 rows a feature on, one epoch of them comes within 1 % of the optimum.
    """
    if of.is_exact:
        return False
    if kind is StepKind.DIAGONAL:
        return True
    if of.quadratic and kind is StepKind.NEWTON and (not of.has_l1 or all_rows_are_cheap(of)):
        return False  # the first Newton step is the last
    return of.data.n >= max(_PLAIN_PAYS * of.q, _PLAIN_ROWS)


def batch_size(of: ScaledProblem, kind: StepKind, mean_length: float) -> int:
    """Return the rows of a batch: as given, or by what a step and a row cost.

    With t0 the time of a step and t1 that of a row, sqrt(t0 / t1 · R²) rows are best (where
    mini-batches pay off linearly up to R²; Jain et al., JMLR 18(223), 2018), R² being the mean
    length of rows in the preconditioner's metric.
    """
    n = of.data.n
    if of.problem.batch_size:
        return min(of.problem.batch_size, n)
    if kind is StepKind.DIAGONAL:  # a step costs all features, a row those that it has
        touched = max(1, of.data.rows.row_bytes() // 8)
        best, least, most = of.q * of.k / (4.0 * touched), 64, 4096
    else:
        best = math.sqrt((of.q / 10.0 + 1000.0 / of.q) * max(mean_length, 1.0))
        least, most = 16, 256
    power = int(2 ** round(math.log2(min(max(best, least), most))))
    return max(1, min(power, n // 50))
