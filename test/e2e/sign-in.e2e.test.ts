/** Signing in as people do, in a real browser: invitation, second factor, passkey with a virtual device, provider. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { assertScreen, chromiumPath, launch, listenForFaults } from './browser.ts';
import { type PageServer, startPageServer } from './server.ts';

const good = 'seven green teapots sail';

/** RFC 6238, as an authenticator app computes it. */
function codeOf(secret: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map(char => alphabet.indexOf(char).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = (digest.at(-1) as number) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

describe('signing in', { skip: chromiumPath ? false : 'Chromium is not installed here' }, () => {
  let server: PageServer;
  let browser: Browser;
  let url: string;
  const pictures = process.env.TEST_PICTURES;

  before(async () => {
    server = await startPageServer();
    browser = await launch();
    // Passkeys belong to a name, not to a number.
    url = server.url.replace('127.0.0.1', 'localhost');
  });
  after(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const visit = async (
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<{ context: BrowserContext; page: Page; faults: string[] }> => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    return { context, page, faults: listenForFaults(page) };
  };

  /** Judges a screen wide and narrow, light and dark. */
  const look = async (page: Page, name: string): Promise<void> => {
    for (const [width, height] of [
      [1280, 900],
      [375, 800],
    ] as const) {
      await page.setViewportSize({ width, height });
      for (const theme of ['light', 'dark']) {
        await page.evaluate(`document.documentElement.dataset.theme = '${theme}'`);
        await assertScreen(page, `${name} ${width} ${theme}`);
        if (pictures) {
          await mkdir(pictures, { recursive: true });
          await page.screenshot({ path: `${pictures}/${name}-${width}-${theme}.png`, fullPage: true });
        }
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  };

  const invite = async (email: string): Promise<string> => {
    const { path } = await server.api<{ path: string }>('POST', '/api/v1/invitations', { email });
    return url + path;
  };
  const tasks = (page: Page) => page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();

  test('somebody invited makes an account, sets up a second factor, signs out and in again with both', async () => {
    const { context, page, faults } = await visit();
    await page.goto(await invite('ann@example.com'));
    await page.getByText('You are invited as').waitFor();
    assert.equal(new URL(page.url()).hash, '', 'the token is gone from the address');
    await look(page, 'invitation');
    await page.getByLabel('Your name').fill('Ann');
    await page.getByLabel('Password', { exact: true }).fill('Password1234!');
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await page.getByText('among the first that would be tried').waitFor();
    await page.getByLabel('Password', { exact: true }).fill(good);
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await tasks(page);

    await page.getByRole('link', { name: 'Account of Ann' }).click();
    await page.getByRole('heading', { level: 1, name: 'Account' }).waitFor();
    await page.getByText('this one').waitFor();
    await look(page, 'account');
    await page.getByRole('button', { name: 'Set it up' }).click();
    await page.getByLabel('Your password').fill(good);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('img', { name: 'QR code of the secret' }).waitFor();
    const link = await page.getByRole('link', { name: 'open it there' }).getAttribute('href');
    const secret = new URL(link ?? '').searchParams.get('secret') ?? '';
    await look(page, 'second-factor');
    await page.getByLabel('Code that the app shows now').fill('000000');
    await page.getByRole('button', { name: 'Turn it on' }).click();
    await page.getByText('The code is wrong').waitFor();
    await page.getByLabel('Code that the app shows now').fill(codeOf(secret));
    await page.getByRole('button', { name: 'Turn it on' }).click();
    await page.getByText('Keep these backup codes').waitFor();
    const codes = await page.locator('ul.font-mono li').allTextContents();
    assert.equal(codes.length, 10);
    await look(page, 'backup-codes');
    await page.getByRole('button', { name: 'I have them' }).click();
    await page.getByText('On: signing in with your password').waitFor();

    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    await page.getByRole('heading', { level: 1, name: 'Sign in to Guildhall' }).waitFor();
    await look(page, 'sign-in');
    await page.getByLabel('E-mail address').fill('ann@example.com');
    await page.getByLabel('Password').fill('wrong, quite wrong indeed');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('E-mail address or password is wrong.').waitFor();
    await look(page, 'sign-in-refused');
    await page.getByLabel('Password').fill(good);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'One more step' }).waitFor();
    await look(page, 'second-step');
    await page.getByRole('button', { name: 'Use a backup code' }).click();
    await page.getByLabel('Backup code').fill(codes[0] as string);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await tasks(page);
    assert.deepEqual(faults, []);
    await context.close();
  });

  test('a passkey: added on a device, signs in alone, and no more when it is removed', async () => {
    const { context, page, faults } = await visit();
    const devices = await context.newCDPSession(page);
    await devices.send('WebAuthn.enable');
    const { authenticatorId } = await devices.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await page.goto(await invite('bob@example.com'));
    await page.getByLabel('Your name').fill('Bob');
    await page.getByLabel('Password', { exact: true }).fill(good);
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await tasks(page);
    await page.goto(`${url}/account`);
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByLabel('Name').fill('Virtual device');
    await page.getByRole('button', { name: 'Ask this device' }).click();
    await page.getByRole('button', { name: 'Remove Virtual device' }).waitFor();
    const held = await devices.send('WebAuthn.getCredentials', { authenticatorId });
    assert.deepEqual(
      held.credentials.map(c => [c.isResidentCredential, c.rpId]),
      [[true, 'localhost']],
    );
    await look(page, 'account-passkey');

    const signOut = async () => {
      await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
      await page.getByRole('heading', { level: 1, name: 'Sign in to Guildhall' }).waitFor();
    };
    await signOut();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await tasks(page);
    const { items } = await page.evaluate(() =>
      fetch('/api/v1/sessions').then(r => r.json() as Promise<{ items: { method: string }[] }>),
    );
    assert.equal(items[0]?.method, 'passkey');

    await signOut();
    // A device that is merely touched, without finger, face or PIN, is not enough.
    await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.waitForTimeout(500);
    assert.equal(new URL(page.url()).pathname, '/sign-in');
    await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
    await page.reload();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await tasks(page);
    await page.goto(`${url}/account`);
    await page.getByRole('button', { name: 'Remove Virtual device' }).click();
    await page.getByRole('button', { name: 'Remove the passkey' }).click();
    await page.getByText('None. With one you sign in').waitFor();
    await signOut();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByText('This passkey is not known here').waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });

  test('an admin invites, withdraws, and resets a password by a link', async () => {
    const { context, page, faults } = await visit();
    await page.goto(url + (await server.signInPath()));
    await tasks(page);
    await page.goto(`${url}/access`);
    await page.getByRole('button', { name: 'Invite somebody' }).click();
    await page.getByLabel('E-mail address').fill('cat@example.com');
    await page.getByLabel('Role', { exact: true }).selectOption('viewer');
    await page.getByRole('button', { name: 'Make the link' }).click();
    await page.getByText(`${url}/invitation#ghi_`).waitFor();
    await look(page, 'invitation-made');
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('button', { name: 'Withdraw the invitation of cat@example.com' }).click();
    await page.getByRole('button', { name: 'Withdraw it' }).click();
    await page.getByText('withdrawn').first().waitFor();
    await look(page, 'access');

    const { path } = await server
      .api<{ path: string }>('POST', '/api/v1/bootstrap', { email: 'root@example.com' })
      .catch(() => ({ path: '' }));
    // Ann and Bob can sign in, but neither is an admin: the owner is still unclaimed.
    assert.match(path, /^\/set-password#/);
    await page.goto(url + path);
    await page.getByLabel('New password').fill(good);
    await look(page, 'set-password');
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByRole('heading', { level: 1, name: 'Your password is set' }).waitFor();
    await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByLabel('E-mail address').fill('root@example.com');
    await page.getByLabel('Password').fill(good);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await tasks(page);
    assert.deepEqual(faults, []);
    await context.close();
  });
});
