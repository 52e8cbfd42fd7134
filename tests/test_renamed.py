"""One set of names in Python and on the command line; the old ones still work, and say so."""

from __future__ import annotations

import inspect
import re

import polars as pl
import pytest

from gradstep import InvalidParameter, MiniBatchRegressor, evaluate, fit_table, plan, prepare
from gradstep.cli.main import main

TABLE = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10, "w": [1.0, 2.0] * 20,
                      "t": list(range(40)), "y": [1.0, 3.0, 5.0, 7.5, 2.0] * 8})  # fmt: skip


def test_parameters_of_a_fit_are_called_as_those_of_estimators():
    ours = set(inspect.signature(fit_table).parameters) - {
        "table",
        "target",
        "options",
        "cv",
        "refit",
        "ignore",
        "inference",
        "on_plan",
        "client",
        "allow_mixed",
        "watch",
        "nonnegative",  # of columns, by name; bounds are both's
        "monotone",
    }
    assert ours <= set(inspect.signature(MiniBatchRegressor).parameters)


@pytest.mark.parametrize("old, new, value", [("epochs", "max_iter", 2), ("seed", "random_state", 3),
                                             ("patience", "n_iter_no_change", 4)])  # fmt: skip
def test_old_names_of_a_fit_warn_and_do_the_same(old, new, value):
    with pytest.warns(DeprecationWarning, match=f"{old} of fit_table is called {new} now") as told:
        one = fit_table(TABLE, "y", **{old: value})
    assert told[0].filename == __file__
    other = fit_table(TABLE, "y", **{new: value})
    assert one.model.params.tobytes() == other.model.params.tobytes()
    with pytest.raises(InvalidParameter, match=f"{old} and {new} of fit_table are the same"):
        fit_table(TABLE, "y", **{old: value, new: value})


@pytest.mark.parametrize(
    "old, new, value",
    [("seed", "random_state", 3), ("time", "time_column", "t"), ("weight", "sample_weight", "w")],
)
def test_old_names_of_preparing(old, new, value):
    with pytest.warns(DeprecationWarning, match=f"{old} of prepare is called {new} now"):
        one = prepare(TABLE, "y", **{old: value})
    other = prepare(TABLE, "y", **{new: value})
    assert (one.train.y == other.train.y).all()
    assert one.meta["asked"] == other.meta["asked"]


def test_old_name_of_evaluating():
    model = fit_table(TABLE, "y", max_iter=1).model
    with pytest.warns(DeprecationWarning, match="weight of evaluate is called sample_weight now"):
        one = evaluate(model, TABLE, weight="w")
    assert one == evaluate(model, TABLE, sample_weight="w")
    with pytest.raises(InvalidParameter, match="evaluate has no parameter 'wieght'"):
        evaluate(model, TABLE, wieght="w")


@pytest.mark.parametrize("function", [fit_table, plan])
@pytest.mark.parametrize(
    "given, meant",
    [("max_iters", "max_iter"), ("optimiser", "optimizer"), ("dorp", "drop"),
     ("max_level", "max_levels"), ("memmory", "memory"), ("weights", "sample_weight")],
)  # fmt: skip
def test_what_was_meant_by_a_fit_is_found_wherever_it_is(function, given, meant):
    message = f"fit_table has no parameter '{given}'. Did you mean '{meant}'?"
    with pytest.raises(InvalidParameter, match=re.escape(message)):
        function(TABLE, "y", **{given: 1})


@pytest.mark.parametrize("given", ["options", "option", "old"])
def test_what_stands_for_others_is_none_that_is_meant(given):
    model = fit_table(TABLE, "y", max_iter=1).model
    with pytest.raises(InvalidParameter, match=f"evaluate has no parameter '{given}'.$"):
        evaluate(model, TABLE, **{given: 1})
    with pytest.raises(InvalidParameter, match=f"fit_table has no parameter '{given}'") as refused:
        fit_table(TABLE, "y", **{given: 1})
    assert "'options'?" not in str(refused.value)


class TestCommandLine:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        TABLE.write_csv("rows.csv")

        def run(*arguments):
            line = ["gradstep", "train", "rows.csv", "-t", "y", "--no-cache", "-m", "m", *arguments]
            monkeypatch.setattr("sys.argv", line)
            with pytest.raises(SystemExit) as end:
                main()
            return end.value.code or 0, capsys.readouterr().err, (tmp_path / "m").read_bytes()

        return run

    @pytest.mark.parametrize(
        "old, new",
        [
            (("--epochs", "2"), ("--max-iter", "2", "--tol", "none")),
            (("--epochs=2",), ("--max-iter", "2", "--tol", "none")),
            (("--max-epochs", "2"), ("--max-iter", "2")),
            (("--seed", "3"), ("--random-state", "3")),
            (("--weight", "w"), ("--sample-weight", "w")),
        ],
    )
    def test_old_options_note_it_and_do_the_same(self, run, old, new):
        status, err, model = run(*old)
        option = old[0].partition("=")[0]
        assert (status, err.splitlines()[0].partition(" now.")[0]) == (
            0, f"note [GS306]: {option} is called {new[0]}{' --tol=none' * (option == '--epochs')}",
        )  # fmt: skip
        assert run(*new) == (0, "", model)
