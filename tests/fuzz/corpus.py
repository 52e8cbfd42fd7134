"""What fuzzing begins with: a few small files of every kind, made by gradstep and by Polars."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import gradstep as gs

__all__ = ["FRAME", "SUFFIXES", "corpus"]

# Of the tables, by kind of file.
SUFFIXES = {
    "csv": "csv", "packed": "csv.gz", "sparse": "svm", "json": "ndjson", "parquet": "parquet",
    "arrow": "arrow",
}  # fmt: skip
N = 40
FRAME = pl.DataFrame({
    "x": [float(i % 7) if i % 11 else None for i in range(N)],
    "colour": [["red", "green", "blue", None][i % 4] for i in range(N)],
    "id": [f"n{i % 13}" for i in range(N)],
    "day": [f"2024-0{1 + i % 9}-1{i % 9}" for i in range(N)],
    "w": [1.0 + i % 3 for i in range(N)],
    "y": [0.5 * i + i % 5 for i in range(N)],
    "kind": ["no" if i % 3 else "yes" for i in range(N)],
    "many": ["pqr"[i % 3] for i in range(N)],
})  # fmt: skip
_SPARSE = b"".join(b"%d %d:1.5 %d:%d # row\n" % (i % 2, i % 5, 5 + i % 7, i) for i in range(N))
_FEW = {"validation": 0.2, "kinds": {"id": "hash:4"}}


def corpus() -> dict[str, list[dict[str, bytes]]]:
    """Return files by their names, a few for each kind of input."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        found = {
            "model": _models(home / "models"),
            "checkpoint": _checkpoints(home / "checkpoints"),
            "prepared": _prepared(home / "prepared"),
        }
        return found | {kind: _tables(home, kind) for kind in SUFFIXES}


def _all_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _models(home: Path) -> list[dict[str, bytes]]:
    home.mkdir()
    found = []
    for target in ("y", "kind", "many"):
        drop = [c for c in ("y", "kind", "many") if c != target]
        fit = gs.fit_table(FRAME, target, drop=drop, max_iter=1, **_FEW)
        gs.save(fit.model, home / "m")
        found.append({"m": (home / "m").read_bytes()})
    (home / "t.svm").write_bytes(_SPARSE)
    gs.save(gs.fit_table(home / "t.svm", "label", max_iter=1).model, home / "m")
    return [*found, {"m": (home / "m").read_bytes()}]


def _checkpoints(home: Path) -> list[dict[str, bytes]]:
    found = []
    for optimizer in ("adam", "auto"):
        callback = gs.Checkpoint(home / optimizer, every="1epochs")
        gs.fit_table(
            FRAME, "y", drop=["kind", "many"], optimizer=optimizer, max_iter=2, tol=None,
            callbacks=[callback], **_FEW,
        )  # fmt: skip
        name, content = next(iter(_all_of(home / optimizer).items()))
        found.append({name: content})
    return found


def _prepared(home: Path) -> list[dict[str, bytes]]:
    home.mkdir()
    for target in ("y", "many"):
        gs.prepare(FRAME, target, sample_weight="w", out=home / target, **_FEW)
    (home / "t.svm").write_bytes(_SPARSE)
    gs.prepare(home / "t.svm", "label", out=home / "sparse")
    return [_all_of(home / name) for name in ("y", "many", "sparse")]


def _tables(home: Path, kind: str) -> list[dict[str, bytes]]:
    name = f"t.{SUFFIXES[kind]}"
    path = home / name
    if kind == "sparse":
        return [{name: _SPARSE}]
    if kind in {"csv", "packed"}:
        path = home / "plain.csv"
        FRAME.write_csv(path)
        whole = path.read_bytes()
        quoted = FRAME.with_columns(pl.col("colour") + ', "dark"\nor light')
        quoted.write_csv(path, separator=";")
        texts = [whole, path.read_bytes(), whole.replace(b"\n", b"\r\n"), "﻿".encode() + whole]
        return [{name: gzip.compress(t, mtime=0) if kind == "packed" else t} for t in texts]
    if kind == "json":
        FRAME.write_ndjson(path)
        return [{name: path.read_bytes()}]
    found = []
    nested = FRAME.with_columns(pl.concat_list("x", "w").alias("both"), pl.col("day").str.to_date())
    for frame, packed in ((FRAME, "uncompressed"), (nested, "zstd"), (FRAME, "lz4")):
        if kind == "parquet":
            frame.write_parquet(path, compression=packed, row_group_size=16)
        else:
            frame.write_ipc(path, compression=packed)
        found.append({name: path.read_bytes()})
    return found
