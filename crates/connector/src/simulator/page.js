"use strict";
// Words of customers are data: they only ever become text nodes.

const $ = (id) => document.getElementById(id);
const speakers = { customer: "Customer", bot: "Bot", agent: "You", system: "" };

let chosen = null;
let chosenByHand = false;
let version = 0;
let known = [];
let poll = null;
let can = [];
let typed = 0;

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

const states = { waiting: "waiting", talking: "open", over: "ended" };
const isOpen = (chat) => chat.state !== "over";

function showConversations() {
  const items = known.slice().reverse().map((chat) => {
    const item = element("li", chat.state === "over" ? "ended" : chat.state);
    item.dataset.testid = "conversation";
    item.dataset.id = chat.id;
    item.tabIndex = 0;
    item.setAttribute("aria-current", String(chat.id === chosen));
    item.append(
      element("span", "name", chat.title),
      element("span", "state", states[chat.state]),
      element("span", "last", chat.last),
    );
    item.addEventListener("click", () => choose(chat.id, true));
    item.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") choose(chat.id, true);
    });
    return item;
  });
  $("conversations").replaceChildren(...items);

  const current = known.find((chat) => chat.id === chosen);
  $("title").textContent = current ? current.title : "No conversation chosen";
  $("about").textContent = current
    ? [states[current.state], `since ${time(current.since_ms)}`, current.agent ? `with ${current.agent}` : "", current.visitor]
        .filter(Boolean).join(" · ")
    : "";
  $("typing").textContent = current && current.typing ? "The customer is typing…" : "";
  showContext(current);
  showTranscript(current ? current.transcript : null);
  const talking = current && (current.state === "talking" || (isOpen(current) && !can.includes("accept")));
  $("say").disabled = $("send").disabled = !talking;
  $("files").disabled = !talking;
  $("files").hidden = !can.includes("file");
  $("end").disabled = !(current && isOpen(current));
  for (const act of ["accept", "decline"]) $(act).hidden = !(can.includes(act) && current && current.state === "waiting");
  for (const act of ["read", "transfer"]) $(act).hidden = !(can.includes(act) && talking);
}

function showContext(current) {
  const parts = (current ? current.context : []).flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]);
  $("context").replaceChildren(...parts);
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
    if (line.by === "agent" && (line.delivered || line.read)) {
      item.append(element("span", "marks", line.read ? "read" : "delivered"));
    }
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
  if (chosenByHand && known.some((chat) => chat.id === chosen && isOpen(chat))) return;
  const newest = known.filter(isOpen).pop();
  if (newest && !known.some((chat) => chat.id === chosen && isOpen(chat))) {
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

for (const button of document.querySelectorAll("button[data-act]")) {
  button.addEventListener("click", () => {
    if (!chosen) return;
    const act = button.dataset.act;
    if (act === "transfer") {
      const to = prompt("To which agent?", "Robin");
      if (to) tell("transfer", { to });
    } else {
      tell(act, {});
    }
  });
}

// Typing is told at most every three seconds.
$("say").addEventListener("input", () => {
  if (!can.includes("type") || !chosen || Date.now() - typed < 3000) return;
  typed = Date.now();
  tell("type", { on: true });
});

async function begin() {
  const about = await (await fetch("api/about")).json();
  can = about.can;
  $("vendor").textContent = `${about.title} stand-in`;
  document.title = `Agent desk · ${about.title} stand-in`;
  watch();
}

begin();
