//! An exported record: what `export` writes and `import` reads, and what is checked before it is believed.

use serde::{Deserialize, Serialize};

use super::{Origin, Record, TapeState};
use crate::ids::{is_copy_group, is_name};

/// One record, with a digest, in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFile {
    /// The version of this format: [`ExportFile::FORMAT`].
    pub format: u32,
    /// What the source host says of the backup.
    pub origin: Origin,
    /// Whether the image is wanted on tape.
    pub tape_wanted: bool,
    /// [`Origin::digest`].
    pub digest: String,
}

impl ExportFile {
    /// The version of the format that is written, and the only one that is read.
    pub const FORMAT: u32 = 1;
    /// The largest file that is read, in bytes. A record has some hundred bytes for each volume and fuzzy file.
    pub const MOST_BYTES: usize = 16 << 20;
    /// The most that is quoted of it in an error, in characters.
    const LONGEST_QUOTE: usize = 200;
    /// The longest name of a run.
    const LONGEST_RUN: usize = 200;

    /// The file of a record.
    pub fn of(record: &Record) -> Self {
        Self {
            format: Self::FORMAT,
            digest: record.origin.digest(),
            origin: record.origin.clone(),
            tape_wanted: record.tape == TapeState::Wanted,
        }
    }

    /// Reads a file that may come from anywhere.
    ///
    /// # Errors
    /// What is wrong with it, to be said after its name.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        if bytes.len() > Self::MOST_BYTES {
            return Err(format!("has {} bytes, which no exported record has", bytes.len()));
        }
        let none = |error: serde_json::Error| {
            // It may quote the file, which may be anything.
            let shown: String = error.to_string().chars().take(Self::LONGEST_QUOTE).collect();
            format!("is not an exported record: {}", shown.escape_debug())
        };
        let version: Version = serde_json::from_slice(bytes).map_err(none)?;
        if version.format != Self::FORMAT {
            return Err(format!("has format {}, this resplit reads {}", version.format, Self::FORMAT));
        }
        let file: Self = serde_json::from_slice(bytes).map_err(none)?;
        file.check()?;
        Ok(file)
    }

    /// Whether it is what a host may have written.
    ///
    /// # Errors
    /// What is wrong with it, to be said after its name.
    pub fn check(&self) -> Result<(), String> {
        let origin = &self.origin;
        let run = origin.run.as_str();
        let is_run = !run.starts_with(['.', '-'])
            && (1..=Self::LONGEST_RUN).contains(&run.len())
            && run.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let names = [
            ("host", origin.source_host.as_str(), is_name(origin.source_host.as_str())),
            ("operation", origin.operation.as_str(), is_name(origin.operation.as_str())),
            ("run", run, is_run),
        ];
        let images = origin.images.iter().flat_map(|image| {
            let (volume, group) = (image.volume.as_str(), image.copy_group.as_str());
            [("volume", volume, is_name(volume)), ("copy group", group, is_copy_group(group))]
        });
        for (what, name, is_one) in names.into_iter().chain(images) {
            if !is_one {
                let shown: String = name.chars().take(64).collect();
                return Err(format!("names a {what} '{}', which is none", shown.escape_default()));
            }
        }
        if origin.images.is_empty() {
            return Err("describes no image".to_owned());
        }
        if self.format != Self::FORMAT {
            return Err(format!("has format {}, this resplit reads {}", self.format, Self::FORMAT));
        }
        if self.digest != origin.digest() {
            return Err("contradicts its own digest: it was changed since it was written".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        ids::{BackupId, CopyGroup},
        operation::QuiesceMode,
        pair::CopyReport,
        record::Image,
    };

    use super::*;

    fn file() -> ExportFile {
        let image = Image {
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            epoch: 3,
            report: CopyReport::default(),
            source: None,
        };
        let origin = Origin {
            original_id: BackupId(7),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: "documents-20261120T020000000Z".into(),
            mode: QuiesceMode::Online,
            started: "2026-11-20T02:00:00Z".parse().unwrap(),
            ended: "2026-11-20T02:00:04Z".parse().unwrap(),
            images: vec![image],
        };
        ExportFile { format: 1, digest: origin.digest(), origin, tape_wanted: false }
    }

    fn written(change: impl Fn(&mut ExportFile)) -> Vec<u8> {
        let mut file = file();
        change(&mut file);
        file.digest = file.origin.digest();
        serde_json::to_vec(&file).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(ExportFile::read(&written(|_| ())), Ok(file()));
    }

    #[test]
    fn what_no_host_has_written_is_refused_with_what_is_wrong() {
        let wrong = |bytes: &[u8]| ExportFile::read(bytes).unwrap_err();
        assert!(wrong(b"").starts_with("is not an exported record"));
        assert!(wrong(b"{}").contains("missing field `format`"));
        let quoted = wrong(format!("{{\"format\": \"\\u001b{}\"}}", "x".repeat(9000)).as_bytes());
        assert!(quoted.len() < 300 && !quoted.contains('\u{1b}'), "{quoted}");
        assert_eq!(wrong(b"{\"format\": 9}"), "has format 9, this resplit reads 1");
        assert!(wrong(&vec![b' '; ExportFile::MOST_BYTES + 1]).contains("bytes, which no"));
        for name in ["../etc", "", "a/b", "-x", "a\u{1b}[2J"] {
            let volume = written(|file| file.origin.images[0].volume = name.into());
            assert!(wrong(&volume).contains("volume '"), "{name}");
            let host = written(|file| file.origin.source_host = name.into());
            assert!(wrong(&host).contains("host '") && !wrong(&host).contains('\u{1b}'), "{name}");
            let run = written(|file| file.origin.run = name.into());
            assert!(wrong(&run).contains("run '"), "{name}");
            let group = written(|file| file.origin.images[0].copy_group = CopyGroup(format!("VG01,{name}")));
            assert!(wrong(&group).contains("copy group '"), "{name}");
        }
        assert_eq!(wrong(&written(|file| file.origin.images.clear())), "describes no image");
        let text = String::from_utf8(written(|_| ())).unwrap();
        let tampered = text.replace("2026-11-20T02:00:04Z", "2026-11-20T02:00:05Z");
        assert!(wrong(tampered.as_bytes()).contains("its own digest"));
    }
}
