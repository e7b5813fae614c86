// The demo as a person meets it: a shop with a chat beside the agents' page, and a choice of agent systems. For each of them
// one hand-over, played on both pages.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from './support/pages.mjs';
import { Interline } from './support/interline.mjs';
import { becomes, until } from './support/until.mjs';

const SEEN = 20_000;
/** Where pictures of the pages go, for a look: `INTERLINE_PICTURES=1`. */
const PICTURES = process.env.INTERLINE_PICTURES && fileURLToPath(new URL('./test-results/demo/', import.meta.url));

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Interline.start();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Both sides, in one window, with what a strict page would complain of. */
async function open(context) {
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => /Content.Security.Policy|Refused to/i.test(message.text()) && complaints.push(message.text()));
  await page.goto(server.demo.base);
  const shop = page.frameLocator('iframe').first();
  const desk = page.frameLocator('iframe[name="agent"]');
  await shop.locator('interline-chat [part="bubble"]').first().waitFor({ timeout: SEEN });
  return { page, shop, desk, complaints };
}

const picture = async (page, name) => {
  if (!PICTURES) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}${name}.png` });
};

describe('the demo', () => {
  it('begins with BotKit and lists every agent system with its page', async () => {
    const context = await browser.newContext({ viewport: { width: 1500, height: 950 } });
    const { page, shop, desk, complaints } = await open(context);
    const choice = shop.getByTestId('desk');
    await choice.waitFor();
    assert.deepEqual(await choice.locator('option').allInnerTexts(), server.demo.desks.map(({ title }) => title));
    assert.equal(await choice.inputValue(), 'desk');
    assert.match(await desk.locator('#vendor').innerText(), /BotKit/);
    for (const { page: url } of server.demo.desks) assert.ok((await fetch(url)).ok, url);
    const refused = await fetch(`${server.demo.base}/demo/desks`, { method: 'POST', body: new URLSearchParams({ name: 'nobody' }) });
    assert.equal(refused.status, 404);
    await picture(page, 'both');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  it('hands over to whichever is chosen', { timeout: 300_000 }, async () => {
    for (const { name, title, page: url } of server.demo.desks) {
      const context = await browser.newContext({ viewport: { width: 1500, height: 950 }, colorScheme: name === 'desk' ? 'light' : 'dark' });
      const { page, shop, desk, complaints } = await open(context);
      const lines = () => shop.locator('interline-chat li.line .bubble').allInnerTexts();
      await shop.getByTestId('desk').selectOption(name);
      await becomes(`the page of ${title}`, SEEN, async () => page.frame({ name: 'agent' }).url(), url);
      const input = shop.locator('interline-chat [part="input"]');
      await input.fill(`an agent of ${title}, please`);
      await input.press('Enter');
      await desk.getByTestId('conversation').first().click({ timeout: SEEN });
      if (await desk.getByTestId('accept').isVisible()) await desk.getByTestId('accept').click();
      await until('the agent can speak', SEEN, () => desk.getByTestId('say').isEnabled());
      await desk.getByTestId('say').fill(`Good day from ${title}`);
      await desk.getByTestId('send').click();
      await until('the customer reads it', SEEN, async () => (await lines()).some((line) => line.includes(`Good day from ${title}`)));
      await input.fill('My train is late');
      await input.press('Enter');
      await until('the agent reads it', SEEN, async () => (await desk.getByTestId('line').allInnerTexts()).some((line) => line.includes('My train is late')));
      await picture(page, name);
      await desk.getByTestId('end').click();
      await until('the bot is back', SEEN, async () => (await lines()).some((line) => line.includes('talking to the bot again')));
      assert.deepEqual(complaints, [], title);
      await context.close();
    }
  });
});
