"""The embedded mode: a broker and workers of this user's own, as processes, for as long as somebody uses them.

`service.py` is the user's side, `host.py` the process that starts, watches and stops the two, `leftovers.py` what it cancels. They meet in the state directory:

    start.lock     held (exclusive) while somebody looks for the service or starts it
    holders.lock   held (shared) by everybody who uses it; when nobody does, the host stops everything. Locks die with their
                   process, so a killed user leaves nothing behind
    host.lock      held (exclusive) by the host as long as it lives
    service.json   where the service is, once it is ready
    service.failed why the last one ended before its time
    service.unended there while jobs may not have ended: what a host that was killed has left is cancelled by the next
    service.log    what broker and workers have to say
"""
