// Builds dist/interline.js (and its gzip twin), byte for byte the same from the same sources. `--out DIR` builds elsewhere.
import { build, transform } from 'esbuild';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Style sheets are imported as minified texts: they become constructable style sheets, which every CSP lets be. */
const styles = {
  name: 'styles',
  setup(plugin) {
    plugin.onLoad({ filter: /\.css$/ }, async ({ path: file }) => {
      const { code } = await transform(await readFile(file, 'utf8'), { loader: 'css', minify: true });
      return { contents: code.trim(), loader: 'text' };
    });
  },
};

export async function bundle(out = path.join(here, 'dist')) {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: ['src/main.ts'],
    bundle: true,
    format: 'iife',
    target: ['es2022'],
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    banner: { js: '/* Interline web chat. Apache-2.0 */' },
    plugins: [styles],
    write: false,
  });
  const [{ contents }] = outputFiles;
  const zipped = gzipSync(contents, { level: 9 });
  await mkdir(out, { recursive: true });
  await writeFile(path.join(out, 'interline.js'), contents);
  await writeFile(path.join(out, 'interline.js.gz'), zipped);
  return { bytes: contents.length, zipped: zipped.length };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = process.argv.indexOf('--out');
  const { bytes, zipped } = await bundle(at > 0 ? path.resolve(process.argv[at + 1]) : undefined);
  console.log(`interline.js: ${bytes} bytes, ${zipped} gzip`);
}
