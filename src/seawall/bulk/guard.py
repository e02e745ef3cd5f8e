"""Calling a compiled rule without passing its error on, so that a loop can note it and go on.

Numba hands compiled code no exception value. It does leave the address of a constant that describes the error: class,
arguments, function, file, line. That address is what a guarded call returns (0: no error); ``described`` reads it.
The negated address stands for ``BeyondWidth``: no error, the exact lane has to do this piece of work.
"""

import ctypes
import pickle
from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model, typeof_impl

from seawall.bulk.loops import attempt, restore, save, unfit
from seawall.bulk.views import I8, POINTER, RecordType, RowsType, row_at
from seawall.bulk.wide import BEYOND_WIDTH, I64, I128, wide
from seawall.errors import ErrorCode, SettlementError


class Failure(NamedTuple):
    """A refused call: the error's code and where it was raised."""

    code: ErrorCode
    where: str


@cache
def described(address: int) -> Failure:
    """The error that a guarded call returned."""
    error, arguments, where = _read(address)
    if not issubclass(error, SettlementError):
        raise error(*arguments)
    return Failure(ErrorCode(arguments[0]), where)


@cache
def stopped_at(address: int) -> str:
    """Where compiled code stopped with ``BeyondWidth``, from the negative address that a guarded call returned."""
    return _read(-address)[2]


def _read(address: int) -> tuple[type[BaseException], tuple[Any, ...], str]:
    data = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))[0]
    size = ctypes.cast(address + ctypes.sizeof(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int32))[0]
    if not data:
        raise RuntimeError("compiled code failed without saying why")
    error, arguments, place = pickle.loads(ctypes.string_at(data, size))
    where = ""
    if place is not None:
        function, file, line = place
        where = f"{file}:{line}" if line else f"store into {file}"
        if function:
            where += f" ({function})"
    return error, arguments or (), where


def _guarded(context: Any, builder: Any, rule: Any, sig: Any, args: Any) -> tuple[Any, Any]:
    """Call a rule's compiled form; the address of its error as a 64-bit integer, and its result."""
    compiled = rule.dispatcher.overloads[tuple(sig.args)]
    context.add_linking_libs([compiled.library])
    status, result = context.call_internal_no_propagate(builder, compiled.fndesc, sig, args)
    address = cgutils.alloca_once_value(builder, ir.Constant(I64, 0))
    with cgutils.if_unlikely(builder, status.is_error):
        told = builder.ptrtoint(status.excinfoptr, I64)
        beyond = builder.icmp_signed("==", status.code, ir.Constant(status.code.type, BEYOND_WIDTH))
        builder.store(builder.select(beyond, builder.neg(told), told), address)
    return builder.load(address), result


# --- from a loop ---------------------------------------------------------------------------------------------------


@intrinsic
def _attempt(typingctx: Any, rule: Any, arguments: Any) -> Any:
    if not isinstance(rule, types.Dispatcher):
        return None
    given = tuple(arguments)
    called = rule.get_call_type(typingctx, given, {})
    if called is None:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [builder.extract_value(args[1], i) for i in range(len(given))]
        values = [context.cast(builder, v, g, t) for v, g, t in zip(values, given, called.args, strict=True)]
        address, _ = _guarded(context, builder, rule, called, values)
        return builder.sext(address, I128)

    return wide(rule, arguments), codegen


@overload(attempt)
def _attempt_compiled(rule, *arguments):  # type: ignore[no-untyped-def]  # Numba compares the signatures
    return lambda rule, *arguments: _attempt(rule, arguments)


@intrinsic
def _copy_row(typingctx: Any, target: Any, index: Any, source: Any) -> Any:
    """Copy the row of ``source`` over row ``index`` of ``target``, or back where source and target are swapped."""
    if isinstance(target, RowsType) and isinstance(source, RecordType) and target.record is source.record:
        size = target.record.LAYOUT.size

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            rows = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
            place = row_at(context, builder, rows.data, rows.count, context.cast(builder, args[1], index, wide), size)
            cgutils.raw_memcpy(builder, place, args[2], ir.Constant(I64, size), 1, align=1)
            return context.get_dummy_value()

        return types.none(target, index, source), codegen
    return None


@intrinsic
def _copy_back(typingctx: Any, target: Any, source: Any, index: Any) -> Any:
    if isinstance(source, RowsType) and isinstance(target, RecordType) and target.record is source.record:
        size = target.record.LAYOUT.size

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            rows = cgutils.create_struct_proxy(sig.args[1])(context, builder, value=args[1])
            place = row_at(context, builder, rows.data, rows.count, context.cast(builder, args[2], index, wide), size)
            cgutils.raw_memcpy(builder, args[0], place, ir.Constant(I64, size), 1, align=1)
            return context.get_dummy_value()

        return types.none(target, source, index), codegen
    return None


@overload(save)
def _save_compiled(saved, index, item):  # type: ignore[no-untyped-def]
    return lambda saved, index, item: _copy_row(saved, index, item)


@overload(restore)
def _restore_compiled(item, saved, index):  # type: ignore[no-untyped-def]
    return lambda item, saved, index: _copy_back(item, saved, index)


@overload(unfit)
def _unfit_compiled(item):  # type: ignore[no-untyped-def]
    return lambda item: 0


# --- from Python ---------------------------------------------------------------------------------------------------


class Call:
    """A rule with the types it is called with; compiled code reads the arguments from a block of memory."""

    def __init__(self, dispatcher: Any, parameters: tuple[Any, ...]) -> None:
        self.dispatcher = dispatcher
        self.parameters = parameters


class CallType(types.Opaque):
    """The Numba type of a ``Call``: everything about it is known when compiling."""

    def __init__(self, call: Call) -> None:
        self.call = call
        super().__init__(name=f"call({id(call)})")


@register_model(CallType)
class _CallModel(models.OpaqueModel):
    pass


@typeof_impl.register(Call)
def _typeof_call(value: Call, c: Any) -> Any:
    return CallType(value)


SLOT = 16
"""Bytes of one argument in a block: a wide integer, a bool, a pointer, or pointer and count."""


def _load_argument(context: Any, builder: Any, typ: Any, place: Any) -> Any:
    if typ is wide:
        return builder.load(builder.bitcast(place, I128.as_pointer()), align=1)
    if typ is types.boolean:
        return builder.icmp_unsigned("!=", builder.load(place), ir.Constant(I8, 0))
    if isinstance(typ, types.UniTuple):
        items = []
        for i in range(typ.count):
            at = builder.gep(place, [ir.Constant(I64, i * SLOT)])
            items.append(_load_argument(context, builder, typ.dtype, at))
        return context.make_tuple(builder, typ, items)
    pointer = builder.load(builder.bitcast(place, POINTER.as_pointer()), align=1)
    if isinstance(typ, RecordType):
        return pointer
    rows = cgutils.create_struct_proxy(typ)(context, builder)
    rows.data = pointer
    at = builder.gep(place, [ir.Constant(I64, 8)])
    rows.count = builder.load(builder.bitcast(at, I64.as_pointer()), align=1)
    return rows._getvalue()


def _store_result(context: Any, builder: Any, typ: Any, value: Any, place: Any) -> None:
    if isinstance(typ, types.BaseTuple):
        for i, element in enumerate(typ.types):
            at = builder.gep(place, [ir.Constant(I64, i * SLOT)])
            _store_result(context, builder, element, builder.extract_value(value, i), at)
    elif typ is not types.none:
        widened = builder.zext(value, I128) if typ is types.boolean else context.cast(builder, value, typ, wide)
        builder.store(widened, builder.bitcast(place, I128.as_pointer()), align=1)


def slots(typ: Any) -> int:
    """How many slots of a block an argument takes."""
    return int(typ.count) if isinstance(typ, types.UniTuple) else 1


@intrinsic
def invoke(typingctx: Any, call: Any, block: Any) -> Any:
    """Call a rule with the arguments at address ``block``, the result behind them; the address of its error or 0."""
    rule = types.Dispatcher(call.call.dispatcher)
    parameters = call.call.parameters
    called = rule.get_call_type(typingctx, parameters, {})

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        base = builder.inttoptr(args[1], POINTER)
        values, at = [], 0
        for typ in parameters:
            values.append(_load_argument(context, builder, typ, builder.gep(base, [ir.Constant(I64, at)])))
            at += SLOT * slots(typ)
        address, result = _guarded(context, builder, rule, called, values)
        with cgutils.if_likely(builder, builder.icmp_unsigned("==", address, ir.Constant(I64, 0))):
            place = builder.gep(base, [ir.Constant(I64, at)])
            _store_result(context, builder, called.return_type, result, place)
        return address

    return types.int64(call, types.int64), codegen
