// Worlds for the published client: a server, a customer's site with the client on it, and somebody at the agent's page.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'node:test';
import { Interline } from './interline.mjs';
import { AgentPage, ChatPage, evidence } from './pages.mjs';
import { startSite } from './site.mjs';

/** Runs `body` in a world of its own and takes the world down again, leaving evidence if it failed. */
export const publishedIn = (browser) => (name, body) =>
  it(name, { timeout: 120_000 }, async () => {
    const world = { chats: [], contexts: [], cleanup: [] };
    world.browser = async () => {
      const context = await browser().newContext({ viewport: { width: 1100, height: 900 } });
      world.contexts.push(context);
      return context;
    };
    world.chat = async (context, site, options) => {
      const chat = await ChatPage.open(context, site, { user: 'ann@example.test', ...options });
      world.chats.push(chat);
      return chat;
    };
    world.site = async (options) => {
      const site = await startSite({ demo: world.server.demo, ...options });
      world.cleanup.push(() => site.close());
      return site;
    };
    try {
      world.server = await Interline.start();
      world.agent = await AgentPage.open(await world.browser(), world.server.demo);
      await body(world);
      for (const chat of world.chats) chat.unharmed();
    } catch (error) {
      const folder = await evidence(name, world);
      error.message += `\nevidence: ${folder}`;
      throw error;
    } finally {
      for (const context of world.contexts) await context.close();
      for (const close of world.cleanup) await close();
      await world.server?.stop();
    }
  });

/** Welcome, an echo from the bot, then a request for a human that the agent page shows. Returns the screen so far. */
export async function toTheAgent(chat, agent) {
  const welcome = await chat.nextLine(0);
  assert.match(welcome, /^< ./, 'the bot greets first');
  await chat.write('hello');
  const echo = await chat.nextLine(2);
  assert.match(echo, /^< .*hello/, 'the bot echoes');
  await chat.write('I want an agent, please');
  await agent.pick();
  // What the bot says while it lets go is the app's text: however many lines, none of them is an echo.
  const screen = await settled(chat);
  assert.deepEqual(screen.slice(0, 4), [welcome, '> hello', echo, '> I want an agent, please']);
  for (const line of screen.slice(4)) assert.doesNotMatch(line, /I want an agent/, 'the bot has let go');
  return screen;
}

/** The screen once it has not changed for a second and a half (the SDK draws a queued line every half second). */
export async function settled(chat) {
  let screen = await chat.lines();
  for (let still = Date.now(); Date.now() - still < 1_500; ) {
    await sleep(100);
    const now = await chat.lines();
    if (now.length !== screen.length) still = Date.now();
    screen = now;
  }
  return screen;
}
