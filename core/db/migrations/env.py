"""Alembic's entry: runs on the connection it is given."""

from alembic import context

from core.db.migrate import check_references, tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables(),
    render_as_batch=True,
    transaction_per_migration=False,  # an upgrade is whole or not at all
    transactional_ddl=True,
    on_version_apply=check_references,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
