"""A scheduler and three workers as processes; a table is prepared, trained on and predicted.

    python examples/cluster/run.py             # everything on this machine, in build/cluster
    python examples/cluster/run.py --tls       # the same, encrypted: keys are made with openssl

On several machines the commands are the same: `dask scheduler` on one, `dask worker ADDRESS` on the
others, and a folder that all of them see under the same path.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl

WORKERS = 3
FILES, ROWS = 6, 20_000  # of the table


def write_table(folder: Path) -> None:
    """Write a table of several files: numbers, a category, a target of two classes."""
    folder.mkdir()
    for number in range(FILES):
        rng = np.random.default_rng(number)
        km, zone = rng.gamma(2.0, 3.0, ROWS), rng.integers(0, 50, ROWS)
        paid = 0.3 * km + np.sin(zone) - 1.5 + rng.logistic(size=ROWS) > 0.0
        pl.DataFrame({
            "km": km,
            "minutes": 4.0 * km + rng.normal(scale=5.0, size=ROWS),
            "zone": [f"zone {k}" for k in zone],
            "paid": np.where(paid, "yes", "no"),
        }).write_parquet(folder / f"trips-{number}.parquet")  # fmt: skip


def make_keys(folder: Path) -> dict[str, str]:
    """Make a key and a certificate, which all sides use, and return Dask's settings for them."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
         "/CN=gradstep", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    found = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", f"{tls}CA_FILE": certificate}
    for side in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {f"{tls}{side}__KEY": key, f"{tls}{side}__CERT": certificate}
    return {name: str(value) for name, value in found.items()}


def start(stack: ExitStack, what: str, *arguments: str) -> None:
    """Start a process of Dask, which ends with this one."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def gradstep(*words: object) -> None:
    """Run a command, and show it."""
    print("\n$ gradstep", *words, flush=True)
    subprocess.run([sys.executable, "-m", "gradstep", *map(str, words)], check=True)


def main() -> None:
    """Run all of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tls", action="store_true", help="encrypt what is sent")
    options.add_argument("--folder", type=Path, default=Path("build/cluster"))
    chosen = options.parse_args()
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir(parents=True)
    protocol = "tcp"
    if chosen.tls:
        protocol = "tls"
        os.environ.update(make_keys(chosen.folder.absolute()))
    os.chdir(chosen.folder)
    write_table(Path("trips"))
    with ExitStack() as stack:
        start(stack, "scheduler", "--scheduler-file", "scheduler.json", "--protocol", protocol,
              "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address",
              "127.0.0.1:0")  # fmt: skip
        while not Path("scheduler.json").exists():
            time.sleep(0.1)
        for _ in range(WORKERS):
            start(stack, "worker", "--scheduler-file", "scheduler.json", "--nthreads", "1",
                  "--protocol", protocol, "--host", "127.0.0.1", "--no-dashboard", "--no-nanny",
                  "--local-directory", "scratch")  # fmt: skip
        address = json.loads(Path("scheduler.json").read_text())["address"]
        there = ("--dask", address)
        gradstep("prepare", "trips", "--target", "paid", "-o", "prepared", *there)
        gradstep("train", "prepared", "-m", "there.safetensors", *there)
        gradstep("predict", "there.safetensors", "trips", "-o", "predictions", *there)
        gradstep("evaluate", "there.safetensors", "trips", *there)
    gradstep("train", "prepared", "-m", "here.safetensors")
    here, far = (
        hashlib.sha256(Path(f"{name}.safetensors").read_bytes()).hexdigest()
        for name in ("here", "there")
    )
    print(f"\nSHA-256 of the model of three workers   {far}")
    print(f"SHA-256 of the model of this process    {here}")
    sys.exit(here != far)


if __name__ == "__main__":
    main()
