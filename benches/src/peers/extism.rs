//! The action matrix as an Extism plugin: the same Rust rules, bytes in and bytes out (`benches/extism-plugin`).
//!
//! Compiled once. *Reused*: one plugin for every question, which keeps its memory. *Fresh*: a new plugin of the compiled
//! one for each question, which is what isolation between questions takes: with Extism's own configuration, and with
//! wasmtime's pooling allocator, which Extism lets one ask for.

use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use gotong_engine::role_matrix::{AuthorizeFacts, Obligation};

use wasmtime_extism::{Config, InstanceAllocationStrategy};

use crate::BenchError;
use crate::inputs::{Answer, bits};

/// Built by `make bench-plugin`, committed so that a run needs no WebAssembly toolchain; a run that finds other answers
/// in it than in the pinned module fails.
const PLUGIN: &[u8] = include_bytes!("../../extism-plugin/role-matrix.wasm");

/// The compiled plugin and one instance of it.
pub struct Extism {
    compiled: CompiledPlugin,
    pooled: CompiledPlugin,
    instance: Plugin,
}

impl std::fmt::Debug for Extism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extism").finish_non_exhaustive()
    }
}

impl Extism {
    /// # Errors
    /// When Extism refuses the plugin.
    pub fn new() -> Result<Self, BenchError> {
        let builder = || {
            PluginBuilder::new(Manifest::new([Wasm::data(PLUGIN)]))
                .with_wasi(false)
                .with_cache_disabled()
        };
        let mut pooling = Config::new();
        pooling.allocation_strategy(InstanceAllocationStrategy::pooling());
        let compiled = builder().compile()?;
        Ok(Self {
            pooled: builder().with_wasmtime_config(pooling).compile()?,
            instance: Plugin::new_from_compiled(&compiled)?,
            compiled,
        })
    }

    /// # Errors
    /// When the plugin fails, or its answer cannot be read.
    pub fn reused(&mut self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        ask(&mut self.instance, facts)
    }

    /// # Errors
    /// When the plugin fails, or its answer cannot be read.
    pub fn fresh(&self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        ask(&mut Plugin::new_from_compiled(&self.compiled)?, facts)
    }

    /// As [`Extism::fresh`], with the pooling allocator.
    ///
    /// # Errors
    /// When the plugin fails, or its answer cannot be read.
    pub fn fresh_pooled(&self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        ask(&mut Plugin::new_from_compiled(&self.pooled)?, facts)
    }
}

fn ask(plugin: &mut Plugin, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
    let output: &[u8] = plugin.call("authorize", input(facts).as_slice())?;
    read(output).ok_or_else(|| format!("the plugin's answer cannot be read: {output:?}").into())
}

fn input(facts: &AuthorizeFacts) -> [u8; 24] {
    let here = &facts.standing;
    let mut bytes = [0; 24];
    bytes[..14].copy_from_slice(&[
        facts.action as u8,
        here.role as u8,
        u8::from(here.verified),
        here.tier as u8,
        here.trigger as u8,
        bits(here.relations),
        here.privacy as u8,
        u8::from(here.has_pic),
        here.nomination as u8,
        bits(facts.snapshot),
        bits(facts.approvals),
        bits(facts.sought),
        bits(facts.subject),
        u8::from(facts.subject_is_actor),
    ]);
    bytes[16..].copy_from_slice(&here.seed_age_ms.to_le_bytes());
    bytes
}

fn read(output: &[u8]) -> Option<Answer> {
    let (&[effect, obligation, rule, reason], words) = output.split_first_chunk::<4>()?;
    let (rule, rest) = words.split_at_checked(usize::from(rule))?;
    let reason = rest.get(..usize::from(reason))?;
    let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
    let obligations = match usize::from(obligation).checked_sub(1) {
        None => Vec::new(),
        Some(place) => vec![Obligation::ALL.get(place)?.as_str().to_owned()],
    };
    Some(Answer {
        allowed: effect == 0,
        rule: text(rule)?,
        reason: text(reason)?,
        obligations,
    })
}
