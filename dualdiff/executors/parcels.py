"""What many blocks have in common, sent to a worker once: a parcel is known by a digest of its bytes.

What has changed since the last call has other bytes, and is sent again; so a worker never computes with what used to be.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dualdiff.errors import InputError

SMALL = 1 << 14
"""Bytes of a parcel that is sent with every block: to ask whether it is there would cost as much."""
MOST = 64
"""How many parcels a worker keeps."""
MOST_BYTES = 1 << 30
"""And how many bytes of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """What is sent: bytes, and their digest."""

    digest: bytes
    packed: bytes


class Received:
    """What has come: it is unpacked once and kept, or anew for everybody who may write into it."""

    __slots__ = ("_kept", "_lock", "digest", "packed")

    def __init__(self, digest: bytes, packed: bytes) -> None:
        self.digest = digest
        self.packed: bytes = packed
        self._kept: list[Any] = []
        self._lock = threading.Lock()

    def once(self) -> Any:
        """Return what was sent, the same object every time."""
        with self._lock:
            if not self._kept:
                self._kept.append(self.anew())
        return self._kept[0]

    def anew(self) -> Any:
        """Return what was sent, another object every time."""
        return pickle.loads(self.packed)


class handed(Received):  # noqa: N801  (what a parcel is where nothing is sent)
    """What a thread gets in place of a parcel: the object itself."""

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        super().__init__(b"", b"")
        self._kept.append(value)

    def anew(self) -> Any:
        """Return the object."""
        return self._kept[0]


def dumps(value: Any) -> bytes:
    """Return an object as bytes: functions of a notebook, a script or a function travel with their code if cloudpickle is there."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return cloudpickle.dumps(value)


def parcel(value: Any, what: str) -> Parcel:
    """Pack an object; ``what`` says in a message what it is.

    Raises
    ------
    InputError
        If it cannot be sent.
    """
    try:
        packed = dumps(value)
    except Exception as e:  # whatever an object's own code raises
        raise InputError(
            f"{what} cannot be sent to another process ({type(e).__name__}: {e}). Define functions in a module, or install "
            "cloudpickle (pip install 'dualdiff[dask]'); leave out of them what belongs to this process (open files, locks, "
            "threads), or use threads"
        ) from e
    return Parcel(hashlib.blake2b(packed, digest_size=20).digest(), packed)


_STORE: OrderedDict[bytes, Received] = OrderedDict()
_LOCK = threading.Lock()


def received(digests: Sequence[bytes], bodies: Sequence[bytes | None]) -> list[Received] | frozenset[int]:
    """Return the parcels of a block, in a worker: those that came with it and those that are kept; or the numbers of those missing."""
    found = []
    with _LOCK:
        missing = [k for k, (d, b) in enumerate(zip(digests, bodies, strict=True)) if b is None and d not in _STORE]
        if missing:
            return frozenset(missing)
        for digest, packed in zip(digests, bodies, strict=True):
            kept = _STORE.get(digest)
            if kept is None:
                kept = _STORE[digest] = Received(digest, packed or b"")
            _STORE.move_to_end(digest)
            found.append(kept)
        total = sum([len(r.packed) for r in _STORE.values()])
        while len(_STORE) > len(digests) and (len(_STORE) > MOST or total > MOST_BYTES):
            total -= len(_STORE.popitem(last=False)[1].packed)
    return found
