"""From results to tables: times, ratios, losses, set-up and variants."""

from __future__ import annotations

from statistics import geometric_mean
from typing import TYPE_CHECKING

from benchmarks.grids import Grid

if TYPE_CHECKING:
    from benchmarks.records import CellResult, LibraryResult

ABSENT = "–"
SKLEARN = "scikit-learn"
TARGET_BATCH = 256
# After one epoch, peers at one batch size differ only by their random orders.
LOSS_TOLERANCE = 0.02


def make_grids(results: list[CellResult]) -> list[Grid]:
    """Make all tables of the report.

    Parameters
    ----------
    results : list of CellResult
        The cells, in the order of the table.

    Returns
    -------
    list of Grid
        Times; ratios for each gradstep column; losses; set-up; variants.
    """
    names = list(dict.fromkeys(one.name for r in results for one in r.libraries))
    ours = [name for name in names if any(_is_ours(r, name) for r in results)]
    grids = [_times(results, names)]
    grids += [_ratios(results, name) for name in ours]
    grids += [_losses(results, names), _setup(results, names), _choices(results)]
    return [grid for grid in grids if grid.rows]


def _is_ours(result: CellResult, name: str) -> bool:
    one = result.get(name)
    return one is not None and one.is_ours


def _times(results: list[CellResult], names: list[str]) -> Grid:
    title = "Time for one epoch, its order included: ns a row, median (least to most)"
    grid = Grid(title, ["cell", "rows", *names])
    reasons: dict[str, list[str]] = {}
    for result in results:
        row = [result.cell.name, f"{result.rows:,}"]
        for name in names:
            one = result.get(name)
            row.append(ABSENT if one is None else _time(result, one))
        grid.rows.append(row)
        for one in result.libraries:
            if one.skipped is not None:
                reason = f"{one.name} skipped: {one.skipped}"
                reasons.setdefault(reason, []).append(result.cell.name)
    grid.notes = [f"{reason} [{_places(w, results)}]" for reason, w in reasons.items()]
    versions = {o.name: o.version for r in results for o in r.libraries if o.version}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    grid.notes.append(f"versions: {listed}")
    grid.notes.append("scikit-learn's SGD has no batches: a step is one row everywhere")
    return grid


def _places(names: list[str], results: list[CellResult]) -> str:
    return "every cell" if len(names) == len(results) else ", ".join(names)


def _time(result: CellResult, one: LibraryResult) -> str:
    low, high = min(one.epoch_seconds), max(one.epoch_seconds)
    middle, low, high = map(result.nanoseconds, (one.seconds, low, high))
    return f"{_short(middle)} ({_short(low)}–{_short(high)})"


def _short(nanoseconds: float) -> str:
    return f"{nanoseconds:.1f}" if nanoseconds < 100 else f"{nanoseconds:,.0f}"


def _ratios(results: list[CellResult], name: str) -> Grid:
    grid = Grid(
        f"How many times as long as {name}",
        ["cell", SKLEARN, "fastest peer", "which one", "result"],
    )
    sklearn_ratios: list[float] = []
    peer_ratios: list[float] = []
    lost: list[str] = []
    for result in results:
        ours, sklearn, peer = result.get(name), result.get(SKLEARN), result.fastest_peer()
        if ours is None or peer is None:
            grid.rows.append([result.cell.name, *[ABSENT] * 4])
            continue
        first = ABSENT
        if sklearn is not None:
            sklearn_ratios.append(sklearn.times_slower_than(ours))
            first = f"{sklearn_ratios[-1]:.2f}"
        peer_ratios.append(peer.times_slower_than(ours))
        won = peer_ratios[-1] > 1.0
        if not won:
            lost.append(result.cell.name)
        verdict = "ahead" if won else "LOST"
        second = f"{peer_ratios[-1]:.2f}"
        grid.rows.append([result.cell.name, first, second, peer.name, verdict])
    means = [_mean(sklearn_ratios), _mean(peer_ratios)]
    grid.rows.append(["geometric mean", *means, "", f"{len(lost)} of {len(peer_ratios)} lost"])
    large = [r for r in results if r.cell.batch >= TARGET_BATCH and r.cell.name in lost]
    if peer_ratios:
        grid.notes.append(f"lost: {', '.join(lost) or 'none'}")
        grid.notes.append(f"lost with batch ≥ {TARGET_BATCH}: {len(large)}")
    grid.notes.append("each ratio is the median over the rounds of a round's own ratio")
    return grid


def _mean(ratios: list[float]) -> str:
    return f"{geometric_mean(ratios):.2f}" if ratios else ABSENT


def _losses(results: list[CellResult], names: list[str]) -> Grid:
    grid = Grid("Objective after one epoch from zero", ["cell", *names])
    for result in results:
        peers = [one for one in result.timed() if one.name != SKLEARN]
        losses = sorted(one.loss for one in peers if one.loss is not None)
        middle = losses[len(losses) // 2] if losses else None
        row = [result.cell.name]
        for name in names:
            one = result.get(name)
            row.append(ABSENT if one is None else _loss(one, middle))
        grid.rows.append(row)
    grid.notes = [
        f"≠ marks more than {LOSS_TOLERANCE:.0%} off the middle one of the cell",
        "scikit-learn is not marked: its steps are single rows, at the same rate a row",
    ]
    return grid


def _loss(one: LibraryResult, middle: float | None) -> str:
    if one.loss is None:
        return ABSENT
    if middle is None or one.name == SKLEARN:
        return f"{one.loss:.5f}"
    same = abs(one.loss - middle) <= LOSS_TOLERANCE * middle
    return f"{one.loss:.5f}" if same else f"≠ {one.loss:.5f}"


def _setup(results: list[CellResult], names: list[str]) -> Grid:
    fits = [n for n in names if any(_setup_seconds(r, n) for r in results)]
    grid = Grid("What a fit takes beyond its epochs: ns a row, median", ["cell", *fits])
    for result in results if fits else []:
        row = [result.cell.name]
        for name in fits:
            seconds = sorted(_setup_seconds(result, name))
            middle = seconds[len(seconds) // 2] if seconds else None
            row.append(ABSENT if middle is None else _short(result.nanoseconds(middle)))
        grid.rows.append(row)
    grid.notes = ["checks, copies and set-up: a fit of one epoch less the epoch's time"]
    return grid


def _setup_seconds(result: CellResult, name: str) -> list[float]:
    one = result.get(name)
    return [] if one is None else one.setup_seconds


def _choices(results: list[CellResult]) -> Grid:
    chosen = [(r, o) for r in results for o in r.timed() if o.choice]
    grid = Grid("The variant that was the fastest for the library", ["cell", "library", ""])
    grid.rows = [[r.cell.name, o.name, o.choice] for r, o in chosen]
    return grid
