"""Ways to solve a symmetric, positive definite system of equations."""

from keras import ops

# The smallest eigenvalue, as a share of the trace, times 2 ** steps is what the error
# falls to as a power of e: 1e-6 * 2 ** 22 > 4.
_NEWTON_STEPS = 22


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


def newton(matrix, target):
    """Solves `matrix @ x = target` with the inverse, found by Newton's iteration.

    `X <- X (2 I - A X)` doubles the correct digits at every step. These are
    products of whole matrices: few operators for a compiler, whatever the size.

    Gradients are exact: they pass through the last correction, `x + X (b - A x)`, whose
    derivative is that of the solution.

    Args:
        matrix: `(..., n, n)`, symmetric, positive definite; its condition number may
            reach 1e6.
        target: `(..., n, 1)`.

    Returns:
        `x` of shape `(..., n, 1)`.

    Reference:
        Schulz, *Iterative Berechnung der reziproken Matrix*, ZAMM 1933.
    """
    identity = ops.eye(matrix.shape[-1], dtype=matrix.dtype)
    # No eigenvalue exceeds the trace: with it as unit, `X = I` converges.
    trace = ops.sum(matrix * identity, axis=(-2, -1), keepdims=True)
    matrix, target = matrix / trace, target / trace
    fixed, start = ops.stop_gradient(matrix), ops.stop_gradient(target)
    inverse = 2 * identity - fixed
    for _ in range(_NEWTON_STEPS):
        inverse = ops.matmul(inverse, 2 * identity - ops.matmul(fixed, inverse))
    solution = ops.matmul(inverse, start)
    # Rounding leaves the inverse a few digits; each correction adds as many again.
    solution = solution + ops.matmul(inverse, start - ops.matmul(fixed, solution))
    return solution + ops.matmul(inverse, target - ops.matmul(matrix, solution))


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
    "newton": newton,
    "conjugate_gradient": conjugate_gradient,
}
