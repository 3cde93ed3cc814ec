//! What recovery would do of an interrupted run that is held: asked, and not done.

use std::{collections::BTreeMap, sync::Arc};

use petgraph::graph::NodeIndex;
use resplit_steps::{context::Work, failure::Failure};

use crate::{
    engine::Engine,
    failures,
    protocol::Recovery,
    rows::StepState,
    run::{launch, set_back, state::RunState},
    work::Task,
};

/// What recovery would do of each step that was begun and is not over. The rows in memory are those that it would start
/// from; nothing is written.
pub(crate) async fn foresee(engine: &Arc<Engine>, state: &mut RunState) -> BTreeMap<NodeIndex, Recovery> {
    let because = || set_back::LOST.to_owned();
    let lost = set_back::lost_windows(state).unwrap_or_default();
    let mut foreseen: BTreeMap<NodeIndex, Recovery> =
        lost.into_iter().map(|node| (node, Recovery::Run { because: because() })).collect();
    let site = Arc::new(state.plan.site.clone());
    let binding = Arc::new(state.row.binding.clone().unwrap_or_default());
    for node in state.order() {
        let row = state.row_of(*node);
        let StepState::Started { intent, .. } = &row.state else { continue };
        let task = Task {
            operation: state.plan.operation.clone(),
            purpose: state.plan.purpose,
            run: state.run().clone(),
            step: state.step(*node).clone(),
            attempt: row.attempts,
            site: Arc::clone(&site),
            binding: Arc::clone(&binding),
            facts: state.facts_of(*node),
            token: binding.tokens.get(&engine.host).copied().unwrap_or_default(),
            window: None,
            work: Work::silent(),
        };
        let recovery = if task.step.host == engine.host {
            task.foresee(engine, intent.clone()).await
        } else {
            there(engine, &task).await.unwrap_or_else(|failure| Recovery::Unknown { failure })
        };
        let _ = foreseen.insert(*node, recovery);
    }
    foreseen
}

async fn there(engine: &Arc<Engine>, task: &Task) -> Result<Recovery, Failure> {
    let client = engine.peers.client(&task.site, &task.step.host).await?;
    client.foresee(&launch::request(engine, task)).await.map_err(failures::of_client)
}
