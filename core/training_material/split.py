"""What a photograph of the material is for, told from the hash of its bytes."""

from core.records import Split
from core.training.split import FROZEN_SHARES, is_trained_on, share_of

LEAST_COMPARED = 20
"""A set with fewer photographs says nothing about a model; the frozen one is settled when it has so many."""


def split_of(sha256: str, is_settled: bool) -> Split:
    """About a tenth is frozen and a tenth held out, the rest is trained on.

    Args:
        sha256: of the photograph's bytes, 64 hexadecimal digits.
        is_settled: whether the frozen set takes no more; what would have come into it is held out instead.
    """
    if is_trained_on(sha256):
        return Split.TRAIN
    return Split.FROZEN if share_of(sha256) < FROZEN_SHARES and not is_settled else Split.HELD_OUT
