"""Every reason for which an instruction is refused: the programs' own names and codes, and Seawall's.

``SettlementError`` carries one code. Codes from 6000 are the programs' (same numbers, same names; from 6302 on
Velocity's). 0 and 1 are the token program's and the runtime's, which a trace shows as ``Custom(0)`` and ``Custom(1)``.
7000 is what Velocity calls 6094, a name that Drift had not. Codes from 9000 are Seawall's own: the instruction never
reached a rule.
"""

from enum import IntEnum
from typing import Final


class ErrorCode(IntEnum):
    """Name and number of an error. Source: instructions.md §5; ``error.rs``."""

    AccountAlreadyInUse = 0
    TokenInsufficientFunds = 1
    InvalidSpotMarketAuthority = 6000
    InvalidInsuranceFundAuthority = 6001
    InsufficientDeposit = 6002
    InsufficientCollateral = 6003
    SufficientCollateral = 6004
    MaxNumberOfPositions = 6005
    MarketDelisted = 6007
    MarketIndexAlreadyInitialized = 6008
    UserHasNoPositionInMarket = 6010
    InvalidInitialPeg = 6011
    InvalidRepegRedundant = 6012
    InvalidRepegDirection = 6013
    InvalidRepegProfitability = 6014
    InvalidUpdateK = 6017
    MathError = 6019
    PriceBandsBreached = 6023
    ExchangePaused = 6024
    ReferrerNotFound = 6029
    ReferrerStatsNotFound = 6030
    InvalidOracle = 6035
    OracleNotFound = 6036
    MaxDeposit = 6038
    CantDeleteUserWithCollateral = 6039
    InvalidFundingProfitability = 6040
    CastingFailure = 6041
    InvalidOrderMarketType = 6044
    InvalidOrderNotRiskReducing = 6046
    InvalidOrderIOC = 6050
    InvalidOrderPostOnly = 6051
    InvalidOrderAuction = 6054
    PlacePostOnlyLimitFailure = 6057
    OrderAmountTooSmall = 6059
    MaxNumberOfOrders = 6060
    OrderDoesNotExist = 6061
    OrderNotOpen = 6062
    UnableToLoadAccountLoader = 6065
    TradeSizeTooLarge = 6066
    UserCantReferThemselves = 6067
    UserOrderIdAlreadyInUse = 6071
    InvalidMarginRatio = 6073
    PerpMarketNotFound = 6078
    InvalidMarketAccount = 6079
    MarketWrongMutability = 6081
    UnableToCastUnixTime = 6082
    CouldNotFindSpotPosition = 6083
    NoSpotPositionAvailable = 6084
    InvalidSpotMarketInitialization = 6085
    SpotMarketNotFound = 6087
    InvalidSpotMarketAccount = 6088
    SpotMarketInterestNotUpToDate = 6091
    SpotMarketInsufficientDeposits = 6092
    UserMustSettleTheirOwnPositiveUnsettledPNL = 6093
    CantUpdatePoolBalanceType = 6094
    InsufficientCollateralForSettlingPNL = 6095
    AMMNotUpdatedInSameSlot = 6096
    OrderMustBeTriggeredFirst = 6110
    PositionDoesntHaveOpenPositionOrOrders = 6114
    UserIsBeingLiquidated = 6117
    LiquidationsOngoing = 6118
    WrongSpotBalanceType = 6119
    UserCantLiquidateThemself = 6120
    InvalidPerpPositionToLiquidate = 6121
    InvalidBaseAssetAmountForLiquidatePerp = 6122
    InvalidPositionLastFundingRate = 6123
    InvalidPositionDelta = 6124
    UserBankrupt = 6125
    UserNotBankrupt = 6126
    UserHasInvalidBorrow = 6127
    DailyWithdrawLimit = 6128
    DefaultError = 6129
    TryingToRemoveLiquidityTooFast = 6133
    InvalidSpotMarketState = 6135
    InvalidFeeStructure = 6144
    InsufficientIFShares = 6145
    MarketActionPaused = 6146
    MarketPlaceOrderPaused = 6147
    MarketFillOrderPaused = 6148
    MarketWithdrawPaused = 6149
    ProtectedAssetTierViolation = 6150
    IsolatedAssetTierViolation = 6151
    UserCantBeDeleted = 6152
    ReduceOnlyWithdrawIncreasedRisk = 6153
    MaxOpenInterest = 6154
    CantResolvePerpBankruptcy = 6155
    LiquidationDoesntSatisfyLimitPrice = 6156
    MarginTradingDisabled = 6157
    InvalidMarketStatusToSettlePnl = 6158
    PerpMarketNotInSettlement = 6159
    PerpMarketSettlementBufferNotReached = 6161
    PerpMarketSettlementUserHasOpenOrders = 6162
    PerpMarketSettlementUserHasActiveLP = 6163
    UnableToSettleExpiredUserPosition = 6164
    UnequalMarketIndexForSpotTransfer = 6165
    InvalidPerpPositionDetected = 6166
    InvalidSpotPositionDetected = 6167
    InvalidAmmDetected = 6168
    InvalidAmmForFillDetected = 6169
    InvalidAmmLimitPriceOverride = 6170
    InvalidOrderFillPrice = 6171
    SpotMarketVaultInvariantViolated = 6173
    RevenueSettingsCannotSettleToIF = 6176
    NoRevenueToSettleToIF = 6177
    NoAmmPerpPnlDeficit = 6178
    SufficientPerpPnlPool = 6179
    InsufficientPerpPnlPool = 6180
    PerpPnlDeficitBelowThreshold = 6181
    MaxRevenueWithdrawPerPeriodReached = 6182
    MaxIFWithdrawReached = 6183
    NoIFWithdrawAvailable = 6184
    InvalidIFUnstake = 6185
    InvalidIFUnstakeSize = 6186
    InvalidIFUnstakeCancel = 6187
    InvalidIFForNewStakes = 6188
    InvalidIFRebase = 6189
    InvalidInsuranceUnstakeSize = 6190
    InvalidOrderLimitPrice = 6191
    InvalidIFDetected = 6192
    InvalidAmmMaxSpreadDetected = 6193
    InvalidConcentrationCoef = 6194
    IFWithdrawRequestInProgress = 6198
    NoIFWithdrawRequestInProgress = 6199
    IFWithdrawRequestTooSmall = 6200
    IncorrectSpotMarketAccountPassed = 6201
    BlockchainClockInconsistency = 6202
    InvalidIFSharesDetected = 6203
    InvalidMarkTwapUpdateDetected = 6206
    MarketSettlementAttemptOnActiveMarket = 6207
    MarketSettlementRequiresSettledLP = 6208
    MarketSettlementAttemptTooEarly = 6209
    MarketSettlementTargetPriceInvalid = 6210
    UnsupportedSpotMarket = 6211
    SpotOrdersDisabled = 6212
    MarketBeingInitialized = 6213
    InvalidUserSubAccountId = 6214
    InvalidSpotPosition = 6216
    CantTransferBetweenSameUserAccount = 6217
    InvalidPerpPosition = 6218
    InvalidLiquidation = 6220
    FailedUnwrap = 6223
    MaxNumberOfUsers = 6224
    MarginOrdersOpen = 6226
    TierViolationLiquidatingPerpPnl = 6227
    InvalidMarketAccountforDeletion = 6240
    InvalidSwap = 6248
    FundingWasNotUpdated = 6251
    ImpossibleFill = 6252
    CantUpdatePerpBidAskTwap = 6253
    UserReduceOnly = 6254
    InvalidMarginCalculation = 6255
    InsuranceFundOperationPaused = 6258
    NoUnsettledPnl = 6259
    PnlPoolCantSettleUser = 6260
    OracleNonPositive = 6261
    OracleTooVolatile = 6262
    OracleTooUncertain = 6263
    OracleStaleForMargin = 6264
    OracleInsufficientDataPoints = 6265
    OracleStaleForAMM = 6266
    MaxBorrows = 6268
    LiquidationOrderFailedToFill = 6283
    InvalidPoolId = 6302
    InvalidLiquidateSpotWithSwap = 6308
    BuilderRevoked = 6318
    InvalidBuilderFee = 6319
    RevenueShareEscrowOrdersAccountFull = 6321
    CannotRevokeBuilderWithOpenOrders = 6323
    UnableToLoadRevenueShareAccount = 6324
    InvalidIsolatedPerpMarket = 6345
    WithdrawGuardThresholdNotionalTooLarge = 6352
    InvalidProtocolFeeRecipient = 6353
    InsufficientProtocolFees = 6354
    IsolatedPositionDisabled = 6357
    IFDepositMintsZeroShares = 6360
    LiquidationWorsensAccountHealth = 6361
    PerpBankruptcyMustPrecedeSpot = 6362
    DailyDepositLimit = 6364
    MmOracleUpdateDisabled = 6370
    SpotMarketInterestStaleForMargin = 6371
    UnsettledRevenueShareOnDelist = 6372
    RevenueShareOrderNotForfeitable = 6373
    VammQuoteManagementValueOutOfBounds = 6374
    LiquidationConflictsWithClobOrders = 6402
    RevenueShareOrderMarketMismatch = 6437
    RevenueShareOrderHasNoFeesAccrued = 6438
    DelegateTransferNotAllowed = 6441
    BuilderCodesDisabled = 6442
    SpotMarketVaultInvariantNotViolated = 6457
    CantUpdateSpotBalanceType = 7000
    UnsupportedInstruction = 9000
    Unauthorized = 9001
    InvalidInstruction = 9002
    UserNotFound = 9003
    InsuranceFundStakeNotFound = 9004
    ClockWentBackwards = 9005
    IdempotencyConflict = 9006
    AccountFrozen = 9007
    AssociatedSpotNotSet = 9008
    QuoteSourcesNotExhausted = 9009
    AssociatedSpotDrawTooLarge = 9010
    SwapPriceOutOfBounds = 9011
    SignatureInvalid = 9012
    SignatureExpired = 9013
    SignatureReplayed = 9014
    VenueBusy = 9015


MEANING: Final[dict[ErrorCode, str]] = {
    ErrorCode.AccountAlreadyInUse: "the account exists already",
    ErrorCode.TokenInsufficientFunds: "the paying token account holds too little",
    ErrorCode.InvalidSpotMarketAuthority: "spot vault not owned by the protocol",
    ErrorCode.InvalidInsuranceFundAuthority: "insurance vault not owned by the protocol",
    ErrorCode.InsufficientDeposit: "amount is zero",
    ErrorCode.InsufficientCollateral: "margin not met (user or liquidator), or IF payment not below vault",
    ErrorCode.SufficientCollateral: "account is not liquidatable",
    ErrorCode.MaxNumberOfPositions: "no free perp slot",
    ErrorCode.MarketDelisted: "market is delisted",
    ErrorCode.MarketIndexAlreadyInitialized: "perp index is not the next free one",
    ErrorCode.UserHasNoPositionInMarket: "no perp position in that market",
    ErrorCode.InvalidInitialPeg: "initial reserves are not equal",
    ErrorCode.InvalidRepegRedundant: "the new peg equals the old one",
    ErrorCode.InvalidRepegDirection: "the peg would move away from the oracle",
    ErrorCode.InvalidRepegProfitability: "the peg change cannot be paid or overshoots the oracle",
    ErrorCode.InvalidUpdateK: "curve depth change not allowed or not payable",
    ErrorCode.MathError: "checked arithmetic overflowed, underflowed or divided by zero",
    ErrorCode.PriceBandsBreached: "price too far from 5-minute TWAP",
    ErrorCode.ExchangePaused: "the relevant exchange-wide pause bit is set",
    ErrorCode.ReferrerNotFound: "the referrer account is missing",
    ErrorCode.ReferrerStatsNotFound: "the referrer statistics are missing",
    ErrorCode.InvalidOracle: "oracle price or TWAP unusable for this action",
    ErrorCode.OracleNotFound: "no such oracle",
    ErrorCode.MaxDeposit: "deposit cap exceeded",
    ErrorCode.CantDeleteUserWithCollateral: "the account still holds collateral",
    ErrorCode.InvalidFundingProfitability: "funding imbalance the AMM cannot pay",
    ErrorCode.CastingFailure: "a number does not fit the target integer type",
    ErrorCode.InvalidOrderMarketType: "wrong market kind",
    ErrorCode.InvalidOrderNotRiskReducing: "order not allowed in a reduce-only market",
    ErrorCode.InvalidOrderIOC: "immediate-or-cancel not allowed here",
    ErrorCode.InvalidOrderPostOnly: "post-only not allowed here",
    ErrorCode.InvalidOrderAuction: "auction prices missing or inconsistent",
    ErrorCode.PlacePostOnlyLimitFailure: "post-only order would cross",
    ErrorCode.OrderAmountTooSmall: "size below one step",
    ErrorCode.MaxNumberOfOrders: "no free order slot",
    ErrorCode.OrderDoesNotExist: "order not found",
    ErrorCode.OrderNotOpen: "order not open",
    ErrorCode.UnableToLoadAccountLoader: "account could not be loaded, e.g. the same one twice",
    ErrorCode.TradeSizeTooLarge: "the AMM does not hold that much",
    ErrorCode.UserCantReferThemselves: "referrer and user are the same authority",
    ErrorCode.UserOrderIdAlreadyInUse: "user order id taken",
    ErrorCode.InvalidMarginRatio: "ratio configuration invalid, or a margin sanity check failed",
    ErrorCode.PerpMarketNotFound: "no perp market has that index",
    ErrorCode.MarketWrongMutability: "the market is not among those to refresh",
    ErrorCode.UnableToCastUnixTime: "the clock is before 1970",
    ErrorCode.CouldNotFindSpotPosition: "account has no position in that spot market",
    ErrorCode.NoSpotPositionAvailable: "no free spot slot",
    ErrorCode.InvalidSpotMarketInitialization: "spot market parameters out of range",
    ErrorCode.SpotMarketNotFound: "no spot market has that index",
    ErrorCode.InvalidSpotMarketAccount: "wrong spot market passed",
    ErrorCode.SpotMarketInsufficientDeposits: (
        "borrows exceed deposits after a withdrawal, or utilization is above the health threshold"
    ),
    ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL: "only the owner may settle this positive P&L now",
    ErrorCode.CantUpdatePoolBalanceType: "a pool can only hold a deposit",
    ErrorCode.InsufficientCollateralForSettlingPNL: "negative P&L cannot be settled below strict maintenance margin",
    ErrorCode.AMMNotUpdatedInSameSlot: "the AMM was not refreshed in the current slot although the market requires it",
    ErrorCode.OrderMustBeTriggeredFirst: "trigger order not triggered",
    ErrorCode.PositionDoesntHaveOpenPositionOrOrders: "nothing to liquidate in that slot",
    ErrorCode.UserIsBeingLiquidated: "account (or liquidator) in liquidation",
    ErrorCode.LiquidationsOngoing: "setting not allowed while being liquidated",
    ErrorCode.WrongSpotBalanceType: "deposit expected but borrow found, or vice versa",
    ErrorCode.UserCantLiquidateThemself: "user and liquidator are the same account",
    ErrorCode.InvalidPerpPositionToLiquidate: "position has base, LP shares or the wrong P&L sign: or is isolated)",
    ErrorCode.InvalidBaseAssetAmountForLiquidatePerp: "liquidator maximum is below one step",
    ErrorCode.InvalidPositionLastFundingRate: "position traded before its funding was settled",
    ErrorCode.InvalidPositionDelta: "market base totals not a multiple of the step",
    ErrorCode.UserBankrupt: "account (or liquidator) flagged bankrupt",
    ErrorCode.UserNotBankrupt: "account is not bankrupt",
    ErrorCode.UserHasInvalidBorrow: "position is not a live borrow",
    ErrorCode.DailyWithdrawLimit: "withdrawal would breach the utilization/withdraw guard",
    ErrorCode.DefaultError: "generic validation failure",
    ErrorCode.TryingToRemoveLiquidityTooFast: "unstaking cooldown not over",
    ErrorCode.InvalidSpotMarketState: "spot market still in Initialized state",
    ErrorCode.InvalidFeeStructure: "fee schedule is inconsistent",
    ErrorCode.InsufficientIFShares: "fewer shares than needed (staker or protocol)",
    ErrorCode.MarketActionPaused: "market in settlement or not active",
    ErrorCode.MarketPlaceOrderPaused: "market in settlement",
    ErrorCode.MarketFillOrderPaused: "fills not allowed by status or operation",
    ErrorCode.MarketWithdrawPaused: "withdrawals disabled by status or operation bit",
    ErrorCode.ProtectedAssetTierViolation: "protected asset cannot be borrowed",
    ErrorCode.IsolatedAssetTierViolation: "isolated-tier liability combined with others",
    ErrorCode.UserCantBeDeleted: "the account is still in use",
    ErrorCode.ReduceOnlyWithdrawIncreasedRisk: "reduce-only withdrawal without a deposit",
    ErrorCode.MaxOpenInterest: "open interest limit",
    ErrorCode.CantResolvePerpBankruptcy: "no open base left to share a perp loss",
    ErrorCode.LiquidationDoesntSatisfyLimitPrice: "transfer price worse than the liquidator limit",
    ErrorCode.MarginTradingDisabled: "open orders could create a borrow without margin trading",
    ErrorCode.InvalidMarketStatusToSettlePnl: "P&L settlement not allowed in this market state",
    ErrorCode.PerpMarketNotInSettlement: "expired settlement in the wrong status",
    ErrorCode.PerpMarketSettlementBufferNotReached: "settlement_duration not over",
    ErrorCode.PerpMarketSettlementUserHasOpenOrders: "orders left in an expired market",
    ErrorCode.PerpMarketSettlementUserHasActiveLP: "LP shares left in an expired market",
    ErrorCode.UnableToSettleExpiredUserPosition: "expired position not fully settled",
    ErrorCode.UnequalMarketIndexForSpotTransfer: "the two balances are in different spot markets",
    ErrorCode.InvalidPerpPositionDetected: "perp position malformed",
    ErrorCode.InvalidSpotPositionDetected: "open order totals of a spot position are malformed",
    ErrorCode.InvalidAmmDetected: "perp market failed its invariants",
    ErrorCode.InvalidAmmForFillDetected: "the AMM reserves are outside their bounds",
    ErrorCode.InvalidAmmLimitPriceOverride: "the override price is worse than the limit",
    ErrorCode.InvalidOrderFillPrice: "fill price worse than the limit",
    ErrorCode.SpotMarketVaultInvariantViolated: "revenue pool exceeds deposits, or vault below claims",
    ErrorCode.RevenueSettingsCannotSettleToIF: "revenue settlement disabled, misconfigured or not due",
    ErrorCode.NoRevenueToSettleToIF: "settlement amount is zero",
    ErrorCode.NoAmmPerpPnlDeficit: "AMM books are not negative",
    ErrorCode.SufficientPerpPnlPool: "P&L pool is not empty: still covers users)",
    ErrorCode.InsufficientPerpPnlPool: "the P&L pool cannot pay the whole amount",
    ErrorCode.PerpPnlDeficitBelowThreshold: "no excess user P&L above the imbalance limit",
    ErrorCode.MaxRevenueWithdrawPerPeriodReached: "period allowance used up",
    ErrorCode.MaxIFWithdrawReached: "insurance allowance of the perp market used up",
    ErrorCode.NoIFWithdrawAvailable: "nothing can be drawn from the IF",
    ErrorCode.InvalidIFUnstake: "no pending request to remove",
    ErrorCode.InvalidIFUnstakeSize: "frozen value not below vault balance",
    ErrorCode.InvalidIFUnstakeCancel: "no pending request after rebase",
    ErrorCode.InvalidIFForNewStakes: "IF vault empty while shares exist",
    ErrorCode.InvalidIFRebase: "stake base and market base differ (or stake is ahead)",
    ErrorCode.InvalidInsuranceUnstakeSize: "request exceeds owned shares after rebase",
    ErrorCode.InvalidOrderLimitPrice: "the limit price leaves no price to compare",
    ErrorCode.InvalidIFDetected: "IF vault would be empty",
    ErrorCode.InvalidAmmMaxSpreadDetected: "the spreads exceed their maximum",
    ErrorCode.InvalidConcentrationCoef: "the concentration coefficient is out of bounds",
    ErrorCode.IFWithdrawRequestInProgress: "a removal request is pending on the stake",
    ErrorCode.NoIFWithdrawRequestInProgress: "no pending request to cancel",
    ErrorCode.IFWithdrawRequestTooSmall: "requested tokens round to zero shares",
    ErrorCode.IncorrectSpotMarketAccountPassed: "stake and market index do not match",
    ErrorCode.BlockchainClockInconsistency: "a stored time lies in the future",
    ErrorCode.InvalidIFSharesDetected: "share arithmetic precondition broken",
    ErrorCode.InvalidMarkTwapUpdateDetected: "bid above ask in a TWAP update",
    ErrorCode.MarketSettlementAttemptOnActiveMarket: "no expiry set",
    ErrorCode.MarketSettlementRequiresSettledLP: "LP base not settled",
    ErrorCode.MarketSettlementAttemptTooEarly: "expiry not reached",
    ErrorCode.MarketSettlementTargetPriceInvalid: "target expiry price not positive",
    ErrorCode.UnsupportedSpotMarket: "quote market without 6 decimals",
    ErrorCode.SpotOrdersDisabled: "spot trading is disabled in this market",
    ErrorCode.MarketBeingInitialized: "deposits before activation",
    ErrorCode.InvalidUserSubAccountId: "sub-accounts are numbered in order of creation",
    ErrorCode.InvalidSpotPosition: "token amount is zero or inconsistent",
    ErrorCode.CantTransferBetweenSameUserAccount: "unreachable: 6065 comes first",
    ErrorCode.InvalidPerpPosition: "base is not a multiple of the step after liquidation",
    ErrorCode.InvalidLiquidation: "liquidation operation paused, or zero transfer: or swap out of bounds)",
    ErrorCode.FailedUnwrap: "an expected value was absent",
    ErrorCode.MaxNumberOfUsers: "no more accounts are admitted",
    ErrorCode.MarginOrdersOpen: "open spot orders need margin trading",
    ErrorCode.TierViolationLiquidatingPerpPnl: "safer liabilities must be liquidated first",
    ErrorCode.InvalidMarketAccountforDeletion: "market may not be deleted in its state",
    ErrorCode.InvalidSwap: "swap account or amount rules broken",
    ErrorCode.FundingWasNotUpdated: "funding not due or blocked",
    ErrorCode.ImpossibleFill: "nothing this order could match",
    ErrorCode.CantUpdatePerpBidAskTwap: "keeper disabled or without enough stake",
    ErrorCode.UserReduceOnly: "account may only reduce",
    ErrorCode.InvalidMarginCalculation: "figure requested from a context that does not provide it",
    ErrorCode.InsuranceFundOperationPaused: "that insurance operation is paused on the market",
    ErrorCode.NoUnsettledPnl: "claimable P&L is zero",
    ErrorCode.PnlPoolCantSettleUser: "pool cannot pay anything now",
    ErrorCode.OracleNonPositive: "validity class: price not positive",
    ErrorCode.OracleTooVolatile: "validity class: too far from TWAP",
    ErrorCode.OracleTooUncertain: "validity class: confidence too wide",
    ErrorCode.OracleStaleForMargin: "validity class: stale for margin",
    ErrorCode.OracleInsufficientDataPoints: "validity class: not enough data",
    ErrorCode.OracleStaleForAMM: "validity class: stale for AMM",
    ErrorCode.MaxBorrows: "borrow cap exceeded",
    ErrorCode.CantUpdateSpotBalanceType: "a pool or an isolated position can only hold a deposit",
    ErrorCode.InvalidPoolId: "the account and the market belong to different pools",
    ErrorCode.DailyDepositLimit: "deposits grew beyond what a day admits",
    ErrorCode.WithdrawGuardThresholdNotionalTooLarge: "the guard threshold is worth too much",
    ErrorCode.InvalidMarketAccount: "the account is not that market's",
    ErrorCode.SpotMarketInterestNotUpToDate: "the market's interest must be accrued first",
    ErrorCode.LiquidationOrderFailedToFill: "nothing was there to fill the liquidation order",
    ErrorCode.InvalidLiquidateSpotWithSwap: "the swap of a liquidation has the wrong shape",
    ErrorCode.BuilderRevoked: "the builder is not approved",
    ErrorCode.InvalidBuilderFee: "the builder's fee exceeds what was approved",
    ErrorCode.RevenueShareEscrowOrdersAccountFull: "the escrow has no free row",
    ErrorCode.CannotRevokeBuilderWithOpenOrders: "the builder still has rows in the escrow",
    ErrorCode.UnableToLoadRevenueShareAccount: "there is no revenue share escrow",
    ErrorCode.InvalidIsolatedPerpMarket: "the perp market is not settled in that spot market",
    ErrorCode.InvalidProtocolFeeRecipient: "protocol fees go to their configured recipient alone",
    ErrorCode.InsufficientProtocolFees: "the protocol fee pool holds nothing to withdraw",
    ErrorCode.IsolatedPositionDisabled: "isolated positions are not enabled",
    ErrorCode.IFDepositMintsZeroShares: "the stake is worth less than one share",
    ErrorCode.LiquidationWorsensAccountHealth: "the liquidation would raise the margin shortage",
    ErrorCode.PerpBankruptcyMustPrecedeSpot: "a perp bankruptcy must be resolved first",
    ErrorCode.MmOracleUpdateDisabled: "the market maker's oracle is switched off",
    ErrorCode.SpotMarketInterestStaleForMargin: "interest is too old to value a borrow",
    ErrorCode.UnsettledRevenueShareOnDelist: "builders or referrers are still owed",
    ErrorCode.RevenueShareOrderNotForfeitable: "the row can still be paid",
    ErrorCode.VammQuoteManagementValueOutOfBounds: "beyond what the hot key may set",
    ErrorCode.LiquidationConflictsWithClobOrders: "the account has orders on the book",
    ErrorCode.RevenueShareOrderMarketMismatch: "the row belongs to another market",
    ErrorCode.RevenueShareOrderHasNoFeesAccrued: "the row accrued nothing",
    ErrorCode.DelegateTransferNotAllowed: "a delegate may not transfer a deposit",
    ErrorCode.BuilderCodesDisabled: "builder codes are switched off",
    ErrorCode.SpotMarketVaultInvariantNotViolated: "the vault covers its claims: there is nothing to pause for",
    ErrorCode.UnsupportedInstruction: "the rulebook has no such instruction",
    ErrorCode.Unauthorized: "the signer may not do this",
    ErrorCode.InvalidInstruction: "the instruction is malformed",
    ErrorCode.UserNotFound: "no such user account",
    ErrorCode.InsuranceFundStakeNotFound: "no such insurance stake",
    ErrorCode.ClockWentBackwards: "instructions are ordered in time",
    ErrorCode.IdempotencyConflict: "the idempotency key was used for another instruction",
    ErrorCode.AccountFrozen: "the venue is opened read-only",
    ErrorCode.AssociatedSpotNotSet: "the perp market has no associated spot market",
    ErrorCode.QuoteSourcesNotExhausted: "the market can still be paid in quote",
    ErrorCode.AssociatedSpotDrawTooLarge: "more than the deficit, or than the period admits",
    ErrorCode.SignatureInvalid: "the request is not signed by whom it says",
    ErrorCode.SignatureExpired: "the signature's time has passed, or lies too far ahead",
    ErrorCode.SignatureReplayed: "the signature was used before",
    ErrorCode.VenueBusy: "too many requests wait",
    ErrorCode.SwapPriceOutOfBounds: "the executed price is too far from the oracle's",
}
"""One human sentence for every code."""


class SettlementError(Exception):
    """An instruction is refused. ``code`` says why; nothing has changed.

    Rules raise it with a code alone. Layers above may add ``detail`` (the numbers) and ``would_pass``.
    """

    def __init__(self, code: ErrorCode, detail: str = "", would_pass: str = "") -> None:
        super().__init__(code, detail, would_pass)
        self.code = code
        self.detail = detail
        self.would_pass = would_pass

    def __str__(self) -> str:
        meaning = self.detail or MEANING[self.code]
        return f"{self.code.name}: {meaning}"
