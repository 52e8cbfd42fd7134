"""GS2xx: what is noticed of a fitted model, and where it is applied."""

from __future__ import annotations

from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = [
    "FEW_CLUSTERS",
    "NOT_AT_OPTIMUM",
    "OLD_FILE",
    "PENALISED_INTERVALS",
    "SAMPLED_FIGURES",
    "UNDETERMINED",
    "UNSEEN_LEVEL",
    "UNSEEN_MISSING",
]

PENALISED_INTERVALS = Diagnostic(
    "GS205",
    "Intervals are for shrunk coefficients",
    what="The objective has an l2 penalty, and standard errors are those of the coefficients that "
    "it shrinks.",
    why="The intervals hold for what the penalised objective would have in all rows of the kind, "
    "not for coefficients without a penalty.",
    fix="Nothing, if the penalty is weak. Fit without a penalty for intervals of the others.",
)
NOT_AT_OPTIMUM = Diagnostic(
    "GS206",
    "A coefficient lies some way from the optimum",
    what="A coefficient lies more than a twentieth of its standard error from where the objective "
    "has its minimum.",
    why="Standard errors are those of the optimum.",
    fix="Fit with a smaller `tol`.",
)
UNDETERMINED = Diagnostic(
    "GS207",
    "Some coefficients have no standard error",
    what="A feature is constant, or others determine it exactly.",
    why="Any value of its coefficient gives the same predictions, if others are changed with it.",
    fix="Leave the feature out, or those that determine it.",
)
FEW_CLUSTERS = Diagnostic(
    "GS208",
    "There are few clusters",
    what="Standard errors are those of clustered rows, and there are fewer than thirty clusters.",
    why="Such standard errors are right for many clusters. Of few they are too small, and "
    "intervals too short.",
    fix="Read p-values near 0.05 as larger ones. Cluster by a finer column, if its clusters are "
    "independent.",
)
UNSEEN_MISSING = Diagnostic(
    "GS209",
    "Values are missing that never were in training",
    what="A column of numbers has missing values, and had none in the rows that the model was "
    "trained on.",
    why="The model has not learned what a missing value means. It takes the column's mean.",
    fix="Find out why they are missing now. If that will go on, train on rows of that kind.",
)
UNSEEN_LEVEL = Diagnostic(
    "GS210",
    "Levels are unknown",
    what="A category has levels, or missing values, that no training row has.",
    why="They have no effect on the prediction, as if the category were not there.",
    fix="Look whether names have changed (case, spelling). Train again once there are rows of "
    "them.",
)
SAMPLED_FIGURES = Diagnostic(
    "GS211",
    "Figures are drawn of some rows",
    what="The table has more rows than a figure needs; it is drawn of rows at equal distances.",
    why="Numbers are of all rows, and only dots of pictures are fewer.",
    fix="Nothing.",
)
OLD_FILE = Diagnostic(
    "GS212",
    "The model's file keeps nothing of the training rows",
    what="A gradstep before 0.1 has written the file.",
    why="Without the training rows' means and deviations nobody knows which column matters most; "
    "coefficients go by size.",
    fix="Train the model again.",
)
