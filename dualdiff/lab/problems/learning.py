"""Functions from statistics and machine learning."""

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, dense, entries, fixed

__all__ = [
    "logistic_loss",
    "lstm_cell",
    "lstm_weights",
    "mixture_densities",
    "mixture_likelihood",
    "perceptron_loss",
]

_LSTM = "S. Hochreiter, J. Schmidhuber, Neural Computation 9(8), 1997, doi:10.1162/neco.1997.9.8.1735"
_MIXTURE = (
    "F. Šrajer, Z. Kukelova, A. Fitzgibbon, A Benchmark of Selected Algorithmic Differentiation Tools on Some Problems"
    " in Computer Vision and Machine Learning, 2018, arXiv:1807.10129"
)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _gates(weight: Array, bias: Array, joined: Array, memory: Array) -> Array:
    """Return the new state (hidden, memory) from the input joined to the hidden state."""
    z = weight @ joined + bias
    size = memory.size
    keep, admit, show = _sigmoid(z[:size]), _sigmoid(z[size : 2 * size]), _sigmoid(z[2 * size : 3 * size])
    memory = keep * memory + admit * np.tanh(z[3 * size :])
    return np.concatenate([show * np.tanh(memory), memory])


def _gate_slopes(weight: Array, bias: Array, joined: Array, memory: Array) -> tuple[Array, Array]:
    """Return the derivatives of (hidden, memory) by the four gates' arguments and by the old memory.

    Entry by entry: of shape (2, 4, h) and (2, h).
    """
    z = (weight @ joined + bias).reshape(4, -1)
    keep, admit, show = _sigmoid(z[:3])
    fresh = np.tanh(z[3])
    shown = np.tanh(keep * memory + admit * fresh)
    slopes = np.zeros((2, 4, memory.size))
    slopes[1, 0] = memory * keep * (1 - keep)
    slopes[1, 1] = fresh * admit * (1 - admit)
    slopes[1, 3] = admit * (1 - fresh**2)
    through = show * (1 - shown**2)
    slopes[0] = through * slopes[1]
    slopes[0, 2] = shown * show * (1 - show)
    return slopes, np.stack([through * keep, keep])


def _lstm_cell(x: Array, *, weight: Array, bias: Array) -> Array:
    size = bias.size // 4
    return _gates(weight, bias, x[:-size], x[-size:])


def _lstm_cell_jacobian(x: Array, *, weight: Array, bias: Array) -> Array:
    size = bias.size // 4
    slopes, direct = _gate_slopes(weight, bias, x[:-size], x[-size:])
    J = np.zeros((2, size, x.size))
    np.einsum("rkh,khj->rhj", slopes, weight.reshape(4, size, -1), out=J[:, :, :-size])
    i = np.arange(size)
    J[:, i, i - size] = direct
    return J.reshape(2 * size, x.size)


def _lstm_cell_pattern(inputs: int, size: int) -> csr_array:
    rows, memory = np.arange(2 * size), inputs + size + np.arange(size)
    joined = np.arange(inputs + size)
    i = np.concatenate([np.repeat(rows, joined.size), rows])
    return entries(i, np.concatenate([np.tile(joined, rows.size), memory, memory]), (2 * size, inputs + 2 * size))


def _lstm_parameters(inputs: int, size: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    joined = inputs + size
    return fixed(rng.normal(size=(4 * size, joined)) / np.sqrt(joined)), fixed(0.1 * rng.normal(size=4 * size))


def lstm_cell(inputs: int = 32, size: int = 64) -> Case:
    r"""One step of a long short-term memory as a function of input and state.

    .. math:: c' = \sigma(z_f) c + \sigma(z_i) \tanh z_g, \qquad h' = \sigma(z_o) \tanh c', \qquad
        (z_f, z_i, z_o, z_g) = W (x, h) + b

    The variables are (x, h, c), the results (h', c').

    Parameters
    ----------
    inputs : int
        The length of the input x.
    size : int
        The length of the hidden state h and of the memory c: n = inputs + 2 size, m = 2 size.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros: dense in x and h, diagonal in c.
    """
    weight, bias = _lstm_parameters(inputs, size)
    return Case(
        name=f"lstm-cell-{inputs}-{size}",
        title="new state of an LSTM by input and state",
        source=_LSTM,
        function=partial(_lstm_cell, weight=weight, bias=bias),
        point=fixed(np.random.default_rng(1).uniform(-1, 1, inputs + 2 * size)),
        jacobian=partial(_lstm_cell_jacobian, weight=weight, bias=bias),
        pattern=partial(_lstm_cell_pattern, inputs, size),
    )


def _lstm_weights(x: Array, *, joined: Array, memory: Array) -> Array:
    rows = 4 * memory.size
    return _gates(x[:-rows].reshape(rows, joined.size), x[-rows:], joined, memory)


def _lstm_weights_jacobian(x: Array, *, joined: Array, memory: Array) -> Array:
    size = memory.size
    rows = 4 * size
    slopes, _ = _gate_slopes(x[:-rows].reshape(rows, joined.size), x[-rows:], joined, memory)
    by_gate = slopes.transpose(2, 0, 1)
    i = np.arange(size)
    J = np.zeros((2 * size, x.size))
    by_weight = np.zeros((2, size, 4, size, joined.size))
    by_weight[:, i, :, i] = by_gate[..., np.newaxis] * joined
    by_bias = np.zeros((2, size, 4, size))
    by_bias[:, i, :, i] = by_gate
    J[:, :-rows] = by_weight.reshape(2 * size, -1)
    J[:, -rows:] = by_bias.reshape(2 * size, -1)
    return J


def _lstm_weights_pattern(joined: int, size: int) -> csr_array:
    gate = np.zeros((2, size, 4, size), dtype=bool)
    i = np.arange(size)
    gate[:, i, :, i] = True
    # The memory does not ask the gate that shows it.
    gate[1, :, 2] = False
    rows, columns = np.nonzero(gate.reshape(2 * size, 4 * size))
    by_weight = columns[:, np.newaxis] * joined + np.arange(joined)
    by_bias = 4 * size * joined + columns
    everything = np.concatenate([by_weight, by_bias[:, np.newaxis]], axis=1)
    return entries(rows[:, np.newaxis], everything, (2 * size, 4 * size * (joined + 1)))


def lstm_weights(inputs: int = 16, size: int = 16) -> Case:
    """The same step as `lstm_cell`, as a function of its weights and biases.

    The variables are (W, b), W row by row.

    Parameters
    ----------
    inputs : int
        The length of the input x.
    size : int
        The length of the hidden state h and of the memory c: n = 4 size (inputs + size + 1), m = 2 size.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros: a row of weights in each gate.
    """
    weight, bias = _lstm_parameters(inputs, size)
    rng = np.random.default_rng(1)
    data = {"joined": fixed(rng.uniform(-1, 1, inputs + size)), "memory": fixed(rng.uniform(-1, 1, size))}
    return Case(
        name=f"lstm-weights-{inputs}-{size}",
        title="new state of an LSTM by its weights",
        source=_LSTM,
        function=partial(_lstm_weights, **data),
        point=fixed(np.concatenate([weight.ravel(), bias])),
        jacobian=partial(_lstm_weights_jacobian, **data),
        pattern=partial(_lstm_weights_pattern, inputs + size, size),
    )


def _logsumexp(terms: Array) -> Array:
    """Return the logarithm of the sum of exponentials over the last axis."""
    largest = np.max(terms, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(terms - largest), axis=-1)) + largest[..., 0]


def _mixture_densities(x: Array, *, data: Array, components: int) -> Array:
    size = components * data.shape[1]
    weight = x[:components]
    mean = x[components : components + size].reshape(components, -1)
    spread = x[components + size :].reshape(components, -1)
    z = (data[:, np.newaxis] - mean) * np.exp(-spread)
    terms = weight - np.sum(spread, axis=1) - np.sum(z**2, axis=2) / 2
    return _logsumexp(terms) - _logsumexp(weight) - data.shape[1] / 2 * np.log(2 * np.pi)


def _mixture_densities_jacobian(x: Array, *, data: Array, components: int) -> Array:
    size = components * data.shape[1]
    weight = x[:components]
    mean = x[components : components + size].reshape(components, -1)
    spread = x[components + size :].reshape(components, -1)
    narrow = np.exp(-spread)
    z = (data[:, np.newaxis] - mean) * narrow
    share = weight - np.sum(spread, axis=1) - np.sum(z**2, axis=2) / 2
    share -= share.max(axis=1, keepdims=True)
    np.exp(share, out=share)
    share /= share.sum(axis=1, keepdims=True)
    prior = np.exp(weight - weight.max())
    J = np.empty((len(data), x.size))
    J[:, :components] = share - prior / prior.sum()
    J[:, components : components + size] = (share[:, :, np.newaxis] * z * narrow).reshape(len(data), -1)
    J[:, components + size :] = (share[:, :, np.newaxis] * (z**2 - 1)).reshape(len(data), -1)
    return J


def _mixture_likelihood(x: Array, *, data: Array, components: int) -> float:
    return np.sum(_mixture_densities(x, data=data, components=components))


def _mixture_likelihood_jacobian(x: Array, *, data: Array, components: int) -> Array:
    return _mixture_densities_jacobian(x, data=data, components=components).sum(axis=0, keepdims=True)


def _mixture_data(points: int, components: int, dimensions: int) -> tuple[Array, Array]:
    """Return parameters and data: clusters of width one about centres a few widths apart."""
    rng = np.random.default_rng(0)
    centre = rng.uniform(-3, 3, (components, dimensions))
    data = centre[rng.integers(components, size=points)] + rng.normal(size=(points, dimensions))
    weight, spread = rng.uniform(-1, 1, components), rng.uniform(-0.3, 0.3, centre.size)
    return fixed(np.concatenate([weight, (centre + rng.normal(size=centre.shape)).ravel(), spread])), fixed(data)


def mixture_densities(points: int = 1000, components: int = 5, dimensions: int = 2) -> Case:
    r"""The log-density of each datum under a mixture of Gaussians with diagonal covariances.

    .. math:: f_i = \log \sum_k \frac{e^{\alpha_k}}{\sum_l e^{\alpha_l}} \prod_d
        \frac{1}{\sqrt{2\pi}\, e^{s_{kd}}} \exp\Bigl(-\frac{(y_{id} - \mu_{kd})^2}{2 e^{2 s_{kd}}}\Bigr)

    The variables are all α, all μ, all s.

    Parameters
    ----------
    points : int
        The number of data, m.
    components, dimensions : int
        n = components (1 + 2 dimensions).

    Returns
    -------
    Case
    """
    start, data = _mixture_data(points, components, dimensions)
    return Case(
        name=f"mixture-densities-{points}-{components}-{dimensions}",
        title="mixture of Gaussians, log-density of each datum",
        source=_MIXTURE,
        function=partial(_mixture_densities, data=data, components=components),
        point=start,
        jacobian=partial(_mixture_densities_jacobian, data=data, components=components),
        pattern=partial(dense, points, start.size),
    )


def mixture_likelihood(points: int = 1000, components: int = 5, dimensions: int = 2) -> Case:
    """The sum of the log-densities of `mixture_densities`: the log-likelihood, a scalar.

    Parameters
    ----------
    points : int
        The number of data.
    components, dimensions : int
        n = components (1 + 2 dimensions).

    Returns
    -------
    Case
        With m = 1, and a result of shape ().
    """
    start, data = _mixture_data(points, components, dimensions)
    return Case(
        name=f"mixture-likelihood-{points}-{components}-{dimensions}",
        title="mixture of Gaussians, log-likelihood",
        source=_MIXTURE,
        function=partial(_mixture_likelihood, data=data, components=components),
        point=start,
        jacobian=partial(_mixture_likelihood_jacobian, data=data, components=components),
        pattern=partial(dense, 1, start.size),
    )


def _logistic_loss(x: Array, *, features: Array, label: Array, decay: float) -> float:
    return np.sum(np.logaddexp(0, -label * (features @ x))) + decay / 2 * (x @ x)


def _logistic_loss_jacobian(x: Array, *, features: Array, label: Array, decay: float) -> Array:
    gradient = -(label * _sigmoid(-label * (features @ x))) @ features
    return (gradient + decay * x)[np.newaxis]


def logistic_loss(samples: int = 500, features: int = 100, *, decay: float = 0.1) -> Case:
    r"""The loss of logistic regression with weight decay, a scalar.

    .. math:: f(w) = \sum_i \log(1 + e^{-y_i\, w^T z_i}) + \tfrac{\lambda}{2} |w|^2, \qquad y_i = \pm 1

    Parameters
    ----------
    samples : int
        The number of pairs (z, y).
    features : int
        The length of z and w, n.
    decay : float
        λ.

    Returns
    -------
    Case
        With m = 1, and a result of shape ().
    """
    rng = np.random.default_rng(0)
    z = rng.normal(size=(samples, features))
    label = np.sign(z @ rng.normal(size=features) + rng.normal(size=samples))
    data: dict[str, Any] = {"features": fixed(z), "label": fixed(label), "decay": decay}
    return Case(
        name=f"logistic-loss-{samples}-{features}",
        title="logistic regression with weight decay, a scalar",
        source="C. Bishop, Pattern Recognition and Machine Learning, Springer, 2006, section 4.3",
        function=partial(_logistic_loss, **data),
        point=fixed(rng.normal(size=features) / np.sqrt(features)),
        jacobian=partial(_logistic_loss_jacobian, **data),
        pattern=partial(dense, 1, features),
    )


def _perceptron_parts(p: Array, sizes: tuple[int, int, int]) -> list[Array]:
    """Cut all numbers of a perceptron up: input, target, weights and biases of both layers, scale and shift between them."""
    inputs, hidden, outputs = sizes
    shapes = [(inputs,), (outputs,), (hidden, inputs), (hidden,), (outputs, hidden), (outputs,), (hidden,), (hidden,)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [p[end - int(np.prod(shape)) : end].reshape(shape) for end, shape in zip(ends, shapes)]


def _perceptron_loss(p: Array, *, sizes: tuple[int, int, int]) -> float:
    x, y, W1, b1, W2, b2, scale, shift = _perceptron_parts(p, sizes)
    a = np.tanh(W1 @ x + b1)
    centred = a - np.mean(a)
    normal = centred / np.sqrt(np.mean(centred**2) + 1e-6)
    return 0.5 * np.sum((np.tanh(W2 @ (normal * scale + shift) + b2) - y) ** 2)


def _perceptron_loss_jacobian(p: Array, *, sizes: tuple[int, int, int]) -> Array:
    x, y, W1, b1, W2, b2, scale, shift = _perceptron_parts(p, sizes)
    a = np.tanh(W1 @ x + b1)
    spread = (np.var(a) + 1e-6) ** 0.5
    normal = (a - a.mean()) / spread
    z = normal * scale + shift
    out = np.tanh(W2 @ z + b2)
    by_out = out - y
    by_second = by_out * (1 - out**2)
    by_z = by_second @ W2
    by_normal = by_z * scale
    # The mean and the spread depend on every a: what points along either is taken out.
    by_a = (by_normal - by_normal.mean() - normal * (by_normal * normal).mean()) / spread
    by_first = by_a * (1 - a**2)
    parts = (
        by_first @ W1, -by_out, np.outer(by_first, x), by_first, np.outer(by_second, z), by_second, by_z * normal, by_z,
    )  # fmt: skip
    return np.concatenate([np.ravel(part) for part in parts])[np.newaxis]


def perceptron_loss(inputs: int = 4, hidden: int = 8, outputs: int = 4) -> Case:
    r"""The squared error of a perceptron with one hidden, normalised layer, by all of its numbers, a scalar.

    .. math:: f = \tfrac12 \bigl| \tanh\bigl(W_2 (\gamma \odot \operatorname{normal}(\tanh(W_1 x + b_1)) + \beta) + b_2\bigr)
        - y \bigr|^2

    Parameters
    ----------
    inputs, hidden, outputs : int
        The sizes of the layers.

    Returns
    -------
    Case
        With m = 1, a result of shape (), and x, y, W₁, b₁, W₂, b₂, γ and β side by side as variables.

    Notes
    -----
    On its linearised graph the Jacobian takes 5796 multiplications forward, 270 in reverse, and 752 by Markowitz' rule with
    the default sizes. In print orders were compared on a perceptron of this kind, with whole arrays as vertices.
    """
    sizes = (inputs, hidden, outputs)
    count = inputs + outputs + hidden * (inputs + outputs + 3) + outputs
    return Case(
        name=f"perceptron-loss-{inputs}-{hidden}-{outputs}",
        title="perceptron with a normalised layer, a scalar",
        source="J. Ba, J. Kiros, G. Hinton, Layer Normalization, 2016, arXiv:1607.06450",
        function=partial(_perceptron_loss, sizes=sizes),
        point=fixed(np.random.default_rng(0).normal(size=count) / 2),
        jacobian=partial(_perceptron_loss_jacobian, sizes=sizes),
        pattern=partial(dense, 1, count),
    )
