"""GS3xx: files, caches and names: what has to do with the machine, not with the model."""

from __future__ import annotations

from gradstep.diagnostics.diagnostic import Diagnostic

__all__ = [
    "CACHE_MADE_ROOM",
    "CACHE_NOT_TRUSTED",
    "CACHE_NOT_WRITABLE",
    "CHECKPOINT_DAMAGED",
    "CHECKPOINT_NOT_WRITTEN",
    "OLD_NAME",
]

CACHE_NOT_WRITABLE = Diagnostic(
    "GS301",
    "The cache cannot be written",
    what="The folder for compiled kernels and prepared tables cannot be written.",
    why="Each run compiles and prepares anew: seconds, for large tables minutes.",
    fix="Set `GRADSTEP_CACHE_DIR` to a folder that can be written, or mend the permissions.",
)
CACHE_NOT_TRUSTED = Diagnostic(
    "GS302",
    "The cache of kernels is not used",
    what="The folder of compiled kernels, or a file in it, belongs to somebody else, or others may "
    "write to it.",
    why="Kernels are machine code: whoever can write there decides what runs here. So they are "
    "compiled again by each process.",
    fix="Delete the folder, or set `GRADSTEP_CACHE_DIR` to one that nobody else may write to.",
)
CACHE_MADE_ROOM = Diagnostic(
    "GS303",
    "Prepared tables made room",
    what="The cache of prepared tables is kept to a size. Those not used for longest were deleted "
    "to make room for the new one.",
    why="The next run on one of them prepares it again. No result is lost.",
    fix="Raise `GRADSTEP_CACHE_LIMIT`, or keep tables that matter in folders of their own "
    "(`gradstep prepare`).",
)
CHECKPOINT_DAMAGED = Diagnostic(
    "GS304",
    "The last checkpoint is damaged",
    what="The newest checkpoint cannot be read, and the run goes on from the one before it.",
    why="Some work is done twice; the model is the same. A disk that damages files may damage "
    "others.",
    fix="Nothing for this run. Look after the disk.",
)
CHECKPOINT_NOT_WRITTEN = Diagnostic(
    "GS305",
    "No checkpoint could be written",
    what="Writing a checkpoint failed: the disk is full, say. Training goes on.",
    why="If the run is killed now, it goes on from an earlier checkpoint, or begins anew.",
    fix="Make room where the checkpoints are. The next one is tried at its time.",
)
OLD_NAME = Diagnostic(
    "GS306",
    "A parameter or option has another name now",
    what="A name was used that an earlier gradstep had for it.",
    why="It still works, and will not for ever.",
    fix="Use the name that the note tells.",
)
