"""Terms that pay on held-out rows: curves of numbers, and crosses of the columns that matter.

1. A model with a curve for each number is fitted on a part of a sample. The worth of a curve is the
   rise of the loss on the other, held-out rows if the closest straight line takes its place.
2. Curves are added one by one, the worthiest first, if each surely lowers the held-out loss, until
   that is as low as with all curves.
3. The same is done with crosses of the few columns that matter most. The worth of a cross is the
   rise of the loss if the best sum of its two columns' own effects takes its place.

So the number of fits is bounded, however many terms there are to choose from, and whatever loss is
minimised decides. "Surely" means by Wilcoxon's signed-rank test (1945) of the losses of small parts
of the held-out rows, which a single outlier does not decide. In addition the mean loss, which it
can decide, must not rise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.terms.crosses import Cross
from gradstep.data.features.terms.options import AUTO, as_terms
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.preparing.choosing import Chosen
from gradstep.figures import number
from gradstep.fit.components import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, loss_for, loss_of
from gradstep.fit.plan import Settings, plan
from gradstep.fit.run import run, start_of
from gradstep.model.training_rows import parts_of, training_rows
from gradstep.objective.losses import has_optimum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.choosing import Sample
    from gradstep.rows.dataset import Dataset

    Pairs = tuple[tuple[str, str], ...]

__all__ = ["choosing"]

# A third of the rows is held out; with few rows, each third in turn.
_FOLDS, _FEW_ROWS = 3, 3000
# Parts of the held-out rows whose losses are compared.
_PARTS = 21
# Standard deviations of the sum of signed ranks that count as sure.
_SURE = 3.0
# Share of the loss that a term must be worth.
_LEAST = 2e-3
# Columns that crosses are made of: those that matter most.
_COLUMNS = 8
# Rows to fit per feature of a cross, at least.
_ROWS_A_FEATURE = 10
# Features, over all outputs, of a model with all terms to choose from, at most.
_MOST_FEATURES = 1500
# `tol` of a fit: the losses that are compared are noisier.
_TOL = 1e-3
# Terms of a kind that are tried, at most.
_MOST_TRIED = 24


def choosing(loss: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return further arguments of `gradstep.prepare`, if those given ask for terms to be chosen.

    Parameters
    ----------
    loss : Loss or None
        The loss that decides; None for the default of the target.
    given : mapping
        The arguments that were given.
    """
    if (AUTO, 0) not in as_terms(given).get("splines", ()):
        return {}
    return {"choose": partial(_choose, loss), "chosen_for": repr(loss)}


def _choose(loss: Any, sample: Sample) -> Chosen:
    target = sample.target
    if loss is None or not has_optimum(loss):
        of_classes = target.classes is not None
        known = CLASSIFICATION_LOSSES if of_classes else REGRESSION_LOSSES
        loss = loss_of("log_loss" if of_classes else "squared_error", {}, known)
    fitted = partial(_Fit.of, sample, loss_for(loss, target), target.n_outputs)
    plain = best = fitted((), ())
    if sample.curves:
        whole = fitted(tuple(sample.curves), ())
        of_curves = {curve: whole.with_line(curve[0]) for curve in whole.curves}
        best = _added(
            best, whole, of_curves,
            lambda best, curve: fitted((*best.curves, curve), (), near=best),
        )  # fmt: skip
    pairs = _pairs(best)
    if pairs:
        whole = fitted(best.curves, pairs)
        worth = {pair: whole.without(":".join(pair)) for pair in pairs}
        best = _added(
            best, whole, worth,
            lambda best, pair: fitted(best.curves, (*best.crosses, pair), near=best),
        )  # fmt: skip
    if best is plain:
        return Chosen((), (), f"No term pays on {sample.n:,} rows: columns stay as they are.")
    return Chosen(best.curves, best.crosses, _in_words(sample, plain, best))


def _is_larger(losses: NDArray[np.float64], than: NDArray[np.float64], sure: float = _SURE) -> bool:
    """Tell whether losses of parts of the held-out rows are surely, and noticeably, larger."""
    more, n = losses - than, losses.size
    ranks = np.argsort(np.argsort(np.abs(more))) + 1.0
    wanted = n * (n + 1) / 4.0 + sure * np.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    noticed = np.median(more) > _LEAST * np.median(np.abs(than))
    return bool(noticed and ranks[more > 0.0].sum() >= wanted)


def _added(
    best: _Fit,
    whole: _Fit,
    worth: Mapping[Any, NDArray[np.float64]],
    with_term: Callable[[_Fit, Any], _Fit],
) -> _Fit:
    """Return a model with terms added one by one, until it is as good as the one with all.

    Parameters
    ----------
    best, whole : _Fit
        The models without any of the terms, and with all of them.
    worth : mapping
        By term, the losses of the whole model without it.
    with_term : callable
        Returns a model with one more term.
    """
    ranked = sorted(worth, key=lambda term: -np.median(worth[term]))
    useful = [term for term in ranked if np.median(worth[term]) > np.median(whole.losses)]
    for term in useful[:_MOST_TRIED]:
        if not _is_larger(best.losses, whole.losses, sure=1.0):
            break
        more = with_term(best, term)
        if _is_larger(best.losses, more.losses) and best.losses.mean() > more.losses.mean():
            best = more
    return best


def _pairs(fit: _Fit) -> Pairs:
    """Return pairs of the columns that matter most, as long as there are rows enough for each."""
    encoding, fold = fit.encoding, fit.folds[0]
    coef = fold.params[: -fit.k].reshape(fit.k, -1)
    known = training_rows(encoding, fold.train, coef, np.zeros(fit.k))
    shares = dict(zip(parts_of(encoding), np.array(known.covariances).sum(axis=1), strict=True))
    dates = {c.source for c in encoding.read_as_numbers if c.part}
    columns = sorted(set(encoding.sources) - dates, key=lambda c: (-abs(shares[c]), c))[:_COLUMNS]
    asked = {frozenset((c.source, c.other)) for c in encoding.columns if isinstance(c, Cross)}
    found, room = [], _MOST_FEATURES // fit.k - encoding.n_features
    for pair in combinations(columns, 2):
        size = int(np.prod([fit.features(column).size for column in pair]))
        if frozenset(pair) not in asked and size <= min(room, fold.train.n // _ROWS_A_FEATURE):
            found.append(pair)
            room -= size
    return tuple(found)


def _in_words(sample: Sample, plain: _Fit, best: _Fit) -> str:
    curves = ", ".join(column for column, _ in best.curves)
    crosses = ", ".join(":".join(pair) for pair in best.crosses)
    kinds = [
        f"{kind} {names}" for kind, names in (("curves of", curves), ("crosses", crosses)) if names
    ]
    return (
        f"Terms were chosen on {sample.n:,} training rows, of which a third was held out: "
        f"{' and '.join(kinds)} (loss {number(plain.losses.mean(), 5)} without, "
        f"{number(best.losses.mean(), 5)} with them)."
    )


@dataclass(frozen=True)
class _Fold:
    """Rows to fit, rows held out, and what was fitted."""

    loss: Any
    k: int
    train: Dataset
    held_out: Dataset
    params: NDArray[np.float64]

    @classmethod
    def of(
        cls, loss: Any, k: int, encoding: Encoding, train: Dataset, held_out: Dataset,
        near: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> _Fold:  # fmt: skip
        """Fit a model by the automatic method, with the default penalty."""
        from gradstep.rows.statistics import Columns  # imports Numba

        chosen = plan(Settings(tol=_TOL), loss, train, k, stored_in=encoding.stored_in())
        columns = chosen.columns or Columns.unmeasured(chosen.problem.n_features)
        start = start_of(chosen.problem, train, *(near or ()), at_constant=True)
        result = run(replace(chosen, columns=columns), train, start, may_restart=True)
        return cls(loss, k, train, held_out, result.params)

    def losses(self, params: NDArray[np.float64], parts: int) -> list[float]:
        """Return mean losses of parts of the rows held out."""
        from gradstep.engine.evaluation import mean_loss  # imports Numba

        cuts = np.linspace(0, self.held_out.n, parts + 1).astype(int).tolist()
        held_out = (self.held_out.part(lo, hi) for lo, hi in pairwise(cuts) if hi > lo)
        return [mean_loss(self.loss, part, params, self.k) for part in held_out]

    @cached_property
    def _matrix(self) -> Any:
        """The rows to fit as a sparse matrix, with a last column of ones."""
        from scipy.sparse import csc_matrix

        rows: Any = self.train.rows
        at = self.train.rows_between(0, self.train.n)
        n, numbers = at.size, rows.values.shape[1]
        blocks = (
            (np.broadcast_to(np.arange(numbers), (n, numbers)), rows.values[at]),
            (rows.codes[at], np.ones((n, rows.codes.shape[1]))),
            (rows.places[at], rows.amounts[at]),
            (np.full((n, 1), rows.width), np.ones((n, 1))),
        )
        there = [places >= 0 for places, _ in blocks]
        row = [np.nonzero(each)[0] for each in there]
        columns, amounts = (
            [block[of][each] for block, each in zip(blocks, there, strict=True)] for of in (0, 1)
        )
        entries = np.concatenate(amounts), (np.concatenate(row), np.concatenate(columns))
        return csc_matrix(entries, shape=(n, rows.width + 1))

    def replaced(
        self, own: NDArray[np.intp], others: NDArray[np.intp], lines: Any = None
    ) -> NDArray[np.float64]:
        """Return parameters in which some features' part of the score is replaced.

        It is replaced by its least-squares fit from other features.

        Parameters
        ----------
        own : ndarray
            The features whose part is replaced.
        others : ndarray
            The features that replace it; the intercept is the last feature.
        lines : ndarray of shape (others, m), optional
            If given, only these combinations of the others replace it.
        """
        weights = self.params[: -self.k].reshape(self.k, -1), self.params[-self.k :, None]
        coef = np.concatenate(weights, axis=1)  # (k, p + 1)
        part = self._matrix[:, own] @ coef[:, own].T
        design = self._matrix[:, others]
        design = design if lines is None else design @ lines
        products = design.T @ design
        products = products if lines is not None else products.toarray()
        products[np.diag_indices_from(products)] += 1e-9 * np.trace(products) / len(products)
        fitted = np.linalg.solve(products, design.T @ part)  # (m, k)
        coef[:, own] = 0.0
        coef[:, others] += (fitted if lines is None else lines @ fitted).T
        return np.concatenate([coef[:, :-1].reshape(-1), coef[:, -1]])


@dataclass(frozen=True)
class _Fit:
    """A model with some of the terms, fitted on some rows of the sample and judged on others."""

    encoding: Encoding
    k: int
    curves: tuple[tuple[str, int], ...]
    crosses: Pairs
    folds: list[_Fold]

    @classmethod
    def of(
        cls, sample: Sample, loss: Any, k: int, curves: tuple[tuple[str, int], ...],
        crosses: Pairs, near: _Fit | None = None,
    ) -> _Fit:  # fmt: skip
        """Fit the model, starting from one with other terms, if there is one."""
        encoding, data = sample.encoded(curves, crosses)
        names = encoding.feature_names()
        starts = [None] * _FOLDS if near is None else near.weights_of(names)
        rows, folds = np.arange(data.n, dtype=np.uint32), []
        cuts = [data.n * part // _FOLDS for part in range(_FOLDS + 1)]
        for (lo, hi), start in zip(pairwise(cuts), starts, strict=False):
            if lo and data.n > _FEW_ROWS:
                break
            train = data.select(np.concatenate([rows[:lo], rows[hi:]]))
            folds.append(_Fold.of(loss, k, encoding, train, data.part(lo, hi), start))
        return cls(encoding, k, curves, crosses, folds)

    def weights_of(self, names: list[str]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return the weights of each fold for these features, 0 of others, and the intercepts."""
        own = {name: j for j, name in enumerate(self.encoding.feature_names())}
        there = np.array([name in own for name in names])
        at = [own[name] for name in names if name in own]
        found = []
        for fold in self.folds:
            coef = np.zeros((self.k, len(names)))
            coef[:, there] = fold.params[: -self.k].reshape(self.k, -1)[:, at]
            found.append((coef, fold.params[-self.k :]))
        return found

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """Mean losses of parts of the rows held out."""
        return self._losses(lambda fold: fold.params)

    def _losses(self, params: Callable[[_Fold], NDArray[np.float64]]) -> NDArray[np.float64]:
        parts = _PARTS // len(self.folds)
        return np.array([loss for fold in self.folds for loss in fold.losses(params(fold), parts)])

    def features(self, name: str) -> NDArray[np.intp]:
        """Return the features of a column, or of a cross."""
        spans = parts_of(self.encoding)[name].features
        return np.concatenate([np.arange(span.start, span.stop) for span in spans])

    def without(self, cross: str) -> NDArray[np.float64]:
        """Return the losses with the best sum of its columns' effects in the place of a cross."""
        own = self.features(cross)
        columns = map(self.features, cross.split(":"))
        others = np.concatenate([*columns, [self.encoding.n_features]])
        return self._losses(lambda fold: fold.replaced(own, others))

    def with_line(self, column: str) -> NDArray[np.float64]:
        """Return the losses with the closest straight line in the place of a curve."""
        encoding = self.encoding
        q, curve = next(
            (q, c)
            for q, c in enumerate(encoding.placed)
            if isinstance(c, SplineColumn) and c.source == column
        )
        start = encoding.starts[len(encoding.coded) + q]
        own = np.arange(start, start + curve.size)
        lines = np.column_stack([np.ones(curve.size), curve.centres])
        return self._losses(lambda fold: fold.replaced(own, own, lines))
