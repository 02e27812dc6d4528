"""0007 quarters of an hour: what happened in each, per queue and per agent, and how far the events were counted"""

import sqlalchemy as sa
from alembic import op

import core.db.types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, key in (("quarter_queue", "queue"), ("quarter_agent", "extension")):
        op.create_table(
            name,
            sa.Column("since", core.db.types.Moment(timezone=True), nullable=False),
            sa.Column(key, sa.String(length=64), nullable=False),
            sa.Column("figures", sa.JSON(), nullable=False),
            sa.PrimaryKeyConstraint("since", key, name=op.f(f"pk_{name}")),
        )
    op.create_table(
        "quarter_mark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("until", core.db.types.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarter_mark")),
    )
    op.create_index("ix_event_kind_at", "event", ["kind", "at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_event_kind_at", table_name="event")
    op.drop_table("quarter_mark")
    op.drop_table("quarter_agent")
    op.drop_table("quarter_queue")
