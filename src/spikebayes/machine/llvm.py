"""Vectors of 64 bytes inside numba kernels: pointers, loads, stores and arithmetic as LLVM instructions.

A *vector* is 16 float32 or 8 float64; LLVM splits it where registers are narrower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

VECTOR_BYTES = 64
FUSE = ("contract",)  # a product and a sum may be one instruction


class Emitter:
    """Builds vector code: pointers into numba arrays, loads, stores, arithmetic with products and sums fused."""

    context: Any
    builder: Any
    element: Any
    vector: Any  # llvmlite has no types

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

    def fold(self, count: Any, initial: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
        """``for i in range(count): numbers = body(i, numbers)``, the numbers in registers."""
        builder, entry = self.builder, self.builder.block
        head, inside, done = (builder.append_basic_block(name) for name in ("head", "inside", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(count.type)
        i.add_incoming(ir.Constant(count.type, 0), entry)
        numbers = [builder.phi(value.type) for value in initial]
        for phi, value in zip(numbers, initial, strict=True):
            phi.add_incoming(value, entry)
        builder.cbranch(builder.icmp_signed("<", i, count), inside, done)
        builder.position_at_end(inside)
        for phi, value in zip(numbers, body(i, list(numbers)), strict=True):
            phi.add_incoming(value, builder.block)
        i.add_incoming(builder.add(i, ir.Constant(count.type, 1)), builder.block)
        builder.branch(head)
        builder.position_at_end(done)
        return list(numbers)


def index(value: int) -> Any:
    """A 64-bit constant, which counts elements or steps."""
    return ir.Constant(ir.IntType(64), value)
