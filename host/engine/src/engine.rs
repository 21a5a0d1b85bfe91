//! The one configuration that policies run under, and its fingerprint.
//!
//! Promise: two engines with the same [`Fingerprint`] answer the same question with the same bytes
//! and the same fuel. Nothing of it can be configured from outside.

use std::fmt;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
    WasmFeatures,
};

use crate::digest::Digest;

/// The fuel of one evaluation. A real ruling takes a few thousand units; ten million end a loop
/// after some milliseconds, far below the 50 ms backstop, so that burning it is a deterministic outcome.
pub const FUEL: u64 = 10_000_000;

/// The largest linear memory a module may declare, in bytes.
pub const MAX_MEMORY: usize = 1 << 20;

/// The largest table a module may declare, in elements.
pub const MAX_TABLE: usize = 4_096;

/// The exact version of the engine below; a test holds it to `Cargo.lock`.
const WASMTIME: &str = "48.0.8";

/// Evaluations are synchronous and take microseconds: one per thread of the host, with room.
pub(crate) const CONCURRENT: u32 = 64;

/// Native stack of a module. Modules keep their own 16 KiB stack in linear memory; this bounds recursion.
const MAX_WASM_STACK: usize = 256 << 10;

const TICK: Duration = Duration::from_millis(10);

/// The backstop is 50 ms: five whole ticks, and the one that is already running.
const TICKS: u64 = 6;

/// The proposals a module may use; every other one is refused by the compiler and by [`crate::check()`].
pub(crate) const PROPOSALS: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::COMPONENT_MODEL);

/// The engine could not be set up: the machine lacks something it needs.
#[derive(Debug, thiserror::Error)]
#[error("the policy engine cannot start on this machine")]
pub struct EngineError {
    #[source]
    source: wasmtime::Error,
}

/// Where instances get their memory from. It is speed alone: no answer, no fuel and no [`Fingerprint`] depends
/// on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// From a pool that is reserved once and reset after every call: what a host serves with.
    Pooled,
    /// From the system for each instance, and back: ten times slower. It is here to be compared with.
    OnDemand,
}

/// Everything that could change an answer, in one digest, and nothing that could not: the version of wasmtime,
/// the proposals, fuel, the memory, table and stack limits, the compiler's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Digest);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = crate::digest::ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Fingerprint {
    pub(crate) fn hex(&self) -> String {
        self.0.hex()
    }
}

/// The engine. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    fingerprint: Fingerprint,
    settings: String,
    code_key: Digest,
    _ticker: Ticker,
}

impl Engine {
    /// Sets the engine up and starts the thread of its backstop.
    ///
    /// # Errors
    /// When the pool's address space cannot be reserved or the processor is not supported.
    pub fn new() -> Result<Self, EngineError> {
        Self::with(Allocation::Pooled)
    }

    /// As [`Engine::new`], with another source of memory.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with(allocation: Allocation) -> Result<Self, EngineError> {
        let wasmtime =
            wasmtime::Engine::new(&config(allocation)).map_err(|source| EngineError { source })?;
        let settings = settings(&wasmtime);
        let ticker = Ticker::start(&wasmtime).map_err(|source| EngineError {
            source: wasmtime::Error::new(source),
        })?;
        let fingerprint = Fingerprint(Digest::of(&settings));
        let code_key = code_key(&wasmtime, &fingerprint);
        Ok(Self {
            inner: Arc::new(Inner {
                wasmtime,
                fingerprint,
                settings,
                code_key,
                _ticker: ticker,
            }),
        })
    }

    /// What two engines must share to give the same answers.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// The text the fingerprint is the digest of, one setting a line.
    pub fn settings(&self) -> &str {
        &self.inner.settings
    }

    /// What two engines must share to run the same compiled code: more than gives the same answers.
    pub(crate) fn code_key(&self) -> Digest {
        self.inner.code_key
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// A store for one evaluation: no fuel yet, and a deadline.
    pub(crate) fn store(&self) -> wasmtime::Store<()> {
        let mut store = wasmtime::Store::new(&self.inner.wasmtime, ());
        store.set_epoch_deadline(TICKS);
        store
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("fingerprint", &self.inner.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The configuration of every engine. Public for the benchmarks alone, which vary one setting of it at a time: what
/// runs under another configuration is no evaluation.
#[doc(hidden)]
pub fn config(allocation: Allocation) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // NaN bits are the one thing that plain WebAssembly leaves to the machine.
        .cranelift_nan_canonicalization(true)
        .wasm_features(WasmFeatures::all().difference(PROPOSALS), false)
        .wasm_features(PROPOSALS, true)
        // No fibers and no async state in the store: calls are synchronous.
        .concurrency_support(false)
        // The default costs: one unit for nearly every operator.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK)
        // A trap's code is enough; walking frames costs more than most rulings.
        .wasm_backtrace_max_frames(None)
        // A 4 GiB reservation lets the compiler leave bounds checks to the guard pages.
        .memory_reservation(4 << 30)
        .memory_init_cow(true)
        .allocation_strategy(match allocation {
            Allocation::Pooled => InstanceAllocationStrategy::Pooling(pool()),
            Allocation::OnDemand => InstanceAllocationStrategy::OnDemand,
        });
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool
        // One component instance is one core instance with one memory and at most one table, so
        // all four totals are the same number.
        .total_component_instances(CONCURRENT)
        .total_core_instances(CONCURRENT)
        .total_memories(CONCURRENT)
        .total_tables(CONCURRENT)
        .max_core_instances_per_component(1)
        .max_memories_per_component(1)
        .max_tables_per_component(1)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        // The limits of the load-time check, held a second time by the pool.
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE)
        // The whole memory is reset by memset and memcpy: for 64 KiB that is a microsecond, where
        // an madvise and the page faults after it are several.
        .linear_memory_keep_resident(MAX_MEMORY)
        .table_keep_resident(MAX_TABLE * size_of::<usize>())
        // Asking the kernel which pages were touched costs more than resetting a memory this small.
        .pagemap_scan(Enabled::No)
        // A slot that held the same module is reused with its image in place; no slot goes cold,
        // for a module's few slots together are smaller than one ordinary buffer.
        .max_unused_warm_slots(CONCURRENT)
        // Nothing is decommitted in the ordinary case, so there is nothing to gather.
        .decommit_batch_size(1);
    pool
}

/// The fingerprint, and with it all that wasmtime holds compiled code to: the processor, how memory is reserved
/// and guarded.
fn code_key(engine: &wasmtime::Engine, fingerprint: &Fingerprint) -> Digest {
    struct Written(Vec<u8>);
    impl Hasher for Written {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        /// Not asked for: what was written is digested instead.
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut written = Written(fingerprint.hex().into_bytes());
    engine.precompile_compatibility_hash().hash(&mut written);
    Digest::of(written.0)
}

/// Read back from the engine where it can be. Left out is what changes the speed alone: how memory is reserved,
/// guarded, pooled and reset; and the backstop, which never makes a decision.
fn settings(engine: &wasmtime::Engine) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn fmt::Debug| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {value:?}");
    };
    line("wasmtime", &WASMTIME);
    line("fuel", &FUEL);
    let mut proposals: Vec<_> = engine
        .get_wasm_features()
        .iter_names()
        .map(|(name, _)| name)
        .collect();
    proposals.sort_unstable();
    line("proposals", &proposals);
    line("strategy", &engine.get_strategy());
    line("opt_level", &engine.get_cranelift_opt_level());
    line(
        "nan_canonicalization",
        &engine.get_cranelift_nan_canonicalization(),
    );
    line(
        "relaxed_simd_deterministic",
        &engine.get_relaxed_simd_deterministic(),
    );
    line("inlining", &engine.get_compiler_inlining());
    line("concurrency_support", &engine.get_concurrency_support());
    line("consume_fuel", &engine.get_consume_fuel());
    line("max_wasm_stack", &engine.get_max_wasm_stack());
    line("max_memory", &MAX_MEMORY);
    line("max_table", &MAX_TABLE);
    text
}

/// The thread that advances the epoch. It ends with the engine.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let engine = engine.weak();
        let thread = std::thread::Builder::new()
            .name("policy-epoch".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only sleeps and counts: there is no panic to hear of.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_fingerprint_is_the_one_that_is_locked() {
        let lock: toml::Table = include_str!("../../../Cargo.lock").parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        // There may be another wasmtime in the lock: the one that is measured with Extism. Where there is, a dependency
        // is named with its version.
        let versions: Vec<_> = packages
            .iter()
            .filter(|package| package["name"].as_str() == Some("wasmtime"))
            .map(|package| package["version"].as_str().unwrap())
            .collect();
        let engine = packages
            .iter()
            .find(|package| package["name"].as_str() == Some("gotong-engine"))
            .unwrap();
        let named: Vec<_> = engine["dependencies"].as_array().unwrap().iter().collect();
        let ours = format!("wasmtime {WASMTIME}");
        assert!(
            named.iter().any(|each| each.as_str() == Some(&ours)) || versions == [WASMTIME],
            "{named:?} {versions:?}"
        );
    }

    #[test]
    fn compiled_code_is_shared_by_equal_engines_alone() {
        let engine = Engine::new().unwrap();
        assert_eq!(engine.code_key(), Engine::new().unwrap().code_key());
        assert_ne!(engine.code_key(), engine.fingerprint().0);
    }

    #[test]
    fn two_engines_have_one_fingerprint_wherever_their_memory_comes_from() {
        let engine = Engine::new().unwrap();
        assert_eq!(engine.fingerprint(), Engine::new().unwrap().fingerprint());
        assert_eq!(
            engine.fingerprint(),
            Engine::with(Allocation::OnDemand).unwrap().fingerprint()
        );
        assert!(
            engine
                .settings()
                .contains("nan_canonicalization = Some(true)"),
            "{}",
            engine.settings()
        );
    }
}
