"""Where a display draws, and how it writes names that others have chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.characters import escaped
from gradstep.errors import MissingPackage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_for", "edge_colour", "short_dates", "shown"]

_LONGEST = 40


def axes_for(ax: Axes | None, display: object) -> Axes:
    """Return the axes to draw on: those given, or new ones.

    Raises
    ------
    MissingPackage
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        msg = (
            f"{type(display).__name__}.plot needs matplotlib: pip install 'gradstep[plot]'. "
            "gradstep.report draws without it."
        )
        raise MissingPackage(msg) from error
    if ax is not None:
        return ax
    new: Axes = plt.subplots(layout="constrained")[1]
    return new


def edge_colour() -> Any:
    """Return the colour of axes, which is seen on a light ground and on a dark one."""
    from matplotlib import rcParams

    return rcParams["axes.edgecolor"]


def short_dates(ax: Axes) -> None:
    """Write dates on the horizontal axis as shortly as they can be told apart."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call, unused-ignore]
    ax.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call, unused-ignore]
    ax.xaxis.set_major_formatter(formatter)


def shown(name: str) -> str:
    r"""Return a name as text in a picture: nothing in it acts, none is a formula.

    Examples
    --------
    >>> print(shown("price in $\n"))
    price in \$\n
    """
    text = escaped(name[: _LONGEST + 1])
    text = text if len(name) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text.replace("$", r"\$")
