//! What QEMU says of a disk, and what it is told to do.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use resplit_operations::{pair::PairRef, site::QemuDisk};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{qmp::Session, state::Names};
use crate::failure::Failure;

/// The unit of bitmaps, in bytes.
pub(super) const BLOCK: u64 = 65_536;
/// How long a job may take to end once it was told to.
const ENDING: Duration = Duration::from_secs(60);

/// A short session with the QEMU of a pair's primary.
pub(super) struct Daemon<'a> {
    session: Session,
    disk: &'a QemuDisk,
    pub(super) names: Names,
}

/// A node of QEMU's block graph.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Node {
    #[serde(default)]
    node_name: String,
    drv: String,
    #[serde(default)]
    file: String,
    image: Image,
    #[serde(default)]
    dirty_bitmaps: Vec<Bitmap>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    virtual_size: u64,
    #[serde(default)]
    actual_size: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Bitmap {
    name: String,
    count: u64,
    recording: bool,
    inconsistent: bool,
}

/// A job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Job {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) current_progress: u64,
    pub(super) total_progress: u64,
    #[serde(default)]
    pub(super) error: Option<String>,
}

impl Job {
    pub(super) fn is_over(&self) -> bool {
        self.status == "concluded"
    }

    pub(super) fn is_mirror(&self) -> bool {
        self.kind == "mirror"
    }
}

impl Node {
    /// Bytes that the disk has.
    pub(super) fn size(&self) -> u64 {
        self.image.virtual_size
    }

    /// Bytes that it takes where it is kept; all of them, if that is not known.
    pub(super) fn allocated(&self) -> u64 {
        self.image.actual_size.unwrap_or(self.image.virtual_size)
    }

    /// What a bitmap counts, in bytes; `None` if it is not there, or has missed anything.
    pub(super) fn written(&self, bitmap: &str) -> Option<u64> {
        let found = self.dirty_bitmaps.iter().find(|found| found.name == bitmap)?;
        (found.recording && !found.inconsistent).then_some(found.count)
    }

    /// Whether bitmaps are kept with the disk when QEMU ends.
    fn keeps_bitmaps(&self) -> bool {
        self.drv == "qcow2"
    }

    /// Whether it is kept in this file, or may be: how a graph of several nodes is written, is not read.
    fn is_of(&self, path: &Path) -> bool {
        let place = Path::new(&self.file);
        if !place.is_absolute() {
            return self.file.contains(':') || place.file_name() == path.file_name();
        }
        match (place.metadata(), path.metadata()) {
            (Ok(one), Ok(other)) => {
                (one.dev(), one.ino()) == (other.dev(), other.ino())
                    || one.rdev() != 0 && one.rdev() == other.rdev()
            }
            _ => false,
        }
    }
}

/// The disk that the site names.
pub(super) fn disk_of(pair: &PairRef) -> Result<&QemuDisk, Failure> {
    pair.qemu.as_ref().ok_or_else(|| {
        Failure::refused(format!("volume '{}' does not say which disk of QEMU it is", pair.volume))
            .with_help("add `qemu: { socket: ..., node: ... }` to the volume in the site file")
    })
}

impl<'a> Daemon<'a> {
    /// Begins a session; `None` if that QEMU is gone.
    pub(super) fn find(pair: &'a PairRef) -> Result<Option<Self>, Failure> {
        let disk = disk_of(pair)?;
        let session = Session::begin(&disk.socket)?;
        Ok(session.map(|session| Self { session, disk, names: Names::of(pair) }))
    }

    /// Begins a session.
    ///
    /// # Errors
    /// A refusal if nobody listens.
    pub(super) fn of(pair: &'a PairRef) -> Result<Self, Failure> {
        let socket = disk_of(pair)?.socket.display();
        Self::find(pair)?.ok_or_else(|| {
            Failure::refused(format!(
                "no QEMU listens at {socket}, so the disk of volume '{}' is not there",
                pair.volume
            ))
            .with_help("start it, with a QMP monitor on that socket, then run again")
        })
    }

    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, Failure> {
        self.session.ask(command, arguments)
    }

    fn list<T: DeserializeOwned>(&mut self, command: &str, arguments: &Value) -> Result<Vec<T>, Failure> {
        let answer = self.ask(command, arguments)?;
        serde_json::from_value(answer).map_err(|error| {
            let at = self.disk.socket.display();
            Failure::permanent(format!("the answer of QEMU at {at} to {command} cannot be read: {error}"))
        })
    }

    fn nodes(&mut self) -> Result<Vec<Node>, Failure> {
        self.list("query-named-block-nodes", &json!({ "flat": true }))
    }

    /// The primary.
    ///
    /// # Errors
    /// A refusal if QEMU has no such node, or it is another disk than the site says.
    pub(super) fn primary(&mut self, path: &Path) -> Result<Node, Failure> {
        let (socket, name) = (self.disk.socket.display(), &self.disk.node);
        let missing = Failure::refused(format!("QEMU at {socket} has no node '{name}'"))
            .with_help("correct 'node' in the site file: query-named-block-nodes lists them");
        let node = self.nodes()?.into_iter().find(|node| node.node_name == self.disk.node).ok_or(missing)?;
        if node.is_of(path) {
            return Ok(node);
        }
        let (socket, name) = (self.disk.socket.display(), &self.disk.node);
        Err(Failure::refused(format!(
            "node '{name}' of QEMU at {socket} is kept in {}, and the primary is {}",
            node.file,
            path.display()
        ))
        .with_help("correct 'path' or 'node' of the volume in the site file; nothing was changed"))
    }

    /// A pair's job.
    pub(super) fn job(&mut self, id: &str) -> Result<Option<Job>, Failure> {
        Ok(self.list::<Job>("query-jobs", &json!({}))?.into_iter().find(|job| job.id == id))
    }

    /// What uses the disk, as far as QEMU can say: its exports, and the devices of guests.
    pub(super) fn users(&mut self) -> Result<Vec<String>, Failure> {
        let is_disk = |value: Option<&Value>, node: &str| value.and_then(Value::as_str) == Some(node);
        let node = self.disk.node.clone();
        let mut users: Vec<String> = Vec::new();
        for export in self.list::<Value>("query-block-exports", &json!({}))? {
            if is_disk(export.get("node-name"), &node) {
                let field = |name: &str| export.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
                users.push(format!("export '{}' ({})", field("id"), field("type")));
            }
        }
        for device in self.list::<Value>("query-block", &json!({}))? {
            if is_disk(device.get("inserted").and_then(|inserted| inserted.get("node-name")), &node) {
                let name = device.get("qdev").or_else(|| device.get("device")).and_then(Value::as_str);
                users.push(format!("the guest's device '{}'", name.unwrap_or("?")));
            }
        }
        Ok(users)
    }

    /// Opens the copy.
    pub(super) fn open_copy(&mut self, copy: &Path, read_only: bool) -> Result<(), Failure> {
        let Some(copy) = copy.to_str() else {
            let text = format!("QEMU cannot be told a path that is not UTF-8: {}", copy.display());
            return Err(Failure::refused(text).with_help("rename the pair's directory"));
        };
        let node = self.names.copy();
        let arguments = json!({
            "driver": "file", "node-name": node, "filename": copy, "read-only": read_only, "discard": "unmap",
        });
        self.ask("blockdev-add", &arguments).map(drop)
    }

    /// Copies all of a node to another, and follows it until the job is told to end.
    pub(super) fn mirror(&mut self, pass: u64, is_back: bool, sync: &str) -> Result<(), Failure> {
        let (device, target) = self.ways(is_back);
        let mut arguments = json!({
            "job-id": self.names.job(pass), "device": device, "target": target, "sync": sync,
            "copy-mode": "write-blocking", "auto-dismiss": false,
        });
        self.pace(&mut arguments);
        self.ask("blockdev-mirror", &arguments).map(drop)
    }

    /// Where a job has what a bitmap names: the blocks written since, as they are when it begins, whatever is written
    /// meanwhile.
    pub(super) fn backup(&mut self, pass: u64, is_back: bool, bitmap: &str) -> Value {
        let (device, target) = self.ways(is_back);
        let mut arguments = json!({
            "job-id": self.names.job(pass), "device": device, "target": target, "sync": "bitmap",
            "bitmap": bitmap, "bitmap-mode": "never", "auto-dismiss": false,
        });
        self.pace(&mut arguments);
        arguments
    }

    fn ways(&self, is_back: bool) -> (String, String) {
        let (primary, copy) = (self.disk.node.clone(), self.names.copy());
        if is_back { (copy, primary) } else { (primary, copy) }
    }

    fn pace(&self, arguments: &mut Value) {
        if let Some(pace) = self.disk.pace {
            arguments["speed"] = pace.0.into();
        }
    }

    /// What begins a bitmap of the primary.
    pub(super) fn bitmap(&self, primary: &Node, pass: u64) -> Value {
        json!({
            "node": self.disk.node, "name": self.names.bitmap(pass), "granularity": BLOCK,
            "persistent": primary.keeps_bitmaps(),
        })
    }

    /// Begins a bitmap of the primary; one of this name that is there is of an attempt before.
    pub(super) fn begin_bitmap(&mut self, path: &Path, pass: u64) -> Result<(), Failure> {
        let primary = self.primary(path)?;
        let name = self.names.bitmap(pass);
        if primary.dirty_bitmaps.iter().any(|bitmap| bitmap.name == name) {
            let which = json!({ "node": self.disk.node, "name": name });
            let _ = self.ask("block-dirty-bitmap-remove", &which)?;
        }
        self.ask("block-dirty-bitmap-add", &self.bitmap(&primary, pass)).map(drop)
    }

    /// A bitmap of the copy with the bits of the primary's.
    pub(super) fn lend_bitmap(&mut self, name: &str) -> Result<(), Failure> {
        let copy = self.names.copy();
        let made = json!({ "node": copy, "name": name, "granularity": BLOCK, "disabled": true });
        let _ = self.ask("block-dirty-bitmap-add", &made)?;
        let merge =
            json!({ "node": copy, "target": name, "bitmaps": [{ "node": self.disk.node, "name": name }] });
        self.ask("block-dirty-bitmap-merge", &merge).map(drop)
    }

    /// Lets a mirror that has reached its end, and follows, end there.
    pub(super) fn end_mirror(&mut self, pass: u64) -> Result<(), Failure> {
        self.ask("block-job-cancel", &json!({ "device": self.names.job(pass) })).map(drop)
    }

    /// Ends and removes all that belongs to the pair, but the bitmap of one pass.
    pub(super) fn sweep(&mut self, keep: Option<u64>) -> Result<(), Failure> {
        let jobs = self.list::<Job>("query-jobs", &json!({}))?;
        for job in jobs {
            if self.names.are_of(&job.id) {
                self.end(&job.id)?;
            }
        }
        let keep = keep.map(|pass| self.names.bitmap(pass));
        for node in self.nodes()? {
            if self.names.are_of(&node.node_name) {
                let _ = self.ask("blockdev-del", &json!({ "node-name": node.node_name }))?;
            } else if node.node_name == self.disk.node {
                let ours =
                    |bitmap: &&Bitmap| self.names.are_of(&bitmap.name) && Some(&bitmap.name) != keep.as_ref();
                for bitmap in node.dirty_bitmaps.iter().filter(ours).cloned().collect::<Vec<_>>() {
                    let which = json!({ "node": self.disk.node, "name": bitmap.name });
                    let _ = self.ask("block-dirty-bitmap-remove", &which)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a job, waits for that, and forgets it.
    pub(super) fn end(&mut self, id: &str) -> Result<(), Failure> {
        let began = Instant::now();
        let mut is_told = false;
        while let Some(job) = self.job(id)? {
            if job.is_over() {
                return self.ask("job-dismiss", &json!({ "id": id })).map(drop);
            }
            if !is_told {
                // It may be over in this moment.
                let _ = self.ask("job-cancel", &json!({ "id": id }));
                is_told = true;
            }
            if began.elapsed() > ENDING {
                let at = self.disk.socket.display();
                return Err(Failure::temporary(format!(
                    "job '{id}' of QEMU at {at} does not end, it is {}",
                    job.status
                ))
                .with_help("look at it with query-jobs; then run again"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
