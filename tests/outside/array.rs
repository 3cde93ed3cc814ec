//! Arrays from outside: the classic script as one operation, with every failure that the script would ignore; and an
//! operator's own array, as the document tells it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use crate::site::{Site, copy_tree, told};

/// The simulator, built if it is not.
fn simulator() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "cci-simulator", "--target-dir"]).arg(target);
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        target.join("debug/cci-simulator")
    })
}

/// Writes a program.
fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The example, on a simulated array whose pair is split; the mail goes to a file.
struct Nightly {
    site: Site,
    /// Whether the image is a file system that this machine can mount.
    mounts: bool,
}

impl Nightly {
    fn new() -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/array");
        let site = Site::new("", &[]);
        fs::remove_dir(site.path("operations")).unwrap();
        for name in ["operations", "bin"] {
            copy_tree(&example.join(name), &site.path(name));
        }
        fs::create_dir(site.path("database")).unwrap();
        let text = fs::read_to_string(example.join("site.yaml")).unwrap();
        let bin = site.path("array-bin").display().to_string();
        let text = text
            .replace("programs: /HORCM/usr/bin", &format!("programs: {bin}, scripts: {bin}"))
            .replace("/dev/disk/by-id/array-copy-of-vol01", &site.path("s.img").display().to_string());
        fs::write(site.path("site.yaml"), text).unwrap();
        program(
            &site.path("bin/mail-log"),
            &format!("#!/bin/sh\necho \"$RESPLIT_RUN\" >> {}\n", site.path("mails").display()),
        );
        let operation = site.path("operations/nightly.yaml");
        // Commands of an engine run in its directory: here they are named in full.
        let text = fs::read_to_string(&operation).unwrap();
        fs::write(&operation, text.replace("bin/", &format!("{}/bin/", site.path("").display()))).unwrap();
        for side in ["p", "s"] {
            fs::File::create(site.path(&format!("{side}.img"))).unwrap().set_len(8 << 20).unwrap();
        }
        let made = Command::new("mkfs.ext4").arg("-q").arg(site.path("p.img")).status();
        let mounts =
            made.is_ok_and(|made| made.success()) && can_mount(&site.path("p.img"), &site.path("try"));
        let nightly = Self { site, mounts };
        let volume = |side: &str| nightly.site.path(&format!("{side}.img")).display().to_string();
        nightly.array(&["array", "add", "VG01", "vol01", "shadow-image", &volume("p"), &volume("s")]);
        nightly.array(&["array", "links", &bin]);
        nightly.array(&["horcmstart.sh", "0", "1"]);
        nightly.array(&["paircreate", "-IM0", "-g", "VG01", "-vl"]);
        nightly.array(&["pairsplit", "-IM0", "-g", "VG01"]);
        nightly
    }

    fn array(&self, arguments: &[&str]) -> String {
        let output = Command::new(simulator())
            .args(arguments)
            .env("CCI_SIM", self.site.path("array"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn change(&self, old: &str, new: &str) {
        let path = self.site.path("operations/nightly.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(path, text.replace(old, new)).unwrap();
    }

    /// Runs it; it fails, says `wanted`, and has sent the mail nevertheless.
    fn fails_with(&self, wanted: &str) -> String {
        let said = self.site.fail(&["run", "nightly"], 1);
        assert!(said.contains(wanted), "{said}");
        assert_eq!(self.mails(), 1, "{said}");
        said
    }

    fn mails(&self) -> usize {
        fs::read_to_string(self.site.path("mails")).unwrap_or_default().lines().count()
    }

    fn status(&self) -> String {
        let pairs = self.site.json(&["pair", "status"]);
        let ours = pairs.as_array().unwrap().iter().find(|pair| pair["pair"]["copy_group"] == "VG01,vol01");
        ours.unwrap()["state"]["status"].as_str().unwrap().to_owned()
    }
}

fn can_mount(image: &Path, at: &Path) -> bool {
    fs::create_dir(at).unwrap();
    let mounted = Command::new("mount").args(["-o", "ro"]).args([image, at]).output();
    mounted.is_ok_and(|mounted| mounted.status.success())
        && Command::new("umount").arg(at).status().is_ok_and(|status| status.success())
}

#[test]
fn the_classic_script_is_one_operation() {
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/array/operations/nightly.yaml"),
    );
    assert!(text.unwrap().lines().count() <= 25);
    let nightly = Nightly::new();
    if !nightly.mounts {
        println!("skipped: no mkfs.ext4, or no loop devices");
        return;
    }
    nightly.site.succeed(&["check"]);
    let plan = nightly.site.succeed(&["plan", "nightly"]);
    assert!(plan.contains("PSUS -> PAIR") && plan.contains("PAIR -> PSUS"), "{plan}");
    for _ in 0..2 {
        nightly.site.succeed(&["run", "nightly"]);
    }
    assert_eq!((nightly.status(), nightly.mails()), ("PSUS".to_owned(), 2));
    nightly.site.assert_clean();
    let log = fs::read_to_string(nightly.site.path("array/horcc.log")).unwrap();
    assert!(log.contains("pairresync -IM0 -g VG01 -d vol01 -c 15 [exit(0)]"), "{log}");
    // Somebody else resyncs: the backup that was on it is not restored any more.
    nightly.array(&["pairresync", "-IM0", "-g", "VG01"]);
    assert_eq!(nightly.status(), "PAIR");
    let said = nightly.site.output(&["restore", "nightly", "--yes"]);
    assert!(!said.status.success(), "{}", told(&said));
}

#[test]
fn the_pair_behind_is_at_rest_before_the_one_in_front_is_copied() {
    let nightly = Nightly::new();
    fs::File::create(nightly.site.path("t.img")).unwrap().set_len(8 << 20).unwrap();
    let volume = |side: &str| nightly.site.path(&format!("{side}.img")).display().to_string();
    nightly.array(&["array", "add", "VG02", "vol01", "shadow-image", &volume("s"), &volume("t")]);
    nightly.array(&["paircreate", "-IM0", "-g", "VG02", "-vl"]);
    let path = nightly.site.path("site.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let settings = text.lines().find(|line| line.contains("copy_type:")).unwrap();
    let second = format!(
        "  second:\n    driver: cci\n    primary: {{ host: backup, path: second }}\n    behind: \"VG01,vol01\"\n{settings}\n    \
         pairs:\n      - {{ copy_group: \"VG02,vol01\", secondary: {{ host: backup, path: pairs/1 }} }}\n"
    );
    fs::write(&path, format!("{}\n{second}", text.trim_end())).unwrap();
    nightly.site.succeed(&["check"]);
    let said = nightly.site.fail(&["plan", "nightly"], 4);
    assert!(said.contains("VG02,vol01, the pair behind it, is PAIR, not PSUS or SMPL"), "{said}");
    assert!(said.contains("resplit pair split VG02,vol01"), "{said}");
    nightly.site.fail(&["run", "nightly"], 4);
    assert_eq!(nightly.status(), "PSUS", "nothing was done");
    nightly.array(&["pairsplit", "-IM0", "-g", "VG02"]);
    nightly.site.succeed(&["plan", "nightly"]);
}

#[test]
fn a_resync_that_is_refused_stops_it() {
    let nightly = Nightly::new();
    nightly.array(&["array", "inject", "pairresync", "EX_CMDRJE"]);
    nightly.fails_with("EX_CMDRJE");
    assert_eq!(nightly.status(), "PSUS");
    assert!(nightly.site.catalog("production").is_empty());
}

#[test]
fn a_resync_that_takes_too_long_stops_it() {
    let nightly = Nightly::new();
    nightly.array(&["array", "speed", "by-hand"]);
    nightly.change("timeout: 10h", "timeout: 3s");
    nightly.fails_with("limit of 3s");
    nightly.array(&["array", "advance", "VG01", "vol01"]);
    assert!(nightly.site.catalog("production").is_empty());
}

#[test]
fn a_pair_that_breaks_stops_it() {
    let nightly = Nightly::new();
    nightly.array(&["array", "break", "VG01", "vol01"]);
    nightly.fails_with("suspended by an error (PSUE)");
    assert_eq!(nightly.status(), "PSUE");
}

#[test]
fn a_split_that_is_refused_stops_it() {
    let nightly = Nightly::new();
    nightly.array(&["array", "inject", "pairsplit", "EX_CMDRJE"]);
    nightly.fails_with("pairsplit ended with exit code 221");
    assert_eq!(nightly.status(), "PAIR");
    assert!(nightly.site.catalog("production").is_empty());
}

#[test]
fn an_image_that_cannot_be_mounted_is_told() {
    let nightly = Nightly::new();
    // What is split is no file system.
    fs::write(nightly.site.path("p.img"), vec![7; 8 << 20]).unwrap();
    let output = nightly.site.output(&["run", "nightly"]);
    let said = told(&output);
    assert!(!output.status.success() && said.contains("cannot mount"), "{said}");
    assert_eq!(nightly.mails(), 1, "{said}");
    nightly.site.assert_clean();
}

#[test]
fn a_mail_that_is_not_sent_fails_the_run() {
    let nightly = Nightly::new();
    if !nightly.mounts {
        println!("skipped: no mkfs.ext4, or no loop devices");
        return;
    }
    program(&nightly.site.path("bin/mail-log"), "#!/bin/sh\necho no such recipient\nexit 67\n");
    let said = nightly.site.fail(&["run", "nightly"], 1);
    assert!(said.contains("exit code 67") && said.contains("no such recipient"), "{said}");
    assert_eq!(nightly.site.catalog("production").len(), 1, "the backup is there all the same");
}

#[test]
fn an_engine_that_is_killed_while_the_array_copies_finds_out() {
    let nightly = Nightly::new();
    if !nightly.mounts {
        println!("skipped: no mkfs.ext4, or no loop devices");
        return;
    }
    nightly.array(&["array", "speed", "by-hand"]);
    let log = || fs::read_to_string(nightly.site.path("array/horcc.log")).unwrap();
    nightly.site.succeed(&["run", "--detach", "nightly"]);
    while !log().contains("pairresync") {
        std::thread::sleep(Duration::from_millis(10));
    }
    nightly.site.kill_engines();
    assert_eq!(nightly.status(), "COPY");
    nightly.array(&["array", "advance", "VG01", "vol01"]);
    nightly.array(&["array", "speed", "at-once"]);
    nightly.site.settle();
    let runs = nightly.site.json(&["runs"]);
    assert_eq!(runs[0]["status"], "done", "{runs}");
    assert_eq!((log().matches("pairresync").count(), log().matches("pairsplit").count()), (1, 2));
    assert_eq!((nightly.status(), nightly.mails()), ("PSUS".to_owned(), 1));
    nightly.site.assert_clean();
}

/// The files of the document, by the paths that their first lines say.
fn of_document() -> Vec<(String, String)> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/your-own-array.md");
    let text = fs::read_to_string(document).unwrap();
    let blocks = text.split("```yaml\n# ").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| block.split_once('\n').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// An array of files in a directory, as the document has it.
const SANCTL: &str = r#"#!/bin/sh
cd DIRECTORY || exit 1
said() { echo "mirror $1: $2, 100% equal"; }
case "$1" in
    show) said "$2" "$(cat status)" ;;
    create | resume) rm -rf copy && cp -a documents copy && echo SYNCED > status ;;
    suspend) rm -rf copy && cp -a documents copy && echo SUSPENDED > status ;;
    reverse) rm -rf documents && cp -a copy documents && echo SYNCED > status ;;
    *) exit 64 ;;
esac
"#;

#[test]
fn an_operators_own_array_is_a_file() {
    let site = Site::new("", &[]);
    fs::create_dir(site.path("drivers")).unwrap();
    fs::create_dir(site.path("bin")).unwrap();
    fs::create_dir(site.path("documents")).unwrap();
    fs::write(site.path("documents/a.txt"), "one").unwrap();
    fs::write(site.path("status"), "NONE\n").unwrap();
    let root = site.path("").display().to_string();
    program(&site.path("bin/sanctl"), &SANCTL.replace("DIRECTORY", &root));
    let files = of_document();
    assert_eq!(files.len(), 3);
    for (path, text) in files {
        let text = text
            .replace("/usr/local/bin", &format!("{root}/bin"))
            .replace("/srv/copies/documents", &format!("{root}/copy"));
        fs::write(site.path(&path), text).unwrap();
    }
    site.succeed(&["check"]);
    site.succeed(&["run", "documents"]);
    fs::write(site.path("documents/a.txt"), "two").unwrap();
    assert_eq!(fs::read(site.path("copy/a.txt")).unwrap(), b"one");
    site.succeed(&["restore", "documents", "--yes"]);
    assert_eq!(fs::read(site.path("documents/a.txt")).unwrap(), b"one");
    let to = site.path("elsewhere");
    site.succeed(&["restore", "documents", "--path", "a.txt", "--to", to.to_str().unwrap()]);
    assert_eq!(fs::read(to.join("a.txt")).unwrap(), b"one");
    // What the file does not know is shown.
    fs::write(site.path("status"), "DREAMING\n").unwrap();
    let said = site.output(&["run", "documents"]);
    assert!(told(&said).contains("mirror nightly: DREAMING"), "{}", told(&said));
}
