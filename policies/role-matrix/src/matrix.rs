//! The rows of the action matrix.

use gotong_policy::Reason;
use gotong_policy::role_matrix::{
    Action, AuthorizeFacts, Nomination, Obligation, PermittedFacts, Standing,
};
use gotong_policy::types::{PrivacyLevel, Relations, TokenRole, Trigger};

use crate::rules::{
    anonymous, appoint, audit_read, broadcast, co_witness, completion_verify, disbursement_approve,
    discuss, dispute, entity_create, entity_edit, entity_read, evidence_submit, funds_manage,
    host_timer, moderate, object, outbox_manage, participate, pic_accept, pic_nominate,
    privacy_set, propose, relation_end, result_challenge, service, stand_as_verifikator,
    task_assign, task_claim, transition_emergency, visibility, vote,
};
use crate::view;

const AUTHOR: Relations = Relations::AUTHOR;
const SAKSI: Relations = Relations::SAKSI;
const PARTICIPANT: Relations = Relations::PARTICIPANT;
const PIC: Relations = Relations::PIC;
const BENDAHARA: Relations = Relations::BENDAHARA;
const HUMAS: Relations = Relations::HUMAS;
const VERIFIKATOR: Relations = Relations::VERIFIKATOR;

/// Those who object, vote and challenge.
const CIRCLE: Relations = AUTHOR.union(SAKSI).union(PARTICIPANT).union(PIC);

/// How long the author may edit a seed: 15 minutes.
pub const EDIT_WINDOW_MS: u64 = 15 * 60 * 1000;

/// Why an action is allowed, and what the host must also do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The reason, and the rule it belongs to.
    pub reason: &'static Reason,
    /// At most one: no row of the matrix asks for more.
    pub obligation: Option<Obligation>,
}

type Decision = Result<Grant, &'static Reason>;

fn granted(reason: &'static Reason) -> Decision {
    Ok(Grant {
        reason,
        obligation: None,
    })
}

fn obliged(reason: &'static Reason, obligation: Obligation) -> Decision {
    Ok(Grant {
        reason,
        obligation: Some(obligation),
    })
}

/// A row that only asks for one of some relations.
macro_rules! held {
    ($here:expr, $wanted:expr, $rule:ident) => {
        require_held($here, $wanted, $rule::not_related, $rule::relation_not_held)
            .and_then(|()| granted($rule::relation_held))
    };
}

fn require_held(
    here: &Standing,
    wanted: Relations,
    not_related: &'static Reason,
    relation_not_held: &'static Reason,
) -> Result<(), &'static Reason> {
    if here.relations.intersects(wanted) {
        Ok(())
    } else if here.relations.is_empty() {
        Err(not_related)
    } else {
        Err(relation_not_held)
    }
}

fn require(holds: bool, otherwise: &'static Reason) -> Result<(), &'static Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// May the actor do this? The grant, or why not.
///
/// # Errors
/// The reason of the denial.
pub fn decide(facts: &AuthorizeFacts) -> Decision {
    let here = &facts.standing;
    let action = facts.action;
    if here.role == TokenRole::System {
        let applies = action == Action::TransitionPropose && here.trigger == Trigger::Timer;
        require(applies, host_timer::system_only_applies_timers)?;
        return granted(host_timer::timer_applies);
    }
    let concerns_an_entity = !matches!(
        action,
        Action::EntityCreate | Action::OutboxManage | Action::AuditRead
    );
    require(
        !concerns_an_entity || view::visible(here),
        visibility::not_visible,
    )?;
    match here.role {
        TokenRole::Anonymous => {
            require(
                action == Action::EntityRead,
                anonymous::anonymous_only_reads,
            )?;
        }
        TokenRole::Service => require(
            matches!(
                action,
                Action::EntityRead | Action::OutboxManage | Action::AuditRead
            ),
            service::not_for_services,
        )?,
        TokenRole::User | TokenRole::Moderator | TokenRole::Admin | TokenRole::System => {}
    }
    row(facts)
}

/// Would the action be allowed, for some person or relation in question where it asks for one?
#[must_use]
pub fn permits(action: Action, facts: &PermittedFacts) -> bool {
    let asks = |sought, subject, subject_is_actor| {
        decide(&AuthorizeFacts {
            action,
            standing: facts.standing,
            snapshot: facts.snapshot,
            approvals: facts.approvals,
            sought,
            subject,
            subject_is_actor,
        })
        .is_ok()
    };
    match action {
        // Of other people a plain participant is the easiest to say yes to: a saksi would do as well.
        Action::Appoint | Action::RelationEnd | Action::PicNominate => {
            Relations::all().iter().any(|sought| {
                asks(sought, PARTICIPANT, false) || asks(sought, facts.standing.relations, true)
            })
        }
        _ => asks(Relations::empty(), Relations::empty(), false),
    }
}

fn row(facts: &AuthorizeFacts) -> Decision {
    let here = &facts.standing;
    match facts.action {
        Action::EntityCreate => {
            require(here.verified, entity_create::not_verified)?;
            granted(entity_create::verified)
        }
        Action::EntityRead => granted(entity_read::visible),
        Action::EntityEdit => {
            require_held(
                here,
                AUTHOR,
                entity_edit::not_related,
                entity_edit::relation_not_held,
            )?;
            require(
                here.seed_age_ms <= EDIT_WINDOW_MS,
                entity_edit::edit_window_over,
            )?;
            granted(entity_edit::within_edit_window)
        }
        Action::CoWitness => {
            require(here.verified, co_witness::not_verified)?;
            require(!here.relations.contains(SAKSI), co_witness::already_saksi)?;
            require(
                !here.relations.contains(VERIFIKATOR),
                co_witness::verifikator_stays_uninvolved,
            )?;
            granted(co_witness::verified)
        }
        Action::Participate => {
            require(here.verified, participate::not_verified)?;
            require(
                !here.relations.contains(PARTICIPANT),
                participate::already_participant,
            )?;
            require(
                !here.relations.contains(VERIFIKATOR),
                participate::verifikator_stays_uninvolved,
            )?;
            granted(participate::verified)
        }
        Action::StandAsVerifikator => {
            require(here.verified, stand_as_verifikator::not_verified)?;
            require(
                here.relations.is_empty(),
                stand_as_verifikator::already_involved,
            )?;
            granted(stand_as_verifikator::uninvolved)
        }
        Action::Appoint => appoint(facts),
        Action::RelationEnd => end_relation(facts),
        Action::Discuss => held!(here, CIRCLE | BENDAHARA | HUMAS, discuss),
        Action::EvidenceSubmit => held!(here, CIRCLE, evidence_submit),
        Action::TransitionPropose => held!(here, AUTHOR | PIC, propose),
        Action::TransitionObject => held!(here, CIRCLE, object),
        Action::TransitionVote => {
            require(facts.snapshot.intersects(CIRCLE), vote::not_in_snapshot)?;
            granted(vote::in_snapshot)
        }
        Action::TransitionEmergency => {
            let reason = if here.role == TokenRole::Moderator {
                transition_emergency::moderator
            } else {
                held!(here, PIC, transition_emergency)?.reason
            };
            obliged(reason, Obligation::AuditEmergency)
        }
        Action::ResultChallenge => held!(here, CIRCLE, result_challenge),
        Action::PicNominate => nominate(facts),
        Action::PicAccept => {
            require(
                here.nomination == Nomination::Actor,
                pic_accept::not_nominated,
            )?;
            require(
                !here.relations.contains(BENDAHARA),
                pic_accept::pic_is_never_bendahara,
            )?;
            // Relations may have changed since the nomination.
            require(
                !here.relations.contains(VERIFIKATOR),
                pic_accept::verifikator_stays_uninvolved,
            )?;
            require(!here.relations.is_empty(), pic_accept::no_longer_takes_part)?;
            granted(pic_accept::nominee)
        }
        Action::TaskAssign => held!(here, PIC, task_assign),
        Action::TaskClaim | Action::TaskHeartbeat => held!(here, PARTICIPANT | PIC, task_claim),
        Action::FundsManage => held!(here, BENDAHARA, funds_manage),
        Action::DisbursementApprove => approve(facts),
        Action::Broadcast => held!(here, HUMAS, broadcast),
        Action::CompletionVerify => held!(here, VERIFIKATOR, completion_verify),
        Action::PrivacySet => {
            let grant = held!(here, AUTHOR | PIC, privacy_set)?;
            require(
                here.privacy != PrivacyLevel::L3,
                privacy_set::l3_is_never_reversed,
            )?;
            Ok(grant)
        }
        Action::Dispute => {
            require(!here.relations.is_empty(), dispute::not_related)?;
            granted(dispute::relation_held)
        }
        Action::Moderate => {
            let holds = matches!(here.role, TokenRole::Moderator | TokenRole::Admin);
            require(holds, moderate::role_not_held)?;
            granted(moderate::role_held)
        }
        Action::OutboxManage => {
            let holds = matches!(here.role, TokenRole::Admin | TokenRole::Service);
            require(holds, outbox_manage::role_not_held)?;
            granted(outbox_manage::role_held)
        }
        Action::AuditRead => {
            let holds = matches!(here.role, TokenRole::Admin | TokenRole::Service);
            require(holds, audit_read::role_not_held)?;
            granted(audit_read::role_held)
        }
    }
}

/// What the person in question holds. The actor's own standing is the better source when it is the actor.
fn subject(facts: &AuthorizeFacts) -> Relations {
    if facts.subject_is_actor {
        facts.standing.relations
    } else {
        facts.subject
    }
}

fn appoint(facts: &AuthorizeFacts) -> Decision {
    let here = &facts.standing;
    let appoints = if here.has_pic { PIC } else { PIC | AUTHOR };
    require_held(
        here,
        appoints,
        appoint::not_related,
        appoint::relation_not_held,
    )?;
    let is_appointment = facts.sought == BENDAHARA || facts.sought == HUMAS;
    require(is_appointment, appoint::not_an_appointment)?;
    let subject = subject(facts);
    require(
        subject.intersects(VERIFIKATOR.complement()),
        appoint::subject_not_related,
    )?;
    require(!subject.contains(facts.sought), appoint::already_held)?;
    let pic_as_bendahara = facts.sought == BENDAHARA && subject.contains(PIC);
    require(!pic_as_bendahara, appoint::pic_is_never_bendahara)?;
    granted(appoint::appointed)
}

fn end_relation(facts: &AuthorizeFacts) -> Decision {
    require(facts.subject_is_actor, relation_end::not_ones_own)?;
    require(
        facts.sought.bits().is_power_of_two(),
        relation_end::not_one_relation,
    )?;
    require(
        facts.standing.relations.contains(facts.sought),
        relation_end::relation_not_held,
    )?;
    require(facts.sought != AUTHOR, relation_end::author_stays)?;
    require(facts.sought != PIC, relation_end::pic_hands_over)?;
    granted(relation_end::ended_by_oneself)
}

fn nominate(facts: &AuthorizeFacts) -> Decision {
    let here = &facts.standing;
    require_held(
        here,
        AUTHOR | PARTICIPANT,
        pic_nominate::not_related,
        pic_nominate::relation_not_held,
    )?;
    let subject = subject(facts);
    if facts.subject_is_actor {
        require(!here.has_pic, pic_nominate::pic_already_there)?;
    } else {
        require(here.relations.contains(AUTHOR), pic_nominate::only_oneself)?;
        require(!subject.is_empty(), pic_nominate::subject_not_related)?;
    }
    require(!subject.contains(PIC), pic_nominate::already_held)?;
    require(
        !subject.contains(BENDAHARA),
        pic_nominate::pic_is_never_bendahara,
    )?;
    require(
        !subject.contains(VERIFIKATOR),
        pic_nominate::verifikator_stays_uninvolved,
    )?;
    if facts.subject_is_actor {
        obliged(pic_nominate::offered_oneself, Obligation::AcceptAtOnce)
    } else {
        granted(pic_nominate::nominated)
    }
}

fn approve(facts: &AuthorizeFacts) -> Decision {
    let here = &facts.standing;
    let both = PIC | BENDAHARA;
    require_held(
        here,
        both,
        disbursement_approve::not_related,
        disbursement_approve::relation_not_held,
    )?;
    let side = here.relations & both;
    require(side != both, disbursement_approve::pic_is_never_bendahara)?;
    require(
        !facts.approvals.contains(side),
        disbursement_approve::already_approved,
    )?;
    if facts.approvals.intersects(both) {
        granted(disbursement_approve::both_approved)
    } else {
        obliged(
            disbursement_approve::first_approval,
            Obligation::AwaitSecondApproval,
        )
    }
}
