"""The objective in the plane of the two main directions of all paths, and the paths on it.

The plane goes through the optimum. For squared error the objective is a quadratic there, which
six evaluations tell exactly, and lines of equal height are ellipses; others are sampled on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import RowSums
from gradstep.objective.losses import is_quadratic
from gradstep.rows.dataset import scattered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gradstep.comparing.steps import StepSpace
    from gradstep.rows.dataset import Dataset

__all__ = ["Quadratic", "Surface", "crossings", "surface_of"]

_ROWS, _GRID = 1 << 12, 41  # that a grid is sampled of; points along each side
_MOST_POINTS = 400  # that the directions are taken of
_LEVELS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4)  # of the height of the start
_CORNERS = 721  # of an ellipse
_ROOM = 0.08  # beside the paths, of their extent

Line = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass(frozen=True)
class Quadratic:
    """A quadratic function of the plane: value + slope·u + ½ u·hessian·u.

    Attributes
    ----------
    value : float
        At the origin.
    slope : ndarray of shape (2,)
    hessian : ndarray of shape (2, 2)
    """

    value: float
    slope: NDArray[np.float64]
    hessian: NDArray[np.float64]

    @classmethod
    def through(cls, height: Callable[[float, float], float], a: float, b: float) -> Quadratic:
        """Return the one that a function is, from its values at six points a and b away."""
        here, east, west, north, south, both = (
            height(*at) for at in ((0.0, 0.0), (a, 0.0), (-a, 0.0), (0.0, b), (0.0, -b), (a, b))
        )
        slope = np.array([(east - west) / (2.0 * a), (north - south) / (2.0 * b)])
        first, second = (east + west - 2.0 * here) / a**2, (north + south - 2.0 * here) / b**2
        own = here + slope @ [a, b] + 0.5 * first * a**2 + 0.5 * second * b**2
        mixed = (both - own) / (a * b)
        return cls(here, slope, np.array([[first, mixed], [mixed, second]]))

    def ellipse(self, above: float) -> Line | None:
        """Return where the function is so far above its least value; None where it has none."""
        lengths, axes = np.linalg.eigh(self.hessian)
        if not lengths[0] > 1e-12 * lengths[1]:
            return None
        middle = -np.linalg.solve(self.hessian, self.slope)
        turn = np.linspace(0.0, 2.0 * np.pi, _CORNERS)
        round_ = np.sqrt(2.0 * above / lengths) * np.column_stack([np.cos(turn), np.sin(turn)])
        x, y = (middle + round_ @ axes.T).T
        return x, y


@dataclass(frozen=True)
class Surface:
    """The objective in a plane through the optimum, which is its origin.

    Attributes
    ----------
    paths : dict of (x, y)
        Of each run by its name, the start first.
    levels : list of (share, x, y)
        Lines of equal height, as a share of the height of the start above the optimum; a line is
        broken where a number is NaN.
    share : float
        How much of the paths' squared distance from the optimum lies in the plane.
    box : tuple of (low, high)
        What of the plane is worth looking at: where no run is higher than the start.
    directions : ndarray of shape (2, size)
        The axes, in the units of the steps.
    quadratic : Quadratic or None
        The objective, where it is one; lines of others are sampled.
    """

    paths: dict[str, Line]
    levels: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]]
    share: float
    box: tuple[tuple[float, float], tuple[float, float]]
    directions: NDArray[np.float64]
    quadratic: Quadratic | None = None


def surface_of(
    space: StepSpace, data: Dataset, paths: Mapping[str, Sequence[NDArray[np.float64]]],
    shown: Sequence[NDArray[np.float64]], optimum: NDArray[np.float64],
) -> Surface | None:  # fmt: skip
    """Return the surface, or None if there is no plane: one parameter, or no path at all.

    Parameters
    ----------
    space : StepSpace
        The units in which directions are main ones.
    data : Dataset
        The rows.
    paths : mapping
        Parameters (size,) of each run, one after another, from one start.
    shown : sequence of ndarray of shape (size,)
        Those whose main directions are looked for, and which are to be seen; the start is first.
    optimum : ndarray of shape (size,)
        Where the objective is least.
    """
    origin = space.point(optimum)
    points = {
        name: np.array([space.point(each) - origin for each in path])
        for name, path in paths.items()
    }
    seen = np.array([space.point(each) - origin for each in shown])
    found = _main_directions(seen)
    if found is None:
        return None
    directions, share = found
    lines: dict[str, Line] = {}
    for name, each in points.items():
        x, y = (each @ directions.T).T
        lines[name] = x, y
    ends = np.concatenate([seen @ directions.T, np.zeros((1, 2))])
    low, high = ends.min(axis=0), ends.max(axis=0)
    box = (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
    problem, exact = space.problem, is_quadratic(space.problem.loss) and _is_smooth(space)
    sample = data if exact else data.select(scattered(data.n, _ROWS))
    with RowSums(sample, space.k) as rows:

        def height(x: float, y: float) -> float:
            params = space.params(origin + x * directions[0] + y * directions[1])
            return rows.mean_loss(problem.loss, params) + problem.penalty_of(params)

        of_start = height(float(ends[0, 0]), float(ends[0, 1])) - height(0.0, 0.0)
        reach = np.maximum(np.abs(low), np.abs(high))
        if not of_start > 0.0 or not (reach > 0.0).all():
            return None
        if exact:
            quadratic = Quadratic.through(height, float(reach[0]), float(reach[1]))
            rings = [(part, quadratic.ellipse(part * of_start)) for part in _LEVELS]
            levels = [(part, *ring) for part, ring in rings if ring is not None]
            return Surface(lines, levels, share, box, directions, quadratic)
        room = _ROOM * (high - low)
        x, y = (np.linspace(low[i] - room[i], high[i] + room[i], _GRID) for i in (0, 1))
        heights = np.array([[height(a, b) for a in x] for b in y]) - height(0.0, 0.0)
    levels = [(each, *crossings(x, y, heights, each * of_start)) for each in _LEVELS]
    return Surface(lines, levels, share, box, directions)


def _is_smooth(space: StepSpace) -> bool:
    """Tell whether the penalty is a quadratic, too."""
    strengths = getattr(space.problem.penalty, "strengths", None)
    return strengths is not None and strengths()[0] == 0.0


def _main_directions(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float] | None:
    """Return two directions (2, size) in which points lie farthest from the origin."""
    if points.shape[1] < 2:
        return None
    every = max(1, len(points) // _MOST_POINTS)
    _, lengths, ways = np.linalg.svd(points[::every], full_matrices=False)
    if not lengths[0] > 0.0:
        return None
    if ways.shape[0] < 2 or not lengths[1] > 1e-9 * lengths[0]:  # all on one line
        other = np.zeros_like(ways[0])
        other[int(np.abs(ways[0]).argmin())] = 1.0
        other -= (other @ ways[0]) * ways[0]
        ways = np.array([ways[0], other / np.linalg.norm(other)])
    directions = ways[:2] * np.where(ways[:2].sum(axis=1) < 0.0, -1.0, 1.0)[:, None]
    return directions, float((lengths[:2] ** 2).sum() / (lengths**2).sum())


def crossings(
    x: NDArray[np.float64], y: NDArray[np.float64], heights: NDArray[np.float64], level: float
) -> Line:
    """Return where a surface on a grid crosses a height: pieces of line, NaN between them.

    Each cell of the grid is two triangles, on which the surface is taken for plane.

    Parameters
    ----------
    x, y : ndarray of shape (m,), (n,)
        The grid.
    heights : ndarray of shape (n, m)
        On it.
    level : float
        The height.
    """
    found: list[tuple[float, float]] = []
    above = heights >= level
    for i in range(y.size - 1):
        for j in range(x.size - 1):
            if above[i, j] == above[i, j + 1] == above[i + 1, j] == above[i + 1, j + 1]:
                continue
            for corners in (
                ((i, j), (i, j + 1), (i + 1, j + 1)),
                ((i, j), (i + 1, j), (i + 1, j + 1)),
            ):
                ends = []
                for one, other in ((0, 1), (1, 2), (2, 0)):
                    (a, b), (c, d) = corners[one], corners[other]
                    if above[a, b] != above[c, d]:
                        way = (level - heights[a, b]) / (heights[c, d] - heights[a, b])
                        ends.append((x[b] + way * (x[d] - x[b]), y[a] + way * (y[c] - y[a])))
                if ends:
                    found += [*ends, (np.nan, np.nan)]
    lines = np.array(found or [(np.nan, np.nan)])
    return lines[:, 0], lines[:, 1]
