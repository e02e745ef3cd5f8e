"""From a recorded instruction to the engine's: same name, same arguments; actors become references and signers."""

from collections.abc import Callable
from typing import Any

from seawall.audit.parity.recorded import Recording
from seawall.instructions.base import Instruction, decode_object, instruction_types


class UnknownInstruction(Exception):
    """A recorded instruction that the engine does not have: a difference, after which the replay goes on."""


Translator = Callable[[Recording, dict[str, Any]], tuple[Instruction, str] | None]

TRANSLATORS: dict[str, Translator] = {}
"""Instructions whose recorded form differs from the engine's; None: nothing of Seawall's happens."""

OBSERVERS: list[Callable[[Recording, dict[str, Any]], None]] = []
"""Called with every line after it was translated."""

_USER_FIELDS = ("user", "from_user", "to_user", "liquidator")
_ACTOR_FIELDS = {"from": "from_user", "to": "to_user"}


def translate(recording: Recording, line: dict[str, Any]) -> tuple[Instruction, str] | None:
    """The engine's instruction and its signer for a recorded line."""
    translated = _translate(recording, line)
    for observe in OBSERVERS:
        observe(recording, line)
    return translated


def _translate(recording: Recording, line: dict[str, Any]) -> tuple[Instruction, str] | None:
    name = line["ix"]
    if name in TRANSLATORS:
        return TRANSLATORS[name](recording, line)
    types = instruction_types()
    if name not in types:
        raise UnknownInstruction(f"the engine has no instruction {name!r}")
    fields = set(types[name].__struct_fields__)
    data: dict[str, Any] = {"ix": name, **line["args"]}
    actors = line["actors"]
    for actor, value in actors.items():
        field = _ACTOR_FIELDS.get(actor, actor)
        if field in _USER_FIELDS and field in fields:
            data[field] = recording.user_ref(value)
        elif field == "user" and "authority" in fields:
            data["authority"] = recording.authority(value)
        elif actor in ("spot_market", "perp_market") and "market_index" in fields:
            data.setdefault("market_index", value)
    return decode_object(data), signer(recording, name, actors)


def _user_setting(recording: Recording, line: dict[str, Any]) -> tuple[Instruction, str]:
    """A setting names the account by its authority and sub-account number; the engine by one reference."""
    args = dict(line["args"])
    authority = recording.authority(line["actors"]["user"])
    user = f"{authority}/{args.pop('sub_account_id')}"
    return decode_object({"ix": line["ix"], "user": user, **args}), authority


def signer(recording: Recording, name: str, actors: dict[str, Any]) -> str:
    """Who signs a recorded instruction."""
    for actor in ("signer", "keeper", "filler", "liquidator", "from", "user"):
        if isinstance(actors.get(actor), str):
            return recording.authority(actors[actor])
    return recording.admin


TRANSLATORS.update(
    dict.fromkeys(
        (
            "update_user_custom_margin_ratio",
            "update_user_delegate",
            "update_user_margin_trading_enabled",
            "update_user_name",
            "update_user_reduce_only",
        ),
        _user_setting,
    )
)
