// A TCP proxy between the browser and the server: a network that a test can cut. While it is cut, every open
// connection is reset and new ones are refused, which is what a phone in a tunnel looks like to both ends.
import { connect, createServer } from 'node:net';

export async function startWire(targetPort) {
  const open = new Set();
  let cut = false;
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
    near.pipe(far).pipe(near);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    cut() {
      cut = true;
      for (const socket of open) socket.resetAndDestroy();
    },
    mend() {
      cut = false;
    },
    async close() {
      this.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
