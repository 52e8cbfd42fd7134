"""Which step an epoch takes: a table of rules, each with its reason.

The first rule in `RULES` that holds decides, for all epochs but the first: with many rows that one
is a `SAMPLE`, the solution of a sample of the rows, which `sample_rows` decides by itself; with few
it may be a `DESCENT`, which `quick_steps` decides.

Costs are counted in products of two features of a row (`ScaledProblem.products`): the Hessian of a
dense row takes q², and the cost of a pass over all n rows is put at n·q. A rule or a constant that
was measured names the ADR (docs/adr) with the measurement; `benchmarks/no_tuning` repeats most.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from gradstep.engine.wide_hessian import is_wide
from gradstep.rows.layouts import CsrRows, DenseRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.engine.automatic.scaled_problem import ScaledProblem

__all__ = [
    "ALWAYS_NEWTON",
    "RULES",
    "WHY_DESCENT",
    "Rule",
    "StepKind",
    "all_rows_are_cheap",
    "batch_size",
    "can_take_newton_steps",
    "has_factors",
    "has_few_rows",
    "has_matrix",
    "hessian_rows",
    "is_cheap",
    "is_penalised",
    "is_rough",
    "is_summed_in_single",
    "most_in_working_set",
    "rule_for",
    "sample_rows",
    "tries_diagonal",
]

# Parameters of an output with which a Hessian of all rows, where one is summed, costs no more than
# a pass (ADR 0010).
ALWAYS_NEWTON = 64
# Most parameters that a full preconditioner is made for (ADR 0010).
_MOST_PARAMETERS = 1024
# The same where rows are sparse, so that a Hessian costs less (ADR 0010).
_MOST_SPARSE = 2048
# The same where rows are dense and the step is the solution of a linear system (ADR 0045).
_MOST_DENSE = 4096
# Least second derivative of the penalty, as a share of a standardised feature's, with which the
# Hessian of many dense features may be summed in single precision (ADR 0045).
_LEAST_RIDGE = 1e-5
# Largest share of a feature's sum of squares that is a single row's there, and products from which
# that pays for least squares, of which one step in double precision is the last (ADR 0056).
_FARTHEST, _WORTH_SINGLE = 0.1, 5e9
# Most rows that a step is taken in the space of, where they have more features (ADR 0045).
_FEW_ROWS_OF_ALL = 2048
# Square of the rows, per feature, up to which that pays for losses that take several steps.
_SQUARE_A_FEATURE = 128
# Least `tol` that sums in single precision lead to (ADR 0052).
_ROUGH = 1e-4
# Most parameters of all outputs of a joint loss for which their common Hessian pays (ADR 0061).
_MOST_OF_ALL_OUTPUTS = 512
# Most outputs of a joint loss, whose Hessian for the scores is a matrix of them (ADR 0038).
_MOST_OUTPUTS = 2048
# Most numbers in the preconditioner of all outputs: 128 MB, of which some copies are made.
_MOST_NUMBERS = 1 << 24
# Most bytes of all rows of which a working set has a copy of some features (ADR 0054).
_MOST_BYTES_OF_SETS = 1 << 31
# Products that always pay for the Hessian of a sample: some 20 ms (ADR 0010 has the speed).
CHEAP_PRODUCTS = 5e8
# Products that pay for the Hessian of all rows at each step: they take a millisecond (ADR 0043).
_NEWTON_PRODUCTS = 2e7
# Products that pay for a Hessian that is summed only once (ADR 0010).
_AFFORDABLE_PRODUCTS = 1e10
# Rows per feature up to which a Hessian of least squares, the solution, costs no more than the
# steps that would lead there (ADR 0010).
_FEW_ROWS = 40
# What the Hessian of a sample may cost, in passes over all rows (ADR 0017).
_SAMPLE_PASSES = 20
# Rows per feature that a sample has at least, whatever they cost: with fewer its Hessian is a poor
# preconditioner (ADR 0017).
_LEAST_A_FEATURE = 4
# Rows per feature that a sample has at most, unless more are cheap: see the next two (ADR 0017).
_ENOUGH_A_FEATURE = 100
# What a Hessian of more rows than that may cost, in passes over all rows (ADR 0022).
_SMALL_PASSES = 5
# Rows per feature that it then has at most; a step shrinks the excess about so many times (ADR
# 0022).
_MOST_A_FEATURE = 400
# Numbers that it then has at most: half a gigabyte.
_MOST_SAMPLED = 1 << 26
# Rows per feature of a sample whose solution a run starts from, at least (ADR 0017).
_SOLVED_A_FEATURE = 40
# Rows of the data per row of a larger sample, which Newton steps solve, at least (ADR 0058).
_SOLVED_SHARE = 16
# Products of a sample's Hessian, per number of all rows, from which steps in a diagonal are tried
# before it is summed: about four passes (ADR 0055).
_DIAGONAL_PAYS = 50
# Rows of any sample, at least.
_LEAST_ROWS = 2000
# A run starts from the solution of a sample if it has at least so many times its rows (ADR 0017).
_SAMPLE_PAYS = 4


class StepKind(IntEnum):
    """How an epoch goes from snapshot to snapshot; `SAMPLE`, `DESCENT` only in the first epoch."""

    SAMPLE = 0
    NEWTON = 1
    QUASI_NEWTON = 2
    VARIANCE_REDUCED = 3
    WORKING_SET = 4
    DESCENT = 5

    @property
    def words(self) -> str:
        """The same for people."""
        return _WORDS[self]


_WORDS = (
    "the solution of a sample",
    "a Newton step",
    "a quasi-Newton step",
    "variance-reduced steps",
    "the optimum of a working set",
    "quick steps in single precision",
)
# Why these are taken.
WHY_DESCENT = "a few steps over little data cost less than making a matrix"


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
    if of.is_sparse:
        return _MOST_SPARSE
    dense = isinstance(of.data.rows, DenseRows) and not of.joint
    enough = of.quadratic or of.data.n >= of.q
    return _MOST_DENSE if dense and enough and of.smooth and of.is_plain else _MOST_PARAMETERS


def has_matrix(of: ScaledProblem) -> bool:
    """Tell whether there are few enough parameters for a matrix for each output."""
    return of.q <= _most_parameters(of) + 1 and min(of.blocks, of.k) * of.q**2 <= _MOST_NUMBERS


def has_few_rows(of: ScaledProblem) -> bool:
    """Tell whether Newton steps are taken in the space of the rows: see `row_space`."""
    n, rows = of.data.n, of.data.rows
    if n >= of.q:
        return False
    kind = isinstance(rows, DenseRows | CsrRows) and of.smooth and of.is_plain and not of.joint
    if not (kind and not of.only_prox and n <= _FEW_ROWS_OF_ALL):
        return False
    if not (of.quadratic or n * n <= _SQUARE_A_FEATURE * of.q):
        return False
    free = of.standardisation.scale > 0.0
    penalised = bool((of.ridge[:-1][free] > 0.0).all())
    return penalised and n * of.products + of.q**3 / 3 > _NEWTON_PRODUCTS


def is_rough(of: ScaledProblem) -> bool:
    """Tell whether steps in single precision lead as near the optimum as is asked for."""
    return of.problem.tol is not None and of.problem.tol >= _ROUGH and not of.wants_exact


def is_summed_in_single(of: ScaledProblem) -> bool:
    """Tell whether the Hessian of quasi-Newton steps may be summed in single precision.

    Its error, some 1e-6 of a standardised feature's second derivative, must be small beside that of
    the penalty, and beside what all rows but the one farthest out contribute. It is one of the
    steps alone: the gradient is exact.
    """
    wide = is_wide(of.data.rows, pairs=of.joint)
    if of.quadratic and of.q <= _MOST_PARAMETERS + 1:
        wide = wide and not _costs(of, _WORTH_SINGLE)
    if not wide or of.is_uneven_by(_FARTHEST):
        return False
    return is_penalised(of)


def is_penalised(of: ScaledProblem) -> bool:
    """Tell whether the penalty's second derivative counts beside that of each feature."""
    return bool((of.ridge[:-1][of.standardisation.scale > 0.0] >= _LEAST_RIDGE).all())


def has_factors(of: ScaledProblem) -> bool:
    """Tell whether the Hessian is taken as the product of one of features and one of outputs."""
    wide = of.joint and of.q * of.k > _MOST_OF_ALL_OUTPUTS and not of.has_l1
    known = hasattr(of.problem.loss, "score_hessian")
    return wide and known and of.q <= _most_parameters(of) + 1 and of.k <= _MOST_OUTPUTS


def can_take_newton_steps(of: ScaledProblem) -> bool:
    """Tell whether there are few enough parameters for a Hessian."""
    most = _most_parameters(of)
    if of.joint:
        return of.q * of.k <= most + of.k
    return has_matrix(of)


def most_in_working_set(of: ScaledProblem) -> int:
    """Return how many features a working set has room for."""
    return _most_parameters(of)


def _has_working_sets(of: ScaledProblem) -> bool:
    """Tell whether the optimum is found in sets of few features, of rows that are here."""
    rows = of.data.rows
    here = isinstance(rows, DenseRows | CsrRows) and of.data.executor is None
    small = here and of.data.n * rows.row_bytes() <= _MOST_BYTES_OF_SETS
    return small and of.has_l1 and of.has_optimality and of.k == 1


def _is_solved_at_once(of: ScaledProblem) -> bool:
    """Tell whether one Hessian solves it and costs little: least squares of sparse rows."""
    sparse = of.products < of.q * of.q
    return of.quadratic and sparse and _costs(of, _AFFORDABLE_PRODUCTS)


def _costs(of: ScaledProblem, most: float) -> bool:
    """Tell whether the Hessian of all rows costs so many products at most."""
    return of.data.n * of.products <= most


def is_cheap(n: int, p: int) -> bool:
    """Tell whether the Hessian of so many dense rows of least squares is summed at once."""
    return p < ALWAYS_NEWTON or n * (p + 1) ** 2 <= CHEAP_PRODUCTS


def all_rows_are_cheap(of: ScaledProblem) -> bool:
    """Tell whether the Hessian of all rows costs no more than a pass, or is summed only once."""
    return of.products <= ALWAYS_NEWTON**2 * of.k or _is_solved_at_once(of)


def _newton(holds: Callable[[ScaledProblem], bool], why: str) -> Rule:
    return Rule(lambda of: holds(of) and can_take_newton_steps(of), StepKind.NEWTON, why)


RULES = (
    Rule(  # ADR 0045
        has_few_rows, StepKind.NEWTON, "fewer rows than features: a matrix of the rows is small",
    ),
    Rule(lambda of: of.wants_exact, StepKind.NEWTON, "one Newton step is the exact solution"),
    Rule(  # ADR 0017
        lambda of: of.only_prox, StepKind.VARIANCE_REDUCED,
        "the penalty is known by its proximal map alone, which works weight by weight",
    ),
    _newton(  # ADR 0027
        lambda of: of.constraints is not None, "constraints, which the step to a minimum keeps"
    ),
    _newton(  # ADR 0010
        lambda of: of.quadratic and (all_rows_are_cheap(of) or _costs(of, CHEAP_PRODUCTS)),
        "least squares of few features or little data: one Newton step is the solution",
    ),
    _newton(  # ADR 0043
        lambda of: _costs(of, _NEWTON_PRODUCTS),
        "little data: the Hessian of all rows takes a millisecond",
    ),
    _newton(  # ADR 0010
        lambda of: (
            of.quadratic and of.data.n <= _FEW_ROWS * of.q and not is_summed_in_single(of)
        ),
        "least squares of few rows a feature: one Newton step is the solution",
    ),
    _newton(  # ADR 0010
        lambda of: not of.smooth, "the loss has kinks, which a Hessian sees best"
    ),
    _newton(  # ADR 0010
        lambda of: of.has_l1, "an l1 penalty, whose zeros coordinate descent finds"
    ),
    Rule(  # ADR 0054
        _has_working_sets, StepKind.WORKING_SET,
        "an l1 penalty and too many parameters for a matrix of them, most of which stay zero",
    ),
    Rule(  # ADR 0017
        lambda of: of.has_l1, StepKind.VARIANCE_REDUCED,
        "an l1 penalty and too many parameters for a matrix of them",
    ),
    Rule(  # ADR 0038
        has_factors, StepKind.QUASI_NEWTON,
        "many parameters in all: a pass a step, in a matrix of features times one of outputs",
    ),
    Rule(  # ADR 0017
        lambda of: not has_matrix(of), StepKind.QUASI_NEWTON,
        "too many parameters for a matrix of them: a pass a step, in a diagonal preconditioner",
    ),
    Rule(  # ADR 0017; the size of the sample: ADR 0022
        lambda _: True, StepKind.QUASI_NEWTON,
        "a pass over the rows a step, in the Hessian of a sample or a diagonal as good",
    ),
)  # fmt: skip


def rule_for(of: ScaledProblem) -> Rule:
    """Return the rule that decides how epochs go, once the first is over."""
    for rule in RULES:
        if rule.holds(of):
            return rule
    raise AssertionError  # the last one always holds


def hessian_rows(of: ScaledProblem) -> int:
    """Return the sample size for the Hessian of quasi-Newton steps.

    It is as large as the steps that it saves will pay for: a step shrinks the excess of the
    objective about as many times as the sample has rows per feature.
    """
    n = of.data.n
    small = min(_SMALL_PASSES * n / of.q, _MOST_A_FEATURE * of.q, _MOST_SAMPLED / of.q)
    return int(min(n, max(_rows_to_solve(of), small)))


def _rows_to_solve(of: ScaledProblem) -> float:
    """Return the size of a sample that is worth solving for: 4 to 100 rows per feature."""
    affordable = min(_SAMPLE_PASSES * of.data.n / of.q, _ENOUGH_A_FEATURE * of.q)
    return max(affordable, _LEAST_A_FEATURE * of.q, _LEAST_ROWS)


def tries_diagonal(of: ScaledProblem) -> bool:
    """Tell whether quasi-Newton steps begin in a diagonal, since a matrix costs many passes.

    Where features are nearly uncorrelated, such steps arrive before the matrix would be made.
    """
    known = of.smooth and of.is_plain and of.has_curvature_bound and not of.joint
    if not (known and has_matrix(of)):
        return False
    n = of.data.n
    return min(n, hessian_rows(of)) * of.products >= _DIAGONAL_PAYS * n * of.numbers_a_row


def sample_rows(of: ScaledProblem, kind: StepKind) -> int:
    """Return the rows of the sample whose solution a run starts from; 0 where it would not pay.

    This alone decides whether the first epoch is a `SAMPLE`; `RULES` decide what follows.
    """
    if of.wants_exact or kind in {StepKind.VARIANCE_REDUCED, StepKind.WORKING_SET}:
        return 0
    if of.quadratic and kind is StepKind.NEWTON and (not of.has_l1 or all_rows_are_cheap(of)):
        return 0  # the first Newton step is the last
    n = of.data.n
    larger = min(_NEWTON_PRODUCTS // of.products, n // _SOLVED_SHARE, _MOST_A_FEATURE * of.q)
    rows = int(max(_rows_to_solve(of), _SOLVED_A_FEATURE * of.q, larger))
    return rows if n >= _SAMPLE_PAYS * rows else 0


def batch_size(of: ScaledProblem) -> int:
    """Return the rows of a batch of variance-reduced steps: as given, or by cost (ADR 0010).

    A step costs as much as there are features, a row as much as it has features that are not zero.
    """
    n = of.data.n
    if of.problem.batch_size:
        return min(of.problem.batch_size, n)
    touched = max(1, of.data.rows.row_bytes() // 8)
    best = min(max(of.q * of.k / (4.0 * touched), 64), 4096)
    return max(1, min(int(2 ** round(math.log2(best))), n // 50))
