/** The tables as types, in the order of the migrations. Columns and checks are explained there. */
import type { ColumnType, Generated, Insertable, JSONColumnType, Selectable, Updateable } from 'kysely';
import type { JsonObject } from '../../base/json.ts';
import type { AccessTables, ClassificationName } from './schema-access.ts';
import type { SignInTables } from './schema-sign-in.ts';

type Json<T extends object = JsonObject> = JSONColumnType<T, string, string>;
type Time = ColumnType<Date, Date, Date>;
type TimeOrNull = ColumnType<Date | null, Date | null | undefined, Date | null>;

export interface OrganizationsTable {
  id: string;
  name: string;
  created_at: Time;
}

export interface TeamsTable {
  id: string;
  organization_id: string;
  name: string;
  template: string;
  parent_team_id: string | null;
  clearance: Generated<ClassificationName>;
  created_at: Time;
}

export interface AgentsTable {
  id: string;
  organization_id: string;
  team_id: string;
  name: string;
  reports_to: string | null;
  state: 'active' | 'draining' | 'paused';
  version: number;
  created_at: Time;
}

export interface AgentDefinitionsTable {
  agent_id: string;
  version: number;
  organization_id: string;
  title: string;
  role: string;
  description: string;
  instructions: string;
  model: string;
  tools: string[];
  max_output_tokens: number;
  created_by: string;
  created_at: Time;
}

export type TaskState =
  | 'draft'
  | 'queued'
  | 'running'
  | 'waiting'
  | 'paused'
  | 'in_review'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'timed_out'
  | 'dead_letter';
export type TaskWait = 'approval' | 'input' | 'children' | 'dependency' | 'budget' | 'time';

export interface Brief {
  objective: string;
  requirements: string[];
  out_of_scope: string[];
  inputs: string[];
  expected_outputs: string[];
  acceptance_criteria: string[];
}

/** Where the work of a task tree comes from. `dependencies`: folders shown read-only, relative to the root. */
export interface TaskSource {
  kind: 'path' | 'url';
  location: string;
  branch: string;
  commit: string;
  setup: string | null;
  dependencies: string[];
}

export interface TasksTable {
  id: string;
  sequence: Generated<number>;
  organization_id: string;
  project_id: string;
  root_task_id: string;
  parent_task_id: string | null;
  parent_run_id: string | null;
  parent_call_id: string | null;
  subject_task_id: string | null;
  depth: number;
  agent_id: string;
  requester: string;
  kind: 'work' | 'verification';
  title: string;
  brief: Json<Brief>;
  checks: string[];
  decisions: string[];
  source: JSONColumnType<TaskSource, string, string> | null;
  base_commit: string | null;
  state: TaskState;
  waiting_on: TaskWait | null;
  state_reason: string | null;
  round: Generated<number>;
  max_rounds: Generated<number>;
  max_turns: number;
  deadline_at: Time;
  accept_by: TimeOrNull;
  accepted_at: TimeOrNull;
  decision: string | null;
  summary: string | null;
  delivered_commit: string | null;
  delivered_branch: string | null;
  request_id: string;
  version: Generated<number>;
  created_at: Time;
  started_at: TimeOrNull;
  ended_at: TimeOrNull;
  updated_at: Time;
}

export interface TaskDependenciesTable {
  task_id: string;
  depends_on: string;
  organization_id: string;
}

export type RunState =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'timed_out'
  | 'lost';

/** What a waiting run waits for. */
export type RunWait =
  | { kind: 'children'; call_ids: string[] }
  | { kind: 'approval'; approval_id: string; question: boolean }
  | { kind: 'budget'; budget_ids: string[]; minimum_micros: number | null }
  | { kind: 'time' }
  | { kind: 'paused' };

export interface RunsTable {
  id: string;
  organization_id: string;
  task_id: string;
  agent_id: string;
  agent_version: number;
  round: number;
  model: string;
  state: RunState;
  waiting_on: JSONColumnType<RunWait, string, string | null> | null;
  state_reason: string | null;
  fencing_token: Generated<number>;
  worker_id: string | null;
  lease_until: TimeOrNull;
  failure_count: Generated<number>;
  wake_at: TimeOrNull;
  stop_requested: 'cancel' | 'pause' | 'time_out' | null;
  request_id: string;
  created_at: Time;
  started_at: TimeOrNull;
  ended_at: TimeOrNull;
}

export interface StepsTable {
  run_id: string;
  seq: number;
  organization_id: string;
  task_id: string;
  root_task_id: string;
  kind: 'notice' | 'model' | 'tool';
  name: string;
  call_id: string | null;
  outcome: 'ok' | 'failed' | 'refused';
  data: Json;
  idempotency_key: string;
  fencing_token: number;
  actor: string;
  request_id: string;
  started_at: Time;
  ended_at: Time;
  xid: Generated<string>;
  fact_seq: Generated<number>;
}

export interface IntentsTable {
  idempotency_key: string;
  organization_id: string;
  run_id: string;
  seq: number;
  name: string;
  fencing_token: number;
  created_at: Time;
  effect: string;
}

export interface MessagesTable {
  id: string;
  organization_id: string;
  task_id: string | null;
  sender: string;
  recipient_agent_id: string;
  subject: string;
  body: string;
  created_at: Time;
  read_at: TimeOrNull;
}

export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'expired' | 'cancelled';

export interface ApprovalsTable {
  id: string;
  organization_id: string;
  task_id: string;
  run_id: string;
  call_id: string;
  kind: 'question' | 'tool_call';
  question: string;
  options: string[];
  payload_hash: string;
  state: ApprovalState;
  answer: string | null;
  decided_by: string | null;
  created_at: Time;
  expires_at: Time;
  decided_at: TimeOrNull;
}

export interface ToolPoliciesTable {
  id: string;
  organization_id: string;
  position: number;
  tool: string;
  agent_role: string | null;
  argument_pattern: string | null;
  outcome: 'allow' | 'ask' | 'deny';
  reason: string;
  created_at: Time;
}

export interface ChecksTable {
  id: string;
  organization_id: string;
  task_id: string;
  round: number;
  kind: 'command' | 'verification' | 'delivery';
  command: string;
  commit: string | null;
  exit_code: number | null;
  outcome: string;
  passed: boolean;
  output: string;
  duration_ms: number;
  created_at: Time;
}

export interface ArtifactsTable {
  id: string;
  organization_id: string;
  task_id: string;
  name: string;
  media_type: string;
  sha256: string;
  content: Buffer;
  created_at: Time;
}

export interface PricesTable {
  id: string;
  /** Null: a published price, for all. */
  organization_id: Generated<string | null>;
  provider: string;
  model: string;
  valid_from: Time;
  input_micros: number;
  cached_read_micros: number;
  cached_write_micros: number;
  output_micros: number;
  source: string;
}

export interface BudgetsTable {
  id: string;
  organization_id: string;
  scope: 'organization' | 'project' | 'task';
  scope_id: string;
  limit_micros: number;
  spent_micros: Generated<number>;
  reserved_micros: Generated<number>;
  created_at: Time;
}

export interface ReservationsTable {
  idempotency_key: string;
  organization_id: string;
  run_id: string;
  task_id: string;
  budget_ids: string[];
  amount_micros: number;
  state: 'open' | 'settled' | 'released';
  created_at: Time;
  closed_at: TimeOrNull;
}

export interface UsageRecordsTable {
  organization_id: string;
  project_id: string;
  task_id: string;
  root_task_id: string;
  run_id: string;
  agent_id: string;
  idempotency_key: string;
  reservation_key: string | null;
  provider: string;
  model: string;
  input_tokens: number;
  cached_read_tokens: number;
  cached_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  exact: boolean;
  price_id: string | null;
  cost_micros: number | null;
  created_at: Time;
}

export interface EventsTable {
  xid: Generated<string>;
  seq: Generated<number>;
  organization_id: string;
  type: string;
  task_id: string | null;
  root_task_id: string | null;
  run_id: string | null;
  actor: string;
  request_id: string | null;
  data: Json;
  created_at: Time;
}

export interface AuditRecordsTable {
  id: Generated<number>;
  organization_id: string | null;
  actor: string;
  action: string;
  target: string | null;
  outcome: 'ok' | 'refused' | 'failed';
  data: Json;
  request_id: string | null;
  created_at: Time;
  xid: Generated<string>;
  fact_seq: Generated<number>;
}

export interface AuditKeysTable {
  number: Generated<number>;
  id: string;
  public_key: Buffer;
  sealed_private_key: string;
  created_at: Time;
}

export interface AuditSealsTable {
  organization_id: string;
  number: number;
  class: 'administrative' | 'access' | 'call';
  from_xid: string;
  from_seq: number;
  to_xid: string;
  to_seq: number;
  record_count: number;
  entries: Buffer;
  previous_hash: Buffer;
  hash: Buffer;
  introduces_key: string | null;
  key_id: string;
  signature: Buffer;
  sealed_at: Time;
  pruned_at: TimeOrNull;
}

export interface IdempotencyKeysTable {
  organization_id: string;
  actor: string;
  key: string;
  request_hash: string;
  status: number | null;
  body: JSONColumnType<JsonObject, string | null, string | null> | null;
  created_at: Time;
}

export interface WorkersTable {
  id: string;
  host: string;
  pid: number;
  state: 'active' | 'draining' | 'stopped' | 'dead';
  queue_worker_ids: string[];
  started_at: Time;
  heartbeat_at: Time;
}

export interface DeadLettersTable {
  id: string;
  organization_id: string;
  task_id: string;
  run_id: string;
  code: string;
  reason: string;
  created_at: Time;
  replayed_at: TimeOrNull;
}

export interface MasterKeysTable {
  key_id: string;
  is_current: boolean;
  added_at: Time;
}

export interface DerivationRootTable {
  is_only: Generated<boolean>;
  sealed: string;
}

export interface SecretsTable {
  id: string;
  organization_id: string;
  name: string;
  version: number;
  sealed_value: string | null;
  created_by: string;
  created_at: Time;
  rotate_by: TimeOrNull;
  last_used_at: TimeOrNull;
  replaced_at: TimeOrNull;
  revoked_at: TimeOrNull;
}

export interface WsTicketsTable {
  ticket_hash: string;
  organization_id: string;
  expires_at: Time;
}

export interface Tables extends SignInTables, AccessTables {
  organizations: OrganizationsTable;
  teams: TeamsTable;
  agents: AgentsTable;
  agent_definitions: AgentDefinitionsTable;
  tasks: TasksTable;
  task_dependencies: TaskDependenciesTable;
  runs: RunsTable;
  steps: StepsTable;
  intents: IntentsTable;
  messages: MessagesTable;
  approvals: ApprovalsTable;
  tool_policies: ToolPoliciesTable;
  checks: ChecksTable;
  artifacts: ArtifactsTable;
  prices: PricesTable;
  budgets: BudgetsTable;
  reservations: ReservationsTable;
  usage_records: UsageRecordsTable;
  events: EventsTable;
  audit_records: AuditRecordsTable;
  audit_keys: AuditKeysTable;
  audit_seals: AuditSealsTable;
  idempotency_keys: IdempotencyKeysTable;
  workers: WorkersTable;
  dead_letters: DeadLettersTable;
  master_keys: MasterKeysTable;
  derivation_root: DerivationRootTable;
  secrets: SecretsTable;
  ws_tickets: WsTicketsTable;
}

export type Row<T extends keyof Tables> = Selectable<Tables[T]>;
export type NewRow<T extends keyof Tables> = Insertable<Tables[T]>;
export type RowChange<T extends keyof Tables> = Updateable<Tables[T]>;
