"""The store: the ledger's rows on disk. It decides nothing; it writes what the ledger decided, one transaction a turn, and reads it back."""
