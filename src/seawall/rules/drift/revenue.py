"""The drift rulebook's revenue settlement: a revenue pool moves to the insurance fund, and who owns what moved.

Source: insurance.md §6; ``controller/insurance.rs``.
"""

from seawall.arithmetic import checked_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import withdraw_from_pool
from seawall.rules.common.insurance_shares import vault_amount_to_if_shares
from seawall.rules.common.revenue import calculate_revenue_to_settle, is_revenue_settle_due
from seawall.rules.drift.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.state.facts import InterestFacts, RevenueSettleFacts
from seawall.state.spot_market import InsuranceFund, SpotMarket


@rule
def mint_protocol_shares(amount: int, insurance_vault_amount: int, fund: InsuranceFund) -> None:
    """Give the protocol shares for its factor's part of ``amount`` tokens; the stakers' part raises the price instead.

    Priced at the vault before the transfer and without a rebase: deliberate, it is the program's.
    ``MathError``, ``InvalidIFSharesDetected``. Source: insurance.md §6.2 step 11.
    """
    protocol_factor = fund.total_factor - fund.user_factor
    if protocol_factor > 0:
        part = checked_u64(amount * protocol_factor) // fund.total_factor
        fund.total_shares = fund.total_shares + vault_amount_to_if_shares(
            part, fund.total_shares, insurance_vault_amount
        )


@rule
def settle_revenue_to_insurance_fund(
    spot_vault_amount: int,
    insurance_vault_amount: int,
    spot_market: SpotMarket,
    now: int,
    strict: bool,
    interest: InterestFacts,
    facts: RevenueSettleFacts,
) -> int:
    """Take this period's revenue from the pool; returns the tokens to move to the insurance vault.

    ``strict``: an amount of 0 is ``NoRevenueToSettleToIF``. ``RevenueSettingsCannotSettleToIF``,
    ``SpotMarketVaultInvariantViolated``, ``InvalidIFSharesDetected``, ``MathError``.
    Source: insurance.md §6.2.
    """
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, interest)
    fund = spot_market.insurance_fund
    if fund.revenue_settle_period == 0:
        return 0
    if fund.user_factor > fund.total_factor:
        raise SettlementError(ErrorCode.RevenueSettingsCannotSettleToIF)
    amount = calculate_revenue_to_settle(spot_vault_amount, insurance_vault_amount, 0, spot_market, facts)
    if strict and amount == 0:
        raise SettlementError(ErrorCode.NoRevenueToSettleToIF)
    fund.last_revenue_settle_ts = now
    mint_protocol_shares(amount, insurance_vault_amount, fund)
    facts.settled = True
    facts.amount = amount
    facts.vault_amount_before = spot_vault_amount
    facts.insurance_vault_amount_before = insurance_vault_amount
    # both are told after the minting: deliberate, it is the program's
    facts.total_if_shares_before = fund.total_shares
    facts.total_if_shares_after = fund.total_shares
    withdraw_from_pool(amount, spot_market, spot_market.revenue_pool)
    return amount


@rule
def attempt_settle_revenue_to_insurance_fund(
    spot_vault_amount: int,
    insurance_vault_amount: int,
    spot_market: SpotMarket,
    now: int,
    interest: InterestFacts,
    facts: RevenueSettleFacts,
) -> int:
    """Settle revenue in front of another instruction, if it is due; returns the tokens to move.

    The time is stamped even when nothing moves: deliberate, a settlement of 0 uses the period up.
    Source: insurance.md §6.3.
    """
    fund = spot_market.insurance_fund
    if not is_revenue_settle_due(fund, now):
        return 0
    amount = settle_revenue_to_insurance_fund(
        spot_vault_amount, insurance_vault_amount, spot_market, now, False, interest, facts
    )
    fund.last_revenue_settle_ts = now
    return amount
