/**
 * A small loop around the scripted model for its tests: it carries out tool calls for real, in a temporary git
 * repository, and answers in the text formats of the tool catalogue. It is the environment, not the driver.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { JsonObject } from '../../../base/json.ts';
import {
  defaultModelTimeouts,
  type ModelCallOptions,
  type ModelMessage,
  type ModelRequest,
  type ToolResultPart,
} from '../../../features/models/port.ts';
import { type ToolName, toolArguments } from '../../../features/tools/catalog.ts';
import { createScriptedDriver } from './driver.ts';

export interface Scene {
  files: Record<string, string>;
  /** Files of a second commit, for the tester to judge. */
  delivered?: Record<string, string>;
  checks?: string[];
  title?: string;
  objective?: string;
  role?: string;
  /** The end of the brief, given the commit that the repository is at. */
  sections?: (head: string) => string;
  maxOutputTokens?: number;
  /** Stands in for a tool: a string is an error that the model sees. */
  refuse?: (name: string, args: JsonObject) => string | null;
}

export interface Outcome {
  decision: string;
  summary: string;
  commit: string | null;
  /** Every call in order, `submit_result` left out. */
  calls: { name: string; args: JsonObject; result: string }[];
  /** How many commands were run. */
  runs: number;
  /** Tracked files at the end. */
  files: Map<string, string>;
  head: string;
  /** What git says is not committed. */
  status: string;
  /** Files that differ between the first commit and the last. */
  changed: string[];
  messages: ModelMessage[];
}

const coderTools = [
  'list_files',
  'read_file',
  'write_file',
  'edit_file',
  'search_files',
  'run_command',
  'git_diff',
  'git_commit',
  'send_message',
  'submit_result',
];

export function requestOf(system: string, messages: ModelMessage[], tools = coderTools): ModelRequest {
  return {
    model: 'team',
    system,
    messages,
    tools: tools.map(name => ({ name, description: name, input_schema: { type: 'object' } })),
    tool_choice: 'auto',
    max_output_tokens: 8_000,
  };
}

export function callOptions(more: Partial<ModelCallOptions> = {}): ModelCallOptions {
  return {
    signal: new AbortController().signal,
    timeouts: defaultModelTimeouts,
    idempotency_key: 'k',
    request_id: 'r',
    ...more,
  };
}

export const decisions = (...words: string[]) =>
  `## Decisions\nEnd with submit_result and one of: ${words.join(', ')}`;

export function briefOf(scene: Pick<Scene, 'title' | 'objective' | 'checks'>, end: string): string {
  const checks = (scene.checks ?? []).map(check => `- \`${check}\``).join('\n');
  return [
    `# Task tsk_1: ${scene.title ?? 'Repair the failing test'}`,
    `## Objective\n${scene.objective ?? 'A test fails. Fix the code.'}`,
    ...(checks === ''
      ? []
      : [
          `## Checks\nCommands that the server runs on the delivered commit; all must exit with 0.\n${checks}`,
        ]),
    end,
  ].join('\n\n');
}

export async function rehearse(scene: Scene): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), 'scripted-'));
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      cwd: root,
      encoding: 'utf8',
    }).stdout;
  const commit = (files: Record<string, string>, message: string) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    git('add', '-A');
    git('commit', '-q', '-m', message);
  };
  try {
    git('init', '-q', '-b', 'main');
    commit(scene.files, 'start');
    git('tag', 'start');
    if (scene.delivered) commit(scene.delivered, 'delivered');
    return await play(scene, root, git);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

type Git = (...args: string[]) => string;

async function play(scene: Scene, root: string, git: Git): Promise<Outcome> {
  const driver = createScriptedDriver();
  const system = `You are cora, Coder in the team test.\nRole: ${scene.role ?? 'coder'}\nYou report to lead.\n\nWork carefully.`;
  const end = scene.sections?.(git('rev-parse', 'HEAD').trim()) ?? decisions('done', 'gave_up');
  const messages: ModelMessage[] = [{ role: 'user', content: [{ type: 'text', text: briefOf(scene, end) }] }];
  const calls: Outcome['calls'] = [];
  for (let turn = 1; turn <= 60; turn += 1) {
    const request = { ...requestOf(system, messages), max_output_tokens: scene.maxOutputTokens ?? 8_000 };
    const outcome = await driver.call(request, callOptions());
    if (!outcome.ok) assert.fail(outcome.failure.message);
    messages.push({ role: 'assistant', content: outcome.content });
    const results: ToolResultPart[] = [];
    for (const part of outcome.content) {
      if (part.type !== 'tool_call') continue;
      const args = toolArguments[part.name as ToolName].parse(part.arguments) as JsonObject;
      if (part.name === 'submit_result')
        return {
          ...ended(root, git),
          ...submitted(args),
          calls,
          runs: calls.filter(call => call.name === 'run_command').length,
          messages,
        };
      const refused = scene.refuse?.(part.name, args) ?? null;
      const done =
        refused === null ? perform(root, git, part.name, args) : { content: refused, is_error: true };
      calls.push({ name: part.name, args, result: done.content });
      results.push({ type: 'tool_result', tool_call_id: part.id, ...done });
    }
    assert.ok(
      results.length > 0,
      `an answer without a call: ${JSON.stringify(outcome.content).slice(0, 500)}`,
    );
    messages.push({ role: 'tool', content: results });
  }
  assert.fail('the model did not hand in');
}

function submitted(args: JsonObject): Pick<Outcome, 'decision' | 'summary' | 'commit'> {
  return {
    decision: String(args.decision),
    summary: String(args.summary),
    commit: args.commit === null ? null : String(args.commit),
  };
}

function ended(root: string, git: Git): Pick<Outcome, 'files' | 'head' | 'status' | 'changed'> {
  const paths = git('ls-files').split('\n').filter(Boolean);
  return {
    files: new Map(paths.map(path => [path, readFileSync(join(root, path), 'utf8')])),
    head: git('rev-parse', 'HEAD').trim(),
    status: git('status', '--porcelain').trim(),
    changed: git('diff', '--name-only', 'start', 'HEAD').split('\n').filter(Boolean),
  };
}

type Result = Pick<ToolResultPart, 'content' | 'is_error'>;

const tools: Record<string, (root: string, git: Git, args: JsonObject) => Result> = {
  list_files: (_, git) => ok(git('ls-files').trim()),
  read_file(root, _, args) {
    const path = join(root, String(args.path));
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return wrong(`there is no file ${args.path}`);
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n');
    const total = text.endsWith('\n') ? lines.length - 1 : lines.length;
    const from = Number(args.start_line);
    const last = Math.min(total, from - 1 + Number(args.max_lines));
    const part = lines.slice(from - 1, last).join('\n') + (last === total && text.endsWith('\n') ? '\n' : '');
    return ok(`path: ${args.path}\nlines: ${from}-${last} of ${total}\n---\n${part}`);
  },
  edit_file(root, _, args) {
    const text = readFileSync(join(root, String(args.path)), 'utf8');
    const count = text.split(String(args.old_text)).length - 1;
    if (count !== 1) return wrong(`old_text occurs ${count} times in ${args.path}`);
    writeFileSync(
      join(root, String(args.path)),
      text.replace(String(args.old_text), () => String(args.new_text)),
    );
    return ok(`edited: ${args.path}\nreplacements: 1`);
  },
  run_command(root, _, args) {
    const started = performance.now();
    const { NODE_TEST_CONTEXT: __, ...inherited } = process.env;
    // Commands find the Node that runs the tests, whatever the host has.
    const env = { ...inherited, PATH: `${dirname(process.execPath)}:${inherited.PATH}` };
    // `timeout` ends the whole process group; killing bash alone would leave what it started.
    const seconds = Number(args.timeout_seconds);
    const done = spawnSync('timeout', ['-s', 'KILL', `${seconds}`, 'bash', '-c', String(args.command)], {
      cwd: root,
      encoding: 'utf8',
      env,
    });
    const elapsed = Math.round(performance.now() - started);
    const head = elapsed >= seconds * 1_000 ? 'outcome: timed_out' : `exit_code: ${done.status}`;
    return ok(`${head}\nduration_ms: ${elapsed}\n--- stdout\n${done.stdout}\n--- stderr\n${done.stderr}`);
  },
  git_diff: (_, git) => ok(git('diff', 'HEAD') || 'no changes'),
  git_commit(_, git, args) {
    git('add', '-A');
    git('commit', '-q', '-m', String(args.message));
    return ok(`commit: ${git('rev-parse', 'HEAD').trim()}\nbranch: main\nfiles: 1`);
  },
};

const ok = (content: string): Result => ({ content, is_error: false });
const wrong = (content: string): Result => ({ content, is_error: true });

function perform(root: string, git: Git, name: string, args: JsonObject): Result {
  return tools[name]?.(root, git, args) ?? wrong(`there is no tool ${name}`);
}

test('the rehearsal executes: a command that fails says so, an edit of a text that is not there is refused', async () => {
  const outcome = await rehearse({
    files: { 'check.mjs': 'process.exitCode = 3;\n' },
    checks: ['node check.mjs'],
  });
  const run = outcome.calls.find(call => call.name === 'run_command')!;
  assert.match(run.result, /^exit_code: 3\n/);
  const refusal = tools.edit_file!('/', () => '', {
    path: 'etc/hostname',
    old_text: 'not in there',
    new_text: '',
  });
  assert.match(refusal.content, /occurs 0 times/);
});
