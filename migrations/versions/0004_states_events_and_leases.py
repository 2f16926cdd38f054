"""More states of jobs, the log of all changes, fair turns, named leases, retention."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("photo_id", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("from_state", sa.String(length=24), nullable=False),
        sa.Column("to_state", sa.String(length=24), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    with op.batch_alter_table("job_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_events_job_id_id"), ["job_id", "id"], unique=False)
        own = sa.text("photo_id IS NULL")
        batch_op.create_index(
            batch_op.f("ix_job_events_job_id_photo_id_id"),
            ["job_id", "photo_id", "id"],
            unique=False,
            sqlite_where=own,
            postgresql_where=own,
        )

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("paused_by", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("lifetime_days", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("receiving_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("last_served_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("tidied_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("photos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("claimed_alone", sa.Boolean(), server_default=sa.false(), nullable=False))

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_served_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("last_served_at")

    with op.batch_alter_table("photos", schema=None) as batch_op:
        batch_op.drop_column("claimed_alone")

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("tidied_at")
        batch_op.drop_column("purged_at")
        batch_op.drop_column("expires_at")
        batch_op.drop_column("last_served_at")
        batch_op.drop_column("receiving_until")
        batch_op.drop_column("lifetime_days")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("priority")

    with op.batch_alter_table("job_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_events_job_id_photo_id_id"))
        batch_op.drop_index(batch_op.f("ix_job_events_job_id_id"))

    op.drop_table("job_events")
    op.drop_table("leases")
