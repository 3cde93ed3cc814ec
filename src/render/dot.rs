//! A plan for Graphviz.

use std::fmt::Write;

use resplit_operations::plan::Plan;

use super::graph::{detail, hosts, lines, title, windows};

/// A plan in the language of Graphviz: a cluster for each host, dashed edges to the steps that undo.
pub(crate) fn dot(plan: &Plan) -> String {
    let mut text = format!("digraph {} {{\n", quoted(plan.operation.as_str()));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "  label={}; labelloc=t; fontname=\"sans-serif\";", quoted(&title(plan)));
    // Ranks across clusters, so that time runs downwards whatever host a step is on.
    text.push_str("  newrank=true;\n");
    text.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    text.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    let windows = windows(plan);
    for (number, host) in hosts(plan).into_iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(host.as_str()));
        for (at, step) in plan.steps().into_iter().enumerate().filter(|(_, step)| step.host == *host) {
            let detail = detail(step);
            let separator = if detail.is_empty() { "" } else { "\n" };
            let label = quoted(&format!("{}{separator}{detail}", step.id));
            let ends_window = windows.iter().any(|(open, close, _)| at == *open || at == *close);
            let style = if ends_window { ", style=\"rounded,bold\"" } else { "" };
            let _ = writeln!(text, "    {} [label={label}{style}];", quoted(step.id.as_str()));
        }
        text.push_str("  }\n");
    }
    let steps = plan.steps();
    for line in lines(plan) {
        let (from, to) = (quoted(steps[line.from].id.as_str()), quoted(steps[line.to].id.as_str()));
        let style = if line.finally { " [style=dashed, label=finally]" } else { "" };
        let _ = writeln!(text, "  {from} -> {to}{style};");
    }
    text.push_str("}\n");
    text
}

/// A string of that language. A backslash would begin one of its escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other if other.is_control() => quoted.push('\u{fffd}'),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
