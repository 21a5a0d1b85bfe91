//! Rulings that were given before. A module is a pure function of facts that hold no identities, so equal facts
//! have an equal ruling, and an equal record.
//!
//! A hit is never another answer: facts are compared with facts, not hash with hash; the module is its digest;
//! and what might end otherwise on another day (see [`Outcome::is_replayable`]) is not kept. Replay, bundles and
//! what-if runs do not take a cache: they are there to evaluate.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use crate::digest::Digest;
use crate::module::{Evaluation, Module, TrapCode};
use crate::question::Question;
use crate::record::{Record, RecordMode};

#[cfg(doc)]
use crate::module::Outcome;

/// Facts that take more than this to be hashed are not kept: a long list is hardly asked twice, and the memory of
/// the cache is bounded by the number of its entries.
const MAX_FACTS: usize = 2_048;

/// Kept answers, up to a number of them; the least useful make room. Shared between threads.
pub struct RulingCache {
    answers: Cache<Key, Arc<dyn Any + Send + Sync>>,
    hits: Count,
    misses: Count,
}

/// On a cache line of its own, so that counting does not slow down what lies beside it.
#[derive(Default)]
#[repr(align(64))]
struct Count(AtomicU64);

impl Count {
    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl RulingCache {
    /// A cache of at most `capacity` answers, a few kilobytes each.
    pub fn new(capacity: usize) -> Self {
        Self {
            answers: Cache::new(capacity),
            hits: Count::default(),
            misses: Count::default(),
        }
    }

    /// How often an answer was there.
    pub fn hits(&self) -> u64 {
        self.hits.0.load(Ordering::Relaxed)
    }

    /// How often a module was asked.
    pub fn misses(&self) -> u64 {
        self.misses.0.load(Ordering::Relaxed)
    }

    /// How many answers are kept now.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    fn get<Q: Question>(&self, module: Digest, facts: &Q) -> Option<Arc<Answer<Q>>> {
        self.answers
            .get(&Asked { module, facts })?
            .downcast::<Answer<Q>>()
            .ok()
    }

    /// Keeps what must be the same again. Not so an answer that breaks the contract: what cannot be written down
    /// exactly is one to who records it, and not to who only reads it.
    fn keep<Q: Question>(&self, module: Digest, answer: &Arc<Answer<Q>>) {
        let evaluation = &answer.evaluation;
        let lasting = evaluation.replayable
            && evaluation.outcome.is_replayable()
            && evaluation.outcome.trap_code() != Some(TrapCode::InvalidAnswer);
        if lasting && size(&answer.facts) <= MAX_FACTS {
            let facts = Arc::clone(answer) as Arc<dyn AnyFacts>;
            self.answers
                .insert(Key { module, facts }, Arc::clone(answer) as _);
        }
    }
}

impl fmt::Debug for RulingCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulingCache")
            .field("capacity", &self.answers.capacity())
            .field("len", &self.len())
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}

/// What a module answered to facts.
#[derive(Debug)]
pub struct Answer<Q: Question> {
    facts: Q,
    evaluation: Evaluation<Q::Ruling>,
    /// Made when it is first asked for, which a reader never does.
    record: OnceLock<Arc<Record>>,
}

impl<Q: Question> Answer<Q> {
    /// The evaluation, as [`Module::evaluate`] gives it.
    pub fn evaluation(&self) -> &Evaluation<Q::Ruling> {
        &self.evaluation
    }

    /// The ruling, if there is one.
    pub fn ruling(&self) -> Option<&Q::Ruling> {
        self.evaluation.ruling.as_ref()
    }

    /// The record, unless facts or ruling have no exact text.
    fn record(&self, module: &Module) -> Option<Arc<Record>> {
        if let Some(record) = self.record.get() {
            return Some(Arc::clone(record));
        }
        let record = Arc::new(module.record_of(&self.facts, &self.evaluation)?);
        Some(Arc::clone(self.record.get_or_init(|| record)))
    }
}

impl Module {
    /// As [`Module::evaluate`], unless these facts were put to this module before: then what it answered.
    pub fn evaluate_cached<Q: Question>(&self, cache: &RulingCache, facts: &Q) -> Arc<Answer<Q>> {
        if let Some(answer) = cache.get(self.digest(), facts) {
            cache.hits.add_one();
            return answer;
        }
        cache.misses.add_one();
        let answer = Arc::new(Answer {
            facts: facts.clone(),
            evaluation: self.evaluate(facts),
            record: OnceLock::new(),
        });
        cache.keep(self.digest(), &answer);
        answer
    }

    /// As [`Module::rule`], unless these facts were put to this module before: then what it answered, and the
    /// same record.
    pub fn rule_cached<Q: Question>(
        &self,
        cache: &RulingCache,
        facts: &Q,
    ) -> (Arc<Answer<Q>>, Arc<Record>) {
        if let Some(answer) = cache.get(self.digest(), facts)
            && let Some(record) = answer.record(self)
        {
            cache.hits.add_one();
            return (answer, record);
        }
        cache.misses.add_one();
        let (evaluation, record) = self.evaluate_and_record(facts, RecordMode::Active);
        let record = Arc::new(record);
        let answer = Arc::new(Answer {
            facts: facts.clone(),
            evaluation,
            record: OnceLock::from(Arc::clone(&record)),
        });
        cache.keep(self.digest(), &answer);
        (answer, record)
    }
}

/// Facts of any question, to be compared with facts of any other.
trait AnyFacts: Send + Sync {
    fn facts(&self) -> &dyn Any;
    fn is(&self, other: &dyn Any) -> bool;
    fn hash(&self, state: &mut dyn Hasher);
}

impl<Q: Question> AnyFacts for Answer<Q> {
    fn facts(&self) -> &dyn Any {
        &self.facts
    }

    fn is(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(&self.facts)
    }

    fn hash(&self, mut state: &mut dyn Hasher) {
        self.facts.hash(&mut state);
    }
}

/// A kept question. The facts are those of the answer itself; their type is the function.
struct Key {
    module: Digest,
    facts: Arc<dyn AnyFacts>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.module == other.module && self.facts.is(other.facts.facts())
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.module.hash(state);
        self.facts.hash(state);
    }
}

/// A question that is asked. It hashes as the [`Key`] that would keep it.
struct Asked<'a, Q> {
    module: Digest,
    facts: &'a Q,
}

impl<Q: Question> Hash for Asked<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.module.hash(state);
        self.facts.hash(state);
    }
}

impl<Q: Question> Equivalent<Key> for Asked<'_, Q> {
    fn equivalent(&self, key: &Key) -> bool {
        self.module == key.module && key.facts.is(self.facts)
    }
}

/// How many bytes of facts are hashed.
fn size(facts: &impl Hash) -> usize {
    struct Size(usize);
    impl Hasher for Size {
        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut size = Size(0);
    facts.hash(&mut size);
    size.0
}

#[cfg(test)]
mod tests;
