"""The network in OpenVINO, for CPUs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import openvino

from core.checkpoints import ModelMetadata
from core.imaging.arrays import Floats
from core.machine import usable_cores
from core.runtimes.converted import Form, converted_model

LARGE_PX = 512 * 1024
"""A picture of more pixels is computed alone, and the memory it took, about a kilobyte per pixel, is given back then.
Smaller ones are computed side by side, and their memory is kept for the next ones."""

KEPT_PRIMITIVES = 1000
"""Layers made ready for a size, kept per stream for the next picture of that size: about 15 sizes."""

FILLERS = frozenset({"Intel", "with", "and", "support", "extensions"})
MOST_LETTERS = 69
"""What a runtime's name tells of instruction sets: oneDNN has sentences for them, of up to 130 letters."""

FIRST_EDGE_PX = 64
"""What the first inference of a runtime is made with."""


class OpenVinoRuntime:
    """A Runtime on OpenVINO: one stream of one thread per core, one picture in each.

    A picture on one core takes longer than it would on all, but then decoding and encoding need not wait for cores that
    wait for each other, and the sums do not depend on how many cores there are.

    Args:
        model: as converted_model gives it.
        streams: how many pictures are computed at once.
        form: of the model. What an int8 one leaves in floating point is computed as in a full one.
    """

    def __init__(self, model: "openvino.Model", streams: int, form: Form = "full") -> None:
        precision = "bf16" if "BF16" in _capabilities() else "f32"
        self._compiled = openvino.Core().compile_model(model, "CPU", {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "INFERENCE_PRECISION_HINT": precision,
            # Decoding and encoding go on beside it, perhaps other workers too: the system places the threads best.
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_PRIMITIVES,
        })  # fmt: skip
        computed = "int8" if form == "int8" else precision
        self.name = f"openvino {openvino.get_version().partition('-')[0]} cpu {computed} ({_isa(self._compiled)})"
        self.concurrency = streams
        self._alone = threading.Lock()
        self._requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._compiled.create_infer_request())
        # OpenVINO's binding prepares its table of types in the first inference of a process. Two first ones at once
        # wait for each other for ever: one holds the table and wants the interpreter, the other the reverse.
        self.predict(np.zeros((FIRST_EDGE_PX, FIRST_EDGE_PX), np.float32))

    @classmethod
    def load(
        cls, models_dir: Path, metadata: ModelMetadata, cache_dir: Path, streams: int | None = None, form: Form = "full"
    ) -> "OpenVinoRuntime":
        """The runtime for the weights in models_dir, with one stream per core that this process may use.

        Raises:
            CheckpointError, OSError: as converted_model says.
        """
        return cls(converted_model(models_dir, metadata, cache_dir, form), streams or usable_cores(), form)

    def predict(self, lightness: Floats) -> Floats:
        """See Runtime.predict."""
        batch = np.ascontiguousarray(lightness, np.float32)[None, None]
        if lightness.size > LARGE_PX:
            return self._predict_alone(batch)
        request = self._requests.get()
        try:
            return _infer(request, batch)
        finally:
            self._requests.put(request)

    def _predict_alone(self, batch: Floats) -> Floats:
        with self._all_requests() as requests:
            try:
                return _infer(requests[0], batch)
            finally:
                self._compiled.release_memory()

    @contextmanager
    def _all_requests(self) -> "Iterator[list[openvino.InferRequest]]":
        """Every request, once each is free; one thread at a time, lest two wait for each other's."""
        with self._alone:
            requests = [self._requests.get() for _ in range(self.concurrency)]
        try:
            yield requests
        finally:
            for request in requests:
                self._requests.put(request)

    def close(self) -> None:
        """See Runtime.close."""
        with self._all_requests() as requests:
            requests.clear()
        del self._compiled


def _infer(request: "openvino.InferRequest", batch: Floats) -> Floats:
    request.infer([batch], share_inputs=True)
    return np.array(request.get_output_tensor(0).data[0])


def fastest_form() -> Form:
    """What this CPU computes fastest."""
    return "int8" if "INT8" in _capabilities() else "full"


@cache
def _capabilities() -> list[str]:
    capabilities: list[str] = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return capabilities


def _isa(compiled: "openvino.CompiledModel") -> str:
    """The instruction set that the sums are computed with, e.g. "AVX2"; it decides their order."""
    needs = dict(part.partition("=")[::2] for part in compiled.get_property("RUNTIME_REQUIREMENTS").split(";"))
    return shortened(needs.get("isa", "")) or "unknown"


def shortened(instructions: str) -> str:
    """A sentence about instruction sets without its fillers, no longer than MOST_LETTERS."""
    return " ".join(word for word in instructions.replace(",", "").split() if word not in FILLERS)[:MOST_LETTERS]
