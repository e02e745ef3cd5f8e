"""The rulebooks: plain functions over records of integers, run unchanged by both lanes.

A rule takes records, dense sequences of records and ints; it changes records in place and returns ints or a small
tuple; it fails with ``raise SettlementError(ErrorCode.X)`` and catches nothing. Nothing here does input or output,
reads a clock, or imports from the layers above. ``tools/check_rules.py`` enforces what a machine can see.
"""
