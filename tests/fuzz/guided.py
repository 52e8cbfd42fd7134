"""Damaged files that coverage chooses: those that reach new lines of gradstep are damaged further.

make fuzz-guided KIND=model RUNS=100000      installs atheris, of which there are wheels for Linux
python -m tests.fuzz.guided checkpoint       the same, where it is installed

Of the kinds that gradstep reads itself: model, checkpoint, prepared. What libFuzzer takes may
follow. Files that reached new lines are kept under build/fuzz-corpus, where the next run begins;
what is found to be wrong is a file there, too, and ends the run.
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
    "data.preparing.prepared", "data.features.terms", "data.features.text", "inference.stored",
    "engine.checkpoint_folder", "engine.records",
)]  # fmt: skip
_CORPUS = Path("build/fuzz-corpus")
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

    kept = _CORPUS / kind
    kept.mkdir(parents=True, exist_ok=True)
    for n, files in enumerate(whole):
        (kept / f"seed-{n}").write_bytes(_joined(files))
    found = f"-artifact_prefix={_CORPUS / kind}-"
    arguments = [sys.argv[0], str(kept), "-max_len=200000", found, *options]
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
