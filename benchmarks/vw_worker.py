"""Vowpal Wabbit as a warm process, in an interpreter of its own: requests in, seconds out.

Run by `benchmarks.vowpal`; needs nothing but Python and ``vowpalwabbit``. Each line of input is
a JSON list of arguments; each line of output a JSON object.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter


def main() -> None:
    """Answer requests until the input ends."""
    try:
        import vowpalwabbit
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    print(json.dumps({"version": vowpalwabbit.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        start = perf_counter()
        workspace = vowpalwabbit.Workspace(arg_list=request["arguments"])
        seconds = perf_counter() - start
        # what it predicts for a row of zeros is its intercept
        intercept = workspace.predict("| ")
        told = {
            "seconds": seconds,
            "intercept": intercept,
            "weights": [workspace.get_weight_from_name(str(j)) for j in range(request["features"])],
        }
        workspace.finish()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
