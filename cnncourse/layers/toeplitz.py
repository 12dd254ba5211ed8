"""A convolution is a matrix: one row for each output number, zero wherever the window does not reach.

In one dimension with stride 1 every row is the row above it moved one place to the right: a Toeplitz matrix. In two
dimensions its blocks are Toeplitz matrices, arranged like one.
Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, arXiv:1603.07285, section 4.1.
"""

from torch import Tensor

from cnncourse.layers.convolution import Geometry, Pair, as_pair, checked_geometry

MOST_NUMBERS = 2**27
"""Size of the largest matrix that is built: 1 GiB in float64."""


def toeplitz_matrix(
    weight: Tensor,
    height: int,
    width: int,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the matrix of a convolution without its bias: output = matrix @ image, both flattened.

    Args:
        weight: (C', C / groups, kh, kw). Gradients reach it through the matrix.
        height: rows of the image.
        width: columns of the image.
        stride: step between windows in pixels, at least 1; a pair is (rows, columns), here and below.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides C'.

    Returns:
        (C' · H' · W', C · H · W).

    Raises:
        ValueError: if groups do not divide the channels, no window fits, or the matrix would have more than 2^27
            numbers.

    Book: convolution
    """
    if weight.ndim != 4:
        raise ValueError(f"weights must have shape (C', C / groups, kh, kw), got {tuple(weight.shape)}")
    out_channels, per_group, kernel_rows, kernel_columns = weight.shape
    if groups < 1 or out_channels % groups:
        raise ValueError(
            f"groups must divide the output channels, got {groups=} with {out_channels} channels given"
        )
    geometry = Geometry((kernel_rows, kernel_columns), *map(as_pair, (stride, padding, dilation)))
    rows, columns = geometry.output_size(height, width)
    (sy, sx), (dy, dx), (above, left) = geometry.stride, geometry.dilation, geometry.padding
    in_channels, in_group = per_group * groups, out_channels // groups
    shape = (out_channels * rows * columns, in_channels * height * width)
    if shape[0] * shape[1] > MOST_NUMBERS:
        raise ValueError(
            f"the matrix would have {shape[0]:,} x {shape[1]:,} numbers, more than {MOST_NUMBERS:,}; "
            "choose a smaller image or fewer channels"
        )
    matrix = weight.new_zeros(out_channels, rows, columns, in_channels, height + 2 * above, width + 2 * left)
    for group in range(groups):
        given = slice(group * in_group, (group + 1) * in_group)
        read = slice(group * per_group, (group + 1) * per_group)
        for r in range(rows):
            for q in range(columns):
                # The row of the output pixel (r, q) holds the kernel, moved to where the window lies.
                down = slice(sy * r, sy * r + dy * (kernel_rows - 1) + 1, dy)
                across = slice(sx * q, sx * q + dx * (kernel_columns - 1) + 1, dx)
                matrix[given, r, q, read, down, across] = weight[given]
    # The columns of the border multiply zeros: leave them out.
    return matrix[..., above : above + height, left : left + width].reshape(shape)


def conv2d_toeplitz(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve by one product with the convolution's matrix: a fully connected layer with shared, sparse weights.

    Args:
        images: (N, C, H, W), small: the matrix has C' H' W' C H W numbers.
        weight: (C', C / groups, kh, kw).
        bias: (C',) or none.
        stride: step between windows in pixels, at least 1; a pair is (rows, columns), here and below.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides C and C'.

    Returns:
        (N, C', H', W').

    Raises:
        ValueError: if the shapes do not fit together, no window fits, or the matrix would be too large.
    """
    geometry = checked_geometry(
        images, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    height, width = images.shape[2:]
    matrix = toeplitz_matrix(
        weight, height, width, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    flat = images.flatten(start_dim=1) @ matrix.T
    output = flat.view(len(images), len(weight), *geometry.output_size(height, width))
    return output if bias is None else output + bias.view(-1, 1, 1)
