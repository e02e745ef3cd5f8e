"""A checked signed 128-bit integer for Numba: what every integer of a rule is when it is compiled.

Plain ``+ - * // %`` of a rule mean in compiled code what they mean in Python. Where 128 bits are not enough, the
compiled rule does not wrap and does not guess an error: it stops with ``BeyondWidth``, and whoever called it lets the
exact lane do that piece of work. Small operands take 64-bit instructions, so that the width costs next to nothing.
The modules that know Numba's internals are this one, ``views``, ``guard`` and ``compiler``.
"""

import ctypes
import operator
from typing import Any, Final

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.callconv import errcode_t
from numba.core.datamodel import models
from numba.core.imputils import lower_cast, lower_constant
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    intrinsic,
    lower_builtin,
    overload,
    register_model,
    typeof_impl,
)

from seawall.bulk.library import libgcc
from seawall.errors import ErrorCode, SettlementError

BITS: Final = 128
I128: Final = ir.IntType(BITS)
I64: Final = ir.IntType(64)
LOWEST: Final = -(1 << (BITS - 1))

# LLVM calls these for a 128-bit division and ends the process where it does not find them: name them beforehand.
for _name in ("__divti3", "__modti3", "__udivti3", "__umodti3"):
    llvm.add_symbol(_name, ctypes.cast(getattr(libgcc(), _name), ctypes.c_void_p).value)


BEYOND_WIDTH: Final = 2
"""The status with which compiled code leaves where an integer does not fit; Numba's own for errors is 1."""


class BeyondWidth(Exception):
    """A value does not fit 128 bits, or not the field it is stored in, or an index lies outside: for the exact lane."""


class WideConstant(int):
    """An int constant of a rule, marked so that Numba types it as a wide integer and not as 64 bits."""


class WideType(types.Type):
    """The Numba type of the checked 128-bit integer."""

    def __init__(self) -> None:
        super().__init__(name="wide")

    def unify(self, typingctx: Any, other: Any) -> Any:
        """A variable that is wide here and an int there is wide."""
        return self if isinstance(other, types.Integer) else None

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:
        """Every int of 64 bits fits; a bool is not taken for an int."""
        return Conversion.safe if isinstance(other, types.Integer) else None


wide: Final = WideType()


@register_model(WideType)
class _WideModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, I128)


@typeof_impl.register(WideConstant)
def _typeof_constant(value: WideConstant, c: Any) -> Any:
    return wide


@lower_constant(WideType)
def _constant(context: Any, builder: Any, typ: Any, value: int) -> Any:
    if not LOWEST <= value < -LOWEST:
        raise OverflowError(f"the constant {value} does not fit 128 bits")
    return ir.Constant(I128, int(value))


@lower_cast(types.Integer, WideType)
def _widen(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    return builder.sext(value, I128) if source.signed else builder.zext(value, I128)


@infer_global(operator.getitem)
class _TupleItem(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        if len(args) == 2 and isinstance(args[0], types.UniTuple) and args[1] is wide:
            return signature(args[0].dtype, *args)
        return None


@lower_builtin(operator.getitem, types.UniTuple, wide)
def _item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """An item of a tuple; outside, and where Python counts back, the exact lane has to say what happens."""
    items, index = args
    stop_if(context, builder, builder.icmp_unsigned(">=", index, ir.Constant(I128, sig.args[0].count)), None)
    if isinstance(items, ir.Constant):
        place = cgutils.global_constant(builder.module, "seawall.tuple", items)
    else:
        place = cgutils.alloca_once_value(builder, items)
    return builder.load(cgutils.gep_inbounds(builder, place, 0, builder.trunc(index, I64)))


@lower_builtin("static_getitem", types.BaseTuple, types.Omitted)
def _constant_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """An item of a tuple at a constant place."""
    index = sig.args[1].value
    if not isinstance(index, WideConstant):
        raise NotImplementedError
    return builder.extract_value(args[0], index % len(sig.args[0].types))


# --- failing -------------------------------------------------------------------------------------------------------


def fail_if(context: Any, builder: Any, bad: Any, code: ErrorCode, loc: Any) -> None:
    """Leave the compiled function with an error where ``bad`` holds."""
    with cgutils.if_unlikely(builder, bad):
        context.call_conv.return_user_exc(builder, SettlementError, (code,), loc, func_name="")


def stop_if(context: Any, builder: Any, bad: Any, loc: Any) -> None:
    """Leave the compiled function, and all that called it, with ``BeyondWidth`` where ``bad`` holds."""
    with cgutils.if_unlikely(builder, bad):
        context.call_conv.set_static_user_exc(builder, BeyondWidth, (), loc, func_name="")
        context.call_conv._return_errcode_raw(builder, ir.Constant(errcode_t, BEYOND_WIDTH))


def small(builder: Any, value: Any) -> Any:
    """Whether a wide value fits signed 64 bits."""
    return builder.icmp_signed("==", builder.sext(builder.trunc(value, I64), I128), value)


# --- arithmetic ----------------------------------------------------------------------------------------------------

_ARITHMETIC = {
    operator.add: operator.iadd,
    operator.sub: operator.isub,
    operator.mul: operator.imul,
    operator.floordiv: operator.ifloordiv,
    operator.mod: operator.imod,
    operator.and_: operator.iand,
    operator.or_: operator.ior,
}
_COMPARISONS = {
    operator.eq: "==",
    operator.ne: "!=",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
}


def _admits(args: tuple[Any, ...]) -> bool:
    return (
        len(args) == 2
        and any(isinstance(a, WideType) for a in args)
        and all(isinstance(a, (WideType, types.Integer)) for a in args)
    )


class _Binary(AbstractTemplate):
    result: Any = wide

    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        return signature(self.result, wide, wide) if _admits(args) and not kws else None


class _Unary(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        return signature(wide, wide) if args == (wide,) and not kws else None


for _function in (*_ARITHMETIC, *_ARITHMETIC.values(), min, max):
    infer_global(_function)(type(f"Wide_{_function.__name__}", (_Binary,), {}))
for _function in _COMPARISONS:
    infer_global(_function)(type(f"Wide_{_function.__name__}", (_Binary,), {"result": types.boolean}))
for _function in (operator.neg, abs):
    infer_global(_function)(type(f"Wide_{_function.__name__}", (_Unary,), {}))


@lower_builtin(operator.add, wide, wide)
@lower_builtin(operator.iadd, wide, wide)
def _add(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    pair = builder.sadd_with_overflow(*args)
    stop_if(context, builder, builder.extract_value(pair, 1), loc)
    return builder.extract_value(pair, 0)


@lower_builtin(operator.sub, wide, wide)
@lower_builtin(operator.isub, wide, wide)
def _sub(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    pair = builder.ssub_with_overflow(*args)
    stop_if(context, builder, builder.extract_value(pair, 1), loc)
    return builder.extract_value(pair, 0)


@lower_builtin(operator.mul, wide, wide)
@lower_builtin(operator.imul, wide, wide)
def _mul(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    left, right = args
    result = cgutils.alloca_once(builder, I128)
    with builder.if_else(builder.and_(small(builder, left), small(builder, right)), likely=True) as (fast, slow):
        with fast:
            # the product of two 64-bit operands always fits; the extension tells LLVM that one instruction does it
            low = [builder.sext(builder.trunc(value, I64), I128) for value in args]
            builder.store(builder.mul(*low), result)
        with slow:
            pair = builder.smul_with_overflow(left, right)
            stop_if(context, builder, builder.extract_value(pair, 1), loc)
            builder.store(builder.extract_value(pair, 0), result)
    return builder.load(result)


def _divide(context: Any, builder: Any, args: Any, loc: Any, want_quotient: bool) -> Any:
    """Floor division or its remainder, as Python defines them."""
    left, right = args
    zero = ir.Constant(I128, 0)
    fail_if(context, builder, builder.icmp_signed("==", right, zero), ErrorCode.MathError, loc)
    result = cgutils.alloca_once(builder, I128)
    both_small = builder.icmp_unsigned("<", builder.or_(left, right), ir.Constant(I128, 1 << 63))
    with builder.if_else(both_small, likely=True) as (fast, slow):
        with fast:
            low = [builder.trunc(value, I64) for value in args]
            found = builder.udiv(*low) if want_quotient else builder.urem(*low)
            builder.store(builder.zext(found, I128), result)
        with slow:
            least = builder.icmp_signed("==", left, ir.Constant(I128, LOWEST))
            minus_one = builder.icmp_signed("==", right, ir.Constant(I128, -1))
            # −2^127 // −1 leaves the type; its remainder is 0, but the processor's division would trap on the way
            stop_if(context, builder, builder.and_(least, minus_one), loc)
            quotient = builder.sdiv(left, right)
            remainder = builder.sub(left, builder.mul(quotient, right))
            signs_differ = builder.icmp_signed("<", builder.xor(left, right), zero)
            adjust = builder.and_(signs_differ, builder.icmp_signed("!=", remainder, zero))
            if want_quotient:
                found = builder.sub(quotient, builder.zext(adjust, I128))
            else:
                found = builder.select(adjust, builder.add(remainder, right), remainder)
            builder.store(found, result)
    return builder.load(result)


@lower_builtin(operator.floordiv, wide, wide)
@lower_builtin(operator.ifloordiv, wide, wide)
def _floordiv(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    return _divide(context, builder, args, loc, True)


@lower_builtin(operator.mod, wide, wide)
@lower_builtin(operator.imod, wide, wide)
def _mod(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    return _divide(context, builder, args, loc, False)


@lower_builtin(operator.and_, wide, wide)
@lower_builtin(operator.iand, wide, wide)
def _and(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.and_(*args)


@lower_builtin(operator.or_, wide, wide)
@lower_builtin(operator.ior, wide, wide)
def _or(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.or_(*args)


@lower_builtin(operator.neg, wide)
def _neg(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    return _sub(context, builder, sig, (ir.Constant(I128, 0), args[0]), loc)


@lower_builtin(abs, wide)
def _abs(context: Any, builder: Any, sig: Any, args: Any, loc: Any = None) -> Any:
    (value,) = args
    least = builder.icmp_signed("==", value, ir.Constant(I128, LOWEST))
    stop_if(context, builder, least, loc)
    zero = ir.Constant(I128, 0)
    negated = builder.sub(zero, value)
    return builder.select(builder.icmp_signed("<", value, zero), negated, value)


@lower_builtin(min, wide, wide)
def _min(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    # the first of two equal ones, as Python has it; they are the same integer anyway
    return builder.select(builder.icmp_signed("<", args[1], args[0]), args[1], args[0])


@lower_builtin(max, wide, wide)
def _max(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.select(builder.icmp_signed(">", args[1], args[0]), args[1], args[0])


def _lower_comparison(function: Any, symbol: str) -> None:
    @lower_builtin(function, wide, wide)
    def compare(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.icmp_signed(symbol, *args)


for _function, _symbol in _COMPARISONS.items():
    _lower_comparison(_function, _symbol)


# --- loops ---------------------------------------------------------------------------------------------------------


@intrinsic
def narrow(typingctx: Any, value: Any) -> Any:
    """A wide value as a 64-bit loop bound."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (given,) = args
        if sig.args[0] is not wide:
            return context.cast(builder, given, sig.args[0], types.int64)
        stop_if(context, builder, builder.not_(small(builder, given)), None)
        return builder.trunc(given, I64)

    return types.int64(value), codegen


@overload(range)
def _range_to(stop):  # type: ignore[no-untyped-def]  # Numba compares the signatures
    if stop is wide:
        return lambda stop: range(narrow(stop))
    return None


@overload(range)
def _range_between(start, stop):  # type: ignore[no-untyped-def]
    if wide in (start, stop):
        return lambda start, stop: range(narrow(start), narrow(stop))
    return None
