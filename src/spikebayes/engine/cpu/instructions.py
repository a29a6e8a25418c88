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

from llvmlite import binding, ir
from numba import extending, types

from spikebayes.machine.llvm import Emitter, index

REGISTERS = 32 if binding.get_host_cpu_features().get("avx512f") else 8  # vectors that they hold; eight of AVX2's
ROW_VECTORS = tuple(n for n in (1, 2, 3, 4, 6, 8, 12, 16) if n < REGISTERS)  # widths of a tile, each compiled apart
ROWS, DRIVE_VECTORS = (6, 4) if REGISTERS == 32 else (3, 2)  # rows and vectors that multiply_tile computes at once
intrinsic: Any = extending.intrinsic  # untyped: what it makes takes one argument less than what it is given


@intrinsic
def add_rows(typingctx, total, at, vectors, weight, offset, spike, begin, end):
    """total[at :][:n] += sum of weight[offset + spike[k] n :][:n] over k in [begin, end), n = vectors * lanes.

    ``vectors`` is one of ROW_VECTORS; each has a loop of its own, in which the sums stay in registers. The sum is in
    the order of the spikes.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        target = e.data(signature.args[0], args[0], args[1])
        rows = e.data(signature.args[3], args[3], args[4])
        spikes = e.data(signature.args[5], args[5], index(0))

        def case(vectors: int) -> None:
            places = [index(k * e.lanes) for k in range(vectors)]
            sums = _row_sums(e, [e.load(target, j) for j in places], rows, spikes, args[6], args[7])
            for j, total in zip(places, sums, strict=True):
                e.store(total, target, j)

        _by_width(builder, args[2], case)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(total, i64, i64, weight, i64, spike, i64, i64), codegen


def _by_width(builder: Any, vectors: Any, case: Callable[[int], None]) -> None:
    """Code for each of ROW_VECTORS, and the choice among them."""
    done = builder.append_basic_block("done")
    blocks = [builder.append_basic_block(f"vectors_{n}") for n in ROW_VECTORS]
    choice = builder.switch(vectors, done)
    for n, block in zip(ROW_VECTORS, blocks, strict=True):
        choice.add_case(index(n), block)
        builder.position_at_end(block)
        case(n)
        builder.branch(done)
    builder.position_at_end(done)


def _row_sums(e: Emitter, initial: list[Any], rows: Any, spikes: Any, first: Any, last: Any) -> list[Any]:
    """Initial vectors plus the weight rows of the spikes: a loop that leaves them in registers."""
    builder, entry, vectors = e.builder, e.builder.block, len(initial)
    head, inside, done = (builder.append_basic_block(name) for name in ("head", "inside", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(first.type)
    k.add_incoming(first, entry)
    sums = [builder.phi(e.vector) for _ in initial]
    for phi, value in zip(sums, initial, strict=True):
        phi.add_incoming(value, entry)
    builder.cbranch(builder.icmp_signed("<", k, last), inside, done)
    builder.position_at_end(inside)
    source = builder.sext(builder.load(builder.gep(spikes, [k])), ir.IntType(64))
    row = builder.gep(rows, [builder.mul(source, index(vectors * e.lanes))])
    for i, phi in enumerate(sums):
        phi.add_incoming(builder.fadd(phi, e.load(row, index(i * e.lanes))), inside)
    k.add_incoming(builder.add(k, index(1)), inside)
    builder.branch(head)
    builder.position_at_end(done)
    return sums


@intrinsic
def add_run(typingctx, total, at, vectors, weight, offset):
    """total[at :][:n] += weight[offset :][:n], n = vectors * lanes."""

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        target = e.data(signature.args[0], args[0], args[1])
        run = e.data(signature.args[3], args[3], args[4])

        def body(i):
            j = builder.mul(i, index(e.lanes))
            e.store(builder.fadd(e.load(target, j), e.load(run, j)), target, j)

        e.loop(args[2], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(total, i64, i64, weight, i64), codegen


class _Filter:
    """One step of a synapse's filter on a vector of targets."""

    def __init__(self, e: Emitter, x: Any, y: Any, table: Any, tiny: Any) -> None:
        self.e, self.x, self.y, self.tiny = e, x, y, e.broadcast(tiny)
        load = e.builder.load
        self.a, self.b, self.c, self.d = (e.broadcast(load(e.builder.gep(table, [index(k)]))) for k in range(4))

    def step(self, j: Any, total: Any) -> Any:
        """The filter's output y."""
        e = self.e
        x, y = e.load(self.x, j), e.load(self.y, j)
        y = e.add(e.mul(self.d, total), e.add(e.mul(self.a, y), e.mul(self.c, x)))
        e.store(e.add(e.mul(self.a, x), e.add(e.mul(self.b, total), self.tiny)), self.x, j)
        e.store(y, self.y, j)
        return y


class _Membrane:
    """One step of a vector of LIF neurons."""

    def __init__(self, e: Emitter, v: Any, rest: Any, bits: Any, decay: Any, full: Any) -> None:
        self.e, self.v, self.rest, self.decay, self.full = e, v, rest, e.broadcast(decay), e.broadcast(full)
        self.zero, self.one = e.constant(0.0), e.constant(1.0)
        self.floor = e.mul(e.constant(0.5), self.decay)
        self.mask = ir.IntType(e.lanes)
        self.bits = e.builder.bitcast(bits, self.mask.as_pointer())

    def step(self, i: Any, j: Any, current: Any) -> None:
        e = self.e
        left = e.largest(e.mul(e.load(self.rest, j), self.decay), self.floor)
        e.store(left, self.rest, j)
        fraction = e.least(e.largest(e.sub(self.one, left), self.zero), self.full)
        v = e.load(self.v, j)
        v = e.largest(e.add(v, e.mul(e.sub(current, v), fraction)), self.zero)
        e.store(v, self.v, j)
        crossed = e.builder.bitcast(e.builder.fcmp_ordered(">", v, self.one), self.mask)
        e.builder.store(crossed, e.builder.gep(self.bits, [i]), align=1)


@intrinsic
def filter_current(typingctx, current, base, base_at, x, y, at, total, vectors, coefficient, bank, tiny):
    """One step of a synapse's filter and the current that it delivers; the sums it took in are set to 0.

    y <- a y + c x + d total;  x <- a x + b total + tiny;  current = base + y, with (a, b, c, d) = coefficient[bank].
    ``tiny``, too small to matter, keeps what decays towards 0 from ending in denormals, which are slow.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        out = e.data(signature.args[0], args[0], index(0))
        constant = e.data(signature.args[1], args[1], args[2])
        xs, ys = (e.data(signature.args[k], args[k], args[5]) for k in (3, 4))
        sums = e.data(signature.args[6], args[6], index(0))
        table = e.data(signature.args[8], args[8], builder.mul(args[9], index(4)))
        synapse, nothing = _Filter(e, xs, ys, table, args[10]), e.constant(0.0)

        def body(i):
            j = builder.mul(i, index(e.lanes))
            y = synapse.step(j, e.load(sums, j))
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
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        vs, rests = (e.data(signature.args[k], args[k], args[2]) for k in (0, 1))
        currents = e.data(signature.args[3], args[3], args[4])
        membrane = _Membrane(e, vs, rests, e.data(signature.args[5], args[5], index(0)), args[7], args[8])

        def body(i):
            j = builder.mul(i, index(e.lanes))
            membrane.step(i, j, e.load(currents, j))

        e.loop(args[6], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(v, rest, i64, current, i64, bits, i64, v.dtype, v.dtype), codegen


@intrinsic
def lif_tile(
    typingctx, vectors, weight, offset, spike, begin, end, base, v, rest, at, x, y, line, bits, coefficient, bank,
    tiny, decay, full,
):  # fmt: skip
    """``add_rows``, ``filter_current`` and ``lif_step`` in one for a tile that one dense wire reaches.

    What they would store and load again (sums, current) never leaves the registers.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[1].dtype))
        rows = e.data(signature.args[1], args[1], args[2])
        spikes = e.data(signature.args[3], args[3], index(0))
        constant, vs, rests = (e.data(signature.args[k], args[k], args[9]) for k in (6, 7, 8))
        xs, ys = (e.data(signature.args[k], args[k], args[12]) for k in (10, 11))
        bits_data = e.data(signature.args[13], args[13], index(0))
        table = e.data(signature.args[14], args[14], builder.mul(args[15], index(4)))

        def case(vectors: int) -> None:
            sums = _row_sums(e, [e.constant(0.0)] * vectors, rows, spikes, args[4], args[5])
            synapse = _Filter(e, xs, ys, table, args[16])
            membrane = _Membrane(e, vs, rests, bits_data, args[17], args[18])
            for i, total in enumerate(sums):
                j = index(i * e.lanes)
                membrane.step(index(i), j, e.add(e.load(constant, j), synapse.step(j, total)))

        _by_width(builder, args[0], case)
        return context.get_dummy_value()

    i64, real = types.int64, v.dtype
    arguments = (
        i64, weight, i64, spike, i64, i64, base, v, rest, i64, x, y, i64, bits, coefficient, i64, real, real, real,
    )  # fmt: skip
    return types.void(*arguments), codegen


@intrinsic
def multiply_tile(typingctx, out, x, row, rows, sources, weight, offset):
    """out[k, :n] = sum_i x[min(row + k, rows - 1), i] weight[offset + i n :][:n] for k in 0 .. ROWS - 1.

    n = DRIVE_VECTORS * lanes, i in [0, sources). The sums stay in registers; they are the same whatever ``rows``.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        out = e.data(signature.args[0], args[0], index(0))
        xs = e.data(signature.args[1], args[1], index(0))
        weights = e.data(signature.args[5], args[5], args[6])
        sources, last = args[4], builder.sub(args[3], index(1))
        lines = []
        for k in range(ROWS):
            line = builder.add(args[2], index(k))
            line = builder.select(builder.icmp_signed("<", line, last), line, last)
            lines.append(builder.gep(xs, [builder.mul(line, sources)]))

        entry = builder.block
        head, inside, done = (builder.append_basic_block(name) for name in ("head", "inside", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(sources.type)
        i.add_incoming(index(0), entry)
        sums = [[builder.phi(e.vector) for _ in range(DRIVE_VECTORS)] for _ in lines]
        builder.cbranch(builder.icmp_signed("<", i, sources), inside, done)
        builder.position_at_end(inside)
        line_of_weights = builder.gep(weights, [builder.mul(i, index(DRIVE_VECTORS * e.lanes))])
        vectors = [e.load(line_of_weights, index(c * e.lanes)) for c in range(DRIVE_VECTORS)]
        for line, phis in zip(lines, sums, strict=True):
            value = e.broadcast(builder.load(builder.gep(line, [i])))
            for phi, vector in zip(phis, vectors, strict=True):
                phi.add_incoming(e.constant(0.0), entry)
                phi.add_incoming(e.add(phi, e.mul(value, vector)), inside)
        i.add_incoming(builder.add(i, index(1)), inside)
        builder.branch(head)
        builder.position_at_end(done)
        for k, phis in enumerate(sums):
            for c, phi in enumerate(phis):
                e.store(phi, out, index((k * DRIVE_VECTORS + c) * e.lanes))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(out, x, i64, i64, i64, weight, i64), codegen


@intrinsic
def threshold_step(typingctx, current, current_at, bits, vectors, threshold):
    """Bit j of ``bits`` says whether current j is at least the threshold."""

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        currents = e.data(signature.args[0], args[0], args[1])
        mask = ir.IntType(e.lanes)
        masks = builder.bitcast(e.data(signature.args[2], args[2], index(0)), mask.as_pointer())
        least = e.broadcast(args[4])

        def body(i):
            current = e.load(currents, builder.mul(i, index(e.lanes)))
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
