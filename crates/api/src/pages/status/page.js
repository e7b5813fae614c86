// What is live and what is stuck, from the API of this server. Words of others are data: they only ever become text.
import { follow } from './stream.js';

const $ = (id) => document.getElementById(id);
const KEY = 'interline-key';
const APP = 'interline-app';
const MOST = 200;
/** Lists are read again so often, milliseconds: while the stream tells of changes, and without it. */
const CALM = 30_000;
const POLL = 3_000;
/** Changes that come close together are read once. */
const GATHER = 250;

let key = sessionStorage.getItem(KEY) ?? '';
let app = sessionStorage.getItem(APP) ?? '';
/** Ends everything that belongs to the app that was shown before. */
let watching = new AbortController();

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${key}` };
  if (method === 'POST') headers['idempotency-key'] = once();
  if (body !== undefined) headers['content-type'] = 'application/json';
  const { signal } = watching;
  const init = { method, headers, body: body && JSON.stringify(body), cache: 'no-store', signal };
  const answer = await fetch(`/v1/${path}`, init);
  const date = Date.parse(answer.headers.get('date'));
  // Whole seconds: less than two of difference are none.
  if (date) ahead = Math.abs(date - Date.now()) > 2_000 ? date - Date.now() : 0;
  if (answer.status === 204) return null;
  const read = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, read?.detail ?? `The server answered ${answer.status}.`);
  return read;
}

function once() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const part = encodeURIComponent;
const base = () => `apps/${part(app)}`;

// --- words -----------------------------------------------------------------------------------------------------

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function element(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** The clock of the server, as far as its answers tell: a laptop's own may be minutes off. */
let ahead = 0;
const now = () => Date.now() + ahead;

function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function trouble(text) {
  show($('trouble'), text);
  $('trouble').hidden = !text;
}

// --- tables ----------------------------------------------------------------------------------------------------

/** A table whose rows stay the same elements while their data changes, so that nobody loses the focus. */
class Table {
  rows = new Map();

  constructor(name, { key, cells, acts }) {
    Object.assign(this, { name, key, cells, acts });
    this.body = $(name).tBodies[0];
  }

  update({ items, next }) {
    const wanted = new Set(items.map(this.key));
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    items.forEach((item, place) => {
      const row = this.rows.get(this.key(item)) ?? this.add(this.key(item));
      row.item = item;
      if (this.body.rows[place] !== row.element) this.body.insertBefore(row.element, this.body.rows[place] ?? null);
    });
    $(this.name).hidden = items.length === 0;
    $(`${this.name}-none`).hidden = items.length > 0;
    show($(`${this.name}-count`), next ? `more than ${items.length}` : String(items.length));
    this.draw();
  }

  add(id) {
    const row = { element: element('tr'), cells: [], buttons: [] };
    row.element.dataset.testid = this.name;
    for (let cell = 0; cell < this.cells.length; cell += 1) {
      const made = row.element.appendChild(element(cell ? 'td' : 'th'));
      if (!cell) made.scope = 'row';
      const main = made.appendChild(element('span'));
      row.cells.push({ made, main, sub: made.appendChild(element('span', '', 'sub')) });
    }
    const acts = row.element.appendChild(element('td')).appendChild(element('div', '', 'acts'));
    for (const act of this.acts) {
      const button = acts.appendChild(element('button', act.title, act.ends ? 'end' : ''));
      button.type = 'button';
      button.onclick = () => perform(act, row);
      row.buttons.push({ act, button });
    }
    this.rows.set(id, row);
    return row;
  }

  /** Draws what has changed; times do every second. */
  draw() {
    for (const { item, cells, buttons } of this.rows.values()) {
      this.cells.forEach((cell, at) => {
        const { main, sub = '', className = '' } = cell(item);
        show(cells[at].main, main);
        show(cells[at].sub, sub);
        if (cells[at].made.className !== className) cells[at].made.className = className;
      });
      for (const { act, button } of buttons) {
        const label = `${act.title}: ${act.about(item)}`;
        if (button.getAttribute('aria-label') !== label) button.setAttribute('aria-label', label);
        button.hidden = act.fits ? !act.fits(item) : false;
      }
    }
  }
}

const since = (time) => ({ main: span(now() - Date.parse(time)), className: 'time' });

function until(time) {
  if (!time) return { main: '–', className: 'time' };
  const left = Date.parse(time) - now();
  return { main: left > 0 ? span(left) : 'now', className: left > 0 ? 'time' : 'time late' };
}

const customer = (item) => item.customer.address;
const seat = (item) => `${item.participant.integration} in ${item.conversation}`;
const onTransfer = (verb) => ({ conversation, transfer }) =>
  [`${base()}/conversations/${part(conversation)}/transfers/${transfer.no}/${verb}`];
const onParticipant = (verb, body) => ({ conversation, participant }) =>
  [`${base()}/conversations/${part(conversation)}/participants/${participant.no}/${verb}`, body];

const live = new Table('live', {
  key: (item) => `${item.conversation}/${item.transfer.no}`,
  cells: [
    (item) => ({ main: customer(item), sub: `${item.customer.channel} · ${item.conversation}`, className: 'who' }),
    ({ transfer }) => ({ main: transfer.stage, sub: transfer.tried > 1 ? `try ${transfer.tried}` : '' }),
    ({ transfer }) => since(transfer.stage_since),
    ({ transfer }) => until(transfer.deadline),
    ({ transfer }) => ({
      main: transfer.rung?.integration ?? '–',
      sub: [transfer.rung?.queue, transfer.position && `place ${transfer.position}`].filter(Boolean).join(' · '),
    }),
    ({ transfer }) => ({ main: transfer.agent ?? '–' }),
  ],
  acts: [
    {
      title: 'Return to bot', about: customer, path: onTransfer('return'), done: 'The bot has the customer back.',
      ask: (item) => `End the human part of ${customer(item)}, and let the bot go on?`,
    },
    {
      title: 'Retry', about: customer, path: onTransfer('retry'), done: 'The agent system is tried anew.',
      fits: ({ transfer }) => ['requested', 'opening', 'waiting'].includes(transfer.stage),
    },
    {
      title: 'End', about: customer, path: onTransfer('end'), done: 'The conversation is over.', ends: true,
      ask: (item) => `End the whole conversation of ${customer(item)}?`,
    },
  ],
});

const held = new Table('held', {
  key: (item) => `${item.conversation}/${item.participant.no}`,
  cells: [
    (item) => ({ main: item.conversation, sub: `participant ${item.participant.no}` }),
    ({ participant }) => ({ main: participant.integration, sub: participant.role }),
    ({ participant }) => ({ ...since(participant.failing_since), sub: participant.stalled ? 'stalled' : '' }),
    ({ participant }) => ({ main: String(participant.attempts), className: 'time' }),
    ({ participant }) => until(participant.due_at),
    ({ participant }) => ({ main: participant.last_error ?? '', className: 'error' }),
  ],
  acts: [
    { title: 'Retry', about: seat, path: onParticipant('retry'), done: 'It is tried again.' },
    {
      title: 'Skip', about: seat, path: onParticipant('skip', {}), done: 'The entry was passed by.',
      ask: (item) => `Pass by what ${seat(item)} is stuck at? It will not be delivered.`,
    },
    {
      title: 'End', about: seat, path: onParticipant('end'), done: 'The participant was given up.', ends: true,
      ask: (item) => `Give up ${seat(item)}? It hears nothing more.`,
    },
  ],
});

async function perform(act, row) {
  const { item, buttons } = row;
  if (act.ask && !confirm(act.ask(item))) return;
  trouble('');
  show($('done'), '');
  for (const { button } of buttons) button.disabled = true;
  try {
    const [path, body] = act.path(item);
    await call('POST', path, body);
    show($('done'), `${act.about(item)}: ${act.done}`);
  } catch (error) {
    failed(error);
  }
  for (const { button } of buttons) button.disabled = false;
  refresh();
}

setInterval(() => [live, held].forEach((table) => table.draw()), 1000);

// --- keeping up ------------------------------------------------------------------------------------------------

let reading = false;
let again = false;
let next;

/** Reads both lists; what changes meanwhile is read afterwards. */
async function refresh() {
  if (!app) return;
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  again = false;
  const { signal } = watching;
  try {
    const [transfers, participants] = await Promise.all([
      call('GET', `${base()}/transfers?limit=${MOST}`),
      call('GET', `${base()}/participants?held=true&limit=${MOST}`),
    ]);
    if (!signal.aborted) {
      live.update(transfers);
      held.update(participants);
      $('view').hidden = false;
      if (!streaming) connection('Looking every few seconds', '');
    }
  } catch (error) {
    if (!signal.aborted) failed(error, (text) => connection(text, 'bad'));
  }
  reading = false;
  soon(again ? GATHER : streaming ? CALM : POLL);
}

function soon(ms) {
  clearTimeout(next);
  next = setTimeout(refresh, ms);
}

let streaming = false;

async function stream() {
  const { signal } = watching;
  const headers = { authorization: `Bearer ${key}` };
  const heard = () => (reading ? (again = true) : soon(GATHER));
  const opened = () => {
    streaming = true;
    connection('Live', 'live');
    soon(0);
  };
  let wait = 1000;
  while (!signal.aborted) {
    const begin = Date.now();
    try {
      await follow(`/v1/${base()}/events`, { headers, signal, opened, heard });
    } catch (error) {
      if (error.status === 401) return;
    }
    if (signal.aborted) return;
    streaming = false;
    soon(0);
    wait = Date.now() - begin > 10_000 ? 1000 : Math.min(wait * 2, 30_000);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function connection(text, className) {
  show($('connection'), text);
  $('connection').className = className;
}

/** Says what is wrong, and takes the key away if it does not count. */
function failed(error, say = trouble) {
  if (error.name === 'AbortError') return;
  if (error.status === 401) {
    forget();
    trouble('This key does not count: it is unknown, expired or withdrawn.');
  } else {
    say(error.status ? error.message : 'The server cannot be reached.');
  }
}

// --- who looks -------------------------------------------------------------------------------------------------

function leave() {
  watching.abort();
  watching = new AbortController();
  clearTimeout(next);
  [reading, again, streaming] = [false, false, false];
  $('view').hidden = true;
  for (const table of [live, held]) table.update({ items: [] });
}

function forget() {
  leave();
  key = '';
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(APP);
  $('who').hidden = true;
  $('login').hidden = false;
  connection('Not connected', '');
  $('key').focus();
}

function watch(chosen) {
  leave();
  app = chosen;
  sessionStorage.setItem(APP, app);
  connection('Connecting…', '');
  refresh();
  stream();
}

async function enter() {
  trouble('');
  try {
    const apps = await allApps();
    sessionStorage.setItem(KEY, key);
    $('login').hidden = true;
    $('who').hidden = false;
    $('app').replaceChildren(...apps.map((one) => new Option(`${one.name} (${one.id})`, one.id)));
    if (!apps.length) return trouble('There is no app yet that this key may see.');
    $('app').value = apps.some((one) => one.id === app) ? app : apps[0].id;
    watch($('app').value);
  } catch (error) {
    failed(error);
  }
}

async function allApps() {
  const apps = [];
  let cursor = '';
  do {
    const page = await call('GET', `apps?limit=${MOST}${cursor && `&cursor=${part(cursor)}`}`);
    apps.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return apps;
}

$('login').onsubmit = (submit) => {
  submit.preventDefault();
  key = $('key').value.trim();
  $('key').value = '';
  enter();
};
$('who').onsubmit = (submit) => {
  submit.preventDefault();
  trouble('');
  forget();
};
$('app').onchange = () => watch($('app').value);

if (key) enter();
else $('key').focus();
