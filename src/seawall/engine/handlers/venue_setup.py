"""Handlers that set a venue up: the exchange, oracles, wallets, user accounts."""

from hashlib import sha256

from seawall.engine.explain import Explainer
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import QUOTE_ORACLE_INDEX, Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.venue_setup import AddOracle, FundWallet, Initialize, InitializeUser, PostOraclePrice
from seawall.keys import DEFAULT_KEY, key_from_text
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure, State, VenueConfig
from seawall.state.oracle import Oracle
from seawall.state.user import User, UserStats


def initialize(tx: Transaction, ix: Initialize) -> None:
    """Create the exchange with the program's defaults; ``AccountAlreadyInUse`` on a second call."""
    if tx.store.config.objects:
        raise SettlementError(ErrorCode.AccountAlreadyInUse, "the venue is initialised already")
    documents = ix.profile == "documents"
    config = VenueConfig(
        name=ix.name,
        rulebook=ix.rulebook,
        profile=ix.profile,
        spot_fee_pool_settlement=given(ix.spot_fee_pool_settlement, documents),
        admin_removes_protocol_shares=given(ix.admin_removes_protocol_shares, documents),
        liquidation_status_cranks=given(ix.liquidation_status_cranks, documents),
        wallets_tracked=ix.wallets_tracked,
        associated_spot_backstop=ix.associated_spot_backstop,
    )
    tx.create_exchange(config, default_state(key_from_text(ix.admin)))
    tx.add_oracle(Oracle(name="quote", price=1_000_000, conf=1, twap=1_000_000))


def given(value: bool | None, otherwise: bool) -> bool:
    """A parameter as it was asked for, or as the profile has it."""
    return otherwise if value is None else value


def default_state(admin: bytes) -> State:
    """The exchange as the program initialises it. Source: instructions.md §3.1; fees.md §1."""
    state = State(
        admin=admin,
        signer=key_from_text("@protocol"),
        perp_fee_structure=default_fee_structure((100, 90, 80, 70, 60, 50), 15, 5),
        spot_fee_structure=default_fee_structure((100,), 0, 0),
        liquidation_margin_buffer_ratio=200,
        min_perp_auction_duration=10,
        default_market_order_time_in_force=60,
        default_spot_auction_duration=10,
    )
    rails = state.oracle_guard_rails
    rails.price_divergence.mark_oracle_percent_divergence = 100_000
    rails.price_divergence.oracle_twap_5min_percent_divergence = 500_000
    rails.validity.slots_before_stale_for_amm = 10
    rails.validity.slots_before_stale_for_margin = 120
    rails.validity.confidence_interval_max_size = 20_000
    rails.validity.too_volatile_ratio = 5
    return state


def default_fee_structure(
    taker: tuple[int, ...],
    referrer_reward: int,
    referee_fee: int,
    rebate: tuple[int, int] = (20, 100_000),
    epoch_bound: int = 4_000_000_000,
) -> FeeStructure:
    """A program's default fees: taker fees in 1/100000 by tier, rebate as a fraction, percentages, filler 10 %."""
    structure = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        referrer_reward_epoch_upper_bound=epoch_bound,
        flat_filler_fee=10_000,
    )
    for i in range(len(structure.fee_tiers)):
        used = i < len(taker)
        structure.fee_tiers[i] = FeeTier(
            fee_numerator=taker[i] if used else 0,
            fee_denominator=100_000,
            maker_rebate_numerator=rebate[0] if used else 0,
            maker_rebate_denominator=rebate[1],
            referrer_reward_numerator=referrer_reward if used else 0,
            referrer_reward_denominator=100,
            referee_fee_numerator=referee_fee if used else 0,
            referee_fee_denominator=100,
        )
    return structure


def add_oracle(tx: Transaction, ix: AddOracle) -> None:
    """Create an oracle; names are unique (``AccountAlreadyInUse``)."""
    tx.require_admin()
    if any(oracle.name == ix.name for oracle in tx.store.oracles.objects):
        raise SettlementError(ErrorCode.AccountAlreadyInUse, f"an oracle {ix.name!r} exists")
    twap = ix.price if ix.twap is None else ix.twap
    tx.add_oracle(Oracle(name=ix.name, price=ix.price, conf=ix.conf, valid_slot=tx.slot, twap=twap))


def post_oracle_price(tx: Transaction, ix: PostOraclePrice) -> None:
    """Replace an oracle's price; ``OracleNotFound``."""
    tx.require_admin()
    index = tx.oracle_by_name(ix.oracle)
    if index == QUOTE_ORACLE_INDEX:
        raise SettlementError(ErrorCode.InvalidOracle, "the quote token's price is 1 and is not posted")
    oracle = tx.write_oracle(index)
    oracle.price = ix.price
    oracle.conf = ix.conf
    oracle.valid_slot = tx.slot if ix.valid_slot is None else ix.valid_slot
    oracle.twap = ix.price if ix.twap is None else ix.twap
    oracle.num = ix.num
    oracle.num_qt = ix.num_qt


def fund_wallet(tx: Transaction, ix: FundWallet) -> None:
    """Credit a tracked wallet; ``DefaultError`` where wallets are not tracked."""
    tx.require_admin()
    if not tx.config.wallets_tracked:
        raise SettlementError(ErrorCode.DefaultError, "this venue does not track wallets")
    tx.spot_market(ix.market_index)
    tx.fund_wallet(key_from_text(ix.authority), ix.market_index, ix.amount)


def initialize_user(tx: Transaction, ix: InitializeUser) -> None:
    """Open sub-account ``user``; sub-accounts are numbered in order (``InvalidUserSubAccountId``)."""
    key = user_key(ix.user)
    authority, sub_account_id = key[:32], int.from_bytes(key[32:], "little")
    tx.require_signer(authority, "authority")
    if not tx.has_user_stats(authority):
        tx.add_user_stats(_new_stats(tx, authority, ix.referrer))
        tx.write_state().number_of_authorities += 1
    stats = tx.write_user_stats(authority)
    if tx.find_user(ix.user) is not None:
        raise SettlementError(ErrorCode.AccountAlreadyInUse, f"the account {ix.user!r} exists")
    if sub_account_id != stats.number_of_sub_accounts_created:
        raise SettlementError(
            ErrorCode.InvalidUserSubAccountId, f"the next sub-account is {stats.number_of_sub_accounts_created}"
        )
    stats.number_of_sub_accounts += 1
    stats.number_of_sub_accounts_created += 1
    tx.write_state().number_of_sub_accounts += 1
    address = sha256(b"seawall user " + key).digest()
    tx.add_user(
        User(authority=authority, sub_account_id=sub_account_id, address=address, name=ix.name, next_liquidation_id=1)
    )


def _new_stats(tx: Transaction, authority: bytes, referrer: str | None) -> UserStats:
    referred_by = DEFAULT_KEY if referrer is None else key_from_text(referrer)
    if referred_by == authority:
        raise SettlementError(ErrorCode.UserCantReferThemselves)
    if referred_by != DEFAULT_KEY:
        tx.write_user_stats(referred_by).is_referrer = True
    return UserStats(
        authority=authority,
        referrer=referred_by,
        last_maker_volume_30d_ts=tx.now,
        last_taker_volume_30d_ts=tx.now,
        last_filler_volume_30d_ts=tx.now,
    )


HANDLERS: dict[type[Instruction], Handler] = {
    Initialize: initialize,
    AddOracle: add_oracle,
    PostOraclePrice: post_oracle_price,
    FundWallet: fund_wallet,
    InitializeUser: initialize_user,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
