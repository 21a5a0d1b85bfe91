//! Counting in this process. What is kept is bounded: who has rested is struck off, and when too many are counted at
//! once, those who come new share their counts.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use super::{Count, RouteClass, Who};
use crate::config::{Rate, Rates};

/// So many are counted one by one, in each class.
const MOST_KEYS: usize = 50_000;

/// Beyond that, so many counts are shared.
const SHARED_KEYS: u64 = 4_096;

/// How many requests go by between two looks at how many are kept.
const LOOK_EVERY: u64 = 1_024;

/// Fewer are not worth tidying up.
const FEW_KEYS: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    One(Who),
    Shared(u64),
}

type Keyed = RateLimiter<Key, Counts, DefaultClock, StateInformationMiddleware>;

/// What the limiter keeps, where it can be asked for whom.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<DashMapStateStore<Key>>);

impl StateStore for Counts {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, measure)
    }
}

impl ShrinkableKeyedStateStore<Key> for Counts {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug)]
struct Limiter {
    keyed: Keyed,
    counts: Counts,
    counted: AtomicU64,
    is_crowded: AtomicBool,
}

/// One limiter for each class and kind of caller.
#[derive(Debug)]
pub struct LocalRates {
    limiters: HashMap<(RouteClass, &'static str), Limiter>,
    clock: DefaultClock,
    hasher: RandomState,
}

impl LocalRates {
    pub fn new(rates: &Rates) -> Self {
        let samples = [
            Who::Subject("".into()),
            Who::Address(crate::http::address::NOWHERE),
        ];
        let mut limiters = HashMap::new();
        for class in RouteClass::ALL {
            for who in &samples {
                let rate = super::rate_of(rates, class, who);
                limiters.insert((class, who.kind()), Limiter::new(rate));
            }
        }
        Self {
            limiters,
            clock: DefaultClock::default(),
            hasher: RandomState::new(),
        }
    }

    pub fn count(&self, class: RouteClass, who: &Who, rate: Rate) -> Count {
        let Some(limiter) = self.limiters.get(&(class, who.kind())) else {
            // Every class and kind has one: nothing is counted rather than a request lost.
            return free(rate);
        };
        let mut key = Key::One(who.clone());
        if limiter.is_crowded() && !limiter.counts.0.contains_key(&key) {
            key = Key::Shared(self.hasher.hash_one(who) % SHARED_KEYS);
        }
        match limiter.keyed.check_key(&key) {
            Ok(left) => {
                let remaining = left.remaining_burst_capacity();
                Count {
                    rate,
                    remaining,
                    wait: None,
                    reset: rate.interval() * rate.burst.get().saturating_sub(remaining),
                }
            }
            Err(not_until) => Count {
                rate,
                remaining: 0,
                wait: Some(not_until.wait_time_from(self.clock.now())),
                reset: rate.interval() * rate.burst.get(),
            },
        }
    }
}

fn free(rate: Rate) -> Count {
    Count {
        rate,
        remaining: rate.burst.get(),
        wait: None,
        reset: Duration::ZERO,
    }
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        // An interval is at least a microsecond, by the bounds of the settings.
        let quota = Quota::with_period(rate.interval())
            .unwrap_or(Quota::per_second(rate.requests))
            .allow_burst(rate.burst);
        let counts = Counts::default();
        Self {
            keyed: Keyed::new(quota, counts.clone(), DefaultClock::default()),
            counts,
            counted: AtomicU64::new(0),
            is_crowded: AtomicBool::new(false),
        }
    }

    /// Whether too many are kept to take in another; tidies up now and then.
    fn is_crowded(&self) -> bool {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed);
        if counted.is_multiple_of(LOOK_EVERY) && self.keyed.len() > FEW_KEYS {
            self.keyed.retain_recent();
            self.keyed.shrink_to_fit();
            let is_crowded = self.keyed.len() > MOST_KEYS;
            self.is_crowded.store(is_crowded, Ordering::Relaxed);
        }
        self.is_crowded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::Per;

    fn rates(requests: u32, per: Per, burst: u32) -> (Rates, Rate) {
        let number = |n| NonZeroU32::new(n).unwrap();
        let rate = Rate {
            requests: number(requests),
            per,
            burst: number(burst),
        };
        let mut rates = Rates::default();
        rates.read.address = rate;
        (rates, rate)
    }

    fn nth(n: u32) -> Who {
        Who::Address(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn a_burst_is_let_through_and_no_more() {
        let (rates, rate) = rates(1, Per::Minute, 3);
        let limits = LocalRates::new(&rates);
        let counts: Vec<Count> = (0..4)
            .map(|_| limits.count(RouteClass::Read, &nth(1), rate))
            .collect();
        let left: Vec<u32> = counts.iter().map(|count| count.remaining).collect();
        assert_eq!(left, [2, 1, 0, 0]);
        assert!(counts[..3].iter().all(|count| count.wait.is_none()));
        let wait = counts[3].wait.unwrap().as_secs_f64();
        assert!((59.0..=60.0).contains(&wait), "{wait}");
        assert_eq!(counts[0].reset.as_secs(), 60);
        assert_eq!(
            limits.count(RouteClass::Read, &nth(2), rate).remaining,
            2,
            "another is counted alone"
        );
        let write = limits.count(RouteClass::Write, &nth(1), rates.write.address);
        assert!(write.wait.is_none(), "another class is counted alone");
    }

    #[test]
    fn what_is_kept_is_bounded_also_for_a_flood_of_strangers() {
        let (rates, rate) = rates(1, Per::Minute, 3);
        let limits = LocalRates::new(&rates);
        for n in 0..70_000 {
            limits.count(RouteClass::Read, &nth(n), rate);
        }
        let kept = limits.limiters[&(RouteClass::Read, "address")].keyed.len();
        let most = MOST_KEYS + usize::try_from(LOOK_EVERY + SHARED_KEYS).unwrap();
        assert!(kept <= most, "{kept} of at most {most}");
        let late = limits.count(RouteClass::Read, &nth(70_001), rate);
        assert!(
            late.remaining < 2,
            "who comes into a crowd shares a count: {late:?}"
        );
        let known = limits.count(RouteClass::Read, &nth(69), rate);
        assert_eq!(known.remaining, 1, "who was there before does not");
    }

    #[test]
    fn who_has_rested_is_struck_off() {
        let (rates, rate) = rates(1_000_000, Per::Second, 1);
        let limits = LocalRates::new(&rates);
        for n in 0..20_000 {
            limits.count(RouteClass::Read, &nth(n), rate);
        }
        let kept = limits.limiters[&(RouteClass::Read, "address")].keyed.len();
        assert!(kept < 5_000, "{kept}");
    }
}
