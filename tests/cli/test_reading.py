"""Tables as people write them, through the command line: read right, and said aloud."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from gradstep import InvalidTable
from tests.cli.reading import EXPECTED, FARE, GERMAN, KM, PLAIN, N, bits, lines, marked


class TestNumbers:
    @pytest.mark.parametrize(
        "text, notes",
        [
            (GERMAN, ["decimal comma, points between thousands: km", "decimal comma: fare"]),
            (lines([f'"{marked(x, ".", ",")}"' for x in KM], FARE), ["commas between thousands"]),
            (lines([f'"${x:,.2f}"' for x in KM], FARE), ["currency $: km"]),
            (lines([marked(x, ".", "\u202f") for x in KM], FARE), ["spaces between thousands"]),
            (lines([f"{x}%" for x in KM], FARE), ["percent signs (10% is 10): km"]),
            (lines([f" {x} " for x in KM], FARE), []),
        ],
        ids=["German", "thousands", "currency", "narrow spaces", "percent", "padded"],
    )
    def test_are_read_as_they_are_written(self, told, home, text, notes):
        """The same features, and the same bits, as of a table of numbers; and it is said."""
        (home / "t.csv").write_text(text)
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert bits(gs.open_prepared(home / "prepared")) == EXPECTED
        assert len(found["notes"]) == len(notes)
        for note, expected in zip(found["notes"], notes, strict=True):
            assert expected in note

    @pytest.mark.parametrize("token", ["?", "-", "N/A", "null", "nan", ".", "None", ""])
    @pytest.mark.parametrize("at", [0, N - 1])
    def test_what_is_missing_among_them(self, told, home, token, at):
        km = [token if i == at else x for i, x in enumerate(KM)]
        (home / "t.csv").write_text(lines(km, FARE))
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        gone = PLAIN.with_columns(km=pl.Series([None if i == at else x for i, x in enumerate(KM)]))
        assert bits(gs.open_prepared(home / "prepared")) == bits(gs.prepare(gone, "fare"))
        usual = {"N/A", "null", "nan", ""}  # of all text files
        assert [repr(token) in note for note in found["notes"]] == [True] * (token not in usual)

    def test_a_target_of_them_is_a_regression(self, told, home):
        """Where it was 119 classes; and the model reads the next table in the same way."""
        (home / "t.csv").write_text(GERMAN)
        found = told("train", "t.csv", "-t", "fare", "-m", "m.safetensors")
        assert found["target"]["classes"] is None
        assert found["validation"]["r2"] > 0.9
        model = gs.load("m.safetensors")
        np.testing.assert_array_equal(model.predict("t.csv"), model.predict(PLAIN))
        assert told("evaluate", "m.safetensors", "t.csv")["rows"] == N

    def test_another_convention_at_prediction(self, fails, gradstep, home):
        (home / "t.csv").write_text(GERMAN)
        (home / "plain.csv").write_text(lines(KM, FARE))
        assert gradstep("train", "t.csv", "-t", "fare", "-m", "m.safetensors")[0] == 0
        first = KM[0]
        message = fails("predict", "m.safetensors", "plain.csv", "-o", "out.csv")
        assert f"plain.csv, line 2: column 'km' has the value '{first}'" in message
        assert "decimal comma, points between thousands" in message
        assert gradstep("train", "plain.csv", "-t", "fare", "-m", "m.safetensors")[0] == 0
        message = fails("predict", "m.safetensors", "t.csv", "-o", "out.csv")
        assert f"t.csv, line 2: column 'km' has the value '{marked(first)}'" in message

    def test_open_ones_say_which_option_decides(self, told, home):
        km = [f"{1 + i % 9},{i % 1000:03}" for i in range(N)]
        (home / "t.csv").write_text(lines([f'"{x}"' for x in km], FARE))
        mean = {}
        for option in ([], ["--decimal", ","], ["--thousands", ","]):
            name = "".join(option) or "open"
            found = told("prepare", "t.csv", "-t", "fare", "-o", name, *option)
            mean[name] = found["columns"][0]["mean"]
            assert ("--decimal ," in " ".join(found["notes"])) == (name == "open")
        assert mean["open"] == mean["--thousands,"] == pytest.approx(1000.0 * mean["--decimal,"])

    def test_points_in_a_table_of_decimal_commas(self, told, home):
        """Are thousands, although a reader takes 1.088 for a little more than one."""
        km = [f"{1 + i % 9}.{i % 1000:03}" for i in range(N)]
        (home / "t.csv").write_text(lines(km, [marked(y) for y in FARE], ";"))
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert found["columns"][0]["mean"] > 1000.0
        assert any("points between thousands: km" in note for note in found["notes"])

    def test_points_that_may_be_either(self, told, home):
        """Where a separator of Europe is all that speaks for thousands: decimal, and it is said."""
        km = [f"{1 + i % 9}.{i % 1000:03}" for i in range(N)]
        (home / "t.csv").write_text(lines(km, [int(y) for y in FARE], ";"))
        for option, n in (("--decimal=.", 0), ("--random-state=0", 1)):
            notes = told("prepare", "t.csv", "-t", "fare", "-o", option, option)["notes"]
            assert ["--thousands ." in note for note in notes] == [True] * n

    def test_marks_that_are_given(self, told, fails, home):
        """Count for numbers that a reader takes for plain ones; and are refused where they lie."""
        km = [f"{1 + i % 9}.{i % 1000:03}" for i in range(N)]
        (home / "t.csv").write_text(lines(km, [int(y) for y in FARE]))
        means = []
        for option in ("--thousands=.", "--decimal=,", "--decimal=."):
            found = told("prepare", "t.csv", "-t", "fare", "-o", option[2:], option)
            means.append(found["columns"][0]["mean"])
        assert means[0] == means[1] == pytest.approx(1000.0 * means[2])
        (home / "t.csv").write_text(GERMAN)
        message = fails("prepare", "t.csv", "-t", "fare", "-o", "p", "--decimal", ".")
        assert "'km' of t.csv holds numbers (a decimal comma, points" in message
        assert "not with --decimal ." in message

    def test_weights_and_offsets(self, home):
        text = GERMAN.replace("km;", "w;", 1)
        (home / "t.csv").write_text(text)
        prepared = gs.prepare("t.csv", "fare", sample_weight="w", validation=0.0)
        assert np.sort(prepared.train.sample_weight).tolist() == np.sort(KM).tolist()

    def test_values_that_are_missing(self, told, home):
        """By --na: in text and in numbers, and in the same way at prediction."""
        km = [-999 if i % 7 == 0 else x for i, x in enumerate(KM)]
        (home / "t.csv").write_text(lines(km, FARE))
        found = told("train", "t.csv", "-t", "fare", "-m", "m.safetensors", "--na=-999,rot")
        number, colour = found["columns"]
        assert (number["indicator"], colour["levels"], colour["missing"]) == (True, ["grün"], True)
        model = gs.load("m.safetensors")
        gone = pl.Series([None if i % 7 == 0 else x for i, x in enumerate(KM)])
        frame = PLAIN.with_columns(
            km=gone, colour=pl.when(pl.col("colour") != "rot").then("colour")
        )
        np.testing.assert_array_equal(model.predict("t.csv"), model.predict(frame))
        np.testing.assert_array_equal(
            model.predict(PLAIN.with_columns(km=gone.fill_null(-999.0))), model.predict(frame)
        )

    @pytest.mark.parametrize(
        "option, message",
        [
            (["--decimal", ";"], "--decimal ';' must be one of '.', ','"),
            (["--thousands", "x"], "--thousands x must be one of"),
            (["--decimal", ",", "--thousands", ","], "both ',': they must differ"),
            (["--encoding", "klingon"], "--encoding klingon is not known"),
            (["--as", "km=date:%Q"], "is no pattern of dates"),
        ],
    )
    def test_options_are_checked(self, fails, home, option, message):
        (home / "t.csv").write_text(GERMAN)
        assert message in fails("prepare", "t.csv", "-t", "fare", "-o", "prepared", *option)


class TestTypos:
    @pytest.mark.parametrize("at", [0, 1, N // 2, N - 1])
    @pytest.mark.parametrize("column", ["km", "fare"])
    def test_are_errors_wherever_they_stand(self, fails, home, at, column):
        """In CSV, and in a frame whose column is text because of it."""
        frame = PLAIN.with_columns(pl.col(column).cast(pl.String))
        values = frame[column].to_list()
        values[at] = "1.3v86"
        frame = frame.with_columns(pl.Series(column, values))
        frame.write_csv(home / "t.csv")
        message = fails("train", "t.csv", "-t", "fare")
        assert f"t.csv, line {at + 2}: " in message
        assert f"'{column}' has the value '1.3v86', which is not a number" in message
        assert "--na 1.3v86" in message
        assert f"--as {column}=category" in message
        assert ("--drop km" in message) == (column == "km")
        assert "--drop fare" not in message
        with pytest.raises(InvalidTable, match=rf"row {at + 1} .*'{column}' has the value '1.3v86"):
            gs.prepare(frame, "fare")

    def test_options_get_over_them(self, told, home):
        km = [*KM[:-1], "1.3v86"]
        (home / "t.csv").write_text(lines(km, FARE))
        kinds = []
        for option in ("--na=1.3v86", "--as=km=category", "--drop=km"):
            found = told("prepare", "t.csv", "-t", "fare", "-o", option[2:6], option)
            kinds += [c["kind"] for c in found["columns"] if c["source"] == "km"]
        assert kinds == ["NumberColumn", "LevelColumn", "LeftOut"]
        (home / "t.csv").write_text(lines(FARE, km))  # of the target: a row less
        found = told("prepare", "t.csv", "-t", "fare", "-o", "target", "--na", "1.3v86")
        assert found["rows"]["dropped"] == 1

    def test_half_of_the_values(self, told, home):
        """Are no typos: the column is a category, and it is said."""
        km = [x if i % 3 else f"x{i % 5}" for i, x in enumerate(KM)]
        (home / "t.csv").write_text(lines(km, FARE))
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert found["columns"][0]["kind"] == "LevelColumn"
        assert any("67% of the values of 'km' read as numbers" in n for n in found["notes"])


class TestDates:
    DAYS = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 29), eager=True)

    @pytest.mark.parametrize(
        "pattern, note",
        [
            ("%m/%d/%Y", "month/day/year: day"),
            ("%d/%m/%Y", "day/month/year: day"),
            ("%d.%m.%Y", "day.month.year: day"),
            ("%d.%m.%y", "day.month.year: day"),
            ("%d %b %Y", "day month year: day"),
            ("%Y-%m-%d", ""),
        ],
    )
    def test_are_read_as_they_are_written(self, told, home, pattern, note):
        table = PLAIN.with_columns(day=self.DAYS)
        table.with_columns(pl.col("day").dt.strftime(pattern)).write_csv(home / "t.csv")
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert bits(gs.open_prepared(home / "prepared")) == bits(gs.prepare(table, "fare"))
        assert [note in n for n in found["notes"]] == [True] * bool(note)

    @pytest.mark.parametrize(
        "pattern, note, months",
        [("%b %Y", "month year", 1), ("%Y %B", "year month", 1), ("%Y Q%q", "year quarter", 3),
         ("Q%q %Y", "quarter year", 3), ("%G W%V", "year week", 0)],
    )  # fmt: skip
    def test_months_quarters_and_weeks_are_their_first_days(
        self, told, home, pattern, note, months
    ):
        monday = pl.date(2018, 1, 1)
        every = f"{months}mo" if months else "1w"
        day = pl.select(pl.date_range(monday, pl.date(2060, 1, 1), every)).to_series().head(N)
        table = PLAIN.with_columns(day=day)
        write = (lambda d: d.strftime(pattern)) if "%q" not in pattern else (
            lambda d: d.strftime(pattern.replace("%q", str((d.month + 2) // 3)))
        )  # fmt: skip
        text = pl.Series([write(d) for d in day])
        table.with_columns(day=text).write_csv(home / "t.csv")
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        prepared = gs.open_prepared(home / "prepared")
        assert bits(prepared) == bits(gs.prepare(table, "fare"))
        assert f"GS009: Dates are read as {note}: day." in found["notes"]
        assert not any("weekday" in name for name in prepared.feature_names)

    def test_that_may_be_either(self, told, home):
        """No day above 12: a reader would take the first for the day, and say nothing."""
        days = [f"{1 + i % 12:02}/{1 + i % 11:02}/2024" for i in range(N)]
        PLAIN.with_columns(day=pl.Series(days)).write_csv(home / "t.csv")
        found = told("prepare", "t.csv", "-t", "fare", "-o", "one")
        assert any("--as day=date:%d/%m/%Y" in note for note in found["notes"])
        other = told("prepare", "t.csv", "-t", "fare", "-o", "two", "--as", "day=date:%d/%m/%Y")
        means = [
            next(c["mean"] for c in f["columns"] if c.get("part") == "days") for f in (found, other)
        ]
        assert means[0] != means[1]

    def test_that_rows_are_split_by(self, told, home):
        days = [f"{1 + i % 12:02}/{1 + i // 12:02}/2024" for i in range(N)]
        PLAIN.with_columns(day=pl.Series(days)).write_csv(home / "t.csv")
        options = ("-t", "fare", "--time-column", "day", "-o")
        notes = told("prepare", "t.csv", *options, "one")["notes"]
        assert any("--as day=date:%d/%m/%Y" in note for note in notes)
        option = ("--as", "day=date:%d/%m/%Y")
        assert told("prepare", "t.csv", *options, "two", *option)["notes"] == [
            "GS009: Dates are read as day/month/year: day."
        ]
        held_out = [gs.open_prepared(home / name).validation.y.sum() for name in ("one", "two")]
        assert held_out[0] != held_out[1]

    def test_times_of_day(self, told, home):
        frame = PLAIN.with_columns(
            start=pl.Series([f"{i % 12 + 1}:{i % 60:02} {'AP'[i % 2]}M" for i in range(N)])
        )
        frame.write_csv(home / "t.csv")
        found = told("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert found["columns"][-1]["kind"] == "NumberColumn"
        typed = frame.with_columns(pl.col("start").str.to_time("%I:%M %p"))
        assert bits(gs.open_prepared(home / "prepared")) == bits(gs.prepare(typed, "fare"))

    def test_a_typo_among_them(self, fails, home):
        days = self.DAYS.dt.strftime("%m/%d/%Y").to_list()
        days[3] = "13/13/2024"
        PLAIN.with_columns(day=pl.Series(days)).write_csv(home / "t.csv")
        message = fails("prepare", "t.csv", "-t", "fare", "-o", "prepared")
        assert "t.csv, line 5: column 'day' has the value '13/13/2024'" in message
        assert "not a date" in message


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
    def test_by_option(self, told, home, encoding):
        (home / "t.csv").write_text(GERMAN, encoding=encoding)
        told("train", "t.csv", "-t", "fare", "-m", "m.safetensors", "--encoding", encoding)
        expected = gs.load("m.safetensors").predict(PLAIN)
        told("predict", "m.safetensors", "t.csv", "-o", "o.csv", "--encoding", encoding)
        np.testing.assert_allclose(pl.read_csv("o.csv")["prediction"], expected, rtol=1e-15)
        assert told("evaluate", "m.safetensors", "t.csv", "--encoding", encoding)["rows"] == N

    def test_by_the_byte_order_mark(self, home):
        (home / "t.csv").write_text(GERMAN, encoding="utf-16")
        assert bits(gs.prepare("t.csv", "fare")) == EXPECTED

    def test_the_wrong_one(self, fails, home):
        (home / "t.csv").write_text(GERMAN, encoding="latin-1")
        message = fails("prepare", "t.csv", "-t", "fare", "-o", "p")
        assert "t.csv, line" in message
        assert "--encoding latin-1" in message
        message = fails("prepare", "t.csv", "-t", "fare", "-o", "p", "--encoding", "ascii")
        assert "t.csv is not text in ascii" in message

    def test_counts_for_a_test_as_well(self, told, home):
        (home / "t.csv").write_text(GERMAN, encoding="latin-1")
        asked = ("train", "t.csv", "-t", "fare", "--encoding", "latin-1")
        found = told(*asked, "-m", "m.safetensors", "--test", "t.csv")
        assert (found["test"]["rows"], found["test"]["r2"] > 0.9) == (N, True)
        model = gs.load("m.safetensors")
        np.testing.assert_array_equal(
            model.predict("t.csv", encoding="latin-1"), model.predict(PLAIN)
        )
