//! Who comes and goes, told to a full room (P7, P9).

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use parlour_proto::v1::{self as proto, chat_request::Frame as ChatUp, chat_response::Frame as ChatDown};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{Browser, House, within};

/// What a session may be told of presence in a second, and at once.
const BUDGET: usize = 4_096;
const AT_ONCE: usize = 5_120;
/// A busy machine's readers read late: what was sent in so many seconds more may be read within a window.
const LATE_SECONDS: usize = 2;
/// The room holds a thousand when all who move are there: so many stay, and a few that speak plainly or over gRPC.
const MEMBERS: usize = 930;
const FEW: usize = 10;
/// 5,000 joins and leaves a minute: each of these joins or leaves every 600 ms, for a quarter of a minute.
const MOVERS: usize = 50;
const PAUSE: Duration = Duration::from_millis(600);
const MOVES: usize = 25;
/// When everybody's view is to be true, once nobody moves any more.
const TRUE_AFTER: Duration = Duration::from_secs(2);

/// Where somebody who stays hears of the others.
enum Line {
    Socket(Browser),
    Chat(
        tonic::Streaming<proto::ChatResponse>,
        #[expect(dead_code, reason = "held open")] mpsc::Sender<proto::ChatRequest>,
    ),
}

/// One who stays, and what it was told.
struct Member {
    line: Line,
    /// Whom it knows to be here; nobody where names have no ids.
    here: HashSet<String>,
    count: u64,
    /// When, and in how many bytes, presence was told.
    told: Vec<(Instant, usize)>,
}

impl Member {
    async fn full(house: &House, name: String) -> Self {
        let (browser, _, joined) = joins(house, &name).await;
        let count = joined["count"].as_u64().expect("a count");
        let here = ids(&joined["users"]).collect();
        Self { line: Line::Socket(browser), here, count, told: Vec::new() }
    }

    async fn plain(house: &House, name: String) -> Self {
        let mut browser = house.browser().await;
        browser.says(json!({"type": "join", "room": "tech", "username": name})).await;
        let count = browser.hears("user_joined").await["count"].as_u64().expect("a count");
        Self { line: Line::Socket(browser), here: HashSet::new(), count, told: Vec::new() }
    }

    async fn chat(house: &House, name: String) -> Self {
        let (up, requests) = mpsc::channel(4);
        let hello = proto::Hello { name: Some(name), ..Default::default() };
        let join = proto::Join { room: "tech".into(), ..Default::default() };
        for frame in [ChatUp::Hello(hello), ChatUp::Join(join)] {
            let request = proto::ChatRequest { id: String::new(), frame: Some(frame) };
            up.send(request).await.expect("there is room");
        }
        let down = house.rpc().await.chat(ReceiverStream::new(requests)).await.expect("a stream");
        let line = Line::Chat(down.into_inner(), up);
        Self { line, here: HashSet::new(), count: 0, told: Vec::new() }
    }

    /// Takes what it is told, until then.
    async fn listens(mut self, mut until: watch::Receiver<Option<Instant>>) -> Self {
        loop {
            let end = *until.borrow_and_update();
            let is_over = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end.into()).await,
                    None => drop(until.changed().await),
                }
            };
            tokio::select! {
                () = is_over => if end.is_some() { return self },
                () = Self::hears(&mut self.line, &mut self.here, &mut self.count, &mut self.told) => {}
            }
        }
    }

    async fn hears(
        line: &mut Line,
        here: &mut HashSet<String>,
        count: &mut u64,
        told: &mut Vec<(Instant, usize)>,
    ) {
        match line {
            Line::Socket(browser) => {
                let text = browser.next_text().await.expect("the socket stays open");
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                if !matches!(
                    frame["type"].as_str(),
                    Some("presence" | "user_list" | "user_joined" | "user_left")
                ) {
                    return;
                }
                told.push((Instant::now(), text.len() + if text.len() < 126 { 2 } else { 4 }));
                *count = frame["count"].as_u64().expect("a count");
                if frame["type"] == "presence" {
                    let left: Vec<_> = ids(&frame["left"]).collect();
                    fold(
                        here,
                        frame["snapshot"] == true,
                        ids(&frame["users"]).chain(ids(&frame["joined"])),
                        left,
                    );
                }
            }
            Line::Chat(down, _) => {
                let response = down.message().await.expect("the stream goes on").expect("the stream goes on");
                let bytes = response.encoded_len();
                match response.frame {
                    Some(ChatDown::Joined(joined)) => {
                        *count = joined.count.into();
                        *here = joined.users.into_iter().map(|user| user.id).collect();
                    }
                    Some(ChatDown::Presence(told_now)) => {
                        told.push((Instant::now(), bytes));
                        *count = told_now.count.into();
                        let came = told_now.users.into_iter().chain(told_now.joined).map(|user| user.id);
                        let left = told_now.left.into_iter().map(|user| user.id).collect();
                        fold(here, told_now.snapshot, came, left);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The most it was told in any window of that length since then.
    fn most_in(&self, window: Duration, since: Instant) -> usize {
        let (mut most, mut sum, mut first) = (0, 0, 0);
        let told: Vec<_> = self.told.iter().filter(|(at, _)| *at >= since).collect();
        for (at, bytes) in &told {
            sum += bytes;
            while told[first].0 + window <= *at {
                sum -= told[first].1;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}

fn fold(here: &mut HashSet<String>, is_whole: bool, came: impl Iterator<Item = String>, left: Vec<String>) {
    if is_whole {
        here.clear();
    }
    for id in &left {
        here.remove(id);
    }
    here.extend(came);
}

fn ids(users: &Value) -> impl Iterator<Item = String> {
    let users = users.as_array().into_iter().flatten();
    users.map(|user| user["id"].as_str().expect("an id").to_owned())
}

async fn joins(house: &House, name: &str) -> (Browser, String, Value) {
    let mut browser = house.browser().await;
    browser.says(json!({"type": "hello", "version": 1, "name": name, "rooms": {"tech": ""}})).await;
    let id = browser.hears("welcome").await["user"]["id"].as_str().expect("an id").to_owned();
    let joined = browser.hears("joined").await;
    (browser, id, joined)
}

/// One who comes as somebody new each time.
#[derive(Default)]
struct Mover {
    inside: Option<(Browser, String)>,
    /// Who it was that left.
    gone: Vec<String>,
}

/// Comes and leaves, again and again.
async fn moves(house: &House, nth: usize) -> Mover {
    let start = Instant::now() + PAUSE.mul_f64(nth as f64 / MOVERS as f64);
    let mut mover = Mover::default();
    for turn in 0..MOVES - nth % 2 {
        tokio::time::sleep_until((start + PAUSE * u32::try_from(turn).expect("few")).into()).await;
        if let Some((mut browser, id)) = mover.inside.take() {
            browser.says(json!({"type": "leave", "room": "tech", "id": "l"})).await;
            browser.hears("ack").await;
            mover.gone.push(id);
        } else {
            let (browser, id, _) = joins(house, &format!("mover {nth}")).await;
            mover.inside = Some((browser, id));
        }
    }
    mover
}

#[tokio::test(flavor = "multi_thread")]
async fn p9_presence_keeps_its_budget_while_5000_a_minute_come_and_go_and_is_true_two_seconds_after() {
    let house = House::open().await;
    let (until_tx, until) = watch::channel(None);
    let mut listening = JoinSet::new();
    for chunk in (0..MEMBERS).collect::<Vec<_>>().chunks(10) {
        let members = chunk.iter().map(|n| Member::full(&house, format!("member {n}")));
        for member in join_all(members).await {
            listening.spawn(member.listens(until.clone()));
        }
    }
    for n in 0..FEW {
        listening.spawn(Member::plain(&house, format!("plain {n}")).await.listens(until.clone()));
        listening.spawn(Member::chat(&house, format!("chat {n}")).await.listens(until.clone()));
    }
    let began = Instant::now();
    let moved = within("they come and go", join_all((0..MOVERS).map(|nth| moves(&house, nth)))).await;
    let ended = Instant::now();
    until_tx.send_replace(Some(ended + TRUE_AFTER));
    let heard = within("everybody was listened to", listening.join_all()).await;

    println!("{} moves in {:?}", MOVERS * MOVES - MOVERS / 2, ended - began);
    for seconds in [1, 2, 5, 10] {
        let most = heard.iter().map(|member| member.most_in(Duration::from_secs(seconds as u64), began));
        let most = most.max().expect("members");
        println!("at most {most} bytes in {seconds} s");
        let allowed = BUDGET * (seconds + LATE_SECONDS) + AT_ONCE;
        assert!(most <= allowed, "{most} bytes of presence in {seconds} s");
    }
    let last = heard.iter().filter_map(|member| member.told.last()).map(|(at, _)| *at).max().expect("news");
    println!("the last news came {:?} after they stopped", last.saturating_duration_since(ended));
    let here = (MEMBERS + 2 * FEW + moved.iter().filter(|moved| moved.inside.is_some()).count()) as u64;
    let gone: HashSet<_> = moved.iter().flat_map(|moved| moved.gone.iter().cloned()).collect();
    for member in &heard {
        assert_eq!(member.count, here, "P7: as many as are here, two seconds after the last move");
        assert!(member.here.is_disjoint(&gone), "P7: and nobody who has left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_who_came_to_a_crowd_knows_everybody_once_it_is_none() {
    const CROWD: u64 = 130;
    const LEAVING: usize = 100;
    let house = House::with(&[("GRACE_BROKEN_SECONDS", "60")]).await; // so that no replica settles meanwhile
    let mut crowd = Vec::new();
    for n in 0..CROWD {
        crowd.push(joins(&house, &format!("member {n}")).await);
    }
    let mut late =
        [Member::full(&house, "full".to_owned()).await, Member::chat(&house, "chat".to_owned()).await];
    let staying = crowd.split_off(LEAVING);
    for (nth, (browser, ..)) in (1..).zip(&mut crowd) {
        browser.says(json!({"type": "leave", "room": "tech", "id": "l"})).await;
        browser.hears("ack").await;
        for Member { line, here, count, told } in &mut late {
            let is_told = async {
                while *count != CROWD + 2 - nth {
                    Member::hears(line, here, count, told).await;
                }
            };
            within("each is told of it by itself", is_told).await;
        }
    }
    for member in &late {
        assert_eq!(member.here.len(), staying.len() + 2);
        assert!(staying.iter().all(|(_, id, _)| member.here.contains(id)));
    }
}
