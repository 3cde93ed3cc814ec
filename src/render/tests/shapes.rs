//! The layout.

use std::collections::HashSet;

use crate::render::{
    graph::lines,
    layout::{BOX_HEIGHT, BOX_WIDTH, Frame, Layout, ROW_GAP, layout},
    routes::Route,
};

use super::plans;

/// Graphs of a simple generator of pseudo-random numbers: the same each time.
fn graphs() -> Vec<Vec<Vec<usize>>> {
    let mut state = 0x9E37_79B9_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..60)
        .map(|_| {
            let count = 1 + next(40);
            (0..count).map(|n| (0..next(4)).filter(|_| n > 0).map(|_| next(n.max(1))).collect()).collect()
        })
        .collect()
}

fn crosses(frame: &Frame, from: (usize, usize), to: (usize, usize)) -> bool {
    let (left, right) = (from.0.min(to.0), from.0.max(to.0));
    let (upper, lower) = (from.1.min(to.1), from.1.max(to.1));
    left < frame.x + frame.width && right > frame.x && upper < frame.y + frame.height && lower > frame.y
}

fn check(name: &str, layout: &Layout) {
    for (at, one) in layout.boxes.iter().enumerate() {
        let lane = &layout.lanes[one.lane];
        assert!(
            one.x > lane.x && one.x + BOX_WIDTH < lane.x + lane.width,
            "{name}: box {at} leaves its lane"
        );
        assert!(one.y + BOX_HEIGHT < layout.height, "{name}: box {at} leaves the drawing");
        for other in &layout.boxes[at + 1..] {
            let apart = one.x.abs_diff(other.x) >= BOX_WIDTH || one.y.abs_diff(other.y) >= BOX_HEIGHT;
            assert!(apart, "{name}: boxes lie on each other");
        }
    }
    for (at, one) in layout.frames.iter().enumerate() {
        let lane = &layout.lanes[one.lane];
        assert!(one.x > lane.x && one.x + one.width < lane.x + lane.width, "{name}: a frame leaves its lane");
        for other in &layout.frames[at + 1..] {
            let beside = one.x + one.width <= other.x || other.x + other.width <= one.x;
            let below = one.y + one.height <= other.y || other.y + other.height <= one.y;
            assert!(beside || below, "{name}: frames lie on each other");
        }
    }
    for pair in layout.lanes.windows(2) {
        assert!(pair[0].x + pair[0].width < pair[1].x, "{name}: lanes lie on each other");
    }
    for route in &layout.routes {
        match route {
            Route::Curve { from, bend, to } => {
                let end = (from.0, *bend);
                let hit = layout.frames.iter().any(|frame| crosses(frame, *from, end));
                assert!(
                    !hit && from.1 <= *bend && *bend + ROW_GAP == to.1,
                    "{name}: a curve leaves its space"
                );
            }
            Route::Track { points, .. } => {
                for pair in points.windows(2) {
                    let hit = layout.frames.iter().any(|frame| crosses(frame, pair[0], pair[1]));
                    assert!(!hit, "{name}: a line crosses a box between {:?} and {:?}", pair[0], pair[1]);
                    assert!(
                        pair.iter().all(|point| point.0 < layout.width),
                        "{name}: a line leaves the drawing"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_lies_on_anything_else() {
    for (name, plan) in plans::all() {
        check(name, &layout(&plan));
    }
    for (number, needs) in graphs().iter().enumerate() {
        check(&format!("graph {number}"), &layout(&plans::commands(needs)));
    }
}

/// Every pair of steps of which one comes before the other, by way of these edges.
fn reached(edges: &[(usize, usize)], count: usize) -> HashSet<(usize, usize)> {
    let mut reached = HashSet::new();
    for start in 0..count {
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for (_, to) in edges.iter().filter(|(from, _)| *from == at) {
                if reached.insert((start, *to)) {
                    open.push(*to);
                }
            }
        }
    }
    reached
}

#[test]
fn edges_left_out_follow_from_others_and_none_that_is_left_does() {
    for needs in graphs() {
        let plan = plans::commands(&needs);
        let whole: Vec<(usize, usize)> = plan
            .graph()
            .raw_edges()
            .iter()
            .map(|edge| (edge.source().index(), edge.target().index()))
            .collect();
        let drawn: Vec<(usize, usize)> = lines(&plan).iter().map(|line| (line.from, line.to)).collect();
        let all = reached(&whole, needs.len());
        assert_eq!(reached(&drawn, needs.len()), all);
        for (from, to) in &drawn {
            let other = drawn.iter().any(|(middle, end)| end == to && all.contains(&(*from, *middle)));
            assert!(!other, "{from} -> {to} follows from others");
        }
    }
}

#[test]
fn a_large_plan_is_drawn_too() {
    let chain = |n: usize| n.checked_sub(1).into_iter().collect::<Vec<_>>();
    let drawing = layout(&plans::commands(&(0..10_000).map(chain).collect::<Vec<_>>()));
    assert_eq!((drawing.boxes.len(), drawing.routes.len()), (10_000, 9_999));
    // So many edges that follow from others that they are not looked for: each has a track.
    let all_after_the_first = |n: usize| chain(n).into_iter().chain((n > 1).then_some(0)).collect::<Vec<_>>();
    let drawing = layout(&plans::commands(&(0..2_001).map(all_after_the_first).collect::<Vec<_>>()));
    assert_eq!(drawing.routes.len(), 2_000 + 1_999);
}
