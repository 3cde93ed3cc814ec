//! A plan as a drawing.

use std::fmt::Write;

use resplit_operations::{
    operation::On,
    plan::{Plan, PlanStep},
};

use super::{
    graph::{detail, title, windows},
    layout::{BOX_HEIGHT, BOX_WIDTH, Layout, Place, ROW_GAP, layout},
    routes::Route,
};

/// Fill and border of the boxes of each host in turn: pale and dark enough for black text on them, whatever is behind.
const COLOURS: [(&str, &str); 6] = [
    ("#dbe9f6", "#4a7fb0"),
    ("#e0f0dc", "#5d9a52"),
    ("#f6e6d3", "#b5803d"),
    ("#ebdff2", "#8a63a6"),
    ("#f7dfe2", "#b3606c"),
    ("#ddeeee", "#4c9090"),
];
/// What stands on the background, and reads on a light one and on a dark one.
const NEUTRAL: &str = "#808790";
/// The tint of a window.
const WINDOW: &str = "#d18a00";

/// A plan as SVG: hosts as lanes, time downwards, the window marked, dashed lines to the steps that undo.
pub(crate) fn svg(plan: &Plan) -> String {
    let layout = layout(plan);
    let (width, height) = (layout.width.max(420), layout.height);
    // Writing to a string cannot fail, here and below.
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" role=\"img\">\n<title>{title}</title>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{NEUTRAL}\"/></marker></defs>\n\
         <text x=\"14\" y=\"26\" font-size=\"16\" font-weight=\"600\" fill=\"{NEUTRAL}\">{title}</text>\n",
        title = escaped(&title(plan)),
    );
    lanes(&mut text, &layout);
    for (open, close, budget) in windows(plan) {
        window(&mut text, &layout, layout.boxes[open], layout.boxes[close], &budget);
    }
    frames(&mut text, &layout);
    for route in &layout.routes {
        line(&mut text, route);
    }
    for (step, place) in plan.steps().into_iter().zip(&layout.boxes) {
        step_box(&mut text, step, *place);
    }
    if layout.routes.iter().any(|route| matches!(route, Route::Track { finally: true, .. })) {
        let _ = writeln!(
            text,
            "<text x=\"14\" y=\"{}\" font-size=\"11\" fill=\"{NEUTRAL}\">dashed: runs whatever happens, once the step \
             above has begun</text>",
            height - 14
        );
    }
    text.push_str("</svg>\n");
    text
}

fn lanes(text: &mut String, layout: &Layout) {
    let height = layout.height - 40 - 30;
    for (number, lane) in layout.lanes.iter().enumerate() {
        let (x, width) = (lane.x, lane.width);
        let (_, border) = COLOURS[number % COLOURS.len()];
        let _ = write!(
            text,
            "<rect x=\"{x}\" y=\"40\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{NEUTRAL}\" \
             fill-opacity=\"0.09\"/>\n<text x=\"{}\" y=\"61\" font-size=\"13\" font-weight=\"600\" fill=\"{border}\">\
             {}</text>\n",
            x + 12,
            escaped(&shortened(&lane.host, width / 8)),
        );
    }
}

/// The band behind the steps from quiesce to thaw, with its budget along its left side.
fn window(text: &mut String, layout: &Layout, open: Place, close: Place, budget: &str) {
    let lane = &layout.lanes[open.lane];
    let (x, y) = (lane.x + 4, open.y - 12);
    let height = (close.y + BOX_HEIGHT + 12).saturating_sub(y);
    let middle = y + height / 2;
    let _ = write!(
        text,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{height}\" rx=\"6\" fill=\"{WINDOW}\" fill-opacity=\"0.16\" \
         stroke=\"{WINDOW}\" stroke-opacity=\"0.6\"/>\n<text transform=\"translate({} {middle}) rotate(-90)\" \
         text-anchor=\"middle\" font-size=\"11\" fill=\"{WINDOW}\">{}</text>\n",
        lane.width - 8,
        x + 14,
        escaped(budget),
    );
}

/// A frame around steps that have their lines in common.
fn frames(text: &mut String, layout: &Layout) {
    for frame in layout.frames.iter().filter(|frame| frame.boxes > 1) {
        let (_, border) = COLOURS[frame.lane % COLOURS.len()];
        let _ = writeln!(
            text,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"9\" fill=\"{border}\" fill-opacity=\"0.16\" \
             stroke=\"{border}\" stroke-opacity=\"0.7\"/>",
            frame.x, frame.y, frame.width, frame.height
        );
    }
}

fn line(text: &mut String, route: &Route) {
    let (path, dashes) = match route {
        Route::Curve { from, bend, to } => {
            let (half, x, end) = (ROW_GAP / 2, from.0, to.1);
            let path = format!(
                "M{x} {}L{x} {bend}C{x} {} {} {} {} {end}",
                from.1,
                bend + half,
                to.0,
                end.saturating_sub(half),
                to.0
            );
            (path, false)
        }
        Route::Track { points, finally } => (rounded(points), *finally),
    };
    let dashes = if dashes { " stroke-dasharray=\"5 4\"" } else { "" };
    let _ = writeln!(
        text,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{NEUTRAL}\" stroke-width=\"1.4\"{dashes} marker-end=\"url(#arrow)\"/>"
    );
}

/// A line through points, each corner cut by a curve.
fn rounded(points: &[(usize, usize)]) -> String {
    /// The point this far before `corner`, on the way from `from`.
    fn near(corner: (usize, usize), from: (usize, usize)) -> (usize, usize) {
        let towards = |at: usize, other: usize| {
            if other > at { at + (other - at).min(6) } else { at - (at - other).min(6) }
        };
        (towards(corner.0, from.0), towards(corner.1, from.1))
    }
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| points.get(index));
        let _ = match (before, points.get(index + 1)) {
            (Some(before), Some(after)) => {
                let (enter, leave) = (near(*point, *before), near(*point, *after));
                write!(path, "L{} {}Q{} {} {} {}", enter.0, enter.1, point.0, point.1, leave.0, leave.1)
            }
            (None, _) => write!(path, "M{} {}", point.0, point.1),
            (Some(_), None) => write!(path, "L{} {}", point.0, point.1),
        };
    }
    path
}

fn step_box(text: &mut String, step: &PlanStep, place: Place) {
    let (fill, border) = COLOURS[place.lane % COLOURS.len()];
    let Place { x, y, .. } = place;
    let dashes = if step.on == On::Success { "" } else { " stroke-dasharray=\"4 3\"" };
    let detail = detail(step);
    let id_size = if step.id.as_str().chars().count() > 21 { 11 } else { 13 };
    let (middle, id_y) = (x + BOX_WIDTH / 2, y + if detail.is_empty() { 26 } else { 18 });
    let _ = write!(
        text,
        "<g><title>{} on {}{}{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\" \
         fill=\"{fill}\" stroke=\"{border}\"{dashes}/><text x=\"{middle}\" y=\"{id_y}\" text-anchor=\"middle\" \
         font-size=\"{id_size}\" font-weight=\"600\" fill=\"#1c2026\">{}</text>",
        escaped(step.id.as_str()),
        escaped(step.host.as_str()),
        if detail.is_empty() { "" } else { ": " },
        escaped(&detail),
        escaped(&shortened(step.id.as_str(), 26)),
    );
    if !detail.is_empty() {
        let _ = write!(
            text,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#3c434c\">{}</text>",
            y + 33,
            escaped(&shortened(&detail, 29)),
        );
    }
    text.push_str("</g>\n");
}

/// At most so many characters, the middle left out if there are more: names tend to differ at their ends.
fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let (head, tail) = (most / 2, most - most / 2 - 1);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// Text as XML has it; characters that XML cannot have are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
