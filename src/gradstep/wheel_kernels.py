"""Kernels that a wheel brings along, compiled for any processor of a level.

To compile what a first run calls takes ten to twenty seconds. A wheel made by ``make wheel`` has it
in a folder beside the sources: the cache of kernels as it stands after the fits of
``build_support/first_fits.py``, compiled not for the processor of the machine that made it, but for
`LEVEL`. Any processor that has the instructions of that level runs it.

It is used where all that made it is the same: the sources, the versions of Numba and llvmlite,
those of Python and NumPy but for the last number, and Numba's settings. Otherwise kernels are
compiled as they would be without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOLDER", "LEVEL", "Level", "kernels_brought"]

FOLDER = Path(__file__).parent / "compiled_kernels"


class Level(NamedTuple):
    """A level of instruction sets, as LLVM names it.

    Attributes
    ----------
    processor : str
        What stands for any processor of the level.
    features : str
        Its instruction sets, each with a plus sign before it.
    """

    processor: str
    features: str

    @property
    def names(self) -> list[str]:
        """Names of the instruction sets."""
        return self.features.replace("+", "").split(",")


# What Haswell and Zen have, and all that came after them but for some Atoms: AVX2 and FMA.
LEVEL = Level(
    "x86-64-v3",
    "+avx,+avx2,+bmi,+bmi2,+cmov,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,+sahf,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave",
)


def kernels_brought(digest: str, features: Mapping[str, bool]) -> Path | None:
    """Return the folder of kernels that came with the package; None if they are of no use here.

    Parameters
    ----------
    digest : str
        Of the sources and of what makes machine code of them: the folder's name.
    features : mapping of str to bool
        The processor's instruction sets.
    """
    folder = FOLDER / digest
    has_all = all(features.get(name, False) for name in LEVEL.names)
    return folder if has_all and folder.is_dir() else None
