"""``scipy.sparse``: matrices whose entries are being differentiated.

``coo_matrix((k(u), (i, j)))`` and its kin make an object of ours in place of SciPy's where an entry carries a derivative; it is
one of SciPy's to ``isinstance`` and ``issparse``, and answers by SciPy's names.
"""

from dualdiff.scipy.sparse import makers
from dualdiff.scipy.sparse.makers import ROOM
from dualdiff.scipy.sparse.matrix import Sparse

__all__ = ["ROOM", "Sparse", "makers"]
