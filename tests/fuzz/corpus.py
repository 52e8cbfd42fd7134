"""What fuzzing begins with: a few small files of every kind, made by gradstep and by Polars."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

import gradstep as gs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FRAME", "PACKERS", "SUFFIXES", "corpus"]

# Of the tables, by kind of file.
SUFFIXES = {
    "csv": "csv", "packed": "csv.gz", "sparse": "svm", "json": "ndjson", "parquet": "parquet",
    "arrow": "arrow",
}  # fmt: skip


def _zipped(content: bytes) -> bytes:
    """Return an archive with one table, the same each time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("t.csv"), content)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "t.csv.gz": lambda content: gzip.compress(content, mtime=0),
    "t.csv.bz2": bz2.compress,
    "t.csv.xz": lzma.compress,
    "t.csv.zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
    "t.zip": _zipped,
}
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
    "said": [f"{['good', 'bad'][i % 2]} ride {['home', 'to work'][i % 3 > 0]}" for i in range(N)],
})  # fmt: skip
_SPARSE = b"".join(b"%d %d:1.5 %d:%d # row\n" % (i % 2, i % 5, 5 + i % 7, i) for i in range(N))
_FEW: dict[str, Any] = {"validation": 0.2, "kinds": {"id": "hash:4"}, "drop": ["said"]}
# What is made of columns: words, a curve, a power, crosses of all kinds.
_TERMS: dict[str, Any] = {
    "validation": 0.2, "kinds": {"said": "text"}, "drop": ["many", "id", "day"], "splines": ["x"],
    "polynomials": {"w": 2}, "crosses": ["colour:x", "colour:kind", "colour:w", "x:w"],
}  # fmt: skip


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
        fit = gs.fit_table(FRAME, target, max_iter=1, **_FEW | {"drop": [*drop, "said"]})
        gs.save(fit.model, home / "m")
        found.append({"m": (home / "m").read_bytes()})
    (home / "t.svm").write_bytes(_SPARSE)
    gs.save(gs.fit_table(home / "t.svm", "label", max_iter=1).model, home / "m")
    found.append({"m": (home / "m").read_bytes()})
    options: dict[str, Any]
    for options in (
        _TERMS,
        {"only": ["x", "colour", "w"], "bounds": {"x": (0, 1)}, "logs": ["w"]},
        {"only": ["x", "colour"], "loss": "poisson", "exposure": "w"},
    ):
        gs.save(gs.fit_table(FRAME, "y", max_iter=2, **options).model, home / "m")
        found.append({"m": (home / "m").read_bytes()})
    return found


def _checkpoints(home: Path) -> list[dict[str, bytes]]:
    found = []
    for optimizer in ("adam", "auto"):
        callback = gs.Checkpoint(home / optimizer, every="1epochs")
        gs.fit_table(
            FRAME, "y", optimizer=optimizer, max_iter=2, tol=None, callbacks=[callback],
            **_FEW | {"drop": ["kind", "many", "said"]},
        )  # fmt: skip
        name, content = next(iter(_all_of(home / optimizer).items()))
        found.append({name: content})
    return found


def _prepared(home: Path) -> list[dict[str, bytes]]:
    home.mkdir()
    for target in ("y", "many"):
        gs.prepare(FRAME, target, sample_weight="w", out=home / target, **_FEW)
    gs.prepare(FRAME, "y", out=home / "terms", **_TERMS)
    (home / "t.svm").write_bytes(_SPARSE)
    gs.prepare(home / "t.svm", "label", out=home / "sparse")
    return [_all_of(home / name) for name in ("y", "many", "terms", "sparse")]


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
        if kind == "csv":
            return [{name: each} for each in texts]
        return [{name: pack(each)} for each in texts[:2] for name, pack in PACKERS.items()]
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
