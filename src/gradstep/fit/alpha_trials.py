"""Trials of a strength of the penalty: the loss of rows that its model has not seen.

For least squares each row is held out in turn, or each of some parts of the rows, since a whole
path follows from one decomposition, or one Hessian per part. For other losses each of five parts is
held out in turn if a Newton step costs little, else two of them or one; models of classes are
trained together. If rows of a later time or of another table are
held out anyway, these alone judge. A trial on fewer rows takes a larger alpha, so that the penalty
keeps its ratio to the loss of a row.
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

__all__ = ["Interrupted", "cuts_of", "going_on", "has_l1", "trials_of", "with_penalty"]

# With fewer rows no strength is chosen.
_FEWEST_ROWS = 10
# Parts of the rows, and for least squares with few rows at most.
_PARTS, _MOST_PARTS = 5, 20
# Rows times squared parameters up to which each row is left out in turn (least squares): of few
# rows, which have no more parameters than `_NARROW`, and of others.
_QUICK_FEW, _QUICK = 7e8, 2e6
# Parts times squared parameters up to which there are more than five parts (least squares).
_QUICK_PARTS = 1e6
# Products of the scores of all rows up to which five parts are held out in turn (classes).
_FEW_SCORES = 2e6
# Products of a Newton step up to which five parts, or two, are held out in turn.
_CHEAP, _DEAR = 2e7, 1e8
# Rows per parameter from which a path of least squares, holding out one part, is taken even with
# more than `_NARROW` parameters.
_MOST_WIDE = 6
# Rows up to which the parts have the same distribution of targets (least squares).
_FEW_ROWS = 5000
# Parameters up to which a strength more costs next to nothing (least squares).
_NARROW = 350
# For classes, the weakest penalty in rows: it keeps weights of separable classes bounded.
_LEAST = 0.01
# `tol` of a trial, and its epochs at most.
_ROUGHLY, _EPOCHS = 0.001, 20


class Interrupted(Exception):
    """Ctrl-C in a trial, after others have ended."""


def with_penalty(chosen: Plan, penalty: Any, **limits: Any) -> Plan:
    """Return a plan with another penalty, and with other limits of its run."""
    return replace(chosen, problem=replace(chosen.problem, penalty=penalty, **limits))


def going_on(chosen: Plan, params: NDArray[np.float64], start: TrainState) -> TrainState:
    """Return a start at another run's result; progress counts from where that run began."""
    state = chosen.problem.start(*chosen.problem.split(params))
    return replace(state, start=start.start)


def has_l1(penalty: Callable[[float], Any]) -> bool:
    """Tell whether a kind of penalty sets weights to zero."""
    return bool(penalty(1.0).strengths()[0] > 0.0)


def trials_of(
    chosen: Plan, data: Dataset, start: TrainState, penalty: Callable[[float], Any], train: Train,
    held_out: Dataset | None,
) -> Any:  # fmt: skip
    """Return what computes the loss of a strength; None if there are too few rows."""
    from gradstep.engine.automatic.class_folds import class_folds_pay
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
    if class_folds_pay(with_penalty(chosen, penalty(1.0)).problem, data):
        few = n * q * chosen.problem.n_outputs <= _FEW_SCORES
        return _ClassFolds(chosen, data, start, penalty, _PARTS if few else 1)
    if work <= _DEAR:
        return _Parts(chosen, data, start, penalty, _PARTS if work <= _CHEAP else 2)
    most = n // _PARTS
    return _Split(
        chosen, data, between(data, most, n), between(data, 0, most), start, penalty, train,
        f"{most:,} of the rows to train on",
    )  # fmt: skip


def cuts_of(n: int) -> list[int]:
    """Return where each part of n rows in random order begins, and where the last one ends."""
    return [n * part // _PARTS for part in range(_PARTS + 1)]


def _positions(data: Dataset, parts: int) -> list[NDArray[np.uint32]]:
    """Return the positions of the rows of each part; all have about the same targets."""
    order = np.argsort(data.targets()[:, 0], kind="stable")
    return [np.sort(order[part::parts]).astype(np.uint32) for part in range(parts)]


def _weakest(problem: Problem, data: Dataset) -> float:
    """Return the weakest strength that is tried; for classes it is above 0.

    A few rows of two classes may be separable by chance. Then unbounded weights are best for most
    of them, and far too certain about new rows. As a prior, this strength lets the log odds change
    by 10 per standard deviation of a feature.
    """
    from gradstep.rows.dataset import are_classes

    return _LEAST / data.n if are_classes(problem.loss, data) else 0.0


class _LeastSquares:
    """Judges by each row, or each part, which a model of the others predicts."""

    judge, weakest = "cross-validation", 0.0

    def __init__(
        self, chosen: Plan, data: Dataset, start: TrainState, penalty: Callable[[float], Any]
    ) -> None:
        from gradstep.engine.automatic.leave_one_out import LeaveOneOut
        from gradstep.engine.automatic.penalty_path import LeastSquaresPath
        from gradstep.engine.parts import between  # these import Numba

        n, columns, q = data.n, chosen.columns, chosen.problem.n_features + 1
        self._chosen, self._penalty, self.is_quick = chosen, penalty, n <= _FEW_ROWS
        self.is_least_squares = narrow = q <= _NARROW  # so that more strengths cost nothing
        assert columns is not None  # noqa: S101
        of = chosen.problem, data, columns
        most = _QUICK_FEW if n <= _FEW_ROWS and narrow else _QUICK
        if n * q**2 <= most and not has_l1(penalty) and chosen.problem.constraints is None:
            self._path: Any = LeaveOneOut(*of, start.current())
            return
        if n <= _FEW_ROWS:
            most = min(_MOST_PARTS, n, max(_PARTS, int(_QUICK_PARTS / q**2)))
            parts = [data.select(at) for at in _positions(data, most)]
        else:
            cuts = cuts_of(n)
            parts = [between(data, *cuts[part : part + 2]) for part in range(_PARTS)]
        if not narrow:
            self.judge = "a fifth of the rows to train on"
        self._path = LeastSquaresPath(*of, parts, start.current(), len(parts) if narrow else 1)

    def loss(self, alpha: float) -> float:
        found: float = self._path.loss(with_penalty(self._chosen, self._penalty(alpha)).problem)
        return found

    def params(self, _alpha: float) -> None:
        """Return None: a run of least squares needs one step, wherever it starts."""


class _ClassFolds:
    """Judges classes by each of five parts, or some of them; all models are trained together."""

    is_least_squares = is_quick = False

    def __init__(
        self, chosen: Plan, data: Dataset, start: TrainState, penalty: Callable[[float], Any],
        n_parts: int,
    ) -> None:  # fmt: skip
        from gradstep.engine.automatic.class_folds import ClassFolds  # imports Numba

        assert chosen.columns is not None  # noqa: S101
        self._chosen, self._penalty = chosen, penalty
        self.judge = _judge_of(n_parts)
        self.weakest = _weakest(chosen.problem, data)
        parts = _positions(data, _PARTS)[:n_parts]
        first = with_penalty(chosen, penalty(1.0)).problem
        self._folds = ClassFolds(first, data, chosen.columns, parts, start.current())

    def loss(self, alpha: float) -> float:
        return self._folds.loss(with_penalty(self._chosen, self._penalty(alpha)).problem)

    def params(self, alpha: float) -> NDArray[np.float64]:
        """Return the mean of the models of the parts, which is near the model of all rows."""
        return self._folds.params(with_penalty(self._chosen, self._penalty(alpha)).problem)


def _judge_of(n_parts: int) -> str:
    if n_parts == 1:
        return "a fifth of the rows to train on"
    return "cross-validation" if n_parts == _PARTS else f"{n_parts} fifths of the rows in turn"


@dataclass
class _Parts:
    """Judges by each of five parts, or some of them, which a model of the others predicts."""

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
        self.judge = _judge_of(self.n_parts)
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
    """Judges by some rows, which a model of others predicts; a trial may take long."""

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
        """Return the best strength so far, and its run as one that was interrupted."""
        alpha = min(self.found, key=lambda known: self.found[known][1])
        return alpha, replace(self.found[alpha][0], outcome=Outcome.INTERRUPTED, state=None)

    def params(self, alpha: float) -> NDArray[np.float64]:
        return self.found[alpha][0].params


def _loss_of(problem: Problem, rows: Dataset, params: NDArray[np.float64]) -> float:
    """Return the mean loss of rows; for class probabilities the log loss of `evaluate`.

    In that one a row whose class has the probability 0 costs 36, not hundreds, so that no single
    outlier decides.
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
    """Return the strength for some of the rows that has the effect of `alpha` on all of them.

    The mean loss of fewer rows weighs each row more, so the penalty must grow by the same factor.
    """
    return alpha * all_rows.weight_sum / some.weight_sum


def _trial(chosen: Plan, penalty: Any) -> Plan:
    most = min(_EPOCHS, chosen.problem.max_epochs)
    return with_penalty(chosen, penalty, max_epochs=most, tol=_ROUGHLY)
