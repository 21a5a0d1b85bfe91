//! The role matrix's `authorize` in every way there is to ask it, in turns in one run: the native call, the isolated
//! evaluation, and, where they are compiled in, the peers.

use std::cell::Cell;
#[cfg(feature = "peers")]
use std::cell::RefCell;
use std::hint::black_box;

use gotong_engine::role_matrix::AuthorizeFacts;
use gotong_engine::{Module, RulingCache};
use serde::Serialize;

use crate::rounds::{Contender, Effort, Measured, measure};
use crate::{BenchError, authorize_natively, inputs, may_vote, may_vote_natively};

/// A native call is shorter than reading a clock: so many are timed at once.
const NATIVE_BATCH: u32 = 1_000;

/// A hit is not much longer than reading a clock either.
const HIT_BATCH: u32 = 10;

/// Answers that the cache may keep.
const CACHED: usize = 10_000;

/// Questions to each action and token role that must be answered alike, beside those of a plain person.
const DRAWS: usize = 12;

pub const NATIVE: &str = "native call";
pub const ISOLATED: &str = "gotong, isolated";
pub const CACHE_HIT: &str = "gotong, in the ruling cache";
pub const CACHE_MISS: &str = "gotong, not in the ruling cache";
pub const CEDAR: &str = "Cedar, request built per call";
pub const CEDAR_PREBUILT: &str = "Cedar, request prebuilt";
pub const REGO: &str = "regorus interpreter, input built per call";
pub const REGO_PREBUILT: &str = "regorus interpreter, input prebuilt";
pub const REGO_ALLOW: &str = "regorus interpreter, yes or no alone";
pub const MACHINE: &str = "regorus virtual machine, input built per call";
pub const MACHINE_PREBUILT: &str = "regorus virtual machine, input prebuilt";
pub const MACHINE_ALLOW: &str = "regorus virtual machine, yes or no alone";
pub const EXTISM_REUSED: &str = "Extism, reused instance (not isolated)";
pub const EXTISM_FRESH: &str = "Extism, fresh instance";
pub const EXTISM_POOLED: &str = "Extism, fresh instance, pooling allocator";

#[derive(Debug, Serialize)]
pub struct Report {
    /// What was held against one another before anything was timed.
    pub agreement: Option<Agreement>,
    /// A participant votes: the question of the hottest path.
    pub vote: Vec<Measured>,
    /// The questions of the sample, one after another: every action, role and privacy level.
    pub mixed: Vec<Measured>,
}

/// What the comparison of answers covered.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Agreement {
    pub questions: usize,
    pub allowed: usize,
    /// Different pairs of rule and reason among the answers.
    pub reasons: usize,
}

/// # Errors
/// When a peer gives another answer, or a call fails.
pub fn run(module: &Module, effort: Effort) -> Result<Report, BenchError> {
    let questions = inputs::sample(DRAWS);
    #[cfg(feature = "peers")]
    let peers = RefCell::new(crate::peers::Peers::new()?);
    #[cfg(feature = "peers")]
    let agreement = Some(peers.borrow_mut().agree(module, &questions)?);
    #[cfg(not(feature = "peers"))]
    let agreement = None;

    #[cfg(feature = "peers")]
    let question = may_vote();
    let cache = RulingCache::new(CACHED);
    let strangers = Cell::new(0_u64);
    let mut contenders = vec![
        Contender::batched(NATIVE, NATIVE_BATCH, || {
            black_box(authorize_natively(black_box(may_vote_natively())));
            true
        }),
        Contender::new(ISOLATED, || {
            black_box(module.evaluate(black_box(&may_vote())))
                .ruling
                .is_some()
        }),
        Contender::batched(CACHE_HIT, HIT_BATCH, || {
            black_box(module.evaluate_cached(&cache, black_box(&may_vote())))
                .ruling()
                .is_some()
        }),
        Contender::new(CACHE_MISS, || {
            let mut facts = may_vote();
            facts.standing.seed_age_ms = strangers.get();
            strangers.set(strangers.get() + 1);
            black_box(module.evaluate_cached(&cache, black_box(&facts)))
                .ruling()
                .is_some()
        }),
    ];
    #[cfg(feature = "peers")]
    contenders.extend(of_peers(&peers, &question)?);
    let vote = measure(&mut contenders, effort)?;
    drop(contenders);

    let natively: Vec<_> = questions.iter().map(inputs::natively).collect();
    let turn = Turn::of(&questions);
    let mut contenders = vec![
        Contender::batched(NATIVE, NATIVE_BATCH, || {
            black_box(authorize_natively(black_box(natively[turn.next()])));
            true
        }),
        Contender::new(ISOLATED, || {
            black_box(module.evaluate(&questions[turn.next()]))
                .ruling
                .is_some()
        }),
    ];
    #[cfg(feature = "peers")]
    contenders.extend(of_peers_in_turn(&peers, &questions, &turn));
    let mixed = measure(&mut contenders, effort)?;
    Ok(Report {
        agreement,
        vote,
        mixed,
    })
}

/// Whose turn it is among the questions.
struct Turn {
    next: Cell<usize>,
    of: usize,
}

impl Turn {
    fn of(questions: &[AuthorizeFacts]) -> Self {
        Self {
            next: Cell::new(0),
            of: questions.len(),
        }
    }

    fn next(&self) -> usize {
        let this = self.next.get();
        self.next.set((this + 1) % self.of);
        this
    }
}

#[cfg(feature = "peers")]
fn of_peers<'a>(
    peers: &'a RefCell<crate::peers::Peers>,
    facts: &'a AuthorizeFacts,
) -> Result<Vec<Contender<'a>>, BenchError> {
    let request = peers.borrow().cedar.request(facts)?;
    let input = peers.borrow().rego.interpreter.words.input(facts);
    let again = input.clone();
    Ok(vec![
        Contender::new(CEDAR, || {
            let cedar = &peers.borrow().cedar;
            cedar.request(black_box(facts)).is_ok_and(|request| {
                black_box(cedar.decide(&request)).decision() == cedar_policy::Decision::Allow
            })
        }),
        Contender::new(CEDAR_PREBUILT, move || {
            black_box(peers.borrow().cedar.decide(&request)).decision()
                == cedar_policy::Decision::Allow
        }),
        Contender::new(REGO, || {
            let rego = &mut peers.borrow_mut().rego.interpreter;
            let input = rego.words.input(black_box(facts));
            black_box(rego.ruling_of(input)).is_ok()
        }),
        Contender::new(REGO_PREBUILT, move || {
            black_box(peers.borrow_mut().rego.interpreter.ruling_of(input.clone())).is_ok()
        }),
        Contender::new(REGO_ALLOW, || {
            let rego = &mut peers.borrow_mut().rego.interpreter;
            let input = rego.words.input(black_box(facts));
            black_box(rego.allow(input)).is_ok()
        }),
        Contender::new(MACHINE, || {
            let rego = &mut peers.borrow_mut().rego.machine;
            let input = rego.words.input(black_box(facts));
            black_box(rego.ruling_of(input)).is_ok()
        }),
        Contender::new(MACHINE_PREBUILT, move || {
            black_box(peers.borrow_mut().rego.machine.ruling_of(again.clone())).is_ok()
        }),
        Contender::new(MACHINE_ALLOW, || {
            let rego = &mut peers.borrow_mut().rego.machine;
            let input = rego.words.input(black_box(facts));
            black_box(rego.allow(input)).is_ok()
        }),
        Contender::new(EXTISM_REUSED, || {
            black_box(peers.borrow_mut().extism.reused(black_box(facts))).is_ok()
        }),
        Contender::new(EXTISM_FRESH, || {
            black_box(peers.borrow().extism.fresh(black_box(facts))).is_ok()
        }),
        Contender::new(EXTISM_POOLED, || {
            black_box(peers.borrow().extism.fresh_pooled(black_box(facts))).is_ok()
        }),
    ])
}

#[cfg(feature = "peers")]
fn of_peers_in_turn<'a>(
    peers: &'a RefCell<crate::peers::Peers>,
    questions: &'a [AuthorizeFacts],
    turn: &'a Turn,
) -> Vec<Contender<'a>> {
    vec![
        Contender::new(CEDAR, || {
            let cedar = &peers.borrow().cedar;
            cedar.request(&questions[turn.next()]).is_ok_and(|request| {
                black_box(cedar.decide(&request))
                    .diagnostics()
                    .errors()
                    .next()
                    .is_none()
            })
        }),
        Contender::new(REGO, || {
            let rego = &mut peers.borrow_mut().rego.interpreter;
            let input = rego.words.input(&questions[turn.next()]);
            black_box(rego.ruling_of(input)).is_ok()
        }),
        Contender::new(MACHINE, || {
            let rego = &mut peers.borrow_mut().rego.machine;
            let input = rego.words.input(&questions[turn.next()]);
            black_box(rego.ruling_of(input)).is_ok()
        }),
        Contender::new(EXTISM_REUSED, || {
            black_box(peers.borrow_mut().extism.reused(&questions[turn.next()])).is_ok()
        }),
        Contender::new(EXTISM_FRESH, || {
            black_box(peers.borrow().extism.fresh(&questions[turn.next()])).is_ok()
        }),
    ]
}

impl Report {
    /// The p50 of one line of the vote, if it was measured.
    pub fn p50(&self, name: &str) -> Option<f64> {
        let found = self.vote.iter().find(|each| each.name == name)?;
        Some(found.p50_ns)
    }

    /// How many times as long a peer takes as the isolated evaluation.
    pub fn ratio(&self, peer: &str) -> Option<f64> {
        Some(self.p50(peer)? / self.p50(ISOLATED)?)
    }
}
