"""Upper bounds on pieces, lower bounds on distances: the counting half of the depth separation theorem.

Pieces are maximal intervals on which a function is affine. Three facts carry everything; in each, merge the
breakpoints.

* Sum: the breakpoints of f + g are among those of f and those of g, so p + q pieces have at most p + q - 1 in
  the sum on an interval.
* Composition: on each piece of g, f(g(x)) is affine between the points where g meets a breakpoint of f, so f
  with p pieces after g with q pieces has at most p q.
* ReLU layer: if all inputs of a layer of w units are affine on each of P common intervals, each unit has at
  most one zero in each, so that all outputs are affine on each of P (w + 1) common intervals.
"""

from collections.abc import Sequence

from gmpy2 import mpq

from cnncourse.theory.rational import natural_number


def pieces_of_sum_bound(*pieces: int) -> int:
    """The most pieces a sum of functions on one interval (or on R) can have: 1 + sum of (p_i - 1).

    A function with p pieces has p - 1 breakpoints, and a breakpoint of the sum is a breakpoint of a summand.
    The weaker p + q of Telgarsky 2016, section 3, arXiv:1602.04485, is often enough.

    Args:
        pieces: the number of pieces of each summand, each >= 1; at least one summand.

    Returns:
        The bound.

    Raises:
        ValueError: if there is no summand or a count is not a positive whole number.

    Book: depth_separation
    """
    if not pieces:
        raise ValueError("a sum needs at least one summand, got none; give the number of pieces of each")
    return 1 + sum(_pieces(p) - 1 for p in pieces)


def pieces_of_composition_bound(outer: int, inner: int) -> int:
    """The most pieces a composition can have: the product.

    On each of the ``inner`` pieces of g the values run monotonically through an interval, which meets at most
    ``outer`` pieces of f. Telgarsky 2016, section 3, arXiv:1602.04485. The sawtooth reaches it: 2^n pieces
    after 2^k give 2^(n+k).

    Args:
        outer: pieces of f in f(g(x)).
        inner: pieces of g.

    Returns:
        The bound.

    Raises:
        ValueError: if a count is not a positive whole number.

    Book: depth_separation
    """
    return _pieces(outer) * _pieces(inner)


def max_pieces_shallow(units: int) -> int:
    """The most affine pieces on R of one hidden layer of N ReLU units and a linear output: N + 1.

    Each unit adds one breakpoint at most. It is reached: units with N different kinks and output weights that
    are not 0.

    Args:
        units: N >= 0.

    Returns:
        N + 1.

    Raises:
        ValueError: if the number is negative or not whole.

    Book: depth_separation
    """
    return 1 + natural_number(
        units, "the number of units", minimum=0, remedy="a layer without units is a constant"
    )


def max_pieces_deep(widths: Sequence[int]) -> int:
    """An upper bound on the affine pieces of a 1-D ReLU network with hidden widths w_i: prod (w_i + 1).

    Proof, by induction over layers: before the first layer the input is affine on one interval. If all units
    of a layer are affine on each of P common intervals, so is every linear combination of them; w new units
    have at most w zeros inside each interval, which cut it into at most w + 1, and on each part each unit's
    ReLU is 0 or the identity. So P becomes at most P (w + 1), and a linear output adds nothing. Connections
    that skip layers change nothing in the argument.

    It implies Telgarsky's (2W)^L for L layers of width W >= 1 (2016, section 3, arXiv:1602.04485), since
    W + 1 <= 2W. For one layer it is reached. With two units a layer, narrow_sawtooth(n) has 2^n pieces on [0,
    1] where the bound is 3^n; that W^L is possible for every W is in Montúfar et al. 2014, arXiv:1402.1869.

    Args:
        widths: number of ReLU units of each hidden layer, from input to output; each >= 1. Empty: an affine
            function.

    Returns:
        The product of w_i + 1.

    Raises:
        ValueError: if a width is not a positive whole number.

    Book: depth_separation
    """
    product = 1
    for i, width in enumerate(widths):
        product *= 1 + natural_number(
            width, f"the width of layer {i}", minimum=1, remedy="leave empty layers out"
        )
    return product


def max_pieces_with(layers: int, nodes: int) -> int:
    """The most affine pieces that *any* arrangement of nodes in at most so many layers allows on a line.

    The bound prod (w_i + 1) of :func:`max_pieces_deep` with sum w_i <= nodes grows with each further layer
    that has a unit, and for a fixed number of layers it is largest when the widths differ by at most one
    (moving a unit from a layer of w + 2 or more to one of w multiplies (w + 1)(w + 3) into (w + 2)^2, which
    is larger).

    Args:
        layers: the most layers allowed, >= 1.
        nodes: the most ReLU nodes allowed in all, >= 1.

    Returns:
        The largest value of prod (w_i + 1).

    Raises:
        ValueError: if a number is not positive and whole.

    Book: depth_separation
    """
    layers = natural_number(layers, "the number of layers", minimum=1, remedy="a network has a layer")
    nodes = natural_number(nodes, "the number of nodes", minimum=1, remedy="a network has a node")
    used = min(layers, nodes)
    width, wider = divmod(nodes, used)
    return int((width + 2) ** wider * (width + 1) ** (used - wider))


def l1_lower_bound(n: int, pieces: int, *, continuous: bool = True) -> mpq:
    """No function with at most t affine pieces is closer than this to m^(n) in L1 on [0, 1].

    Let N = 2^n >= 2, h(x) = m^(n)(x / N) on [0, N], so that h runs from 0 to 1 and back on unit intervals,
    and let g have at most t affine pieces on [0, N]. Distances on [0, 1] are those on [0, N] divided by N.
    Three bounds, the best is returned.

    *Blocks*, (1/4)(1 - 2(t-1)/N). Cut [0, N] into N/2 blocks of length 2; h is even about a block's centre,
    where its peak is. Let p be 1 where h > 1/2 and -1 elsewhere: p is even about the centre and its integral
    over the block is 0, so the integral of p g is 0 for every affine g, and the integral of |h - g| is at
    least that of p h, which is 1/2. The t - 1 breakpoints of g spoil at most t - 1 of the N/2 blocks.

    *Symmetry*, (1/4)(1 - 3t/(2N)). Write gain(J) for the integral of 1 - 4|h - g| over an interval J on which
    g is affine; it suffices that gain(J) <= 3/2, for then the integral of |h - g| over [0, N] is at least (N
    - 3t/2)/4. Let c be the integer nearest to the middle of J. If c is not in J, J has length at most 1 and
    gain(J) <= 1. Otherwise J is an interval S symmetric about c and a rest of length at most 1, whose gain is
    at most 1. Because h is even about c, replacing g on S by the mean of g and its mirror image, a constant
    u, does not increase the error. A whole unit interval has gain 1 - 2(u^2 + (1-u)^2) <= 0 for 0 <= u <= 1
    (and less outside), and a part of length v at each end of S has gain at most v - v^2 <= 1/4. So gain(S) <=
    1/2.

    *Signs*, (1/8)(1 - t/N) for continuous g. g - 1/2 changes sign at most once a piece, t times in all, so in
    at least N - t of the N unit intervals it takes no two strictly opposite signs. There g stays on one side
    of 1/2 (or on it) while h spends a triangle of area 1/8 on the other. If g may jump between pieces, there
    are up to t - 1 more sign changes: (1/8)(1 - (2t-1)/N).

    The first is exact for t = 1: the constant 1/2 has distance 1/4. The last is positive for every t < N.

    Args:
        n: which iterate, n >= 0; for n = 0 the function is affine and the bound is 0.
        pieces: t >= 1.
        continuous: whether g is continuous, as every ReLU network is. The first two bounds need no
            continuity.

    Returns:
        The bound, a rational in [0, 1/4].

    Raises:
        ValueError: if n is negative or t is not positive.

    Book: depth_separation
    """
    n = natural_number(n, "the number n of iterations", minimum=0, remedy="m^(0) is the identity")
    t = _pieces(pieces)
    N = 2**n
    if n == 0:
        return mpq(0)
    blocks = (1 - mpq(2 * (t - 1), N)) / 4
    symmetry = (1 - mpq(3 * t, 2 * N)) / 4
    signs = (1 - mpq(t if continuous else 2 * t - 1, N)) / 8
    return max(blocks, symmetry, signs, mpq(0))


def telgarsky_gap(k: int) -> mpq:
    """The L1 distance that the counting gives for Telgarsky's network against k layers and 2^k ReLU nodes.

    Telgarsky 2016, theorem 1.1, arXiv:1602.04485: f(x) = m^(k^3+4)(x_1) on [0,1]^d is at least 1/64 away in
    L1 from every ReLU network with at most k layers and 2^k nodes. By Fubini it is enough to look at one line
    along the first axis, where such a network has t <= max_pieces_with(k, 2^k) <= (1 + 2^k / k)^k pieces, and
    to apply :func:`l1_lower_bound`.

    It is at least 3/16 > 1/64 for every k: 1 + 2^k/k <= 2^(k+1) gives t <= 2^(k^2+k), so t / 2^(k^3+4) is at
    most 2^(k^2+k-k^3-4) <= 1/8 (the exponent is -3 at k = 1 and falls with k), and the block bound exceeds (1
    - 2/8)/4 = 3/16. The paper's constant is smaller because its count also covers gates other than ReLU, such
    as maxima over many arguments, decision trees and piecewise polynomials; this function speaks of ReLU
    networks only.

    Args:
        k: k >= 1.

    Returns:
        The exact lower bound, between 3/16 and 1/4.

    Raises:
        ValueError: if k is not a positive whole number.

    Book: depth_separation
    """
    k = natural_number(k, "k", minimum=1, remedy="the theorem starts at k = 1")
    return l1_lower_bound(k**3 + 4, max_pieces_with(k, 2**k))


def _pieces(count: int) -> int:
    return natural_number(count, "the number of pieces", minimum=1, remedy="an affine function has one piece")
