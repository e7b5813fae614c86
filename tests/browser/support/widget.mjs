// The widget on a company's page, as the user sees it: it clicks, types and reads the screen. The page has the strictest
// Content-Security-Policy under which the widget promises to work, is on an origin of its own, and signs its own logins.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Interline } from './interline.mjs';
import { AgentPage, evidence } from './pages.mjs';
import { signJwt } from './site.mjs';
import { becomes, until } from './until.mjs';

const SEEN = 15_000;
/** For work on the widget: the built script from the disk, without building the server anew. */
const FROM_DISK = process.env.INTERLINE_WIDGET_FROM_DISK && fileURLToPath(new URL('../../../widget/dist/interline.js', import.meta.url));

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

const page = (server, app, { dark = false, rtl = false, ...attributes }) => `<!doctype html>
<html lang="${rtl ? 'ar' : 'en'}" dir="${rtl ? 'rtl' : 'ltr'}"><head><meta charset="utf-8"><title>A company</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page${dark ? '-dark' : ''}.css"><script src="/watch.js"></script></head>
<body><main><h1>A company</h1><p><a href="#more">A link before the chat</a></p></main>
<script src="${server}/widget.js" data-app="${app}" data-token-url="/jwt"
  ${Object.entries(attributes).map(([name, value]) => `data-${name}="${escaped(value)}"`).join(' ')} async></script>
</body></html>`;

// Styles that would break a widget that they could reach.
const STYLES = 'body{font:16px sans-serif;margin:40px} div,li,button,p{color:#0a0 !important;text-transform:uppercase;letter-spacing:1em}';
const DARK = `${STYLES} html{background:#111;color:#eee} a{color:#9cf}`;
const WATCH = `window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective + ' ' + event.blockedURI));
window.told = [];
for (const name of ['ready', 'open', 'close', 'message', 'phase', 'unread', 'error'])
  document.addEventListener('interline:' + name, ({ detail }) => told.push({ event: name, detail }));`;

/** `via`: an origin to use instead of `demo.base` (a test's proxy). */
export async function startCompany({ demo, via = demo.base }) {
  const logins = [];
  const policy = [
    "default-src 'none'", `script-src 'self' ${via}`, "style-src 'self'", `connect-src 'self' ${via} ${via.replace(/^http/, 'ws')}`,
    "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join('; ');
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://company.invalid');
    const answer = (status, type, body) =>
      response.writeHead(status, { 'content-type': type, 'content-security-policy': policy, 'cache-control': 'no-store' }).end(body);
    const user = /(?:^|; )user=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
    if (url.pathname === '/page.css') return answer(200, 'text/css', STYLES);
    if (url.pathname === '/page-dark.css') return answer(200, 'text/css', DARK);
    if (url.pathname === '/watch.js') return answer(200, 'text/javascript', WATCH);
    if (url.pathname === '/jwt' && request.method === 'POST') {
      logins.push(user);
      const jwt = signJwt({ clientId: demo.client_id, clientSecret: demo.client_secret, identity: decodeURIComponent(user ?? 'nobody') });
      return answer(200, 'application/json', JSON.stringify({ jwt }));
    }
    if (url.pathname !== '/') return answer(404, 'text/plain', 'not found');
    const { user: named = 'ann', ...attributes } = Object.fromEntries(url.searchParams);
    response.setHeader('set-cookie', `user=${encodeURIComponent(named)}; Path=/; HttpOnly; SameSite=Strict`);
    return answer(200, 'text/html; charset=utf-8', page(via, demo.app, attributes));
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    logins,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export class WidgetPage {
  frames = [];
  sockets = [];
  closed = 0;
  faults = [];

  /** `context` is one browser; two tabs of one user share it. `before`: what is to be set up first. */
  static async open(context, company, { query = {}, before, closed = false } = {}) {
    const widget = new WidgetPage();
    widget.page = await context.newPage();
    widget.page.on('pageerror', (error) => widget.faults.push(String(error?.stack ?? error)));
    widget.page.on('websocket', (socket) => {
      widget.sockets.push(socket.url());
      socket.on('close', () => (widget.closed += 1));
      const record = (way) => ({ payload }) => widget.frames.push({ way, ...JSON.parse(payload) });
      socket.on('framesent', record('up'));
      socket.on('framereceived', record('down'));
    });
    if (FROM_DISK) await widget.page.route('**/widget.js', async (route) => route.fulfill({ body: await readFile(FROM_DISK), contentType: 'text/javascript' }));
    await before?.(widget.page);
    await widget.page.goto(`${company.url}?${new URLSearchParams(query)}`);
    await widget.part('launcher').waitFor();
    if (!closed) await widget.show();
    return widget;
  }

  part(name) {
    return this.page.locator(`interline-chat [part="${name}"]`);
  }

  async show() {
    await this.part('launcher').click();
    await this.part('input').waitFor({ timeout: SEEN });
  }

  async write(text) {
    await this.part('input').fill(text);
    await this.part('input').press('Enter');
  }

  /** As the button does it; `files` as Playwright has them. */
  async attach(...files) {
    const chooser = this.page.waitForEvent('filechooser');
    await this.part('attach').click();
    await (await chooser).setFiles(files);
  }

  /** `how`: `drop` or `paste`. No test can hold a mouse button outside the page: the events are made. */
  async hand(how, ...files) {
    const given = files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, bytes: buffer.toString('base64') }));
    await this.part(how === 'paste' ? 'input' : 'panel').evaluate((element, { how, given }) => {
      const data = new DataTransfer();
      for (const { name, type, bytes } of given) data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type }));
      const all = { bubbles: true, cancelable: true, composed: true };
      if (how === 'paste') return element.dispatchEvent(new ClipboardEvent('paste', { ...all, clipboardData: data }));
      for (const name of ['dragenter', 'dragover', 'drop']) element.dispatchEvent(new DragEvent(name, { ...all, dataTransfer: data }));
    }, { how, given });
  }

  /** What is attached: names, states, and what is said of them. */
  chips() {
    return this.part('chip').evaluateAll((chips) =>
      chips.map((chip) => ({ name: chip.querySelector('.file-name').textContent, state: chip.dataset.state, says: chip.querySelector('.file-size').textContent })),
    );
  }

  /** The states of what is attached, in order. */
  async attached(...wanted) {
    await becomes('what is attached', SEEN, async () => (await this.chips()).map(({ state }) => state), wanted);
  }

  /** What happens to files, as a screen reader says it. */
  announced() {
    return this.page.locator('interline-chat .files [role=status]').textContent();
  }

  /** Every line on the screen, top to bottom: `> ` the user's, `< ` the other side's, `- ` what happened; files as `[name]`. */
  lines() {
    return this.page.locator('interline-chat li.line').evaluateAll((items) =>
      items.map((item) => {
        const said = (item.querySelector('.bubble') ?? item.querySelector('.note'))?.cloneNode(true);
        for (const aside of said?.querySelectorAll('.spoken') ?? []) aside.remove();
        const side = item.classList.contains('note') ? '-' : item.classList.contains('user') ? '>' : '<';
        const files = [...item.querySelectorAll('.file .file-name')].map((name) => `[${name.textContent}]`);
        return [side, ...(said ? [said.textContent.trim()] : []), ...files].join(' ');
      }),
    );
  }

  /** What was said, without what happened. */
  async words() {
    return (await this.lines()).filter((line) => !line.startsWith('- '));
  }

  /** All that was said is exactly these lines, in this order: nothing missing, nothing doubled. */
  async shows(...wanted) {
    await becomes('lines in the widget', SEEN, () => this.words(), wanted);
  }

  async nextLine(known) {
    return until(`line ${known + 1} in the widget`, SEEN, async () => (await this.words())[known]);
  }

  /** How far the user's own lines got, as a screen reader says it. */
  ticks() {
    return this.page.locator('interline-chat li.user').evaluateAll((items) =>
      items.map((item) => (item.dataset.tick === 'failed' ? 'failed' : item.querySelector('.tick-word').textContent.toLowerCase())),
    );
  }

  phase() {
    return this.page.evaluate(() => window.Interline.state.phase?.phase);
  }

  async reaches(phase) {
    await becomes('phase', SEEN, () => this.phase(), phase);
  }

  up(test) {
    return this.frames.filter((frame) => frame.way === 'up' && test(frame));
  }

  down(test) {
    return this.frames.filter((frame) => frame.way === 'down' && test(frame));
  }

  told(name) {
    return this.page.evaluate((name) => window.told.filter(({ event }) => event === name).map(({ detail }) => detail), name);
  }

  async end({ yes = true } = {}) {
    await this.part('end').click();
    await this.part(yes ? 'confirm' : 'cancel').click();
  }

  /** No error on the page, and nothing that its Content-Security-Policy had to stop. */
  async unharmed() {
    assert.deepEqual(this.faults, [], 'errors on the page with the widget');
    if (!this.page.isClosed()) assert.deepEqual(await this.page.evaluate(() => window.violations), [], 'violations of the policy');
  }
}

/**
 * Puts itself between the widget and the server: returns a function that sends the widget a frame as if the server had.
 * Call it in `before`.
 */
export async function between(page) {
  let socket;
  await page.routeWebSocket(/\/rtm\/bot/, (near) => {
    socket = near;
    const far = near.connectToServer();
    near.onMessage((text) => far.send(text));
    far.onMessage((text) => near.send(text));
  });
  return (frame) => socket.send(JSON.stringify(frame));
}

/** Tells the stand-in what is to go wrong. */
export async function faults(demo, rules) {
  const answer = await fetch(new URL('faults', demo.agent_page), { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(rules) });
  assert.ok(answer.ok, `${answer.status}`);
}

/** Runs `body` in a world of its own and takes the world down again, leaving evidence if it failed. */
export function sceneIn(browser) {
  return (name, body) =>
    it(name, { timeout: 120_000 }, async () => {
      const world = { chats: [], contexts: [], cleanup: [] };
      world.browser = async (options = {}) => {
        const context = await browser().newContext({ viewport: { width: 1100, height: 900 }, ...options });
        world.contexts.push(context);
        return context;
      };
      world.company = async (options) => {
        const company = await startCompany({ demo: world.server.demo, ...options });
        world.cleanup.push(() => company.close());
        return company;
      };
      world.open = async (context, company, options) => {
        const widget = await WidgetPage.open(context, company, options);
        world.chats.push(widget);
        return widget;
      };
      try {
        world.server = await Interline.start();
        world.agent = await AgentPage.open(await world.browser(), world.server.demo);
        await body(world);
        for (const widget of world.chats) await widget.unharmed();
      } catch (error) {
        error.message += `\nevidence: ${await evidence(`widget ${name}`, world)}`;
        throw error;
      } finally {
        for (const context of world.contexts) await context.close();
        for (const close of world.cleanup) await close();
        await world.server?.stop();
      }
    });
}

/** Welcome, an echo, a human who has said hello. Returns what was said so far. */
export async function toTheAgent(widget, agent, hello = 'Good day, Ann here') {
  const welcome = await widget.nextLine(0);
  await widget.write('hello');
  const echo = await widget.nextLine(2);
  assert.match(echo, /^< .*hello/, 'the bot echoes');
  await widget.write('I want an agent, please');
  await agent.pick();
  await widget.reaches('agent');
  await agent.write(hello);
  const words = await until('the agent’s words', SEEN, async () => {
    const words = await widget.words();
    return words.at(-1) === `< ${hello}` && words;
  });
  assert.deepEqual(words.slice(0, 4), [welcome, '> hello', echo, '> I want an agent, please']);
  return words;
}
