// A small client of the web channel: login, socket, history, reconnect, receipts. Everything it shows is a text node.
'use strict';

const api = '/api/';
const $ = (id) => document.getElementById(id);
const lines = $('lines');
const say = $('say');

const drawn = new Set(); // ids of lines on the screen
const marks = new Map(); // client id -> the element that shows how far a line got
let bot = { name: 'Chat', _id: '' };
let token = null;
let socket = null;
let agent = sessionStorage.getItem('interline-agent') === 'yes'; // survives a reload, as in the vendor's client
let attempts = 0;
let typingUntil = 0;

/** Who this is: `?user=ann`, else a guest of this tab. */
const user = (() => {
  const named = new URLSearchParams(location.search).get('user');
  if (named) return named;
  const known = sessionStorage.getItem('interline-user') ?? `guest-${(crypto.randomUUID?.() ?? String(Date.now())).slice(-6)}`;
  sessionStorage.setItem('interline-user', known);
  return known;
})();

const botInfo = () => ({ chatBot: bot.name, taskBotId: bot._id });

/** The server writes `&lt;` and `&amp;` where the words would look like markup to the vendor's client. */
const plain = (text) => String(text).replace(/&(lt|amp);/g, (_, name) => (name === 'lt' ? '<' : '&'));

class Refused extends Error {}

async function call(path, { method = 'POST', body, form } = {}) {
  const headers = {};
  if (token) headers.authorization = `bearer ${token}`;
  if (body) headers['content-type'] = 'application/json';
  const response = await fetch(path, { method, headers, body: form ?? (body && JSON.stringify(body)) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const message = answer.errors?.[0]?.msg ?? `error ${response.status}`;
    if (response.status === 401) throw new Refused(message);
    throw new Error(message);
  }
  return answer;
}

async function login() {
  token = null;
  const { jwt, botInfo: info } = await call('/demo/jwt', { form: new URLSearchParams({ identity: user }) });
  bot = info ?? bot;
  $('title').textContent = bot.name;
  const granted = await call(`${api}oAuth/token/jwtgrant`, { body: { assertion: jwt, botInfo: botInfo(), token: {} } });
  token = granted.authorization.accessToken;
}

/** Opens the socket; `again` tells the server to go on where the last one ended. */
async function connect(again) {
  status(again ? 'reconnecting…' : 'connecting…', false);
  try {
    if (!token) await login();
    const { url } = await call(`${api}rtm/start`, { body: { botInfo: botInfo(), token: {} } });
    // The server names its public address; this page may have been reached under another.
    const address = new URL(url);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    address.host = location.host;
    if (again) address.search += '&isReconnect=true';
    open(address, again);
  } catch (error) {
    if (error instanceof Refused) token = null;
    status(error.message, false);
    later();
  }
}

function open(address, again) {
  socket = new WebSocket(address);
  socket.onopen = () => {
    attempts = 0;
    status('connected', true);
    if (!again) history().catch((error) => draw({ from: 'system', text: error.message }));
  };
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = () => {
    status('connection lost', false);
    later();
  };
}

function later() {
  attempts += 1;
  setTimeout(() => connect(true), Math.min(attempts * 1000, 15000) * (0.75 + Math.random() / 2));
}

async function history() {
  const query = new URLSearchParams({ botId: bot._id, limit: 50 });
  const { messages } = await call(`${api}botmessages/rtm?${query}`, { method: 'GET' });
  const first = lines.firstChild;
  for (const message of messages) {
    const from = message.type === 'incoming' ? 'user' : message.author?.type === 'AGENT' ? 'agent' : 'bot';
    const name = from === 'agent' ? fullName(message.author) : '';
    draw({ id: message._id, from, name, ...words(message.components[0].data.text) }, first);
  }
}

/** A history text is words, or JSON: a template, or words that would otherwise be taken for one. */
function words(text) {
  try {
    const parsed = JSON.parse(text);
    if (parsed?.payload?.template_type) return { text: plain(parsed.payload.text ?? ''), template: parsed.payload };
    if (typeof parsed?.text === 'string') return { text: plain(parsed.text) };
  } catch {
    // Words.
  }
  return { text: plain(text) };
}

const fullName = (author) => [author?.firstName, author?.lastName].filter(Boolean).join(' ');

function hear(frame) {
  if (frame.type === 'bot_response') {
    typing(false);
    for (const part of frame.message) {
      let component = part.component;
      if (typeof component?.payload === 'string') component = JSON.parse(component.payload);
      const from = frame.author?.type === 'AGENT' ? 'agent' : 'bot';
      const name = from === 'agent' ? fullName(frame.author) : '';
      draw({ id: frame.messageId, from, name, text: plain(part.cInfo.body), template: component?.payload });
    }
    if (frame.enableLiveChatMetaData) receipts(frame.messageId);
  } else if (frame.type === 'user_message') {
    draw({ id: frame.traceId, from: 'user', text: plain(frame.message.body) });
  } else if (frame.type === 'ack') {
    mark(frame.replyto, 'sent');
  } else if (frame.type === 'events') {
    event(frame.message);
  } else if (frame.type === 'session_end') {
    draw({ id: frame.traceId, from: 'system', text: 'The conversation is over.' });
  }
}

function setAgent(on) {
  agent = on;
  sessionStorage.setItem('interline-agent', on ? 'yes' : 'no');
}

function event({ type, author, clientMessageId }) {
  if (type === 'agent_connected' && !agent) {
    setAgent(true);
    draw({ from: 'system', text: `${fullName(author) || 'An agent'} joined.` });
  } else if (type === 'agent_disconnected' && agent) {
    setAgent(false);
    typing(false);
    draw({ from: 'system', text: 'The agent left.' });
  } else if (type === 'typing' || type === 'stoptyping') {
    typing(type === 'typing');
  } else if (type === 'message_delivered') {
    mark(clientMessageId, 'delivered');
  } else if (type === 'message_read') {
    mark(clientMessageId, 'read');
  }
}

function send(frame) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify({ resourceid: '/bot.message', ...frame, botInfo: botInfo(), client: 'sdk' }));
  return true;
}

function tell(text) {
  const id = Date.now();
  if (!text.trim() || !send({ clientMessageId: id, id, message: { body: text } })) return false;
  marks.set(id, draw({ from: 'user', text }).appendChild(element('span', 'mark', '…')));
  return true;
}

const unread = [];
function receipts(messageId) {
  send({ event: 'message_delivered', message: { body: '', type: '' }, messageId });
  if (document.visibilityState === 'visible') send({ event: 'message_read', message: { body: '', type: '' }, messageId });
  else unread.push(messageId);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function draw({ id, from, name, text, template }, before = null) {
  if (id !== undefined) {
    if (drawn.has(id)) return null;
    drawn.add(id);
  }
  const line = element('li', `line ${from}`);
  line.dataset.testid = 'message';
  line.dataset.from = from;
  if (name) line.append(element('span', 'name', name));
  if (text) line.append(element('div', 'words', text));
  const choices = (template?.buttons ?? template?.quick_replies ?? []).filter((choice) => choice?.title);
  if (choices.length) {
    const row = line.appendChild(element('div', 'choices'));
    for (const choice of choices) {
      const button = row.appendChild(element('button', '', choice.title));
      button.type = 'button';
      button.onclick = () => tell(String(choice.payload ?? choice.value ?? choice.title));
    }
  }
  lines.insertBefore(line, before);
  lines.scrollTop = lines.scrollHeight;
  return line;
}

function mark(id, how) {
  const shown = marks.get(Number(id));
  const order = ['…', 'sent', 'delivered', 'read'];
  if (shown && order.indexOf(how) > order.indexOf(shown.textContent)) shown.textContent = how;
}

let hide;
function typing(on) {
  $('typing').hidden = !on;
  clearTimeout(hide);
  if (on) lines.scrollTop = lines.scrollHeight;
  if (on) hide = setTimeout(() => typing(false), 10000);
}

function status(text, open) {
  $('status').textContent = text;
  $('dot').classList.toggle('on', open);
  $('send').disabled = !open;
  $('end').disabled = !open;
}

$('form').onsubmit = (submit) => {
  submit.preventDefault();
  if (tell(say.value)) {
    stopTyping();
    say.value = '';
    say.focus();
  }
};
say.onkeydown = (key) => {
  if (key.key === 'Enter' && !key.shiftKey && !key.isComposing) {
    key.preventDefault();
    $('form').requestSubmit();
  }
};

let stop;
function stopTyping() {
  clearTimeout(stop);
  if (typingUntil) send({ event: 'stop_typing', message: { body: '', type: '' } });
  typingUntil = 0;
}
say.oninput = () => {
  if (!agent) return;
  if (Date.now() > typingUntil) {
    send({ event: 'typing', message: { body: '', type: '' } });
    typingUntil = Date.now() + 3000;
  }
  clearTimeout(stop);
  stop = setTimeout(stopTyping, 1500);
};

$('end').onclick = () => {
  const clientMessageId = Date.now();
  if (agent) send({ clientMessageId, id: clientMessageId, event: 'close_agent_chat', message: { body: '', type: '' } });
  else send({ clientMessageId, id: clientMessageId, resourceid: '/bot.closeConversationSession' });
};

document.onvisibilitychange = () => {
  if (document.visibilityState !== 'visible') return;
  for (const messageId of unread.splice(0)) send({ event: 'message_read', message: { body: '', type: '' }, messageId });
};
setInterval(() => send({ type: 'ping' }), 30000);

connect(false);
