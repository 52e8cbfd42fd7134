"""Loss curves of the exact shuffle and of block order, side by side.

``python -m benchmarks.order_curves`` prints, epoch by epoch, the excess of the objective over
the optimum in both orders, as the mean over seeds with its standard deviation: on rows in
random order, on rows sorted by the target, and, as a warning, with blocks of the rows as they
are where they are sorted (what block order would be without its permuted copy).
"""

from __future__ import annotations

import numpy as np

from gradstep import History, MiniBatchRegressor
from gradstep.rows.kernels.shuffling import block_shuffle

ROWS, FEATURES, EPOCHS, SEEDS = 200_000, 10, 6, 5


def _problem(*, by_target: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated features and a noisy target, sorted by the target if asked for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, FEATURES)) @ (np.eye(FEATURES) + 0.3)
    y = X @ rng.normal(size=FEATURES) + rng.normal(size=ROWS)
    order = np.argsort(y) if by_target else np.arange(ROWS)
    return X[order], y[order]


def _curve(X: np.ndarray, y: np.ndarray, shuffle: object, seed: int) -> list[float]:
    history = History(full_objective=True)
    model = MiniBatchRegressor(
        penalty=None, eta0=0.01, batch_size=256, max_iter=EPOCHS, tol=None,
        shuffle=shuffle, random_state=seed, callbacks=[history],
    )  # fmt: skip
    model.fit(X, y)
    return history.objectives


def main() -> None:
    """Print the curves."""
    for by_target in (False, True):
        X, y = _problem(by_target=by_target)
        ones = np.column_stack([X, np.ones(len(X))])
        residual = y - ones @ np.linalg.lstsq(ones, y, rcond=None)[0]
        least = 0.5 * float(residual @ residual) / len(y)
        print(f"\nrows {'sorted by the target' if by_target else 'in random order'}")
        print(f"{'order':<26}" + "".join(f"{f'epoch {e + 1}':>22}" for e in range(EPOCHS)))
        orders = {"exact": lambda _: "exact", "blocks": lambda _: "blocks"}
        if by_target:
            orders["blocks, without the copy"] = lambda seed: (
                lambda epoch, n: block_shuffle(n, seed, epoch, block_rows=204, window_blocks=8)
            )
        for name, shuffle in orders.items():
            curves = [_curve(X, y, shuffle(seed), seed) for seed in range(SEEDS)]
            excess = np.array(curves) - least
            cells = zip(excess.mean(axis=0), excess.std(axis=0), strict=True)
            print(f"{name:<26}" + "".join(f"{m:>12.3e} ±{s:8.1e}" for m, s in cells))


if __name__ == "__main__":
    main()
