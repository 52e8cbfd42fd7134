"""Damaged files that coverage chooses: those that reach new lines of gradstep are damaged further.

python -m tests.fuzz.guided model -runs=100000   needs `pip install atheris` (a wheel for Linux)
python -m tests.fuzz.guided checkpoint
python -m tests.fuzz.guided prepared

Of the kinds that gradstep reads itself; what libFuzzer takes may follow. What it finds is a file in
the working folder, and ends the run.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

__all__: list[str] = []

# What reads these kinds; compiled code is none that could be instrumented.
_READERS = [f"gradstep.{name}" for name in (
    "tensor_file", "model.file", "model.training_rows", "data.from_json", "data.features.encoding",
    "data.features.sparse_encoding", "data.roles", "data.formats", "data.preparing.checks",
    "data.preparing.prepared", "engine.checkpoint_folder", "engine.records",
)]  # fmt: skip
_MARK = b"\n=====\n"


def _joined(files: dict[str, bytes]) -> bytes:
    return _MARK.join(name.encode() + b"\n" + content for name, content in files.items())


def _apart(data: bytes) -> dict[str, bytes]:
    parts = (part.partition(b"\n") for part in data.split(_MARK))
    return {name.decode(): content for name, _, content in parts}


def main() -> None:
    """Run until something is found, or libFuzzer has had enough."""
    import atheris  # pytest imports this file where there is none

    with atheris.instrument_imports(include=_READERS):
        from tests.fuzz.corpus import corpus
        from tests.fuzz.mutate import mutated
        from tests.fuzz.worker import try_case

        files_of = corpus()  # gradstep imports what it needs when it is needed
    kind, *options = sys.argv[1:]
    warnings.simplefilter("ignore")
    whole = files_of[kind]
    home = Path(tempfile.mkdtemp(prefix="gradstep-fuzz-"))

    def one(data: bytes) -> None:
        try:
            files = _apart(data)
        except UnicodeDecodeError:  # libFuzzer's own first input is nothing
            return
        if set(files) not in map(set, whole):
            return
        how, wrong = try_case(kind, files, home, whole=False)
        if wrong:
            raise AssertionError(how, wrong)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)  # noqa: S311
        try:
            files = _apart(data)
            known = set(files) in map(set, whole)
            found = _joined(mutated(kind, files if known else rng.choice(whole), rng))
        except Exception:  # noqa: BLE001  (what is damaged already may not be taken apart any more)
            found = _joined(mutated(kind, rng.choice(whole), rng))
        return found if len(found) <= most else _joined(rng.choice(whole))

    seeds = home / "seeds"
    seeds.mkdir()
    for n, files in enumerate(whole):
        (seeds / str(n)).write_bytes(_joined(files))
    arguments = [sys.argv[0], str(seeds), "-max_len=200000", *options]
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
