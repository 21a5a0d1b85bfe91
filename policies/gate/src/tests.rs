//! The tracks and the table of gates as the domain page has them, and what must hold for every input.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::gate::{
    ChallengeFacts, CloseFacts, CloseRuling, Gate,
    GateType::{self, *},
    ObjectFacts, Obligation,
    Phase::{self, Challenge, Deciding},
    PlanFacts, Risk, StagesFacts, TermsRuling, WeighFacts,
};
use gotong_policy::types::{
    Effect, Relations,
    Stage::{self, *},
    Track::{self, *},
};

use crate::{GotongGate as Policy, rules, tracks};

const TRACKS: [Track; 5] = [
    Track::Tuntaskan,
    Track::Wujudkan,
    Track::Telusuri,
    Track::Rayakan,
    Track::Musyawarah,
];

/// A step in a matter of 10 members, all of them eligible at full weight, with a pic and one proof.
#[derive(Clone, Copy)]
struct Step(PlanFacts);

fn step(track: Track, from_stage: Stage, to_stage: Stage) -> Step {
    Step(PlanFacts {
        track,
        from_stage,
        to_track: track,
        to_stage,
        members: 10,
        eligible: 10,
        eligible_weight_permille: 10_000,
        has_pic: true,
        evidence: 1,
        challenge_window_hours: None,
        emergency: false,
        weighted: false,
    })
}

impl Step {
    fn with(mut self, change: impl FnOnce(&mut PlanFacts)) -> Self {
        change(&mut self.0);
        self
    }
    fn into_track(self, track: Track) -> Self {
        self.with(|facts| facts.to_track = track)
    }
    fn members(self, members: u32) -> Self {
        self.with(|facts| facts.members = members)
    }
    fn eligible(self, eligible: u32) -> Self {
        self.with(|facts| facts.eligible = eligible)
    }
    fn weight(self, permille: u32) -> Self {
        self.with(|facts| facts.eligible_weight_permille = permille)
    }
    fn challenge_window(self, hours: u32) -> Self {
        self.with(|facts| facts.challenge_window_hours = Some(hours))
    }
    fn without_pic(self) -> Self {
        self.with(|facts| facts.has_pic = false)
    }
    fn without_evidence(self) -> Self {
        self.with(|facts| facts.evidence = 0)
    }
    fn weighted(self) -> Self {
        self.with(|facts| facts.weighted = true)
    }
    fn emergency(self) -> Self {
        self.with(|facts| facts.emergency = true)
    }
}

/// "allow RULE REASON: MECHANISM RISK WINDOW, QUORUM over THRESHOLD[, then CHALLENGE][, audit DUE]".
fn terms_line(ruling: TermsRuling) -> String {
    let effect = if ruling.effect == Effect::Allow {
        "allow"
    } else {
        "deny"
    };
    let mut line = format!("{effect} {} {}", ruling.rule, ruling.reason);
    assert_eq!(ruling.terms.is_some(), ruling.effect == Effect::Allow);
    if let Some(terms) = ruling.terms {
        line += &format!(
            ": {} {} {}h",
            word(terms.gate_type),
            word(terms.risk),
            terms.window_hours
        );
        if terms.quorum > 0 || terms.threshold_permille > 0 {
            line += &format!(", {} over {}", terms.quorum, terms.threshold_permille);
        }
        if terms.challenge_window_hours > 0 {
            line += &format!(", then {}h", terms.challenge_window_hours);
        }
        if terms.audit_due_hours > 0 {
            line += &format!(", audit {}h", terms.audit_due_hours);
        }
        let audited = ruling.obligations.contains(&Obligation::AuditEmergency);
        assert_eq!(audited, terms.audit_due_hours > 0);
    }
    line
}

fn word(value: impl std::fmt::Debug) -> String {
    let name = format!("{value:?}");
    String::from(name.rsplit(':').next().unwrap()).to_lowercase()
}

#[rustfmt::skip]
fn plans() -> Vec<(Step, &'static str)> {
    let rancang = step(Tuntaskan, Bahas, Rancang);
    let garap = step(Tuntaskan, Rancang, Garap);
    let periksa = step(Tuntaskan, Garap, Periksa);
    let tuntas = step(Tuntaskan, Periksa, Tuntas).challenge_window(48);
    let changed = step(Telusuri, Temuan, Keresahan).into_track(Tuntaskan);
    Vec::from([
        // seed -> second stage: low, consent, 24 h
        (step(Tuntaskan, Keresahan, Bahas), "allow seed consent: consent low 24h"),
        (step(Wujudkan, Gagasan, Bahas), "allow seed consent: consent low 24h"),
        (step(Telusuri, Pertanyaan, Dugaan), "allow seed consent: consent low 24h"),
        (step(Track::Rayakan, KabarBaik, Sahkan), "allow seed consent: consent low 24h"),
        (step(Musyawarah, Usul, Bahas), "allow seed consent: consent low 24h"),
        (step(Tuntaskan, Keresahan, Bahas).without_pic().weighted(), "allow seed consent: consent low 24h"),
        // bahas -> rancang: consent for fewer than 5 members, else medium, vote, 48 h
        (rancang.members(4), "allow small_plan consent: consent low 24h"),
        (rancang.members(0), "allow small_plan consent: consent low 24h"),
        (rancang.members(5), "allow plan standard_vote: vote medium 48h, 3 over 500"),
        (rancang.members(5).weighted(), "allow plan weighted_vote: weightedvote medium 72h, 4000 over 600"),
        (rancang.members(u32::MAX), "allow plan standard_vote: vote medium 48h, 3 over 500"),
        (step(Wujudkan, Bahas, Rancang), "allow plan standard_vote: vote medium 48h, 3 over 500"),
        // rancang -> garap, bahas -> garap: medium, vote, 48 h
        (garap, "allow work standard_vote: vote medium 48h, 3 over 500"),
        (garap.weighted(), "allow work weighted_vote: weightedvote medium 72h, 4000 over 600"),
        (step(Tuntaskan, Bahas, Garap), "allow work standard_vote: vote medium 48h, 3 over 500"),
        (step(Wujudkan, Rancang, Garap), "allow work standard_vote: vote medium 48h, 3 over 500"),
        // into or out of galang: medium, vote, 48 h
        (step(Tuntaskan, Rancang, Galang), "allow funding standard_vote: vote medium 48h, 3 over 500"),
        (step(Tuntaskan, Bahas, Galang).members(2), "allow funding standard_vote: vote medium 48h, 3 over 500"),
        (step(Wujudkan, Galang, Garap).weighted(), "allow funding weighted_vote: weightedvote medium 72h, 4000 over 600"),
        // garap -> periksa: high, vote, 72 h, needs proof
        (periksa, "allow proof standard_vote: vote high 72h, 3 over 500"),
        (periksa.weighted(), "allow proof weighted_vote: weightedvote high 72h, 4000 over 600"),
        (periksa.without_evidence(), "deny proof proof_required"),
        // periksa -> tuntas: high, vote, 72 h, needs a challenge window
        (tuntas, "allow completion standard_vote: vote high 72h, 3 over 500, then 48h"),
        (tuntas.weighted(), "allow completion weighted_vote: weightedvote high 72h, 4000 over 600, then 48h"),
        (tuntas.challenge_window(1), "allow completion standard_vote: vote high 72h, 3 over 500, then 1h"),
        (tuntas.challenge_window(720), "allow completion standard_vote: vote high 72h, 3 over 500, then 720h"),
        (tuntas.challenge_window(0), "deny challenge_window challenge_window_out_of_bounds"),
        (tuntas.challenge_window(721), "deny challenge_window challenge_window_out_of_bounds"),
        (tuntas.challenge_window(u32::MAX), "deny challenge_window challenge_window_out_of_bounds"),
        (step(Tuntaskan, Periksa, Tuntas), "deny completion challenge_window_required"),
        // change of track: high, vote at 1.5 x quorum, 72 h, then 72 h
        (changed, "allow track_change standard_vote: vote high 72h, 5 over 500, then 72h"),
        (changed.challenge_window(24), "allow track_change standard_vote: vote high 72h, 5 over 500, then 72h"),
        (changed.challenge_window(96), "allow track_change standard_vote: vote high 72h, 5 over 500, then 96h"),
        (changed.challenge_window(0), "deny challenge_window challenge_window_out_of_bounds"),
        (changed.weighted(), "allow track_change weighted_vote: weightedvote high 72h, 6000 over 600, then 72h"),
        (step(Telusuri, Temuan, Gagasan).into_track(Wujudkan), "allow track_change standard_vote: vote high 72h, 5 over 500, then 72h"),
        (step(Telusuri, Temuan, Bahas).into_track(Tuntaskan), "deny order stage_skipped"),
        (step(Telusuri, Temuan, Gagasan).into_track(Tuntaskan), "deny order stage_of_another_track"),
        (step(Telusuri, Temuan, Usul).into_track(Musyawarah), "deny track_change track_change_not_allowed"),
        (step(Telusuri, Uji, Keresahan).into_track(Tuntaskan), "deny track_change track_change_not_allowed"),
        (step(Tuntaskan, Bahas, Bahas).into_track(Wujudkan), "deny track_change track_change_not_allowed"),
        (changed.emergency(), "deny track_change track_change_not_allowed"),
        // emergency: critical, at once, audit due in 7 days
        (periksa.emergency(), "allow emergency emergency: emergency critical 0h, audit 168h"),
        (periksa.without_evidence().without_pic().weighted().emergency(), "allow emergency emergency: emergency critical 0h, audit 168h"),
        (step(Tuntaskan, Periksa, Tuntas).emergency(), "allow emergency emergency: emergency critical 0h, audit 168h"),
        (step(Tuntaskan, Garap, Bahas).emergency(), "deny order stage_backward"),
        (step(Tuntaskan, Bahas, Periksa).emergency(), "deny order stage_skipped"),
        (periksa.challenge_window(48).emergency(), "deny challenge_window challenge_window_not_applicable"),
        // any other forward step: medium, vote, 48 h
        (step(Tuntaskan, Periksa, Dampak), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Tuntaskan, Dampak, Tuntas), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Wujudkan, Garap, Stage::Rayakan).without_evidence(), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Wujudkan, Stage::Rayakan, Tuntas), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Telusuri, Temuan, Tuntas).without_pic(), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Track::Rayakan, Apresiasi, Tuntas).without_pic(), "allow forward_step standard_vote: vote medium 48h, 3 over 500"),
        (step(Musyawarah, Jalankan, Tuntas).weighted(), "allow forward_step weighted_vote: weightedvote medium 72h, 4000 over 600"),
        // a challenge window on another vote is honoured; on consent it is refused
        (garap.challenge_window(12), "allow work standard_vote: vote medium 48h, 3 over 500, then 12h"),
        (rancang.members(4).challenge_window(12), "deny challenge_window challenge_window_not_applicable"),
        (step(Musyawarah, Usul, Bahas).challenge_window(12), "deny challenge_window challenge_window_not_applicable"),
        // every matter past bahas has a pic
        (rancang.without_pic(), "deny accountable_lead pic_required"),
        (rancang.members(2).without_pic(), "deny accountable_lead pic_required"),
        (periksa.without_pic().without_evidence(), "deny accountable_lead pic_required"),
        (step(Musyawarah, Bahas, Putuskan).without_pic(), "deny accountable_lead pic_required"),
        // order
        (step(Tuntaskan, Bahas, Bahas), "deny order same_stage"),
        (step(Tuntaskan, Garap, Rancang), "deny order stage_backward"),
        (step(Tuntaskan, Keresahan, Rancang), "deny order stage_skipped"),
        (step(Wujudkan, Bahas, Garap), "deny order stage_skipped"),
        (step(Tuntaskan, Keresahan, Gagasan), "deny order stage_of_another_track"),
        (step(Tuntaskan, Gagasan, Bahas), "deny order stage_of_another_track"),
        (step(Tuntaskan, Tuntas, Bahas), "deny order already_tuntas"),
        (step(Tuntaskan, Tuntas, Tuntas), "deny order already_tuntas"),
        (step(Telusuri, Tuntas, Keresahan).into_track(Tuntaskan), "deny order already_tuntas"),
        // quorum: 30 % of the eligible, at most 50 people, at least 1; 40 % of the weight
        (garap.eligible(0), "allow work standard_vote: vote medium 48h, 1 over 500"),
        (garap.eligible(1), "allow work standard_vote: vote medium 48h, 1 over 500"),
        (garap.eligible(4), "allow work standard_vote: vote medium 48h, 2 over 500"),
        (garap.eligible(166), "allow work standard_vote: vote medium 48h, 50 over 500"),
        (garap.eligible(167), "allow work standard_vote: vote medium 48h, 50 over 500"),
        (garap.eligible(u32::MAX), "allow work standard_vote: vote medium 48h, 50 over 500"),
        (garap.weighted().weight(0), "allow work weighted_vote: weightedvote medium 72h, 1 over 600"),
        (garap.weighted().weight(1001), "allow work weighted_vote: weightedvote medium 72h, 401 over 600"),
        (garap.weighted().weight(u32::MAX), "allow work weighted_vote: weightedvote medium 72h, 1717986918 over 600"),
        (changed.eligible(0), "allow track_change standard_vote: vote high 72h, 1 over 500, then 72h"),
        (changed.eligible(1), "allow track_change standard_vote: vote high 72h, 1 over 500, then 72h"),
        (changed.eligible(2), "allow track_change standard_vote: vote high 72h, 2 over 500, then 72h"),
        (changed.eligible(1000), "allow track_change standard_vote: vote high 72h, 75 over 500, then 72h"),
        (changed.weighted().weight(u32::MAX), "allow track_change weighted_vote: weightedvote high 72h, 2576980377 over 600, then 72h"),
    ])
}

#[test]
fn the_table_of_gates_is_the_domain_s() {
    for (step, expected) in plans() {
        assert_eq!(terms_line(Policy::plan(step.0)), expected, "{:?}", step.0);
    }
}

fn objection(gate_type: GateType, phase: Phase, objector: Relations) -> ObjectFacts {
    ObjectFacts {
        gate_type,
        phase,
        objector,
        eligible: 10,
        objections: 0,
        risk: Risk::Low,
        challenge_window_hours: 0,
    }
}

#[rustfmt::skip]
fn objections() -> [(ObjectFacts, &'static str); 10] {
    let forced = "allow objection objection_forces_vote: vote low 48h, 3 over 500";
    [
        (objection(Consent, Deciding, Relations::PARTICIPANT), forced),
        (objection(Consent, Deciding, Relations::SAKSI), forced),
        (objection(Consent, Deciding, Relations::AUTHOR), forced),
        (objection(Consent, Deciding, Relations::PIC | Relations::HUMAS), forced),
        (objection(Consent, Deciding, Relations::BENDAHARA), "deny objection not_related"),
        (objection(Consent, Deciding, Relations::empty()), "deny objection not_related"),
        (objection(Vote, Deciding, Relations::PARTICIPANT), "deny objection vote_already_open"),
        (objection(WeightedVote, Deciding, Relations::PIC), "deny objection vote_already_open"),
        (objection(Vote, Challenge, Relations::PARTICIPANT), "deny objection window_is_for_challenges"),
        (objection(Emergency, Deciding, Relations::PARTICIPANT), "deny objection nothing_to_object_to"),
    ]
}

#[test]
fn an_objection_forces_a_vote_window() {
    for (facts, expected) in objections() {
        assert_eq!(terms_line(Policy::object(facts)), expected, "{facts:?}");
    }
}

fn challenged(gate_type: GateType, phase: Phase, challenger: Relations) -> ChallengeFacts {
    ChallengeFacts {
        gate_type,
        phase,
        challenger,
        eligible: 10,
        eligible_weight_permille: 10_000,
        challenges: 0,
        risk: Risk::High,
    }
}

#[rustfmt::skip]
fn challenges() -> [(ChallengeFacts, &'static str); 7] {
    let second = "allow challenge second_vote: vote high 72h, 5 over 500";
    [
        (challenged(Vote, Challenge, Relations::AUTHOR), second),
        (challenged(Vote, Challenge, Relations::SAKSI), second),
        (challenged(WeightedVote, Challenge, Relations::PIC), "allow challenge second_vote: weightedvote high 72h, 6000 over 600"),
        (challenged(Vote, Challenge, Relations::VERIFIKATOR), "deny challenge not_related"),
        (challenged(Vote, Deciding, Relations::AUTHOR), "deny challenge no_result_to_challenge"),
        (challenged(Consent, Challenge, Relations::AUTHOR), "deny challenge no_result_to_challenge"),
        (challenged(Emergency, Challenge, Relations::AUTHOR), "deny challenge no_result_to_challenge"),
    ]
}

#[test]
fn a_challenge_asks_for_a_second_vote() {
    for (facts, expected) in challenges() {
        assert_eq!(terms_line(Policy::challenge(facts)), expected, "{facts:?}");
    }
}

/// A vote of 10 eligible: quorum 3, more than half.
fn ballots(yes: u32, no: u32, abstain: u32) -> CloseFacts {
    CloseFacts {
        gate_type: Vote,
        phase: Deciding,
        objections: 0,
        challenges: 0,
        yes,
        no,
        abstain,
        quorum: 3,
        threshold_permille: 500,
        challenge_window_hours: 0,
    }
}

fn weights(yes: u32, no: u32) -> CloseFacts {
    CloseFacts {
        gate_type: WeightedVote,
        quorum: 4000,
        threshold_permille: 600,
        ..ballots(yes, no, 0)
    }
}

fn close_line(ruling: CloseRuling) -> String {
    assert_eq!(ruling.obligations, [Obligation::AnnounceResult]);
    let mut line = format!("{} {} {}", word(ruling.outcome), ruling.rule, ruling.reason);
    if ruling.window_hours > 0 {
        line += &format!(" {}h", ruling.window_hours);
    }
    line
}

#[rustfmt::skip]
fn closings() -> [(CloseFacts, &'static str); 22] {
    let consent = CloseFacts { gate_type: Consent, ..ballots(0, 0, 0) };
    let won = CloseFacts { challenge_window_hours: 48, ..ballots(3, 0, 0) };
    let waited = CloseFacts { phase: Challenge, ..won };
    [
        (consent, "applied consent_close no_objection"),
        (CloseFacts { phase: Challenge, ..consent }, "applied consent_close no_objection"),
        (CloseFacts { objections: 1, ..consent }, "rejected consent_close objected"),
        (CloseFacts { gate_type: Emergency, ..ballots(0, 0, 0) }, "applied emergency_close emergency_applied"),
        (ballots(2, 0, 0), "rejected quorum quorum_not_met"),
        (ballots(0, 0, 0), "rejected quorum quorum_not_met"),
        (ballots(1, 0, 2), "applied majority majority_yes"),
        (ballots(0, 0, 3), "rejected majority majority_no"),
        (ballots(2, 1, 0), "applied majority majority_yes"),
        (ballots(2, 2, 0), "rejected majority majority_no"),
        (ballots(1, 2, 0), "rejected majority majority_no"),
        (ballots(u32::MAX, u32::MAX - 1, u32::MAX), "applied majority majority_yes"),
        (ballots(u32::MAX, u32::MAX, u32::MAX), "rejected majority majority_no"),
        (CloseFacts { threshold_permille: u32::MAX, ..ballots(u32::MAX, u32::MAX, 0) }, "rejected majority majority_no"),
        (CloseFacts { quorum: u32::MAX, ..ballots(9, 9, 9) }, "rejected quorum quorum_not_met"),
        (weights(6000, 4000), "rejected majority majority_no"),
        (weights(6001, 3999), "applied majority majority_yes"),
        (weights(3999, 0), "rejected quorum quorum_not_met"),
        (won, "awaitchallenges challenge_close awaiting_challenges 48h"),
        (CloseFacts { challenge_window_hours: 48, ..ballots(1, 2, 0) }, "rejected majority majority_no"),
        (waited, "applied challenge_close unchallenged"),
        (CloseFacts { challenges: 1, ..waited }, "rejected challenge_close challenged"),
    ]
}

#[test]
fn a_gate_closes_as_its_kind_says() {
    for (facts, expected) in closings() {
        assert_eq!(close_line(Policy::close(facts)), expected, "{facts:?}");
    }
}

#[test]
fn a_won_second_vote_is_final() {
    let facts = challenged(Vote, Challenge, Relations::PARTICIPANT);
    let terms = Policy::challenge(facts).terms.unwrap();
    let closing = CloseFacts {
        challenges: 1,
        quorum: terms.quorum,
        challenge_window_hours: terms.challenge_window_hours,
        ..ballots(5, 0, 0)
    };
    assert_eq!(
        close_line(Policy::close(closing)),
        "applied majority majority_yes"
    );
}

#[test]
fn the_tracks_are_the_domain_s() {
    let line = |track| {
        let docs = Policy::stages(StagesFacts { track });
        let names = docs.into_iter().map(|doc| {
            let name = word(doc.stage);
            if doc.optional {
                format!("[{name}]")
            } else {
                name
            }
        });
        names.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        TRACKS.map(line),
        [
            "keresahan, bahas, [rancang], [galang], garap, periksa, [dampak], tuntas",
            "gagasan, bahas, rancang, [galang], garap, rayakan, [dampak], tuntas",
            "pertanyaan, dugaan, uji, temuan, tuntas",
            "kabarbaik, sahkan, apresiasi, [dampak], tuntas",
            "usul, bahas, putuskan, jalankan, [tinjau], tuntas",
        ]
    );
}

#[test]
fn a_weight_is_influence_to_the_power_of_one_and_a_half() {
    let weigh = |influence_permille| Policy::weigh(WeighFacts { influence_permille }).permille;
    assert_eq!(
        [0, 1, 250, 1000, 4000, 9000].map(weigh),
        [0, 0, 125, 1000, 8000, 27_000]
    );
    assert_eq!(weigh(2000), 2828, "rounded down");
    assert_eq!(weigh(u32::MAX), weigh(2_642_245), "as much as can weigh");
    for influence in 0..200_000_u32 {
        let weight = u128::from(weigh(influence));
        let cube = u128::from(influence).pow(3);
        assert!(weight * weight * 1000 <= cube && cube < (weight + 1) * (weight + 1) * 1000);
    }
}

#[test]
fn every_reason_is_reached_by_a_case() {
    let lines = plans().into_iter().map(|(_, line)| line);
    let lines = lines.chain(objections().map(|(_, line)| line));
    let lines = lines.chain(challenges().map(|(_, line)| line));
    let lines = lines.chain(closings().map(|(_, line)| line));
    let reached: BTreeSet<String> = lines
        .map(|line| {
            let mut words = line.split(' ').skip(1);
            let (rule, reason) = (words.next().unwrap(), words.next().unwrap());
            format!("{rule} {}", reason.trim_end_matches(':'))
        })
        .collect();
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

#[test]
fn only_forward_steps_of_a_track_have_a_gate() {
    let every_stage: BTreeSet<Stage> = TRACKS
        .iter()
        .flat_map(|track| tracks::stages(*track))
        .map(|doc| doc.stage)
        .collect();
    assert_eq!(every_stage.len(), Tinjau as usize + 1);
    for track in TRACKS {
        let place = |stage| {
            tracks::stages(track)
                .iter()
                .position(|doc| doc.stage == stage)
        };
        for from in &every_stage {
            for to in &every_stage {
                for emergency in [false, true] {
                    let step = step(track, *from, *to);
                    let step = if emergency { step.emergency() } else { step };
                    let windowed = step.challenge_window(24);
                    let open = [step, windowed]
                        .into_iter()
                        .any(|step| Policy::plan(step.0).effect == Effect::Allow);
                    let forward = match (place(*from), place(*to)) {
                        (Some(here), Some(there)) if here < there => tracks::stages(track)
                            [here + 1..there]
                            .iter()
                            .all(|between| between.optional),
                        _ => false,
                    };
                    assert_eq!(open, forward, "{track:?} {from:?} -> {to:?}");
                }
            }
        }
    }
}
