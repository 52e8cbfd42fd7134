"""A report of a model: one page of HTML that needs nothing else.

From the ground up: `markup` (elements, in which all text is escaped), `scales` (where a number lies
on an axis, and round numbers along it), `plot` (an axis system and marks, as SVG), `figures` (a
plot with its title, its description and its numbers as a table), `sections` (what a report tells),
and `page`. What is told is computed in `gradstep.model`; here it is shown.
"""
