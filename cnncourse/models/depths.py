"""Depths in papers' sense: layers with weights, a multiple of the blocks and some layers around them."""

from collections.abc import Iterator


def blocks_a_stage(depth: int, layers: int = 6, around: int = 2) -> int:
    """Return the n of a network whose depth is a multiple of n and the layers around its blocks.

    He et al. (2016), section 4.2, count 6n + 2 layers: three stages of n blocks with two layers each, one
    layer in front, one behind. Bottlenecks of three layers make that 9n + 2.

    Args:
        depth: number of layers with weights.
        layers: layers that one more block in each stage adds, at least 1.
        around: layers outside the blocks.

    Returns:
        The number of blocks in each stage, at least 1.

    Raises:
        ValueError: if the depth has another form.
    """
    n, rest = divmod(depth - around, layers)
    rule = f"depth must be {layers}n + {around} with n at least 1, got depth={depth}"
    if n < 1:
        raise ValueError(f"{rule}; the smallest depth is {layers + around}")
    if rest:
        raise ValueError(
            f"{rule}; the nearest depths are {layers * n + around} and {layers * (n + 1) + around}"
        )
    return n


def growing(depth_drop_prob: float, blocks: int) -> Iterator[float]:
    """Yield the drop probability of each block, growing linearly from the first to the last.

    Huang, Sun, Liu, Sedra & Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016, arXiv:1603.09382,
    equation 4: block l of L is left out with probability l / L of the last one's.

    Args:
        depth_drop_prob: probability of the last block, in [0, 1); the paper's is 0.5.
        blocks: number of blocks, at least 1.

    Yields:
        One probability a block.

    Raises:
        ValueError: if the probability is out of its range.
    """
    if not 0 <= depth_drop_prob < 1:
        raise ValueError(f"depth_drop_prob must lie in [0, 1), got {depth_drop_prob=}")
    for index in range(1, blocks + 1):
        yield depth_drop_prob * index / blocks
