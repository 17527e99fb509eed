/**
 * The page in a real browser, on a real server: what a person does there, from the sign-in link to the delivered
 * change. With UPDATE_IMAGES=1 the pictures in docs/images are taken anew.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { assertScreen, chromiumPath, launch, listenForFaults } from './browser.ts';
import { makeRepository } from './repository.ts';
import { type PageServer, startPageServer } from './server.ts';

const images = process.env.UPDATE_IMAGES ? join(import.meta.dirname, '../../docs/images') : null;
const limitMs = 45_000;
const wide = { width: 1360, height: 860 };
const narrow = { width: 375, height: 720 };

describe('the page', { skip: chromiumPath ? false : 'Chromium is not installed here' }, () => {
  let server: PageServer;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let repository: Awaited<ReturnType<typeof makeRepository>>;
  let sandbox: { state: string; summary: string };
  let delivered = '';
  let faults: string[] = [];

  before(async () => {
    [server, browser, repository] = await Promise.all([startPageServer(), launch(), makeRepository()]);
    const health = (await (await fetch(`${server.url}/readyz`)).json()) as {
      components: { name: string; state: string; summary: string }[];
    };
    // The scripted model costs nothing; with a price there is money to show and to run out of.
    const price = { provider: 'scripted', model: 'team', input_usd: 3, output_usd: 15, source: 'a test' };
    await server.api('POST', '/api/v1/prices', price);
    sandbox = health.components.find(c => c.name === 'sandbox') ?? { state: 'failed', summary: 'unknown' };
    context = await browser.newContext({ viewport: wide, colorScheme: 'light' });
    context.setDefaultTimeout(15_000);
    page = await context.newPage();
    faults = listenForFaults(page);
    await page.goto(server.url + (await server.signInPath()));
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    if (images) await mkdir(images, { recursive: true });
  });

  after(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await repository?.[Symbol.asyncDispose]();
  });

  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name });
  const badge = (text: string) => page.locator('header').getByText(text, { exact: true });
  const shoot = async (name: string) => {
    if (images) await page.screenshot({ path: join(images, `${name}.png`) });
  };
  const newTask = (request: string, more: object = {}) =>
    server.api<{ id: string }>('POST', '/api/v1/tasks', {
      request,
      repository: { location: repository.path },
      ...more,
    });

  test('who is not signed in is told how to get a link; a link works once and leaves no trace', async () => {
    const stranger = await browser.newContext({ viewport: wide });
    const view = await stranger.newPage();
    await view.goto(`${server.url}/agents`);
    await view.getByText('No password, or forgotten it?').click();
    await view.getByText('./guildhall login --link').waitFor();
    assert.equal(new URL(view.url()).pathname, '/sign-in');
    await assertScreen(view, 'sign-in');
    const path = await server.signInPath();
    await view.goto(server.url + path);
    await view.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    assert.equal(view.url(), `${server.url}/`, 'the token is gone from the address');
    await view.goto(server.url + path);
    await view.getByRole('alert').waitFor();
    assert.equal(new URL(view.url()).hash, '', 'nor does it stay when it was refused');
    await stranger.close();
  });

  test('an empty list says what to do', async () => {
    await page.getByText('No tasks yet').waitFor();
    await page.getByText('./guildhall demo').waitFor();
    await assertScreen(page, 'no tasks');
  });

  test('a task is given, watched live to its end, and its change and checks can be read', async t => {
    if (sandbox.state !== 'ok') return t.skip(`the sandbox does not work here: ${sandbox.summary}`);
    await page.getByRole('button', { name: 'New task' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'New task' });
    await dialog.getByRole('button', { name: 'Give it to the team' }).click();
    await dialog.getByText('Say what is to be done.').waitFor();
    await dialog.getByLabel('Request').fill('The test for discounts fails. Find the cause and fix it.');
    await dialog.getByLabel('Repository').fill('/nowhere/at/all');
    await dialog.getByRole('textbox', { name: 'Check 1' }).fill('npm test');
    await dialog.getByLabel('Budget in dollars').fill('1');
    await assertScreen(page, 'new task');
    await dialog.getByRole('button', { name: 'Give it to the team' }).click();
    const location = dialog.getByLabel('Repository');
    await dialog.locator('input[aria-invalid=true]').waitFor();
    assert.equal(await location.getAttribute('aria-invalid'), 'true', 'the refusal stands at its field');
    await location.fill(repository.path);
    await dialog.getByRole('button', { name: 'Give it to the team' }).click();

    await heading(/The test for discounts fails/).waitFor();
    delivered = new URL(page.url()).pathname;
    const timeline = page.getByRole('list', { name: 'Timeline' });
    await timeline.getByText('coder', { exact: true }).first().waitFor();
    await timeline
      .getByRole('button', { name: /edit_file.*1 replacement/ })
      .first()
      .waitFor({ timeout: limitMs });
    assert.equal(await badge('succeeded').count(), 0, 'it is seen while it happens');
    await shoot('task');
    await badge('succeeded').waitFor({ timeout: limitMs });
    await timeline.getByText('tester', { exact: true }).first().waitFor();
    await page.getByText('Delivered', { exact: true }).waitFor();
    await page.getByText(/git merge guildhall\//).waitFor();

    const run = timeline.getByRole('button', { name: /run_command.*exit 1/ }).first();
    await run.click();
    await timeline.getByText('a discount lowers the price of its line').first().waitFor();
    await run.click();

    await page.getByRole('tab', { name: 'Changes' }).click();
    const change = page.getByRole('article', { name: 'src/cart.js' });
    await change.getByText('  return line.price * line.count - line.discount;').waitFor();
    await change.getByText('  return line.price * line.count + line.discount;').waitFor();
    await shoot('changes');
    await page.getByRole('tab', { name: /Checks/ }).click();
    await page
      .getByRole('button', { name: /passed npm test exit 0/ })
      .first()
      .click();
    await page.getByRole('region', { name: 'Output of npm test' }).getByText('# pass 1').waitFor();
    await page.getByRole('tab', { name: 'Brief' }).click();
    await page.getByRole('heading', { name: 'Objective' }).waitFor();
    await page.getByRole('complementary').getByRole('link', { name: /coder/ }).click();
    await badge('succeeded').waitFor();
    assert.notEqual(new URL(page.url()).pathname, delivered, 'the tree leads to the delegated task');
    await page.goBack();
  });

  test('a question of an agent is counted, answered, and the agent goes on', async t => {
    if (sandbox.state !== 'ok') return t.skip(`the sandbox does not work here: ${sandbox.summary}`);
    await page.goto(`${server.url}/approvals`);
    await page.getByText('Nothing waits for you').waitFor();
    const { id } = await newTask('Better?');
    // Nothing was reloaded: the question comes by itself.
    await page.getByText(/I cannot act on that/).waitFor({ timeout: limitMs });
    await page.getByRole('link', { name: /Approvals\s*1/ }).waitFor();
    await assertScreen(page, 'a question');
    await shoot('approvals');
    await page.getByRole('button', { name: 'Reject…' }).click();
    assert.equal(
      await page.getByRole('button', { name: 'Reject', exact: true }).isDisabled(),
      true,
      'needs a reason',
    );
    await page.getByRole('button', { name: 'Back' }).click();
    await page.getByLabel('Your answer').fill('The test for discounts fails; npm test shows it. Fix it.');
    await page.getByRole('button', { name: 'Send the answer' }).click();
    await page.getByText('Nothing waits for you').waitFor();
    await page.goto(`${server.url}/tasks/${id}`);
    await page
      .getByRole('list', { name: 'Timeline' })
      .getByText('coder', { exact: true })
      .first()
      .waitFor({ timeout: limitMs });
  });

  test('a task is cancelled after a second question, and buttons say why they do nothing', async t => {
    if (sandbox.state !== 'ok') return t.skip(`the sandbox does not work here: ${sandbox.summary}`);
    const { id } = await newTask('Nicer?');
    await page.goto(`${server.url}/tasks/${id}`);
    await page
      .getByRole('region', { name: 'Waiting for you' })
      .getByText(/I cannot act on that/)
      .waitFor({ timeout: limitMs });
    await page.getByRole('button', { name: 'Cancel' }).click();
    const question = page.getByRole('alertdialog');
    await question.waitFor();
    await assertScreen(page, 'cancel?');
    await question.getByRole('button', { name: 'Cancel the task' }).click();
    await badge('cancelled').waitFor();
    await page.getByRole('button', { name: 'Pause' }).focus();
    await page.getByRole('tooltip').getByText('The task is cancelled.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Retry' }).getAttribute('aria-disabled'), null);
    await page.getByRole('region', { name: 'Waiting for you' }).waitFor({ state: 'detached' });
  });

  test('a task that is out of money waits, and goes on when its limit is raised', async t => {
    if (sandbox.state !== 'ok') return t.skip(`the sandbox does not work here: ${sandbox.summary}`);
    const { id } = await newTask('Faster?', { budget_usd: 0.001 });
    await page.goto(`${server.url}/tasks/${id}`);
    await badge('out of budget').waitFor({ timeout: limitMs });
    await page.getByText('The next model call does not fit the budget.').waitFor();
    await assertScreen(page, 'out of budget');
    const raise = page.getByRole('button', { name: 'Raise the limit' });
    await page.getByLabel('New limit in dollars').fill('0.0005');
    assert.equal(await raise.getAttribute('aria-disabled'), 'true', 'less is not more');
    await page.getByLabel('New limit in dollars').fill('2');
    await raise.click();
    await page.getByText('of $2.00').first().waitFor();
    await badge('needs an answer').waitFor({ timeout: limitMs });
    await server.api('POST', `/api/v1/tasks/${id}/cancel`, {});
  });

  test('the keyboard alone leads to a screen, and to a task by its name', async () => {
    await page.goto(`${server.url}/system`);
    await heading('System').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.keyboard.type('agents');
    await page.keyboard.press('Enter');
    await heading('Agents').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await page.getByRole('option').first().waitFor();
    await assertScreen(page, 'palette');
    await page.keyboard.press('Escape');
    await page.getByRole('combobox').waitFor({ state: 'detached' });
  });

  test('an API key is shown once, works, and does not once it is revoked', async () => {
    await page.goto(`${server.url}/access`);
    await page.getByRole('button', { name: 'Create a key' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('from the page');
    await assertScreen(page, 'new key');
    await dialog.getByRole('button', { name: 'Create', exact: true }).click();
    const key = (await dialog.locator('code').textContent()) ?? '';
    const use = () => fetch(`${server.url}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });
    assert.equal((await use()).status, 200);
    await dialog.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('button', { name: 'Revoke from the page' }).click();
    await page.getByRole('button', { name: 'Revoke the key' }).click();
    await page.getByText(/^revoked/).waitFor();
    assert.equal((await use()).status, 401);
  });

  const looks = [
    { name: 'light', viewport: wide, colorScheme: 'light' },
    { name: 'dark', viewport: wide, colorScheme: 'dark' },
    { name: 'narrow', viewport: narrow, colorScheme: 'light' },
  ] as const;
  const shootLook = async (view: Page, screen: string, look: string) => {
    const wanted = ['task-dark', 'task-narrow'].includes(`${screen}-${look}`);
    if (images && wanted) await view.screenshot({ path: join(images, `${screen}-${look}.png`) });
  };
  for (const look of looks) {
    test(`every screen is accessible and fits: ${look.name}`, async () => {
      const own = await browser.newContext({ ...look, storageState: await context.storageState() });
      const view = await own.newPage();
      const complaints = listenForFaults(view);
      const task =
        delivered ||
        `/tasks/${(await server.api<{ items: { id: string }[] }>('GET', '/api/v1/tasks')).items[0]?.id}`;
      const screens = [
        ['tasks', '/', 'Tasks'],
        ['task', task, null],
        ['changes', `${task}?tab=changes`, null],
        ['checks', `${task}?tab=checks`, null],
        ['brief', `${task}?tab=brief`, null],
        ['messages', `${task}?tab=messages`, null],
        ['tree', `${task}?tab=tree`, null],
        ['approvals', '/approvals', 'Approvals'],
        ['decided', '/approvals?show=decided', 'Approvals'],
        ['agents', '/agents', 'Agents'],
        ['access', '/access', 'People and access'],
        ['system', '/system', 'System'],
      ] as const;
      for (const [name, path, title] of screens) {
        await view.goto(server.url + path);
        await view.getByRole('heading', { level: 1, ...(title ? { name: title } : {}) }).waitFor();
        await view.getByRole('status', { name: 'Loading' }).first().waitFor({ state: 'hidden' });
        assert.equal(await view.locator('html').getAttribute('data-theme'), look.colorScheme);
        await assertScreen(view, `${name}, ${look.name}`);
        await shootLook(view, name, look.name);
      }
      assert.deepEqual(complaints, []);
      await own.close();
    });
  }

  test('a chosen theme stays', async () => {
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Theme: as the system' }).click();
    await page.getByRole('button', { name: 'Theme: light' }).click();
    await page.reload();
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  });

  test('signing out ends the session, and what needs one leads back to sign-in', async () => {
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Sign out' }).last().click();
    await page.getByRole('heading', { name: 'Sign in to Guildhall' }).waitFor();
    await page.goto(`${server.url}/system`);
    await page.getByRole('heading', { name: 'Sign in to Guildhall' }).waitFor();
    assert.deepEqual(faults, []);
  });
});
