"""A Python with a cache folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def python(program, cache, path=None, **environment):
    """Start a Python with its own cache folder, and a package of ours on its path."""
    changes = {"GRADSTEP_CACHE_DIR": str(cache), **environment}
    if path is not None:
        changes["PYTHONPATH"] = str(path)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
