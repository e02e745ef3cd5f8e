/* What the plain C loops share: signed 128-bit arithmetic, errors, balances, positions.

   Rules of balances.md, pools-and-pnl.md, amm-and-funding.md, as a C programmer writes them: rows in place, one pass,
   no notes for events. `rows.h` is generated from the records' layouts: get_<Record>_<field>(row),
   set_<Record>_<field>(row, value), at_<Record>_<field>(row) for what is nested, SIZE_<Record>.
   With -DCHECKED every sum and product is checked for overflow, every store against its field's width; both end the
   process, the input of the benchmark leads to neither. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 i128;
typedef uint8_t *row;

#ifdef CHECKED
static inline i128 add(i128 a, i128 b) { i128 c; if (__builtin_add_overflow(a, b, &c)) abort(); return c; }
static inline i128 sub(i128 a, i128 b) { i128 c; if (__builtin_sub_overflow(a, b, &c)) abort(); return c; }
static inline i128 mul(i128 a, i128 b) { i128 c; if (__builtin_mul_overflow(a, b, &c)) abort(); return c; }
#define FITS(value, low, high) do { if ((value) < (low) || (value) > (high)) abort(); } while (0)
#else
static inline i128 add(i128 a, i128 b) { return a + b; }
static inline i128 sub(i128 a, i128 b) { return a - b; }
static inline i128 mul(i128 a, i128 b) { return a * b; }
#define FITS(value, low, high)
#endif

#include "rows.h"

/* --- errors: a refused account jumps back to its loop with the code plus one ---------------------------------- */

static void *refused[5];
static int refusal;

static void __attribute__((noinline, noreturn)) fail(int code)
{
    refusal = code + 1;
    __builtin_longjmp(refused, 1);
}

/* What the C loops do not do (their input does not need it). */
static void __attribute__((noinline, noreturn)) not_covered(void) { abort(); }

static inline i128 smaller(i128 a, i128 b) { return a < b ? a : b; }
static inline i128 larger(i128 a, i128 b) { return a > b ? a : b; }
static inline i128 magnitude(i128 a) { return a < 0 ? sub(0, a) : a; }
static inline i128 at_least_0(i128 a) { return a > 0 ? a : 0; }

static inline i128 quotient(i128 a, i128 b)
{
    if (b == 0) fail(MathError);
    return a / b;
}

static inline i128 checked_i64(i128 a) { if (a < INT64_MIN || a > INT64_MAX) fail(MathError); return a; }
static inline i128 checked_u64(i128 a) { if (a < 0 || a > UINT64_MAX) fail(MathError); return a; }
static inline i128 to_i64(i128 a) { if (a < INT64_MIN || a > INT64_MAX) fail(CastingFailure); return a; }
static inline i128 to_u64(i128 a) { if (a < 0 || a > UINT64_MAX) fail(CastingFailure); return a; }
static inline i128 sub_checked(i128 a, i128 b) { if (a < b) fail(MathError); return a - b; }

static const uint64_t POWERS[19] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
    1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
    1000000000000000000,
};

static inline i128 pow10_of(i128 exponent)
{
    if (exponent < 0 || exponent > 18) not_covered();
    return POWERS[(int)exponent];
}

/* --- balances -------------------------------------------------------------------------------------------------- */

enum { DEPOSIT = 0, BORROW = 1 };

static inline i128 token_amount(i128 balance, row market, int type)
{
    i128 precision = pow10_of(19 - get_SpotMarket_decimals(market));
    if (type == DEPOSIT)
        return mul(balance, get_SpotMarket_cumulative_deposit_interest(market)) / precision;
    return sub(add(mul(balance, get_SpotMarket_cumulative_borrow_interest(market)), precision), 1) / precision;
}

static inline i128 scaled_balance(i128 tokens, row market, int type, int round_up)
{
    i128 precision = pow10_of(19 - get_SpotMarket_decimals(market));
    i128 index = type == DEPOSIT ? get_SpotMarket_cumulative_deposit_interest(market)
                                 : get_SpotMarket_cumulative_borrow_interest(market);
    i128 balance = quotient(mul(tokens, precision), index);
    return round_up && balance != 0 ? add(balance, 1) : balance;
}

static inline void add_to_market(row market, int type, i128 delta)
{
    if (type == DEPOSIT)
        set_SpotMarket_deposit_balance(market, add(get_SpotMarket_deposit_balance(market), delta));
    else
        set_SpotMarket_borrow_balance(market, add(get_SpotMarket_borrow_balance(market), delta));
}

static inline void take_from_market(row market, int type, i128 delta)
{
    if (type == DEPOSIT)
        set_SpotMarket_deposit_balance(market, sub_checked(get_SpotMarket_deposit_balance(market), delta));
    else
        set_SpotMarket_borrow_balance(market, sub_checked(get_SpotMarket_borrow_balance(market), delta));
}

static inline i128 pool_tokens(row pool, row market)
{
    return token_amount(get_PoolBalance_scaled_balance(pool), market, DEPOSIT);
}

static inline void deposit_into_pool(i128 tokens, row market, row pool)
{
    i128 delta = scaled_balance(tokens, market, DEPOSIT, 0);
    set_PoolBalance_scaled_balance(pool, add(get_PoolBalance_scaled_balance(pool), delta));
    add_to_market(market, DEPOSIT, delta);
}

static inline void withdraw_from_pool(i128 tokens, row market, row pool)
{
    i128 held = pool_tokens(pool, market);
    if (held != 0) {
        i128 delta = get_PoolBalance_scaled_balance(pool), consumed = held;
        if (held > tokens) {
            delta = scaled_balance(tokens, market, DEPOSIT, 0);
            consumed = tokens;
        }
        take_from_market(market, DEPOSIT, delta);
        set_PoolBalance_scaled_balance(pool, sub_checked(get_PoolBalance_scaled_balance(pool), delta));
        tokens = sub(tokens, consumed);
    }
    if (tokens > 0) fail(CantUpdatePoolBalanceType);
}

static inline void transfer_between_pools(i128 tokens, row market, row source, row target)
{
    if (get_PoolBalance_market_index(source) != get_PoolBalance_market_index(target))
        fail(UnequalMarketIndexForSpotTransfer);
    if (tokens == 0) return;
    if (get_SpotMarket_deposit_balance(market) < get_PoolBalance_scaled_balance(source))
        fail(InvalidSpotMarketState);
    withdraw_from_pool(tokens, market, source);
    deposit_into_pool(tokens, market, target);
}

/* --- statistics and interest ----------------------------------------------------------------------------------- */

static inline i128 weighted_average(i128 new, i128 old, i128 new_weight, i128 old_weight)
{
    i128 weight = checked_i64(add(new_weight, old_weight));
    if (new_weight == 0) return old;
    if (old_weight == 0) return new;
    i128 new_part = mul(new, new_weight), old_part = mul(old, old_weight);
    int bias = old_weight > 1 ? (old_part > new_part) - (old_part < new_part) : 0;
    i128 average = to_i64(quotient(add(new_part, old_part), weight));
    return average == 0 && bias < 0 ? average : add(average, bias);
}

static inline i128 new_twap(i128 current, i128 now, i128 last_twap, i128 last_ts, i128 period)
{
    i128 since_last = at_least_0(checked_i64(sub(now, last_ts)));
    return weighted_average(current, last_twap, since_last, larger(1, checked_i64(sub(period, since_last))));
}

static inline i128 utilization_of(i128 deposits, i128 borrows)
{
    if (deposits == 0) return borrows == 0 ? 0 : 1000000;
    return mul(borrows, 1000000) / deposits;
}

static inline i128 borrow_rate(row market, i128 utilization)
{
    i128 optimal = get_SpotMarket_optimal_utilization(market), rate;
    i128 optimal_rate = get_SpotMarket_optimal_borrow_rate(market);
    if (utilization > optimal) {
        i128 spread = sub_checked(get_SpotMarket_max_borrow_rate(market), optimal_rate);
        i128 slope = quotient(mul(spread, 1000000), sub_checked(1000000, optimal));
        rate = add(optimal_rate, mul(sub(utilization, optimal), slope) / 1000000);
    } else {
        rate = mul(utilization, quotient(mul(optimal_rate, 1000000), optimal)) / 1000000;
    }
    return larger(rate, get_SpotMarket_min_borrow_rate(market) * 5000);
}

static inline void accrue_interest(row market, i128 now)
{
    i128 deposits = token_amount(get_SpotMarket_deposit_balance(market), market, DEPOSIT);
    i128 borrows = token_amount(get_SpotMarket_borrow_balance(market), market, BORROW);
    i128 utilization = utilization_of(deposits, borrows);
    if (utilization == 0) return;
    i128 rate = borrow_rate(market, utilization);
    if (now < 0) fail(UnableToCastUnixTime);
    rate = mul(rate, sub_checked(now, get_SpotMarket_last_interest_ts(market)));
    i128 deposit_rate = mul(rate, utilization) / 1000000;
    i128 borrow_index = get_SpotMarket_cumulative_borrow_interest(market);
    i128 deposit_index = get_SpotMarket_cumulative_deposit_interest(market);
    i128 for_borrowers = add(mul(borrow_index, rate) / 31536000 / 1000000, 1);
    i128 earned = mul(deposit_index, deposit_rate) / 31536000 / 1000000;
    if (earned <= 0 || for_borrowers <= 1) return;
    row fund = at_SpotMarket_insurance_fund(market);
    i128 for_stakers = mul(earned, get_InsuranceFund_total_factor(fund)) / 1000000;
    i128 for_lenders = sub_checked(earned, for_stakers);
    if (for_lenders <= 0) return;
    set_SpotMarket_cumulative_deposit_interest(market, add(deposit_index, for_lenders));
    set_SpotMarket_cumulative_borrow_interest(market, add(borrow_index, for_borrowers));
    set_SpotMarket_last_interest_ts(market, now);
    i128 precision = pow10_of(19 - get_SpotMarket_decimals(market));
    i128 revenue = mul(get_SpotMarket_deposit_balance(market), for_stakers) / precision;
    deposit_into_pool(revenue, market, at_SpotMarket_revenue_pool(market));
}

/* Accrual and the market's own averages over a day: `update_spot_market_cumulative_interest_without_oracle`. */
static inline void update_cumulative_interest(row market, i128 now)
{
    if ((get_SpotMarket_paused_operations(market) & 1) == 0) accrue_interest(market, now);
    i128 since_last = at_least_0(checked_i64(sub(now, get_SpotMarket_last_twap_ts(market))));
    i128 from_start = larger(1, checked_i64(sub(86400, since_last)));
    i128 deposits = token_amount(get_SpotMarket_deposit_balance(market), market, DEPOSIT);
    i128 borrows = token_amount(get_SpotMarket_borrow_balance(market), market, BORROW);
    i128 utilization = utilization_of(deposits, borrows);
    i128 twap = to_i64(get_SpotMarket_deposit_token_twap(market));
    set_SpotMarket_deposit_token_twap(market, to_u64(weighted_average(to_i64(deposits), twap, since_last, from_start)));
    twap = to_i64(get_SpotMarket_borrow_token_twap(market));
    set_SpotMarket_borrow_token_twap(market, to_u64(weighted_average(to_i64(borrows), twap, since_last, from_start)));
    twap = to_i64(get_SpotMarket_utilization_twap(market));
    twap = weighted_average(to_i64(utilization), twap, since_last, from_start);
    set_SpotMarket_utilization_twap(market, to_u64(twap));
    if (now < 0) fail(MathError);
    set_SpotMarket_last_twap_ts(market, now);
}

static inline i128 sanitized_price(i128 price, i128 twap, i128 denominator)
{
    if (twap == 0) return price;
    i128 distance = checked_i64(sub(price, twap)), band = twap / denominator;
    if (magnitude(distance) <= magnitude(band)) return price;
    return checked_i64(price > twap ? add(twap, band) : sub(twap, band));
}

/* --- curve ----------------------------------------------------------------------------------------------------- */

static inline i128 reserve_price(row amm)
{
    i128 base = get_AMM_base_asset_reserve(amm);
    return to_u64(quotient(mul(get_AMM_quote_asset_reserve(amm), get_AMM_peg_multiplier(amm)), base));
}

static inline i128 spread_reserves(row amm, i128 spread, i128 *quote_reserve)
{
    i128 quote = get_AMM_quote_asset_reserve(amm), sqrt_k = get_AMM_sqrt_k(amm);
    if (magnitude(spread) > 1) quote = add(quote, quotient(quote, quotient(1000000, spread / 2)));
    if (quote < 0) fail(CastingFailure);
    *quote_reserve = quote;
    return quotient(mul(sqrt_k, sqrt_k), quote);
}

static inline i128 to_i32(i128 a) { if (a < INT32_MIN || a > INT32_MAX) fail(CastingFailure); return a; }

static inline void update_spread_reserves(row amm)
{
    i128 base = get_AMM_base_asset_reserve(amm), quote = get_AMM_quote_asset_reserve(amm);
    i128 offset = get_AMM_reference_price_offset(amm), ask_quote, bid_quote;
    i128 ask_base = spread_reserves(amm, to_i32(add(to_i32(get_AMM_long_spread(amm)), offset)), &ask_quote);
    i128 bid_base = spread_reserves(amm, to_i32(sub(offset, to_i32(get_AMM_short_spread(amm)))), &bid_quote);
    set_AMM_ask_base_asset_reserve(amm, smaller(ask_base, base));
    set_AMM_ask_quote_asset_reserve(amm, larger(ask_quote, quote));
    set_AMM_bid_base_asset_reserve(amm, larger(bid_base, base));
    set_AMM_bid_quote_asset_reserve(amm, smaller(bid_quote, quote));
}

/* --- positions ------------------------------------------------------------------------------------------------- */

static inline row spot_position(row user, int i) { return at_User_spot_positions(user) + i * SIZE_SpotPosition; }
static inline row perp_position(row user, int i) { return at_User_perp_positions(user) + i * SIZE_PerpPosition; }

static inline int has_orders(row position)
{
    return get_PerpPosition_open_orders(position) != 0 || get_PerpPosition_open_bids(position) != 0
        || get_PerpPosition_open_asks(position) != 0;
}

static inline int is_free(row position)
{
    return get_PerpPosition_base_asset_amount(position) == 0 && get_PerpPosition_quote_asset_amount(position) == 0
        && !has_orders(position);
}

static inline row find_perp_position(row user, i128 market_index)
{
    for (int i = 0; i < 8; i++) {
        row position = perp_position(user, i);
        if (get_PerpPosition_market_index(position) == market_index && !is_free(position)) return position;
    }
    fail(UserHasNoPositionInMarket);
}

static inline void validate_perp_position(row position, row amm)
{
    i128 step = get_AMM_order_step_size(amm);
    if (step == 0) fail(MathError);
    if (magnitude(get_PerpPosition_base_asset_amount(position)) % step != 0) fail(InvalidPerpPositionDetected);
}
