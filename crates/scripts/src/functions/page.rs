//! The page of the documentation, printed from the list.

use std::fmt::Write as _;

use super::all;

/// `docs/flows/scripts.md`.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for function in all() {
        let call = format!("{}({})", function.name, function.parameters);
        let example = function.examples.first().map_or("", |(script, _)| script);
        // Infallible: it writes into a string.
        _ = writeln!(page, "| `{}` | {} | `{}` |", cell(&call), cell(function.does), cell(example));
    }
    page.push_str(TAIL);
    page
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const HEAD: &str = "<!-- Printed from the code (crates/scripts/src/functions), not written by hand. To print it anew:
     INTERLINE_BLESS=1 cargo test -p interline-scripts --test page -->

# Scripts

A script is JavaScript (ES2023, not strict unless it says so), run in QuickJS when a Script Task node, or a Set Queue node
with a script, is reached. What it sets takes effect when it has run to its end; a script that fails has changed nothing,
and the flow goes to the node's error exit. The error names flow, node and line.

## What a script sees

| name | what |
|---|---|
| `context` | flow variables by name, and what the conversation knows. What a script sets here is kept, except under the names of the next lines |
| `context.session.BotUserSession`, `context.session.UserSession` | values of the bot's session and of the person's. Kept. Also `context.BotUserSession`, `context.UserSession`, `BotUserSession`, `UserSession`; each has `get`, `put`, `delete` |
| `context.UserContext`, `context.steps`, `context.childBotsContext` | the person, what was entered at input nodes, contexts of child bots. A change is not kept |
| `content`, `env` | the app's content and environment variables. A change is not kept |
| `Date` | stands still at the moment of the input, in UTC |
| `Math.random()` | begins at the input's seed: the same input gives the same numbers |

There is nothing else to reach: no files, no network, no timers, no modules, no other conversation. The value of a script
is its last expression, or what it returns. What is not JSON (a function, a cycle) is not kept.

## Functions

Optional parameters are skipped with `null`, `{}` or `\"\"`. A call that makes no sense is ignored and noted in the script's
log; it does not stop the script.

| function | what it does | example |
|---|---|---|
";

const TAIL: &str = "
## Limits

| limit | of |
|---|---|
| 64 kB | a script |
| about 50 ms of work | a run, counted in the interpreter's ticks and so the same on every machine. Where one operation takes very long, the clock ends it after 2 s |
| 16 MB | a run's memory, with what it sees |
| 512 kB | a run's stack |
| 64 kB | what a run leaves: value, changed values and what it asked for, as JSON |
| 64 | calls of setters in a run |
| 20 lines of 300 bytes | a run's log |
| 4 kB | one text that is passed to a function; lists have at most 100 items |
| 16 kB | a script's value; a longer one is left out |
";
