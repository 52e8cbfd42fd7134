"""GS0xx: what is noticed while a table is read."""

from __future__ import annotations

from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = [
    "AMBIGUOUS_FORMAT",
    "CHOSEN_TERMS",
    "FAR_OUT",
    "IDENTIFIER",
    "LACKING_COLUMN",
    "LEAK",
    "MANY_CLASSES",
    "NO_TARGET",
    "NUMBERS_AS_LEVELS",
    "OTHER_ORDER",
    "PARTLY_NUMBERS",
    "PLACEHOLDER",
    "RARE_LEVELS",
    "RAW_EXPOSURE",
    "RECOGNISED_FORMAT",
    "ROW_NUMBERS",
    "TAKEN_AS_MISSING",
    "TOO_GOOD",
]

LEAK = Diagnostic(
    "GS001",
    "A column gives the target away",
    what="A column is a copy of the target, says it in other words (`alive` is `no` wherever "
    "`survived` is 0), decides it by itself in many rows, or has a correlation with it above "
    "0.9999. Or it orders the rows as the target does, without an exception: its logarithm, its "
    "bands (`low`, `high`). Or it is missing in all rows of one class, and in no other; or one of "
    "two classes has the smaller numbers, the other the larger ones, of 200 rows or more.",
    why="Such a column is often filled in after the target is known. A model that leans on it is "
    "nearly perfect on this table, and of no use on rows whose target is still open.",
    fix="Ask when the column is known. If that is not before the prediction is made, leave it out: "
    '`drop=["COLUMN"]`. If it is, ignore the note.',
)
TOO_GOOD = Diagnostic(
    "GS002",
    "Rows held out are predicted almost perfectly",
    what="On the rows held out, R² is above 0.99999; or all of their classes are right and the log "
    "loss is next to nothing; or, of 200 rows or more, no class is wrong, or the area under the "
    "ROC curve is 1. The note names the column that matters most, and all others with more than a "
    "tenth of the variance of the score.",
    why="Few tables allow that. Usually a column, or several together, say the target in other "
    "words.",
    fix="Look at the columns that are named, and at how the target was computed. Leave out what is "
    'not known in time: `drop=["COLUMN"]`. A target that is a formula of other columns needs no '
    "model.",
)
PLACEHOLDER = Diagnostic(
    "GS003",
    "A number may stand for a missing value",
    what="A column has -999, 9999 or the like in some rows, far from all other numbers.",
    why="As a number it pulls mean, deviation and coefficient of the column towards itself, and "
    "rows whose value is not known are predicted as if it were extreme.",
    fix='If it means that nothing is known: `na=["-999"]`. The rows then have the column\'s '
    "mean, and a feature that says that the value was missing.",
)
ROW_NUMBERS = Diagnostic(
    "GS004",
    "A column numbers the rows",
    what="A column holds each whole number from 0 or 1 to the number of rows once.",
    why="It says where a row stands in the file. If the file is sorted, a model learns the order, "
    "which new rows do not have.",
    fix='Leave it out: `drop=["COLUMN"]`. If the order is time, say so: `time_column="COLUMN"` '
    "holds "
    "the last rows out.",
)
MANY_CLASSES = Diagnostic(
    "GS005",
    "The target has many classes",
    what="The target is one of more than fifty classes.",
    why="Each class has a coefficient for each feature, and few rows to learn it from. Often the "
    "column is a number, or a name, and was not meant as classes.",
    fix='If the classes are numbers, `task="regression"` predicts the number itself. Otherwise '
    "look whether it is the right column, or put rare classes together.",
)
PARTLY_NUMBERS = Diagnostic(
    "GS006",
    "A column reads as numbers only in part",
    what="At least half of the values of a column of text read as numbers, and the others do not, "
    "so that the column is a category.",
    why="As a category each number has a coefficient of its own, and numbers that training has not "
    "seen have no effect.",
    fix="Correct the other values, or take them as missing: `na=[...]`. If it is a "
    'category, `kinds={"COLUMN": "category"}` says so.',
)
NUMBERS_AS_LEVELS = Diagnostic(
    "GS007",
    "Text that reads as numbers is a category",
    what="A file with types (Parquet, a data frame) has numbers as text in a column, more than "
    "fifty of them: zip codes, say. The column stays a category, as its type says.",
    why="Each value has a coefficient of its own; what the order of numbers could tell is not "
    "used.",
    fix='`kinds={"COLUMN": "number"}` takes the column as numbers, `kinds={"COLUMN": "category"}` '
    "says that it is "
    "meant as it is.",
)
AMBIGUOUS_FORMAT = Diagnostic(
    "GS008",
    "How a column is written is open",
    what="All values of a column can be read in two ways: 1.234 is a thousand or one and a bit, "
    "03/04/2024 is in March or in April. The more usual reading was taken.",
    why="Read otherwise, the numbers or dates are others, and so is the model.",
    fix="Look at a few values. The note names the option that reads them the other way: "
    '`thousands=...`, `decimal=...` or `kinds={"COLUMN": "date:%d/%m/%Y"}`.',
)
RECOGNISED_FORMAT = Diagnostic(
    "GS009",
    "Text is read as numbers or dates",
    what="The values of a column are written as people write them (1.234,5 or $1,088 or "
    "11/06/2024), or are numbers as text in a file with types, and are read as what they are.",
    why="Nothing is wrong. The note is there so that a wrong guess does not go unseen.",
    fix='Nothing, if it is right. Otherwise `kinds={"COLUMN": "category"}` keeps the column as '
    "text.",
)
TAKEN_AS_MISSING = Diagnostic(
    "GS010",
    "Words among numbers are taken as missing",
    what="A column of numbers or dates has words such as `?` or `unknown` in some rows, and these "
    "rows have no value there.",
    why="Such rows get the column's mean, and a feature that says that the value was missing.",
    fix="Nothing, if that is what the words mean. Otherwise correct them, or "
    '`kinds={"COLUMN": "category"}` '
    "makes each value a level.",
)
LACKING_COLUMN = Diagnostic(
    "GS011",
    "Some files lack a column",
    what="A table is made of several files, and some do not have a column that others have.",
    why="The column is missing in all rows of those files. If they differ from the others in more "
    "than that, being missing tells the model which file a row is from.",
    fix='Find out why the column is not there. Leave it out (`drop=["COLUMN"]`), or those files.',
)
OTHER_ORDER = Diagnostic(
    "GS012",
    "Columns stand in another order in some files",
    what="A table is made of several files, and their columns do not stand in the same order.",
    why="Nothing is wrong: columns go by their names.",
    fix="Nothing.",
)
NO_TARGET = Diagnostic(
    "GS013",
    "Rows without the target are left out",
    what="Many rows (in training a tenth or more, in an evaluation any) have no value of the "
    "target.",
    why="Nothing can be learned from such a row, and no prediction of it judged. If the target is "
    "missing for a reason that has to do with its value, the model is one of the other rows only.",
    fix='Ask why it is missing. `missing_target="error"` refuses such tables.',
)
FAR_OUT = Diagnostic(
    "GS014",
    "One value is far out",
    what="One value lies so far from the others of its column that it alone makes up more than "
    "half of the column's variance.",
    why="The row with that value has a leverage above one half: the column's coefficient follows "
    "that one row more than all others together. Often the value is a slip of a key, or in "
    "another unit.",
    fix="Look at the row. Correct the value or make it missing; or, if numbers of such sizes "
    'belong there, take the logarithm (`logs=["COLUMN"]`) or a curve (`splines=["COLUMN"]`). '
    '`loss="huber"` '
    "helps where it is the target that is far out.",
)
RARE_LEVELS = Diagnostic(
    "GS015",
    "Most levels of a category are rare",
    what="A category has a hundred levels or more, and more than half of its rows have one that "
    "fewer than five rows have.",
    why="A coefficient of so few rows is hardly more than their noise. New rows will mostly have "
    "levels that training has not seen, which have no effect on the prediction.",
    fix="Use a coarser category (the first letters of a code, say), let rare levels share one "
    'coefficient (`max_levels=50`), or leave the column out (`drop=["COLUMN"]`).',
)
CHOSEN_TERMS = Diagnostic(
    "GS016",
    "Terms were chosen",
    what='`splines="auto"` has tried curves and crosses of columns on a part of the training rows, '
    "and has taken those that lower the loss on rows that were held out, or none.",
    why="The note says which, and what they gain.",
    fix="Nothing. Terms that are given (`splines=...`, `crosses=...`) are not chosen.",
)
RAW_EXPOSURE = Diagnostic(
    "GS017",
    "An offset looks like an exposure",
    what="With a loss of counts, costs or rates a column is the offset, and the target is closer "
    "to proportional to the column itself than to its exponential: with nothing else in the "
    "model, the quasi-likelihood of the column as an exposure is above that of an offset, "
    "whatever its coefficient from 0 to 1, by 10 or more.",
    why="An offset is added to the logarithm of the prediction. A row of three years is then "
    "predicted e² times what a row of one year is, not three times, and coefficients make up for "
    "it as far as they can.",
    fix='If it is a time, an area or a population: `exposure="COLUMN"` in place of '
    '`offset="COLUMN"` takes the logarithm.',
)
IDENTIFIER = Diagnostic(
    "GS018",
    "A number may be an identifier",
    what="A column of whole numbers has `id`, `zip` or the like in its name. Or none of them "
    "comes twice, although a hundred rows or more drawn from their range would have ten pairs "
    "alike; or two hundred or more have all the same number of digits, five or more.",
    why="As a number it has one coefficient: who has a number twice as large would have twice the "
    "effect. What a model learns of it is chance, or the order in which numbers were given out, "
    "which new rows do not continue.",
    fix='Leave it out: `drop=["COLUMN"]`. If several rows share a number and each deserves a '
    'coefficient: `kinds={"COLUMN": "category"}`. If it is a quantity: '
    '`kinds={"COLUMN": "number"}`.',
)
