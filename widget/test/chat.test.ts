import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Log } from '../src/chat/log.ts';
import { Outbox } from '../src/chat/outbox.ts';
import type { Item } from '../src/chat/outbox.ts';
import { Reading } from '../src/chat/reading.ts';
import type { Line } from '../src/chat/line.ts';
import type { Heard } from '../src/wire/frames.ts';

/** A screen that does only what it is told: it must show the same lines in the same order as the log. */
function screen() {
  const keys: string[] = [];
  const log: Log = new Log({
    placed(line: Line, next: Line | undefined, moved: boolean) {
      if (moved) keys.splice(keys.indexOf(line.key), 1);
      assert.ok(!keys.includes(line.key), 'drawn twice');
      keys.splice(next ? keys.indexOf(next.key) : keys.length, 0, line.key);
    },
    changed: (line) => assert.ok(keys.includes(line.key)),
  });
  const shows = () => {
    assert.deepEqual(keys, log.lines.map(({ key }) => key));
    return log.lines.map(({ text, note }) => text || note);
  };
  return { log, shows };
}

const line = (seq: number, text: string, more: Partial<Heard> = {}): Heard => ({ id: `ms-cnv_1-${seq}`, at: 1000 + seq, from: 'bot', name: '', text, ...more });

describe('the log', () => {
  it('has each line once, in the order of the log, however they come', () => {
    const { log, shows } = screen();
    log.hear(line(5, 'five'));
    log.hear(line(2, 'two'));
    assert.equal(log.hear(line(5, 'five')), false);
    log.note('ms-cnv_1-4-joined', 1004, 'joined', 'Ann');
    log.note('ms-cnv_1-4-joined', 1004, 'joined', 'Ann');
    log.hear({ ...line(1, 'next'), id: 'ms-cnv_2-1', at: 9000 });
    log.hear({ ...line(9, 'former'), id: 'ms-cnv_0-9', at: 10 });
    assert.deepEqual(shows(), ['former', 'two', 'joined', 'five', 'next']);
    assert.equal(log.newest(), 'ms-cnv_2-1');
    assert.equal(log.oldest(), 'ms-cnv_0-9');
  });

  it('keeps what is on its way at the end, and puts it where the log has it', () => {
    const { log, shows } = screen();
    log.say('17', 'mine', 5000);
    log.say('18', 'second', 5001);
    log.hear(line(2, 'meanwhile'));
    assert.deepEqual(shows(), ['meanwhile', 'mine', 'second']);
    log.hear(line(3, 'mine', { from: 'user', clientId: '17' }));
    log.hear(line(4, 'after'));
    assert.deepEqual(shows(), ['meanwhile', 'mine', 'after', 'second']);
    assert.equal(log.own('17')?.tick, 'sent');
    assert.equal(log.own('18')?.tick, 'sending');
    // The history says it again, under its own id: it is that line.
    log.hear(line(3, 'mine', { from: 'user', clientId: '17' }));
    log.hear(line(5, 'second', { from: 'user', clientId: '18' }));
    assert.deepEqual(shows(), ['meanwhile', 'mine', 'after', 'second']);
  });

  it('moves a line that turns out to be earlier', () => {
    const { log, shows } = screen();
    log.say('17', 'mine', 5000);
    log.say('18', 'other', 5001);
    log.hear(line(4, 'other', { from: 'user', clientId: '18' }));
    assert.deepEqual(shows(), ['other', 'mine']);
    log.hear(line(3, 'mine', { from: 'user', clientId: '17' }));
    assert.deepEqual(shows(), ['mine', 'other']);
  });

  it('ticks all own lines up to the one that is named, and never back', () => {
    const { log } = screen();
    log.hear(line(1, 'a', { from: 'user', clientId: '1' }));
    log.hear(line(2, 'b', { from: 'user', clientId: '2' }));
    log.hear(line(3, 'c', { from: 'user', clientId: '3' }));
    log.tick('2', 'read');
    log.tick('3', 'delivered');
    log.tick('3', 'sent');
    assert.deepEqual(log.lines.map(({ tick }) => tick), ['read', 'read', 'delivered']);
    assert.deepEqual(log.marks, { read: '2', delivered: '3' });
    log.hear(line(0, 'earlier', { from: 'user', clientId: '0' }));
    assert.equal(log.own('0')?.tick, 'read');
    log.tick('all', 'read');
    assert.ok(log.lines.every(({ tick }) => tick === 'read'));
  });

  it('shows what a button was called, in every tab', () => {
    const { log, shows } = screen();
    log.hear(line(1, 'Which?', { template: { text: 'Which?', once: true, cards: [], choices: [{ title: 'Book a seat', say: 'book_seat' }] } }));
    log.say('17', 'book_seat', 5000);
    log.hear(line(2, 'book_seat', { from: 'user', clientId: '99' }));
    assert.deepEqual(shows(), ['Which?', 'Book a seat', 'Book a seat']);
  });
});

describe('the outbox', () => {
  const item = (id: number): Item => ({ id, kind: 'say', text: `line ${id}`, at: id });

  it('lets out one at a time, in order, and again after a landing', () => {
    const kept: number[][] = [];
    const box = new Outbox((items) => kept.push(items.map(({ id }) => id)));
    box.add(item(1));
    box.add(item(2));
    assert.equal(box.next()?.id, 1);
    assert.equal(box.next(), undefined);
    box.landed();
    assert.equal(box.next()?.id, 1);
    assert.equal(box.done('1')?.id, 1);
    assert.equal(box.done('1'), undefined);
    assert.equal(box.next()?.id, 2);
    box.done('2');
    assert.equal(box.next(), undefined);
    assert.deepEqual(kept, [[1], [1, 2], [2], []]);
  });

  it('holds what was refused until the user wants it sent again, and goes on with the next', () => {
    const box = new Outbox(() => {});
    box.add(item(1));
    box.add(item(2));
    box.next();
    assert.equal(box.refused('1', { text: 'no', again: true })?.id, 1);
    assert.equal(box.next()?.id, 2);
    box.done('2');
    assert.equal(box.next(), undefined);
    box.again('1');
    assert.equal(box.next()?.id, 1);
    box.refused('1', { text: 'no', again: false });
    assert.equal(box.drop('1')?.text, 'line 1');
    assert.deepEqual(box.items, []);
  });

  it('does not hold an end that was refused', () => {
    const box = new Outbox(() => {});
    box.add({ ...item(1), kind: 'end_agent' });
    box.next();
    box.refused('1', { text: 'no', again: true });
    assert.deepEqual(box.items, []);
  });

  it('takes up what was there before a reload, once', () => {
    const box = new Outbox(() => {});
    box.add(item(3));
    box.restore([item(1), item(2), item(3)]);
    assert.deepEqual(box.items.map(({ id }) => id), [1, 2, 3]);
  });
});

describe('reading', () => {
  it('counts what came after what was read', () => {
    const { log } = screen();
    const reading = new Reading('ms-cnv_1-2');
    for (const seq of [1, 2, 3, 4]) log.hear(line(seq, 'x', seq === 4 ? { from: 'user', clientId: '4' } : {}));
    assert.equal(reading.unread(log.lines), 1);
    assert.equal(reading.shown(log.lines), 'ms-cnv_1-3');
    assert.equal(reading.shown(log.lines), undefined);
    assert.equal(reading.seen(log.lines), 'ms-cnv_1-3');
    assert.equal(reading.unread(log.lines), 0);
    log.hear(line(5, 'y'));
    assert.equal(reading.unread(log.lines), 1);
    // Another tab read it.
    reading.adopt('ms-cnv_1-5');
    assert.equal(reading.unread(log.lines), 0);
  });

  it('counts nothing where nothing is known, and all where nothing was there', () => {
    const { log } = screen();
    log.hear(line(1, 'x'));
    assert.equal(new Reading(undefined).unread(log.lines), 0);
    assert.equal(new Reading('none').unread(log.lines), 1);
  });
});
