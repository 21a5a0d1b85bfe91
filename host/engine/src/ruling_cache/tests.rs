//! The same question has the same record, byte for byte: with the cache, with memory from the system, on one
//! thread or eight, and after 10,000 other calls. Every function of every family is asked, with facts drawn from
//! the contract, with numbers around those that the rules compare with.

use std::collections::BTreeSet;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::*;
use crate::contract::{self, Family};
use crate::engine::{Allocation, Engine};
use crate::policies::Policies;
use crate::question::Visitor;
use crate::shape::{self, Shape};

fn load(allocation: Allocation) -> Policies {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).unwrap();
    Policies::load(&Engine::with(allocation).unwrap(), &dir, None).unwrap()
}

/// Facts of a shape, in JSON. Half of the numbers are small, half stand at the edges of the rules.
fn facts_of(shape: &Shape, edges: &[u32]) -> BoxedStrategy<Value> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Integer => prop_oneof![0..=120_u32, select(edges.to_vec())]
            .prop_map(Value::from)
            .boxed(),
        Shape::Text => "[a-z]{0,8}".prop_map(Value::from).boxed(),
        Shape::Word(words) => select(words.clone()).prop_map(Value::from).boxed(),
        Shape::Words(words) => {
            let most = words.len();
            subsequence(words.clone(), 0..=most)
                .prop_map(Value::from)
                .boxed()
        }
        Shape::Option(inner) => prop_oneof![Just(Value::Null), facts_of(inner, edges)].boxed(),
        Shape::List(inner) => prop::collection::vec(facts_of(inner, edges), 0..4)
            .prop_map(Value::from)
            .boxed(),
        Shape::Record(fields) => fields
            .iter()
            .map(|(name, shape)| {
                let name = name.clone();
                facts_of(shape, edges).prop_map(move |value| (name.clone(), value))
            })
            .collect::<Vec<_>>()
            .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>()))
            .boxed(),
    }
}

/// A question of any family, its facts in JSON.
#[derive(Clone, Debug)]
struct Asking {
    family: Family,
    function: &'static str,
    facts: Value,
}

/// The numbers that the cases of a family's policy stand on, which are those of its rules, and their neighbours.
fn edges(family: Family) -> Vec<u32> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let mut edges = BTreeSet::new();
    for file in std::fs::read_dir(format!("{folder}/{family}/cases")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for case in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            numbers(&case["input"], &mut edges);
        }
    }
    let around = |edge: u32| [edge.saturating_sub(1), edge, edge.saturating_add(1)];
    edges.into_iter().flat_map(around).collect()
}

/// Every number in a JSON value.
fn numbers(value: &Value, found: &mut BTreeSet<u32>) {
    match value {
        Value::Number(number) => {
            found.extend(number.as_u64().and_then(|it| u32::try_from(it).ok()))
        }
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| numbers(item, found)),
        _ => {}
    }
}

/// So many questions of every function of every family.
fn questions(of_each: usize) -> Vec<Asking> {
    let mut runner = TestRunner::deterministic();
    let mut questions = Vec::new();
    for family in Family::ALL {
        let edges = edges(*family);
        for function in family.functions() {
            let facts = facts_of(&shape::of(*family, function).unwrap().0, &edges);
            questions.extend((0..of_each).map(|_| Asking {
                family: *family,
                function,
                facts: facts.new_tree(&mut runner).unwrap().current(),
            }));
        }
    }
    questions
}

/// How a question is put.
#[derive(Clone, Copy, Debug)]
enum How<'a> {
    Evaluate(Option<&'a RulingCache>),
    Rule(Option<&'a RulingCache>),
}

struct Put<'a> {
    module: &'a Module,
    facts: &'a Value,
    how: How<'a>,
}

impl Visitor for Put<'_> {
    type Output = String;

    /// Everything of the answer that somebody could act on or keep.
    fn visit<Q: Question>(self) -> String {
        let facts: Q = serde_json::from_value(self.facts.clone()).unwrap();
        let evaluated = |evaluation: &Evaluation<Q::Ruling>| {
            json!([
                evaluation.outcome,
                evaluation.ruling,
                evaluation.fuel,
                evaluation.replayable
            ])
        };
        match self.how {
            How::Evaluate(None) => evaluated(&self.module.evaluate(&facts)).to_string(),
            How::Evaluate(Some(cache)) => {
                evaluated(self.module.evaluate_cached(cache, &facts).evaluation()).to_string()
            }
            How::Rule(None) => {
                let (ruling, record) = self.module.rule(&facts);
                json!([ruling, record]).to_string()
            }
            How::Rule(Some(cache)) => {
                let (answer, record) = self.module.rule_cached(cache, &facts);
                json!([answer.ruling(), record.as_ref()]).to_string()
            }
        }
    }
}

impl Asking {
    fn put(&self, module: &Module, how: How<'_>) -> String {
        let put = Put {
            module,
            facts: &self.facts,
            how,
        };
        contract::visit(self.family, self.function, put).unwrap()
    }

    /// As the active module records it.
    fn record(&self, policies: &Policies) -> String {
        self.put(policies.active(self.family), How::Rule(None))
    }
}

#[test]
fn questions_stand_around_the_numbers_of_the_rules() {
    let mut asked = BTreeSet::new();
    for asking in questions(12) {
        numbers(&asking.facts, &mut asked);
    }
    // Minutes and hours of a time-out, permille of a scan's confidence, likeness and doubt.
    for edge in [168, 500, 600, 800, 900, 950, 1_440] {
        let near = asked.range(edge - 1..=edge + 1).count();
        assert!(near > 0, "{edge}: {asked:?}");
    }
}

#[test]
fn the_record_is_the_same_under_every_condition() {
    let policies = load(Allocation::Pooled);
    let questions = questions(12);
    let expected: Vec<String> = questions
        .iter()
        .map(|each| each.record(&policies))
        .collect();
    let same = |condition: &str, place: usize, record: String| {
        assert_eq!(
            record, expected[place],
            "{condition}: {:?}",
            questions[place]
        );
    };

    let cache = RulingCache::new(10_000);
    let cached = |condition: &str| {
        let before = cache.hits();
        for (place, asking) in questions.iter().enumerate() {
            let module = policies.active(asking.family);
            let how = How::Rule(Some(&cache));
            same(condition, place, asking.put(module, how));
        }
        cache.hits() - before
    };
    cached("before it was kept");
    // A module of an older contract has no answer to a newer function, and none is kept.
    let answered = expected
        .iter()
        .filter(|record| !record.contains("engine_error"));
    assert_eq!(cached("when it was kept"), answered.count() as u64);

    let on_demand = load(Allocation::OnDemand);
    for (place, asking) in questions.iter().enumerate() {
        same("memory from the system", place, asking.record(&on_demand));
    }

    let shared = RulingCache::new(16);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (questions, policies, same, shared) = (&questions, &policies, &same, &shared);
            scope.spawn(move || {
                for step in 0..questions.len() {
                    let place = (step * (2 * thread + 1)) % questions.len();
                    let module = policies.active(questions[place].family);
                    let how = How::Rule((thread % 2 == 0).then_some(shared));
                    same("eight threads", place, questions[place].put(module, how));
                }
            });
        }
    });

    for (place, asking) in questions.iter().cycle().take(10_000).enumerate() {
        let module = policies.active(asking.family);
        let how = How::Evaluate((place % 2 == 0).then_some(&shared));
        asking.put(module, how);
    }
    for (place, asking) in questions.iter().enumerate() {
        same("after 10,000 other calls", place, asking.record(&policies));
    }
}

#[test]
fn in_any_order_of_questions_the_cache_gives_the_answers_there_would_be_without_it() {
    let policies = load(Allocation::Pooled);
    // Retired versions too: their questions are those of the active ones, word for word.
    let modules: Vec<&Module> = policies
        .lock()
        .pins()
        .iter()
        .map(|pin| policies.find(&pin.digest).unwrap())
        .collect();
    let asked: Vec<(&Module, Asking)> = questions(2)
        .into_iter()
        .flat_map(|asking| {
            let family = asking.family;
            modules
                .iter()
                .filter(move |module| module.family() == family)
                .map(move |module| (*module, asking.clone()))
        })
        .collect();
    let expected: Vec<[String; 2]> = asked
        .iter()
        .map(|(module, asking)| {
            [How::Evaluate(None), How::Rule(None)].map(|how| asking.put(module, how))
        })
        .collect();
    let orders = prop::collection::vec((0..asked.len(), any::<bool>()), 1..300);
    // Some must make room, and some never.
    let capacities = select(vec![1_usize, 8, 1_000]);
    TestRunner::new(Config::with_cases(48))
        .run(&(orders, capacities), |(order, capacity)| {
            let cache = RulingCache::new(capacity);
            for (place, recorded) in order {
                let (module, asking) = &asked[place];
                let how = match recorded {
                    true => How::Rule(Some(&cache)),
                    false => How::Evaluate(Some(&cache)),
                };
                prop_assert_eq!(
                    &asking.put(module, how),
                    &expected[place][usize::from(recorded)],
                    "{} {} {:?} {:?}",
                    module.name(),
                    module.version(),
                    asking,
                    how
                );
            }
            prop_assert!(cache.len() <= capacity, "{:?}", cache);
            Ok(())
        })
        .unwrap();
}
