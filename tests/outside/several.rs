//! Several volumes in one window: their images are one point in time.

use std::{
    fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crate::{mounted::Mounted, site::Site};

const VOLUMES: [&str; 3] = ["data", "index", "log"];

/// Three volumes on one file system, each with two pairs.
fn site() -> Site {
    let volume = |number: usize, name: &str| {
        format!(
            "  {name}:\n    driver: directory\n    primary: {{ host: fileserver, path: disk/{name} }}\n    pairs:\n\
             \x20     - {{ copy_group: \"VG01,vol{number}\", secondary: {{ host: fileserver, path: mirrors/0/{name} }} }}\n\
             \x20     - {{ copy_group: \"VG02,vol{number}\", secondary: {{ host: fileserver, path: mirrors/1/{name} }} }}\n"
        )
    };
    let volumes: String = VOLUMES.iter().enumerate().map(|(number, name)| volume(number, name)).collect();
    let hosts = "hosts:\n  fileserver: { connect: local, state: state }\n";
    let operation = format!(
        "protect: {{ filesystem: disk, volumes: [{}] }}\nquiesce: {{ mode: freeze, window: 10s }}\n",
        VOLUMES.join(", ")
    );
    Site::new(&format!("{hosts}volumes:\n{volumes}"), &[("database", &operation)])
}

/// Stamps one counter into every volume in turn, all the time.
struct Stamper {
    stop: Arc<AtomicBool>,
    stamped: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Stamper {
    fn new(disk: &Path) -> Self {
        let places: Vec<PathBuf> = VOLUMES.iter().map(|name| disk.join(name).join("counter")).collect();
        let (stop, stamped) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&stamped));
        let mut files: Vec<_> = places.iter().map(|place| fs::File::create(place).unwrap()).collect();
        let thread = std::thread::spawn(move || {
            for number in 1u64.. {
                for file in &mut files {
                    // As wide each time, in one write: a counter is never seen half written.
                    file.rewind().unwrap();
                    file.write_all(format!("{number:020}").as_bytes()).unwrap();
                }
                count.store(number, Ordering::Relaxed);
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Self { stop, stamped, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// The counters of one generation's images, in the order in which they are stamped.
fn counters(site: &Site, generation: u64) -> Vec<u64> {
    let read = |name: &&str| {
        let file = site.path(&format!("mirrors/{generation}/{name}/data/counter"));
        fs::read_to_string(file).unwrap().parse().unwrap()
    };
    VOLUMES.iter().map(read).collect()
}

#[test]
fn no_set_of_images_shows_a_torn_order() {
    let site = site();
    let Some(disk) = Mounted::new(&site, "disk") else { return };
    for name in VOLUMES {
        fs::create_dir(disk.path().join(name)).unwrap();
    }
    let stamper = Stamper::new(disk.path());
    let mut last = 0;
    for round in 0..50 {
        let before = stamper.stamped.load(Ordering::Relaxed);
        site.succeed(&["run", "database"]);
        let newest = site.catalog("fileserver").into_iter().max_by_key(|record| record["id"].to_string());
        let images = newest.unwrap()["images"].as_array().unwrap().clone();
        assert_eq!(images.len(), VOLUMES.len());
        let generation = images[0]["generation"].as_u64().unwrap();
        assert!(images.iter().all(|image| image["generation"] == generation), "one generation: {images:?}");
        assert!(images.iter().all(|image| image["report"]["fuzzy_count"] == 0), "{images:?}");
        let found = counters(&site, generation);
        let torn = !found.is_sorted_by(|a, b| a >= b) || found[0] - found[2] > 1;
        assert!(!torn, "round {round}: {found:?}");
        assert!(found[0] >= before && found[2] > last, "round {round}: {found:?} after {before} and {last}");
        last = found[2];
    }
    stamper.end();
    // Restored together, they are that moment again.
    let moment = counters(&site, 1);
    site.succeed(&["restore", "database", "--yes"]);
    let restored: Vec<u64> = VOLUMES
        .iter()
        .map(|name| fs::read_to_string(disk.path().join(name).join("counter")).unwrap().parse().unwrap())
        .collect();
    assert_eq!(restored, moment);
    site.assert_clean();
}
