"""Vector operations that numba's loops do not reach, as LLVM instructions.

Left to itself the compiler adds weight rows through memory, and takes half the width of the machine's registers. Here
a tile's sums stay in registers while the rows of all spikes are added (``add_rows``), and a neuron update
(``lif_step``, ``threshold_step``) gives its spikes as a bit mask. Passing an array to one of these costs nothing;
passing it to a function counts a reference, two atomic operations, which is much in an inner loop.

A *vector* is 64 bytes: 16 float32 or 8 float64; LLVM splits it where registers are narrower. Arrays are padded to
whole vectors by the caller; nothing is checked here. ``(array, at)`` stands for the array's elements from ``at`` on.
"""

# pyright: reportMissingParameterType=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types

VECTOR_BYTES = 64
ROW_VECTORS = (1, 2, 3, 4, 6, 8, 12, 16)  # widths of a tile in vectors for which add_rows is compiled
intrinsic: Any = extending.intrinsic  # untyped: what it makes takes one argument less than what it is given
FUSE = ("contract",)  # a product and a sum may be one instruction


class _Emitter:
    """Builds vector code: pointers into numba arrays, loads, stores, arithmetic with products and sums fused."""

    def __init__(self, context: Any, builder: Any, element: Any) -> None:
        self.context, self.builder, self.element = context, builder, element
        self.lanes = VECTOR_BYTES // (4 if isinstance(element, ir.FloatType) else 8)
        self.vector = ir.VectorType(element, self.lanes)

    def data(self, array_type: Any, array: Any, at: Any) -> Any:
        pointer = self.context.make_array(array_type)(self.context, self.builder, array).data
        return self.builder.gep(pointer, [at])

    def at(self, pointer: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [index]), self.vector.as_pointer())

    def load(self, pointer: Any, index: Any) -> Any:
        return self.builder.load(self.at(pointer, index), align=4)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        self.builder.store(value, self.at(pointer, index), align=4)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [ir.Constant(self.element, value)] * self.lanes)

    def broadcast(self, value: Any) -> Any:
        one = self.builder.insert_element(
            ir.Constant(self.vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
        )
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(self.vector, ir.Undefined), lanes)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=FUSE)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=FUSE)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=FUSE)

    def largest(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def least(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def loop(self, count: Any, body: Callable[[Any], None]) -> None:
        """``for i in range(count): body(i)``"""
        builder, zero = self.builder, ir.Constant(count.type, 0)
        entry = builder.block
        head, inside, done = (builder.append_basic_block(name) for name in ("head", "inside", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(count.type)
        i.add_incoming(zero, entry)
        builder.cbranch(builder.icmp_signed("<", i, count), inside, done)
        builder.position_at_end(inside)
        body(i)
        i.add_incoming(builder.add(i, ir.Constant(count.type, 1)), builder.block)
        builder.branch(head)
        builder.position_at_end(done)


@intrinsic
def add_rows(typingctx, total, at, vectors, weight, offset, spike, begin, end):
    """total[at :][:n] += sum of weight[offset + spike[k] n :][:n] over k in [begin, end), n = vectors * lanes.

    ``vectors`` is one of ROW_VECTORS; each has a loop of its own, in which the sums stay in registers. The sum is in
    the order of the spikes.
    """

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        target = e.data(signature.args[0], args[0], args[1])
        rows = e.data(signature.args[3], args[3], args[4])
        spikes = e.data(signature.args[5], args[5], _i64(0))

        done = builder.append_basic_block("done")
        cases = [builder.append_basic_block(f"vectors_{n}") for n in ROW_VECTORS]
        choice = builder.switch(args[2], done)
        for n, case in zip(ROW_VECTORS, cases, strict=True):
            choice.add_case(_i64(n), case)
            builder.position_at_end(case)
            _add_rows(e, n, target, rows, spikes, args[6], args[7])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(total, i64, i64, weight, i64, spike, i64, i64), codegen


def _add_rows(e: _Emitter, vectors: int, target: Any, rows: Any, spikes: Any, first: Any, last: Any) -> None:
    """The loop over spikes for one width."""
    builder, entry = e.builder, e.builder.block
    starts = [_i64(k * e.lanes) for k in range(vectors)]
    initial = [e.load(target, s) for s in starts]
    head, inside, done = (builder.append_basic_block(name) for name in ("head", "inside", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(first.type)
    k.add_incoming(first, entry)
    sums = [builder.phi(e.vector) for _ in starts]
    for phi, value in zip(sums, initial, strict=True):
        phi.add_incoming(value, entry)
    builder.cbranch(builder.icmp_signed("<", k, last), inside, done)
    builder.position_at_end(inside)
    source = builder.sext(builder.load(builder.gep(spikes, [k])), ir.IntType(64))
    row = builder.gep(rows, [builder.mul(source, _i64(vectors * e.lanes))])
    for phi, s in zip(sums, starts, strict=True):
        phi.add_incoming(builder.fadd(phi, e.load(row, s)), inside)
    k.add_incoming(builder.add(k, _i64(1)), inside)
    builder.branch(head)
    builder.position_at_end(done)
    for phi, s in zip(sums, starts, strict=True):
        e.store(phi, target, s)


@intrinsic
def add_run(typingctx, total, at, vectors, weight, offset):
    """total[at :][:n] += weight[offset :][:n], n = vectors * lanes."""

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        target = e.data(signature.args[0], args[0], args[1])
        run = e.data(signature.args[3], args[3], args[4])

        def body(i):
            j = builder.mul(i, _i64(e.lanes))
            e.store(builder.fadd(e.load(target, j), e.load(run, j)), target, j)

        e.loop(args[2], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(total, i64, i64, weight, i64), codegen


@intrinsic
def filter_current(typingctx, current, base, base_at, x, y, at, total, vectors, coefficient, bank, tiny):
    """One step of a synapse's filter and the current that it delivers; the sums it took in are set to 0.

    y <- a y + c x + d total;  x <- a x + b total + tiny;  current = base + y, with (a, b, c, d) = coefficient[bank].
    ``tiny``, too small to matter, keeps what decays towards 0 from ending in denormals, which are slow.
    """

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        out = e.data(signature.args[0], args[0], _i64(0))
        constant = e.data(signature.args[1], args[1], args[2])
        xs, ys = (e.data(signature.args[k], args[k], args[5]) for k in (3, 4))
        sums = e.data(signature.args[6], args[6], _i64(0))
        table = e.data(signature.args[8], args[8], builder.mul(args[9], _i64(4)))
        a, b, c, d = (e.broadcast(builder.load(builder.gep(table, [_i64(k)]))) for k in range(4))
        tiny, nothing = e.broadcast(args[10]), e.constant(0.0)

        def body(i):
            j = builder.mul(i, _i64(e.lanes))
            x, y, s = e.load(xs, j), e.load(ys, j), e.load(sums, j)
            y = e.add(e.mul(d, s), e.add(e.mul(a, y), e.mul(c, x)))
            e.store(e.add(e.mul(a, x), e.add(e.mul(b, s), tiny)), xs, j)
            e.store(y, ys, j)
            e.store(nothing, sums, j)
            e.store(e.add(e.load(constant, j), y), out, j)

        e.loop(args[7], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(current, base, i64, x, y, i64, total, i64, coefficient, i64, x.dtype), codegen


@intrinsic
def lif_step(typingctx, v, rest, at, current, current_at, bits, vectors, decay, full):
    """One step of LIF neurons; bit j of ``bits`` says whether neuron j crossed its threshold.

    With dt the step, a neuron that fired a time s ago is free for clip(s - tau_ref, 0, dt) of it, and its membrane
    goes the fraction 1 - exp(-free / tau_rc) towards the current. ``rest`` is exp((tau_ref - s) / tau_rc) at the
    step's end, so that this fraction is clip(1 - rest, 0, full), full = 1 - exp(-dt / tau_rc), and a step multiplies
    it by decay = exp(-dt / tau_rc). No neuron needs a branch, an exponential or a logarithm (the caller sets ``rest``
    when one fires). It is held above half of decay, below which it has no effect.
    """

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        vs, rests = (e.data(signature.args[k], args[k], args[2]) for k in (0, 1))
        currents = e.data(signature.args[3], args[3], args[4])
        mask = ir.IntType(e.lanes)
        masks = builder.bitcast(e.data(signature.args[5], args[5], _i64(0)), mask.as_pointer())
        decay, full = e.broadcast(args[7]), e.broadcast(args[8])
        zero, one, half = e.constant(0.0), e.constant(1.0), e.constant(0.5)
        floor = e.mul(half, decay)

        def body(i):
            j = builder.mul(i, _i64(e.lanes))
            left = e.largest(e.mul(e.load(rests, j), decay), floor)
            e.store(left, rests, j)
            fraction = e.least(e.largest(e.sub(one, left), zero), full)
            v = e.load(vs, j)
            v = e.largest(e.add(v, e.mul(e.sub(e.load(currents, j), v), fraction)), zero)
            e.store(v, vs, j)
            crossed = builder.fcmp_ordered(">", v, one)
            builder.store(builder.bitcast(crossed, mask), builder.gep(masks, [i]), align=1)

        e.loop(args[6], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(v, rest, i64, current, i64, bits, i64, v.dtype, v.dtype), codegen


@intrinsic
def threshold_step(typingctx, current, current_at, bits, vectors, threshold):
    """Bit j of ``bits`` says whether current j is at least the threshold."""

    def codegen(context, builder, signature, args):
        e = _Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        currents = e.data(signature.args[0], args[0], args[1])
        mask = ir.IntType(e.lanes)
        masks = builder.bitcast(e.data(signature.args[2], args[2], _i64(0)), mask.as_pointer())
        least = e.broadcast(args[4])

        def body(i):
            current = e.load(currents, builder.mul(i, _i64(e.lanes)))
            crossed = builder.fcmp_ordered(">=", current, least)
            builder.store(builder.bitcast(crossed, mask), builder.gep(masks, [i]), align=1)

        e.loop(args[3], body)
        return context.get_dummy_value()

    return types.void(current, types.int64, bits, types.int64, current.dtype), codegen


@intrinsic
def trailing_zeros(typingctx, word):
    """Number of the lowest bit set in a uint64; 64 for 0."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def ones(typingctx, word):
    """How many bits of a uint64 are set."""

    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


def _i64(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)
