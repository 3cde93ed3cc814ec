//! What transports may and must say, and what a plan carries of them.

mod common;

use std::path::Path;

use common::{PROTECT, SITE, check, lines, problems_of_site};
use resplit_operations::{compile, ids::OperationId};

/// A transport, and all problems that follow. It begins at line 25, column 13.
const CASES: &[(&str, &[&str])] = &[
    ("{ url: file:///mnt/exchange }", &[]),
    ("{ url: \"sftp://resplit@dmz01:2222/srv/exchange\", ssh_config: /etc/resplit/ssh }", &[]),
    ("{ url: \"ftps://backup@nas\", password: file:/etc/p, ca: /etc/ca.pem }", &[]),
    ("{ url: ftp://backup@nas/in, password: env:P }", &[]),
    ("{ url: ftp://backup@nas/in, password: 'command:[\"pass\",\"show\"]' }", &[]),
    (
        "{ url: s3://records/a, endpoint: http://127.0.0.1:9000, access_key: env:A, secret_key: credential:b, region: eu-1 }",
        &[],
    ),
    // The password itself is repeated nowhere.
    ("{ url: ftp://backup:hunter2@nas/in }", &["25:20 'url' cannot be this"]),
    ("{ url: ftp://backup@nas/in, password: hunter2 }", &["25:51 'password' cannot be this"]),
    ("{ url: http://nas/in }", &["25:20 'url' cannot be this"]),
    ("{ password: env:P }", &["25:15 'exchange' lacks the key 'url'"]),
    ("{ url: ftp://backup@nas/in }", &["25:20 transport 'exchange' does not say where its password is"]),
    ("{ url: ftp://nas/in, password: env:P }", &["25:20 transport 'exchange' does not say as whom"]),
    ("{ url: \"sftp://nas\" }", &["25:20 transport 'exchange' names no directory"]),
    (
        "{ url: s3://records }",
        &[
            "25:20 transport 'exchange' does not say where its access_key is",
            "25:20 transport 'exchange' does not say where its secret_key is",
        ],
    ),
    ("{ url: file:///mnt/x, password: env:P }", &["25:35 'password' means nothing to a transport by file"]),
    ("{ url: sftp://nas/x, ca: /ca.pem }", &["25:34 'ca' means nothing to a transport by sftp"]),
    (
        "{ url: sftp://nas/x, ssh_config: ssh/config }",
        &["25:46 this path is relative, and each host that uses the transport reads its own"],
    ),
];

fn site(transport: &str) -> String {
    let lines = SITE.lines().count();
    assert_eq!(lines, 23, "the places below count on it: {lines}");
    format!("{SITE}transports:\n  exchange: {transport}\n")
}

#[test]
fn every_kind_says_what_it_needs_and_nothing_else() {
    for (transport, expected) in CASES {
        let problems = problems_of_site(&site(transport));
        assert_eq!(problems, *expected, "{transport}");
        assert!(!problems.concat().contains("hunter2"));
    }
}

#[test]
fn an_operation_names_one_that_there_is() {
    let operation = format!("{PROTECT}backup_server: backupserver\ntransfer: {{ via: exchagne }}\n");
    let found = check(&site("{ url: file:///x }"), &[("documents.yaml", operation.as_str())]);
    assert_eq!(lines(&found.report), ["3:18 there is no transport 'exchagne'"]);
}

#[test]
fn a_plan_carries_the_names_of_what_it_uses_and_of_nothing_else() {
    let site = format!(
        "{}  other: {{ url: file:///other }}\n",
        site("{ url: ftp://backup@nas/in, password: env:EXCHANGE }")
    );
    let operation = format!("{PROTECT}backup_server: backupserver\ntransfer: {{ via: exchange }}\n");
    let found = check(&site, &[("documents.yaml", operation.as_str())]);
    assert_eq!(lines(&found.report), [""; 0]);
    let id = OperationId::from("documents");
    let plan =
        compile::backup(&found.site.unwrap(), Path::new("/site"), &id, &found.operations[&id]).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert!(
        text.contains("env:EXCHANGE") && text.contains("\"via\":\"exchange\"") && !text.contains("/other"),
        "{text}"
    );
    let back: resplit_operations::plan::Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(back.hash(), plan.hash());
}
