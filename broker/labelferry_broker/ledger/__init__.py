"""The ledger: what is true of every job, decided by messages and time alone. Pure: no socket, no clock, no thread, no database.

`machine.Ledger` is the door; `effects.py` is what it answers with; `archive.py` is what it may read.
"""
