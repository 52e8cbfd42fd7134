"""scikit-learn's own callbacks (from 1.9 on), called once an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method: there are no callbacks to tear down."""
        return method


if TYPE_CHECKING:
    from gradstep.engine.callbacks import EpochEnd

__all__ = ["Bridge", "CallbackSupportMixin", "with_callbacks"]


class Bridge:
    """Calls scikit-learn's callbacks (from 1.9 on) once an epoch."""

    def __init__(self, est: Any, X: Any, y: Any, weight: Any, attributes: Any) -> None:
        self._est, self._X, self._y = est, X, y
        self._attributes = attributes
        self._metadata = None if weight is None else {"sample_weight": weight}
        self._context = est._init_callback_context(max_subtasks=int(est.max_iter))
        self._context.call_on_fit_task_begin(estimator=est, X=X, y=y, metadata=self._metadata)
        self._epoch: Any = None
        self._begin()

    def _begin(self) -> None:
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            estimator=self._est, X=self._X, y=self._y, metadata=self._metadata
        )

    def on_epoch_end(self, event: EpochEnd) -> bool:
        """End the epoch's task; True if a callback asks to stop."""
        stop = self._end(
            self._epoch, lambda: self._attributes(self._est, event.problem, event.params)
        )
        self._epoch = None
        if not stop and event.record.epoch < event.problem.max_epochs:
            self._begin()
        return stop

    def close(self) -> None:
        """End the fit's task, and an epoch's that was begun before the run was known to end."""
        est = self._est
        fitted = {"coef_": est.coef_, "intercept_": est.intercept_}
        if self._epoch is not None:
            self._end(self._epoch, None)
        self._end(self._context, fitted)

    def _end(self, context: Any, attributes: Any) -> bool:
        return bool(
            context.call_on_fit_task_end(
                estimator=self._est,
                X=self._X,
                y=self._y,
                metadata=self._metadata,
                reconstruction_attributes=attributes,
            )
        )
