/** Which files of the repository a file uses: imports, requires, and paths written as strings in tests. */
import { similar } from './mutation.ts';
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

/** What the manifest says of the repository itself: tests may import it by name, or by its folder. */
export interface Package {
  name: string;
  main: string;
}

export function importsOf(path: string, text: string, files: string[], self: Package): string[] {
  const known = new Set(files);
  const found = path.endsWith('.py')
    ? pythonImports(path, text, known)
    : javascriptImports(path, text, known, self);
  return [...new Set(found)].filter(file => file !== path);
}

function javascriptImports(path: string, text: string, known: Set<string>, self: Package): string[] {
  const found: string[] = [];
  for (const [, , specifier] of text.matchAll(javascriptImport)) {
    const file = resolve(path, decodeEscapes(specifier!), known, self);
    if (file) found.push(file);
  }
  for (const [, , written] of text.matchAll(writtenPath)) {
    const tail = written!.replace(/^(?:\.{1,2}\/)+/, '');
    const match = known.has(tail) ? tail : [...known].find(file => file.endsWith(`/${tail}`));
    if (match) found.push(match);
  }
  return found;
}

function resolve(from: string, specifier: string, known: Set<string>, self: Package): string | null {
  if (/^\.{1,2}(\/|$)/.test(specifier)) {
    const base = join(dirname(from), specifier);
    return (base === '' ? probe(self.main, known) : null) ?? probe(base, known) ?? nearest(base, known);
  }
  if (specifier === self.name) {
    return (
      [self.main, 'index', 'src/index', 'lib/index', 'main', 'src/main']
        .map(base => probe(base, known))
        .find(hit => hit) ?? null
    );
  }
  if (self.name !== '' && specifier.startsWith(`${self.name}/`)) {
    return probe(specifier.slice(self.name.length + 1), known);
  }
  // `@/cart`, `~/cart`, `#cart`: an alias, so look for the one file that ends like this.
  const alias = /^(?:@|~|#|src)\/?(.+)$/.exec(specifier)?.[1];
  if (!alias) return null;
  const matches = endings.flatMap(ending =>
    [...known].filter(file => file === alias + ending || file.endsWith(`/${alias}${ending}`)),
  );
  return matches.length === 1 ? matches[0]! : null;
}

/** A file beside the one that is not there, with almost its name: the path may be what is wrong. */
function nearest(base: string, known: Set<string>): string | null {
  const stem = (path: string) =>
    path
      .split('/')
      .at(-1)!
      .replace(/\.\w+$/, '');
  const beside = [...known].filter(file => dirname(file) === dirname(base) && /\.[cm]?[jt]sx?$/.test(file));
  return beside.find(file => similar(stem(file), stem(base))) ?? null;
}

function probe(base: string, known: Set<string>): string | null {
  const stem = base.replace(/\.([cm]?)js$/, '.$1ts');
  return (
    [...endings.map(ending => (base + ending).replace(/^\//, '')), stem, stem.replace(/\.ts$/, '.tsx')].find(
      file => known.has(file),
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
