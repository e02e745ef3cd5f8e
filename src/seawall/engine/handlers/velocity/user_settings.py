"""What only Velocity lets the owner of an account set, or an administrator note about one."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import required
from seawall.engine.handlers.user_settings import write_own_user
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.user_settings import (
    SetUserVaultOwned,
    UpdateUserAcceleratedReferralStatus,
    UpdateUserPoolId,
)
from seawall.keys import key_from_text
from seawall.rules.common.margin import meets_initial_margin_requirement


def update_user_pool_id(tx: Transaction, ix: UpdateUserPoolId) -> None:
    """Move an account into a pool; ``InvalidPoolId`` while it holds, owes or trades anything of another.

    Pool 1 admits a quote deposit of pool 0, which counts for nothing there. Whether the account meets the margin that
    is computed does not matter: deliberate, it is the program's. The calculation's other errors count too.
    """
    user = write_own_user(tx, ix.user)
    user.pool_id = ix.pool_id
    with required(f"every position of the account in markets of pool {ix.pool_id}"):
        meets_initial_margin_requirement(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)


def set_user_vault_owned(tx: Transaction, ix: SetUserVaultOwned) -> None:
    """Note that an authority is a vault, which nothing takes back; ``Unauthorized``, ``UserNotFound``."""
    authority = key_from_text(ix.authority)
    tx.require_signer(authority, "authority")
    tx.write_user_stats(authority).is_vault_owned = True


def update_accelerated_referral(tx: Transaction, ix: UpdateUserAcceleratedReferralStatus) -> None:
    """Set at which rate an authority's referrals are rewarded; ``Unauthorized``, ``UserNotFound``."""
    tx.require_admin()
    tx.write_user_stats(key_from_text(ix.authority)).is_accelerated_referrer = ix.accelerated


HANDLERS: dict[type[Instruction], Handler] = {
    UpdateUserPoolId: update_user_pool_id,
    SetUserVaultOwned: set_user_vault_owned,
    UpdateUserAcceleratedReferralStatus: update_accelerated_referral,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
