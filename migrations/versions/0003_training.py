"""Training: its material, its runs and its schedule; and names that point at model versions."""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "training_schedules",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("cron", sa.String(length=100), nullable=False),
        sa.Column("min_new_photos", sa.Integer(), nullable=False),
        sa.Column("auto_promote", sa.Boolean(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_schedules")),
    )
    op.create_table(
        "material_uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_material_uploads_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_uploads")),
    )
    with op.batch_alter_table("material_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_material_uploads_state"), ["state"], unique=False)

    op.create_table(
        "model_aliases",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["model_versions.version"], name=op.f("fk_model_aliases_version_model_versions")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_model_aliases")),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("previous", sa.String(length=100), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["previous"], ["model_versions.version"], name=op.f("fk_promotions_previous_model_versions")
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["model_versions.version"], name=op.f("fk_promotions_version_model_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    with op.batch_alter_table("promotions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promotions_created_at"), ["created_at"], unique=False)

    op.create_table(
        "training_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("parent", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("steps_total", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("verdict_reason", sa.Text(), nullable=False),
        sa.Column("candidate", sa.String(length=100), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["candidate"], ["model_versions.version"], name=op.f("fk_training_runs_candidate_model_versions")
        ),
        sa.ForeignKeyConstraint(
            ["parent"], ["model_versions.version"], name=op.f("fk_training_runs_parent_model_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_runs")),
    )
    with op.batch_alter_table("training_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_training_runs_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_training_runs_state"), ["state"], unique=False)

    op.create_table(
        "training_photos",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("upload_id", sa.String(length=32), nullable=True),
        sa.Column("photo_id", sa.String(length=32), nullable=True),
        sa.Column("approved_by", sa.String(length=32), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["approved_by"], ["users.id"], name=op.f("fk_training_photos_approved_by_users")),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["material_uploads.id"],
            name=op.f("fk_training_photos_upload_id_material_uploads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_photos")),
        sa.UniqueConstraint("photo_id", name=op.f("uq_training_photos_photo_id")),
    )
    with op.batch_alter_table("training_photos", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_training_photos_fingerprint"), ["fingerprint"], unique=False)
        batch_op.create_index(batch_op.f("ix_training_photos_sha256"), ["sha256"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_training_photos_split_withdrawn_at"), ["split", "withdrawn_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_training_photos_upload_id"), ["upload_id"], unique=False)

    op.create_table(
        "training_points",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["training_runs.id"], name=op.f("fk_training_points_run_id_training_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_training_points")),
    )
    op.create_table(
        "training_samples",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["training_runs.id"], name=op.f("fk_training_samples_run_id_training_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "step", "number", "kind", name=op.f("pk_training_samples")),
    )
    _point_at_the_active_version()
    # A copy of the table, Alembic's usual way on SQLite, is not to be had while jobs refer to it.
    with op.batch_alter_table("model_versions", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=16), server_default="imported", nullable=False))
        batch_op.add_column(sa.Column("parent", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("key", sa.String(length=200), server_default="", nullable=False))
        batch_op.add_column(sa.Column("metrics", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("card", sa.Text(), server_default="", nullable=False))
        batch_op.drop_column("active")


def _point_at_the_active_version() -> None:
    connection = op.get_bind()
    now = datetime.now(UTC)
    versions = sa.table("model_versions", sa.column("version"), sa.column("active"))
    aliases = sa.table(
        "model_aliases", sa.column("name"), sa.column("version"), sa.column("updated_at", sa.DateTime(True))
    )
    promotions = sa.table(
        "promotions",
        *(sa.column(name) for name in ("id", "version", "kind", "actor", "reason")),
        sa.column("created_at", sa.DateTime(True)),
    )
    active = connection.scalar(sa.select(versions.c.version).where(versions.c.active == sa.true()))
    if active is not None:
        connection.execute(aliases.insert().values(name="active", version=active, updated_at=now))
        row = {"id": uuid.uuid4().hex, "version": active, "kind": "install", "actor": "gray2hue", "reason": ""}
        connection.execute(promotions.insert().values(**row, created_at=now))


def downgrade() -> None:
    with op.batch_alter_table("model_versions", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("active", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE model_versions SET active = (version IN (SELECT version FROM model_aliases WHERE name = 'active'))"
    )
    with op.batch_alter_table("model_versions", recreate="never") as batch_op:
        for name in ("card", "metrics", "key", "parent", "source"):
            batch_op.drop_column(name)

    op.drop_table("training_samples")
    op.drop_table("training_points")
    with op.batch_alter_table("training_photos", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_training_photos_upload_id"))
        batch_op.drop_index(batch_op.f("ix_training_photos_split_withdrawn_at"))
        batch_op.drop_index(batch_op.f("ix_training_photos_sha256"))
        batch_op.drop_index(batch_op.f("ix_training_photos_fingerprint"))

    op.drop_table("training_photos")
    with op.batch_alter_table("training_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_training_runs_state"))
        batch_op.drop_index(batch_op.f("ix_training_runs_created_at"))

    op.drop_table("training_runs")
    with op.batch_alter_table("promotions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promotions_created_at"))

    op.drop_table("promotions")
    op.drop_table("model_aliases")
    with op.batch_alter_table("material_uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_material_uploads_state"))

    op.drop_table("material_uploads")
    op.drop_table("training_schedules")
