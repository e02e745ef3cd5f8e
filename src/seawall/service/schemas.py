"""JSON schemas for the OpenAPI document, read off the types: instructions, records, receipts, answers.

Formats beyond the standard ones: ``u8`` … ``i128`` (a decimal string within that width), ``decimal`` (a decimal string
of any size), ``key`` (32 bytes in base58), ``key-or-label`` (the same, or ``@label``), ``account``
(``<key-or-label>/<sub-account>``), ``signature`` (64 bytes in base58).
"""

import inspect
import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from seawall.instructions.base import Instruction
from seawall.records import Record, Width

Schema = dict[str, Any]

DECIMAL: Final[Schema] = {"type": "string", "format": "decimal", "pattern": "^-?(0|[1-9][0-9]*)$"}
KEY: Final[Schema] = {"type": "string", "format": "key", "minLength": 32, "maxLength": 44}
DISPLAY: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "The amounts and times of this object for people, under the same names.",
}
HEX32: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def optional(schema: Schema) -> Schema:
    """A schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def items(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def obj(properties: dict[str, Schema], description: str = "", display: bool = False, **more: Any) -> Schema:
    """An object with exactly these members, all of them there, and ``display`` where there is something to display."""
    schema: Schema = {"type": "object", "properties": dict(properties), "required": list(properties)}
    if display:
        schema["properties"]["display"] = DISPLAY
    if description:
        schema["description"] = description
    return {**schema, "additionalProperties": False, **more}


def summary(cls: Any) -> str:
    """The docstring of a class."""
    return inspect.getdoc(cls) or ""


class Components:
    """The named schemas of one document."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    # --- what goes out ------------------------------------------------------------------------------------------

    def struct(self, cls: type[Any]) -> Schema:
        """A reference to the schema of a struct or a named tuple as ``shapes.plain`` writes it."""
        name = cls.__name__
        if name not in self.schemas:
            self.schemas[name] = {}
            names = getattr(cls, "__struct_fields__", None) or cls._fields
            hints = get_type_hints(cls, include_extras=True)
            self.schemas[name] = obj({n: self.out(hints[n]) for n in names}, summary(cls), display=True)
        return ref(name)

    def out(self, hint: Any) -> Schema:
        """The schema of a value of a declared type as ``shapes.plain`` writes it."""
        if get_origin(hint) is Annotated:
            return self.out(get_args(hint)[0])
        if hint is bool:
            return {"type": "boolean"}
        if hint is int:
            return DECIMAL
        if hint is float:
            return {"type": "number"}
        if hint is str:
            return {"type": "string"}
        if hint is Any:
            return {}
        origin, args = get_origin(hint), get_args(hint)
        if origin is list:
            return items(self.out(args[0]))
        if origin is dict:
            return {"type": "object", "additionalProperties": self.out(args[1])}
        if origin in (Union, types.UnionType):
            rest = [a for a in args if a is not type(None)]
            schema = self.out(rest[0]) if len(rest) == 1 else {"anyOf": [self.out(a) for a in rest]}
            return optional(schema) if type(None) in args else schema
        if origin is Literal:
            return {"type": "string", "enum": list(args)}
        return self.struct(hint)

    def record(self, cls: type[Record]) -> Schema:
        """A reference to the schema of a record as ``shapes.record_data`` writes it."""
        name = cls.__name__.removeprefix("Frozen")
        if name not in self.schemas:
            self.schemas[name] = {}
            properties: dict[str, Schema] = {}
            for f in cls.LAYOUT.fields:
                if f.record is not None:
                    nested = self.record(f.record)
                    properties[f.name] = items(nested) if f.kind == "array" else nested
                elif f.kind == "int":
                    properties[f.name] = DECIMAL
                elif f.enum is not None:
                    properties[f.name] = {"type": "string", "enum": [member.name for member in f.enum]}
                elif f.kind == "key":
                    properties[f.name] = KEY
                elif f.kind == "keys":
                    properties[f.name] = items(KEY)
                else:
                    properties[f.name] = {"type": "boolean" if f.kind == "bool" else "string"}
            self.schemas[name] = obj(properties, summary(cls), display=True)
        return ref(name)

    # --- what comes in ------------------------------------------------------------------------------------------

    def instruction(self, cls: type[Instruction], signed: bool) -> Schema:
        """A reference to the schema of the body that asks for an instruction."""
        name = f"{cls.__name__}Request"
        if name not in self.schemas:
            properties, required = self._fields(cls)
            properties.update(PROOF)
            required.append("signer")
            if signed:
                required += NEEDED
            self.schemas[name] = {
                "type": "object",
                "description": summary(cls),
                "properties": properties,
                "required": required,
                "dependentRequired": {one: [other for other in NEEDED if other != one] for one in NEEDED},
                "additionalProperties": False,
            }
        return ref(name)

    def _part(self, cls: type[msgspec.Struct]) -> Schema:
        """A struct inside of an instruction."""
        name = cls.__name__
        if name not in self.schemas:
            properties, required = self._fields(cls)
            tag = cls.__struct_config__.tag
            if tag is not None:
                properties = {str(cls.__struct_config__.tag_field): {"type": "string", "enum": [tag]}, **properties}
                required.insert(0, str(cls.__struct_config__.tag_field))
            self.schemas[name] = {
                "type": "object",
                "description": summary(cls),
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            }
        return ref(name)

    def _fields(self, cls: type[msgspec.Struct]) -> tuple[dict[str, Schema], list[str]]:
        hints = get_type_hints(cls, include_extras=True)
        properties, required = {}, []
        for field in msgspec.structs.fields(cls):
            schema = self.into(hints[field.name])
            if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
                required.append(field.encode_name)
            elif field.default is not msgspec.NODEFAULT and "$ref" not in schema:
                default = field.default
                schema = {**schema, "default": str(default) if type(default) is int else default}
            properties[field.encode_name] = schema
        return properties, required

    def into(self, hint: Any) -> Schema:
        """The schema of a value of a declared type in a request."""
        if get_origin(hint) is Annotated:
            mark = get_args(hint)[1]
            if isinstance(mark, Width):
                return integer(mark)
            return {"key": LABEL, "user": ACCOUNT}.get(mark) or self.into(get_args(hint)[0])
        if hint is bool:
            return {"type": "boolean"}
        if hint is str:
            return {"type": "string"}
        origin, args = get_origin(hint), get_args(hint)
        if origin is list:
            return items(self.into(args[0]))
        if origin in (Union, types.UnionType):
            rest = [a for a in args if a is not type(None)]
            schema = self.into(rest[0]) if len(rest) == 1 else {"oneOf": [self.into(a) for a in rest]}
            return optional(schema) if type(None) in args else schema
        if origin is Literal:
            return {"type": "string", "enum": list(args)}
        return self._part(hint)


LABEL: Final[Schema] = {"type": "string", "format": "key-or-label", "minLength": 2}
ACCOUNT: Final[Schema] = {"type": "string", "format": "account", "minLength": 2}

PROOF: Final[dict[str, Schema]] = {
    "signer": {**LABEL, "description": "Who asks: a public key in base58 (in development mode an @label too)."},
    "nonce": {
        "type": "string",
        "pattern": "^[0-9a-f]{32}$",
        "description": "16 bytes in hexadecimal, never used before by this signer.",
    },
    "expiry": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1},
            {"type": "string", "format": "u53"},
        ],
        "description": "Unix seconds until which the request is good, at most 600 ahead.",
    },
    "signature": {"type": "string", "format": "signature", "description": "Ed25519, 64 bytes in base58."},
}
"""The members of a request that are not the instruction's."""

NEEDED: Final = ["nonce", "expiry", "signature"]
"""Those that belong together."""


SAFE: Final = (1 << 53) - 1
"""The largest integer that every JSON library keeps; above it requests have decimal strings."""


def integer(width: Width) -> Schema:
    """An integer of a width: a number, or a decimal string."""
    name = f"{'i' if width.signed else 'u'}{8 * width.size}"
    return {
        "anyOf": [
            {"type": "string", "format": name},
            {"type": "integer", "minimum": max(width.minimum, -SAFE), "maximum": min(width.maximum, SAFE)},
        ]
    }


# --- examples --------------------------------------------------------------------------------------------------

EXAMPLE_KEY: Final = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
EXAMPLE_PROOF: Final = {
    "nonce": "000102030405060708090a0b0c0d0e0f",
    "expiry": 1_800_000_000,
    "signature": "5" * 86,
}


def example_of(cls: type[Instruction], signed: bool) -> dict[str, Any]:
    """A body that asks for an instruction, with a value for every field that it needs."""
    return {**_example(cls), "signer": EXAMPLE_KEY, **(EXAMPLE_PROOF if signed else {})}


def _example(cls: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    config = cls.__struct_config__
    if config.tag is not None and not issubclass(cls, Instruction):
        found[str(config.tag_field)] = config.tag
    for field in msgspec.structs.fields(cls):
        if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
            found[field.encode_name] = _example_value(field.name, hints[field.name])
    return found


def _example_value(name: str, hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        mark = get_args(hint)[1]
        if isinstance(mark, Width):
            wide = mark.size >= 8
            return ("1000000" if wide else 0) if not name.endswith("_ts") else "1800000000"
        return f"{EXAMPLE_KEY}/0" if mark == "user" else EXAMPLE_KEY
    if hint is bool:
        return True
    if hint is str:
        return "SOL"
    origin, args = get_origin(hint), get_args(hint)
    if origin is list:
        return [_example_value(name, args[0])]
    if origin is Literal:
        return args[0]
    if origin in (Union, types.UnionType):
        return _example_value(name, args[0])
    return _example(hint)
