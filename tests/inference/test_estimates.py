"""Standard errors are those of the formulas, written out in NumPy, and of statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from scipy import stats

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.objective.penalties import Scaled
from tests.uncompiled import compiled_if, uncompiled

N = 400
RNG = np.random.default_rng(3)
Z = RNG.normal(size=(N, 3))
X = Z * [1.0, 5.0, 0.2] + [3.0, -20.0, 0.0]
SCORE = Z @ [0.5, -0.3, 0.2]
NUMBERS = 2.0 + SCORE + RNG.normal(size=N) * (1.0 + 0.5 * np.abs(Z[:, 0]))
COUNTS = RNG.poisson(np.exp(SCORE)).astype(float)
AMOUNTS = np.exp(SCORE) * RNG.gamma(2.0, 0.5, N)
TWO = (SCORE + RNG.logistic(size=N) > 0.0).astype(int)
THREE = np.digitize(SCORE + RNG.logistic(size=N), [-1.0, 1.0])
WEIGHT = RNG.uniform(0.5, 2.0, N)
GROUPS, OTHER_GROUPS = RNG.integers(0, 60, N), RNG.integers(0, 40, N)
EXACT = {"penalty": None, "tol": 1e-9}


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


# Slope, second derivative and (expected) information of a loss at a target and a score; dispersion
LOSSES = {
    "squared_error": (NUMBERS, lambda y, z: z - y, lambda _, z: 1.0 + 0.0 * z, None, 0.0),
    "poisson": (COUNTS, lambda y, z: np.exp(z) - y, lambda _, z: np.exp(z), None, None),
    "gamma": (AMOUNTS, lambda y, z: 1.0 - y * np.exp(-z), lambda y, z: y * np.exp(-z),
              lambda z: 1.0 + 0.0 * z, 2.0),
    "log_loss": (TWO, lambda y, z: sigmoid(z) - y, lambda _, z: sigmoid(z) * sigmoid(-z), None,
                 None),
}  # fmt: skip


def fitted(loss, weight=None, x=X, **changes):
    y = LOSSES[loss][0]
    kind = MiniBatchClassifier if loss == "log_loss" else MiniBatchRegressor
    return kind(loss, **EXACT | changes).fit(x, y, sample_weight=weight), y


def products(h):
    A = np.column_stack([X, np.ones(N)])
    return A.T @ (h[:, None] * A)


def by_formula(loss, params, kind, weight=None):
    """Return the covariance of parameters, written out."""
    y, slope, second, information, power = LOSSES[loss]
    w = np.ones(N) if weight is None else weight
    A = np.column_stack([X, np.ones(N)])
    z = A @ params
    bread = np.linalg.inv(products(w * second(y, z)))
    if kind == "model":
        if information is not None:
            bread = np.linalg.inv(products(w * information(z)))
        if power is None:
            return bread
        mean = z if power == 0.0 else np.exp(z)
        return bread * np.sum(w * (y - mean) ** 2 / mean**power) / (N - 4)
    gradients = A * (w * slope(y, z))[:, None]
    if kind == "cluster":
        sums = np.array([gradients[g == GROUPS].sum(axis=0) for g in range(60)])
        return bread @ (sums.T @ sums) @ bread * 60 / 59 * (N - 1) / (N - 4)
    factor = N / (N - 4) if kind == "robust" else 1.0
    return factor * bread @ (gradients.T @ gradients) @ bread


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("kind", ["robust", "HC0", "model", "cluster"])
@pytest.mark.parametrize("loss", compiled_if({"squared_error", "log_loss"}.__contains__, LOSSES))
def test_are_those_of_the_formula(loss, kind, weight):
    model, y = fitted(loss, weight)
    how = {"clusters": GROUPS} if kind == "cluster" else {"covariance": kind}
    found = model.inference(X, y, weight, **how)
    params = np.append(np.ravel(model.coef_), model.intercept_)
    expected = by_formula(loss, params, kind, weight)
    np.testing.assert_allclose(found.covariance.matrix[0], expected, rtol=1e-6, atol=1e-12)
    errors = np.sqrt(np.diag(expected))
    degrees = {"cluster": 59}.get(kind, N - 4)
    law = stats.t(degrees) if loss == "squared_error" else stats.norm
    np.testing.assert_allclose(found.estimates[0], params)
    np.testing.assert_allclose(found.standard_errors[0], errors, rtol=1e-6)
    np.testing.assert_allclose(found.p_values[0], 2.0 * law.sf(np.abs(params / errors)), rtol=1e-4)
    ends = params[:, None] + errors[:, None] * law.ppf([0.05, 0.95])
    np.testing.assert_allclose(found.intervals(0.9)[0], ends, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("way", ["HC0", "HC1", "cluster", "both ways"])
def test_are_those_of_statsmodels(way):
    model, y = fitted("squared_error", WEIGHT)
    ways = {"cluster": GROUPS, "both ways": np.column_stack([GROUPS, OTHER_GROUPS])}
    theirs = sm.WLS(y, np.column_stack([X, np.ones(N)]), weights=WEIGHT).fit(
        cov_type="cluster" if way in ways else way, use_t=True,
        cov_kwds={"groups": ways[way]} if way in ways else {},
    )  # fmt: skip
    how = {"clusters": ways[way]} if way in ways else {"covariance": "robust"}
    found = model.inference(X, y, WEIGHT, **how | ({"covariance": way} if way == "HC0" else {}))
    np.testing.assert_allclose(found.standard_errors[0], theirs.bse, rtol=1e-9)
    np.testing.assert_allclose(found.p_values[0], theirs.pvalues, rtol=1e-6, atol=1e-12)
    of_all = found.wald(["x0", "x2"])
    expected = theirs.wald_test(np.eye(4)[[0, 2]], scalar=True, use_f=True)
    if way in {"HC0", "HC1"}:
        assert of_all["statistic"] == pytest.approx(float(expected.statistic), rel=1e-8)
        assert of_all["p"] == pytest.approx(float(expected.pvalue), rel=1e-6)


class TestSeveralOutputs:
    def test_of_classes_are_those_of_the_differences(self):
        """Against the information matrix of the classes but the first, written out."""
        model = MiniBatchClassifier(**EXACT).fit(X, THREE)
        found = model.inference(X, THREE, covariance="model")
        assert found.outputs == [0, 1, 2]
        A = np.column_stack([X, np.ones(N)])
        P = model.predict_proba(X)[:, 1:]
        blocks = [
            [A.T @ ((P[:, a] * ((a == b) - P[:, b]))[:, None] * A) for b in (0, 1)] for a in (0, 1)
        ]
        expected = np.linalg.inv(np.block(blocks))
        contrast = np.kron(np.column_stack([-np.ones(2), np.eye(2)]), np.eye(4))
        of_differences = contrast @ found.covariance.matrix[0] @ contrast.T
        np.testing.assert_allclose(of_differences, expected, rtol=1e-6, atol=1e-12)
        theta = (found.estimates[1:] - found.estimates[0]).reshape(-1)
        tested = found.wald(["x0", "x1", "x2"])
        at = [0, 1, 2, 4, 5, 6]
        square = theta[at] @ np.linalg.solve(expected[np.ix_(at, at)], theta[at])
        assert (tested["df"], tested["statistic"]) == (6, pytest.approx(square, rel=1e-6))

    def test_targets_are_apart(self):
        Y = np.column_stack([NUMBERS, SCORE + 3.0 * Z[:, 2] ** 2])
        both = MiniBatchRegressor(**EXACT).fit(X, Y).inference(X, Y)
        for c in range(2):
            alone = MiniBatchRegressor(**EXACT).fit(X, Y[:, c]).inference(X, Y[:, c])
            np.testing.assert_allclose(both.standard_errors[c], alone.standard_errors[0], rtol=1e-9)
            assert both.outputs == [0, 1]

    @uncompiled
    def test_classes_one_by_one_are_apart(self):
        loss = gradstep.OneVsRest(gradstep.LogLoss())
        found = MiniBatchClassifier(loss, **EXACT).fit(X, THREE).inference(X, THREE)
        alone = MiniBatchClassifier(**EXACT).fit(X, THREE == 2).inference(X, THREE == 2)
        np.testing.assert_allclose(found.standard_errors[2], alone.standard_errors[0], rtol=1e-6)


class TestRows:
    def test_sparse_are_as_dense(self):
        model, y = fitted("squared_error", x=sp.csr_matrix(X))
        sparse = model.inference(sp.csr_matrix(X), y)
        dense = fitted("squared_error")[0].inference(X, y)
        np.testing.assert_allclose(sparse.standard_errors, dense.standard_errors, rtol=1e-6)
        of_clusters = [m.inference(x, y, clusters=GROUPS).standard_errors for m, x in (
            (model, sp.csr_matrix(X)), (fitted("squared_error")[0], X))]  # fmt: skip
        np.testing.assert_allclose(*of_clusters, rtol=1e-6)

    def test_without_an_intercept(self):
        model, y = fitted("squared_error", fit_intercept=False)
        found = model.inference(X, y, covariance="HC0")
        bread = np.linalg.inv(X.T @ X)
        gradients = X * (X @ model.coef_ - y)[:, None]
        expected = np.sqrt(np.diag(bread @ (gradients.T @ gradients) @ bread))
        np.testing.assert_allclose(found.standard_errors[0], [*expected, 0.0], rtol=1e-6)

    def test_of_weight_zero_are_none(self):
        rows, y = np.vstack([X, X[:9] * 1e6]), np.append(NUMBERS, np.zeros(9))
        weight = np.append(WEIGHT, np.zeros(9))
        more = MiniBatchRegressor(**EXACT).fit(rows, y, sample_weight=weight)
        plain, _ = fitted("squared_error", WEIGHT)
        found = more.inference(rows, y, weight, clusters=np.append(GROUPS, np.arange(9) + 900))
        expected = plain.inference(X, NUMBERS, WEIGHT, clusters=GROUPS)
        assert found.standard_errors.tobytes() == expected.standard_errors.tobytes()
        assert found.covariance.clusters == (60,)


class TestPenalty:
    def test_l2_is_told_and_gradients_are_taken_about_their_mean(self):
        model, y = fitted("squared_error", penalty="l2", alpha=0.5, penalty_scale="unit")
        found = model.inference(X, y, covariance="HC0")
        A = np.column_stack([X, np.ones(N)])
        params = np.append(model.coef_, model.intercept_)
        bread = np.linalg.inv(A.T @ A + N * 0.5 * np.diag([1.0, 1.0, 1.0, 0.0]))
        gradients = A * (A @ params - y)[:, None]
        gradients -= gradients.mean(axis=0)
        expected = bread @ (gradients.T @ gradients) @ bread
        np.testing.assert_allclose(found.covariance.matrix[0], expected, rtol=1e-6, atol=1e-12)
        assert any("l2 penalty" in note for note in found.notes)

    @uncompiled
    @pytest.mark.parametrize("changes, why", [
        ({"penalty": "l1"}, "l1 penalty moves coefficients to zero"),
        ({"penalty": "elasticnet"}, "l1 penalty"),
        ({"loss": "epsilon_insensitive"}, "slope of EpsilonInsensitive jumps"),
        ({"penalty": Scaled(gradstep.L2(0.1), 2.0)}, "proximal map alone"),
    ])  # fmt: skip
    def test_what_is_not_valid_is_refused(self, changes, why):
        model = MiniBatchRegressor(**changes).fit(X, NUMBERS)
        with pytest.raises(gradstep.InvalidParameter, match=why):
            model.inference(X, NUMBERS)


class TestQuantiles:
    @uncompiled
    def test_is_powells_estimator(self):
        y, tau = NUMBERS, 0.7
        model = MiniBatchRegressor("pinball", quantile=tau, penalty=None, tol=1e-7).fit(X, y)
        found = model.inference(X, y, covariance="HC0")
        A = np.column_stack([X, np.ones(N)])
        residual = y - model.predict(X)
        at, norm = stats.norm.ppf(tau), stats.norm
        h = N ** (-1 / 3) * norm.ppf(0.975) ** (2 / 3)
        h *= (1.5 * norm.pdf(at) ** 2 / (2 * at**2 + 1)) ** (1 / 3)
        iqr = np.subtract(*np.quantile(residual, [0.75, 0.25])) / 1.34
        width = (norm.ppf(tau + h) - norm.ppf(tau - h)) * min(residual.std(), iqr)
        bread = np.linalg.inv(A.T @ ((np.abs(residual) < width)[:, None] * A) / (2 * width))
        gradients = A * np.where(residual > 0, -tau, 1 - tau)[:, None]
        expected = bread @ (gradients.T @ gradients) @ bread
        np.testing.assert_allclose(found.covariance.matrix[0], expected, rtol=1e-6, atol=1e-12)


class TestWhatIsNotThere:
    def test_dependent_and_constant_features_have_none(self):
        rows = np.column_stack([X, X[:, 0] - 2.0 * X[:, 1], np.full(N, 7.0)])
        model = MiniBatchRegressor(**EXACT).fit(rows, NUMBERS)
        found = model.inference(rows, NUMBERS)
        expected = fitted("squared_error")[0].inference(X, NUMBERS)
        lost = np.isnan(found.standard_errors[0])
        assert lost.tolist() == [True, True, False, True, True, False]
        np.testing.assert_allclose(
            found.standard_errors[0, 2], expected.standard_errors[0, 2], rtol=1e-6
        )
        ends = [each.mean_intervals(x) for each, x in ((found, rows), (expected, X))]
        np.testing.assert_allclose(*ends, rtol=1e-6)  # means are determined
        assert "No standard errors of x0, x1, x3, x4" in " ".join(found.notes)

    def test_far_from_the_optimum(self):
        model = MiniBatchRegressor(
            optimizer="sgd", learning_rate=1e-4, max_iter=1, tol=None, penalty=None
        ).fit(X, NUMBERS)
        with pytest.raises(gradstep.InvalidData, match="standard errors from the optimum"):
            model.inference(X, NUMBERS)

    def test_fewer_rows_than_parameters(self):
        model = MiniBatchRegressor().fit(X[:4], NUMBERS[:4])
        with pytest.raises(gradstep.InvalidData, match="4 rows are too few for 4 parameters"):
            model.inference(X[:4], NUMBERS[:4])

    @pytest.mark.parametrize("clusters, why", [
        (GROUPS[:5], r"it must name the cluster of each of the 400 rows"),
        (np.zeros((N, 3)), "once or two ways"), (np.zeros(N), "two clusters or more"),
    ])  # fmt: skip
    def test_clusters_that_are_none(self, clusters, why):
        model, y = fitted("squared_error")
        with pytest.raises(gradstep.InvalidData, match=why):
            model.inference(X, y, clusters=clusters)
        with pytest.raises(gradstep.InvalidParameter, match="independent rows"):
            model.inference(X, y, clusters=GROUPS, covariance="model")


class TestOfPredictions:
    def test_intervals_of_means_and_predictions(self):
        model, y = fitted("squared_error")
        found = model.inference(X, y, covariance="model")
        A = np.column_stack([X, np.ones(N)])
        z = model.predict(X)
        variance = np.sum((y - z) ** 2) / (N - 4)
        square = np.einsum("ij,ij->i", A @ np.linalg.inv(A.T @ A), A) * variance
        t = stats.t(N - 4).ppf(0.95)
        half = np.column_stack([-np.ones(N), np.ones(N)]) * t
        expected = z[:, None] + half * np.sqrt(square)[:, None]
        np.testing.assert_allclose(found.mean_intervals(X, 0.9)[:, 0], expected, rtol=1e-6)
        wider = z[:, None] + half * np.sqrt(square + variance)[:, None]
        np.testing.assert_allclose(found.prediction_intervals(X, 0.9)[:, 0], wider, rtol=1e-6)
        np.testing.assert_allclose(
            found.mean_intervals(sp.csr_matrix(X)), found.mean_intervals(X), rtol=1e-12
        )

    @uncompiled
    @pytest.mark.parametrize("factor", [1.0, 1000.0])
    def test_a_new_target_is_of_a_row_of_mean_weight(self, factor):
        """Only the ratios of weights count; statsmodels takes a new row's weight as 1."""
        model, y = fitted("squared_error", factor * WEIGHT)
        A = np.column_stack([X, np.ones(N)])
        theirs = sm.WLS(y, A, weights=WEIGHT / WEIGHT.mean()).fit().get_prediction(A)
        expected = theirs.summary_frame(alpha=0.1)[["obs_ci_lower", "obs_ci_upper"]]
        found = model.inference(X, y, factor * WEIGHT, covariance="model")
        np.testing.assert_allclose(found.prediction_intervals(X, 0.9)[:, 0], expected, rtol=1e-6)

    @uncompiled
    def test_a_new_target_is_as_far_as_others_of_its_kind(self):
        Y = np.column_stack([NUMBERS, 100.0 * NUMBERS])
        model = MiniBatchRegressor(**EXACT).fit(X, Y)
        of_both = model.inference(X, Y).prediction_intervals(X)
        alone = fitted("squared_error")[0].inference(X, NUMBERS).prediction_intervals(X)
        np.testing.assert_allclose(of_both[:, 0], alone[:, 0], rtol=1e-6)
        np.testing.assert_allclose(of_both[:, 1], 100.0 * alone[:, 0], rtol=1e-6)

    @uncompiled
    def test_of_a_log_link_and_of_probabilities(self):
        for loss in ("poisson", "log_loss"):
            model, y = fitted(loss)
            found = model.inference(X, y)
            z, errors = found.of_scores(X)
            low, high = (z + s * stats.norm.ppf(0.975) * errors for s in (-1.0, 1.0))
            link = np.exp if loss == "poisson" else sigmoid
            expected = np.stack([link(low), link(high)], axis=-1)
            np.testing.assert_allclose(found.mean_intervals(X), expected, rtol=1e-9)
            with pytest.raises(gradstep.InvalidParameter, match="loss='pinball'"):
                found.prediction_intervals(X)

    def test_a_frame_names_what_it_holds(self):
        frame = fitted("squared_error")[0].inference(X, NUMBERS).frame(0.9)
        assert frame["feature"].to_list() == ["x0", "x1", "x2", "(intercept)"]
        assert frame.columns[-4:] == ["statistic", "p", "low", "high"]
        assert (frame["low"] < frame["coefficient"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "log_loss", "clustered"])
def test_intervals_hold_the_truth_as_often_as_they_say(loss):
    """Of 500 samples, 95 % intervals hold the coefficient in 93 to 97 %, whatever the variance."""
    held, rng, n = 0, np.random.default_rng(0), 400
    for _ in range(500):
        x = rng.normal(size=(n, 2))
        groups = np.repeat(np.arange(n // 8), 8)
        z = x @ [0.5, -0.3] + 0.2
        if loss == "poisson":  # four times as dispersed as Poisson's
            y = rng.negative_binomial(np.exp(z) / 3.0, 0.25)
        elif loss == "log_loss":
            y = (z + rng.logistic(size=n) > 0).astype(int)
        elif loss == "squared_error":
            y = z + rng.normal(size=n) * np.exp(0.7 * x[:, 0])
        else:
            x = x + 2.0 * rng.normal(size=(n // 8, 2))[groups]
            y = x @ [0.5, -0.3] + rng.normal(size=n // 8)[groups] + rng.normal(size=n)
        kind = MiniBatchClassifier if loss == "log_loss" else MiniBatchRegressor
        name = "squared_error" if loss == "clustered" else loss
        clusters = groups if loss == "clustered" else None
        found = kind(name, penalty=None, tol=1e-6).fit(x, y).inference(x, y, clusters=clusters)
        low, high = found.intervals()[0, 0]
        held += low < 0.5 < high
    assert 0.93 <= held / 500 <= 0.97
