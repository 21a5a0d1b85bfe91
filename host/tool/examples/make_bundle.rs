//! Writes a bundle of any number of decisions, for measuring: generated facts, ruled by the pinned modules.
//!
//! `cargo run --release -p gotong-policy-tool --example make_bundle -- 1000000 FILE`

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::bundle::{Header, ModuleEntry, VERSION, Writer};
use gotong_engine::gate::PlanFacts;
use gotong_engine::role_matrix::{Action, AuthorizeFacts, Nomination, Standing};
use gotong_engine::types::{PrivacyLevel, Relations, Stage, TokenRole, Track, Trigger, TrustTier};
use gotong_engine::{Circumstances, Decision, Engine, Family, Filter, Module, Policies, Record};

const BEGINS_MS: u64 = 1_800_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(number), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: make_bundle NUMBER FILE".into());
    };
    let number: u64 = number.parse()?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    let engine = Engine::new()?;
    let policies = Policies::load(&engine, &dir, None)?;
    let header = Header {
        bundle_version: VERSION,
        created_at_ms: i64::try_from(BEGINS_MS)?,
        engine: engine.fingerprint(),
        filter: Filter::default(),
        host: concat!("make_bundle ", env!("CARGO_PKG_VERSION")).into(),
    };
    let output = BufWriter::with_capacity(1 << 20, File::create(&file)?);
    let mut writer = Writer::new(output, header)?;
    for family in [Family::Gate, Family::RoleMatrix] {
        let module = policies.active(family);
        let pin = policies
            .lock()
            .pin(module.name(), module.version())
            .ok_or("the lock does not pin its own module")?;
        let entry = ModuleEntry {
            abi: module.abi().to_owned(),
            digest: module.digest(),
            family,
            mode: Some(module.mode()),
            name: module.name().to_owned(),
            version: module.version().to_owned(),
        };
        writer.module(entry, Some(&dir.read(&pin.file)?))?;
    }
    // A plain linear generator: the same bundle every time.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap_or_default() % below
    };
    for place in 0..number {
        let record = decide(&policies, &mut next);
        writer.decision(&Decision::new(record, circumstances(place, next(5_000))))?;
    }
    let (_, trailer) = writer.finish()?;
    println!("{} decisions, {}", trailer.decisions, trailer.digest);
    Ok(())
}

/// As a host mixes them: most questions are about what somebody may do.
fn decide(policies: &Policies, next: &mut impl FnMut(usize) -> usize) -> Record {
    if next(4) == 0 {
        plan(policies.active(Family::Gate), next)
    } else {
        authorize(policies.active(Family::RoleMatrix), next)
    }
}

fn authorize(module: &Module, next: &mut impl FnMut(usize) -> usize) -> Record {
    let relations = |next: &mut dyn FnMut(usize) -> usize| -> Relations {
        let chosen = Relations::ALL.iter().copied();
        chosen.filter(|_| next(4) == 0).collect()
    };
    let standing = Standing {
        role: TokenRole::ALL[next(TokenRole::ALL.len())],
        verified: next(4) > 0,
        tier: TrustTier::ALL[next(TrustTier::ALL.len())],
        trigger: Trigger::UserAction,
        relations: relations(next),
        privacy: PrivacyLevel::ALL[next(PrivacyLevel::ALL.len())],
        has_pic: next(2) == 0,
        nomination: Nomination::ALL[next(Nomination::ALL.len())],
        seed_age_ms: next(1 << 30) as u64,
    };
    let facts = AuthorizeFacts {
        action: Action::ALL[next(Action::ALL.len())],
        standing,
        snapshot: relations(next),
        approvals: Relations::empty(),
        sought: Relations::ALL[next(Relations::ALL.len())],
        subject: relations(next),
        subject_is_actor: next(8) == 0,
    };
    module.rule(&facts).1
}

fn plan(module: &Module, next: &mut impl FnMut(usize) -> usize) -> Record {
    let members = u32::try_from(next(60)).unwrap_or_default();
    let track = Track::ALL[next(Track::ALL.len())];
    let facts = PlanFacts {
        track,
        from_stage: Stage::ALL[next(Stage::ALL.len())],
        to_track: track,
        to_stage: Stage::ALL[next(Stage::ALL.len())],
        members,
        eligible: members,
        eligible_weight_permille: members * 1_000,
        has_pic: next(2) == 0,
        evidence: u32::try_from(next(4)).unwrap_or_default(),
        challenge_window_hours: None,
        emergency: next(20) == 0,
        weighted: next(4) == 0,
    };
    module.rule(&facts).1
}

/// Ids in the order of making, as UUIDv7 has them.
fn circumstances(place: u64, matter: usize) -> Circumstances {
    let at_ms = BEGINS_MS + place;
    let id = |kind: u64| {
        format!(
            "{:08x}-{:04x}-7{kind:03x}-8000-{place:012x}",
            at_ms >> 16,
            at_ms & 0xffff
        )
    };
    Circumstances {
        decision_id: id(0),
        at_ms: i64::try_from(at_ms).unwrap_or(i64::MAX),
        entity_id: format!("01a20438-5e65-764c-ba51-{matter:012x}"),
        request_id: id(1),
        correlation_id: id(2),
        trace_id: None,
    }
}
