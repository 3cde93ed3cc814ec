//! The contract, on a directory; other transports are tested against servers, from outside.

use std::{fs, os::unix::fs::symlink};

use super::*;

fn transport(path: &std::path::Path) -> Transport {
    Transport {
        url: format!("file://{}", path.display()).parse().unwrap(),
        password: None,
        access_key: None,
        secret_key: None,
        endpoint: None,
        region: None,
        ca: None,
        ssh_config: None,
    }
}

#[test]
fn a_file_is_put_read_listed_replaced_and_removed() {
    let place = tempfile::tempdir().unwrap();
    let mut driver = open(&transport(place.path()), &Work::silent()).unwrap();
    assert_eq!(driver.get("a.json").unwrap(), None);
    put_checked(&mut *driver, "a.json", b"one").unwrap();
    put_checked(&mut *driver, "a.json", b"two").unwrap();
    assert_eq!(driver.get("a.json").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(driver.names().unwrap(), ["a.json"]);
    driver.remove("a.json").unwrap();
    driver.remove("a.json").unwrap();
    assert_eq!(driver.names().unwrap(), Vec::<String>::new());
}

#[test]
fn a_place_that_is_not_there_is_refused_and_not_made() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("exchange");
    let failure = open(&transport(&missing), &Work::silent()).err().unwrap();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.help.unwrap().contains("mount it"));
    assert!(!missing.exists());
}

#[test]
fn links_that_others_have_put_there_are_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let exchange = place.path().join("exchange");
    fs::create_dir(&exchange).unwrap();
    symlink(&victim, exchange.join("a.json.partial")).unwrap();
    symlink(&victim, exchange.join("b.json")).unwrap();
    let mut driver = open(&transport(&exchange), &Work::silent()).unwrap();
    put_checked(&mut *driver, "a.json", b"one").unwrap();
    assert!(driver.get("b.json").is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}
