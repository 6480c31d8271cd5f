"""Things that move, react or pull on one another."""

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, dense, entries, fixed

__all__ = [
    "gravity",
    "lorenz_rk4",
    "oscillator_chain",
    "planar_arm",
    "planar_links",
    "puma_arm",
    "robertson",
    "robertson_cells",
]

_HAIRER = (
    "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer, 1996, doi:10.1007/978-3-642-05221-7"
)
_ROBERTSON = (
    "H. Robertson, The solution of a set of reaction rate equations, in J. Walsh (ed.), Numerical Analysis: An"
    f" Introduction, Academic Press, 1966; {_HAIRER}"
)
_LINKS = (
    "J. Denavit, R. Hartenberg, A kinematic notation for lower-pair mechanisms based on matrices, J. Appl. Mech. 22,"
    " 1955"
)


def _lorenz(state: Array, sigma: float, rho: float, beta: float) -> Array:
    x, y, z = state
    return np.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def _lorenz_rk4(x: Array, *, steps: int, h: float) -> Array:
    state = x[:3]
    sigma, rho, beta = x[3:]
    for _ in range(steps):
        k1 = _lorenz(state, sigma, rho, beta)
        k2 = _lorenz(state + h / 2 * k1, sigma, rho, beta)
        k3 = _lorenz(state + h / 2 * k2, sigma, rho, beta)
        k4 = _lorenz(state + h * k3, sigma, rho, beta)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def _lorenz_variations(state: Array, S: Array, sigma: float, rho: float, beta: float) -> tuple[Array, Array]:
    """Return the velocity, and the velocity of the derivatives S of the state by start and parameters."""
    x, y, z = state
    by_state = np.array([[-sigma, sigma, 0], [rho - z, -1, -x], [y, x, -beta]])
    velocity = by_state @ S
    velocity[[0, 1, 2], [3, 4, 5]] += y - x, x, -z
    return _lorenz(state, sigma, rho, beta), velocity


def _lorenz_rk4_jacobian(x: Array, *, steps: int, h: float) -> Array:
    state, S = x[:3], np.eye(3, 6)
    sigma, rho, beta = x[3:]
    for _ in range(steps):
        k1, K1 = _lorenz_variations(state, S, sigma, rho, beta)
        k2, K2 = _lorenz_variations(state + h / 2 * k1, S + h / 2 * K1, sigma, rho, beta)
        k3, K3 = _lorenz_variations(state + h / 2 * k2, S + h / 2 * K2, sigma, rho, beta)
        k4, K4 = _lorenz_variations(state + h * k3, S + h * K3, sigma, rho, beta)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        S = S + h / 6 * (K1 + 2 * K2 + 2 * K3 + K4)
    return S


def lorenz_rk4(steps: int = 50, *, h: float = 0.01) -> Case:
    r"""The Lorenz system after some steps of the classical Runge–Kutta method, by start and parameters.

    .. math:: \dot x = \sigma (y - x), \qquad \dot y = x (\rho - z) - y, \qquad \dot z = x y - \beta z

    The variables are x, y, z at the start, σ, ρ, β; the results x, y, z at the end. A long program of scalars.

    Parameters
    ----------
    steps : int
        The number of steps.
    h : float
        The time of each.

    Returns
    -------
    Case
        With n = 6, m = 3.
    """
    return Case(
        name=f"lorenz-rk4-{steps}",
        title="Lorenz system after Runge-Kutta steps, by start and parameters",
        source="E. Lorenz, J. Atmos. Sci. 20, 1963, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2",
        function=partial(_lorenz_rk4, steps=steps, h=h),
        point=fixed([1.2, -0.7, 20.0, 10.0, 28.0, 8 / 3]),
        jacobian=partial(_lorenz_rk4_jacobian, steps=steps, h=h),
        pattern=partial(dense, 3, 6),
    )


def _planar_arm(x: Array, *, lengths: Array) -> Array:
    direction = np.cumsum(x)
    return np.stack([np.sum(lengths * np.cos(direction)), np.sum(lengths * np.sin(direction))])


def _planar_arm_jacobian(x: Array, *, lengths: Array) -> Array:
    direction = np.cumsum(x)
    # A joint turns the rest of the arm: sums from the far end.
    links = np.stack([-lengths * np.sin(direction), lengths * np.cos(direction)])
    return np.cumsum(links[:, ::-1], axis=1)[:, ::-1]


def _arm_start(links: int) -> Array:
    return fixed(np.random.default_rng(0).uniform(-0.5, 0.5, links))


def planar_arm(links: int = 100) -> Case:
    r"""Where a planar arm ends, by the angles of its joints.

    .. math:: f = \sum_i \ell_i\, (\cos \varphi_i, \sin \varphi_i), \qquad \varphi_i = \sum_{j \le i} x_j

    Parameters
    ----------
    links : int
        The number of joints, n, each followed by a link; the arm's length is 1.

    Returns
    -------
    Case
        With m = 2.
    """
    lengths = fixed(np.full(links, 1 / links))
    return Case(
        name=f"planar-arm-{links}",
        title="end of a planar arm by its joint angles",
        source=_LINKS,
        function=partial(_planar_arm, lengths=lengths),
        point=_arm_start(links),
        jacobian=partial(_planar_arm_jacobian, lengths=lengths),
        pattern=partial(dense, 2, links),
    )


def _planar_links(x: Array, *, lengths: Array) -> Array:
    direction = np.cumsum(x)
    ends = np.stack([np.cumsum(lengths * np.cos(direction)), np.cumsum(lengths * np.sin(direction))], axis=1)
    return ends.ravel()


def _planar_links_jacobian(x: Array, *, lengths: Array) -> Array:
    n = x.size
    ends = _planar_links(x, lengths=lengths).reshape(n, 2)
    joints = np.concatenate([np.zeros((1, 2)), ends[:-1]])
    # A joint turns what lies beyond it, at right angles to the arm from the joint.
    arms = ends[:, np.newaxis] - joints
    J = np.zeros((n, 2, n))
    beyond = np.tri(n)
    np.multiply(arms[:, :, 1], -beyond, out=J[:, 0])
    np.multiply(arms[:, :, 0], beyond, out=J[:, 1])
    return J.reshape(2 * n, n)


def _planar_links_pattern(links: int) -> csr_array:
    return csr_array(np.repeat(np.tri(links, dtype=bool), 2, axis=0))


def planar_links(links: int = 100) -> Case:
    """Where every link of a planar arm ends, by the angles of its joints: a triangular Jacobian.

    The arm is that of `planar_arm`.

    Parameters
    ----------
    links : int
        The number of joints, n, each followed by a link; m = 2 n.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    lengths = fixed(np.full(links, 1 / links))
    return Case(
        name=f"planar-links-{links}",
        title="ends of all links of a planar arm by its joint angles",
        source=_LINKS,
        function=partial(_planar_links, lengths=lengths),
        point=_arm_start(links),
        jacobian=partial(_planar_links_jacobian, lengths=lengths),
        pattern=partial(_planar_links_pattern, links),
    )


#: A row a joint, in metres: the twist's cosine and sine, the link's length, its offset. The last offset is a tool.
_PUMA = (
    (0, 1, 0.0, 0.0),
    (1, 0, 0.4318, 0.0),
    (0, -1, 0.0203, 0.15005),
    (0, 1, 0.0, 0.4318),
    (0, -1, 0.0, 0.0),
    (1, 0, 0.0, 0.1),
)


def _puma_link(angle: float, twist_cosine: float, twist_sine: float, length: float, offset: float) -> Array:
    c, s, ca, sa = np.cos(angle), np.sin(angle), twist_cosine, twist_sine
    rows = [
        [c, -s * ca, s * sa, length * c],
        [s, c * ca, -c * sa, length * s],
        [0.0, sa, ca, offset],
        [0.0, 0.0, 0.0, 1.0],
    ]
    return np.stack([np.stack(row) for row in rows])


def _puma_arm(x: Array) -> Array:
    pose = np.eye(4)
    for angle, geometry in zip(x, _PUMA):
        pose = pose @ _puma_link(angle, *geometry)
    return pose[:3].ravel()


def _puma_arm_jacobian(x: Array) -> Array:
    links = np.stack([_puma_link(angle, *geometry) for angle, geometry in zip(x, _PUMA)])
    # Turning further changes the cosine as minus the sine, and the sine as the cosine.
    turns = np.zeros_like(links)
    turns[:, 0], turns[:, 1] = -links[:, 1], links[:, 0]
    J = np.empty((12, 6))
    before, after = np.eye(4)[:3], [np.eye(4)]
    for link in links[:0:-1]:
        after.append(link @ after[-1])
    for i in range(6):
        J[:, i] = (before @ turns[i] @ after[5 - i]).ravel()
        before = before @ links[i]
    return J


def puma_arm() -> Case:
    r"""The pose of the hand of a PUMA 560 robot by its six joint angles, a product of Denavit–Hartenberg matrices.

    .. math:: f = \prod_{i=1}^{6} \begin{pmatrix}
        \cos\theta_i & -\sin\theta_i \cos\alpha_i & \sin\theta_i \sin\alpha_i & a_i \cos\theta_i \\
        \sin\theta_i & \cos\theta_i \cos\alpha_i & -\cos\theta_i \sin\alpha_i & a_i \sin\theta_i \\
        0 & \sin\alpha_i & \cos\alpha_i & d_i \\ 0 & 0 & 0 & 1 \end{pmatrix}

    of which the first three rows are the result: orientation and position (in metres). Matrices are made by
    `numpy.array` from single entries.

    Returns
    -------
    Case
        With n = 6, m = 12, and without a pattern.
    """
    return Case(
        name="puma-arm",
        title="pose of a PUMA robot's hand by its joint angles",
        source=f"{_LINKS}; P. Corke, B. Armstrong-Hélouvry, A search for consensus among model parameters reported for"
        " the PUMA 560 robot, IEEE Int. Conf. Robotics and Automation, 1994",
        function=_puma_arm,
        point=fixed([0.3, -0.8, 0.6, 1.1, -0.4, 0.9]),
        jacobian=_puma_arm_jacobian,
    )


def _robertson(x: Array) -> Array:
    slow, fast, middle = 0.04 * x[0], 3e7 * x[1] ** 2, 1e4 * x[1] * x[2]
    return np.stack([middle - slow, slow - middle - fast, fast])


def _robertson_jacobian(x: Array) -> Array:
    a, b, c = 1e4 * x[2], 1e4 * x[1], 6e7 * x[1]
    return np.array([[-0.04, a, b], [0.04, -a - c, -b], [0, c, 0]])


def _robertson_pattern() -> csr_array:
    return csr_array(np.array([[1, 1, 1], [1, 1, 1], [0, 1, 0]], dtype=bool))


def robertson() -> Case:
    r"""Robertson's kinetics of three species, the shortest of all: its Jacobian is pure overhead.

    .. math:: \dot y_1 = -k_1 y_1 + k_3 y_2 y_3, \qquad \dot y_3 = k_2 y_2^2, \qquad
        \dot y_2 = -\dot y_1 - \dot y_3

    with :math:`k_1 = 0.04`, :math:`k_2 = 3 \cdot 10^7`, :math:`k_3 = 10^4`.

    Returns
    -------
    Case
        With n = m = 3; the pattern is exactly the nonzeros.
    """
    return Case(
        name="robertson",
        title="kinetics of three species",
        source=_ROBERTSON,
        function=_robertson,
        point=fixed([0.8, 2e-5, 0.2]),
        jacobian=_robertson_jacobian,
        pattern=_robertson_pattern,
    )


def _robertson_cells(x: Array, *, old: Array, h: float, diffusion: float) -> Array:
    y = x.reshape(-1, 3)
    slow, fast, middle = 0.04 * y[:, 0], 3e7 * y[:, 1] ** 2, 1e4 * y[:, 1] * y[:, 2]
    rate = np.stack([middle - slow, slow - middle - fast, fast], axis=1)
    padded = np.pad(y, ((1, 1), (0, 0)), mode="edge")
    exchange = diffusion * (padded[2:] - 2 * y + padded[:-2])
    return (y - old - h * (rate + exchange)).ravel()


def _robertson_cells_jacobian(x: Array, *, old: Array, h: float, diffusion: float) -> Array:
    y = x.reshape(-1, 3)
    cells = len(y)
    i, species = np.arange(cells), np.arange(3)
    a, b, c = h * 1e4 * y[:, 2], h * 1e4 * y[:, 1], h * 6e7 * y[:, 1]
    blocks = np.zeros((3, 3, cells))
    blocks[0, 0], blocks[0, 1], blocks[0, 2] = h * 0.04, -a, -b
    blocks[1, 0], blocks[1, 1], blocks[1, 2] = -h * 0.04, a + c, b
    blocks[2, 1] = -c
    neighbours = np.full(cells, 2.0)
    neighbours[[0, -1]] = 1
    blocks[species, species] += 1 + h * diffusion * neighbours
    J = np.zeros((cells, 3, cells, 3))
    J[i, :, i] = blocks.transpose(2, 0, 1)
    for k in range(3):
        J[i[1:], k, i[:-1], k] = J[i[:-1], k, i[1:], k] = -h * diffusion
    return J.reshape(x.size, x.size)


def _robertson_cells_pattern(cells: int) -> csr_array:
    cell = 3 * np.arange(cells)[:, np.newaxis]
    inside = cell + np.array([0, 0, 0, 1, 1, 1, 2, 2]), cell + np.array([0, 1, 2, 0, 1, 2, 1, 2])
    # A species moves to the next cell, three places on.
    i = np.arange(3 * (cells - 1))
    rows = np.concatenate([inside[0].ravel(), i, i + 3])
    return entries(rows, np.concatenate([inside[1].ravel(), i + 3, i]), (3 * cells, 3 * cells))


def robertson_cells(cells: int = 300, *, h: float = 0.01, diffusion: float = 0.5) -> Case:
    r"""One implicit Euler step of Robertson's kinetics in a row of cells with exchange between neighbours.

    .. math:: f_i = y_i - y_i^{\text{old}} - h \bigl(r(y_i) + D (y_{i-1} - 2 y_i + y_{i+1})\bigr)

    with nothing through the ends: block-tridiagonal, with diagonal blocks beside the diagonal.

    Parameters
    ----------
    cells : int
        n = m = 3 cells; at least 2.
    h : float
        The time step.
    diffusion : float
        D, the rate of exchange.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    rng = np.random.default_rng(0)
    old = rng.uniform([0.7, 1e-5, 0.1], [0.9, 3e-5, 0.3], (cells, 3))
    data: dict[str, Any] = {"old": fixed(old), "h": h, "diffusion": diffusion}
    return Case(
        name=f"robertson-cells-{cells}",
        title="implicit step of reacting cells in a row",
        source=_ROBERTSON,
        function=partial(_robertson_cells, **data),
        point=fixed((old * rng.uniform(0.9, 1.1, old.shape)).ravel()),
        jacobian=partial(_robertson_cells_jacobian, **data),
        pattern=partial(_robertson_cells_pattern, cells),
    )


def _gravity(x: Array, *, mass: Array, softening: float) -> Array:
    place = x.reshape(-1, 3)
    apart = place - place[:, np.newaxis]
    square = np.sum(apart**2, axis=-1) + softening**2
    return np.sum((mass / square**1.5)[:, :, np.newaxis] * apart, axis=1).ravel()


def _gravity_jacobian(x: Array, *, mass: Array, softening: float) -> Array:
    place = x.reshape(-1, 3)
    bodies = len(place)
    i, axis = np.arange(bodies), np.arange(3)
    apart = place - place[:, np.newaxis]
    square = np.sum(apart**2, axis=-1) + softening**2
    pull = mass / square**1.5
    J = np.empty((bodies, 3, bodies, 3))
    np.multiply(
        (apart * (-3 * pull / square)[:, :, np.newaxis]).transpose(0, 2, 1)[..., np.newaxis],
        apart[:, np.newaxis],
        out=J,
    )
    J[:, axis, :, axis] += pull
    # A body does not pull itself, and moving it is moving all others the other way.
    J[i, :, i] = 0
    J[i, :, i] = -J.sum(axis=2)
    return J.reshape(x.size, x.size)


def gravity(bodies: int = 60, *, softening: float = 0.1) -> Case:
    r"""The accelerations of bodies that attract one another, all pairs at once.

    .. math:: f_i = \sum_j m_j \frac{x_j - x_i}{(|x_j - x_i|^2 + \varepsilon^2)^{3/2}}

    with the gravitational constant as the unit.

    Parameters
    ----------
    bodies : int
        n = m = 3 bodies.
    softening : float
        ε, which keeps close encounters finite.

    Returns
    -------
    Case
    """
    rng = np.random.default_rng(0)
    data: dict[str, Any] = {"mass": fixed(rng.uniform(0.5, 1.5, bodies) / bodies), "softening": softening}
    return Case(
        name=f"gravity-{bodies}",
        title="accelerations of bodies by their places",
        source="S. Aarseth, Gravitational N-Body Simulations, Cambridge, 2003, doi:10.1017/CBO9780511535246",
        function=partial(_gravity, **data),
        point=fixed(rng.normal(size=3 * bodies)),
        jacobian=partial(_gravity_jacobian, **data),
        pattern=partial(dense, 3 * bodies, 3 * bodies),
    )


def _oscillator_chain(x: Array, *, bend: float) -> Array:
    place, momentum = np.split(x, 2)
    strain = np.diff(np.pad(place, 1))
    return np.concatenate([momentum, np.diff(strain + bend * strain**2)])


def _oscillator_chain_jacobian(x: Array, *, bend: float) -> Array:
    n = x.size // 2
    stiffness = 1 + 2 * bend * np.diff(np.pad(x[:n], 1))
    i = np.arange(n)
    J = np.zeros((2 * n, 2 * n))
    J[i, n + i] = 1
    J[n + i, i] = -(stiffness[:-1] + stiffness[1:])
    J[n + i[1:], i[:-1]] = J[n + i[:-1], i[1:]] = stiffness[1:-1]
    return J


def _oscillator_chain_pattern(n: int) -> csr_array:
    i = np.arange(n)
    rows = np.concatenate([i, n + i, n + i[1:], n + i[:-1]])
    return entries(rows, np.concatenate([n + i, i, i[:-1], i[1:]]), (2 * n, 2 * n))


def oscillator_chain(masses: int = 400, *, bend: float = 0.25) -> Case:
    r"""Masses between springs that harden as they stretch (Fermi, Pasta, Ulam and Tsingou), written with `numpy.diff`.

    .. math:: \dot q_i = p_i, \qquad \dot p_i = T(q_{i+1} - q_i) - T(q_i - q_{i-1}), \qquad
        T(s) = s + \alpha s^2

    with both ends held fast; all q stand before all p.

    Parameters
    ----------
    masses : int
        n = m = 2 masses.
    bend : float
        α.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"oscillator-chain-{masses}",
        title="masses between nonlinear springs",
        source="E. Fermi, J. Pasta, S. Ulam, Studies of Nonlinear Problems I, Los Alamos report LA-1940, 1955",
        function=partial(_oscillator_chain, bend=bend),
        point=fixed(np.random.default_rng(0).uniform(-0.5, 0.5, 2 * masses)),
        jacobian=partial(_oscillator_chain_jacobian, bend=bend),
        pattern=partial(_oscillator_chain_pattern, masses),
    )
