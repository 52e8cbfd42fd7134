"""Where gradstep keeps what it can make again: compiled kernels, prepared tables."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the user's cache folder of gradstep (``GRADSTEP_CACHE_DIR`` overrides it).

    It need not exist yet.
    """
    chosen = os.environ.get("GRADSTEP_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("gradstep", appauthor=False)
