"""AMM refresh, funding rates and funding payments."""
