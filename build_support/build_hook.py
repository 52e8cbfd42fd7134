"""What building a wheel does beside copying files: with ``GRADSTEP_WHEEL_KERNELS=1``, kernels.

``make wheel`` sets it, and so may who runs ``pip install``. The wheel is one of a platform and a
version of Python then; without it, one for all.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Mapping

WANTED = "GRADSTEP_WHEEL_KERNELS"
MOST_PROCESSES = 8  # each has half a gigabyte, and compiles what others compile, too
KERNELS_OF = "from gradstep.jit import kernel_folder; print(kernel_folder() or '')"
FEATURES = (
    "from llvmlite.binding import get_host_cpu_features as found; "
    "print(*(name for name, has in found().items() if has))"
)


class CompiledKernels(BuildHookInterface):
    """Compiles what first fits call, and puts it into the wheel."""

    @property
    def wanted(self) -> bool:
        """Whether there are to be kernels.

        Raises
        ------
        ValueError
            If the variable is neither 0 nor 1.
        """
        value = os.environ.get(WANTED, "") or "0"
        if value not in {"0", "1"}:
            message = f"{WANTED} must be 1, or 0 for a wheel without kernels, not {value!r}"
            raise ValueError(message)
        return value == "1"

    def dependencies(self) -> list[str]:
        """Return what has to be installed where the wheel is made: all that a fit needs."""
        return list(self.metadata.core.dependencies) if self.wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, if that is wanted and this processor can.

        Parameters
        ----------
        version : str
            "standard" or "editable".
        build_data : dict
            What the wheel is made of.
        """
        if version == "editable" or not self.wanted:
            return
        root = Path(self.root)
        level = runpy.run_path(str(root / "src/gradstep/wheel_kernels.py"))["LEVEL"]
        missing = set(level.names) - set(run(FEATURES, os.environ).split())
        if missing:
            self.app.display_warning(
                f"{WANTED}: no kernels are made, since this processor is not of the level "
                f"{level.processor}: it lacks {', '.join(sorted(missing))}."
            )
            return
        self.app.display_info("Compiling the kernels of first fits (some minutes)")
        for kernel in compile_first_fits(root, level):
            inside = f"gradstep/compiled_kernels/{kernel.parent.name}/{kernel.name}"
            build_data["force_include"][str(kernel)] = inside
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def compile_first_fits(root: Path, level: Any) -> list[Path]:
    """Run the fits of ``first_fits.py``, compiling for the level; return the files of kernels.

    What is there already, of these very sources, is not compiled again: pip builds a wheel twice,
    the first time to read its metadata.

    Parameters
    ----------
    root : Path
        Of the repository.
    level : Level
        Of `gradstep.wheel_kernels`.

    Raises
    ------
    RuntimeError
        If a fit fails, or nothing could be kept.
    """
    variables = environment(root, level)
    shares = min(usable_processors(), MOST_PROCESSES)
    script = str(root / "build_support/first_fits.py")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for share in range(shares):
            command = [sys.executable, script, str(share), str(shares)]
            processes.append(subprocess.Popen(command, env=variables))
        ends = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()  # of no effect on one that has ended
            process.wait()
    if any(ends):
        message = f"kernels for the wheel: processes of first fits ended with {ends}"
        raise RuntimeError(message)
    folder = run(KERNELS_OF, variables)
    kernels = sorted(Path(folder).glob("*.bin")) if folder else []
    if not kernels:
        message = (
            f"kernels for the wheel: none were kept in {variables['GRADSTEP_CACHE_DIR']}. It must "
            "be a folder that its owner alone may write to."
        )
        raise RuntimeError(message)
    return kernels


def environment(root: Path, level: Any) -> dict[str, str]:
    """Return the variables of a process that compiles for a level, and nothing else of Numba."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    before = [path for path in own.get("PYTHONPATH", "").split(os.pathsep) if path]  # pip's
    return own | {
        "NUMBA_CPU_NAME": level.processor,
        "NUMBA_CPU_FEATURES": level.features,
        "GRADSTEP_CACHE_DIR": str(root / "build" / "wheel-kernels"),
        "GRADSTEP_COMPILE_AHEAD": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(root / "src"), *before]),
    }


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(code: str, variables: Mapping[str, str]) -> str:
    """Return what a piece of Python prints; what it says of an error is seen."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
