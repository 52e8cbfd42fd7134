"""All diagnostics by their codes: how they are looked up, and which of them a user ignores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.diagnostics import of_fits, of_machines, of_models, of_tables
from gradstep.diagnostics.diagnostic import Diagnostic, warn
from gradstep.errors import InvalidParameter, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["DIAGNOSTICS", "GRAVE", "STAGES", "by_gravity", "codes_of", "explain", "warn_of_grave"]


def _in(module: ModuleType) -> list[Diagnostic]:
    found = [value for value in vars(module).values() if isinstance(value, Diagnostic)]
    return sorted(found, key=lambda each: each.code)


# By what they are about: the first digit of the code says which.
STAGES: Mapping[str, list[Diagnostic]] = {
    "The table": _in(of_tables),
    "The fit": _in(of_fits),
    "The model": _in(of_models),
    "The machine": _in(of_machines),
}
DIAGNOSTICS: Mapping[str, Diagnostic] = {
    each.code: each for stage in STAGES.values() for each in stage
}

# Those by which a model may be of no use, however good its figures are.
GRAVE = (of_tables.LEAK.code, of_tables.TOO_GOOD.code)


def by_gravity(notes: Iterable[Note]) -> list[Note]:
    """Return notes, the grave ones first; else in the same order."""
    return sorted(notes, key=lambda note: note.code not in GRAVE)


def warn_of_grave(notes: Iterable[Note]) -> None:
    """Warn of the grave ones among notes, whoever called gradstep."""
    for note in notes:
        if note.code in GRAVE:
            warn(note)


def explain(code: str) -> Diagnostic:
    """Return what the code of a note or a warning stands for.

    Parameters
    ----------
    code : str
        The code, in upper or lower case.

    Returns
    -------
    Diagnostic
        Its `title`, and `what` was found, `why` that matters and the `fix`; `print` shows all.

    Raises
    ------
    InvalidParameter
        If there is no such code.

    Examples
    --------
    >>> import gradstep
    >>> print(gradstep.explain("gs004"))
    GS004: A column numbers the rows
    <BLANKLINE>
    A column holds ...
    """
    found = DIAGNOSTICS.get(code.upper())
    if found is None:
        msg = (
            f"There is no diagnostic {code!r}.{nearest(code, DIAGNOSTICS)} They go from "
            f"{min(DIAGNOSTICS)} to {max(DIAGNOSTICS)}: gradstep explain lists them."
        )
        raise InvalidParameter(msg)
    return found


def codes_of(ignore: Any) -> frozenset[str]:
    """Return the codes that a user wants to hear nothing of.

    Parameters
    ----------
    ignore : None, str or sequence of str
        Codes; in one text with commas between.

    Raises
    ------
    InvalidParameter
        If there is no such diagnostic.

    Examples
    --------
    >>> sorted(codes_of("GS004,gs001"))
    ['GS001', 'GS004']
    """
    given = [ignore] if isinstance(ignore, str) else list(ignore or ())
    codes = [code.strip() for text in given for code in str(text).split(",")]
    return frozenset(explain(code).code for code in codes if code)
