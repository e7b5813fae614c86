/** How long to wait before the next try, in milliseconds: doubling, at most 20 s, and never the same for everybody. */
export const backoff = (tries: number, random = Math.random()): number =>
  Math.min(20_000, 500 * 2 ** Math.min(tries, 10)) * (0.5 + random / 2);
