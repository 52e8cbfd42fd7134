"""Text in a page is text, whatever it is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep.characters import ACTS, escaped
from gradstep.markup import clipped, joined, tag, text, width_of
from tests.examples import examples

HOSTILE = [
    "<script>alert(1)</script>", "\"' onload='x", "</svg></style><img src=x onerror=y>",
    "&amp;&#x3c;",
    "שלום \u202eevil\u2066", "\x00\x1b[2K\ud800", "]]><!--", "x" * 10_000, "列" * 500,
]  # fmt: skip


class _Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.values = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def parsed(markup):
    found = _Texts()
    found.feed(markup)
    found.close()
    return found


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_text_is_text(content):
    made = tag("p", content, tag("b", text(content)), title=content)
    found = parsed(made)
    assert found.tags == ["p", "b"]
    assert found.values == [escaped(content)]
    assert len(text(content)) < 1300
    assert ET.fromstring(made).tag == "p"  # noqa: S314  (our own)
    made.encode()
    assert not set(text(content)) & set(map(chr, range(32)))


@examples(200)
@given(st.text(st.characters(), max_size=80))
def test_any_text_comes_back_as_it_was(content):
    found = parsed(tag("p", content))
    assert "".join(found.texts) == escaped(content)
    assert found.tags == ["p"]


@examples(100)
@given(st.text(st.characters(), max_size=300), st.floats(5.0, 300.0))
def test_clipped_text_fits(content, room):
    found = clipped(content, room, 11.0)
    assert found == "…" or width_of(found, 11.0) <= room


def test_what_is_no_place_is_refused():
    with pytest.raises(ValueError, match="no place"):
        tag("circle", cx=float("nan"))
    assert joined([tag("b"), "<"]) == "<b></b>&lt;"
    assert "\u202e" in ACTS or "\u202e" not in escaped("\u202e")
