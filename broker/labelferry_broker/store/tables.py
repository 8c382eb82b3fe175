"""The tables as queries see them. What makes them is in `migrations.py`; a test keeps the two alike."""

import sqlalchemy as sa

METADATA = sa.MetaData()

META = sa.Table(
    "meta",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""`schema`: the version of the tables; `epoch`: the incarnation of the broker that may write."""

JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("worker_user", sa.Text),
    sa.Column("seq_reserved", sa.BigInteger, nullable=False),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("cancel", sa.Text),
    sa.Column("started", sa.Text),
    sa.Column("progress", sa.Text),
    sa.Column("terminal", sa.Text),
    sa.Column("finished_at", sa.Double),
    sa.Column("bundle", sa.Text),
    sa.Column("bundle_attempt", sa.Integer),
    sa.Column("counts", sa.Text),
    sa.Column("retry_at", sa.Double),
    sa.UniqueConstraint("owner", "idempotency_key"),
)
"""One row a `JobRow`; what has parts of its own is JSON."""

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.job_id"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("worker_id", sa.Text, nullable=False),
    sa.Column("worker_user", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("leased_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

TRANSFERS = sa.Table(
    "transfers",
    METADATA,
    sa.Column("transfer_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.job_id"), nullable=False),
    sa.Column("user_name", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)

TEMPLATES = sa.Table(
    "templates",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("saved_at", sa.Double, nullable=False),
)
