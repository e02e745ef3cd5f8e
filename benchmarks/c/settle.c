/* SettlePnl by a keeper for many users, in order: pools-and-pnl.md §3, §5; margin.md §5; amm-and-funding.md §8.
   The whole rule chain for a market whose curve does not move (curve_update_intensity 0) and markets without size
   premiums (imf_factor 0); anything else ends the process. Refused accounts are put back. */
#include "common.h"

enum { USER_BANKRUPT = 2, USER_CLOSED = 128 };
enum { NON_POSITIVE = 1, TOO_VOLATILE, TOO_UNCERTAIN, STALE_FOR_MARGIN, TOO_FEW_POINTS, STALE_FOR_AMM, VALID };
enum { ACTIVE = 1, REDUCE_ONLY = 6, SETTLEMENT = 7, DELISTED = 8, ISOLATED = 3 };

struct venue {
    row users, outcomes, spot_markets, perp_markets, oracles, state, saved;
    int64_t oracle_count, market_index, quote_vault, now, slot, mode;
};

static inline row spot_market(const struct venue *v, i128 i) { return v->spot_markets + (int)i * SIZE_SpotMarket; }
static inline row perp_market(const struct venue *v, i128 i) { return v->perp_markets + (int)i * SIZE_PerpMarket; }
static inline row oracle_at(const struct venue *v, i128 i) { return v->oracles + (int)i * SIZE_OraclePriceData; }

static inline row validity_rails(const struct venue *v)
{
    return at_OracleGuardRails_validity(at_State_oracle_guard_rails(v->state));
}

/* --- oracles --------------------------------------------------------------------------------------------------- */

static int oracle_validity(row oracle, i128 twap, row rails, int multiplier)
{
    i128 price = get_OraclePriceData_price(oracle), confidence = larger(1, get_OraclePriceData_confidence(oracle));
    i128 volatility = quotient(larger(price, twap), larger(1, smaller(price, twap)));
    if (price == 0) fail(MathError);
    if (price < 0) fail(CastingFailure);
    if (volatility > get_ValidityGuardRails_too_volatile_ratio(rails)) return TOO_VOLATILE;
    if (mul(confidence, 1000000) / price
        > mul(get_ValidityGuardRails_confidence_interval_max_size(rails), multiplier)) return TOO_UNCERTAIN;
    if (get_OraclePriceData_delay(oracle) > get_ValidityGuardRails_slots_before_stale_for_margin(rails))
        return STALE_FOR_MARGIN;
    if (!get_OraclePriceData_has_sufficient_number_of_data_points(oracle)) return TOO_FEW_POINTS;
    if (get_OraclePriceData_delay(oracle) > get_ValidityGuardRails_slots_before_stale_for_amm(rails))
        return STALE_FOR_AMM;
    return VALID;
}

static inline int perp_multiplier(row market)
{
    i128 tier = get_PerpMarket_contract_tier(market);
    return tier <= 1 ? 1 : tier == 2 ? 2 : tier == 3 ? 10 : 50;
}

/* The class is remembered for the account, as an instruction does. */
static void judge(row oracle, i128 index, i128 twap, row rails, int multiplier)
{
    if (index != 0 && get_OraclePriceData_validity(oracle) == 0)
        set_OraclePriceData_validity(oracle, oracle_validity(oracle, twap, rails, multiplier));
}

static void judge_for_spot(const struct venue *v, row market, row oracle)
{
    i128 tier = get_SpotMarket_asset_tier(market);
    row history = at_SpotMarket_historical_oracle_data(market);
    judge(oracle, get_SpotMarket_oracle_index(market), get_HistoricalOracleData_last_oracle_price_twap(history),
          validity_rails(v), tier <= 1 ? 1 : tier == 2 ? 5 : 50);
}

static void judge_for_perp(const struct venue *v, row market, row oracle)
{
    row amm = at_PerpMarket_amm(market), history = at_AMM_historical_oracle_data(amm);
    judge(oracle, get_AMM_oracle_index(amm), get_HistoricalOracleData_last_oracle_price_twap(history),
          validity_rails(v), perp_multiplier(market));
}

/* --- the refresh of a curve that does not move ----------------------------------------------------------------- */

static i128 oracle_twap(row amm, i128 now, i128 price, i128 period, i128 mark_twap, i128 twap)
{
    row history = at_AMM_historical_oracle_data(amm);
    i128 last_ts = get_HistoricalOracleData_last_oracle_price_twap_ts(history);
    i128 mark_ts = get_AMM_last_mark_price_twap_ts(amm);
    i128 since_last = larger(period == 0, checked_i64(sub(now, last_ts)));
    i128 from_start = at_least_0(checked_i64(sub(period, since_last)));
    if (mark_ts > last_ts) {
        i128 since_valid = sub(mark_ts, last_ts);
        price = weighted_average(mark_twap, price, since_valid, larger(1, sub(period, since_valid)));
    }
    return weighted_average(price, twap, since_last, from_start);
}

static void update_oracle_twaps(row amm, i128 now, row oracle, i128 price, int denominator)
{
    row history = at_AMM_historical_oracle_data(amm);
    i128 twap = get_HistoricalOracleData_last_oracle_price_twap(history), quarter = price / 4000;
    i128 posted = get_OraclePriceData_price(oracle), confidence = get_OraclePriceData_confidence(oracle), normalised;
    if (price > posted) normalised = smaller(larger(sub(price, quarter), posted), add(posted, confidence));
    else normalised = larger(smaller(add(price, quarter), posted), sub(posted, confidence));
    i128 capped = sanitized_price(normalised, twap, denominator);
    if (capped <= 0 || normalised <= 0) return;
    i128 twap_5min = get_HistoricalOracleData_last_oracle_price_twap_5min(history);
    twap = oracle_twap(amm, now, capped, get_AMM_funding_period(amm), get_AMM_last_mark_price_twap(amm), twap);
    twap_5min = oracle_twap(amm, now, capped, 300, get_AMM_last_mark_price_twap_5min(amm), twap_5min);
    if (price == 0) fail(MathError);
    i128 since_last = sub(now, get_HistoricalOracleData_last_oracle_price_twap_ts(history));
    i128 decayed = get_AMM_last_oracle_conf_pct(amm);
    if (since_last > 0) decayed = sub(decayed, decayed / larger(at_least_0(sub(21, since_last)), 5));
    set_AMM_last_oracle_conf_pct(amm, larger(checked_u64(mul(confidence, 1000000)) / price, decayed));
    set_AMM_last_oracle_normalised_price(amm, capped);
    set_AMM_last_oracle_reserve_price_spread_pct(amm, to_i64(mul(sub(price, posted), 1000000) / price));
    set_AMM_oracle_std(amm, magnitude(sub(normalised, twap)));
    set_HistoricalOracleData_last_oracle_price(history, posted);
    set_HistoricalOracleData_last_oracle_delay(history, get_OraclePriceData_delay(oracle));
    set_HistoricalOracleData_last_oracle_price_twap(history, twap);
    set_HistoricalOracleData_last_oracle_price_twap_5min(history, twap_5min);
    set_HistoricalOracleData_last_oracle_price_twap_ts(history, now);
}

static void update_amm(const struct venue *v, row market, row oracle)
{
    i128 status = get_PerpMarket_status(market), tier = get_PerpMarket_contract_tier(market);
    if (status == SETTLEMENT || status == DELISTED) return;
    row amm = at_PerpMarket_amm(market), history = at_AMM_historical_oracle_data(amm);
    if (get_AMM_curve_update_intensity(amm) != 0) not_covered();
    int validity = oracle_validity(oracle, get_HistoricalOracleData_last_oracle_price_twap(history),
                                   validity_rails(v), perp_multiplier(market));
    i128 price = reserve_price(amm);
    if (validity != NON_POSITIVE)
        update_oracle_twaps(amm, v->now, oracle, price, tier == 0 ? 10 : tier == 1 ? 5 : tier == 2 ? 2 : 3);
    set_AMM_last_oracle_valid(amm, validity == VALID);
    if (validity == VALID) set_AMM_last_update_slot(amm, v->slot);
    set_AMM_long_spread(amm, get_AMM_base_spread(amm) / 2);
    set_AMM_short_spread(amm, get_AMM_base_spread(amm) / 2);
    set_AMM_reference_price_offset(amm, 0);
    update_spread_reserves(amm);
}

/* --- funding and quote ----------------------------------------------------------------------------------------- */

static i128 funding_payment(i128 rate_delta, i128 base)
{
    i128 payment = mul(magnitude(rate_delta), magnitude(base)) / 1000000 / 1000 / 1000;
    return (base > 0) == (rate_delta > 0) ? -payment : payment;
}

static void update_quote(row position, row market, row amm, i128 delta)
{
    if (delta == 0) return;
    i128 before = get_PerpPosition_quote_asset_amount(position), base = get_PerpPosition_base_asset_amount(position);
    i128 users = get_PerpMarket_number_of_users(market), after;
    if (base == 0 && before == 0) set_PerpMarket_number_of_users(market, ++users);
    after = checked_i64(add(before, delta));
    set_PerpPosition_quote_asset_amount(position, after);
    set_AMM_quote_asset_amount(amm, add(get_AMM_quote_asset_amount(amm), delta));
    if (base == 0 && after == 0 && users > 0) set_PerpMarket_number_of_users(market, users - 1);
}

static void settle_funding(row user, row position, row market, row amm)
{
    i128 base = get_PerpPosition_base_asset_amount(position), last, now, payment, even;
    if (base == 0) return;
    now = base > 0 ? get_AMM_cumulative_funding_rate_long(amm) : get_AMM_cumulative_funding_rate_short(amm);
    last = get_PerpPosition_last_cumulative_funding_rate(position);
    if (now == last) return;
    payment = to_i64(funding_payment(sub(now, last), base));
    set_User_cumulative_perp_funding(user, add(get_User_cumulative_perp_funding(user), payment));
    set_PerpPosition_last_cumulative_funding_rate(position, to_i64(now));
    update_quote(position, market, amm, payment);
    even = checked_i64(add(get_PerpPosition_quote_break_even_amount(position), payment));
    set_PerpPosition_quote_break_even_amount(position, even);
    if (base > 0)
        set_AMM_quote_break_even_amount_long(amm, add(get_AMM_quote_break_even_amount_long(amm), payment));
    else
        set_AMM_quote_break_even_amount_short(amm, add(get_AMM_quote_break_even_amount_short(amm), payment));
    set_AMM_net_unsettled_funding_pnl(amm, sub(get_AMM_net_unsettled_funding_pnl(amm), payment));
}

static i128 position_pnl(row position, i128 price)
{
    i128 base = get_PerpPosition_base_asset_amount(position), quote = get_PerpPosition_quote_asset_amount(position);
    return base == 0 ? quote : add(mul(base, at_least_0(price)) / 1000000000, quote);
}

/* --- strict maintenance margin --------------------------------------------------------------------------------- */

static i128 token_value(i128 tokens, i128 decimals, i128 price)
{
    i128 precision = pow10_of(decimals), product = mul(tokens, price);
    return product >= 0 ? product / precision : -(sub(sub(precision, 1), product) / precision);
}

static void add_spot_position(const struct venue *v, row position, i128 *collateral, i128 *requirement, int *debts)
{
    i128 index = get_SpotPosition_market_index(position), balance = get_SpotPosition_scaled_balance(position);
    i128 orders = get_SpotPosition_open_orders(position);
    if (get_SpotPosition_open_bids(position) != 0 || get_SpotPosition_open_asks(position) != 0 || orders != 0)
        not_covered();
    if (balance == 0) return;
    row market = spot_market(v, index), oracle = oracle_at(v, get_SpotMarket_oracle_index(market));
    int type = (int)get_SpotPosition_balance_type(position);
    judge_for_spot(v, market, oracle);
    i128 price = get_OraclePriceData_price(oracle);
    row history = at_SpotMarket_historical_oracle_data(market);
    i128 twap = get_HistoricalOracleData_last_oracle_price_twap_5min(history);
    if (price <= 0 || twap <= 0) fail(InvalidOracle);
    i128 low = smaller(price, twap), high = larger(price, twap);
    i128 tokens = token_amount(balance, market, type), decimals = get_SpotMarket_decimals(market), value, weighted;
    if (index == 0) {
        i128 precision = pow10_of(decimals);
        if (tokens == 0) fail(InvalidMarginRatio);
        if (type == DEPOSIT) {
            value = mul(tokens, low) / precision;
        } else {
            value = -(sub(add(mul(tokens, high), precision), 1) / precision);
            if (value == 0) fail(InvalidMarginRatio);
        }
        weighted = value;
    } else {
        if (get_SpotMarket_imf_factor(market) != 0) not_covered();
        i128 held = type == DEPOSIT ? tokens : -tokens;
        value = token_value(held, decimals, held > 0 ? low : high);
        weighted = 0;
        if (value > 0) weighted = mul(value, get_SpotMarket_maintenance_asset_weight(market)) / 10000;
        if (value < 0) weighted = -(mul(-value, get_SpotMarket_maintenance_liability_weight(market)) / 10000);
        if (tokens == 0) fail(InvalidMarginRatio);
        if (value < 0 && -weighted < -value) fail(InvalidMarginRatio);
        if (value < 0 && weighted == 0) fail(InvalidOracle);
    }
    if (value > 0) *collateral = add(*collateral, weighted);
    if (value < 0) {
        *requirement = sub(*requirement, weighted);
        *debts += 1;
    }
}

static void add_perp_position(const struct venue *v, row position, i128 *collateral, i128 *requirement)
{
    if (has_orders(position)) not_covered();
    if (is_free(position)) return;
    row market = perp_market(v, get_PerpPosition_market_index(position)), amm = at_PerpMarket_amm(market);
    row quote_market = spot_market(v, get_PerpMarket_quote_spot_market_index(market));
    row quote_oracle = oracle_at(v, get_SpotMarket_oracle_index(quote_market));
    judge_for_spot(v, quote_market, quote_oracle);
    row history = at_SpotMarket_historical_oracle_data(quote_market);
    i128 quote_price = get_OraclePriceData_price(quote_oracle), quote_low = quote_price, quote_high = quote_price;
    i128 twap = get_HistoricalOracleData_last_oracle_price_twap_5min(history);
    if (twap < quote_price) quote_low = twap;
    else quote_high = twap;
    row oracle = oracle_at(v, get_AMM_oracle_index(amm));
    judge_for_perp(v, market, oracle);
    int settling = get_PerpMarket_status(market) == SETTLEMENT;
    i128 price = settling ? get_PerpMarket_expiry_price(market) : get_OraclePriceData_price(oracle);
    price = at_least_0(price);
    i128 base = get_PerpPosition_base_asset_amount(position), pnl = get_PerpPosition_quote_asset_amount(position);
    if (base != 0) {
        i128 rate = base > 0 ? get_AMM_cumulative_funding_rate_long(amm) : get_AMM_cumulative_funding_rate_short(amm);
        i128 last = get_PerpPosition_last_cumulative_funding_rate(position);
        pnl = add(pnl, mul(base, price) / 1000000000);
        if (rate != last) pnl = add(pnl, funding_payment(sub(rate, last), base));
    }
    if (get_PerpMarket_imf_factor(market) != 0) not_covered();
    i128 liability = mul(mul(magnitude(base), price) / 1000000000, quote_high) / 1000000;
    if (!settling)
        *requirement = add(*requirement, mul(liability, get_PerpMarket_margin_ratio_maintenance(market)) / 10000);
    i128 weight = pnl > 0 ? get_PerpMarket_unrealized_pnl_maintenance_asset_weight(market) : 10000;
    i128 quote = pnl > 0 ? quote_low : pnl < 0 ? quote_high : quote_price;
    if (weight != 10000) pnl = mul(pnl, weight) / 10000;
    if (quote != 1000000) pnl = mul(pnl, quote) / 1000000;
    *collateral = add(*collateral, pnl);
}

static int meets_margin(const struct venue *v, row user)
{
    i128 collateral = 0, requirement = 0;
    int debts = 0;
    for (int i = 0; i < 8; i++) add_spot_position(v, spot_position(user, i), &collateral, &requirement, &debts);
    for (int i = 0; i < 8; i++) add_perp_position(v, perp_position(user, i), &collateral, &requirement);
    if (debts > 0 && requirement == 0) fail(InvalidMarginRatio);
    return collateral >= requirement;
}

/* --- the pools ------------------------------------------------------------------------------------------------- */

static i128 reserved_fees(row amm)
{
    i128 kept = add(get_AMM_total_exchange_fee(amm) / 2, get_AMM_total_liquidation_fee(amm));
    return sub_checked(kept, get_AMM_total_fee_withdrawn(amm));
}

static i128 revenue_pool_transfer(row market, row amm, i128 fee_tokens, i128 revenue_tokens)
{
    row claim = at_PerpMarket_insurance_claim(market);
    i128 withdrawn = get_AMM_total_fee_withdrawn(amm);
    i128 above = sub(sub(get_AMM_total_fee_minus_distributions(amm), withdrawn), 250000000);
    i128 since_last = get_InsuranceClaim_revenue_withdraw_since_last_settle(claim);
    i128 period = get_InsuranceClaim_max_revenue_withdraw_per_period(claim);
    if (above > 0) {
        i128 available = at_least_0(sub(fee_tokens, add(250000000, get_AMM_total_social_loss(amm))));
        i128 insured = add(get_InsuranceClaim_quote_settled_insurance(claim), get_InsuranceClaim_quote_max_insurance(claim));
        i128 fees = add(get_AMM_total_exchange_fee(amm) / 2, smaller(get_AMM_total_liquidation_fee(amm), insured));
        i128 room = smaller(add(since_last, period), get_AMM_net_revenue_since_last_funding(amm));
        return smaller(smaller(at_least_0(sub(fees, withdrawn)), available), at_least_0(room));
    }
    if (above == 0) return 0;
    i128 room = larger(INT64_MIN, smaller(INT64_MAX, sub(period, since_last)));
    room = smaller(smaller(to_u64(room), revenue_tokens), period);
    return -smaller(-above, room);
}

static void exchange_with_revenue_pool(const struct venue *v, row market, row amm, row quote)
{
    row claim = at_PerpMarket_insurance_claim(market), fee_pool = at_AMM_fee_pool(amm);
    row revenue_pool = at_SpotMarket_revenue_pool(quote), fund = at_SpotMarket_insurance_fund(quote);
    i128 settled = get_InsuranceFund_last_revenue_settle_ts(fund);
    i128 last = get_InsuranceClaim_last_revenue_withdraw_ts(claim);
    if (settled > last) {
        if (v->now < settled || v->now < last) fail(BlockchainClockInconsistency);
        set_InsuranceClaim_revenue_withdraw_since_last_settle(claim, 0);
    }
    i128 moved = revenue_pool_transfer(market, amm, pool_tokens(fee_pool, quote), pool_tokens(revenue_pool, quote));
    if (moved == 0) return;
    if (get_PoolBalance_market_index(fee_pool) != get_SpotMarket_market_index(quote))
        fail(UnequalMarketIndexForSpotTransfer);
    if (moved > 0) {
        withdraw_from_pool(moved, quote, fee_pool);
        deposit_into_pool(moved, quote, revenue_pool);
        set_AMM_total_fee_withdrawn(amm, add(get_AMM_total_fee_withdrawn(amm), moved));
    } else {
        withdraw_from_pool(-moved, quote, revenue_pool);
        deposit_into_pool(-moved, quote, fee_pool);
    }
    set_AMM_total_fee_minus_distributions(amm, sub(get_AMM_total_fee_minus_distributions(amm), moved));
    i128 since_last = sub(get_InsuranceClaim_revenue_withdraw_since_last_settle(claim), moved);
    set_InsuranceClaim_revenue_withdraw_since_last_settle(claim, since_last);
    set_InsuranceClaim_last_revenue_withdraw_ts(claim, v->now);
}

static i128 withdrawable(row quote, i128 tokens)
{
    i128 deposits = token_amount(get_SpotMarket_deposit_balance(quote), quote, DEPOSIT);
    i128 borrows = token_amount(get_SpotMarket_borrow_balance(quote), quote, BORROW);
    i128 lesser = smaller(deposits, get_SpotMarket_deposit_token_twap(quote));
    i128 by_twap = larger(lesser / 6, add(get_SpotMarket_borrow_token_twap(quote), lesser / 10));
    i128 most = smaller(by_twap, sub(lesser, lesser / 5));
    most = larger(get_SpotMarket_withdraw_guard_threshold(quote), most);
    return add(at_least_0(tokens), smaller(at_least_0(sub(most, borrows)), at_least_0(sub(deposits, borrows))));
}

static i128 net_claim(row quote)
{
    i128 deposits = token_amount(get_SpotMarket_deposit_balance(quote), quote, DEPOSIT);
    i128 borrows = token_amount(get_SpotMarket_borrow_balance(quote), quote, BORROW);
    i128 revenue = to_u64(pool_tokens(at_SpotMarket_revenue_pool(quote), quote));
    i128 claim = sub(to_i64(deposits), to_i64(borrows));
    if (revenue > deposits) fail(SpotMarketVaultInvariantViolated);
    return claim;
}

static i128 serve_pools(const struct venue *v, row market, row amm, row quote, i128 user_tokens, i128 claim)
{
    row fee_pool = at_AMM_fee_pool(amm), pnl_pool = at_PerpMarket_pnl_pool(market);
    i128 earned = add(get_AMM_total_fee_minus_distributions(amm), get_AMM_total_liquidation_fee(amm));
    i128 target = sub(earned, get_AMM_total_fee_withdrawn(amm)), held = pool_tokens(fee_pool, quote);
    int at_target = target <= held;
    if (at_target) {
        i128 surplus = target > 0 ? sub(held, target) : held;
        if (surplus > 0) transfer_between_pools(surplus, quote, fee_pool, pnl_pool);
    }
    i128 floor = reserved_fees(amm);
    held = pool_tokens(fee_pool, quote);
    if (held < floor) {
        i128 refill = smaller(sub(floor, held), pool_tokens(pnl_pool, quote));
        if (refill > 0) transfer_between_pools(refill, quote, pnl_pool, fee_pool);
    }
    exchange_with_revenue_pool(v, market, amm, quote);
    i128 pnl = claim > 0 ? smaller(claim, pool_tokens(pnl_pool, quote)) : larger(claim, -withdrawable(quote, user_tokens));
    i128 to_fee_pool = 0;
    if (pnl < 0 && !at_target) {
        to_fee_pool = -(pnl / 100);
        deposit_into_pool(to_fee_pool, quote, fee_pool);
    }
    i128 to_pnl_pool = sub(-pnl, to_fee_pool);
    if (to_pnl_pool >= 0) deposit_into_pool(to_pnl_pool, quote, pnl_pool);
    else withdraw_from_pool(-to_pnl_pool, quote, pnl_pool);
    net_claim(quote);
    return pnl;
}

/* --- checks of the market -------------------------------------------------------------------------------------- */

static void check_price_band(const struct venue *v, row amm, i128 price)
{
    row divergence = at_OracleGuardRails_price_divergence(at_State_oracle_guard_rails(v->state));
    i128 limit = larger(100000, get_PriceDivergenceGuardRails_mark_oracle_percent_divergence(divergence));
    i128 twap = get_HistoricalOracleData_last_oracle_price_twap_5min(at_AMM_historical_oracle_data(amm));
    i128 mark = reserve_price(amm), oracle = magnitude(price);
    i128 by_mark = magnitude(quotient(mul(sub(mark, twap), 1000000), mark));
    i128 by_oracle = magnitude(quotient(mul(sub(oracle, twap), 1000000), oracle));
    if (larger(by_mark, by_oracle) > limit) fail(PriceBandsBreached);
}

static void validate_market(row market, row amm)
{
    i128 step = get_AMM_order_step_size(amm), longs = get_AMM_base_asset_amount_long(amm);
    i128 shorts = get_AMM_base_asset_amount_short(amm), net = get_AMM_base_asset_amount_with_amm(amm);
    i128 sqrt_k = get_AMM_sqrt_k(amm), base = get_AMM_base_asset_reserve(amm), quote = get_AMM_quote_asset_reserve(amm);
    i128 base_spread = get_AMM_base_spread(amm), max_spread = get_AMM_max_spread(amm);
    if (step == 0) fail(MathError);
    if (magnitude(longs) % step != 0 || magnitude(shorts) % step != 0) fail(InvalidPositionDelta);
    if (add(longs, shorts) != net || net > 100000000000000000) fail(InvalidAmmDetected);
    if (get_AMM_peg_multiplier(amm) == 0) fail(InvalidAmmDetected);
    if (get_PerpMarket_status(market) != REDUCE_ONLY && sqrt_k <= magnitude(net)) fail(InvalidAmmDetected);
    if (sqrt_k < base && sqrt_k < quote) fail(InvalidAmmDetected);
    if (magnitude(sub(quotient(mul(sqrt_k, sqrt_k), base), quote)) > 15) fail(InvalidAmmDetected);
    if (base_spread > 0
        && (get_AMM_bid_base_asset_reserve(amm) < base || get_AMM_bid_quote_asset_reserve(amm) > quote
            || get_AMM_ask_base_asset_reserve(amm) > base || get_AMM_ask_quote_asset_reserve(amm) < quote))
        fail(InvalidAmmDetected);
    i128 spreads = get_AMM_long_spread(amm) + get_AMM_short_spread(amm);
    if (spreads < base_spread || spreads > 1000000) fail(InvalidAmmDetected);
    i128 terminal = get_AMM_terminal_quote_asset_reserve(amm);
    if ((net > 0 && terminal > quote) || (net < 0 && terminal < quote) || (net == 0 && terminal != quote))
        fail(InvalidAmmDetected);
    if (base_spread > 0
        && (max_spread <= base_spread || max_spread >= get_PerpMarket_margin_ratio_initial(market) * 100))
        fail(InvalidAmmDetected);
    row claim = at_PerpMarket_insurance_claim(market);
    if (get_InsuranceClaim_max_revenue_withdraw_per_period(claim)
        < magnitude(get_InsuranceClaim_revenue_withdraw_since_last_settle(claim))) fail(InvalidAmmDetected);
}

/* --- the settlement -------------------------------------------------------------------------------------------- */

static void update_user_balance(row user, row quote, i128 tokens, int direction)
{
    row position = spot_position(user, 0);
    i128 balance = get_SpotPosition_scaled_balance(position);
    int type = (int)get_SpotPosition_balance_type(position);
    if (direction != type) {
        i128 held = token_amount(balance, quote, type);
        if (held != 0) {
            i128 delta = balance, consumed = held;
            if (held > tokens) {
                delta = scaled_balance(tokens, quote, type, type == BORROW);
                consumed = tokens;
            }
            take_from_market(quote, type, delta);
            balance = sub_checked(balance, delta);
            tokens = sub(tokens, consumed);
        }
        if (tokens > 0) set_SpotPosition_balance_type(position, direction);
    }
    if (direction == type || tokens > 0) {
        i128 delta = scaled_balance(tokens, quote, direction, direction == BORROW);
        balance = add(balance, delta);
        add_to_market(quote, direction, delta);
    }
    set_SpotPosition_scaled_balance(position, balance);
}

static i128 stop(const struct venue *v, int code) { if (v->mode == 0) fail(code); return 0; }

/* Settles; 0 with *settled unset where TrySettle stops. */
static i128 settle(const struct venue *v, row user, row quote, row market, int *settled)
{
    row amm = at_PerpMarket_amm(market), oracle = oracle_at(v, get_AMM_oracle_index(amm));
    if (get_User_status(user) == USER_CLOSED) fail(UserNotFound);
    update_amm(v, market, oracle);
    if (((int)get_User_status(user) & USER_BANKRUPT) != 0) fail(UserBankrupt);
    update_cumulative_interest(quote, v->now);
    i128 price = get_OraclePriceData_price(oracle);
    check_price_band(v, amm, price);
    row position = find_perp_position(user, v->market_index);
    settle_funding(user, position, market, amm);
    i128 unrealized = position_pnl(position, price), base = get_PerpPosition_base_asset_amount(position);
    if (unrealized < 0 && !meets_margin(v, user)) return stop(v, InsufficientCollateralForSettlingPNL);
    i128 paused = get_PerpMarket_paused_operations(market), status = get_PerpMarket_status(market);
    if (((int)paused & 8) != 0
        || (base != 0 ? ((int)paused & 16) != 0 || status != ACTIVE : status != ACTIVE && status != REDUCE_ONLY))
        return stop(v, InvalidMarketStatusToSettlePnl);

    if (price <= 0) fail(InvalidOracle);
    i128 net = mul(get_AMM_base_asset_amount_with_amm(amm), price) / 1000000000;
    net = add(net, add(get_AMM_quote_asset_amount(amm), get_AMM_net_unsettled_funding_pnl(amm)));
    i128 fee_tokens = pool_tokens(at_AMM_fee_pool(amm), quote);
    i128 available = add(pool_tokens(at_PerpMarket_pnl_pool(market), quote), fee_tokens / 5), excess = 0;
    if (net < available) excess = net > 0 ? sub(available, net) : available;
    i128 claim = unrealized;
    if (claim > 0) {
        i128 quote_held = get_PerpPosition_quote_asset_amount(position);
        i128 realized = at_least_0(sub(quote_held, get_PerpPosition_quote_entry_amount(position)));
        claim = smaller(claim, add(realized, at_least_0(excess)));
    }
    row held = spot_position(user, 0);
    if (get_SpotPosition_market_index(held) != 0) fail(DefaultError);
    int type = (int)get_SpotPosition_balance_type(held);
    i128 tokens = token_amount(get_SpotPosition_scaled_balance(held), quote, type);
    i128 pnl = serve_pools(v, market, amm, quote, type == DEPOSIT ? tokens : -tokens, claim);
    if (claim == 0) return stop(v, NoUnsettledPnl);
    if (pnl == 0) return stop(v, PnlPoolCantSettleUser);
    if (pnl > 0 && excess <= 0 && !(base == 0 && ((int)get_User_status(user) & 3) != 0))
        return stop(v, UserMustSettleTheirOwnPositiveUnsettledPNL);
    update_user_balance(user, quote, magnitude(pnl), pnl > 0 ? DEPOSIT : BORROW);
    update_quote(position, market, amm, -pnl);
    set_User_settled_perp_pnl(user, checked_i64(add(get_User_settled_perp_pnl(user), pnl)));
    set_PerpPosition_settled_pnl(position, checked_i64(add(get_PerpPosition_settled_pnl(position), pnl)));
    validate_market(market, amm);
    validate_perp_position(position, amm);
    *settled = 1;
    return pnl;
}

static int attempt(const struct venue *v, row user, row quote, row market, row outcome)
{
    if (__builtin_setjmp(refused)) return refusal;
    int settled = 0;
    i128 pnl = settle(v, user, quote, market, &settled);
    if (((int)get_User_status(user) & 3) == 0) set_User_last_active_slot(user, v->slot);
    set_User_idle(user, 0);
    if (to_i64(v->quote_vault) < net_claim(quote)) fail(SpotMarketVaultInvariantViolated);
    set_Outcome_settled(outcome, settled);
    set_Outcome_amount(outcome, pnl);
    return 0;
}

int64_t settle_users(const struct venue *v, int64_t first, int64_t end)
{
    row quote = v->spot_markets, market = perp_market(v, v->market_index);
    row saved_quote = v->saved + SIZE_User, saved_market = saved_quote + SIZE_SpotMarket;
    for (int64_t i = first; i < end; i++) {
        row user = v->users + i * SIZE_User, outcome = v->outcomes + i * SIZE_Outcome;
        memcpy(v->saved, user, SIZE_User);
        memcpy(saved_quote, quote, SIZE_SpotMarket);
        memcpy(saved_market, market, SIZE_PerpMarket);
        for (int64_t j = 0; j < v->oracle_count; j++) set_OraclePriceData_validity(oracle_at(v, j), 0);
        int error = attempt(v, user, quote, market, outcome);
        if (error) {
            memcpy(user, v->saved, SIZE_User);
            memcpy(quote, saved_quote, SIZE_SpotMarket);
            memcpy(market, saved_market, SIZE_PerpMarket);
        }
        set_Outcome_error(outcome, error);
    }
    return end;
}
