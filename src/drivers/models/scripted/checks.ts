/** Which checks apply: those of the brief, else the repository's own test command, looked up with tool calls. */
import type { Answer, View } from './answer.ts';
import { guessTestCommand, manifestsIn, type TestCommand } from './test-command.ts';
import { readFileResult, readListing } from './tool-results.ts';
import { finished, textArgument } from './transcript.ts';

export interface Checks {
  commands: string[];
  /** Set when nobody named the command. */
  guess: TestCommand | null;
}

export function listedFiles(view: View): string[] {
  const listed = finished(view.transcript, 'list_files').findLast(use => !use.result.is_error);
  return listed ? readListing(listed.result.content) : [];
}

/** An answer with calls while the manifests that would tell are unread. Expects the files to be listed. */
export function findChecks(view: View): Checks | Answer {
  const { brief, transcript, tools } = view;
  if (brief.checks.length > 0) return { commands: brief.checks, guess: null };
  const files = listedFiles(view);
  const reads = finished(transcript, 'read_file');
  const unread = manifestsIn(files).filter(path => !reads.some(use => textArgument(use, 'path') === path));
  if (unread.length > 0 && tools.has('read_file')) {
    const calls = unread.map(path => ({ name: 'read_file', arguments: { path } }));
    return { text: 'The task names no check, so I look for the test command.', calls };
  }
  const contents = new Map<string, string>();
  for (const use of reads) {
    const file = use.result.is_error ? null : readFileResult(use.result.content);
    if (file) contents.set(textArgument(use, 'path'), file.text);
  }
  const guess = guessTestCommand(files, contents);
  return { commands: guess ? [guess.command] : [], guess };
}

export function guessInWords(guess: TestCommand): string {
  return `The task names no check. \`${guess.command}\` is a guess, because ${guess.reason}.`;
}
