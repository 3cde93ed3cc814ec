//! Requests to a real engine: of every route, damaged as JSON, as HTTP/1, and as frames of HTTP/2.

use resplit_engine::protocol::{
    AnswerRequest, EnterRequest, LeaseRequest, RunOptions, StepRequest, Submit, WorldRequest,
};
use resplit_operations::{
    action::{Action, Nothing, Retry},
    bound::Binding,
    operation::On,
    plan::{Plan, PlanData, PlanStep, Purpose, Resource},
};
use resplit_steps::{drivers::identity::Owner, facts::Facts};
use serde_json::{Value, json, to_value};

use crate::{
    engine_bed::{EngineBed, request, site, status},
    exported, mutate,
    running::execute,
};

/// A step that reads what another host sent.
pub(crate) fn step() -> StepRequest {
    StepRequest {
        coordinator: "source".into(),
        operation: "documents".into(),
        purpose: Purpose::Backup,
        run: "documents-1".into(),
        step: PlanStep {
            id: "import".into(),
            host: "backup".into(),
            action: Action::Import(Nothing {}),
            needs: Vec::new(),
            on: On::Success,
            retry: Retry::default(),
            timeout: None,
            finally: None,
        },
        attempt: 1,
        site: site(),
        binding: Binding::default(),
        facts: Facts::default(),
        token: 5,
    }
}

/// A request for the lease of a volume, by this process.
pub(crate) fn lease() -> LeaseRequest {
    LeaseRequest {
        run: "documents-1".into(),
        coordinator: "source".into(),
        owner: Owner::current().unwrap(),
        far: None,
        resources: vec![(Resource::Volume("documents".into()), 1)],
    }
}

/// What can be asked, with bodies that are right.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let data = PlanData {
        operation: "documents".into(),
        purpose: Purpose::Backup,
        coordinator: "backup".into(),
        site: site(),
        steps: vec![step().step],
    };
    let submit = Submit { plan: Plan::new(data).unwrap(), options: RunOptions::default(), measure: false };
    let enter = EnterRequest { file: exported::file(), pairs: Vec::new() };
    vec![
        ("GET", "/v1/info", Value::Null),
        ("POST", "/v1/preview", to_value(submit).unwrap()),
        ("GET", "/v1/runs?open=true", Value::Null),
        ("GET", "/v1/runs/documents-1/events", Value::Null),
        ("POST", "/v1/runs/documents-1/cancel", Value::Null),
        ("POST", "/v1/runs/documents-1/answer", to_value(answer()).unwrap()),
        ("POST", "/v1/world", to_value(WorldRequest::default()).unwrap()),
        ("GET", "/v1/catalog", Value::Null),
        ("POST", "/v1/catalog", to_value(enter).unwrap()),
        ("POST", "/v1/catalog/0000000001/unlock", Value::Null),
        ("POST", "/v1/leases", to_value(lease()).unwrap()),
        ("DELETE", "/v1/leases/documents-1", Value::Null),
        ("POST", "/v1/steps", to_value(step()).unwrap()),
        ("POST", "/v1/steps/foresee", to_value(step()).unwrap()),
        ("POST", "/v1/leftovers", json!({})),
        ("PUT", "/v1/files?name=import.json&digest=00", json!("what was sent")),
    ]
}

fn answer() -> AnswerRequest {
    serde_json::from_value(json!({ "step": "import", "answer": "redo" })).unwrap()
}

#[test]
fn requests_to_an_engine() {
    let bed = EngineBed::new();
    let requests = requests();
    let tokens =
        ["\r\n", "..%2f", "%00", "/", "?", "HTTP/9", "content-length: 99999999999\r\n", "\"", "{", "[[["];
    let mut statuses = std::collections::BTreeMap::<u16, u64>::new();
    execute("requests to an engine", |rng| {
        let (method, target, body) = &requests[rng.usize(..requests.len())];
        let mut body = body.clone();
        let answer = match rng.u8(..8) {
            0 => {
                let whole = request(method, target, body.to_string().as_bytes());
                bed.send_damaged(&mutate::bytes(&whole, &tokens, rng))
            }
            1 => bed.ask(method, target, &mutate::bytes(body.to_string().as_bytes(), &tokens, rng)),
            2 => {
                let target =
                    mutate::bytes(target.as_bytes(), &["..%2f..%2f", "%00", "%zz", "//", "&", "="], rng);
                bed.send_damaged(&request(
                    method,
                    &String::from_utf8_lossy(&target),
                    body.to_string().as_bytes(),
                ))
            }
            3 => bed.send_damaged(&frames(rng)),
            _ => {
                mutate::json(&mut body, rng);
                bed.ask(method, target, body.to_string().as_bytes())
            }
        };
        let status = status(&answer);
        *statuses.entry(status).or_default() += 1;
        assert_ne!(status, 500, "{}", String::from_utf8_lossy(&answer));
    });
    println!("answers by status: {statuses:?}");
    assert!(bed.catalog().is_empty(), "nothing was believed: no pair holds such an image");
    bed.assert_well();
}

/// The preface of HTTP/2, and frames of any kind and size.
fn frames(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for _ in 0..rng.usize(..12) {
        let payload: Vec<u8> = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
        let told = if rng.u8(..4) == 0 { rng.u32(..1 << 24) } else { u32::try_from(payload.len()).unwrap() };
        bytes.extend_from_slice(&told.to_be_bytes()[1..]);
        bytes.extend_from_slice(&[rng.u8(..12), rng.u8(..)]);
        bytes.extend_from_slice(&rng.u32(..8).to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    bytes
}
