// What a person does on the two pages, and what they see there. Nothing here reaches into the SDK: it clicks,
// types and reads the screen; the frames are only recorded, for assertions about the wire and for failures.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { becomes, until } from './until.mjs';

const SEEN = 15_000;

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });

/** The web page with kore-web-sdk on it, as the user sees it. */
export class ChatPage {
  frames = [];
  sockets = [];
  closed = 0;
  faults = [];

  /** `context` is one browser; two tabs of one user share it. */
  static async open(context, site, { user, plugin = false, upload = false }) {
    const chat = new ChatPage();
    chat.page = await context.newPage();
    chat.page.on('pageerror', (error) => chat.faults.push(String(error?.stack ?? error)));
    chat.page.on('websocket', (socket) => {
      chat.sockets.push(socket.url());
      socket.on('close', () => (chat.closed += 1));
      const record = (way) => ({ payload }) => chat.frames.push({ way, ...JSON.parse(payload) });
      socket.on('framesent', record('up'));
      socket.on('framereceived', record('down'));
    });
    await chat.page.goto(`${site.url}?user=${encodeURIComponent(user)}${plugin ? '&plugin=1' : ''}${upload ? '&upload=1' : ''}`);
    await chat.show();
    return chat;
  }

  /** The SDK's window starts minimised, and is minimised again when it was closed. */
  async show() {
    await this.page.locator('.kore-chat-window.minimize .minimized .messages').click();
    await this.ready();
  }

  /** The footer is enabled once the socket is open and the history is there. */
  async ready() {
    await this.page.locator('.kore-chat-footer:not(.disableFooter) .chatInputBox').waitFor({ timeout: SEEN });
  }

  async reload() {
    await this.page.reload();
    await this.show();
  }

  async close() {
    await this.page.locator('.kore-chat-window .close-btn').click();
  }

  async write(text) {
    const box = this.page.locator('.chatInputBox');
    await box.click();
    await box.pressSequentially(text);
    await box.press('Enter');
  }

  /** Every bubble on the screen, top to bottom: `> ` the user's own, `< ` the other side's. */
  lines() {
    return this.page.locator('.chat-container > li').evaluateAll((items) =>
      items.map((item) => {
        const text = (item.querySelector('.simpleMsg') ?? item.querySelector('.messageBubble') ?? item).innerText;
        return (item.classList.contains('fromCurrentUser') ? '> ' : '< ') + text.trim();
      }),
    );
  }

  /** The whole screen is exactly these lines, in this order: nothing missing, nothing doubled. */
  async shows(...wanted) {
    await becomes('lines in the chat window', SEEN, () => this.lines(), wanted);
  }

  /** The screen ends in a line that was not there after `known` lines; returns it. For words that are the server's. */
  async nextLine(known) {
    return until(`line ${known + 1} in the chat window`, SEEN, async () => (await this.lines())[known]);
  }

  up(test) {
    return this.frames.filter((frame) => frame.way === 'up' && test(frame));
  }

  down(test) {
    return this.frames.filter((frame) => frame.way === 'down' && test(frame));
  }

  /** The SDK parses frames without a guard: an unreadable one shows as an error on the page. */
  unharmed() {
    assert.deepEqual(this.faults, [], 'errors on the page with the SDK');
  }
}

/** The stand-in's agent page, as the agent sees it. */
export class AgentPage {
  static async open(context, demo) {
    const agent = new AgentPage();
    agent.page = await context.newPage();
    await agent.page.goto(demo.agent_page);
    return agent;
  }

  conversations() {
    return this.page.getByTestId('conversation');
  }

  /** Picks the only conversation there is; each test has a server of its own. */
  async pick() {
    await becomes('conversations on the agent page', SEEN, () => this.conversations().count(), 1);
    await this.conversations().click();
  }

  async write(text) {
    await this.page.getByTestId('say').fill(text);
    await this.page.getByTestId('send').click();
  }

  async end() {
    await this.page.getByTestId('end').click();
  }

  lines() {
    return this.page.getByTestId('line').allInnerTexts();
  }

  /** The files on the agent's screen; those that the stand-in fetched with what it got. */
  files() {
    return this.page.getByTestId('file').evaluateAll((files) =>
      files.map((file) => ({ name: file.querySelector('a').textContent, bytes: Number(/^[\d,]+/.exec(file.querySelector('.about').textContent)?.[0].replaceAll(',', '') ?? NaN), sha256: file.dataset.sha256 })),
    );
  }

  /** Each of these files, and no other, arrived whole. */
  async has(...wanted) {
    const whole = wanted.map(({ name, buffer }) => ({ name, bytes: buffer.length, sha256: sha256(buffer) }));
    await becomes('files on the agent page', SEEN, () => this.files(), whole);
  }

  /** As a person picks them: all at once, perhaps with words. */
  async give(files, text = '') {
    await this.page.getByTestId('files').setInputFiles(files);
    await this.write(text);
  }

  /** How often each text is on the agent's screen. The page may say who speaks, so the text is searched for. */
  async counts(...texts) {
    const lines = await this.lines();
    return texts.map((text) => lines.filter((line) => line.includes(text)).length);
  }

  /** Each of these texts is on the agent's screen exactly once. */
  async showsOnce(...texts) {
    await becomes(`lines on the agent page: ${texts}`, SEEN, () => this.counts(...texts), texts.map(() => 1));
  }
}

/** Leaves a picture, the frames and the server's output of a failed test under `test-results/`. */
export async function evidence(name, { chats = [], agent, server }) {
  const folder = fileURLToPath(new URL(`../test-results/${name.replace(/[^a-z0-9]+/gi, '-')}/`, import.meta.url));
  await mkdir(folder, { recursive: true });
  const pages = [...chats.map((chat, i) => [`chat-${i + 1}`, chat]), ...(agent ? [['agent', agent]] : [])];
  for (const [file, { page, frames, faults, sockets }] of pages) {
    await page.screenshot({ path: path.join(folder, `${file}.png`), timeout: 5_000 }).catch(() => {});
    if (frames) await writeFile(path.join(folder, `${file}.json`), JSON.stringify({ sockets, faults, frames }, null, 1));
  }
  if (server) await writeFile(path.join(folder, 'server.log'), server.output);
  return folder;
}
