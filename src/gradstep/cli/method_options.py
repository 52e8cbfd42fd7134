"""Options of `train` that take the name of a component; a test compares them with what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from gradstep.cli import options as opt

__all__ = ["LearningRate", "Loss", "Optimizer", "Penalty", "PenaltyScale"]

LOSSES = (
    "squared_error huber epsilon_insensitive squared_epsilon_insensitive pinball poisson gamma "
    "tweedie log_loss hinge squared_hinge modified_huber perceptron"
)
PENALTIES = "l2 l1 elasticnet none"
OPTIMIZERS = "auto svrg exact sgd momentum nesterov adagrad rmsprop adam ftrl"
LEARNING_RATES = "auto constant invscaling optimal adaptive step exponential cosine one_cycle"

Loss = Annotated[
    str | None,
    typer.Option(
        **opt.one_of("By default squared_error, and of classes log_loss.", LOSSES),
        rich_help_panel=opt.TARGET,
    ),
]
Penalty = Annotated[
    str,
    typer.Option(**opt.one_of("What keeps weights small.", PENALTIES), rich_help_panel=opt.PENALTY),
]
PenaltyScale = Annotated[
    str,
    typer.Option(
        **opt.one_of("deviation: alpha means the same in any units.", "deviation unit"),
        rich_help_panel=opt.PENALTY,
    ),
]
Optimizer = Annotated[
    str,
    typer.Option(
        **opt.one_of("How the loss is minimised; auto goes to the optimum.", OPTIMIZERS),
        rich_help_panel=opt.TRAINING,
    ),
]
LearningRate = Annotated[
    str,
    typer.Option(
        **opt.one_of("auto: from the data; or a number.", LEARNING_RATES),
        rich_help_panel=opt.TRAINING,
    ),
]
