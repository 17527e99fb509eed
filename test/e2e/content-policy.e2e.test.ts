/** The page and the reference in a real browser under the server's content policy: nothing of ours is blocked, and what is slipped in does not run. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { chromiumPath, launch, listenForFaults } from './browser.ts';
import { type PageServer, startPageServer } from './server.ts';

describe('the content policy', { skip: chromiumPath ? false : 'Chromium is not installed here' }, () => {
  let server: PageServer;
  let browser: Browser;
  let page: Page;
  let faults: string[] = [];

  before(async () => {
    [server, browser] = await Promise.all([startPageServer(), launch()]);
    const context = await browser.newContext();
    context.setDefaultTimeout(15_000);
    await context.addInitScript(
      "globalThis.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + ': ' + e.blockedURI + ' ' + e.sample))",
    );
    page = await context.newPage();
    faults = listenForFaults(page);
    await page.goto(server.url + (await server.signInPath()));
    await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  });

  after(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const violations = () => page.evaluate('violations') as Promise<string[]>;

  test('NET-03 every screen and the dialogs work without anything that the policy blocks', async () => {
    for (const path of ['/', '/approvals', '/agents', '/system']) {
      await page.goto(server.url + path);
      await page.getByRole('heading', { level: 1 }).first().waitFor();
      assert.deepEqual(await violations(), [], path);
    }
    await page.keyboard.press('Control+k');
    const palette = page.getByRole('dialog');
    await palette.waitFor();
    // The dialog's own style is in force: what lies behind it does not scroll.
    assert.equal(await page.evaluate('getComputedStyle(document.body).overflow'), 'hidden');
    await page.keyboard.press('Escape');
    await palette.waitFor({ state: 'hidden' });
    assert.deepEqual(await violations(), []);
    assert.deepEqual(faults, []);
  });

  test('NET-03 the reference at /docs works under its policy', async () => {
    await page.goto(`${server.url}/docs/`);
    const operation = page.locator('.opblock-summary-control').first();
    await operation.click();
    await page.locator('.opblock-body').first().waitFor();
    assert.deepEqual(await violations(), []);
    assert.deepEqual(faults, []);
  });

  test('NET-03 a script that is slipped into the page does not run', async () => {
    await page.goto(`${server.url}/`);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    const ran = await page.evaluate(`(async () => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.slipped = "script"';
      document.body.append(script);
      const box = document.createElement('div');
      box.innerHTML = '<img src="/nothing.png" onerror="globalThis.slipped = \\'handler\\'"><a href="javascript:globalThis.slipped=1">x</a><style>body{display:none}</style>';
      document.body.append(box);
      box.querySelector('a').click();
      await new Promise(resolve => setTimeout(resolve, 300));
      return [globalThis.slipped ?? null, getComputedStyle(document.body).display];
    })()`);
    assert.deepEqual(ran, [null, 'block']);
    const seen = (await violations()).map(violation => violation.split(':')[0]);
    assert.ok(
      seen.includes('script-src-elem') && seen.includes('script-src-attr') && seen.includes('style-src-elem'),
      seen.join(),
    );
  });
});
