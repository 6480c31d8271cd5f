"""Work in independent blocks, done by the workers of a ``concurrent.futures.Executor``: threads, processes, a cluster.

Nothing here knows of derivatives. Whoever has blocks packs what they have in common into parcels, which are sent to a worker once, and
names a function of the module level that a worker calls for each block.
"""

from dualdiff.executors.blocks import Block, carry_out
from dualdiff.executors.parcels import Parcel, Received, handed, parcel
from dualdiff.executors.pools import Pool, check_executor, is_inside, pool_of

__all__ = [
    "Block",
    "Parcel",
    "Pool",
    "Received",
    "carry_out",
    "check_executor",
    "handed",
    "is_inside",
    "parcel",
    "pool_of",
]
