/** The audit screen in a real browser: what was done is found, looked into, and proved to be whole or not. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import type { Browser, Page } from 'playwright-core';
import { buildPage } from '../../src/page.ts';
import { startTestApp, type TestApp } from '../harness/app.ts';
import { sealAll } from '../harness/audit.ts';
import { assertScreen, chromiumPath, launch, listenForFaults } from './browser.ts';

describe('the audit screen', { skip: chromiumPath ? false : 'Chromium is not installed here' }, () => {
  let guildhall: TestApp;
  let browser: Browser;
  let faults: string[] = [];

  before(async () => {
    await buildPage(() => {});
    [guildhall, browser] = await Promise.all([startTestApp({ roles: ['api'] }), launch()]);
    for (let i = 0; i < 60; i++) await guildhall.api('POST', '/api/v1/api-keys', { name: `key ${i}` });
    await guildhall.api('POST', '/api/v1/tasks', { request: 'Do it.' });
    await seal();
  });
  after(async () => {
    await browser?.close();
    await guildhall?.[Symbol.asyncDispose]();
  });

  const seal = () => {
    const { db, sealer } = guildhall.app;
    return sealAll({ db, sealer, clock: { now: () => Date.now() }, keyMaxAgeMs: 1e12 });
  };

  async function open(width: number, colorScheme: 'light' | 'dark'): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 860 }, colorScheme });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    faults = listenForFaults(page);
    const link = await guildhall.api<{ path: string }>('POST', '/api/v1/sign-in-links');
    await page.goto(guildhall.app.url + link.body.path);
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    return page;
  }

  test('records are searched, paged, looked into and narrowed; the search stands in the address', async () => {
    const page = await open(1360, 'light');
    await page.getByRole('link', { name: 'Audit' }).click();
    const records = page.getByRole('list', { name: 'Records' }).getByRole('listitem');
    await records.first().waitFor();
    assert.equal(await records.count(), 50);
    await page.getByRole('button', { name: 'Older records' }).click();
    await records.nth(60).waitFor();
    await page.getByLabel('Text', { exact: true }).fill('Key 7');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('key 7').or(records.first()).first().waitFor();
    await page.waitForURL(/text=/);
    await page.waitForFunction(`document.querySelectorAll('[aria-label="Records"] > li').length === 1`);
    await records.first().getByRole('button').click();
    await page.getByText('"name": "key 7"').waitFor();
    await assertScreen(page, 'a record');
    await page.getByRole('button', { name: 'Show everything' }).click();
    await page.getByLabel('What', { exact: true }).fill('no.such');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('Nothing was recorded like that').waitFor();
    await page.reload();
    await page.getByText('Nothing was recorded like that').waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('CMP-01 the chain is verified from the page; a record that was tampered with is named', async () => {
    const page = await open(375, 'dark');
    await page.getByRole('link', { name: 'System' }).click();
    await page.getByRole('link', { name: 'open the audit' }).click();
    await page.getByText('Not verified yet.').waitFor();
    await page.getByRole('button', { name: 'Verify now' }).click();
    await page.getByText('The audit is whole.').waitFor();
    await page.getByText(/Verified up to seal \d+/).waitFor();
    await assertScreen(page, 'verified');
    const owner = new pg.Client(guildhall.database.owner as pg.ClientConfig);
    await owner.connect();
    await owner.query(`update audit_records set actor = 'member:mem_other' where action = 'task.create'`);
    await owner.end();
    await page.getByRole('button', { name: 'Verify now' }).click();
    await page.getByText('The audit is not whole: 1 finding.').waitFor();
    await page
      .getByText(/record \d+-\d+ \(task\.create .* by member:mem_other\) is not what seal \d+ was made over/)
      .waitFor();
    await page.getByText(/Not whole up to seal \d+/).waitFor();
    await assertScreen(page, 'tampered');
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
