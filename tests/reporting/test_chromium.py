"""The page in a browser, if there is one: it lays out on a phone without scrolling sideways."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import gradstep
from tests.reporting.models import KINDS, model_of, table_of
from tests.test_markup import HOSTILE

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000")
# What is wider than the window, and texts that end outside their picture. The page itself may run
# no script, so the measuring one is put in here, with the policy taken out.
MEASURE = """<script>
const root = document.documentElement, wide = root.scrollWidth - root.clientWidth;
let cut = [];
for (const letters of document.querySelectorAll("svg text")) {
  const own = letters.getBoundingClientRect();
  const around = letters.closest("svg").getBoundingClientRect();
  if (own.left < around.left - 1 || own.right > around.right + 1) cut.push(letters.textContent);
}
let met = [];
for (const picture of document.querySelectorAll("svg")) {
  const ticks = [...picture.querySelectorAll("text")];
  ticks.forEach((one, i) => ticks.slice(i + 1).forEach(other => {
    const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
    if (a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3)
      met.push(one.textContent + " and " + other.textContent);
  }));
}
document.title = `wide ${wide} met ${met.slice(0, 5)}; cut ${cut.slice(0, 5)}.`;
</script>"""

GOOD = "wide 0 met ; cut ."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium"),
]


def measured(html, folder, width, script=MEASURE):
    """Return what the browser measures of a page in a window this wide: a script's title for it."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    path = folder / "page.html"
    path.write_text(html.replace("</body>", script + "</body>"), encoding="utf-8")
    own = f"--user-data-dir={folder / 'own'}"
    command = [BROWSER, *OPTIONS, f"--window-size={width},2000", own, "--dump-dom", path.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return re.search(r"<title>(.*?)</title>", found)[1]


@pytest.mark.parametrize("width", [500, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_fits_its_window(tmp_path, kind, width):
    model = model_of(kind)
    assert measured(gradstep.report(model, table_of(model)).html, tmp_path, width) == GOOD


@pytest.mark.parametrize("content", HOSTILE)
def test_fits_with_any_names(tmp_path, content):
    names = [f"{at}{content}" for at in range(7)]
    model = model_of("three", names, ("a", content, "c"), tuple(sorted(["b", content, "z"])))
    assert measured(gradstep.report(model).html, tmp_path, 500) == GOOD
