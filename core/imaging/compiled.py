"""How loops over pixels are compiled."""

from numba import njit

compiled = njit(nogil=True, cache=True, error_model="numpy")
"""Makes machine code of a function, lets go of Python's lock while it runs, and keeps the code for the next start.

It divides as NumPy does, without asking for zero first, which would keep loops from being vectorized.
"""
