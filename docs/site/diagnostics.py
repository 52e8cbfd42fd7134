"""The page of diagnostics, written from their catalogue: ``python -m docs.site.diagnostics``."""

from __future__ import annotations

import re
from pathlib import Path

from docs.site.links import ROOT
from gradstep.diagnostics.catalogue import STAGES

__all__ = ["PAGE", "page"]

PAGE = Path("docs/diagnostics.md")
_WIDTH = 115
_HEAD = """# Diagnostics

What gradstep notes and warns of. Each has a code, which stays the same and is never given to
anything else. A note is printed as `note [GS004]: ...`; in Python (`notes` of a fit, `notes_` of an
estimator) and in JSON its text begins with the code. `gradstep explain GS004` prints what stands
below, `gradstep explain` lists all; a report has it for the codes that it shows.

To hear nothing of one, ignore it by its code:

```console
$ gradstep train trips.csv --target fare --ignore GS004,GS009
```

In Python it is then not in `notes` either, nor in the model's file:

```python
>>> import polars as pl
>>> import gradstep
>>> trips = pl.DataFrame(
...     {"id": range(60), "km": [1.0, 2.0, 4.0] * 20, "fare": [5.5, 8, 13, 6, 9, 12] * 10}
... )
>>> [note.code for note in gradstep.plan(trips, "fare").notes]
['GS004']
>>> gradstep.plan(trips, "fare", ignore="GS004").notes
[]

```

Of a leak (GS001) and of a model that is too good to be true (GS002) `fit_table` and the estimators
of tables warn, too; the estimators also of what is noted while the table is read.

A warning is a `GradstepWarning` of some kind. Its message begins with the code, by which a filter
finds it, and it has the code as its `code`:

```python
import warnings

warnings.filterwarnings("ignore", "GS106")
```

That is all that estimators of arrays (`MiniBatchRegressor`, `MiniBatchClassifier`) need, and why
they have no `ignore`: they keep no notes, and what they tell is warnings. A filter holds in the
processes of scikit-learn's `n_jobs`, too, as recent versions of it hand filters on.
`warnings.catch_warnings()` keeps it to a few lines:

```python
import numpy as np
from gradstep import MiniBatchRegressor

X = np.random.default_rng(0).normal(size=(200, 3))
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "GS106")
    model = MiniBatchRegressor(max_iter=1, learning_rate=0.001, tol=1e-9).fit(X, X.sum(axis=1))
```

What to do is said in Python's words here (`drop=["COLUMN"]`), as in notes and errors there. On the
command line they say what is typed (`--drop COLUMN`), and so does `gradstep explain`. This page is
written from the package itself (`python -m docs.site.diagnostics`).
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for stage, found in STAGES.items():
        parts.append(f"\n## {stage}\n")
        parts += [
            f"\n- [{each.code}](#{_anchor(each.code, each.title)}): {each.title}" for each in found
        ]
        parts.append("\n")
        for each in found:
            parts.append(f"\n### {each.code}: {each.title}\n")
            why, fix = f"**Why it matters.** {each.why}", f"**What to do.** {each.fix}"
            parts += [f"\n{_filled(text)}\n" for text in (each.what, why, fix)]
    return "".join(parts)


def _anchor(code: str, title: str) -> str:
    """Return what a heading is linked to by, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", f"{code}: {title}".lower()).replace(" ", "-")


def _filled(text: str) -> str:
    """Return a paragraph in lines; what stands between backticks stays together."""
    words = re.findall(r"\S*`[^`]*`\S*|\S+", text)
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), encoding="utf-8")
