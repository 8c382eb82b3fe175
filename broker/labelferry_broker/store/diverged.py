"""What a store says when its rows are not what the ledger believed."""


class Diverged(Exception):
    """The rows are not what the ledger believed, or a later broker has begun: nothing was written, and the broker must stop."""
