"""Every optimizer of the table, as `train` runs it: its formula, and where it converges to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from gradstep import MiniBatchRegressor
from gradstep.engine.constraints import Constraints
from gradstep.engine.state import Problem
from gradstep.engine.training import train
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.objective.regression import SquaredError
from gradstep.optim.optimizers import FTRL, SGD, AdaGrad, Nesterov, Optimizer, RMSprop
from gradstep.optim.schedules import Constant, Exponential, InvScaling, UserSchedule
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows
from tests.contracts.optimizers import OPTIMIZERS, Steps
from tests.uncompiled import uncompiled

# Compiled in the slow tests alone: loops like those of the others.
ALIKE = (Nesterov, AdaGrad, RMSprop)


def every_optimizer(*marks_of_some):
    """Parametrize by every optimizer, with marks on those that are compiled in slow tests alone."""
    cases = [
        pytest.param(
            case,
            optimizer,
            id=repr(optimizer),
            marks=marks_of_some if isinstance(optimizer, ALIKE) else (),
        )
        for case in OPTIMIZERS.values()
        for optimizer in case.optimizers
    ]
    return pytest.mark.parametrize("case, optimizer", cases)


# Each with its strengths of |w| and of ½ w². Of the elastic net there is one kernel for each
# optimizer; its ends are L1 and L2 to the bit (tests/objective/test_penalties.py). The class
# without a penalty runs uncompiled where that does not take longer.
PENALTIES = {
    "none": (NoPenalty(), 0.0, 0.0),
    "l2": (ElasticNet(0.05, 0.0), 0.0, 0.05),
    "l1": (ElasticNet(0.1, 1.0), 0.1, 0.0),
    "elasticnet": (ElasticNet(0.2, 0.75), 0.15, 0.05),
}
every_penalty = pytest.mark.parametrize(
    "penalty, l1, l2", [pytest.param(*parts, id=name) for name, parts in PENALTIES.items()]
)

BATCH = 16
EPOCHS = 50  # of 3 full batches and one of 2 rows: 200 steps


def data(n, p, seed=0):
    """Return features, targets: two features of five do not matter."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.1 * rng.normal(size=(p, p))) + 0.3
    return X, X @ np.array([2.0, -1.0, 0.0, 0.0, 0.5])[:p] + 1.5 + 0.1 * rng.normal(size=n)


def problem_of(X, epochs, **changes):
    """Return a least-squares problem."""
    settings = {
        "loss": SquaredError(),
        "penalty": NoPenalty(),
        "optimizer": SGD(),
        "schedule": Constant(0.1),
        "n_features": X.shape[1],
        "max_epochs": epochs,
        "tol": None,
    }
    return Problem(**(settings | changes))


def trained(X, y, epochs, **changes):
    """Return the state after so many epochs."""
    problem = problem_of(X, epochs, **changes)
    state, _ = train(problem, Dataset(DenseRows(X), y[:, None]), problem.start())
    return state


def order(epoch, n):
    return np.random.default_rng([5, epoch]).permutation(n)


def transcribed(case, optimizer, X, y, l1, l2):
    """Return the iterates of the transcription: squared error, batches in the given order."""
    A = np.column_stack([X, np.ones(len(y))])

    def gradient_of(rows):
        return lambda w: A[rows].T @ (A[rows] @ w - y[rows]) / BATCH

    batches = [
        order(epoch, len(y))[start : start + BATCH]
        for epoch in range(EPOCHS)
        for start in range(0, len(y), BATCH)
    ]
    weights_alone = np.append(np.ones(X.shape[1]), 0.0)
    steps = Steps(
        gradients=[gradient_of(rows) for rows in batches],
        rates=case.rate / np.arange(1, len(batches) + 1) ** 0.25,
        shares=np.array([len(rows) / BATCH for rows in batches]),
        l1=l1 * weights_alone,
        l2=l2 * weights_alone,
    )
    return list(case.transcription(optimizer, steps, np.zeros(A.shape[1])))


@pytest.mark.parametrize(
    "penalty, l1, l2",
    [
        pytest.param(*parts, id=name, marks=uncompiled if name == "none" else ())
        for name, parts in PENALTIES.items()
    ],
)
@every_optimizer(uncompiled)
def test_two_hundred_steps_are_those_of_the_formula(case, optimizer, penalty, l1, l2):
    X, y = data(50, 5)
    iterates = transcribed(case, optimizer, X, y, l1, l2)
    state = trained(
        X,
        y,
        EPOCHS,
        penalty=penalty,
        optimizer=optimizer,
        schedule=InvScaling(case.rate, 0.25),
        batch_size=BATCH,
        shuffle=order,
        average_from=100,
    )
    assert state.steps == len(iterates) == 200
    np.testing.assert_allclose(state.params, iterates[-1], rtol=0.0, atol=1e-10)
    # the average takes in every iterate once 100 rows have been seen: two epochs of 50
    np.testing.assert_allclose(state.average, np.mean(iterates[7:], axis=0), rtol=0.0, atol=1e-10)
    np.testing.assert_array_equal(state.current(), state.average)


def exact(X, y, l1, l2):
    """Return weights and intercept of scikit-learn's exact solvers."""
    tight = {"tol": 1e-14, "max_iter": 100_000}
    if l1 > 0.0 and l2 > 0.0:
        model = SklearnElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), **tight)
    elif l1 > 0.0:
        model = Lasso(alpha=l1, **tight)
    else:
        model = Ridge(alpha=len(y) * l2, solver="cholesky") if l2 > 0.0 else LinearRegression()
    model.fit(X, y)
    return np.append(model.coef_, model.intercept_)


def converging():
    """Yield each optimizer with both penalties at once; the first of its class with each, too."""
    for case in OPTIMIZERS.values():
        for at, optimizer in enumerate(case.optimizers):
            for name, parts in PENALTIES.items():
                if name == "elasticnet" or at == 0:
                    quick = at == 0 and name == "elasticnet" and not isinstance(optimizer, ALIKE)
                    marks = () if quick else pytest.mark.slow
                    yield pytest.param(
                        case, optimizer, *parts, id=f"{optimizer}-{name}", marks=marks
                    )


@pytest.mark.parametrize("case, optimizer, penalty, l1, l2", list(converging()))
def test_full_batches_converge_to_the_minimiser(case, optimizer, penalty, l1, l2):
    X, y = data(60, 5)
    if type(penalty) is NoPenalty:
        penalty = ElasticNet(0.0)  # the kernel is compiled already
    state = trained(
        X,
        y,
        1000 if isinstance(case.converges, Constant) else 3000,
        penalty=penalty,
        optimizer=optimizer,
        schedule=case.converges,
        batch_size=60,
        shuffle="none",
    )
    expected = exact(X, y, l1, l2)
    np.testing.assert_allclose(state.params, expected, rtol=0.0, atol=case.within)
    assert ((state.params == 0.0) == (np.abs(expected) < 1e-12)).all(), "zeros are exact"
    assert (state.params == 0.0).sum() == (2 if l1 else 0)


@pytest.mark.parametrize("penalty, l1, l2", [(L2(0.05), 0.0, 0.05), (L1(0.1), 0.1, 0.0)])
def test_plain_l1_and_l2_converge_to_the_minimiser(penalty, l1, l2):
    test_full_batches_converge_to_the_minimiser(OPTIMIZERS[SGD], SGD(), penalty, l1, l2)


def within(X, y, l1, l2, low, high):
    """Return weights and intercept within bounds, by coordinate descent."""
    A, w = np.column_stack([X, np.ones(len(y))]), np.zeros(X.shape[1] + 1)
    l1, l2 = (np.append(np.full(X.shape[1], x), 0.0) for x in (l1, l2))
    low, high = np.append(low, -np.inf), np.append(high, np.inf)
    for j in np.tile(np.arange(w.size), 500):
        curvature = A[:, j] @ A[:, j] / len(y)
        x = curvature * w[j] - A[:, j] @ (A @ w - y) / len(y)
        free = np.sign(x) * max(abs(x) - l1[j], 0.0) / (curvature + l2[j])
        w[j] = np.clip(free, low[j], high[j])
    return w


@uncompiled
@pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=[kind.__name__ for kind in OPTIMIZERS])
def test_full_batches_converge_to_the_minimiser_within_bounds(case):
    (optimizer, *_), (X, y) = case.optimizers, data(16, 5)
    bounds = np.array([0.5, -0.4, 0.1, -1.0, -2.0]), np.array([3.0, 2.0, 2.0, 1.0, 0.2])
    l1, l2 = PENALTIES["elasticnet"][1:]
    seen, steady = [], isinstance(case.converges, Constant)
    problem = problem_of(
        X,
        300,
        penalty=PENALTIES["elasticnet"][0],
        optimizer=optimizer,
        schedule=case.converges if steady else Exponential(0.1, factor=0.98),
        batch_size=16,
        shuffle="none",
        constraints=Constraints(*bounds, np.zeros(5, dtype=bool)),
    )
    watch = SimpleNamespace(on_epoch_end=lambda event: seen.append(event.state.current()[:-1]))
    state, _ = train(problem, Dataset(DenseRows(X), y[:, None]), problem.start(), callbacks=[watch])
    expected = within(X, y, l1, l2, *bounds)
    np.testing.assert_allclose(state.params, expected, rtol=0.0, atol=1e-5 if steady else 1e-3)
    assert (state.params[[1, 2, 4]] == [-0.4, 0.1, 0.2]).all()
    assert (np.array(seen) >= bounds[0]).all()
    assert (np.array(seen) <= bounds[1]).all()


@uncompiled
def test_ftrl_sets_exact_zeros_with_small_batches():
    X, y = data(60, 5)
    for penalty, zeros in ((ElasticNet(0.1, 1.0), 2), (NoPenalty(), 0)):
        state = trained(
            X, y, 60, penalty=penalty, optimizer=FTRL(), schedule=Constant(0.3), batch_size=4
        )
        assert (state.params == 0.0).sum() == zeros


@uncompiled
def test_an_average_keeps_the_exact_zeros_of_l1():
    X, y = data(60, 5)
    model = MiniBatchRegressor(
        penalty="l1",
        alpha=0.1,
        learning_rate=0.05,
        batch_size=8,
        average=1200,
        max_iter=60,
        tol=None,
    )
    assert (model.fit(X, y).coef_ == 0.0).tolist() == [False, False, True, True, False]


@uncompiled
@every_optimizer()
def test_a_step_of_length_zero_changes_nothing(case, optimizer):
    X, y = data(50, 5)
    problem = problem_of(X, 2, optimizer=optimizer, schedule=UserSchedule(lambda *_: 0.0))
    state, _ = train(problem, Dataset(DenseRows(X), y[:, None]), problem.start(np.ones(5), [2.0]))
    assert state.params.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]


@every_optimizer()
def test_every_optimizer_keeps_its_protocol(case, optimizer):
    assert isinstance(optimizer, Optimizer)
