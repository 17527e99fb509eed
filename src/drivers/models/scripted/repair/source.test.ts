/** Source files are cut into tokens that add up to the text, whatever is inside strings, templates and expressions. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { statementStarts } from './grammar.ts';
import { outline } from './outline.ts';
import { readSource } from './source.ts';

const texts = (path: string, text: string) => readSource(path, text).tokens.map(token => token.text);

test('strings, comments, regular expressions and templates are told apart', () => {
  assert.deepEqual(texts('a.js', "a = b / c; // 'x'\nd = /[/']+/g.test('it\\'s'); /* ` */"), [
    'a',
    '=',
    'b',
    '/',
    'c',
    ';',
    'd',
    '=',
    "/[/']+/g",
    '.',
    'test',
    '(',
    "'it\\'s'",
    ')',
    ';',
  ]);
  const template = ['`a ', '{x + `', '{y}` } b`;'].join('$');
  assert.deepEqual(
    texts('a.js', template),
    ['`a ${', 'x', '+', '`${', 'y', '}`', '} b`', ';'].map(text => text.replace('{{', '{')),
  );
  assert.deepEqual(texts('a.py', 'x = f"a{b}"  # c\nif not x: pass'), [
    'x',
    '=',
    'f"a{b}"',
    'if',
    'not',
    'x',
    ':',
    'pass',
  ]);
});

test('every token of this folder stands where it says, and every bracket has its partner', () => {
  for (const name of readdirSync(import.meta.dirname)) {
    const text = readFileSync(join(import.meta.dirname, name), 'utf8');
    const { tokens, partner } = readSource(name, text);
    assert.ok(tokens.length > 50, name);
    tokens.forEach((token, index) => {
      assert.equal(text.slice(token.start, token.end), token.text);
      assert.equal(text.slice(0, token.start).split('\n').length, token.line, `${name}: ${token.text}`);
      if (token.kind === 'sign' && /^[()[\]{}]$/.test(token.text))
        assert.equal(partner[partner[index]!], index, `${name}:${token.line}`);
    });
  }
});

test('functions, methods, classes and top-level values are found with their names and parameters', () => {
  const text = [
    'class Cart extends Map {',
    '  static async load(id, { a, b: c } = {}) { return 1; }',
    '  get total() { return 0; }',
    '  add = x => x;',
    '}',
    'export const join = async function (left, right): Promise<string> { return left + right; };',
    'module.exports = { mul(a, b) { return a * b; } };',
  ].join('\n');
  const found = outline(readSource('a.ts', text)).map(one => `${one.kind} ${one.name}(${one.params})`);
  for (const one of [
    'class Cart()',
    'function load(id,a,c)',
    'function total()',
    'function add(x)',
    'value join()',
    'function join(left,right)',
    'function mul(a,b)',
  ]) {
    assert.ok(found.includes(one), `${one} in ${found.join('; ')}`);
  }
  assert.deepEqual(
    outline(readSource('a.py', 'class A:\n    def f(self, x):\n        return x\n\ndef g(): pass\n')).map(
      one => `${one.name}(${one.params})`,
    ),
    ['A()', 'f(x)', 'g()'],
  );
});

test('statements begin where they do, with and without semicolons', () => {
  const source = readSource('a.js', 'const a = f(x)\n  .map(g)\nif (a) {\n  b()\n}\nreturn { c: 1 }\n');
  assert.deepEqual(
    statementStarts(source).map(index => source.tokens[index]!.text),
    ['const', 'if', 'b', 'return'],
  );
});
