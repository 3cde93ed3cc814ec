//! The texts.

use crate::render::{dot, mermaid, svg};

use super::plans;

/// Panics unless all elements are closed in their order, and all that has to be is escaped.
fn is_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "{part}");
        let quotes = tag.bytes().filter(|byte| *byte == b'"').count();
        assert!(quotes.is_multiple_of(2), "{part}");
        for entity in part.split('&').skip(1) {
            let name = entity.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot"].contains(&name), "{part}");
        }
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{part}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(xml.chars().all(|c| c == '\n' || !c.is_control()));
}

/// With `RESPLIT_DRAWINGS=DIR` the drawings are written there, to be looked at.
#[test]
fn drawings_are_well_formed_and_name_every_step_and_host() {
    for (name, plan) in plans::all() {
        let drawing = svg(&plan);
        is_well_formed(&drawing);
        if let Some(directory) = std::env::var_os("RESPLIT_DRAWINGS") {
            let file = std::path::Path::new(&directory).join(name);
            std::fs::write(file.with_extension("svg"), &drawing).unwrap();
            std::fs::write(file.with_extension("dot"), dot(&plan)).unwrap();
            std::fs::write(file.with_extension("mmd"), mermaid(&plan)).unwrap();
        }
        if name != "odd" {
            for step in plan.steps() {
                let title = format!("<title>{} on {}", step.id, step.host);
                assert!(drawing.contains(&title), "{name}: {title}");
                assert!(dot(&plan).contains(&format!("\"{}\" [label=\"{}", step.id, step.id)));
                assert!(mermaid(&plan).contains(&format!("[\"{}", step.id)));
            }
        }
    }
}

#[test]
fn the_window_is_marked_and_steps_that_undo_are_dashed() {
    let plan = plans::quickstart();
    let drawing = svg(&plan);
    assert!(drawing.contains("window, at most 10s"));
    assert_eq!(drawing.matches("stroke-dasharray=\"5 4\"").count(), 2);
    let text = dot(&plan);
    assert!(text.contains("\"quiesce\" -> \"thaw\" [style=dashed, label=finally];"));
    assert!(text.contains("\"mount\" -> \"unmount\" [style=dashed, label=finally];"));
    assert!(!text.contains("\"split\" -> \"record\""), "it follows from split -> thaw -> record");
}

#[test]
fn odd_words_are_escaped_in_every_language() {
    let plan = plans::odd();
    let drawing = svg(&plan);
    assert!(drawing.contains("a&lt;&quot;&amp;\\#&gt;"));
    let expected = "digraph \"documents\" {
  label=\"documents: backup, 1 step on 1 host\"; labelloc=t; fontname=\"sans-serif\";
  newrank=true;
  node [shape=box, style=rounded, fontname=\"sans-serif\"];
  edge [fontname=\"sans-serif\", fontsize=10];
  subgraph cluster_0 {
    label=\"third\";
    \"a<\\\"&\\\\#>\" [label=\"a<\\\"&\\\\#>\\n<b>\\\"x\\\" & 'y'</b> a\\\\b\\n#c;`d` \u{fffd}[31m\u{fffe} 文書 é\"];
  }
}
";
    assert_eq!(dot(&plan), expected);
    let expected = "flowchart TD
  subgraph host0[\"third\"]
    s0[\"a#60;#34;#38;#92;#35;#62;<br/>#60;b#62;#34;x#34; #38; 'y'#60;/b#62; a#92;b #35;c#59;#96;d#96;  [31m\u{fffe} 文書 é\"]
  end
";
    assert_eq!(mermaid(&plan), expected);
}
