/** Which files of the repository a file uses: imports, requires, and paths written as strings in tests. */
import { decodeEscapes } from './printed-value.ts';

const javascriptImport =
  /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire(?:\.resolve)?\s*\(\s*|\bmock\s*\(\s*|new URL\s*\(\s*)(['"`])([^'"`\n]+)\1/g;
const pythonImport = /^\s*(?:from\s+([.\w]+)\s+import\s+([\w*, ()]+)|import\s+([\w., ]+))/gm;
/** A string that ends like a code file: tests of programs name them when they start them. */
const writtenPath = /(['"`])([^'"`\n]*\.(?:[cm]?[jt]s|py|json))\1/g;

const endings = [
  '',
  '.js',
  '.ts',
  '.mjs',
  '.cjs',
  '.mts',
  '.cts',
  '.jsx',
  '.tsx',
  '.json',
  '/index.js',
  '/index.ts',
  '/index.mjs',
  '/index.cjs',
];

export function importsOf(path: string, text: string, files: string[], packageName: string): string[] {
  const known = new Set(files);
  const found = path.endsWith('.py')
    ? pythonImports(path, text, known)
    : javascriptImports(path, text, known, packageName);
  return [...new Set(found)].filter(file => file !== path);
}

function javascriptImports(path: string, text: string, known: Set<string>, packageName: string): string[] {
  const found: string[] = [];
  for (const [, , specifier] of text.matchAll(javascriptImport)) {
    const file = resolve(path, decodeEscapes(specifier!), known, packageName);
    if (file) found.push(file);
  }
  for (const [, , written] of text.matchAll(writtenPath)) {
    const tail = written!.replace(/^(?:\.{1,2}\/)+/, '');
    const match = known.has(tail) ? tail : [...known].find(file => file.endsWith(`/${tail}`));
    if (match) found.push(match);
  }
  return found;
}

function resolve(from: string, specifier: string, known: Set<string>, packageName: string): string | null {
  if (/^\.{1,2}(\/|$)/.test(specifier)) return probe(join(dirname(from), specifier), known);
  if (specifier === packageName) {
    return (
      ['index', 'src/index', 'lib/index', 'main', 'src/main']
        .map(base => probe(base, known))
        .find(hit => hit) ?? null
    );
  }
  if (packageName !== '' && specifier.startsWith(`${packageName}/`)) {
    return probe(specifier.slice(packageName.length + 1), known);
  }
  // `@/cart`, `~/cart`, `#cart`: an alias, so look for the one file that ends like this.
  const alias = /^(?:@|~|#|src)\/?(.+)$/.exec(specifier)?.[1];
  if (!alias) return null;
  const matches = endings.flatMap(ending =>
    [...known].filter(file => file === alias + ending || file.endsWith(`/${alias}${ending}`)),
  );
  return matches.length === 1 ? matches[0]! : null;
}

function probe(base: string, known: Set<string>): string | null {
  const stem = base.replace(/\.([cm]?)js$/, '.$1ts');
  return (
    [...endings.map(ending => base + ending), stem, stem.replace(/\.ts$/, '.tsx')].find(file =>
      known.has(file),
    ) ?? null
  );
}

function dirname(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

function join(folder: string, relative: string): string {
  const parts = folder === '' ? [] : folder.split('/');
  for (const part of relative.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

function pythonImports(path: string, text: string, known: Set<string>): string[] {
  return [...text.matchAll(pythonImport)].flatMap(([, from, names, plain]) => {
    const modules = from === undefined ? plain!.split(',').map(name => name.trim().split(' ')[0]!) : [from];
    if (from !== undefined)
      modules.push(
        ...names!
          .replace(/[()]/g, '')
          .split(',')
          .map(name => `${from}.${name.trim().split(' ')[0]}`),
      );
    return modules.flatMap(module => {
      const dots = /^\.+/.exec(module)?.[0].length ?? 0;
      const base = module.slice(dots).replaceAll('.', '/');
      const folders = dots > 0 ? [dirname(path)] : ['', 'src', dirname(path)];
      return folders
        .flatMap(folder =>
          [`${base}.py`, `${base}/__init__.py`].map(name => (folder === '' ? name : `${folder}/${name}`)),
        )
        .filter(file => known.has(file));
    });
  });
}
