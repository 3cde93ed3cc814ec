use std::{os::unix::net::UnixListener, thread};

use super::*;
use crate::failure::FailureClass;

const GREETS: &str = "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\n";

/// What somebody gets from a monitor that says these lines, each but the first after a line was said to it, and ends.
fn with<T>(lines: &[&'static str], ask: impl FnOnce(&Path) -> T) -> T {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("qmp");
    let listener = UnixListener::bind(&socket).unwrap();
    let lines = lines.to_vec();
    let monitor = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut stream = BufReader::new(stream);
        for (number, line) in lines.into_iter().enumerate() {
            let mut heard = String::new();
            if number > 0 {
                let _ = stream.read_line(&mut heard).unwrap();
            }
            let heard: Value = serde_json::from_str(&heard).unwrap_or_default();
            let line = line.replace("ID", heard["id"].as_str().unwrap_or_default());
            stream.get_mut().write_all(line.as_bytes()).unwrap();
        }
        // The last that it is asked, it does not answer.
        let _ = stream.read_line(&mut String::new());
    });
    let got = ask(&socket);
    monitor.join().unwrap();
    got
}

fn asked(lines: &[&'static str]) -> Result<Value, Failure> {
    with(lines, |socket| Session::begin(socket)?.unwrap().ask("query-jobs", &json!({})))
}

#[test]
fn an_answer_is_told_from_events_and_from_what_was_meant_for_others() {
    let stray =
        "{\"return\":{},\"id\":\"other\"}\n{\"event\":\"SHUTDOWN\"}\n{\"QMP\":{\"capabilities\":[]}}\n";
    let answer = "{\"event\":\"X\"}\n{\"return\":[1],\"id\":\"other\"}\n{\"return\":[2],\"id\":\"ID\"}\n";
    assert_eq!(asked(&[stray, "{\"return\":{},\"id\":\"ID\"}\n", answer]).unwrap(), json!([2]));
}

#[test]
fn what_qemu_refuses_was_not_done() {
    let answer = "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Node is busy\"},\"id\":\"ID\"}\n";
    let failure = asked(&[GREETS, "{\"return\":{},\"id\":\"ID\"}\n", answer]).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("refuses query-jobs: Node is busy"), "{failure}");
}

#[test]
fn what_becomes_of_a_command_is_unknown_if_qemu_ends() {
    let failure = asked(&[GREETS, "{\"return\":{},\"id\":\"ID\"}\n"]).unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown, "{failure}");
}

#[test]
fn what_is_no_monitor_is_refused_and_nobody_is_nobody() {
    let failure = with(&["{\"hello\":1}\n"], |socket| Session::begin(socket).map(drop).unwrap_err());
    assert_eq!(failure.class, FailureClass::Refused, "{failure}");
    assert!(Session::begin(Path::new("/nowhere/qmp")).unwrap().is_none());
    let long = Path::new("/tmp").join("x".repeat(120));
    let failure = Session::begin(&long).map(drop).unwrap_err();
    assert!(failure.message.contains("too long"), "{failure}");
}
