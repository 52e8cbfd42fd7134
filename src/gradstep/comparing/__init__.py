"""One problem, trained in many ways side by side: what batch size, rate and optimizer do.

From the ground up: `trials` (what is run), `problems` (what is fixed for each, on one table),
`runs` (a run, followed epoch by epoch), `steps` (curvature and gradients as steps see them),
`noise` and `surface` (what a batch's gradient says; the paths over the objective), `comparison`
(all that came of it), `words` (what that says), `page` (the same with figures), and `compare`.
`notebook` is the data that one sees without a table. The runs are those of `gradstep.fit.run`.
"""
