//! The only door to the policy engine: facts in, ruling and decision record out.
//!
//! A policy that traps, burns its fuel or cannot run denies, and that is recorded (invariant 8). `peek` is
//! for reads: it leaves no record, and fails closed all the same.

pub mod authority;
pub mod decision;
pub mod gate;
pub mod pinned;
pub mod replay;
pub mod routes;
pub mod shadow;

use std::collections::BTreeMap;
use std::time::Instant;

use gotong_engine::role_matrix::{ProjectFacts, ProjectManyFacts, Projection};
use gotong_engine::{Digest, Evaluation, Family, Module, Outcome, Question, Record, RecordMode};
use uuid::Uuid;

use crate::app::App;
use crate::command::refusal::{Refusal, Ruled};
use crate::problems::Code;
use crate::request::CommandContext;
use decision::DecisionRow;

/// The scope of what lies in none: the active module decides.
pub const NOWHERE: &str = "";

/// A ruling, and the decision it is recorded as.
#[derive(Debug)]
pub struct Given<R> {
    pub ruling: R,
    pub decision_id: String,
    /// The module that ruled.
    pub policy: Digest,
    family: Family,
}

impl<R> Given<R> {
    /// The refusal of a ruling that cannot be followed: fail closed.
    pub fn unfollowed(&self, code: Code) -> Refusal {
        Refusal::PolicyFailed {
            family: self.family,
            code,
            decision_id: self.decision_id.clone(),
        }
    }

    /// Refuses an allowing ruling unless everything it asks for is carried out.
    pub fn discharge<O: PartialEq>(
        &self,
        obligations: &[O],
        carried_out: &[O],
    ) -> Result<(), Refusal> {
        match obligations
            .iter()
            .all(|obligation| carried_out.contains(obligation))
        {
            true => Ok(()),
            false => Err(self.unfollowed(Code::PolicyObligationUnknown)),
        }
    }

    /// The refusal that a ruling of this reason, by this rule, means.
    pub fn refusal(&self, app: &App, reason: &str, rule: &str) -> Refusal {
        let module = app.policies.by_digest(&self.policy);
        Refusal::Ruled(Box::new(Ruled {
            family: self.family,
            reason: reason.to_owned(),
            rule: rule.to_owned(),
            rule_text: module
                .and_then(|module| module.rule_text(rule))
                .unwrap_or_default()
                .to_owned(),
            decision_id: self.decision_id.clone(),
        }))
    }
}

/// Asks `module` and words the decision. `Err` is the refusal of a policy that gave no ruling.
pub fn ask<Q: Question>(
    app: &App,
    module: &Module,
    facts: &Q,
    stream: &str,
    context: &CommandContext,
) -> (Result<Given<Q::Ruling>, Refusal>, DecisionRow) {
    let correlation_id = &context.correlation_id;
    let _step = tracing::debug_span!(
        "ruling",
        correlation_id,
        module = module.name(),
        version = module.version(),
        function = Q::FUNCTION
    )
    .entered();
    let asked = Instant::now();
    let (evaluation, record) = match &app.rulings {
        Some(cache) => {
            let (answer, record) = module.rule_cached(cache, facts);
            (answer.evaluation().clone(), Record::clone(&record))
        }
        None => module.evaluate_and_record(facts, RecordMode::Active),
    };
    app.metrics
        .evaluated(module, Q::FUNCTION, evaluation.outcome, asked.elapsed());
    if let Some(output) = &record.output {
        app.metrics.ruled(module, Q::FUNCTION, output);
    }
    let decision_id = Uuid::now_v7().to_string();
    let given = ruling_of::<Q>(module, evaluation, &decision_id).map(|ruling| Given {
        ruling,
        decision_id: decision_id.clone(),
        policy: module.digest(),
        family: Q::FAMILY,
    });
    let row = decision::row(decision_id, record, stream, context);
    (given, row)
}

/// Asks the policy that decides in a scope on behalf of a reader.
pub fn peek<Q: Question>(app: &App, scope: &str, facts: &Q) -> Result<Q::Ruling, Refusal> {
    peek_at(app, app.policies.deciding(Q::FAMILY, scope), facts)
}

/// What a reader may see of a page of entities, each in its scope; the answers are in the order of the items. A module
/// that has the list form is asked once for all that is its to decide.
pub fn peek_projections(
    app: &App,
    items: Vec<(&str, ProjectFacts)>,
) -> Result<Vec<Projection>, Refusal> {
    let mut by_module: BTreeMap<Digest, (&Module, Vec<usize>, Vec<ProjectFacts>)> = BTreeMap::new();
    let wanted = items.len();
    for (place, (scope, facts)) in items.into_iter().enumerate() {
        let module = app.policies.deciding(Family::RoleMatrix, scope);
        let (_, places, asked) = by_module
            .entry(module.digest())
            .or_insert_with(|| (module, Vec::new(), Vec::new()));
        places.push(place);
        asked.push(facts);
    }
    let mut projections = Vec::with_capacity(wanted);
    for (module, places, facts) in by_module.into_values() {
        let answers = if module.answers::<ProjectManyFacts>() {
            peek_at(app, module, &ProjectManyFacts { items: facts })?
        } else {
            let each = facts.iter().map(|facts| peek_at(app, module, facts));
            each.collect::<Result<_, _>>()?
        };
        if answers.len() != places.len() {
            let code = Code::PolicyAnswersMissing;
            tracing::error!(module = module.name(), version = module.version(), %code);
            return Err(Refusal::PolicyFailed {
                family: Family::RoleMatrix,
                code,
                decision_id: String::new(),
            });
        }
        projections.extend(places.into_iter().zip(answers));
    }
    projections.sort_by_key(|(place, _)| *place);
    Ok(projections.into_iter().map(|(_, answer)| answer).collect())
}

fn peek_at<Q: Question>(app: &App, module: &Module, facts: &Q) -> Result<Q::Ruling, Refusal> {
    let asked = Instant::now();
    let evaluation = match &app.rulings {
        Some(cache) => module.evaluate_cached(cache, facts).evaluation().clone(),
        None => module.evaluate(facts),
    };
    app.metrics
        .evaluated(module, Q::FUNCTION, evaluation.outcome, asked.elapsed());
    shadow::beside_read(app, module, facts, &evaluation);
    ruling_of::<Q>(module, evaluation, "")
}

fn ruling_of<Q: Question>(
    module: &Module,
    evaluation: Evaluation<Q::Ruling>,
    decision_id: &str,
) -> Result<Q::Ruling, Refusal> {
    evaluation.ruling.ok_or_else(|| {
        let outcome = evaluation.outcome.as_str();
        tracing::error!(
            module = module.name(),
            version = module.version(),
            outcome,
            detail = evaluation.detail,
            decision_id,
            "a policy gave no ruling"
        );
        let code = match evaluation.outcome {
            Outcome::FuelExhausted => Code::PolicyFuelExhausted,
            Outcome::Trapped { .. } => Code::PolicyTrapped,
            // No ruling, and no decision that anybody can repeat.
            Outcome::Ruled | Outcome::EngineError => Code::PolicyEngineError,
        };
        Refusal::PolicyFailed {
            family: Q::FAMILY,
            code,
            decision_id: decision_id.to_owned(),
        }
    })
}
