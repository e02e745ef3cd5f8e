"""A client of the service in Python: signs what it asks for, and gives receipts back as the engine has them.

>>> from seawall.service.client import Client  # doctest: +SKIP
>>> with Client("http://127.0.0.1:8730", secret) as client:  # doctest: +SKIP
...     client.submit(SettlePnl(user="9xQe…/0", market_index=0), idempotency_key="settle-1").ok
True
"""

import os
import re
import time
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Self, Union, get_args, get_origin, get_type_hints

import httpx
import msgspec

from seawall.engine.receipts import Clock, Limit, Receipt, Refusal, Transfer, VaultChange, Waterfall
from seawall.instructions.base import Instruction, encode
from seawall.keys import base58
from seawall.signing import NONCE_BYTES, public_key, sign

LIFETIME: Final = 120
"""Seconds for which a signature is good."""

RECONNECT: Final = 1.0
_INTEGER: Final = re.compile(r"-?[0-9]+")


class ServiceProblem(Exception):
    """The service answered with a problem (RFC 9457) and no receipt: the venue was not asked, or does not go on."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('error', status)}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem
        self.error: str = problem.get("error", "")
        """The error's name."""

    @property
    def busy(self) -> bool:
        """Whether the same request may pass a little later."""
        return self.status in (429, 503)


def signed_body(
    secret: bytes,
    venue_id: bytes,
    instruction: Instruction,
    idempotency_key: str | None = None,
    lifetime: int = LIFETIME,
) -> bytes:
    """The body of a request for an instruction, signed for a venue."""
    data = encode(instruction)
    proof = sign(secret, venue_id, os.urandom(NONCE_BYTES), int(time.time()) + lifetime, idempotency_key, data)
    return msgspec.json.encode(
        {
            **_fields(instruction),
            "signer": base58(public_key(secret)),
            "nonce": proof.nonce.hex(),
            "expiry": proof.expiry,
            "signature": base58(proof.signature),
        }
    )


class Client:
    """A connection to a service, as one signer. Not for several threads at once."""

    def __init__(
        self, url: str, secret: bytes | None = None, *, signer: str | None = None, timeout: float = 30.0
    ) -> None:
        """``secret``: the signer's secret key (32 bytes). Without one nothing is signed: for reading, and, as
        ``signer``, for a service in development mode."""
        self._secret = secret
        self._http = httpx.Client(base_url=url, timeout=timeout)
        self._venue_id: bytes | None = None
        self.signer = signer if secret is None else base58(public_key(secret))
        """Who asks, in base58 or as a label; None for reading only."""

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- asking -----------------------------------------------------------------------------------------------

    def get(self, path: str, **parameters: Any) -> Any:
        """What a GET answers, as JSON data; ``ServiceProblem``."""
        response = self._http.get(path, params={k: v for k, v in parameters.items() if v is not None})
        return self._answer(response)

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
        """What a POST answers, as JSON data; ``ServiceProblem``."""
        return self._answer(self._http.post(path, content=body, headers=headers))

    def venue(self) -> dict[str, Any]:
        """The venue, its limits and where its journal stands."""
        found: dict[str, Any] = self.get("/v1/venue")
        return found

    @property
    def venue_id(self) -> bytes:
        """What signatures are for; ``ServiceProblem`` while the venue is empty."""
        if self._venue_id is None:
            text = self.venue()["venue_id"]
            if text is None:
                raise ServiceProblem(409, {"error": "SignatureInvalid", "detail": "the venue is empty"})
            self._venue_id = bytes.fromhex(text)
        return self._venue_id

    def clock(self) -> Clock:
        """The time that an instruction would get now."""
        return Clock.at(int(self.venue()["now"]))

    def submit(self, instruction: Instruction, idempotency_key: str | None = None) -> Receipt:
        """Have an instruction carried out; its receipt once it is durable. A refusal is a receipt too.

        ``ServiceProblem`` where it did not reach the venue; ``httpx.TransportError`` where nobody knows: repeat it with
        the same ``idempotency_key`` and get the first receipt.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._receipt(f"/v1/instructions/{instruction.ix}", self._body(instruction, idempotency_key), headers)

    def dry_run(self, instruction: Instruction) -> Receipt:
        """The receipt that ``submit`` would get now; changes nothing, needs no signature."""
        body = msgspec.json.encode({**_fields(instruction), "signer": self._signer()})
        return self._receipt(f"/v1/instructions/{instruction.ix}?dry_run=true", body, {})

    def receipt(self, sequence: int) -> Receipt:
        """A receipt by its sequence number."""
        return receipt_of(self.get(f"/v1/receipts/{sequence}"))

    def stream(self, after: int, reconnect: bool = True) -> Iterator[Receipt]:
        """Every receipt after a sequence number, once and in order, as they become durable; never ends by itself."""
        while True:
            try:
                for event in self._events(after):
                    yield event
                    after = event.sequence
            except httpx.TransportError:
                if not reconnect:
                    raise
                time.sleep(RECONNECT)
            else:
                if not reconnect:
                    return

    def _events(self, after: int) -> Iterator[Receipt]:
        headers = {"Last-Event-ID": str(after)}
        with self._http.stream("GET", "/v1/stream", headers=headers, timeout=httpx.Timeout(30, read=60)) as response:
            if response.status_code != 200:
                response.read()
                self._answer(response)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield receipt_of(msgspec.json.decode(line[6:]))

    # --- reading answers --------------------------------------------------------------------------------------

    def _signer(self) -> str:
        if self.signer is None:
            raise ValueError("this client has no signer: it only reads")
        return self.signer

    def _body(self, instruction: Instruction, idempotency_key: str | None) -> bytes:
        if self._secret is not None:
            return signed_body(self._secret, self.venue_id, instruction, idempotency_key)
        return msgspec.json.encode({**_fields(instruction), "signer": self._signer()})

    def _receipt(self, path: str, body: bytes, headers: dict[str, str]) -> Receipt:
        try:
            return receipt_of(self.post(path, body, {"Content-Type": "application/json", **headers}))
        except ServiceProblem as problem:
            if "receipt" not in problem.problem:
                raise
            return receipt_of(problem.problem["receipt"])

    def _answer(self, response: httpx.Response) -> Any:
        try:
            data = msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            data = {"error": "Unexpected", "detail": response.text[:200]}
        if response.status_code >= 400:
            raise ServiceProblem(response.status_code, data if isinstance(data, dict) else {})
        return data


def _fields(instruction: Instruction) -> dict[str, Any]:
    fields: dict[str, Any] = _texts(msgspec.json.decode(encode(instruction)))
    del fields["ix"]
    return fields


def _texts(data: Any) -> Any:
    """JSON data with its integers as decimal strings."""
    if isinstance(data, dict):
        return {name: _texts(item) for name, item in data.items()}
    if isinstance(data, list):
        return [_texts(item) for item in data]
    return str(data) if type(data) is int else data


# --- receipts --------------------------------------------------------------------------------------------------


def receipt_of(data: dict[str, Any]) -> Receipt:
    """A receipt from the service's JSON data, as the engine has it."""
    refusal, waterfall = data["refusal"], data["waterfall"]
    return Receipt(
        sequence=int(data["sequence"]),
        clock=Clock(int(data["unix_timestamp"]), int(data["slot"])),
        ix=data["ix"],
        signer=data["signer"],
        refusal=None if refusal is None else rebuilt(Refusal, refusal),
        events=[(event["name"], _event(event["fields"])) for event in data["events"]],
        transfers=[rebuilt(Transfer, transfer) for transfer in data["transfers"]],
        vaults=[rebuilt(VaultChange, change) for change in data["vaults"]],
        limits=[rebuilt(Limit, limit) for limit in data["limits"]],
        effects=data["effects"],
        waterfall=None if waterfall is None else rebuilt(Waterfall, waterfall),
    )


def rebuilt(hint: Any, data: Any) -> Any:
    """A value of a declared type from the service's JSON data."""
    if get_origin(hint) is Annotated:
        return rebuilt(get_args(hint)[0], data)
    if hint is int:
        return int(data)
    origin, args = get_origin(hint), get_args(hint)
    if origin is list:
        return [rebuilt(args[0], item) for item in data]
    if origin is dict:
        return {name: rebuilt(args[1], item) for name, item in data.items()}
    if origin in (Union, types.UnionType):
        return None if data is None else rebuilt(next(a for a in args if a is not type(None)), data)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = get_type_hints(hint, include_extras=True)
        return hint(**{name: rebuilt(hints[name], data[name]) for name in hint.__struct_fields__ if name in data})
    return data


def _event(data: Any) -> Any:
    """An event's fields: its integers come as decimal strings, and nothing else in it looks like one."""
    if isinstance(data, dict):
        return {name: _event(item) for name, item in data.items() if name != "display"}
    if isinstance(data, list):
        return [_event(item) for item in data]
    return int(data) if isinstance(data, str) and _INTEGER.fullmatch(data) else data
