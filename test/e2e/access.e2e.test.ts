/** People and access in a real browser: roles, projects with a class, service accounts, keys that are rotated. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { assertScreen, chromiumPath, launch, listenForFaults } from './browser.ts';
import { type PageServer, startPageServer } from './server.ts';

const directory = process.env.SCREENS ?? null;

describe('people and access', { skip: chromiumPath ? false : 'Chromium is not installed here' }, () => {
  let server: PageServer;
  let browser: Browser;
  let page: Page;
  let faults: string[] = [];

  before(async () => {
    [server, browser] = await Promise.all([startPageServer(), launch()]);
    const context = await browser.newContext({
      viewport: { width: 1200, height: 1100 },
      colorScheme: 'light',
    });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    faults = listenForFaults(page);
    await page.goto(server.url + (await server.signInPath()));
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    await page.getByRole('link', { name: 'Access' }).first().click();
    await page.getByRole('heading', { level: 1, name: 'People and access' }).waitFor();
  });

  after(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const look = async (name: string, view = page) => {
    await assertScreen(view, name);
    if (directory) await view.screenshot({ path: `${directory}/${name}.png`, fullPage: true });
  };

  test('a project is made, classed and archived', async () => {
    await page.getByRole('button', { name: 'Create a project' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('payroll');
    await dialog.getByLabel('Classification').selectOption('confidential');
    await look('new-project');
    await dialog.getByRole('button', { name: 'Create' }).click();
    const classification = page.getByLabel('Classification of payroll');
    await classification.waitFor();
    await classification.selectOption('restricted');
    await page.getByText('payroll is restricted').waitFor();
    const { items } = await server.api<{ items: { name: string; classification: string }[] }>(
      'GET',
      '/api/v1/projects',
    );
    assert.equal(items.find(p => p.name === 'payroll')?.classification, 'restricted');
    await look('access');
    await page.getByRole('button', { name: 'Archive payroll' }).click();
    await page.getByRole('button', { name: 'Archive', exact: true }).click();
    await classification.waitFor({ state: 'detached' });
  });

  test('the last owner cannot be demoted: the page says why, and shows what is so', async () => {
    const role = page.getByLabel('Role of Owner');
    await role.selectOption('admin');
    await page.getByText('This is the last owner').waitFor();
    await page.waitForFunction("document.querySelector('[aria-label=\"Role of Owner\"]').value === 'owner'");
  });

  test('a service account is made and disabled for good', async () => {
    await page.getByRole('button', { name: 'Create one' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('ci');
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.getByText('what it is given on projects').waitFor();
    await page.getByRole('button', { name: 'Disable ci' }).click();
    await page.getByRole('button', { name: 'Disable it' }).click();
    await page.getByRole('button', { name: 'Disable ci', disabled: true }).waitFor();
  });

  test('a key is rotated: the new one is shown this once, both work for a while', async () => {
    const old = await server.api<{ key: string }>('POST', '/api/v1/api-keys', { name: 'to rotate' });
    await page.getByRole('button', { name: 'Rotate to rotate' }).click();
    await page.getByRole('button', { name: 'Make the new key' }).click();
    const dialog = page.getByRole('dialog', { name: 'The new key is made' });
    const key = (await dialog.locator('code').textContent()) ?? '';
    await look('rotated');
    for (const each of [old.key, key]) {
      const headers = { authorization: `Bearer ${each}` };
      assert.equal((await fetch(`${server.url}/api/v1/me`, { headers })).status, 200);
    }
    await dialog.getByRole('button', { name: 'I have it' }).click();
  });

  test('on a narrow screen and in the dark it is as readable', async () => {
    const view = await page.context().newPage();
    await view.setViewportSize({ width: 375, height: 800 });
    await view.emulateMedia({ colorScheme: 'dark' });
    await view.goto(`${server.url}/access`);
    await view.getByLabel('Role of Owner').waitFor();
    await look('narrow', view);
    await view.close();
    assert.deepEqual(faults, []);
  });
});
