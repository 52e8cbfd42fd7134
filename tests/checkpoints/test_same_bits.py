"""Uninterrupted = stopped and resumed any number of times, for every component of each kind.

Components are found as in `tests/contracts`: what is added there is tested here.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from gradstep.engine.state import Validation
from gradstep.objective.classification import LogLoss
from gradstep.objective.penalties import L1, L2, ElasticNet
from gradstep.optim.optimizers import FTRL, SGD, Adam, Momentum
from gradstep.optim.schedules import Adaptive, Constant
from gradstep.optim.solvers import SVRG, Exact
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows
from tests.checkpoints.stops import resumed, sha256, uninterrupted
from tests.contracts.losses import JOINT_LOSSES, LOSSES
from tests.contracts.optimizers import OPTIMIZERS
from tests.contracts.penalties import PENALTIES
from tests.contracts.rows import ROWS
from tests.contracts.schedules import SCHEDULES
from tests.engine.cases import classes, csr, problem, regression
from tests.uncompiled import uncompiled

DATA = regression(n=41)
ELASTIC = ElasticNet(0.02, 0.5)


def of_each(cases, field):
    return [
        pytest.param(one, id=f"{cls.__name__}-{i}")
        for cls, case in cases.items()
        for i, one in enumerate(getattr(case, field))
    ]


def check(of, data, tmp_path, every="3steps", *, least=2, **options):
    """Compare bits, records (but for times) and how the run ended."""
    whole = uninterrupted(of, data, **options)
    result, stops = resumed(of, data, tmp_path / "run", every, **options)
    assert stops >= least
    assert sha256(result) == sha256(whole)
    assert [r[:4] + r[6:] for r in result.records] == [r[:4] + r[6:] for r in whole.records]
    assert (result.outcome, result.notes) == (whole.outcome, whole.notes)
    assert result.state.steps == whole.state.steps
    assert len(list((tmp_path / "run").iterdir())) == 1  # what says that it has ended


@uncompiled
class TestEvery:
    @pytest.mark.parametrize("optimizer", of_each(OPTIMIZERS, "optimizers"))
    def test_optimizer(self, optimizer, tmp_path):
        check(problem(DATA, optimizer=optimizer, penalty=ELASTIC), DATA, tmp_path)

    @pytest.mark.parametrize("schedule", of_each(SCHEDULES, "schedules"))
    def test_schedule(self, schedule, tmp_path):
        data = regression(n=41, layout=lambda X: DenseRows(X / 100.0))  # for the longest rates
        check(problem(data, schedule=schedule, max_epochs=5, fit_intercept=False), data, tmp_path)

    @pytest.mark.parametrize("penalty", of_each(PENALTIES, "penalties"))
    def test_penalty(self, penalty, tmp_path):
        check(problem(DATA, penalty=penalty), DATA, tmp_path)

    @pytest.mark.parametrize("loss", of_each(LOSSES, "losses"))
    def test_loss(self, loss, tmp_path):
        data = Dataset(DATA.rows, np.where(DATA.y > 1.0, 1.0, -1.0))
        if not hasattr(loss, "for_classes"):
            data = Dataset(DATA.rows, np.abs(DATA.y) + 0.1)
        check(problem(data, loss=loss), data, tmp_path)

    @pytest.mark.parametrize("loss", of_each(JOINT_LOSSES, "losses"))
    def test_loss_of_several_scores(self, loss, tmp_path):
        data = classes(n=41)
        check(problem(data, loss=loss, n_outputs=3), data, tmp_path)

    @pytest.mark.parametrize("case", [pytest.param(c, id=k.__name__) for k, c in ROWS.items()])
    def test_layout(self, case, tmp_path):
        data = Dataset(case.make(DATA.rows.values), DATA.y, np.resize([1.0, 2.0, 0.0], DATA.n))
        check(problem(data), data, tmp_path)

    @pytest.mark.parametrize("average", [1, 60])
    @pytest.mark.parametrize("penalty", [L2(0.01), L1(0.05)])
    def test_average(self, average, penalty, tmp_path):
        check(problem(DATA, average_from=average, penalty=penalty), DATA, tmp_path)

    @pytest.mark.parametrize("last_batch", ["scale", "mean", "drop"])
    @pytest.mark.parametrize(
        "shuffle", ["exact", "blocks", "none", lambda _, n: np.arange(n)[::-1]]
    )
    def test_order(self, last_batch, shuffle, tmp_path):
        check(problem(DATA, last_batch=last_batch, shuffle=shuffle), DATA, tmp_path)

    @pytest.mark.parametrize("optimizer", [SGD(), Momentum(), FTRL()])
    @pytest.mark.parametrize("penalty", [L2(0.01), L1(0.01)])
    def test_lazy_step(self, optimizer, penalty, tmp_path):
        """Within an epoch, most of the features are behind."""
        data = regression(n=41, p=1500, density=0.002, layout=csr)
        check(problem(data, optimizer=optimizer, penalty=penalty, batch_size=2, max_epochs=2), data,
              tmp_path)  # fmt: skip

    @pytest.mark.parametrize("stops", [True, False])
    def test_early_stopping(self, stops, tmp_path):
        rest, held_out = DATA.select(np.arange(30)), DATA.select(np.arange(30, 41))
        of = problem(rest, tol=1e-2, patience=2, max_epochs=12, schedule=Adaptive(0.05))
        check(of, rest, tmp_path, validation=Validation(held_out, stops=stops))

    @pytest.mark.parametrize("every", ["1steps", "2epochs", "1h"])
    def test_interval(self, every, tmp_path):
        check(problem(DATA, optimizer=Adam(), max_epochs=9), DATA, tmp_path, every)


@uncompiled
def test_a_shorter_learning_rate_stays_so(tmp_path):
    """A run that was begun anew because it diverged goes on with the rate of then."""
    of = problem(DATA, schedule=Adaptive(40.0), max_epochs=4)
    check(of, DATA, tmp_path, may_restart=True, least=6)
    assert uninterrupted(of, DATA, may_restart=True).state.restarts >= 2


@pytest.mark.parametrize("loss", [LogLoss(), None])
@pytest.mark.parametrize("optimizer", [SVRG(), Exact()])
def test_the_automatic_method(loss, optimizer, tmp_path):
    data = classes(n=200, k=2) if loss else regression(n=200)
    if loss and isinstance(optimizer, Exact):
        return
    of = problem(data, optimizer=optimizer, batch_size=0, tol=1e-8, schedule=Constant(1.0),
                 max_epochs=50, **({"loss": loss} if loss else {}))  # fmt: skip
    check(of, data, tmp_path, "1epochs", least=1 if loss else 0)


@pytest.mark.parametrize("largest, kind", [(1.0, np.float32), (1e45, np.float64)])
def test_quasi_newton_steps_and_what_they_remember(largest, kind, tmp_path):
    """In single precision, and in double where columns are too far apart for it."""
    rng = np.random.default_rng(0)
    X = sp.random(700, 2100, 0.01, format="csr", random_state=0)
    X.data[:] = np.where(X.indices % 2, 1.0, largest)
    y = (rng.random((700, 1)) < 0.5).astype(float)
    data = Dataset(CsrRows(X.data, X.indices, X.indptr.astype(np.int64), 2100), y)
    quasi = problem(
        data, loss=LogLoss(), optimizer=SVRG(), penalty=L2(1e-4), tol=None, max_epochs=12
    )
    check(quasi, data, tmp_path, "1epochs")
    state = uninterrupted(quasi, data).state
    assert len(state.pairs.steps) >= 5
    assert {each.dtype for part in state.pairs for each in part} == {np.dtype(kind)}
