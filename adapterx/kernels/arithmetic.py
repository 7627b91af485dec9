"""What several kernels share."""

from __future__ import annotations

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(bool(triton.knobs.runtime.interpret))


@triton.jit
def dot(a, b):
    """Product of two blocks in the format of the first, added up in float32."""
    b = b.to(a.dtype)
    # The interpreter multiplies bfloat16 by its bits; as float32 the products are the same numbers.
    if INTERPRETED:
        return tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="ieee")
    return tl.dot(a, b, input_precision="ieee")
