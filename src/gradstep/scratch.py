"""Folders of this machine for what is worked on, and what is said where its disk takes no more."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gradstep.cache_folder import cache_folder, private_folder
from gradstep.errors import CannotWrite, GradstepError
from gradstep.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["full_disk", "scratch_folder"]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder in the cache folder, which is removed at the end.

    Raises
    ------
    CannotWrite
        If it, or a file within, cannot be written; others than this machine may read why.
    """
    parent = cache_folder() / "scratch"
    try:
        parent = private_folder("scratch")
        with temporary_folder(parent) as folder:
            yield folder
    except CannotWrite as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and str(error).startswith(f"{parent}/"):
            raise full_disk(cause) from error
        raise
    except GradstepError:
        raise
    except OSError as error:
        raise full_disk(error) from error


def full_disk(error: OSError) -> CannotWrite:
    """Return what to raise where this machine does not take what is worked on."""
    return CannotWrite(
        f"{cache_folder() / 'scratch'} on {platform.node()} cannot be written: "
        f"{error.strerror or error}. What is worked on lies there: free some space, or choose "
        "another folder (GRADSTEP_CACHE_DIR)."
    )
