//! A peer that means harm, each of its ways one by one: refused, with why, and nothing changed.

use std::fs;

use resplit_engine::{protocol::EnterRequest, server::LARGE_BODY};
use resplit_operations::{ids::CopyGroup, plan::Resource, record::ExportFile};
use resplit_steps::facts::ExportFact;
use serde_json::{json, to_value, to_vec};

use crate::{
    engine_bed::{EngineBed, request, status},
    exported,
    requests::{lease, step},
};

/// It is refused, with words, and the engine is as it was.
#[track_caller]
fn refused(bed: &EngineBed, answer: &[u8], words: &str) {
    let text = String::from_utf8_lossy(answer);
    assert!((400..500).contains(&status(answer)) && text.contains(words), "{words}: {text}");
    assert!(bed.catalog().is_empty());
    bed.assert_well();
}

#[test]
fn names_that_lead_elsewhere() {
    let bed = EngineBed::new();
    let bytes = b"what was sent";
    let digest = blake3::hash(bytes).to_hex();
    for name in ["..%2F..%2Fescaped", "%2Fescaped", ".hidden", "a%00b", "", "a%2Fb", "..", "x%0Ay"] {
        let answer = bed.ask("PUT", &format!("/v1/files?name={name}&digest={digest}"), bytes);
        refused(&bed, &answer, "is not a plain file name");
    }
    for run in ["../escaped", "", "/etc", "a\0b", &"x".repeat(300)] {
        let mut asked = step();
        asked.run = run.into();
        refused(&bed, &bed.ask("POST", "/v1/steps", &to_vec(&asked).unwrap()), "is not the name of a run");
        let mut asked = lease();
        asked.run = run.into();
        refused(&bed, &bed.ask("POST", "/v1/leases", &to_vec(&asked).unwrap()), "is not the name of a run");
    }
}

#[test]
fn an_exported_catalog_that_leads_elsewhere() {
    let bed = EngineBed::new();
    let changed = |change: &dyn Fn(&mut ExportFile)| {
        let mut file = exported::file();
        change(&mut file);
        file.digest = file.origin.digest();
        to_vec(&EnterRequest { file, pairs: Vec::new() }).unwrap()
    };
    let bodies = [
        changed(&|file| file.origin.images[0].volume = "../../escaped".into()),
        changed(&|file| file.origin.images[0].copy_group = CopyGroup("VG01,../escaped".to_owned())),
        changed(&|file| file.origin.run = "../../escaped".into()),
        changed(&|file| file.origin.source_host = "/escaped".into()),
        changed(&|file| file.format = 99),
        changed(&|file| file.origin.images.clear()),
    ];
    for body in bodies {
        refused(&bed, &bed.ask("POST", "/v1/catalog", &body), "");
    }
}

#[test]
fn a_step_of_another_host_and_a_file_that_was_not_sent() {
    let bed = EngineBed::new();
    let mut other = step();
    other.step.host = "source".into();
    refused(&bed, &bed.ask("POST", "/v1/steps", &to_vec(&other).unwrap()), "is for host 'source'");
    let precious = bed.state.join("precious");
    fs::write(&precious, "kept").unwrap();
    let mut stolen = step();
    let digest = blake3::hash(b"kept").to_hex().to_string();
    stolen.facts.received = Some(ExportFact { path: precious.clone(), digest, via: None });
    let answer = bed.ask("POST", "/v1/steps", &to_vec(&stolen).unwrap());
    refused(&bed, &answer, "is not what was sent to this host");
    assert_eq!(fs::read_to_string(precious).unwrap(), "kept");
}

/// A token that is older than the one a step was asked for under is a coordinator's that was replaced meanwhile.
#[test]
fn a_token_of_the_past() {
    let bed = EngineBed::new();
    let mut asked = step();
    let first = bed.ask("POST", "/v1/steps", &to_vec(&asked).unwrap());
    assert!(
        String::from_utf8_lossy(&first).contains("has transferred nothing"),
        "it fails, and that is noted"
    );
    asked.token = 4;
    let answer = bed.ask("POST", "/v1/steps", &to_vec(&asked).unwrap());
    if String::from_utf8_lossy(&first).contains("\"failed\"") && status(&answer) == 200 {
        // Nothing was intended, so nothing is known of the first one: it fails in the same way.
        assert!(String::from_utf8_lossy(&answer).contains("has transferred nothing"));
    } else {
        refused(&bed, &answer, "under token");
    }
    assert!(bed.catalog().is_empty());
}

#[test]
fn absurd_sizes() {
    let bed = EngineBed::new();
    let told = format!("POST /v1/steps HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{{", u64::MAX);
    let answer = bed.send(told.as_bytes());
    assert!(
        (400..500).contains(&status(&answer)) || answer.is_empty(),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let large = vec![b' '; LARGE_BODY + 1];
    let answer = bed.ask("POST", "/v1/steps", &large);
    // The engine may close before all of it is written, and then its words are lost.
    assert!(answer.is_empty() || status(&answer) == 413, "{}", String::from_utf8_lossy(&answer));
    let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
    refused(&bed, &bed.ask("POST", "/v1/steps", &deep), "JSON");
    let quoted =
        bed.ask("POST", "/v1/steps", format!("{{\"attempt\": \"{}\"}}", "x".repeat(1 << 20)).as_bytes());
    assert!(quoted.len() < 4096, "it says {} bytes", quoted.len());
    refused(&bed, &quoted, "JSON");
    let mut many = to_value(lease()).unwrap();
    many["resources"] = json!(vec![json!([{ "volume": "../escaped" }, 0]); 1000]);
    let answer = bed.ask("POST", "/v1/leases", &to_vec(&many).unwrap());
    assert_ne!(status(&answer), 500, "{}", String::from_utf8_lossy(&answer));
    let mut long = lease();
    long.resources = vec![(Resource::Volume("x".repeat(9000).as_str().into()), 1)];
    refused(&bed, &bed.ask("POST", "/v1/leases", &to_vec(&long).unwrap()), "is not the name of a volume");
    let head = "x: ".to_owned() + &"y".repeat(1 << 20);
    let answer = bed.send(&[b"GET /v1/info HTTP/1.1\r\n", head.as_bytes(), b"\r\n\r\n"].concat());
    assert!(answer.is_empty() || status(&answer) == 431, "{}", String::from_utf8_lossy(&answer));
    bed.send(&request("GET", "/v1/info", b""));
    bed.assert_well();
}
