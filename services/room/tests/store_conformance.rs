//! What every store owes.
//!
//! Owns the tests that both stores pass: each behaviour is written once, in `conformance/`, and run on SQLite and on
//! PostgreSQL; then what is peculiar to one of them. Promises that each test has a database of its own. Never starts a
//! server.

mod conformance {
    pub(crate) mod append;
    pub(crate) mod kill;
    pub(crate) mod model;
    pub(crate) mod pages;
    pub(crate) mod place;
    pub(crate) mod postgres_alone;
    pub(crate) mod rooms;
    pub(crate) mod schema;
    pub(crate) mod sqlite_alone;
    pub(crate) mod story;
    pub(crate) mod writer;
}

macro_rules! store {
    ($store:ident, $on:ident: $($behaviours:ident :: $name:ident),+ $(,)?) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::conformance::place::$on(crate::conformance::$behaviours::$name).await;
                }
            )+
        }
    };
}

macro_rules! every_store {
    ($($behaviours:ident :: $name:ident),+ $(,)?) => {
        store! { sqlite, on_sqlite: $($behaviours :: $name),+ }
        store! { postgres, on_postgres: $($behaviours :: $name),+ }
    };
}

every_store! {
    append::p2_seqs_follow_without_a_gap_whoever_appends_at_once,
    append::p5_a_repeat_in_one_batch_is_answered_with_the_first,
    append::p5_a_repeat_later_is_answered_with_the_first_whatever_its_body,
    append::p5_repeats_that_race_from_two_connections_name_one_event,
    append::p5_the_same_key_of_another_user_or_room_is_another_event,
    append::a_draft_that_cannot_be_appended_leaves_the_rest_of_its_batch_alone,
    append::a_draft_without_a_room_or_in_an_archived_one_is_told_so,
    append::what_follows_an_archiving_draft_in_its_batch_is_archived,
    append::shuffled_batches_over_many_rooms_from_four_writers_do_not_deadlock,
    append::p2_an_append_that_nobody_waits_for_leaves_no_gap,
    append::times_rise_with_every_event_and_the_room_keeps_its_head,
    append::a_changed_room_is_as_the_event_says,
    append::a_body_comes_back_as_it_was,
    append::an_empty_batch_is_answered_with_nothing,
    model::a_store_agrees_with_its_model,
    pages::events_page_by_seq_with_the_cursors_of_base_and_head,
    pages::p3_heads_are_those_of_the_rooms_there_are,
    pages::events_at_the_edges_are_empty_and_never_an_error,
    pages::messages_page_both_ways_and_say_whether_there_are_more,
    pages::messages_pass_over_other_kinds,
    pages::a_page_ends_at_its_bytes,
    rooms::a_room_is_made_once_and_found_by_name_and_id,
    rooms::a_name_that_is_raced_for_is_one_room,
    rooms::rooms_list_by_name_without_the_archived,
    rooms::guest_keys_are_made_once_and_kept,
    schema::a_store_that_is_opened_again_has_everything,
    schema::two_programs_that_open_a_new_store_at_once_agree,
    schema::p6_a_log_is_kept_whole_while_its_keys_are_put_in_another_order,
    schema::a_newer_schema_is_refused_with_a_sentence,
    schema::a_schema_that_was_changed_is_refused_with_a_sentence,
    writer::p1_p2_64_senders_are_heard_after_the_commit_in_seq_order,
    writer::p5_a_repeat_is_not_published_but_tells_how_far_the_log_is,
    writer::what_waits_when_the_writer_drains_is_written_and_the_rest_refused,
    writer::p13_a_proof_goes_through_each_writers_queue_and_commit,
    writer::p13_a_proof_waits_its_turn_behind_what_waits_before_it,
    kill::p6_acknowledged_sends_survive_kill_9_without_a_gap,
}

store! {
    sqlite_alone, on_sqlite:
    sqlite_alone::a_file_that_is_no_database_is_refused_and_not_touched,
    sqlite_alone::a_database_of_another_program_is_refused_and_not_touched,
    sqlite_alone::a_damaged_database_is_refused_with_a_sentence,
    sqlite_alone::a_folder_that_is_not_there_is_refused_with_a_sentence,
    sqlite_alone::a_torn_end_of_the_write_ahead_log_costs_nothing_that_was_acknowledged,
    sqlite_alone::p8_a_full_queue_refuses_and_what_waits_is_written_once_the_store_is_back,
    sqlite_alone::a_store_that_is_locked_for_long_says_unavailable_and_recovers,
}

store! {
    postgres_alone, on_postgres:
    postgres_alone::a_room_that_another_holds_does_not_stall_the_rest_of_the_batch,
    postgres_alone::p5_p6_connections_that_die_under_load_lose_and_repeat_nothing,
    postgres_alone::p8_a_page_of_a_database_without_statistics_reads_the_page_and_no_more,
    postgres_alone::a_server_that_is_away_is_unavailable_at_once,
    postgres_alone::a_database_that_will_not_do_is_refused_with_a_sentence,
}

/// Not a test: the process that `p6_acknowledged_sends_survive_kill_9_without_a_gap` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_is_killed() {
    conformance::kill::child().await;
}
