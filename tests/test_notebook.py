"""The notebook's run comes out of gradstep to the digit, whichever way it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradstep import MiniBatchRegressor
from gradstep.comparing.notebook import Notebook

EXPECTED = Path(__file__).with_name("notebook_output.txt")


def by_hand():
    """Run the notebook in NumPy; yield weight and intercept after each epoch.

    In the notebook's own order of draws: features, noise, first weight, then one shuffle of
    the already shuffled rows per epoch. The short last batch is divided by 64, too.
    """
    draw = np.random.RandomState(42)
    x = draw.rand(1000, 1)[:, 0]
    y = 3.0 * x + 2.0 + 0.1 * draw.randn(1000, 1)[:, 0]
    w, b = draw.randn(1, 1)[0, 0], 0.0
    for _ in range(50):
        shuffled = draw.permutation(1000)
        x, y = x[shuffled], y[shuffled]
        for first in range(0, 1000, 64):
            part = slice(first, first + 64)
            error = w * x[part] + b - y[part]
            w, b = w - 0.05 * (error @ x[part]) / 64, b - 0.05 * error.sum() / 64
        yield w, b


class Recorder:
    """Keeps, after each epoch, the notebook's line and the parameters."""

    def __init__(self):
        self.lines, self.params = [], []

    def on_epoch_end(self, event):
        loss = 2.0 * event.full_loss  # the notebook prints the mean square, we halve it
        self.lines.append(f"Epoch {event.record.epoch}/50 | Loss: {loss:.4f}")
        self.params.append(event.params.copy())


@pytest.fixture(scope="module")
def run():
    notebook, recorder = Notebook(), Recorder()
    model = MiniBatchRegressor(
        penalty=None,
        learning_rate=notebook.learning_rate,
        batch_size=notebook.batch_size,
        max_iter=notebook.epochs,
        tol=None,
        shuffle=notebook.order,
        callbacks=[recorder],
    )
    model.fit(notebook.X, notebook.y, notebook.coef_init, notebook.intercept_init)
    return model, recorder


def test_demo_prints_the_notebook_and_imports_no_sklearn():
    program = (
        "import sys; from gradstep.cli.main import app; app(['demo'], standalone_mode=False); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == EXPECTED.read_bytes()
    loaded = done.stderr.decode().split()
    assert "numba" in loaded  # the compiled kernel did it
    assert "sklearn" not in loaded


def test_the_estimator_prints_the_same_lines(run):
    model, recorder = run
    lines = [
        *recorder.lines,
        "",
        "Learned parameters:",
        f"w = {model.coef_[0]:.3f}, b = {model.intercept_[0]:.3f}",
    ]
    assert lines == EXPECTED.read_text().splitlines()


def test_weights_after_every_epoch_equal_the_transcription(run):
    _, recorder = run
    np.testing.assert_allclose(recorder.params, list(by_hand()), rtol=1e-12, atol=0)


def test_the_order_is_a_function_of_the_epoch_alone():
    backwards, forwards = Notebook(), Notebook()
    later = [backwards.order(epoch, 1000) for epoch in (2, 1, 0)]
    sooner = [forwards.order(epoch, 1000) for epoch in (0, 1, 2)]
    np.testing.assert_array_equal(later[::-1], sooner)
    np.testing.assert_array_equal(np.sort(sooner), np.tile(np.arange(1000), (3, 1)))
    assert not np.array_equal(sooner[0], sooner[1])
