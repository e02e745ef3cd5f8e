"""A market's fee ledger: what fees came to, and what of them still lies in the P&L pool.

Source: velocity/pools-and-fees.md §1; ``state/perp_market.rs::FeeLedger``.
"""

from seawall.arithmetic import checked_u128, sub_checked
from seawall.lanes import rule
from seawall.state.perp_market import FeeLedger


@rule
def accrue_fill_fees(ledger: FeeLedger, gross: int, protocol: int, insurance: int, amm: int) -> None:
    """Book a fill's fees (quote 1e6): the gross fee and its three cuts. ``MathError`` beyond 128 bits."""
    ledger.total_exchange_fee = checked_u128(ledger.total_exchange_fee + gross)
    ledger.pending_protocol_fee = checked_u128(ledger.pending_protocol_fee + protocol)
    ledger.pending_if_fee = checked_u128(ledger.pending_if_fee + insurance)
    ledger.amm_protocol_fees_received = checked_u128(ledger.amm_protocol_fees_received + amm)
    ledger.pending_amm_provision = checked_u128(ledger.pending_amm_provision + amm)


@rule
def accrue_liquidation_fees(ledger: FeeLedger, insurance: int, protocol: int) -> None:
    """Book a liquidation's fees (quote 1e6). ``MathError`` beyond 128 bits."""
    ledger.total_liquidation_fee = checked_u128(ledger.total_liquidation_fee + insurance + protocol)
    ledger.pending_if_fee = checked_u128(ledger.pending_if_fee + insurance)
    ledger.pending_protocol_fee = checked_u128(ledger.pending_protocol_fee + protocol)


@rule
def accrue_forfeited_claim_to_if(ledger: FeeLedger, amount: int) -> None:
    """A bankrupt estate's unfundable claim (quote 1e6) becomes the fund's; no liquidation fee. ``MathError``."""
    ledger.pending_if_fee = checked_u128(ledger.pending_if_fee + amount)


@rule
def consume_pending_if(ledger: FeeLedger, amount: int) -> None:
    """Insurance's pending cut (quote 1e6) falls; ``MathError`` below zero."""
    ledger.pending_if_fee = sub_checked(ledger.pending_if_fee, amount)


@rule
def consume_pending_protocol(ledger: FeeLedger, amount: int) -> None:
    """The protocol's pending cut (quote 1e6) falls; ``MathError`` below zero."""
    ledger.pending_protocol_fee = sub_checked(ledger.pending_protocol_fee, amount)


@rule
def consume_pending_amm_provision(ledger: FeeLedger, amount: int) -> None:
    """The AMM's untokenised provision (quote 1e6) falls; what may be clawed back stays. ``MathError`` below zero."""
    ledger.pending_amm_provision = sub_checked(ledger.pending_amm_provision, amount)


@rule
def consume_amm_backstop(ledger: FeeLedger, amount: int) -> None:
    """What of the AMM's provision may still be clawed back (quote 1e6) falls; ``MathError`` below zero."""
    ledger.amm_protocol_fees_received = sub_checked(ledger.amm_protocol_fees_received, amount)


@rule
def pending_fee_obligations(ledger: FeeLedger) -> int:
    """What the P&L pool still owes to the protocol and to insurance (quote 1e6)."""
    return ledger.pending_protocol_fee + ledger.pending_if_fee
