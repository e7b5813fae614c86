// Server-sent events over fetch: an EventSource cannot send the key.

/** Calls `heard` with the name of every event until the stream ends; throws with `status` when there is no stream. */
export async function follow(url, { headers, signal, opened, heard }) {
  const answer = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal, cache: 'no-store' });
  if (!answer.ok || !answer.body) throw Object.assign(new Error(`no stream: ${answer.status}`), { status: answer.status });
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let line = '';
  let name = '';
  let some = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    for (const letter of value) {
      if (letter !== '\n') {
        line += letter;
        continue;
      }
      // An empty line ends an event; a comment (":") keeps the connection open and is none.
      const field = line.replace(/\r$/, '');
      line = '';
      if (field === '') {
        if (some) heard(name || 'message');
        name = '';
        some = false;
      } else if (field.startsWith('event:')) {
        name = field.slice(6).trim();
      } else if (field.startsWith('data')) {
        some = true;
      }
    }
  }
}
