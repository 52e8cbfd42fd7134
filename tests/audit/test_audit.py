"""What `make audit` makes of what its tools tell."""

from __future__ import annotations

import pytest

from tests.audit.findings import SITE_TOOLS, TOOLS, advisories, is_permissive, licences

SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}


def test_a_package_that_could_not_be_looked_up_is_not_safe():
    skipped = {"name": "polars", "skip_reason": "Dependency not found"}
    wrong, unknown = advisories({"dependencies": [SOUND, skipped]})
    assert not wrong
    assert unknown[0].startswith("NOT AUDITED: ")
    assert "nothing is known of 1 packages (polars)" in unknown[0]
    assert "NOT AUDITED" in advisories(None)[1][0]
    assert advisories({"dependencies": [SOUND]}) == ([], [])


def test_an_advisory_is_told_with_its_cure():
    found = {"id": "CVE-2026-1", "fix_versions": ["2.4.7"]}
    wrong, _ = advisories({"dependencies": [{**SOUND, "vulns": [found]}]})
    assert wrong == ["numpy 2.4.6: CVE-2026-1, mended in 2.4.7"]


@pytest.mark.parametrize(
    "licence, allowed",
    [
        ("MIT", True), ("BSD-3-Clause AND 0BSD AND Zlib", True), ("GPL-3.0-only", False),
        ("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception", True), ("UNKNOWN", False),
        ("GPL-3.0-only OR MIT", True), ("MIT AND GPL-3.0-only", False),
        ("ISC License (ISCL)", True), ("MIT License; GNU Lesser General Public License", False),
    ],
)  # fmt: skip
def test_licences(licence, allowed):
    assert is_permissive(licence) is allowed
    tools = [{"Name": name, "License": "MPL-2.0"} for name in TOOLS]
    assert bool(licences([{"Name": "other", "License": licence}, *tools])) is not allowed


def test_an_exception_without_a_need_is_told():
    assert licences([{"Name": "numpy", "License": "MIT"}]) == [
        f"{name} needs no exception any more" for name in TOOLS
    ]
    site = [{"Name": name, "License": "MPL-2.0"} for name in (*TOOLS, *SITE_TOOLS)]
    assert licences(site) == []
    assert licences(None) == ["NOT CHECKED: pip-licenses told nothing."]
