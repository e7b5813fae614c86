// Files as people send them, in the shape of Playwright's file choosers.
import { randomBytes } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });

export const txt = (name, text = `The words of ${name}.\n`) => file(name, 'text/plain', Buffer.from(text));

/** As large as wanted, and like no other. */
export const pdf = (name, bytes = 2_000) => file(name, 'application/pdf', Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(bytes - 9)]));

/** One colour, so large that it is worth a thumbnail. */
export function png(name, width = 640, height = 480) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // 8 bits, red, green and blue.
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([200, 60, 20]))]);
  const pixels = deflateSync(Buffer.concat(Array(height).fill(row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return file(name, 'image/png', Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]));
}
