// The published kore-web-sdk, unmodified, in a real browser, against the built binary: a user asks for a human,
// a person plays the agent on the stand-in's page, both talk, either side ends it, and the bot is back.
// Each test has a server, a site and a browser context of its own.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe } from 'node:test';
import { launch } from './support/pages.mjs';
import { publishedIn, settled, toTheAgent } from './support/published.mjs';
import { startSite } from './support/site.mjs';
import { becomes, stays, until } from './support/until.mjs';
import { startWire } from './support/wire.mjs';

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const scene = publishedIn(() => browser);

/** The agent ends it, and both generations of the client are told; only then is the screen as it stays. */
async function agentEnds(chat, agent) {
  await agent.end();
  await until('the end of the human part', 15_000, () => chat.down(told('agent_disconnected')).length === 1);
  await until('the 11.x word for it', 5_000, () => chat.down(told('agent_session_inactive')).length === 1);
}

/** The human part is over: the bot echoes again, exactly once, and the agent hears nothing of it. */
async function botIsBack(chat, agent, screen) {
  const over = await settled(chat);
  assert.deepEqual(over.slice(0, screen.length), screen, 'nothing that was on the screen has changed');
  await chat.write('hello again');
  const echo = await chat.nextLine(over.length + 1);
  assert.match(echo, /^< .*hello again/, 'the bot echoes again');
  await chat.shows(...over, '> hello again', echo);
  await stays('the former agent hears nothing', 1_500, () => agent.counts('hello again'), [0]);
}

const agentLine = (text) => (frame) => frame.type === 'bot_response' && frame.message?.[0]?.cInfo?.body === text;
const told = (type) => (frame) => frame.type === 'events' && frame.message?.type === type;

describe('kore-web-sdk 10.1.12', () => {
  for (const plugin of [false, true]) {
    const which = plugin ? 'with the agent plug-in' : 'as it is';

    scene(`${which}: to a human and back when the agent ends`, async ({ browser, chat: open, site, agent }) => {
      const chat = await open(await browser(), await site(), { plugin });
      const before = await toTheAgent(chat, agent);

      await agent.write('Good day, Ann here');
      await chat.shows(...before, '< Good day, Ann here');
      const [frame] = chat.down(agentLine('Good day, Ann here'));
      assert.equal(frame.author?.type, 'AGENT', 'the line is marked as an agent’s');
      assert.equal(frame.message[0].component?.payload?.template_type, 'live_agent');
      assert.equal(chat.down(told('agent_connected')).length, 1, 'the 10.x client learns that an agent is there');
      assert.equal(chat.down(told('agent_session_active')).length, 1, 'the 11.x client learns it too');

      await chat.write('My train is late');
      await agent.showsOnce('My train is late');
      await agent.write('I will rebook you at once');
      await chat.shows(...before, '< Good day, Ann here', '> My train is late', '< I will rebook you at once');
      await stays('the bot is silent', 1_500, async () => (await chat.lines()).length, before.length + 3);

      await agentEnds(chat, agent);
      await botIsBack(chat, agent, [...before, '< Good day, Ann here', '> My train is late', '< I will rebook you at once']);
    });
  }

  scene('the plug-in’s receipts and typing reach nobody as text', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { plugin: true });
    const before = await toTheAgent(chat, agent);
    await agent.write('Can you read this?');
    await chat.shows(...before, '< Can you read this?');
    const { messageId } = chat.down(agentLine('Can you read this?'))[0];
    for (const event of ['message_delivered', 'message_read']) {
      await becomes(`${event} of the agent's line`, 10_000, async () => chat.up((f) => f.event === event && f.messageId === messageId).length, 1);
    }
    const lines = (await agent.lines()).length;
    await chat.write('yes');
    assert.ok(chat.up((f) => f.event === 'typing').length > 0, 'the plug-in tells of typing');
    await agent.showsOnce('yes');
    // The frames with `event` have an empty body: none of them is a line to anybody.
    await stays('lines on the agent page', 2_000, async () => (await agent.lines()).length, lines + 1);
    // The user's own line gets the mark "delivered" (or "read") from the server.
    const { clientMessageId } = chat.up((f) => f.message?.body === 'yes')[0];
    await until('the user’s line is marked as delivered', 10_000, () =>
      chat.down((f) => /^message_(delivered|read)$/.test(f.message?.type) && f.message.clientMessageId === clientMessageId).length > 0);
  });

  scene('with the agent plug-in: the user ends by closing the window', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { plugin: true });
    const before = await toTheAgent(chat, agent);
    await agent.write('How can I help?');
    await chat.shows(...before, '< How can I help?');

    await chat.close();
    await becomes('close_agent_chat sent', 5_000, async () => chat.up((f) => f.event === 'close_agent_chat').length, 1);
    await chat.show();
    await botIsBack(chat, agent, [...before, '< How can I help?']);
    // What the agent says now is nobody's: the former owner is not spoken.
    const screen = await chat.lines();
    if (await agent.page.getByTestId('send').isEnabled()) {
      await agent.write('are you still there?');
      await stays('the late agent is not heard', 2_000, () => chat.lines(), screen);
    }
  });

  scene('a reload of the page shows the conversation again, oldest first, and goes on', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site());
    const before = await toTheAgent(chat, agent);
    await agent.write('one');
    await chat.shows(...before, '< one');
    await chat.write('two');
    await agent.showsOnce('two');

    await chat.reload();
    await chat.shows(...before, '< one', '> two');
    await agent.write('three');
    await chat.shows(...before, '< one', '> two', '< three');
    await chat.write('four');
    await agent.showsOnce('four', 'two');
    await chat.shows(...before, '< one', '> two', '< three', '> four');
  });

  scene('a cut network: what the agent wrote meanwhile comes once, in order', async ({ browser, chat: open, site, agent, server, cleanup }) => {
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const chat = await open(await browser(), await site({ via: wire.origin }));
    const before = await toTheAgent(chat, agent);
    await agent.write('before the tunnel');
    await chat.shows(...before, '< before the tunnel');

    wire.cut();
    for (const text of ['in the tunnel 1', 'in the tunnel 2', 'in the tunnel 3']) {
      await agent.write(text);
      await agent.showsOnce(text);
    }
    await stays('nothing comes through a cut network', 1_000, async () => (await chat.lines()).length, before.length + 1);
    wire.mend();
    await until('the client reconnects', 60_000, () => chat.sockets.some((url) => url.includes('isReconnect=true')));
    const after = [...before, '< before the tunnel', '< in the tunnel 1', '< in the tunnel 2', '< in the tunnel 3'];
    await chat.shows(...after);
    await chat.write('out again');
    await agent.showsOnce('out again');
    await stays('nothing is doubled', 2_000, () => chat.lines(), [...after, '> out again']);
  });

  scene('a line typed while the network is cut arrives once', async ({ browser, chat: open, site, agent, server, cleanup }) => {
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const chat = await open(await browser(), await site({ via: wire.origin }));
    const before = await toTheAgent(chat, agent);
    const lines = (await agent.lines()).length;

    wire.cut();
    await until('the client notices', 10_000, () => chat.closed > 0);
    await chat.write('typed in the tunnel');
    wire.mend();
    // The SDK logs in anew and sends the line again by itself, with the same id, now as a string.
    await becomes('the line on the agent page', 60_000, () => agent.counts('typed in the tunnel'), [1]);
    await chat.ready();
    await agent.write('got it');
    await chat.shows(...before, '> typed in the tunnel', '< got it');
    // The SDK leaves its former connection's timer behind: 3 s after the cut that one asks for a socket too, with the
    // old access token. It is no second tab: the user's own lines must not come back to the screen through it.
    await sleep(5_000);
    await chat.write('and one more');
    await stays('nothing is doubled', 3_000, async () => (await chat.lines()).slice(before.length + 2), ['> and one more']);
    await agent.showsOnce('and one more');
    await becomes('lines on the agent page', 5_000, async () => (await agent.lines()).length, lines + 3);
  });

  scene('text is text: markup and JSON of the agent and the user are shown as they were typed', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site());
    const before = await toTheAgent(chat, agent);
    const said = ['<b>now</b> & "at once" &lt;', '<img src=x onerror=alert(1)>', '{"text":"not a template"}'];
    for (const [i, text] of said.entries()) {
      await agent.write(text);
      await chat.shows(...before, ...said.slice(0, i + 1).map((line) => `< ${line}`));
    }
    await chat.write('{"text":"mine"}');
    await agent.showsOnce('{"text":"mine"}');
    // The SDK parses a history text as JSON where it can: the same lines again, read from the history.
    const screen = await chat.lines();
    await chat.reload();
    await chat.shows(...screen);
    assert.equal(await chat.page.locator('.chat-container img[onerror]').count(), 0);
  });

  scene('the server is killed and started again: the conversation goes on', async ({ browser, chat: open, site, agent, server }) => {
    const chat = await open(await browser(), await site());
    const before = await toTheAgent(chat, agent);
    await agent.write('line before the crash');
    await chat.write('answer before the crash');
    await agent.showsOnce('answer before the crash');
    const screen = await settled(chat);
    assert.deepEqual(screen.slice(before.length).sort(), ['< line before the crash', '> answer before the crash']);

    await server.kill();
    await server.boot();
    await until('the client reconnects', 60_000, () => chat.sockets.some((url) => url.includes('isReconnect=true')));
    await chat.write('are you still there?');
    // The stand-in was in the same process: the agent opens the page again.
    await agent.page.reload();
    await agent.pick();
    await agent.showsOnce('are you still there?');
    await agent.write('yes, still here');
    await chat.shows(...screen, '> are you still there?', '< yes, still here');
    await stays('nothing is doubled', 2_000, () => chat.lines(), [...screen, '> are you still there?', '< yes, still here']);
    await agentEnds(chat, agent);
    await botIsBack(chat, agent, [...screen, '> are you still there?', '< yes, still here']);
  });

  scene('two tabs of one user see the same conversation', async ({ browser, chat: open, site, agent }) => {
    const context = await browser();
    const where = await site();
    const first = await open(context, where);
    const before = await toTheAgent(first, agent);
    const second = await open(context, where);
    await second.shows(...before);

    await second.write('from the second tab');
    await agent.showsOnce('from the second tab');
    await first.shows(...before, '> from the second tab');
    await second.shows(...before, '> from the second tab');
    await agent.write('to both');
    for (const tab of [first, second]) await tab.shows(...before, '> from the second tab', '< to both');

    await second.page.close();
    await first.write('the first tab stays');
    await agent.showsOnce('the first tab stays');
    await first.shows(...before, '> from the second tab', '< to both', '> the first tab stays');
  });

  scene('a wrong secret logs nobody in', async ({ browser, server, cleanup }) => {
    const site = await startSite({ demo: { ...server.demo, client_secret: 'not the secret' } });
    cleanup.push(() => site.close());
    const page = await (await browser()).newPage();
    const answers = [];
    page.on('response', (response) => answers.push([new URL(response.url()).pathname, response.status()]));
    await page.goto(`${site.url}?user=mallory`);
    await page.locator('.kore-chat-window.minimize .minimized .messages').click();
    await page.locator('.errorMsgBlock.showError').waitFor({ timeout: 15_000 });
    assert.ok((await page.locator('.errorMsgBlock').innerText()).length > 0, 'the SDK shows errors[0].msg');
    assert.ok(answers.some(([path, status]) => path.endsWith('/oAuth/token/jwtgrant') && status === 401), 'the grant is refused');
    assert.ok(!answers.some(([path]) => path.endsWith('/rtm/start')), 'no socket is asked for');
  });
});
