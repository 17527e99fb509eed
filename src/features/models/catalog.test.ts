import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programmedModel } from '../../../test/harness/model.ts';
import { Problem } from '../../base/problem.ts';
import { type ModelCatalog, resolveModel } from './catalog.ts';
import { defaultModelTimeouts } from './port.ts';

const catalogOf = (providers: string[], defaultModel: string): ModelCatalog => ({
  drivers: new Map(providers.map(provider => [provider, programmedModel(() => ({}), provider)])),
  defaultModel,
  timeouts: defaultModelTimeouts,
});

function refusal(catalog: ModelCatalog, name: string): Problem {
  try {
    resolveModel(catalog, name);
  } catch (error) {
    assert.ok(error instanceof Problem);
    assert.equal(error.status, 422);
    return error;
  }
  return assert.fail(`${name} was resolved`);
}

test('a model is found by provider and name; `default` is the one of the installation', () => {
  const catalog = catalogOf(['scripted', 'openai-compatible'], 'scripted/team');
  const { provider, model, driver } = resolveModel(catalog, 'scripted/team');
  assert.deepEqual([provider, model, driver.provider], ['scripted', 'team', 'scripted']);
  assert.deepEqual(resolveModel(catalog, 'default'), resolveModel(catalog, 'scripted/team'));
  assert.equal(resolveModel(catalog, 'openai-compatible/org/model:7b').model, 'org/model:7b');
});

test('a provider without its key names the variable that brings it in', () => {
  const catalog = catalogOf(['scripted'], 'anthropic/claude-sonnet-4-5');
  for (const [name, variable] of [
    ['anthropic/claude-sonnet-4-5', 'ANTHROPIC_API_KEY'],
    ['openai/gpt-5', 'OPENAI_API_KEY'],
    ['openai-compatible/llama3', 'OPENAI_BASE_URL'],
    ['default', 'ANTHROPIC_API_KEY'],
  ] as const) {
    const problem = refusal(catalog, name);
    assert.equal(problem.code, 'model_key_missing');
    assert.match(problem.message, new RegExp(`needs ${variable}: set it and start again`));
  }
});

test('an unknown provider, or what is no name of a model, is refused with the providers that there are', () => {
  const catalog = catalogOf(['scripted'], 'scripted/team');
  for (const name of [
    'mistral/large',
    'gpt-5',
    '',
    '/',
    '/gpt-5',
    'scripted/',
    'scripted',
    'SCRIPTED/team',
    'a/b/c',
    '__proto__/x',
    'constructor/x',
  ]) {
    const problem = refusal(catalog, name);
    assert.equal(problem.code, 'model_unknown', name);
    assert.match(problem.message, /anthropic, openai, openai-compatible, scripted/);
  }
});
