"""Grey morphology, and filters that call a function of the user's: openings, tophats and the like run captured, on top of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.ndimage.borders import ROOM, array, axes_of, finished, plain, sequence
from dualdiff.scipy.ndimage.ranks import windows
from dualdiff.scipy.ndimage.resampling import map_coordinates
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import decided, operand


def _grey(name: str, choose: Any, sign: int) -> None:
    @ROOM.function(name)
    def filtered(
        input: Any,
        size: Any = None,
        footprint: Any = None,
        structure: Any = None,
        output: Any = None,
        mode: Any = "reflect",
        cval: Any = 0.0,
        origin: Any = 0,
        *,
        axes: Any = None,
    ) -> Any:
        if size is None and footprint is None and structure is None:
            raise ValueError("size, footprint, or structure must be specified")
        rank = len(shape_of(array(input)))
        among = axes_of(axes, rank)
        structure = None if structure is None else operand(structure)
        if footprint is None:
            lengths = sequence(plain(size, "size"), len(among)) if structure is None else shape_of(structure)
            footprint = np.ones([int(n) for n in lengths], bool)
        footprint = np.asarray(plain(footprint, "a footprint"), bool)
        origins = [int(o) for o in sequence(origin, len(among))]
        if sign > 0:  # a dilation looks the other way
            turn = (slice(None, None, -1),) * footprint.ndim
            footprint, structure = footprint[turn], None if structure is None else structure[turn]
            origins = [-o - (n % 2 == 0) for o, n in zip(origins, footprint.shape)]
        x, entries = windows(input, None, footprint, mode, cval, origins, among, "")
        if structure is not None:
            entries = entries + sign * structure[footprint]
        return finished(choose(entries, axis=-1), output, x, name)


_grey("grey_erosion", np.min, -1)
_grey("grey_dilation", np.max, 1)


@ROOM.function("generic_filter")
def generic_filter(
    input: Any,
    function: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    extra_arguments: Any = (),
    extra_keywords: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.generic_filter``: a function of every window, as a vector."""
    x, entries = windows(input, size, footprint, mode, cval, origin, axes, "no footprint or filter size provided")
    rows = np.reshape(entries, (-1, shape_of(entries)[-1]))
    own = extra_keywords or {}
    found = [np.reshape(operand(function(row, *extra_arguments, **own)), ()) for row in rows]
    whole = np.reshape(np.stack(found), shape_of(x)) if found else x
    return finished(whole, output, x, "generic_filter")


def _of_axes(input: Any, derivative: Any, mode: Any, cval: Any, given: Any, named: Any, axes: Any) -> list[Any]:
    x = array(input)
    among = axes_of(axes, len(shape_of(x)))
    modes = sequence(mode, len(among))
    return [derivative(x, axis, None, m, cval, *given, **(named or {})) for axis, m in zip(among, modes)]


@ROOM.function("generic_laplace")
def generic_laplace(
    input: Any,
    derivative2: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    extra_arguments: Any = (),
    extra_keywords: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.generic_laplace``: the sum of second derivatives that a function gives."""
    parts = _of_axes(input, derivative2, mode, cval, extra_arguments, extra_keywords, axes)
    return finished(sum(parts[1:], parts[0]), output, array(input), "generic_laplace")


@ROOM.function("generic_gradient_magnitude")
def generic_gradient_magnitude(
    input: Any,
    derivative: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    extra_arguments: Any = (),
    extra_keywords: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.generic_gradient_magnitude``: the length of the derivatives that a function gives."""
    parts = _of_axes(input, derivative, mode, cval, extra_arguments, extra_keywords, axes)
    whole = np.sqrt(sum([p * p for p in parts]))
    return finished(whole, output, array(input), "generic_gradient_magnitude")


@ROOM.function("geometric_transform")
def geometric_transform(
    input: Any,
    mapping: Any,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
    extra_arguments: Any = (),
    extra_keywords: Any = None,
) -> Any:
    """``scipy.ndimage.geometric_transform``: the array read where a function of a place in the result says."""
    shape = shape_of(array(input)) if output_shape is None else tuple(output_shape)
    places = [
        np.stack([operand(c) for c in mapping(at, *extra_arguments, **(extra_keywords or {}))])
        for at in np.ndindex(shape)
    ]
    coordinates = np.reshape(np.stack(places, axis=1), (-1, *shape)) if places else np.zeros((len(shape), *shape))
    return map_coordinates(input, coordinates, output, order, mode, cval, prefilter)


def _place(name: str) -> None:
    @ROOM.function(name, "discrete")
    def found(input: Any, labels: Any = None, index: Any = None) -> Any:
        return getattr(ndimage, name)(decided(operand(input)), plain(labels, "labels"), plain(index, "an index"))


_place("maximum_position")
_place("minimum_position")


@ROOM.function("distance_transform_edt")
def distance_transform_edt(
    input: Any,
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> Any:
    """``scipy.ndimage.distance_transform_edt``, by the distances of samples; where the background is, is constant."""
    x = np.asarray(
        plain(input, "the image given to scipy.ndimage.distance_transform_edt, of which only the zeros count,")
    )
    step = np.ones(x.ndim) if sampling is None else np.broadcast_to(operand(sampling), (x.ndim,))
    plainly = np.asarray(decided(step), float)
    if distances is not None or indices is not None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.ndimage.distance_transform_edt with distances= or indices= fills an array in place. Use what it returns."
        )
    _, near = ndimage.distance_transform_edt(x, plainly, True, True)
    if not return_distances:
        return near
    apart = np.reshape(near - np.indices(x.shape), (x.ndim, size_of(x.shape)))
    squared = (step * step) @ (apart * apart).astype(float)
    there = decided(squared) > 0
    found = np.reshape(np.where(there, np.sqrt(np.where(there, squared, 1.0)), 0.0), x.shape)
    return (found, near) if return_indices else found


__all__ = ["distance_transform_edt", "generic_filter", "geometric_transform"]
