"""Whole fits against what others compute: scikit-learn, plain NumPy, and gradstep itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.linear_model import SGDClassifier, SGDRegressor

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.engine.kernels.batches import run_batches
from tests.uncompiled import compiled_if, uncompiled


def some_compiled(*names):
    """Have kernels compiled for some names: the others test no further idea that way."""
    return compiled_if({"squared_error", "sgd", "adam"}.__contains__, names)


REGRESSION = some_compiled(
    "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"
)
TWO_CLASSES = some_compiled("hinge", "squared_hinge", "log_loss", "modified_huber", "perceptron")
ONE_VS_REST = ["hinge", "perceptron", "squared_hinge", "modified_huber", "squared_error"]
OPTIMIZERS = some_compiled("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "ftrl")

N, P = 203, 7  # neither a multiple of a tile nor of a vector

RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, P))
Y = X @ RNG.normal(size=(P, 2)) + [1.0, -2.0] + 0.3 * RNG.normal(size=(N, 2))
Y1 = Y[:, 0]
CLASS = (X[:, :3] + RNG.gumbel(size=(N, 3))).argmax(axis=1)
SIGN = np.where(CLASS == 1, "yes", "no")
WEIGHT = RNG.integers(0, 4, N).astype(float)

# Small whole numbers, and rates that keep all sums exact: scores lie on the losses' corners.
X_GRID = RNG.integers(-1, 2, (N, 2)).astype(float)
Y_GRID = RNG.integers(-3, 4, N).astype(float)
SIGN_GRID = RNG.choice(["no", "yes"], N)


def params(model):
    return np.append(model.coef_.ravel(), model.intercept_)


def close(ours, theirs, tolerance):
    """Compare coefficients and intercepts, relative to the largest."""
    a, b = params(ours), params(theirs)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


COMMON = {"shuffle": False, "tol": None, "penalty": None, "max_iter": 4}


class TestRowByRowIsScikitLearn:
    """With batches of one row, in storage order and without penalty."""

    def compare(self, ours, theirs, X, y, tolerance=1e-9, **parameters):
        if parameters.get("learning_rate") == "optimal":  # which begins with long steps
            X = 0.3 * X
        parameters = COMMON | {"learning_rate": "constant", "eta0": 0.01} | parameters
        close(ours(batch_size=1, **parameters).fit(X, y), theirs(**parameters).fit(X, y), tolerance)

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"learning_rate": "invscaling", "eta0": 0.05},
            {"learning_rate": "optimal", "alpha": 10.0},
            {"average": True},
            {"average": 10},
            {"fit_intercept": False},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("loss", REGRESSION)
    def test_regression(self, loss, parameters):
        self.compare(MiniBatchRegressor, SGDRegressor, X, Y1, loss=loss, **parameters)

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"learning_rate": "invscaling", "eta0": 0.5, "power_t": 0.5},
            {"learning_rate": "optimal", "alpha": 10.0},
            {"average": True},
            {"average": 10},
            {"fit_intercept": False},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("loss", TWO_CLASSES)
    def test_two_classes(self, loss, parameters):
        self.compare(MiniBatchClassifier, SGDClassifier, X, SIGN, loss=loss, **parameters)

    @uncompiled
    @pytest.mark.parametrize("parameters", [{}, {"average": 10}], ids=str)
    @pytest.mark.parametrize("loss", ONE_VS_REST)
    def test_one_against_the_rest(self, loss, parameters):
        self.compare(MiniBatchClassifier, SGDClassifier, X, CLASS, loss=loss, **parameters)

    @pytest.mark.parametrize("intercept", [True, False])
    @pytest.mark.parametrize("loss", some_compiled("huber", "epsilon_insensitive"))
    def test_ties_in_regression(self, loss, intercept):
        self.compare(
            MiniBatchRegressor, SGDRegressor, X_GRID, Y_GRID, 0.0,
            loss=loss, epsilon=1.0, eta0=0.5, fit_intercept=intercept,
        )  # fmt: skip

    @pytest.mark.parametrize("intercept", [True, False])
    @pytest.mark.parametrize("loss", some_compiled("hinge", "perceptron", "modified_huber"))
    def test_ties_of_two_classes(self, loss, intercept):
        self.compare(
            MiniBatchClassifier, SGDClassifier, X_GRID, SIGN_GRID, 0.0,
            loss=loss, eta0=0.25, fit_intercept=intercept, max_iter=1,
        )  # fmt: skip


class TestFullBatchIsGradientDescent:
    """With one batch of all rows."""

    EPOCHS, RATE = 25, 0.2

    def compare(self, model, y, slopes, k):
        """Compare with gradient descent in NumPy, given the slopes of all rows."""
        model.set_params(
            penalty=None, batch_size=N, max_iter=self.EPOCHS, tol=None, learning_rate=self.RATE
        ).fit(X, y)
        X1 = np.column_stack([X, np.ones(N)])
        W = np.zeros((P + 1, k))
        for _ in range(self.EPOCHS):
            W -= self.RATE * X1.T @ slopes(X1 @ W) / N
        np.testing.assert_allclose(np.atleast_2d(model.coef_), W[:P].T, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(model.intercept_, W[P], rtol=1e-12, atol=1e-13)

    def test_regression(self):
        self.compare(MiniBatchRegressor(), Y1, lambda Z: Z - Y1[:, None], 1)

    def test_several_outputs(self):
        self.compare(MiniBatchRegressor(), Y, lambda Z: Z - Y, 2)

    def test_logistic(self):
        one = (SIGN == "yes")[:, None]
        self.compare(MiniBatchClassifier(), SIGN, lambda Z: expit(Z) - one, 1)

    @uncompiled
    def test_softmax(self):
        one = np.eye(3)[CLASS]
        self.compare(MiniBatchClassifier(), CLASS, lambda Z: softmax(Z, axis=1) - one, 3)


X_SPARSE = np.where(RNG.random((N, P)) < 0.3, X, 0.0)
X_SPARSE[[4, 5, 77]] = 0.0  # rows without any entry
X_SPARSE[:, 2] = 0.0  # a feature that no row has


def fitted(loss="squared_error", X=X_SPARSE, y=None, weight=None, **parameters):
    """Fit whichever estimator has the loss; short, in batches that leave a rest."""
    classes = loss in {"log_loss", "hinge"}
    make = MiniBatchClassifier if classes else MiniBatchRegressor
    if y is None:
        y = CLASS if classes else Y1
    # 1 is no multiple of 0.047 / 16, so that no intercept alone comes to lie on hinge's corner
    common = {"max_iter": 5, "tol": None, "learning_rate": 0.047, "batch_size": 16, "alpha": 0.01,
              "penalty_scale": "unit"}  # fmt: skip
    return make(loss, **common | parameters).fit(X, y, sample_weight=weight)


class TestLayoutsAgree:
    """The same numbers give the same model, however they are stored."""

    def check(self, loss="squared_error", **parameters):
        theirs = fitted(loss, **parameters)
        ours = fitted(loss, sp.csr_matrix(X_SPARSE), **parameters)
        close(ours, theirs, 1e-12)
        assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-12)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_csr_is_dense(self, optimizer):
        self.check(optimizer=optimizer, penalty="l2" if optimizer == "sgd" else "elasticnet")

    @pytest.mark.parametrize(
        "parameters",
        [
            pytest.param({"penalty": None}, marks=uncompiled),
            pytest.param({"penalty": "l1"}, marks=uncompiled),
            {"weight": WEIGHT},
            {"y": Y},
            pytest.param({"y": Y, "weight": WEIGHT, "penalty": None}, marks=uncompiled),
            {"last_batch": "mean"},
            {"last_batch": "drop"},
            {"fit_intercept": False},
            {"average": True},
            {"average": 100},
            pytest.param({"average": True, "penalty": "l1"}, marks=uncompiled),
            {"eta0": None, "learning_rate": "constant"},
            {"batch_size": 1},
            pytest.param({"batch_size": 1, "penalty": None}, marks=uncompiled),
            {"batch_size": N},
            {"shuffle": "blocks"},
            {"shuffle": False},
            {"early_stopping": True, "validation_fraction": 0.3},
            # weights shrink to 1e-60 of what they were in every step: a scale kept apart must
            # neither vanish nor overflow
            {"alpha": 1e60, "batch_size": 1},
        ],
        ids=" ".join,
    )
    def test_csr_is_dense_with(self, parameters):
        self.check(**parameters)

    @uncompiled
    def test_csr_is_dense_for_two_classes(self):
        self.check("log_loss", y=SIGN)

    @uncompiled
    def test_csr_is_dense_for_softmax(self):
        self.check("log_loss", weight=WEIGHT)

    @uncompiled
    def test_csr_is_dense_for_one_against_the_rest(self):
        self.check("hinge")

    def test_csr_is_dense_from_given_weights(self):
        """Features that no row has are shrunk, too."""
        start = np.arange(1.0, P + 1)
        common = {"max_iter": 3, "tol": None, "learning_rate": 0.1, "alpha": 0.5}
        common["penalty_scale"] = "unit"
        ours, theirs = (
            MiniBatchRegressor(**common).fit(rows, Y1, coef_init=start, intercept_init=[9.0])
            for rows in (sp.csr_matrix(X_SPARSE), X_SPARSE)
        )
        close(ours, theirs, 1e-12)
        steps = 3 * 4  # of 64 rows; the last has 11
        shrink = (1.0 + 0.1 * 0.5) ** 9 * (1.0 + 0.1 * 0.5 * 11 / 64) ** 3
        assert ours.t_ == steps
        assert ours.coef_[2] == pytest.approx(start[2] / shrink, rel=1e-12)

    @uncompiled
    @pytest.mark.parametrize(
        "layout",
        [np.asarray, sp.csr_matrix],
        ids=["dense", "csr"],
    )
    def test_float32_is_near_float64(self, layout):
        half = layout(X_SPARSE.astype(np.float32))
        close(fitted(X=half), fitted(X=layout(X_SPARSE)), 1e-4)
        assert not np.array_equal(params(fitted(X=half)), params(fitted(X=layout(X_SPARSE))))

    @pytest.mark.parametrize("form", ["F", "strided", "reversed", "readonly", "memmap", "list"])
    def test_dense_forms_give_the_same_bits(self, form, tmp_path):
        def stored(a, name):
            if form == "F":
                return np.asfortranarray(a)
            if form == "strided":
                return np.repeat(a, 2, axis=0)[::2]
            if form == "reversed":
                return a[::-1].copy()[::-1]
            if form == "list":
                return a.tolist()
            if form == "memmap":
                np.save(tmp_path / f"{name}.npy", a)
                return np.load(tmp_path / f"{name}.npy", mmap_mode="r")
            a = a.copy()
            a.flags.writeable = False
            return a

        plain = fitted(X=X, y=Y, weight=WEIGHT)
        compiled = len(run_batches.signatures)
        other = fitted(X=stored(X, "X"), y=stored(Y, "y"), weight=stored(WEIGHT, "weight"))
        np.testing.assert_array_equal(params(other), params(plain))
        assert len(run_batches.signatures) == compiled  # no form costs a compilation
        np.testing.assert_array_equal(other.predict(stored(X, "X")), plain.predict(X))

    def test_weights_cost_no_compilation(self):
        fitted(X=X, y=Y)
        compiled = len(run_batches.signatures)
        fitted(X=X, y=Y, weight=WEIGHT)
        assert len(run_batches.signatures) == compiled

    @pytest.mark.parametrize("form", ["readonly", "int64", "csc", "coo", "array", "unsorted"])
    def test_sparse_forms_give_the_same_bits(self, form):
        plain = sp.csr_matrix(X_SPARSE)
        other = {"csc": sp.csc_matrix, "coo": sp.coo_matrix, "array": sp.csr_array}.get(
            form, sp.csr_matrix
        )(plain, copy=True)
        if form == "readonly":
            for part in (other.data, other.indices, other.indptr):
                part.flags.writeable = False
        if form == "int64":
            other.indices, other.indptr = other.indices.astype("i8"), other.indptr.astype("i8")
        if form == "unsorted":  # twice the transpose leaves columns in order; so, by hand
            for r in range(N):
                row = slice(other.indptr[r], other.indptr[r + 1])
                other.indices[row] = other.indices[row][::-1].copy()
                other.data[row] = other.data[row][::-1].copy()
            other.has_sorted_indices = False
            close(fitted(X=other), fitted(X=plain), 1e-12)  # sums in another order
            return
        np.testing.assert_array_equal(params(fitted(X=other)), params(fitted(X=plain)))
        np.testing.assert_array_equal(
            fitted(X=plain).predict(other), fitted(X=plain).predict(plain)
        )
