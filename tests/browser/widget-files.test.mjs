// Files in our own widget, in a real browser against the built binary: both ways, what is refused and why, and what a network
// can do meanwhile. Each test has a server, a company's page and a browser context of its own.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe } from 'node:test';
import { launch, sha256 } from './support/pages.mjs';
import { pdf, png, txt } from './support/samples.mjs';
import { becomes, stays, until } from './support/until.mjs';
import { between, sceneIn, toTheAgent } from './support/widget.mjs';
import { startWire } from './support/wire.mjs';

const MB = 1024 * 1024;
const FILES = /\/api\/files(\/|$)/;

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());
const scene = sceneIn(() => browser);

const cards = (widget) => widget.part('file');

/** What the widget asks of the server's files, as it happens: method, status, and where a PATCH begins. */
function traffic(widget) {
  const seen = [];
  widget.page.on('request', (request) => {
    if (!FILES.test(new URL(request.url()).pathname) || request.url().endsWith('/thumbnail')) return;
    const one = { method: request.method(), offset: Number(request.headers()['upload-offset'] ?? NaN) };
    seen.push(one);
    request.response().then((response) => (one.status = response?.status()), () => {});
  });
  const of = (method) => seen.filter((one) => one.method === method);
  return { seen, of };
}

/** The widget, with a person at the other end. */
async function talking({ browser, open, company, agent }, options = {}) {
  const context = await browser();
  const widget = await open(context, await company(options.company), options.open);
  await toTheAgent(widget, agent);
  await widget.part('attach').waitFor();
  return { widget, context };
}

/** By the page behind a card, as a person does it. */
async function download(widget, card) {
  const opened = widget.page.context().waitForEvent('page');
  await card.click();
  const page = await opened;
  await page.waitForLoadState();
  return page;
}

async function saved(page) {
  const coming = page.waitForEvent('download');
  await page.getByTestId('download').click();
  const given = await coming;
  return { name: given.suggestedFilename(), buffer: await readFile(await given.path()) };
}

describe('the widget: files both ways', () => {
  scene('three files go in one message, two come back, and one of them is downloaded', async (world) => {
    const { agent } = world;
    const { widget } = await talking(world);
    const [first, second, third] = [pdf('Offer – Größe ٢.pdf', 300_000), png('photo.png'), txt('notes.txt')];
    await widget.attach(first);
    await widget.hand('drop', second);
    await widget.hand('paste', third);
    await widget.attached('there', 'there', 'there');
    assert.deepEqual((await widget.chips()).map(({ name, says }) => [name, says]), [
      [first.name, '292 kB'], ['photo.png', '1.9 kB'], ['notes.txt', `${third.buffer.length} bytes`],
    ]);
    assert.equal(await widget.part('chip').nth(1).locator('canvas').count(), 1, 'a picture of the picture');
    await widget.write('Here they are');
    await agent.has(first, second, third);
    await agent.showsOnce('Here they are');
    const [frame] = widget.up((frame) => frame.message?.attachments);
    assert.equal(frame.message.body, 'Here they are');
    assert.deepEqual(frame.message.attachments.map(({ fileName }) => fileName), [first.name, second.name, third.name]);
    await widget.attached();
    await until('the line', 5_000, async () => (await widget.words()).at(-1) === `> Here they are [${first.name}] [photo.png] [notes.txt]`);

    const [offer, picture] = [pdf('answer.pdf', 50_000), png('map.png', 900, 300)];
    await agent.give([offer, picture], 'And these are ours');
    await until('they come', 15_000, async () => (await widget.words()).at(-1) === '< And these are ours [answer.pdf] [map.png]');
    const [answer, map] = [cards(widget).nth(3), cards(widget).nth(4)];
    assert.equal(await answer.locator('.file-size').textContent(), '48.8 kB');
    assert.equal(await answer.getAttribute('rel'), 'noopener noreferrer');
    await map.locator('canvas').waitFor();
    assert.deepEqual(await map.locator('canvas').evaluate(({ width, height }) => [width, height]), [320, 107]);
    const page = await download(widget, answer);
    assert.match(await page.getByTestId('left').textContent(), /5/);
    const got = await saved(page);
    assert.equal(got.name, 'answer.pdf');
    assert.equal(sha256(got.buffer), sha256(offer.buffer));
    const told = (await widget.told('message')).at(-1);
    assert.deepEqual(told.files.map(({ name, bytes }) => [name, bytes]), [['answer.pdf', 50_000], ['map.png', picture.buffer.length]]);

    // The same after a reload, from the history; and files without a word.
    const words = await widget.words();
    await widget.page.reload();
    await widget.shows(...words);
    await cards(widget).nth(4).locator('canvas').waitFor();
    await cards(widget).nth(1).locator('canvas').waitFor();
    await widget.part('attach').waitFor();
    await widget.attach(txt('wordless.txt'));
    await widget.attached('there');
    await widget.part('send').click();
    await widget.shows(...words, '> [wordless.txt]');
    await until('it arrives', 15_000, async () => (await agent.files()).some(({ name, sha256 }) => name === 'wordless.txt' && sha256));
  });

  scene('the sixth download is refused, with a page that says why', async (world) => {
    const { widget } = await talking(world);
    const file = pdf('five times.pdf');
    await world.agent.give([file]);
    await cards(widget).waitFor();
    for (let left = 5; left > 0; left -= 1) {
      const page = await download(widget, cards(widget));
      const got = await saved(page);
      assert.equal(sha256(got.buffer), sha256(file.buffer));
      await page.close();
    }
    const page = await download(widget, cards(widget));
    assert.match(await page.locator('body').innerText(), /used up/);
    assert.equal(await page.getByTestId('download').count(), 0);
    // One that was opened in time: its button has nothing to give any more.
    const answer = await fetch(`${await cards(widget).getAttribute('href')}/download`, { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 410);
    assert.match(await answer.text(), /downloaded as often as it may be/);
  });

  scene('a message that is sent before its files are there goes when they are', async (world) => {
    const { agent, server, cleanup } = world;
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const { widget } = await talking(world, { company: { via: wire.origin } });
    // Held back until the message was sent.
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await widget.page.route(FILES, async (route) => {
      if (route.request().method() === 'PATCH') await held;
      await route.continue();
    });
    const file = pdf('slow.pdf', 100_000);
    await widget.attach(file);
    await widget.attached('runs');
    await widget.write('comes with a file');
    assert.equal(await widget.part('send').getAttribute('data-waits'), 'true');
    assert.match(await widget.part('send').getAttribute('aria-label'), /when its files are there/);
    assert.match(await widget.announced(), /when its files are there/);
    // Who writes on is not done.
    await widget.part('input').press('End');
    await widget.part('input').pressSequentially('!');
    assert.equal(await widget.part('send').getAttribute('data-waits'), 'false');
    await widget.part('input').press('Enter');
    await stays('nothing is sent yet', 500, () => widget.up((frame) => frame.message?.attachments).length, 0);
    release();
    await until('it goes', 15_000, async () => (await widget.words()).at(-1) === '> comes with a file! [slow.pdf]');
    await agent.has(file);
    assert.equal(await widget.part('input').inputValue(), '');
  });
});

describe('the widget: files that are not taken', () => {
  scene('each says why; what can be known here is not sent at all', async (world) => {
    const { widget } = await talking(world);
    const { seen, of } = traffic(widget);
    const refused = async (file, words) => {
      await widget.attach(file);
      await until(`${file.name} is refused`, 15_000, async () => (await widget.chips()).at(-1)?.state === 'refused');
      const chip = (await widget.chips()).at(-1);
      assert.equal(chip.name, file.name);
      assert.match(chip.says, words);
      assert.ok((await widget.announced()).includes(chip.says), 'and it is announced');
    };
    const unnamed = (name, bytes) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.alloc(bytes, 1) });
    await refused(unnamed('setup.exe', 100), /^Files of this type cannot be sent\. These can: \.pdf, /);
    await refused(unnamed('pdf', 100), /^Files of this type cannot be sent/);
    await refused(unnamed('nothing.txt', 0), /^The file is empty\.$/);
    await refused(unnamed('large.zip', 25 * MB + 1), /^The file is too large\. Files of up to 25 MB can be sent\.$/);
    assert.deepEqual(seen, [], 'none of them was sent');
    await refused({ name: 'page.pdf', mimeType: 'application/pdf', buffer: Buffer.from('<!doctype html><script>alert(1)</script>') }, /^The file's content is not what its name says: it is not a \.pdf file\.$/);
    assert.equal(of('PATCH').length, 1);
    assert.equal(await widget.part('file-again').filter({ visible: true }).count(), 0, 'trying again would not help');
    assert.ok(await widget.part('send').isDisabled());

    // The server's own words, to whoever does not look first.
    const { base } = world.server.demo;
    const token = await tokenOf(widget);
    const create = async (name, length) => {
      const answer = await fetch(`${base}/api/files`, {
        method: 'POST',
        headers: { authorization: `bearer ${token}`, 'tus-resumable': '1.0.0', 'upload-length': String(length), 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` },
      });
      const { errors } = await answer.json();
      return [answer.status, errors[0].msg];
    };
    const [exe, , nothing, large] = (await widget.chips()).map(({ says }) => says);
    assert.deepEqual(await create('setup.exe', 100), [415, exe]);
    assert.deepEqual(await create('nothing.txt', 0), [400, nothing]);
    assert.deepEqual(await create('large.zip', 25 * MB + 1), [413, large]);

    // The eleventh.
    for (const name of (await widget.chips()).map(({ name }) => name)) await widget.page.getByRole('button', { name: `Remove ${name}`, exact: true }).click();
    await widget.attached();
    const eleven = Array.from({ length: 11 }, (_, number) => txt(`${number + 1}.txt`));
    await widget.attach(...eleven);
    await widget.attached(...Array(10).fill('there'));
    assert.equal(await widget.page.locator('interline-chat .notice').innerText(), 'At most 10 files can be sent with one message.');
    await widget.part('send').click();
    await world.agent.has(...eleven.slice(0, 10));
  });

  scene('what is refused after the message was sent holds it back', async (world) => {
    const { widget } = await talking(world);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await widget.page.route(FILES, async (route) => {
      if (route.request().method() === 'PATCH') await held;
      await route.continue();
    });
    const good = txt('good.txt');
    await widget.attach(good, { name: 'bad.pdf', mimeType: 'application/pdf', buffer: Buffer.from('no pdf') });
    await widget.write('both of them');
    release();
    await widget.attached('there', 'refused');
    await stays('nothing is sent', 500, () => widget.up((frame) => frame.message?.attachments).length, 0);
    assert.equal(await widget.part('input').inputValue(), 'both of them');
    // Now the user knows.
    await widget.part('send').click();
    await world.agent.has(good);
    await widget.attached();
  });

  scene('a message that is not accepted comes back with its files', async (world) => {
    const { widget } = await talking(world);
    const file = txt('kept.txt');
    await widget.attach(file);
    await widget.attached('there');
    await widget.write('word '.repeat(1000));
    const trouble = widget.page.locator('interline-chat .trouble:visible');
    await trouble.waitFor();
    await widget.attached();
    await trouble.getByRole('button', { name: 'Edit' }).click();
    await widget.attached('there');
    await widget.write('shorter');
    await until('it goes', 10_000, async () => (await widget.words()).at(-1) === '> shorter [kept.txt]');
    await world.agent.has(file);
  });

  scene('an app that takes none shows no button', async ({ browser, open, company }) => {
    const refusal = { errors: [{ msg: 'Files cannot be sent here.', code: 'files_off', httpStatus: '403' }] };
    const asked = [];
    const widget = await open(await browser(), await company(), {
      before: (page) => page.route(/\/api\/files$/, (route) => {
        asked.push(route.request().method());
        return route.fulfill({ status: 403, headers: { 'access-control-allow-origin': '*' }, json: refusal });
      }),
    });
    await widget.nextLine(0);
    await until('it was asked', 5_000, () => asked.includes('GET'));
    await stays('the button', 500, () => widget.part('attach').isVisible(), false);
    await widget.hand('paste', txt('a.txt'));
    await widget.attached();
  });
});

/** The access token that the widget goes by. */
async function tokenOf(widget) {
  const asked = widget.page.waitForRequest((request) => FILES.test(new URL(request.url()).pathname) && request.method() === 'POST');
  await widget.attach(txt('for the token.txt'));
  const token = (await asked).headers()['authorization'].replace('bearer ', '');
  await until('it is there', 10_000, async () => (await widget.chips()).at(-1).state === 'there');
  await widget.page.getByRole('button', { name: 'Remove for the token.txt' }).click();
  return token;
}

describe('the widget: files on a bad network', () => {
  scene('an upload that is cut goes on from where it stood', async (world) => {
    const { agent, server, cleanup } = world;
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const { widget } = await talking(world, { company: { via: wire.origin } });
    const { of } = traffic(widget);
    const file = pdf('large.pdf', 12 * MB);
    wire.cutAfter(5 * MB);
    await widget.attach(file);
    await until('the cut', 20_000, () => wire.isCut);
    await until('it stands still', 10_000, async () => (await widget.chips())[0]?.state === 'stands');
    assert.match((await widget.chips())[0].says, /Waiting for the connection/);
    const bar = widget.part('chip').getByRole('progressbar');
    await until('how far it got', 5_000, async () => Number(await bar.getAttribute('aria-valuenow')) > 0);
    assert.equal(await bar.getAttribute('aria-label'), 'Sending large.pdf');
    await widget.write('after the tunnel');
    wire.mend();
    await agent.has(file);
    await until('the message', 15_000, async () => (await widget.words()).at(-1) === '> after the tunnel [large.pdf]');
    // Each byte once: the second part begins where the server stood, which is not at the beginning.
    assert.equal(of('POST').filter(({ status }) => status === 201).length, 1);
    const [beginning, ...rest] = of('PATCH');
    assert.equal(beginning.offset, 0);
    assert.ok(rest.length >= 1);
    assert.ok(rest.every(({ offset }) => offset > MB), `it goes on in the middle: ${JSON.stringify(rest)}`);
    assert.ok(of('HEAD').some(({ status }) => status === 200));
  });

  scene('the answer to the last byte is lost: the file is there once', async (world) => {
    const { widget } = await talking(world);
    const { of } = traffic(widget);
    let lost = 0;
    await widget.page.route(FILES, async (route) => {
      if (route.request().method() !== 'PATCH' || lost) return route.continue();
      lost += 1;
      await route.fetch();
      await route.abort('connectionreset');
    });
    const file = txt('once.txt');
    await widget.attach(file);
    await widget.attached('there');
    await widget.part('send').click();
    await world.agent.has(file);
    assert.equal(of('POST').length, 1);
    assert.equal(of('PATCH').at(-1).offset, file.buffer.length);
  });

  scene('the browser is offline: it waits, and goes on', async (world) => {
    const { widget, context } = await talking(world);
    await context.setOffline(true);
    const file = txt('offline.txt');
    await widget.attach(file);
    await widget.attached('stands');
    await context.setOffline(false);
    await widget.attached('there');
    await widget.part('send').click();
    await world.agent.has(file);
  });

  scene('an upload that is given up leaves nothing; what the server cannot take now is tried again by hand', async (world) => {
    const { agent, server, cleanup } = world;
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const { widget } = await talking(world, { company: { via: wire.origin } });
    const { of } = traffic(widget);
    // Given up in the middle.
    wire.cutAfter(2 * MB);
    await widget.attach(pdf('given up.pdf', 8 * MB));
    await until('the cut', 20_000, () => wire.isCut);
    wire.mend();
    await widget.page.getByRole('button', { name: 'Cancel given up.pdf' }).click();
    await widget.attached();
    assert.ok(await widget.part('send').isDisabled());
    assert.equal(await widget.page.evaluate(() => document.activeElement.shadowRoot.activeElement?.getAttribute('part')), 'input', 'the focus does not get lost');
    await until('the server is told', 10_000, () => of('DELETE').some(({ status }) => status === 204));

    // No room now: said in the server's words, with a button.
    const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'Retry-After' };
    let full = 1;
    await widget.page.route(/\/api\/files$/, (route) =>
      route.request().method() === 'POST' && full-- > 0
        ? route.fulfill({ status: 507, headers: cors, json: { errors: [{ msg: 'There is no room for the file right now. Please try again later.', code: 'no_room' }] } })
        : route.fallback());
    const file = txt('second try.txt');
    await widget.attach(file);
    await widget.attached('refused');
    assert.match((await widget.chips())[0].says, /There is no room/);
    await widget.page.getByRole('button', { name: 'Send second try.txt again' }).click();
    await widget.attached('there');

    // Busy: it comes back by itself, when it was told to.
    let busy = 2;
    await widget.page.route(/\/api\/files$/, (route) =>
      route.request().method() === 'POST' && busy-- > 0
        ? route.fulfill({ status: busy ? 429 : 503, headers: { ...cors, 'retry-after': '0' }, json: { errors: [{ msg: 'busy' }] } })
        : route.fallback());
    const third = txt('third.txt');
    await widget.attach(third);
    await widget.attached('there', 'there');
    await widget.part('send').click();
    await agent.has(file, third);
  });

  scene('a login that is too old is made anew; an upload that the server forgot begins again', async (world) => {
    const { widget } = await talking(world);
    const { of } = traffic(widget);
    const cors = { 'access-control-allow-origin': '*' };
    let [old, gone] = [1, 1];
    await widget.page.route(FILES, (route) => {
      const method = route.request().method();
      if (method === 'POST' && old-- > 0) return route.fulfill({ status: 401, headers: cors, json: { errors: [{ msg: 'token expired', code: 'TOKEN_EXPIRED' }] } });
      if (method === 'PATCH' && gone-- > 0) return route.fulfill({ status: 404, headers: cors, json: { errors: [{ msg: 'gone' }] } });
      return route.continue();
    });
    const logins = [];
    widget.page.on('request', (request) => request.url().endsWith('/jwt') && logins.push(request));
    const file = txt('anew.txt');
    await widget.attach(file);
    await widget.attached('there');
    await widget.part('send').click();
    await world.agent.has(file);
    assert.equal(logins.length, 1);
    assert.equal(of('POST').length, 3);
  });

  scene('the server is killed in the middle: the upload goes on with the next one', async (world) => {
    const { server, cleanup, agent } = world;
    const wire = await startWire(server.port);
    cleanup.push(() => wire.close());
    const { widget } = await talking(world, { company: { via: wire.origin } });
    const { of } = traffic(widget);
    const file = pdf('crash.pdf', 6 * MB);
    wire.cutAfter(3 * MB);
    await widget.attach(file);
    await until('the middle', 20_000, () => wire.isCut);
    await server.kill();
    wire.mend();
    await server.boot();
    await widget.attached('there');
    // The stand-in was in the same process: the agent opens the page again.
    await agent.page.reload();
    await widget.write('still here');
    await agent.pick();
    await agent.has(file);
    assert.equal(of('POST').filter(({ status }) => status === 201).length, 1);
  });
});

describe('the widget: files that others made', () => {
  scene('markup in every field stays text, and links lead nowhere but to pages', async (world) => {
    let tell;
    const { widget } = await talking(world, { open: { before: async (page) => (tell = await between(page)) } });
    const EVIL = '<img src=x onerror="window.hacked=1">.pdf';
    const evil = (fileUrl, more = {}) => ({ fileId: EVIL, fileName: EVIL, fileType: EVIL, bytes: EVIL, fileUrl, ...more });
    const part = { type: 'text', cInfo: { body: '' }, component: { type: 'text', payload: { text: '' } } };
    tell({
      type: 'bot_response', from: 'bot', timestamp: Date.now(), messageId: 'ms-cnv_zz-1', message: [part], author: { type: 'AGENT' },
      attachments: [evil('javascript:window.hacked=1'), evil('mailto:x@y.example'), evil('https://a.example/f/1', { warning: EVIL, fileType: 'image' }), 'x', null, {}],
    });
    await until('they are shown', 5_000, async () => (await widget.words()).at(-1) === `< ${`[${EVIL}] `.repeat(3).trim()}`);
    const last = cards(widget);
    assert.deepEqual(await last.evaluateAll((all) => all.map((one) => [one.tagName, one.getAttribute('href')])), [['SPAN', null], ['SPAN', null], ['A', 'https://a.example/f/1']]);
    assert.equal(await last.nth(2).locator('.warning').innerText(), `A virus scanner found ${EVIL} in this file.`);
    await until('no thumbnail: its sign', 5_000, async () => (await last.nth(2).getAttribute('class')) === 'file');
    assert.equal(await widget.page.evaluate(() => window.hacked), undefined);
    assert.equal(await widget.page.locator('interline-chat img').count(), 0);
  });
});
