"""A value that is not what its column holds: where it is, and what can be done about it."""

from __future__ import annotations

from gradstep.errors import InvalidTable
from gradstep.parameters import given

__all__ = ["BadValue"]


class BadValue(InvalidTable):
    """A value that does not fit its column.

    Parameters
    ----------
    where : str
        File and line, or table and row.
    column, value : str
        What it is, and where it stands.
    noun : str
        What the others are: number, date, time.
    """

    def __init__(self, where: str, column: str, value: str, noun: str) -> None:
        self.where, self.column, self.value, self.noun = where, column, value, noun
        super().__init__(
            f"{where}: column {column!r} has the value {value!r}, which is not a {noun}, as the "
            f"others are. Correct it, take it as missing ({self._na}), treat the column as text "
            f"({given('kinds', {column: 'category'})}), or leave it out "
            f"({given('drop', [column])})."
        )

    def __reduce__(self) -> tuple[type[BadValue], tuple[str, str, str, str]]:
        """Say how it is made anew, as it comes from another machine."""
        return BadValue, (self.where, self.column, self.value, self.noun)

    @property
    def _na(self) -> str:
        return given("na", [self.value])

    def of_role(self, role: str) -> InvalidTable:
        """Return what is said where the column cannot be left out, as it is a weight or a target.

        Parameters
        ----------
        role : str
            What the column is; empty for a feature.
        """
        if not role:
            return self
        if role != "target":
            return InvalidTable(
                f"{self.where}: the {role} {self.column!r} has the value {self.value!r}, which is "
                f"not a {self.noun}. Correct it."
            )
        return InvalidTable(
            f"{self.where}: the target {self.column!r} has the value {self.value!r}, which is not "
            f"a {self.noun}, as the others are. Correct it, or leave out the rows that have it "
            f"({self._na}). If every value is a class of its own: "
            f"{given('kinds', {self.column: 'category'})}."
        )

    def of_model(self, written: str) -> InvalidTable:
        """Return what is said where a model reads the column as it was written in training."""
        how = f" ({written})" if written else " (such as 123.5)" if self.noun == "number" else ""
        return InvalidTable(
            f"{self.where}: column {self.column!r} has the value {self.value!r}, which is not a "
            f"{self.noun} as the model reads it{how}. Write it as in the table that the model was "
            "trained on."
        )
