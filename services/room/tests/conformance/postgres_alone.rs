//! What only PostgreSQL owes.
//!
//! Owns rooms that others hold, connections that die, and servers that will not do. Promises that none of them loses,
//! repeats or reorders anything. Never touches a database but its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_chassis::tasks::Tasks;
use parlour_room::store::{AnyStore, Appended, Options, Span, Store, StoreError, writer::Writer};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_postgres::{Client, NoTls};

use super::{
    kill::Nobody,
    place::Place,
    story::{append_one, message, new, room, whole},
};

/// A connection behind the store's back.
async fn connect(place: &Place) -> (Client, JoinSet<()>) {
    let (client, connection) = tokio_postgres::connect(&place.url(), NoTls).await.expect("it answers");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    (client, tasks)
}

pub(crate) async fn a_room_that_another_holds_does_not_stall_the_rest_of_the_batch(place: Place) {
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    append_one(&*store, message(&attic, "ada", "k0", "before")).await;
    let (other, _connection) = connect(&place).await;
    let hold = format!("begin; select 1 from room where id = '{attic}' for no key update");
    other.batch_execute(&hold).await.expect("held");
    let batch = [
        message(&attic, "ada", "k1", "held up"),
        message(&lobby, "ada", "k1", "free"),
        message(&attic, "ada", "k0", "a repeat"),
    ];
    let since = Instant::now();
    let answers = store.append(&batch).await.expect("answered");
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert_eq!(answers[0], Appended::Held);
    assert_eq!(new(&answers[1]).seq, 1);
    assert!(matches!(&answers[2], Appended::Repeat(event) if event.seq == 1), "{:?}", answers[2]);
    let tasks = Tasks::new();
    let writer = Writer::spawn(&store, &Arc::new(Nobody), &tasks);
    let refused = writer.append(message(&attic, "ada", "k1", "held up")).await.expect_err("held");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    other.batch_execute("commit").await.expect("let go");
    let answer = writer.append(message(&attic, "ada", "k1", "held up")).await.expect("appended");
    assert_eq!(new(&answer).seq, 2, "what was held up left nothing");
    assert!(tasks.finish(Duration::from_secs(10)).await);
    whole(&*store, &attic).await;
}

pub(crate) async fn p5_p6_connections_that_die_under_load_lose_and_repeat_nothing(place: Place) {
    const TURNS: usize = 60;
    const KILL: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and application_name = 'parlour-room'";
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    let tasks = Tasks::new();
    let writer = Writer::spawn(&store, &Arc::new(Nobody), &tasks);
    let (killer, _connection) = connect(&place).await;
    let (answered_tx, mut answered) = mpsc::channel(64);
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let (writer, answered_tx) = (writer.clone(), answered_tx.clone());
        let room = if sender % 2 == 0 { lobby.clone() } else { attic.clone() };
        senders.spawn(async move {
            for turn in 0..TURNS {
                let draft = message(&room, &format!("s{sender}"), &format!("k{turn}"), "hello");
                // As a client does: what is unavailable is sent again, with its key, until it is answered.
                while let Err(error) = writer.append(draft.clone()).await {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                }
                answered_tx.send(()).await.expect("heard");
            }
        });
    }
    drop(answered_tx);
    let (mut answers, mut killed) = (0, 0);
    while let Some(()) = answered.recv().await {
        answers += 1;
        if answers % 12 == 0 {
            killed += killer.query(KILL, &[]).await.expect("killed").len(); // while the others are in the midst of it
        }
    }
    senders.join_all().await;
    assert!(killed > 0, "connections were killed");
    assert!(tasks.finish(Duration::from_secs(10)).await);
    for id in [&lobby, &attic] {
        assert_eq!(whole(&*store, id).await.len(), 4 * TURNS, "each once");
    }
}

pub(crate) async fn p8_a_page_of_a_database_without_statistics_reads_the_page_and_no_more(place: Place) {
    const READ: &str = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname = 'event'";
    let store = place.open().await;
    let id = room(&*store, "lobby").await.id;
    let drafts: Vec<_> = (0..5_000).map(|nth| message(&id, "ada", &format!("k{nth}"), "hello")).collect();
    for some in drafts.chunks(1_000) {
        store.append(some).await.expect("appended");
    }
    let (client, _connection) = connect(&place).await;
    client.batch_execute("select pg_stat_reset()").await.expect("nothing is known of the table");
    store.messages(&id, Span::Before(2_500), 10).await.expect("a page");
    store.events(&id, 2_500, 10).await.expect("another");
    store.close().await; // what a connection has read is told when it ends
    let deadline = Instant::now() + Duration::from_secs(10);
    let read = loop {
        let read: i64 = client.query_one(READ, &[]).await.expect("counted").get(0);
        if read > 0 || Instant::now() > deadline {
            break read;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!((20..=40).contains(&read), "{read} entries of the index for two pages of ten");
}

pub(crate) async fn a_server_that_is_away_is_unavailable_at_once(place: Place) {
    drop(place);
    let since = Instant::now();
    let refused = AnyStore::open("postgres://ada:secret@127.0.0.1:1/parlour", Options::default())
        .await
        .expect_err("away");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

pub(crate) async fn a_database_that_will_not_do_is_refused_with_a_sentence(place: Place) {
    let nowhere = format!("{}_which_is_not_there", place.url());
    let refused = AnyStore::open(&nowhere, Options::default()).await.expect_err("not there");
    assert!(matches!(&refused, StoreError::Unusable(why) if why.contains("does not exist")), "{refused:?}");
    let garbled =
        AnyStore::open("postgres://ada:se:cret@[::/x?y", Options::default()).await.expect_err("garbled");
    assert!(matches!(&garbled, StoreError::Unusable(why) if !why.contains("cret")), "{garbled:?}");

    let latin = format!("{}_latin1", place.url().rsplit('/').next().expect("a name"));
    let make = format!("create database {latin} template template0 encoding 'LATIN1' locale 'C'");
    place.meddle(&make).await;
    let url = format!("{}_latin1", place.url());
    let refused = AnyStore::open(&url, Options::default()).await.expect_err("not Unicode");
    place.meddle(&format!("drop database {latin} with (force)")).await;
    assert!(matches!(&refused, StoreError::Unusable(why) if why.contains("UTF8")), "{refused:?}");
}
