"""Bad tables: one clear error each, with file, line or row, column, value, cause and fix.

A case writes files to a folder, prepares them (or asks a model for predictions), and gives what
the message must contain; ``{}`` stands for the folder.
"""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from gradstep import InvalidParameter, InvalidTable, prepare

LONG = "x,y\n" + "".join(f"{i},{i % 7}\n" for i in range(50_000))
GOOD = "x,colour,y\n" + "".join(f"{i % 5},{'rgb'[i % 3]},{i}\n" for i in range(40))


def frame(**columns):
    n = max(len(c) for c in columns.values() if isinstance(c, list))
    return pl.DataFrame({k: v if isinstance(v, list) else [v] * n for k, v in columns.items()})


def table(**columns):
    """Return 40 good rows with some columns replaced, or added."""
    rows = {"x": [float(i % 5) for i in range(40)], "y": [float(i) for i in range(40)]}
    full = {k: c if isinstance(c, (list, pl.Series)) else [c] * 40 for k, c in columns.items()}
    return pl.DataFrame({**rows, **full})


def parquet(**columns):
    return lambda path: frame(**columns).write_parquet(path)


class Case(NamedTuple):
    """What is written, what is asked, and what must be said."""

    source: Any  # a frame, or files: name to content
    says: list[str]
    options: dict[str, Any] = {}  # noqa: RUF012  (a default, never changed)
    open: str = ""  # the file, glob or folder; by default the first file
    kind: type = InvalidTable


CASES = {
    # --- text files ------------------------------------------------------------------------
    "a short row": Case(
        {"t.csv": "x,y,z\n1,2,3\n4,5\n6,7,8\n"},
        ["{}/t.csv, line 3", "2 fields", "header has 3", "must be quoted"],
    ),
    "a long row": Case(
        {"t.csv": "x,y\n1,2\n3,4\n5,6,7\n"}, ["{}/t.csv, line 4", "3 fields", "header has 2"]
    ),
    "a short row behind a quoted line end": Case(
        {"t.csv": 'x,y\n"a\nb",2\n3\n'}, ["{}/t.csv, line 4", "1 fields"]
    ),
    "a short row, tabs": Case({"t.tsv": "x\ty\n1\t2\n3\n"}, ["{}/t.tsv, line 3", "1 fields"]),
    "a short row, packed": Case(
        {"t.csv.gz": gzip.compress(b"x,y\n1,2\n3\n")}, ["{}/t.csv.gz, line 3", "1 fields"]
    ),
    "a short row at line 50,002": Case(
        {"t.csv": LONG + "5\n"}, ["{}/t.csv, line 50002", "1 fields"]
    ),
    "a short row in the second file": Case(
        {"a.csv": "x,y\n1,2\n3,4\n", "b.csv": "x,y\n5,6\n7\n"}, ["{}/b.csv, line 3"], open="*.csv"
    ),
    "an empty line": Case({"t.csv": "x,y\n1,2\n\n3,4\n"}, ["{}/t.csv, line 3", "empty", "Delete"]),
    "an empty line at the end": Case({"t.csv": "x,y\n1,2\n\n"}, ["{}/t.csv, line 3", "empty"]),
    "an open quote": Case(
        {"t.csv": 'x,y\n1,2\n3,"four\n5,6\n'}, ["{}/t.csv, line 3", "never closed", "doubled"]
    ),
    "text at row 50,002 of numbers": Case(
        {"t.csv": LONG + "soon,3\n"},
        [
            "{}/t.csv, line 50002", "'x'", "'soon'", "not a number", 'kinds={{"x": "category"}}',
            'drop=["x"]',
        ],
    ),
    "text in the second file's numbers": Case(
        {"a.csv": "x,y\n1,2\n3,4\n", "b.csv": "x,y\n1,1\nmany,2\n"},
        ["{}/b.csv, line 3", "'x'", "'many'", "not a number"],
        open="*.csv",
    ),
    "text among dates": Case(
        {"t.csv": "d,y\n" + "2024-01-02,1\n2024-01-03,2\n" * 6000 + "soon,2\n"},
        ["{}/t.csv, line 12002", "'d'", "'soon'", "not a date"],
    ),
    "text among times": Case(
        {"t.csv": "d,y\n" + "2024-01-02 10:00:00,1\n2024-01-03 11:30:00,2\n" * 6000 + "soon,2\n"},
        ["{}/t.csv, line 12002", "'d'", "'soon'", "not a date"],
    ),
    "a duplicate header": Case(
        {"t.csv": "x,y,x\n1,2,3\n"}, ["{}/t.csv, line 1", "'x'", "twice", "column 3", "Rename"]
    ),
    "a quote in a name that could mean two things": Case(
        {"t.csv": '"dark""\nor light";x;y\n1;2;3\n'},
        ["{}/t.csv, line 1: the column name", "could be read in several ways. Rename it"],
    ),
    "a byte-order mark in a name": Case(
        {"t.csv": b'"\xef\xbb\xbfx'},
        ["{}/t.csv, line 1: the column name", "a byte-order mark"],
    ),
    "an empty file": Case({"t.csv": ""}, ["{}/t.csv is empty", "name the columns"]),
    "an empty Parquet file": Case({"t.parquet": b""}, ["{}/t.parquet is empty"]),
    "only a header": Case({"t.csv": "x,y\n"}, ["{}/t.csv has no rows"]),
    "rubbish called .csv": Case(
        {"t.csv": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 40}, ["{}/t.csv", "not UTF-8", "suffix"]
    ),
    "zeros called .csv": Case({"t.csv": b"\0" * 100}, ["{}/t.csv is not a text file", "NUL"]),
    "Latin-1": Case(
        {"t.csv": b"x,y\n1,2\n2,3\n" + "café,3\n".encode("latin-1")},
        ["{}/t.csv, line 4", "not UTF-8", "convert it"],
    ),
    "Latin-1 in the header": Case(
        {"t.csv": "prix é,y\n1,2\n".encode("latin-1")}, ["{}/t.csv, line 1", "not UTF-8", "byte 6"]
    ),
    "Latin-1 at line 30,002": Case(
        {"t.csv": ("x,y\n" + "a,2\nb,3\n" * 15_000 + "é,1\n").encode("latin-1")},
        ["{}/t.csv, line 30002", "not UTF-8"],
    ),
    "half of a gzip file": Case(
        {"t.csv.gz": gzip.compress(GOOD.encode())[:60]}, ["{}/t.csv.gz", "unpacked"]
    ),
    "no gzip file": Case({"t.csv.gz": GOOD}, ["{}/t.csv.gz", "unpacked", "gzip"]),
    "no zstd file": Case({"t.csv.zst": GOOD}, ["{}/t.csv.zst", "unpacked", "zstd"]),
    # --- NDJSON ----------------------------------------------------------------------------
    "text at row 50,002 of NDJSON numbers": Case(
        {"t.ndjson": '{"x":1,"y":2}\n' * 50_000 + '{"x":"soon","y":2}\n'},
        ["{}/t.ndjson, line 50001", "'x'", "'soon'", "not a number", 'kinds={{"x": "category"}}'],
    ),
    "half a JSON object": Case(
        {"t.ndjson": '{"x":1,"y":2}\n' * 20 + '{"x":1,\n'}, ["{}/t.ndjson, line 21", "JSON"]
    ),
    "an empty NDJSON file": Case({"t.ndjson": ""}, ["{}/t.ndjson is empty"]),
    # --- files that carry their types -------------------------------------------------------
    "half of a Parquet file": Case(
        {"t.parquet": lambda p: (parquet(x=list(range(900)))(p), halve(p))},
        ["{}/t.parquet", "no parquet file, or a damaged one"],
    ),
    "text called .parquet": Case({"t.parquet": GOOD}, ["{}/t.parquet", "no parquet file"]),
    "text called .arrow": Case({"t.arrow": GOOD}, ["{}/t.arrow", "no ipc file"]),
    "files with other columns": Case(
        {"a.parquet": parquet(x=[1.0], old=[1], y=[2.0]),
         "b.parquet": parquet(x=[1.0], new=[1], y=[2.0])},
        ["{}/b.parquet", "{}/a.parquet", "old: missing, expected number",
         "new: number, expected no such column"],
        open="*.parquet",
    ),
    "files with other types": Case(
        {"a.parquet": parquet(x=[1.0], y=[2.0]), "b.parquet": parquet(x=["one"], y=[2.0])},
        ["{}/b.parquet", "x: string, expected number"],
        open="*.parquet",
    ),
    "text files with other columns": Case(
        {"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"},
        ["{}/b.csv", "{}/a.csv", "y: missing", "z: a column, expected no such column"],
        open="*.csv",
    ),
    "files of two formats": Case(
        {"a.csv": GOOD, "b.parquet": parquet(x=[1.0])},
        ["several formats", "csv, parquet"],
        open=".",
    ),
    "no such file": Case({}, ["{}/gone.csv does not exist"], open="gone.csv"),
    "a glob without a match": Case({}, ["{}/*.csv matches no file"], open="*.csv"),
    "a folder without a table": Case(
        {"notes.md": "hello"}, ["without any table", ".csv"], open="."
    ),
    "an unknown suffix": Case({"t.xlsx": GOOD}, ["{}/t.xlsx", "suffix", ".parquet"]),
    "no table at all": Case(42, ["path", "LazyFrame", "not builtins.int"]),
    "no files": Case([], ["at least one file"]),
    # --- the target -------------------------------------------------------------------------
    "an unknown target": Case(
        table(), ["The target 'yy'", "Did you mean 'y'", "Its columns are: x, y"], {"target": "yy"}
    ),
    "an unknown column to drop": Case(table(), ["'xx'", "Did you mean 'x'"], {"drop": "xx"}),
    "an unknown weight": Case(
        table(), ["The weight 'ww'", "not a column"], {"sample_weight": "ww"}
    ),
    "a constant target": Case(table(y=7.0), ["The target 'y' is 7 in every row"]),
    "one class": Case(table(y="yes"), ["The target 'y' is 'yes' in every row"]),
    "one class, a boolean": Case(table(y=True), ["The target 'y' is True in every row"]),
    "no target": Case(
        table(y=pl.Series([None] * 40, dtype=pl.Float64)), ["'y' is missing in every row"]
    ),
    "no target in a text file": Case(
        {"t.csv": "x,y\n1,\n2,\n"}, ["'y' is missing in every row of {}/t.csv"]
    ),
    "no target, of no type": Case(table(y=pl.Series([None] * 40)), ["'y' is missing in every row"]),
    "a missing target, refused": Case(
        table(y=[1.0, 2.0, None, *range(37)]), ["'y' is missing in row 3"],
        {"missing_target": "error"},
    ),
    "an infinite target": Case(table(y=[1.0, np.inf, *range(38)]), ["'y'", "infinite", "row 2"]),
    "text to regress on": Case(
        table(y=["a", "b"] * 20), ["'y' holds text", "task='classification'"],
        {"task": "regression"},
    ),
    "dates to predict": Case(
        table(y=pl.Series([0] * 40).cast(pl.Date)), ["'y' has type Date", "cannot be predicted"]
    ),
    "too many classes": Case(
        frame(x=[0.0, 1.0] * 600, y=[f"c{i}" for i in range(1200)]), ["'y'", "1,000", "classes"]
    ),
    # --- weights, offsets, numbers ------------------------------------------------------------
    "a negative weight": Case(
        table(w=[1.0, 1.0, -0.5, *[1.0] * 37]), ["'w' is -0.5 in row 3"], {"sample_weight": "w"}
    ),
    "a missing weight": Case(
        table(w=[1.0, None, *[1.0] * 38]), ["'w' is missing in row 2"], {"sample_weight": "w"}
    ),
    "a negative weight behind rows without a target": Case(
        table(y=[None, None, *range(38)], w=[1.0, 1.0, 1.0, -1.0, *[1.0] * 36]),
        ["'w' is -1.0 in row 4"],
        {"sample_weight": "w"},
    ),
    "weights of text": Case(
        table(w=["a"] * 40),
        ["row 1", "weight 'w'", "'a', which is not a number"],
        {"sample_weight": "w"},
    ),
    "weights of zero": Case(table(w=0.0), ["'w' are all zero"], {"sample_weight": "w"}),
    "weights that are far too large": Case(
        table(w=1e300), ["'w' is 1e+300", "divide them by their mean"], {"sample_weight": "w"}
    ),
    "a missing offset": Case(
        table(o=[0.0] * 5 + [None] + [0.0] * 34), ["'o'", "row 6"], {"offset": "o"}
    ),
    "an infinite number": Case(
        table(x=[1.0, 2.0, np.inf, *range(37)]), ["'x' is infinite in row 3", 'drop=["x"]']
    ),
    "an infinite number behind rows without a target": Case(
        table(y=[None, None, *range(38)], x=[1.0, 2.0, 3.0, 4.0, -np.inf, *range(35)]),
        ["'x' is infinite in row 5"],
    ),
    "an infinite number in a file": Case(
        {"t.csv": "x,y\n1,2\ninf,3\n"}, ["{}/t.csv: Column 'x' is infinite in row 2", 'drop=["x"]']
    ),
    "a missing weight in a file": Case(
        {"t.csv": "x,w,y\n1,1,2\n2,nan,3\n"},
        ["{}/t.csv: The weight 'w' is missing in row 2", "a finite number from 0 on"],
        {"sample_weight": "w"},
    ),
    "a missing number, refused": Case(
        table(x=[1.0, 2.0, None, None, *range(36)]), ["'x'", "missing in 2 rows", "row 3"],
        {"missing": "error"},
    ),
    "a missing category, refused": Case(
        table(c=["a", None, *["b"] * 38]),
        ["'c'", "missing in 1 rows", "row 2", 'missing="encode"'],
        {"missing": "error"},
    ),
    "a missing number behind rows without a target, refused": Case(
        table(y=[None, None, *range(38)], x=[None, 2.0, 3.0, None, *range(36)]),
        ["'x'", "missing in 1 rows", "row 4"],
        {"missing": "error"},
    ),
    "text that is to be a number": Case(
        table(c=["1", "2", "three", *["4"] * 37]), ["row 3", "'c'", "'three'", "not a number"],
        {"kinds": {"c": "number"}},
    ),
    "numbers that are to be dates": Case(
        table(), ["'x'", "Float64", "2026-11-23"], {"kinds": {"x": "date"}}
    ),
    "no usable column": Case(
        table(x=1.0, z=pl.Series([None] * 40)),
        ["no column to learn from", "x: every value is 1", "z: every value is missing"],
    ),
    "only the target": Case(table().select("y"), ["no column to learn from", "only the target"]),
    "a time column of text": Case(
        table(t=["a"] * 40), ["'t'", "String", "dates"], {"time_column": "t"}
    ),
    "a missing time": Case(
        table(t=[1.0, None, *range(38)]), ["'t' is missing in row 2"], {"time_column": "t"}
    ),
    "one time for all": Case(table(t=5.0), ["'t'", "same time in every row"], {"time_column": "t"}),
    "nothing left to train on": Case(
        frame(x=[1.0, 2.0], y=[1.0, 2.0]), ["100%", "2 rows", "none to train on"],
        {"validation": 0.9999999},
    ),
    # --- parameters ---------------------------------------------------------------------------
    "too little memory": Case(
        table(), ["memory=1,000", "134,217,728"], {"memory": 1000}, kind=InvalidParameter
    ),
    "an unknown kind": Case(
        table(), ["x=numbr", "Did you mean 'number'", "hash:BITS"], {"kinds": {"x": "numbr"}},
        kind=InvalidParameter,
    ),
    "too many bits": Case(
        table(), ["x=hash:40", "1 to 24"], {"kinds": {"x": "hash:40"}}, kind=InvalidParameter
    ),
    "an unknown parameter": Case(
        table(), ["'sample_weigth'", "Did you mean 'sample_weight'"], {"sample_weigth": "w"},
        kind=InvalidParameter,
    ),
    "an unknown task": Case(
        table(), ["task='rank'", "classification"], {"task": "rank"}, kind=InvalidParameter
    ),
    "all rows held out": Case(
        table(), ["validation=1.0", "< 1"], {"validation": 1.0}, kind=InvalidParameter
    ),
    "a target to drop": Case(
        table(), ["'y' cannot be left out"], {"drop": "y"}, kind=InvalidParameter
    ),
    "a target of another kind": Case(
        table(),
        ["'y' cannot be treated as 'hash'", "'category'"],
        {"kinds": {"y": "hash"}},
        kind=InvalidParameter,
    ),
    "a target of classes for a regression": Case(
        table(),
        ["'y' cannot be treated as 'category' with task='regression'", "makes its values classes"],
        {"kinds": {"y": "category"}, "task": "regression"},
        kind=InvalidParameter,
    ),
    "more features than indices": Case(
        table(**{f"c{j}": ["a", "b"] * 20 for j in range(128)}),
        ["2,147,483,649 features", "fewer bits"],
        {"kinds": {f"c{j}": "hash:24" for j in range(128)}},
    ),
    "no levels": Case(table(), ["max_levels=0"], {"max_levels": 0}, kind=InvalidParameter),
    "a negative seed": Case(
        table(), ["random_state=-1"], {"random_state": -1}, kind=InvalidParameter
    ),
    "an offset of classes": Case(
        table(y=["a", "b"] * 20, o=0.5), ["offset", "classes"], {"offset": "o"},
        kind=InvalidParameter,
    ),
}  # fmt: skip


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write(folder, files):
    for name, content in files.items():
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("name", CASES)
def test_says(name, tmp_path):
    case = CASES[name]
    source = case.source
    if isinstance(source, dict):
        write(tmp_path, source)
        source = str(tmp_path / (case.open or next(iter(source))))
    options = {"target": "y", "validation": 0.0, **case.options}
    if "time_column" in options and "validation" not in case.options:
        options["validation"] = 0.25
    with pytest.raises(case.kind) as caught:
        prepare(source, **options)
    message = str(caught.value)
    for part in case.says:
        assert part.format(tmp_path) in message


def test_the_good_table_is_good(tmp_path):
    """Of which the bad ones are changes."""
    write(tmp_path, {"t.csv": GOOD})
    assert prepare(tmp_path / "t.csv", "y", validation=0.0).n_rows == 40
    assert prepare(table(), "y", validation=0.0).n_rows == 40


def test_rows_without_a_target_are_dropped_and_counted():
    prepared = prepare(table(y=[None, float("nan"), *range(38)]), "y", validation=0.0)
    assert prepared.meta["rows"] == {"read": 40, "dropped": 2, "train": 38, "validation": 0}


class TestValidationTable:
    def test_of_other_columns(self):
        with pytest.raises(InvalidTable, match=r"lacks a column.*'x'"):
            prepare(table(), "y", validation_table=table().drop("x"))

    def test_without_the_target(self):
        with pytest.raises(InvalidTable, match="'y' is not a column"):
            prepare(table(), "y", validation_table=table().drop("y"))

    def test_without_any_target(self):
        with pytest.raises(InvalidTable, match="no row with a value of the target 'y'"):
            prepare(
                table(), "y", validation_table=table(y=pl.Series([None] * 40, dtype=pl.Float64))
            )

    def test_of_another_class(self):
        with pytest.raises(InvalidTable, match=r"class 'c'.*training did not see.*'a', 'b'"):
            prepare(
                table(y=["a", "b"] * 20), "y", validation_table=table(y=["a", "b", "c", "a"] * 10)
            )

    def test_of_another_type(self):
        with pytest.raises(InvalidTable, match=r"row 1 .*'x' has the value 'many'.* not a number"):
            prepare(table(), "y", validation_table=table(x=["many"] * 40))
