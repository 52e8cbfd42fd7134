"""By what a strength of the penalty is judged: the loss of rows that its model has not seen.

Of least squares each row is held out, or each part, as a whole path follows from one Hessian of
each. Of others each part where a pass costs little, else two parts or one. Rows of another time or
table than those to train on, which are held out anyway, judge alone. A strength counts in rows: a
trial on fewer takes one that does as much to each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.records import Outcome
from gradstep.objective.classification import as_codes, class_probabilities, gives_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState
    from gradstep.fit.plan import Plan
    from gradstep.fit.run import RunResult
    from gradstep.rows.dataset import Dataset

    Train = Callable[[Plan, Dataset, TrainState], RunResult]

__all__ = ["Interrupted", "going_on", "has_l1", "trials_of", "with_penalty"]

_FEWEST_ROWS = 10  # fewer say nothing of a penalty
_PARTS, _MOST_PARTS = 5, 20
_QUICK = 2e6  # rows left out in turn, times the square of the features, which each of them costs
_QUICK_PARTS = 1e6  # the same of parts
_CHEAP, _DEAR = 2e7, 1e8  # products of a pass, up to which all parts, or two, are held out in turn
_MOST_WIDE = 6  # features, of rows so many: more, and a path of least squares holds out one part
_FEW_ROWS = 5000  # whose parts are made alike
_NARROW = 350  # features up to which the same costs nothing
_LEAST = 0.01  # rows' worth of a penalty that keeps weights of classes from growing without bound
_ROUGHLY, _EPOCHS = 0.001, 20  # tol of a trial, and its epochs at most


class Interrupted(Exception):
    """Ctrl-C in a trial, with the best so far."""


def with_penalty(chosen: Plan, penalty: Any, **limits: Any) -> Plan:
    """Return a plan with another penalty, and other limits of its run."""
    return replace(chosen, problem=replace(chosen.problem, penalty=penalty, **limits))


def going_on(chosen: Plan, params: NDArray[np.float64], start: TrainState) -> TrainState:
    """Return a start at parameters of another run, which is measured by where that began."""
    state = chosen.problem.start(*chosen.problem.split(params))
    return replace(state, start=start.start)


def has_l1(penalty: Callable[[float], Any]) -> bool:
    """Tell whether a kind of penalty sets weights to zero."""
    return bool(penalty(1.0).strengths()[0] > 0.0)


def trials_of(
    chosen: Plan, data: Dataset, start: TrainState, penalty: Callable[[float], Any], train: Train,
    held_out: Dataset | None,
) -> Any:  # fmt: skip
    """Return what tells the loss of a strength; None if there is nothing to tell it by."""
    from gradstep.engine.automatic.penalty_path import has_path, work_of
    from gradstep.engine.parts import between  # these import Numba

    n, q = data.n, chosen.problem.n_features + 1
    if held_out is not None:
        return _Split(chosen, data, data, held_out, start, penalty, train, "the rows held out")
    if n < _FEWEST_ROWS:
        return None
    assert chosen.columns is not None  # noqa: S101
    of = chosen.problem, data, chosen.columns
    if has_path(*of) and q <= max(_NARROW, n // _MOST_WIDE):
        return _LeastSquares(chosen, data, start, penalty)
    work = work_of(*of)
    if work <= _DEAR:
        return _Parts(chosen, data, start, penalty, _PARTS if work <= _CHEAP else 2)
    most = n // _PARTS
    return _Split(
        chosen, data, between(data, most, n), between(data, 0, most), start, penalty, train,
        f"{most:,} of the rows to train on",
    )  # fmt: skip


def _positions(data: Dataset, parts: int) -> list[NDArray[np.uint32]]:
    """Return the positions of rows in each part: the same targets in all, as nearly as can be."""
    order = np.argsort(data.targets()[:, 0], kind="stable")
    return [np.sort(order[part::parts]).astype(np.uint32) for part in range(parts)]


def _weakest(problem: Problem, data: Dataset) -> float:
    """Return the weakest strength that is tried: where there are classes, not none at all.

    Few rows of classes may lie on their sides of a line by chance: weights without bound are then
    best for most rows, and far too sure of the next. As a prior, it lets the log odds change by 10
    for a deviation of a feature.
    """
    from gradstep.rows.dataset import are_classes

    return _LEAST / data.n if are_classes(problem.loss, data) else 0.0


class _LeastSquares:
    """Judges by all rows, or parts, predicted by a model of the others."""

    judge, weakest = "cross-validation", 0.0

    def __init__(
        self, chosen: Plan, data: Dataset, start: TrainState, penalty: Callable[[float], Any]
    ) -> None:
        from gradstep.engine.automatic.penalty_path import LeastSquaresPath, LeaveOneOut
        from gradstep.engine.parts import between  # these import Numba

        n, columns, q = data.n, chosen.columns, chosen.problem.n_features + 1
        self._chosen, self._penalty, self.is_quick = chosen, penalty, n <= _FEW_ROWS
        self.is_least_squares = narrow = q <= _NARROW  # so that more strengths cost nothing
        assert columns is not None  # noqa: S101
        of = chosen.problem, data, columns
        if n * q**2 <= _QUICK and not has_l1(penalty) and chosen.problem.constraints is None:
            self._path: Any = LeaveOneOut(*of, start.current())
            return
        if n <= _FEW_ROWS:
            most = min(_MOST_PARTS, n, max(_PARTS, int(_QUICK_PARTS / q**2)))
            parts = [data.select(at) for at in _positions(data, most)]
        else:
            cuts = [n * part // _PARTS for part in range(_PARTS + 1)]
            parts = [between(data, *cuts[part : part + 2]) for part in range(_PARTS)]
        if not narrow:
            self.judge = "a fifth of the rows to train on"
        self._path = LeastSquaresPath(*of, parts, start.current(), len(parts) if narrow else 1)

    def loss(self, alpha: float) -> float:
        found: float = self._path.loss(with_penalty(self._chosen, self._penalty(alpha)).problem)
        return found

    def params(self, _alpha: float) -> None:
        """Return nothing to start from: the first step from anywhere is the last."""


@dataclass
class _Parts:
    """Judges by each part, or some, predicted by a model of the others."""

    chosen: Plan
    data: Dataset
    start: TrainState
    penalty: Callable[[float], Any]
    n_parts: int
    is_least_squares: bool = False
    is_quick: bool = False
    found: dict[float, list[NDArray[np.float64]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from gradstep.engine.automatic.penalty_path import Path  # imports Numba

        columns, rows = self.chosen.columns, np.arange(self.data.n, dtype=np.uint32)
        assert columns is not None  # noqa: S101
        parts = _positions(self.data, _PARTS)[: self.n_parts]
        few = self.n_parts < _PARTS
        self.judge = f"{self.n_parts} fifths of the rows in turn" if few else "cross-validation"
        self.weakest = _weakest(self.chosen.problem, self.data)
        self.held_out = [self.data.select(at) for at in parts]
        self.paths = [
            Path(self.data.select(np.delete(rows, at)), columns, self.start.current())
            for at in parts
        ]

    def loss(self, alpha: float) -> float:
        stronger = [known for known in self.found if known > alpha]
        goes_on = not self.found or alpha < min(self.found)
        from_ = None if goes_on or not stronger else self.found[min(stronger)]
        if not goes_on and not stronger:
            from_ = [self.start.current()] * len(self.paths)
        self.found[alpha], total = [], 0.0
        for i, (path, part) in enumerate(zip(self.paths, self.held_out, strict=True)):
            own = _by_rows(alpha, self.data, path.data)
            problem = _trial(self.chosen, self.penalty(own)).problem
            params = path.optimum(problem, None if from_ is None else from_[i])
            self.found[alpha].append(params)
            total += part.weight_sum * _loss_of(problem, part, params)
        return total / sum(part.weight_sum for part in self.held_out)

    def params(self, alpha: float) -> NDArray[np.float64]:
        return self.found[alpha][0]


@dataclass
class _Split:
    """Judges by some rows, predicted by a model of others; a trial may take long."""

    chosen: Plan
    all_rows: Dataset
    data: Dataset
    held_out: Dataset
    start: TrainState
    penalty: Callable[[float], Any]
    train: Train
    judge: str
    is_least_squares: bool = False
    is_quick: bool = False
    found: dict[float, tuple[RunResult, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weakest = _weakest(self.chosen.problem, self.data)

    def loss(self, alpha: float) -> float:
        plan = _trial(self.chosen, self.penalty(_by_rows(alpha, self.all_rows, self.data)))
        stronger = [known for known in self.found if known > alpha]
        start = self.start
        if stronger:
            last = self.found[min(stronger)][0].params
            start = going_on(plan, last, start)
        try:
            result = self.train(plan, self.data, start)
        except KeyboardInterrupt:
            if not self.found:
                raise
            raise Interrupted from None
        found = _loss_of(plan.problem, self.held_out, result.params)
        self.found[alpha] = result, found
        if result.outcome is Outcome.INTERRUPTED:
            raise Interrupted
        return found

    def best(self) -> tuple[float, RunResult]:
        """Return the best so far, as what an interrupted run leaves."""
        alpha = min(self.found, key=lambda known: self.found[known][1])
        return alpha, replace(self.found[alpha][0], outcome=Outcome.INTERRUPTED, state=None)

    def params(self, alpha: float) -> NDArray[np.float64]:
        return self.found[alpha][0].params


def _loss_of(problem: Problem, rows: Dataset, params: NDArray[np.float64]) -> float:
    """Return the mean loss of rows; of classes with probabilities as `evaluate` tells it.

    There a row whose class was called impossible costs 36, not hundreds: one that lies far out
    would decide alone.
    """
    from gradstep.engine.row_sums import RowSums  # imports Numba

    k = problem.n_outputs
    with RowSums(rows, k) as row_sums:
        if not gives_probabilities(problem.loss):
            return row_sums.mean_loss(problem.loss, params)
        each = class_probabilities(problem.loss, row_sums.scores(params))
    code = as_codes(rows.targets()[:, 0], k).astype(np.intp)
    own = np.clip(each[np.arange(rows.n), code], np.finfo(np.float64).eps, 1.0)
    return float(np.average(-np.log(own), weights=rows.weights()))


def _by_rows(alpha: float, all_rows: Dataset, some: Dataset) -> float:
    """Return the strength for some rows that does to each what the other does to all of them.

    The mean loss is over fewer rows: what a penalty is worth is counted in rows.
    """
    return alpha * all_rows.weight_sum / some.weight_sum


def _trial(chosen: Plan, penalty: Any) -> Plan:
    most = min(_EPOCHS, chosen.problem.max_epochs)
    return with_penalty(chosen, penalty, max_epochs=most, tol=_ROUGHLY)
