//! The action matrix as the domain page has it, row by row, and what must hold for every input.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::role_matrix::{
    Action::{self, *},
    AuthorizeFacts, Fields, Nomination, PermittedFacts, ProjectFacts, ProjectManyFacts, Projection,
    RoleMatrix, Standing,
};
use gotong_policy::types::{
    Effect,
    PrivacyLevel::{self, *},
    Relations,
    TokenRole::{self, *},
    Trigger, TrustTier,
};

use crate::{GotongRoleMatrix as Policy, rules};

const NOTHING: Relations = Relations::empty();
const AUTHOR: Relations = Relations::AUTHOR;
const SAKSI: Relations = Relations::SAKSI;
const PARTICIPANT: Relations = Relations::PARTICIPANT;
const PIC: Relations = Relations::PIC;
const BENDAHARA: Relations = Relations::BENDAHARA;
const HUMAS: Relations = Relations::HUMAS;
const VERIFIKATOR: Relations = Relations::VERIFIKATOR;

const MINUTE: u64 = 60_000;

/// A verified user who is `relations` to an open entity that has a pic.
fn standing(relations: Relations) -> Standing {
    Standing {
        role: User,
        verified: true,
        tier: TrustTier::Pemula,
        trigger: Trigger::UserAction,
        relations,
        privacy: Open,
        has_pic: true,
        nomination: Nomination::None,
        seed_age_ms: 0,
    }
}

/// A question to the matrix, built up as a sentence.
#[derive(Clone, Copy)]
struct Ask(AuthorizeFacts);

fn may(action: Action, relations: Relations) -> Ask {
    Ask(AuthorizeFacts {
        action,
        standing: standing(relations),
        snapshot: NOTHING,
        approvals: NOTHING,
        sought: NOTHING,
        subject: NOTHING,
        subject_is_actor: false,
    })
}

impl Ask {
    fn with(mut self, change: impl FnOnce(&mut AuthorizeFacts)) -> Self {
        change(&mut self.0);
        self
    }
    fn as_role(self, role: TokenRole) -> Self {
        self.with(|facts| facts.standing.role = role)
    }
    fn unverified(self) -> Self {
        self.with(|facts| facts.standing.verified = false)
    }
    fn of(self, privacy: PrivacyLevel) -> Self {
        self.with(|facts| facts.standing.privacy = privacy)
    }
    fn without_pic(self) -> Self {
        self.with(|facts| facts.standing.has_pic = false)
    }
    fn nominated(self, nomination: Nomination) -> Self {
        self.with(|facts| facts.standing.nomination = nomination)
    }
    fn by_timer(self) -> Self {
        self.with(|facts| facts.standing.trigger = Trigger::Timer)
    }
    fn aged(self, milliseconds: u64) -> Self {
        self.with(|facts| facts.standing.seed_age_ms = milliseconds)
    }
    fn snapshot(self, relations: Relations) -> Self {
        self.with(|facts| facts.snapshot = relations)
    }
    fn approved_by(self, relations: Relations) -> Self {
        self.with(|facts| facts.approvals = relations)
    }
    fn sought(self, relations: Relations) -> Self {
        self.with(|facts| facts.sought = relations)
    }
    fn somebody(self, relations: Relations) -> Self {
        self.with(|facts| facts.subject = relations)
    }
    fn oneself(self) -> Self {
        self.with(|facts| {
            facts.subject = facts.standing.relations;
            facts.subject_is_actor = true;
        })
    }
    fn answer(self) -> String {
        let ruling = Policy::authorize(self.0);
        let effect = if ruling.effect == Effect::Allow {
            "allow"
        } else {
            "deny"
        };
        let mut answer = format!("{effect} {} {}", ruling.rule, ruling.reason);
        for obligation in ruling.obligations {
            answer += &format!(" + {obligation:?}").replace("Obligation::", "");
        }
        answer
    }
}

/// The rows that ask for nothing but one of some relations.
fn relation_rows() -> [(Action, &'static str, Relations); 16] {
    let circle = AUTHOR | SAKSI | PARTICIPANT | PIC;
    [
        (Discuss, "discuss", circle | BENDAHARA | HUMAS),
        (EvidenceSubmit, "evidence_submit", circle),
        (TransitionPropose, "propose", AUTHOR | PIC),
        (TransitionObject, "object", circle),
        (TransitionEmergency, "transition_emergency", PIC),
        (ResultChallenge, "result_challenge", circle),
        (TaskAssign, "task_assign", PIC),
        (TaskClaim, "task_claim", PARTICIPANT | PIC),
        (TaskHeartbeat, "task_claim", PARTICIPANT | PIC),
        (FundsManage, "funds_manage", BENDAHARA),
        (DisbursementApprove, "disbursement_approve", PIC | BENDAHARA),
        (Broadcast, "broadcast", HUMAS),
        (CompletionVerify, "completion_verify", VERIFIKATOR),
        (PrivacySet, "privacy_set", AUTHOR | PIC),
        (EntityEdit, "entity_edit", AUTHOR),
        (Dispute, "dispute", Relations::all()),
    ]
}

#[rustfmt::skip]
fn cases() -> Vec<(Ask, &'static str)> {
    let mut cases = Vec::from([
        // visibility comes before everything
        (may(EntityRead, NOTHING), "allow entity_read visible"),
        (may(EntityRead, NOTHING).of(Vault), "deny visibility not_visible"),
        (may(EntityRead, HUMAS).of(Vault), "allow entity_read visible"),
        (may(EntityRead, NOTHING).of(L1).unverified(), "deny visibility not_visible"),
        (may(EntityRead, NOTHING).of(L1), "allow entity_read visible"),
        (may(EntityRead, NOTHING).of(L2).unverified(), "deny visibility not_visible"),
        (may(EntityRead, NOTHING).of(L3), "allow entity_read visible"),
        (may(TransitionPropose, NOTHING).of(Vault), "deny visibility not_visible"),
        (may(Moderate, NOTHING).as_role(Admin).of(Vault), "deny visibility not_visible"),
        (may(EntityCreate, NOTHING).of(Vault), "allow entity_create verified"),
        // token roles that are not people
        (may(EntityRead, NOTHING).as_role(Anonymous).unverified(), "allow entity_read visible"),
        (may(EntityRead, NOTHING).as_role(Anonymous).unverified().of(L1), "deny visibility not_visible"),
        (may(Discuss, NOTHING).as_role(Anonymous).unverified(), "deny anonymous anonymous_only_reads"),
        (may(TransitionPropose, NOTHING).as_role(System).by_timer().of(Vault), "allow host_timer timer_applies"),
        (may(TransitionPropose, NOTHING).as_role(System), "deny host_timer system_only_applies_timers"),
        (may(EntityRead, NOTHING).as_role(System).by_timer(), "deny host_timer system_only_applies_timers"),
        (may(EntityRead, NOTHING).as_role(Service).unverified(), "allow entity_read visible"),
        (may(Participate, NOTHING).as_role(Service), "deny service not_for_services"),
        // seeds
        (may(EntityCreate, NOTHING), "allow entity_create verified"),
        (may(EntityCreate, NOTHING).unverified(), "deny entity_create not_verified"),
        (may(EntityCreate, NOTHING).as_role(Service), "deny service not_for_services"),
        (may(EntityEdit, AUTHOR).aged(15 * MINUTE), "allow entity_edit within_edit_window"),
        (may(EntityEdit, AUTHOR).aged(15 * MINUTE + 1), "deny entity_edit edit_window_over"),
        (may(EntityEdit, AUTHOR).aged(u64::MAX), "deny entity_edit edit_window_over"),
        // taking part
        (may(CoWitness, NOTHING), "allow co_witness verified"),
        (may(CoWitness, AUTHOR), "allow co_witness verified"),
        (may(CoWitness, NOTHING).unverified(), "deny co_witness not_verified"),
        (may(CoWitness, SAKSI), "deny co_witness already_saksi"),
        (may(CoWitness, VERIFIKATOR), "deny co_witness verifikator_stays_uninvolved"),
        (may(Participate, SAKSI), "allow participate verified"),
        (may(Participate, NOTHING).unverified(), "deny participate not_verified"),
        (may(Participate, PARTICIPANT), "deny participate already_participant"),
        (may(Participate, VERIFIKATOR), "deny participate verifikator_stays_uninvolved"),
        (may(StandAsVerifikator, NOTHING), "allow stand_as_verifikator uninvolved"),
        (may(StandAsVerifikator, NOTHING).unverified(), "deny stand_as_verifikator not_verified"),
        (may(StandAsVerifikator, SAKSI), "deny stand_as_verifikator already_involved"),
        // appointments
        (may(Appoint, PIC).sought(BENDAHARA).somebody(PARTICIPANT), "allow appoint appointed"),
        (may(Appoint, PIC).sought(HUMAS).somebody(SAKSI), "allow appoint appointed"),
        (may(Appoint, PIC).sought(HUMAS).oneself(), "allow appoint appointed"),
        (may(Appoint, AUTHOR).without_pic().sought(BENDAHARA).somebody(PARTICIPANT), "allow appoint appointed"),
        (may(Appoint, AUTHOR).sought(BENDAHARA).somebody(PARTICIPANT), "deny appoint relation_not_held"),
        (may(Appoint, NOTHING).sought(HUMAS).somebody(SAKSI), "deny appoint not_related"),
        (may(Appoint, PIC).sought(PIC).somebody(SAKSI), "deny appoint not_an_appointment"),
        (may(Appoint, PIC).sought(BENDAHARA | HUMAS).somebody(SAKSI), "deny appoint not_an_appointment"),
        (may(Appoint, PIC).sought(NOTHING).somebody(SAKSI), "deny appoint not_an_appointment"),
        (may(Appoint, PIC).sought(HUMAS).somebody(NOTHING), "deny appoint subject_not_related"),
        (may(Appoint, PIC).sought(HUMAS).somebody(VERIFIKATOR), "deny appoint subject_not_related"),
        (may(Appoint, PIC).sought(HUMAS).somebody(HUMAS), "deny appoint already_held"),
        (may(Appoint, PIC).sought(BENDAHARA).oneself(), "deny appoint pic_is_never_bendahara"),
        (may(Appoint, AUTHOR).without_pic().sought(BENDAHARA).somebody(PIC), "deny appoint pic_is_never_bendahara"),
        // leaving
        (may(RelationEnd, PARTICIPANT).sought(PARTICIPANT).oneself(), "allow relation_end ended_by_oneself"),
        (may(RelationEnd, VERIFIKATOR).sought(VERIFIKATOR).oneself(), "allow relation_end ended_by_oneself"),
        (may(RelationEnd, PIC).sought(PARTICIPANT).somebody(PARTICIPANT), "deny relation_end not_ones_own"),
        (may(RelationEnd, SAKSI).sought(PARTICIPANT).oneself(), "deny relation_end relation_not_held"),
        (may(RelationEnd, AUTHOR | SAKSI).sought(AUTHOR | SAKSI).oneself(), "deny relation_end not_one_relation"),
        (may(RelationEnd, SAKSI).sought(NOTHING).oneself(), "deny relation_end not_one_relation"),
        (may(RelationEnd, AUTHOR).sought(AUTHOR).oneself(), "deny relation_end author_stays"),
        (may(RelationEnd, PIC).sought(PIC).oneself(), "deny relation_end pic_hands_over"),
        // votes count as the snapshot has it, whatever one is now
        (may(TransitionVote, NOTHING).snapshot(PARTICIPANT), "allow vote in_snapshot"),
        (may(TransitionVote, NOTHING).snapshot(AUTHOR), "allow vote in_snapshot"),
        (may(TransitionVote, NOTHING).snapshot(SAKSI | HUMAS), "allow vote in_snapshot"),
        (may(TransitionVote, NOTHING).snapshot(PIC), "allow vote in_snapshot"),
        (may(TransitionVote, PARTICIPANT), "deny vote not_in_snapshot"),
        (may(TransitionVote, PIC).snapshot(BENDAHARA | HUMAS | VERIFIKATOR), "deny vote not_in_snapshot"),
        // emergencies
        (may(TransitionEmergency, NOTHING).as_role(Moderator), "allow transition_emergency moderator + AuditEmergency"),
        (may(TransitionEmergency, NOTHING).as_role(Admin), "deny transition_emergency not_related"),
        // a pic
        (may(PicNominate, AUTHOR).somebody(PARTICIPANT), "allow pic_nominate nominated"),
        (may(PicNominate, AUTHOR).without_pic().somebody(SAKSI), "allow pic_nominate nominated"),
        (may(PicNominate, AUTHOR).somebody(NOTHING), "deny pic_nominate subject_not_related"),
        (may(PicNominate, AUTHOR).somebody(BENDAHARA), "deny pic_nominate pic_is_never_bendahara"),
        (may(PicNominate, AUTHOR).somebody(VERIFIKATOR), "deny pic_nominate verifikator_stays_uninvolved"),
        (may(PicNominate, AUTHOR).somebody(PIC), "deny pic_nominate already_held"),
        (may(PicNominate, AUTHOR).without_pic().oneself(), "allow pic_nominate offered_oneself + AcceptAtOnce"),
        (may(PicNominate, AUTHOR).oneself(), "deny pic_nominate pic_already_there"),
        (may(PicNominate, PARTICIPANT).without_pic().oneself(), "allow pic_nominate offered_oneself + AcceptAtOnce"),
        (may(PicNominate, PARTICIPANT).oneself(), "deny pic_nominate pic_already_there"),
        (may(PicNominate, PARTICIPANT | BENDAHARA).without_pic().oneself(), "deny pic_nominate pic_is_never_bendahara"),
        (may(PicNominate, PARTICIPANT).without_pic().somebody(SAKSI), "deny pic_nominate only_oneself"),
        (may(PicNominate, SAKSI).without_pic().oneself(), "deny pic_nominate relation_not_held"),
        (may(PicNominate, NOTHING).without_pic().oneself(), "deny pic_nominate not_related"),
        (may(PicAccept, PARTICIPANT).nominated(Nomination::Actor), "allow pic_accept nominee"),
        (may(PicAccept, PARTICIPANT).nominated(Nomination::SomeoneElse), "deny pic_accept not_nominated"),
        (may(PicAccept, PARTICIPANT), "deny pic_accept not_nominated"),
        (may(PicAccept, BENDAHARA).nominated(Nomination::Actor), "deny pic_accept pic_is_never_bendahara"),
        (may(PicAccept, VERIFIKATOR).nominated(Nomination::Actor), "deny pic_accept verifikator_stays_uninvolved"),
        (may(PicAccept, NOTHING).nominated(Nomination::Actor), "deny pic_accept no_longer_takes_part"),
        // money moves when both have approved
        (may(DisbursementApprove, PIC).approved_by(BENDAHARA), "allow disbursement_approve both_approved"),
        (may(DisbursementApprove, BENDAHARA).approved_by(PIC), "allow disbursement_approve both_approved"),
        (may(DisbursementApprove, PIC).approved_by(PIC), "deny disbursement_approve already_approved"),
        (may(DisbursementApprove, BENDAHARA).approved_by(PIC | BENDAHARA), "deny disbursement_approve already_approved"),
        (may(DisbursementApprove, PIC | BENDAHARA), "deny disbursement_approve pic_is_never_bendahara"),
        // privacy
        (may(PrivacySet, AUTHOR).of(L2), "allow privacy_set relation_held"),
        (may(PrivacySet, PIC).of(L3), "deny privacy_set l3_is_never_reversed"),
        // the house
        (may(Moderate, NOTHING).as_role(Moderator), "allow moderate role_held"),
        (may(Moderate, NOTHING).as_role(Admin), "allow moderate role_held"),
        (may(Moderate, PIC), "deny moderate role_not_held"),
        (may(OutboxManage, NOTHING).as_role(Admin), "allow outbox_manage role_held"),
        (may(OutboxManage, NOTHING).as_role(Service), "allow outbox_manage role_held"),
        (may(OutboxManage, NOTHING).as_role(Moderator), "deny outbox_manage role_not_held"),
        (may(AuditRead, NOTHING).as_role(Admin), "allow audit_read role_held"),
        (may(AuditRead, NOTHING).as_role(Service), "allow audit_read role_held"),
        (may(AuditRead, NOTHING), "deny audit_read role_not_held"),
    ]);
    for (action, rule, wanted) in relation_rows() {
        cases.push((may(action, NOTHING), leaked(format!("deny {rule} not_related"))));
        for relation in Relations::all().iter() {
            let answer = match (wanted.contains(relation), action) {
                (false, _) => format!("deny {rule} relation_not_held"),
                (true, EntityEdit) => format!("allow {rule} within_edit_window"),
                (true, DisbursementApprove) => format!("allow {rule} first_approval + AwaitSecondApproval"),
                (true, TransitionEmergency) => format!("allow {rule} relation_held + AuditEmergency"),
                (true, _) => format!("allow {rule} relation_held"),
            };
            cases.push((may(action, relation), leaked(answer)));
        }
    }
    cases
}

fn leaked(answer: String) -> &'static str {
    answer.leak()
}

#[test]
fn the_action_matrix_is_the_domain_s() {
    for (ask, expected) in cases() {
        assert_eq!(ask.answer(), expected, "{:?}", ask.0);
    }
}

#[rustfmt::skip]
fn projections() -> [(PrivacyLevel, TokenRole, Relations, &'static str); 16] {
    let all = "title text author scope people timeline evidence media";
    let no_author = "title text scope people timeline evidence media";
    [
        (Open, Anonymous, NOTHING, all),
        (L1, Anonymous, NOTHING, "hidden"),
        (L1, User, NOTHING, all),
        (L2, Anonymous, NOTHING, "hidden"),
        (L2, User, NOTHING, "title scope timeline media + BlurMedia + OfferRequestAccess + KeepOutOfSearch"),
        (L2, User, SAKSI, no_author),
        (L2, User, AUTHOR, all),
        (L2, User, PIC, all),
        (L3, Anonymous, NOTHING, "hidden"),
        (L3, User, NOTHING, "scope timeline + KeepOutOfSearch"),
        (L3, Admin, NOTHING, "scope timeline + KeepOutOfSearch"),
        (L3, User, PIC, no_author),
        (L3, User, AUTHOR, all),
        (Vault, User, NOTHING, "hidden"),
        (Vault, Admin, NOTHING, "hidden"),
        (Vault, User, SAKSI, all),
    ]
}

fn shown(standing: Standing) -> (String, String) {
    let projection = Policy::project(ProjectFacts { standing });
    let mut shown = String::from(if projection.visible { "" } else { "hidden" });
    shown += &projection
        .fields
        .iter_names()
        .map(|(name, _)| name.to_lowercase())
        .collect::<Vec<_>>()
        .join(" ");
    for obligation in projection.obligations {
        shown += &format!(" + {obligation:?}").replace("ViewingObligation::", "");
    }
    (shown, format!("{} {}", projection.rule, projection.reason))
}

fn viewer(privacy: PrivacyLevel, role: TokenRole, relations: Relations) -> Standing {
    Standing {
        role,
        verified: role != Anonymous,
        privacy,
        ..standing(relations)
    }
}

#[test]
fn a_viewer_sees_what_level_and_relation_allow() {
    for (privacy, role, relations, expected) in projections() {
        let (shown, _) = shown(viewer(privacy, role, relations));
        assert_eq!(shown, expected, "{privacy:?} {role:?} {relations:?}");
    }
}

#[test]
fn every_reason_is_reached_by_a_case() {
    let mut reached: BTreeSet<String> = cases()
        .iter()
        .map(|(_, answer)| {
            answer
                .split(' ')
                .skip(1)
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    reached.extend(projections().map(|(level, role, held, _)| shown(viewer(level, role, held)).1));
    let declared: BTreeSet<String> = rules::REASONS
        .iter()
        .map(|reason| format!("{} {}", reason.rule, reason.code))
        .collect();
    assert_eq!(reached, declared);
}

#[test]
fn describe_tells_every_rule_once() {
    let told: Vec<String> = Policy::describe().into_iter().map(|rule| rule.id).collect();
    let distinct: BTreeSet<&String> = told.iter().collect();
    assert_eq!(distinct.len(), told.len());
    for reason in rules::REASONS {
        assert!(told.iter().any(|id| id == reason.rule));
    }
    assert!(
        Policy::describe()
            .iter()
            .all(|rule| !rule.text.contains('\n')),
        "one line each"
    );
}

fn every_standing() -> impl Iterator<Item = Standing> {
    let roles = [Anonymous, User, Moderator, Admin, System, Service];
    let levels = [Open, L1, L2, L3, Vault];
    roles.into_iter().flat_map(move |role| {
        levels.into_iter().flat_map(move |privacy| {
            (0..=Relations::all().bits()).flat_map(move |bits| {
                [false, true].map(|verified| Standing {
                    role,
                    privacy,
                    verified,
                    has_pic: bits % 2 == 0,
                    nomination: if bits % 3 == 0 {
                        Nomination::Actor
                    } else {
                        Nomination::None
                    },
                    ..standing(Relations::from_bits_retain(bits))
                })
            })
        })
    })
}

fn ask_as(role: TokenRole, action: Action, standing: Standing) -> bool {
    let facts = AuthorizeFacts {
        standing: Standing { role, ..standing },
        sought: HUMAS,
        subject: PARTICIPANT,
        snapshot: standing.relations,
        ..may(action, NOTHING).0
    };
    Policy::authorize(facts).effect == Effect::Allow
}

#[test]
fn an_office_gives_no_right_in_a_matter() {
    for standing in every_standing().filter(|standing| standing.role == User) {
        for action in Action::ALL {
            let user = ask_as(User, action, standing);
            if !matches!(action, Moderate | OutboxManage | AuditRead) {
                assert_eq!(
                    ask_as(Admin, action, standing),
                    user,
                    "admin {action:?} {standing:?}"
                );
            }
            if !matches!(action, Moderate | TransitionEmergency) {
                let moderator = ask_as(Moderator, action, standing);
                assert_eq!(moderator, user, "moderator {action:?} {standing:?}");
            }
        }
    }
}

#[test]
fn the_anonymous_read_what_is_open_and_nothing_else() {
    for standing in every_standing() {
        for action in Action::ALL {
            let allowed = ask_as(Anonymous, action, standing);
            assert_eq!(allowed, action == EntityRead && standing.privacy == Open);
        }
    }
}

#[test]
fn a_page_is_answered_in_its_order() {
    let items: Vec<ProjectFacts> = every_standing()
        .map(|standing| ProjectFacts { standing })
        .collect();
    let many = Policy::project_many(ProjectManyFacts {
        items: items.clone(),
    });
    let each: Vec<Projection> = items.into_iter().map(Policy::project).collect();
    assert_eq!(many, each);
}

#[test]
fn what_is_hidden_has_no_fields_and_no_actions() {
    for standing in every_standing() {
        let projection = Policy::project(ProjectFacts { standing });
        if projection.visible {
            continue;
        }
        assert_eq!(projection.fields, Fields::empty());
        let facts = PermittedFacts {
            standing,
            snapshot: PARTICIPANT,
            approvals: NOTHING,
        };
        let permitted = Policy::permitted(facts);
        let elsewhere = |action: &Action| matches!(action, EntityCreate | OutboxManage | AuditRead);
        assert!(
            permitted.iter().all(elsewhere) || standing.role == System,
            "{permitted:?}"
        );
    }
}

#[test]
fn what_is_permitted_is_what_would_be_allowed() {
    for standing in every_standing() {
        let facts = PermittedFacts {
            standing,
            snapshot: SAKSI,
            approvals: PIC,
        };
        let permitted = Policy::permitted(facts);
        let mut in_order = permitted.clone();
        in_order.sort();
        in_order.dedup();
        assert_eq!(permitted, in_order);
        for action in Action::ALL {
            let asks_for_a_person = matches!(action, Appoint | RelationEnd | PicNominate);
            if asks_for_a_person && !(standing.role == User && standing.privacy == Open) {
                continue;
            }
            let people = if asks_for_a_person {
                Relations::all().bits()
            } else {
                0
            };
            let allowed = (0..=people).any(|subject| {
                Relations::all().iter().any(|sought| {
                    [false, true].into_iter().any(|subject_is_actor| {
                        let facts = AuthorizeFacts {
                            action,
                            standing,
                            snapshot: SAKSI,
                            approvals: PIC,
                            sought,
                            subject: Relations::from_bits_retain(subject),
                            subject_is_actor,
                        };
                        crate::matrix::decide(&facts).is_ok()
                    })
                })
            });
            assert_eq!(
                permitted.contains(&action),
                allowed,
                "{action:?} {standing:?}"
            );
        }
    }
}
