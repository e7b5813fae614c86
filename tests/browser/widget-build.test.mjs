// What is checked in as widget/dist is what widget/src makes, byte for byte; it type-checks, is small, and passes its own
// tests. Installs the widget's two build tools first if they are not there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';

const WIDGET = fileURLToPath(new URL('../../widget/', import.meta.url));
const LARGEST = 30 * 1024;

const file = (...parts) => path.join(WIDGET, ...parts);
const read = (...parts) => readFile(file(...parts));

/** The variable would make an inner `node --test` speak to this one, in its own language. */
const { NODE_TEST_CONTEXT: _, ...env } = process.env;

function run(...command) {
  const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), { cwd: WIDGET, encoding: 'utf8', env });
  assert.equal(status, 0, `${command.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

describe('the widget as it is checked in', () => {
  before(async () => {
    const stamp = file('node_modules', '.installed-lock');
    const lock = await read('package-lock.json');
    if (lock.equals(await readFile(stamp).catch(() => Buffer.alloc(0)))) return;
    run('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');
    await copyFile(file('package-lock.json'), stamp);
  });

  it('is what its sources make', async () => {
    const out = await mkdtemp(path.join(tmpdir(), 'interline-widget-'));
    try {
      run('node', 'build.mjs', '--out', out);
      const [built, kept, zipped] = [await readFile(path.join(out, 'interline.js')), await read('dist', 'interline.js'), await read('dist', 'interline.js.gz')];
      assert.ok(built.equals(kept), 'widget/dist is stale: npm run build in widget/, and check it in');
      // Another zlib may compress in another way; what is in it must be the same.
      assert.ok(gunzipSync(zipped).equals(kept), 'widget/dist/interline.js.gz is stale');
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  });

  it('is small', async () => {
    assert.ok(gzipSync(await read('dist', 'interline.js'), { level: 9 }).length < LARGEST);
    assert.ok((await read('dist', 'interline.js.gz')).length < LARGEST);
  });

  it('writes no markup and evaluates no text', async () => {
    const script = await readFile(file('dist', 'interline.js'), 'utf8');
    for (const forbidden of ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'document.write', 'eval(', 'new Function', 'DOMParser', '.srcdoc']) {
      assert.ok(!script.includes(forbidden), forbidden);
    }
  });

  it('type-checks', () => run('npm', 'run', '--silent', 'check'));

  it('passes its own tests', () => {
    const told = run('npm', 'test', '--silent');
    assert.match(told, /^# pass [1-9]/m);
    assert.match(told, /^# fail 0$/m);
  });
});
