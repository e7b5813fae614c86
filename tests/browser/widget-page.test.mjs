// Our own widget as a part of somebody's page: safe whatever it is sent, usable by keyboard and screen reader in every look,
// and at the page's service. Each test has a server, a company's page and a browser context of its own.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { after, before, describe } from 'node:test';
import { launch } from './support/pages.mjs';
import { png, txt } from './support/samples.mjs';
import { becomes, until } from './support/until.mjs';
import { between, sceneIn, toTheAgent } from './support/widget.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());
const scene = sceneIn(() => browser);

const EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>b</b>&lt;i&gt;';
/** As the server sends words that look like markup. */
const onTheWire = (text) => text.replace(/&(?=[a-z#])/gi, '&amp;').replace(/<(?=[a-z/!?])/gi, '&lt;');

const spoken = (text, more = {}) => ({
  type: 'bot_response', from: 'bot', timestamp: Date.now(),
  message: [{ type: 'text', cInfo: { body: onTheWire(text) }, component: { type: 'text', payload: { text: onTheWire(text) } } }], ...more,
});
const templated = (payload, more = {}) => ({
  type: 'bot_response', from: 'bot', timestamp: Date.now(),
  message: [{ type: 'text', cInfo: { body: 'fallback' }, component: { type: 'template', payload } }], ...more,
});

let made = 0;
/** The id of a line that is newer than all others. */
const newId = () => `ms-cnv_zz-${(made += 1)}`;

describe('the widget on a page', () => {
  scene('markup in every field stays text', async ({ browser, open, company }) => {
    let tell;
    const widget = await open(await browser(), await company(), {
      before: async (page) => {
        tell = await between(page);
        await page.route('**/botmessages/rtm?*', async (route) => {
          const answer = await (await route.fetch()).json();
          const message = (id, type, text, author = {}) => ({
            _id: id, type, createdOn: new Date(0).toISOString(), author, components: [{ cT: 'text', data: { text } }], tags: {}, userMsgId: `${EVIL}${id}`,
          });
          answer.messages.unshift(
            message('ms-cnv_0-1', 'incoming', onTheWire(EVIL)),
            message('ms-cnv_0-2', 'outgoing', onTheWire(`history ${EVIL}`), { type: 'AGENT', firstName: EVIL, lastName: EVIL }),
            message('ms-cnv_0-3', 'outgoing', JSON.stringify({ type: 'template', payload: { template_type: 'button', text: EVIL, buttons: [{ title: EVIL, payload: EVIL }] } })),
          );
          await route.fulfill({ json: answer, headers: { 'access-control-allow-origin': '*' } });
        });
      },
    });
    await until('the history', 15_000, async () => (await widget.words()).length >= 4);
    tell({ type: 'phase', phase: 'waiting', position: EVIL, botInfo: { chatBot: EVIL }, icon: 'javascript:window.hacked=1' });
    tell({ type: 'phase', phase: 'agent', agent: EVIL, botInfo: { chatBot: EVIL }, icon: `"><script>window.hacked=1</script>` });
    tell({ type: 'events', from: 'bot', traceId: 'ms-cnv_zz-1', timestamp: Date.now(), message: { type: 'agent_connected', author: { firstName: EVIL } } });
    made = 1;
    tell(spoken(EVIL, { messageId: newId(), author: { type: 'AGENT', firstName: EVIL, lastName: EVIL } }));
    tell(spoken('javascript:alert(1) https://ok.example/"onclick="window.hacked=1 data:text/html,x', { messageId: newId() }));
    tell({ type: 'user_message', id: 5, traceId: newId(), timestamp: Date.now(), message: { body: onTheWire(`elsewhere ${EVIL}`) } });
    tell(templated({
      template_type: 'carousel', text: EVIL,
      elements: [{ title: EVIL, subtitle: EVIL, image_url: 'javascript:window.hacked=1', buttons: [{ title: EVIL, type: 'web_url', url: 'javascript:window.hacked=1' }, { title: 'data', url: 'data:text/html,<script>1</script>' }, { title: EVIL, payload: EVIL }] }],
    }, { messageId: newId() }));
    tell(templated({ template_type: 'quick_replies', text: 'Which?', quick_replies: [{ title: EVIL, payload: EVIL }] }, { messageId: newId() }));
    tell({ type: 'events', from: 'bot', message: { type: 'typing', author: { type: 'AGENT' } } });
    await becomes('who types', 5_000, async () => (await widget.part('typing').innerText()).includes(EVIL), true);
    await widget.write(EVIL);
    await until('own line', 5_000, async () => (await widget.words()).at(-1) === `> ${EVIL}`);
    const words = await widget.words();
    for (const line of [`> ${EVIL}`, `< history ${EVIL}`, `< ${EVIL}`, `> elsewhere ${EVIL}`]) assert.ok(words.includes(line), line);
    await widget.page.evaluate((text) => window.Interline.setTexts({ end: text, composer_hint: text, agent_role: text }), EVIL);
    assert.equal(await widget.part('end').textContent(), EVIL);

    const inside = await widget.page.evaluate(() => {
      const root = document.querySelector('interline-chat').shadowRoot;
      return {
        hacked: window.hacked,
        strangers: root.querySelectorAll('img, script, b, i:not(.dots i), iframe, object').length,
        links: [...root.querySelectorAll('a')].map((a) => [a.protocol, a.rel, a.target]),
        handlers: [...root.querySelectorAll('*')].filter((element) => [...element.attributes].some(({ name }) => name.startsWith('on'))).length,
      };
    });
    assert.equal(inside.hacked, undefined);
    assert.equal(inside.strangers, 0);
    assert.equal(inside.handlers, 0);
    assert.ok(inside.links.length > 0);
    for (const link of inside.links) assert.deepEqual(link, ['https:', 'noopener noreferrer', '_blank']);
  });

  scene('quick replies, buttons and links', async ({ browser, open, company }) => {
    let tell;
    const widget = await open(await browser(), await company(), { before: async (page) => (tell = await between(page)) });
    await widget.nextLine(0);
    tell(templated({ template_type: 'quick_replies', text: 'Which class?', quick_replies: [{ title: 'First', payload: 'class_1' }, { title: 'Second', payload: 'class_2' }] }, { messageId: newId() }));
    await widget.part('choice').first().click();
    const { clientMessageId } = await until('the payload goes up', 5_000, () => widget.up((frame) => frame.message?.body === 'class_1')[0]);
    assert.ok(Number.isSafeInteger(clientMessageId));
    await until('the title is shown', 5_000, async () => (await widget.words()).includes('> First'));
    await becomes('quick replies go', 5_000, () => widget.page.locator('interline-chat .choices:visible').count(), 0);
    tell(templated({ template_type: 'button', text: 'More?', buttons: [{ type: 'web_url', title: 'Read on', url: 'https://a.example/more' }, { type: 'postback', title: 'Call me', payload: 'call' }] }, { messageId: newId() }));
    const link = widget.page.locator('interline-chat a.choice');
    assert.equal(await link.getAttribute('href'), 'https://a.example/more');
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
    await widget.part('choice').last().click();
    await until('it is said', 5_000, async () => (await widget.words()).includes('> Call me'));
    assert.ok(await widget.part('choice').last().isVisible(), 'buttons stay');
  });

  scene('the page’s styles stay out, and a strict page has nothing to complain of', async ({ browser, open, company, agent, server }) => {
    const where = await company();
    const widget = await open(await browser(), where);
    await toTheAgent(widget, agent);
    const look = await widget.part('bubble').first().evaluate((element) => {
      const { textTransform, letterSpacing, color } = getComputedStyle(element);
      return { textTransform, letterSpacing, color };
    });
    assert.deepEqual(look, { textTransform: 'none', letterSpacing: 'normal', color: 'rgb(23, 26, 33)' });
    assert.deepEqual(where.logins, ['ann']);
    if (process.env.INTERLINE_WIDGET_FROM_DISK) return;
    const answer = await fetch(`${server.demo.base}/widget.js`);
    assert.equal(answer.headers.get('cross-origin-resource-policy'), 'cross-origin');
    const built = await readFile(new URL('../../widget/dist/interline.js', import.meta.url), 'utf8');
    assert.equal(await answer.text(), built, 'the binary serves the widget that is checked in');
    // The demo's own page, under its own policy.
    const page = await (await browser()).newPage();
    const complaints = [];
    page.on('console', (message) => /Content.Security.Policy/i.test(message.text()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`${server.demo.base}/demo/?open&user=shopper`);
    await page.locator('interline-chat [part="bubble"]').first().waitFor();
    assert.deepEqual(complaints, []);
    const both = await (await browser()).newPage();
    await both.goto(server.demo.base);
    await both.frameLocator('iframe').first().locator('interline-chat [part="bubble"]').first().waitFor();
  });

  scene('what comes while the window is closed is counted, in every tab, until it is read', async ({ browser, open, company, agent }) => {
    const context = await browser();
    const where = await company();
    const widget = await open(context, where);
    await toTheAgent(widget, agent);
    await widget.part('minimize').click();
    await agent.write('one');
    await agent.write('two');
    await becomes('the launcher', 10_000, () => widget.part('launcher').getAttribute('aria-label'), 'Open chat, 2 unread messages');
    assert.equal(await widget.page.locator('interline-chat .badge').innerText(), '2');
    assert.equal((await widget.told('unread')).at(-1).count, 2);
    // The next page of the site knows, too.
    await widget.page.reload();
    await becomes('after a reload', 10_000, () => widget.part('launcher').getAttribute('aria-label'), 'Open chat, 2 unread messages');
    assert.equal(widget.up((frame) => frame.event === 'message_read' && frame.messageId === widget.down((down) => down.message?.[0]?.cInfo?.body === 'two')[0].messageId).length, 0);
    const second = await open(context, where);
    await until('the second tab reads', 10_000, async () => (await second.words()).at(-1) === '< two');
    await becomes('and the first one knows', 10_000, () => widget.part('launcher').getAttribute('aria-label'), 'Open chat');
  });

  scene('older lines come when they are asked for, and nothing moves', async ({ browser, open, company }) => {
    const widget = await open(await browser(), await company());
    const welcome = await widget.nextLine(0);
    for (let number = 1; number <= 20; number += 1) {
      await widget.write(`line ${number}`);
      await widget.nextLine(number * 2);
    }
    const all = await widget.words();
    await widget.page.reload();
    await until('the newest page', 15_000, async () => (await widget.words()).length === 30);
    assert.deepEqual(await widget.words(), all.slice(-30));
    const first = widget.page.locator('interline-chat li.line').first();
    await first.scrollIntoViewIfNeeded();
    await becomes('the whole of it', 15_000, () => widget.words(), all);
    assert.equal(all[0], welcome);
    await becomes('no more', 5_000, () => widget.part('earlier').isVisible(), false);
  });

  scene('an anonymous user is the same one after a reload', async ({ browser, open, company }) => {
    const seen = [];
    const widget = await open(await browser(), await company(), {
      query: { anonymous: 'cs-anybody' },
      closed: true,
      before: (page) => page.route('**/oAuth/token/jwtgrant/anonymous', (route) => {
        seen.push(route.request().postDataJSON().assertion);
        return route.fulfill({ status: 401, headers: { 'access-control-allow-origin': '*' }, json: { errors: [{ msg: 'not here', code: 401 }] } });
      }),
    });
    await widget.part('launcher').click();
    await until('the banner', 10_000, async () => /not available right now\.\s*Try again/.test(await widget.part('banner').innerText()));
    assert.match((await widget.told('error'))[0].message, /not here/);
    await widget.page.reload();
    await until('asked again', 10_000, () => seen.length > 1);
    assert.equal(seen[0].issuer, 'cs-anybody');
    assert.match(seen[0].subject, /^[0-9a-f]{32}$/);
    assert.deepEqual(new Set(seen.map(({ subject }) => subject)).size, 1);
  });

  scene('methods and events for the page', async ({ browser, open, company }) => {
    const widget = await open(await browser(), await company(), { closed: true });
    const call = (code) => widget.page.evaluate(`(() => { ${code} })()`);
    await call(`window.heard = []; window.stop = Interline.on('message', (m) => heard.push(m.from + ': ' + m.text)); Interline.on('ready', () => heard.push('ready'));`);
    await call(`Interline.open()`);
    await widget.nextLine(0);
    await call(`Interline.send('hello from the page')`);
    await until('it is said', 10_000, async () => (await widget.words()).at(-1) === '< You said: hello from the page');
    await call(`Interline.setTexts({ end: 'Stop' }); Interline.setTheme({ accent: '#ffd400', scheme: 'dark' });`);
    assert.equal(await widget.part('end').innerText(), 'Stop');
    const look = await widget.part('launcher').evaluate((element) => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color]);
    assert.deepEqual(look, ['rgb(255, 212, 0)', 'rgb(0, 0, 0)']);
    await call(`Interline.send('agent')`);
    await widget.reaches('agent');
    assert.deepEqual((await widget.told('phase')).map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]).slice(0, 1), ['bot']);
    await call(`stop(); Interline.end()`);
    await widget.reaches('bot');
    await call(`Interline.close()`);
    assert.deepEqual((await widget.told('open')).length, 1);
    assert.deepEqual((await widget.told('close')).length, 1);
    const heard = await widget.page.evaluate(() => window.heard);
    assert.deepEqual(heard.slice(0, 2), ['ready', `bot: ${(await widget.words())[0].slice(2)}`]);
    assert.equal(await widget.page.evaluate(() => Interline.state.open), false);
    await call(`Interline.destroy()`);
    assert.equal(await widget.page.locator('interline-chat').count(), 0);
    await call(`Interline.init({ locale: 'de' })`);
    await becomes('in German', 5_000, () => widget.part('launcher').getAttribute('aria-label'), 'Chat öffnen');
  });
});

describe('the widget for everybody', () => {
  scene('by keyboard alone', async ({ browser, open, company, agent }) => {
    const widget = await open(await browser(), await company(), { closed: true });
    const { keyboard } = widget.page;
    // Choosers are caught from the start: to begin with it takes the browser a moment.
    widget.page.on('filechooser', () => {});
    const focused = () => widget.page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.getAttribute('part') ?? document.activeElement?.tagName);
    await keyboard.press('Tab');
    assert.equal(await focused(), 'A');
    await keyboard.press('Tab');
    assert.equal(await focused(), 'launcher');
    await keyboard.press('Enter');
    await becomes('the focus goes along', 5_000, focused, 'input');
    await widget.nextLine(0);
    await keyboard.type('first line');
    await keyboard.press('Shift+Enter');
    await keyboard.type('second line, then agent');
    await keyboard.press('Enter');
    await agent.pick();
    await widget.reaches('agent');
    assert.equal((await widget.words())[1], '> first line\nsecond line, then agent');
    // Back over the messages to the button that ends it; Escape takes the question back.
    const order = [];
    for (let steps = 0; steps < 8 && (await focused()) !== 'end'; steps += 1) {
      await keyboard.press('Shift+Tab');
      order.push(await focused());
    }
    assert.deepEqual(order, ['attach', 'messages', 'minimize', 'end']);
    await keyboard.press('Enter');
    await becomes('the careful answer comes first', 5_000, focused, 'cancel');
    await keyboard.press('Tab');
    assert.equal(await focused(), 'confirm');
    await keyboard.press('Tab');
    assert.equal(await focused(), 'cancel');
    await keyboard.press('Escape');
    await becomes('back', 5_000, focused, 'input');
    assert.equal(await widget.phase(), 'agent');
    // A file, and away with it.
    await keyboard.press('Shift+Tab');
    const chooser = widget.page.waitForEvent('filechooser');
    await keyboard.press('Enter');
    await (await chooser).setFiles(txt('a.txt'));
    await widget.attached('there');
    await becomes('one writes on', 5_000, focused, 'input');
    await keyboard.press('Shift+Tab');
    await keyboard.press('Shift+Tab');
    assert.equal(await focused(), 'file-remove');
    await keyboard.press('Enter');
    await widget.attached();
    await becomes('the focus stays', 5_000, focused, 'input');
    await keyboard.press('Escape');
    await becomes('closed', 5_000, focused, 'launcher');
    assert.equal(await widget.part('panel').isVisible(), false);
    await keyboard.press('Space');
    await becomes('open again', 5_000, focused, 'input');
    for (let steps = 0; steps < 8 && (await focused()) !== 'end'; steps += 1) await keyboard.press('Shift+Tab');
    await keyboard.press('Enter');
    await becomes('asked', 5_000, focused, 'cancel');
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await widget.reaches('bot');
    await becomes('and on', 5_000, focused, 'input');
  });

  scene('on a small screen it is the whole screen, and keeps the focus', async ({ browser, open, company }) => {
    const widget = await open(await browser({ viewport: { width: 375, height: 667 } }), await company());
    await widget.nextLine(0);
    const box = await widget.part('panel').boundingBox();
    assert.deepEqual(box, { x: 0, y: 0, width: 375, height: 667 });
    assert.equal(await widget.part('panel').getAttribute('aria-modal'), 'true');
    for (let steps = 0; steps < 12; steps += 1) {
      await widget.page.keyboard.press('Tab');
      assert.equal(await widget.page.evaluate(() => document.activeElement?.tagName), 'INTERLINE-CHAT');
    }
    await widget.part('minimize').click();
    assert.ok(await widget.part('launcher').isVisible());
  });

  for (const scheme of ['light', 'dark']) {
    for (const dir of ['ltr', 'rtl']) {
      scene(`axe finds nothing: ${scheme}, ${dir}`, async ({ browser, open, company, agent }) => {
        const context = await browser({ colorScheme: scheme });
        let tell;
        let sent = 0;
        const query = { ...(scheme === 'dark' ? { dark: '1' } : {}), ...(dir === 'rtl' ? { rtl: '1', locale: 'ar' } : {}) };
        const widget = await open(context, await company(), { closed: true, query, before: async (page) => (tell = await between(page)) });
        const clean = async (where) => {
          // What moves is looked at when it stands.
          await widget.page.evaluate(() => Promise.all(document.querySelector('interline-chat').shadowRoot.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity).map((one) => one.finished)));
          const found = await widget.page.evaluate(async (source) => {
            // By the debugger, which no policy of the page concerns.
            if (!window.axe) (0, eval)(source);
            const { violations } = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
            return violations.map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => `${target.flat()} ${failureSummary}`)]);
          }, AXE);
          assert.deepEqual(found, [], where);
        };
        await widget.page.setViewportSize({ width: 1000, height: 900 });
        await clean('closed');
        await widget.show();
        assert.equal(await widget.page.locator('interline-chat .root').getAttribute('dir'), dir);
        const panel = await widget.part('panel').boundingBox();
        assert.equal(panel.x < 500, dir === 'rtl', 'in the corner where lines end');
        await widget.nextLine(0);
        await clean('with the bot');
        tell({ type: 'phase', phase: 'waiting', position: 2, botInfo: { chatBot: 'Interline demo' }, icon: '' });
        await until('waiting', 5_000, async () => (await widget.part('waiting').innerText()).includes('2'));
        await clean('waiting');
        tell({ type: 'phase', phase: 'bot', botInfo: { chatBot: 'Interline demo' }, icon: '' });
        await toTheAgent(widget, agent, 'See https://a.example/');
        tell({ type: 'events', from: 'bot', message: { type: 'typing', author: { type: 'AGENT' } } });
        tell(templated({ template_type: 'quick_replies', text: 'Which?', quick_replies: [{ title: 'First', payload: '1' }] }, { messageId: newId() }));
        tell(templated({ template_type: 'list', text: 'Offers', elements: [{ title: 'One', subtitle: 'more', buttons: [{ title: 'Take', payload: 't' }, { title: 'Look', url: 'https://a.example' }] }] }, { messageId: newId() }));
        const attachments = [{ fileId: 'fil_0', fileName: 'offer.pdf', fileType: 'attachment', fileUrl: 'https://a.example/f/1', bytes: 1_234_567, warning: 'Eicar' }];
        tell(spoken('', { messageId: newId(), attachments, author: { type: 'AGENT', firstName: 'Ann' } }));
        await widget.page.route(/\/api\/files\//, async (route) => (route.request().method() === 'PATCH' && route.request().headers()['upload-offset'] === '0' && !sent++ ? undefined : route.continue()));
        await widget.attach(txt('on its way.txt'));
        await widget.attached('runs');
        await widget.attach(png('photo.png', 60, 60), { name: 'setup.exe', mimeType: 'application/octet-stream', buffer: Buffer.from('x') });
        await widget.attached('runs', 'there', 'refused');
        await clean('with files');
        await widget.page.getByRole('button', { name: 'on its way.txt' }).click();
        await widget.attached('there', 'refused');
        await widget.write('x'.repeat(5000));
        await until('not sent', 5_000, async () => (await widget.ticks()).at(-1) === 'failed');
        tell({ type: 'events', from: 'bot', message: { type: 'typing', author: { type: 'AGENT' } } });
        await clean('with the agent');
        await widget.part('end').click();
        await clean('asked whether to end');
        await widget.part('confirm').click();
        await widget.reaches('bot');
        await widget.end();
        await widget.reaches('closed');
        await clean('over');
        await widget.page.setViewportSize({ width: 375, height: 667 });
        await clean('on a small screen');
      });
    }
  }
});
