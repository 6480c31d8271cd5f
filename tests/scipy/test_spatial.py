"""scipy.spatial: distances and rotations, with SciPy's own values, by capture of plain code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial as sp
import scipy.spatial.distance as sd
from scipy.spatial.distance import cdist, pdist
from scipy.spatial.transform import Rotation

import dualdiff as dd
from dualdiff.errors import DegenerateError, DerivativeError, UnsupportedFunctionError
from dualdiff.testing import check

RNG = np.random.default_rng(2)
A, B, W = RNG.random((4, 3)) + 0.1, RNG.random((5, 3)) + 0.1, RNG.random(3) + 0.1
V, Q = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 4))

pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")


def agrees(f: Any, *args: Any, order: int = 1, **options: Any) -> None:
    report = check(f, *args, directions=1, order=order, **options)
    assert report.verdict == "agree", report.doubts


def joined(*parts: Any) -> Any:
    return np.concatenate([np.ravel(p) for p in parts])


WEIGHTED = [
    "euclidean",
    "sqeuclidean",
    "cityblock",
    "chebyshev",
    "minkowski",
    "cosine",
    "correlation",
    "canberra",
    "braycurtis",
]


@pytest.mark.parametrize("metric", WEIGHTED)
def test_distances_by_points_and_weights(metric: str) -> None:
    def f(a: Any, w: Any) -> Any:
        one = getattr(sd, metric)
        return joined(
            cdist(a, B, metric), pdist(a, metric), cdist(a, B, metric, w=w), one(a[0], B[0]), one(a[0], a[1], w=w)
        )

    agrees(f, A, W, order=2 if metric in ("euclidean", "cosine") else 1)


def test_distances_with_matrices_exponents_and_functions() -> None:
    def f(a: Any, m: Any) -> Any:
        return joined(
            cdist(a, B, "seuclidean"),
            cdist(a, B, "seuclidean", V=m[0] ** 2),
            cdist(a, B, "mahalanobis"),
            cdist(a, B, "mahalanobis", VI=m @ m.T + np.eye(3)),
            cdist(a, B, "jensenshannon"),
            cdist(a, B, "minkowski", p=3.5),
            cdist(a, B, "minkowski", p=1),
            pdist(a, lambda u, v: np.sum((u - v) ** 4)),
            sd.seuclidean(a[0], a[1], m[0] ** 2),
            sd.mahalanobis(a[0], a[1], np.diag(m[0] ** 2)),
            sd.jensenshannon(a[0], a[1], 2.0),
            sd.minkowski(a[0], a[1], 3),
            sd.correlation(a[0], a[1], centered=False),
        )

    agrees(f, A, V)


def test_a_distance_hangs_on_two_points() -> None:
    J = dd.jacobian(lambda a: cdist(a, B).ravel(), sparse=True)(A)
    assert J.nnz == 4 * 5 * 3
    assert np.allclose(J.toarray().reshape(20, 4, 3), dd.jacobian(lambda a: cdist(a, B).ravel(), mode="reverse")(A))


def test_the_square_form_and_back() -> None:
    square = dd.jacobian(lambda v: sd.squareform(v))(np.array([1.0, 2.0, 3.0]))
    assert np.array_equal(square @ [1.0, 2.0, 3.0], sd.squareform([1.0, 2.0, 3.0]))
    agrees(lambda a: sd.squareform(sd.squareform(pdist(a))), A)
    with pytest.raises(ValueError, match="symmetric"):
        dd.jacobian(lambda a: sd.squareform(a[:3]))(A)


@pytest.mark.parametrize("metric", [{}, {"metric": "mahalanobis", "VI": np.eye(3)}, {"metric": "minkowski", "p": 2}])
def test_where_points_coincide_the_slope_is_zero_and_the_square_is_smooth(metric: dict[str, Any]) -> None:
    J = dd.jacobian(lambda a: cdist(a, a, **metric))(A)
    assert not J[range(4), range(4)].any()
    H = dd.hessian(lambda a: np.sum(cdist(a, a, **metric) ** 2))(A)
    assert np.allclose(H[0, 0], [[12.0, 0, 0], [-4, 0, 0], [-4, 0, 0], [-4, 0, 0]])


@pytest.mark.parametrize(
    "call",
    [lambda a: cdist(a, B, "hamming"), lambda a: sd.jaccard(a[0], a[1]), lambda a: cdist(a, B, out=np.zeros((4, 5)))],
)
def test_what_counts_has_no_derivative(call: Any) -> None:
    with pytest.raises(UnsupportedFunctionError):
        dd.jacobian(call)(A)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: cdist(a, B[:, :2]),
        lambda a: cdist(a[0], B),
        lambda a: cdist(a, B, "unheard"),
        lambda a: cdist(a, B, w=-W),
        lambda a: cdist(a[:1], B[:1], "mahalanobis"),
    ],
)
def test_bad_arguments_raise_what_scipy_raises(call: Any) -> None:
    for run in (call, dd.jacobian(call)):
        with pytest.raises(ValueError, match=r".") as caught:
            run(A)
        assert not isinstance(caught.value, DerivativeError)


# --------------------------------------------------------------------------------------------------
# rotations


@pytest.mark.parametrize("seq", ["xyz", "ZXZ", "ZYX", "yx", "Z"])
def test_rotations_of_angles_and_their_angles(seq: str) -> None:
    def f(a: Any) -> Any:
        r = Rotation.from_euler(seq, a)
        s = Rotation.from_euler(seq, 20 * a, degrees=True)
        found = [s.as_quat(), s.as_rotvec()]
        if len(seq) == 3:
            found += [r.as_matrix(), r.as_euler(seq), Rotation.from_rotvec(a).as_euler(seq, degrees=True)]
        return joined(*found)

    agrees(f, V[:, : len(seq)], order=2 if seq == "xyz" else 1, noise=1e-15)
    agrees(lambda a: Rotation.from_euler(seq, a).apply(V), V[0, : len(seq)])


def test_rotations_of_vectors_quaternions_and_matrices() -> None:
    def f(v: Any, q: Any) -> Any:
        r = Rotation.from_rotvec(v)
        return joined(
            r.as_matrix(),
            r.as_rotvec(degrees=True),
            r.as_mrp(),
            r.magnitude(),
            Rotation.from_quat(q).as_quat(canonical=True),
            Rotation.from_mrp(0.2 * v).as_rotvec(),
            Rotation.from_matrix(r.as_matrix()).as_quat(),
            Rotation(q).as_matrix(),
        )

    agrees(f, V, Q)


def test_rotations_turn_vectors_and_are_composed() -> None:
    plain = Rotation.from_rotvec(V[0])

    def f(v: Any, x: Any) -> Any:
        r = Rotation.from_rotvec(v)
        both = (r * plain) * (plain * r).inv()
        return joined(
            r.apply(x),
            r.apply(x[0], inverse=True),
            r[1].apply(x),
            both.as_matrix(),
            (r**0.7).as_rotvec(),
            *[s.as_quat() for s in r],
        )

    agrees(f, 0.4 * V, RNG.standard_normal((3, 3)))
    assert dd.jacobian(lambda v: Rotation.concatenate([plain, Rotation.from_rotvec(v)]).as_quat())(V[1]).shape == (
        2,
        4,
        3,
    )


@pytest.mark.parametrize("size", [0.0, 1e-9, 2e-4, 9.9e-4, 1.1e-3])
def test_small_turns_have_derivatives_of_every_order(size: float) -> None:
    v = size * np.array([0.6, -0.48, 0.64])
    J = dd.jacobian(lambda v: Rotation.from_rotvec(v).as_rotvec())(v)
    assert np.allclose(J, np.eye(3), atol=1e-12)
    H = dd.hessian(lambda v: np.trace(Rotation.from_rotvec(v).as_matrix()))(v)  # 1 + 2 cos |v|
    assert np.allclose(H, -2 * np.eye(3) + 0.5 * size**2, atol=size**2 + 1e-12)
    assert not dd.grad(lambda v: Rotation.from_rotvec(v).magnitude())(np.zeros(3)).any()


def test_turned_vectors_by_a_plain_rotation() -> None:
    plain = Rotation.from_rotvec(V[0])
    try:
        J = dd.jacobian(lambda x: plain.apply(x))(V[1])
    except DerivativeError:  # the compiled class of SciPy up to 1.16
        pytest.skip("nothing takes the place of a method of a compiled class")
    assert np.allclose(J, plain.as_matrix())


@pytest.mark.parametrize(
    "call",
    [
        lambda v: Rotation.from_euler("xyz", v * [1, 0, 1]).as_euler("zyz"),
        lambda v: Rotation.from_rotvec(v).reduce().as_quat(),
    ],
)
def test_the_rest_is_refused_by_name(call: Any) -> None:
    with pytest.raises(UnsupportedFunctionError, match="Rotation"):
        dd.jacobian(call)(np.zeros((2, 3)))


def test_a_rotation_that_carries_a_derivative_is_one_of_scipys() -> None:
    plain = Rotation.identity()

    def f(v: Any) -> Any:
        r = Rotation.from_rotvec(v)
        assert isinstance(r, Rotation)
        assert isinstance(plain, Rotation)
        assert len(r) == 3
        assert not r.single
        return r.as_matrix()

    assert dd.jacobian(f)(V).shape == (3, 3, 3, 3, 3)
    with pytest.raises(ValueError, match="zero norm"):
        dd.jacobian(lambda q: Rotation.from_quat(q).as_matrix())(np.zeros(4))


# --------------------------------------------------------------------------------------------------
# hulls, triangulations, neighbours

POINTS = RNG.standard_normal((9, 2))


def test_hulls_by_their_points() -> None:
    def f(x: Any, y: Any) -> Any:
        hull, solid = sp.ConvexHull(x), sp.ConvexHull(y)
        return joined(hull.volume, hull.area, solid.volume, solid.area, hull.points[hull.vertices])

    agrees(f, POINTS, RNG.standard_normal((8, 3)))
    assert dd.jvp(lambda x: sp.ConvexHull(x).volume, (POINTS,), (POINTS,))[1] == pytest.approx(
        2 * sp.ConvexHull(POINTS).volume
    )


def test_voronoi_diagrams_by_their_points() -> None:
    for d, furthest in ((2, False), (3, True)):
        agrees(lambda x: sp.Voronoi(x, furthest_site=furthest).vertices, np.random.default_rng(d).random((8, d)))  # noqa: B023

    def corners(x: Any) -> Any:
        v = sp.Voronoi(x)
        return joined(v.min_bound, v.max_bound, *[v.vertices[r] for r in v.regions if r and -1 not in r])

    agrees(corners, np.random.default_rng(5).random((9, 2)))
    with pytest.raises(DegenerateError, match="on one circle"):
        dd.jacobian(lambda x: sp.Voronoi(x).vertices)(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [2, 0.3]]))


def test_triangulations_and_barycentric_coordinates() -> None:
    tri = sp.Delaunay(POINTS)

    def f(x: Any, at: Any) -> Any:
        own = sp.Delaunay(x)
        corners = own.points[own.simplices]
        inside = own.find_simplex(at)
        return joined(np.linalg.det(corners[:, 1:] - corners[:, :1]), own.transform[inside], tri.find_simplex(at) * at)

    agrees(f, POINTS, np.mean(POINTS, axis=0))


@pytest.mark.parametrize("kind", [sp.KDTree, sp.cKDTree])
def test_neighbours_by_both_sides(kind: Any) -> None:
    own, box = kind(POINTS), kind(POINTS % 1.0, boxsize=[1.0, 0.0])

    def f(x: Any, q: Any) -> Any:
        near = kind(x).query(q, k=2)
        one, i = own.query(q[0])
        return joined(near[0], one, POINTS[i] * q[0], box.query(q % 1.0, k=2, p=1)[0], kind(x).query(q, 1, p=np.inf)[0])

    agrees(f, POINTS, RNG.standard_normal((3, 2)))
    far = dd.jvp(lambda q: own.query(q, distance_upper_bound=1.0)[0], (np.full(2, 9.0),), (np.ones(2),))
    assert far[0] == np.inf
    assert (
        len(own.query_ball_point(POINTS[0], 1.0))
        == dd.jvp(lambda q: q[0] * 0.0 + len(own.query_ball_point(q, 1.0)), (POINTS[0],), (np.ones(2),))[0]
    )


def test_means_and_alignments_of_rotations() -> None:
    v, a = 0.4 * RNG.standard_normal((3, 3)), RNG.standard_normal((4, 3))

    def f(v: Any, b: Any, w: Any) -> Any:
        aligned, left = Rotation.align_vectors(a, b, weights=w)
        return joined(Rotation.from_rotvec(v).mean(w[:3]).as_matrix(), aligned.as_matrix(), left)

    agrees(f, v, a + 0.1 * RNG.standard_normal((4, 3)), np.array([1.0, 2.0, 0.5, 1.0]))
    with pytest.raises(UnsupportedFunctionError, match="one vector"):
        dd.jacobian(lambda b: Rotation.align_vectors(a[:1], b)[0].as_matrix())(a[:1])


def test_the_hausdorff_distance_and_what_is_refused_with_what_to_write() -> None:
    agrees(lambda x: sd.directed_hausdorff(x, A)[0], B)
    for call, says in (
        (lambda x: sp.Voronoi(x).add_points(x), "all of them"),
        (lambda x: sp.SphericalVoronoi(x), "plain points"),
        (lambda x: sp.ConvexHull(x).equations, "simplices"),
        (lambda x: sp.KDTree(x).sparse_distance_matrix(sp.KDTree(x), 1.0), "query_pairs"),
    ):
        with pytest.raises(UnsupportedFunctionError, match=says):
            dd.jacobian(call)(POINTS)
