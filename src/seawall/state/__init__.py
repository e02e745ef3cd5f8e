"""The records: who holds what. Field names, widths and precisions are the programs' own."""
