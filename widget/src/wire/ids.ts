// Ids on the wire. A line's id is its place in the log: `ms-<conversation>-<seq>`.

/** A place in the log. */
export interface Place {
  conversation: string;
  seq: number;
}

export function placeOf(id: string): Place | undefined {
  const parts = /^ms-([A-Za-z0-9_]+)-(\d+)$/.exec(id);
  return parts ? { conversation: parts[1]!, seq: Number(parts[2]) } : undefined;
}

let last = 0;

/**
 * An id for something that is sent: a number, as the protocol's other clients have it, whose last three digits are random
 * so that two tabs do not meet. Grows within the tab. Below 2^53.
 */
export function freshId(now = Date.now(), random = Math.random()): number {
  last = Math.max(last + 1, now * 1000 + Math.floor(random * 1000));
  return last;
}
