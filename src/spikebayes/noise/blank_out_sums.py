"""Sums over synapses that blank out, compiled: a bit for every synapse and step, and no mask ever in memory whole.

Philox gives eight blocks at a time. A source's bits are a mask over its targets, 16 float32 of which are one masked
addition; the sums of a tile of targets stay in registers over all sources, for ``LINES`` simulations at once, which
share what is read of the weights. The order of a sum is that of the sources.
"""

# pyright: reportMissingParameterType=false, reportPrivateImportUsage=false

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import extending, types
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.machine.kernel_cache import compiled
from spikebayes.machine.llvm import VECTOR_BYTES, Emitter, index
from spikebayes.network.noise import BlankOut
from spikebayes.noise.bits import bernoulli_bits
from spikebayes.noise.blank_out import TARGETS, Synapses
from spikebayes.noise.keys import Keys
from spikebayes.noise.philox import site_word, split_seed
from spikebayes.noise.philox_simd import TOGETHER, fill_words

LINES = 4  # simulations that share a tile's weights
WIDEST = 6  # vectors of a tile: with LINES of them the sums fill a core's registers
intrinsic: Any = extending.intrinsic


class Weights(NamedTuple):
    """A weight matrix cut into tiles of targets.

    Args:
        values: tile by tile ``[K, vectors * lanes]``, aligned.
        first: ``[tiles]`` first target. vectors: ``[tiles]``.
        synapses: of one simulation.
    """

    values: NDArray[Any]
    first: NDArray[np.int64]
    vectors: NDArray[np.int64]
    synapses: Synapses


def lay_out_weights(weight: Tensor, places: int = 1) -> Weights:
    """A weight matrix ``[O, K]``, float32 or float64, that serves L places."""
    matrix = weight.detach().numpy()
    targets, sources = matrix.shape
    lanes = VECTOR_BYTES // matrix.dtype.itemsize
    count = -(-targets // lanes)
    tiles = -(-count // WIDEST)
    vectors = np.array([count // tiles + (t < count % tiles) for t in range(tiles)], np.int64)
    first = np.concatenate([[0], np.cumsum(vectors)[:-1]]) * lanes
    padded = np.zeros((sources, count * lanes), matrix.dtype)
    padded[:, :targets] = matrix.T
    memory = np.empty(padded.nbytes + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    values = memory[start : start + padded.nbytes].view(matrix.dtype)
    np.concatenate([padded[:, a : a + n * lanes].ravel() for a, n in zip(first, vectors, strict=True)], out=values)
    return Weights(values, first, vectors, Synapses(places, sources, targets))


def exact_sums(noise: BlankOut, seen: Tensor, weights: Weights, keys: Keys, step: int = 0) -> Tensor:
    """sum_j xi_ij w_ij z_j, a draw for every synapse: ``[R, L, O]``, xi as ``blank_out.py`` lays it out.

    Args:
        noise: its ``keep`` is the probability of xi = 1.
        seen: ``[R, L, K]``, what the synapses of each place see, of the weights' dtype.
        weights: of :func:`lay_out_weights`.
        keys: R pairs.
        step: of the simulation.
    """
    keys, draw = keys.drawn(noise, step)
    bits, threshold = bernoulli_bits(noise.keep)
    s = weights.synapses
    out = torch.empty(*seen.shape[:2], s.targets, dtype=seen.dtype)
    key = np.array([site_word(noise.site, draw), *split_seed(keys.seed), threshold], np.uint64)
    sizes = np.array([s.places, s.sources, s.targets, s.stride, s.blocks(bits), bits], np.int64)
    flat = seen.contiguous().numpy().reshape(-1, s.sources), out.numpy().reshape(-1, s.targets)
    pairs = keys.samples.numpy().astype(np.uint64), keys.rows.numpy().astype(np.uint64)
    _sums(*flat, weights.values, weights.first, weights.vectors, *pairs, key, sizes)
    return out


@compiled(nogil=True)
def _sums(values, out, weight, first, vectors, samples, rows, key, sizes):
    places, sources, targets, stride, blocks, bits = sizes
    lanes = 64 // weight.itemsize
    width = first[-1] + vectors[-1] * lanes
    space = (blocks + TOGETHER) // TOGETHER * TOGETHER * 4
    drawn = np.empty(space, np.uint32)
    span = sources * stride // TARGETS  # words of a line's masks
    masks = np.empty((LINES, max(span, space if bits == 1 else span)), np.uint32)
    total = np.empty((LINES, width), weight.dtype)
    line = np.empty(LINES, np.int64)
    count = values.shape[0]
    for begin in range(0, count, LINES):
        for k in range(LINES):
            line[k] = min(begin + k, count - 1)
            if begin + k >= count:
                continue
            r, place = line[k] // places, np.uint64(line[k] % places)
            start = place * np.uint64(blocks)
            if key[3] >> np.uint64(bits):  # every draw lies below it
                masks[k, :span] = 0xFFFFFFFF
            elif bits == 1:
                fill_words(masks[k], blocks, samples[r], key[0], rows[r], start, key[1], key[2])
                for w in range(span):  # a bit of 0 lies below the threshold
                    masks[k, w] = ~masks[k, w]
            else:
                fill_words(drawn, blocks, samples[r], key[0], rows[r], start, key[1], key[2])
                _pack(drawn, masks[k], span, bits, key[3])
        for t in range(len(first)):
            offset = first[t] * sources
            add_masked(total, first[t], vectors[t], values, line, sources, weight, offset, masks, stride // TARGETS)
        for k in range(min(LINES, count - begin)):
            out[begin + k] = total[k, :targets]


@compiled(nogil=True)
def _pack(drawn, masks, span, bits, threshold):
    """masks[w] = bit i: whether draw 32 w + i, ``bits`` wide, lies below the threshold."""
    if bits == 32:
        compare(drawn, masks, span * 2, np.uint32(threshold))
    elif bits == 16:
        compare(drawn.view(np.uint16), masks, span * 2, np.uint16(threshold))
    elif bits == 8:
        compare(drawn.view(np.uint8), masks, span * 2, np.uint8(threshold))
    else:
        low, below = np.uint32((1 << bits) - 1), np.uint32(threshold)
        per_word = 32 // bits
        for w in range(span):
            mask = np.uint32(0)
            for i in range(TARGETS):
                n = w * TARGETS + i
                value = (drawn[n // per_word] >> np.uint32(n % per_word * bits)) & low
                mask |= np.uint32(value < below) << np.uint32(i)
            masks[w] = mask


@intrinsic
def compare(typingctx, drawn, masks, count, threshold):
    """Bit i of 16-bit mask m: whether draw 16 m + i lies below the threshold."""

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        vector = ir.VectorType(e.element, 16)
        source = context.make_array(signature.args[0])(context, builder, args[0]).data
        masks = context.make_array(signature.args[1])(context, builder, args[1]).data
        target = builder.bitcast(masks, ir.IntType(16).as_pointer())
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), args[3], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16)
        limit = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        def body(i):
            place = builder.bitcast(builder.gep(source, [builder.mul(i, index(16))]), vector.as_pointer())
            below = builder.icmp_unsigned("<", builder.load(place, align=1), limit)
            builder.store(builder.bitcast(below, ir.IntType(16)), builder.gep(target, [i]), align=2)

        e.loop(args[2], body)
        return context.get_dummy_value()

    return types.void(drawn, masks, types.int64, drawn.dtype), codegen


@intrinsic
def add_masked(typingctx, total, first, vectors, values, line, sources, weight, offset, masks, stride):
    """total[k, first :][:n] = sum_j values[line[k], j] mask_kj weight[offset + j n :][:n] for the LINES k.

    n = vectors * lanes; bit i of mask_kj is bit first + i of the ``stride`` words masks[k, j stride :].
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))

        def array(k):
            return context.make_array(signature.args[k])(context, builder, args[k])

        sums, xs, lines, rows, bits = array(0), array(3), array(4), array(6), array(8)
        sources, offset = args[5], args[7]
        mask = ir.IntType(e.lanes)
        masked = ir.VectorType(ir.IntType(1), e.lanes)
        row_of_masks = builder.extract_value(bits.shape, 1)
        width = builder.extract_value(sums.shape, 1)
        inputs = []
        for k in range(LINES):
            number = builder.load(builder.gep(lines.data, [index(k)]))
            inputs.append(builder.gep(xs.data, [builder.mul(number, sources)]))
        first_byte = builder.sdiv(args[1], index(8))
        as_bytes = builder.bitcast(bits.data, ir.IntType(8).as_pointer())
        starts = []
        for k in range(LINES):
            at = builder.mul(builder.mul(row_of_masks, index(k)), index(4))
            starts.append(builder.gep(as_bytes, [builder.add(at, first_byte)]))
        step = builder.mul(args[9], index(4))
        done = builder.append_basic_block("done")
        blocks = [builder.append_basic_block(f"tile_{n}") for n in range(1, WIDEST + 1)]
        choice = builder.switch(args[2], done)

        def case(n: int) -> None:
            entry = builder.block
            head, inside, end = (builder.append_basic_block(name) for name in ("head", "inside", "end"))
            builder.branch(head)
            builder.position_at_end(head)
            j = builder.phi(sources.type)
            j.add_incoming(index(0), entry)
            totals = [[builder.phi(e.vector) for _ in range(n)] for _ in range(LINES)]
            builder.cbranch(builder.icmp_signed("<", j, sources), inside, end)
            builder.position_at_end(inside)
            row = builder.gep(rows.data, [builder.add(offset, builder.mul(j, index(n * e.lanes)))])
            weights = [e.load(row, index(v * e.lanes)) for v in range(n)]
            at = builder.mul(j, step)
            for k, phis in enumerate(totals):
                value = e.broadcast(builder.load(builder.gep(inputs[k], [j])))
                words = builder.bitcast(builder.gep(starts[k], [at]), mask.as_pointer())
                for v, phi in enumerate(phis):
                    word = builder.load(builder.gep(words, [index(v)]), align=1)
                    more = e.add(phi, e.mul(weights[v], value))
                    kept = builder.bitcast(word, masked)
                    phi.add_incoming(e.constant(0.0), entry)
                    phi.add_incoming(builder.select(kept, more, phi), inside)
            j.add_incoming(builder.add(j, index(1)), inside)
            builder.branch(head)
            builder.position_at_end(end)
            for k, phis in enumerate(totals):
                for v, phi in enumerate(phis):
                    place = builder.add(builder.mul(width, index(k)), args[1])
                    e.store(phi, sums.data, builder.add(place, index(v * e.lanes)))

        for n, block in enumerate(blocks, start=1):
            choice.add_case(index(n), block)
            builder.position_at_end(block)
            case(n)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(total, i64, i64, values, line, i64, weight, i64, masks, i64), codegen
