"""The tables, as the newest migration leaves them; they know nothing of who reads them.

Times are Unix seconds: whole ones where the API shows them, fractions where the queue compares them.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where the type is plain INTEGER

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("state", String(20), nullable=False),  # active | suspended
    Column("created_at", Integer, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("cohort", String(80), nullable=False, index=True),  # revoked together; "" for none
    Column("secret_hash", String(64), nullable=False),  # SHA-256 of the whole key, which is shown once and kept nowhere
    Column("scopes", String(200), nullable=False),  # words with blanks between: generate publish admin
    Column("state", String(20), nullable=False),  # active | suspended | retired (its jobs go on) | revoked (they do not)
    Column("created_at", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("served", BigInteger, nullable=False),  # the number of the last job that was begun for it: fairness
)

videos = Table(
    "videos",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("account_id", String(40), nullable=False),
    Column("key_id", String(40), nullable=False, index=True),
    Column("verb", String(20), nullable=False),
    Column("model", String(80), nullable=False),
    Column("prompt", Text),
    Column("seconds", Integer, nullable=False),
    Column("size", String(20), nullable=False),
    Column("request", JSON, nullable=False),  # everything else that was asked for
    Column("remixed_from", String(40)),
    # what the API shows of the job
    Column("status", String(20), nullable=False),  # queued | in_progress | completed | failed
    Column("progress", Integer, nullable=False),
    Column("stage", String(40), nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("started_at", Integer),
    Column("completed_at", Integer),
    Column("expires_at", Integer),
    Column("error_code", String(80)),
    Column("error_message", Text),
    Column("folder", String(200)),  # of the finished files, below the data folder
    Column("facts", JSON, nullable=False),  # of the finished files: bytes, hash
    # how the queue keeps it
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),  # grows with every lease: an older holder's word no longer counts
    Column("worker", String(80)),
    Column("lease_until", Float),
    Column("deadline", Float),
    Column("deleted_at", Integer),
    # review and publication, beside the job's own state
    Column("review", String(20), nullable=False),  # none | waiting | approved | refused
    Column("published_at", Integer),
    Column("hidden_at", Integer),
    Column("featured_at", Integer),  # chosen by an operator
    Index("videos_queue", "status", "priority", "seq"),
    Index("videos_of_account", "account_id", "deleted_at", "seq"),
    Index("videos_published", "published_at"),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", String(40), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("video_id", String(40), nullable=False),
    Column("created_at", Integer, nullable=False),
)

characters = Table(
    "characters",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("file", String(200), nullable=False),
    Column("created_at", Integer, nullable=False),
)

favourites = Table(
    "favourites",
    metadata,
    Column("account_id", String(40), primary_key=True),
    Column("video_id", String(40), primary_key=True),
    Column("at", Float, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("account_id", String(40), nullable=False),
    Column("video_id", String(40), nullable=False),
    Column("entry", String(10), nullable=False),  # reserve | settle | refund
    Column("seconds", Float, nullable=False),  # what it adds to the month's use: a refund is negative
    Column("month", String(7), nullable=False),  # 2026-11, UTC
    Column("at", Float, nullable=False),
    Index("ledger_month", "account_id", "month"),
    UniqueConstraint("video_id", "entry"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject", String(80), nullable=False, index=True),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("video_id", String(40)),
    Column("device", String(120), nullable=False, server_default=""),  # what it draws on
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("secret", Text, nullable=False),  # sealed with a key that is not in the database
    Column("old_secret", Text),
    Column("old_until", Integer),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("event_id", String(40), nullable=False),
    Column("endpoint_id", String(40), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

reports = Table(
    "reports",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("video_id", String(40), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,
)

blocked_files = Table(
    "blocked_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("video_id", String(40), nullable=False),
    Column("at", Float, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer),
)

places = Table(  # where a file or an endpoint stood in its list before it was deleted
    "places",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("gone_at", Integer, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), nullable=False, index=True),
    Column("key_id", String(40), nullable=False),
    Column("input_file", String(40), nullable=False),
    Column("notes", JSON, nullable=False),  # the caller's own words
    Column("status", String(20), nullable=False, index=True),  # in_progress | completed | failed | cancelled | expired
    Column("created_at", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("errors", JSON, nullable=False),  # of the file as a whole
    Column("keep_seconds", Integer),  # how long its files are kept
    Column("output_file", String(40)),
    Column("error_file", String(40)),
)

batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("custom_id", String(255), nullable=False),
    Column("body", JSON, nullable=False),
    Column("video_id", String(40)),
    Column("refusal", JSON(none_as_null=True)),  # status and body of the answer that it would have got
)
