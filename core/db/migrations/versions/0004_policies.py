"""0004 policies: versions of the rules of routing, and the surge's switch"""

import sqlalchemy as sa
from alembic import op

import core.db.types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routing_policy",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=96), nullable=False),
        sa.Column("at", core.db.types.Moment(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("rollback_of", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_routing_policy")),
    )
    op.create_table(
        "routing_surge",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", core.db.types.Moment(timezone=True), nullable=True),
        sa.Column("author", sa.String(length=96), nullable=False),
        sa.Column("at", core.db.types.Moment(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_routing_surge")),
    )


def downgrade() -> None:
    op.drop_table("routing_surge")
    op.drop_table("routing_policy")
