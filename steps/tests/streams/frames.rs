//! Another host that says what it may not: it is refused, in words, and nothing outside of the copy is touched.

use std::{fs, io, sync::Arc, thread};

use resplit_operations::{
    pair::{PairRef, PairStatus, Tag},
    site::PairDriverKind,
};
use resplit_steps::drivers::stream::{Ask, Opening};
use serde_json::{Value, json};

use super::{
    loopback::{Loopback, apart},
    support::{Bed, FileSystem},
};

/// A frame as the protocol has it: kind, length, both once more, payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    head(kind, length).into_iter().chain(payload.iter().copied()).collect()
}

fn head(kind: u8, length: u32) -> Vec<u8> {
    let again = !length ^ (u32::from(kind) * 0x0101_0101);
    [&[kind][..], &length.to_le_bytes(), &again.to_le_bytes()].concat()
}

/// Frames, and the digest of them.
fn sealed(frames: &[Vec<u8>]) -> Vec<u8> {
    let all = frames.concat();
    let digest = blake3::hash(&all);
    [all, frame(4, digest.as_bytes())].concat()
}

fn say(said: &Value) -> Vec<u8> {
    sealed(&[frame(1, &serde_json::to_vec(said).unwrap())])
}

fn opening(pair: &PairRef, ask: Ask, token: u64) -> Vec<u8> {
    let tag = Tag("run/step/1".to_owned());
    let opening = Opening {
        kind: PairDriverKind::Directory,
        pair: pair.clone(),
        tag,
        token,
        ask,
        known: None,
        again: false,
    };
    say(&json!({ "say": "open", "opening": opening }))
}

/// Sends bytes, ends, and gives all that is answered.
fn converse(way: &Arc<Loopback>, sent: Vec<Vec<u8>>) -> Vec<u8> {
    let mut wire = way.open();
    let (mut incoming, close) = (wire.incoming, wire.close);
    let reader = thread::spawn(move || -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = incoming()? {
            all.extend(bytes);
        }
        Ok(all)
    });
    for bytes in sent {
        if (wire.outgoing)(bytes).is_err() {
            break;
        }
    }
    drop(wire.outgoing);
    let all = reader.join().unwrap().unwrap();
    close();
    all
}

/// The messages in what was answered.
fn messages(answered: &[u8]) -> Vec<Value> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(head) = answered.get(at..at + 9) {
        let length = usize::try_from(u32::from_le_bytes([head[1], head[2], head[3], head[4]])).unwrap();
        if head[0] == 1 {
            found.push(serde_json::from_slice(&answered[at + 9..at + 9 + length]).unwrap());
        }
        at += 9 + length;
    }
    found
}

fn refusal(answered: &[u8]) -> String {
    let messages = messages(answered);
    let last = messages.last().unwrap_or(&Value::Null);
    assert_eq!(last["say"], "failed", "{messages:?}");
    format!("{}; {}", last["failure"]["message"], last["failure"]["help"])
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The state of an entry: nothing in common with the one before it.
fn stat(out: &mut Vec<u8>, name: &[u8], mode: u64, size: u64) {
    out.push(16 | 2 | 4 | 8);
    out.push(u8::try_from(name.len()).unwrap());
    out.extend_from_slice(name);
    number(out, mode);
    // inode, size, bytes on disk, time, and what is known of the copy
    for value in [2, size, size, 0, 0, 0, 0, 0] {
        number(out, value);
    }
}

const DIRECTORY: u64 = 0o040_755;
const FILE: u64 = 0o100_644;

/// A list of differences: one directory of this path, with one file of this name, to be made, and one name removed.
fn plan(path: &[u8], name: &[u8], size: u64, removed: Option<&[u8]>, slot: u64) -> Vec<u8> {
    let mut out = b"resplit plan 1\n".to_vec();
    for value in [1, 0, 0, 1, size, 0, 0] {
        number(&mut out, value);
    }
    number(&mut out, 1);
    out.push(3);
    text(&mut out, path);
    stat(&mut out, b"", DIRECTORY, 0);
    number(&mut out, 1);
    stat(&mut out, name, FILE, size);
    number(&mut out, 1);
    number(&mut out, slot);
    out.extend_from_slice(&[1, 0]);
    number(&mut out, u64::from(removed.is_some()));
    if let Some(removed) = removed {
        text(&mut out, removed);
        stat(&mut out, b"", DIRECTORY, 0);
    }
    number(&mut out, 0);
    out
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    sealed(&[frame(3, &zstd::encode_all(bytes, 1).unwrap())])
}

fn planned(pair: &PairRef, plan: &[u8]) -> Vec<Vec<u8>> {
    vec![opening(pair, Ask::Resync, 1), say(&json!({ "say": "plan" })), packed(plan)]
}

/// An entry: what it is, its place, its state, extended attributes and a link's target.
fn entry(what: u8, place: (u64, u64), mode: u64, size: u64, extended: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = vec![what];
    number(&mut out, place.0);
    number(&mut out, place.1);
    stat(&mut out, b"", mode, size);
    number(&mut out, extended.len() as u64);
    for (name, value) in extended {
        text(&mut out, name);
        text(&mut out, value);
    }
    text(&mut out, b"");
    out
}

fn data(at: u64, bytes: &[u8]) -> Vec<u8> {
    frame(6, &[&at.to_le_bytes()[..], bytes].concat())
}

struct Target {
    _file_system: FileSystem,
    bed: Bed,
    way: Arc<Loopback>,
}

fn target(name: &str) -> Target {
    let file_system = FileSystem::here();
    let mut bed = Bed::new(&file_system, name);
    let way = Loopback::new();
    bed.pair = apart(bed.pair);
    bed.driver = way.both(&file_system.root.join("told"));
    fs::write(file_system.root.join(name).join("outside"), "not to be touched").unwrap();
    Target { _file_system: file_system, bed, way }
}

impl Target {
    fn assert_untouched(&self) {
        let root = self.bed.pair.secondary.parent().unwrap();
        assert_eq!(fs::read(root.join("outside")).unwrap(), b"not to be touched");
        let status = self.bed.driver.status(&self.bed.pair).unwrap().status;
        assert!(!matches!(status, PairStatus::Pair | PairStatus::Psus), "{status}");
    }
}

#[test]
fn a_list_of_differences_that_leads_elsewhere_is_refused() {
    let target = target("plan");
    let mut zeros = b"resplit plan 1\n".to_vec();
    zeros.resize(200, 0xff);
    for (what, plan) in [
        ("a name with a slash", plan(b"", b"../outside", 3, None, 0)),
        ("the directory above", plan(b"", b"..", 3, None, 0)),
        ("a name with a zero", plan(b"", b"a\0b", 3, None, 0)),
        ("no name", plan(b"", b"", 3, None, 0)),
        ("a path that is none", plan(b"../x", b"a", 3, None, 0)),
        ("an absolute path", plan(b"/etc", b"a", 3, None, 0)),
        ("a removal above", plan(b"", b"a", 3, Some(b".."), 0)),
        ("a removal with a path", plan(b"", b"a", 3, Some(b"../outside"), 0)),
        ("a slot that is none", plan(b"", b"a", 3, None, 7)),
        ("numbers without end", zeros),
        ("nothing", Vec::new()),
        ("too much", [plan(b"", b"a", 3, None, 0), vec![0]].concat()),
    ] {
        let said = refusal(&converse(&target.way, planned(&target.bed.pair, &plan)));
        assert!(said.contains("what the other host sent is refused"), "{what}: {said}");
        target.assert_untouched();
    }
    assert_eq!(target.bed.driver.status(&target.bed.pair).unwrap().status, PairStatus::Smpl);
}

#[test]
fn a_size_that_no_disk_has_is_refused_before_anything_is_changed() {
    let target = target("size");
    let said = refusal(&converse(&target.way, planned(&target.bed.pair, &plan(b"", b"a", 1 << 60, None, 0))));
    assert!(said.contains("no room"), "{said}");
    // A message that never ends is no reason to wait, nor to take memory.
    let endless = vec![opening(&target.bed.pair, Ask::Resync, 1), head(1, u32::MAX)];
    let said = refusal(&converse(&target.way, endless));
    assert!(said.contains("a frame of 4294967295 bytes"), "{said}");
    assert_eq!(target.bed.driver.status(&target.bed.pair).unwrap().status, PairStatus::Smpl);
}

#[test]
fn content_that_is_not_due_is_refused_and_the_pair_is_no_copy() {
    let target = target("content");
    let file = |extended: &[(&[u8], &[u8])]| frame(5, &entry(1, (0, 0), FILE, 3, extended));
    let end = frame(7, &[0]);
    let wrong_seal = [file(&[]), data(0, b"abc"), end.clone(), frame(4, &[0; 32])].concat();
    for (what, content, cut) in [
        ("another place", frame(5, &entry(1, (0, 1), FILE, 3, &[])), false),
        ("another kind", frame(5, &entry(4, (0, 0), 0o020_644, 0, &[])), false),
        ("content beyond the end", [file(&[]), data(2, b"abc")].concat(), false),
        ("content at no place", [file(&[]), data(u64::MAX, b"abc")].concat(), false),
        ("content out of order", [file(&[]), data(1, b"a"), data(0, b"b")].concat(), false),
        ("an attribute of the system", file(&[(b"system.x", b"1")]), false),
        ("a message in between", say(&json!({ "say": "plan" })), false),
        ("an unknown kind", frame(99, b""), false),
        ("a wrong digest", wrong_seal, true),
        ("half of it", file(&[]), true),
    ] {
        let mut sent = planned(&target.bed.pair, &plan(b"", b"a", 3, None, 0));
        sent.push(content);
        let answered = converse(&target.way, sent);
        if cut {
            let messages = messages(&answered);
            assert_eq!(messages.last().unwrap()["say"], "begun", "{what}: {messages:?}");
        } else {
            let said = refusal(&answered);
            assert!(said.contains("what the other host sent is refused"), "{what}: {said}");
        }
        target.assert_untouched();
        let copy = target.bed.pair.secondary.join("data.new");
        let left: Vec<_> = fs::read_dir(copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        let status = target.bed.driver.status(&target.bed.pair).unwrap().status;
        assert_eq!(status, if cut { PairStatus::Copy } else { PairStatus::Psue }, "{what}");
    }
    target.bed.write("a", "abc");
    let _ = target.bed.driver.resync(&target.bed.pair, &target.bed.asked("run/resync")).unwrap();
    target.bed.assert_equal();
}

#[test]
fn who_asks_under_an_older_token_or_for_another_host_is_refused() {
    let target = target("token");
    let (bed, way) = (&target.bed, &target.way);
    bed.write("a", "abc");
    let work = resplit_steps::context::Work::silent();
    let asked =
        resplit_steps::drivers::pairs::Asked { tag: Tag("run/resync/1".into()), token: 5, work: &work };
    let _ = bed.driver.resync(&bed.pair, &asked).unwrap();
    for ask in [Ask::Resync, Ask::Split { order: 9 }, Ask::Delete, Ask::Restore] {
        let said = refusal(&converse(way, vec![opening(&bed.pair, ask, 4)]));
        assert!(said.contains("token 5") && said.contains("token 4"), "{said}");
    }
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Pair);
    let here = PairRef { apart: None, ..bed.pair.clone() };
    let said = refusal(&converse(way, vec![opening(&here, Ask::Status, 9)]));
    assert!(said.contains("is not on host 'backupserver'"), "{said}");
    let said = refusal(&converse(way, vec![say(&json!({ "say": "plan" }))]));
    assert!(said.contains("does not say what it is about"), "{said}");
}

#[test]
fn a_later_try_takes_a_pair_over_whose_earlier_one_hangs() {
    let target = target("over");
    let (bed, way) = (&target.bed, &target.way);
    bed.write("a", "abc");
    // One that says nothing more after its beginning, and whose connection nobody ends.
    let mut silent = way.open();
    (silent.outgoing)(opening(&bed.pair, Ask::Resync, 1)).unwrap();
    let standing = (silent.incoming)().unwrap().unwrap();
    assert_eq!(messages(&standing)[0]["say"], "standing");
    let asked = bed.asked("run/step/1");
    let _ = bed.driver.resync(&bed.pair, &asked).unwrap();
    bed.assert_equal();
    assert!(matches!((silent.incoming)(), Ok(None) | Err(_)), "it was ended");
}
