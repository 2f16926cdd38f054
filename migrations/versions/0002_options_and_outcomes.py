"""Options of a job, and what came out of each photo beside its result."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("options", sa.JSON(), server_default="{}", nullable=False))

    with op.batch_alter_table("photos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("result_media_type", sa.String(length=64), server_default="", nullable=False))
        batch_op.add_column(sa.Column("runtime", sa.String(length=100), server_default="", nullable=False))
        batch_op.add_column(sa.Column("warning", sa.String(length=64), server_default="", nullable=False))
        batch_op.add_column(sa.Column("losses", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("lightness_error_mean", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("lightness_error_max", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("mean_chroma", sa.Double(), nullable=True))
        batch_op.create_index(batch_op.f("ix_photos_job_id_warning"), ["job_id", "warning"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("photos", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_photos_job_id_warning"))
        batch_op.drop_column("mean_chroma")
        batch_op.drop_column("lightness_error_max")
        batch_op.drop_column("lightness_error_mean")
        batch_op.drop_column("losses")
        batch_op.drop_column("warning")
        batch_op.drop_column("runtime")
        batch_op.drop_column("result_media_type")

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("options")
