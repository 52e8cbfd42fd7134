"""A row of weight 0 is no row: whatever it holds, wherever it lies, no bit of a model changes."""

from __future__ import annotations

import numpy as np
import pytest

from gradstep.engine.baseline import Baseline, best_constant
from gradstep.engine.restart import run
from gradstep.engine.training import train
from gradstep.fit.components import OPTIMIZERS
from gradstep.fit.plan import Settings, plan
from gradstep.objective import classification, regression
from gradstep.rows.dataset import Dataset, are_classes, mean_square_norm, score_unit
from gradstep.rows.layouts import TableRows
from tests.engine.cases import csr, dense, usual_first
from tests.uncompiled import uncompiled

N, P, LEVELS = 80, 3, 4
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, P)) * [1.0, 5.0, 0.2]
CODES = RNG.integers(0, LEVELS, (N, 1)).astype(np.int32) + P
Z = X @ [0.4, -0.1, 1.0]
TARGETS = {
    "number": Z + RNG.normal(size=N),
    "count": RNG.poisson(np.exp(Z)) + 0.5,
    "sign": np.where(Z + RNG.logistic(size=N) > 0.0, 1.0, -1.0),
    "class": np.digitize(Z + RNG.logistic(size=N), [-1.0, 1.0]).astype(float),
}
WEIGHT = RNG.integers(1, 4, N).astype(float)
ANYTHING = [np.inf, -np.inf, np.nan, 1e300, -1e200, 1e4, 0.0, 1e-310]
# Where rows of weight 0 come before: at the end, at the start, all over.
PLACES = {
    "appended": np.full(17, N),
    "before": np.zeros(5, int),
    "between": np.sort(RNG.integers(0, N, 40)),
}


def table(values, codes):
    return TableRows(np.ascontiguousarray(values), codes, P + LEVELS)


LAYOUTS = {"dense": lambda x, _: dense(x), "csr": lambda x, _: csr(x), "table": table}
LOSSES = {
    "number": [regression.SquaredError(), regression.Huber(0.5), regression.Pinball(0.3),
               regression.EpsilonInsensitive(0.1), regression.SquaredEpsilonInsensitive(0.1)],
    "count": [regression.Poisson(), regression.Gamma(), regression.Tweedie(1.5)],
    "sign": [classification.LogLoss(), classification.Hinge(), classification.SquaredHinge(),
             classification.ModifiedHuber()],
    "class": [classification.Softmax(), classification.OneVsRest(classification.LogLoss())],
}  # fmt: skip
CASES = usual_first([loss for losses in LOSSES.values() for loss in losses])


def kind_of(loss):
    return next(kind for kind, losses in LOSSES.items() if any(loss is each for each in losses))


def dataset(layout, kind, places=None):
    """Return the rows, with others of weight 0 that hold anything before these places."""
    x, codes, y, weight = X, CODES, TARGETS[kind], WEIGHT
    if places is not None:
        rng, m = np.random.default_rng(1), places.size
        x = np.insert(x, places, rng.choice(ANYTHING, (m, P)), axis=0)
        codes = np.insert(codes, places, rng.integers(P, P + LEVELS, (m, 1)), axis=0)
        y = np.insert(y, places, rng.choice(ANYTHING, m))
        weight = np.insert(weight, places, 0.0)
    return Dataset(LAYOUTS[layout](x, codes), y[:, None], weight)


def fitted(loss, data, **asked):
    """Return the parameters of a fit by itself, or as asked."""
    k = 3 if hasattr(loss, "row_slopes") else 1
    chosen = plan(Settings(max_iter=4, **asked), loss, data, k)
    start = chosen.problem.start(None, best_constant(loss, data, k))
    return run(chosen.problem, data, start, columns=chosen.columns).state.current()


@uncompiled
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", CASES)
def test_the_automatic_method(loss, layout, places):
    kind = kind_of(loss)
    expected = fitted(loss, dataset(layout, kind))
    assert np.isfinite(expected).all()
    assert fitted(loss, dataset(layout, kind, places)).tobytes() == expected.tobytes()


@uncompiled
@pytest.mark.parametrize("shuffle", [True, "blocks", False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_textbook(optimizer, shuffle):
    """The order is one of the rows that count, so that it is the same order."""
    asked = {"optimizer": optimizer, "learning_rate": "constant", "shuffle": shuffle}
    asked["batch_size"] = 16
    loss = classification.LogLoss()
    expected = fitted(loss, dataset("dense", "sign"), **asked)
    more = dataset("dense", "sign", PLACES["between"])
    assert fitted(loss, more, **asked).tobytes() == expected.tobytes()


@uncompiled
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", LOSSES)
def test_what_is_known_of_the_rows(layout, kind):
    loss = LOSSES[kind][0]
    k = 3 if kind == "class" else 1
    plain, more = dataset(layout, kind), dataset(layout, kind, PLACES["between"])
    start = np.zeros(k * (plain.rows.n_features + 1))
    for known in (
        lambda data: data.n,
        lambda data: data.mean_weight,
        lambda data: data.rows.row_bytes(),
        mean_square_norm,
        lambda data: are_classes(loss, data),
        lambda data: score_unit(loss, data),
        lambda data: best_constant(loss, data, k).tolist(),
        lambda data: Baseline(loss, data, k, start).at_best,
        lambda data: Baseline(loss, data, k, start).at_start,
    ):
        assert known(more) == known(plain)


@uncompiled
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_part_of_a_stream(layout):
    loss = classification.LogLoss()
    states = []
    for places in (None, PLACES["between"]):
        data = dataset(layout, "sign", places)
        problem = plan(
            Settings(learning_rate=0.1, optimizer="sgd"), loss, data, 1, incremental=True
        ).problem
        state = problem.start()
        for part in (1, 2):
            state, _ = train(problem, data, state, until_epoch=part, incremental=True)
        states.append(state)
    assert states[1].current().tobytes() == states[0].current().tobytes()
    assert states[1].seen.tolist() == states[0].seen.tolist()
