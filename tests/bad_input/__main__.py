"""Write docs/bad_input.md anew."""

from tests.bad_input.page import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
