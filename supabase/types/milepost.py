│
▲  Connected to 127.0.0.1 without TLS: the TLS connection failed or was rejected. Set PGSSLMODE=require (or verify-full) to refuse unencrypted connections.
from __future__ import annotations

import datetime
import uuid
from typing import (
    Annotated,
    Any,
    List,
    Literal,
    Optional,
    TypedDict,
)
from typing_extensions import NotRequired, TypeAlias

from pydantic import BaseModel, Field, JsonValue



class MilepostAudit(BaseModel):
    action: str = Field(alias="action")
    actor: str = Field(alias="actor")
    at: datetime.datetime = Field(alias="at")
    audit_id: int = Field(alias="audit_id")
    details: JsonValue = Field(alias="details")
    job_id: Optional[uuid.UUID] = Field(alias="job_id")
    reason: Optional[str] = Field(alias="reason")
    subject: Optional[str] = Field(alias="subject")
    tenant_id: uuid.UUID = Field(alias="tenant_id")

class MilepostAuditInsert(TypedDict):
    action: Annotated[str, Field(alias="action")]
    actor: Annotated[str, Field(alias="actor")]
    at: NotRequired[Annotated[datetime.datetime, Field(alias="at")]]
    audit_id: NotRequired[Annotated[int, Field(alias="audit_id")]]
    details: NotRequired[Annotated[JsonValue, Field(alias="details")]]
    job_id: NotRequired[Annotated[Optional[uuid.UUID], Field(alias="job_id")]]
    reason: NotRequired[Annotated[Optional[str], Field(alias="reason")]]
    subject: NotRequired[Annotated[Optional[str], Field(alias="subject")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]

class MilepostAuditUpdate(TypedDict):
    action: NotRequired[Annotated[str, Field(alias="action")]]
    actor: NotRequired[Annotated[str, Field(alias="actor")]]
    at: NotRequired[Annotated[datetime.datetime, Field(alias="at")]]
    audit_id: NotRequired[Annotated[int, Field(alias="audit_id")]]
    details: NotRequired[Annotated[JsonValue, Field(alias="details")]]
    job_id: NotRequired[Annotated[Optional[uuid.UUID], Field(alias="job_id")]]
    reason: NotRequired[Annotated[Optional[str], Field(alias="reason")]]
    subject: NotRequired[Annotated[Optional[str], Field(alias="subject")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]

class MilepostCheckpoints(BaseModel):
    at: datetime.datetime = Field(alias="at")
    attempt: int = Field(alias="attempt")
    batch_bytes: Optional[int] = Field(alias="batch_bytes")
    batch_duration_ms: Optional[float] = Field(alias="batch_duration_ms")
    batch_items: Optional[int] = Field(alias="batch_items")
    bytes_processed: Optional[int] = Field(alias="bytes_processed")
    checkpoint_id: int = Field(alias="checkpoint_id")
    has_cursor: bool = Field(alias="has_cursor")
    items_canceled: Optional[int] = Field(alias="items_canceled")
    items_completed: Optional[int] = Field(alias="items_completed")
    items_failed: Optional[int] = Field(alias="items_failed")
    items_skipped: Optional[int] = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    job_done: Optional[int] = Field(alias="job_done")
    job_id: uuid.UUID = Field(alias="job_id")
    job_skipped: Optional[int] = Field(alias="job_skipped")
    job_total: Optional[int] = Field(alias="job_total")
    message: Optional[str] = Field(alias="message")
    received_at: datetime.datetime = Field(alias="received_at")
    seq: int = Field(alias="seq")
    stages: Optional[JsonValue] = Field(alias="stages")
    state: Optional[str] = Field(alias="state")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    traceparent: Optional[str] = Field(alias="traceparent")
    worker: str = Field(alias="worker")

class MilepostCheckpointsInsert(TypedDict):
    at: Annotated[datetime.datetime, Field(alias="at")]
    attempt: Annotated[int, Field(alias="attempt")]
    batch_bytes: NotRequired[Annotated[Optional[int], Field(alias="batch_bytes")]]
    batch_duration_ms: NotRequired[Annotated[Optional[float], Field(alias="batch_duration_ms")]]
    batch_items: NotRequired[Annotated[Optional[int], Field(alias="batch_items")]]
    bytes_processed: NotRequired[Annotated[Optional[int], Field(alias="bytes_processed")]]
    checkpoint_id: NotRequired[Annotated[int, Field(alias="checkpoint_id")]]
    has_cursor: NotRequired[Annotated[bool, Field(alias="has_cursor")]]
    items_canceled: NotRequired[Annotated[Optional[int], Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[Optional[int], Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[Optional[int], Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[Optional[int], Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    job_done: NotRequired[Annotated[Optional[int], Field(alias="job_done")]]
    job_id: Annotated[uuid.UUID, Field(alias="job_id")]
    job_skipped: NotRequired[Annotated[Optional[int], Field(alias="job_skipped")]]
    job_total: NotRequired[Annotated[Optional[int], Field(alias="job_total")]]
    message: NotRequired[Annotated[Optional[str], Field(alias="message")]]
    received_at: Annotated[datetime.datetime, Field(alias="received_at")]
    seq: Annotated[int, Field(alias="seq")]
    stages: NotRequired[Annotated[Optional[JsonValue], Field(alias="stages")]]
    state: NotRequired[Annotated[Optional[str], Field(alias="state")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    traceparent: NotRequired[Annotated[Optional[str], Field(alias="traceparent")]]
    worker: Annotated[str, Field(alias="worker")]

class MilepostCheckpointsUpdate(TypedDict):
    at: NotRequired[Annotated[datetime.datetime, Field(alias="at")]]
    attempt: NotRequired[Annotated[int, Field(alias="attempt")]]
    batch_bytes: NotRequired[Annotated[Optional[int], Field(alias="batch_bytes")]]
    batch_duration_ms: NotRequired[Annotated[Optional[float], Field(alias="batch_duration_ms")]]
    batch_items: NotRequired[Annotated[Optional[int], Field(alias="batch_items")]]
    bytes_processed: NotRequired[Annotated[Optional[int], Field(alias="bytes_processed")]]
    checkpoint_id: NotRequired[Annotated[int, Field(alias="checkpoint_id")]]
    has_cursor: NotRequired[Annotated[bool, Field(alias="has_cursor")]]
    items_canceled: NotRequired[Annotated[Optional[int], Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[Optional[int], Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[Optional[int], Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[Optional[int], Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    job_done: NotRequired[Annotated[Optional[int], Field(alias="job_done")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    job_skipped: NotRequired[Annotated[Optional[int], Field(alias="job_skipped")]]
    job_total: NotRequired[Annotated[Optional[int], Field(alias="job_total")]]
    message: NotRequired[Annotated[Optional[str], Field(alias="message")]]
    received_at: NotRequired[Annotated[datetime.datetime, Field(alias="received_at")]]
    seq: NotRequired[Annotated[int, Field(alias="seq")]]
    stages: NotRequired[Annotated[Optional[JsonValue], Field(alias="stages")]]
    state: NotRequired[Annotated[Optional[str], Field(alias="state")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    traceparent: NotRequired[Annotated[Optional[str], Field(alias="traceparent")]]
    worker: NotRequired[Annotated[str, Field(alias="worker")]]

class MilepostEvents(BaseModel):
    correlation_id: uuid.UUID = Field(alias="correlation_id")
    data: JsonValue = Field(alias="data")
    event_id: int = Field(alias="event_id")
    job_id: uuid.UUID = Field(alias="job_id")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    ts: datetime.datetime = Field(alias="ts")
    type: str = Field(alias="type")
    version: int = Field(alias="version")

class MilepostEventsInsert(TypedDict):
    correlation_id: Annotated[uuid.UUID, Field(alias="correlation_id")]
    data: NotRequired[Annotated[JsonValue, Field(alias="data")]]
    event_id: NotRequired[Annotated[int, Field(alias="event_id")]]
    job_id: Annotated[uuid.UUID, Field(alias="job_id")]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    ts: Annotated[datetime.datetime, Field(alias="ts")]
    type: Annotated[str, Field(alias="type")]
    version: Annotated[int, Field(alias="version")]

class MilepostEventsUpdate(TypedDict):
    correlation_id: NotRequired[Annotated[uuid.UUID, Field(alias="correlation_id")]]
    data: NotRequired[Annotated[JsonValue, Field(alias="data")]]
    event_id: NotRequired[Annotated[int, Field(alias="event_id")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    ts: NotRequired[Annotated[datetime.datetime, Field(alias="ts")]]
    type: NotRequired[Annotated[str, Field(alias="type")]]
    version: NotRequired[Annotated[int, Field(alias="version")]]

class MilepostItems(BaseModel):
    attempt: int = Field(alias="attempt")
    duration_ms: Optional[float] = Field(alias="duration_ms")
    error: Optional[str] = Field(alias="error")
    item_id: int = Field(alias="item_id")
    job_id: uuid.UUID = Field(alias="job_id")
    key: str = Field(alias="key")
    others: Optional[JsonValue] = Field(alias="others")
    payload: Optional[JsonValue] = Field(alias="payload")
    percent: Optional[float] = Field(alias="percent")
    received_at: datetime.datetime = Field(alias="received_at")
    seq: int = Field(alias="seq")
    stage: str = Field(alias="stage")
    state: str = Field(alias="state")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    worker: str = Field(alias="worker")

class MilepostItemsInsert(TypedDict):
    attempt: Annotated[int, Field(alias="attempt")]
    duration_ms: NotRequired[Annotated[Optional[float], Field(alias="duration_ms")]]
    error: NotRequired[Annotated[Optional[str], Field(alias="error")]]
    item_id: NotRequired[Annotated[int, Field(alias="item_id")]]
    job_id: Annotated[uuid.UUID, Field(alias="job_id")]
    key: Annotated[str, Field(alias="key")]
    others: NotRequired[Annotated[Optional[JsonValue], Field(alias="others")]]
    payload: NotRequired[Annotated[Optional[JsonValue], Field(alias="payload")]]
    percent: NotRequired[Annotated[Optional[float], Field(alias="percent")]]
    received_at: Annotated[datetime.datetime, Field(alias="received_at")]
    seq: Annotated[int, Field(alias="seq")]
    stage: NotRequired[Annotated[str, Field(alias="stage")]]
    state: Annotated[str, Field(alias="state")]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    worker: Annotated[str, Field(alias="worker")]

class MilepostItemsUpdate(TypedDict):
    attempt: NotRequired[Annotated[int, Field(alias="attempt")]]
    duration_ms: NotRequired[Annotated[Optional[float], Field(alias="duration_ms")]]
    error: NotRequired[Annotated[Optional[str], Field(alias="error")]]
    item_id: NotRequired[Annotated[int, Field(alias="item_id")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    key: NotRequired[Annotated[str, Field(alias="key")]]
    others: NotRequired[Annotated[Optional[JsonValue], Field(alias="others")]]
    payload: NotRequired[Annotated[Optional[JsonValue], Field(alias="payload")]]
    percent: NotRequired[Annotated[Optional[float], Field(alias="percent")]]
    received_at: NotRequired[Annotated[datetime.datetime, Field(alias="received_at")]]
    seq: NotRequired[Annotated[int, Field(alias="seq")]]
    stage: NotRequired[Annotated[str, Field(alias="stage")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    worker: NotRequired[Annotated[str, Field(alias="worker")]]

class MilepostJobs(BaseModel):
    attempt: int = Field(alias="attempt")
    attempt_started_at: Optional[datetime.datetime] = Field(alias="attempt_started_at")
    bytes_processed: int = Field(alias="bytes_processed")
    counts_reported: bool = Field(alias="counts_reported")
    created_at: datetime.datetime = Field(alias="created_at")
    ended_metadata: Optional[JsonValue] = Field(alias="ended_metadata")
    error: Optional[str] = Field(alias="error")
    finished_at: Optional[datetime.datetime] = Field(alias="finished_at")
    has_stages: bool = Field(alias="has_stages")
    items_canceled: int = Field(alias="items_canceled")
    items_completed: int = Field(alias="items_completed")
    items_failed: int = Field(alias="items_failed")
    items_skipped: int = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    items_total_given: Optional[int] = Field(alias="items_total_given")
    job_id: uuid.UUID = Field(alias="job_id")
    key: str = Field(alias="key")
    kind: str = Field(alias="kind")
    last_checkpoint_at: Optional[datetime.datetime] = Field(alias="last_checkpoint_at")
    last_progress_at: Optional[datetime.datetime] = Field(alias="last_progress_at")
    max_attempts: int = Field(alias="max_attempts")
    message: Optional[str] = Field(alias="message")
    metadata: JsonValue = Field(alias="metadata")
    name: str = Field(alias="name")
    owner_id: Optional[uuid.UUID] = Field(alias="owner_id")
    priority: int = Field(alias="priority")
    processing_deadline_ms: Optional[int] = Field(alias="processing_deadline_ms")
    rate_limited_until: Optional[datetime.datetime] = Field(alias="rate_limited_until")
    retry_backoff_ms: int = Field(alias="retry_backoff_ms")
    run_after: Optional[datetime.datetime] = Field(alias="run_after")
    search_text: str = Field(alias="search_text")
    stages_percent: Optional[float] = Field(alias="stages_percent")
    stages_total: Optional[int] = Field(alias="stages_total")
    stall_after_ms: Optional[int] = Field(alias="stall_after_ms")
    started_at: Optional[datetime.datetime] = Field(alias="started_at")
    state: str = Field(alias="state")
    state_actor: Optional[str] = Field(alias="state_actor")
    state_changed_at: datetime.datetime = Field(alias="state_changed_at")
    state_reason: Optional[str] = Field(alias="state_reason")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    unit: str = Field(alias="unit")
    version: int = Field(alias="version")
    workers_expected: Optional[int] = Field(alias="workers_expected")

class MilepostJobsInsert(TypedDict):
    attempt: NotRequired[Annotated[int, Field(alias="attempt")]]
    attempt_started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="attempt_started_at")]]
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    counts_reported: NotRequired[Annotated[bool, Field(alias="counts_reported")]]
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    ended_metadata: NotRequired[Annotated[Optional[JsonValue], Field(alias="ended_metadata")]]
    error: NotRequired[Annotated[Optional[str], Field(alias="error")]]
    finished_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="finished_at")]]
    has_stages: NotRequired[Annotated[bool, Field(alias="has_stages")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    items_total_given: NotRequired[Annotated[Optional[int], Field(alias="items_total_given")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    key: Annotated[str, Field(alias="key")]
    kind: NotRequired[Annotated[str, Field(alias="kind")]]
    last_checkpoint_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_checkpoint_at")]]
    last_progress_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_progress_at")]]
    max_attempts: NotRequired[Annotated[int, Field(alias="max_attempts")]]
    message: NotRequired[Annotated[Optional[str], Field(alias="message")]]
    metadata: NotRequired[Annotated[JsonValue, Field(alias="metadata")]]
    name: Annotated[str, Field(alias="name")]
    owner_id: NotRequired[Annotated[Optional[uuid.UUID], Field(alias="owner_id")]]
    priority: NotRequired[Annotated[int, Field(alias="priority")]]
    processing_deadline_ms: NotRequired[Annotated[Optional[int], Field(alias="processing_deadline_ms")]]
    rate_limited_until: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="rate_limited_until")]]
    retry_backoff_ms: NotRequired[Annotated[int, Field(alias="retry_backoff_ms")]]
    run_after: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="run_after")]]
    search_text: NotRequired[Annotated[str, Field(alias="search_text")]]
    stages_percent: NotRequired[Annotated[Optional[float], Field(alias="stages_percent")]]
    stages_total: NotRequired[Annotated[Optional[int], Field(alias="stages_total")]]
    stall_after_ms: NotRequired[Annotated[Optional[int], Field(alias="stall_after_ms")]]
    started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="started_at")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    state_actor: NotRequired[Annotated[Optional[str], Field(alias="state_actor")]]
    state_changed_at: NotRequired[Annotated[datetime.datetime, Field(alias="state_changed_at")]]
    state_reason: NotRequired[Annotated[Optional[str], Field(alias="state_reason")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    unit: NotRequired[Annotated[str, Field(alias="unit")]]
    version: NotRequired[Annotated[int, Field(alias="version")]]
    workers_expected: NotRequired[Annotated[Optional[int], Field(alias="workers_expected")]]

class MilepostJobsUpdate(TypedDict):
    attempt: NotRequired[Annotated[int, Field(alias="attempt")]]
    attempt_started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="attempt_started_at")]]
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    counts_reported: NotRequired[Annotated[bool, Field(alias="counts_reported")]]
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    ended_metadata: NotRequired[Annotated[Optional[JsonValue], Field(alias="ended_metadata")]]
    error: NotRequired[Annotated[Optional[str], Field(alias="error")]]
    finished_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="finished_at")]]
    has_stages: NotRequired[Annotated[bool, Field(alias="has_stages")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    items_total_given: NotRequired[Annotated[Optional[int], Field(alias="items_total_given")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    key: NotRequired[Annotated[str, Field(alias="key")]]
    kind: NotRequired[Annotated[str, Field(alias="kind")]]
    last_checkpoint_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_checkpoint_at")]]
    last_progress_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_progress_at")]]
    max_attempts: NotRequired[Annotated[int, Field(alias="max_attempts")]]
    message: NotRequired[Annotated[Optional[str], Field(alias="message")]]
    metadata: NotRequired[Annotated[JsonValue, Field(alias="metadata")]]
    name: NotRequired[Annotated[str, Field(alias="name")]]
    owner_id: NotRequired[Annotated[Optional[uuid.UUID], Field(alias="owner_id")]]
    priority: NotRequired[Annotated[int, Field(alias="priority")]]
    processing_deadline_ms: NotRequired[Annotated[Optional[int], Field(alias="processing_deadline_ms")]]
    rate_limited_until: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="rate_limited_until")]]
    retry_backoff_ms: NotRequired[Annotated[int, Field(alias="retry_backoff_ms")]]
    run_after: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="run_after")]]
    search_text: NotRequired[Annotated[str, Field(alias="search_text")]]
    stages_percent: NotRequired[Annotated[Optional[float], Field(alias="stages_percent")]]
    stages_total: NotRequired[Annotated[Optional[int], Field(alias="stages_total")]]
    stall_after_ms: NotRequired[Annotated[Optional[int], Field(alias="stall_after_ms")]]
    started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="started_at")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    state_actor: NotRequired[Annotated[Optional[str], Field(alias="state_actor")]]
    state_changed_at: NotRequired[Annotated[datetime.datetime, Field(alias="state_changed_at")]]
    state_reason: NotRequired[Annotated[Optional[str], Field(alias="state_reason")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    unit: NotRequired[Annotated[str, Field(alias="unit")]]
    version: NotRequired[Annotated[int, Field(alias="version")]]
    workers_expected: NotRequired[Annotated[Optional[int], Field(alias="workers_expected")]]

class MilepostLanes(BaseModel):
    attempt: int = Field(alias="attempt")
    bytes_processed: int = Field(alias="bytes_processed")
    canceled_seq: int = Field(alias="canceled_seq")
    cursor: Optional[JsonValue] = Field(alias="cursor")
    cursor_at: Optional[datetime.datetime] = Field(alias="cursor_at")
    cursor_bytes: int = Field(alias="cursor_bytes")
    cursor_canceled: int = Field(alias="cursor_canceled")
    cursor_completed: int = Field(alias="cursor_completed")
    cursor_failed: int = Field(alias="cursor_failed")
    cursor_seq: int = Field(alias="cursor_seq")
    cursor_skipped: int = Field(alias="cursor_skipped")
    deadline_seq: int = Field(alias="deadline_seq")
    failed_seq: int = Field(alias="failed_seq")
    first_checkpoint_at: datetime.datetime = Field(alias="first_checkpoint_at")
    first_work: float = Field(alias="first_work")
    items_canceled: int = Field(alias="items_canceled")
    items_completed: int = Field(alias="items_completed")
    items_failed: int = Field(alias="items_failed")
    items_skipped: int = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    job_id: uuid.UUID = Field(alias="job_id")
    kind_seq: int = Field(alias="kind_seq")
    last_checkpoint_at: datetime.datetime = Field(alias="last_checkpoint_at")
    last_progress_at: Optional[datetime.datetime] = Field(alias="last_progress_at")
    message_seq: int = Field(alias="message_seq")
    metadata_seq: int = Field(alias="metadata_seq")
    name_seq: int = Field(alias="name_seq")
    rate_limited_seq: int = Field(alias="rate_limited_seq")
    seen: str = Field(alias="seen")
    seq: int = Field(alias="seq")
    skipped_seq: int = Field(alias="skipped_seq")
    state: str = Field(alias="state")
    state_seq: int = Field(alias="state_seq")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    total_seq: int = Field(alias="total_seq")
    unit_seq: int = Field(alias="unit_seq")
    worker: str = Field(alias="worker")
    worker_items_total: Optional[int] = Field(alias="worker_items_total")
    worker_total_seq: int = Field(alias="worker_total_seq")

class MilepostLanesInsert(TypedDict):
    attempt: Annotated[int, Field(alias="attempt")]
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    canceled_seq: NotRequired[Annotated[int, Field(alias="canceled_seq")]]
    cursor: NotRequired[Annotated[Optional[JsonValue], Field(alias="cursor")]]
    cursor_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="cursor_at")]]
    cursor_bytes: NotRequired[Annotated[int, Field(alias="cursor_bytes")]]
    cursor_canceled: NotRequired[Annotated[int, Field(alias="cursor_canceled")]]
    cursor_completed: NotRequired[Annotated[int, Field(alias="cursor_completed")]]
    cursor_failed: NotRequired[Annotated[int, Field(alias="cursor_failed")]]
    cursor_seq: NotRequired[Annotated[int, Field(alias="cursor_seq")]]
    cursor_skipped: NotRequired[Annotated[int, Field(alias="cursor_skipped")]]
    deadline_seq: NotRequired[Annotated[int, Field(alias="deadline_seq")]]
    failed_seq: NotRequired[Annotated[int, Field(alias="failed_seq")]]
    first_checkpoint_at: Annotated[datetime.datetime, Field(alias="first_checkpoint_at")]
    first_work: NotRequired[Annotated[float, Field(alias="first_work")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    job_id: Annotated[uuid.UUID, Field(alias="job_id")]
    kind_seq: NotRequired[Annotated[int, Field(alias="kind_seq")]]
    last_checkpoint_at: Annotated[datetime.datetime, Field(alias="last_checkpoint_at")]
    last_progress_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_progress_at")]]
    message_seq: NotRequired[Annotated[int, Field(alias="message_seq")]]
    metadata_seq: NotRequired[Annotated[int, Field(alias="metadata_seq")]]
    name_seq: NotRequired[Annotated[int, Field(alias="name_seq")]]
    rate_limited_seq: NotRequired[Annotated[int, Field(alias="rate_limited_seq")]]
    seen: NotRequired[Annotated[str, Field(alias="seen")]]
    seq: NotRequired[Annotated[int, Field(alias="seq")]]
    skipped_seq: NotRequired[Annotated[int, Field(alias="skipped_seq")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    state_seq: NotRequired[Annotated[int, Field(alias="state_seq")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    total_seq: NotRequired[Annotated[int, Field(alias="total_seq")]]
    unit_seq: NotRequired[Annotated[int, Field(alias="unit_seq")]]
    worker: Annotated[str, Field(alias="worker")]
    worker_items_total: NotRequired[Annotated[Optional[int], Field(alias="worker_items_total")]]
    worker_total_seq: NotRequired[Annotated[int, Field(alias="worker_total_seq")]]

class MilepostLanesUpdate(TypedDict):
    attempt: NotRequired[Annotated[int, Field(alias="attempt")]]
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    canceled_seq: NotRequired[Annotated[int, Field(alias="canceled_seq")]]
    cursor: NotRequired[Annotated[Optional[JsonValue], Field(alias="cursor")]]
    cursor_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="cursor_at")]]
    cursor_bytes: NotRequired[Annotated[int, Field(alias="cursor_bytes")]]
    cursor_canceled: NotRequired[Annotated[int, Field(alias="cursor_canceled")]]
    cursor_completed: NotRequired[Annotated[int, Field(alias="cursor_completed")]]
    cursor_failed: NotRequired[Annotated[int, Field(alias="cursor_failed")]]
    cursor_seq: NotRequired[Annotated[int, Field(alias="cursor_seq")]]
    cursor_skipped: NotRequired[Annotated[int, Field(alias="cursor_skipped")]]
    deadline_seq: NotRequired[Annotated[int, Field(alias="deadline_seq")]]
    failed_seq: NotRequired[Annotated[int, Field(alias="failed_seq")]]
    first_checkpoint_at: NotRequired[Annotated[datetime.datetime, Field(alias="first_checkpoint_at")]]
    first_work: NotRequired[Annotated[float, Field(alias="first_work")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    kind_seq: NotRequired[Annotated[int, Field(alias="kind_seq")]]
    last_checkpoint_at: NotRequired[Annotated[datetime.datetime, Field(alias="last_checkpoint_at")]]
    last_progress_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="last_progress_at")]]
    message_seq: NotRequired[Annotated[int, Field(alias="message_seq")]]
    metadata_seq: NotRequired[Annotated[int, Field(alias="metadata_seq")]]
    name_seq: NotRequired[Annotated[int, Field(alias="name_seq")]]
    rate_limited_seq: NotRequired[Annotated[int, Field(alias="rate_limited_seq")]]
    seen: NotRequired[Annotated[str, Field(alias="seen")]]
    seq: NotRequired[Annotated[int, Field(alias="seq")]]
    skipped_seq: NotRequired[Annotated[int, Field(alias="skipped_seq")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    state_seq: NotRequired[Annotated[int, Field(alias="state_seq")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    total_seq: NotRequired[Annotated[int, Field(alias="total_seq")]]
    unit_seq: NotRequired[Annotated[int, Field(alias="unit_seq")]]
    worker: NotRequired[Annotated[str, Field(alias="worker")]]
    worker_items_total: NotRequired[Annotated[Optional[int], Field(alias="worker_items_total")]]
    worker_total_seq: NotRequired[Annotated[int, Field(alias="worker_total_seq")]]

class MilepostMembers(BaseModel):
    created_at: datetime.datetime = Field(alias="created_at")
    role: str = Field(alias="role")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    user_id: uuid.UUID = Field(alias="user_id")

class MilepostMembersInsert(TypedDict):
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    role: NotRequired[Annotated[str, Field(alias="role")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    user_id: Annotated[uuid.UUID, Field(alias="user_id")]

class MilepostMembersUpdate(TypedDict):
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    role: NotRequired[Annotated[str, Field(alias="role")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    user_id: NotRequired[Annotated[uuid.UUID, Field(alias="user_id")]]

class MilepostStages(BaseModel):
    bytes_processed: int = Field(alias="bytes_processed")
    counts_reported: bool = Field(alias="counts_reported")
    finished_at: Optional[datetime.datetime] = Field(alias="finished_at")
    items_canceled: int = Field(alias="items_canceled")
    items_completed: int = Field(alias="items_completed")
    items_failed: int = Field(alias="items_failed")
    items_skipped: int = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    items_total_given: Optional[int] = Field(alias="items_total_given")
    job_id: uuid.UUID = Field(alias="job_id")
    name: str = Field(alias="name")
    position: int = Field(alias="position")
    started_at: Optional[datetime.datetime] = Field(alias="started_at")
    state: str = Field(alias="state")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    weight: float = Field(alias="weight")

class MilepostStagesInsert(TypedDict):
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    counts_reported: NotRequired[Annotated[bool, Field(alias="counts_reported")]]
    finished_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="finished_at")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    items_total_given: NotRequired[Annotated[Optional[int], Field(alias="items_total_given")]]
    job_id: Annotated[uuid.UUID, Field(alias="job_id")]
    name: Annotated[str, Field(alias="name")]
    position: Annotated[int, Field(alias="position")]
    started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="started_at")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    tenant_id: Annotated[uuid.UUID, Field(alias="tenant_id")]
    weight: NotRequired[Annotated[float, Field(alias="weight")]]

class MilepostStagesUpdate(TypedDict):
    bytes_processed: NotRequired[Annotated[int, Field(alias="bytes_processed")]]
    counts_reported: NotRequired[Annotated[bool, Field(alias="counts_reported")]]
    finished_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="finished_at")]]
    items_canceled: NotRequired[Annotated[int, Field(alias="items_canceled")]]
    items_completed: NotRequired[Annotated[int, Field(alias="items_completed")]]
    items_failed: NotRequired[Annotated[int, Field(alias="items_failed")]]
    items_skipped: NotRequired[Annotated[int, Field(alias="items_skipped")]]
    items_total: NotRequired[Annotated[Optional[int], Field(alias="items_total")]]
    items_total_given: NotRequired[Annotated[Optional[int], Field(alias="items_total_given")]]
    job_id: NotRequired[Annotated[uuid.UUID, Field(alias="job_id")]]
    name: NotRequired[Annotated[str, Field(alias="name")]]
    position: NotRequired[Annotated[int, Field(alias="position")]]
    started_at: NotRequired[Annotated[Optional[datetime.datetime], Field(alias="started_at")]]
    state: NotRequired[Annotated[str, Field(alias="state")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    weight: NotRequired[Annotated[float, Field(alias="weight")]]

class MilepostTenants(BaseModel):
    created_at: datetime.datetime = Field(alias="created_at")
    keep_days: int = Field(alias="keep_days")
    messages_per_s: float = Field(alias="messages_per_s")
    name: str = Field(alias="name")
    progress_interval_ms: int = Field(alias="progress_interval_ms")
    progress_step_percent: float = Field(alias="progress_step_percent")
    requests_per_s: int = Field(alias="requests_per_s")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    waiting_jobs_most: int = Field(alias="waiting_jobs_most")

class MilepostTenantsInsert(TypedDict):
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    keep_days: NotRequired[Annotated[int, Field(alias="keep_days")]]
    messages_per_s: NotRequired[Annotated[float, Field(alias="messages_per_s")]]
    name: Annotated[str, Field(alias="name")]
    progress_interval_ms: NotRequired[Annotated[int, Field(alias="progress_interval_ms")]]
    progress_step_percent: NotRequired[Annotated[float, Field(alias="progress_step_percent")]]
    requests_per_s: NotRequired[Annotated[int, Field(alias="requests_per_s")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    waiting_jobs_most: NotRequired[Annotated[int, Field(alias="waiting_jobs_most")]]

class MilepostTenantsUpdate(TypedDict):
    created_at: NotRequired[Annotated[datetime.datetime, Field(alias="created_at")]]
    keep_days: NotRequired[Annotated[int, Field(alias="keep_days")]]
    messages_per_s: NotRequired[Annotated[float, Field(alias="messages_per_s")]]
    name: NotRequired[Annotated[str, Field(alias="name")]]
    progress_interval_ms: NotRequired[Annotated[int, Field(alias="progress_interval_ms")]]
    progress_step_percent: NotRequired[Annotated[float, Field(alias="progress_step_percent")]]
    requests_per_s: NotRequired[Annotated[int, Field(alias="requests_per_s")]]
    tenant_id: NotRequired[Annotated[uuid.UUID, Field(alias="tenant_id")]]
    waiting_jobs_most: NotRequired[Annotated[int, Field(alias="waiting_jobs_most")]]

class MilepostEtaAccuracy(BaseModel):
    bias: Optional[float] = Field(alias="bias")
    coverage: Optional[float] = Field(alias="coverage")
    kind: str = Field(alias="kind")
    mean_width: Optional[float] = Field(alias="mean_width")
    median_error: Optional[float] = Field(alias="median_error")
    p90_error: Optional[float] = Field(alias="p90_error")
    runs: Optional[int] = Field(alias="runs")
    tenant_id: uuid.UUID = Field(alias="tenant_id")

class MilepostJobPerformance(BaseModel):
    bytes_processed: Optional[float] = Field(alias="bytes_processed")
    canceled: Optional[int] = Field(alias="canceled")
    completed: Optional[int] = Field(alias="completed")
    failed: Optional[int] = Field(alias="failed")
    items_completed: Optional[float] = Field(alias="items_completed")
    items_failed: Optional[float] = Field(alias="items_failed")
    kind: str = Field(alias="kind")
    last_finished_at: Optional[datetime.datetime] = Field(alias="last_finished_at")
    median_duration_ms: Optional[float] = Field(alias="median_duration_ms")
    median_rate_per_s: Optional[float] = Field(alias="median_rate_per_s")
    p95_duration_ms: Optional[float] = Field(alias="p95_duration_ms")
    runs: Optional[int] = Field(alias="runs")
    tenant_id: uuid.UUID = Field(alias="tenant_id")

class MilepostJobProgress(BaseModel):
    attempt: int = Field(alias="attempt")
    attempt_started_at: Optional[datetime.datetime] = Field(alias="attempt_started_at")
    average_duration_ms_per_item: Optional[float] = Field(alias="average_duration_ms_per_item")
    bytes_per_s: Optional[float] = Field(alias="bytes_per_s")
    bytes_processed: int = Field(alias="bytes_processed")
    created_at: datetime.datetime = Field(alias="created_at")
    current_stage: Optional[str] = Field(alias="current_stage")
    cursor: Optional[JsonValue] = Field(alias="cursor")
    error: Optional[str] = Field(alias="error")
    estimated_completion_at: Optional[datetime.datetime] = Field(alias="estimated_completion_at")
    eta_high_ms: Optional[int] = Field(alias="eta_high_ms")
    eta_low_ms: Optional[int] = Field(alias="eta_low_ms")
    eta_ms: Optional[int] = Field(alias="eta_ms")
    eta_reason: Optional[str] = Field(alias="eta_reason")
    finished_at: Optional[datetime.datetime] = Field(alias="finished_at")
    health: Optional[str] = Field(alias="health")
    items_canceled: int = Field(alias="items_canceled")
    items_completed: int = Field(alias="items_completed")
    items_failed: int = Field(alias="items_failed")
    items_pending: Optional[int] = Field(alias="items_pending")
    items_skipped: int = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    job: str = Field(alias="job")
    job_id: uuid.UUID = Field(alias="job_id")
    kind: str = Field(alias="kind")
    last_checkpoint_at: Optional[datetime.datetime] = Field(alias="last_checkpoint_at")
    last_progress_at: Optional[datetime.datetime] = Field(alias="last_progress_at")
    liveness: Optional[str] = Field(alias="liveness")
    liveness_reason: Optional[str] = Field(alias="liveness_reason")
    max_attempts: int = Field(alias="max_attempts")
    message: Optional[str] = Field(alias="message")
    metadata: JsonValue = Field(alias="metadata")
    name: str = Field(alias="name")
    owner_id: Optional[uuid.UUID] = Field(alias="owner_id")
    percent_complete: Optional[float] = Field(alias="percent_complete")
    priority: int = Field(alias="priority")
    processing_deadline_ms: Optional[int] = Field(alias="processing_deadline_ms")
    rate_limited: Optional[bool] = Field(alias="rate_limited")
    rate_limited_until: Optional[datetime.datetime] = Field(alias="rate_limited_until")
    rate_per_s: Optional[float] = Field(alias="rate_per_s")
    run_after: Optional[datetime.datetime] = Field(alias="run_after")
    stages: Optional[JsonValue] = Field(alias="stages")
    stall_after_ms: Optional[int] = Field(alias="stall_after_ms")
    started_at: Optional[datetime.datetime] = Field(alias="started_at")
    state: str = Field(alias="state")
    state_actor: Optional[str] = Field(alias="state_actor")
    state_changed_at: datetime.datetime = Field(alias="state_changed_at")
    state_reason: Optional[str] = Field(alias="state_reason")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    threshold_s: Optional[float] = Field(alias="threshold_s")
    time_processing_ms: Optional[int] = Field(alias="time_processing_ms")
    time_to_start_ms: Optional[int] = Field(alias="time_to_start_ms")
    unit: str = Field(alias="unit")
    version: int = Field(alias="version")
    workers: Optional[JsonValue] = Field(alias="workers")
    workers_expected: Optional[int] = Field(alias="workers_expected")

class MilepostJobStatus(BaseModel):
    attempt: int = Field(alias="attempt")
    created_at: datetime.datetime = Field(alias="created_at")
    current_stage: Optional[str] = Field(alias="current_stage")
    error: Optional[str] = Field(alias="error")
    estimated_completion_at: Optional[datetime.datetime] = Field(alias="estimated_completion_at")
    eta_high_ms: Optional[int] = Field(alias="eta_high_ms")
    eta_low_ms: Optional[int] = Field(alias="eta_low_ms")
    eta_ms: Optional[int] = Field(alias="eta_ms")
    eta_reason: Optional[str] = Field(alias="eta_reason")
    health: Optional[str] = Field(alias="health")
    job: str = Field(alias="job")
    job_id: uuid.UUID = Field(alias="job_id")
    kind: str = Field(alias="kind")
    last_checkpoint_at: Optional[datetime.datetime] = Field(alias="last_checkpoint_at")
    last_progress_at: Optional[datetime.datetime] = Field(alias="last_progress_at")
    liveness: Optional[str] = Field(alias="liveness")
    message: Optional[str] = Field(alias="message")
    name: str = Field(alias="name")
    percent_complete: Optional[float] = Field(alias="percent_complete")
    rate_per_s: Optional[float] = Field(alias="rate_per_s")
    state: str = Field(alias="state")
    tenant_id: uuid.UUID = Field(alias="tenant_id")

class MilepostMessageBudget(BaseModel):
    coalesced: Optional[float] = Field(alias="coalesced")
    interval_ms: Optional[float] = Field(alias="interval_ms")
    jobs_at_work: Optional[int] = Field(alias="jobs_at_work")
    messages_per_s: float = Field(alias="messages_per_s")
    pro_plan_usd_per_month: Optional[float] = Field(alias="pro_plan_usd_per_month")
    projected_per_month: Optional[int] = Field(alias="projected_per_month")
    sent_last_day: Optional[int] = Field(alias="sent_last_day")
    sent_last_hour: Optional[int] = Field(alias="sent_last_hour")
    sent_last_minute: Optional[int] = Field(alias="sent_last_minute")
    share_of_free_plan: Optional[float] = Field(alias="share_of_free_plan")
    share_of_pro_plan: Optional[float] = Field(alias="share_of_pro_plan")
    tenant_id: uuid.UUID = Field(alias="tenant_id")

class MilepostStageProgress(BaseModel):
    bytes_processed: int = Field(alias="bytes_processed")
    finished_at: Optional[datetime.datetime] = Field(alias="finished_at")
    items_canceled: int = Field(alias="items_canceled")
    items_completed: int = Field(alias="items_completed")
    items_failed: int = Field(alias="items_failed")
    items_skipped: int = Field(alias="items_skipped")
    items_total: Optional[int] = Field(alias="items_total")
    job: str = Field(alias="job")
    job_id: uuid.UUID = Field(alias="job_id")
    kind: str = Field(alias="kind")
    percent_complete: Optional[float] = Field(alias="percent_complete")
    position: int = Field(alias="position")
    stage: str = Field(alias="stage")
    started_at: Optional[datetime.datetime] = Field(alias="started_at")
    state: str = Field(alias="state")
    tenant_id: uuid.UUID = Field(alias="tenant_id")
    weight: float = Field(alias="weight")
