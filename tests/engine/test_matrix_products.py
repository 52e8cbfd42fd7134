"""Losses and gradients of many outputs, as matrix products, beside NumPy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_info

from gradstep.engine import matrix_products
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.row_sums import RowSums
from gradstep.engine.row_tasks import Evaluate
from gradstep.objective.classification import Softmax
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

N, P, K = 700, 40, 9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_they_are_those_of_the_rows_that_count(dtype, monkeypatch):
    monkeypatch.setattr(matrix_products, "_FEWEST_PARAMETERS", P * K)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, P)).astype(dtype)
    y, weight = rng.integers(K, size=(N, 1)).astype(float), rng.random(N)
    params = rng.normal(size=K * P + K) / 5
    index = rng.permutation(N)[:650].astype(np.uint32)
    data = Dataset(DenseRows(x), y, weight, index=index)
    with RowSums(data, K) as sums:
        found = sums.evaluate(Softmax(), params)
    x, y, weight = x[index].astype(float), y[index, 0].astype(int), weight[index]
    z = x @ params[: K * P].reshape(K, P).T + params[K * P :]
    loss = -np.average(log_softmax(z, axis=1)[np.arange(y.size), y], weights=weight)
    slopes = (softmax(z, axis=1) - np.eye(K)[y]) * weight[:, None] / weight.sum()
    assert found.loss == pytest.approx(loss, rel=1e-13)
    expected = np.concatenate([(slopes.T @ x).ravel(), slopes.sum(axis=0)])
    np.testing.assert_allclose(found.gradient, expected, atol=1e-14)


def test_kernels_give_the_same(monkeypatch):
    rng = np.random.default_rng(4)
    data = Dataset(DenseRows(rng.normal(size=(N, P))), rng.integers(K, size=(N, 1)).astype(float))
    task = Evaluate((Softmax(), None, None), K, rng.normal(size=K * P + K) / 5)
    monkeypatch.setattr(matrix_products, "_FEWEST_PARAMETERS", P * K)
    found = task(data)
    monkeypatch.setattr(matrix_products, "_FEWEST_PARAMETERS", P * K + 1)
    for one, other in zip(found, task(data), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-11)


def threads_of_blas():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_blas_has_one_thread_until_the_last_has_left():
    before = threads_of_blas()
    with one_blas_thread():
        with one_blas_thread():
            assert threads_of_blas() == {1}
        assert threads_of_blas() == {1}
    assert threads_of_blas() == before


def test_blas_has_one_thread_whoever_enters_first_and_leaves_last():
    """As threads of a pool do; threadpoolctl lets one thread set the number, the first who did."""
    before, one, other = threads_of_blas(), one_blas_thread(), one_blas_thread()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for _ in range(2):
            first.submit(one.__enter__).result()
            second.submit(other.__enter__).result()
            first.submit(one.__exit__, None, None, None).result()
            assert threads_of_blas() == {1}
            second.submit(other.__exit__, None, None, None).result()
            assert threads_of_blas() == before
            one, other = one_blas_thread(), one_blas_thread()
        with one_blas_thread():
            assert threads_of_blas() == {1}
    assert threads_of_blas() == before
