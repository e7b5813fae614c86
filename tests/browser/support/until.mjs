// Waiting, bounded: a condition is asked again until it holds, and the last thing seen is in the failure.
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, inspect } from 'node:util';

/** Resolves with the first truthy answer of `ask`; an error thrown by `ask` is final. */
export async function until(what, milliseconds, ask) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await sleep(50);
  }
}

/** Resolves when `ask` gives exactly `wanted`; otherwise fails and shows both. */
export async function becomes(what, milliseconds, ask, wanted) {
  let last;
  try {
    await until(what, milliseconds, async () => isDeepStrictEqual((last = await ask()), wanted));
  } catch (error) {
    throw new Error(`${error.message}\nwanted: ${inspect(wanted)}\n   saw: ${inspect(last)}`, { cause: error });
  }
}

/** Fails if `ask` gives anything but `wanted` at any look within the time: for what must not happen. */
export async function stays(what, milliseconds, ask, wanted) {
  const end = Date.now() + milliseconds;
  do {
    const seen = await ask();
    if (!isDeepStrictEqual(seen, wanted)) throw new Error(`${what}\nwanted: ${inspect(wanted)}\n   saw: ${inspect(seen)}`);
    await sleep(100);
  } while (Date.now() < end);
}
