//! Rows of transitions, their gates, ballots and objections, and how they are read.

use gotong_engine::Digest;
use gotong_engine::gate::{GateType, Phase, PlanFacts, Risk, Terms};
use gotong_engine::retention::{OnExpiry, Tag};
use gotong_engine::types::{Relations, Stage, TokenRole, Track, Trigger};
use gotong_store::{Key, KeyRange, PersonStore, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Plan;
use crate::clock::Millis;
use crate::command::work::Work;
use crate::entities::Entity;
use crate::entities::view::INLINED;
use crate::tally::{Choice, Tally};

/// One full vote, in permille.
pub const FULL_VOTE_PERMILLE: u32 = 1_000;

const HOUR_MS: Millis = 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    Applied,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransitionType {
    StageAdvance,
    TrackChange,
    Emergency,
}

/// The transition record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransitionRow {
    pub transition_id: String,
    pub entity_id: String,
    pub scope_id: String,
    pub track: Track,
    pub to_track: Track,
    pub from_stage: Stage,
    pub to_stage: Stage,
    pub transition_type: TransitionType,
    pub mechanism: Trigger,
    pub status: Status,
    pub actor: ActorSnapshot,
    pub occurred_at_ms: Millis,
    pub request_id: String,
    pub correlation_id: String,
    pub retention_tag: RetentionTag,
    /// Hash of the `transition_proposed` event.
    pub event_hash: String,
    /// The gate policy's decision that opened it.
    pub decision_id: String,
    pub gate: GateRow,
}

/// The proposer, as it was then.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActorSnapshot {
    pub user_id: String,
    pub username: String,
    pub role: TokenRole,
    pub relations: Relations,
    pub request_id: String,
    pub correlation_id: String,
    pub request_ts_ms: Millis,
}

/// How long a record is kept, and what happens then.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RetentionTag {
    pub name: String,
    /// Null: for ever.
    pub keep_hours: Option<u32>,
    pub on_expiry: OnExpiry,
}

impl From<Tag> for RetentionTag {
    fn from(tag: Tag) -> Self {
        Self {
            name: tag.name,
            keep_hours: tag.keep_hours,
            on_expiry: tag.on_expiry,
        }
    }
}

/// What a gate holds to, and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateRow {
    pub gate_type: GateType,
    pub risk: Risk,
    pub phase: Phase,
    /// 1, and one more after each challenge: ballots belong to a round.
    pub round: u32,
    pub opens_at_ms: Millis,
    /// End of the running window.
    pub closes_at_ms: Millis,
    pub closed_at_ms: Option<Millis>,
    pub quorum: u32,
    pub threshold_permille: u32,
    pub challenge_window_hours: u32,
    pub eligible: u32,
    pub eligible_weight_permille: u32,
    pub objections: u32,
    pub challenges: u32,
    /// The count; null until the gate closes.
    pub vote_tally: Option<Tally>,
    /// Why it closed as it did, and by which rule.
    pub reason: Option<String>,
    pub rule: Option<String>,
    pub audit_due_at_ms: Option<Millis>,
    /// The module it was opened under and is closed under.
    pub policy_digest: Digest,
}

/// One person of the snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EligibleRow {
    pub transition_id: String,
    pub user_id: String,
    pub relations: Vec<String>,
    pub weight_permille: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BallotRow {
    pub transition_id: String,
    pub round: u32,
    pub user_id: String,
    pub choice: Choice,
    pub weight_permille: u32,
    pub at_ms: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionKind {
    Objection,
    Challenge,
}

#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ObjectionRow {
    pub transition_id: String,
    pub kind: ObjectionKind,
    pub user_id: String,
    pub reason: String,
    pub at_ms: Millis,
}

impl GateRow {
    fn open(plan: &Plan, facts: &PlanFacts, now_ms: Millis) -> Self {
        let terms = &plan.terms;
        Self {
            gate_type: terms.gate_type,
            risk: terms.risk,
            phase: Phase::Deciding,
            round: 1,
            opens_at_ms: now_ms,
            closes_at_ms: window_end(now_ms, terms.window_hours),
            closed_at_ms: None,
            quorum: terms.quorum,
            threshold_permille: terms.threshold_permille,
            challenge_window_hours: terms.challenge_window_hours,
            eligible: facts.eligible,
            eligible_weight_permille: facts.eligible_weight_permille,
            objections: 0,
            challenges: 0,
            vote_tally: None,
            reason: None,
            rule: None,
            audit_due_at_ms: (terms.audit_due_hours > 0)
                .then(|| window_end(now_ms, terms.audit_due_hours)),
            policy_digest: plan.policy,
        }
    }

    /// Goes on under new terms, from now.
    pub fn renew(&mut self, terms: &Terms, now_ms: Millis) {
        self.gate_type = terms.gate_type;
        self.risk = terms.risk;
        self.phase = Phase::Deciding;
        self.closes_at_ms = window_end(now_ms, terms.window_hours);
        self.quorum = terms.quorum;
        self.threshold_permille = terms.threshold_permille;
        self.challenge_window_hours = terms.challenge_window_hours;
    }
}

pub fn window_end(from_ms: Millis, hours: u32) -> Millis {
    from_ms.saturating_add(Millis::from(hours) * HOUR_MS)
}

impl TransitionRow {
    pub fn proposed(
        work: &Work,
        entity: &Entity,
        facts: &PlanFacts,
        plan: &Plan,
        retention_tag: RetentionTag,
    ) -> Self {
        let context = &work.context;
        let now_ms = work.now_ms();
        Self {
            transition_id: work.mint(),
            entity_id: entity.id().to_owned(),
            scope_id: entity.row.scope_id.clone(),
            track: facts.track,
            to_track: facts.to_track,
            from_stage: facts.from_stage,
            to_stage: facts.to_stage,
            transition_type: if facts.emergency {
                TransitionType::Emergency
            } else if facts.track != facts.to_track {
                TransitionType::TrackChange
            } else {
                TransitionType::StageAdvance
            },
            mechanism: context.trigger,
            status: Status::Open,
            actor: ActorSnapshot {
                user_id: context.actor.user_id.clone(),
                username: context.actor.username.clone(),
                role: context.actor.role,
                relations: entity.mine,
                request_id: context.request_id.clone(),
                correlation_id: context.correlation_id.clone(),
                request_ts_ms: now_ms,
            },
            occurred_at_ms: now_ms,
            request_id: context.request_id.clone(),
            correlation_id: context.correlation_id.clone(),
            retention_tag,
            event_hash: String::new(),
            decision_id: plan.decision_id.clone(),
            gate: GateRow::open(plan, facts, now_ms),
        }
    }

    /// Its window has not ended, and nothing has closed it.
    pub fn is_open(&self, now_ms: Millis) -> bool {
        self.status == Status::Open && now_ms < self.gate.closes_at_ms
    }

    /// What the ledger says of it: no person.
    pub fn summary(&self) -> Value {
        json!({
            "transition_id": self.transition_id,
            "entity_id": self.entity_id,
            "track": self.track,
            "to_track": self.to_track,
            "from_stage": self.from_stage,
            "to_stage": self.to_stage,
            "transition_type": self.transition_type,
            "actor_relations": self.actor.relations,
            "status": self.status,
            "retention_tag": self.retention_tag,
            "gate": self.gate,
        })
    }
}

pub fn key(transition_id: &str) -> Key {
    Key::new("transition", transition_id)
}

pub fn timeline_key(transition: &TransitionRow) -> Key {
    Key::parts(
        "timeline",
        (
            &transition.entity_id,
            transition.occurred_at_ms,
            &transition.transition_id,
        ),
    )
}

const LIST: &str = "transition_list";

/// Its places in the list of all and in that of its scope, newest first.
pub fn list_keys(transition: &TransitionRow) -> [Key; 2] {
    let (before, id) = (-transition.occurred_at_ms, &transition.transition_id);
    [
        Key::parts(LIST, ("all", before, id)),
        Key::parts(LIST, ("scope", &transition.scope_id, before, id)),
    ]
}

pub fn eligible_key(transition_id: &str, user_id: &str) -> Key {
    Key::parts("gate_eligible", (transition_id, user_id))
}

pub fn ballot_key(transition_id: &str, round: u32, user_id: &str) -> Key {
    Key::parts("ballot", (transition_id, i64::from(round), user_id))
}

pub async fn transition(
    store: &Store,
    transition_id: &str,
) -> Result<Option<TransitionRow>, StoreError> {
    store.get(&key(transition_id)).await
}

pub async fn eligible(
    store: &Store,
    transition_id: &str,
    user_id: &str,
) -> Result<Option<EligibleRow>, StoreError> {
    store.get(&eligible_key(transition_id, user_id)).await
}

#[derive(Deserialize)]
struct Belongs {
    entity_id: String,
}

/// The entity a transition belongs to.
pub async fn entity_of(store: &Store, transition_id: &str) -> Result<Option<String>, StoreError> {
    let mut rows = store
        .read("SELECT entity_id FROM $transition;")
        .bind_key("transition", key(transition_id))
        .await?;
    Ok(rows.first::<Belongs>(0)?.map(|row| row.entity_id))
}

/// What a vote rests on.
#[derive(Debug)]
pub struct Voter {
    pub transition: TransitionRow,
    /// The voter's place in the snapshot.
    pub eligible: Option<EligibleRow>,
    /// In the round that runs.
    pub has_voted: bool,
}

/// In one round trip: the hottest write.
pub async fn voter(
    store: &Store,
    transition_id: &str,
    user_id: &str,
) -> Result<Option<Voter>, StoreError> {
    #[derive(Deserialize)]
    struct Cast {}
    let mut rows = store
        .read(
            "SELECT * FROM $transition;
             SELECT * FROM $eligible;
             SELECT round FROM type::record('ballot', [$transition_id, (SELECT VALUE gate.round FROM ONLY $transition), $user_id]);",
        )
        .bind_key("transition", key(transition_id))
        .bind_key("eligible", eligible_key(transition_id, user_id))
        .bind("transition_id", transition_id)
        .bind("user_id", user_id)
        .await?;
    let Some(transition) = rows.first(0)? else {
        return Ok(None);
    };
    Ok(Some(Voter {
        transition,
        eligible: rows.first(1)?,
        has_voted: rows.first::<Cast>(2)?.is_some(),
    }))
}

pub async fn ballots(
    store: &Store,
    transition_id: &str,
    round: u32,
) -> Result<Vec<BallotRow>, StoreError> {
    store
        .scan(&KeyRange::prefix(
            "ballot",
            (transition_id, i64::from(round)),
        ))
        .await
}

/// A person's own ballots, one a round: all that the database shows them.
pub async fn own_ballots(
    person: &PersonStore,
    transition_id: &str,
) -> Result<Vec<BallotRow>, StoreError> {
    person
        .scan(&KeyRange::prefix("ballot", (transition_id,)))
        .await
}

/// A transition with the people around it.
#[derive(Debug)]
pub struct Whole {
    pub transition: TransitionRow,
    pub around: Around,
}

/// The first of the people around a transition: more than a view holds, where there are more, also without its author.
#[derive(Debug)]
pub struct Around {
    pub eligible: Vec<EligibleRow>,
    pub objections: Vec<ObjectionRow>,
}

pub async fn whole(store: &Store, transition_id: &str) -> Result<Option<Whole>, StoreError> {
    let mut rows = store
        .read(
            "SELECT * FROM $transition;
             SELECT * FROM $eligible LIMIT $most;
             SELECT * FROM $objections LIMIT $most;",
        )
        .bind_key("transition", key(transition_id))
        .bind_range("eligible", &snapshot(transition_id))
        .bind_range(
            "objections",
            &KeyRange::prefix("objection", (transition_id,)),
        )
        .bind("most", INLINED + 2)
        .await?;
    let Some(transition) = rows.first(0)? else {
        return Ok(None);
    };
    Ok(Some(Whole {
        transition,
        around: Around {
            eligible: rows.take(1)?,
            objections: rows.take(2)?,
        },
    }))
}

/// The entity a transition belongs to, and some of those who could vote on it, behind a user id.
pub async fn eligible_people(
    store: &Store,
    transition_id: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Option<(String, Vec<EligibleRow>)>, StoreError> {
    let mut range = snapshot(transition_id);
    if let Some(user_id) = after {
        range = range.after(user_id);
    }
    let mut rows = store
        .read("SELECT entity_id FROM $transition; SELECT * FROM $range LIMIT $limit;")
        .bind_key("transition", key(transition_id))
        .bind_range("range", &range)
        .bind("limit", limit)
        .await?;
    let Some(Belongs { entity_id }) = rows.first(0)? else {
        return Ok(None);
    };
    Ok(Some((entity_id, rows.take(1)?)))
}

/// Who could vote when the gate opened, in the order of user ids.
fn snapshot(transition_id: &str) -> KeyRange {
    KeyRange::prefix("gate_eligible", (transition_id,))
}

/// Where a transition stands among all, in the order of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place(Millis, String);

impl Place {
    pub fn of(row: &TransitionRow) -> Self {
        Self(row.occurred_at_ms, row.transition_id.clone())
    }
}

/// A page of an entity's transitions, in timeline order, behind `after`.
pub async fn timeline(
    store: &Store,
    entity_id: &str,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<TransitionRow>, StoreError> {
    let mut range = KeyRange::prefix("timeline", (entity_id,));
    if let Some(Place(at_ms, transition_id)) = after {
        range = range.after((*at_ms, transition_id));
    }
    let mut rows = store
        .read(
            "LET $page = SELECT VALUE type::record('transition', transition_id) FROM $range LIMIT $limit;
             SELECT * FROM $page;",
        )
        .bind_range("range", &range)
        .bind("limit", limit)
        .await?;
    rows.take(1)
}

/// What a list of transitions is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    pub scope_id: Option<&'a str>,
    pub track: Option<Track>,
    pub status: Option<Status>,
    pub after: Option<&'a Place>,
}

/// Some transitions of a list, newest first.
#[derive(Debug, Default)]
pub struct Looked {
    pub rows: Vec<TransitionRow>,
    /// As far as the list was looked through; none: to its end.
    pub reached: Option<Place>,
}

/// How many transitions a request takes from a list at most. Each is ruled on before it is shown.
const TAKEN: usize = 50;
/// How many it looks at when only those of a track or status are wanted.
const LOOKED_AT: usize = 200;

/// The next transitions of a list, in one round trip. It is the size of the request that is bounded, not that of the
/// answer: there may be none among those that were looked at, and more behind them.
pub async fn list(store: &Store, filter: &Filter<'_>) -> Result<Looked, StoreError> {
    let mut range = match filter.scope_id {
        Some(scope_id) => KeyRange::prefix(LIST, ("scope", scope_id)),
        None => KeyRange::prefix(LIST, ("all",)),
    };
    if let Some(Place(at_ms, transition_id)) = filter.after {
        range = range.after((-at_ms, transition_id));
    }
    let narrowed = filter.track.is_some() || filter.status.is_some();
    let look_at = if narrowed { LOOKED_AT } else { TAKEN };
    let mut rows = store
        .read(
            "LET $looked = SELECT transition_id, occurred_at_ms FROM $range LIMIT $look_at;
             LET $transitions = SELECT VALUE type::record('transition', transition_id) FROM $looked;
             SELECT * FROM $transitions
                 WHERE ($track = NULL OR track = $track) AND ($status = NULL OR status = $status) LIMIT $taken;
             SELECT VALUE [occurred_at_ms, transition_id] FROM $looked;",
        )
        .bind_range("range", &range)
        .bind("look_at", look_at)
        .bind("taken", TAKEN)
        .bind("track", filter.track)
        .bind("status", filter.status)
        .await?;
    let taken: Vec<TransitionRow> = rows.take(2)?;
    let mut looked_at: Vec<Place> = rows.take(3)?;
    let reached = if taken.len() == TAKEN {
        taken.last().map(Place::of)
    } else if looked_at.len() == look_at {
        looked_at.pop()
    } else {
        None
    };
    Ok(Looked {
        rows: taken,
        reached,
    })
}
