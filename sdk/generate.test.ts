import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { generateTypes, typesFile } from './generate.ts';

test('API-02 the types of the SDK are those of the routes', async () => {
  assert.ok((await readFile(typesFile, 'utf8')) === (await generateTypes()), 'run node sdk/generate.ts');
});
