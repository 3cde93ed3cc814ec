//! The drivers in the suite.

use resplit_operations::site::LvmKind;

use super::{bed::Maker, disks::Disk};

mod array;
mod btrfs;
mod directory;
mod image;
pub(crate) mod lvm;
mod qemu;
mod streamed;

/// A driver on a kind of file system; or why it is skipped.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) maker: Result<Box<dyn Maker>, String>,
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let directory = |name, kind, mebibytes| Row {
        name,
        maker: Disk::new(kind, mebibytes)
            .map(|disk| Box::new(directory::Directories(disk)) as Box<dyn Maker>),
    };
    let image = |name, on: Result<Disk, String>, holds, devices| Row {
        name,
        maker: on.and_then(|disk| image::Images::new(disk, holds, devices)).map(|made| Box::new(made) as _),
    };
    let btrfs =
        |name, is_sent| Row { name, maker: btrfs::Subvolumes::new(is_sent).map(|made| Box::new(made) as _) };
    let qemu = |name, format| Row {
        name,
        maker: qemu::Qemus::new(Disk::here(), format).map(|made| Box::new(made) as _),
    };
    let array =
        |name, copy_type| Row { name, maker: array::Arrays::new(copy_type).map(|made| Box::new(made) as _) };
    let lvm = |name, kind, holds| Row {
        name,
        maker: lvm::Volumes::new(kind, holds).map(|made| Box::new(made) as _),
    };
    vec![
        directory("directory on ext4", "ext4", 600),
        directory("directory on XFS with reflinks", "xfs", 600),
        directory("directory on btrfs", "btrfs", 600),
        Row {
            name: "directory, streamed",
            maker: Disk::new("ext4", 600).map(|disk| Box::new(streamed::Streams(disk)) as Box<dyn Maker>),
        },
        image("image of ext4, files", Ok(Disk::here()), "ext4", false),
        image("image of ext4, files on XFS with reflinks", Disk::new("xfs", 1500), "ext4", false),
        image("image of ext4, loop devices", Ok(Disk::here()), "ext4", true),
        image("image of XFS, files", Ok(Disk::here()), "xfs", false),
        image("image of btrfs, loop devices", Ok(Disk::here()), "btrfs", true),
        btrfs("btrfs, one file system", false),
        btrfs("btrfs, sent to another file system", true),
        qemu("qemu, raw", "raw"),
        qemu("qemu, qcow2", "qcow2"),
        array("array, full copies", "shadow-image"),
        array("array, snapshots", "thin-image"),
        lvm("lvm, snapshots", LvmKind::Snapshot, "ext4"),
        lvm("lvm, thin snapshots", LvmKind::Thin, "ext4"),
        lvm("lvm, halves of a mirror", LvmKind::Raid1, "ext4"),
        lvm("lvm, halves of a mirror of XFS", LvmKind::Raid1, "xfs"),
    ]
}
