//! The state of the world: of this host, and gathered from every host of a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use resplit_operations::{
    action::Action,
    ids::{HostId, VolumeId},
    pair::PairRef,
    plan::{Plan, Purpose, Resource},
    site::{PairDriverKind, Volume},
};
use resplit_steps::{
    context::Work,
    drivers::{media::LibraryRef, mounts, pairs::Content},
    failure::Failure,
};

use crate::{
    client::Client,
    engine::Engine,
    failures,
    protocol::{PairView, World, WorldRequest},
};

/// What this host knows and sees. Asks drivers, so it may block.
pub(crate) fn here(engine: &Engine, request: &WorldRequest) -> Result<World, Failure> {
    let pairs = request.pairs.iter().map(|(kind, pair)| look(engine, *kind, pair, request)).collect();
    let cartridges = request
        .libraries
        .iter()
        .map(|(id, library)| {
            let found = engine.drivers.media(library).inventory(&LibraryRef { id, library });
            (id.clone(), found)
        })
        .collect();
    let catalog = engine.catalog()?.to_vec();
    let sources = request
        .primaries
        .iter()
        .map(|(volume, path)| (volume.clone(), mounts::source(&engine.host, path)))
        .collect();
    Ok(World { catalog, sources, pairs, cartridges, leases: engine.leases.all() })
}

/// A pair, and what its driver says of it.
pub(crate) fn look(
    engine: &Engine,
    kind: PairDriverKind,
    pair: &PairRef,
    request: &WorldRequest,
) -> PairView {
    let driver = engine.drivers.pairs(kind);
    let state = driver.clone().and_then(|driver| driver.status(pair)).map(|mut state| {
        if let Some(last) = state.last.as_ref().filter(|last| last.ended.is_none()) {
            state.percent = state.percent.or_else(|| engine.progress.percent(&last.tag));
        }
        state
    });
    let (mut difference, mut no_difference) = (None, None);
    let obstacle = match &driver {
        Ok(driver) if request.ready => driver.ready(pair).err(),
        _ => None,
    };
    if request.measure && state.is_ok() {
        match driver.and_then(|driver| driver.pending(pair, &Work::silent())) {
            Ok(found) => difference = Some(found),
            Err(failure) => no_difference = Some(failure),
        }
    }
    PairView { pair: pair.clone(), state, obstacle, difference, no_difference }
}

/// The world as every host of a plan sees it: pairs as the coordinator does, libraries as their hosts do.
pub(crate) async fn gather(engine: &Arc<Engine>, plan: &Plan) -> Result<BTreeMap<HostId, World>, Failure> {
    let mut requests: BTreeMap<HostId, WorldRequest> = BTreeMap::new();
    let hosts: BTreeSet<HostId> = plan.graph().node_weights().map(|step| step.host.clone()).collect();
    for host in hosts {
        let _ = requests.entry(host).or_default();
    }
    let own = requests.entry(engine.host.clone()).or_default();
    let follow = [Purpose::Backup, Purpose::PairCreate, Purpose::PairResync];
    own.ready = follow.contains(&plan.purpose);
    for (id, volume) in &plan.site.volumes {
        own.pairs.extend(plan.pairs(id).into_iter().map(|pair| (volume.driver, pair)));
        let in_place = Purpose::RestoreFromDisk;
        if [in_place, Purpose::RestoreFromTape, Purpose::PairRestore].contains(&plan.purpose) {
            let _ = own.primaries.insert(id.clone(), volume.primary.path.clone());
        }
    }
    for (id, volume) in &plan.site.neighbours {
        if matters(plan, id) {
            let request = requests.entry(volume.primary.host.clone()).or_default();
            request.pairs.extend(plan.pairs(id).into_iter().map(|pair| (volume.driver, pair)));
        }
    }
    for (host, resource) in plan.resources() {
        let Resource::Drive(id) = resource else { continue };
        let Some(library) = plan.site.libraries.get(&id) else { continue };
        let _ = requests.entry(host).or_default().libraries.insert(id, library.clone());
    }
    let mut worlds = BTreeMap::new();
    for (host, request) in requests {
        let world = if host == engine.host {
            let engine = Arc::clone(engine);
            tokio::task::spawn_blocking(move || here(&engine, &request))
                .await
                .unwrap_or_else(|error| Err(failures::defect(&error)))?
        } else {
            let look = async |client: Client| client.world(&request).await;
            engine.peers.ask(&plan.site, &host, look).await?
        };
        let _ = worlds.insert(host, world);
    }
    Ok(worlds)
}

/// Whether the pairs of a neighbour are looked at: in a cascade always, beside a primary only before it is restored.
fn matters(plan: &Plan, id: &VolumeId) -> bool {
    let shares =
        |one: &Volume| plan.site.volumes.iter().any(|(own, volume)| volume.base(own) == one.base(id));
    let restores =
        matches!(plan.purpose, Purpose::RestoreFromDisk | Purpose::RestoreFromTape | Purpose::PairRestore);
    plan.site.neighbours.get(id).is_some_and(|one| restores || !shares(one))
}

/// An upper bound of the dataset that a plan will write, from the primaries as they are; `None` without tape, and where
/// something else is in the way first.
pub(crate) async fn tape_bound(
    engine: &Arc<Engine>,
    plan: &Plan,
    worlds: &BTreeMap<HostId, World>,
) -> Result<Option<u64>, Failure> {
    if worlds.values().flat_map(|world| &world.pairs).any(|view| view.obstacle.is_some()) {
        return Ok(None);
    }
    let tape = plan.graph().node_weights().find_map(|step| match &step.action {
        Action::TapeBackup(tape) => Some(tape.library.clone()),
        _ => None,
    });
    let Some(library) = tape.and_then(|id| plan.site.libraries.get(&id)).cloned() else { return Ok(None) };
    // Of several targets one is put on tape.
    let wanted = |id: &VolumeId| {
        plan.graph().node_weights().any(|step| {
            matches!(&step.action, Action::Record(record) if record.tape_wanted && record.volumes.contains(id))
        })
    };
    let is_told = plan.site.volumes.keys().any(wanted);
    let volumes = plan.site.volumes.iter().filter(|(id, _)| !is_told || wanted(id));
    let volumes: Vec<_> = volumes.map(|(_, volume)| volume.clone()).collect();
    let engine = Arc::clone(engine);
    let bound = tokio::task::spawn_blocking(move || {
        let (mut trees, mut bytes) = (Vec::new(), 0);
        for volume in &volumes {
            match engine.drivers.pairs(volume.driver)?.content(&volume.primary.path)? {
                Content::Tree(tree) => trees.push(tree),
                Content::Volume(size) => bytes += size,
            }
        }
        Ok(engine.drivers.media(&library).bound(&trees)? + bytes)
    });
    bound.await.unwrap_or_else(|error| Err(failures::defect(&error))).map(Some)
}
