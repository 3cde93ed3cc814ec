//! Where the boxes and lines of a drawing go: a lane for each host, a row for each layer of the graph. Lines between rows
//! that follow each other cross the space between them; longer ones run down a track beside their lane, so that no line
//! ever crosses a box.

use std::collections::BTreeMap;

use resplit_operations::plan::Plan;

use super::graph::{Line, hosts, lines};

/// The width of a box.
pub(super) const BOX_WIDTH: usize = 176;
/// Its height.
pub(super) const BOX_HEIGHT: usize = 42;
/// The space between rows.
pub(super) const ROW_GAP: usize = 36;
/// Where the first row begins: below the title and the names of the hosts.
const TOP: usize = 84;
/// The space around everything, and between lanes.
const MARGIN: usize = 14;
const COLUMN_GAP: usize = 18;
/// The space beside the boxes of a lane; a window is named there.
const LANE_SIDE: usize = 26;
const TRACK_WIDTH: usize = 12;
/// How far from the middle of a box long lines leave and enter it.
const PORT: usize = 48;

/// A drawing. All in pixels.
pub(super) struct Layout {
    /// One for each host.
    pub(super) lanes: Vec<Lane>,
    /// One for each step, in topological order.
    pub(super) boxes: Vec<Place>,
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

/// A line on paper.
pub(super) enum Route {
    /// Across the space between two rows.
    Curve {
        /// Where it begins.
        from: (usize, usize),
        /// Where it ends.
        to: (usize, usize),
        /// Whether it ends in an arrow.
        arrow: bool,
    },
    /// Along a track: the corners.
    Track {
        /// The points.
        points: Vec<(usize, usize)>,
        /// Whether it leads to a step that undoes.
        finally: bool,
    },
}

/// A step's row, lane and column.
struct Cell {
    row: usize,
    lane: usize,
    column: usize,
}

/// Lays a plan out.
pub(super) fn layout(plan: &Plan) -> Layout {
    let lines = lines(plan);
    let hosts = hosts(plan);
    let cells = cells(plan, &lines, &hosts);
    let tracks = tracks(&lines, &cells, hosts.len());
    let mut in_row: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for cell in &cells {
        *in_row.entry((cell.lane, cell.row)).or_default() += 1;
    }
    let across = |boxes: usize| boxes * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP.min(boxes * COLUMN_GAP);
    let mut lanes: Vec<Lane> = Vec::with_capacity(hosts.len());
    let mut x = MARGIN;
    for (lane, host) in hosts.iter().enumerate() {
        let most = in_row.range((lane, 0)..=(lane, usize::MAX)).map(|(_, count)| *count).max().unwrap_or(1);
        let width = across(most) + 2 * LANE_SIDE + tracks.count[lane] * TRACK_WIDTH;
        lanes.push(Lane { host: host.to_string(), x, width });
        x += width + MARGIN;
    }
    let place = |cell: &Cell| {
        let (lane, count) = (&lanes[cell.lane], in_row[&(cell.lane, cell.row)]);
        let boxes_end = lane.width - LANE_SIDE - tracks.count[cell.lane] * TRACK_WIDTH;
        let spare = (boxes_end - LANE_SIDE - across(count)) / 2;
        let x = lane.x + LANE_SIDE + spare + cell.column * (BOX_WIDTH + COLUMN_GAP);
        Place { lane: cell.lane, x, y: TOP + cell.row * (BOX_HEIGHT + ROW_GAP) }
    };
    let boxes: Vec<Place> = cells.iter().map(place).collect();
    let track_x = |lane: usize, track: usize| {
        lanes[lane].x + lanes[lane].width - LANE_SIDE - (tracks.count[lane] - track) * TRACK_WIDTH
            + LANE_SIDE / 2
    };
    let mut routes = joined(&lines, &cells, &boxes);
    for (line, track) in lines.iter().zip(&tracks.of) {
        if let Some(track) = track {
            let lane = cells[line.to].lane;
            routes.push(along(boxes[line.from], boxes[line.to], track_x(lane, *track), *track, line.finally));
        }
    }
    let rows = cells.iter().map(|cell| cell.row + 1).max().unwrap_or_default();
    Layout { lanes, boxes, routes, width: x, height: TOP + rows * (BOX_HEIGHT + ROW_GAP) + MARGIN }
}

/// Rows by the longest path; columns so that a step stands near those that it needs.
fn cells(plan: &Plan, lines: &[Line], hosts: &[&resplit_operations::ids::HostId]) -> Vec<Cell> {
    let steps = plan.steps();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for line in lines {
        before[line.to].push(line.from);
    }
    let mut cells: Vec<Cell> = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let row = before[at].iter().map(|&need| cells[need].row + 1).max().unwrap_or_default();
        let lane = hosts.iter().position(|host| **host == step.host).unwrap_or_default();
        cells.push(Cell { row, lane, column: 0 });
    }
    let mut rows: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate() {
        rows.entry((cell.row, cell.lane)).or_default().push(at);
    }
    for mut row in rows.into_values() {
        // The mean column of what a step needs, in hundredths; steps without needs, and equals, stay as they are.
        row.sort_by_key(|&at| {
            let columns: usize =
                before[at].iter().map(|&need| cells[need].lane * 100 + cells[need].column).sum();
            columns * 100 / before[at].len().max(1)
        });
        for (column, at) in row.into_iter().enumerate() {
            cells[at].column = column;
        }
    }
    cells
}

/// Which track each line takes, if it needs one, and how many each lane has.
struct Tracks {
    of: Vec<Option<usize>>,
    count: Vec<usize>,
}

/// A line that passes rows takes the first track of its lane on which nothing else passes them.
fn tracks(lines: &[Line], cells: &[Cell], lanes: usize) -> Tracks {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&at| (cells[lines[at].from].row, cells[lines[at].to].row));
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); lanes];
    let mut of = vec![None; lines.len()];
    for at in order {
        let (from, to) = (&cells[lines[at].from], &cells[lines[at].to]);
        if to.row <= from.row + 1 {
            continue;
        }
        let free = taken[to.lane].iter().position(|until| *until <= from.row);
        let track = free.unwrap_or(taken[to.lane].len());
        if free.is_none() {
            taken[to.lane].push(0);
        }
        taken[to.lane][track] = to.row;
        of[at] = Some(track);
    }
    Tracks { of, count: taken.iter().map(Vec::len).collect() }
}

fn bottom(place: Place) -> (usize, usize) {
    (place.x + BOX_WIDTH / 2, place.y + BOX_HEIGHT)
}

fn top(place: Place) -> (usize, usize) {
    (place.x + BOX_WIDTH / 2, place.y)
}

/// The lines between rows that follow each other. Where several steps need the same several others, the lines meet in one
/// point instead of crossing each other.
fn joined(lines: &[Line], cells: &[Cell], boxes: &[Place]) -> Vec<Route> {
    let mut needs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for line in lines.iter().filter(|line| cells[line.to].row == cells[line.from].row + 1) {
        needs.entry(line.to).or_default().push(line.from);
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (to, mut from) in needs {
        from.sort_unstable();
        groups.entry(from).or_default().push(to);
    }
    let mut routes = Vec::new();
    for (from, to) in groups {
        if from.len() < 2 || to.len() < 2 {
            let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
            routes.extend(pairs.map(|(from, to)| Route::Curve {
                from: bottom(boxes[from]),
                to: top(boxes[to]),
                arrow: true,
            }));
            continue;
        }
        let ends = from.iter().map(|&at| bottom(boxes[at]).0).chain(to.iter().map(|&at| top(boxes[at]).0));
        let x = ends.sum::<usize>() / (from.len() + to.len());
        let join = (x, boxes[to[0]].y - ROW_GAP / 2);
        routes.extend(from.iter().map(|&at| Route::Curve {
            from: bottom(boxes[at]),
            to: join,
            arrow: false,
        }));
        routes.extend(to.iter().map(|&at| Route::Curve { from: join, to: top(boxes[at]), arrow: true }));
    }
    routes
}

/// A line along a track. Tracks turn at heights of their own, so that lines lie beside each other.
fn along(from: Place, to: Place, track: usize, number: usize, finally: bool) -> Route {
    let bend = 7 + number % 4 * 4;
    let (leave, enter) = (from.x + BOX_WIDTH / 2 + PORT, to.x + BOX_WIDTH / 2 + PORT);
    let (below, above) = (from.y + BOX_HEIGHT + bend, to.y - ROW_GAP + bend);
    let points = vec![
        (leave, from.y + BOX_HEIGHT),
        (leave, below),
        (track, below),
        (track, above),
        (enter, above),
        (enter, to.y),
    ];
    Route::Track { points, finally }
}
