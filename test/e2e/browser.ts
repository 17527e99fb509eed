/** The system's Chromium, and what a screen must be in it: accessible, and no wider than the window. */
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, chromium, type Page } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const chromiumPath = places.find(isExecutable);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Collects what the page complains about; refused requests are part of some tests and not counted. */
export function listenForFaults(page: Page): string[] {
  const faults: string[] = [];
  page.on('pageerror', error => faults.push(error.stack ?? error.message));
  page.on('console', message => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      faults.push(message.text());
  });
  return faults;
}

/** No violation of WCAG 2.2 A and AA that axe can find, and nothing that scrolls sideways. */
export async function assertScreen(page: Page, name: string): Promise<void> {
  // Colours fade while something appears: judged is what stays.
  await page.evaluate(
    'Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations !== Infinity).map(a => a.finished.catch(() => {})))',
  );
  const { violations, passes } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'])
    .analyze();
  assert.deepEqual(
    violations.map(
      v => `${v.id}: ${v.nodes.map(n => `${n.html.slice(0, 200)} ${n.failureSummary}`).join('\n')}`,
    ),
    [],
    name,
  );
  assert.ok(passes.length >= 10, `${name}: axe looked at it`);
  const excess = await page.evaluate('document.body.scrollWidth - document.body.clientWidth');
  assert.equal(excess, 0, `${name} is wider than the window`);
}
