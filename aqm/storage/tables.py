"""The tables. Times are seconds since the epoch on the database's clock.

Their partial indexes are in `indexes`, because a database's own words load its whole dialect.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "attempts",
    "blobs",
    "branches",
    "chunks",
    "counters",
    "events",
    "metadata",
    "projects",
    "stages",
    "tasks",
    "turns",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

HASH = String(64)
TASK_ID = String(16).with_variant(String(16, collation="C"), "postgresql")  # prefixes are ranges of bytes


# SQLite cannot add a key of two columns to a table that exists: tasks.sources, stages.fields,
# .inputs and .unanswered and branches.payload name blobs without one.
def _blob(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id", column], ["blobs.project_id", "blobs.hash"])


projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

# Texts, stored once each: outputs, payloads, frozen pipelines. The hash is SHA-256 of the plain text.
blobs = Table(
    "blobs",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    Column("hash", HASH, primary_key=True),
    Column("size", Integer, nullable=False),  # bytes of the plain text
    Column("encoding", String(8), nullable=False),  # plain or zlib
    Column("data", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", TASK_ID, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("run", Integer, nullable=False, server_default="1"),  # raised by each restart
    Column("status", String(24), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("description", String(200), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("parent", ForeignKey("tasks.id")),
    Column("input", HASH, nullable=False),
    Column("frozen", HASH, nullable=False),  # the resolved pipeline
    Column("policy", HASH, nullable=False),  # the limits and defaults it was submitted under
    Column("sources", HASH),  # the files and values it was resolved from, so that it can be resolved again
    Column("owner", Text),  # the embedded process that alone rings, claims and sweeps it
    Column("stages", Integer, nullable=False, server_default="0"),  # opened, over all runs
    Column("run_stages", Integer, nullable=False, server_default="0"),  # opened in this run
    Column("live_branches", Integer, nullable=False, server_default="0"),  # stages that are open
    Column("waiting_gates", Integer, nullable=False, server_default="0"),  # of these: wait for a verdict
    Column("waiting_inputs", Integer, nullable=False, server_default="0"),  # wait for a person's answer
    Column("waiting_hosts", Integer, nullable=False, server_default="0"),  # wait for a host that can
    Column("branches", Integer, nullable=False, server_default="0"),  # that fan-outs opened, over all runs
    Column("events", Integer, nullable=False, server_default="0"),
    Column("error_class", String(32)),
    Column("error_message", Text),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cached_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("reasoning_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_usd", Double, nullable=False, server_default="0"),
    Column("usage_known", Integer, nullable=False, server_default="0"),  # attempts that told their tokens
    Column("cost_known", Integer, nullable=False, server_default="0"),  # attempts that told their cost
    Column("due_at", Double),  # when somebody must look at it again
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    _blob("input"),
    _blob("frozen"),
    _blob("policy"),
    CheckConstraint("priority between 0 and 3", name="priority"),
    Index("ix_tasks_recent", "project_id", "created_at", "id"),
    Index("ix_tasks_status", "project_id", "status", "created_at", "id"),
)

stages = Table(
    "stages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", ForeignKey("tasks.id"), nullable=False),
    Column("project_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("agent", Text, nullable=False),
    Column("branch", Text, nullable=False, server_default=""),  # "" is the trunk
    Column("opener", ForeignKey("stages.id")),  # the stage before it in its branch
    Column("visit", Integer, nullable=False),  # how often the task has come to this agent in this branch
    Column("status", String(16), nullable=False),
    Column("input", HASH, nullable=False),
    Column("output", HASH),
    Column("fields", HASH),  # the declared output, checked, as JSON
    Column("inputs", Text),  # what a join collected, as JSON: [agent, hash] each
    Column("unanswered", HASH),  # the input before a person's answer was put to it
    Column("waits", String(8)),  # what it waits for: gate, input or host
    Column("question", Text),  # what the person is asked
    Column("round", Integer, nullable=False, server_default="0"),  # a session's, from 1
    Column("round_due", Integer),  # the round that has ended and is to be decided on
    Column("round_rung_at", Double),  # when the bell for that was last rung
    Column("round_parent", String(36)),  # the message that ended it
    Column("votes", Text),  # a session's standing votes, as JSON: participant to true or false
    Column("consensus", Integer),  # a session's end: 1 with consensus, 0 without
    Column("headline", String(200), nullable=False, server_default=""),
    Column("approved", Integer),  # the last verdict: 1, 0 or null
    Column("reason", Text),
    Column("error_class", String(32)),
    Column("error_message", Text),
    Column("finished_at", Double),
    UniqueConstraint("task_id", "number"),
    _blob("input"),
    _blob("output"),
    Index("ix_stages_agent", "task_id", "agent", "number"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", ForeignKey("tasks.id"), nullable=False),
    Column("stage_id", ForeignKey("stages.id"), nullable=False),
    Column("number", Integer, nullable=False),  # within the stage, from 1
    Column("kind", String(16), nullable=False),
    Column("repairs", Integer, nullable=False, server_default="0"),  # it is the n-th repair of a turn before
    Column("round", Integer, nullable=False, server_default="0"),  # of a session, for its speakers
    Column("vote", Integer),  # what a speaker's answer said: 1 agrees, 0 disagrees
    Column("agent", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("model", Text),
    Column("status", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", String(32)),  # the fence: the running attempt's id
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),  # retries spent
    Column("losses", Integer, nullable=False, server_default="0"),  # workers lost
    Column("holds", Integer, nullable=False, server_default="0"),  # waits for the vendor or a host
    Column("strategy", String(16)),  # the fallback context strategy, once a retry asked for it
    Column("note", Text),  # what a repair must tell; for work, as JSON, what a person was asked and answered
    Column("beat", Integer, nullable=False, server_default="0"),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False, server_default="0"),
    Column("rung_at", Double),  # when its bell was last rung; null: it is still to be rung
    Column("rings", Integer, nullable=False, server_default="0"),
    Column("parent", String(36)),  # the message that opened it
    Column("created_at", Double, nullable=False),
    UniqueConstraint("stage_id", "number"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("turn_id", ForeignKey("turns.id"), nullable=False),
    Column("task_id", ForeignKey("tasks.id"), nullable=False),
    Column("project_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("failure", String(32)),
    Column("message", Text),
    Column("exit_code", Integer),
    Column("answer", HASH),  # the answer, or what a failed attempt had said
    Column("prompt_hash", HASH),
    Column("prompt_parts", Text),  # JSON: the ids the prompt was made of
    Column("conversation", Text),
    Column("denied", Text),  # JSON list of tools
    Column("input_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("cost_usd", Double),
    UniqueConstraint("turn_id", "number"),
    _blob("answer"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("stage", Integer),
    Column("agent", Text, nullable=False, server_default=""),
    Column("data", Text, nullable=False, server_default="{}"),
    sqlite_with_rowid=False,
)

# What decide() counts, so that it never reads the history.
counters = Table(
    "counters",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("branch", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("visits", Integer, nullable=False, server_default="0"),
    Column("rejections", Integer, nullable=False, server_default="0"),  # since the last approval
    Column("judged", Integer, nullable=False, server_default="0"),  # the stage of the last verdict
    sqlite_with_rowid=False,
)

# The branches that fan-outs opened, and those in which joins went on. The trunk, "", has no row.
branches = Table(
    "branches",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("path", Text, primary_key=True),  # "/3.2": the second branch of stage 3; "/3.2/7.1" came from it
    Column("fanout", Integer, nullable=False),  # the number of the stage that opened it
    Column("target", Text),  # the agent that was fired; null where a join went on
    Column("continues", Text),  # the join that went on in it
    Column("agent", Text, nullable=False),  # where it is
    Column("status", String(12), nullable=False),
    Column("joins", Text),  # the join at which it is parked, or was
    Column("collects", Integer),  # the fan-out that this join collects for
    Column("sender", Text),  # the agent that sent the payload there
    Column("sent", Integer),  # the number of its stage
    Column("payload", HASH),
    Column("merged_into", Text),  # the branch in which its join went on
    Column("closed_by", Integer),  # the stage of the join that went on with or without it, or that failed
    sqlite_with_rowid=False,
)

chunks = Table(
    "chunks",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # C-001 is 1; dense, never used twice
    Column("text", Text, nullable=False),
    Column("status", String(16), nullable=False),  # open, done, removed or dropped
    Column("stage", Integer),  # the stage that added it; null: a person
    Column("done_stage", Integer),  # the stage that marked it done; 0: a person
    Column("removed_stage", Integer),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)
