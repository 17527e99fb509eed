/** The shapes of the API that the page uses, by the names that the API gives them. */

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

export interface AgentRef {
  id: string;
  name: string;
  role: string;
  title: string;
}

export interface TaskSummary {
  id: string;
  root_task_id: string;
  parent_task_id: string | null;
  subject_task_id: string | null;
  kind: 'work' | 'verification';
  title: string;
  state: TaskState;
  waiting_on: 'approval' | 'input' | 'children' | 'dependency' | 'budget' | 'time' | null;
  state_reason: string | null;
  agent: AgentRef;
  depth: number;
  round: number;
  max_rounds: number;
  decision: string | null;
  delivered_commit: string | null;
  delivered_branch: string | null;
  repository: { kind: 'path' | 'url'; location: string; branch: string; commit: string } | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  deadline_at: string;
}

export interface UsageSum {
  calls: number;
  tokens: {
    input_tokens: number;
    cached_read_tokens: number;
    cached_write_tokens: number;
    output_tokens: number;
    reasoning_tokens: number;
    total: number;
  };
  cost_micros: number;
  unpriced_calls: number;
}

export type TaskAction = 'cancel' | 'pause' | 'resume' | 'retry';

export interface TaskDetail extends TaskSummary {
  brief: {
    objective: string;
    requirements: string[];
    out_of_scope: string[];
    inputs: string[];
    expected_outputs: string[];
    acceptance_criteria: string[];
  };
  checks: string[];
  decisions: string[];
  summary: string | null;
  requester: string;
  max_turns: number;
  request_id: string;
  version: number;
  usage: UsageSum;
  tree_usage: UsageSum;
  budget: { limit_micros: number; spent_micros: number; reserved_micros: number } | null;
  /** Null: allowed. Otherwise the reason why not. */
  actions: Record<TaskAction, string | null>;
}

export interface Step {
  run_id: string;
  seq: number;
  task_id: string;
  kind: 'notice' | 'model' | 'tool';
  name: string;
  outcome: 'ok' | 'failed' | 'refused';
  data: Record<string, unknown>;
  started_at: string;
  ended_at: string;
}

export interface Check {
  id: string;
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
  created_at: string;
}

export interface Message {
  id: string;
  task_id: string | null;
  sender: string;
  recipient: string;
  subject: string;
  body: string;
  created_at: string;
}

export interface Approval {
  id: string;
  task_id: string;
  run_id: string;
  kind: 'question' | 'tool_call';
  question: string;
  options: string[];
  payload_hash: string;
  state: 'pending' | 'approved' | 'rejected' | 'expired' | 'cancelled';
  answer: string | null;
  decided_by: string | null;
  created_at: string;
  expires_at: string;
  decided_at: string | null;
}

export interface Agent extends AgentRef {
  team_id: string;
  description: string;
  instructions: string;
  model: string;
  tools: string[];
  max_output_tokens: number;
  reports_to: string | null;
  version: number;
  state: 'idle' | 'busy' | 'draining' | 'paused';
  open_runs: number;
  created_at: string;
}

export interface Team {
  id: string;
  name: string;
  template: string;
  created_at: string;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
}

export interface Me {
  member: { id: string; name: string; role: string };
  organization_id: string;
  scopes: string[];
  csrf_token: string | null;
}

export interface Component {
  name: string;
  state: 'ok' | 'failed';
  required: boolean;
  summary: string;
  fix: string | null;
}

export interface Health {
  ready: boolean;
  components: Component[];
}

export interface Version {
  name: string;
  version: string;
  git_sha: string | null;
  node: string;
}

export interface UsageTotal {
  calls: number;
  tokens: number;
  cost_micros: number;
  unpriced_calls: number;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface NewTask {
  request: string;
  team: string;
  repository: {
    location: string;
    branch: string | null;
    setup: string | null;
    allow_dirty: boolean;
  } | null;
  checks: string[];
  budget_usd: number | null;
  deadline_minutes: number;
}

export interface LiveEvent {
  id: string;
  type: string;
  task_id: string | null;
  root_task_id: string | null;
  run_id: string | null;
}
