"""Row layouts: the forms in which rows lie in memory, and what a kernel asks of them."""

from gradstep.rows.layouts.base import (
    AHEAD,
    Rows,
    add_gradient,
    add_products,
    add_squares,
    as_index,
    copy_rows,
    list_touched,
    prefetch,
    spread,
    tile_scores,
    write_squares,
)
from gradstep.rows.layouts.dense import DenseRows
from gradstep.rows.layouts.sparse import CsrRows
from gradstep.rows.layouts.table import TableRows
from gradstep.rows.layouts.terms import TermRows

__all__ = [
    "AHEAD",
    "CsrRows",
    "DenseRows",
    "Rows",
    "TableRows",
    "TermRows",
    "add_gradient",
    "add_products",
    "add_squares",
    "as_index",
    "copy_rows",
    "list_touched",
    "prefetch",
    "spread",
    "tile_scores",
    "write_squares",
]
