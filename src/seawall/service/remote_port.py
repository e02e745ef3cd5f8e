"""A venue behind a service elsewhere, as a keeper reaches it: it asks ``keeper_api`` and signs what it sends."""

from typing import Any, Final, TypeVar

import httpx
import msgspec

from seawall.engine.receipts import Clock, Receipt
from seawall.instructions.base import Instruction
from seawall.keeper.liquidations import Steps
from seawall.keeper.markets import Prospects
from seawall.keeper.port import Question, Unreachable
from seawall.keeper.risk import RiskFound
from seawall.keeper.settlements import SettlementsFound
from seawall.keeper.shares import SharesFound
from seawall.service.client import Client, ServiceProblem, rebuilt

A = TypeVar("A", bound=msgspec.Struct)

LONGEST: Final = 250
"""Milliseconds that the service may work on one answer."""


class RemotePort:
    """A venue behind a service, as a keeper elsewhere reaches it. ``client`` signs with the keeper's key."""

    def __init__(self, client: Client) -> None:
        if client.signer is None:
            raise ValueError("a keeper signs what it sends: the client needs a key")
        self._client = client
        self._signer = client.signer

    @property
    def signer(self) -> str:
        """The keeper's key in base58, or its label."""
        return self._signer

    def clock(self) -> Clock:
        """The time that an instruction would get now; ``Unreachable``."""
        try:
            return self._client.clock()
        except (ServiceProblem, httpx.HTTPError) as error:
            raise _unreachable(error) from None

    def look(self, question: Question[A]) -> A:
        """Ask the service; ``Unreachable``."""
        path, parameters, kind = _wired(question)
        try:
            data = self._client.get(path, **parameters)
        except (ServiceProblem, httpx.HTTPError) as error:
            raise _unreachable(error) from None
        answer: A = rebuilt(kind, data)
        return answer

    def dry_run(self, instruction: Instruction) -> Receipt:
        """The receipt that ``submit`` would get now; ``Unreachable``."""
        try:
            return self._client.dry_run(instruction)
        except (ServiceProblem, httpx.HTTPError) as error:
            raise _unreachable(error) from None

    def submit(self, instruction: Instruction) -> Receipt:
        """Have an instruction carried out; its receipt. ``Unreachable``: then nobody knows, and the keeper looks again
        before it tries again."""
        try:
            return self._client.submit(instruction)
        except (ServiceProblem, httpx.HTTPError) as error:
            raise _unreachable(error) from None


def _unreachable(error: ServiceProblem | httpx.HTTPError) -> Unreachable:
    if isinstance(error, ServiceProblem):
        return Unreachable(str(error))
    return Unreachable(f"the service does not answer: {error or type(error).__name__}")


def _wired(question: Question[Any]) -> tuple[str, dict[str, Any], type[msgspec.Struct]]:
    """Path and parameters of a question, and the type of its answer."""
    assert isinstance(question, msgspec.Struct)
    name = str(question.__struct_config__.tag)
    parameters = msgspec.structs.asdict(question)
    if name == "risk":
        parameters["milliseconds"] = min(LONGEST, max(1, int(parameters.pop("seconds") * 1_000)))
        parameters["only"] = ",".join(map(str, parameters["only"])) or None
    return f"/v1/keeper/{name}", parameters, _ANSWERS[name]


_ANSWERS: Final[dict[str, type[msgspec.Struct]]] = {
    "markets": Prospects,
    "risk": RiskFound,
    "settlements": SettlementsFound,
    "shares": SharesFound,
    "steps": Steps,
}
