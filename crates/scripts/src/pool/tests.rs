use interline_core::Time;
use interline_core::flow::script::Scope;

use super::*;

/// One operation that works for hours and never looks up.
const STUCK: &str = "'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')";

fn call(source: &str) -> Call {
    Call {
        flow: "main".into(),
        node: "script".into(),
        source: source.into(),
        scope: Scope::default(),
        now: Time(0),
        seed: 0,
    }
}

fn why(answer: &Answer) -> Option<Why> {
    match answer {
        Answer::Done(_) => None,
        Answer::Failed(fault) => Some(fault.why),
    }
}

#[tokio::test]
async fn a_script_that_does_not_come_back_is_answered_for_and_keeps_nobody_waiting() {
    let patience = Patience { give_up: Duration::from_millis(100), ..PATIENCE };
    let scripts = Scripts::with(1, patience).expect("threads");
    let (stuck, next) = tokio::join!(scripts.run(call(STUCK)), scripts.run(call("1")));
    assert_eq!(why(&stuck), Some(Why::Limit(Limit::Time)));
    assert_eq!(why(&next), None);
    assert_eq!(scripts.shared.lock().lost.len(), 1);
    // The same script does not get the next thread.
    assert_eq!(why(&scripts.run(call(STUCK)).await), Some(Why::Limit(Limit::Time)));
    assert_eq!(scripts.shared.lock().lost.len(), 1);
}

#[tokio::test]
async fn when_every_thread_is_lost_a_call_is_answered_all_the_same() {
    let patience =
        Patience { give_up: Duration::from_millis(1), wait: Duration::from_millis(50), ..PATIENCE };
    let scripts = Scripts::with(1, patience).expect("threads");
    scripts.shared.lock().lost = vec!["another".into(); MOST_LOST];
    assert_eq!(why(&scripts.run(call(STUCK)).await), Some(Why::Limit(Limit::Time)));
    assert_eq!(why(&scripts.run(call("1")).await), Some(Why::Busy));
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let patience = Patience { give_up: Duration::from_secs(600), wait: Duration::from_secs(600), ..PATIENCE };
    let scripts = Scripts::with(1, patience).expect("threads");
    let stuck = scripts.run(call(STUCK));
    tokio::pin!(stuck);
    // The thread takes the first call; then nobody takes the others.
    while scripts.shared.lock().running.is_empty() {
        assert!(not_ready(&mut stuck).await);
    }
    for _ in 0..MOST_WAITING {
        let (answer, _) = oneshot::channel();
        scripts.shared.lock().waiting.push_back(Job {
            call: Arc::new(call("1")),
            answer,
            since: Instant::now(),
        });
    }
    assert_eq!(why(&scripts.run(call("1")).await), Some(Why::Busy));
}

/// Whether a future is still not ready, after it was asked and others had their turn.
async fn not_ready(future: &mut (impl Future<Output = Answer> + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = tokio::task::yield_now() => true,
    }
}

#[tokio::test]
async fn calls_of_many_conversations_are_all_answered_each_with_its_own() {
    let scripts = Scripts::new().expect("threads");
    let scripts = Arc::new(scripts);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let scripts = scripts.clone();
            tokio::spawn(async move { (n, scripts.run(call(&format!("{n} * 2"))).await) })
        })
        .collect();
    for task in tasks {
        let (n, answer) = task.await.expect("no panic");
        let Answer::Done(done) = answer else { panic!("{answer:?}") };
        assert_eq!(done.value, n * 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_clock_is_no_matter() {
    let scripts = Scripts::new().expect("threads");
    assert_eq!(why(&scripts.run(call("1 + 1")).await), None);
}
