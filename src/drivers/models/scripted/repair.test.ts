/** the coder repairs small repositories that it has never seen, by what the executed checks show and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Outcome, rehearse, type Scene } from './rehearsal.test.ts';

const manifest = (type: string, script: string) =>
  JSON.stringify({ name: 'sample', type, scripts: { test: script } });
const lines = (...all: string[]) => `${all.join('\n')}\n`;

const exportsOf = (source: string) =>
  [...source.matchAll(/^(?:export )?(?:async )?function (\w+)/gm)].map(match => match[1]).join(', ');

/** A repository with one ESM source and tests of node:test. */
function tested(source: string, ...tests: string[]): Scene {
  const head = ["import assert from 'node:assert/strict';", "import test from 'node:test';"];
  return {
    files: {
      'package.json': manifest('module', 'node --test'),
      'src/code.js': source,
      'test/code.test.js': lines(...head, `import { ${exportsOf(source)} } from '../src/code.js';`, ...tests),
    },
    checks: ['npm test'],
  };
}

/** A repository with one ESM source and a script that asserts. */
function asserted(source: string, ...assertions: string[]): Scene {
  return {
    files: {
      'package.json': manifest('module', 'node test.js'),
      'src/code.js': source,
      'test.js': lines(
        "import assert from 'node:assert/strict';",
        `import { ${exportsOf(source)} } from './src/code.js';`,
        ...assertions,
      ),
    },
    checks: ['node test.js'],
  };
}

interface Case {
  name: string;
  scene: Scene;
  /** What must stand in which file at the end. */
  mended: Record<string, RegExp>;
}

const cases: Case[] = [
  {
    name: 'a wrong operator',
    scene: tested(
      lines('export function add(a, b) {', '  return a - b;', '}'),
      "test('adds', () => { assert.equal(add(2, 3), 5); assert.equal(add(-1, 1), 0); });",
    ),
    mended: { 'src/code.js': /return a \+ b;/ },
  },
  {
    name: 'a boundary, in TypeScript',
    scene: {
      files: {
        'package.json': manifest('module', 'node --test'),
        'src/range.ts': lines(
          'export interface Range { from: number; to: number }',
          'export function contains(range: Range, value: number): boolean {',
          '  return value >= range.from && value < range.to;',
          '}',
          'export function span(range: Range): number {',
          '  return range.to - range.from;',
          '}',
        ),
        'test/range.test.ts': lines(
          "import assert from 'node:assert/strict';",
          "import test from 'node:test';",
          "import { contains, span } from '../src/range.ts';",
          "test('inclusive', () => { assert.equal(contains({ from: 1, to: 3 }, 3), true); assert.equal(contains({ from: 1, to: 3 }, 4), false); });",
          "test('span', () => { assert.equal(span({ from: 1, to: 3 }), 2); });",
        ),
      },
      checks: ['node --test'],
    },
    mended: { 'src/range.ts': /value <= range\.to/ },
  },
  {
    name: 'a factor that is missing, in CommonJS with a plain assert script',
    scene: {
      files: {
        'package.json': JSON.stringify({
          name: 'cart',
          main: 'index.js',
          scripts: { test: 'node test/run.js' },
        }),
        'index.js': "module.exports = { ...require('./lib/cart'), ...require('./lib/format') };\n",
        'lib/cart.js': lines(
          'class Cart {',
          '  constructor() { this.items = []; }',
          '  add(name, price, quantity = 1) {',
          '    this.items.push({ name, price, quantity });',
          '    return this;',
          '  }',
          '  total() {',
          '    return this.items.reduce((sum, item) => sum + item.price, 0);',
          '  }',
          '}',
          'module.exports = { Cart };',
        ),
        'lib/format.js': lines(
          "const format = cents => '$' + (cents / 100).toFixed(2);",
          'module.exports = { format };',
        ),
        'test/run.js': lines(
          "const assert = require('node:assert');",
          "const { Cart, format } = require('..');",
          "const cart = new Cart().add('apple', 100, 3).add('pear', 50);",
          'assert.strictEqual(cart.items.length, 2);',
          'assert.strictEqual(cart.total(), 350);',
          "assert.strictEqual(format(cart.total()), '$3.50');",
        ),
      },
      checks: ['npm test'],
    },
    mended: { 'lib/cart.js': /item\.price \* item\.quantity/ },
  },
  {
    name: 'a return that is missing',
    scene: asserted(
      lines('export function unique(list) {', '  const seen = new Set(list);', '  [...seen].sort();', '}'),
      "assert.deepEqual(unique(['b', 'a', 'b']), ['a', 'b']);",
    ),
    mended: { 'src/code.js': /return \[\.\.\.seen\]/ },
  },
  {
    name: 'an await that is missing',
    scene: asserted(
      lines(
        'export async function load(id) {',
        "  return { id, name: 'user ' + id };",
        '}',
        'export async function nameOf(id) {',
        '  const user = load(id);',
        '  return user.name;',
        '}',
      ),
      "assert.equal(await nameOf(3), 'user 3');",
      'assert.equal((await load(1)).id, 1);',
    ),
    mended: { 'src/code.js': /await load\(id\)/ },
  },
  {
    name: 'a wrong text in a template',
    scene: asserted(
      lines('export function greet(name) {', ['  return `Hello ', '{name}`;'].join('$'), '}'),
      "assert.equal(greet('Ann'), 'Hello, Ann!');",
    ),
    mended: { 'src/code.js': /`Hello, \$\{name\}!`/ },
  },
  {
    name: 'sorting numbers as text',
    scene: asserted(
      lines(
        'export function median(values) {',
        '  const sorted = [...values].sort();',
        '  return sorted[Math.floor(sorted.length / 2)];',
        '}',
      ),
      'assert.equal(median([10, 9, 2]), 9); assert.equal(median([3, 1, 2]), 2);',
    ),
    mended: { 'src/code.js': /\.sort\(\(a, b\) => a - b\)/ },
  },
  {
    name: 'a name that is misspelled',
    scene: asserted(
      lines('export function area(width, height) {', '  return width * heigth;', '}'),
      'assert.equal(area(2, 3), 6);',
    ),
    mended: { 'src/code.js': /width \* height/ },
  },
  {
    name: 'an export that is missing',
    scene: asserted(
      lines(
        'function area(width, height) {',
        '  return width * height;',
        '}',
        'export function perimeter(width, height) {',
        '  return 2 * (width + height);',
        '}',
      ),
      'assert.equal(area(2, 3), 6);',
      'assert.equal(perimeter(2, 3), 10);',
    ),
    mended: { 'src/code.js': /export function area/ },
  },
  {
    name: 'arguments the wrong way round, two modules away',
    scene: {
      files: {
        'package.json': manifest('module', 'node --test'),
        'src/power.js': lines(
          'export function power(base, exponent) {',
          '  let result = 1;',
          '  for (let i = 0; i < exponent; i++) result *= base;',
          '  return result;',
          '}',
        ),
        'src/volume.js': lines(
          "import { power } from './power.js';",
          'export function cube(side) {',
          '  return power(3, side);',
          '}',
        ),
        'src/index.js': "export * from './volume.js';\n",
        'test/volume.test.js': lines(
          "import assert from 'node:assert/strict';",
          "import { describe, it } from 'node:test';",
          "import { cube } from '../src/index.js';",
          "describe('cube', () => {",
          "  it('of two', () => assert.equal(cube(2), 8));",
          "  it('of five', () => assert.equal(cube(5), 125));",
          '});',
        ),
      },
      checks: ['npm test'],
    },
    mended: { 'src/volume.js': /power\(side, 3\)/ },
  },
  {
    name: 'an error that is not thrown',
    scene: tested(
      lines('export function divide(a, b) {', '  return a / b;', '}'),
      "test('divides', () => { assert.equal(divide(6, 3), 2); });",
      "test('by zero', () => { assert.throws(() => divide(1, 0), /division by zero/); });",
    ),
    mended: { 'src/code.js': /if \(b === 0\) throw new Error\('division by zero'\)/ },
  },
  {
    name: 'two faults in one module',
    scene: tested(
      lines(
        'export function clamp(value, low, high) {',
        '  if (value < low) return low;',
        '  if (value > high) return low;',
        '  return value;',
        '}',
        'export function range(from, to) {',
        '  const all = [];',
        '  for (let i = from; i <= to; i++) all.push(i);',
        '  return all;',
        '}',
      ),
      "test('clamp', () => { assert.equal(clamp(5, 0, 3), 3); assert.equal(clamp(-1, 0, 3), 0); assert.equal(clamp(2, 0, 3), 2); });",
      "test('range', () => { assert.deepEqual(range(0, 3), [0, 1, 2]); });",
    ),
    mended: { 'src/code.js': /value > high\) return high;[\s\S]*i < to/ },
  },
  {
    name: 'two faults that one plain script meets one after the other',
    scene: {
      files: {
        'check.mjs': lines(
          "import assert from 'node:assert';",
          "import { parse, stringify } from './query.mjs';",
          "assert.deepEqual(parse('a=1&b=2'), { a: '1', b: '2' });",
          "assert.equal(stringify({ a: 1, b: 2 }), 'a=1&b=2');",
        ),
        'query.mjs': lines(
          'export function parse(text) {',
          "  return Object.fromEntries(text.split('&').map(part => part.split(':')));",
          '}',
          'export function stringify(object) {',
          "  return Object.entries(object).map(([key, value]) => key + '=' + value).join(',');",
          '}',
        ),
      },
      checks: ['node check.mjs'],
    },
    mended: { 'query.mjs': /split\('='\)[\s\S]*join\('&'\)/ },
  },
  {
    name: 'a test command that nobody named',
    scene: {
      ...tested(
        lines('export function isEven(n) {', '  return n % 2 === 1;', '}'),
        "test('even', () => { assert.equal(isEven(4), true); assert.equal(isEven(7), false); });",
      ),
      checks: [],
    },
    mended: { 'src/code.js': /n % 2 (=== 0|!== 1)/ },
  },
];

describe('X-03 the scripted coder repairs', () => {
  for (const { name, scene, mended } of cases) {
    test(name, async () => {
      const outcome = await rehearse(scene);
      assert.equal(outcome.decision, 'done', outcome.summary);
      for (const [path, pattern] of Object.entries(mended)) assert.match(outcome.files.get(path)!, pattern);
      assert.deepEqual(outcome.changed, Object.keys(mended), 'nothing else is changed');
      assertHonest(outcome, scene);
    });
  }
});

/** The commit is the last one, the tree is clean, the check was seen to fail before and to pass on this very state. */
function assertHonest(outcome: Outcome, scene: Scene): void {
  assert.equal(outcome.commit, outcome.head);
  assert.equal(outcome.status, '');
  assert.ok(outcome.runs < 60, `${outcome.runs} commands`);
  const check = scene.checks?.[0] ?? 'npm test';
  const whole = outcome.calls.filter(call => call.name === 'run_command' && call.args.command === check);
  assert.match(whole[0]!.result, /^exit_code: 1\n/);
  assert.match(whole.at(-1)!.result, /^exit_code: 0\n/);
  const last = outcome.calls.findLastIndex(call => call.name === 'edit_file');
  assert.ok(outcome.calls.indexOf(whole.at(-1)!) > last, 'the check passed after the last edit');
  assert.match(outcome.summary, /exit code 1 before .*0 after|exit code 1 before, 0 after/s);
}
