"""Ways to solve a symmetric, positive definite system of equations."""

from keras import ops


def cholesky(matrix, target):
    """Solves `matrix @ x = target` by triangular factors.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite.
        target: `(..., n, 1)`.

    Returns:
        `x` of shape `(..., n, 1)`.
    """
    factor = ops.cholesky(matrix)
    half = ops.solve_triangular(factor, target, lower=True)
    return ops.solve_triangular(ops.swapaxes(factor, -1, -2), half, lower=False)


def gauss_jordan(matrix, target):
    """Solves `matrix @ x = target` by elimination, unrolled into sums and products.

    A positive definite matrix needs no pivoting, so that every step is static.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite.
        target: `(..., n, 1)`.

    Returns:
        `x` of shape `(..., n, 1)`.
    """
    size = matrix.shape[-1]
    identity = ops.eye(size, dtype=matrix.dtype)
    rows = ops.concatenate([matrix, target], axis=-1)
    for step in range(size):
        # The columns before `step` are unit vectors already: the first one left is 0.
        pivot = rows[..., step : step + 1, 1:] / rows[..., step : step + 1, :1]
        factors = rows[..., :1] - identity[:, step : step + 1]
        rows = rows[..., 1:] - factors * pivot
    return rows


def conjugate_gradient(matrix, target):
    """Solves `matrix @ x = target` with sums and products only.

    In float32, the n steps of exact arithmetic do not suffice; 2 n do.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite.
        target: `(..., n, 1)`.

    Returns:
        `x` of shape `(..., n, 1)`.

    Reference:
        Hestenes and Stiefel, *Methods of Conjugate Gradients*, 1952.
    """
    solution = ops.zeros_like(target)
    residual = target
    direction = residual
    power = ops.sum(residual * residual, axis=-2, keepdims=True)
    # Relative to the start: a zero target must neither divide by zero nor stop early.
    tiny = 1e-12 * power + 1e-30
    for _ in range(2 * matrix.shape[-1]):
        image = ops.matmul(matrix, direction)
        curvature = ops.sum(direction * image, axis=-2, keepdims=True)
        # Once the residual is at rounding level, further steps only add noise.
        active = ops.cast(power > tiny, target.dtype)
        length = active * power / ops.maximum(curvature, 1e-30)
        solution = solution + length * direction
        residual = residual - length * image
        new_power = ops.sum(residual * residual, axis=-2, keepdims=True)
        ratio = active * new_power / ops.maximum(power, 1e-30)
        direction = residual + ratio * direction
        power = new_power
    return solution


SOLVE = {
    "cholesky": cholesky,
    "elimination": gauss_jordan,
    "conjugate_gradient": conjugate_gradient,
}
