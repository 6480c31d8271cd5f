"""Finite elements and structures: matrices of elements, assembled in loops."""

import math

import numpy as np
import scipy.sparse as sp

GAUSS = [-1 / math.sqrt(3), 1 / math.sqrt(3)]


def bar(p):
    """The displacements of a tapered bar in the areas of its pieces."""
    n = len(p)
    K = np.zeros((n + 1, n + 1))
    for e in range(n):
        k = 210.0 * p[e] / (1.0 / n)
        K[e : e + 2, e : e + 2] += k * np.array([[1, -1], [-1, 1]])
    F = np.zeros(n + 1)
    F[-1] = 10.0
    u = np.zeros(n + 1)
    u[1:] = np.linalg.solve(K[1:, 1:], F[1:])
    return u


def truss(areas):
    nodes = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [1.5, 1.0]])
    members = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    K = np.zeros((8, 8))
    for area, (i, j) in zip(areas, members):
        d = nodes[j] - nodes[i]
        L = np.linalg.norm(d)
        c, s = d / L
        k = area / L * np.outer([-c, -s, c, s], [-c, -s, c, s])
        dofs = np.array([2 * i, 2 * i + 1, 2 * j, 2 * j + 1])
        K[np.ix_(dofs, dofs)] += k
    free = [2, 4, 5, 6, 7]
    f = np.zeros(8)
    f[5] = -1.0
    u = np.zeros(8)
    u[free] = np.linalg.solve(K[np.ix_(free, free)], f[free])
    return f @ u


def quadrilateral(xy):
    """The stiffness matrix of a bilinear element in the places of its corners."""
    coordinates = xy.reshape(4, 2)
    D = np.zeros((3, 3))
    D[0, 0] = D[1, 1] = 1.0
    D[0, 1] = D[1, 0] = 0.3
    D[2, 2] = 0.35
    K = np.zeros((8, 8))
    for xi in GAUSS:
        for eta in GAUSS:
            dN = 0.25 * np.array([[-(1 - eta), 1 - eta, 1 + eta, -(1 + eta)], [-(1 - xi), -(1 + xi), 1 + xi, 1 - xi]])
            J = dN @ coordinates
            dNdx = np.linalg.inv(J) @ dN
            B = np.zeros((3, 8))
            for a in range(4):
                B[0, 2 * a] = dNdx[0, a]
                B[1, 2 * a + 1] = dNdx[1, a]
                B[2, 2 * a] = dNdx[1, a]
                B[2, 2 * a + 1] = dNdx[0, a]
            K += B.T @ D @ B * np.linalg.det(J)
    return K


class Mesh:
    def __init__(self, n):
        self.n = n
        self.points = np.array([(i / n, j / n) for j in range(n + 1) for i in range(n + 1)])
        self.triangles = []
        for j in range(n):
            for i in range(n):
                a = j * (n + 1) + i
                self.triangles += [(a, a + 1, a + n + 2), (a, a + n + 2, a + n + 1)]

    def interior(self):
        on = (self.points > 1e-9) & (self.points < 1 - 1e-9)
        return np.flatnonzero(on.all(axis=1))


class Poisson:
    """A nonlinear conduction problem on triangles: the residual of its nodes."""

    def __init__(self, mesh):
        self.mesh = mesh

    def element(self, vertices, values):
        e = np.roll(vertices, -1, axis=0) - np.roll(vertices, -2, axis=0)
        area = 0.5 * abs(e[0, 0] * e[1, 1] - e[0, 1] * e[1, 0])
        mean = values.mean()
        conductivity = 1.0 + mean**2
        stiffness = np.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                stiffness[i, j] = e[i] @ e[j] / (4 * area)
        return conductivity * stiffness @ values - area / 3 * np.ones(3)

    def residual(self, u):
        full = np.zeros(len(self.mesh.points))
        inside = self.mesh.interior()
        full[inside] = u
        R = np.zeros_like(full)
        for triangle in self.mesh.triangles:
            dofs = list(triangle)
            R[dofs] += self.element(self.mesh.points[dofs], full[dofs])
        return R[inside]


def beam_frequencies(p):
    """The square of the lowest two frequencies of a cantilever, by the mass matrix's Cholesky factor."""
    E, rho = p
    n, L = 3, 1.0
    h = L / n
    ndof = 2 * (n + 1)
    K, M = np.zeros((ndof, ndof)), np.zeros((ndof, ndof))
    ke = E / h**3 * np.array([[12, 6 * h, -12, 6 * h], [6 * h, 4 * h**2, -6 * h, 2 * h**2],
                              [-12, -6 * h, 12, -6 * h], [6 * h, 2 * h**2, -6 * h, 4 * h**2]])  # fmt: skip
    me = rho * h / 420 * np.array([[156, 22 * h, 54, -13 * h], [22 * h, 4 * h**2, 13 * h, -3 * h**2],
                                   [54, 13 * h, 156, -22 * h], [-13 * h, -3 * h**2, -22 * h, 4 * h**2]])  # fmt: skip
    for e in range(n):
        s = slice(2 * e, 2 * e + 4)
        K[s, s] += ke
        M[s, s] += me
    C = np.linalg.cholesky(M[2:, 2:])
    Ci = np.linalg.inv(C)
    return np.linalg.eigvalsh(Ci @ K[2:, 2:] @ Ci.T)[:2]


def neo_hookean(u):
    """The energy of one stretched triangle."""
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    x = X + np.reshape(u, (3, 2))
    Ds = np.column_stack((x[1] - x[0], x[2] - x[0]))
    Dm = np.column_stack((X[1] - X[0], X[2] - X[0]))
    F = Ds.dot(np.linalg.inv(Dm))
    J = np.linalg.det(F)
    I1 = np.trace(F.T.dot(F))
    return 0.5 * (0.5 * (I1 - 2 - 2 * math.log(J)) + 0.5 * 2.0 * math.log(J) ** 2)


def heat_loss(k):
    """A wall of layers, its conductivities harmonic means, one row of the matrix after the other."""
    n = k.size
    A = np.zeros((n, n))
    b = np.zeros(n)
    for i in range(n):
        left = 2 * k[i] if i == 0 else 2 * k[i] * k[i - 1] / (k[i] + k[i - 1])
        right = 2 * k[i] if i == n - 1 else 2 * k[i] * k[i + 1] / (k[i] + k[i + 1])
        A[i, i] = left + right
        if i == 0:
            b[i] += left * 20.0
        else:
            A[i, i - 1] = -left
        if i == n - 1:
            b[i] += right * -5.0
        else:
            A[i, i + 1] = -right
    T = np.linalg.solve(A, b)
    return 2 * k[0] * (20.0 - T[0])


def hyperelastic_chain(u):
    """Springs in a row: the incidence is a sparse matrix, and its transpose sums the forces."""
    n = len(u)
    G = sp.lil_matrix((n + 1, n))
    for i in range(n):
        G[i, i] = 1.0
        G[i + 1, i] = -1.0
    G = G.tocsr()
    strain = G @ u
    force = strain + 0.5 * strain**3
    return G.T @ force - 0.1


def energy_of_a_plate(w):
    """Second differences at the inner points, by slices of an array with its border."""
    n = 4
    W = np.zeros((n + 4, n + 4))
    W[2:-2, 2:-2] = w.reshape((n, n))
    bending = (W[2:, 1:-1] + W[:-2, 1:-1] + W[1:-1, 2:] + W[1:-1, :-2] - 4 * W[1:-1, 1:-1]) ** 2
    return 0.5 * bending.sum() - 0.01 * W.sum()


def scattered(q):
    """Loads of elements summed into nodes with np.add.at."""
    connectivity = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    loads = np.zeros(4)
    np.add.at(loads, connectivity, 0.5 * q[:, None] ** 2)
    loads[0] *= 2
    return loads


POINTS = [
    (bar, [1.0, 0.8, 0.6, 0.5]),
    (truss, [1.0, 1.5, 0.8, 1.2, 0.9]),
    (quadrilateral, [0.0, 0.1, 1.1, -0.1, 1.2, 0.9, -0.1, 1.0]),
    (Poisson(Mesh(3)).residual, [0.1, 0.2, 0.15, 0.05]),
    (beam_frequencies, [1.3, 0.9]),
    (neo_hookean, [0.1, -0.05, 0.2, 0.1, 0.05, 0.15]),
    (heat_loss, [0.5, 1.2, 0.04, 0.8]),
    (hyperelastic_chain, [0.1, 0.3, 0.2, -0.1]),
    (energy_of_a_plate, [0.01 * (i % 5) + 0.02 for i in range(16)]),
    (scattered, [1.0, -0.5, 2.0, 0.3]),
]
