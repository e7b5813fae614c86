//! How long a script call takes: `cargo run --release -p interline-scripts --example bench`.
#![expect(clippy::print_stdout, reason = "it is what a bench is for")]

use std::time::{Duration, Instant};

use interline_core::Time;
use interline_core::flow::script::{Answer, Call, Scope};
use interline_scripts::Scripts;
use serde_json::json;

/// Calls of each kind.
const CALLS: u32 = 2_000;

const SMALL: &str = "context.total = 1 + 1";
const USUAL: &str = r#"
    const order = context.orders.find(order => order.id === "o-17");
    setCallFlowVariable("order", order);
    userSessionUtils.put("Caller", context.UserContext._id);
    agentUtils.setQueue(order.total > 100 ? "vip" : "billing");
    agentUtils.setPriority(3);
    agentUtils.setUserInfo({ firstName: "Ann", phoneNumber: "+15550001" });
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scripts = Scripts::new()?;
    let orders: Vec<_> =
        (0..50).map(|n| json!({ "id": format!("o-{n}"), "total": n * 10, "items": ["a", "b"] })).collect();
    let context = json!({ "orders": orders, "UserContext": { "_id": "u-1" } });
    let large =
        json!({ "text": "x".repeat(100_000), "many": vec![7; 20_000], "UserContext": { "_id": "u-1" } });
    for (name, source, context) in
        [("small", SMALL, &json!({})), ("usual", USUAL, &context), ("on 150 kB of context", SMALL, &large)]
    {
        let scope = Scope { context: context.as_object().cloned().unwrap_or_default(), ..Scope::default() };
        let call = Call {
            flow: "bench".into(),
            node: "script".into(),
            source: source.into(),
            scope,
            now: Time(0),
            seed: 1,
        };
        let mut took = Vec::new();
        for _ in 0..CALLS {
            let call = call.clone();
            let began = Instant::now();
            let answer = scripts.run(call).await;
            took.push(began.elapsed());
            if let Answer::Failed(fault) = answer {
                return Err(fault.to_string().into());
            }
        }
        took.sort();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or(Duration::ZERO);
        println!("{name}: median {:?}, p99 {:?}", at(50), at(99));
    }
    let began = Instant::now();
    let loops = Call {
        flow: "bench".into(),
        node: "script".into(),
        source: "for (;;) {}".into(),
        scope: Scope::default(),
        now: Time(0),
        seed: 1,
    };
    scripts.run(loops).await;
    println!("an endless loop: stopped after {:?}", began.elapsed());
    Ok(())
}
