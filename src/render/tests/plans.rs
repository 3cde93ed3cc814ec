//! Plans to be drawn.

use std::path::Path;

use resplit_operations::{compile, operation::Operation, plan::Plan, site::Site};
use serde_json::{Value, json};

fn site(volumes: usize) -> Site {
    let volume = |n: usize| {
        let pair = |generation: usize| {
            json!({
                "copy_group": format!("VG{generation:02},vol{n:02}"),
                "secondary": { "host": "backupserver", "path": format!("mirrors/{n}-{generation}") }
            })
        };
        let primary = json!({ "host": "fileserver", "path": format!("data/{}", name(n)) });
        (name(n), json!({ "driver": "directory", "primary": primary, "pairs": [pair(1), pair(2)] }))
    };
    let volumes: serde_json::Map<String, Value> = (0..volumes).map(volume).collect();
    let site = json!({
        "hosts": {
            "fileserver": { "connect": "local", "state": "state" },
            "backupserver": { "connect": "local", "state": "state-backup" },
            "third": { "connect": "local", "state": "state-third" }
        },
        "volumes": volumes,
        "libraries": { "vault": {
            "driver": "virtual", "host": "backupserver", "path": "vault", "slots": 8, "drives": 1,
            "cartridge_size": "64MiB", "pools": ["documents"]
        } }
    });
    serde_json::from_value(site).unwrap()
}

fn name(volume: usize) -> String {
    match volume {
        0 => "documents".to_owned(),
        1 => "mail".to_owned(),
        other => format!("volume-{other:02}"),
    }
}

fn plan(volumes: usize, operation: Value) -> Plan {
    let operation: Operation = serde_json::from_value(operation).unwrap();
    compile::backup(&site(volumes.max(1)), Path::new("/srv/site"), &"documents".into(), &operation).unwrap()
}

fn protected(volumes: usize, usual_state: &str) -> Value {
    json!({
        "protect": { "filesystem": "data", "volumes": (0..volumes).map(name).collect::<Vec<_>>() },
        "backup_server": "backupserver",
        "usual_state": usual_state,
        "quiesce": { "mode": "online", "window": "10s" },
        "tape": { "library": "vault", "pool": "documents", "keep": "30d" }
    })
}

/// One volume, split, put on tape.
pub(super) fn quickstart() -> Plan {
    plan(1, protected(1, "split"))
}

/// Two volumes, paired, with hooks everywhere.
pub(super) fn hooked() -> Plan {
    let mut operation = protected(2, "paired");
    operation["hooks"] = json!({
        "before": [{ "argv": ["/usr/local/bin/prepare", "--all", "<documents & mail>"] }],
        "before_quiesce": [{ "argv": ["sync"], "host": "third" }],
        "in_window": [{ "argv": ["psql", "-c", "select pg_backup_start('x')"] }, { "argv": ["logger"], "on": "failure" }],
        "after_thaw": [{ "argv": ["systemctl", "start", "mail"], "on": "always" }],
        "after": [{ "argv": ["logger", "done"] }, { "argv": ["mail", "-s", "failed", "root"], "on": "failure" }]
    });
    plan(2, operation)
}

/// Eleven volumes, paired: sixty-five steps.
pub(super) fn large() -> Plan {
    plan(11, protected(11, "paired"))
}

/// Explicit steps, each a command, with these needs: numbers of earlier steps.
pub(super) fn commands(needs: &[Vec<usize>]) -> Plan {
    let hosts = ["fileserver", "backupserver", "third"];
    let step = |(n, needs): (usize, &Vec<usize>)| {
        let needs: Vec<String> = needs.iter().map(|n| format!("s{n:03}")).collect();
        let step = json!({ "command": { "argv": ["true"] }, "host": hosts[n * 7 % 5 % 3], "needs": needs });
        (format!("s{n:03}"), step)
    };
    let steps: serde_json::Map<String, Value> = needs.iter().enumerate().map(step).collect();
    plan(1, json!({ "steps": steps }))
}

/// One step whose every word is odd.
pub(super) fn odd() -> Plan {
    let argv = ["<b>\"x\" & 'y'</b>", "a\\b\n#c;`d`", "\u{1b}[31m\u{fffe}", "文書 é"];
    plan(1, json!({ "steps": { "a<\"&\\#>": { "command": { "argv": argv }, "host": "third" } } }))
}

/// All of them.
pub(super) fn all() -> Vec<(&'static str, Plan)> {
    vec![
        ("quickstart", quickstart()),
        ("hooked", hooked()),
        ("large", large()),
        ("odd", odd()),
        (
            "chain",
            commands(&(0..60_usize).map(|n| n.checked_sub(1).into_iter().collect()).collect::<Vec<_>>()),
        ),
    ]
}
