"""The state machine: instructions in, receipts out; every change atomic, conserved and explained."""
