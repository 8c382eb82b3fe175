"""The wire contract of labelferry: every message, the life of a job, topics, versions, errors, and the bytes they travel as.

Pure: no socket, no clock, no thread. Everyone may import it; it imports nobody. `docs/protocol.md` says the same in prose.
"""
