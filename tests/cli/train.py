"""Options of `gradstep train` for a quick fit."""

from __future__ import annotations

FEW = ("--only", "km,hour,colour", "--no-cache")
GIVEN = ("--alpha", "1e-4")  # to choose it takes ten fits, and longest without compilation
ONE, TWO = (("--max-iter", str(n), "--tol", "none") for n in (1, 2))
