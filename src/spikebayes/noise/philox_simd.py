"""Philox for kernels that want many words: eight blocks at a time, the same bits as ``philox.py``."""

# pyright: reportMissingParameterType=false, reportPrivateImportUsage=false

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types

from spikebayes.machine.llvm import Emitter, index
from spikebayes.noise.philox import MULTIPLIERS, ROUNDS, WEYL

TOGETHER = 8  # blocks
intrinsic: Any = extending.intrinsic


@intrinsic
def fill_words(typingctx, words, count, c0, c1, c2, first, k0, k1):
    """words[4 b :][:4] = Philox4x32-10 of (c0, c1, c2, first + b) for b in [0, count), rounded up to TOGETHER."""

    def codegen(context, builder, signature, args):
        e = Emitter(context, builder, ir.IntType(64))
        words = context.make_array(signature.args[0])(context, builder, args[0]).data
        out = builder.bitcast(words, ir.IntType(64).as_pointer())
        low, shift = e.constant(0xFFFFFFFF), e.constant(32)
        multipliers = [e.constant(m) for m in MULTIPLIERS]
        lane = ir.Constant(e.vector, [ir.Constant(e.element, i) for i in range(TOGETHER)])
        keys = []
        for given, weyl in zip(args[6:8], WEYL, strict=True):
            scheduled = [builder.add(given, index(weyl * n & 0xFFFFFFFF)) for n in range(ROUNDS)]
            keys.append([e.broadcast(builder.and_(k, index(0xFFFFFFFF))) for k in scheduled])
        fixed = [e.broadcast(a) for a in args[2:5]]

        def body(i):
            b = builder.mul(i, index(TOGETHER))
            c = [*fixed, builder.add(e.broadcast(builder.add(args[5], b)), lane)]
            for n in range(ROUNDS):
                p0, p1 = (builder.mul(builder.and_(c[2 * k], low), multipliers[k]) for k in range(2))
                c = [
                    builder.xor(builder.xor(builder.lshr(p1, shift), c[1]), keys[0][n]),
                    p1,
                    builder.xor(builder.xor(builder.lshr(p0, shift), c[3]), keys[1][n]),
                    p0,
                ]
            pairs = [builder.or_(builder.and_(c[k], low), builder.shl(c[k + 1], shift)) for k in (0, 2)]
            for half in range(2):
                lanes = [half * 4 + n // 2 + TOGETHER * (n % 2) for n in range(TOGETHER)]
                order = ir.Constant(ir.VectorType(ir.IntType(32), TOGETHER), lanes)
                place = builder.add(builder.mul(b, index(2)), index(half * TOGETHER))
                e.store(builder.shuffle_vector(*pairs, order), out, place)

        rounds = builder.sdiv(builder.add(args[1], index(TOGETHER - 1)), index(TOGETHER))
        e.loop(rounds, body)
        return context.get_dummy_value()

    word = types.uint64
    return types.void(words, types.int64, word, word, word, word, word, word), codegen
