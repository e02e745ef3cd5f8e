"""Facts of Velocity: balances."""

from seawall.audit.parity.facts_inputs import Adapter

ADAPTERS: dict[str, Adapter] = {}
