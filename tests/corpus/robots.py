"""Arms, wheels and cameras: products of rotations."""

import math
from functools import reduce
from math import cos, sin

import numpy as np
from scipy.spatial.transform import Rotation

PUMA = [
    (0.0, math.pi / 2, 0.0),
    (0.4318, 0.0, 0.0),
    (0.0203, -math.pi / 2, 0.15005),
    (0.0, math.pi / 2, 0.4318),
    (0.0, -math.pi / 2, 0.0),
    (0.0, 0.0, 0.056),
]


def dh_matrix(theta, a, alpha, d):
    return np.array([
        [cos(theta), -sin(theta) * cos(alpha), sin(theta) * sin(alpha), a * cos(theta)],
        [sin(theta), cos(theta) * cos(alpha), -cos(theta) * sin(alpha), a * sin(theta)],
        [0, sin(alpha), cos(alpha), d],
        [0, 0, 0, 1],
    ])  # fmt: skip


def puma(q):
    T = np.identity(4)
    for angle, (a, alpha, d) in zip(q, PUMA):
        T = np.dot(T, dh_matrix(angle, a, alpha, d))
    return T[:3, :]


def planar_arm(q):
    angles = np.cumsum(q)
    lengths = np.array([1.0, 0.8, 0.5])
    joints = np.zeros((len(q) + 1, 2))
    for i in range(len(q)):
        joints[i + 1] = joints[i] + lengths[i] * np.array([np.cos(angles[i]), np.sin(angles[i])])
    return joints[1:]


def reduced_arm(q):
    def joint(angle):
        t = np.eye(4)
        t[:3, :3] = Rotation.from_euler("z", angle).as_matrix()
        t[0, 3] = 0.5
        return t

    return reduce(np.matmul, [joint(angle) for angle in q])[:3, 3]


class TwoLinks:
    """Accelerations of a double pendulum with torques, from its mass matrix."""

    m1, m2, l1, l2, g = 1.0, 0.8, 1.0, 0.7, 9.81

    def mass(self, q):
        M = np.zeros((2, 2))
        c = math.cos(q[1])
        M[0, 0] = (self.m1 + self.m2) * self.l1**2 + self.m2 * self.l2**2 + 2 * self.m2 * self.l1 * self.l2 * c
        M[0, 1] = M[1, 0] = self.m2 * self.l2**2 + self.m2 * self.l1 * self.l2 * c
        M[1, 1] = self.m2 * self.l2**2
        return M

    def bias(self, q, dq):
        h = self.m2 * self.l1 * self.l2 * math.sin(q[1])
        coriolis = np.array([-h * (2 * dq[0] * dq[1] + dq[1] ** 2), h * dq[0] ** 2])
        gravity = np.zeros(2)
        gravity[1] = self.m2 * self.g * self.l2 * math.cos(q[0] + q[1])
        gravity[0] = (self.m1 + self.m2) * self.g * self.l1 * math.cos(q[0]) + gravity[1]
        return coriolis + gravity

    def __call__(self, state):
        q, dq, tau = state[:2], state[2:4], state[4:]
        return np.linalg.solve(self.mass(q), tau - self.bias(q, dq))


def quaternion_multiply(a, b):
    w, x, y, z = a
    W, X, Y, Z = b
    return np.array([w * W - x * X - y * Y - z * Z, w * X + x * W + y * Z - z * Y,
                     w * Y - x * Z + y * W + z * X, w * Z + x * Y - y * X + z * W])  # fmt: skip


def attitude(rates):
    """A gyroscope's rates integrated, normalised at every step."""
    q = np.array([1.0, 0.0, 0.0, 0.0])
    for w in rates.reshape(-1, 3):
        dq = 0.5 * quaternion_multiply(q, np.concatenate(([0.0], w)))
        q = q + 0.1 * dq
        q /= np.linalg.norm(q)
    return q


def rodrigues(r):
    theta = np.linalg.norm(r)
    if theta < 1e-12:
        return np.eye(3)
    k = r / theta
    K = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(theta) * K + (1 - np.cos(theta)) * (K @ K)


def projection(camera):
    """A pinhole with radial distortion, points one after the other."""
    points = np.array([[0.1, 0.2, 4.0], [-0.3, 0.5, 5.0], [0.6, -0.4, 3.0]])
    R = rodrigues(camera[:3])
    t = camera[3:6]
    f, k1, k2 = camera[6:]
    image = np.empty((len(points), 2))
    for i, X in enumerate(points):
        p = R @ X + t
        u = -p[:2] / p[2]
        n = u @ u
        image[i] = f * (1 + k1 * n + k2 * n**2) * u
    return image.ravel()


def rotated(p):
    v = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]])
    return Rotation.from_rotvec(p).apply(v)


def stewart(pose):
    """The legs of a platform."""
    x, y, z, roll, pitch, yaw = pose
    cr, sr = math.cos(roll), math.sin(roll)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    Rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    Ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    Rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    R = Rz @ Ry @ Rx
    legs = np.zeros(6)
    for k in range(6):
        a = math.radians(60 * k)
        base = np.array([2 * math.cos(a), 2 * math.sin(a), 0])
        plate = np.array([math.cos(a + 0.3), math.sin(a + 0.3), 0])
        legs[k] = math.dist(np.array([x, y, z]) + R @ plate, base)
    return legs


def unicycle(u):
    """Controls of five steps to the distance from a goal and from an obstacle."""
    controls = np.reshape(u, (-1, 2))
    state = np.zeros(3)
    path = [state]
    for v, w in controls:
        state = state + 0.2 * np.array([v * math.cos(state[2]), v * math.sin(state[2]), w])
        path.append(state)
    path = np.vstack(path)
    goal = np.array([1.0, 1.0])
    cost = np.sum((path[-1, :2] - goal) ** 2) + 1e-2 * np.sum(controls**2)
    for p in path[1:]:
        distance = math.hypot(p[0] - 0.5, p[1] - 0.4)
        cost += max(0.0, 0.6 - distance) ** 2
    return cost


def odometry(d):
    pose = {"x": 0.0, "y": 0.0, "heading": 0.0}
    for i in range(0, len(d), 2):
        left, right = d[i], d[i + 1]
        pose["heading"] += (right - left) / 0.4
        pose["x"] += (left + right) / 2 * math.cos(pose["heading"])
        pose["y"] += (left + right) / 2 * math.sin(pose["heading"])
    return pose


def homography(h):
    """Four corners to four corners: the null vector of a matrix filled row by row."""
    src = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    dst = h.reshape(4, 2)
    A = np.zeros((8, 9))
    for i in range(4):
        X, Y = src[i]
        u, v = dst[i]
        A[2 * i] = [-X, -Y, -1, 0, 0, 0, u * X, u * Y, u]
        A[2 * i + 1] = [0, 0, 0, -X, -Y, -1, v * X, v * Y, v]
    H = np.append(np.linalg.solve(A[:, :8], -A[:, 8]), 1.0).reshape(3, 3)
    p = H @ np.array([0.3, 0.6, 1.0])
    return p[:2] / p[2]


POINTS = [
    (puma, [0.1, -0.4, 0.7, 0.2, 0.9, -0.3]),
    (planar_arm, [0.3, 0.5, -0.7]),
    (reduced_arm, [0.4, -0.2, 0.8]),
    (TwoLinks(), [0.5, -0.3, 1.0, 0.7, 0.2, -0.1]),
    (attitude, [0.1, 0.3, -0.2, 0.5, 0.1, 0.4]),
    (rodrigues, [0.3, -0.4, 0.5]),
    (projection, [0.1, 0.2, -0.1, 0.3, -0.2, -8.0, 500.0, 0.1, -0.02]),
    (rotated, [0.3, -0.4, 0.5]),
    (stewart, [0.1, -0.2, 2.0, 0.05, 0.1, -0.15]),
    (unicycle, [1.0, 0.5, 1.2, 0.4, 0.8, -0.3, 1.1, 0.2, 0.9, 0.1]),
    (odometry, [0.1, 0.12, 0.2, 0.15, 0.1, 0.11]),
    (homography, [0.1, 0.0, 1.2, 0.1, 1.1, 0.9, -0.1, 1.2]),
]
