"""Both rulebooks side by side: the same people do the same things in a Drift venue and in a Velocity venue.

What people do is decided by looking at the Drift venue, and given to both; each venue has a keeper of its own, whose
cranks follow that venue's state. ``Accounting`` follows each dollar of fees, interest and loss, receipt by receipt.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from seawall.engine.machine import Request
from seawall.engine.receipts import Receipt
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdatePerpMarketMaxImbalances
from seawall.instructions.amm import UpdateAmms, UpdateFundingRate
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.instructions.venue_setup import Initialize, PostOraclePrice
from seawall.lab.luna_week import ADMIN, AVAX_PERP, KEEPER, LunaWeek, velocity_parameters

PARTIES: Final = ("makers", "AMM", "insurance", "protocol", "lenders", "fillers", "socialised")
"""Who gets a dollar of fees or interest, or bears one of a loss."""


class Accounting:
    """Where the money of one venue went: for each subject and party, tokens by spot market."""

    def __init__(self) -> None:
        self.of: dict[str, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        """Subject (``fees``, ``interest``, ``liquidations``, ``losses``) → spot market → party → tokens."""
        self.refused: Counter[str] = Counter()
        self._borrow_index: dict[int, int] = {}
        self._ledger: Counter[str] = Counter()

    def apply(self, venue: Venue, requests: Sequence[Request]) -> None:
        """Apply requests one by one and account for each."""
        for request in requests:
            receipt = venue.apply(request.instruction, request.signer, request.at)
            self.add(venue, receipt)

    def add(self, venue: Venue, receipt: Receipt) -> None:
        """Account for one receipt; the venue stands as it left it."""
        if receipt.refusal is not None:
            self.refused[receipt.ix] += 1
            return
        now = _ledger(venue)
        change = Counter({name: now[name] - self._ledger[name] for name in now})
        self._ledger = now
        fills = [
            fields for name, fields in receipt.events if name == "OrderActionRecord" and fields["action"] == "Fill"
        ]
        liquidations = [fields for name, fields in receipt.events if name == "LiquidationRecord"]
        if fills and not liquidations:
            self._fees(fills, change)
        elif change["withdrawn"]:
            # Drift sends the fund its part of the fees out of the AMM's earnings, when somebody settles
            self._move(self.of["fees"][0], "AMM", "insurance", change["withdrawn"])
        paid = Counter[tuple[int, str]]()
        for fields in liquidations:
            self._liquidation(receipt.ix, fields, paid)
        self._interest(venue, receipt, change, paid)
        if receipt.waterfall is not None:
            self._loss(receipt)

    # --- fees -------------------------------------------------------------------------------------------------

    def _fees(self, fills: Sequence[dict[str, Any]], change: "Counter[str]") -> None:
        """What takers paid for fills: rebates, rewards, and the rest as the venue's rulebook splits it."""
        parties = self.of["fees"][0]
        taken = sum(int(fields["taker_fee"] or 0) for fields in fills)
        rebates = -sum(int(fields["maker_fee"] or 0) for fields in fills)
        rewards = sum(int(fields["filler_reward"] or 0) + int(fields["referrer_reward"] or 0) for fields in fills)
        parties["makers"] += rebates
        parties["fillers"] += rewards
        parties["insurance"] += change["if_fees"]
        parties["protocol"] += change["protocol_fees"]
        parties["AMM"] += taken - rebates - rewards - change["if_fees"] - change["protocol_fees"]

    @staticmethod
    def _move(parties: "Counter[str]", source: str, target: str, amount: int) -> None:
        parties[source] -= amount
        parties[target] += amount

    def _liquidation(self, ix: str, fields: dict[str, Any], paid: "Counter[tuple[int, str]]") -> None:
        part = fields[ix] if ix in fields else fields["liquidate_perp"]
        market = int(part["liability_market_index"]) if ix == "liquidate_spot" else 0
        insurance, protocol = int(part.get("if_fee", 0)), int(part.get("protocol_fee", 0))
        self.of["liquidations"][market]["insurance"] += insurance
        self.of["liquidations"][market]["protocol"] += protocol
        if ix == "liquidate_spot":
            paid[market, "revenue_pool"] += insurance
            paid[market, "protocol_fee_pool"] += protocol

    # --- interest ---------------------------------------------------------------------------------------------

    def _interest(
        self, venue: Venue, receipt: Receipt, change: "Counter[str]", paid: "Counter[tuple[int, str]]"
    ) -> None:
        """What borrowers were charged; the cuts are what came into the pools and is not explained otherwise."""
        accrued = [fields for name, fields in receipt.events if name == "SpotInterestRecord"]
        for fields in accrued:
            index = int(fields["market_index"])
            market = venue.store.spot_markets.objects[index]
            after = int(fields["cumulative_borrow_interest"])
            grown = after - self._borrow_index.get(index, 10_000_000_000)
            self._borrow_index[index] = after
            charged = int(fields["borrow_balance"]) * grown // 10 ** (19 - market.decimals)
            insurance = _leg(receipt, index, "revenue_pool") - _explained(receipt, index, change)
            insurance -= paid[index, "revenue_pool"]
            protocol = _leg(receipt, index, "protocol_fee_pool") - paid[index, "protocol_fee_pool"]
            protocol += sum(
                int(event["amount"])
                for name, event in receipt.events
                if name == "ProtocolFeeWithdrawRecord" and not event["is_perp"]
            )
            parties = self.of["interest"][index]
            parties["insurance"] += max(0, insurance)
            parties["protocol"] += max(0, protocol)
            parties["lenders"] += charged - max(0, insurance) - max(0, protocol)

    # --- losses -----------------------------------------------------------------------------------------------

    def _loss(self, receipt: Receipt) -> None:
        waterfall = receipt.waterfall
        assert waterfall is not None
        parties = self.of["losses"][waterfall.market_index]
        for source in waterfall.sources:
            name = source.name.rpartition(".")[2]
            if name in ("insurance_fund", "revenue_pool", "pending_if_fee"):
                parties["insurance"] += source.paid
            elif name in ("fee_pool", "pending_amm_provision", "amm_provision"):
                parties["AMM"] += source.paid
            else:
                parties[name] += source.paid
        parties["socialised"] += waterfall.socialised


def _ledger(venue: Venue) -> "Counter[str]":
    """Running totals of a venue that no event tells: what Drift sent to the fund, what Velocity's split set aside."""
    totals: Counter[str] = Counter()
    for market in venue.store.perp_markets.objects:
        ledger = market.fee_ledger
        totals["withdrawn"] += market.amm.total_fee_withdrawn
        totals["if_fees"] += ledger.pending_if_fee
        totals["protocol_fees"] += ledger.pending_protocol_fee
    return totals


def _leg(receipt: Receipt, market_index: int, pool: str) -> int:
    account = f"spot_market.{market_index}.{pool}"
    return sum(t.amount for t in receipt.transfers if t.market_index == market_index and t.account == account)


def _explained(receipt: Receipt, market_index: int, change: "Counter[str]") -> int:
    """What a revenue pool got or gave in an instruction by other ways than interest."""
    total = change["withdrawn"] if market_index == 0 else 0
    for name, fields in receipt.events:
        if name == "InsuranceFundRecord" and fields["spot_market_index"] == market_index and fields["amount"] > 0:
            total -= int(fields["amount"])
        elif name == "PerpMarketFeeSweepRecord" and market_index == 0:
            total += int(fields["if_swept"])
    return total


class Comparison:
    """The LUNA week in a Drift venue and in a Velocity venue."""

    def __init__(self, seed: int) -> None:
        self.week = LunaWeek(seed)
        self._velocity_week = LunaWeek(seed, rulebook="velocity")
        self.venues = {"drift": Venue(), "velocity": Venue()}
        self.accounts = {name: Accounting() for name in self.venues}
        genesis = self.week.genesis()
        self._both(genesis)

    def round(self, number: int) -> None:
        """One oracle round in both venues."""
        self._both(self.week.people_do(self.venues["drift"], number))
        for name, week in (("drift", self.week), ("velocity", self._velocity_week)):
            for batch in week.keeper_does(self.venues[name], number):
                self.accounts[name].apply(self.venues[name], batch)

    def ending(self) -> None:
        """After the last round."""
        for name, week in (("drift", self.week), ("velocity", self._velocity_week)):
            for batch in week.ending(self.venues[name]):
                self.accounts[name].apply(self.venues[name], batch)

    def _both(self, requests: Sequence[Request]) -> None:
        self.accounts["drift"].apply(self.venues["drift"], requests)
        self.accounts["velocity"].apply(self.venues["velocity"], list(under_velocity(requests)))


def under_velocity(requests: Sequence[Request]) -> Iterator[Request]:
    """The same requests for a Velocity venue: with its parameters, its AMM refreshed, its fees swept by the hour."""
    for request in requests:
        instruction = request.instruction
        if isinstance(instruction, Initialize):
            yield request._replace(instruction=msgspec.structs.replace(instruction, rulebook="velocity"))
            continue
        yield request
        if isinstance(instruction, UpdatePerpMarketMaxImbalances):
            for parameter in velocity_parameters():
                yield Request(parameter, ADMIN, request.at)
        elif isinstance(instruction, PostOraclePrice):
            yield Request(UpdateAmms(market_indexes=[AVAX_PERP]), KEEPER, request.at)
        elif isinstance(instruction, UpdateFundingRate):
            yield Request(SweepPerpMarketFees(market_index=AVAX_PERP), KEEPER, request.at)
