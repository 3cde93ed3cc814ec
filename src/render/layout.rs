//! Where the boxes of a drawing go: a lane for each host, a row for each layer of the graph.

use std::collections::BTreeMap;

use resplit_operations::plan::Plan;

use super::{
    blocks::{Block, blocks},
    graph::{Line, hosts},
    routes::{self, Route},
};

/// The width of a box.
pub(super) const BOX_WIDTH: usize = 196;
/// Its height.
pub(super) const BOX_HEIGHT: usize = 42;
/// The space between rows.
pub(super) const ROW_GAP: usize = 36;
/// Where the first row begins: below the title and the names of the hosts.
const TOP: usize = 84;
/// The space around everything, and between lanes.
const MARGIN: usize = 14;
/// The space between blocks beside each other.
const COLUMN_GAP: usize = 18;
/// The space between boxes in a frame.
const INNER_GAP: usize = 8;
/// The most boxes beside each other in a frame.
const MOST_ACROSS: usize = 3;
/// The space beside the boxes of a lane; a window is named there.
pub(super) const LANE_SIDE: usize = 26;

/// A drawing. All in pixels.
pub(super) struct Layout {
    /// One for each host.
    pub(super) lanes: Vec<Lane>,
    /// One for each step, in topological order.
    pub(super) boxes: Vec<Place>,
    /// What lines end at: boxes that stand alone, and frames.
    pub(super) frames: Vec<Frame>,
    /// The lines, with the points that they pass.
    pub(super) routes: Vec<Route>,
    /// Its width.
    pub(super) width: usize,
    /// Its height.
    pub(super) height: usize,
}

/// The lane of a host.
pub(super) struct Lane {
    /// The host.
    pub(super) host: String,
    /// Its left edge.
    pub(super) x: usize,
    /// Its width.
    pub(super) width: usize,
}

/// The place of a box.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Its lane.
    pub(super) lane: usize,
    /// Its left edge.
    pub(super) x: usize,
    /// Its upper edge.
    pub(super) y: usize,
}

/// The place of a block.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Its row.
    pub(super) row: usize,
    /// Its lane.
    pub(super) lane: usize,
    /// Its left edge.
    pub(super) x: usize,
    /// Its width.
    pub(super) width: usize,
    /// Its upper edge.
    pub(super) y: usize,
    /// Its height.
    pub(super) height: usize,
    /// How many boxes are in it; it is drawn if there are several.
    pub(super) boxes: usize,
}

/// The upper and the lower edge of each row.
pub(super) type Rows = Vec<(usize, usize)>;

/// Lays a plan out.
pub(super) fn layout(plan: &Plan) -> Layout {
    let (blocks, edges) = blocks(plan);
    let hosts = hosts(plan);
    let rows = rows(&blocks);
    let mut frames = frames(&blocks, &edges, &rows, hosts.len());
    let tracks = routes::tracks(&edges, &frames);
    let mut lanes: Vec<Lane> = Vec::with_capacity(hosts.len());
    let mut left = MARGIN;
    for (number, host) in hosts.iter().enumerate() {
        let boxes = frames.iter().filter(|frame| frame.lane == number).map(|frame| frame.x + frame.width);
        let passing = edges.iter().zip(&tracks).filter(|(line, _)| frames[line.to].lane == number);
        let most = boxes.chain(passing.filter_map(|(_, track)| *track)).max().unwrap_or_default();
        let width = most + LANE_SIDE;
        lanes.push(Lane { host: host.to_string(), x: left, width });
        left += width + MARGIN;
    }
    for frame in &mut frames {
        frame.x += lanes[frame.lane].x;
    }
    let mut boxes: Vec<(usize, Place)> = Vec::new();
    for (block, frame) in blocks.iter().zip(&frames) {
        boxes.extend(block.steps.iter().enumerate().map(|(at, step)| (*step, inside(*frame, at))));
    }
    boxes.sort_unstable_by_key(|(step, _)| *step);
    let tracks: Vec<Option<usize>> =
        edges.iter().zip(tracks).map(|(line, track)| Some(track? + lanes[frames[line.to].lane].x)).collect();
    let routes = routes::routes(&edges, &frames, &rows, &tracks);
    let height = rows.last().map_or(TOP, |(_, lower)| *lower) + ROW_GAP + MARGIN;
    let boxes = boxes.into_iter().map(|(_, place)| place).collect();
    Layout { lanes, boxes, frames, routes, width: left, height }
}

/// The size of a block: its boxes in as many rows as they take.
fn size(boxes: usize) -> (usize, usize) {
    let across = boxes.min(MOST_ACROSS);
    let down = boxes.div_ceil(MOST_ACROSS);
    let around = if boxes > 1 { INNER_GAP } else { 0 };
    let side = |count: usize, length: usize| count * (length + INNER_GAP) - INNER_GAP + 2 * around;
    (side(across, BOX_WIDTH), side(down, BOX_HEIGHT))
}

/// The place of one box in a block.
fn inside(frame: Frame, at: usize) -> Place {
    let around = if frame.boxes > 1 { INNER_GAP } else { 0 };
    let (column, row) = (at % MOST_ACROSS, at / MOST_ACROSS);
    Place {
        lane: frame.lane,
        x: frame.x + around + column * (BOX_WIDTH + INNER_GAP),
        y: frame.y + around + row * (BOX_HEIGHT + INNER_GAP),
    }
}

fn rows(blocks: &[Block]) -> Rows {
    let count = blocks.iter().map(|block| block.row + 1).max().unwrap_or_default();
    let mut heights = vec![BOX_HEIGHT; count];
    for block in blocks {
        heights[block.row] = heights[block.row].max(size(block.steps.len()).1);
    }
    let mut upper = TOP;
    let mut rows = Vec::with_capacity(count);
    for height in heights {
        rows.push((upper, upper + height));
        upper += height + ROW_GAP;
    }
    rows
}

/// The blocks in their lanes, each row in the middle of its lane, and in it each block near those that it comes after.
/// Left edges are counted from that of the lane.
fn frames(blocks: &[Block], lines: &[Line], rows: &Rows, hosts: usize) -> Vec<Frame> {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for line in lines {
        before[line.to].push(line.from);
    }
    let mut in_rows: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (at, block) in blocks.iter().enumerate() {
        in_rows.entry((block.row, block.lane)).or_default().push(at);
    }
    let width = |row: &Vec<usize>| {
        row.iter().map(|&at| size(blocks[at].steps.len()).0 + COLUMN_GAP).sum::<usize>() - COLUMN_GAP
    };
    let mut widest = vec![BOX_WIDTH; hosts];
    for ((_, lane), row) in &in_rows {
        widest[*lane] = widest[*lane].max(width(row));
    }
    let mut frames: Vec<Frame> = blocks
        .iter()
        .map(|block| {
            let (width, height) = size(block.steps.len());
            let (y, boxes) = (rows[block.row].0, block.steps.len());
            Frame { row: block.row, lane: block.lane, x: 0, width, y, height, boxes }
        })
        .collect();
    for ((_, lane), mut row) in in_rows {
        // The mean place of what a block comes after; blocks of one mean stay as they are.
        let place = |frame: &Frame| frame.lane * 100_000 + frame.x + frame.width / 2;
        row.sort_by_key(|&at| {
            let places: usize = before[at].iter().map(|&need| place(&frames[need])).sum();
            places / before[at].len().max(1)
        });
        let mut x = LANE_SIDE + (widest[lane] - width(&row)) / 2;
        for at in row {
            frames[at].x = x;
            x += frames[at].width + COLUMN_GAP;
        }
    }
    frames
}
