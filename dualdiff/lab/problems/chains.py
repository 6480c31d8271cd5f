"""Functions made of few or many steps, whose shapes decide which way through them is the shortest."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, block_diagonal_pattern, dense, entries, fixed

__all__ = [
    "arrowhead",
    "block_diagonal",
    "dense_map",
    "hourglass",
    "layers",
    "matrix_product",
    "small_operations",
    "speelpenning",
    "spindle",
]

_GRIEWANK = "A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., SIAM, 2008, doi:10.1137/1.9780898717761"
_COLOURING = "A. Gebremedhin, F. Manne, A. Pothen, SIAM Review 47(4), 2005, doi:10.1137/S0036144504444711"


def _arrowhead(x: Array) -> Array:
    y = x**3 + x[0] * x
    y[0] += np.sum(np.sin(x[1:]))
    return y


def _arrowhead_jacobian(x: Array) -> Array:
    n = x.size
    J = np.zeros((n, n))
    J.reshape(-1)[:: n + 1] = 3 * x**2 + x[0]
    J[:, 0] += x
    J[0, 1:] = np.cos(x[1:])
    return J


def _arrowhead_pattern(n: int) -> csr_array:
    i, zero = np.arange(n), np.zeros(n, dtype=int)
    return entries([i, i, zero], [i, zero, i], (n, n))


def arrowhead(n: int = 1000) -> Case:
    r"""A full first row, a full first column and the diagonal.

    .. math:: f_0 = x_0^3 + x_0^2 + \sum_{j \ge 1} \sin x_j, \qquad f_i = x_i^3 + x_0 x_i

    Colouring columns alone needs n colours, and rows alone as well; both together need three.

    Parameters
    ----------
    n : int
        The number of variables and of equations.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"arrowhead-{n}",
        title="a full row, a full column and the diagonal",
        source=_COLOURING,
        function=_arrowhead,
        point=fixed(np.random.default_rng(0).uniform(0.5, 1.5, n)),
        jacobian=_arrowhead_jacobian,
        pattern=partial(_arrowhead_pattern, n),
    )


def _block_diagonal(x: Array, *, weight: Array) -> Array:
    samples = x.reshape(-1, weight.shape[1])
    return (np.tanh(samples @ weight.T) + samples**2).ravel()


def _block_diagonal_jacobian(x: Array, *, weight: Array) -> Array:
    size = weight.shape[0]
    samples = x.reshape(-1, size)
    batch, i = np.arange(len(samples)), np.arange(size)
    blocks = (1 - np.tanh(samples @ weight.T) ** 2)[:, :, np.newaxis] * weight
    blocks[:, i, i] += 2 * samples
    J = np.zeros((len(samples), size, len(samples), size))
    J[batch, :, batch] = blocks
    return J.reshape(x.size, x.size)


def block_diagonal(batch: int = 200, size: int = 5) -> Case:
    r"""One nonlinear map applied to each sample of a batch: full blocks along the diagonal.

    .. math:: f(z_b) = \tanh(W z_b) + z_b^2

    Parameters
    ----------
    batch : int
        The number of samples.
    size : int
        The length of each: n = m = batch · size.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    rng = np.random.default_rng(0)
    weight = fixed(rng.normal(size=(size, size)) / np.sqrt(size))
    return Case(
        name=f"block-diagonal-{batch}x{size}",
        title="one map applied to every sample of a batch",
        source=_COLOURING,
        function=partial(_block_diagonal, weight=weight),
        point=fixed(rng.uniform(-1, 1, batch * size)),
        jacobian=partial(_block_diagonal_jacobian, weight=weight),
        pattern=partial(block_diagonal_pattern, batch, size, size),
    )


def _hourglass(x: Array, *, gather: Array, spread: Array) -> Array:
    waist = np.tanh(gather @ np.sin(x))
    return np.exp(-((spread @ waist) ** 2))


def _hourglass_jacobian(x: Array, *, gather: Array, spread: Array) -> Array:
    waist = np.tanh(gather @ np.sin(x))
    z = spread @ waist
    # Through the waist: two thin factors, and one product of the full size.
    above = (-2 * z * np.exp(-(z**2)))[:, np.newaxis] * spread * (1 - waist**2)
    below = gather * np.cos(x)
    # An outer product of two vectors is faster without BLAS.
    return above * below if waist.size == 1 else above @ below


def hourglass(n: int = 1000, waist: int = 3, m: int = 1000) -> Case:
    r"""Many inputs and many outputs that meet in a narrow waist: the Jacobian has low rank.

    .. math:: f(x) = \exp\bigl(-(U \tanh(V \sin x))^2\bigr), \qquad
        U \in \mathbb{R}^{m \times w}, \; V \in \mathbb{R}^{w \times n}

    Parameters
    ----------
    n, waist, m : int
        The number of inputs, the width w of the waist, the number of outputs.

    Returns
    -------
    Case
    """
    rng = np.random.default_rng(0)
    data = {"gather": fixed(rng.normal(size=(waist, n)) / np.sqrt(n)), "spread": fixed(rng.normal(size=(m, waist)))}
    return Case(
        name=f"hourglass-{n}-{waist}-{m}",
        title="a narrow waist between many inputs and many outputs",
        source=_GRIEWANK,
        function=partial(_hourglass, **data),
        point=fixed(rng.uniform(-1, 1, n)),
        jacobian=partial(_hourglass_jacobian, **data),
        pattern=partial(dense, m, n),
    )


def _spindle(x: Array, *, frequency: Array) -> Array:
    wide = np.sin(frequency * x)
    return np.sum(wide**2 + wide, keepdims=True)


def _spindle_jacobian(x: Array, *, frequency: Array) -> Array:
    z = frequency * x
    return ((2 * np.sin(z) + 1) * np.cos(z) * frequency).sum().reshape(1, 1)


def spindle(width: int = 100_000) -> Case:
    r"""The reverse of an hourglass: one input, many intermediate values, one output.

    .. math:: f(x) = \sum_{k=1}^{w} \sin^2(\omega_k x) + \sin(\omega_k x)

    Parameters
    ----------
    width : int
        The number w of intermediate values.

    Returns
    -------
    Case
        With n = m = 1.
    """
    frequency = fixed(np.linspace(0.5, 1.5, width))
    return Case(
        name=f"spindle-1-{width}-1",
        title="many values between one input and one output",
        source=_GRIEWANK,
        function=partial(_spindle, frequency=frequency),
        point=fixed([0.7]),
        jacobian=partial(_spindle_jacobian, frequency=frequency),
        pattern=partial(dense, 1, 1),
    )


def _layers(x: Array, *, weights: Sequence[Array]) -> Array:
    y = x
    for weight in weights[:-1]:
        y = np.tanh(weight @ y)
    return weights[-1] @ y


def _layers_jacobian(x: Array, *, weights: Sequence[Array]) -> Array:
    factors, y = [], x
    for weight in weights[:-1]:
        y = np.tanh(weight @ y)
        factors.append((1 - y**2)[:, np.newaxis] * weight)
    factors.append(weights[-1])
    # The order of the products is what a narrow layer is about.
    return np.linalg.multi_dot(factors[::-1]) if len(factors) > 1 else factors[0]


def layers(*widths: int) -> Case:
    r"""A chain of matrix products with a tanh between each two.

    .. math:: f(x) = W_L \tanh(W_{L-1} \cdots \tanh(W_1 x))

    Parameters
    ----------
    *widths : int
        The length of x, of each intermediate vector and of the result; by default 50, 10, 200, 5.

    Returns
    -------
    Case
    """
    widths = widths or (50, 10, 200, 5)
    rng = np.random.default_rng(0)
    weights = tuple(fixed(rng.normal(size=(m, n)) / np.sqrt(n)) for n, m in pairwise(widths))
    return Case(
        name="layers-" + "-".join(map(str, widths)),
        title="matrix products with a tanh between them",
        source=_GRIEWANK,
        function=partial(_layers, weights=weights),
        point=fixed(rng.uniform(-1, 1, widths[0])),
        jacobian=partial(_layers_jacobian, weights=weights),
        pattern=partial(dense, widths[-1], widths[0]),
    )


def _matrix_product(x: Array, *, second: Array, third: Array) -> Array:
    return (x.reshape(-1, second.shape[0]) @ second @ third).ravel()


def _matrix_product_jacobian(x: Array, *, second: Array, third: Array) -> Array:
    block = (second @ third).T
    m, n = block.shape
    i = np.arange(x.size // n)
    J = np.zeros((i.size, m, i.size, n))
    J[i, :, i] = block
    return J.reshape(-1, x.size)


def matrix_product(rows: int = 20, widths: tuple[int, int, int] = (20, 30, 10)) -> Case:
    r"""A product of three matrices as a function of the first: linear, with equal blocks along the diagonal.

    .. math:: f(\operatorname{vec} A) = \operatorname{vec}(A B C), \qquad J = I \otimes (B C)^T

    row by row.

    Parameters
    ----------
    rows : int
        The number of rows of A.
    widths : tuple of int
        The number of columns of A, B and C.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    p, q, r = widths
    rng = np.random.default_rng(0)
    data = {"second": fixed(rng.normal(size=(p, q))), "third": fixed(rng.normal(size=(q, r)))}
    return Case(
        name=f"matrix-product-{rows}-{p}-{q}-{r}",
        title="a product of three matrices as a function of the first",
        source=_GRIEWANK,
        function=partial(_matrix_product, **data),
        point=fixed(rng.normal(size=rows * p)),
        jacobian=partial(_matrix_product_jacobian, **data),
        pattern=partial(block_diagonal_pattern, rows, r, p),
    )


def _dense_map(x: Array, *, weight: Array) -> Array:
    return np.tanh(weight @ np.sin(x))


def _dense_map_jacobian(x: Array, *, weight: Array) -> Array:
    slope = 1 - np.tanh(weight @ np.sin(x)) ** 2
    J = weight * np.cos(x)
    J *= slope[:, np.newaxis]
    return J


def dense_map(n: int = 5000, m: int = 5) -> Case:
    r"""One dense product between two elementwise functions: wide if n > m, tall if n < m.

    .. math:: f(x) = \tanh(W \sin x)

    Parameters
    ----------
    n, m : int
        The number of inputs and of outputs.

    Returns
    -------
    Case
    """
    rng = np.random.default_rng(0)
    weight = fixed(rng.normal(size=(m, n)) / np.sqrt(n))
    return Case(
        name=f"dense-map-{n}-{m}",
        title="a dense product between elementwise functions",
        source=_GRIEWANK,
        function=partial(_dense_map, weight=weight),
        point=fixed(rng.uniform(-1, 1, n)),
        jacobian=partial(_dense_map_jacobian, weight=weight),
        pattern=partial(dense, m, n),
    )


def _small_operations(x: Array, *, rounds: int) -> Array:
    y = x
    for k in range(rounds):
        y = np.tanh(y - 0.5 * np.cos(np.roll(y, k + 1)))
    return y


def _small_operations_jacobian(x: Array, *, rounds: int) -> Array:
    y, J = x, np.eye(x.size)
    for k in range(rounds):
        turned = np.roll(y, k + 1)
        y = np.tanh(y - 0.5 * np.cos(turned))
        J = J + (0.5 * np.sin(turned))[:, np.newaxis] * np.roll(J, k + 1, axis=0)
        J *= (1 - y**2)[:, np.newaxis]
    return J


def small_operations(n: int = 30, rounds: int = 10) -> Case:
    r"""A long program on a short vector: five operations a round, no one of which takes long.

    .. math:: x \leftarrow \tanh\bigl(x_i - \tfrac12 \cos x_{i-k}\bigr), \qquad k = 1, 2, \dots

    with indices modulo n.

    Parameters
    ----------
    n : int
        The number of inputs and of outputs.
    rounds : int
        How many rounds of five operations.

    Returns
    -------
    Case
        Without a pattern: it fills up as the rounds go on.
    """
    return Case(
        name=f"small-operations-{n}-{5 * rounds}",
        title="many small operations on a short vector",
        source=_GRIEWANK,
        function=partial(_small_operations, rounds=rounds),
        point=fixed(np.random.default_rng(0).uniform(-1, 1, n)),
        jacobian=partial(_small_operations_jacobian, rounds=rounds),
    )


def _speelpenning(x: Array) -> float:
    product = 1.0
    for i in range(x.size):
        product = product * x[i]
    return product


def _speelpenning_jacobian(x: Array) -> Array:
    before, after = np.ones((2, x.size))
    np.cumprod(x[:-1], out=before[1:])
    np.cumprod(x[:0:-1], out=after[-2::-1])
    return (before * after)[np.newaxis]


def speelpenning(n: int = 500) -> Case:
    r"""Speelpenning's product, a program of scalars.

    .. math:: f(x) = \prod_{i=0}^{n-1} x_i

    Parameters
    ----------
    n : int
        The number of factors, at least 2.

    Returns
    -------
    Case
        With m = 1, and a result of shape ().
    """
    return Case(
        name=f"speelpenning-{n}",
        title="product of all variables, one by one",
        source=f"B. Speelpenning, Ph.D. thesis, University of Illinois at Urbana-Champaign, 1980; {_GRIEWANK}",
        function=_speelpenning,
        point=fixed(np.random.default_rng(0).uniform(0.9, 1.1, n)),
        jacobian=_speelpenning_jacobian,
        pattern=partial(dense, 1, n),
    )
