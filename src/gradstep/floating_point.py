"""How NumPy answers overflow and the like inside gradstep: by default, whatever is set outside.

A caller's ``np.errstate(all="raise")`` is about the caller's own arithmetic. Here an underflow is
a number that is as good as 0 (a probability far out, the square of a small weight), and what
must not be infinite is checked where it matters, with a message.
"""

from __future__ import annotations

import numpy as np

__all__ = ["as_by_default"]

# Decorates the functions that users call.
as_by_default = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
