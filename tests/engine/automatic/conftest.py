"""A run of the automatic method, watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradstep.engine import training
from gradstep.engine.automatic.method import Automatic
from gradstep.engine.automatic.optimality import noise_of
from gradstep.engine.callbacks import History
from gradstep.engine.restart import run
from tests.engine.automatic.problems import problem


@dataclass
class Solved:
    """A run, and what was seen of it: each step's kind, each snapshot's rise, each model."""

    ran: Any = None
    records: list = field(default_factory=list)
    kinds: list = field(default_factory=list)
    rises: list = field(default_factory=list)
    models: list = field(default_factory=list)

    @property
    def params(self):
        return self.ran.state.current()

    @property
    def outcome(self):
        return self.ran.outcome

    @property
    def bits(self):
        """All but times."""
        told = [(*r[:4], *r[6:]) for r in self.records]
        return self.params.tobytes(), self.outcome, told

    def on_epoch_end(self, event):
        self.models.append(event.params.copy())


@pytest.fixture(name="solve")
def solver(monkeypatch):
    """Return what runs a problem, by the public function, and watches it."""

    def solve(data, start=None, columns=None, *, may_restart=False, **changes):
        of, seen, history = problem(data, **changes), Solved(), History()

        class Watched(Automatic):
            def _first(self, state):
                state, kind, note = super()._first(state)
                if kind is not None:
                    seen.kinds.append(kind)
                return state, kind, note

            def _advance(self, state):
                before = state.at
                state, kind, note = super()._advance(state)
                if self.of.has_optimality:
                    rise = state.at.objective - before.objective
                    seen.rises.append(rise - noise_of(state, before))
                if state.rejected:
                    assert np.array_equal(state.at.params, before.params)
                seen.kinds.append(kind)
                return state, kind, note

        monkeypatch.setattr(training, "Automatic", Watched)
        seen.ran = run(
            of, data, of.start() if start is None else start, columns=columns,
            callbacks=[history, seen], may_restart=may_restart,
        )  # fmt: skip
        seen.records = history.records
        return seen

    return solve
