// Two pages of the server in a real browser: the transcript behind a hand-over's link, and the status page. What people
// said is text on both; nothing runs and nothing is fetched that is not the page's own.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import { Interline } from './support/interline.mjs';
import { AgentPage, ChatPage, evidence, launch } from './support/pages.mjs';
import { startSite } from './support/site.mjs';
import { becomes, until } from './support/until.mjs';

const EVIL = '<img src=x onerror="document.title=\'owned\'">';
const SEEN = 15_000;
/** `SHOTS=/some/folder` leaves pictures there. */
const shots = process.env.SHOTS;

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

/** The customer, in the published client on a site of their own. */
class Customer {
  static async open({ context, demo, cleanup, chats }, user) {
    const site = await startSite({ demo });
    cleanup.push(() => site.close());
    const customer = new Customer();
    customer.chat = await ChatPage.open(context, site, { user });
    chats.push(customer.chat);
    await customer.shows('< Hello');
    return customer;
  }

  write(text) {
    return this.chat.write(text);
  }

  async shows(text) {
    await until(`the customer sees ${text}`, SEEN, async () => (await this.chat.lines()).some((line) => line.startsWith(text)));
  }
}

/** Everything on a page that must not be there: errors, refused or foreign requests, what the policy stopped. */
function guard(page, base) {
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== base || url.pathname.endsWith('/x')) faults.push(`request: ${request.url()}`);
  });
  return faults;
}

let axe;
try {
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
} catch {
  // Not installed: the pages are looked at without it.
}

/** What axe finds, in both colour schemes. */
async function accessible(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    if (shots) await page.screenshot({ path: `${shots}/${name}-${colorScheme}.png`, fullPage: true });
    if (!axe) continue;
    // The page's policy lets no script in; an isolated world has its own.
    const session = await page.context().newCDPSession(page);
    const { frameTree } = await session.send('Page.getFrameTree');
    const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
    const run = async (expression) => {
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
      });
      assert.equal(exceptionDetails, undefined);
      return result.value;
    };
    await run(`${axe}; undefined`);
    const found = await run(`axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
      id + ': ' + nodes.map((node) => node.html + ' ' + (node.any[0]?.message ?? '')).join(' | ')))`);
    assert.deepEqual(found, [], `${name}, ${colorScheme}`);
    await session.detach();
  }
}

function scene(name, body) {
  it(name, { timeout: 120_000 }, async () => {
    const world = { chats: [], cleanup: [] };
    try {
      world.server = await Interline.start();
      world.demo = world.server.demo;
      world.context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
      world.agent = await AgentPage.open(world.context, world.demo);
      await body(world);
    } catch (error) {
      error.message += `\nevidence: ${await evidence(name, world)}`;
      throw error;
    } finally {
      await world.context?.close();
      for (const close of world.cleanup) await close();
      await world.server?.stop();
    }
  });
}

describe('transcript page', () => {
  scene('markup in words stays text, a click shows it, ten clicks use it up', async (world) => {
    const { context, demo, agent } = world;
    const customer = await Customer.open(world, 'ann');
    for (const text of [EVIL, 'שלום, אני צריך עזרה (order 12)', '</p></li><script>document.title="owned"</script>']) {
      await customer.write(text);
      await customer.shows(`< You said: ${text}`);
    }
    await customer.write('an agent, please');
    await agent.pick();
    await agent.write(EVIL);
    const link = agent.page.getByTestId('transcript');
    await link.waitFor({ timeout: SEEN });
    assert.equal(await link.getAttribute('rel'), 'noreferrer');
    const [page] = await Promise.all([context.waitForEvent('page'), link.click()]);
    const faults = guard(page, demo.base);
    await page.waitForLoadState();
    assert.doesNotMatch(await page.content(), /order 12/, 'the words are not on the page yet');
    await becomes('uses left', SEEN, () => page.getByTestId('left').innerText(), '10 more times');
    await accessible(page, 'transcript-ask');

    await page.getByTestId('show').click();
    const lines = page.getByTestId('line');
    await until('the words', SEEN, async () => (await lines.count()) > 0);
    const words = await page.locator('[data-testid="line"] .text').allInnerTexts();
    assert.ok(words.includes(EVIL) && words.includes('an agent, please'), `${words}`);
    assert.ok(words.every((text) => !text.includes('connected to')), `${words}`);
    assert.equal(await page.locator('img, script, main a').count(), 0, 'markup became elements');
    const hebrew = page.locator('.text', { hasText: 'שלום' }).first();
    assert.equal(await hebrew.evaluate((node) => getComputedStyle(node).direction), 'rtl');
    assert.notEqual(await page.title(), 'owned');
    await accessible(page, 'transcript');
    await page.emulateMedia({ media: 'print', colorScheme: 'light' });
    if (shots) await page.pdf({ path: `${shots}/transcript-print.pdf`, format: 'A4' });
    await page.emulateMedia({ media: 'screen' });

    for (let left = 9; left > 0; left -= 1) await page.reload();
    await becomes('the tenth', SEEN, () => page.getByTestId('left').innerText(), 'is used up now');
    assert.deepEqual(faults, []);
    const gone = await page.reload();
    assert.equal(gone.status(), 410);
    await becomes('used up', SEEN, () => page.locator('h1').innerText(), 'This link is used up');
    await accessible(page, 'transcript-used-up');
  });

  scene('the button works without JavaScript', async (world) => {
    const { context, demo, agent } = world;
    const customer = await Customer.open(world, 'ann');
    await customer.write('an agent, please');
    await agent.pick();
    const url = await agent.page.getByTestId('transcript').getAttribute('href', { timeout: SEEN });
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const page = await plain.newPage();
    await page.goto(url);
    await page.getByTestId('show').click();
    await page.getByText('an agent, please').waitFor({ timeout: SEEN });
    assert.equal(page.url(), url);
    await plain.close();
  });
});

describe('status page', () => {
  const row = (page) => page.locator('tr[data-testid="live"]');

  async function open(context, { base, key }) {
    const page = await context.newPage();
    const faults = guard(page, base);
    await page.goto(`${base}/status`);
    await page.getByLabel('API key').fill(key);
    await page.keyboard.press('Enter');
    return { page, faults };
  }

  scene('a live transfer is shown as it changes, and ended by its button', async (world) => {
    const { context, demo, agent } = world;
    const { page, faults } = await open(context, demo);
    await becomes('nothing is live', SEEN, () => page.locator('#live-none').isVisible(), true);
    await becomes('the stream is open', SEEN, () => page.locator('#connection').innerText(), 'Live');
    await accessible(page, 'status-empty');

    const customer = await Customer.open(world, EVIL);
    await customer.write('an agent, please');
    await row(page).waitFor({ timeout: SEEN });
    assert.match(await row(page).innerText(), /<img src=x onerror/, 'a name is text');
    assert.equal(await page.locator('main img').count(), 0);
    await agent.pick();
    await agent.write('Good day');
    await until('it talks', SEEN, async () => (await row(page).innerText()).includes('talking'));
    assert.match(await row(page).innerText(), /desk/);
    const clock = row(page).locator('td.time').first();
    const earlier = await clock.innerText();
    await until('the timer runs', SEEN, async () => (await clock.innerText()) !== earlier);
    assert.equal(await row(page).getByRole('button', { name: /^Retry/ }).count(), 0, 'an agent is there');
    await accessible(page, 'status');

    page.once('dialog', (dialog) => dialog.dismiss());
    await row(page).getByRole('button', { name: /^Return to bot/ }).click();
    assert.equal(await row(page).count(), 1, 'nothing is done without a yes');
    page.once('dialog', (dialog) => dialog.accept());
    await row(page).getByRole('button', { name: /^Return to bot/ }).click();
    await becomes('live transfers', SEEN, () => row(page).count(), 0);
    await customer.write('bot?');
    await customer.shows('< You said: bot?');

    await customer.write('agent');
    await row(page).waitFor({ timeout: SEEN });
    page.once('dialog', (dialog) => dialog.accept());
    await row(page).getByRole('button', { name: /^End/ }).focus();
    await page.keyboard.press('Enter');
    await becomes('live transfers', SEEN, () => row(page).count(), 0);
    await until('the customer’s session ends', SEEN, () => customer.chat.down((frame) => frame.type === 'session_end').length > 0);
    assert.notEqual(await page.title(), 'owned');
    assert.deepEqual(faults, []);

    // A reload of the tab finds its key again, another tab does not.
    await page.reload();
    await becomes('connected again', SEEN, () => page.locator('#connection').innerText(), 'Live');
    const other = await context.newPage();
    await other.goto(`${demo.base}/status`);
    await becomes('the key is asked for', SEEN, () => other.getByLabel('API key').isVisible(), true);
    await page.getByRole('button', { name: 'Forget the key' }).click();
    assert.deepEqual(await page.evaluate(() => [sessionStorage.length, localStorage.length]), [0, 0]);
  });

  scene('a held participant is shown with its error, and tried again by its button', async (world) => {
    const { context, demo, agent } = world;
    const { page } = await open(context, demo);
    const customer = await Customer.open(world, 'ann');
    await customer.write('an agent, please');
    await agent.pick();
    await agent.write('Good day');
    await customer.shows('< Good day');
    const faults = `${demo.base}/_sim/botkit/faults`;
    const headers = { 'content-type': 'application/json' };
    const rules = [{ on: 'on_user_message', fault: { kind: 'error_before', status: 429, retry_after: 600 } }];
    const set = await fetch(faults, { method: 'PUT', headers, body: JSON.stringify(rules) });
    assert.ok(set.ok, await set.text());
    await customer.write('are you there?');
    const held = page.locator('tr[data-testid="held"]');
    await held.waitFor({ timeout: SEEN });
    const shown = await held.innerText();
    assert.match(shown, /429/);
    assert.match(shown, /desk/);
    await accessible(page, 'status-held');
    await fetch(faults, { method: 'DELETE' });
    await held.getByRole('button', { name: /^Retry/ }).click();
    await agent.showsOnce('are you there?');
    await becomes('held participants', SEEN, () => held.count(), 0);
  });

  scene('without the stream it asks again and again; a wrong key is refused', async (world) => {
    const { context, demo, server } = world;
    const { page } = await open(context, { ...demo, key: 'ilk_wrong_wrong' });
    await becomes('the refusal', SEEN, () => page.locator('#trouble').innerText(), 'This key does not count: it is unknown, expired or withdrawn.');
    await page.route('**/events', (route) => route.abort());
    await page.getByLabel('API key').fill(demo.key);
    await page.getByRole('button', { name: 'Show' }).click();
    await becomes('polling', SEEN, () => page.locator('#connection').innerText(), 'Looking every few seconds');
    const customer = await Customer.open(world, 'ann');
    await customer.write('agent');
    await row(page).waitFor({ timeout: SEEN });
    await server.kill();
    await becomes('the server is gone', SEEN, () => page.locator('#connection').innerText(), 'The server cannot be reached.');
    await server.boot();
    await becomes('it is back', SEEN, () => page.locator('#connection').innerText(), 'Looking every few seconds');
  });
});
