"""What a store says when its rows are not what the ledger believed, or are no rows at all."""


class Diverged(Exception):
    """The rows are not what the ledger believed, or a later broker has begun, or the ledger's file was taken away: nothing was written, and the broker must stop."""


class Damaged(Exception):
    """What the database holds is nothing that was ever written there."""
