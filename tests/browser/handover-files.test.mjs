// The published kore-web-sdk with its own upload plug-in, both unmodified: a file reaches the agent, one comes back, and the
// client's history shows them.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { launch } from './support/pages.mjs';
import { publishedIn, toTheAgent } from './support/published.mjs';
import { pdf, png, txt } from './support/samples.mjs';
import { until } from './support/until.mjs';

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());
const scene = publishedIn(() => browser);

/** Picks a file in the plug-in, waits until it is uploaded, and sends it, perhaps with words. */
async function send(chat, file, words = '') {
  await chat.page.locator('#captureAttachmnts').setInputFiles(file);
  // The client leaves the last file and its words in the box until another message is drawn: only the new name says that it is picked.
  const chip = chat.page.locator('.footerContainer .attachment .msgCmpt', { hasText: file.name });
  await chip.waitFor({ timeout: 15_000 });
  await until(`${file.name} is uploaded`, 30_000, async () => (await chip.count()) > 0 && (await chip.locator('.upldIndc').count()) === 0);
  const box = chat.page.locator('.chatInputBox');
  await box.click();
  if (words) await box.pressSequentially(words);
  await box.press('Enter');
}

describe('kore-web-sdk 10.1.12 with its upload plug-in', () => {
  scene('a file reaches the agent, one comes back, and the history shows both', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { upload: true });
    await toTheAgent(chat, agent);
    const [picture, answer] = [png('photo.png'), pdf('answer.pdf', 5_000)];
    await send(chat, picture, 'here it is');
    await agent.has(picture);
    await agent.showsOnce('here it is');
    const [frame] = chat.up((frame) => frame.message?.attachments?.length);
    assert.deepEqual(frame.message.attachments.map(({ fileName, fileType }) => [fileName, fileType]), [['photo.png', 'image']]);

    await agent.give([answer], 'and this is ours');
    const link = chat.page.locator('.chat-container > li').last().locator('a', { hasText: 'answer.pdf' });
    await link.waitFor({ timeout: 15_000 });
    const page = /\/f\/[\w-]+/.exec(await link.getAttribute('href'))[0];

    // The history: each file is a line that leads to it, and nothing is broken by it.
    await chat.reload();
    for (const { name } of [picture, answer]) {
      await until(`${name} in the history`, 15_000, async () => (await chat.lines()).some((line) => line.includes(name)));
    }
    const again = chat.page.locator('.chat-container a', { hasText: 'answer.pdf' });
    assert.ok((await again.getAttribute('href')).includes(page));
    await agent.write('still there?');
    await until('the client goes on', 15_000, async () => (await chat.lines()).at(-1) === '< still there?');
  });

  // The plug-in never empties what it puts together: each body carries all parts of those before it. The last ones count.
  scene('one file after the other: each is the one that was picked', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { upload: true });
    await toTheAgent(chat, agent);
    const files = [pdf('first.pdf', 30_000), pdf('second.pdf', 40_000), txt('third.txt')];
    for (const [at, file] of files.entries()) {
      await send(chat, file, `number ${at}`);
      await agent.has(...files.slice(0, at + 1));
    }
  });

  scene('a large file goes in pieces of a megabyte, also after another', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { upload: true });
    await toTheAgent(chat, agent);
    const files = [pdf('large.pdf', 2_600_000), txt('small.txt'), pdf('larger.pdf', 3_600_000)];
    for (const [at, file] of files.entries()) {
      await send(chat, file, `number ${at}`);
      await agent.has(...files.slice(0, at + 1));
    }
  });

  scene('what is not taken is refused before it is sent', async ({ browser, chat: open, site, agent }) => {
    const chat = await open(await browser(), await site(), { upload: true });
    const before = await toTheAgent(chat, agent);
    const answers = [];
    chat.page.on('response', async (response) => /attachment\/file/.test(response.url()) && answers.push([response.status(), (await response.json().catch(() => ({}))).errors?.[0]?.msg]));
    chat.page.on('dialog', (dialog) => dialog.accept());
    await chat.page.locator('#captureAttachmnts').setInputFiles({ name: 'page.pdf', mimeType: 'application/pdf', buffer: Buffer.from('<!doctype html><script>alert(1)</script>') });
    await until('the refusal', 15_000, () => answers.some(([status, message]) => status === 415 && /not what its name says/.test(message)));
    await chat.page.keyboard.press('Escape');
    assert.deepEqual(await agent.files(), []);
    assert.deepEqual(await chat.lines(), before);
  });
});
