/** One line for each tool call: what it was about, and what came of it. Formats are those of the tool catalogue. */
import { isRecord, type ToolCall, textOf } from './journal.ts';

/** The facts at the head of a result (`key: value` lines) and the raw text that follows the first `---` line. */
export function readResult(content: string): { facts: Map<string, string>; rest: string } {
  const facts = new Map<string, string>();
  const lines = content.split('\n');
  let at = 0;
  for (; at < lines.length; at++) {
    const line = lines[at] as string;
    if (line.startsWith('---')) break;
    const fact = /^([a-z_]{1,30}): (.*)$/.exec(line);
    if (!fact) break;
    facts.set(fact[1] as string, fact[2] as string);
  }
  return { facts, rest: lines.slice(at).join('\n') };
}

const oneLine = (text: string): string => text.split('\n')[0]?.trim() ?? '';

/** What a call is about: the file, the command, the colleague. */
export function subjectOf(call: ToolCall): string {
  const { arguments: args } = call;
  const text = (key: string) => textOf(args, key);
  switch (call.name) {
    case 'run_command':
      return oneLine(text('command'));
    case 'search_files':
      return `/${text('pattern')}/${text('path') && text('path') !== '.' ? ` in ${text('path')}` : ''}`;
    case 'list_files':
    case 'git_diff':
      return text('path') || '.';
    case 'git_commit':
      return oneLine(text('message'));
    case 'delegate':
      return `${text('assignee')}: ${text('title')}`;
    case 'ask_human':
      return oneLine(text('question'));
    case 'send_message':
      return `to ${text('to')}${text('subject') ? `: ${text('subject')}` : ''}`;
    case 'submit_result':
    case 'decide_assignment':
      return text('decision');
    default:
      return text('path') || oneLine(JSON.stringify(args));
  }
}

/** What came of it, in a few words; empty when nothing needs saying. */
export function outcomeOf(name: string, content: string, isError: boolean): string {
  const { facts, rest } = readResult(content);
  if (isError) return oneLine(content);
  const fact = (key: string) => facts.get(key);
  switch (name) {
    case 'run_command':
      return fact('exit_code') !== undefined
        ? `exit ${fact('exit_code')}`
        : (fact('outcome') ?? '').replace('_', ' ');
    case 'read_file':
      return fact('lines') ? `lines ${fact('lines')}` : '';
    case 'write_file':
      return fact('bytes') ? `${fact('bytes')} bytes` : '';
    case 'edit_file':
      return fact('replacements') === '1' ? '1 replacement' : `${fact('replacements') ?? '?'} replacements`;
    case 'list_files':
    case 'search_files': {
      const count = rest.split('\n').filter(line => line !== '').length;
      return count === 1 ? '1 line' : `${count} lines`;
    }
    case 'git_diff':
      return oneLine(content) === 'no changes' ? 'no changes' : `${changedLines(content)} changed lines`;
    case 'git_commit':
      return fact('commit')?.slice(0, 10) ?? oneLine(content);
    case 'delegate':
      return [fact('state'), fact('decision')?.replace('_', ' ')].filter(Boolean).join(', ');
    case 'ask_human':
      return fact('answer') ?? '';
    default:
      return '';
  }
}

const changedLines = (diff: string): number =>
  diff.split('\n').filter(line => /^[+-](?![+-]{2} )/.test(line)).length;

/** Exit code other than zero, or no exit at all. The call itself worked; what it ran did not. */
export function endedBadly(name: string, content: string): boolean {
  if (name !== 'run_command') return false;
  const { facts } = readResult(content);
  return facts.get('exit_code') !== '0';
}

/** Arguments worth showing apart, long texts first as text; the rest as they are. */
export function showArguments(args: Record<string, unknown>): { name: string; text: string }[] {
  return Object.entries(args)
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => ({ name, text: showValue(value) }));
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every(item => typeof item === 'string'))
    return value.map(v => `- ${v}`).join('\n');
  return isRecord(value) || Array.isArray(value) ? JSON.stringify(value, null, 2) : String(value);
}
