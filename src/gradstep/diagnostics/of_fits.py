"""GS1xx: what is noticed while a model is fitted."""

from __future__ import annotations

from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = [
    "ALPHA_AT_EDGE",
    "BOUNDS",
    "CONSTANT_COLUMNS",
    "ENDED_FAR_OFF",
    "INTERRUPTED",
    "MAX_ITER",
    "NOT_REFITTED",
    "NO_FOLDS",
    "RATE_LOWERED",
    "REJECTED_STEPS",
    "SEPARABLE",
    "STALLED",
    "WITHOUT_EFFECT",
]

SEPARABLE = Diagnostic(
    "GS101",
    "The classes can be separated",
    what="There is no penalty, and the model has every row on the right side of the line between "
    "the classes.",
    why="With coefficients twice as large the loss would be lower, and so on without end: there is "
    "no optimum. Training stopped where more of the same would change little. Probabilities are "
    "nearly 0 and 1, and coefficients have no standard errors.",
    fix='Use a penalty (`penalty="l2"`, the default), or leave out the column that separates the '
    "classes; it may give the target away (GS001).",
)
REJECTED_STEPS = Diagnostic(
    "GS102",
    "Steps were taken back",
    what="A step of the automatic method would have raised the objective. It was not taken, and "
    "the next ones are shorter.",
    why="The model is as good as without: the objective never rises. Some passes over the rows "
    "were lost. Rows that are very unlike each other are the usual reason.",
    fix="Nothing. If it happens often, look for values that are far out (GS014).",
)
CONSTANT_COLUMNS = Diagnostic(
    "GS103",
    "Constant columns have the coefficient 0",
    what="Some columns have the same value in every row.",
    why="Nothing can be learned from them; what they would add is in the intercept.",
    fix="Leave them out, or look why they do not vary.",
)
RATE_LOWERED = Diagnostic(
    "GS104",
    "The learning rate was brought down",
    what="With the first learning rate training diverged. It began again with a quarter of it.",
    why="The model is that of the lower rate; the time of the first attempts was lost.",
    fix="Give the rate that the note names, scale the columns, or use the automatic method "
    '(`optimizer="auto"`), which needs none.',
)
ENDED_FAR_OFF = Diagnostic(
    "GS105",
    "The loss in the end is far above that of a constant",
    what="Where training ended, the loss is many times that of the best constant prediction.",
    why="Such a model is worse than none. Steps were too long for the scale of the columns.",
    fix='Use `learning_rate="auto"`, a smaller rate, or scale the columns.',
)
MAX_ITER = Diagnostic(
    "GS106",
    "All epochs were run",
    what="Training ended since max_iter epochs were run, and not since tol was reached.",
    why="The model may still be some way from where it would have come to.",
    fix="Raise `max_iter`. If that takes too long, raise `tol`.",
)
STALLED = Diagnostic(
    "GS107",
    "Training may have ended short of the optimum",
    what="The objective stopped falling, but coordinate descent, which solves each step with an l1 "
    "penalty, did not come to its end.",
    why="Coefficients may not be those of the optimum. Features that nearly determine each other "
    "are the usual reason.",
    fix="Raise `alpha`, lower `l1_ratio`, centre the features, or leave some of those out that "
    "others nearly determine (GS204).",
)
INTERRUPTED = Diagnostic(
    "GS108",
    "The run was interrupted",
    what="Ctrl-C or SIGTERM came while the model was trained, while alpha was being chosen, or "
    "while the model was fitted to all rows. In Python the fit returns, and the program goes on.",
    why="The model is the best until then.",
    fix="Fit again; a run with a checkpoint (`Checkpoint`; on the command line `--checkpoint DIR` "
    "and `--resume`) can go on.",
)
NOT_REFITTED = Diagnostic(
    "GS109",
    "The model is not fitted to the rows held out",
    what="Usually a model is fitted again to all rows, once the rows held out have judged it. Here "
    "that was not possible: the rows are too many to copy, or that fit diverged.",
    why="The model is a good one, of nine tenths of the rows.",
    fix="Nothing. `refit=False` asks for such a model.",
)
BOUNDS = Diagnostic(
    "GS110",
    "Where constraints hold coefficients",
    what="Coefficients have constraints (`nonnegative=...`, `bounds=...`, `monotone=...`); the "
    "note says "
    "how many ended at their bound, and of which columns.",
    why="A coefficient at its bound would lie beyond it without the constraint. If none does, the "
    "model is the same without constraints.",
    fix="Nothing. Where a constraint holds that nobody expected, ask why the data say otherwise.",
)
ALPHA_AT_EDGE = Diagnostic(
    "GS111",
    "Alpha is the strongest or the weakest that was tried",
    what="The strength of the penalty was chosen from a path of strengths, and the best of them is "
    "the first or the last.",
    why="At the strongest, the columns tell next to nothing of the target: the model is nearly a "
    "constant. At the weakest, no penalty may be needed; or there is hardly an error left that it "
    "could make smaller, as where a column gives the target away (GS001) or separates the classes.",
    fix="Ask first whether each column is known when predictions are made. If so, give another "
    "strength (`alpha=...`) and compare the loss on rows held out; `alpha=0` is no penalty.",
)
NO_FOLDS = Diagnostic(
    "GS112",
    "The cross-validation is left out",
    what="The model was fitted; the cross-validation after it (`cv=...`) was interrupted, or "
    "diverged.",
    why="The model is as good as with it. How good that is on rows it has not seen is not known "
    "from all folds.",
    fix="Fit again, with other settings if it diverged, or judge the model by other rows "
    "(`gradstep evaluate`).",
)
WITHOUT_EFFECT = Diagnostic(
    "GS113",
    "Parameters of mini-batches have no effect",
    what="A parameter of mini-batches was given (`batch_size=...`; of estimators `shuffle`, "
    "`last_batch`, `average` and `precondition`, too; the share of `SVRG`), and the automatic "
    "method took steps that do not use it: only variance-reduced steps have batches, which are "
    "all of one size.",
    why="The model is the same without the parameter, and a search over its values compares equal "
    "models.",
    fix='Leave it out. For gradient descent in mini-batches use `optimizer="sgd"`, with the rate '
    "from the data or one of your own (`learning_rate=...`).",
)
