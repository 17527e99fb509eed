/** Signing in by an outside provider in a real browser, across two sites: the strict cookie survives the way back. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { type IdentityProvider, startIdentityProvider } from '../harness/identity-provider.ts';
import { assertScreen, chromiumPath, launch, listenForFaults } from './browser.ts';
import { type PageServer, startPageServer } from './server.ts';

describe('a provider in the browser', {
  skip: chromiumPath ? false : 'Chromium is not installed here',
}, () => {
  let idp: IdentityProvider;
  let server: PageServer;
  let browser: Browser;
  let directory: string;
  let url: string | null = null;

  before(async () => {
    // The provider is 127.0.0.1, our server localhost: two sites, as far as browsers and their cookies go.
    idp = await startIdentityProvider(() => (url ? `${url}/api/v1/auth/callback/company` : null));
    directory = await mkdtemp(join(tmpdir(), 'guildhall-providers-'));
    const file = join(directory, 'providers.json');
    const provider = {
      id: 'company',
      name: 'Company login',
      discovery_url: idp.discoveryUrl,
      client_id: idp.clientId,
      client_secret: { env: 'COMPANY_SECRET' },
    };
    await writeFile(file, JSON.stringify({ providers: [provider] }));
    server = await startPageServer({
      GUILDHALL_SIGN_IN_PROVIDERS_FILE: file,
      COMPANY_SECRET: idp.clientSecret,
    });
    url = server.url.replace('127.0.0.1', 'localhost');
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await idp?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  test('somebody new comes by the provider and is told that they have no access yet', async () => {
    idp.people.set('dora', { email: 'dora@example.com', email_verified: true, name: 'Dora' });
    const context = await browser.newContext();
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const faults = listenForFaults(page);
    await page.goto(`${url}/sign-in`);
    await assertScreen(page, 'sign-in with a provider');
    await page.getByRole('button', { name: 'Continue with Company login' }).click();
    await page.locator('input[name=login]').fill('dora');
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('link', { name: 'Account of Dora' }).waitFor();
    assert.equal(new URL(page.url()).origin, url);
    const [cookie] = (await context.cookies(url as string)).filter(c => c.name === 'guildhall_session');
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict']);
    await page.getByText('You have no access yet').waitFor();
    await page.getByText('You are signed in as dora@example.com').waitFor();
    await assertScreen(page, 'without access');
    if (process.env.TEST_PICTURES)
      await page.screenshot({ path: `${process.env.TEST_PICTURES}/no-access.png` });
    await page.getByRole('link', { name: 'Account of Dora' }).click();
    await page.getByText('joined', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Guildhall' }).click();
    const { items } = await server.api<{ items: { id: string; name: string }[] }>('GET', '/api/v1/members');
    const { id } = items.find(member => member.name === 'Dora') ?? assert.fail('Dora is no member');
    await server.api('PATCH', `/api/v1/members/${id}`, { role: 'viewer' });
    await page.getByRole('button', { name: 'I have been given one' }).click();
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test('somebody who turns back at the provider is told so on the sign-in page', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(`${url}/sign-in`);
    await page.getByRole('button', { name: 'Continue with Company login' }).click();
    await page.getByText('[ Cancel ]').click();
    await page.getByText('You turned back at the provider.').waitFor();
    await assertScreen(page, 'turned back');
    await context.close();
  });
});
