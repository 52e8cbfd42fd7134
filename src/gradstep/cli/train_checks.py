"""What `train` refuses before it reads: options that contradict each other, or do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.cli import options as opt
from gradstep.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import typer

__all__ = [
    "idle_parts",
    "number_of",
    "rate_of",
    "refuse_idle",
    "refuse_parts",
    "refuse_unknown_names",
]

_OF_LOSSES = {
    "epsilon": {"huber", "epsilon_insensitive", "squared_epsilon_insensitive"},
    "quantile": {"pinball"},
    "power": {"tweedie"},
}


def refuse_idle(ctx: typer.Context) -> None:
    """Refuse options that contradict each other, or would change nothing."""
    chosen = ctx.params
    for one, other in (("cache", "no_cache"), ("dask", "no_cache"), ("exact", "optimizer")):
        both = opt.given(ctx, (one, other))
        if len(both) == 2:
            msg = f"{both[0]} and {both[1]} contradict each other. Leave one of the two away."
            raise InvalidParameter(msg)
    if chosen["table"] == str(chosen["test"]) == "-":
        msg = "TABLE and --test are both -, and standard input is one table. Name a file for one."
        raise InvalidParameter(msg)
    opt.refuse_allow_mixed(allow_mixed=chosen["allow_mixed"], dask=chosen["dask"])
    idle = idle_parts(ctx)
    if chosen["alpha"] == "auto" and not _is_automatic(chosen):
        of = "of --optimizer auto, svrg or exact"
        idle += [(option, of) for option in opt.given(ctx, ["alpha"])]
    refuse_parts(idle)


def idle_parts(ctx: typer.Context) -> list[tuple[str, str]]:
    """Return options of a loss or a penalty that is not the chosen one, and of which they are."""
    chosen = ctx.params
    idle = [
        (option, f"of --loss {' or '.join(sorted(losses))}")
        for name, losses in _OF_LOSSES.items()
        for option in opt.given(ctx, [name])
        if chosen["loss"] not in losses
    ]
    if chosen["penalty"] != "elasticnet":
        idle += [(option, "of --penalty elasticnet") for option in opt.given(ctx, ["l1_ratio"])]
    if chosen["penalty"] == "none":
        idle += [(option, "of a penalty") for option in opt.given(ctx, ["alpha", "penalty_scale"])]
    return idle


def refuse_parts(idle: Sequence[tuple[str, str]]) -> None:
    """Refuse the first of options that would change nothing."""
    for option, of in idle:
        msg = f"{option} would change nothing: it is a part {of}."
        raise InvalidParameter(msg)


def _is_automatic(chosen: Mapping[str, Any]) -> bool:
    """Tell whether the options leave the steps to gradstep."""
    if chosen["learning_rate"] != "auto" or chosen["loss"] == "perceptron":
        return False
    return chosen["exact"] or chosen["optimizer"] in {"auto", "svrg", "exact"}


def refuse_unknown_names(
    loss: str | None, penalty: str, penalty_scale: str, optimizer: str, learning_rate: str
) -> None:
    """Refuse names that are not known, before the table is read."""
    from gradstep.fit import components as known

    opt.refuse_unknown("--loss", loss, known.LOSSES)
    opt.refuse_unknown("--penalty", penalty, [*known.PENALTIES, "none"])
    opt.refuse_unknown("--penalty-scale", penalty_scale, ["deviation", "unit"])
    opt.refuse_unknown("--optimizer", optimizer, ["auto", *known.OPTIMIZERS, *known.SOLVERS])
    if isinstance(rate_of(learning_rate), str):
        opt.refuse_unknown(
            "--learning-rate", learning_rate, ["auto", *known.LEARNING_RATES, "a number"]
        )


def number_of(option: str, text: str, other: str) -> Any:
    """Return the number that was typed, or the one word that may stand there: none is None."""
    if text == other:
        return None if other == "none" else other
    try:
        return float(text)
    except ValueError:
        msg = f"{option} {text} must be a number, or {other}."
        raise InvalidParameter(msg) from None


def rate_of(text: str) -> float | str:
    """Return the learning rate that was typed: a number, or a name."""
    try:
        return float(text)
    except ValueError:
        return text
