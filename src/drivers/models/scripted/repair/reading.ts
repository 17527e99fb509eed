/** Which files a repair must know: the failing tests, what they import, and what that imports. */
import { isSourceFile, isTestFile } from '../test-files.ts';
import type { Bench } from './bench.ts';
import type { FailureReport } from './failures.ts';
import { importsOf, type Package } from './imports.ts';
import { locate } from './suspects.ts';

export interface Reach {
  tests: string[];
  sources: string[];
  /** Files that have to be read before more can be said. */
  unread: string[];
}

const mostFiles = 40;
const mostTests = 12;

export function reach(bench: Bench, files: string[], reports: FailureReport[], commands: string[]): Reach {
  const self = readPackage(bench.original.get('package.json'));
  const known = files.filter(file => bench.original.has(file));
  const framed = reports.flatMap(report =>
    report.failures.flatMap(failure => failure.frames.map(frame => locate(frame.path, files))),
  );
  const named = files.filter(
    file => commands.some(command => mentions(command, file)) && /\.([cm]?[jt]sx?|py)$/.test(file),
  );
  const failing = unique([
    ...framed.filter(file => file !== null && isTestFile(file)),
    ...named.filter(isTestFile),
  ] as string[]);
  const entries =
    failing.length > 0 || named.length > 0
      ? unique([...failing, ...named])
      : files.filter(isTestFile).filter(isCode).slice(0, mostTests);
  const found = unique([...entries, ...framed.filter(file => file !== null)]);
  for (let i = 0; i < found.length && found.length < mostFiles; i += 1) {
    const text = bench.original.get(found[i]!);
    if (text === undefined) continue;
    for (const file of importsOf(found[i]!, text, files, self)) if (!found.includes(file)) found.push(file);
  }
  const isTest = (file: string) =>
    isTestFile(file) || (named.includes(file) && checksSomething(bench.original.get(file)));
  if (!found.some(file => isSourceFile(file) && !isTest(file)) && known.length >= entries.length) {
    found.push(...files.filter(file => isSourceFile(file) && !found.includes(file)).slice(0, mostFiles));
  }
  const readable = (file: string) => bench.original.has(file);
  return {
    tests: found.filter(file => isTest(file) && isCode(file) && readable(file)),
    sources: found.filter(file => isSourceFile(file) && !isTest(file) && readable(file)),
    unread: found.filter(
      file => !readable(file) && !bench.unreadable.has(file) && (isCode(file) || isSourceFile(file)),
    ),
  };
}

function unique<T>(values: T[]): T[] {
  return [...new Set(values)];
}

function isCode(file: string): boolean {
  return /\.([cm]?[jt]sx?|py)$/.test(file);
}

function mentions(command: string, file: string): boolean {
  return command.split(/[\s"'=]+/).some(word => word.replace(/^\.\//, '') === file);
}

/** A script that a check runs is a test itself when it asserts or decides about the exit code. */
function checksSomething(text: string | undefined): boolean {
  return (
    text === undefined || /\bassert\b|\bexpect\(|process\.exit|node:test|throw new|unittest|pytest/.test(text)
  );
}

function readPackage(manifest: string | undefined): Package {
  const field = (name: string) => new RegExp(`"${name}"\\s*:\\s*"([^"]+)"`).exec(manifest ?? '')?.[1] ?? '';
  return { name: field('name'), main: field('main').replace(/^\.\//, '') };
}
