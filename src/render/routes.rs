//! Where the lines of a drawing go. Between rows that follow each other they cross the space between them; longer ones
//! run down a track beside the boxes that they pass, so that no line ever crosses a box.

use std::ops::Range;

use super::{
    graph::Line,
    layout::{Frame, ROW_GAP, Rows},
};

/// The least distance of tracks from each other and from boxes.
const TRACK_GAP: usize = 12;
/// How far from the middle of a box long lines leave and enter it.
const PORT: usize = 48;

/// A line on paper.
pub(super) enum Route {
    /// Across the space between two rows.
    Curve {
        /// Where it begins.
        from: (usize, usize),
        /// Where that row ends.
        bend: usize,
        /// Where it ends.
        to: (usize, usize),
    },
    /// Along a track: the corners.
    Track {
        /// The points.
        points: Vec<(usize, usize)>,
        /// Whether it leads to a step that undoes.
        finally: bool,
    },
}

fn middle(frame: Frame) -> usize {
    frame.x + frame.width / 2
}

/// The track of each line that passes rows: its distance from the left edge of the lane that it leads to. It is as near
/// as the boxes that it passes, and the tracks beside it, allow.
pub(super) fn tracks(lines: &[Line], frames: &[Frame]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&at| (frames[lines[at].to].row - frames[lines[at].from].row, at));
    // Of each lane the right end of the boxes in each row, and the tracks so far with the rows that they pass.
    let hosts = frames.iter().map(|frame| frame.lane + 1).max().unwrap_or_default();
    let rows = frames.iter().map(|frame| frame.row + 1).max().unwrap_or_default();
    let mut right = vec![vec![0; rows]; hosts];
    for frame in frames {
        let end = &mut right[frame.lane][frame.row];
        *end = (*end).max(frame.x + frame.width);
    }
    let mut passing: Vec<Vec<(Range<usize>, usize)>> = vec![Vec::new(); hosts];
    let mut tracks = vec![None; lines.len()];
    for at in order {
        let (from, to) = (frames[lines[at].from], frames[lines[at].to]);
        if to.row <= from.row + 1 {
            continue;
        }
        let passed = from.row + 1..to.row;
        let boxes = right[to.lane][passed.clone()].iter().copied().max().unwrap_or_default();
        let meets = |rows: &Range<usize>| rows.start < passed.end && passed.start < rows.end;
        let mut beside: Vec<usize> =
            passing[to.lane].iter().filter(|(rows, _)| meets(rows)).map(|(_, track)| *track).collect();
        beside.sort_unstable();
        let mut track = boxes.max(middle(to) + PORT) + TRACK_GAP;
        for other in beside {
            if other.abs_diff(track) < TRACK_GAP {
                track = other + TRACK_GAP;
            }
        }
        passing[to.lane].push((passed, track));
        tracks[at] = Some(track);
    }
    tracks
}

/// The lines, with the track of each that has one.
pub(super) fn routes(lines: &[Line], frames: &[Frame], rows: &Rows, tracks: &[Option<usize>]) -> Vec<Route> {
    let mut number = 0;
    let mut routes = Vec::with_capacity(lines.len());
    for (line, track) in lines.iter().zip(tracks) {
        let (from, to) = (frames[line.from], frames[line.to]);
        let start = from.y + from.height;
        let Some(track) = *track else {
            let bend = rows[from.row].1;
            routes.push(Route::Curve { from: (middle(from), start), bend, to: (middle(to), to.y) });
            continue;
        };
        // Lines turn at heights of their own, so that they lie beside each other.
        number += 1;
        let turn = 7 + number % 4 * 4;
        let (leave, enter) = (middle(from) + PORT, middle(to) + PORT);
        let (below, above) = (rows[from.row].1 + turn, to.y - ROW_GAP + turn);
        let points = vec![
            (leave, start),
            (leave, below),
            (track, below),
            (track, above),
            (enter, above),
            (enter, to.y),
        ];
        routes.push(Route::Track { points, finally: line.finally });
    }
    routes
}
