/**
 * The tools in the box: name, what the model is told, the schema of the arguments, and how each behaves.
 *
 * Results are plain text that a model reads. Where a result has several facts it opens with `key: value` lines;
 * a line `---` (or `--- stdout`) starts raw content. The formats are part of the contract:
 *
 *   list_files     one path a line, relative to /workspace, directories end in `/`
 *   read_file      `path: p` / `lines: 1-40 of 40` / `---` / the raw text
 *   write_file     `wrote: p` / `bytes: n`
 *   edit_file      `edited: p` / `replacements: n`
 *   search_files   `path:line:text` a line
 *   run_command    `exit_code: n` (or `outcome: timed_out` …) / `duration_ms: n` / `--- stdout` / … / `--- stderr` / …
 *   git_diff       the unified diff against the base commit of the workspace, or `no changes`
 *   git_commit     `commit: <sha>` / `branch: b` / `files: n`, or `nothing to commit`
 *   delegate       when the child task has ended: `task: id` / `assignee: name` / `state: succeeded|failed|…` /
 *                  `decision: done|gave_up|pass|fail` / `commit: <sha>` (when it delivered one) /
 *                  `checks: passed|failed|none` / `---` / its summary, the report of failed checks
 *   ask_human      `answer: …`
 *   send_message   `sent: <message id>` / `to: name`
 *   submit_result  ends the run; the model sees no result
 *   decide_assignment  `accepted`; a rejection ends the run
 */
import { z } from 'zod';

const path = z.string().min(1).max(1_000).describe('Path relative to the root of the repository.');

export const delegateArguments = z.strictObject({
  assignee: z.string().min(1).max(100).describe('Name of the agent, one of your direct reports.'),
  kind: z
    .enum(['work', 'verification'])
    .default('work')
    .describe('`verification`: the assignee judges the result of `subject_task` and decides pass or fail.'),
  title: z.string().min(1).max(200),
  objective: z
    .string()
    .min(1)
    .max(20_000)
    .describe('What is to be achieved, in full: the assignee sees nothing else.'),
  requirements: z.array(z.string().max(2_000)).max(50).default([]),
  out_of_scope: z.array(z.string().max(2_000)).max(50).default([]),
  inputs: z.array(z.string().max(2_000)).max(50).default([]).describe('Files, facts or links to start from.'),
  expected_outputs: z.array(z.string().max(2_000)).max(50).default([]),
  acceptance_criteria: z.array(z.string().max(2_000)).min(1).max(50),
  checks: z
    .array(z.string().min(1).max(2_000))
    .max(20)
    .default([])
    .describe('Commands that the server runs on the delivered commit; all must exit with 0.'),
  subject_task: z
    .string()
    .max(40)
    .nullable()
    .default(null)
    .describe('Task whose delivered commit this one starts from; required for a verification.'),
  deadline_minutes: z.number().int().min(1).max(10_080).default(60),
  budget_usd: z
    .number()
    .positive()
    .max(100_000)
    .nullable()
    .default(null)
    .describe('Carved from your own; null: share yours.'),
  max_turns: z.number().int().min(1).max(500).default(60),
});

export const toolArguments = {
  list_files: z.strictObject({
    path: path.default('.'),
    recursive: z.boolean().default(true),
    max_entries: z.number().int().min(1).max(5_000).default(500),
  }),
  read_file: z.strictObject({
    path,
    start_line: z.number().int().min(1).default(1),
    max_lines: z.number().int().min(1).max(5_000).default(1_000),
  }),
  write_file: z.strictObject({ path, content: z.string().max(1_000_000) }),
  edit_file: z.strictObject({
    path,
    old_text: z
      .string()
      .min(1)
      .max(100_000)
      .describe('Exact text to replace; must occur once unless replace_all.'),
    new_text: z.string().max(100_000),
    replace_all: z.boolean().default(false),
  }),
  search_files: z.strictObject({
    pattern: z.string().min(1).max(500).describe('POSIX extended regular expression.'),
    path: path.default('.'),
    max_results: z.number().int().min(1).max(1_000).default(100),
  }),
  run_command: z.strictObject({
    command: z
      .string()
      .min(1)
      .max(20_000)
      .describe('Run by bash in the sandbox, at the root of the repository.'),
    timeout_seconds: z.number().int().min(1).max(3_600).default(120),
  }),
  git_diff: z.strictObject({ path: path.nullable().default(null) }),
  git_commit: z.strictObject({ message: z.string().min(1).max(10_000) }),
  delegate: delegateArguments,
  ask_human: z.strictObject({
    question: z.string().min(1).max(5_000),
    options: z.array(z.string().min(1).max(200)).max(10).default([]),
  }),
  send_message: z.strictObject({
    to: z
      .string()
      .min(1)
      .max(100)
      .describe('Name of an agent you work with: your manager, a direct report, a peer.'),
    subject: z.string().max(200).default(''),
    body: z.string().min(1).max(20_000),
  }),
  submit_result: z.strictObject({
    decision: z.string().min(1).max(40).describe('One of the decisions that the task allows.'),
    summary: z
      .string()
      .min(1)
      .max(20_000)
      .describe('What was done and how it was shown, for whoever gave the task.'),
    commit: z
      .string()
      .regex(/^[0-9a-f]{7,64}$/)
      .nullable()
      .default(null)
      .describe(
        'Commit to deliver: your own, or one that a child task delivered. Null: the head of your workspace if it moved.',
      ),
  }),
  decide_assignment: z.strictObject({
    decision: z.enum(['accept', 'reject']),
    reason: z.string().max(2_000).default('').describe('Required for a rejection.'),
  }),
} as const;

export type ToolName = keyof typeof toolArguments;
export type ToolArguments<Name extends ToolName> = z.output<(typeof toolArguments)[Name]>;

/**
 * What follows a crash between the start of a call and its journaled result:
 * `repeat`: reading or idempotent, call again; `look_up`: find out whether it happened (the key is left in the
 * effect); `transaction`: the effect is rows written together with the step, so it either happened or did not.
 */
export type Recovery = 'repeat' | 'look_up' | 'transaction';

export interface ToolBehaviour {
  description: string;
  recovery: Recovery;
  /** `sandbox` tools run in the task's workspace; `control` tools change rows only. */
  place: 'sandbox' | 'control';
  writes: boolean;
}

export const toolBehaviours: Record<ToolName, ToolBehaviour> = {
  list_files: {
    place: 'sandbox',
    writes: false,
    recovery: 'repeat',
    description: 'List the files of the repository (what git ignores is left out).',
  },
  read_file: {
    place: 'sandbox',
    writes: false,
    recovery: 'repeat',
    description: 'Read a text file, or some lines of it.',
  },
  write_file: {
    place: 'sandbox',
    writes: true,
    recovery: 'repeat',
    description: 'Create or overwrite a text file.',
  },
  edit_file: {
    place: 'sandbox',
    writes: true,
    recovery: 'look_up',
    description: 'Replace an exact piece of text in a file.',
  },
  search_files: {
    place: 'sandbox',
    writes: false,
    recovery: 'repeat',
    description: 'Search file contents with a regular expression.',
  },
  run_command: {
    place: 'sandbox',
    writes: true,
    recovery: 'repeat',
    description: 'Run a shell command in the sandbox: no network, limited time, memory and output.',
  },
  git_diff: {
    place: 'sandbox',
    writes: false,
    recovery: 'repeat',
    description: 'Show all changes since the start of the task, committed or not.',
  },
  git_commit: {
    place: 'sandbox',
    writes: true,
    recovery: 'look_up',
    description: 'Commit all changes on the branch of the task.',
  },
  delegate: {
    place: 'control',
    writes: true,
    recovery: 'transaction',
    description:
      'Give a task to one of your direct reports and wait for its end. Several in one turn run in parallel.',
  },
  ask_human: {
    place: 'control',
    writes: true,
    recovery: 'transaction',
    description: 'Ask the people responsible a question and wait for the answer.',
  },
  send_message: {
    place: 'control',
    writes: true,
    recovery: 'transaction',
    description: 'Send a message to a colleague; it is seen at their next turn.',
  },
  submit_result: {
    place: 'control',
    writes: true,
    recovery: 'transaction',
    description: 'Hand in the result and end your work on this task.',
  },
  decide_assignment: {
    place: 'control',
    writes: true,
    recovery: 'transaction',
    description: 'Accept or reject the task that was given to you.',
  },
};
