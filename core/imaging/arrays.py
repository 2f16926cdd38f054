"""Types of the arrays that imaging hands around."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8 | np.uint16]
"""Pixels as files hold them."""

Floats = NDArray[np.float32]
"""Lightness, chroma, linear light."""
