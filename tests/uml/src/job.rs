//! What a machine does.

use std::fmt::Write;

use super::{BEGINS, ENDED, Job};

/// Readies a machine for LVM, which finds no udev there.
pub const LVM: &str = r#"
for module in loop dm-mod dm-snapshot dm-thin-pool dm-raid raid1 xfs; do modprobe "$module"; done
mkdir -p /run/etc/lvm
cat > /run/etc/lvm/lvm.conf <<'END'
devices { use_devicesfile=0 obtain_device_list_from_udev=0 global_filter=["a|^/dev/loop|","r|.*|"] }
activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
global { use_lvmpolld=0 }
backup { backup=0 archive=0 }
END
export LVM_SYSTEM_DIR=/run/etc/lvm DM_DISABLE_UDEV=1
"#;

/// The script that the first process runs.
pub(super) fn script(job: &Job<'_>) -> String {
    let mut script =
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run/tests\nip link set lo up\n"
            .to_owned();
    script.push_str(job.before);
    for (name, value) in job.environment {
        writeln!(script, "export {name}={}", quoted(value)).unwrap();
    }
    let argv: Vec<String> = job.argv.iter().map(|word| quoted(word)).collect();
    writeln!(script, "echo; echo '{BEGINS}'\n{} < /dev/null 2>&1", argv.join(" ")).unwrap();
    writeln!(script, "code=$?; echo; echo \"{ENDED}$code\"\nsync; echo o > /proc/sysrq-trigger; sleep 60")
        .unwrap();
    script
}

/// A word as bash(1) takes it for itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
