#!/bin/sh
# The whole life of an app by curl: from nothing to a hand-over, and to a customer who is forgotten.
#
#   export INTERLINE=http://127.0.0.1:8080     a running `interline serve`
#   export INTERLINE_KEY=ilk_…                 interline key create --role admin
#   export BOTKIT=http://127.0.0.1:8003        a BotKit; here the stand-in: interline simulate botkit
#   export BOT_ID=st-… CLIENT_ID=cs-… CLIENT_SECRET=…    what stands in its config.json
#   sh docs/operate/tour.sh
#
# Needs curl and jq. A test runs it (tests/tests/tour.rs), so it is true.
set -eu

api=$INTERLINE/v1/apps/$BOT_ID
say() { printf '\n== %s\n' "$*"; }

# call METHOD URL [JSON]: prints the answer; an answer of 400 or above ends the script and is shown.
call() {
  method=$1 url=$2
  shift 2
  curl --silent --show-error --fail-with-body -X "$method" "$url" \
    -H "Authorization: Bearer $INTERLINE_KEY" ${1:+-H "Content-Type: application/json" --data "$1"}
}

# until_true COMMAND…: what happens beside us takes a moment.
until_true() {
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "gave up waiting for: $*" >&2
  exit 1
}

say "An app from nothing: who may sign, a channel, a flow. No agent system yet."
call PUT "$api" "$(jq -n '{
  app: { id: env.BOT_ID, name: "Tour" },
  credentials: { main: { client_id: env.CLIENT_ID, client_secret: env.CLIENT_SECRET, scopes: ["web", "botkit"] } },
  channels: { web: { type: "web", credentials: ["main"], origins: ["https://www.example.com"] } },
  flow: {
    start: "welcome", otherwise: "echo", words: [{ any: ["human"], go_to: "handover" }],
    nodes: {
      welcome: { message: { text: "Hello! Say human when you want one." } },
      echo: { message: { text: "You said: {{text}}" } },
      handover: { agent_transfer: { message: "One moment, please." } }
    }
  }
}')" | jq -c '{version, changed}'

say "An agent system, tested before anybody needs it, and made the default."
call POST "$api/integrations" "$(jq -n '{ name: "desk", kind: "agent_system", type: "botkit", settings: { url: env.BOTKIT } }')" |
  jq -c '{name, type, is_default}'
call POST "$api/integrations/desk/test" | jq -c '{ok, message}'
call POST "$api/integrations/desk/default" >/dev/null
call GET "$api/integrations?kind=agent_system" | jq -c '.items[] | {name, is_default}'

say "A customer says something, and asks for a human."
conversation=$(call POST "$api/conversations" \
  '{"channel":"web","address":"ann@example.com","text":"Where is my parcel?"}' | jq -r .conversation)
call POST "$api/conversations" '{"channel":"web","address":"ann@example.com","text":"a human please"}' >/dev/null
echo "conversation: $conversation"

say "The transfer is live."
talking() { test "$(call GET "$api/conversations/$conversation" | jq -r .transfer.stage)" = talking; }
until_true talking
call GET "$api/transfers" | jq -c '.items[] | {conversation, no: .transfer.no, stage: .transfer.stage, rung: .transfer.rung}'

say "The agent answers (here by the stand-in's page) and the timeline shows it."
chat=$(curl --silent --fail "$BOTKIT/_sim/botkit/api/conversations" | jq -r '.[0].id // .conversations[0].id')
curl --silent --fail -X POST "$BOTKIT/_sim/botkit/api/conversations/$chat/say" \
  -H 'Content-Type: application/json' --data '{"text":"It arrives tomorrow."}' >/dev/null
answered() { call GET "$api/conversations/$conversation/timeline?limit=200" | grep -q "It arrives tomorrow."; }
until_true answered
call POST "$api/conversations/$conversation/messages" '{"text":"Our office moves next week.","name":"Interline team"}' >/dev/null
call GET "$api/conversations/$conversation/timeline?limit=200" |
  jq -r '.items[] | select(.text != null) | "\(.seq)\t\(.text)"'

say "An operator gives the conversation back to the bot, then ends it."
transfer=$(call GET "$api/transfers" | jq -r '.items[0].transfer.no')
call POST "$api/conversations/$conversation/transfers/$transfer/return" >/dev/null
call GET "$api/conversations/$conversation" | jq -c '{owner}'
call POST "$api/conversations/$conversation/end" >/dev/null
call GET "$api/conversations/$conversation" | jq -c '{owner}'

say "The customer is forgotten: nothing that was said is left."
customer=$(call GET "$api/customers?address=ann@example.com" | jq -r '.items[0].id')
call DELETE "$api/customers/$customer" | jq -c .
status=$(curl --silent --output /dev/null --write-out '%{http_code}' "$api/conversations/$conversation" \
  -H "Authorization: Bearer $INTERLINE_KEY")
test "$status" = 404
echo "the conversation: $status"

say "The agent system goes too. It is the default: that needs a choice."
call DELETE "$api/integrations/desk?replacement=none&live=end" | jq -c .
