"""What ``scipy.linalg`` returns that has no derivative of its own, and what to write instead."""

from __future__ import annotations

from dualdiff.scipy.linalg.arguments import ROOM

ROOM.refused(
    "null_space orth",
    "its vectors are any basis of a space, which no derivative can follow. Where the projector onto the space serves, write "
    "np.eye(n) - np.linalg.pinv(A) @ A (the null space), or A @ np.linalg.pinv(A) (the range); else scipy.linalg.svd",
)
ROOM.refused(
    "subspace_angles",
    "it goes by bases of the two spaces that are not unique, and arccos is steep at 1. Write the cosines as "
    "scipy.linalg.svdvals(qa.T @ qb), with qa and qb the Q of scipy.linalg.qr(…, mode='economic')",
)
ROOM.refused(
    "schur rsf2csf qz ordqz",
    "its factors are not unique: the order of the eigenvalues and the phases of the vectors are LAPACK's choice. Write "
    "scipy.linalg.eig or eigh for what depends on eigenvalues, scipy.linalg.expm, logm or sqrtm for functions of a matrix",
)
ROOM.refused(
    "hessenberg",
    "it is a step on the way to eigenvalues. Write scipy.linalg.eig or eigvals of the matrix itself",
)
ROOM.refused(
    "ldl",
    "its blocks of order one or two are LAPACK's choice of pivots. Write scipy.linalg.cholesky where the matrix is positive "
    "definite, or scipy.linalg.solve(…, assume_a='sym') for a system",
)
ROOM.refused("cossin", "its factors are not unique. Write scipy.linalg.svd of the blocks you need")
ROOM.refused(
    "matrix_balance",
    "its scaling by powers of two is not continuous. Leave it out: what follows from a balanced matrix, as eigenvalues, follows "
    "from the matrix",
)
ROOM.refused(
    "qr_delete qr_insert qr_update",
    "an updated factorisation is not differentiated. Write scipy.linalg.qr of the changed matrix",
)
ROOM.refused(
    "clarkson_woodruff_transform",
    "it draws random numbers. Draw the sketch once, as a plain matrix S, and write S @ A",
)
ROOM.refused("cdf2rdf", "it moves complex eigenvalues into blocks. Write functions of scipy.linalg.eig's results")
ROOM.refused(
    "get_lapack_funcs get_blas_funcs find_best_blas_type",
    "what it finds is compiled code, which cannot carry a derivative. Write the function of scipy.linalg that calls it",
)
