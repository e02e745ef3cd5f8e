"""How to compute a fact of Velocity, by the function's full name or its name without the remark in parentheses."""

from seawall.audit.parity.facts_inputs import Adapter
from seawall.audit.parity.velocity.facts_balances import ADAPTERS as BALANCES_ADAPTERS
from seawall.audit.parity.velocity.facts_fills import ADAPTERS as FILLS_ADAPTERS
from seawall.audit.parity.velocity.facts_funding import ADAPTERS as FUNDING_ADAPTERS
from seawall.audit.parity.velocity.facts_insurance import ADAPTERS as INSURANCE_ADAPTERS
from seawall.audit.parity.velocity.facts_liquidation import ADAPTERS as LIQUIDATION_ADAPTERS
from seawall.audit.parity.velocity.facts_margin import ADAPTERS as MARGIN_ADAPTERS
from seawall.audit.parity.velocity.facts_pools import ADAPTERS as POOLS_ADAPTERS
from seawall.audit.parity.velocity.facts_roles import ADAPTERS as ROLES_ADAPTERS
from seawall.audit.parity.velocity.facts_solvency import ADAPTERS as SOLVENCY_ADAPTERS

VELOCITY_ADAPTERS: dict[str, Adapter] = {
    **BALANCES_ADAPTERS,
    **FILLS_ADAPTERS,
    **FUNDING_ADAPTERS,
    **INSURANCE_ADAPTERS,
    **LIQUIDATION_ADAPTERS,
    **MARGIN_ADAPTERS,
    **POOLS_ADAPTERS,
    **ROLES_ADAPTERS,
    **SOLVENCY_ADAPTERS,
}
