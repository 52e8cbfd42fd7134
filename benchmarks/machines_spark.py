"""The same logistic regression by Spark's machine learning, in two local threads.

Spark is no dependency of this project, nor is Java 17, which it needs: the interpreter of an
environment that has it (``pip install pyspark numpy``) is named by ``GRADSTEP_SPARK_PYTHON``. The
table goes there as one file of NumPy's, and is in Spark's memory before the clock starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["by_spark"]

_LIMIT = 1800.0  # seconds, to start and to load included
_PROGRAM = """
import json, sys, time
import numpy as np
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

folder, threads, tol = sys.argv[1], sys.argv[2], float(sys.argv[3])
spark = (
    SparkSession.builder.master(f"local[{threads}]").config("spark.driver.memory", "6g")
    .config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1").getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
table = spark.read.parquet(folder + "/table")
data = table.select(array_to_vector(col("x")).alias("features"), col("y").alias("label")).cache()
data.count()
began = time.perf_counter()
found = LogisticRegression(regParam=0.0, tol=tol, maxIter=200).fit(data)
seconds = time.perf_counter() - began
print(json.dumps([seconds, found.coefficients.toArray().tolist(), float(found.intercept)]))
"""


def by_spark(
    X: NDArray[np.float64], y: NDArray[np.float64], *, threads: int = 2, tol: float = 1e-6
) -> tuple[float, NDArray[np.float64], float]:
    """Return seconds, coefficients and intercept of Spark's fit without a penalty.

    Raises
    ------
    ImportError
        If there is no Spark, or it fails: with a sentence that says so.
    """
    import polars as pl

    python = os.environ.get("GRADSTEP_SPARK_PYTHON")
    if python is None:
        msg = "not compared: GRADSTEP_SPARK_PYTHON names no interpreter that has pyspark"
        raise ImportError(msg)
    with tempfile.TemporaryDirectory() as folder:
        there, program = Path(folder) / "table", Path(folder) / "fit.py"
        there.mkdir()
        program.write_text(_PROGRAM)
        for number, part in enumerate(np.array_split(np.arange(len(y)), 8)):
            rows = pl.Series("x", X[part], dtype=pl.Array(pl.Float64, X.shape[1]))
            frame = pl.DataFrame({"x": rows.cast(pl.List(pl.Float64)), "y": y[part]})
            frame.write_parquet(there / f"{number}.parquet")
        command = [python, str(program), folder, str(threads), str(tol)]
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, timeout=_LIMIT, check=False,
                env={**os.environ, "PYTHONPATH": "", "PYSPARK_PYTHON": python},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ImportError(str(error)) from error
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines()
        raise ImportError(lines[-1] if lines else f"exit status {ran.returncode}")
    seconds, coef, intercept = json.loads(ran.stdout.strip().splitlines()[-1])
    return seconds, np.array(coef), intercept
