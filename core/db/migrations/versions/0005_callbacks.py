"""0005 callbacks: who is to be called back, as rows that outlive whoever promised it"""

import sqlalchemy as sa
from alembic import op

import core.db.types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "callback",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("queue", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("item", sa.JSON(), nullable=True),
        sa.Column("enqueued_at", core.db.types.Moment(timezone=True), nullable=True),
        sa.Column("requested_at", core.db.types.Moment(timezone=True), nullable=True),
        sa.Column("asked_by", sa.String(length=96), nullable=True),
        sa.Column("first_id", sa.String(length=96), nullable=True),
        sa.Column("call_id", sa.String(length=96), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=True),
        sa.Column("next_at", core.db.types.Moment(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("ended_at", core.db.types.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback")),
    )
    op.create_index("ix_callback_state", "callback", ["state"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_callback_state", table_name="callback")
    op.drop_table("callback")
