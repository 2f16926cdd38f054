"""What a runtime is: one loaded network on one device, behind one call."""

from typing import Protocol

from core.imaging.arrays import Floats


class Runtime(Protocol):
    """A loaded network that may be asked from several threads at once.

    Attributes:
        name: software, version, device, precision and instruction set, e.g. "openvino 2026.4.1 cpu f32 (AVX2)". The
            same photograph, model version and runtime name give the same chroma, bit for bit.
        concurrency: how many threads may profitably call `predict` at once; more of them wait for their turn.
    """

    name: str
    concurrency: int

    def predict(self, lightness: Floats) -> Floats:
        """Chroma of one upright picture; independent of what other threads ask at the same time.

        Args:
            lightness: CIELAB L, float32 (h, w) in 0..100; h and w are multiples of 32.

        Returns:
            CIELAB a and b, float32 (h, w, 2).

        Raises:
            MemoryError: the picture does not fit into the device's memory, even alone.
        """

    def close(self) -> None:
        """Free the network. `predict` must not be called any more."""
