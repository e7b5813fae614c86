//! Where and why a script went wrong.

use interline_core::flow::script::{Call, Fault, LONGEST_LINE, Limit, Why};
use rquickjs::{CaughtError, Ctx, Value};

/// The name that a script has in its own stack traces.
pub(crate) const FILE: &str = "script";

/// The beginning of a text that fits a line of the log.
pub(crate) fn brief(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_LINE)].to_owned()
}

pub(crate) fn fault(call: &Call, line: Option<u32>, why: Why, message: &str) -> Fault {
    Fault { flow: call.flow.clone(), node: call.node.clone(), line, why, message: brief(message) }
}

pub(crate) fn limit(call: &Call, line: Option<u32>, limit: Limit) -> Fault {
    let message = match limit {
        Limit::Source => "the script is longer than 64 kB",
        Limit::Ticks => "the script works for too long",
        Limit::Time => "the script was stopped by the clock",
        Limit::Memory => "the script takes more than 16 MB",
        Limit::Stack => "the script's calls go too deep",
        Limit::Answer => "the script leaves or asks for too much",
    };
    fault(call, line, Why::Limit(limit), message)
}

/// What QuickJS says, in our words. `reached`: the limit that stopped it, where we know it.
pub(crate) fn caught(call: &Call, error: CaughtError<'_>, reached: Option<Limit>) -> Fault {
    match error {
        CaughtError::Exception(exception) => {
            let object = exception.as_object();
            let field = |name: &str| object.get::<_, String>(name).unwrap_or_default();
            let (name, message) = (field("name"), field("message"));
            let line = line(&field("stack"));
            if let Some(reached) = reached.or_else(|| reached_by(&name, &message)) {
                // Between two calls QuickJS does not keep track of the line, and a wrong one is worse than none.
                return limit(call, line.filter(|_| reached == Limit::Stack), reached);
            }
            let why = if name == "SyntaxError" && is_the_scripts(&field("stack")) {
                Why::Syntax
            } else {
                Why::Threw
            };
            let named = if name.is_empty() { message } else { format!("{name}: {message}") };
            fault(call, line, why, &named)
        }
        CaughtError::Value(value) => match reached {
            Some(reached) => limit(call, None, reached),
            None => fault(call, None, Why::Threw, &format!("threw {}", shown(&value))),
        },
        CaughtError::Error(error) => match reached {
            Some(reached) => limit(call, None, reached),
            None => fault(call, None, Why::Internal, &error.to_string()),
        },
    }
}

/// QuickJS's own words for what it runs out of.
fn reached_by(name: &str, message: &str) -> Option<Limit> {
    match (name, message) {
        ("InternalError", "out of memory") => Some(Limit::Memory),
        ("RangeError" | "InternalError", message) if message.contains("call stack size exceeded") => {
            Some(Limit::Stack)
        }
        ("InternalError", "stack overflow") => Some(Limit::Stack),
        _ => None,
    }
}

/// A syntax error of the script itself has no frame but the place in the file; one of `JSON.parse`, `eval` or `RegExp`
/// has the script's frames.
fn is_the_scripts(stack: &str) -> bool {
    stack
        .lines()
        .next()
        .is_some_and(|first| first.trim().strip_prefix("at ").unwrap_or(first).starts_with(FILE))
}

/// The line of the first frame that is the script's: `at f (script:3:7)`.
fn line(stack: &str) -> Option<u32> {
    let frame =
        stack.lines().find_map(|frame| frame.split_once(concat!("script", ":")).map(|(_, place)| place))?;
    let digits: String = frame.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// As a thrown null is shown.
const NULL: &str = "null";

/// Whether null was thrown: what QuickJS does too, when no memory is left for an error.
pub(crate) fn is_null(fault: &Fault) -> bool {
    fault.why == Why::Threw && fault.message == format!("threw {NULL}")
}

/// A thrown value that is no error.
fn shown(value: &Value<'_>) -> String {
    if value.is_null() {
        return NULL.into();
    }
    let text = value.as_string().and_then(|text| text.to_string().ok());
    text.or_else(|| value.as_number().map(|number| number.to_string())).unwrap_or_else(|| "something".into())
}

/// The exception that is pending in a context.
pub(crate) fn pending<'js>(ctx: &Ctx<'js>, error: rquickjs::Error) -> CaughtError<'js> {
    CaughtError::from_error(ctx, error)
}
