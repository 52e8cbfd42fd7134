"""GS2xx: what is noticed of a fitted model, and where it is applied."""

from __future__ import annotations

from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = [
    "CLUSTERS",
    "COLLINEAR",
    "DRIFT",
    "FEW_CLUSTERS",
    "FEW_ITERATES",
    "INTERVALS_OF_FEW",
    "NOT_AT_OPTIMUM",
    "NO_BETTER",
    "NO_STANDARD_ERRORS",
    "OLD_FILE",
    "OVERFITTING",
    "PENALISED_INTERVALS",
    "SAMPLED_FIGURES",
    "SCALED_RANDOMLY",
    "UNDETERMINED",
    "UNSEEN_LEVEL",
    "UNSEEN_MISSING",
]

NO_BETTER = Diagnostic(
    "GS201",
    "The model is no better than a constant",
    what="On the rows held out the loss of the model is not below that of the best constant "
    "prediction of the training rows.",
    why="What the model has learned does not hold for other rows. Either the columns say nothing "
    "of the target, or the model has learned the noise of too few rows.",
    fix='Get more rows, or use fewer features. A stronger penalty (`alpha="auto"` finds one) makes '
    "it a constant, if nothing can be learned. Look for a column that says more of the target.",
)
OVERFITTING = Diagnostic(
    "GS202",
    "The model is much better on its training rows",
    what="The loss, beside that of the best constant, is more than half as much again on the rows "
    "held out as on the training rows.",
    why="The model has learned the noise of its training rows. What it gains on them is not what "
    "it will gain on others: believe the rows held out.",
    fix="Use fewer features (`max_levels=...`, fewer `splines=...` and `crosses=...`), more rows, "
    "or a "
    'stronger penalty: `alpha="auto"` chooses one.',
)
DRIFT = Diagnostic(
    "GS203",
    "Later rows differ from earlier ones",
    what="The rows held out are the last ones (`time_column=...`), and on them the loss is more "
    "than "
    "half as much again as on the earlier ones, or no better than a constant of those.",
    why="What holds changes with time, and the rows that will be predicted come later still. "
    "Expect errors as on the rows held out, or larger ones.",
    fix="Train on recent rows only, and train again often. Look for columns whose meaning or level "
    "changes, and give the model what makes the difference, as a trend or a season.",
)
COLLINEAR = Diagnostic(
    "GS204",
    "Columns nearly determine each other",
    what="The other columns of numbers predict one so well that at most a hundredth of its "
    "variance is left (a variance inflation factor of 100 or more).",
    why="Predictions are as good as without. But the data hardly say what each column does by "
    "itself: its standard error is ten times what it would be, and other rows may change the sign "
    "of its coefficient. Do not read it by itself.",
    fix="Keep one of the columns (`drop=...` for the others), or use their sum, difference or "
    "ratio. "
    "Where only predictions count, do nothing.",
)
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
SCALED_RANDOMLY = Diagnostic(
    "GS213",
    "Intervals are those of random scaling",
    what="The model comes from mini-batches. Its intervals follow from the path of the averaged "
    "parameters (Lee, Liao, Seo and Shin, 2022), not from an optimum.",
    why="The scale that is shown is no standard error, and 95 % is 6.75 of it, not 1.96. The "
    "intervals hold nevertheless, if steps were many and their lengths fell.",
    fix='Nothing. The automatic method (`optimizer="auto"`) has standard errors.',
)
FEW_ITERATES = Diagnostic(
    "GS214",
    "Few iterates were averaged",
    what="Random scaling has seen fewer averaged iterates than it needs.",
    why="Its intervals hold for many steps. Of few they may be too short.",
    fix="Train for more epochs, or with smaller batches.",
)
NO_STANDARD_ERRORS = Diagnostic(
    "GS215",
    "There are no standard errors",
    what="Standard errors were asked for by name (`inference=...`), and none are valid; the note "
    "says why.",
    why="The model itself is as good as with them.",
    fix="What the reason suggests: a smooth loss, no l1 penalty, a smaller `tol`, fewer features.",
)
CLUSTERS = Diagnostic(
    "GS216",
    "What became of the columns of clusters",
    what="Some rows have no value in a column that rows are clustered by, and count as one "
    "cluster; or such a column is a feature as well.",
    why="One large cluster makes intervals longer. A feature with a level for each cluster takes "
    "from the others what clusters have in common.",
    fix='Fill the column, or leave those rows out. `drop=["COLUMN"]` keeps it from being a '
    "feature.",
)
INTERVALS_OF_FEW = Diagnostic(
    "GS217",
    "Intervals of levels that few rows have",
    what="A category has levels that fewer than five of the rows have that the model was fitted "
    "to, and their coefficients have robust standard errors, and intervals.",
    why="The coefficient of a level that one row has fits that row, and its error is next to "
    "nothing whatever the target is: robust standard errors see no spread there. The interval "
    "is far too short, here as elsewhere (statsmodels' HC1). That of two to four rows is a guess.",
    fix="Do not read these intervals. Let rare levels share one coefficient (`max_levels=...`), "
    "use "
    'a coarser category, or get more rows. `inference="model"` takes the spread of all rows for '
    "that of each level.",
)
