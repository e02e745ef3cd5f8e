/* Interest and averages of many spot markets: balances.md §4, §5. */
#include "common.h"

static void update_oracle_history(row market, row oracle, i128 now)
{
    row history = at_SpotMarket_historical_oracle_data(market);
    i128 tier = get_SpotMarket_asset_tier(market);
    i128 denominator = tier <= 1 ? 10 : tier == 2 ? 5 : 3;
    i128 twap = get_HistoricalOracleData_last_oracle_price_twap(history);
    i128 twap_5min = get_HistoricalOracleData_last_oracle_price_twap_5min(history);
    i128 price = sanitized_price(get_OraclePriceData_price(oracle), twap, denominator);
    i128 last_ts = get_HistoricalOracleData_last_oracle_price_twap_ts(history);
    set_HistoricalOracleData_last_oracle_price_twap(history, new_twap(price, now, twap, last_ts, 3600));
    set_HistoricalOracleData_last_oracle_price_twap_5min(history, new_twap(price, now, twap_5min, last_ts, 300));
    set_HistoricalOracleData_last_oracle_price_twap_ts(history, now);
    set_HistoricalOracleData_last_oracle_price(history, get_OraclePriceData_price(oracle));
    set_HistoricalOracleData_last_oracle_conf(history, get_OraclePriceData_confidence(oracle));
    set_HistoricalOracleData_last_oracle_delay(history, get_OraclePriceData_delay(oracle));
}

int64_t accrue_markets(row markets, int64_t count, row oracle, int64_t now)
{
    if (__builtin_setjmp(refused)) return -refusal;
    for (int64_t i = 0; i < count; i++) {
        row market = markets + i * SIZE_SpotMarket;
        update_cumulative_interest(market, now);
        update_oracle_history(market, oracle, now);
    }
    return count;
}
