//! One call, from beginning to end, on the thread it is called on.
//!
//! Each call has an interpreter of its own, made for it and thrown away: conversations cannot see each other, a limit is
//! reached at the same place whatever ran before, and the same call gives the same answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use interline_core::flow::script::{
    Answer, Call, Done, Effect, Fault, Limit, MOST_ANSWER, MOST_EFFECTS, MOST_LOG, MOST_SOURCE, RESERVED, Why,
};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::function::{Func, Rest};
use rquickjs::{Context, Ctx, Exception, Function as JsFunction, Object, Runtime, Value as Js};
use serde_json::{Map, Value};

use crate::fault::{self, FILE, brief};
use crate::functions::{self, Args, Function, Is};
use crate::kept::{self, Read};

/// Bytes of memory for a script and what it sees.
const MEMORY: usize = 16 * 1024 * 1024;
/// Bytes of stack for its calls.
const STACK: usize = 512 * 1024;
/// The stack of a thread that runs scripts: a script's own, and ours at the end of it.
pub(crate) const THREAD_STACK: usize = 4 * 1024 * 1024;
/// QuickJS asks whether to go on after every 10,000 jumps and calls. So often it may: that is ten million, about 50 ms of
/// work, less for a bare loop and more where each call is a long one.
const TICKS: u32 = 1_000;

/// A value of more bytes of JSON is read when the script looks at it.
const LARGE: usize = 1_024;

/// JavaScript, without what tells time (`performance`), what depends on when memory is freed (`WeakRef`) and what is
/// only there for browsers (`DOMException`).
type Language = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// What a script has reached and asked for so far.
struct Host {
    /// The limit that stopped it.
    reached: Cell<Option<Limit>>,
    language: Option<String>,
    effects: RefCell<Vec<Effect>>,
    log: RefCell<Vec<String>>,
}

/// Runs a call. It does not take longer than its ticks, except inside a single long operation of the interpreter; so it
/// looks at the clock too, and ends at `until`.
pub(crate) fn run(call: &Call, until: Instant) -> Answer {
    if call.source.len() > MOST_SOURCE {
        return Answer::Failed(fault::limit(call, None, Limit::Source));
    }
    let host = Rc::new(Host {
        reached: Cell::new(None),
        language: call.scope.language.clone(),
        effects: RefCell::default(),
        log: RefCell::default(),
    });
    let internal =
        |error: rquickjs::Error| Answer::Failed(fault::fault(call, None, Why::Internal, &error.to_string()));
    let context = match interpreter(&host, until) {
        Ok(context) => context,
        Err(error) => return internal(error),
    };
    let answer = context.with(|ctx| {
        let given = match prepare(&ctx, call, &host) {
            Ok(given) => given,
            Err(error) => return Err(fault::caught(call, fault::pending(&ctx, error), host.reached.get())),
        };
        evaluate(&ctx, call, &host, &given)
    });
    match answer {
        Ok(done) => Answer::Done(done),
        Err(null) if fault::is_null(&null) && is_full(&context) => {
            Answer::Failed(fault::limit(call, None, Limit::Memory))
        }
        Err(fault) => Answer::Failed(fault),
    }
}

fn is_full(context: &Context) -> bool {
    let used = context.runtime().memory_usage().malloc_size;
    usize::try_from(used).is_ok_and(|used| used > MEMORY / 2)
}

fn interpreter(host: &Rc<Host>, until: Instant) -> rquickjs::Result<Context> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let (host, ticks) = (host.clone(), Cell::new(0));
    runtime.set_interrupt_handler(Some(Box::new(move || {
        ticks.set(ticks.get() + 1);
        let reached = match ticks.get() {
            ticks if ticks > TICKS => Some(Limit::Ticks),
            _ if Instant::now() > until => Some(Limit::Time),
            _ => None,
        };
        if reached.is_some() && host.reached.get().is_none() {
            host.reached.set(reached);
        }
        reached.is_some()
    })));
    Context::custom::<Language>(&runtime)
}

/// What a script was given, as far as it is looked at again.
struct Given<'js> {
    context: Object<'js>,
    /// Says of a name in `context` whether its value was not even looked at.
    untouched: JsFunction<'js>,
}

/// Installs what the script sees.
fn prepare<'js>(ctx: &Ctx<'js>, call: &Call, host: &Rc<Host>) -> rquickjs::Result<Given<'js>> {
    let globals = ctx.globals();
    for function in functions::all() {
        let Some(run) = install(ctx, function, host)? else { continue };
        match function.name.split_once('.') {
            None => globals.set(function.name, run)?,
            Some((space, name)) => {
                if !globals.contains_key(space)? {
                    globals.set(space, Object::new(ctx.clone())?)?;
                }
                globals.get::<_, Object<'js>>(space)?.set(name, run)?;
            }
        }
    }
    let scope = Object::new(ctx.clone())?;
    let parts =
        [("context", &call.scope.context), ("content", &call.scope.content), ("env", &call.scope.env)];
    let mut later: Vec<(&str, &str, String)> = Vec::new();
    for (name, values) in parts {
        let text = at_once(name, values, &mut later);
        scope.set(name, ctx.json_parse(text)?)?;
    }
    let later: Vec<Vec<&str>> =
        later.iter().map(|(part, name, text)| vec![*part, *name, text.as_str()]).collect();
    let context = scope.get("context")?;
    let random = Func::from({
        let state = Cell::new(call.seed);
        move || random(&state)
    });
    let note = Func::from({
        let host = host.clone();
        move |line: String| host.note(&line)
    });
    let options = options("prelude");
    let prelude: JsFunction<'js> = ctx.eval_with_options(include_str!("prelude.js"), options)?;
    // A date of JavaScript is a float of milliseconds; those that there are, it holds exactly.
    let untouched = prelude.call((scope, RESERVED.to_vec(), call.now.0 as f64, random, note, later))?;
    Ok(Given { context, untouched })
}

/// The JSON of what a script gets at once. Large values are read when it looks at them, which it mostly does not: until then
/// null has their place.
fn at_once<'c>(
    part: &'static str,
    values: &'c Map<String, Value>,
    later: &mut Vec<(&'static str, &'c str, String)>,
) -> String {
    let mut text = String::from("{");
    for (name, value) in values {
        let mut written = value.to_string();
        // The prelude looks at some of the reserved ones itself.
        if written.len() > LARGE && !RESERVED.contains(&name.as_str()) {
            later.push((part, name.as_str(), std::mem::replace(&mut written, "null".into())));
        }
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}{}:{written}", Value::from(name.as_str())));
    }
    text.push('}');
    text
}

fn options(file: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(file.into());
    options
}

/// One number from 0 to 1, by SplitMix64: the upper 53 bits, all that a float holds.
fn random(state: &Cell<u64>) -> f64 {
    let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A function of the list, as JavaScript sees it; none if the prelude brings it.
fn install<'js>(
    ctx: &Ctx<'js>,
    function: &'static Function,
    host: &Rc<Host>,
) -> rquickjs::Result<Option<JsFunction<'js>>> {
    if matches!(function.is, Is::Prelude) {
        return Ok(None);
    }
    let host = host.clone();
    let run = move |ctx: Ctx<'js>, arguments: Rest<Js<'js>>| -> rquickjs::Result<Option<String>> {
        let mut values = Vec::new();
        for argument in arguments.0 {
            values.push(match kept::read(&ctx, &argument) {
                Read::Json(value) => value,
                Read::Nothing | Read::Never => Value::Null,
            });
            // Reading it may have run the script's own code into a limit.
            host.go_on(&ctx)?;
        }
        match function.is {
            Is::Effect(read) => host.effect(&ctx, function, read, &values).map(|()| None),
            Is::Language => Ok(host.language()),
            Is::Log => {
                let words = values
                    .iter()
                    .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                host.note(&words.collect::<Vec<_>>().join(" "));
                Ok(None)
            }
            Is::Prelude => Ok(None),
        }
    };
    let name = function.name.rsplit('.').next().unwrap_or_default();
    Ok(Some(JsFunction::new(ctx.clone(), run)?.with_name(name)?))
}

impl Host {
    fn note(&self, line: &str) {
        let mut log = self.log.borrow_mut();
        if log.len() < MOST_LOG {
            log.push(brief(line));
        }
    }

    /// An error if the script has reached a limit.
    fn go_on(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        match self.reached.get() {
            Some(_) => Err(Exception::throw_internal(ctx, "limit")),
            None => Ok(()),
        }
    }

    fn effect(
        &self,
        ctx: &Ctx<'_>,
        function: &Function,
        read: fn(&mut Args<'_>) -> Result<Option<Effect>, String>,
        values: &[Value],
    ) -> rquickjs::Result<()> {
        let mut args = Args::new(values);
        let effect = read(&mut args);
        for ignored in &args.ignored {
            self.note(&format!("{}: ignored {ignored}", function.name));
        }
        match effect {
            Ok(Some(effect)) if self.effects.borrow().len() < MOST_EFFECTS => {
                self.effects.borrow_mut().push(effect)
            }
            Ok(Some(_)) => {
                // A script that catches this error does not get away with it.
                self.reached.set(Some(Limit::Answer));
                return self.go_on(ctx);
            }
            Ok(None) => {}
            Err(why) => self.note(&format!("{}: ignored, {why}", function.name)),
        }
        Ok(())
    }

    fn language(&self) -> Option<String> {
        let set = self.effects.borrow().iter().rev().find_map(|effect| match effect {
            Effect::BotLanguage { code } => Some(code.clone()),
            _ => None,
        });
        set.or_else(|| self.language.clone())
    }
}

fn evaluate<'js>(ctx: &Ctx<'js>, call: &Call, host: &Host, given: &Given<'js>) -> Result<Done, Fault> {
    let failed = |error| fault::caught(call, fault::pending(ctx, error), host.reached.get());
    let mut value = script(ctx, &call.source).map_err(failed)?;
    // What was put off with a promise is done now: a script is over when there is nothing left to do.
    while host.reached.get().is_none() && ctx.execute_pending_job() {}
    if let Some(promise) = value.as_promise() {
        value = match promise.result::<Js<'js>>() {
            Some(settled) => settled.map_err(failed)?,
            None => Js::new_undefined(ctx.clone()),
        };
    }
    let mut done = Done::default();
    let (value, note) = kept::value(ctx, &value);
    done.value = value;
    done.log = host.log.take();
    done.log.extend(note);
    let untouched = |name: &str| {
        given.untouched.call((name,)).unwrap_or_else(|_: rquickjs::Error| {
            _ = ctx.catch();
            false
        })
    };
    kept::changes(ctx, &call.scope.context, &given.context, &untouched, &mut done);
    done.log.truncate(MOST_LOG);
    done.effects = host.effects.take();
    if let Some(reached) = host.reached.get() {
        return Err(fault::limit(call, None, reached));
    }
    let size = serde_json::to_string(&done).map_or(usize::MAX, |text| text.len());
    if size > MOST_ANSWER {
        return Err(fault::limit(call, None, Limit::Answer));
    }
    Ok(done)
}

/// A script as it stands; or, if it has a `return` at its top, as the body of a function, on the same lines.
fn script<'js>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<Js<'js>> {
    let first = ctx.eval_with_options(source, options(FILE));
    let Err(error) = first else { return first };
    let thrown = ctx.catch();
    let message = thrown.as_exception().and_then(|exception| exception.message());
    if message.as_deref() != Some("return not in a function") {
        return match error {
            rquickjs::Error::Exception => Err(ctx.throw(thrown)),
            error => Err(error),
        };
    }
    ctx.eval_with_options(format!("(function () {{{source}\n}})()"), options(FILE))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use interline_core::Time;
    use interline_core::flow::script::Scope;

    use super::*;

    #[test]
    fn ticks_are_counted_and_not_measured() {
        let until = Instant::now() + Duration::from_secs(3_600);
        let loops = |times: u32| {
            let source = format!("for (let i = 0; i < {times}; i++) {{}}").into();
            let (flow, node) = ("main".into(), "script".into());
            run(&Call { flow, node, source, scope: Scope::default(), now: Time(0), seed: 0 }, until)
        };
        // Whatever else the machine does: this much passes, and this much does not. (A turn of a loop is a jump or two.)
        let passes = loops(TICKS * 4_000);
        assert!(matches!(passes, Answer::Done(_)), "{passes:?}");
        let Answer::Failed(fault) = loops(TICKS * 10_100) else { panic!("was to be stopped") };
        assert_eq!(fault.why, Why::Limit(Limit::Ticks));
    }
}
