"""What the API answers, as models. They tolerate fields that this version does not know."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from milepost.models import Directive, EtaReason, Health, ItemState, JobState, Liveness, StageState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)


class ErrorBody(_Answer):
    """The one shape of every error."""

    code: str
    """A stable word."""
    message: str
    """What was expected, where, what was found."""
    details: Any = None
    """Facts for programs, where there are any."""
    hint: str | None = None
    """What to do."""


class CheckpointResult(_Answer):
    """What became of one job's checkpoints in a request."""

    job: str
    job_id: str
    attempt: int
    state: JobState
    version: int
    accepted: int = 0
    """Entries that were taken."""
    duplicates: int = 0
    """Entries that had been taken before."""
    directive: Directive = "continue"
    """What the worker should do now."""
    percent_complete: float | None = None
    eta_ms: float | None = None
    next_checkpoint_ms: float | None = None
    """When the next checkpoint is welcome."""
    suggested_batch_items: float | None = None
    """Items that take about until then, by the batches of this request; null where it told of none."""


class CheckpointError(_Answer):
    """Why one entry of a request was refused."""

    index: int
    """The entry's place in the request, from 0."""
    code: str
    message: str
    hint: str | None = None


class CheckpointsAnswer(_Answer):
    """The answer to checkpoints: what was taken, and what was refused."""

    results: list[CheckpointResult]
    errors: list[CheckpointError]


class _Counts(_Answer):
    items_total: int | None = None
    items_completed: int = 0
    items_failed: int = 0
    items_skipped: int = 0
    items_canceled: int = 0
    bytes_processed: int = 0


class StageProgress(_Counts):
    """How far one stage is."""

    name: str
    position: int | None = None
    state: StageState | None = None
    weight: float | None = None
    percent_complete: float | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class WorkerProgress(_Counts):
    """What one worker has done. In the answers of create and claim: its counts at its last cursor."""

    worker: str
    attempt: int | None = None
    seq: int | None = None
    state: str | None = None
    rate_per_s: float | None = None
    last_checkpoint_at: datetime | None = None
    cursor: Any = None


class Job(_Counts):
    """A job with its progress."""

    job_id: str
    job: str
    kind: str | None = None
    name: str | None = None
    unit: str | None = None
    tenant_id: str | None = None
    owner_id: str | None = None
    state: JobState
    state_reason: str | None = None
    liveness: Liveness | None = None
    health: Health | None = None
    attempt: int
    max_attempts: int | None = None
    priority: int = 0
    version: int = 0
    """How many events the job has had."""
    percent_complete: float | None = None
    """Null while there is no total."""
    items_pending: int | None = None
    rate_per_s: float | None = None
    bytes_per_s: float | None = None
    average_duration_ms_per_item: float | None = None
    eta_ms: float | None = None
    """Milliseconds until it is done; null with an `eta_reason` where that is not known."""
    eta_low_ms: float | None = None
    """Four of five jobs finish between `eta_low_ms` and `eta_high_ms`."""
    eta_high_ms: float | None = None
    estimated_completion_at: datetime | None = None
    eta_reason: EtaReason | None = None
    time_to_start_ms: float | None = None
    time_processing_ms: float | None = None
    """Active time; pauses do not count."""
    rate_limited: bool = False
    rate_limited_until: datetime | None = None
    processing_deadline_ms: int | None = None
    current_stage: str | None = None
    stages: list[StageProgress] = []
    workers: list[WorkerProgress] = []
    cursor: Any = None
    cursors: dict[str, Any] | None = None
    """Each worker's cursor; in the answer to a claim."""
    message: str | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    last_checkpoint_at: datetime | None = None
    last_progress_at: datetime | None = None
    finished_at: datetime | None = None
    run_after: datetime | None = None


class JobList(_Answer):
    """One page of jobs, newest first."""

    jobs: list[Job]
    next: str | None = None
    """Give it as `after` for the next page; null on the last one."""


class AnyPage(_Answer):
    """One page of any list; its rows stay as they came."""

    next: str | None = None


class EtaAccuracy(_Answer):
    """How right the finish times of completed runs were: errors |ln(predicted / true)|, 0.1 is about 10 %."""

    runs: int
    median_error: float
    p90_error: float
    bias: float
    """Above 0 is too late, below 0 too early."""
    coverage: float | None = None
    """Share of cases in which the range held the truth; 0.8 is meant."""
    mean_width: float | None = None


class HistoryFigures(_Answer):
    """How some finished jobs went. Rates are shares of the runs; durations and speeds are completed runs'."""

    runs: int
    completed: int
    failed: int
    canceled: int
    success_rate: float | None = None
    failure_rate: float | None = None
    duration_p50_ms: float | None = None
    """Active time: half of the runs took no longer."""
    duration_p95_ms: float | None = None
    items_per_s_p50: float | None = None
    items_completed: int = 0
    items_failed: int = 0
    bytes_processed: int = 0
    last_finished_at: datetime | None = None


class HistoryGroup(HistoryFigures):
    """The jobs that ended in one hour or day, or that are of one kind."""

    at: datetime | None = None
    """When the hour or day began."""
    kind: str | None = None
    eta_accuracy: EtaAccuracy | None = None
    """Of the kind's newest 200 completed runs in the range."""


class ErrorPattern(_Answer):
    """Failures whose error differs by numbers, names and places only."""

    pattern: str
    count: int
    kinds: list[str] = []
    example: str
    last_job: str
    last_job_id: str
    last_finished_at: datetime


class HistoryStats(_Answer):
    """How the jobs that ended in a range of time went."""

    since: datetime
    until: datetime
    by: str
    zone: str
    total: HistoryFigures
    groups: list[HistoryGroup]
    """One for each hour, day or kind that has jobs, in order of time or of the number of runs."""
    errors: list[ErrorPattern]
    """The 20 most frequent."""


class Item(_Answer):
    """One item that is tracked by name."""

    key: str
    stage: str | None = None
    state: ItemState
    percent: float | None = None
    duration_ms: float | None = None
    payload: dict[str, Any] | None = None
    error: str | None = None


class ItemList(_Answer):
    """One page of a job's items."""

    items: list[Item]
    next: str | None = None


class StoredCheckpoint(_Answer):
    """A checkpoint as it was received."""

    worker: str | None = None
    attempt: int | None = None
    seq: int | None = None


class CheckpointList(_Answer):
    """One page of a job's checkpoints."""

    checkpoints: list[StoredCheckpoint]
    next: str | None = None


class Event(_Answer):
    """One entry of a job's history."""

    id: int | str
    version: int
    """Counts the job's events without a gap."""
    type: str
    ts: datetime
    correlation_id: str | None = None
    data: dict[str, Any] = {}


class EventList(_Answer):
    """One page of a job's events."""

    events: list[Event]
    next: str | None = None


class AuditEntry(_Answer):
    """One thing that a person, a key or the sweep did."""

    id: int
    tenant_id: str
    at: datetime
    actor: str
    """user:<id>, key:<id> or system."""
    action: str
    job_id: str | None = None
    """The job it was done to; it may be gone by now."""
    subject: str | None = None
    """The job's key, the id of the key, the user."""
    reason: str | None = None
    details: dict[str, Any] = {}


class AuditList(_Answer):
    """One page of the audit."""

    audit: list[AuditEntry]
    next: str | None = None


class Reason(_Answer):
    """One thing that explains a job's condition."""

    code: str
    message: str


class Explanation(_Answer):
    """Why a job is stalled, slow, waiting or without a finish time."""

    summary: str
    """One sentence."""
    liveness: Liveness | None = None
    threshold_s: float | None = None
    """Silence longer than this is a stall."""
    reasons: list[Reason] = []
    last_checkpoint_at: datetime | None = None
    last_progress_at: datetime | None = None
    attempt: int | None = None
    paused_by: str | None = None
    slowest_worker: str | None = None
    rate_limited_until: datetime | None = None
    eta_reason: EtaReason | None = None


class Share(_Answer):
    """A share link of a job."""

    share_id: str
    """To revoke it by; it opens nothing."""
    job_id: str
    token: str | None = None
    """What opens the job, `sh_...`; only in the answer that makes it."""
    created_by: str
    """`user:<id>` or `key:<id>`."""
    created_at: datetime
    expires_at: datetime


class ShareList(_Answer):
    """A job's share links that hold, newest first."""

    shares: list[Share]


class RevokedShare(_Answer):
    """A share link that holds no more."""

    share_id: str
    revoked: bool


class SharedJob(_Counts):
    """A job as the holder of a share link sees it: nothing that names people, tenants, machines or data."""

    job: str
    name: str
    kind: str
    unit: str
    state: JobState
    liveness: Liveness | None = None
    health: Health | None = None
    attempt: int
    version: int
    percent_complete: float | None = None
    items_pending: int | None = None
    rate_per_s: float | None = None
    eta_ms: float | None = None
    eta_low_ms: float | None = None
    eta_high_ms: float | None = None
    estimated_completion_at: datetime | None = None
    eta_reason: EtaReason | None = None
    time_processing_ms: float | None = None
    rate_limited: bool = False
    current_stage: str | None = None
    stages: list[StageProgress] = []
    created_at: datetime
    started_at: datetime | None = None
    last_checkpoint_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    """Until when the link holds."""
    next_poll_ms: int
    """When it is worth asking again."""
