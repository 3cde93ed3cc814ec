//! A log that cannot be written costs its lines, and nothing else.

use std::fs;

use super::Logs;
use crate::protocol::{Event, What};
use jiff::Timestamp;
use resplit_operations::ids::RunId;

fn note(run: &RunId, text: &str) -> Event {
    let what = What::Note { text: text.to_owned() };
    Event { time: Timestamp::now(), run: run.clone(), step: None, host: None, what }
}

#[tokio::test]
async fn a_run_whose_log_cannot_be_created_is_followed_from_when_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("logs");
    // No directory can be made where a file stands.
    fs::write(&place, "in the way").unwrap();
    let logs = Logs::new(&place);
    let run = RunId::from("documents-20261120T020000000Z");
    assert!(logs.follow(&run, true).is_err(), "it is not at work");
    logs.begin(&run);
    logs.tell(note(&run, "lost"));
    let mut events = logs.follow(&run, true).unwrap();
    fs::remove_file(&place).unwrap();
    logs.tell(note(&run, "kept"));
    let event = events.recv().await.unwrap();
    assert_eq!(event.what, What::Note { text: "kept".to_owned() });
    assert!(logs.follow(&run, false).is_ok());
}
