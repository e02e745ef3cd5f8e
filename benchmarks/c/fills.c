/* Swaps of many users against one perp market's curve, and their booking: amm-and-funding.md §3.3, pools-and-pnl.md §2.
   Without the mark TWAPs and without fees. */
#include "common.h"

enum { LONG = 0, SHORT = 1 };

static i128 swap_output(i128 amount, i128 input, int direction, i128 sqrt_k, i128 *new_input)
{
    if (direction == LONG && amount > input) fail(TradeSizeTooLarge);
    *new_input = direction == LONG ? sub(input, amount) : add(input, amount);
    return quotient(mul(sqrt_k, sqrt_k), *new_input);
}

/* Move the reserves by a user's trade; the quote given (long) or got (short). */
static i128 swap_base(row amm, i128 amount, int direction)
{
    i128 sqrt_k = get_AMM_sqrt_k(amm), peg = get_AMM_peg_multiplier(amm), spread_base, spread_quote, quote, new_base;
    if (direction == LONG) {
        if (get_AMM_base_asset_reserve(amm) < get_AMM_min_base_asset_reserve(amm)) fail(InvalidAmmForFillDetected);
        spread_base = get_AMM_ask_base_asset_reserve(amm);
        spread_quote = get_AMM_ask_quote_asset_reserve(amm);
    } else {
        if (get_AMM_base_asset_reserve(amm) > get_AMM_max_base_asset_reserve(amm)) fail(InvalidAmmForFillDetected);
        spread_base = get_AMM_bid_base_asset_reserve(amm);
        spread_quote = get_AMM_bid_quote_asset_reserve(amm);
    }
    i128 spread_after = swap_output(amount, spread_base, direction, sqrt_k, &new_base);
    if (direction == LONG)
        quote = add(mul(add(sub_checked(spread_after, spread_quote), 1), peg) / 1000000000, 1);
    else
        quote = mul(sub_checked(spread_quote, spread_after), peg) / 1000000000;
    i128 new_quote = swap_output(amount, get_AMM_base_asset_reserve(amm), direction, sqrt_k, &new_base);
    if (direction == LONG) sub_checked(new_quote, get_AMM_quote_asset_reserve(amm));
    else sub_checked(get_AMM_quote_asset_reserve(amm), new_quote);
    set_AMM_base_asset_reserve(amm, new_base);
    set_AMM_quote_asset_reserve(amm, new_quote);
    return to_u64(quote);
}

static void add_to_side(row amm, int is_long, i128 base, i128 entry, i128 break_even)
{
    if (is_long) {
        set_AMM_base_asset_amount_long(amm, add(get_AMM_base_asset_amount_long(amm), base));
        set_AMM_quote_entry_amount_long(amm, add(get_AMM_quote_entry_amount_long(amm), entry));
        set_AMM_quote_break_even_amount_long(amm, add(get_AMM_quote_break_even_amount_long(amm), break_even));
    } else {
        set_AMM_base_asset_amount_short(amm, add(get_AMM_base_asset_amount_short(amm), base));
        set_AMM_quote_entry_amount_short(amm, add(get_AMM_quote_entry_amount_short(amm), entry));
        set_AMM_quote_break_even_amount_short(amm, add(get_AMM_quote_break_even_amount_short(amm), break_even));
    }
}

static void book_trade(row position, row market, row amm, i128 delta_base, i128 delta_quote)
{
    i128 base = get_PerpPosition_base_asset_amount(position), quote = get_PerpPosition_quote_asset_amount(position);
    i128 entry = get_PerpPosition_quote_entry_amount(position);
    i128 break_even = get_PerpPosition_quote_break_even_amount(position);
    i128 rate_long = get_AMM_cumulative_funding_rate_long(amm), rate_short = get_AMM_cumulative_funding_rate_short(amm);
    i128 last_rate = get_PerpPosition_last_cumulative_funding_rate(position);
    i128 base_after = checked_i64(add(base, delta_base)), quote_after = checked_i64(add(quote, delta_quote));
    i128 held = magnitude(base), traded = magnitude(delta_base), entry_after, break_even_after;
    int opens = base == 0, adds = opens || (base > 0) == (delta_base > 0), closes = !adds && held == traded;
    int flips = !adds && traded > held;
    if (adds) {
        entry_after = checked_i64(add(entry, delta_quote));
        break_even_after = checked_i64(add(break_even, delta_quote));
    } else if (!flips) {
        entry_after = sub(entry, mul(entry, traded) / held);
        break_even_after = sub(break_even, mul(break_even, traded) / held);
        checked_i64(add(sub(entry, entry_after), delta_quote));
    } else {
        entry_after = break_even_after = sub(delta_quote, mul(delta_quote, held) / traded);
        checked_i64(sub(add(entry, delta_quote), entry_after));
    }
    if (opens) {
        if (quote == 0) set_PerpMarket_number_of_users(market, get_PerpMarket_number_of_users(market) + 1);
        set_PerpMarket_number_of_users_with_base(market, get_PerpMarket_number_of_users_with_base(market) + 1);
    } else if (closes) {
        i128 users = get_PerpMarket_number_of_users(market);
        if (quote_after == 0) set_PerpMarket_number_of_users(market, sub_checked(users, 1));
        users = get_PerpMarket_number_of_users_with_base(market);
        set_PerpMarket_number_of_users_with_base(market, sub_checked(users, 1));
    }
    set_AMM_quote_asset_amount(amm, add(get_AMM_quote_asset_amount(amm), delta_quote));
    if (adds) {
        add_to_side(amm, base_after > 0, delta_base, delta_quote, delta_quote);
    } else if (!flips) {
        add_to_side(amm, base > 0, delta_base, sub(entry_after, entry), sub(break_even_after, break_even));
    } else {
        add_to_side(amm, base > 0, sub(0, base), sub(0, entry), sub(0, break_even));
        add_to_side(amm, base_after > 0, base_after, entry_after, break_even_after);
    }
    if ((base > 0 && last_rate != rate_long) || (base < 0 && last_rate != rate_short))
        fail(InvalidPositionLastFundingRate);
    if (closes) last_rate = 0;
    else if (adds || flips) last_rate = to_i64(base_after > 0 ? rate_long : rate_short);
    set_PerpPosition_last_cumulative_funding_rate(position, last_rate);
    validate_perp_position(position, amm);
    set_PerpPosition_base_asset_amount(position, base_after);
    set_PerpPosition_quote_asset_amount(position, quote_after);
    set_PerpPosition_quote_entry_amount(position, entry_after);
    set_PerpPosition_quote_break_even_amount(position, break_even_after);
}

static int fill(row user, row market, i128 amount, int direction)
{
    if (__builtin_setjmp(refused)) return refusal;
    row amm = at_PerpMarket_amm(market);
    i128 quote = swap_base(amm, amount, direction);
    row position = find_perp_position(user, get_PerpMarket_market_index(market));
    i128 delta = direction == LONG ? amount : -amount;
    book_trade(position, market, amm, delta, direction == LONG ? -quote : quote);
    i128 net = add(get_AMM_base_asset_amount_with_amm(amm), delta);
    set_AMM_base_asset_amount_with_amm(amm, net);
    if (magnitude(net) > 100000000000000000) fail(InvalidAmmDetected);
    update_spread_reserves(amm);
    return 0;
}

/* User i trades i % steps + 1 steps; every other one buys. */
int64_t fill_users(row users, row outcomes, int64_t count, row market, int64_t steps, row saved)
{
    for (int64_t i = 0; i < count; i++) {
        row user = users + i * SIZE_User, outcome = outcomes + i * SIZE_Outcome;
        memcpy(saved, user, SIZE_User);
        memcpy(saved + SIZE_User, market, SIZE_PerpMarket);
        int64_t step = (int64_t)get_AMM_order_step_size(at_PerpMarket_amm(market));
        int error = fill(user, market, (i % steps + 1) * step, i % 2);
        if (error) {
            memcpy(user, saved, SIZE_User);
            memcpy(market, saved + SIZE_User, SIZE_PerpMarket);
        }
        set_Outcome_error(outcome, error);
    }
    return count;
}
