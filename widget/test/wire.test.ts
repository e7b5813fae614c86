import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backoff } from '../src/wire/backoff.ts';
import { down, past } from '../src/wire/frames.ts';
import { freshId, placeOf } from '../src/wire/ids.ts';
import { template } from '../src/wire/template.ts';
import { parts, plain, safeUrl } from '../src/wire/words.ts';

const frame = (value: unknown) => down(JSON.stringify(value));

describe('frames', () => {
  it('reads a line of the bot, of an agent, and of the user', () => {
    const part = { type: 'text', cInfo: { body: '&lt;b> &amp;lt;' }, component: { type: 'text', payload: { text: '&lt;b>' } } };
    const bot = frame({ type: 'bot_response', message: [part], messageId: 'ms-cnv_1-2', timestamp: 5 });
    assert.deepEqual(bot, { kind: 'line', line: { id: 'ms-cnv_1-2', at: 5, from: 'bot', name: '', text: '<b> &lt;' } });
    const live = { ...part, component: { type: 'template', payload: { template_type: 'live_agent', text: 'x' } } };
    const agent = frame({ type: 'bot_response', message: [live], messageId: 'ms-cnv_1-3', timestamp: 6, author: { type: 'AGENT', firstName: 'Ann', lastName: 'van B' } });
    assert.deepEqual(agent, { kind: 'line', line: { id: 'ms-cnv_1-3', at: 6, from: 'agent', name: 'Ann van B', text: '<b> &lt;' } });
    const own = frame({ type: 'user_message', id: 17, traceId: 'ms-cnv_1-4', timestamp: 7, message: { body: 'hi' } });
    assert.deepEqual(own, { kind: 'line', line: { id: 'ms-cnv_1-4', at: 7, from: 'user', name: '', text: 'hi', clientId: '17' } });
  });

  it('reads what is no line', () => {
    assert.deepEqual(frame({ type: 'ack', replyto: 17 }), { kind: 'ack', id: '17' });
    assert.deepEqual(frame({ type: 'refused', replyto: 17, message: 'no', again: true }), { kind: 'refused', id: '17', text: 'no', again: true });
    assert.deepEqual(frame({ type: 'phase', phase: 'waiting', position: 3, botInfo: { chatBot: 'B' }, icon: '' }), { kind: 'phase', phase: { phase: 'waiting', position: 3 }, bot: 'B', icon: '' });
    assert.deepEqual(frame({ type: 'events', message: { type: 'message_read', clientMessageId: 17 } }), { kind: 'receipt', id: '17', tick: 'read' });
    assert.deepEqual(frame({ type: 'events', traceId: 'ms-c-2', timestamp: 5, message: { type: 'agent_connected', author: { firstName: 'Ann' } } }), { kind: 'note', id: 'ms-c-2-joined', at: 5, note: 'joined', name: 'Ann' });
    for (const nothing of [{ type: 'novelty' }, {}, null, 1, { type: 'events' }, { type: 'session_end' }]) assert.equal(frame(nothing), undefined);
    assert.equal(down('{'), undefined);
  });

  it('does not stumble over wrong types', () => {
    for (const odd of [{ type: 'bot_response' }, { type: 'bot_response', message: 'x' }, { type: 'user_message', message: 5 }, { type: 'phase', phase: 7, position: 'x' }]) {
      assert.doesNotThrow(() => frame(odd));
    }
    assert.deepEqual(frame({ type: 'bot_response', messageId: { a: 1 }, author: { firstName: ['x'] }, timestamp: 1 }), { kind: 'line', line: { id: '', at: 1, from: 'bot', name: '', text: '' } });
  });

  it('reads the history: words, wrapped words, templates', () => {
    const message = (text: string, more = {}) => ({ _id: 'ms-c-7', type: 'outgoing', createdOn: '2026-11-22T06:42:12.228Z', components: [{ data: { text } }], author: {}, ...more });
    assert.equal(past(message('&lt;b>'))?.text, '<b>');
    assert.equal(past(message('{"text":"{\\"text\\":1}"}'))?.text, '{"text":1}');
    assert.equal(past(message('{broken'))?.text, '{broken');
    assert.equal(past(message('hi', { type: 'incoming', userMsgId: '17' }))?.clientId, '17');
    const drawn = past(message(JSON.stringify({ type: 'template', payload: { template_type: 'quick_replies', text: 'Which?', quick_replies: [{ title: 'A', payload: 'a' }] } })));
    assert.equal(drawn?.text, 'Which?');
    assert.deepEqual(drawn?.template?.choices, [{ title: 'A', say: 'a' }]);
    assert.equal(past({}), undefined);
  });
});

describe('templates', () => {
  it('lead only where links may lead', () => {
    const buttons = [
      { type: 'web_url', title: 'ok', url: 'https://a.example/' },
      { type: 'web_url', title: 'bad', url: 'javascript:alert(1)' },
      { type: 'url', title: 'data', payload: 'data:text/html,x' },
      { title: 'both', payload: 'p', url: 'javascript:alert(1)' },
      { title: '', payload: 'x' },
      { title: 'say', payload: 'p' },
      'nonsense',
    ];
    assert.deepEqual(template({ template_type: 'button', text: 't', buttons })?.choices, [{ title: 'ok', href: 'https://a.example/' }, { title: 'say', say: 'p' }]);
  });

  it('are nothing without a type, and bounded', () => {
    assert.equal(template({ text: 'x' }), undefined);
    assert.equal(template({ template_type: 'live_agent', text: 'x' }), undefined);
    assert.equal(template('x'), undefined);
    assert.equal(template({ template_type: 'button', buttons: Array(500).fill({ title: 'a' }) })?.choices.length, 20);
  });
});

describe('words', () => {
  it('are unescaped once', () => assert.equal(plain('&amp;lt; &lt;b> &gt; &amp;'), '&lt; <b> &gt; &'));

  it('link only to http, https and mailto', () => {
    for (const bad of ['javascript:alert(1)', ' javascript:alert(1)', 'JAVASCRIPT:alert(1)', 'java\nscript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', '//x', 'x', '', 5, null]) {
      assert.equal(safeUrl(bad), undefined, String(bad));
    }
    for (const good of ['https://a.example/', 'http://a.example/x?y#z', 'mailto:a@b.example']) assert.equal(safeUrl(good), good);
  });

  it('are cut where links begin and end', () => {
    const links = (text: string) => parts(text).filter(({ href }) => href).map(({ text: words, href }) => [words, href]);
    assert.deepEqual(parts('see https://a.example/b.'), [{ text: 'see ' }, { text: 'https://a.example/b', href: 'https://a.example/b' }, { text: '.' }]);
    assert.deepEqual(links('(https://a.example/x_(y)) and (https://b.example)'), [['https://a.example/x_(y)', 'https://a.example/x_(y)'], ['https://b.example', 'https://b.example/']]);
    assert.deepEqual(links('write to ann@b.example!'), [['ann@b.example', 'mailto:ann@b.example']]);
    assert.deepEqual(links('javascript:alert(1) data:x <a href="x">'), []);
    for (const text of ['', 'plain', 'a < b', 'https://', '"https://a.example"', 'https://a.example<script>']) assert.equal(parts(text).map((part) => part.text).join(''), text);
    assert.ok(parts('https://' + 'a'.repeat(100_000)).length > 0);
  });
});

describe('ids', () => {
  it('grow, do not meet, and are exact numbers', () => {
    const ids = Array.from({ length: 1000 }, () => freshId(1_795_329_732_228));
    assert.equal(new Set(ids).size, 1000);
    assert.ok(ids.every((id, at) => Number.isSafeInteger(id) && (at === 0 || id > ids[at - 1]!)));
  });

  it('name places', () => {
    assert.deepEqual(placeOf('ms-cnv_0198c0ffee-12'), { conversation: 'cnv_0198c0ffee', seq: 12 });
    for (const none of ['', 'ms-local-x', 'ms-a-b', 'ms--1']) assert.equal(placeOf(none), undefined);
  });
});

describe('backoff', () => {
  it('doubles, is bounded, and differs', () => {
    assert.deepEqual([0, 1, 2, 5, 50].map((tries) => backoff(tries, 1)), [500, 1000, 2000, 16_000, 20_000]);
    assert.equal(backoff(0, 0), 250);
  });
});
