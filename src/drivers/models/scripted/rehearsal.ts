/**
 * Test support: a small loop around the scripted model that carries out its tool calls for real, in a temporary git
 * repository, and answers in the text formats of the tool catalogue. It is the environment, not the driver.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { JsonObject } from '../../../base/json.ts';
import type { ModelMessage, ModelRequest, ToolResultPart } from '../../../features/models/port.ts';
import { defaultModelTimeouts } from '../../../features/models/port.ts';
import { type ToolName, toolArguments } from '../../../features/tools/catalog.ts';
import { createScriptedDriver } from './driver.ts';

export interface Scene {
  files: Record<string, string>;
  checks?: string[];
  title?: string;
  objective?: string;
  role?: string;
  sections?: string;
  maxOutputTokens?: number;
  maxTurns?: number;
  /** Stands in for a tool: a string is an error that the model sees. */
  refuse?: (name: string, args: JsonObject) => string | null;
}

export interface Outcome {
  decision: string;
  summary: string;
  commit: string | null;
  /** Every call in order. */
  calls: { name: string; args: JsonObject; result: string; is_error: boolean }[];
  /** Commands that were run on changed files before the end. */
  runs: number;
  turns: number;
  /** Text of a file at the end. */
  read(path: string): string;
  git(...args: string[]): string;
  messages: ModelMessage[];
}

const tools = [
  'list_files',
  'read_file',
  'edit_file',
  'search_files',
  'run_command',
  'git_diff',
  'git_commit',
  'send_message',
  'submit_result',
];

export function request(system: string, messages: ModelMessage[], offered: string[] = tools): ModelRequest {
  return {
    model: 'team',
    system,
    messages,
    tools: offered.map(name => ({ name, description: name, input_schema: { type: 'object' } })),
    tool_choice: 'auto',
    max_output_tokens: 8_000,
  };
}

export const callOptions = () => ({
  signal: new AbortController().signal,
  timeouts: defaultModelTimeouts,
  idempotency_key: 'k',
  request_id: 'r',
});

export function brief(scene: Pick<Scene, 'title' | 'objective' | 'checks' | 'sections'>): string {
  const checks = scene.checks ?? [];
  const section =
    checks.length === 0
      ? ''
      : `## Checks\nCommands that the server runs on the delivered commit; all must exit with 0.\n${checks.map(check => `- \`${check}\``).join('\n')}\n\n`;
  return `# Task tsk_1: ${scene.title ?? 'Repair the failing test'}\n\n## Objective\n${scene.objective ?? 'A test fails. Fix the code.'}\n\n${section}${scene.sections ?? '## Decisions\nEnd with submit_result and one of: done, gave_up\n'}`;
}

export async function rehearse(scene: Scene): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), 'scripted-'));
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      cwd: root,
      encoding: 'utf8',
    }).stdout;
  try {
    for (const [path, text] of Object.entries(scene.files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    git('init', '-q', '-b', 'main');
    git('add', '-A');
    git('commit', '-q', '-m', 'start');
    return await play(scene, root, git);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function play(scene: Scene, root: string, git: Outcome['git']): Promise<Outcome> {
  const driver = createScriptedDriver();
  const role = scene.role ?? 'coder';
  const system = `You are Cora, Coder in the team test.\nRole: ${role}\nYou report to lead.\n\nWork carefully.`;
  const messages: ModelMessage[] = [{ role: 'user', content: [{ type: 'text', text: brief(scene) }] }];
  const calls: Outcome['calls'] = [];
  for (let turn = 1; turn <= (scene.maxTurns ?? 60); turn += 1) {
    const outcome = await driver.call(
      { ...request(system, messages), max_output_tokens: scene.maxOutputTokens ?? 8_000 },
      callOptions(),
    );
    if (!outcome.ok) throw new Error(outcome.failure.message);
    messages.push({ role: 'assistant', content: outcome.content });
    const results: ToolResultPart[] = [];
    for (const part of outcome.content) {
      if (part.type !== 'tool_call') continue;
      const args: JsonObject = toolArguments[part.name as ToolName].parse(part.arguments) as JsonObject;
      if (part.name === 'submit_result') {
        const files = new Map(
          git('ls-files')
            .split('\n')
            .filter(Boolean)
            .map(path => [path, readFileSync(join(root, path), 'utf8')]),
        );
        const frozen = new Map<string, string>();
        for (const command of ['log --format=%B -n 1', 'status --porcelain', 'diff --name-only HEAD~1 HEAD'])
          frozen.set(command, git(...command.split(' ')));
        return {
          decision: String(args.decision),
          summary: String(args.summary),
          commit: args.commit as string | null,
          calls,
          runs: calls.filter(call => call.name === 'run_command').length,
          turns: turn,
          read: path => files.get(path) ?? '',
          git: (...words) => frozen.get(words.join(' ')) ?? '',
          messages,
        };
      }
      const refused = scene.refuse?.(part.name, args) ?? null;
      const done =
        refused === null ? perform(root, git, part.name, args) : { content: refused, is_error: true };
      calls.push({ name: part.name, args, result: done.content, is_error: done.is_error });
      results.push({ type: 'tool_result', tool_call_id: part.id, ...done });
    }
    if (results.length === 0)
      throw new Error(`No tool call: ${JSON.stringify(outcome.content).slice(0, 500)}`);
    messages.push({ role: 'tool', content: results });
  }
  throw new Error('The model did not hand in.');
}

function perform(
  root: string,
  git: Outcome['git'],
  name: string,
  args: JsonObject,
): { content: string; is_error: boolean } {
  const ok = (content: string) => ({ content, is_error: false });
  const wrong = (content: string) => ({ content, is_error: true });
  const path = join(root, String(args.path ?? '.'));
  if (name === 'list_files') return ok(git('ls-files').trim());
  if (name === 'read_file') {
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return wrong(`There is no file ${args.path}.`);
    const text = readFileSync(path, 'utf8');
    const lines = text.replace(/\n$/, '').split('\n').length;
    return ok(`path: ${args.path}\nlines: 1-${lines} of ${lines}\n---\n${text}`);
  }
  if (name === 'edit_file') {
    const text = readFileSync(path, 'utf8');
    const count = text.split(String(args.old_text)).length - 1;
    if (count !== 1) return wrong(`old_text occurs ${count} times.`);
    writeFileSync(
      path,
      text.replace(String(args.old_text), () => String(args.new_text)),
    );
    return ok(`edited: ${args.path}\nreplacements: 1`);
  }
  if (name === 'run_command') {
    const started = performance.now();
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const done = spawnSync('bash', ['-c', String(args.command)], {
      cwd: root,
      encoding: 'utf8',
      timeout: Number(args.timeout_seconds) * 1_000,
      killSignal: 'SIGKILL',
      env,
    });
    const head = done.status === null ? 'outcome: timed_out' : `exit_code: ${done.status}`;
    return ok(
      `${head}\nduration_ms: ${Math.round(performance.now() - started)}\n--- stdout\n${done.stdout}\n--- stderr\n${done.stderr}`,
    );
  }
  if (name === 'git_diff') return ok(git('diff', 'HEAD') || 'no changes');
  if (name === 'git_commit') {
    git('add', '-A');
    git('commit', '-q', '-m', String(args.message));
    return ok(`commit: ${git('rev-parse', 'HEAD').trim()}\nbranch: main\nfiles: 1`);
  }
  return wrong(`No tool ${name}.`);
}
