"""Compare the bits of all fits with the record, or renew it.

python -m tests.golden            which fits have other bits than recorded
python -m tests.golden --renew    write the record anew; a commit says why
"""

from __future__ import annotations

import json
import sys
import warnings

from tests.golden.fits import FITS
from tests.golden.record import BITS, bits_of, machine, recorded

warnings.simplefilter("ignore")
_found = {name: bits_of(fit()) for name, fit in FITS.items()}
_known = recorded()["bits"] if BITS.exists() else {}
_other = [name for name, bits in _found.items() if _known.get(name) != bits]
print(  # noqa: T201  (a command)
    f"{len(_found)} fits, {len(_other)} with other bits than recorded", *_other, sep="\n  "
)
if "--renew" in sys.argv:
    BITS.write_text(json.dumps({"machine": machine(), "bits": _found}, indent=1) + "\n")
elif _other:
    sys.exit(1)
