"""Facts of insurance shares, stakes and revenue settlement."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.rules.common.insurance_shares import calculate_if_shares_lost, calculate_rebase_info


def _rebase_info(inputs: Inputs) -> Found:
    expo, divisor = calculate_rebase_info(inputs.int("total_if_shares"), inputs.int("insurance_fund_vault_balance"))
    return {"expo_diff": expo, "rebase_divisor": divisor}


def _shares_lost(inputs: Inputs) -> Found:
    names = (
        "last_withdraw_request_shares", "last_withdraw_request_value", "total_shares", "insurance_fund_vault_balance",
    )  # fmt: skip
    return {"if_shares_lost": calculate_if_shares_lost(*(inputs.int(name) for name in names))}


ADAPTERS: dict[str, Adapter] = {
    "calculate_rebase_info": _rebase_info,
    "calculate_if_shares_lost": _shares_lost,
}
