"""What the tools tell, as lines for a person; none if all is well."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["advisories", "licences"]

UNREACHABLE = (
    "NOT AUDITED: no database of advisories can be reached from here (pip-audit asks PyPI, then "
    "osv.dev), so nothing is known of {}. Run `make audit` where there is a network."
)
# As SPDX has them, and as older packages call them.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause",
    "CC0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Zlib", "Apache Software License",
    "BSD License", "ISC License (ISCL)", "MIT License", "Python Software Foundation License",
    "3-clause BSD",
}  # fmt: skip
# What may be used as it is, and is no part of what is passed on.
TOOLS = {
    "hypothesis": "MPL-2.0: it runs tests",
    "pathspec": "MPL-2.0: it builds the package, and types are checked with it",
}
# The same, and there only once `make docs` has been.
SITE_TOOLS = {
    "certifi": "MPL-2.0: certificates that Sphinx would ask for a network's pages with",
    "docutils": "public domain and BSD, but for a file for an editor (GPL)",
}


def advisories(told: Any) -> tuple[list[str], list[str]]:
    """Return what pip-audit found, and what it could not look up."""
    if told is None:
        return [], [UNREACHABLE.format("any package")]
    wrong, skipped = [], []
    for package in told["dependencies"]:
        if "skip_reason" in package:
            skipped.append(package["name"])
        wrong += [
            f"{package['name']} {package['version']}: {found['id']}, mended in "
            f"{', '.join(found['fix_versions']) or 'no version'}"
            for found in package.get("vulns", ())
        ]
    if not skipped:
        return wrong, []
    names = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
    return wrong, [UNREACHABLE.format(f"{len(skipped)} packages ({names})")]


def licences(packages: Any) -> list[str]:
    """Return packages whose licence is not one that is allowed, and exceptions without a need."""
    if not packages:
        return ["NOT CHECKED: pip-licenses told nothing."]
    found = {p["Name"]: p["License"] for p in packages if not is_permissive(p["License"])}
    return [
        f"{name}: its licence is {licence}, which is not known to let anybody pass it on"
        for name, licence in found.items()
        if name not in TOOLS and name not in SITE_TOOLS
    ] + [f"{name} needs no exception any more" for name in TOOLS if name not in found]


def is_permissive(licence: str) -> bool:
    """Tell whether an expression of licences can be met by permissive ones."""
    return any(
        all(part.strip(" ()") in PERMISSIVE or part.strip() in PERMISSIVE for part in parts)
        for parts in (re.split(r" AND |; ", either) for either in licence.split(" OR "))
    )
