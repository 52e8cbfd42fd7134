"""How files are damaged: bytes anywhere, and what is behind a checksum, with a new one.

Bytes alone would never come past the checksums, and what a stranger forges has right ones.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import struct
from typing import TYPE_CHECKING, Any

from tests.fuzz.corpus import PACKERS

if TYPE_CHECKING:
    from random import Random

__all__ = ["mutated"]

_NUMBERS = (0, -1, 1, 2, 3, 7, 127, 255, 1 << 15, (1 << 31) - 1, -(1 << 31), 1 << 32, 1 << 63,
            (1 << 64) - 1, 10**30, 0.5, 1e308, float("nan"), float("inf"), -0.0)  # fmt: skip
_WORDS = ("", "x", "y", "../x", "/etc/passwd", "a\0b", "\x1b[2K", "\ud800", "9" * 400,
          "NumberColumn", "LevelColumn", "HashColumn", "Softmax", "__class__", "train_y.npy", "nan",
          "-1")  # fmt: skip
_TOKENS = (b'"', b'""', b",", b";", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"inf", b"nan", b"1e999",
           b"-", b"=", b"\xef\xbb\xbf", b"2024-02-31", b"1,5", b"99999999999999999999", b"#", b":",
           b"{", b"}", b"[", b"\\", b"\t", b"null", b"\xc3", b" ", b"1:1:1", b"qid:1")  # fmt: skip
_MOST = 1 << 17  # bytes that a file grows to
_UNPACKERS = {"t.csv.gz": gzip.decompress, "t.csv.bz2": bz2.decompress, "t.csv.xz": lzma.decompress}


def mutated(kind: str, files: dict[str, bytes], rng: Random) -> dict[str, bytes]:
    """Return damaged files of a kind of input."""
    if kind in {"model", "checkpoint"} and rng.random() < 0.7:
        ((name, content),) = files.items()
        return {name: _forged_tensors(content, rng)}
    if kind == "prepared":
        return _prepared(files, rng)
    if kind == "packed" and rng.random() < 0.5:
        ((name, content),) = files.items()
        if name in _UNPACKERS:
            return {name: PACKERS[name](_bytes(_UNPACKERS[name](content), rng))}
    return {name: _bytes(content, rng) for name, content in files.items()}


# --------------------------------------------------------------------------- bytes


def _bytes(content: bytes, rng: Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.3:  # where formats describe themselves
            at = rng.choice((min(at, 64), max(0, len(data) - rng.randrange(1, 600))))
        size = rng.choice((1, 1, 2, 4, 8, 40))
        how = rng.randrange(8)
        if how == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at : at + 1] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
        elif how == 2:
            data[at : at + size] = rng.randbytes(size)
        elif how == 3:
            del data[at : at + size]
        elif how == 4 and len(data) < _MOST:
            data[at:at] = data[at : at + size * 9] * rng.choice((1, 2, 30))
        elif how == 5:
            data[at : at + rng.choice((0, size))] = rng.choice(_TOKENS)
        elif how == 6:
            number = rng.choice((0, 1, -1, 1 << 31, (1 << 31) - 1, (1 << 40), -(1 << 62)))
            data[at : at + 8] = struct.pack("<q", number)
        else:
            data = data[:at] if rng.random() < 0.5 else data[at:]
    return bytes(data)


# --------------------------------------------------------------------------- JSON


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Return where in a tree there are values: what holds them, and at which key."""
    found, left = [], [tree]
    while left:
        holder = left.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                left.append(holder[key])
    return found


def _damage_json(tree: Any, rng: Random) -> Any:
    """Change some values of a tree, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        nodes = _nodes(tree)
        if not nodes:
            break
        holder, key = rng.choice(nodes)
        value, how = holder[key], rng.randrange(8)
        if how == 0:
            del holder[key]
        elif how == 1:
            other, at = rng.choice(nodes)
            holder[key] = json.loads(json.dumps(other[at]))
        elif how == 2 and isinstance(value, list):
            holder[key] = value * rng.choice((0, 2, 40))
        elif how == 3 and type(value) in {int, float}:
            holder[key] = value + rng.choice((-1, 1, 0.5, 1e9))
        elif how == 4:
            for _ in range(rng.choice((1, 3, 200))):
                holder[key] = [holder[key]]
        elif how == 5:
            holder[key] = rng.choice((None, True, False, [], {}, [[]], {"": 0}))
        else:
            holder[key] = rng.choice(_NUMBERS if rng.random() < 0.6 else _WORDS)
    return tree


# --------------------------------------------------------------------------- tensor files


def _forged_tensors(content: bytes, rng: Random) -> bytes:
    """Return a model or checkpoint with other content, and a checksum that belongs to it."""
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    ((entry, text),) = header.pop("__metadata__").items()
    told = json.loads(text)
    del told["sha256"]
    if rng.random() < 0.8:
        told = _damage_json(told, rng)
    if rng.random() < 0.3:
        data = _bytes(data, rng) if rng.random() < 0.3 else _numbers(data, rng)
    digest = hashlib.sha256(json.dumps(told).encode("utf-8", "replace"))
    for name in sorted(header):
        lo, hi = header[name]["data_offsets"]
        digest.update(data[lo:hi])
    if rng.random() < 0.15:
        header = _damage_json(header, rng)
    known = {**told, "sha256": digest.hexdigest()}
    whole = json.dumps({"__metadata__": {entry: json.dumps(known)}, **header}).encode()
    whole += b" " * (-len(whole) % 8)
    return struct.pack("<Q", len(whole)) + whole + data


def _numbers(data: bytes, rng: Random) -> bytes:
    """Put a special number in the place of another."""
    if len(data) < 8:
        return data
    at = 8 * rng.randrange(len(data) // 8)
    number = rng.choice((0.0, -1.0, 1e300, float("nan"), float("inf"), 3.7e9))
    packed = struct.pack("<d", number) if rng.random() < 0.7 else rng.randbytes(8)
    return data[:at] + packed + data[at + 8 :]


# --------------------------------------------------------------------------- prepared folders


def _prepared(files: dict[str, bytes], rng: Random) -> dict[str, bytes]:
    """Return a prepared folder with another meta.json, other arrays, or others named."""
    files = dict(files)
    if rng.random() < 0.2:
        files["meta.json"] = _bytes(files["meta.json"], rng)
        return files
    meta = json.loads(json.loads(files["meta.json"])["meta"])
    if rng.random() < 0.6:
        name = rng.choice([name for name in files if name.endswith(".npy")])
        head = 10 + int.from_bytes(files[name][8:10], "little")
        if rng.random() < 0.6:
            files[name] = files[name][:head] + _numbers(files[name][head:], rng)
        else:
            files[name] = _bytes(files[name], rng)
        meta["files"][name]["bytes"] = len(files[name])
    else:
        meta = _damage_json(meta, rng)
    text = json.dumps(meta)
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    files["meta.json"] = json.dumps({"meta": text, "sha256": digest}).encode("utf-8", "replace")
    return files
