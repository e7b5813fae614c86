//! Flows: how many nodes a second the interpreter walks, what a step costs with and without a script, and what a large
//! published flow adds to each message.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::flow::script::Answer;
use interline_core::flow::{Flow, Flows, MAIN, NeedScript};
use interline_core::{App, Input, State, Step, Time, try_step};
use interline_scripts::Scripts;
use serde_json::{Value, json};

use crate::table::met;

/// So often a step is measured.
const STEPS: usize = 20_000;
/// So often a step with a script.
const SCRIPTS: usize = 2_000;
/// So many conversations run scripts at once.
const AT_ONCE: usize = 8;

/// What a script of the field does: looks at the context, sets a few things.
const SCRIPT: &str = "var total = 0; for (var i = 0; i < 200; i++) { total += i * context.factor; } \
    setCallFlowVariable('total', total); agentUtils.setQueue('billing'); agentUtils.setPriority(3); \
    userSessionUtils.put('seen', true);";

struct Times(Vec<Duration>);

impl Times {
    fn at(&mut self, share: f64) -> Duration {
        self.0.sort_unstable();
        #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
        let place = (self.0.len() as f64 * share) as usize;
        self.0.get(place.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn app(flow: Value) -> Result<App> {
    let flow: Flow = serde_json::from_value(flow)?;
    Ok(App { id: "st-bench".into(), flows: Flows::of(flow), ..App::default() })
}

fn begun(app: &App) -> Result<State> {
    let customer = Customer {
        id: "cus_1".into(),
        channel: "web".into(),
        address: "ann".into(),
        profile: Default::default(),
        connection: Default::default(),
    };
    let state = State::new(app.id.clone(), "cnv_1".into(), customer);
    Ok(plain(app, &state, &Input::Connected)?.state)
}

fn plain(app: &App, state: &State, input: &Input) -> Result<Step> {
    try_step(app, state, input, &[], Time(0), 7).map_err(|needs| anyhow!("{needs}"))
}

fn said(text: &str) -> Input {
    Input::CustomerSaid(Text::plain(text))
}

/// A flow that listens and answers, beside `more` other nodes.
fn listening(more: usize) -> Value {
    let mut nodes = BTreeMap::from([
        ("hello".to_owned(), json!({ "message": { "text": "Hello" } })),
        ("echo".to_owned(), json!({ "message": { "text": "You said {{text}}" } })),
        ("human".to_owned(), json!({ "agent_transfer": {} })),
    ]);
    for at in 0..more {
        nodes.insert(format!("n{at:05}"), json!({ "message": { "text": "never said", "next": "hello" } }));
    }
    json!({ "start": "hello", "words": [{ "any": ["agent"], "go_to": "human" }], "otherwise": "echo", "nodes": nodes })
}

/// A row of splits: nothing but walking.
fn walk(nodes: usize) -> Value {
    let mut all = BTreeMap::from([("end".to_owned(), json!({ "message": { "text": "there" } }))]);
    for at in 0..nodes {
        let next = if at + 1 == nodes { "end".to_owned() } else { format!("n{}", at + 1) };
        let test = json!({ "when": { "variable": "context.tier", "is": "equals", "value": "gold" } });
        let branch = json!({ "if": test, "go_to": "end" });
        all.insert(format!("n{at}"), json!({ "split": { "branches": [branch], "otherwise": next } }));
    }
    json!({ "start": "end", "otherwise": "n0", "nodes": all })
}

fn steps(app: &App, input: &Input, times: usize) -> Result<Times> {
    let state = begun(app)?;
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begin = Instant::now();
        std::hint::black_box(plain(app, &state, input)?);
        took.push(begin.elapsed());
    }
    Ok(Times(took))
}

fn scripted() -> Value {
    json!({ "start": "hello", "otherwise": "script", "nodes": {
        "hello": { "message": { "text": "Hello" } },
        "script": { "script": { "source": SCRIPT, "next": "said" } },
        "said": { "message": { "text": "{{context.total}}" } } } })
}

/// One step with a script, from the input to the entries.
async fn with_script(scripts: &Scripts, app: &App, state: &State, input: &Input) -> Result<Duration> {
    let begin = Instant::now();
    let mut answers: Vec<Answer> = Vec::new();
    loop {
        match try_step(app, state, input, &answers, Time(0), 7) {
            Ok(step) => {
                anyhow::ensure!(
                    step.state.bot.variables.contains_key("total"),
                    "the script failed: {:?}",
                    step.entries
                );
                return Ok(begin.elapsed());
            }
            Err(NeedScript(call)) => answers.push(scripts.run(*call).await),
        }
    }
}

/// All figures.
///
/// # Errors
/// A flow does not do what it is there for.
pub async fn measure() -> Result<String> {
    let mut text = String::from("Flows\n\n| what | median | p99 | aim | |\n|---|--:|--:|---|---|\n");
    let nodes = 999;
    let mut walked = steps(&app(walk(nodes))?, &said("go"), 2_000)?;
    let median = walked.at(0.5);
    let row = |text: &mut String, what: &str, times: &mut Times, aim: Option<Duration>| {
        let (p50, p99) = (times.at(0.5), times.at(0.99));
        let (aim, is) = match aim {
            Some(aim) => (format!("median < {:.0} µs", us(aim)), met(p50 < aim)),
            None => (String::new(), ""),
        };
        let _ = writeln!(text, "| {what} | {:.1} µs | {:.1} µs | {aim} | {is} |", us(p50), us(p99));
    };
    row(&mut text, &format!("{nodes} nodes with a condition each"), &mut walked, None);
    let mut small = steps(&app(listening(0))?, &said("hello there"), STEPS)?;
    row(&mut text, "a step without a script", &mut small, Some(Duration::from_micros(50)));
    let mut large = steps(&app(listening(1_000))?, &said("hello there"), STEPS)?;
    row(&mut text, "the same, of a flow of 1,000 nodes", &mut large, Some(Duration::from_micros(50)));
    let relayed = relayed(0)?.at(0.5);
    let mut beside = self::relayed(1_000)?;
    row(&mut text, "a relayed line beside a flow of 1,000 nodes", &mut beside, None);
    let scripts = Arc::new(Scripts::new().context("script threads")?);
    let app = Arc::new(app(scripted())?);
    let state = Arc::new(factor(begun(&app)?));
    let input = said("count");
    let mut alone = Vec::with_capacity(SCRIPTS);
    for _ in 0..SCRIPTS {
        alone.push(with_script(&scripts, &app, &state, &input).await?);
    }
    row(&mut text, "a step with a script", &mut Times(alone), Some(Duration::from_millis(2)));
    let mut running = Vec::new();
    for _ in 0..AT_ONCE {
        let (scripts, app, state, input) = (scripts.clone(), app.clone(), state.clone(), input.clone());
        running.push(tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..SCRIPTS / AT_ONCE {
                took.push(with_script(&scripts, &app, &state, &input).await?);
            }
            Ok::<_, anyhow::Error>(took)
        }));
    }
    let mut together = Vec::new();
    for run in running {
        together.extend(run.await??);
    }
    row(&mut text, &format!("the same in {AT_ONCE} conversations at once"), &mut Times(together), None);
    #[allow(clippy::cast_precision_loss)]
    let per_second = nodes as f64 / median.as_secs_f64();
    let _ = writeln!(text, "\n{per_second:.0} nodes/s in one thread.");
    let added = us(large.at(0.5)) - us(small.at(0.5));
    let _ = writeln!(
        text,
        "A flow of 1,000 nodes adds {added:.1} µs to a line for the bot, and {:.1} µs to a relayed line (medians).",
        us(beside.at(0.5)) - us(relayed)
    );
    Ok(text)
}

/// A line to an agent, with a flow beside it that has nothing to do with it.
fn relayed(more: usize) -> Result<Times> {
    let mut app = app(listening(more))?;
    let desk = interline_core::app::AgentSystem::default();
    app.agents.insert("desk".into(), desk);
    app.default_agent = Some("desk".into());
    anyhow::ensure!(app.flows.get(&MAIN.into()).is_some(), "there is a flow");
    let state = plain(&app, &begun(&app)?, &said("agent"))?.state;
    anyhow::ensure!(state.transfer.is_some(), "it is handed over");
    let mut took = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let begin = Instant::now();
        std::hint::black_box(plain(&app, &state, &said("are you there?"))?);
        took.push(begin.elapsed());
    }
    Ok(Times(took))
}

fn factor(mut state: State) -> State {
    state.bot.variables.insert("factor".into(), json!(3));
    state
}
