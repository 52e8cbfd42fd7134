"""Tables as people write them, through the command line: read right, and said aloud."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import types
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from gradstep import InvalidTable
from gradstep.data.sources import local_copy

N = 120
RNG = np.random.default_rng(0)
KM = RNG.gamma(2.0, 900.0, N).round(2)
FARE = (3.0 + 0.002 * KM + RNG.normal(scale=0.1, size=N)).round(2)
COLOUR = RNG.choice(["rot", "grün"], N)
PLAIN = pl.DataFrame({"km": KM, "colour": COLOUR, "fare": FARE})


def marked(number, decimal=",", thousands="."):
    """Return a number as people write it."""
    text = f"{number:,.2f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def lines(km, fare, separator=","):
    head = separator.join(["km", "colour", "fare"])
    rows = zip(km, COLOUR, fare, strict=True)
    return "\n".join([head, *(separator.join(map(str, row)) for row in rows)]) + "\n"


GERMAN = lines([marked(x) for x in KM], [marked(y) for y in FARE], ";")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bits(prepared):
    """Return what is trained on."""
    rows = prepared.train.rows
    return rows.values.tobytes(), rows.codes.tobytes(), prepared.train.y.tobytes()


EXPECTED = bits(gs.prepare(PLAIN, "fare"))


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
        assert "not with --decimal '.'" in message

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


def zipped(data, name="t.csv"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def zipped_with(*changes):
    """Return an archive with other bytes: how far from where its two headers begin, and which."""
    data = bytearray(zipped(b"x,y\n1,2\n"))
    for at, byte in changes:
        data[4 + at] = byte
        data[data.index(b"PK\x01\x02") + 6 + at] = byte
    return bytes(data)


PACKED = {"bz2": bz2.compress, "xz": lzma.compress, "gz": gzip.compress, "zip": zipped}


class TestPacked:
    @pytest.mark.parametrize("suffix", PACKED)
    @pytest.mark.parametrize("encoding", ["", "latin-1"])
    def test_text(self, home, suffix, encoding):
        name = "t.zip" if suffix == "zip" else f"t.csv.{suffix}"
        (home / name).write_bytes(PACKED[suffix](GERMAN.encode(encoding or "utf-8")))
        assert bits(gs.prepare(name, "fare", encoding=encoding)) == EXPECTED

    def test_other_formats(self, home):
        PLAIN.write_ndjson("t.ndjson")
        (home / "p.ndjson.xz").write_bytes(lzma.compress((home / "t.ndjson").read_bytes()))
        PLAIN.write_parquet("t.parquet")
        (home / "p.zip").write_bytes(zipped((home / "t.parquet").read_bytes(), "in/t.parquet"))
        assert bits(gs.prepare("p.ndjson.xz", "fare")) == EXPECTED
        assert bits(gs.prepare("p.zip", "fare")) == EXPECTED

    def test_lines_are_those_of_the_file(self, fails, home):
        (home / "t.csv.bz2").write_bytes(bz2.compress(b"x,y\n1,2\n3\n"))
        assert "t.csv.bz2, line 3: the row has 1 fields" in fails(
            "prepare", "t.csv.bz2", "-t", "y", "-o", "p"
        )

    @pytest.mark.parametrize(
        "name, data, message",
        [
            ("t.csv.bz2", b"no", "t.csv.bz2 cannot be unpacked"),
            ("t.csv.xz", lzma.compress(b"x,y\n1,2\n")[:-9], "t.csv.xz cannot be unpacked"),
            ("t.zip", b"no", "t.zip cannot be unpacked"),
            ("t.zip", zipped(b"hello", "notes.md"), "suffix that says nothing of a table"),
            ("t.zip", zipped(b"", "a.csv").replace(b"a.csv", b"\0.csv"), "says nothing of a table"),
            ("t.zip", zipped_with((2, 1)), "t.zip is encrypted. Unpack it, and name"),
            ("t.zip", zipped_with((4, 99)), "t.zip cannot be unpacked: That compression method"),
            (
                "t.zip",
                zipped(b"", "é.csv").replace("é".encode(), b"\xff\xff"),
                "cannot be unpacked",
            ),
        ],
    )
    def test_damaged(self, fails, home, name, data, message):
        (home / name).write_bytes(data)
        assert message in fails("prepare", name, "-t", "y", "-o", "p")

    def test_two_files_in_one(self, fails, home):
        with zipfile.ZipFile("t.zip", "w") as archive:
            archive.writestr("a.csv", "x")
            archive.writestr("b.csv", "x")
        assert "t.zip has 2 files (a.csv, b.csv)" in fails("prepare", "t.zip", "-t", "y", "-o", "p")

    def test_a_full_disk_is_no_damage(self, home, monkeypatch):
        (home / "t.csv.bz2").write_bytes(bz2.compress(GERMAN.encode()))
        full = types.SimpleNamespace(path=Path("/dev/full"))
        monkeypatch.setattr(local_copy, "LocalCopy", lambda _name: full)
        with pytest.raises(gs.CannotWrite, match=r"full cannot be written: No space left"):
            gs.prepare("t.csv.bz2", "fare")

    def test_nothing_is_left_behind(self, home, tmp_path_factory, monkeypatch):
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(cache))
        (home / "t.csv.bz2").write_bytes(bz2.compress(GERMAN.encode()))
        gs.prepare("t.csv.bz2", "fare")
        assert not list((cache / "scratch").iterdir())


@pytest.fixture
def typed(monkeypatch):
    """Return a function that puts bytes on standard input."""

    def put(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


class TestStandardInput:
    def test_every_verb_reads_it(self, told, home, typed, gradstep):
        typed(GERMAN.encode())
        found = told("train", "-", "-t", "fare")
        assert (found["source"], found["model"]) == ("standard input", "stdin-fare.safetensors")
        typed(GERMAN.encode())
        assert told("evaluate", "stdin-fare.safetensors", "-")["rows"] == N
        typed(GERMAN.encode())
        told("prepare", "-", "-t", "fare", "-o", "prepared")
        assert bits(gs.open_prepared("prepared")) == EXPECTED
        typed(GERMAN.encode())
        status, out, _ = gradstep("predict", "stdin-fare.safetensors", "-", "--keep", "colour")
        assert status == 0
        frame = pl.read_csv(io.StringIO(out))
        assert frame["colour"].to_list() == COLOUR.tolist()
        expected = gs.load("stdin-fare.safetensors").predict(PLAIN)
        np.testing.assert_array_equal(frame["prediction"], expected)

    def test_is_one_table(self, fails, home):
        assert "--test are both -" in fails("train", "-", "-t", "fare", "--test", "-")

    def test_is_prepared_once(self, home, typed):
        """The same rows are found in the cache, as those of a file are."""
        for text in (GERMAN, GERMAN, GERMAN.replace("rot", "blau")):
            typed(text.encode())
            gs.prepare("-", "fare", cache=home / "cache")
        assert len(list((home / "cache").iterdir())) == 2

    @pytest.mark.parametrize("format_", ["parquet", "ndjson", "gz"])
    def test_in_other_formats(self, home, typed, format_):
        PLAIN.write_parquet("t.parquet")
        PLAIN.write_ndjson("t.ndjson")
        (home / "t.gz").write_bytes(gzip.compress(GERMAN.encode()))
        typed((home / f"t.{format_}").read_bytes())
        assert bits(gs.prepare("-", "fare")) == EXPECTED

    def test_predictions_come_as_rows_do(self, home, monkeypatch):
        """Each with the rows that have come, not at the end; and none ends within quotes."""
        table = PLAIN.with_columns(note=pl.Series([f'a "b"\n{i}' for i in range(N)]))
        model = gs.fit_table(table.drop("note"), "fare", max_iter=2).model
        data = table.write_csv().encode()
        sent = []

        class Slow(io.RawIOBase):
            def read1(self, _):
                part = data[sum(sent) :][: 7 if sum(sent) < 1000 else 501]
                sent.append(len(part))
                return part

        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": Slow()}))
        found, when = [], []
        for batch in model.predict_batches("-", keep=["note"]):
            found.append(batch)
            when.append(sum(sent))
        assert len(set(when)) > 5
        both = pl.concat(found)
        np.testing.assert_array_equal(both["prediction"], model.predict(PLAIN))
        assert both["note"].to_list() == table["note"].to_list()

    def test_what_has_a_type_in_files(self, home, typed):
        """Truths, dates and times of day: text here, and the same features."""
        day = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 4, 29), "1d", eager=True)
        table = PLAIN.with_columns(
            paid=pl.Series([i % 3 == 0 for i in range(N)]), day=day,
            start=pl.Series([f"{i % 24:02}:30:00" for i in range(N)]).str.to_time("%H:%M:%S"),
        )  # fmt: skip
        model = gs.fit_table(table, "fare", max_iter=2).model
        for data in (table.write_csv().encode(), table.write_ndjson().encode()):
            typed(data)
            np.testing.assert_array_equal(model.predict("-"), model.predict(table))

    def test_wrong_rows_have_their_lines(self, fails, told, home, typed):
        (home / "t.csv").write_text(GERMAN)
        told("train", "t.csv", "-t", "fare", "-m", "m.safetensors")
        typed(GERMAN.encode() + b"1;rot\n")
        message = fails("predict", "m.safetensors", "-", "-o", "o.csv")
        assert f"standard input, line {N + 2}: the row has 2 fields" in message
        typed(GERMAN.encode() + b"1.5;rot;1\n")
        message = fails("predict", "m.safetensors", "-", "-o", "o.csv")
        assert f"standard input, row {N + 1} " in message
        typed(b"km;colour\n")
        assert told("predict", "m.safetensors", "-", "-o", "o.csv", "--keep", "km")["rows"] == 0
        assert (home / "o.csv").read_text() == "km,prediction\n"

    def test_errors_name_it(self, fails, home, typed):
        typed(b"x,y\n1,2\n3\n")
        assert "standard input, line 3" in fails("prepare", "-", "-t", "y", "-o", "p")
        typed(b"")
        assert "standard input is empty" in fails("prepare", "-", "-t", "y", "-o", "p")


class TestAddresses:
    @pytest.fixture
    def server(self, home):
        """Return where the folder's files are served."""

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_):
                """Say nothing."""

        handler = partial(Quiet, directory=str(home))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    def test_of_http(self, home, server, fails):
        (home / "t.csv").write_text(GERMAN)
        PLAIN.write_parquet(home / "t.parquet")
        for name in ("t.csv", "t.csv?version=2", "t.parquet"):
            assert bits(gs.prepare(f"{server}/{name}", "fare")) == EXPECTED
        message = fails("prepare", f"{server}/none.csv", "-t", "fare", "-o", "p")
        assert f"{server}/none.csv cannot be read: HTTP Error 404" in message

    def test_keep_their_secrets(self, home, server, told, gradstep):
        """A signed URL would open more than the table to whoever is sent the model, or the page."""
        (home / "t.csv").write_text(GERMAN)
        url = f"{server}/t.csv?signature=secret"
        found = told("train", url, "-t", "fare", "--validation", url, "--report", "r.html")
        assert found["source"] == f"{server}/t.csv?…"
        told("report", found["model"], url, "-o", "p.html")
        said = gradstep("show", found["model"])[1] + gradstep("train", url, "-t", "fare")[1]
        for path in (found["model"], "r.html", "p.html"):
            said += (home / path).read_bytes().decode(errors="replace")
        assert "t.csv?…" in said
        assert "secret" not in said

    def test_of_memory(self, home):
        """By fsspec itself, in a file system of its own that needs no network."""
        fsspec = pytest.importorskip("fsspec")
        with fsspec.open("memory://t.csv", "wb") as file:
            file.write(GERMAN.encode())
        assert bits(gs.prepare("memory://t.csv", "fare")) == EXPECTED

    def test_of_others(self, home, fails, monkeypatch):
        """By fsspec, which is asked for where it is not there."""
        monkeypatch.setitem(sys.modules, "fsspec", None)
        message = fails("prepare", "s3://bucket/t.csv", "-t", "fare", "-o", "p")
        assert "s3://bucket/t.csv needs another package: fsspec, which is not installed" in message
        assert "gradstep[remote]" in message
