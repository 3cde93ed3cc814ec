//! pax headers: one entry of an archive, to bytes and back. The records are our own code, since those of the tar
//! library end at a newline, which names and attributes may contain.

use tar::{EntryType, Header};

/// Bytes of a block of an archive.
pub(super) const BLOCK: usize = 512;
/// The longest extended header that is read, in bytes.
pub(super) const LONGEST_EXTENSION: u64 = 64 << 20;
/// What GNU tar calls an extended attribute.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// What octal digits of a size or an ID, and of a time, hold.
const MOST_IN_ID: u64 = 0o7_777_777;
const MOST_IN_SIZE: u64 = 0o77_777_777_777;

/// An extended attribute.
pub(super) type Attribute = (Vec<u8>, Vec<u8>);

/// One entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it is.
    pub(super) kind: EntryType,
    /// Its path in the archive, without a slash at the end.
    pub(super) path: Vec<u8>,
    /// What it links to; a path in the archive for a hard link.
    pub(super) link: Vec<u8>,
    /// Permissions, without the type.
    pub(super) mode: u32,
    /// Its owner.
    pub(super) owner: u32,
    /// Its group.
    pub(super) group: u32,
    /// Seconds and nanoseconds since 1970.
    pub(super) modified: (i64, u32),
    /// Major and minor number of a device.
    pub(super) device: (u32, u32),
    /// Extended attributes.
    pub(super) attributes: Vec<Attribute>,
    /// Bytes that follow in the archive, before padding.
    pub(super) stored: u64,
    /// Its length, if it is stored as a map and segments (GNU sparse format 1.0).
    pub(super) sparse_length: Option<u64>,
}

impl Member {
    /// Its headers, in whole blocks.
    pub(super) fn encode(&self, user: &str, group: &str) -> Vec<u8> {
        let mut records = Vec::new();
        let mut header = Header::new_ustar();
        let mut path = self.path.clone();
        if self.kind.is_dir() {
            path.push(b'/');
        }
        if let Some(length) = self.sparse_length {
            record(&mut records, b"GNU.sparse.major", b"1");
            record(&mut records, b"GNU.sparse.minor", b"0");
            record(&mut records, b"GNU.sparse.name", &path);
            record(&mut records, b"GNU.sparse.realsize", length.to_string().as_bytes());
            path = placeholder(&path);
        }
        fill(&mut header.as_old_mut().name, &path, b"path", &mut records);
        fill(&mut header.as_old_mut().linkname, &self.link, b"linkpath", &mut records);
        let (seconds, nanoseconds) = self.modified;
        let in_header = u64::try_from(seconds).ok().filter(|_| nanoseconds == 0);
        if in_header.is_none_or(|seconds| seconds > MOST_IN_SIZE) {
            record(&mut records, b"mtime", time(self.modified).as_bytes());
        }
        for (name, id) in [(b"uid", self.owner), (b"gid", self.group)] {
            if u64::from(id) > MOST_IN_ID {
                record(&mut records, name, id.to_string().as_bytes());
            }
        }
        if self.stored > MOST_IN_SIZE {
            record(&mut records, b"size", self.stored.to_string().as_bytes());
        }
        for (name, value) in &self.attributes {
            record(&mut records, &[ATTRIBUTE, &escape(name)].concat(), value);
        }
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(u64::from(self.owner));
        header.set_gid(u64::from(self.group));
        header.set_size(self.stored);
        header.set_mtime(u64::try_from(seconds).unwrap_or(0).min(MOST_IN_SIZE));
        // Names that do not fit are left out; the numbers are there. Device numbers are for ustar headers, as this is.
        let _ = header.set_username(user);
        let _ = header.set_groupname(group);
        let _ = header.set_device_major(self.device.0);
        let _ = header.set_device_minor(self.device.1);
        header.set_cksum();
        let mut bytes = extension(&records);
        bytes.extend_from_slice(header.as_bytes());
        bytes
    }

    /// An entry from its ustar header and the records before it.
    pub(super) fn decode(header: &Header, records: &[u8]) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let id = |value: u64| u32::try_from(value).map_err(|error| error.to_string());
        let mut member = Self {
            kind: header.entry_type(),
            path: header.path_bytes().into_owned(),
            link: header.link_name_bytes().unwrap_or_default().into_owned(),
            mode: header.mode().map_err(text)? & 0o7777,
            owner: id(header.uid().map_err(text)?)?,
            group: id(header.gid().map_err(text)?)?,
            modified: (i64::try_from(header.mtime().map_err(text)?).map_err(|e| e.to_string())?, 0),
            device: (
                header.device_major().map_err(text)?.unwrap_or(0),
                header.device_minor().map_err(text)?.unwrap_or(0),
            ),
            attributes: Vec::new(),
            stored: header.entry_size().map_err(text)?,
            sparse_length: None,
        };
        let mut sparse_name = None;
        for (key, value) in Records(records).collect::<Result<Vec<_>, String>>()? {
            let number = || number(value);
            match key {
                b"path" => member.path = value.to_vec(),
                b"linkpath" => member.link = value.to_vec(),
                b"size" => member.stored = number()?,
                b"uid" => member.owner = id(number()?)?,
                b"gid" => member.group = id(number()?)?,
                b"mtime" => member.modified = parse_time(value).ok_or("a time cannot be read")?,
                b"GNU.sparse.name" => sparse_name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => member.sparse_length = Some(number()?),
                _ => {
                    if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                        member.attributes.push((unescape(name), value.to_vec()));
                    }
                }
            }
        }
        member.path = sparse_name.unwrap_or(member.path);
        if member.path.ends_with(b"/") {
            member.path.truncate(member.path.len() - 1);
        }
        Ok(member)
    }
}

/// The path under which a reader that does not know sparse files finds the map and the segments.
fn placeholder(path: &[u8]) -> Vec<u8> {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&path[..0], path),
    };
    [directory, b"GNUSparseFile.0/", name].concat()
}

/// Puts a name into its field; also into a record if it does not fit, or may be read as something else.
fn fill(field: &mut [u8; 100], name: &[u8], key: &[u8], records: &mut Vec<u8>) {
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name[..length]);
    if name.len() > field.len() || !name.is_ascii() {
        record(records, key, name);
    }
}

/// Records as an extended header, in whole blocks; nothing if there are none.
fn extension(records: &[u8]) -> Vec<u8> {
    if records.is_empty() {
        return Vec::new();
    }
    let mut header = Header::new_ustar();
    let name = b"PaxHeader";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(records);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Appends one record: its own length in decimal, a space, `key=value`, a newline.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = || {
            let space = self.0.iter().position(|byte| *byte == b' ')?;
            let length = usize::try_from(number(&self.0[..space]).ok()?).ok()?;
            let whole = self.0.get(..length)?;
            let pair = whole.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((length, &pair[..equals], &pair[equals + 1..]))
        };
        let Some((length, key, value)) = split() else {
            self.0 = &[];
            return Some(Err("an extended header cannot be read".to_owned()));
        };
        self.0 = &self.0[length..];
        Some(Ok((key, value)))
    }
}

fn number(digits: &[u8]) -> Result<u64, String> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| "a number cannot be read".to_owned())
}

/// Seconds with nine decimals; before 1970 with a minus sign before the whole.
fn time((seconds, nanoseconds): (i64, u32)) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    let text = format!("{sign}{}.{:09}", total / 1_000_000_000, total % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanoseconds: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let total = whole.parse::<i64>().map(i128::from).ok()? * 1_000_000_000 + nanoseconds;
    let total = if negative { -total } else { total };
    Some((
        i64::try_from(total.div_euclid(1_000_000_000)).ok()?,
        u32::try_from(total.rem_euclid(1_000_000_000)).ok()?,
    ))
}

/// Percent signs and equals signs in an attribute's name, as GNU tar writes them.
fn escape(name: &[u8]) -> Vec<u8> {
    name.iter()
        .flat_map(|byte| match byte {
            b'%' => b"%25".to_vec(),
            b'=' => b"%3D".to_vec(),
            other => vec![*other],
        })
        .collect()
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'5', after @ ..] => (b'%', after),
            [b'%', b'3', b'D', after @ ..] => (b'=', after),
            _ => (*first, tail),
        };
        result.push(byte);
        rest = after;
    }
    result
}

#[cfg(test)]
mod tests;
