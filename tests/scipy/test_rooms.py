"""The rooms as a whole: every drop-in has SciPy's signature, argument for argument and default for default."""

from __future__ import annotations

import importlib
import inspect

import pytest

from dualdiff.scipy.room import OPEN
from dualdiff.values import ROOMS


def signature(function):
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code that does not say
        return None
    return None if any(p.kind is p.VAR_POSITIONAL for p in found.parameters.values()) else found


def arguments(function):
    found = signature(function)
    return None if found is None else [p for p in found.parameters.values() if p.kind is not p.VAR_KEYWORD]


def pairs():
    for library, rooms in ROOMS.items():
        importlib.import_module(library)
        for room in rooms:
            importlib.import_module(room)
    return [
        pytest.param(real, ours, id=f"{room.name}.{real.__name__}")
        for room in OPEN
        for real, ours in room.drop_ins.items()
    ]


@pytest.mark.parametrize(("real", "ours"), pairs())
def test_a_drop_in_takes_what_scipy_takes(real, ours):
    theirs, own = arguments(real), arguments(ours)
    if theirs is None:
        pytest.skip("SciPy does not say what it takes")
    assert own is not None
    missing = [p.name for p in theirs if p.name not in [q.name for q in own]]
    assert not missing
    positional = [p.name for p in theirs if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert [p.name for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][
        : len(positional)
    ] == positional
    defaults = {p.name: p.default for p in own}
    for p in theirs:
        if p.default is p.empty or isinstance(p.default, (bool, int, float, str, type(None), tuple)):
            assert repr(defaults[p.name]) == repr(p.default), p.name  # so that NaN equals NaN


def test_every_room_that_is_listed_is_there():
    assert {room.name for room in OPEN} >= set(ROOMS)
