"""0006 teams of agents: who belongs where, beside what they can do; and how often each agent's row was changed"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent_skill", sa.Column("teams", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("agent_skill", sa.Column("revision", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("agent_skill") as table:
        table.drop_column("revision")
        table.drop_column("teams")
