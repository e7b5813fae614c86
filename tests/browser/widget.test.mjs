// Our own widget in a real browser against the built binary: to a human and back, both ways of ending, and everything that
// a network, a reload or a crash can do meanwhile. Each test has a server, a company's page and a browser context of its own.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { launch } from './support/pages.mjs';
import { becomes, stays, until } from './support/until.mjs';
import { between, faults, sceneIn, toTheAgent } from './support/widget.mjs';
import { startWire } from './support/wire.mjs';

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());
const scene = sceneIn(() => browser);

/** The human part is over: the bot echoes again, exactly once, and the agent hears nothing of it. */
async function botIsBack(widget, agent, text = 'hello again') {
  await widget.reaches('bot');
  await widget.write(text);
  await until('the bot echoes again', 15_000, async () => (await widget.words()).at(-1) === `< You said: ${text}`);
  const times = (await widget.words()).filter((line) => line === `> ${text}`).length;
  assert.equal(times, 1);
  await stays('the former agent hears nothing', 1_000, () => agent.counts(text), [0]);
}

const typed = (event) => (frame) => frame.event === event;

describe('the widget: to a human and back', () => {
  scene('welcome, waiting, agent, typing and ticks, and the bot again', async ({ browser, open, company, agent, server }) => {
    let tell;
    const widget = await open(await browser(), await company(), { before: async (page) => (tell = await between(page)) });
    const welcome = await widget.nextLine(0);
    assert.match(welcome, /^< ./, 'the bot greets first');
    await widget.reaches('bot');
    await becomes('the bot’s name', 5_000, () => widget.page.locator('interline-chat #title').textContent(), 'Interline demo');

    await faults(server.demo, [{ on: 'on_agent_transfer', times: 1, fault: { kind: 'latency', ms: 3000 } }]);
    await widget.write('agent, please');
    await widget.reaches('waiting');
    const waiting = widget.part('waiting');
    await becomes('the waiting message', 5_000, () => waiting.locator('strong').textContent(), 'Connecting you to a person…');
    tell({ type: 'phase', phase: 'waiting', position: 3, botInfo: { chatBot: 'Interline demo' }, icon: '' });
    await becomes('the place in the queue', 5_000, () => waiting.locator('strong').textContent(), 'You are number 3 in the queue.');
    assert.equal(await waiting.getAttribute('role'), 'status');
    await widget.write('said while waiting');
    await widget.reaches('agent');
    await agent.pick();
    // The stand-in shows it twice: in the transcript that it fetches late, and as a line.
    await until('the agent reads it', 15_000, async () => (await agent.counts('said while waiting'))[0] > 0);
    assert.equal(await waiting.locator('strong').textContent(), '');
    await agent.write('Good day, Ann here');
    await until('the agent’s line', 15_000, async () => (await widget.words()).includes('< Good day, Ann here'));

    // Typing, both ways.
    await widget.part('input').pressSequentially('My train');
    await until('the server is told of typing', 5_000, () => widget.up(typed('typing')).length === 1);
    await until('and that it stopped', 5_000, () => widget.up(typed('stop_typing')).length === 1);
    await widget.write('My train is late');
    tell({ type: 'events', from: 'bot', message: { type: 'typing', author: { type: 'AGENT' } } });
    await becomes('somebody types', 5_000, () => widget.part('typing').innerText(), 'Agent is typing…');
    tell({ type: 'events', from: 'bot', message: { type: 'stoptyping', author: { type: 'AGENT' } } });
    await becomes('nobody types', 5_000, () => widget.part('typing').innerText(), '');

    // Ticks: the server's own word for "delivered", and what a system that tells "read" would lead to.
    await agent.showsOnce('My train is late');
    await becomes('delivered', 10_000, async () => (await widget.ticks()).at(-1), 'delivered');
    const { clientMessageId } = widget.up((frame) => frame.message?.body === 'My train is late')[0];
    tell({ type: 'events', from: 'bot', message: { type: 'message_read', clientMessageId } });
    await becomes('read', 5_000, async () => [...new Set(await widget.ticks())], ['read']);
    // Receipts for the agent's line, up.
    const { messageId } = widget.down((frame) => frame.message?.[0]?.cInfo?.body === 'Good day, Ann here')[0];
    for (const event of ['message_delivered', 'message_read']) {
      await until(`${event} up`, 5_000, () => widget.up((frame) => frame.event === event && frame.messageId === messageId).length > 0);
    }

    await agent.end();
    await botIsBack(widget, agent);
    const notes = (await widget.lines()).filter((line) => line.startsWith('- '));
    assert.deepEqual(notes, ['- Agent joined the chat', '- Agent left the chat']);
  });

  scene('the user ends it while waiting, with the agent, and with the bot', async ({ browser, open, company, agent, server }) => {
    const widget = await open(await browser(), await company());
    await widget.nextLine(0);
    // Waiting. First the user thinks better of it.
    await faults(server.demo, [{ on: 'on_agent_transfer', times: 1, fault: { kind: 'latency', ms: 4000 } }]);
    await widget.write('agent, please');
    await widget.reaches('waiting');
    await widget.end({ yes: false });
    assert.equal(await widget.phase(), 'waiting');
    await widget.end();
    await botIsBack(widget, agent, 'nobody came');

    // With the agent.
    await widget.write('agent, now really');
    await widget.reaches('agent');
    await widget.end();
    await becomes('close_agent_chat', 5_000, async () => widget.up((frame) => frame.event === 'close_agent_chat').length, 2);
    await botIsBack(widget, agent, 'that was quick');

    // With the bot: the conversation is over, and a new one begins when the user wants it.
    await widget.end();
    await widget.reaches('closed');
    await widget.part('restart').waitFor();
    assert.equal(await widget.part('composer').isVisible(), false);
    const before = await widget.words();
    await widget.part('restart').click();
    await widget.reaches('bot');
    await widget.shows(...before, before[0]);
    await widget.write('a new one');
    await widget.shows(...before, before[0], '> a new one', '< You said: a new one');
  });
});

describe('the widget: what goes wrong', () => {
  scene('a cut network: lines of both sides come once, in order', async ({ browser, open, company, agent, server, cleanup }) => {
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const widget = await open(await browser(), await company({ via: wire.origin }));
    const before = await toTheAgent(widget, agent);
    wire.cut();
    await until('the widget notices', 10_000, () => widget.closed > 0);
    await becomes('the banner', 5_000, () => widget.part('banner').getAttribute('data-what'), 'reconnecting');
    assert.match(await widget.part('banner').innerText(), /Connection lost/);
    assert.equal(await widget.part('banner').getAttribute('aria-live'), 'polite');
    for (const text of ['typed in the tunnel 1', 'typed in the tunnel 2']) await widget.write(text);
    for (const text of ['in the tunnel 1', 'in the tunnel 2', 'in the tunnel 3']) await agent.write(text);
    assert.deepEqual((await widget.ticks()).slice(-2), ['sending', 'sending']);
    wire.mend();
    const after = [...before, '< in the tunnel 1', '< in the tunnel 2', '< in the tunnel 3', '> typed in the tunnel 1', '> typed in the tunnel 2'];
    await becomes('the lines after the tunnel', 60_000, () => widget.words(), after);
    await agent.showsOnce('typed in the tunnel 1', 'typed in the tunnel 2');
    assert.ok(widget.sockets.some((url) => /isReconnect=true/.test(url) && /after=ms-/.test(url)), 'it names the line to go on behind');
    await until('the banner goes', 10_000, async () => (await widget.part('banner').getAttribute('data-what')) === '');
    await widget.write('out again');
    await agent.showsOnce('out again');
    await stays('nothing is doubled', 2_000, () => widget.words(), [...after, '> out again']);
    await becomes('all of it arrived', 10_000, async () => new Set((await widget.ticks()).slice(-3)), new Set(['delivered']));
  });

  scene('the browser is offline: a line typed meanwhile arrives once', async ({ browser, open, company, agent }) => {
    const context = await browser();
    const widget = await open(context, await company());
    const before = await toTheAgent(widget, agent);
    await context.setOffline(true);
    await widget.write('typed offline');
    // Emulation leaves open sockets alone; whoever asks for a new one fails.
    await widget.page.evaluate(() => dispatchEvent(new Event('offline')));
    await context.setOffline(false);
    await agent.showsOnce('typed offline');
    await stays('once', 2_000, () => widget.words(), [...before, '> typed offline']);
  });

  scene('the server is killed in mid-chat and started again', async ({ browser, open, company, agent, server }) => {
    const widget = await open(await browser(), await company());
    const before = await toTheAgent(widget, agent);
    await widget.write('before the crash');
    await agent.showsOnce('before the crash');
    await server.kill();
    await becomes('the banner', 10_000, () => widget.part('banner').getAttribute('data-what'), 'reconnecting');
    await widget.write('during the crash');
    await server.boot();
    await becomes('connected again', 60_000, async () => (await widget.ticks()).at(-1) !== 'sending', true);
    // The stand-in was in the same process: the agent opens the page again.
    await agent.page.reload();
    await agent.pick();
    await widget.write('are you still there?');
    await agent.showsOnce('are you still there?');
    await agent.write('yes, still here');
    const all = [...before, '> before the crash', '> during the crash', '> are you still there?', '< yes, still here'];
    await widget.shows(...all);
    await stays('nothing is doubled', 2_000, () => widget.words(), all);
    await agent.end();
    await botIsBack(widget, agent);
  });

  scene('a reload: the window, the lines, the ticks and what was not sent are there again', async ({ browser, open, company, agent, server, cleanup }) => {
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const widget = await open(await browser(), await company({ via: wire.origin }));
    const before = await toTheAgent(widget, agent);
    await widget.write('one');
    await agent.showsOnce('one');
    await becomes('delivered', 10_000, async () => (await widget.ticks()).at(-1), 'delivered');
    // Not sent: the socket is gone, and no new one is given.
    await widget.page.route('**/rtm/start', (route) => route.abort());
    wire.cut();
    await until('the widget notices', 10_000, () => widget.closed > 0);
    wire.mend();
    await widget.write('two');
    await widget.page.unroute('**/rtm/start');
    await widget.page.reload();
    await widget.shows(...before, '> one', '> two');
    await agent.showsOnce('one', 'two');
    await widget.reaches('agent');
    await becomes('ticks', 10_000, async () => (await widget.ticks()).slice(-2), ['delivered', 'delivered']);
    await agent.write('three');
    await stays('once', 1_500, async () => (await widget.words()).filter((line) => line === '> two').length, 1);
    await widget.shows(...before, '> one', '> two', '< three');
  });

  scene('two tabs see the same, each line once', async ({ browser, open, company, agent }) => {
    const context = await browser();
    const where = await company();
    const first = await open(context, where);
    const before = await toTheAgent(first, agent);
    const second = await open(context, where, { closed: true });
    await second.reaches('agent');
    await second.show();
    await second.shows(...before);
    await second.write('from the second tab');
    await agent.showsOnce('from the second tab');
    for (const tab of [first, second]) await tab.shows(...before, '> from the second tab');
    await agent.write('to both');
    for (const tab of [first, second]) await tab.shows(...before, '> from the second tab', '< to both');
    await first.end();
    for (const tab of [first, second]) await tab.reaches('bot');
    for (const tab of [first, second]) await stays('once', 1_000, async () => (await tab.words()).filter((line) => line === '< to both').length, 1);
  });

  scene('a login that is too old is made anew', async ({ browser, open, company }) => {
    const where = await company();
    const widget = await open(await browser(), where);
    await widget.nextLine(0);
    let refusals = 0;
    await widget.page.route('**/rtm/start', (route) =>
      refusals++ ? route.continue() : route.fulfill({ status: 401, headers: { 'access-control-allow-origin': '*' }, json: { errors: [{ msg: 'token expired', code: 'TOKEN_EXPIRED' }] } }));
    const logins = where.logins.length;
    await widget.part('input').fill('x');
    await widget.end();
    await widget.part('restart').click();
    await widget.reaches('bot');
    assert.equal(refusals, 2);
    assert.equal(where.logins.length, logins + 1);
  });

  scene('a line that is too long is shown as not sent, and can be changed', async ({ browser, open, company }) => {
    const widget = await open(await browser(), await company());
    await widget.nextLine(0);
    const long = 'word '.repeat(1000);
    await widget.write(long);
    const trouble = widget.page.locator('interline-chat .trouble:visible');
    await trouble.waitFor();
    assert.match(await trouble.innerText(), /too long \(4096 bytes at most\)/);
    assert.deepEqual(await widget.ticks(), ['failed']);
    // It does not hold up what comes after it.
    await widget.write('short');
    await until('the echo', 10_000, async () => (await widget.words()).includes('< You said: short'));
    await trouble.getByRole('button', { name: 'Edit' }).click();
    assert.equal(await widget.part('input').inputValue(), long.trim());
    assert.deepEqual((await widget.words()).filter((line) => line.startsWith('>')), ['> short']);
  });
});
