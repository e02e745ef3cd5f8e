"""The programs' enumerations. Rules compare fields with the module constants; the enums give names and JSON."""

from enum import IntEnum
from typing import Final


class RulebookKind(IntEnum):
    """The rulebook that a record lives under; rules that both rulebooks share ask it where the two part."""

    drift = 0
    velocity = 1


RULEBOOK_DRIFT: Final = 0
RULEBOOK_VELOCITY: Final = 1


class BalanceType(IntEnum):
    """Kind of a spot balance."""

    Deposit = 0
    Borrow = 1


DEPOSIT: Final = 0
BORROW: Final = 1


class MarketStatus(IntEnum):
    """Status of a market; 2 to 5 are deprecated and cannot be set. Source: ``state/perp_market.rs::MarketStatus``."""

    Initialized = 0
    Active = 1
    FundingPaused = 2
    AmmPaused = 3
    FillPaused = 4
    WithdrawPaused = 5
    ReduceOnly = 6
    Settlement = 7
    Delisted = 8


STATUS_INITIALIZED: Final = 0
STATUS_ACTIVE: Final = 1
STATUS_REDUCE_ONLY: Final = 6
STATUS_SETTLEMENT: Final = 7
STATUS_DELISTED: Final = 8


class AssetTier(IntEnum):
    """Tier of a spot asset."""

    Collateral = 0
    Protected = 1
    Cross = 2
    Isolated = 3
    Unlisted = 4


ASSET_TIER_COLLATERAL: Final = 0
ASSET_TIER_PROTECTED: Final = 1
ASSET_TIER_CROSS: Final = 2
ASSET_TIER_ISOLATED: Final = 3
ASSET_TIER_UNLISTED: Final = 4


class ContractTier(IntEnum):
    """Tier of a perp contract."""

    A = 0
    B = 1
    C = 2
    Speculative = 3
    HighlySpeculative = 4
    Isolated = 5


CONTRACT_TIER_A: Final = 0
CONTRACT_TIER_B: Final = 1
CONTRACT_TIER_C: Final = 2
CONTRACT_TIER_SPECULATIVE: Final = 3
CONTRACT_TIER_HIGHLY_SPECULATIVE: Final = 4
CONTRACT_TIER_ISOLATED: Final = 5


class PositionDirection(IntEnum):
    """Side of a trade."""

    Long = 0
    Short = 1


LONG: Final = 0
SHORT: Final = 1


class OracleValidity(IntEnum):
    """Class of an oracle price; the first that applies. 0 stands for «not judged yet».

    Velocity alone has ``StaleForAMMImmediate``: too old for an immediate fill of the AMM, good for a low-risk one.
    """

    Unknown = 0
    NonPositive = 1
    TooVolatile = 2
    TooUncertain = 3
    StaleForMargin = 4
    InsufficientDataPoints = 5
    StaleForAMM = 6
    Valid = 7
    StaleForAMMImmediate = 8


ORACLE_UNKNOWN: Final = 0
ORACLE_NON_POSITIVE: Final = 1
ORACLE_TOO_VOLATILE: Final = 2
ORACLE_TOO_UNCERTAIN: Final = 3
ORACLE_STALE_FOR_MARGIN: Final = 4
ORACLE_INSUFFICIENT_DATA_POINTS: Final = 5
ORACLE_STALE_FOR_AMM: Final = 6
ORACLE_VALID: Final = 7
ORACLE_STALE_FOR_AMM_IMMEDIATE: Final = 8


class MarginRequirementType(IntEnum):
    """Strictness of a margin calculation."""

    Initial = 0
    Fill = 1
    Maintenance = 2


MARGIN_INITIAL: Final = 0
MARGIN_FILL: Final = 1
MARGIN_MAINTENANCE: Final = 2


class SettlePnlMode(IntEnum):
    """Whether a settlement that cannot be made is an error."""

    MustSettle = 0
    TrySettle = 1


MUST_SETTLE: Final = 0
TRY_SETTLE: Final = 1

# ExchangeStatus bits (`state/state.rs::ExchangeStatus`)
EXCHANGE_DEPOSIT_PAUSED: Final = 1
EXCHANGE_WITHDRAW_PAUSED: Final = 2
EXCHANGE_AMM_PAUSED: Final = 4
EXCHANGE_FILL_PAUSED: Final = 8
EXCHANGE_LIQ_PAUSED: Final = 16
EXCHANGE_FUNDING_PAUSED: Final = 32
EXCHANGE_SETTLE_PNL_PAUSED: Final = 64
EXCHANGE_ALL_PAUSED: Final = 127
EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED: Final = 128
"""Velocity's eighth bit."""
VELOCITY_EXCHANGE_ALL_PAUSED: Final = 255

# PerpOperation bits (`state/paused_operations.rs`)
PERP_UPDATE_FUNDING: Final = 1
PERP_AMM_FILL: Final = 2
PERP_FILL: Final = 4
PERP_SETTLE_PNL: Final = 8
PERP_SETTLE_PNL_WITH_POSITION: Final = 16
PERP_LIQUIDATION: Final = 32
PERP_AMM_IMMEDIATE_FILL: Final = 64
PERP_SETTLE_REV_POOL: Final = 128

# SpotOperation bits
SPOT_UPDATE_CUMULATIVE_INTEREST: Final = 1
SPOT_FILL: Final = 2
SPOT_WITHDRAW: Final = 4
SPOT_LIQUIDATION: Final = 8
"""These bits are Drift v2.84.0's; Velocity's are below."""

# SpotOperation bits of Velocity
VELOCITY_SPOT_DEPOSIT: Final = 4
VELOCITY_SPOT_WITHDRAW: Final = 8
VELOCITY_SPOT_LIQUIDATION: Final = 16

# SolvencyStatus bits (Velocity)
SOLVENCY_REPAIR_PAUSED: Final = 1

# feature bits (Velocity); ISOLATED_POSITIONS has no published number, this one is Seawall's
FEATURE_MM_ORACLE_UPDATE: Final = 1
FEATURE_MEDIAN_TRIGGER_PRICE: Final = 2
FEATURE_BUILDER_CODES: Final = 4
FEATURE_VAMM_MAKER_REBATE: Final = 8
FEATURE_ISOLATED_POSITIONS: Final = 16

# PositionFlag bits of a perp position (Velocity)
POSITION_ISOLATED: Final = 1
POSITION_BEING_LIQUIDATED: Final = 2
POSITION_BANKRUPT: Final = 4
POSITION_BANKRUPTCY_CLAIM: Final = 8

# InsuranceFundOperation bits
IF_INIT: Final = 1
IF_ADD: Final = 2
IF_REQUEST_REMOVE: Final = 4
IF_REMOVE: Final = 8

# User status bits (`state/user.rs::UserStatus`)
USER_BEING_LIQUIDATED: Final = 1
USER_BANKRUPT: Final = 2
USER_REDUCE_ONLY: Final = 4
USER_CLOSED: Final = 128
"""Seawall's: the account was deleted; its row keeps its number and its lifetime figures."""
