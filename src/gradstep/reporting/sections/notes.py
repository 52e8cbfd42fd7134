"""What was noted, each note with its code; and what the codes mean, so that the page says all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradstep.diagnostics.catalogue import DIAGNOSTICS, GRAVE, by_gravity
from gradstep.diagnostics.diagnostic import without
from gradstep.markup import Markup, joined, tag, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.model import Model

__all__ = ["grave_box", "meaning_parts", "note_list", "notes_of_model", "text_list"]

_MOST_NOTES = 30
_LONG = 1000  # letters of a note


def notes_of_model(model: Model, ignored: frozenset[str]) -> list[Note]:
    """Return what was noted of a fit, but for codes that are ignored; the grave notes first."""
    kept = model.provenance.get("notes")
    return by_gravity(without(map(str, kept), ignored)) if isinstance(kept, list) else []


def grave_box(notes: Sequence[Note]) -> list[Markup]:
    """Return a box of the grave ones among notes, if there are any: figures are read after it."""
    grave = [note for note in notes if note.code in GRAVE]
    if not grave:
        return []
    head = tag("p", tag("b", "Before you believe the figures below"))
    return [tag("div", head, note_list(grave), class_="grave", role="note")]


def note_list(notes: Sequence[Note]) -> Markup:
    """Return a list of notes, of many the first; codes are links to what they mean."""
    return _listed([
        joined((*_link(note.code), tag("bdi", text(note.text, _LONG)))) for note in notes
    ])  # fmt: skip


def text_list(texts: Sequence[str]) -> Markup:
    """Return a list of sentences, of many the first."""
    return _listed([tag("bdi", text(each, _LONG)) for each in texts])


def _listed(items: Sequence[Markup]) -> Markup:
    shown = [tag("li", item) for item in items[:_MOST_NOTES]]
    if len(items) > _MOST_NOTES:
        shown.append(tag("li", f"and {len(items) - _MOST_NOTES:,} more"))
    return tag("ul", *shown, class_="words")


def _link(code: str) -> tuple[str, ...]:
    """Return the code of a note, if it has one: of a newer gradstep it is no link."""
    if code in DIAGNOSTICS:
        return tag("a", code, href=f"#{code}"), " "
    return (code, " ") if code else ()


def meaning_parts(notes: Sequence[Note]) -> list[Markup]:
    """Return what the codes of notes mean, why that matters, and what to do; each code once."""
    parts: list[Markup] = []
    for code in sorted({note.code for note in notes} & DIAGNOSTICS.keys()):
        of = DIAGNOSTICS[code]
        parts += [
            tag("h3", f"{code}: {of.title}", id=code),
            tag("p", *_with_code(of.what)),
            tag("p", tag("b", "Why it matters "), *_with_code(of.why)),
            tag("p", tag("b", "What to do "), *_with_code(of.fix)),
        ]
    return parts


def _with_code(prose: str) -> list[str]:
    """Return prose with what stands between backticks as code."""
    pieces = re.split(r"`([^`]*)`", prose)
    return [tag("code", piece) if at % 2 else piece for at, piece in enumerate(pieces)]
