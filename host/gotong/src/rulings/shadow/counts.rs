//! How often each shadow agreed, in this process; and which shadow is asked no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gotong_engine::{Digest, Mode, Module, Policies, Question};
use serde::{Deserialize, Serialize};

use super::{Compared, Observed, Said};

/// After so many burdens in a row a shadow is asked no more: it must not slow commands down.
const BURDENS: u32 = 16;

/// Kinds of differences that are told apart; the rest is counted together. A module can name any rule it likes.
const KINDS: usize = 200;

/// The shadows of a host.
#[derive(Debug)]
pub struct Shadows {
    sample_permille: u16,
    /// By the digest of the shadow.
    counts: Mutex<BTreeMap<Digest, Counts>>,
}

/// How often one shadow agreed.
#[derive(Clone, Debug, Default)]
struct Counts {
    tally: Tally,
    /// Burdens since it was last none.
    burdens: u32,
    kinds: BTreeMap<Kind, u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ShadowTally)]
pub struct Tally {
    /// How often it was asked: the sum of the others.
    pub evaluated: u64,
    pub equal: u64,
    pub differing: u64,
    /// How often the engine failed at it.
    pub failed: u64,
    /// It failed or cost too much too often in a row, and is asked no more until the host starts again.
    pub suspended: bool,
}

/// A kind of difference.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[schema(as = DifferenceKind)]
pub struct Kind {
    pub function: String,
    pub active: Said,
    pub shadow: Said,
}

/// What a reader is told of one shadow.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShadowView {
    pub name: String,
    pub version: String,
    pub digest: String,
    pub family: String,
    #[serde(flatten)]
    pub tally: Tally,
    /// The most frequent first.
    pub differences: Vec<KindCount>,
}

#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KindCount {
    #[serde(flatten)]
    pub kind: Kind,
    pub count: u64,
}

impl Shadows {
    pub fn new(sample_permille: u16) -> Self {
        Self {
            sample_permille,
            counts: Mutex::default(),
        }
    }

    pub fn sample_permille(&self) -> u16 {
        self.sample_permille
    }

    /// The shadows to be asked beside `decided`: those that know the question (an older contract has no list forms).
    /// Only beside the active module: a matter that is decided by an older version, or by the module of its scope,
    /// differs from a candidate for what is active in any case.
    pub fn of<'a, Q: Question>(
        &'a self,
        policies: &'a Policies,
        decided: &'a Module,
    ) -> impl Iterator<Item = &'a Module> {
        policies.shadows(Q::FAMILY).filter(|shadow| {
            self.sample_permille > 0
                && decided.mode() == Mode::Active
                && shadow.answers::<Q>()
                && !self.is_suspended(&shadow.digest())
        })
    }

    fn is_suspended(&self, shadow: &Digest) -> bool {
        self.lock()
            .get(shadow)
            .is_some_and(|counts| counts.tally.suspended)
    }

    pub fn count(&self, observed: &[Observed]) {
        if observed.is_empty() {
            return;
        }
        let mut all = self.lock();
        for one in observed {
            let counts = all.entry(one.shadow).or_default();
            if counts.add(one) {
                tracing::error!(
                    shadow = %one.shadow,
                    function = one.function,
                    "a shadow failed or cost too much {BURDENS} times in a row: it is asked no more until the host starts again"
                );
            }
        }
    }

    /// What there is to say of every shadow, sorted by name and version.
    pub fn view(&self, policies: &Policies) -> Vec<ShadowView> {
        let all = self.lock();
        let is_shadow = |module: &&Module| module.mode() == Mode::Shadow;
        policies
            .modules()
            .iter()
            .filter(is_shadow)
            .map(|module| {
                let counts = all.get(&module.digest()).cloned().unwrap_or_default();
                ShadowView {
                    name: module.name().to_owned(),
                    version: module.version().to_owned(),
                    digest: module.digest().to_string(),
                    family: module.family().to_string(),
                    tally: counts.tally,
                    differences: most_frequent(counts.kinds),
                }
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Counts>> {
        // Counts are whole after every line: a panic elsewhere spoils none.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds of differences, the most frequent first.
pub fn most_frequent(kinds: BTreeMap<Kind, u64>) -> Vec<KindCount> {
    let mut kinds: Vec<KindCount> = kinds
        .into_iter()
        .map(|(kind, count)| KindCount { kind, count })
        .collect();
    // Stable: equal counts stay in the order of their kinds.
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

impl Counts {
    /// Whether the shadow is suspended by this one.
    fn add(&mut self, one: &Observed) -> bool {
        self.tally.evaluated += 1;
        match &one.compared {
            Compared::Equal => self.tally.equal += 1,
            Compared::Failed => self.tally.failed += 1,
            Compared::Differs { active, shadow } => {
                self.tally.differing += 1;
                let kind = Kind {
                    function: one.function.to_owned(),
                    active: active.clone(),
                    shadow: shadow.clone(),
                };
                if self.kinds.len() < KINDS || self.kinds.contains_key(&kind) {
                    *self.kinds.entry(kind).or_default() += 1;
                }
            }
        }
        self.burdens = if one.is_burden { self.burdens + 1 } else { 0 };
        let suspends = self.burdens >= BURDENS && !self.tally.suspended;
        self.tally.suspended |= suspends;
        suspends
    }
}
