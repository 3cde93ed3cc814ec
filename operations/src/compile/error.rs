//! Why an operation does not compile.

use std::path::PathBuf;

use crate::{
    ids::{CopyGroup, HostId, LibraryId, StepId, TargetId, VolumeId},
    plan::PlanError,
};

/// Why an operation, or a restore of it, does not compile. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The site directory is relative, so that its paths would mean something else to another process.
    #[error("the site directory '{}' must be absolute", .0.display())]
    RelativeDirectory(PathBuf),
    /// There is nothing to do.
    #[error(
        "the operation has neither 'protect' nor a step under 'steps': say what to protect, or what to do"
    )]
    Nothing,
    /// Both forms at once.
    #[error("the operation has both 'protect' and 'steps': keep one of them")]
    BothForms,
    /// No volume is named.
    #[error("'protect' names no volume: list at least one under 'volumes'")]
    NoVolume,
    /// A volume is named twice.
    #[error("'protect' names volume '{0}' twice: name it once")]
    VolumeTwice(VolumeId),
    /// A volume without pairs.
    #[error("volume '{0}' has no pair to back it up to: declare one under its 'pairs'")]
    NoPair(VolumeId),
    /// Something that the site does not have.
    #[error("the operation names {0}, which the site does not have")]
    NotInSite(String),
    /// Primaries on several hosts.
    #[error(
        "the primary of volume '{first}' is on '{first_host}' and that of '{second}' on '{second_host}': what one \
         operation backs up must be on one host, which coordinates; use one operation for each host"
    )]
    PrimariesApart {
        /// A volume.
        first: VolumeId,
        /// Its primary's host.
        first_host: HostId,
        /// Another.
        second: VolumeId,
        /// Its primary's host.
        second_host: HostId,
    },
    /// Secondaries of a volume on several hosts.
    #[error(
        "the secondaries of volume '{volume}' are on '{first}' and on '{second}': the host whose cache is purged must \
         be known before a pair is chosen, so put all of them on one host"
    )]
    SecondariesApart {
        /// The volume.
        volume: VolumeId,
        /// A host.
        first: HostId,
        /// Another.
        second: HostId,
    },
    /// A secondary that the backup server has no access to.
    #[error(
        "volume '{volume}' has its secondaries on '{host}', where the backup server '{backup_server}' can neither \
         mount them nor learn that one is overwritten: name '{host}' as 'backup_server', or move the secondaries"
    )]
    SecondaryElsewhere {
        /// The volume.
        volume: VolumeId,
        /// The host of its secondaries.
        host: HostId,
        /// The backup server.
        backup_server: HostId,
    },
    /// A target that a volume does not have.
    #[error("volume '{volume}' has no target '{target}': declare it under its 'targets' in site.yaml")]
    NoTarget {
        /// The volume.
        volume: VolumeId,
        /// The target.
        target: TargetId,
    },
    /// A target is named twice.
    #[error("'protect' names target '{0}' twice: name it once")]
    TargetTwice(TargetId),
    /// A volume, and one that copies its secondary.
    #[error(
        "the primary of volume '{behind}' is the secondary of {front}, a pair of volume '{volume}': a pair and the one \
         behind it are not copied at one moment; use one operation, or one command, for each"
    )]
    Cascade {
        /// The volume.
        volume: VolumeId,
        /// Its pair.
        front: CopyGroup,
        /// The volume behind it.
        behind: VolumeId,
    },
    /// Usual state paired without tape.
    #[error("usual state 'paired' keeps no image on disk, so it needs 'tape': declare it, or rest 'split'")]
    PairedWithoutTape,
    /// Tape without a backup server.
    #[error("'tape' needs a 'backup_server': name '{host}', the host of library '{library}'")]
    TapeWithoutServer {
        /// The library.
        library: LibraryId,
        /// Its host.
        host: HostId,
    },
    /// The library is not on the backup server.
    #[error(
        "library '{library}' is on '{host}', but the backup server is '{backup_server}': they must be one host"
    )]
    LibraryElsewhere {
        /// The library.
        library: LibraryId,
        /// Its host.
        host: HostId,
        /// The backup server.
        backup_server: HostId,
    },
    /// The quiesce mode that is not built.
    #[error("quiesce mode 'cold' is not built: use 'online' or 'freeze'")]
    Cold,
    /// A step on a host where it cannot be done.
    #[error("step '{step}' runs on '{host}', but {why}: it must run on '{wanted}'")]
    WrongHost {
        /// The step.
        step: StepId,
        /// Its host.
        host: HostId,
        /// Where it must run.
        wanted: HostId,
        /// Why.
        why: &'static str,
    },
    /// Something is held still, and nothing lets it go.
    #[error("step '{0}' holds an application still: name the thaw of the same file system as its 'finally'")]
    NoThaw(StepId),
    /// A restore from tape of an operation without tape.
    #[error("the operation puts nothing on tape, so nothing can be restored from there: restore from disk")]
    NoTape,
    /// A restore of an operation that backs nothing up.
    #[error("the operation makes no backup: it has no step that records one, so there is nothing to restore")]
    NoBackup,
    /// Single files with nowhere to go.
    #[error("single files are restored to another place: say where with a directory to put them in")]
    PathsWithoutTo,
    /// A relative place for files.
    #[error("'{}', where files are to go, must be absolute", .0.display())]
    RelativeTo(PathBuf),
    /// A path that does not lie below a volume's root.
    #[error("'{}' must be a path below the volume's root: relative, and without '..'", .0.display())]
    NotBelowRoot(PathBuf),
    /// A path of one of several volumes, which does not say which.
    #[error(
        "'{}' does not say which volume it is in: begin it with one of {}",
        path.display(),
        volumes.iter().map(|v| format!("'{v}/'")).collect::<Vec<_>>().join(", ")
    )]
    WhichVolume {
        /// The path.
        path: PathBuf,
        /// The volumes.
        volumes: Vec<VolumeId>,
    },
    /// The steps do not make a plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl CompileError {
    /// The step at fault, if it is one.
    pub const fn step(&self) -> Option<&StepId> {
        match self {
            Self::WrongHost { step, .. }
            | Self::NoThaw(step)
            | Self::Plan(PlanError::MissingStep { step, .. } | PlanError::NotInSite { step, .. }) => {
                Some(step)
            }
            _ => None,
        }
    }
}
