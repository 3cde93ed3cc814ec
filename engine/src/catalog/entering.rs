//! Records that an operator brings: entered if their pairs still hold what they describe. The field enters by copy group:
//! a record says that the pair holds this image now, and so the others on that pair go.

use std::sync::Arc;

use resplit_operations::{
    ids::HostId,
    record::{CatalogChange, ExportFile, Image, Medium, Record, Standing, TapeState},
};
use resplit_steps::failure::Failure;

use crate::{
    engine::Engine,
    failures::{conflict, defect},
    protocol::{EnterRequest, Entered, Refusal, RefusalKind, WorldRequest},
    service::Reply,
    transaction::Transaction,
    world,
};

/// Enters a record; one that is there already is not entered again.
pub(crate) async fn enter(engine: &Arc<Engine>, request: EnterRequest) -> Reply<Entered> {
    request.file.check().map_err(|wrong| Refusal {
        kind: RefusalKind::BadRequest,
        failure: Failure::refused(format!("this record {wrong}")),
    })?;
    look(engine, &request).await?;
    let entered = commit(engine, request.file.clone()).await?;
    // A pair that is overwritten meanwhile has marked the records that were there before, and not this one.
    if let Err(gone) = look(engine, &request).await
        && !entered.was_there
    {
        let _alone = engine.changing.write().await;
        let mut transaction = Transaction::new(engine)?;
        let reason = "its pair was overwritten while it was entered".to_owned();
        transaction.change(engine, &[CatalogChange::Evict { id: entered.record.id, reason }]);
        transaction.commit(engine).await?;
        return Err(gone);
    }
    Ok(entered)
}

/// Refuses a record whose images are not, or no longer, on its pairs.
async fn look(engine: &Arc<Engine>, request: &EnterRequest) -> Reply<()> {
    let (engine, request) = (Arc::clone(engine), request.clone());
    let images =
        move || request.file.origin.images.iter().try_for_each(|image| held(&engine, &request, image));
    tokio::task::spawn_blocking(images).await.unwrap_or_else(|error| Err(defect(&error).into()))
}

fn held(engine: &Engine, request: &EnterRequest, image: &Image) -> Reply<()> {
    let Image { volume, copy_group, epoch, .. } = image;
    let is_meant = |(_, pair): &&(_, resplit_operations::pair::PairRef)| {
        pair.volume == *volume && pair.copy_group == *copy_group
    };
    let Some((kind, pair)) = request.pairs.iter().find(is_meant) else {
        let text = format!("the site has no pair {copy_group} of a volume {volume}");
        return Err(conflict(text, "resplit pair list"));
    };
    let state = world::look(engine, *kind, pair, &WorldRequest::default()).state?;
    if state.epoch != *epoch {
        let text = format!("{copy_group} no longer holds the image of this record: it was overwritten");
        return Err(conflict(text, format!("resplit run {}", request.file.origin.operation)));
    }
    Ok(())
}

async fn commit(engine: &Arc<Engine>, file: ExportFile) -> Reply<Entered> {
    let _alone = engine.changing.write().await;
    let mut transaction = Transaction::new(engine)?;
    let same = |record: &&Record| {
        record.origin == file.origin && matches!(record.medium, Medium::Disk) && record.is_current()
    };
    if let Some(record) = transaction.catalog.iter().find(same) {
        return Ok(Entered { record: record.clone(), was_there: true });
    }
    let by = format!("import of backup {} of {}", file.origin.original_id, file.origin.source_host);
    let mut evicted = Vec::new();
    for record in transaction.catalog.iter() {
        if file.origin.images.iter().any(|image| record.is_on(&image.copy_group)) {
            refuse_if_kept(record, &engine.host)?;
            evicted.push(CatalogChange::Evict { id: record.id, reason: by.clone() });
        }
    }
    let record = Record {
        id: engine.reserve(),
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: if file.tape_wanted { TapeState::Wanted } else { TapeState::NotWanted },
        entered: engine.clock.now(),
        origin: file.origin,
    };
    transaction.change(engine, &evicted);
    transaction.enter(engine, record.clone());
    transaction.commit(engine).await?;
    Ok(Entered { record, was_there: false })
}

/// Refuses what would cost a record that somebody keeps: mounted, locked, or wanted on tape.
pub(crate) fn refuse_if_kept(record: &Record, host: &HostId) -> Reply<()> {
    let id = record.id;
    if let Some(lock) = &record.lock {
        return Err(match &lock.run {
            Some(run) => {
                conflict(format!("backup {id} is mounted by run {run}"), format!("resplit show {run}"))
            }
            None => conflict(
                format!("backup {id} is locked by an operator"),
                format!("resplit catalog unlock {host}:{id}"),
            ),
        });
    }
    if record.is_current() && record.tape == TapeState::Wanted {
        let help =
            format!("resplit resume {}, or give it up: resplit catalog waive {host}:{id}", record.origin.run);
        return Err(conflict(format!("backup {id} is wanted on tape and is not there yet"), help));
    }
    Ok(())
}
