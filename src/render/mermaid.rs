//! A plan for Mermaid, which many viewers of Markdown draw.

use std::fmt::Write;

use resplit_operations::plan::Plan;

use super::graph::{detail, hosts, lines, windows};

/// A plan as a flowchart of Mermaid: a subgraph for each host, dotted edges to the steps that undo.
pub(crate) fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
    for (number, host) in hosts(plan).into_iter().enumerate() {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "  subgraph host{number}[{}]", quoted(host.as_str()));
        for (at, step) in plan.steps().into_iter().enumerate().filter(|(_, step)| step.host == *host) {
            let detail = detail(step);
            let mut label = escaped(step.id.as_str());
            if !detail.is_empty() {
                let _ = write!(label, "<br/>{}", escaped(&detail));
            }
            let _ = writeln!(text, "    s{at}[\"{label}\"]");
        }
        text.push_str("  end\n");
    }
    for line in lines(plan) {
        let arrow = if line.finally { "-. finally .->" } else { "-->" };
        let _ = writeln!(text, "  s{} {arrow} s{}", line.from, line.to);
    }
    for (open, close, _) in windows(plan) {
        let _ = writeln!(text, "  style s{open} stroke-width:3px\n  style s{close} stroke-width:3px");
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// What Mermaid would take for its own, or for HTML, as the character codes that it has for that.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '"' | '#' | '<' | '>' | '&' | '`' | ';' | '\\' => {
                let _ = write!(escaped, "#{};", u32::from(character));
            }
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
