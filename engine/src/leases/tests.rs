//! Who gets a lease, and who waits for it.

use std::{
    process::{Child, Command},
    time::Duration,
};

use resplit_operations::plan::Resource;

use super::*;

struct Host {
    store: Store,
    leases: Leases,
    _directory: tempfile::TempDir,
}

fn host() -> Host {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    let leases = Leases::new(&store, &me()).unwrap();
    Host { store, leases, _directory: directory }
}

fn volume(name: &str) -> Resource {
    Resource::Volume(name.into())
}

fn drive() -> Resource {
    Resource::Drive("vault".into())
}

impl Host {
    fn ask(&self, run: &str, owner: &Owner, wanted: &[(Resource, u32)]) -> LeaseReply {
        self.ask_with(run, owner, wanted, |_| false)
    }

    fn ask_with(
        &self,
        run: &str,
        owner: &Owner,
        wanted: &[(Resource, u32)],
        is_open: impl Fn(&Lease) -> bool,
    ) -> LeaseReply {
        self.ask_from(false, run, owner, wanted, is_open)
    }

    fn ask_from(
        &self,
        far: bool,
        run: &str,
        owner: &Owner,
        wanted: &[(Resource, u32)],
        is_open: impl Fn(&Lease) -> bool,
    ) -> LeaseReply {
        let request = LeaseRequest {
            far: far.then(|| resplit_operations::site::Host::local("/state")),
            run: run.into(),
            coordinator: "fileserver".into(),
            owner: owner.clone(),
            resources: wanted.to_vec(),
        };
        self.leases.request(&self.store, &request, Timestamp::UNIX_EPOCH, is_open).unwrap()
    }

    fn holders(&self) -> Vec<String> {
        let mut all: Vec<_> = self.leases.all().iter().map(key).collect();
        all.sort();
        all
    }
}

fn granted(reply: &LeaseReply) -> u64 {
    match reply {
        LeaseReply::Granted { token } => *token,
        LeaseReply::Held { .. } => panic!("{reply:?}"),
    }
}

fn releases(reply: &LeaseReply) -> u64 {
    match reply {
        LeaseReply::Held { releases, .. } => *releases,
        LeaseReply::Granted { .. } => panic!("{reply:?}"),
    }
}

fn me() -> Owner {
    Owner::current().unwrap()
}

/// Another process, and that it owns things.
fn other() -> (Child, Owner) {
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    let owner = Owner::of(child.id()).unwrap().unwrap();
    (child, owner)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    let _ = child.wait().unwrap();
}

#[test]
fn all_are_given_or_none() {
    let host = host();
    let _ = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
    let _ = releases(&host.ask("b", &me(), &[(volume("u"), 1), (volume("v"), 1)]));
    assert_eq!(host.holders(), ["volume/v/a"]);
    let _ = host.leases.release(&host.store, &"a".into()).unwrap();
    let _ = granted(&host.ask("b", &me(), &[(volume("u"), 1), (volume("v"), 1)]));
    assert_eq!(host.holders(), ["volume/u/b", "volume/v/b"]);
}

#[test]
fn as_many_runs_hold_a_library_as_it_has_drives() {
    let host = host();
    for run in ["a", "b"] {
        let _ = granted(&host.ask(run, &me(), &[(drive(), 2)]));
    }
    let _ = releases(&host.ask("c", &me(), &[(drive(), 2)]));
    let _ = granted(&host.ask("a", &me(), &[(drive(), 2)]));
    assert_eq!(host.holders(), ["drive/vault/a", "drive/vault/b"], "asked again it is the same lease");
    assert!(matches!(host.ask("c", &me(), &[(volume("v"), 0)]), LeaseReply::Granted { .. }));
}

#[test]
fn tokens_grow_and_outrun_what_a_pair_remembers() {
    let host = host();
    let first = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
    let again = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
    assert!(again > first);
    host.leases.outrun(&host.store, 40).unwrap();
    assert!(granted(&host.ask("a", &me(), &[(volume("v"), 1)])) > 40);
    host.leases.outrun(&host.store, 3).unwrap();
    assert!(granted(&host.ask("a", &me(), &[(volume("v"), 1)])) > 41);
    // A damaged pair may say anything.
    host.leases.outrun(&host.store, u64::MAX).unwrap();
    let _ = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
}

#[test]
fn a_dead_owners_are_taken_over_at_once_and_a_live_ones_never() {
    let host = host();
    let (child, owner) = other();
    let _ = granted(&host.ask("a", &owner, &[(volume("v"), 1)]));
    let _ = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    end(child);
    let _ = granted(&host.ask("b", &me(), &[(volume("v"), 1)]));
    assert_eq!(host.holders(), ["volume/v/b"]);
}

#[test]
fn a_process_id_that_is_given_out_again_is_nobodys_life() {
    let host = host();
    let reused = Owner { start_time: me().start_time + 2, ..me() };
    let _ = granted(&host.ask("a", &reused, &[(volume("v"), 1)]));
    let _ = granted(&host.ask("b", &me(), &[(volume("v"), 1)]));
    let booted = Owner { boot_id: "another boot".to_owned(), ..me() };
    let _ = granted(&host.ask("c", &booted, &[(volume("u"), 1)]));
    let _ = granted(&host.ask("d", &me(), &[(volume("u"), 1)]));
}

#[test]
fn a_run_that_is_still_to_be_finished_keeps_what_its_dead_engine_took() {
    let host = host();
    let dead = Owner { boot_id: "another boot".to_owned(), ..me() };
    let parked = |lease: &Lease| lease.run.as_str() == "parked";
    let _ = granted(&host.ask("parked", &dead, &[(volume("v"), 1)]));
    let _ = releases(&host.ask_with("b", &me(), &[(volume("v"), 1)], parked));
    let _ = granted(&host.ask_with("parked", &me(), &[(volume("v"), 1)], parked));
    assert_eq!(host.leases.all()[0].owner, me(), "its new engine owns it");
}

#[test]
fn leases_outlive_the_engine_in_the_store() {
    let host = host();
    let _ = granted(&host.ask("a", &me(), &[(volume("v"), 1), (drive(), 1)]));
    assert_eq!(Leases::new(&host.store, &me()).unwrap().all().len(), 2);
    let mut released = host.leases.release(&host.store, &"a".into()).unwrap();
    released.sort();
    assert_eq!(released, [volume("v"), drive()]);
    assert!(Leases::new(&host.store, &me()).unwrap().all().is_empty());
    assert!(host.leases.release(&host.store, &"a".into()).unwrap().is_empty());
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_release_even_one_before_it_waits() {
    let host = host();
    let _ = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
    let seen = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    let wait = host.leases.wait(&host.store, seen, |_| false);
    assert!(tokio::time::timeout(Duration::from_millis(50), wait).await.is_err());
    let _ = host.leases.release(&host.store, &"a".into()).unwrap();
    host.leases.wait(&host.store, seen, |_| false).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_end_of_the_owner() {
    let host = host();
    let (child, owner) = other();
    let _ = granted(&host.ask("a", &owner, &[(volume("v"), 1)]));
    let seen = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    let killer = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(50));
        end(child);
    });
    let wait = host.leases.wait(&host.store, seen, |_| false);
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap();
    killer.await.unwrap();
    let _ = granted(&host.ask("b", &me(), &[(volume("v"), 1)]));
}

#[tokio::test]
async fn the_end_of_an_owner_whose_run_is_to_be_finished_wakes_nobody() {
    let host = host();
    let (child, owner) = other();
    let _ = granted(&host.ask("parked", &owner, &[(volume("v"), 1)]));
    let seen = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    end(child);
    let wait = host.leases.wait(&host.store, seen, |_| true);
    assert!(tokio::time::timeout(Duration::from_millis(100), wait).await.is_err());
    assert_eq!(host.holders(), ["volume/v/parked"]);
}

#[tokio::test]
async fn whoever_waits_with_the_count_of_an_engine_that_is_gone_looks_again_at_once() {
    let host = host();
    let _ = granted(&host.ask("a", &me(), &[(volume("v"), 1)]));
    let seen = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    // Whatever the two processes' clocks say, and whichever of the two numbers is the larger.
    for ticks in 1..20 {
        let next = Owner { start_time: me().start_time + ticks, ..me() };
        let leases = Leases::new(&host.store, &next).unwrap();
        let wait = leases.wait(&host.store, seen, |_| true);
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap();
    }
}

#[test]
fn the_lease_of_an_owner_on_another_machine_stands_until_it_is_given_back() {
    let host = host();
    // As an owner on another machine looks from here: no process of this boot.
    let far = Owner { boot_id: "another machine's".to_owned(), pid: 1, start_time: 1 };
    let _ = granted(&host.ask_from(true, "a", &far, &[(volume("v"), 1)], |_| false));
    let _ = releases(&host.ask("b", &me(), &[(volume("v"), 1)]));
    assert!(!host.leases.any_alive(&me()), "it keeps no engine from ending");
    assert!(matches!(host.leases.all().as_slice(), [only] if only.far));
    let _ = host.leases.release(&host.store, &"a".into()).unwrap();
    let _ = granted(&host.ask("b", &me(), &[(volume("v"), 1)]));
}
