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
from gradstep.rows.layouts.few import (
    add_codes,
    add_codes_of_four,
    add_four_lines,
    add_four_lines_of_row,
    add_squares_of_codes,
    dot_of_row,
    dot_of_terms,
    square_of_row,
    square_of_terms,
)
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
    "add_codes",
    "add_codes_of_four",
    "add_four_lines",
    "add_four_lines_of_row",
    "add_gradient",
    "add_products",
    "add_squares",
    "add_squares_of_codes",
    "as_index",
    "copy_rows",
    "dot_of_row",
    "dot_of_terms",
    "list_touched",
    "prefetch",
    "spread",
    "square_of_row",
    "square_of_terms",
    "tile_scores",
    "write_squares",
]
