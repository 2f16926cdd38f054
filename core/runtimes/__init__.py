"""Runtimes: the network on a GPU or on CPUs, behind one small protocol. Importing this loads no engine."""

import sys

from core.runtimes.choice import Device, RuntimeKind, choose_runtime
from core.runtimes.protocol import Runtime

__all__ = ["Device", "Runtime", "RuntimeKind", "choose_runtime"]

# OpenVINO's converter reports its use over the internet, unasked, unless this package of its makers is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how an import is made to fail
