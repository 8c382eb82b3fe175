"""The worker process: a supervisor that holds leases and looks after its children, and the children, which do the work.

supervisor.py   the actor: sockets, children, uploader; asks the crew what to do, and does it
crew.py         what to do, pure: messages, reports and time in, instructions out (attempt, membership and outbox are its parts)
link.py         the supervisor's sockets to the broker
pool.py         the supervisor's children (kept_child.py is one of them); child.py and line.py are the other end of their channel
keeper.py       the small process above each child, by which nothing that it started outlives it
uploader.py     the thread that brings bundles to the depot
staging.py      where attempts write, and how it is removed
"""
