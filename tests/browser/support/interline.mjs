// The server under test: the built binary, run as `interline demo`. Killing means SIGKILL: the tests want to
// know what is left after a crash, not after a polite shutdown.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { until } from './until.mjs';

const BIN = process.env.INTERLINE_BIN ?? fileURLToPath(new URL('../../../target/debug/interline', import.meta.url));

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export class Interline {
  #child;
  output = '';

  /** Starts `interline demo` on a free port with a data directory of its own. */
  static async start() {
    const server = new Interline();
    server.data = await mkdtemp(path.join(tmpdir(), 'interline-browser-'));
    server.port = await freePort();
    // However the run ends, no server outlives it.
    process.once('exit', () => server.#child?.kill('SIGKILL'));
    try {
      await server.boot();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Starts the process (again) on the same port and data directory; resolves when `/readyz` says 200. */
  async boot() {
    const printedBefore = this.output.length;
    const child = spawn(BIN, ['demo', '--no-voice', '--port', String(this.port), '--data', this.data], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    let failure;
    child.once('error', (error) => (failure = new Error(`${BIN} cannot be run: ${error.message}`)));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => (this.output += text));
    }
    await until(`${BIN} demo is ready on port ${this.port}`, 60_000, async () => {
      if (failure) throw failure;
      if (child.exitCode !== null) throw new Error(`the server exited with ${child.exitCode}:\n${this.output}`);
      const ready = await fetch(`http://127.0.0.1:${this.port}/readyz`).then((r) => r.ok, () => false);
      return ready && /^demo \{.*\}$/m.test(this.output.slice(printedBefore));
    });
    this.demo = JSON.parse(/^demo (\{.*\})$/m.exec(this.output.slice(printedBefore))[1]);
    return this.demo;
  }

  /** SIGKILL, and wait until the process is gone. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    if (this.#child?.pid && this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    await rm(this.data, { recursive: true, force: true });
  }
}
