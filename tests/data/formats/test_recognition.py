"""Formats of numbers and dates: recognised from all values of a column, and read as they say."""

from __future__ import annotations

import locale
from datetime import date, datetime, time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.data.formats import recognition
from gradstep.data.formats.date_format import DATE_PATTERNS, DateFormat, IsoDates, fitting
from gradstep.data.formats.number_format import NumberFormat, misfits
from gradstep.data.formats.recognition import Hints, Spelling, recognise
from tests.examples import examples

GERMAN = NumberFormat(",", ".")
MARKS = [
    (".", ""),
    (",", ""),
    (".", ","),
    (",", "."),
    (".", " "),
    (",", " "),
    (".", "'"),
    (",", "'"),
]


def spelling_of(values, cut=None):
    """Return how values are written, added in chunks."""
    spelling = Spelling()
    for lo in range(0, len(values), cut or len(values)):
        part = pl.Series("level", values[lo : lo + (cut or len(values))])
        found = part.value_counts(name="n")
        spelling.add(found["level"], found["n"])
    return spelling


def recognised(values, *, hints=Hints(), forced="", cut=None):  # noqa: B008
    return recognise(spelling_of(values, cut), hints, forced=forced)


def written(number, marks):
    """Return a number with two decimals and grouped thousands, by Python's own formatting."""
    decimal, thousands = marks
    text = f"{number:,.2f}" if thousands else f"{number:.2f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


@pytest.mark.parametrize("marks", MARKS)
@examples(6)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_what_is_written_is_read(marks, numbers):
    """Whatever the marks: the format reads each number as Python does the plain text."""
    texts = [written(number, marks) for number in numbers]
    found = recognised([*texts, written(1234567.25, marks)]).format
    assert found.read(pl.Series(texts)).to_list() == [float(f"{n:.2f}") for n in numbers]
    assert (found.decimal, found.thousands) == marks


@pytest.mark.parametrize(
    "values, format_",
    [
        (["7,0", "12,5"], NumberFormat(",")),
        (["1,088", "2,500", "12,5"], NumberFormat(",")),  # one group of another length
        (["1,0885", "2,500"], NumberFormat(",")),
        (["0,500", "1,250"], NumberFormat(",")),  # no thousands begin with 0
        (["1,088,000", "2,500"], NumberFormat(".", ",")),
        (["1.088,5", "12"], GERMAN),
        (["1 088", "1 088 200,5"], NumberFormat(",", " ")),
        (["1\u00a0088,5", "1\u202f088,25"], NumberFormat(",", " ")),
        (["1'088.50", "1’200.00"], NumberFormat(".", "'")),
        (["$1,088.50", "-$5", "$ 12"], NumberFormat(".", ",", "$")),
        (["1.088,50 €", "7,5 €"], NumberFormat(",", ".", "€")),
        (["10.6%", "5 %"], NumberFormat(percent=True)),
        (["10,6 %", "5%"], NumberFormat(",", percent=True)),
        (["−5.5", "+3", " 7 "], NumberFormat()),
        (["1.5", "?", "-", "N/A", "none"], NumberFormat(missing=("-", "?", "N/A", "none"))),
        (["€5", "$5"], None),  # two currencies are two units
        (["red", "green"], None),
        (["12", "13", "5+", "6+"], None),
        (["192.168.1.1", "10.0.0.1"], None),
    ],
)  # fmt: skip
def test_numbers(values, format_):
    assert recognised(values).format == format_


def test_groups_of_points_are_thousands():
    assert recognised(["1.088.000"]).format.read(pl.Series(["1.088.000"])).to_list() == [1_088_000]


def test_what_is_open_is_told():
    """1,088 may be one thousand or one: one is taken, and the option says the other."""
    found = recognised(["1,088", "2,500"])
    assert (found.format, found.instead) == (NumberFormat(".", ","), 'decimal=","')
    german = recognised(["1,088", "2,500"], hints=Hints(elsewhere=","))
    assert (german.format, german.instead) == (NumberFormat(","), "")
    assert recognised(["1.088", "2.500"], hints=Hints(elsewhere=",")).format == GERMAN
    assert recognised(["1,088"], hints=Hints(decimal=",")).format == NumberFormat(",")
    assert recognised(["1,088"], hints=Hints(thousands="")).format == NumberFormat(",")


@pytest.mark.parametrize("cut", [1, 7, None])
@pytest.mark.parametrize("at", [0, 20, 39])
def test_a_typo_wherever_it_is(cut, at):
    values = [f"{i}.5" for i in range(40)]
    values[at] = "1.3v86"
    found = recognised(values, cut=cut).format
    text = pl.Series(values)
    assert misfits(text, found.read(text)).to_list() == [i == at for i in range(40)]


def test_the_last_rows_decide_as_the_first_do():
    """No sample of the head: thousands of whole numbers, and one decimal comma at the end."""
    values = [f"{1 + i % 9},{i % 1000:03}" for i in range(5000)]
    assert recognised(values).format == NumberFormat(".", ",")
    assert recognised([*values, "12,5"], cut=1000).format == NumberFormat(",")


@pytest.mark.parametrize(
    "values, pattern, instead",
    [
        (["11/06/2024", "12/25/2024"], "%m/%d/%Y", ""),
        (["11/06/2024", "25/12/2024"], "%d/%m/%Y", ""),
        (["11/06/2024", "05/12/2024"], "%m/%d/%Y", "date:%d/%m/%Y"),
        (["6.11.2024", "7.12.2024"], "%d.%m.%Y", ""),
        (["6.11.24", "7.12.24"], "%d.%m.%y", ""),
        (["11/06/2024 2:35 PM", "12/25/2024 11:05 AM"], "%m/%d/%Y %I:%M %p", ""),
        (["5 Jan 2024", "17 December 2024"], "%d %B %Y", ""),
        (["January 5, 2024"], "%B %d, %Y", ""),
        (["14:35", "9:05"], "%H:%M", ""),
        (["1991 W06", "2020 W53"], "%G W%V", ""),
        (["Q1 2024", "Q4 2024"], "Q%q %Y", ""),
        (["Jan 1960", "March 1960"], "%B %Y", ""),
        (["2024-01-02T10:00:00", "2024-01-02", "2024-01-02 10:00:00Z"], None, ""),
    ],
)
def test_dates(values, pattern, instead):
    found = recognised(values)
    expected = IsoDates() if pattern is None else DateFormat(pattern)
    assert (found.format, found.instead) == (expected, instead)
    assert not found.format.read(pl.Series(values)).has_nulls()


@pytest.mark.parametrize("pattern", DATE_PATTERNS)
def test_dates_are_pythons(pattern):
    """Each pattern reads what `strftime` writes."""
    assert locale.getlocale(locale.LC_TIME)[0] in {None, "C", "en_US"}
    when = datetime(2024, 11, 26, 14, 35, 20)  # noqa: DTZ001
    text = when.strftime(pattern.replace("%.f", "").replace("%#z", "Z").replace("%q", "4"))
    found = DateFormat(pattern).read(pl.Series([text, "soon"])).to_list()
    assert found[1] is None
    value = found[0].replace(tzinfo=None) if isinstance(found[0], datetime) else found[0]
    if isinstance(value, datetime):
        expected = when if "%S" in pattern else when.replace(second=0)
    elif isinstance(value, date):
        expected = when.date()
        if "%d" not in pattern:  # of a month, a quarter or a week the first day
            first = date(2024, 11, 25) if "%V" in pattern else expected.replace(day=1)
            expected = first.replace(month=10) if "%q" in pattern else first
    else:
        expected = time(14, 35, 20 if "%S" in pattern else 0)
    assert value == expected


def test_patterns_whose_marks_are_not_there_fit_nothing():
    when = datetime(2024, 11, 26, 14, 35, 20)  # noqa: DTZ001
    for written in ["%d/%m/%Y", "%Y-%m-%dT%H:%M:%S", "%B %d, %Y", "%Y W%V", "%d.%m.%y %I:%M %p"]:
        text = pl.Series([when.strftime(written), None, "soon"])
        each = {pattern: DateFormat(pattern).read(text).is_not_null() for pattern in DATE_PATTERNS}
        found = fitting(text, DATE_PATTERNS)
        assert list(found) == [pattern for pattern, fits in each.items() if fits.any()] != []
        assert all(fits.to_list() == each[pattern].to_list() for pattern, fits in found.items())


def test_iso_dates_of_several_lengths():
    text = pl.Series(["2024-01-02", "2024-01-02 10:00", "2024-01-02T10:00:00.5Z", None, "soon"])
    found = IsoDates().read(text)
    at = [datetime(2024, 1, 2), datetime(2024, 1, 2, 10), datetime(2024, 1, 2, 10, 0, 0, 500_000)]  # noqa: DTZ001
    assert found.to_list() == [*at, None, None]
    assert misfits(text, found).to_list() == [False] * 4 + [True]


@pytest.mark.parametrize(
    "bad", [NumberFormat(",", ","), NumberFormat(";"), NumberFormat(thousands="x"),
            DateFormat("%d"), DateFormat("%m/%d/%Q"), DateFormat(""), DateFormat("%d/%d/%m/%Y"),
            DateFormat("%d.%m.%Y Q%q"), DateFormat("%B")]
)  # fmt: skip
def test_what_is_no_format(bad):
    with pytest.raises(ValueError, match="is no "):
        bad.check()


@pytest.mark.parametrize(
    "values",
    [
        ["1.088,25", "7,5", "?", "12,5", "3.000"] * 40,
        ["", "-", "4", "$1,000.50", "$ 3"] * 40,
        [f"{d:02}/{m:02}/2025" for d in range(1, 29) for m in (1, 12)],
        [*("word" for _ in range(30)), *(str(k) for k in range(2000))],
    ],
    ids=["decimal comma", "currency", "dates", "a few words first"],
)
def test_counts_of_parts_add_up(values):
    whole, parts = spelling_of(values), Spelling()
    for lo, hi in ((0, 5), (5, 5), (5, 40), (40, len(values))):
        parts.merge(spelling_of(values[lo:hi]) if hi > lo else Spelling())
    for name in ("rows", "shapes", "missing", "others", "other_values", "hopeless", "dates"):
        assert getattr(parts, name) == getattr(whole, name)
    assert recognise(parts, Hints()) == recognise(whole, Hints())


def test_a_part_without_hope_counts_as_words(monkeypatch):
    monkeypatch.setattr(recognition, "_LOOK_FIRST", 10)
    words, numbers = ["a", "b"] * 20, [f"{k},5" for k in range(1000)]
    found = spelling_of(words, cut=10)
    assert (found.hopeless, found.rows, found.others) == (True, 40, 40)
    found.merge(spelling_of(numbers))
    assert not found.hopeless
    assert recognise(found, Hints()).format == NumberFormat(",")
