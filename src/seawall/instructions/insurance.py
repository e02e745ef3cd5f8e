"""Insurance stakes, and the shares of an insurance fund that the protocol owns."""

from seawall.instructions.base import Instruction, Key
from seawall.records import u16, u64, u128


class InitializeInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Open an authority's empty stake in a market's fund. Signer: the authority, which has an account here.

    Source: insurance.md §4.1; ``if_staker.rs::handle_initialize_insurance_fund_stake``.
    """

    authority: Key
    market_index: u16


class AddInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Buy shares of a market's fund for ``amount`` tokens of the signer's wallet. Signer: the stake's authority.

    Revenue that is due settles first. Drift takes the whole amount; Velocity what the whole shares in it cost, and
    refuses an amount below one share.
    Source: insurance.md §4.2; velocity/insurance.md §4; ``if_staker.rs::handle_add_insurance_fund_stake``.
    """

    authority: Key
    market_index: u16
    amount: u64


class DepositIntoInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """An administrator buys shares for the stake of ``authority``. No venue has it: ``UnsupportedInstruction``.

    Drift got it after v2.84, and the redesign deleted it with the protocol's own shares: what enters a Velocity fund is
    a staker's, revenue, or a gift to all stakers. Source: insurance.md §10.2.
    """

    authority: Key
    market_index: u16
    amount: u64


class RequestRemoveInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Ask to remove ``amount`` tokens' worth of shares; the cooldown starts. Signer: the stake's authority.

    Velocity settles revenue that is due first, and refuses a request while withdraws are paused.
    Source: insurance.md §4.3; velocity/insurance.md §5.1; ``if_staker.rs::handle_request_remove_insurance_fund_stake``.
    """

    authority: Key
    market_index: u16
    amount: u64


class CancelRequestRemoveInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Take a request back, at the price of what the fund earned meanwhile. Signer: the stake's authority.

    Velocity settles revenue that is due first, and lets a sole staker keep everything.
    Source: insurance.md §4.4; velocity/insurance.md §5.2;
    ``if_staker.rs::handle_cancel_request_remove_insurance_fund_stake``.
    """

    authority: Key
    market_index: u16


class RemoveInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Pay a request out after its cooldown, at most the value frozen then. Signer: the stake's authority.

    Source: insurance.md §4.5; velocity/insurance.md §5.3; ``if_staker.rs::handle_remove_insurance_fund_stake``.
    """

    authority: Key
    market_index: u16


class UpdateUserQuoteAssetInsuranceStake(Instruction, frozen=True, kw_only=True):
    """Refresh the value of an authority's quote stake in its statistics. Signer: that authority (Velocity: anyone).

    Source: insurance.md §4.6; velocity/insurance.md §1.3;
    ``keeper.rs::handle_update_user_quote_asset_insurance_stake``.
    """

    authority: Key


class TransferProtocolIfShares(Instruction, frozen=True, kw_only=True):
    """Hand ``shares`` of the quote fund that the protocol owns to a staker. Signer: one of the whitelisted.

    The program also asks for the receiving authority's signature; here a gift of shares needs none.
    Source: insurance.md §7.2; ``if_staker.rs::handle_transfer_protocol_if_shares``.
    """

    authority: Key
    market_index: u16
    shares: u128


class InitializeProtocolIfSharesTransferConfig(Instruction, frozen=True, kw_only=True):
    """Open the configuration of protocol share transfers; nobody may transfer yet. Signer: admin.

    Source: insurance.md §7.2.
    """


class UpdateProtocolIfSharesTransferConfig(Instruction, frozen=True, kw_only=True):
    """Set who may transfer protocol shares (up to four) and how many an epoch of 28 days. Signer: admin.

    What is not given stays. Source: insurance.md §7.2.
    """

    whitelisted_signers: list[Key] | None = None
    max_transfer_per_epoch: u128 | None = None


class AdminRemoveInsuranceFundStake(Instruction, frozen=True, kw_only=True):
    """Burn ``shares`` that the protocol owns and pay their value into the admin's wallet. Signer: admin.

    Profile ``documents`` only: the program has the step but no instruction that calls it. Source: insurance.md §7.1.
    """

    market_index: u16
    shares: u128


class DepositIntoInsuranceFund(Instruction, frozen=True, kw_only=True):
    """Give ``amount`` tokens to an insurance fund: a plain transfer into its vault, no shares.

    Every share gains; while no shares exist, the protocol will own them (Velocity: they become ballast, which nobody
    can withdraw). Signer: ``authority``, who pays. Source: insurance.md §5.2; velocity/insurance.md §2.
    """

    authority: Key
    market_index: u16
    amount: u64
