"""The whole language: fan-outs, joins, people, sessions, chunks, restart."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "branches",
        sa.Column(
            "task_id",
            sa.String(length=16).with_variant(sa.String(length=16, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("fanout", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("continues", sa.Text()),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("joins", sa.Text()),
        sa.Column("collects", sa.Integer()),
        sa.Column("sender", sa.Text()),
        sa.Column("sent", sa.Integer()),
        sa.Column("payload", sa.String(length=64)),
        sa.Column("merged_into", sa.Text()),
        sa.Column("closed_by", sa.Integer()),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_branches_task_id")),
        sa.PrimaryKeyConstraint("task_id", "path", name=op.f("pk_branches")),
        sqlite_with_rowid=False,
    )
    for name in ("waiting_gates", "waiting_inputs", "waiting_hosts", "branches"):
        op.add_column("tasks", _count(name))
    op.add_column("tasks", sa.Column("sources", sa.String(length=64)))
    for column in (
        sa.Column("fields", sa.String(length=64)),
        sa.Column("inputs", sa.Text()),
        sa.Column("unanswered", sa.String(length=64)),
        sa.Column("waits", sa.String(length=8)),
        sa.Column("question", sa.Text()),
        _count("round"),
        sa.Column("round_due", sa.Integer()),
        sa.Column("round_rung_at", sa.Double()),
        sa.Column("round_parent", sa.String(length=36)),
        sa.Column("votes", sa.Text()),
        sa.Column("consensus", sa.Integer()),
    ):
        op.add_column("stages", column)
    op.add_column("turns", _count("round"))
    op.add_column("turns", sa.Column("vote", sa.Integer()))
    op.add_column("counters", _count("judged"))
    op.add_column("chunks", sa.Column("done_stage", sa.Integer()))
    op.add_column("chunks", sa.Column("removed_stage", sa.Integer()))
    for name, condition, columns in (
        ("ix_stages_due", "round_due is not null", ["round_due"]),
        ("ix_stages_waits", "waits is not null", ["task_id", "number"]),
    ):
        where = sa.text(condition)
        op.create_index(name, "stages", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("ix_stages_waits", "stages")
    op.drop_index("ix_stages_due", "stages")
    for name in ("removed_stage", "done_stage"):
        op.drop_column("chunks", name)
    op.drop_column("counters", "judged")
    for name in ("vote", "round"):
        op.drop_column("turns", name)
    for name in ("consensus", "votes", "round_parent", "round_rung_at", "round_due", "round"):
        op.drop_column("stages", name)
    for name in ("question", "waits", "unanswered", "inputs", "fields"):
        op.drop_column("stages", name)
    for name in ("sources", "branches", "waiting_hosts", "waiting_inputs", "waiting_gates"):
        op.drop_column("tasks", name)
    op.drop_table("branches")
