//! Order for each participant, whatever fails: nothing is lost, nothing is doubled.

use interline_connector::Failure;

use crate::fake::{Act, Fake, cause};
use crate::world::{each, until};

const LINES: usize = 200;

/// A fixed sequence that looks random.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695))
    })
    .map(|x| x >> 33)
}

#[test]
fn two_hundred_lines_arrive_once_and_in_order() {
    each("order", async |world| {
        let desk = Fake::by_key();
        let node = world.faster(50).agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        // Three failures in a row at most: a minute of them would be a stall.
        desk.script(noise(7).take(320).enumerate().map(|(at, number)| match number % 10 {
            _ if at % 4 == 3 => Act::Take,
            0 | 1 => Act::Fail(Failure::Retry { after_ms: None, cause: cause() }),
            2 => Act::TakeAndFail(Failure::Uncertain(cause())),
            3 => Act::Fail(Failure::Unauthorized(cause())),
            _ => Act::Take,
        }));
        let expected: Vec<String> = (0..LINES).map(|at| format!("line {at}")).collect();
        for line in &expected {
            node.say(&anna, line).await;
        }
        desk.until_got(expected.last().unwrap()).await;
        assert_eq!(desk.got()[1..], expected[..]);
        // Tries never go back: the one that failed is the one that is tried next.
        let mut keys: Vec<u64> =
            desk.tries().iter().map(|tried| tried.key.rsplit('#').next().unwrap().parse().unwrap()).collect();
        assert!(keys.is_sorted());
        keys.dedup();
        assert_eq!(keys.len(), LINES + 1);
        until("the cursor stands at the head", async || {
            let row = node.row(&anna, 1).await;
            (row.cursor == row.head && row.due_at.is_none()).then_some(())
        })
        .await;
        node.engine.stop().await;
    });
}
