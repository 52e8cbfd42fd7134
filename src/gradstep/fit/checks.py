"""Checks of settings that need no table, before one is read, which may take long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.checks import check_choice, check_number
from gradstep.data.preparing.options import refuse_unknown
from gradstep.errors import InvalidParameter
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.fit.plan import checked_optimizer, is_auto
from gradstep.fit.prepare import prepare
from gradstep.parameters import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradstep.fit.plan import Settings

__all__ = ["check_before_reading", "check_names"]


def check_before_reading(loss: Any, component: Any, settings: Settings, task: str) -> None:
    """Refuse settings that are wrong whatever the table holds."""
    penalty_of(settings.penalty, {"alpha": settings.alpha, "l1_ratio": settings.l1_ratio})
    if not is_auto(settings.optimizer):
        optimizer_of(settings.optimizer)
    check_choice("fit_table", "penalty_scale", settings.penalty_scale, ("deviation", "unit"))
    check_choice("fit_table", "last_batch", settings.last_batch, ("scale", "mean", "drop"))
    check_choice("fit_table", "precondition", settings.precondition, ("auto", True, False))
    check_number("fit_table", "average", int(settings.average), low=0, whole=True)
    check_number("fit_table", "max_iter", settings.max_iter, low=1, whole=True)
    check_number("fit_table", "n_iter_no_change", settings.n_iter_no_change, low=1, whole=True)
    if settings.tol is not None:
        check_number("fit_table", "tol", settings.tol, low=0.0)
    if not is_auto(settings.batch_size):
        check_number("fit_table", "batch_size", settings.batch_size, low=1, whole=True)
    if component is not None:
        checked_optimizer(settings, component)
    named = {"regression": REGRESSION_LOSSES, "classification": CLASSIFICATION_LOSSES}
    if isinstance(loss, str) and task in named and loss not in named[task]:
        msg = (
            f"loss={loss!r} is none of {task}: with task={task!r} it must be one of "
            f"{', '.join(named[task])}."
        )
        raise InvalidParameter(msg)
    if not is_auto(settings.learning_rate):
        schedule_of(
            settings.learning_rate,
            {
                "eta0": 1.0,
                "power_t": settings.power_t,
                "alpha": settings.alpha,
                "slope": lambda y, z: z - y,
            },
        )


def check_names(options: Iterable[str], function: Callable[..., Any]) -> None:
    """Refuse an option of `fit_table` that is none of `prepare` either.

    Parameters
    ----------
    options : iterable of str
        The names of the keyword arguments that `fit_table` does not have itself.
    function : callable
        `fit_table`, of whose parameters one may have been meant.
    """
    known = {*names_of(prepare), "formula"}  # which becomes other options first
    unknown = [name for name in options if name not in known]
    refuse_unknown("fit_table", unknown, sorted({*names_of(function), *known}))
