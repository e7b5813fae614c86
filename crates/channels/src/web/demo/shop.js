// What a shop does to have the chat on its page: say who the user is, and name the widget's script.
'use strict';

/** Who this is: `?user=ann`, else a guest whom this browser remembers. */
const user = (() => {
  const named = new URLSearchParams(location.search).get('user');
  if (named) return named;
  const known = localStorage.getItem('interline-user') ?? `guest-${(crypto.randomUUID?.() ?? String(Date.now())).slice(-6)}`;
  localStorage.setItem('interline-user', known);
  return known;
})();
document.getElementById('user').textContent = user;

/** The shop's login service: a real one knows who the user is, and does not have to be told. */
async function login() {
  const response = await fetch('/demo/jwt', { method: 'POST', body: new URLSearchParams({ identity: user }) });
  if (!response.ok) throw new Error(`the login service answered ${response.status}`);
  return response.json();
}

window.interline = { token: async () => (await login()).jwt };

// In the demo's frame, and with `?open`, the chat is what people came for.
document.addEventListener('interline:ready', () => {
  if (new URLSearchParams(location.search).has('open') || window.top !== window) window.Interline.open(false);
});
document.getElementById('ask').addEventListener('click', () => window.Interline?.open());

login().then(({ botInfo }) => {
  const script = document.createElement('script');
  script.src = '/widget.js';
  script.dataset.app = botInfo._id;
  script.async = true;
  document.head.append(script);
});

// The demo's server has a choice of agent systems; the next hand-over goes to the one that is chosen.
async function offerDesks() {
  const response = await fetch('/demo/desks');
  if (!response.ok) return;
  const { desks, chosen } = await response.json();
  const [select, page] = ['desk', 'page'].map((id) => document.getElementById(id));
  select.replaceChildren(...desks.map(({ name, title }) => new Option(title, name, false, name === chosen)));
  // Beside the shop, in the demo's other frame, are the agents.
  const show = (desk) => {
    page.href = desk.page;
    if (window.parent !== window) window.open(desk.page, 'agent');
  };
  const current = desks.find(({ name }) => name === chosen) ?? desks[0];
  page.href = current.page;
  if (current !== desks[0]) show(current);
  select.addEventListener('change', async () => {
    const answer = await fetch('/demo/desks', { method: 'POST', body: new URLSearchParams({ name: select.value }) });
    if (answer.ok) show(await answer.json());
    else location.reload();
  });
  document.getElementById('choice').hidden = false;
}
offerDesks();
