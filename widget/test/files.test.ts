import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wrongWith } from '../src/files/judge.ts';
import { Queue } from '../src/files/queue.ts';
import type { Picked } from '../src/files/queue.ts';
import { Refusal, UNREADABLE, Upload } from '../src/files/upload.ts';
import { Speech } from '../src/texts/texts.ts';
import { attachment, attachments } from '../src/wire/attachment.ts';
import { Lost, wait } from '../src/wire/ask.ts';
import type { Answer, Ask } from '../src/wire/ask.ts';
import { down, past, say } from '../src/wire/frames.ts';

const answer = (status: number, headers: Record<string, string> = {}, body: unknown = undefined): Answer =>
  ({ status, header: (name) => headers[name] ?? null, body });
const refused = (status: number, code: string, msg: string, headers: Record<string, string> = {}) => answer(status, headers, { errors: [{ msg, code }] });
const wire = (id: string, more = {}) => ({ fileId: id, fileName: `${id}.txt`, fileType: 'attachment', fileUrl: `https://a.example/f/${id}`, bytes: 10, ...more });

/** A server that keeps what it is sent, and fails as it is told to, one instruction for each request. */
function server(...script: (Answer | 'lost' | 'half' | 'swallow' | undefined)[]) {
  const asked: string[] = [];
  const stored: Buffer[] = [];
  let uploads = 0;
  const size = () => Buffer.concat(stored).length;
  const ask = async ({ method, url, headers, body, sent }: Ask): Promise<Answer> => {
    asked.push(`${method} ${new URL(url).pathname}${headers['upload-offset'] === undefined ? '' : ` @${headers['upload-offset']}`}`);
    const next = script.shift();
    const bytes = body ? Buffer.from(await body.arrayBuffer()) : Buffer.alloc(0);
    if (next === 'lost') throw new Lost();
    if (next === 'half') {
      stored.push(bytes.subarray(0, bytes.length / 2));
      sent?.(bytes.length / 2);
      throw new Lost();
    }
    if (next && next !== 'swallow') return next;
    if (method === 'POST') {
      stored.length = 0;
      return answer(201, { location: `https://elsewhere.example/api/files/u${(uploads += 1)}?x=1` });
    }
    if (method === 'HEAD') return answer(200, { 'upload-offset': String(size()) });
    if (method === 'DELETE') return answer(204);
    assert.equal(Number(headers['upload-offset']), size(), 'each byte once');
    stored.push(bytes);
    sent?.(bytes.length);
    if (next === 'swallow') throw new Lost();
    return answer(200, { 'upload-offset': String(size()) }, wire('fil_1'));
  };
  return { asked, ask, text: () => Buffer.concat(stored).toString() };
}

function upload(script: Parameters<typeof server>, { user = () => 'ann', file = new File(['0123456789'], 'a.txt') } = {}) {
  const far = server(...script);
  const told: (number | string)[] = [];
  let renewed = 0;
  const door = {
    files: 'https://chat.example/api/files',
    session: () => ({ token: `t${renewed}`, user: user() }),
    renew: async () => ({ token: `t${(renewed += 1)}`, user: user() }),
  };
  const one: Upload = new Upload(file, door, {
    progress: (bytes) => told.push(bytes),
    stands: (still) => {
      told.push(still ? 'stands' : 'goes');
      // Nobody waits in a test.
      if (still) setImmediate(() => one.wake());
    },
  }, far.ask);
  return { one, told, far, renewed: () => renewed };
}

const fails = async (promise: Promise<unknown>, wanted: { message?: string; again?: boolean; code?: string }) => {
  await assert.rejects(promise, (error: Refusal) => {
    assert.ok(error instanceof Refusal);
    assert.deepEqual({ ...wanted, ...Object.fromEntries(Object.keys(wanted).map((key) => [key, error[key as keyof Refusal]])) }, wanted);
    return true;
  });
};

describe('an upload', () => {
  it('is a POST and a PATCH, on the server that we talk to', async () => {
    const { one, far, told } = upload([]);
    assert.equal((await one.run()).id, 'fil_1');
    assert.deepEqual(far.asked, ['POST /api/files', 'PATCH /api/files/u1 @0']);
    assert.equal(far.text(), '0123456789');
    assert.equal(told.at(-1), 10);
  });

  it('goes on from where it stood, however often the network breaks', async () => {
    const { one, far, told } = upload(['lost', undefined, 'half', 'lost', undefined, 'half', undefined, 'swallow']);
    await one.run();
    assert.equal(far.text(), '0123456789');
    assert.deepEqual(far.asked.filter((line) => line.startsWith('PATCH')), ['PATCH /api/files/u1 @0', 'PATCH /api/files/u1 @5', 'PATCH /api/files/u1 @7', 'PATCH /api/files/u1 @10']);
    assert.equal(far.asked.filter((line) => line.startsWith('POST')).length, 2);
    assert.ok(told.includes('stands') && told.includes('goes'));
  });

  it('logs in anew, waits when it is told to, and begins again once', async () => {
    const old = refused(401, 'TOKEN_EXPIRED', 'token expired');
    const { one, far, renewed } = upload([old, answer(503, { 'retry-after': '0' }), undefined, refused(404, 'file_unknown', 'gone'), undefined, refused(409, 'upload_offset', 'elsewhere')]);
    await one.run();
    assert.equal(renewed(), 1);
    assert.deepEqual(far.asked.map((line) => line.replace(/ .*u/, ' u')), ['POST /api/files', 'POST /api/files', 'POST /api/files', 'PATCH u1 @0', 'POST /api/files', 'PATCH u2 @0', 'HEAD u2', 'PATCH u2 @0']);
    const gone = refused(404, 'file_unknown', 'It is gone.');
    await fails(upload([undefined, gone, undefined, gone]).one.run(), { message: 'It is gone.', again: false });
  });

  it('ends with the server’s words, and says whether the same may do later', async () => {
    await fails(upload([refused(415, 'file_format', 'Not this.')]).one.run(), { message: 'Not this.', again: false, code: 'file_format' });
    await fails(upload([undefined, refused(422, 'file_infected', 'Ill.')]).one.run(), { message: 'Ill.', again: false });
    await fails(upload([refused(507, 'no_room', 'Full.')]).one.run(), { message: 'Full.', again: true });
    await fails(upload([refused(429, 'too_many_files_waiting', 'Too many.')]).one.run(), { message: 'Too many.', again: true });
    const down = refused(503, 'file_not_scanned', 'Not checked.', { 'retry-after': '0' });
    const { one, far } = upload([undefined, ...Array.from({ length: 40 }, (_, at) => (at % 2 ? undefined : down))]);
    await fails(one.run(), { message: 'Not checked.', again: true });
    assert.ok(far.asked.length < 20, 'not for ever');
    await fails(upload(Array(40).fill(refused(401, 'x', 'Who?'))).one.run(), { message: 'Who?' });
  });

  it('does not go on for somebody else, or with a file that is not there', async () => {
    const users = ['ann', 'bob'];
    await fails(upload(['lost'], { user: () => users.shift() ?? 'bob' }).one.run(), { again: false });
    const file = new File(['x'], 'a.txt');
    file.slice = () => ({ arrayBuffer: () => Promise.reject(new Error('gone')) }) as unknown as Blob;
    await fails(upload(['lost'], { file }).one.run(), { code: UNREADABLE, again: false });
  });

  it('is over when it is cancelled, and the server is told', async () => {
    const { one, far } = upload([undefined, 'half']);
    let ended = false;
    void one.run().finally(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 1));
    while (far.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
    one.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(ended, false);
    assert.ok(far.asked.includes('DELETE /api/files/u1'), far.asked.join());
    const many = far.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(far.asked.length, many);
  });

  it('waits as long as it is told to, within reason', () => {
    assert.equal(wait(answer(503, { 'retry-after': '2' }), 0), 2000);
    assert.equal(wait(answer(503, { 'retry-after': '99999' }), 0), 300_000);
    for (const odd of [answer(503), answer(503, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }), answer(503, { 'retry-after': '-1' }), undefined]) {
      assert.ok(wait(odd, 1) >= 500 && wait(odd, 1) <= 1000);
    }
  });
});

describe('the files of a message', () => {
  function queue() {
    const runs: { file: File; done: (id: string) => void; fail: (error: unknown) => void; cancelled: boolean }[] = [];
    let off = false;
    const box = new Queue({} as never, { changed() {}, moved() {}, words: (code) => `words for ${code}`, off: () => (off = true) }, (file) => {
      const run = { file, cancelled: false } as (typeof runs)[number];
      const ended = new Promise<never>((resolve, reject) => {
        run.done = (id) => resolve(attachment(wire(id)) as never);
        run.fail = reject;
      });
      runs.push(run);
      return { run: () => ended, wake() {}, cancel: () => (run.cancelled = true) };
    });
    const add = (...names: string[]) => names.forEach((name) => box.add(new File(['x'], name)));
    const states = () => box.items.map(({ state }: Picked) => state);
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    return { box, runs, add, states, settle, off: () => off };
  }

  it('go a few at a time, and are taken when they are there', async () => {
    const { box, runs, add, states, settle } = queue();
    add('a', 'b', 'c', 'd');
    assert.deepEqual(states(), ['runs', 'runs', 'runs', 'waits']);
    runs[1]!.done('fil_b');
    await settle();
    assert.deepEqual(states(), ['runs', 'there', 'runs', 'runs']);
    assert.ok(box.isBusy);
    for (const at of [0, 2, 3]) runs[at]!.done(`fil_${at}`);
    await settle();
    assert.ok(!box.isBusy);
    assert.deepEqual(box.take().map(({ id }) => id), ['fil_0', 'fil_b', 'fil_2', 'fil_3']);
    assert.deepEqual(states(), []);
  });

  it('that are refused stay to be seen, and may be tried again if that helps', async () => {
    const { box, runs, add, states, settle, off } = queue();
    add('a', 'b', 'c');
    box.add(new File(['x'], 'd.exe'), 'not this');
    runs[0]!.fail(new Refusal('Full.', true));
    runs[1]!.fail(new Refusal('', false, 'files_off'));
    runs[2]!.fail(new Error('?'));
    await settle();
    assert.deepEqual(box.items.map(({ state, reason, again }) => [state, reason, again]), [
      ['refused', 'Full.', true], ['refused', 'words for files_off', false], ['refused', 'words for ', true], ['refused', 'not this', undefined],
    ]);
    assert.ok(off());
    assert.deepEqual([box.going, box.isBusy], [0, false]);
    for (const { key } of box.items) box.again(key);
    assert.deepEqual(states(), ['runs', 'refused', 'runs', 'refused']);
    assert.equal(runs.length, 5);
    runs[3]!.done('fil_a');
    runs[4]!.fail(new Refusal('Full.', true));
    await settle();
    // What cannot be taken goes with the message; what may be taken later stays.
    assert.deepEqual(box.take().map(({ id }) => id), ['fil_a']);
    assert.deepEqual(box.items.map(({ name }) => name), ['c']);
  });

  it('are given up', async () => {
    const { box, runs, add, settle } = queue();
    add('a', 'b', 'c', 'd');
    box.remove(box.items[0]!.key);
    assert.ok(runs[0]!.cancelled);
    assert.equal(runs.length, 4, 'the next one goes');
    runs[0]!.done('fil_late');
    await settle();
    assert.deepEqual(box.items.map(({ name }) => name), ['b', 'c', 'd']);
    box.clear();
    assert.ok(runs.every(({ cancelled }) => cancelled));
    box.put([attachment(wire('fil_1'))!]);
    assert.deepEqual(box.take().map(({ name }) => name), ['fil_1.txt']);
  });
});

describe('files', () => {
  it('are judged by size and extension', () => {
    const rules = { maxBytes: 26_214_400, formats: ['pdf', 'txt'], perMessage: 10 };
    const judge = (name: string, size = 5, locale = 'en') => wrongWith({ name, size }, rules, new Speech(locale, {}));
    for (const good of ['a.pdf', 'A.PDF', 'a.b.txt', 'a\n.txt']) assert.equal(judge(good), undefined, good);
    for (const bad of ['a.exe', 'pdf', '.pdf', 'a.pdf.', 'a', '']) assert.equal(judge(bad), 'Files of this type cannot be sent. These can: .pdf, .txt.', bad);
    assert.equal(judge('a.pdf', 0), 'The file is empty.');
    assert.equal(judge('a.pdf', 26_214_400), undefined);
    assert.equal(judge('a.pdf', 26_214_401), 'The file is too large. Files of up to 25 MB can be sent.');
    assert.match(judge('a.exe', 5, 'ar') ?? '', /\u2066\.pdf, \.txt\u2069/);
  });

  it('have sizes for people', () => {
    const size = (bytes: number) => new Speech('en', {}).size(bytes);
    assert.deepEqual([0, 1, 999, 1024, 1_300, 299_999, 26_214_400, 26_214_401].map(size), ['0 bytes', '1 byte', '999 bytes', '1 kB', '1.2 kB', '292 kB', '25 MB', '25 MB']);
    assert.equal(new Speech('de', {}).size(1_300), '1,2 kB');
    assert.ok(new Speech('not a locale!', {}).size(5).length > 0);
  });

  it('are read from the wire, whatever comes', () => {
    assert.deepEqual(attachment(wire('fil_1', { warning: 'Eicar', fileType: 'image' })), { id: 'fil_1', name: 'fil_1.txt', bytes: 10, kind: 'image', url: 'https://a.example/f/fil_1', warning: 'Eicar' });
    for (const url of ['javascript:alert(1)', 'mailto:a@b.example', 'data:text/html,x', 5, undefined]) assert.equal(attachment(wire('x', { fileUrl: url }))?.url, undefined);
    for (const odd of [undefined, null, 'x', 5, {}, { fileId: {} }]) assert.equal(attachment(odd), undefined);
    for (const odd of [undefined, null, 'x', {}, [], [null]]) assert.deepEqual(attachments(odd), {});
    const files = [attachment(wire('fil_1'))];
    const own = down(JSON.stringify({ type: 'user_message', id: 1, traceId: 'ms-c-1', timestamp: 1, message: { body: '', attachments: [wire('fil_1')] } }));
    assert.deepEqual(own?.kind === 'line' && own.line.files, files);
    const theirs = down(JSON.stringify({ type: 'bot_response', messageId: 'ms-c-2', timestamp: 1, message: [{ cInfo: { body: 'x' } }], attachments: [wire('fil_1')] }));
    assert.deepEqual(theirs?.kind === 'line' && theirs.line.files, files);
    assert.deepEqual(past({ _id: 'ms-c-3', type: 'outgoing', components: [], attachments: [wire('fil_1')] })?.files, files);
    assert.deepEqual(say(5, '', [files[0]!]).message, { body: '', attachments: [{ fileId: 'fil_1', fileName: 'fil_1.txt' }] });
    assert.deepEqual(say(5, 'x').message, { body: 'x' });
  });
});
