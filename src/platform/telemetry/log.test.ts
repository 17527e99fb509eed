import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer } from '../http/server.ts';
import { redactor } from '../secrets/redactor.ts';
import { createLog } from './log.ts';

const directory = await mkdtemp(join(tmpdir(), 'guildhall-log-'));
after(() => rm(directory, { recursive: true, force: true }));

/** Logs into a file of its own; what was written, line by line. */
function newLog(name: string, level = 'debug') {
  const folder = join(directory, name);
  const log = createLog({ level, service: 'api', directory: folder });
  const text = () => readFile(join(folder, 'guildhall.log'), 'utf8');
  const lines = async () =>
    (await text())
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as Record<string, unknown>);
  return { log, text, lines, folder };
}

test('OBS-01 every line is one JSON object with time, level and service, whatever is logged', async () => {
  const { log, lines } = newLog('plain');
  log.info('a word');
  log.warn({ facts: { a: 1 } }, 'a line\nbreak and \u2028 and "quotes"');
  log.error({ err: new Error('went\nwrong', { cause: new Error('why') }) }, 'failed');
  const circular: Record<string, unknown> = { big: 'x'.repeat(100_000), nothing: undefined };
  circular.itself = circular;
  log.debug(circular, 'much');
  log.child({ request_id: 'req_1' }).info('of a request');
  const all = await lines();
  assert.equal(all.length, 5);
  for (const line of all) {
    assert.match(String(line.ts), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(String(line.level), /^(debug|info|warn|error)$/);
    assert.equal(line.service, 'api');
    assert.equal(typeof line.message, 'string');
  }
  assert.equal(all[4]?.request_id, 'req_1');
  assert.match(JSON.stringify(all[2]), /why/);
});

test('OBS-01 less severe lines than the level are left out', async () => {
  const { log, lines } = newLog('level', 'warn');
  log.info('no');
  log.warn('yes');
  assert.deepEqual(
    (await lines()).map(line => line.message),
    ['yes'],
  );
});

test('secrets are cut out by the name of their field', async () => {
  const { log, text } = newLog('secrets');
  const secret = 'hunter2-hunter2';
  log.info({ key: secret, token: secret, password: secret, apiKey: secret }, 'top');
  log.info({ settings: { password: secret, apiKey: secret } }, 'nested');
  log.info(
    {
      req: {
        method: 'GET',
        url: '/',
        headers: { authorization: secret, cookie: secret, 'x-csrf-token': secret },
      },
    },
    'request',
  );
  assert.ok(!(await text()).includes(secret));
});

test('OBS-01 lines of a request carry its id, and neither query nor credentials', async () => {
  const { log, lines, text } = newLog('http');
  const server = await createServer({ log, version: '0.0.0', https: false });
  server.get('/fine', async request => {
    request.log.info('inside');
    return {};
  });
  server.get('/broken', async () => {
    throw new Error('a secret of the inside');
  });
  const headers = {
    'x-request-id': 'req-42',
    authorization: 'Bearer ghk_secretsecret',
    cookie: 'guildhall_session=ghs_secret',
  };
  await server.inject({ url: '/fine?token=ghl_secret', headers });
  const broken = await server.inject({ url: '/broken', headers });
  await server.inject({ url: '/nowhere?token=ghl_secret', headers });
  await server.close();
  const all = await lines();
  assert.ok(all.length >= 7);
  for (const line of all) assert.equal(line.request_id, 'req-42', JSON.stringify(line));
  assert.ok(!(await text()).includes('secret"') && !/ghk_|ghs_|ghl_/.test(await text()));
  assert.match(await text(), /a secret of the inside/, 'the log has what the answer must not');
  assert.doesNotMatch(broken.body, /inside/);
});

test('the log file is for its owner only', async () => {
  const { log, folder } = newLog('mode');
  log.info('x');
  assert.equal((await stat(folder)).mode & 0o077, 0);
});

test('SEC-07 a known secret goes out in no form, whatever field, error or message it is in', async () => {
  const { log, text, lines } = newLog('values');
  const secret = `canary-${randomBytes(18).toString('base64url')}`;
  redactor.learn(secret);
  log.info({ deep: { list: [{ any: `x${secret}y` }] } }, `in the message: ${secret}`);
  log.error({ err: new Error(`no way in with ${secret}`, { cause: new Error(secret) }) }, 'failed');
  log.debug({ encoded: Buffer.from(`user:${secret}`).toString('base64'), url: encodeURIComponent(secret) });
  log.child({ [secret]: secret }).warn({ hex: Buffer.from(secret).toString('hex') }, 'child');
  assert.equal((await lines()).length, 4);
  const shown = await text();
  for (const form of [
    secret,
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('base64').slice(4, 24),
  ])
    assert.ok(!shown.includes(form), shown);
});
