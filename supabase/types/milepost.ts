│
▲  Connected to 127.0.0.1 without TLS: the TLS connection failed or was rejected. Set PGSSLMODE=require (or verify-full) to refuse unencrypted connections.

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {

  "milepost": {
          Tables: {
            "audit": {
                  Row: {
                    "action": string,"actor": string,"at": string,"audit_id": number,"details": NonNullable<Json>,"job_id": string | null,"reason": string | null,"subject": string | null,"tenant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "action": string,"actor": string,"at"?: string,"audit_id"?: never,"details"?: NonNullable<Json>,"job_id"?: string | null,"reason"?: string | null,"subject"?: string | null,"tenant_id": string
                  }
                  Update: {
                    "action"?: string,"actor"?: string,"at"?: string,"audit_id"?: never,"details"?: NonNullable<Json>,"job_id"?: string | null,"reason"?: string | null,"subject"?: string | null,"tenant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "audit_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "audit_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"checkpoints": {
                  Row: {
                    "at": string,"attempt": number,"batch_bytes": number | null,"batch_duration_ms": number | null,"batch_items": number | null,"bytes_processed": number | null,"checkpoint_id": number,"has_cursor": boolean,"items_canceled": number | null,"items_completed": number | null,"items_failed": number | null,"items_skipped": number | null,"items_total": number | null,"job_done": number | null,"job_id": string,"job_skipped": number | null,"job_total": number | null,"message": string | null,"received_at": string,"seq": number,"stages": Json | null,"state": string | null,"tenant_id": string,"traceparent": string | null,"worker": string
                  }
                  ComputedFields: never
                  Insert: {
                    "at": string,"attempt": number,"batch_bytes"?: number | null,"batch_duration_ms"?: number | null,"batch_items"?: number | null,"bytes_processed"?: number | null,"checkpoint_id"?: never,"has_cursor"?: boolean,"items_canceled"?: number | null,"items_completed"?: number | null,"items_failed"?: number | null,"items_skipped"?: number | null,"items_total"?: number | null,"job_done"?: number | null,"job_id": string,"job_skipped"?: number | null,"job_total"?: number | null,"message"?: string | null,"received_at": string,"seq": number,"stages"?: Json | null,"state"?: string | null,"tenant_id": string,"traceparent"?: string | null,"worker": string
                  }
                  Update: {
                    "at"?: string,"attempt"?: number,"batch_bytes"?: number | null,"batch_duration_ms"?: number | null,"batch_items"?: number | null,"bytes_processed"?: number | null,"checkpoint_id"?: never,"has_cursor"?: boolean,"items_canceled"?: number | null,"items_completed"?: number | null,"items_failed"?: number | null,"items_skipped"?: number | null,"items_total"?: number | null,"job_done"?: number | null,"job_id"?: string,"job_skipped"?: number | null,"job_total"?: number | null,"message"?: string | null,"received_at"?: string,"seq"?: number,"stages"?: Json | null,"state"?: string | null,"tenant_id"?: string,"traceparent"?: string | null,"worker"?: string
                  }
                  Relationships: [

                  ]
                },"events": {
                  Row: {
                    "correlation_id": string,"data": NonNullable<Json>,"event_id": number,"job_id": string,"tenant_id": string,"ts": string,"type": string,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "correlation_id": string,"data"?: NonNullable<Json>,"event_id"?: never,"job_id": string,"tenant_id": string,"ts": string,"type": string,"version": number
                  }
                  Update: {
                    "correlation_id"?: string,"data"?: NonNullable<Json>,"event_id"?: never,"job_id"?: string,"tenant_id"?: string,"ts"?: string,"type"?: string,"version"?: number
                  }
                  Relationships: [

                  ]
                },"items": {
                  Row: {
                    "attempt": number,"duration_ms": number | null,"error": string | null,"item_id": number,"job_id": string,"key": string,"others": Json | null,"payload": Json | null,"percent": number | null,"received_at": string,"seq": number,"stage": string,"state": string,"tenant_id": string,"worker": string
                  }
                  ComputedFields: never
                  Insert: {
                    "attempt": number,"duration_ms"?: number | null,"error"?: string | null,"item_id"?: never,"job_id": string,"key": string,"others"?: Json | null,"payload"?: Json | null,"percent"?: number | null,"received_at": string,"seq": number,"stage"?: string,"state": string,"tenant_id": string,"worker": string
                  }
                  Update: {
                    "attempt"?: number,"duration_ms"?: number | null,"error"?: string | null,"item_id"?: never,"job_id"?: string,"key"?: string,"others"?: Json | null,"payload"?: Json | null,"percent"?: number | null,"received_at"?: string,"seq"?: number,"stage"?: string,"state"?: string,"tenant_id"?: string,"worker"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "items_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_progress"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "items_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_status"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "items_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "jobs"
      referencedColumns: ["job_id"]
    }
                  ]
                },"jobs": {
                  Row: {
                    "attempt": number,"attempt_started_at": string | null,"bytes_processed": number,"counts_reported": boolean,"created_at": string,"ended_metadata": Json | null,"error": string | null,"finished_at": string | null,"has_stages": boolean,"items_canceled": number,"items_completed": number,"items_failed": number,"items_skipped": number,"items_total": number | null,"items_total_given": number | null,"job_id": string,"key": string,"kind": string,"last_checkpoint_at": string | null,"last_progress_at": string | null,"max_attempts": number,"message": string | null,"metadata": NonNullable<Json>,"name": string,"owner_id": string | null,"priority": number,"processing_deadline_ms": number | null,"rate_limited_until": string | null,"retry_backoff_ms": number,"run_after": string | null,"search_text": string,"stages_percent": number | null,"stages_total": number | null,"stall_after_ms": number | null,"started_at": string | null,"state": string,"state_actor": string | null,"state_changed_at": string,"state_reason": string | null,"tenant_id": string,"unit": string,"version": number,"workers_expected": number | null
                  }
                  ComputedFields: never
                  Insert: {
                    "attempt"?: number,"attempt_started_at"?: string | null,"bytes_processed"?: number,"counts_reported"?: boolean,"created_at"?: string,"ended_metadata"?: never,"error"?: string | null,"finished_at"?: string | null,"has_stages"?: boolean,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"items_total_given"?: number | null,"job_id"?: string,"key": string,"kind"?: string,"last_checkpoint_at"?: string | null,"last_progress_at"?: string | null,"max_attempts"?: number,"message"?: string | null,"metadata"?: NonNullable<Json>,"name": string,"owner_id"?: string | null,"priority"?: number,"processing_deadline_ms"?: number | null,"rate_limited_until"?: string | null,"retry_backoff_ms"?: number,"run_after"?: string | null,"search_text"?: never,"stages_percent"?: number | null,"stages_total"?: number | null,"stall_after_ms"?: number | null,"started_at"?: string | null,"state"?: string,"state_actor"?: string | null,"state_changed_at"?: string,"state_reason"?: string | null,"tenant_id": string,"unit"?: string,"version"?: number,"workers_expected"?: number | null
                  }
                  Update: {
                    "attempt"?: number,"attempt_started_at"?: string | null,"bytes_processed"?: number,"counts_reported"?: boolean,"created_at"?: string,"ended_metadata"?: never,"error"?: string | null,"finished_at"?: string | null,"has_stages"?: boolean,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"items_total_given"?: number | null,"job_id"?: string,"key"?: string,"kind"?: string,"last_checkpoint_at"?: string | null,"last_progress_at"?: string | null,"max_attempts"?: number,"message"?: string | null,"metadata"?: NonNullable<Json>,"name"?: string,"owner_id"?: string | null,"priority"?: number,"processing_deadline_ms"?: number | null,"rate_limited_until"?: string | null,"retry_backoff_ms"?: number,"run_after"?: string | null,"search_text"?: never,"stages_percent"?: number | null,"stages_total"?: number | null,"stall_after_ms"?: number | null,"started_at"?: string | null,"state"?: string,"state_actor"?: string | null,"state_changed_at"?: string,"state_reason"?: string | null,"tenant_id"?: string,"unit"?: string,"version"?: number,"workers_expected"?: number | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"lanes": {
                  Row: {
                    "attempt": number,"bytes_processed": number,"canceled_seq": number,"cursor": Json | null,"cursor_at": string | null,"cursor_bytes": number,"cursor_canceled": number,"cursor_completed": number,"cursor_failed": number,"cursor_seq": number,"cursor_skipped": number,"deadline_seq": number,"failed_seq": number,"first_checkpoint_at": string,"first_work": number,"items_canceled": number,"items_completed": number,"items_failed": number,"items_skipped": number,"items_total": number | null,"job_id": string,"kind_seq": number,"last_checkpoint_at": string,"last_progress_at": string | null,"message_seq": number,"metadata_seq": number,"name_seq": number,"rate_limited_seq": number,"seen": unknown,"seq": number,"skipped_seq": number,"state": string,"state_seq": number,"tenant_id": string,"total_seq": number,"unit_seq": number,"worker": string,"worker_items_total": number | null,"worker_total_seq": number
                  }
                  ComputedFields: never
                  Insert: {
                    "attempt": number,"bytes_processed"?: number,"canceled_seq"?: number,"cursor"?: Json | null,"cursor_at"?: string | null,"cursor_bytes"?: number,"cursor_canceled"?: number,"cursor_completed"?: number,"cursor_failed"?: number,"cursor_seq"?: number,"cursor_skipped"?: number,"deadline_seq"?: number,"failed_seq"?: number,"first_checkpoint_at": string,"first_work"?: number,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"job_id": string,"kind_seq"?: number,"last_checkpoint_at": string,"last_progress_at"?: string | null,"message_seq"?: number,"metadata_seq"?: number,"name_seq"?: number,"rate_limited_seq"?: number,"seen"?: unknown,"seq"?: number,"skipped_seq"?: number,"state"?: string,"state_seq"?: number,"tenant_id": string,"total_seq"?: number,"unit_seq"?: number,"worker": string,"worker_items_total"?: number | null,"worker_total_seq"?: number
                  }
                  Update: {
                    "attempt"?: number,"bytes_processed"?: number,"canceled_seq"?: number,"cursor"?: Json | null,"cursor_at"?: string | null,"cursor_bytes"?: number,"cursor_canceled"?: number,"cursor_completed"?: number,"cursor_failed"?: number,"cursor_seq"?: number,"cursor_skipped"?: number,"deadline_seq"?: number,"failed_seq"?: number,"first_checkpoint_at"?: string,"first_work"?: number,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"job_id"?: string,"kind_seq"?: number,"last_checkpoint_at"?: string,"last_progress_at"?: string | null,"message_seq"?: number,"metadata_seq"?: number,"name_seq"?: number,"rate_limited_seq"?: number,"seen"?: unknown,"seq"?: number,"skipped_seq"?: number,"state"?: string,"state_seq"?: number,"tenant_id"?: string,"total_seq"?: number,"unit_seq"?: number,"worker"?: string,"worker_items_total"?: number | null,"worker_total_seq"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "lanes_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_progress"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "lanes_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_status"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "lanes_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "jobs"
      referencedColumns: ["job_id"]
    }
                  ]
                },"members": {
                  Row: {
                    "created_at": string,"role": string,"tenant_id": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"role"?: string,"tenant_id": string,"user_id": string
                  }
                  Update: {
                    "created_at"?: string,"role"?: string,"tenant_id"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "members_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "members_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"stages": {
                  Row: {
                    "bytes_processed": number,"counts_reported": boolean,"finished_at": string | null,"items_canceled": number,"items_completed": number,"items_failed": number,"items_skipped": number,"items_total": number | null,"items_total_given": number | null,"job_id": string,"name": string,"position": number,"started_at": string | null,"state": string,"tenant_id": string,"weight": number
                  }
                  ComputedFields: never
                  Insert: {
                    "bytes_processed"?: number,"counts_reported"?: boolean,"finished_at"?: string | null,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"items_total_given"?: number | null,"job_id": string,"name": string,"position": number,"started_at"?: string | null,"state"?: string,"tenant_id": string,"weight"?: number
                  }
                  Update: {
                    "bytes_processed"?: number,"counts_reported"?: boolean,"finished_at"?: string | null,"items_canceled"?: number,"items_completed"?: number,"items_failed"?: number,"items_skipped"?: number,"items_total"?: number | null,"items_total_given"?: number | null,"job_id"?: string,"name"?: string,"position"?: number,"started_at"?: string | null,"state"?: string,"tenant_id"?: string,"weight"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_progress"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_status"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "jobs"
      referencedColumns: ["job_id"]
    }
                  ]
                },"tenants": {
                  Row: {
                    "created_at": string,"keep_days": number,"messages_per_s": number,"name": string,"progress_interval_ms": number,"progress_step_percent": number,"requests_per_s": number,"tenant_id": string,"waiting_jobs_most": number
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"keep_days"?: number,"messages_per_s"?: number,"name": string,"progress_interval_ms"?: number,"progress_step_percent"?: number,"requests_per_s"?: number,"tenant_id"?: string,"waiting_jobs_most"?: number
                  }
                  Update: {
                    "created_at"?: string,"keep_days"?: number,"messages_per_s"?: number,"name"?: string,"progress_interval_ms"?: number,"progress_step_percent"?: number,"requests_per_s"?: number,"tenant_id"?: string,"waiting_jobs_most"?: number
                  }
                  Relationships: [

                  ]
                }
          }
          Views: {
            "eta_accuracy": {
                  Row: {
                    "bias": number | null,"coverage": number | null,"kind": string,"mean_width": number | null,"median_error": number | null,"p90_error": number | null,"runs": number | null,"tenant_id": string
                  }
                  ComputedFields: never
                  Relationships: [

                  ]
                },"job_performance": {
                  Row: {
                    "bytes_processed": number | null,"canceled": number | null,"completed": number | null,"failed": number | null,"items_completed": number | null,"items_failed": number | null,"kind": string,"last_finished_at": string | null,"median_duration_ms": number | null,"median_rate_per_s": number | null,"p95_duration_ms": number | null,"runs": number | null,"tenant_id": string
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"job_progress": {
                  Row: {
                    "attempt": number,"attempt_started_at": string | null,"average_duration_ms_per_item": number | null,"bytes_per_s": number | null,"bytes_processed": number,"created_at": string,"current_stage": string | null,"cursor": Json | null,"error": string | null,"estimated_completion_at": string | null,"eta_high_ms": number | null,"eta_low_ms": number | null,"eta_ms": number | null,"eta_reason": string | null,"finished_at": string | null,"health": string | null,"items_canceled": number,"items_completed": number,"items_failed": number,"items_pending": number | null,"items_skipped": number,"items_total": number | null,"job": string,"job_id": string,"kind": string,"last_checkpoint_at": string | null,"last_progress_at": string | null,"liveness": string | null,"liveness_reason": string | null,"max_attempts": number,"message": string | null,"metadata": NonNullable<Json>,"name": string,"owner_id": string | null,"percent_complete": number | null,"priority": number,"processing_deadline_ms": number | null,"rate_limited": boolean | null,"rate_limited_until": string | null,"rate_per_s": number | null,"run_after": string | null,"stages": Json | null,"stall_after_ms": number | null,"started_at": string | null,"state": string,"state_actor": string | null,"state_changed_at": string,"state_reason": string | null,"tenant_id": string,"threshold_s": number | null,"time_processing_ms": number | null,"time_to_start_ms": number | null,"unit": string,"version": number,"workers": Json | null,"workers_expected": number | null
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"job_status": {
                  Row: {
                    "attempt": number,"created_at": string,"current_stage": string | null,"error": string | null,"estimated_completion_at": string | null,"eta_high_ms": number | null,"eta_low_ms": number | null,"eta_ms": number | null,"eta_reason": string | null,"health": string | null,"job": string,"job_id": string,"kind": string,"last_checkpoint_at": string | null,"last_progress_at": string | null,"liveness": string | null,"message": string | null,"name": string,"percent_complete": number | null,"rate_per_s": number | null,"state": string,"tenant_id": string
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "message_budget"
      referencedColumns: ["tenant_id"]
    },{
      foreignKeyName: "jobs_tenant_exists"
      columns: ["tenant_id"]
isOneToOne: false
      referencedRelation: "tenants"
      referencedColumns: ["tenant_id"]
    }
                  ]
                },"message_budget": {
                  Row: {
                    "coalesced": number | null,"interval_ms": number | null,"jobs_at_work": number | null,"messages_per_s": number,"pro_plan_usd_per_month": number | null,"projected_per_month": number | null,"sent_last_day": number | null,"sent_last_hour": number | null,"sent_last_minute": number | null,"share_of_free_plan": number | null,"share_of_pro_plan": number | null,"tenant_id": string
                  }
                  ComputedFields: never
                  Relationships: [

                  ]
                },"stage_progress": {
                  Row: {
                    "bytes_processed": number,"finished_at": string | null,"items_canceled": number,"items_completed": number,"items_failed": number,"items_skipped": number,"items_total": number | null,"job": string,"job_id": string,"kind": string,"percent_complete": number | null,"position": number,"stage": string,"started_at": string | null,"state": string,"tenant_id": string,"weight": number
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_progress"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "job_status"
      referencedColumns: ["job_id"]
    },{
      foreignKeyName: "stages_job_exists"
      columns: ["job_id"]
isOneToOne: false
      referencedRelation: "jobs"
      referencedColumns: ["job_id"]
    }
                  ]
                }
          }
          Functions: {
            "add_alert_channel":
{ Args: { "address": string,"name": string,"quiet_from"?: string,"quiet_until"?: string,"tenant_id"?: string,"time_zone"?: string,"type": string }; Returns: Json
                           },
"add_member":
{ Args: { "role"?: string,"tenant_id": string,"user_id": string }; Returns: Json
                           },
"backtest":
{ Args: { "kind"?: string,"limit"?: number }; Returns: Json
                           },
"call_with_key":
{ Args: { "args"?: Json,"key_hash": string,"rpc": string }; Returns: Json
                           },
"cancel_job":
{ Args: { "job_id": string,"reason"?: string }; Returns: Json
                           },
"claim_job":
{ Args: { "caller": Json,"kinds"?: (string)[],"worker"?: string }; Returns: Json
                           },
"create_job":
{ Args: { "caller": Json,"job": Json }; Returns: Json
                           },
"create_key":
{ Args: { "expires_at"?: string,"kinds"?: (string)[],"name"?: string,"scope": string,"tenant_id": string }; Returns: Json
                           },
"create_tenant":
{ Args: { "admin"?: string,"name": string }; Returns: Json
                           },
"explain_job":
{ Args: { "job_id": string }; Returns: Json
                           },
"get_job_health":
{ Args: { "job_id": string }; Returns: Json
                           },
"get_job_progress":
{ Args: { "job_id": string }; Returns: Json
                           },
"get_jobs_health":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"get_loading_progress":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"get_metrics":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"get_stuck_jobs":
{ Args: Record<PropertyKey, never>; Returns: {
              "attempt": number,"job": string,"job_id": string,"kind": string,"last_checkpoint_at": string,"last_progress_at": string,"liveness": string,"max_attempts": number,"reason": string,"silence_s": number,"state": string,"threshold_s": number
            }[]
                           },
"get_system_metrics":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"installation":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"job_counts":
{ Args: { "tenant"?: string }; Returns: Json
                           },
"job_history_stats":
{ Args: { "by"?: string,"kind"?: (string)[],"q"?: string,"since"?: string,"state"?: (string)[],"tenant_id"?: string,"until"?: string,"zone"?: string }; Returns: Json
                           },
"job_predictions":
{ Args: { "job_id": string }; Returns: Json
                           },
"list_alert_channels":
{ Args: { "tenant_id"?: string }; Returns: Json
                           },
"list_alert_rules":
{ Args: { "tenant_id"?: string }; Returns: Json
                           },
"list_alerts":
{ Args: { "after"?: string,"limit"?: number,"status"?: string,"tenant_id"?: string }; Returns: Json
                           },
"list_audit":
{ Args: { "action"?: (string)[],"after"?: string,"job_id"?: string,"limit"?: number }; Returns: Json
                           },
"list_checkpoints":
{ Args: { "after"?: string,"job_id": string,"limit"?: number }; Returns: Json
                           },
"list_events":
{ Args: { "after"?: string,"job_id": string,"limit"?: number,"type"?: (string)[] }; Returns: Json
                           },
"list_finished_jobs":
{ Args: { "after"?: string,"kind"?: (string)[],"limit"?: number,"q"?: string,"since"?: string,"state"?: (string)[],"tenant_id"?: string,"until"?: string,"whole"?: boolean }; Returns: Json
                           },
"list_items":
{ Args: { "after"?: string,"job_id": string,"limit"?: number,"q"?: string,"stage"?: string,"state"?: (string)[] }; Returns: Json
                           },
"list_keys":
{ Args: { "tenant_id": string }; Returns: Json
                           },
"list_members":
{ Args: { "tenant_id": string }; Returns: Json
                           },
"list_shares":
{ Args: { "job_id": string }; Returns: Json
                           },
"list_tenants":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"mute_alerts":
{ Args: { "job_id"?: string,"kind"?: string,"reason"?: string,"rule"?: string,"tenant_id"?: string,"until": string }; Returns: Json
                           },
"pause_job":
{ Args: { "job_id": string,"reason"?: string }; Returns: Json
                           },
"ping_job":
{ Args: { "caller": Json,"exit_status"?: number,"job": string,"message"?: string,"signal": string }; Returns: Json
                           },
"purge_history":
{ Args: { "at"?: string }; Returns: Json
                           },
"record_checkpoints":
{ Args: { "": Json }; Returns: Json
                           },
"remove_alert_channel":
{ Args: { "channel_id": string }; Returns: Json
                           },
"remove_member":
{ Args: { "tenant_id": string,"user_id": string }; Returns: Json
                           },
"reset_stuck_jobs":
{ Args: { "at"?: string }; Returns: Json
                           },
"resume_job":
{ Args: { "job_id": string,"reason"?: string }; Returns: Json
                           },
"retry_job":
{ Args: { "job_id": string,"reason"?: string }; Returns: Json
                           },
"revoke_key":
{ Args: { "key_id": string }; Returns: Json
                           },
"revoke_share":
{ Args: { "share_id": string }; Returns: Json
                           },
"schema_version":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"search_jobs":
{ Args: { "after"?: string,"kind"?: (string)[],"limit"?: number,"liveness"?: (string)[],"metadata"?: Json,"owner"?: string,"q"?: string,"since"?: string,"sort"?: string,"state"?: (string)[],"tenant"?: string,"until"?: string }; Returns: Json
                           },
"send_alerts":
{ Args: { "at"?: string,"hand_out"?: boolean,"results"?: Json }; Returns: Json
                           },
"set_alert_rule":
{ Args: { "for_s"?: number,"is_on"?: boolean,"rule": string,"tenant_id"?: string,"threshold"?: number,"window_s"?: number }; Returns: Json
                           },
"set_job_priority":
{ Args: { "job_id": string,"priority": number,"reason"?: string }; Returns: Json
                           },
"set_retention":
{ Args: { "keep_days": number,"tenant_id": string }; Returns: Json
                           },
"share_job":
{ Args: { "expires_in_s"?: number,"job_id": string }; Returns: Json
                           },
"shared_job":
{ Args: { "job"?: string,"token_hash": string }; Returns: Json
                           },
"stream_events":
{ Args: { "after"?: number,"limit"?: number,"tenant_ids": (string)[] }; Returns: Json
                           },
"sweep":
{ Args: { "at"?: string }; Returns: Json
                           }
          }
          Enums: {
            [_ in never]: never
          }
          CompositeTypes: {
            [_ in never]: never
          }
        }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "milepost">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
  ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    }
    ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    }
    ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    }
    ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
  ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
  ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  "milepost": {
          Enums: {

          }
        }
} as const
