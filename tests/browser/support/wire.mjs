// A TCP proxy between the browser and the server: a network that a test can cut. While it is cut, every open
// connection is reset and new ones are refused, which is what a phone in a tunnel looks like to both ends. It can be cut by
// itself in the middle of something large.
import { connect, createServer } from 'node:net';

export async function startWire(targetPort) {
  const open = new Set();
  let cut = false;
  /** So many more bytes go up. */
  let left = Infinity;
  /** When so many are left it takes a breath: a browser tells a page how far an upload got every 50 ms at most. */
  let breath = -Infinity;
  const server = createServer((near) => {
    if (cut) return near.resetAndDestroy();
    const far = connect(targetPort, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => {});
    }
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    near.on('data', (bytes) => {
      if (cut) return;
      far.write(bytes.subarray(0, Math.max(0, left)));
      left -= bytes.length;
      if (left <= 0) wire.cut();
      else if (left <= breath) {
        breath = -Infinity;
        near.pause();
        setTimeout(() => near.resume(), 250);
      } else if (far.writableNeedDrain) far.once('drain', () => near.resume()) && near.pause();
    });
    near.on('end', () => far.end());
    far.pipe(near);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const wire = {
    origin: `http://127.0.0.1:${server.address().port}`,
    cut() {
      cut = true;
      for (const socket of open) socket.resetAndDestroy();
    },
    /** Cuts it when so many bytes more went up. */
    cutAfter(bytes) {
      left = bytes;
      breath = bytes / 2;
    },
    get isCut() {
      return cut;
    },
    mend() {
      cut = false;
      left = Infinity;
    },
    async close() {
      this.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return wire;
}
