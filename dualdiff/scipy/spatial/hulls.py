"""Convex hulls, triangulations and Voronoi diagrams of ``scipy.spatial``.

Qhull finds who belongs together, and what follows from the points is computed.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from scipy import spatial

from dualdiff.capture.active import is_active
from dualdiff.capture.names import drop_in_kind
from dualdiff.errors import DegenerateError, where
from dualdiff.rules.absent import missing
from dualdiff.scipy.answers import at_value
from dualdiff.scipy.objects import Standing
from dualdiff.scipy.spatial.neighbours import ROOM, double
from dualdiff.values import decided

_STEPS = "Points are not added to what is differentiated. Make another object of all of them."


class Hull(Standing):
    """The convex hull of points that carry a derivative.

    Attributes
    ----------
    points : array
        The points.
    """

    without: ClassVar[dict[str, str]] = {
        "equations": "Compute the normals from hull.points[hull.simplices].",
        "add_points": _STEPS,
    }

    def __init__(self, real: Any, points: Any) -> None:
        super().__init__(real)
        self.points = points

    def _facets(self) -> Any:
        """Return the corners of the facets, but for those that rounding flattened."""
        corners = decided(self.points)[self._real.simplices]
        edges = corners[:, 1:] - corners[:, :1]
        size = np.linalg.det(edges @ np.swapaxes(edges, 1, 2))
        return self.points[self._real.simplices[size > 0]]

    @property
    def volume(self) -> Any:
        """The volume: an area in two dimensions. It is that of the pyramids over the facets, from a point inside."""
        inside = np.mean(decided(self.points)[self._real.vertices], axis=0)
        sides = np.linalg.det(self._facets() - inside)
        return np.sum(np.abs(sides)) / math.factorial(self._real.ndim)

    @property
    def area(self) -> Any:
        """The surface: a perimeter in two dimensions."""
        corners = self._facets()
        edges = corners[:, 1:] - corners[:, :1]
        sizes = np.sqrt(np.linalg.det(edges @ np.swapaxes(edges, 1, 2)))
        return np.sum(sizes) / math.factorial(self._real.ndim - 1)


class Triangulation(Standing):
    """The triangulation of points that carry a derivative, or that may be asked about such."""

    without: ClassVar[dict[str, str]] = {
        "equations": "Compute with tri.points[tri.simplices].",
        "paraboloid_scale": "Compute with tri.points[tri.simplices].",
        "paraboloid_shift": "Compute with tri.points[tri.simplices].",
        "lift_points": "Compute with tri.points[tri.simplices].",
        "plane_distance": "Compute with tri.points[tri.simplices].",
        "add_points": _STEPS,
    }

    def __init__(self, real: Any, points: Any) -> None:
        super().__init__(real)
        self.points = points

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if is_active(self.points) else getattr(self._real, name)

    def find_simplex(self, xi: Any, bruteforce: bool = False, tol: Any = None) -> Any:
        """Return the numbers of the simplices in which points lie."""
        return self._real.find_simplex(decided(double(xi)), bruteforce, tol)

    @property
    def transform(self) -> Any:
        """What makes barycentric coordinates of points, simplex by simplex."""
        if not is_active(self.points):
            return self._real.transform
        corners = self.points[self._real.simplices]
        last = corners[:, -1]
        edges = np.swapaxes(corners[:, :-1] - last[:, None], 1, 2)
        flat = np.isnan(self._real.transform).any(axis=(1, 2))
        edges = np.where(flat[:, None, None], np.eye(self._real.ndim), edges)
        whole = np.concatenate([np.linalg.inv(edges), last[:, None]], axis=1)
        return missing(flat[:, None, None], whole, np.sum(corners, axis=(1, 2), keepdims=True)) if flat.any() else whole


@ROOM.constructor(spatial.ConvexHull)
def convex_hull(points: Any, incremental: bool = False, qhull_options: Any = None) -> Any:
    """``ConvexHull(points)``."""
    points = double(points)
    return Hull(spatial.ConvexHull(decided(points), False, qhull_options), points)


@ROOM.constructor(spatial.Delaunay, always=True)
def delaunay(points: Any, furthest_site: bool = False, incremental: bool = False, qhull_options: Any = None) -> Any:
    """``Delaunay(points)``."""
    points = double(points)
    return Triangulation(spatial.Delaunay(decided(points), furthest_site, incremental, qhull_options), points)


drop_in_kind(spatial.Delaunay, lambda real: Triangulation(real, real.points))


class Diagram(Standing):
    """The Voronoi diagram of points that carry a derivative.

    Attributes
    ----------
    points : array
        The points.
    """

    without: ClassVar[dict[str, str]] = {"add_points": _STEPS}

    def __init__(self, real: Any, points: Any) -> None:
        super().__init__(real)
        self.points = points

    def _around(self) -> Any:
        """Return for every vertex the numbers of the points that are nearest to it, one more than there are dimensions."""
        n = self._real.ndim + 1
        near: list[list[int]] = [[] for _ in self._real.vertices]
        for point, region in enumerate(self._real.point_region):
            for vertex in self._real.regions[region] if region >= 0 else ():
                if vertex >= 0:
                    near[vertex].append(point)
        if any(len(points) != n for points in near):
            raise DegenerateError(
                f"{where()}: more than {n} points of a Voronoi diagram lie on one circle, or sphere, about a vertex, which would become "
                "several if they moved, so that it has no derivative. Move the points a little."
            )
        return np.array(near, int).reshape(-1, n)

    @property
    def vertices(self) -> Any:
        """The vertices: the centres of the spheres through the points that are nearest to them."""
        corners = self.points[self._around()]
        edges = corners[:, 1:] - corners[:, :1]
        centres = corners[:, 0] + np.linalg.solve(edges, 0.5 * np.sum(edges * edges, axis=-1)[..., None])[..., 0]
        return at_value(self._real.vertices, centres)

    @property
    def min_bound(self) -> Any:
        """The least coordinates of the points."""
        return np.min(self.points, axis=0)

    @property
    def max_bound(self) -> Any:
        """The largest coordinates of the points."""
        return np.max(self.points, axis=0)


@ROOM.constructor(spatial.Voronoi)
def voronoi(points: Any, furthest_site: bool = False, incremental: bool = False, qhull_options: Any = None) -> Any:
    """``Voronoi(points)``."""
    points = double(points)
    return Diagram(spatial.Voronoi(decided(points), furthest_site, incremental, qhull_options), points)


ROOM.refused_class(
    "SphericalVoronoi", "take the regions of the plain points, and compute their areas from the points themselves."
)
ROOM.refused_class(
    "HalfspaceIntersection",
    "find which halfspaces meet in a corner with plain ones, and solve for the corners with np.linalg.solve.",
)


__all__ = ["Diagram", "Hull", "Triangulation", "convex_hull", "delaunay", "voronoi"]
