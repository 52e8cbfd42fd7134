"""What is installed: are there known weaknesses, and may it be used and passed on?

python -m tests.audit --tools .venv-audit/bin     as `make audit` does

pip-audit compares what constraints.txt pins with a database of advisories, which takes a network. A
package that it could not look up is no safe one: then this says so, and fails. pip-licenses tells
the licence of each installed package, which must be one that lets anybody use and pass it on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.audit.findings import advisories, licences

_SERVICES = ("pypi", "osv")
_PINNED = ("constraints.txt", "tests/audit/constraints.txt", "tests/fuzz/constraints.txt")
_parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__.split("\n")[0])
_parser.add_argument("--tools", type=Path, required=True, help="folder of pip-audit, pip-licenses")


def _asked(command: list[str | Path]) -> Any:
    """Return what a tool tells as JSON; None, if it tells nothing, as without a network."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def main() -> int:
    """Return the exit status: 0 if all is known to be well."""
    tools = _parser.parse_args().tools
    pinned = [part for path in _PINNED for part in ("--requirement", path)]
    for service in _SERVICES:
        told = _asked([
            tools / "pip-audit", *pinned, "--no-deps", "--disable-pip", "--progress-spinner", "off",
            "--vulnerability-service", service, "--format", "json",
        ])  # fmt: skip
        wrong, unknown = advisories(told)
        if not unknown:
            break
    packages = _asked([tools / "pip-licenses", "--python", sys.executable, "--format", "json"])
    refused = licences(packages)
    for line in (*wrong, *unknown, *refused):
        print(line)  # noqa: T201  (a command)
    checked = len((told or {}).get("dependencies", ())) - len(unknown)
    print(  # noqa: T201
        f"{max(0, checked)} packages compared with advisories: {len(wrong)} findings. "
        f"{len(packages or ())} licences: {len(refused)} refused."
    )
    return int(bool(wrong or unknown or refused))


sys.exit(main())
