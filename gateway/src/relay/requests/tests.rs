use super::*;

const LIMIT: Duration = Duration::from_secs(5);
const ADA: Id = [1; 16];
const BOB: Id = [2; 16];

fn requests() -> (Requests, Instant) {
    let mut requests = Requests::new(LIMIT);
    let now = Instant::now();
    requests.attach([], now);
    (requests, now)
}

fn open(requests: &mut Requests, id: Id, is_plain: bool) {
    let plain = proto::open_session::Credentials::Plain(proto::PlainSession {});
    let open = proto::OpenSession {
        session: id_bytes(&id),
        credentials: is_plain.then_some(plain),
        ..Default::default()
    };
    requests.open(id, open);
}

fn post(requests: &mut Requests, id: Id, room: &str, content: &str, now: Instant) -> u64 {
    let post = proto::SessionPost {
        room: room.into(),
        content: content.into(),
        key: format!("key of {content}"),
        ..Default::default()
    };
    requests.post(post, id, now).unwrap()
}

fn join(requests: &mut Requests, id: Id, room: &str, now: Instant) -> u64 {
    requests.join(proto::SessionJoin { room: room.into(), ..Default::default() }, id, false, now).unwrap()
}

/// What goes over the link now, in short.
fn said(requests: &mut Requests) -> Vec<String> {
    std::iter::from_fn(|| requests.next_frame())
        .map(|frame| match frame {
            Frame::Open(open) => format!("open{}{}", open.session[0], if open.again { " again" } else { "" }),
            Frame::Message(post) => format!("{} to {} with {}", post.content, post.room, post.key),
            Frame::Join(join) => format!("join {}", join.room),
            Frame::Leave(leave) => format!("leave {}", leave.room),
            Frame::Close(close) => format!("close{}", close.session[0]),
            other => format!("{other:?}"),
        })
        .collect()
}

fn rate_limited() -> Refusal {
    Refusal::new("RATE_LIMITED", "slower").after(7)
}

#[test]
fn p5_one_append_of_a_session_and_room_is_on_the_link_at_a_time() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    open(&mut requests, BOB, false);
    let first = post(&mut requests, ADA, "general", "a", now);
    post(&mut requests, ADA, "general", "b", now);
    post(&mut requests, ADA, "random", "c", now);
    post(&mut requests, BOB, "general", "d", now);
    let expected = [
        "open1",
        "open2",
        "a to general with key of a",
        "c to random with key of c",
        "d to general with key of d",
    ];
    assert_eq!(said(&mut requests), expected);
    assert!(requests.acked(ADA, first, now));
    assert_eq!(said(&mut requests), ["b to general with key of b"]);
}

#[test]
fn p5_a_refusal_for_now_refuses_those_behind_with_the_same_code() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    let numbers = ["a", "b", "c"].map(|content| post(&mut requests, ADA, "general", content, now));
    let other = post(&mut requests, ADA, "random", "d", now);
    said(&mut requests);
    let refused = requests.refuse(ADA, numbers[0], rate_limited(), now);
    assert_eq!(refused.iter().map(|refused| refused.number).collect::<Vec<_>>(), numbers);
    assert!(refused.iter().all(|refused| refused.refusal == rate_limited()));
    assert!(said(&mut requests).is_empty());
    post(&mut requests, ADA, "general", "e", now);
    assert_eq!(said(&mut requests), ["e to general with key of e"]);
    assert!(requests.acked(ADA, other, now));
}

#[test]
fn p5_a_refusal_for_good_lets_those_behind_go_on() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    let first = post(&mut requests, ADA, "general", "a", now);
    post(&mut requests, ADA, "general", "b", now);
    said(&mut requests);
    let refused = requests.refuse(ADA, first, Refusal::new("INVALID_CONTENT", "blank"), now);
    assert_eq!(refused.len(), 1);
    assert_eq!(said(&mut requests), ["b to general with key of b"]);
}

#[test]
fn p8_a_session_has_a_bound_of_requests_that_wait() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    for n in 0..WAITING_PER_SESSION {
        post(&mut requests, ADA, "general", &n.to_string(), now);
    }
    let post = proto::SessionPost { room: "random".into(), ..Default::default() };
    assert_eq!(requests.post(post, ADA, now).unwrap_err().0.code, "UNAVAILABLE");
    let join = proto::SessionJoin { room: "general".into(), ..Default::default() };
    assert!(requests.join(join.clone(), ADA, false, now).is_err());
    assert!(
        requests.join(join, ADA, true, now).is_ok(),
        "the rooms a session came with have a bound of their own"
    );
}

#[test]
fn p5_what_waits_too_long_is_refused() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    let join = join(&mut requests, ADA, "general", now);
    let first = post(&mut requests, ADA, "general", "a", now);
    let second = post(&mut requests, ADA, "general", "b", now + Duration::from_secs(1));
    said(&mut requests);
    assert_eq!(requests.deadline(), Some(now + LIMIT));
    assert!(requests.expire(now + LIMIT / 2).is_empty());
    let refused = requests.expire(now + LIMIT);
    let numbers: Vec<_> = refused.iter().map(|refused| refused.number).collect();
    assert_eq!(numbers, [join, first, second]);
    assert!(said(&mut requests).is_empty());
    assert!(!requests.joined(ADA, join), "a late answer is void");
    assert!(!requests.acked(ADA, first, now));
    assert_eq!(requests.deadline(), None);
}

#[test]
fn p5_what_has_no_answer_is_asked_again_on_the_next_link_in_order() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    let join = join(&mut requests, ADA, "general", now);
    let first = post(&mut requests, ADA, "general", "a", now);
    post(&mut requests, ADA, "general", "b", now);
    said(&mut requests);
    requests.say(Frame::Leave(proto::SessionLeave { room: "random".into(), ..Default::default() }));
    requests.broke();
    assert!(said(&mut requests).is_empty());
    open(&mut requests, BOB, false);
    post(&mut requests, BOB, "general", "c", now);
    requests.attach([], now);
    let expected =
        ["open1 again", "open2", "join general", "a to general with key of a", "c to general with key of c"];
    assert_eq!(said(&mut requests), expected);
    assert!(requests.joined(ADA, join));
    assert!(requests.acked(ADA, first, now));
    assert_eq!(said(&mut requests), ["b to general with key of b"]);
}

#[test]
fn p5_a_plain_sessions_sends_outlive_link_and_socket() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, true);
    let first = post(&mut requests, ADA, "general", "a", now);
    post(&mut requests, ADA, "general", "b", now);
    join(&mut requests, ADA, "general", now);
    said(&mut requests);
    requests.broke();
    requests.close(ADA, proto::CloseSession::default(), None, now);
    assert!(requests.expire(now + LIMIT).is_empty(), "they wait for the next relay");
    requests.attach([], now);
    assert_eq!(said(&mut requests), ["open1 again", "a to general with key of a"]);
    assert!(!requests.acked(ADA, first, now), "nobody is told");
    assert_eq!(said(&mut requests), ["b to general with key of b"]);
    requests.acked(ADA, first + 1, now);
    assert_eq!(said(&mut requests), ["close1"]);
    assert_eq!((requests.sessions(), requests.orphans), (0, 0));
}

#[test]
fn p8_what_outlives_its_socket_is_given_up_in_the_end() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, true);
    post(&mut requests, ADA, "general", "a", now);
    said(&mut requests);
    requests.broke();
    requests.close(ADA, proto::CloseSession::default(), None, now);
    assert!(requests.expire(now + ORPHAN_LIMIT).is_empty(), "nobody is told");
    assert_eq!((requests.sessions(), requests.orphans), (0, 0));
}

#[test]
fn what_no_stream_has_heard_of_waits_for_the_next() {
    let (mut requests, now) = (Requests::new(LIMIT), Instant::now());
    open(&mut requests, ADA, false);
    join(&mut requests, ADA, "general", now);
    post(&mut requests, ADA, "general", "a", now);
    post(&mut requests, ADA, "general", "b", now);
    requests.broke();
    assert!(said(&mut requests).is_empty());
    let follow = proto::Follow { room: "general".into(), ..Default::default() };
    requests.attach([follow], now);
    let said = said(&mut requests);
    assert_eq!((said.len(), said[0].as_str(), said[2].as_str()), (4, "open1", "join general"));
    assert!(said[1].starts_with("Follow") && said[3].starts_with("a to"));
}

#[test]
fn a_full_session_that_closes_takes_its_requests_along() {
    let (mut requests, now) = requests();
    open(&mut requests, ADA, false);
    post(&mut requests, ADA, "general", "a", now);
    said(&mut requests);
    requests.close(ADA, proto::CloseSession::default(), None, now);
    assert_eq!(said(&mut requests), ["close1"]);
    assert_eq!((requests.sessions(), requests.deadline()), (0, None));
}

#[test]
fn p7_who_closed_within_the_grace_is_opened_on_the_next_link_before_any_roster_and_closed_after_it() {
    let (mut requests, now) = requests();
    let until = Some(now + Duration::from_secs(2));
    for id in [ADA, BOB] {
        open(&mut requests, id, false);
        said(&mut requests);
        requests.close(id, proto::CloseSession::default(), until.filter(|_| id == ADA), now);
    }
    assert_eq!(said(&mut requests), ["close2"]);
    for (later, is_in_grace) in [(1_999, true), (2_000, false)] {
        requests.broke();
        let follow = proto::Follow { room: "general".into(), ..Default::default() };
        requests.attach([follow], now + Duration::from_millis(later));
        let said = said(&mut requests);
        let (before, after) = if is_in_grace { (1, 1) } else { (0, 0) };
        assert!(said[before].starts_with("Follow"), "{said:?}");
        assert_eq!(said[..before], vec!["open1 again"; before]);
        assert_eq!(
            said[before + 1..],
            vec!["close1"; after],
            "and Bob, who was present nowhere, is not named"
        );
    }
}
