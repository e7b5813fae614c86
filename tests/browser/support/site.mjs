// The customer's own web site: it serves a page with the published kore-web-sdk on it, and it is the
// customer's JWT service, so the client secret never reaches the browser. It knows nothing of Interline
// but the address and the credential that a customer would be given.
import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const SDK = fileURLToPath(new URL('../node_modules/kore-web-sdk/dist/umd/', import.meta.url));
const SDK_FILES = { '/sdk/chat.js': 'kore-web-sdk-umd-chat.min.js', '/sdk/agent.js': 'plugins/agent-desktop-umd.js', '/sdk/upload.js': 'plugins/file-upload-umd.js' };

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An HS256 JWT as the vendor's "SDK Security" page wants it; `jti` makes the server check for replays. */
export function signJwt({ clientId, clientSecret, identity, now = Date.now() }) {
  const iat = Math.floor(now / 1000);
  const claims = { iss: clientId, sub: identity, aud: 'https://idproxy.kore.ai/authorize', iat, exp: iat + 600, jti: randomUUID(), isAnonymous: false };
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`;
  return `${signed}.${createHmac('sha256', clientSecret).update(signed).digest('base64url')}`;
}

// JSON inside a <script>: `<` must not end the element.
const inline = (value) => JSON.stringify(value).replaceAll('<', '\\u003c');

function hostPage({ botOptions, plugin, upload }) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A customer's site</title></head>
<body>
<h1>A customer's site</h1>
<script src="/sdk/chat.js"></script>
${plugin ? '<script src="/sdk/agent.js"></script>' : ''}
${upload ? '<script src="/sdk/upload.js"></script>' : ''}
<script>
  const chatConfig = KoreChatSDK.chatConfig;
  Object.assign(chatConfig.botOptions, ${inline(botOptions)});
  const chat = new KoreChatSDK.chatWindow();
  ${plugin ? 'chat.installPlugin(new AgentDeskTopPluginSDK.AgentDesktopPlugin());' : ''}
  ${upload ? 'chat.installPlugin(new FileUploadPluginSDK.KoreFileUploaderPlugin());' : ''}
  chat.show(chatConfig);
</script>
</body></html>`;
}

/**
 * Starts the site on a free loopback port.
 * `demo` is what the server printed; `via` is an origin to use instead of `demo.base` (a test's proxy).
 * Page: `/?user=ann&plugin=1&upload=1`.
 */
export async function startSite({ demo, via = demo.base }) {
  const logins = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://site.invalid');
    const answer = (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body);
    try {
      if (request.method === 'GET' && SDK_FILES[url.pathname]) {
        return answer(200, 'text/javascript', await readFile(path.join(SDK, SDK_FILES[url.pathname])));
      }
      if (request.method === 'POST' && url.pathname === '/jwt') {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const form = new URLSearchParams(Buffer.concat(chunks).toString());
        logins.push(form.get('identity'));
        const jwt = signJwt({ clientId: demo.client_id, clientSecret: demo.client_secret, identity: form.get('identity') });
        return answer(200, 'application/json', JSON.stringify({ jwt }));
      }
      if (request.method === 'GET' && url.pathname === '/') {
        const server = new URL(via);
        const botOptions = {
          koreAPIUrl: `${via}/api/`,
          JWTUrl: '/jwt',
          userIdentity: url.searchParams.get('user'),
          botInfo: { name: 'Interline demo', _id: demo.app },
          clientId: demo.client_id,
          // The page of a real site would carry no secret either: the JWT service signs.
          clientSecret: 'kept on the site',
          ...(via === demo.base ? {} : { reWriteSocketURL: { protocol: 'ws', hostname: server.hostname, port: server.port } }),
        };
        return answer(200, 'text/html; charset=utf-8', hostPage({ botOptions, plugin: url.searchParams.has('plugin'), upload: url.searchParams.has('upload') }));
      }
      return answer(404, 'text/plain', 'not found');
    } catch (error) {
      return answer(500, 'text/plain', String(error));
    }
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
