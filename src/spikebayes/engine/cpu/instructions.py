"""Vector operations that numba's loops do not reach, as LLVM instructions.

Left to itself the compiler adds weight rows through memory, and takes half the width of the machine's registers. Here
a tile's sums stay in registers while the rows of all spikes are added (``sum_steps``), neurons' state stays there
through many steps (``lif_run``), and their spikes come as bit masks. Passing an array to one of these costs nothing;
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
TOGETHER = 4 if REGISTERS == 32 else 2  # vectors whose neurons go through time at once
AT_ONCE = 1 << 12  # sums of neurons over steps that are worked on together: they stay in the first-level cache
ROWS, DRIVE_VECTORS = (6, 4) if REGISTERS == 32 else (3, 2)  # rows and vectors that multiply_tile computes at once
intrinsic: Any = extending.intrinsic  # untyped: what it makes takes one argument less than what it is given


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
    builder, spikes, width = e.builder, e.builder.gep(spikes, [first]), index(len(initial) * e.lanes)

    def add(k: Any, sums: list[Any]) -> list[Any]:
        source = builder.sext(builder.load(builder.gep(spikes, [k])), ir.IntType(64))
        row = builder.gep(rows, [builder.mul(source, width)])
        return [e.add(total, e.load(row, index(i * e.lanes))) for i, total in enumerate(sums)]

    return e.fold(builder.sub(last, first), initial, add)


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


@intrinsic
def sum_steps(typingctx, out, at, stride, steps, vectors, weight, offset, spike, starts, first, more):
    """Weight rows of spikes, step by step: out[at + t stride :][:n] = sum_k weight[offset + spike[k] n :][:n].

    n = vectors * lanes, 0 <= t < steps, and k goes from starts[first + t] to starts[first + t + 1] - 1, in the order
    of the spikes. With ``more`` the sums are added to what is there. ``vectors`` is one of ROW_VECTORS; each has a
    loop of its own, in which the sums stay in registers.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        sums = e.data(signature.args[0], args[0], args[1])
        rows = e.data(signature.args[5], args[5], args[6])
        spikes = e.data(signature.args[7], args[7], index(0))
        bounds = e.data(signature.args[8], args[8], args[9])

        def case(vectors: int) -> None:
            def step(t: Any) -> None:
                target = builder.gep(sums, [builder.mul(t, args[2])])
                places = [index(k * e.lanes) for k in range(vectors)]
                nothing = e.constant(0.0)
                initial = [builder.select(args[10], e.load(target, j), nothing) for j in places]
                begin = builder.load(builder.gep(bounds, [t]))
                end = builder.load(builder.gep(bounds, [builder.add(t, index(1))]))
                for j, total in zip(places, _row_sums(e, initial, rows, spikes, begin, end), strict=True):
                    e.store(total, target, j)

            e.loop(args[3], step)

        _by_width(builder, args[4], case)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(out, i64, i64, i64, i64, weight, i64, spike, starts, i64, types.boolean), codegen


@intrinsic
def filter_current(
    typingctx, current, to, base, base_at, x, y, at, total, total_at, vectors, coefficient, bank, tiny
):
    """One step of a synapse's filter and the current that it delivers; the sums it took in are set to 0.

    y <- a y + c x + d total;  x <- a x + b total + tiny;  current = base + y, with (a, b, c, d) = coefficient[bank].
    ``tiny``, too small to matter, keeps what decays towards 0 from ending in denormals, which are slow.
    """

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        out = e.data(signature.args[0], args[0], args[1])
        constant = e.data(signature.args[2], args[2], args[3])
        xs, ys = (e.data(signature.args[k], args[k], args[6]) for k in (4, 5))
        sums = e.data(signature.args[7], args[7], args[8])
        synapse, nothing = _Filter(e, signature.args[10], args[10], args[11], args[12]), e.constant(0.0)

        def body(i):
            j = builder.mul(i, index(e.lanes))
            new_x, new_y = synapse.step(e.load(xs, j), e.load(ys, j), e.load(sums, j))
            e.store(new_x, xs, j)
            e.store(new_y, ys, j)
            e.store(nothing, sums, j)
            e.store(e.add(e.load(constant, j), new_y), out, j)

        e.loop(args[9], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(current, i64, base, i64, x, y, i64, total, i64, i64, coefficient, i64, x.dtype), codegen


class _Filter:
    """One step of a synapse's filter on a vector of targets."""

    def __init__(self, e: Emitter, table_type: Any, table: Any, bank: Any, tiny: Any) -> None:
        line = e.data(table_type, table, e.builder.mul(bank, index(4)))
        self.e, self.tiny = e, e.broadcast(tiny)
        load = e.builder.load
        self.a, self.b, self.c, self.d = (e.broadcast(load(e.builder.gep(line, [index(k)]))) for k in range(4))

    def step(self, x: Any, y: Any, total: Any) -> tuple[Any, Any]:
        """The next x, and the output y."""
        e = self.e
        y = e.add(e.mul(self.d, total), e.add(e.mul(self.a, y), e.mul(self.c, x)))
        return e.add(e.mul(self.a, x), e.add(e.mul(self.b, total), self.tiny)), y


class _Membrane:
    """One step of a vector of LIF neurons."""

    def __init__(self, e: Emitter, decay: Any, full: Any, after: Any, lowest: Any, most: Any) -> None:
        self.e = e
        self.decay, self.full, self.after = (e.broadcast(value) for value in (decay, full, after))
        self.lowest, self.most = e.broadcast(lowest), e.broadcast(most)
        self.zero, self.one = e.constant(0.0), e.constant(1.0)
        self.floor = e.mul(e.constant(0.5), self.decay)

    def step(self, v: Any, rest: Any, current: Any) -> tuple[Any, Any, Any]:
        """(v, rest, which neurons fired)."""
        e = self.e
        left = e.largest(e.mul(rest, self.decay), self.floor)
        fraction = e.least(e.largest(e.sub(self.one, left), self.zero), self.full)
        v = e.largest(e.add(v, e.mul(e.sub(current, v), fraction)), self.lowest)
        fired = e.builder.fcmp_ordered(">", v, self.one)
        over = e.sub(v, self.one)
        late = e.builder.fdiv(over, e.sub(current, self.one))
        rest = e.builder.select(fired, e.mul(e.sub(self.one, late), self.after), left)
        return e.builder.select(fired, e.least(over, self.most), v), rest, fired


def _lif_run(reads: bool) -> Any:
    """The intrinsic below, with or without what a read-out needs."""

    def lif_run(
        typingctx, drive, steps, vectors, base, base_at, base_step, v, rest, at, x, y, line, bits, words,
        coefficient, bank, tiny, decay, full, after, share, share_at, heard, lowest, most,
    ):  # fmt: skip
        """LIF neurons and the filter in front of them through many steps, their state in registers.

        Args:
            drive: ``[steps, n]`` what the filter takes in, n = vectors * lanes.
            base: current of step t besides, from base_at + t base_step on.
            v, rest: the neurons' state, from ``at`` on. x, y: the filter's, from ``line`` on.
            bits: ``[steps, words]``, bit j of a step's words says whether neuron j fired.
            coefficient, bank, tiny: of the filter, see :func:`filter_current`.
            share, share_at, heard: heard[j] gains share[share_at + t] for each spike of neuron j in step t; not
                looked at unless spikes are read.
            lowest: no voltage falls below it.
            most: of what lies over the threshold, so much stays after a spike: 0 is a reset, infinity takes the
                threshold off.

        With dt the step, a neuron that fired a time s ago is free for clip(s - tau_ref, 0, dt) of it, and its
        membrane goes the fraction 1 - exp(-free / tau_rc) towards the current. ``rest`` is exp((tau_ref - s) /
        tau_rc) at the step's end, so that this fraction is clip(1 - rest, 0, full), full = 1 - exp(-dt / tau_rc), and
        a step multiplies it by decay = exp(-dt / tau_rc). A neuron that crosses its threshold did so where v came to
        1 on its way to the current, the share (v - 1) / (current - 1) of it before the step's end. No neuron needs a
        branch, an exponential or a logarithm. ``rest`` is held above half of decay, below which it has no effect.
        """

        def codegen(context, builder, signature, args):
            e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
            drives = e.data(signature.args[0], args[0], index(0))
            bases = e.data(signature.args[3], args[3], args[4])
            state = [e.data(signature.args[k], args[k], args[8]) for k in (6, 7)]
            state += [e.data(signature.args[k], args[k], args[11]) for k in (9, 10)]
            if reads:
                state.append(e.data(signature.args[22], args[22], index(0)))
            shares = e.data(signature.args[20], args[20], args[21])
            mask = ir.IntType(e.lanes)
            masks = builder.bitcast(e.data(signature.args[12], args[12], index(0)), mask.as_pointer())
            masks_of_step = builder.mul(args[13], index(64 // e.lanes))
            synapse = _Filter(e, signature.args[14], args[14], args[15], args[16])
            membrane = _Membrane(e, args[17], args[18], args[19], args[23], args[24])
            nothing = e.constant(0.0)
            stride = builder.mul(args[2], index(e.lanes))

            def together(first: Any, count: int) -> None:
                """``count`` vectors from ``first`` on."""
                places = [builder.mul(builder.add(first, index(k)), index(e.lanes)) for k in range(count)]
                initial = [e.load(pointer, j) for pointer in state for j in places]

                def step(t: Any, numbers: list[Any]) -> list[Any]:
                    vs, rests, xs, ys, *heard = (numbers[k : k + count] for k in range(0, len(numbers), count))
                    line = builder.gep(drives, [builder.mul(t, stride)])
                    constants = builder.gep(bases, [builder.mul(t, args[5])])
                    fires = builder.gep(masks, [builder.add(builder.mul(t, masks_of_step), first)])
                    share = e.broadcast(builder.load(builder.gep(shares, [t]))) if reads else None
                    for k, j in enumerate(places):
                        xs[k], ys[k] = synapse.step(xs[k], ys[k], e.load(line, j))
                        vs[k], rests[k], fired = membrane.step(vs[k], rests[k], e.add(e.load(constants, j), ys[k]))
                        builder.store(builder.bitcast(fired, mask), builder.gep(fires, [index(k)]), align=1)
                        if reads:
                            heard[0][k] = e.add(heard[0][k], builder.select(fired, share, nothing))
                    return [*vs, *rests, *xs, *ys, *(n for part in heard for n in part)]

                final = e.fold(args[1], initial, step)
                for (pointer, j), value in zip(((p, j) for p in state for j in places), final, strict=True):
                    e.store(value, pointer, j)

            whole = builder.sdiv(args[2], index(TOGETHER))
            e.loop(whole, lambda i: together(builder.mul(i, index(TOGETHER)), TOGETHER))
            done = builder.append_basic_block("done")
            left = builder.srem(args[2], index(TOGETHER))
            blocks = [builder.append_basic_block(f"left_{n}") for n in range(1, TOGETHER)]
            choice = builder.switch(left, done)
            for n, block in enumerate(blocks, 1):
                choice.add_case(index(n), block)
                builder.position_at_end(block)
                together(builder.mul(whole, index(TOGETHER)), n)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        i64, real = types.int64, v.dtype
        arguments = (
            drive, i64, i64, base, i64, i64, v, rest, i64, x, y, i64, bits, i64,
            coefficient, i64, real, real, real, real, share, i64, heard, real, real,
        )  # fmt: skip
        return types.void(*arguments), codegen

    return intrinsic(lif_run)


lif_run: Any = _lif_run(False)
lif_run_read: Any = _lif_run(True)


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

        def add(i: Any, sums: list[Any]) -> list[Any]:
            line_of_weights = builder.gep(weights, [builder.mul(i, index(DRIVE_VECTORS * e.lanes))])
            vectors = [e.load(line_of_weights, index(c * e.lanes)) for c in range(DRIVE_VECTORS)]
            values = [e.broadcast(builder.load(builder.gep(line, [i]))) for line in lines]
            products = (e.mul(value, vector) for value in values for vector in vectors)
            return [e.add(total, product) for total, product in zip(sums, products, strict=True)]

        sums = e.fold(sources, [e.constant(0.0)] * (ROWS * DRIVE_VECTORS), add)
        for place, total in enumerate(sums):
            e.store(total, out, index(place * e.lanes))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(out, x, i64, i64, i64, weight, i64), codegen


@intrinsic
def threshold_step(typingctx, current, current_at, bits, bits_at, vectors, threshold):
    """Bit j of ``bits`` says whether current j is at least the threshold."""

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, context.get_data_type(signature.args[0].dtype))
        currents = e.data(signature.args[0], args[0], args[1])
        mask = ir.IntType(e.lanes)
        masks = builder.bitcast(e.data(signature.args[2], args[2], args[3]), mask.as_pointer())
        least = e.broadcast(args[5])

        def body(i):
            current = e.load(currents, builder.mul(i, index(e.lanes)))
            crossed = builder.fcmp_ordered(">=", current, least)
            builder.store(builder.bitcast(crossed, mask), builder.gep(masks, [i]), align=1)

        e.loop(args[4], body)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(current, i64, bits, i64, i64, current.dtype), codegen


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
