"""The SoftLIF rate curve and its slope: one pass over memory, float32, a vector register at a time.

torch takes a dozen passes, and neither softplus nor where is vectorised. ``_exp`` and ``_log1p`` are those of the
Cephes library (polynomials on a reduced range, good to the last places of float32), written without branches so that
LLVM vectorises the loops. From |z| = 20 on softplus(z) is z, or the tail's formula holds, so a chunk all of whose
values are that far from threshold does without softplus: with a sharp threshold most are.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from spikebayes.machine.kernel_cache import compiled

CHUNK = 64
FAR = np.float32(20)
ONE, ZERO, HALF = np.float32(1), np.float32(0), np.float32(0.5)
LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
SQRT_HALF = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
MANTISSA, BIAS, SHIFT = np.int32(0x7FFFFF), np.int32(127), np.int32(23)
HUGE = np.float32(1e38)


@compiled(nogil=True, fastmath={"contract"}, error_model="numpy")
def soft_lif(
    out: NDArray[np.float32], slope: NDArray[np.float32], x: NDArray[np.float32], settings: NDArray[np.float32]
) -> None:
    """y = amplitude / (tau_ref + tau_rc log(1 + 1/rho)), rho = gamma softplus((gain x + over)/gamma).

    Args:
        out, x: ``[N]``.
        slope: ``[N]`` dy/dx, or of length 0 where it is not asked for.
        settings: gain, over = bias - 1, gamma, log gamma, amplitude, tau_ref, tau_rc.
    """
    z, soft = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    whole = len(x) // CHUNK * CHUNK
    for start in range(0, whole, CHUNK):
        end = start + CHUNK
        _chunk(out[start:end], x[start:end], z, soft, CHUNK, settings)
        if len(slope) > 0:
            _slopes(slope[start:end], out[start:end], z, soft, CHUNK, settings)
    if whole < len(x):
        _chunk(out[whole:], x[whole:], z, soft, len(x) - whole, settings)
        if len(slope) > 0:
            _slopes(slope[whole:], out[whole:], z, soft, len(x) - whole, settings)


@numba.njit(inline="always")
def _slopes(slope, y, z, soft, count, settings):  # pyright: ignore[reportMissingParameterType]
    """dy/dx = gain tau_rc y^2/amplitude sigmoid(z)/(rho (1 + rho)), in the tail with 1/gamma for the last factor."""
    gamma, scale = settings[2], settings[0] * settings[6] / settings[4]
    for n in range(count):
        rho = gamma * soft[n]
        less = soft[n] - z[n] if z[n] < FAR else ZERO  # softplus(z) - z = log(1 + exp(-z)), 0 where z may be infinite
        sigmoid = _exp(-min(max(less, ZERO), FAR + FAR))
        factor = sigmoid / (rho * (ONE + rho))
        if z[n] <= -FAR:
            factor = ONE / gamma
        slope[n] = scale * y[n] * y[n] * factor


@numba.njit(inline="always")
def _chunk(out, x, z, soft, count, settings):  # pyright: ignore[reportMissingParameterType]
    gain, over, gamma, log_gamma = settings[0], settings[1], settings[2], settings[3]
    amplitude, tau_ref, tau_rc = settings[4], settings[5], settings[6]
    near = 0
    for n in range(count):
        z[n] = (gain * x[n] + over) / gamma
        soft[n] = max(z[n], ZERO)
        near += abs(z[n]) < FAR
    if near > 0:
        for n in range(count):  # softplus(z) = max(z, 0) + log(1 + exp(-|z|))
            soft[n] += _log1p(_exp(-min(abs(z[n]), FAR + FAR)))
    for n in range(count):
        logarithm = _log1p(min(ONE / (gamma * soft[n]), HUGE))
        if z[n] <= -FAR:
            logarithm = -z[n] - log_gamma
        if z[n] != z[n]:  # NaN stays NaN
            logarithm = z[n]
        out[n] = amplitude / (tau_ref + tau_rc * logarithm)


@numba.njit(inline="always")
def _exp(x):  # pyright: ignore[reportMissingParameterType]
    """exp(x) for x in [-80, 0]: 2^k exp(r), |r| <= ln(2)/2."""
    k = np.floor(x * LOG2_E + HALF)
    r = x - k * LN2_HIGH - k * LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * r * r + r + ONE) * np.int32((np.int32(k) + BIAS) << SHIFT).view(np.float32)


@numba.njit(inline="always")
def _log1p(v):  # pyright: ignore[reportMissingParameterType]
    """log(1 + v) for v >= 0: k ln(2) + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)), with what 1 + v lost put back."""
    w = ONE + v
    bits = np.int32(np.float32(w).view(np.int32) - SQRT_HALF)
    k = np.int32(bits >> SHIFT)
    lost = v - (w - ONE) if v < ONE else ONE - (w - v)
    f = np.int32((bits & MANTISSA) + SQRT_HALF).view(np.float32) - ONE
    f += lost * np.int32((BIAS - k) << SHIFT).view(np.float32)
    p = np.float32(7.0376836292e-2)
    p = p * f + np.float32(-1.1514610310e-1)
    p = p * f + np.float32(1.1676998740e-1)
    p = p * f + np.float32(-1.2420140846e-1)
    p = p * f + np.float32(1.4249322787e-1)
    p = p * f + np.float32(-1.6668057665e-1)
    p = p * f + np.float32(2.0000714765e-1)
    p = p * f + np.float32(-2.4999993993e-1)
    p = p * f + np.float32(3.3333331174e-1)
    square, exponent = f * f, np.float32(k)
    return f + (f * square * p + exponent * LN2_LOW - HALF * square) + exponent * LN2_HIGH
