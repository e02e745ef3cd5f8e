"""Replay recorded files line by line through the engine and compare results, accounts, vaults and events."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from seawall.audit.parity import orders  # noqa: F401 - registers the translators of order lines
from seawall.audit.parity.recorded import MALFORMED, Recording, UnreadableError, first_difference, vault_place
from seawall.audit.parity.translate import UnknownInstruction, translate
from seawall.audit.parity.unmodelled import UNMODELLED_EVENT_FIELDS, UNMODELLED_EVENTS
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.rulebook import Rulebook, rulebook
from seawall.engine.transaction import Change
from seawall.engine.venue import Machine, Request
from seawall.errors import ErrorCode
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.records import Record

Rules = Callable[[str], Rulebook]

PROGRAM_NAMES = {ErrorCode.AccountAlreadyInUse.name: "Custom(0)", ErrorCode.TokenInsufficientFunds.name: "Custom(1)"}


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a recorded file, plain or gzipped; ``UnreadableError`` names the line."""
    try:
        with _open(path) as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except (json.JSONDecodeError, RecursionError) as error:
                    raise UnreadableError(f"{path}:{number}: not JSON: {error}") from None
                if not isinstance(line, dict) or "kind" not in line:
                    raise UnreadableError(f"{path}:{number}: a recorded line is an object with a field 'kind'")
                yield line
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UnreadableError(f"{path}: {error}") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def replay_file(path: Path, rules: Rules = rulebook) -> Iterator[tuple[int, str, str | None]]:
    """Every instruction of a recorded file: its number, its name, and the first difference (None: none).

    ``rules`` says where rulebooks come from, e.g. from the bulk lane.
    """
    replay: Replay | None = None
    number = 0
    try:
        for line in read_lines(path):
            number += 1
            if replay is None:
                replay = start_replay(line, rules)
            elif line["kind"] in ("ix", "vec"):
                yield int(line["n"]), line["ix"], replay.step(line)
            else:
                problem = replay.other(line)
                if problem is not None:
                    yield -1, line["kind"], problem
    except UnreadableError as error:
        text = str(error)
        raise UnreadableError(text if text.startswith(str(path)) else f"{path}:{number}: {text}") from None
    except MALFORMED as error:
        raise UnreadableError(f"{path}:{number}: malformed: {error!r}") from error
    if replay is None:
        raise UnreadableError(f"{path}: the file is empty")


def start_replay(header: dict[str, Any], rules: Rules = rulebook) -> "Replay":
    """The replay that the first line of a recorded file asks for."""
    if header["kind"] == "init":
        return TraceReplay(header, rules)
    if header["kind"] == "base":
        return VectorReplay(header, rules)
    raise UnreadableError("the first line is no recorded state")


class Replay:
    """What traces and vectors share: run a line, compare what it changed."""

    def __init__(self, header: dict[str, Any], rules: Rules = rulebook) -> None:
        self.recording = Recording(header)
        self.machine = Machine(self.recording.store, strict=True, rules=rules)
        self._labels = {(t.number, i): label for label, (t, i) in self.recording.places.items()}
        self._posted: dict[str, Any] = {}

    def step(self, line: dict[str, Any]) -> str | None:
        """Run one recorded instruction; the first difference."""
        raise NotImplementedError

    def other(self, line: dict[str, Any]) -> str | None:
        """Lines that are not instructions."""
        return None

    def _label(self, change: Change) -> str | None:
        at = (change.table.number, change.index)
        if at not in self._labels:
            for label, (table, index) in self.recording.places.items():
                self._labels[table.number, index] = label
        return self._labels.get(at)

    def _post_oracles(self, line: dict[str, Any], clock: Clock) -> None:
        for name, post in line["oracles"].items():
            if name not in self.recording.oracle_names or self._posted.get(name) == post:
                continue
            self._posted[name] = post
            instruction = PostOraclePrice(
                oracle=name,
                price=int(post["price"]),
                conf=int(post["conf"]),
                valid_slot=int(post["valid_slot"]),
                twap=int(post["twap"]),
                num=int(post["num"]),
                num_qt=int(post["num_qt"]),
            )
            receipt, _ = self.machine.execute(Request(instruction, self.recording.admin, clock))
            if not receipt.ok:
                raise UnreadableError(f"oracle {name}: {receipt.refusal}")

    def run(self, line: dict[str, Any]) -> tuple[Receipt | None, list[Change]]:
        """Run one recorded instruction through the engine; no receipt where nothing of Seawall's happens."""
        clock = Clock(int(line["clock"]["unix_timestamp"]), int(line["clock"]["slot"]))
        self._post_oracles(line, clock)
        translated = translate(self.recording, line)
        if translated is None:
            return None, []
        instruction, signer = translated
        return self.machine.execute(Request(instruction, signer, clock))

    def run_and_compare(self, line: dict[str, Any]) -> tuple[list[Change], str | None]:
        """Run one recorded instruction and compare; an instruction that the engine lacks is a difference."""
        try:
            receipt, changes = self.run(line)
        except UnknownInstruction as error:
            return [], str(error)
        return changes, self.compare(line, receipt, changes)

    def compare(self, line: dict[str, Any], receipt: Receipt | None, changes: list[Change]) -> str | None:
        """The first difference between what the program recorded and what the engine did."""
        wanted = line["result"] if isinstance(line["result"], str) else line["result"]["error"]
        if receipt is not None:
            got = "ok" if receipt.refusal is None else receipt.refusal.error
            got = PROGRAM_NAMES.get(got, got)
            if got != wanted:
                message = "" if receipt.refusal is None else f" ({receipt.refusal.message})"
                recorded = "" if isinstance(line["result"], str) else f" ({line['result'].get('msg', '')})"
                return f"result: {got}{message} instead of {wanted}{recorded}"
        return self._compare_accounts(line, changes) or self._compare_events(line, receipt)

    def _compare_accounts(self, line: dict[str, Any], changes: list[Change]) -> str | None:
        expected: dict[str, Record] = {}
        for label, fields in line["changed"].items():
            if label not in self.recording.places:
                raise UnreadableError(f"the account {label} is unknown")
            item = self._before(label, changes)
            self.recording.apply_fields(label, item, fields)
            expected[label] = item
        for label, amount in line["vaults"].items():
            place, field = vault_place(label)
            if place not in expected:
                expected[place] = self._before(place, changes)
            setattr(expected[place], field, int(amount))
        for change in changes:
            label_ = self._label(change)
            if label_ is not None and label_ not in expected and change.before is not None:
                expected[label_] = change.table.record.unpack(change.before)
        for label, item in expected.items():
            difference = first_difference(self.recording.record(label), item)
            if difference is not None:
                return f"{label} {difference}"
        return None

    def _before(self, label: str, changes: list[Change]) -> Record:
        table, index = self.recording.places[label]
        for change in changes:
            if change.table is table and change.index == index and change.before is not None:
                return table.record.unpack(change.before)  # type: ignore[no-any-return]
        return self.recording.record(label)

    def _compare_events(self, line: dict[str, Any], receipt: Receipt | None) -> str | None:
        if receipt is None or receipt.refusal is not None or "events" not in line:
            return None
        wanted = [(name, fields) for name, fields in line["events"] if self._is_modelled(name, fields)]
        got = [(name, fields) for name, fields in receipt.events if self._is_modelled(name, fields)]
        for i, (name, fields) in enumerate(wanted):
            if i >= len(got):
                return f"event {i}: {name} is missing"
            if got[i][0] != name:
                return f"event {i}: {got[i][0]} instead of {name}"
            difference = _event_difference(name, got[i][1], fields)
            if difference is not None:
                return f"event {i} {name}.{difference}"
        if len(got) > len(wanted):
            return f"event {len(wanted)}: {got[len(wanted)][0]} was not recorded"
        return None

    @staticmethod
    def _is_modelled(name: str, fields: dict[str, Any]) -> bool:
        if name == "OrderActionRecord":
            # what a user cancels moves no money; what the program cancels may pay a filler
            return bool(fields["action"] == "Fill" or fields["action_explanation"] == "OrderExpired")
        return name not in UNMODELLED_EVENTS


def _event_difference(name: str, got: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    for field, value in wanted.items():
        if any(name == event and re.fullmatch(pattern, field) for event, pattern, _ in UNMODELLED_EVENT_FIELDS):
            continue
        if field not in got:
            return f"{field}: missing, recorded {value}"
        found = got[field]
        if isinstance(value, dict) and isinstance(found, dict):
            inner = _event_difference(name, found, value)
            if inner is not None:
                return f"{field}.{inner}"
            continue
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if found != value:
            return f"{field}: {found} instead of {value}"
    return None


class TraceReplay(Replay):
    """A run from a genesis on: each line starts where the last one ended."""

    def step(self, line: dict[str, Any]) -> str | None:
        """Run one line; after a difference the recorded state is put in place, so that one fault shows once."""
        changes, difference = self.run_and_compare(line)
        if difference is not None:
            for change in changes:
                if change.before is not None:
                    item = change.table.record.unpack(change.before)
                    change.table.store(change.index, change.before, item)
            for label, fields in line["changed"].items():
                self.recording.overwrite(label, fields)
            self.recording.overwrite_vaults(line["vaults"])
        return difference

    def other(self, line: dict[str, Any]) -> str | None:
        """New accounts and the final state."""
        if line["kind"] == "new_account":
            return self._new_account(line)
        if line["kind"] == "final":
            return self._final(line)
        return None

    def _new_account(self, line: dict[str, Any]) -> str | None:
        reference = Recording.__new__(Recording)
        reference.store = type(self.recording.store)()
        reference.places = {}
        reference.authorities = {}
        reference.orders = self.recording.orders
        reference._oracle_index = self.recording._oracle_index
        reference.add_account(line["account"], line)
        table, index = reference.places[line["account"]]
        expected = table.read(index)
        ours = {t.number: t for t in self.recording.store.tables}[table.number]
        found = ours.index.get(next(iter(table.index)))
        if found is None:
            return f"{line['account']} was not created"
        self.recording.places[line["account"]] = (ours, found)
        difference = first_difference(ours.read(found), expected)
        return None if difference is None else f"{line['account']} {difference}"

    def _final(self, line: dict[str, Any]) -> str | None:
        for label, account in line["accounts"].items():
            if label not in self.recording.places:
                return f"{label} does not exist"
            item = self.recording.record(label)
            expected = item.copy()
            data = account.get("data", account)
            self.recording.apply_fields(label, expected, dict(_leaves(data)))
            difference = first_difference(item, expected)
            if difference is not None:
                return f"{label} {difference}"
        for label, amount in line["vaults"].items():
            place, field = vault_place(label)
            got = getattr(self.recording.record(place), field)
            if got != int(amount):
                return f"{label}: {got} instead of {amount}"
        return None


def _leaves(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        for i, value in enumerate(data):
            yield from _leaves(value, f"{prefix}.{i}")
    else:
        yield prefix, data


class VectorReplay(Replay):
    """Single instructions on random states: the state before each is the base with some fields overwritten."""

    def __init__(self, header: dict[str, Any], rules: Rules = rulebook) -> None:
        super().__init__(header, rules)
        self._base = {label: table.row(index) for label, (table, index) in self.recording.places.items()}
        self._dirty: set[str] = set()

    def step(self, line: dict[str, Any]) -> str | None:
        """Restore the base, overwrite the state before, run, compare."""
        for label in self._dirty:
            table, index = self.recording.places[label]
            table.store(index, self._base[label], table.record.unpack(self._base[label]))
        self._dirty = set(line["pre"])
        for label, fields in line["pre"].items():
            self.recording.overwrite(label, fields)
        self._dirty.update(self.recording.overwrite_vaults(line["pre_vaults"]))
        changes, difference = self.run_and_compare(line)
        for change in changes:
            label_ = self._label(change)
            if label_ is not None:
                self._dirty.add(label_)
        return difference
