"""Which photographs are never trained on: told from the hash of their bytes, by every program in the same way."""

SHARES = 100
FROZEN_SHARES = 10
HELD_OUT_SHARES = 10


def share_of(sha256: str) -> int:
    """The share that a photograph belongs to, 0 to SHARES - 1; each gets as many photographs as any other.

    Args:
        sha256: of the photograph's bytes, hexadecimal digits.
    """
    return int(sha256[:8], 16) % SHARES


def is_trained_on(sha256: str) -> bool:
    """Whether a photograph may be trained on, as about four fifths may; models are compared by the others.

    Args:
        sha256: as share_of says.
    """
    return share_of(sha256) >= FROZEN_SHARES + HELD_OUT_SHARES
