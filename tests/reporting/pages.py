"""What holds for every page, whatever it is of."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

__all__ = ["Page", "check"]

VOID = {"meta", "br", "input"}


class Page(HTMLParser):
    """What a page is made of; elements that are not closed are found."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text = [], [], {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in self.open:
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


def check(html):
    """Check what holds for every page."""
    html.encode()
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert not page.all(
        "script", "link", "img", "iframe", "object", "image", "use", "foreignObject"
    )
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert attributes.get("href", "#").startswith("#")
    assert all(link["href"][1:] in ids for link in page.all("a"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) == len(page.all("figure")) == len(page.all("details"))
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314  (our own)
        assert root.attrib["role"] == "img"
        named = root.attrib["aria-labelledby"].split()
        title, desc = root.find("title"), root.find("desc")
        assert [title.attrib["id"], desc.attrib["id"]] == named
        assert title.text
        assert desc.text
        # Names and levels may be "nan"; places may not.
        assert not any("nan" in value for e in root.iter() for value in e.attrib.values())
        inside(root)
    return page


def inside(root):
    """Check that dots and letters lie within the picture."""
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        x, y = (
            (element.attrib.get(n) for n in ("cx", "cy") if n in element.attrib)
            if (element.tag == "circle")
            else (element.attrib.get("x"), element.attrib.get("y"))
        )
        if x is not None and y is not None:
            assert -1.0 <= float(x) <= width + 1.0
            assert -1.0 <= float(y) <= height + 1.0
