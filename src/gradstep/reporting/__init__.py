"""A report of a model: one page of HTML that needs nothing else.

From the ground up: `scales` (where a number lies on an axis, and round numbers along it), `plot`
(axes and marks, as SVG), `figures` (a plot with its title, its description and its numbers as a
table), `sections` (what a report tells), `document` (a page and its file), and `page`. Elements are
made by `gradstep.markup`, which escapes all text. What is told is computed in `gradstep.model`;
here it is shown.
"""
