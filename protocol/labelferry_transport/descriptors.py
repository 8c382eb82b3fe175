"""How many files a process may have open: each connection of a ZeroMQ socket is one."""

import resource


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # Some systems name a higher limit than they grant; what there was is still there.
        return
