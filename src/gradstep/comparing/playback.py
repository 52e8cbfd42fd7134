"""The paths played step by step, by a page that runs no script.

The picture has a group of marks for each moment: what each run went since the moment before, and a
dot where it is. A number of the style sheet, ``--step``, says which moment is shown; each group has
its own, ``--k``, and how far it is seen follows from the two. A row of radio buttons sets the
number, as a slider would, or an animation moves it, which another button pauses. Without any of it
all paths are drawn whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradstep.comparing.runs import batches_between
from gradstep.figures import number
from gradstep.markup import Markup, joined, tag

if TYPE_CHECKING:
    from gradstep.comparing.comparison import Comparison
    from gradstep.comparing.runs import Run
    from gradstep.comparing.surface import Line, Surface
    from gradstep.reporting.plot import Plot

__all__ = ["Playback"]

_MOST_MOMENTS, _FEWEST_MOMENTS, _MOST_GROUPS = 25, 8, 400
_EARLY = 8  # moments within the first epoch
_SECONDS = 0.5  # of a moment
_HEAD = 4.0  # radius of a dot


@dataclass(frozen=True)
class Playback:
    """Which moments are shown, and where each run is at them.

    Attributes
    ----------
    moments : list of float
        In epochs, from the start on.
    places : dict of list of int
        Of each run that is drawn, by its name: how far along its path it has come at each moment.
    """

    moments: list[float]
    places: dict[str, list[int]]

    @classmethod
    def of(cls, found: Comparison, surface: Surface) -> Playback:
        """Return the playback of the paths of a comparison."""
        rows = found.about["rows"]
        epochs = {
            run.name: _epochs_of(run, len(surface.paths[run.name][0]), rows)
            for run in found.runs
            if run.name in surface.paths
        }
        most = min(_MOST_MOMENTS, max(_FEWEST_MOMENTS, _MOST_GROUPS // len(epochs)))
        early = [0.0]
        if any(0.0 < at < 1.0 for own in epochs.values() for at in own):
            parts = min(_EARLY, most // 3)
            early = [at / parts for at in range(parts)]
        last = max(own[-1] for own in epochs.values())
        late = np.linspace(1.0, last, min(int(last), most - len(early)))
        moments = [*early, *sorted({float(round(at)) for at in late.tolist()})]
        return cls(
            moments,
            {
                name: [int(np.searchsorted(own, at + 1e-9, side="right")) - 1 for at in moments]
                for name, own in epochs.items()
            },
        )

    def draw(self, plot: Plot, found: Comparison, surface: Surface) -> None:
        """Add the marks of each moment to a picture."""
        before = len(plot.marks)
        groups = []
        for k in range(len(self.moments)):
            for series, run in enumerate(found.runs):
                if run.name in self.places:
                    places = self.places[run.name]
                    self._draw_run(plot, surface.paths[run.name], places[max(k - 1, 0)], places[k],
                                   series)  # fmt: skip
            own, plot.marks[before:] = joined(plot.marks[before:]), []
            groups.append(tag("g", own, class_=f"moment k{k}"))
        plot.marks.append(tag("g", *groups, class_="trails"))

    def _draw_run(
        self, plot: Plot, path: Line, begin: int, end: int, series: int
    ) -> None:  # fmt: skip
        x, y = (axis[begin : end + 1].tolist() for axis in path)
        if end > begin:
            plot.line(*plot.within(x, y), series)
        at = len(plot.marks)
        plot.dots(x[-1:], y[-1:], series, _HEAD)
        plot.marks[at:] = [tag("g", mark, class_="head") for mark in plot.marks[at:]]

    def controls(self, name: str) -> Markup:
        """Return the buttons: whole paths, play, pause, and one for each moment."""
        ways = [
            _button(name, "whole", "Whole paths", checked=True),
            _button(name, "play", "Play"),
            _button(name, "pause", "Pause"),
        ]
        steps = [
            tag("input", type="radio", name=f"{name}-shown", id=f"{name}-{k}", class_=f"at k{k}",
                aria_label=words)
            for k, words in enumerate(map(_in_words, self.moments))
        ]  # fmt: skip
        when = [
            tag("span", words, class_=f"when k{k}")
            for k, words in enumerate(map(_in_words, self.moments))
        ]
        return tag(
            "fieldset", tag("legend", "Step by step"), tag("div", *ways, class_="ways"),
            tag("div", *steps, class_="steps"),
            tag("div", *when, class_="now", aria_hidden="true"), class_="player",
        )  # fmt: skip

    def style(self) -> str:
        """Return the part of the style sheet that shows a moment."""
        last = len(self.moments) - 1
        each = "".join(
            f".k{k}{{--k:{k}}}figure:has(.at.k{k}:checked){{--step:{k}}}\n" for k in range(last + 1)
        )
        seconds = number(_SECONDS * (last + 3))
        return f"{_RULES.replace('LAST', str(last)).replace('SECONDS', seconds)}{each}"


def _epochs_of(run: Run, n_places: int, rows: int) -> list[float]:
    """Return at which epoch a run was at each place of its path."""
    epochs = run.curve.epochs
    within = n_places - 1 - epochs  # places within the first epoch
    size = run.problem.batch_size
    between = batches_between(size, rows) * size / rows
    early = [min(at * between, math.nextafter(1.0, 0.0)) for at in range(1, within + 1)]
    return [0.0, *early, *(float(at) for at in range(1, epochs + 1))]


def _button(name: str, way: str, words: str, *, checked: bool = False) -> Markup:
    chosen = tag(
        "input", type="radio", name=f"{name}-shown", id=f"{name}-{way}", class_=way,
        checked="checked" if checked else None,
    )  # fmt: skip
    return joined([chosen, tag("label", words, for_=f"{name}-{way}")])


def _in_words(epoch: float) -> str:
    return "start" if epoch == 0.0 else f"epoch {number(epoch, 2)}"


_RULES = """
@property --step{syntax:"<number>";inherits:true;initial-value:0}
@keyframes steps{from{--step:0}85%,to{--step:LAST}}
.player,.trails{display:none}
@supports selector(:has(*)){
.player{display:block;border:0;margin:0 0 .4rem;padding:0;min-width:0}
.player legend{font-size:.9rem;color:var(--quiet);padding:0}
.ways{display:flex;flex-wrap:wrap;gap:.1rem .3rem;align-items:center}
.ways label{padding:.25rem .6rem .25rem 0}
.ways input{width:1.1rem;height:1.1rem;margin:0}
.player input{accent-color:var(--link)}
.steps{display:flex;gap:1px;margin-top:.3rem}
.steps input{appearance:none;flex:1 1 0;min-width:0;height:1.5rem;margin:0;cursor:pointer;
border:1px solid var(--quiet);border-radius:.15rem;background:
color-mix(in srgb,var(--link) calc(100%*clamp(0,var(--step) - var(--k) + 1,1)),transparent)}
.now{display:grid;font-size:.9rem;color:var(--quiet);font-variant-numeric:tabular-nums}
.when{grid-area:1/1}
figure:has(.whole:checked) .when{visibility:hidden}
figure:has(.whole:checked) .steps input{background:transparent}
figure:has(.player input:not(.whole):checked) .trails{display:inline}
figure:has(.player input:not(.whole):checked) .drawn{opacity:.25}
.moment>.line{opacity:clamp(0,var(--step) - var(--k) + 1,1)}
.head,.when{opacity:clamp(0,1 - max(var(--step) - var(--k),var(--k) - var(--step)),1)}
.head>.dot{stroke:var(--ink);stroke-width:1.5}
figure:has(:is(.play,.pause):checked){animation:steps SECONDSs linear infinite}
figure:has(.pause:checked){animation-play-state:paused}
}
@media (prefers-reduced-motion:reduce){
figure:has(:is(.play,.pause):checked){animation:none;--step:LAST}
:is(.play,.pause),:is(.play,.pause)+label{display:none}
}
@media print{.player,.trails{display:none!important}.drawn{opacity:1!important}}
"""
