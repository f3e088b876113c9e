//! What only SQLite owes.
//!
//! Owns damaged and foreign files, a full disk's cousin the locked file, and bounded waiting. Promises that each is
//! refused in a sentence or passes by itself. Never touches a file that is not of its own folder.

use std::{fs, io::Write, os::unix::fs::FileExt, path::PathBuf, time::Duration};

use parlour_chassis::tasks::Tasks;
use parlour_room::store::{
    AnyStore, Options, Store, StoreError,
    writer::{AHEAD_DRAFTS, QUEUE_DRAFTS, Writer},
};

use super::{
    kill::Nobody,
    place::Place,
    story::{append_one, message, new, room, whole},
};

fn file(place: &Place) -> PathBuf {
    place.url().strip_prefix("sqlite:").expect("a file").into()
}

async fn refusal(place: &Place) -> String {
    match place.try_open().await.expect_err("refused") {
        StoreError::Unusable(sentence) => sentence,
        other => panic!("trying again will not help: {other:?}"),
    }
}

pub(crate) async fn a_file_that_is_no_database_is_refused_and_not_touched(place: Place) {
    let text = "this is a letter, not a database; ".repeat(100);
    fs::write(file(&place), &text).expect("written");
    let sentence = refusal(&place).await;
    assert!(sentence.contains("parlour.db") && sentence.contains("not a SQLite database"), "{sentence}");
    assert_eq!(fs::read_to_string(file(&place)).expect("read"), text);
}

pub(crate) async fn a_database_of_another_program_is_refused_and_not_touched(place: Place) {
    place.meddle("create table recipe (name text)").await;
    let sentence = refusal(&place).await;
    assert!(sentence.contains("another program"), "{sentence}");
    place.meddle("insert into recipe values ('soup'); drop table recipe").await;
}

pub(crate) async fn a_damaged_database_is_refused_with_a_sentence(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    for turn in 0..40 {
        append_one(&*store, message(&lobby, "ada", &format!("k{turn}"), &"long ".repeat(400))).await;
    }
    store.close().await;
    let damaged = fs::OpenOptions::new().write(true).open(file(&place)).expect("opened");
    let length = damaged.metadata().expect("read").len();
    for page in 4..length / 4096 {
        damaged.write_all_at(&[0xA5; 512], page * 4096).expect("damaged");
    }
    let sentence = refusal(&place).await;
    assert!(sentence.contains("is damaged") && sentence.contains("backup"), "{sentence}");
}

pub(crate) async fn a_folder_that_is_not_there_is_refused_with_a_sentence(place: Place) {
    let url = format!("sqlite:{}", file(&place).with_file_name("nowhere").join("parlour.db").display());
    let refused = AnyStore::open(&url, Options::default()).await.expect_err("refused");
    assert!(matches!(&refused, StoreError::Unusable(why) if why.contains("folder")), "{refused:?}");
    for wrong in ["", "sqlite:", "parlour.db", "mysql://secret@host/db"] {
        let refused = AnyStore::open(wrong, Options::default()).await.expect_err("refused").to_string();
        assert!(refused.contains("sqlite:PATH") && !refused.contains("secret"), "{refused}");
    }
}

pub(crate) async fn a_torn_end_of_the_write_ahead_log_costs_nothing_that_was_acknowledged(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    append_one(&*store, message(&lobby, "ada", "k1", "hello")).await;
    // As a power cut leaves it: the files as they are, with a half-written frame at the end.
    let copy = tempfile::tempdir().expect("a folder");
    for suffix in ["", "-wal"] {
        let name = format!("parlour.db{suffix}");
        fs::copy(file(&place).with_file_name(&name), copy.path().join(&name)).expect("copied");
    }
    let mut wal =
        fs::OpenOptions::new().append(true).open(copy.path().join("parlour.db-wal")).expect("opened");
    wal.write_all(&[7; 3_000]).expect("torn");
    let url = format!("sqlite:{}", copy.path().join("parlour.db").display());
    let copied = AnyStore::open(&url, Options::default()).await.expect("opens");
    assert_eq!(whole(&copied, &lobby).await, whole(&*store, &lobby).await);
    copied.close().await;
}

pub(crate) async fn p8_a_full_queue_refuses_and_what_waits_is_written_once_the_store_is_back(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let tasks = Tasks::new();
    let writer = Writer::spawn(&store, &std::sync::Arc::new(Nobody), &tasks);
    let blocker = rusqlite::Connection::open(file(&place)).expect("opens");
    blocker.execute_batch("begin immediate").expect("locked");
    let mut waiting = Vec::new();
    let refused = loop {
        let draft = message(&lobby, "ada", &format!("k{}", waiting.len()), "hello");
        match writer.submit(draft) {
            Ok(pending) => waiting.push(pending),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!((QUEUE_DRAFTS..=QUEUE_DRAFTS + AHEAD_DRAFTS).contains(&waiting.len()), "{} wait", waiting.len());
    blocker.execute_batch("rollback").expect("unlocked");
    let count = waiting.len();
    for (index, pending) in waiting.into_iter().enumerate() {
        assert_eq!(new(&pending.answer().await.expect("written")).seq, index as u64 + 1);
    }
    assert!(tasks.finish(Duration::from_secs(10)).await);
    assert_eq!(whole(&*store, &lobby).await.len(), count);
}

pub(crate) async fn a_store_that_is_locked_for_long_says_unavailable_and_recovers(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let blocker = rusqlite::Connection::open(file(&place)).expect("opens");
    blocker.execute_batch("begin immediate").expect("locked");
    let refused = store.append(&[message(&lobby, "ada", "k1", "hello")]).await.expect_err("locked");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(store.events(&lobby, 0, 10).await.expect("read").is_some(), "reading goes on meanwhile");
    blocker.execute_batch("rollback").expect("unlocked");
    let answer = append_one(&*store, message(&lobby, "ada", "k1", "hello")).await;
    assert_eq!(new(&answer).seq, 1, "the refused one left nothing");
}
