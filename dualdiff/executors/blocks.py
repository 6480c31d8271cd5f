"""Blocks of work given to an executor, and what comes back: all of it, or an error that names the block."""

from __future__ import annotations

import pickle
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any

from dualdiff.errors import ExecutorError
from dualdiff.executors.parcels import SMALL, Received, dumps, received
from dualdiff.executors.pools import PATIENCE, Pool, Watch, is_gone, ticket

REMEMBERED = 1024
"""How many digests of parcels are remembered as sent."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of work.

    Attributes
    ----------
    name : str
        What it is called in an error: "columns 16 to 31".
    args : tuple
        What tells it from the others.
    """

    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """The answer of a worker that was not sent every parcel: the numbers of those that it needs."""

    parcels: frozenset[int]


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer of a worker whose function raised: the error as bytes, if it can travel, and the traceback there as a text."""

    packed: bytes | None
    said: str
    text: str


def carry_out(
    pool: Pool,
    function: Callable[..., Any],
    parcels: Sequence[Any],
    blocks: Sequence[Block],
    take: Callable[[int, Any], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Have ``function(parcels, *block.args)`` called for every block, and hand what it returns to ``take(number, result)``.

    Parameters
    ----------
    pool : Pool
        Whose workers do it.
    function : callable
        A function of a module, for it travels by its name.
    parcels : sequence
        :class:`Parcel`, or :class:`handed` where the pool shares this memory. A worker sees them as :class:`Received`.
    blocks : sequence of Block
        The work.
    take : callable
        Called in this thread, in the order in which blocks are done.
    meanwhile : callable, optional
        Called in this thread as soon as the blocks are under way.

    Raises
    ------
    ExecutorError
        If a block did not come back: a worker died, a task was cancelled, the executor was shut down.
    Exception
        Of the function itself, as it was raised there, with a note that names the block and holds the traceback. Blocks that
        have not begun are cancelled.
    """
    from concurrent.futures import FIRST_COMPLETED, wait

    waiting: dict[Any, int] = {}
    watch = Watch(pool.executor)

    def submit(i: int, along: frozenset[int]) -> None:
        try:
            if pool.shares:
                future = pool.executor.submit(copy_context().run, function, parcels, *blocks[i].args)
            else:
                bodies = [p.packed if k in along or len(p.packed) <= SMALL else None for k, p in enumerate(parcels)]
                digests = [p.digest for p in parcels]
                future = pool.executor.submit(work, ticket(), function, digests, bodies, blocks[i].args)
        except Exception as e:
            raise _lost(pool, blocks[i], e) from e
        waiting[future] = i

    try:
        new = frozenset([k for k, p in enumerate(parcels) if not pool.shares and p.digest not in pool.sent])
        # What is new and large goes along with one block a worker, and the others wait until a worker has it.
        ahead = pool.workers if any(len(parcels[k].packed) > SMALL for k in new) else len(blocks)
        for i in range(min(ahead, len(blocks))):
            submit(i, new)
        _note_as_sent(pool, parcels)
        rest, answered = deque(range(len(waiting), len(blocks))), 0
        if meanwhile is not None:
            meanwhile()
        while waiting:
            wait(waiting, PATIENCE, FIRST_COMPLETED)
            done = sorted([(i, future) for future, i in waiting.items() if future.done()], key=lambda pair: pair[0])
            if not done and (reason := watch.lost()):
                raise _lost(pool, blocks[min(waiting.values())], RuntimeError(reason))
            for i, future in done:
                del waiting[future]
                answer = _answer(pool, blocks[i], future)
                if isinstance(answer, Missing):
                    submit(i, answer.parcels)
                    continue
                take(i, answer)
                answered += 1
                for _ in range(1 if answered < ahead else len(rest)):
                    if rest:
                        submit(rest.popleft(), frozenset())
    finally:
        if waiting and not is_gone(pool.executor):  # which has cancelled them, and may not answer any more
            # Nor need others: a client asks its scheduler, however long that is not there.
            cancelling = Thread(target=lambda: [future.cancel() for future in list(waiting)], daemon=True)
            cancelling.start()
            cancelling.join(8 * PATIENCE)


def work(
    _ticket: str,
    function: Callable[..., Any],
    digests: Sequence[bytes],
    bodies: Sequence[bytes | None],
    args: tuple[Any, ...],
) -> Any:
    """Do a block, in a worker of another process."""
    parcels = received(digests, bodies)
    if isinstance(parcels, frozenset):
        return Missing(parcels)
    try:
        return function(parcels, *args)
    except Exception as e:
        text = traceback.format_exc()
        try:
            packed = dumps(e)
            pickle.loads(packed)
        except Exception:  # an error that does not travel
            packed = None
        return Failure(packed, f"{type(e).__name__}: {e}", text)


def _answer(pool: Pool, block: Block, future: Any) -> Any:
    """Return what a worker answered; raise what went wrong."""
    from concurrent.futures import BrokenExecutor, CancelledError

    try:
        answer = future.result()
    except Exception as e:
        if pool.shares and not isinstance(e, (BrokenExecutor, CancelledError)):
            e.add_note(f"This was raised in {block.name}, by a thread of {pool.name}.")
            raise
        raise _lost(pool, block, e) from e
    except BaseException as e:  # sys.exit in a worker ends a block, not this process
        raise _lost(pool, block, e) from e
    if not isinstance(answer, Failure):
        return answer
    note = f"This was raised in {block.name}, by a worker of {pool.name}, whose traceback was:\n{answer.text}"
    error: Any = None
    if answer.packed is not None:
        try:
            error = pickle.loads(answer.packed)
        except Exception:  # of a class that this process cannot make
            error = None
    if error is None:
        error = ExecutorError(f"{block.name}: {answer.said} (an error that cannot be sent from one process to another)")
    error.add_note(note)
    raise error


def _lost(pool: Pool, block: Block, e: BaseException) -> ExecutorError:
    reason = str(e) or "no reason was given"
    return ExecutorError(
        f"{pool.name} did not bring back {block.name} ({type(e).__name__}: {reason}). A worker died or was stopped, or the executor was "
        "shut down or cancelled the task; nothing was computed. Run it again with an executor that works, or without executor="
    )


def _note_as_sent(pool: Pool, parcels: Sequence[Any]) -> None:
    for p in parcels:
        pool.sent[p.digest] = None
    while len(pool.sent) > REMEMBERED:
        pool.sent.pop(next(iter(pool.sent)), None)


__all__ = ["Block", "Received", "carry_out", "work"]
