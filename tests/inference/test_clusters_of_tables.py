"""Rows of a table that belong together: standard errors are statsmodels', whatever the road."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

import gradstep
from gradstep import InvalidParameter, TableClassifier, TableRegressor, fit_table, prepare
from gradstep.data.roles import cluster_keys
from gradstep.inference import clusters as cutting
from gradstep.inference.clusters import both_ways, numbered
from tests.uncompiled import uncompiled

pytestmark = uncompiled

N = 300
RNG = np.random.default_rng(8)
X = RNG.normal(size=N)
CODES, SHOPS = RNG.integers(0, 30, N), RNG.integers(0, 20, N)
CUSTOMERS = [f"customer {code}" if code else None for code in CODES]  # 0: nobody knows which
SCORE = 0.5 * X + RNG.normal(size=30)[CODES] + RNG.normal(size=20)[SHOPS]
WEIGHT = RNG.uniform(0.5, 2.0, N)
TABLE = pl.DataFrame({
    "x": X,
    "customer": pl.Series(CUSTOMERS, dtype=pl.String),
    "shop": SHOPS,
    "w": WEIGHT,
    "fare": SCORE + RNG.normal(size=N),
    "paid": np.where(SCORE + RNG.logistic(size=N) > 0.0, "yes", "no"),
    "rides": RNG.poisson(np.exp(0.3 * SCORE)),
})  # fmt: skip
TARGETS = ["fare", "paid", "rides"]
WAYS = {"customer": CODES, "shop": SHOPS, "customer,shop": np.column_stack([CODES, SHOPS])}
DUMMIES = np.column_stack([X, np.ones(N)])


def asked(target, columns):
    others = [*(other for other in TARGETS if other != target), "customer", "shop"]
    return {"drop": others, "inference": f"cluster={columns}", "penalty": None, "tol": 1e-9}


def of_statsmodels(target, columns, weight=None):
    """Return theirs of x and the constant."""
    how = {"cov_type": "cluster", "cov_kwds": {"groups": WAYS[columns]}}
    y = TABLE[target].to_numpy()
    if target == "fare":
        return sm.WLS(y, DUMMIES, weights=1.0 if weight is None else weight).fit(use_t=True, **how)
    if target == "paid":
        return sm.GLM(y == "yes", DUMMIES, family=sm.families.Binomial()).fit(**how)
    return sm.GLM(y, DUMMIES, family=sm.families.Poisson()).fit(**how)


def agree(summary, theirs):
    found = summary.coefficients
    assert [entry["feature"] for entry in found] == ["x", "(intercept)"]
    for name, expected in (
        ("coefficient", theirs.params), ("standard_error", theirs.bse), ("p", theirs.pvalues),
        ("low", theirs.conf_int()[:, 0]), ("high", theirs.conf_int()[:, 1]),
    ):  # fmt: skip
        np.testing.assert_allclose([e[name] for e in found], expected, rtol=1e-6, atol=1e-12)


class TestEqualToStatsmodels:
    @pytest.mark.parametrize("validation", [0.0, 0.2])  # of all rows, also those that were held out
    @pytest.mark.parametrize("columns", WAYS)
    def test_one_way_and_two(self, columns, validation):
        how = {**asked("fare", columns), "sample_weight": "w", "validation": validation}
        agree(
            fit_table(TABLE, "fare", **how).model.summary(), of_statsmodels("fare", columns, WEIGHT)
        )

    @pytest.mark.parametrize("columns", ["customer", "customer,shop"])
    def test_of_a_folder(self, columns, tmp_path):
        how = {**asked("fare", columns), "sample_weight": "w"}
        prepared = prepare(
            TABLE, "fare", out=tmp_path / "folder", drop=how.pop("drop"), validation=0.2,
            sample_weight=how.pop("sample_weight"), clusters=["customer", "shop"],
        )  # fmt: skip
        agree(fit_table(prepared, **how).model.summary(), of_statsmodels("fare", columns, WEIGHT))

    @pytest.mark.parametrize("columns", ["customer", "customer,shop"])
    def test_of_an_estimator_s_summary(self, columns):
        how = asked("paid", columns)
        model = TableClassifier(**how).fit(TABLE.drop("w"), "paid")
        theirs = of_statsmodels("paid", columns)
        agree(model.summary(), theirs)
        how = asked("rides", columns)
        model = TableRegressor("poisson", **how).fit(TABLE.drop("w"), "rides")
        agree(model.summary(), of_statsmodels("rides", columns))

    def test_of_another_table_held_out(self):
        """It trains nothing, and need not say which rows belong together."""
        later = TABLE.drop("customer")
        how = {**asked("fare", "customer"), "drop": ["paid", "rides", "shop", "customer", "w"]}
        found = fit_table(TABLE, "fare", validation_table=later, **how)
        agree(found.model.summary(), of_statsmodels("fare", "customer"))


class TestWhatIsTold:
    def test_of_missing_cells_and_of_features(self):
        how = asked("fare", "customer")
        found = fit_table(TABLE, "fare", **how)
        missing = int((CODES == 0).sum())
        assert found.notes == [
            f"GS216: {missing} rows have no 'customer': they count as one cluster."
        ]
        assert found.model.provenance["notes"] == found.notes
        assert "clustered by customer: 30 clusters" in str(found.model.summary())
        again = fit_table(TABLE, "fare", **{**how, "drop": how["drop"][:2]}, ignore="GS217")
        assert again.notes[-1].endswith('drop=["customer"] keeps it from being one.')

    def test_of_few_clusters(self):
        how = asked("fare", "shop")
        found = fit_table(TABLE, "fare", **how)
        assert "GS208: 20 clusters are few" in found.notes[0]
        assert "clustered by shop: 20 clusters; few clusters, see GS208" in str(
            found.model.summary()
        )
        quiet = fit_table(TABLE, "fare", **how, ignore="GS208")
        assert not any("GS208" in note for note in quiet.notes)
        assert "GS208" not in str(quiet.model.summary())

    def test_what_was_asked_for_and_is_not_valid(self):
        how = asked("fare", "shop") | {"penalty": "l1", "alpha": 0.01}
        found = fit_table(TABLE, "fare", **how)
        assert found.notes[-1].startswith(
            "GS215: No standard errors: an l1 penalty moves coefficients"
        )
        assert "No standard errors: an l1 penalty" in str(found.model.summary())

    def test_the_fit_is_the_same(self):
        how = asked("fare", "shop")
        clustered = fit_table(TABLE, "fare", **how).model
        assert np.array_equal(
            clustered.params, fit_table(TABLE, "fare", **how | {"inference": "robust"}).model.params
        )

    def test_in_the_file(self, tmp_path):
        model = fit_table(TABLE, "fare", **asked("fare", "customer,shop")).model
        gradstep.save(model, tmp_path / "m.safetensors")
        read = gradstep.load(tmp_path / "m.safetensors")
        assert str(read.summary()) == str(model.summary())
        assert read.covariance.clusters == (30, 20)


@pytest.mark.parametrize(
    "inference, why",
    [
        ("cluster", "as cluster=customer; or two of them, as cluster=customer,shop"),
        ("cluster=", "as cluster=customer"),
        ("bayes", "must be one of 'robust', 'model', 'none', or 'cluster=COLUMN'"),
        ("clusters=shop", "or 'cluster=COLUMN'"),
        ("clusted", "'cluster=COLUMN'. Did you mean 'cluster'?"),
        ("cluster=fare", "The target 'fare' cannot say which rows belong together"),
        ("cluster=shop,shop", "by one column, or by two different ones; not by 'shop', 'shop'"),
        ("cluster=shop,x,w", "not by 'shop', 'x', 'w'"),
    ],
)
def test_what_is_none_is_refused(inference, why):
    with pytest.raises(InvalidParameter) as found:
        fit_table(TABLE, "fare", inference=inference)
    assert why in str(found.value)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(gradstep.InvalidTable, match=r"cluster column 'costumer'.*'customer'"):
        fit_table(TABLE, "fare", inference="cluster=costumer")
    prepared = prepare(TABLE, "fare", clusters="shop")
    with pytest.raises(InvalidParameter, match=r"the same 'customer'.*clusters=.\"customer"):
        fit_table(prepared, inference="cluster=customer")
    path = tmp_path / "t.svm"
    path.write_text("1 1:2\n0 1:3\n", encoding="ascii")
    with pytest.raises(InvalidParameter, match="clusters: sparse text has"):
        fit_table(path, inference="cluster=customer")


class TestKeys:
    @pytest.mark.parametrize(
        "values, dtype",
        [
            ([3, 1, None, 3], pl.Int16),
            ([(1 << 63) + 1, 1, None, (1 << 63) + 1], pl.UInt64),
            ([0.0, 0.5, None, -0.0], pl.Float32),
            ([True, False, None, True], pl.Boolean),
            (["a", "b", None, "a"], pl.String),
            (["a", "b", None, "a"], pl.Categorical),
            (["2026-01-01", "2026-01-02", None, "2026-01-01"], pl.Date),
        ],
    )
    def test_are_equal_where_values_are(self, values, dtype):
        series = pl.Series(values)
        series = series.str.to_date() if dtype == pl.Date else series.cast(dtype)
        keys = cluster_keys(series)
        assert keys[0] == keys[3]
        assert len(set(keys.tolist())) == 3
        assert cluster_keys(series[::-1])[0] == keys[3], "whatever comes before"

    def test_nan_is_missing(self):
        keys = cluster_keys(pl.Series([float("nan"), None, 1.0]))
        assert keys[0] == keys[1] != keys[2]

    def test_in_pieces_are_numbered_alike(self, monkeypatch):
        one, other = CODES.astype(np.int64), SHOPS.astype(np.int64)
        expected = np.unique(np.column_stack([one, other]), axis=0, return_inverse=True)[1].ravel()
        monkeypatch.setattr(cutting, "_ROWS", 7)
        assert np.array_equal(both_ways(one, other), expected)
        assert numbered(lambda lo, hi: one[lo:hi], 0).size == 0


def test_a_folder_without_them_is_damaged(tmp_path):
    """As one could be made by hand: what it says of itself fits."""
    prepared = prepare(
        TABLE, "fare", out=tmp_path / "folder", clusters="shop", only=["x"], validation=0.0
    )
    prepared.clusters.clear()
    with pytest.raises(gradstep.InvalidTable, match=r"lacks train_clusters.npy: .* damaged"):
        fit_table(prepared, inference="cluster=shop", penalty=None)
