"""While an example of the gallery runs, a warning is an error: what it shows should be quiet."""

from __future__ import annotations

import warnings

__all__ = ["set_filters"]

_filters: list[warnings.catch_warnings[None]] = []


def set_filters(conf: object, name: object, when: str) -> None:
    """Set the filters of warnings before an example, and put back after it what they were.

    Sphinx itself, in the same process, may warn of what will be deprecated.
    """
    del conf
    while _filters:
        _filters.pop().__exit__(None, None, None)
    if when == "before" and name is not None:
        filters = warnings.catch_warnings()
        filters.__enter__()  # it ends in another call
        _filters.append(filters)
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
