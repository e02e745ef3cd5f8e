"""Records as compiled code sees them: a pointer into a row, read and written through the record's own declaration.

A load widens the field to 128 bits. A store is checked against the field's width: what does not fit stops the compiled
rule with ``BeyondWidth``. The exact lane, which then does the work, checks widths when it packs: a field may leave its
width and come back, and another error may come first; so only it can tell what becomes of the instruction. Sequences of
records check their index in the same way.
"""

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.ir import Loc
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import lower_builtin, lower_getattr_generic, lower_setattr_generic, register_model

from seawall.bulk.wide import I64, I128, WideType, stop_if, wide
from seawall.records import Field, Record, Width

I8 = ir.IntType(8)
POINTER = I8.as_pointer()


class RecordType(types.Type):
    """A pointer to the row of one kind of record."""

    def __init__(self, record: type[Record]) -> None:
        self.record = record
        super().__init__(name=f"record({record.__module__}.{record.__qualname__})")


class RowsType(types.Type):
    """A dense sequence of rows: pointer and count."""

    def __init__(self, record: type[Record]) -> None:
        self.record = record
        super().__init__(name=f"rows({record.__module__}.{record.__qualname__})")


class ArrayType(types.Type):
    """A record's fixed array of nested records: a pointer, the count is declared."""

    def __init__(self, record: type[Record], count: int) -> None:
        self.record = record
        self.count = count
        super().__init__(name=f"array({record.__module__}.{record.__qualname__}, {count})")


@register_model(RecordType)
@register_model(ArrayType)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, POINTER)


@register_model(RowsType)
class _RowsModel(models.StructModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, [("data", types.voidptr), ("count", types.int64)])


# --- fields --------------------------------------------------------------------------------------------------------


def _field(record: type[Record], name: str) -> Field | None:
    return next((f for f in record.LAYOUT.fields if f.name == name), None)


@infer_getattr
class _RecordAttributes(AttributeTemplate):
    key = RecordType

    def generic_resolve(self, typ: RecordType, name: str) -> Any:
        field = _field(typ.record, name)
        if field is None:
            return None
        if field.kind in ("int", "enum"):
            return wide
        if field.kind == "bool":
            return types.boolean
        if field.record is not None:
            return RecordType(field.record) if field.kind == "record" else ArrayType(field.record, field.count)
        return None  # keys and texts are not for rules


def _offset(builder: Any, pointer: Any, distance: int) -> Any:
    return builder.gep(pointer, [ir.Constant(I64, distance)])


def _place(builder: Any, pointer: Any, field: Field) -> Any:
    place = _offset(builder, pointer, field.offset)
    return builder.bitcast(place, ir.IntType(8 * field.size).as_pointer())


@lower_getattr_generic(RecordType)
def _load_field(context: Any, builder: Any, typ: Any, pointer: Any, name: str) -> Any:
    field = _field(typ.record, name)
    assert field is not None
    if field.record is not None:
        return _offset(builder, pointer, field.offset)
    value = builder.load(_place(builder, pointer, field), align=1)
    if field.kind == "bool":
        return builder.icmp_unsigned("!=", value, ir.Constant(I8, 0))
    if field.size == 16:
        return value
    return builder.sext(value, I128) if field.signed else builder.zext(value, I128)


@lower_setattr_generic(RecordType)
def _store_field(context: Any, builder: Any, sig: Any, args: Any, name: str) -> None:
    record: type[Record] = sig.args[0].record
    field = _field(record, name)
    assert field is not None
    pointer, value = args
    if field.record is not None:
        raise NotImplementedError(f"{record.__name__}.{name} is a record: assign its fields")
    if field.kind == "bool":
        builder.store(builder.zext(value, I8), _place(builder, pointer, field), align=1)
        return
    width = Width(field.size, field.signed)
    if width.minimum > -(1 << 127) or width.maximum < (1 << 127) - 1:
        below = builder.icmp_signed("<", value, ir.Constant(I128, width.minimum))
        above = builder.icmp_signed(">", value, ir.Constant(I128, width.maximum))
        # Numba hands no line to a store: what is told names the field instead
        stop_if(context, builder, builder.or_(above, below), Loc(f"{record.__name__}.{name}", 0))
    stored = value if field.size == 16 else builder.trunc(value, ir.IntType(8 * field.size))
    builder.store(stored, _place(builder, pointer, field), align=1)


# --- sequences -----------------------------------------------------------------------------------------------------


@infer_global(operator.getitem)
class _GetRow(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        if len(args) != 2 or kws or not isinstance(args[0], (RowsType, ArrayType)):
            return None
        if not isinstance(args[1], (WideType, types.Integer)):
            return None
        return signature(RecordType(args[0].record), args[0], wide)


def row_at(context: Any, builder: Any, data: Any, count: Any, index: Any, size: int) -> Any:
    """Pointer to row ``index`` (wide) of ``count`` rows. A negative one is outside too."""
    outside = builder.icmp_unsigned(">=", index, builder.zext(count, I128))
    stop_if(context, builder, outside, None)
    return builder.gep(data, [builder.mul(builder.trunc(index, I64), ir.Constant(I64, size))])


@lower_builtin(operator.getitem, ArrayType, wide)
def _array_row(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    typ = sig.args[0]
    return row_at(context, builder, args[0], ir.Constant(I64, typ.count), args[1], typ.record.LAYOUT.size)


@lower_builtin(operator.getitem, RowsType, wide)
def _rows_row(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    rows = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
    return row_at(context, builder, rows.data, rows.count, args[1], sig.args[0].record.LAYOUT.size)


@infer_global(len)
class _Length(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: Any) -> Any:
        return signature(wide, *args) if len(args) == 1 and isinstance(args[0], (RowsType, ArrayType)) else None


@lower_builtin(len, RowsType)
def _rows_length(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    rows = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
    return builder.zext(rows.count, I128)


@lower_builtin(len, ArrayType)
def _array_length(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return ir.Constant(I128, sig.args[0].count)
