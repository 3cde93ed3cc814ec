//! The socket in the state directory.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
};

use common::Serving;
use resplit_engine::{
    client::{Client, ClientError},
    socket::{Listener, prepare_directory},
};
use resplit_steps::failure::FailureClass;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn a_state_directory_may_have_a_long_path() {
    let below = ["d".repeat(100), "e".repeat(120), "ä".repeat(50)].join("/");
    let serving = Serving::start_in(&below);
    assert!(serving.state.as_os_str().len() > 300);
    assert_eq!(serving.client.info().await.unwrap(), serving.fake.info);
    serving.stopped().await;
}

#[tokio::test]
async fn directory_and_socket_are_for_their_owner_alone() {
    let serving = Serving::start();
    assert_eq!(mode(&serving.state), 0o700);
    assert_eq!(mode(&serving.state.join("engine.sock")), 0o600);
    assert!(!serving.state.join("engine.sock.new").exists());
}

#[tokio::test]
async fn the_right_to_read_is_taken_from_others_and_the_right_to_write_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    prepare_directory(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
    fs::set_permissions(&state, Permissions::from_mode(0o770)).unwrap();
    let failure = Listener::bind(&state).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("0770"), "{failure}");
    assert!(failure.help.unwrap().contains("chmod 700"));
    assert_eq!((mode(&state), fs::read_dir(&state).unwrap().count()), (0o770, 0));
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::write(&state, "text").unwrap();
    let failure = Listener::bind(&state).unwrap_err();
    assert!(failure.message.contains("state") && failure.message.contains("Not a directory"), "{failure}");
    assert_eq!(fs::read_to_string(&state).unwrap(), "text");
    let error = Client::connect(&state).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn no_engine_is_told_from_a_dead_one_and_a_dead_one_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let missing = Client::connect(&state).await.unwrap_err();
    assert_eq!(missing, ClientError::NotRunning(state.display().to_string()));
    prepare_directory(&state).unwrap();
    assert!(matches!(Client::connect(&state).await, Err(ClientError::NotRunning(_))));
    for name in ["engine.sock", "engine.sock.new"] {
        drop(UnixListener::bind(state.join(name)).unwrap());
    }
    assert!(matches!(Client::connect(&state).await, Err(ClientError::NotRunning(_))));
    let listener = Listener::bind(&state).unwrap();
    let _ = Client::connect(&state).await.unwrap();
    drop(listener);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[tokio::test]
async fn a_listener_leaves_the_name_of_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let first = Listener::bind(directory.path()).unwrap();
    let second = Listener::bind(directory.path()).unwrap();
    drop(first);
    let _ = Client::connect(directory.path()).await.unwrap();
    drop(second);
    assert!(matches!(Client::connect(directory.path()).await, Err(ClientError::NotRunning(_))));
}

#[tokio::test]
async fn a_state_directory_may_be_reached_through_a_link() {
    let serving = Serving::start();
    let link = serving.directory.path().join("link");
    symlink(&serving.state, &link).unwrap();
    assert_eq!(Client::of(&link).info().await.unwrap(), serving.fake.info);
}
