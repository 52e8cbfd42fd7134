"""Parameters that had another name: still taken, with a word on what they are called now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.diagnostics.of_machines import OLD_NAME
from gradstep.errors import InvalidParameter, OldNameWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["under_new_names"]

# One name for one thing, scikit-learn's (docs/adr/0016): what it was in functions on tables.
_NEW = {
    "epochs": "max_iter",
    "patience": "n_iter_no_change",
    "seed": "random_state",
    "time": "time_column",
    "weight": "sample_weight",
}


def under_new_names(function: str, given: Mapping[str, Any], **taken: Any) -> dict[str, Any]:
    """Return keyword arguments by the names of today; an old one warns.

    Parameters
    ----------
    function : str
        Whose they are, for messages.
    given : mapping
        The keyword arguments.
    **taken
        Arguments by new names that the function takes by itself; None where one was not given.

    Raises
    ------
    InvalidParameter
        If a parameter comes by both names.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        new = _NEW.get(name, name)
        if new != name:
            if new in given or taken.get(new) is not None:
                msg = f"{name} and {new} of {function} are the same: give {new} alone."
                raise InvalidParameter(msg)
            message = f"{name} of {function} is called {new} now; the old name will go."
            OLD_NAME.warn(message, OldNameWarning)
        found[new] = value
    return found
