"""The quadratic model of the objective near a snapshot, and the step to its minimum."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.choice import (
    StepKind,
    has_factors,
    has_few_rows,
    has_matrix,
    tries_diagonal,
)
from gradstep.engine.automatic.hessian import Hessians
from gradstep.engine.automatic.kronecker import KroneckerPreconditioner
from gradstep.engine.automatic.preconditioner import DiagonalPreconditioner, Preconditioner
from gradstep.engine.automatic.quasi_newton import quasi_newton_direction
from gradstep.engine.automatic.quick_steps import QuickSteps, can_descend
from gradstep.engine.automatic.row_space import RowSpace
from gradstep.engine.automatic.state import Snapshot
from gradstep.objective.smoothed import smoothed
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.row_preconditioner import RowSpacePreconditioner
    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import AutomaticState, Diagonal, Factors, Matrices
    from gradstep.engine.row_sums import RowSums
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset

    _Preconditioner = (
        Preconditioner | RowSpacePreconditioner | KroneckerPreconditioner | DiagonalPreconditioner
    )

__all__ = ["QuadraticModel"]

# An epoch is poor if it leaves more than this of the square of the step's length.
_POOR = 0.25
# Rounding error of a sum of products, relative to the sum of their sizes.
_ERROR = 1e-15
# What rounding may add to a step's length, in shares of `tol`, where a pass is left out.
_SURELY = 0.1
# Share of the loss that must be left for its difference to have digits enough.
_DIGITS = 1e-3


@lru_cache(maxsize=16)
def _signs(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return signs as they might be: an array of this shape of -1 and +1."""
    signs: NDArray[np.float64] = readonly(np.random.default_rng(0).choice((-1.0, 1.0), shape))
    return signs


class QuadraticModel:
    """Local quadratic model of the objective at a state's snapshot.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    row_sums : RowSums
        What sums over rows.
    tilt : ndarray of shape (size,), optional
        The slope of what is added to the objective, a linear function of the parameters.

    Attributes
    ----------
    hessians : Hessians
        What sums the Hessian.
    in_row_space : bool
        Whether steps are taken in the space of the rows, without a matrix of the features.
    """

    def __init__(
        self, of: ScaledProblem, row_sums: RowSums, tilt: NDArray[np.float64] | None = None
    ) -> None:
        self.of, self.row_sums, self._tilt = of, row_sums, tilt
        self.hessians = Hessians(of, row_sums)
        self.in_row_space = has_few_rows(of)
        # Kept to save time: what was computed last, and the records that it was computed from.
        self._preconditioner: _Preconditioner | None = None
        self._made_of: Matrices | Factors | Diagonal | None = None
        self._made_at: tuple[Snapshot, NDArray[np.float64], tuple[Any, Any, Any]] | None = None
        self._penalty_known: tuple[NDArray[np.float64], Problem, float] | None = None
        self._scaled_of: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._direction_of: tuple[tuple[Any, ...], NDArray[np.float64], bool] | None = None
        self._by_estimate = False  # whether the length that was told last is an estimate

    def evaluate(
        self, state: AutomaticState, params: NDArray[np.float64], *, with_hessian: bool = True
    ) -> Snapshot:
        """Return the snapshot at a point: one pass over the rows.

        The Hessian is summed with it, if it may be, and the next step is taken in that of all rows.
        """
        of, smoothing = self.of, state.smoothing
        newton = state.kind == StepKind.NEWTON and not self.keeps_hessian(state)
        newton = newton and with_hessian and not self.in_row_space
        all_rows = newton and self.hessians.takes_all_rows(state.sampling)
        options = self.hessians.options(smoothing) if all_rows else None
        loss = smoothing.loss(of)
        with np.errstate(all="ignore"):
            if of.has_optimality:
                found = self.row_sums.evaluate(loss, params, options)
                before = true = found.loss
            else:
                found = self.row_sums.evaluate(
                    loss, params, options, before=smoothing.loss_before(of), plain=of.problem.loss
                )
                before, true = found.before, found.plain
            own = self.of.problem.penalty_as_it_is(params)
            self._penalty_known = params, of.problem, own
            own += self._tilted(params)
        objective, before, true = found.loss + own, before + own, true + own
        gradient = found.gradient if self._tilt is None else found.gradient + self._tilt
        return Snapshot(params, objective, before, true, gradient, found.hessian)

    def derived(
        self, state: AutomaticState, snapshot: Snapshot, params: NDArray[np.float64]
    ) -> Snapshot | None:
        """Return the snapshot at a point of least squares without a pass, from another and H.

        None where it does not follow from them to enough digits for `tol`, or for the loss.
        """
        of, tol = self.of, self.of.problem.tol
        known = of.quadratic and self.knows_hessian(state) and state.matrices is not None
        if not (known and of.is_plain) or of.wants_exact or tol is None:
            return None
        assert state.matrices is not None  # noqa: S101
        units, hessian = of.standardisation, state.matrices.hessian[0]
        own, gradient, _ = self._at(snapshot)
        step = self.scaled_at(params) - own
        change = np.einsum("ci,ij->cj", step, hessian)
        # The gradient's rounding error, with signs as they might be, as a step to correct it.
        error = _ERROR * np.einsum("ci,ij->cj", np.abs(step), np.abs(hessian))
        error *= _signs(step.shape)
        correction = self.full_preconditioner(state).direction(error)
        curvature = float(np.add.reduce(change * step, axis=None))  # dᵀHd
        miss = -float(np.add.reduce(error * correction, axis=None))
        if miss > (_SURELY * tol) ** 2 * curvature:
            return None
        before = snapshot.objective - self._penalty_of(snapshot.params)
        before -= self._tilted(snapshot.params)
        loss = before + float(np.add.reduce(gradient * step, axis=None)) + 0.5 * curvature
        if not loss > _DIGITS * before:
            return None
        objective = loss + self._penalty_of(params) + self._tilted(params)
        at_end = snapshot.gradient + units.gradient_in_units(change)
        return Snapshot(params, objective, objective, objective, at_end, None)

    def _penalty_of(self, params: NDArray[np.float64]) -> float:
        known, problem = self._penalty_known, self.of.problem
        if known is None or known[0] is not params or known[1] is not problem:
            self._penalty_known = known = params, problem, problem.penalty_of(params)
        return known[2]

    def _tilted(self, params: NDArray[np.float64]) -> float:
        return 0.0 if self._tilt is None else float((self._tilt * params).sum())

    def evaluated_anew(self, state: AutomaticState) -> AutomaticState:
        """Return the state with its snapshot evaluated again, over the new smoothing width."""
        if state.stuck or self.of.smooth:
            return state
        snapshot = state.at
        if self.of.has_optimality:
            return state.changed(
                snapshot=snapshot._replace(hessian=None), matrices_of_snapshot=False
            )
        snapshot = self.evaluate(state, snapshot.params)
        return state.changed(snapshot=snapshot, matrices_of_snapshot=False)

    def objective(self, params: NDArray[np.float64]) -> float:
        """Return the objective at a point; cheap if all its weights are 0."""
        of, loss = self.of, self.of.problem.loss
        constant = not params[: -of.k].any()  # then only the targets are read
        at = params[-of.k :] if constant else params
        if of.has_optimality:
            mean = self.row_sums.evaluate(loss, at, constant=constant).loss
        else:
            near = smoothed(loss, 1.0)
            # `before` as elsewhere, so that no kernel is compiled for this alone
            mean = self.row_sums.evaluate(
                near, at, before=near, plain=loss, constant=constant
            ).plain
        return mean + of.problem.penalty_of(params) + self._tilted(params)

    def knows_hessian(self, state: AutomaticState) -> bool:
        """Tell whether the Hessian is the same everywhere, and known."""
        if not self.of.quadratic:
            return False
        return self.in_row_space or (state.matrices is not None and state.matrices.whole)

    def keeps_hessian(self, state: AutomaticState) -> bool:
        """Tell whether the next Newton step is taken in the Hessian of the last.

        With l1, which quasi-Newton steps do not take, also where the Hessian was that of a point so
        near that the last step in it has led far: to sum it again costs two passes, or six. Of
        least squares it may be a sample's, which is as near wherever it is.
        """
        of, matrices = self.of, state.matrices
        if self.knows_hessian(state):
            return True
        near = matrices is not None and (matrices.whole or of.quadratic) and not state.poor
        return near and of.smooth and of.has_l1 and not of.wants_exact

    def knows_excess(self, state: AutomaticState) -> bool:
        """Tell whether ½·length² of the next step is how far the objective is above its minimum."""
        return self.knows_hessian(state) and self.of.is_plain and not self._by_estimate

    def gradient(self, snapshot: Snapshot) -> NDArray[np.float64]:
        """Return the gradient of loss and l2 penalty, for standardised features."""
        return self._at(snapshot)[2]

    def scaled(self, snapshot: Snapshot) -> NDArray[np.float64]:
        """Return the parameters for standardised features: (k, q)."""
        return self._at(snapshot)[0]

    def _at(
        self, snapshot: Snapshot
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return parameters and gradients, of the loss and with l2, for standardised features."""
        of, known = self.of, self._made_at
        if known is None or known[0] is not snapshot or known[1] is not of.ridge:
            scaled = self.scaled_at(snapshot.params)
            of_loss = of.standardisation.gradient(snapshot.gradient)
            gradient = of_loss + of.ridge * scaled
            self._made_at = known = snapshot, of.ridge, (scaled, of_loss, gradient)
        return known[2]

    def scaled_at(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the parameters for standardised features."""
        known = self._scaled_of
        if known is None or known[0] is not params:
            self._scaled_of = known = params, self.of.standardisation.scaled_params(params)
        return known[1]

    def slope_along(self, step: NDArray[np.float64], snapshot: Snapshot) -> float:
        """Return the slope of loss and l2 penalty along a step, at a snapshot."""
        return float(np.add.reduce(self.gradient(snapshot) * step, axis=None))

    def with_hessian_of_snapshot(self, state: AutomaticState) -> AutomaticState:
        """Return the state with the Hessian of its snapshot as the preconditioner."""
        if self.in_row_space and not state.matrices_of_snapshot:
            # Second derivatives are taken, and a step takes two products with all rows; the matrix
            # of the rows is not counted, since a run that goes on makes it again.
            self.row_sums.rows_read += 3 * self.of.data.n
            return state.changed(matrices_of_snapshot=True)
        if self.keeps_hessian(state) or state.matrices_of_snapshot:
            return state
        snapshot = state.at
        matrices, sampling = self.hessians.for_newton(
            snapshot.params, snapshot.hessian, state.smoothing, state.sampling
        )
        state = state.changed(matrices=matrices, matrices_of_snapshot=True, sampling=sampling)
        anew = matrices.whole and snapshot.hessian is None  # in a pass of its own, so it is kept
        return state.changed(poor=0) if anew else state

    def with_preconditioner(self, state: AutomaticState) -> AutomaticState:
        """Return the state with a preconditioner of quasi-Newton steps, if it has none yet."""
        if state.has_preconditioner:
            return state
        at = state.at.params
        if has_factors(self.of):
            return self.with_factors(state, None)
        if not has_matrix(self.of):
            return state.changed(diagonal=self.hessians.diagonal(at, state.smoothing))
        if not state.sampling.draws and tries_diagonal(self.of):
            return state.changed(diagonal=self.hessians.diagonal(at, state.smoothing, rough=True))
        return self.with_matrices(state)

    def with_matrices(self, state: AutomaticState) -> AutomaticState:
        """Return the state with the Hessian of a sample at its snapshot as the preconditioner."""
        matrices, sampling = self.hessians.for_steps(
            state.at.params, state.smoothing, state.sampling
        )
        return state.changed(matrices=matrices, sampling=sampling, diagonal=None)

    def with_factors(
        self, state: AutomaticState, features: NDArray[np.float64] | None
    ) -> AutomaticState:
        """Return the state with the factors of a Hessian of many outputs at its snapshot."""
        factors, sampling = self.hessians.factors(
            state.at.params, state.smoothing, state.sampling, features
        )
        return state.changed(factors=factors, sampling=sampling)

    @cached_property
    def row_space(self) -> RowSpace:
        """The space of the rows, if steps are taken there."""
        return RowSpace(self.of, self._rows_here)

    @cached_property
    def _rows_here(self) -> Dataset:
        """The rows, read from wherever they are."""
        data = self.of.data
        if data.executor is None and data.index is None:
            return data
        return self.row_sums.take(np.arange(data.n, dtype=np.uint32))

    @cached_property
    def quick_steps(self) -> QuickSteps | None:
        """The quick steps that are tried first, if any are."""
        of = self.of
        taken = self._tilt is None and can_descend(of)
        return QuickSteps(of, lambda: self._rows_here) if taken else None

    def preconditioner(self, state: AutomaticState) -> _Preconditioner:
        """Return the preconditioner of a state: full, of rows, of two factors, or diagonal."""
        if self.in_row_space:
            return self.row_space.preconditioner(state.at.params, state.smoothing)
        if state.matrices is not None:
            return self.full_preconditioner(state)
        made_of = state.factors or state.diagonal
        if self._made_of is not made_of or self._preconditioner is None:
            if state.factors is not None:
                self._preconditioner = KroneckerPreconditioner(self.of, state.factors)
            else:
                assert state.diagonal is not None  # noqa: S101
                self._preconditioner = DiagonalPreconditioner(self.of, state.diagonal)
            self._made_of = made_of
        return self._preconditioner

    def full_preconditioner(self, state: AutomaticState) -> Preconditioner:
        """Return the full preconditioner of a state."""
        assert state.matrices is not None  # noqa: S101
        if self._made_of is not state.matrices or not isinstance(
            self._preconditioner, Preconditioner
        ):
            self._preconditioner = Preconditioner(self.of, state.matrices)
            self._made_of = state.matrices
        return self._preconditioner

    def direction(
        self, state: AutomaticState, snapshot: Snapshot
    ) -> tuple[NDArray[np.float64], bool]:  # fmt: skip
        """Return the step to the minimum of the model, and whether that minimum was found."""
        preconditioner, known = self.preconditioner(state), self._direction_of
        key = (snapshot, preconditioner, state.pairs)
        if known is not None:
            at, made_by, pairs = known[0]
            if at is snapshot and made_by is preconditioner and pairs is state.pairs:
                return known[1], known[2]
        gradient, solved = self.gradient(snapshot), True
        if state.kind == StepKind.QUASI_NEWTON:
            step = quasi_newton_direction(self, state, gradient)
        elif self.of.is_plain:
            step = preconditioner.direction(gradient)
        else:
            scaled = self.scaled(snapshot)
            step, solved = self.full_preconditioner(state).step_to_minimum(gradient, scaled)
        self._direction_of = key, step, solved
        return step, solved

    def square(self, state: AutomaticState, snapshot: Snapshot) -> float:
        """Return the square of the next step's length: dᵀMd, M being the model's Hessian."""
        step = self.direction(state, snapshot)[0]
        if state.kind == StepKind.QUASI_NEWTON or self.in_row_space:
            return max(-float((self.gradient(snapshot) * step).sum()), 0.0)
        return max(self.full_preconditioner(state).square(step), 0.0)

    def square_left(self, snapshot: Snapshot) -> float | None:
        """Return about the same where steps from a constant have just ended, or None."""
        left = None
        if self.quick_steps is not None:
            left = self.quick_steps.square_left(snapshot.params, self.gradient(snapshot))
        self._by_estimate = left is not None
        if left is None and self.in_row_space:
            left = self.row_space.square_left(snapshot.params, self.gradient(snapshot))
        return left

    def is_poor(
        self, state: AutomaticState, before: Snapshot, trial: Snapshot, enough: float = _POOR
    ) -> bool:
        """Tell whether an epoch has not shrunk the square of the next step's length enough.

        By default that is to a quarter.
        """
        return enough * self.square(state, before) < self.square(state, trial)
