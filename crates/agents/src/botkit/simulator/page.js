"use strict";
// Words of customers are data: they only ever become text nodes.

const $ = (id) => document.getElementById(id);
const speakers = { customer: "Customer", bot: "Bot", agent: "You", system: "" };

let chosen = null;
let chosenByHand = false;
let version = 0;
let known = [];
let poll = null;

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.append(document.createTextNode(text));
  return node;
}

function time(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function choose(id, byHand) {
  if (id === chosen) return;
  chosen = id;
  chosenByHand = byHand;
  version = 0;
  $("lines").replaceChildren();
  $("trouble").hidden = true;
  showTranscript(null);
  showConversations();
  if (poll) poll.abort();
  $("say").focus();
}

function showConversations() {
  const items = known.slice().reverse().map((conversation) => {
    const item = element("li", conversation.open ? "" : "ended");
    item.dataset.testid = "conversation";
    item.dataset.id = conversation.id;
    item.tabIndex = 0;
    item.setAttribute("aria-current", String(conversation.id === chosen));
    item.append(
      element("span", "name", conversation.title),
      element("span", "state", conversation.open ? "open" : "ended"),
      element("span", "last", conversation.last),
    );
    item.addEventListener("click", () => choose(conversation.id, true));
    item.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") choose(conversation.id, true);
    });
    return item;
  });
  $("conversations").replaceChildren(...items);

  const current = known.find((conversation) => conversation.id === chosen);
  $("title").textContent = current ? current.title : "No conversation chosen";
  $("about").textContent = current
    ? `${current.open ? "Talking" : "Ended"} · since ${time(current.since_ms)} · ${current.visitor}`
    : "";
  for (const id of ["say", "send", "end", "files"]) $(id).disabled = !(current && current.open);
}

function shownFile(file) {
  const shown = element("span", "file");
  shown.dataset.testid = "file";
  if (file.sha256) shown.dataset.sha256 = file.sha256;
  const link = element("a", "", file.name);
  if (/^https?:/.test(file.url)) link.href = file.url;
  link.target = "_blank";
  link.rel = "noreferrer";
  shown.append(link);
  const about = [];
  if (file.bytes != null) about.push(`${file.bytes.toLocaleString()} bytes`);
  if (file.sha256) about.push(`received, SHA-256 ${file.sha256.slice(0, 12)}…`);
  if (file.failed) about.push(`not received: ${file.failed}`);
  shown.append(element("span", "about", about.join(" · ")));
  return shown;
}

function showLines(lines) {
  const list = $("lines");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const items = lines.map((line) => {
    const item = element("li", line.by + (line.before ? " before" : ""));
    item.dataset.testid = "line";
    item.dataset.by = line.by;
    const who = speakers[line.by];
    if (who) item.append(element("span", "who", `${who} · ${time(line.at_ms)}`));
    if (line.text) item.append(element("span", "text", line.text));
    for (const file of line.files ?? []) item.append(shownFile(file));
    if (line.failed) item.append(element("span", "failed", `Not delivered: ${line.failed}`));
    return item;
  });
  list.replaceChildren(...items);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

// The page behind the link is the platform's, and each look at the words there counts.
const transcript = element("a", "", "What was said before the hand-over");
transcript.dataset.testid = "transcript";
transcript.target = "_blank";
transcript.rel = "noreferrer";
transcript.hidden = true;
$("about").after(transcript);

function showTranscript(url) {
  transcript.hidden = !/^https?:/.test(url ?? "");
  if (!transcript.hidden) transcript.href = url;
}

// Until somebody chooses, the newest open conversation is shown.
function chooseByItself() {
  if (chosenByHand && known.some((conversation) => conversation.id === chosen && conversation.open)) return;
  const newest = known.filter((conversation) => conversation.open).pop();
  if (newest && !known.some((conversation) => conversation.id === chosen && conversation.open)) {
    choose(newest.id, false);
  }
}

async function watch() {
  for (;;) {
    poll = new AbortController();
    try {
      const query = new URLSearchParams({ version: String(version) });
      if (chosen) query.set("conversation", chosen);
      const shown = chosen;
      const answer = await fetch(`api/state?${query}`, { signal: poll.signal });
      const state = await answer.json();
      if (shown !== chosen) continue;
      version = state.version;
      if (state.conversations) {
        known = state.conversations;
        showConversations();
        if (state.lines) {
          showLines(state.lines);
          showTranscript(state.transcript);
        }
        chooseByItself();
      }
    } catch (error) {
      if (error.name === "AbortError") continue;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function tell(path, body) {
  $("trouble").hidden = true;
  let trouble = "The desk cannot be reached.";
  try {
    const answer = await fetch(`api/conversations/${encodeURIComponent(chosen)}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return;
    trouble = await answer.text();
  } catch {
    // Said below.
  }
  $("trouble").textContent = trouble;
  $("trouble").hidden = false;
}

// Files lie on the stand-in's shelf, from which the platform fetches them.
async function shelve(file) {
  const answer = await fetch(`api/files?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).id;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("say").value.trim();
  const picked = [...$("files").files];
  if ((!text && picked.length === 0) || !chosen) return;
  $("say").value = "";
  $("files").value = "";
  let files;
  try {
    files = await Promise.all(picked.map(shelve));
  } catch (error) {
    $("say").value ||= text;
    $("trouble").textContent = `The file was not taken: ${error.message}`;
    $("trouble").hidden = false;
    return;
  }
  tell("say", { text, files });
});

$("end").addEventListener("click", () => {
  if (chosen) tell("end", {});
});

watch();
