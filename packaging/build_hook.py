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
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WANTED = "GRADSTEP_WHEEL_KERNELS"


class CompiledKernels(BuildHookInterface):
    """Compiles what first fits call, and puts it into the wheel."""

    def dependencies(self) -> list[str]:
        """Return what has to be installed where the wheel is made: all that a fit needs."""
        wanted = os.environ.get(WANTED) == "1"
        return list(self.metadata.core.dependencies) if wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, if that is wanted.

        Parameters
        ----------
        version : str
            "standard" or "editable".
        build_data : dict
            What the wheel is made of.
        """
        if version == "editable" or os.environ.get(WANTED) != "1":
            return
        root = Path(self.root)
        cache = root / "build" / "wheel-kernels"
        self.app.display_info("Compiling the kernels of first fits (some minutes)")
        folder = cache / "kernels" / compile_first_fits(root, cache)
        for kernel in sorted(folder.glob("*.bin")):
            inside = f"gradstep/compiled_kernels/{folder.name}/{kernel.name}"
            build_data["force_include"][str(kernel)] = inside
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def compile_first_fits(root: Path, cache: Path) -> str:
    """Run the fits of ``first_fits.py``, compiling for the level; return the kernels' folder.

    What is there already, of these very sources, is not compiled again: pip builds a wheel twice,
    the first time to read its metadata.

    Parameters
    ----------
    root : Path
        Of the repository.
    cache : Path
        Folder that becomes the cache of kernels.
    """
    level = runpy.run_path(str(root / "src/gradstep/wheel_kernels.py"))["LEVEL"]
    own = os.environ.get("PYTHONPATH", "")  # where pip puts what it installed for the build
    variables = os.environ | {
        "NUMBA_CPU_NAME": level.processor,
        "NUMBA_CPU_FEATURES": level.features,
        "GRADSTEP_CACHE_DIR": str(cache),
        "GRADSTEP_COMPILE_AHEAD": "0",
        "PYTHONPATH": os.pathsep.join([str(root / "src"), *own.split(os.pathsep)]),
    }
    shares = os.cpu_count() or 1
    script = str(root / "packaging/first_fits.py")
    processes = [
        subprocess.Popen([sys.executable, script, str(share), str(shares)], env=variables)
        for share in range(shares)
    ]
    failed = sum(process.wait() != 0 for process in processes)  # waits for all of them
    if failed:
        message = "kernels for the wheel: a fit failed, as said above"
        raise RuntimeError(message)
    code = "from gradstep.jit import sources_digest; print(sources_digest())"
    found = subprocess.run(
        [sys.executable, "-c", code], env=variables, check=True, capture_output=True, text=True
    )
    return found.stdout.strip()
