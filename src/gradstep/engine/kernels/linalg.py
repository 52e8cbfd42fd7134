"""Small dense linear algebra with fixed bits: Cholesky, solves, and quadratic problems with l1.

BLAS and LAPACK may sum in another order with another number of threads, so what decides the bits
of a model is done here, in loops whose order is fixed. Matrices are at most some thousand wide.

All functions take a symmetric matrix that is scaled to a unit diagonal, so that "small" means the
same for every problem; a column that depends on those before it gets no step (its solution is 0).
"""

from __future__ import annotations

import numpy as np

from gradstep.jit import compiled, inlined

__all__ = ["DEPENDENT", "descend", "factor", "minimise_quadratic", "solve"]

# A pivot below it says that a column is a combination of those before, to rounding.
DEPENDENT = 1e-12
_AT_THE_EDGE = 1.0 + 1e-9  # of a column that is the same as another, the slope is just that
_ROUNDING = 1e-14  # of what a slope is the sum of: it may be off by as much
_MOST_WORK = 5e8  # of coordinate descent, in products: some tenths of a second
_SUPPORT_WORK = 1e7  # of solving on a support at first, in products: some milliseconds
_FLAT = 1e-9  # of l1: a slope that is none
_PROXIMAL = 1e-9  # of a diagonal of ones
_FARTHEST = 1e9  # times such a step: where the model is flat, to rounding, zeros alone end it
_DESCENDED = 1e-28  # of the model's decrease, nearly: what steps of a sweep are below at its end


@inlined
def _factor(matrix):
    q = matrix.shape[0]
    dependent = 0
    for i in range(q):
        row = matrix[i]
        for j in range(i):
            other = matrix[j]
            total = row[j]
            dot = 0.0
            for t in range(j):
                dot += row[t] * other[t]
            row[j] = (total - dot) / other[j]
        dot = 0.0
        for t in range(i):
            dot += row[t] * row[t]
        own = row[i]
        pivot = own - dot
        if own > 0.0 and pivot > DEPENDENT * own:
            row[i] = np.sqrt(pivot)
        else:
            row[:i] = 0.0
            row[i] = np.inf
            dependent += 1
    return dependent


@inlined
def _solve(lower, x):
    q = lower.shape[0]
    for i in range(q):
        row = lower[i]
        dot = 0.0
        for t in range(i):
            dot += row[t] * x[t]
        x[i] = (x[i] - dot) / row[i]
    for i in range(q - 1, -1, -1):
        row = lower[i]
        x[i] /= row[i]
        for t in range(i):
            x[t] -= row[t] * x[i]


@compiled
def factor(matrix):
    """Replace a symmetric matrix by its lower Cholesky factor, row after row.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        The lower triangle is read and written.

    Returns
    -------
    int
        How many columns depend on those before them; their row of the factor is that of the
        identity, times infinity: a solution has zeros there.
    """
    return _factor(matrix)


@compiled
def solve(lower, x):
    """Solve L·Lᵀ·x = b in place, `x` being b at first."""
    _solve(lower, x)


@inlined
def _descend(matrix, g, x, l1, ridge, product, sweeps, tolerance):
    """Run coordinate descent; `product` is matrix·x, kept up to date; return whether it is over.

    Most sweeps pass over the coordinates that are zero; only one over all can be the last.
    """
    q = x.size
    for sweep in range(sweeps):
        change = 0.0
        everything = sweep % 8 == 0
        for j in range(q):
            old = x[j]
            if old == 0.0 and not everything and l1[j] > 0.0:
                continue
            own = matrix[j, j] + ridge[j]
            if own <= 0.0:
                continue
            pull = matrix[j, j] * old - product[j] - g[j]
            cut = l1[j]
            new = (pull - max(-cut, min(pull, cut))) / own
            if new != old:
                step = new - old
                x[j] = new
                row = matrix[j]
                for t in range(q):
                    product[t] += step * row[t]
                change = max(change, own * step * step)
        if everything and change <= tolerance:
            return True
    return False


@compiled
def descend(matrix, g, x, l1, ridge, sweeps, tolerance):
    """Run coordinate descent on what `minimise_quadratic` minimises, from `x` on, in place.

    Parameters
    ----------
    matrix, g, x, l1, ridge
        As of `minimise_quadratic`.
    sweeps : int
        How many, at most.
    tolerance : float
        Twice what a step gains that ends it, if no step of a sweep over all gains more.

    Returns
    -------
    bool
        Whether that has ended it.
    """
    q = x.size
    product = np.zeros(q)
    for j in range(q):
        if x[j] != 0.0:
            row = matrix[j]
            for t in range(q):
                product[t] += x[j] * row[t]
    return _descend(matrix, g, x, l1, ridge, product, sweeps, tolerance)


@inlined
def _model(matrix, g, x, l1, ridge):
    """Return the value of the model that `minimise_quadratic` minimises, and its rounding."""
    total = 0.0
    size = 0.0
    for i in range(x.size):
        dot = 0.0
        part = 0.0
        for t in range(x.size):
            dot += matrix[i, t] * x[t]
            part += abs(matrix[i, t] * x[t])
        total += (g[i] + 0.5 * (dot + ridge[i] * x[i])) * x[i] + l1[i] * abs(x[i])
        size += (abs(g[i]) + part) * abs(x[i])
    return total, _ROUNDING * size


@inlined
def _solve_on_support(matrix, g, x, l1, ridge, proximal, full):
    """Write the minimum for the coordinates that are not zero, were their signs to stay, to full.

    What depends on others is zero there: they take its part. Or, where half of `proximal` times
    the square of the distance from x is added, it is far out, in the direction that leads down.
    Returns how many depend on others.
    """
    q = x.size
    support = np.empty(q, np.int64)
    m = 0
    for j in range(q):
        if (x[j] != 0.0 or l1[j] == 0.0) and matrix[j, j] + ridge[j] > 0.0:
            support[m] = j
            m += 1
    small = np.empty((m, m))
    solution = np.empty(m)
    size = np.empty(m)
    for a in range(m):
        size[a] = 1.0 / np.sqrt(matrix[support[a], support[a]] + ridge[support[a]])
    for a in range(m):
        i = support[a]
        for b in range(a + 1):
            small[a, b] = matrix[i, support[b]] * size[a] * size[b]
        small[a, a] = 1.0 + proximal
        solution[a] = -(g[i] + np.sign(x[i]) * l1[i]) * size[a] + proximal * x[i] / size[a]
    dependent = _factor(small)
    _solve(small, solution)
    full[:] = 0.0
    for a in range(m):
        full[support[a]] = solution[a] * size[a]
    return dependent


@inlined
def _lengthen(matrix, g, x, l1, ridge, full):
    """Lengthen the way from x to full to the least of the model along it, were signs to stay."""
    q = x.size
    slope = 0.0
    curvature = 0.0
    for i in range(q):
        step = full[i] - x[i]
        at = g[i] + ridge[i] * x[i] + np.sign(x[i]) * l1[i]
        along = ridge[i] * step
        for t in range(q):
            at += matrix[i, t] * x[t]
            along += matrix[i, t] * (full[t] - x[t])
        slope += at * step
        curvature += along * step
    times = -slope / curvature if curvature > 0.0 else _FARTHEST
    if times > 1.0:
        times = min(times, _FARTHEST)
        for j in range(q):
            full[j] = x[j] + times * (full[j] - x[j])


@inlined
def _stop_at_zero(x, full, l1):
    """Shorten the way from x to full to where a coordinate comes to zero first; say whether."""
    first = -1
    share = 1.0
    for j in range(x.size):
        if l1[j] > 0.0 and full[j] * x[j] < 0.0:
            until = x[j] / (x[j] - full[j])
            if until < share:
                share = until
                first = j
    if first < 0:
        return False
    for j in range(x.size):
        full[j] = x[j] + share * (full[j] - x[j])
    full[first] = 0.0
    return True


@inlined
def _leaves_zero(matrix, g, x, l1, ridge):
    """Return which coordinate that is zero wants most to leave, -1 if none does, and where to."""
    first = -1
    most = 0.0
    to = 0.0
    for j in range(x.size):
        if x[j] == 0.0 and l1[j] > 0.0 and matrix[j, j] + ridge[j] > 0.0:
            dot = g[j]
            size = abs(g[j])
            for t in range(x.size):
                dot += matrix[j, t] * x[t]
                size += abs(matrix[j, t] * x[t])
            if abs(dot) > l1[j] * _AT_THE_EDGE + _ROUNDING * size and abs(dot) - l1[j] > most:
                most = abs(dot) - l1[j]
                to = -np.sign(dot) * most / (matrix[j, j] + ridge[j])
                first = j
    return first, to


@inlined
def _is_flat(matrix, g, x, l1, ridge):
    """Tell whether no coordinate that is not zero has a slope: also those that depend on others."""
    for j in range(x.size):
        if (x[j] != 0.0 or l1[j] == 0.0) and matrix[j, j] + ridge[j] > 0.0:
            dot = g[j] + ridge[j] * x[j] + np.sign(x[j]) * l1[j]
            size = abs(g[j]) + abs(ridge[j] * x[j]) + l1[j]
            for t in range(x.size):
                dot += matrix[j, t] * x[t]
                size += abs(matrix[j, t] * x[t])
            if abs(dot) > _FLAT * l1.max() + _ROUNDING * size:
                return False
    return True


@inlined
def _on_support(matrix, g, x, l1, ridge, most_work):
    """Go to the minimum on the coordinates that are not zero, and from there to that of all.

    A coordinate that would change its sign on the way stops there, at zero, and the others go on
    without it; at the minimum on those, the zero that wants most to leaves, and all go on with it
    (feature-sign search; Lee, Battle, Raina and Ng, 2007). Where coordinates depend on each
    other, the way goes along what joins them, until one is zero. No step leads up by more than
    rounding.

    Returns whether it is the minimum of all, whether only zeros that want to move are left, and
    the work that was done, in products.
    """
    q = x.size
    full = np.empty(q)
    before, rounding = _model(matrix, g, x, l1, ridge)
    work = 0.0
    there = False
    while work == 0.0 or work < most_work:
        work += 4.0 * q * q + np.count_nonzero(x) ** 3 / 6.0
        dependent = _solve_on_support(matrix, g, x, l1, ridge, 0.0, full)
        there = not _stop_at_zero(x, full, l1)
        leaves, to = _leaves_zero(matrix, g, full, l1, ridge) if there else (-1, 0.0)
        if there and leaves < 0 and (dependent == 0 or _is_flat(matrix, g, full, l1, ridge)):
            x[:] = full
            return True, True, work
        after, own = _model(matrix, g, full, l1, ridge)
        joined = dependent > 0 or not after < before
        if joined:
            _solve_on_support(matrix, g, x, l1, ridge, _PROXIMAL, full)
            _lengthen(matrix, g, x, l1, ridge, full)
            stopped = _stop_at_zero(x, full, l1)
            after, own = _model(matrix, g, full, l1, ridge)
            # what is as good as zero stops a step at once, which changes nothing but that
            if not (after < before or (stopped and after <= before + rounding)):
                return False, there, work
        x[:] = full
        before, rounding = after, own
        if there and leaves >= 0 and not joined:
            x[leaves] = to
            before, rounding = _model(matrix, g, x, l1, ridge)
    return False, there, work


@compiled
def minimise_quadratic(matrix, g, x, l1, ridge, most_sweeps):
    """Minimise g·x + ½ x·M·x + Σ ½ ridge_j x_j² + Σ l1_j |x_j|, from `x` on, in place.

    Coordinate descent finds which coordinates are zero; once it seems to have, those that are
    not are solved for at once, and the optimality of the whole is checked.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        Symmetric, both triangles.
    g, l1, ridge : ndarray of shape (q,)
        The linear part; strengths of the two penalties.
    x : ndarray of shape (q,)
        Where to start; the minimiser afterwards.
    most_sweeps : int
        Sweeps of coordinate descent after which to be content.

    Returns
    -------
    bool
        Whether it is the minimiser.
    """
    q = x.size
    product = np.zeros(q)
    for i in range(q):
        dot = 0.0
        for t in range(q):
            dot += matrix[i, t] * x[t]
        product[i] = dot
    scale = 0.0
    for j in range(q):
        own = matrix[j, j] + ridge[j]
        if own > 0.0:
            scale += g[j] * g[j] / own
    done = 0
    sweeps = 8
    support_work = _SUPPORT_WORK
    left = _MOST_WORK
    most_sweeps = min(most_sweeps, max(64, int(_MOST_WORK / max(1, q * q))))
    while done < most_sweeps:
        over = _descend(matrix, g, x, l1, ridge, product, sweeps, _DESCENDED * scale)
        done += sweeps
        best, there, work = _on_support(matrix, g, x, l1, ridge, min(support_work, left))
        if best or over:
            return True
        left -= work
        support_work *= 2.0
        for i in range(q):
            dot = 0.0
            for t in range(q):
                dot += matrix[i, t] * x[t]
            product[i] = dot
        if there:  # zeros want to move: a sweep over all lets them
            sweeps = 8
            done += q // 8  # what it cost to get there
        else:
            sweeps = min(2 * sweeps, 512)
    return False
