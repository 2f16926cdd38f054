"""What a photograph of the material is for, told from the hash of its bytes."""

from core.records import Split

SHARES = 100
FROZEN_SHARES = 10
HELD_OUT_SHARES = 10
LEAST_COMPARED = 20
"""A set with fewer photographs says nothing about a model; the frozen one is settled when it has so many."""


def split_of(sha256: str, is_settled: bool) -> Split:
    """About a tenth is frozen and a tenth held out, the rest is trained on.

    Args:
        sha256: of the photograph's bytes, 64 hexadecimal digits.
        is_settled: whether the frozen set takes no more; what would have come into it is held out instead.
    """
    share = int(sha256[:8], 16) % SHARES
    if share < FROZEN_SHARES:
        return Split.HELD_OUT if is_settled else Split.FROZEN
    return Split.HELD_OUT if share < FROZEN_SHARES + HELD_OUT_SHARES else Split.TRAIN
