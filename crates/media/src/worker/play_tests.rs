use super::*;

fn sound(value: i16, length: usize) -> Piece {
    Piece::Sound(Arc::new(Sound { rate: 8000, samples: vec![value; length] }))
}

fn group(id: u64, how: Play, pieces: Vec<Piece>) -> (Group, oneshot::Receiver<Played>) {
    let (done, played) = oneshot::channel();
    (Group { id, how, pieces: Some(pieces), done: Some(done), maker: None }, played)
}

fn frame(player: &mut Player) -> (Frame, i16, i16) {
    let mut room = [7; 160];
    let frame = player.next(&mut room, 8000);
    (frame, room[0], room[159])
}

#[test]
fn pieces_follow_each_other_without_a_gap() {
    let mut player = Player::default();
    let (first, mut whole) = group(1, Play::default(), vec![sound(1, 200), sound(2, 200)]);
    player.push(first);
    assert_eq!(frame(&mut player), (Frame::Sound, 1, 1));
    assert_eq!(frame(&mut player), (Frame::Sound, 1, 2));
    assert_eq!(frame(&mut player), (Frame::Sound, 2, 0), "filled up with silence");
    assert!(whole.try_recv().is_err(), "it is not heard yet");
    assert_eq!(frame(&mut player).0, Frame::Idle);
    assert_eq!(whole.try_recv(), Ok(Played::Whole));
}

#[test]
fn loops_go_on_until_they_are_aborted() {
    let mut player = Player::default();
    let (music, mut played) = group(1, Play { loops: true, ..Play::default() }, vec![sound(1, 100)]);
    player.push(music);
    assert!((0..50).all(|_| frame(&mut player) == (Frame::Sound, 1, 1)));
    let (next, _next) = group(2, Play { flush: true, ..Play::default() }, vec![sound(2, 160)]);
    player.push(next);
    assert_eq!(played.try_recv(), Ok(Played::Aborted));
    assert_eq!(frame(&mut player), (Frame::Sound, 2, 2));
}

#[test]
fn a_loop_over_nothing_ends() {
    let mut player = Player::default();
    let (empty, mut played) = group(1, Play { loops: true, ..Play::default() }, vec![sound(1, 0)]);
    player.push(empty);
    assert_eq!(frame(&mut player).0, Frame::Idle);
    assert_eq!(played.try_recv(), Ok(Played::Whole));
}

#[test]
fn a_key_ends_what_gives_way_to_it() {
    let mut player = Player::default();
    let (gives, mut given) = group(1, Play { barge_in: true, ..Play::default() }, vec![sound(1, 1600)]);
    let (stays, mut stayed) = group(2, Play::default(), vec![sound(2, 160)]);
    player.push(gives);
    player.push(stays);
    frame(&mut player);
    player.barge_in();
    assert_eq!(given.try_recv(), Ok(Played::Aborted));
    assert_eq!(frame(&mut player), (Frame::Sound, 2, 2));
    frame(&mut player);
    assert_eq!(stayed.try_recv(), Ok(Played::Whole));
}

#[test]
fn what_is_being_made_is_waited_for() {
    let mut player = Player::default();
    let (mut late, _late) = group(1, Play::default(), Vec::new());
    late.pieces = None;
    let (mut never, mut failed) = group(2, Play::default(), Vec::new());
    never.pieces = None;
    player.push(late);
    player.push(never);
    assert_eq!(frame(&mut player).0, Frame::Idle);
    assert!(!player.plays());
    player.made(2, Err("no voice".to_owned()));
    assert_eq!(failed.try_recv(), Ok(Played::Failed("no voice".to_owned())));
    player.made(1, Ok(vec![sound(3, 160)]));
    assert!(player.plays());
    assert_eq!(frame(&mut player), (Frame::Sound, 3, 3));
}

#[test]
fn a_key_press_is_sent_as_the_standard_says() {
    let mut player = Player::default();
    let (keys, _played) = group(1, Play::default(), vec![Piece::Key(5, 100), Piece::Key(5, 40)]);
    player.push(keys);
    let mut all = Vec::new();
    loop {
        match frame(&mut player).0 {
            Frame::Key { first, event } => all.push((first, event.end, event.duration)),
            Frame::Nothing => all.push((false, false, 0)),
            Frame::Idle => break,
            Frame::Sound => unreachable!("no sound was queued"),
        }
    }
    let press: Vec<_> = vec![
        (true, false, 160),
        (false, false, 320),
        (false, false, 480),
        (false, false, 640),
        (false, true, 800),
    ];
    assert_eq!(all[..5], press);
    assert_eq!(all[5..8], [(false, false, 0); 3], "up for 60 ms");
    assert_eq!(all[8..10], [(true, false, 160), (false, true, 320)]);
}

#[test]
fn another_rate_is_bent() {
    let mut player = Player::default();
    let (wide, _played) = group(
        1,
        Play::default(),
        vec![Piece::Sound(Arc::new(Sound { rate: 16_000, samples: vec![1000; 3200] }))],
    );
    player.push(wide);
    let frames = (0..).take_while(|_| frame(&mut player).0 == Frame::Sound).count();
    assert_eq!(frames, 10, "200 ms stay 200 ms");
}
