/** The command that runs a repository's tests, guessed from its manifests when the brief names no check. */
import { isTestFile } from './test-files.ts';

const manifests = [
  'package.json',
  'pyproject.toml',
  'pytest.ini',
  'setup.cfg',
  'Cargo.toml',
  'go.mod',
  'Makefile',
  'makefile',
];

export interface TestCommand {
  command: string;
  /** Where the guess comes from, for the brief and the summary. */
  reason: string;
}

export function manifestsIn(files: string[]): string[] {
  return manifests.filter(name => files.includes(name));
}

/** Scripts of a package.json; empty when it cannot be read. */
export function packageScripts(text: string | undefined): Record<string, string> {
  try {
    const scripts: unknown = (JSON.parse(text ?? '{}') as { scripts?: unknown }).scripts;
    if (typeof scripts !== 'object' || scripts === null) return {};
    return Object.fromEntries(Object.entries(scripts).filter(([, script]) => typeof script === 'string'));
  } catch {
    return {};
  }
}

export function guessTestCommand(files: string[], contents: Map<string, string>): TestCommand | null {
  const script = packageScripts(contents.get('package.json')).test ?? '';
  if (script !== '' && !/no test specified/.test(script)) {
    return { command: 'npm test', reason: `package.json has the test script "${script}"` };
  }
  const tests = files.filter(isTestFile);
  if (/^test:/m.test(contents.get('Makefile') ?? contents.get('makefile') ?? '')) {
    return { command: 'make test', reason: 'the Makefile has a target "test"' };
  }
  if (files.includes('Cargo.toml')) return { command: 'cargo test', reason: 'there is a Cargo.toml' };
  if (files.includes('go.mod')) return { command: 'go test ./...', reason: 'there is a go.mod' };
  if (tests.some(path => path.endsWith('.py'))) {
    const settings = ['pyproject.toml', 'pytest.ini', 'setup.cfg']
      .map(name => contents.get(name) ?? '')
      .join('\n');
    const pytest = files.includes('pytest.ini') || /pytest/.test(settings);
    return pytest
      ? { command: 'python3 -m pytest -q', reason: 'the project is configured for pytest' }
      : { command: 'python3 -m unittest', reason: 'there are Python test files' };
  }
  if (tests.some(path => /\.[cm]?[jt]s$/.test(path))) {
    return { command: 'node --test', reason: 'there are JavaScript test files and no test script' };
  }
  return null;
}
