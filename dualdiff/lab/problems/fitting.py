"""Residuals of fits, mostly tall: more observations than parameters. Data are synthetic and always the same."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, dense, entries, fixed

__all__ = ["bundle_adjustment", "exponential_decay", "gaussians", "gaussians_broadcast", "panel_decay"]

Indices = NDArray[np.intp]

_STRD = "NIST, Statistical Reference Datasets, nonlinear regression, doi:10.18434/T43G6C"


def _gaussians(p: Array, *, t: Array, data: Array) -> Array:
    y = p[0]
    for k in range(1, p.size, 3):
        y = y + p[k] * np.exp(-(((t - p[k + 1]) / p[k + 2]) ** 2))
    return y - data


def _gaussians_broadcast(p: Array, *, t: Array, data: Array) -> Array:
    height, centre, width = p[1::3], p[2::3], p[3::3]
    return p[0] + np.exp(-(((t[:, np.newaxis] - centre) / width) ** 2)) @ height - data


def _gaussians_jacobian(p: Array, *, t: Array, data: Array) -> Array:
    # Parameter by parameter: each row of the transpose is written in one stretch of memory.
    J = np.empty((p.size, t.size))
    J[0] = 1
    for k in range(1, p.size, 3):
        height, centre, width = p[k : k + 3]
        z = (t - centre) / width
        np.exp(-(z**2), out=J[k])
        np.multiply(J[k], z, out=J[k + 1])
        J[k + 1] *= 2 * height / width
        np.multiply(J[k + 1], z, out=J[k + 2])
    return J.T


def _gaussians_data(points: int, terms: int) -> tuple[Array, dict[str, Array]]:
    """Return parameters near the best fit, and the abscissae and observations."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, points)
    peaks = np.stack([rng.uniform(0.5, 1.5, terms), (np.arange(terms) + 0.5) / terms, np.full(terms, 0.5 / terms)])
    truth = np.concatenate([[0.2], peaks.T.ravel()])
    data = _gaussians(truth, t=t, data=np.zeros(points)) + 0.01 * rng.normal(size=points)
    return fixed(truth * rng.uniform(0.9, 1.1, truth.size)), {"t": fixed(t), "data": fixed(data)}


def gaussians(points: int = 1000, terms: int = 3) -> Case:
    r"""A spectrum fitted by Gaussian peaks on a constant, one peak after the other in a loop.

    .. math:: r_i = b + \sum_{k=1}^{K} a_k \exp\Bigl(-\bigl(\tfrac{t_i - c_k}{w_k}\bigr)^2\Bigr) - y_i

    The parameters are :math:`b, a_1, c_1, w_1, a_2, \dots`: n = 3K + 1.

    Parameters
    ----------
    points : int
        The number of observations, m.
    terms : int
        The number K of peaks.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros, unless a difference from a centre is exactly zero.
    """
    start, data = _gaussians_data(points, terms)
    return Case(
        name=f"gaussians-{terms}x{points}",
        title="spectrum of Gaussian peaks, peak by peak",
        source=_STRD,
        function=partial(_gaussians, **data),
        point=start,
        jacobian=partial(_gaussians_jacobian, **data),
        pattern=partial(dense, points, 3 * terms + 1),
    )


def gaussians_broadcast(points: int = 1000, terms: int = 3) -> Case:
    """The same residuals as `gaussians`, all peaks at once by broadcasting.

    Parameters
    ----------
    points : int
        The number of observations, m.
    terms : int
        The number K of peaks.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros, unless a difference from a centre is exactly zero.
    """
    start, data = _gaussians_data(points, terms)
    return Case(
        name=f"gaussians-broadcast-{terms}x{points}",
        title="spectrum of Gaussian peaks, all at once",
        source=_STRD,
        function=partial(_gaussians_broadcast, **data),
        point=start,
        jacobian=partial(_gaussians_jacobian, **data),
        pattern=partial(dense, points, 3 * terms + 1),
    )


def _exponential_decay(p: Array, *, t: Array, data: Array) -> Array:
    return p[0] * np.exp(-p[1] * t) + p[2] * np.exp(-p[3] * t) - data


def _exponential_decay_jacobian(p: Array, *, t: Array, data: Array) -> Array:
    J = np.empty((4, t.size))
    for k in (0, 2):
        np.exp(-p[k + 1] * t, out=J[k])
        np.multiply(J[k], t, out=J[k + 1])
        J[k + 1] *= -p[k]
    return J.T


def exponential_decay(points: int = 1000) -> Case:
    r"""Two decays on top of each other, a classic of separable least squares.

    .. math:: r_i = a_1 e^{-k_1 t_i} + a_2 e^{-k_2 t_i} - y_i

    Parameters
    ----------
    points : int
        The number of observations, m; n = 4.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    t = np.linspace(0.1, 5, points)
    truth = np.array([2.0, 0.5, 1.0, 3.0])
    noise = 0.01 * np.random.default_rng(0).normal(size=points)
    data = {"t": fixed(t), "data": fixed(_exponential_decay(truth, t=t, data=-noise))}
    return Case(
        name=f"exponential-decay-{points}",
        title="sum of two exponential decays",
        source=f"G. Golub, V. Pereyra, SIAM J. Numer. Anal. 10(2), 1973, doi:10.1137/0710036; {_STRD}",
        function=partial(_exponential_decay, **data),
        point=fixed(truth * [1.1, 0.9, 1.2, 0.8]),
        jacobian=partial(_exponential_decay_jacobian, **data),
        pattern=partial(dense, points, 4),
    )


def _panel_decay(p: Array, *, t: Array, subject: Indices, data: Array) -> Array:
    amplitude, offset = np.split(p[1:], 2)
    return amplitude[subject] * np.exp(-p[0] * t) + offset[subject] - data


def _panel_decay_jacobian(p: Array, *, t: Array, subject: Indices, data: Array) -> Array:
    subjects = p.size // 2
    decay = np.exp(-p[0] * t)
    J = np.zeros((t.size, p.size))
    i = np.arange(t.size)
    J[:, 0] = -p[1 + subject] * t * decay
    J[i, 1 + subject] = decay
    J[i, 1 + subjects + subject] = 1
    return J


def _panel_decay_pattern(subject: Indices, subjects: int) -> csr_array:
    i = np.arange(subject.size)
    columns = [np.zeros_like(subject), 1 + subject, 1 + subjects + subject]
    return entries(i, columns, (i.size, 1 + 2 * subjects))


def panel_decay(subjects: int = 50, points: int = 10) -> Case:
    r"""One decay rate for all subjects, an amplitude and an offset for each: tall and sparse but for one column.

    .. math:: r_i = a_{s(i)} e^{-k t_i} + b_{s(i)} - y_i

    The parameters are k, all a, all b: n = 1 + 2 subjects. Those of an observation's subject are gathered by index.

    Parameters
    ----------
    subjects : int
    points : int
        The number of observations of each subject: m = subjects · points.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(subjects), points)
    subject.flags.writeable = False
    data = {"t": fixed(rng.uniform(0.1, 3, subject.size)), "data": fixed(rng.uniform(0, 2, subject.size))}
    return Case(
        name=f"panel-decay-{subjects}x{points}",
        title="one common rate, an amplitude and an offset per subject",
        source="J. Pinheiro, D. Bates, Mixed-Effects Models in S and S-PLUS, Springer, 2000, doi:10.1007/b98882",
        function=partial(_panel_decay, subject=subject, **data),
        point=fixed(rng.uniform(0.5, 1.5, 1 + 2 * subjects)),
        jacobian=partial(_panel_decay_jacobian, subject=subject, **data),
        pattern=partial(_panel_decay_pattern, subject, subjects),
    )


def _rotate(points: Array, rotations: Array) -> Array:
    """Turn each point about an axis by the length of the axis (Rodrigues' formula); both of shape (N, 3)."""
    angle = np.linalg.norm(rotations, axis=1)[:, np.newaxis]
    axis = rotations / angle
    along = np.sum(points * axis, axis=1)[:, np.newaxis]
    return np.cos(angle) * points + np.sin(angle) * np.cross(axis, points) + (1 - np.cos(angle)) * along * axis


def _bundle_adjustment(
    x: Array, *, camera_count: int, camera_index: Indices, point_index: Indices, observed: Array
) -> Array:
    cameras = x[: 9 * camera_count].reshape(camera_count, 9)[camera_index]
    points = x[9 * camera_count :].reshape(-1, 3)[point_index]
    seen = _rotate(points, cameras[:, :3]) + cameras[:, 3:6]
    projected = -seen[:, :2] / seen[:, 2:]
    square = np.sum(projected**2, axis=1)
    scale = cameras[:, 6] * (1 + cameras[:, 7] * square + cameras[:, 8] * square**2)
    return (projected * scale[:, np.newaxis] - observed).ravel()


def _cross_matrix(vectors: Array) -> Array:
    """Return the matrices of the products from the left, a × ·, of shape (N, 3, 3)."""
    matrix = np.zeros((len(vectors), 3, 3))
    matrix[:, [2, 0, 1], [1, 2, 0]] = vectors
    matrix[:, [1, 2, 0], [2, 0, 1]] = -vectors
    return matrix


def _bundle_columns(camera_count: int, camera_index: Indices, point_index: Indices) -> Indices:
    """Return the twelve parameters each observation depends on, of shape (observations, 12)."""
    of_camera = 9 * camera_index[:, np.newaxis] + np.arange(9)
    of_point = 9 * camera_count + 3 * point_index[:, np.newaxis] + np.arange(3)
    return np.concatenate([of_camera, of_point], axis=1)


def _bundle_blocks(x: Array, *, camera_count: int, camera_index: Indices, point_index: Indices) -> Array:
    """Return the derivatives of each observation by its twelve parameters, of shape (observations, 2, 12)."""
    cameras = x[: 9 * camera_count].reshape(camera_count, 9)
    points = x[9 * camera_count :].reshape(-1, 3)[point_index]
    # Rotations and their derivatives are the cameras' own, and made once for each.
    angle = np.linalg.norm(cameras[:, :3], axis=1)[:, np.newaxis, np.newaxis]
    K = _cross_matrix(cameras[:, :3] / angle[:, 0])
    K2 = K @ K
    rotation = (np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K2)[camera_index]
    # The right Jacobian of the rotation: turning by ω + δ is turning by Jr δ first and then by ω.
    right = (np.eye(3) - (1 - np.cos(angle)) / angle * K + (1 - np.sin(angle) / angle) * K2)[camera_index]
    translation, (f, k1, k2) = cameras[camera_index, 3:6], cameras[camera_index, 6:].T

    seen = np.einsum("oij,oj->oi", rotation, points) + translation
    p = -seen[:, :2] / seen[:, 2:]
    square = np.sum(p**2, axis=1)
    distortion = 1 + k1 * square + k2 * square**2
    by_seen = np.zeros((len(p), 2, 3))
    by_seen[:, [0, 1], [0, 1]] = distortion[:, np.newaxis]
    by_seen[:, :, :2] += (
        (2 * (k1 + 2 * k2 * square))[:, np.newaxis, np.newaxis] * p[:, :, np.newaxis] * p[:, np.newaxis]
    )
    by_seen[:, :, 2] = np.einsum("oij,oj->oi", by_seen[:, :, :2], p)
    by_seen *= (-f / seen[:, 2])[:, np.newaxis, np.newaxis]

    blocks = np.empty((len(p), 2, 12))
    by_point = np.matmul(by_seen, rotation, out=blocks[:, :, 9:])
    np.matmul(-by_point @ _cross_matrix(points), right, out=blocks[:, :, :3])
    blocks[:, :, 3:6] = by_seen
    blocks[:, :, 6] = distortion[:, np.newaxis] * p
    blocks[:, :, 7] = (f * square)[:, np.newaxis] * p
    blocks[:, :, 8] = square[:, np.newaxis] * blocks[:, :, 7]
    return blocks


def _bundle_adjustment_jacobian(
    x: Array, *, camera_count: int, camera_index: Indices, point_index: Indices, observed: Array
) -> Array:
    blocks = _bundle_blocks(x, camera_count=camera_count, camera_index=camera_index, point_index=point_index)
    J = np.zeros((len(blocks), 2, x.size))
    np.put_along_axis(J, _bundle_columns(camera_count, camera_index, point_index)[:, np.newaxis], blocks, axis=2)
    return J.reshape(2 * len(blocks), x.size)


def _bundle_adjustment_pattern(
    camera_count: int, point_count: int, camera_index: Indices, point_index: Indices
) -> csr_array:
    columns = np.repeat(_bundle_columns(camera_count, camera_index, point_index), 2, axis=0)
    rows = np.arange(len(columns))[:, np.newaxis]
    return entries(rows, columns, (len(columns), 9 * camera_count + 3 * point_count))


def bundle_adjustment(cameras: int = 10, points: int = 100, observations: int = 400) -> Case:
    r"""Where cameras stood and what they saw, from where the points appear in the pictures.

    .. math:: r_o = f\, (1 + k_1 |p|^2 + k_2 |p|^4)\, p - y_o, \qquad
        p = -\frac{(P_1, P_2)}{P_3}, \qquad P = R(\omega) X + t

    A camera has nine parameters, :math:`\omega \in \mathbb{R}^3` (Rodrigues' vector), :math:`t \in \mathbb{R}^3`, the
    focal length f and the radial distortions :math:`k_1, k_2`; a point has three. All cameras stand in x before all
    points. Vectorised over the observations, whose camera and point are gathered by index.

    Parameters
    ----------
    cameras, points : int
        n = 9 cameras + 3 points.
    observations : int
        How many of the pairs of a camera and a point are observed: m = 2 observations.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros: twelve in each row.
    """
    rng = np.random.default_rng(0)
    pairs = np.sort(rng.choice(cameras * points, observations, replace=False))
    index = {"camera_index": pairs // points, "point_index": pairs % points}
    for array in index.values():
        array.flags.writeable = False
    # The cloud of points is about the origin and the cameras look at it from a distance of five, down their z axis.
    pose = np.concatenate([rng.uniform(-0.3, 0.3, (cameras, 3)), rng.uniform(-0.5, 0.5, (cameras, 3))], axis=1)
    pose[:, 5] -= 5
    lens = rng.uniform([400, -0.1, 0.01], [600, -0.05, 0.05], (cameras, 3))
    truth = np.concatenate([np.concatenate([pose, lens], axis=1).ravel(), rng.uniform(-1, 1, 3 * points)])
    pictures = _bundle_adjustment(truth, camera_count=cameras, observed=np.zeros((observations, 2)), **index)
    data: dict[str, Any] = {"camera_count": cameras, "observed": fixed(pictures.reshape(observations, 2)), **index}
    return Case(
        name=f"bundle-adjustment-{cameras}-{points}-{observations}",
        title="cameras and points from pictures",
        source="S. Agarwal, N. Snavely, S. Seitz, R. Szeliski, Bundle Adjustment in the Large, ECCV 2010,"
        " doi:10.1007/978-3-642-15552-9_3",
        function=partial(_bundle_adjustment, **data),
        point=fixed(truth * rng.uniform(0.99, 1.01, truth.size)),
        jacobian=partial(_bundle_adjustment_jacobian, **data),
        pattern=partial(_bundle_adjustment_pattern, cameras, points, **index),
    )
