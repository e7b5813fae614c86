// Runs the unit tests: each is bundled as it is for the browser, and given to `node --test`.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = mkdtempSync(path.join(tmpdir(), 'interline-widget-'));
try {
  const tests = readdirSync(here).filter((file) => file.endsWith('.test.ts'));
  await build({
    absWorkingDir: here, entryPoints: tests, bundle: true, platform: 'node', format: 'esm', target: 'node20', outdir: out,
    outExtension: { '.js': '.mjs' }, logLevel: 'warning',
  });
  const files = tests.map((file) => path.join(out, file.replace(/\.ts$/, '.mjs')));
  process.exitCode = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
