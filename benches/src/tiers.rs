//! What each part of an evaluation costs: the role matrix's `authorize` straight in wasmtime, under the engine's
//! configuration with one setting changed at a time. The engine has a switch for the allocation alone.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::role_matrix::{AuthorizeFacts, Ruling};
use gotong_engine::{Allocation, FUEL, Family, Lock, Mode, Pin, Question};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};

use crate::rounds::Contender;
use crate::{BenchError, may_vote};

/// How often one instance can be asked before its arena, which frees nothing, must be thrown away.
const CALLS_OF_AN_INSTANCE: u32 = 100;

type Authorize = TypedFunc<(&'static AuthorizeFacts,), (Ruling,)>;

/// The role matrix, prepared under one configuration.
struct Tier {
    engine: Engine,
    pre: InstancePre<()>,
    export: ComponentExportIndex,
    fuel: bool,
}

impl Tier {
    fn new(config: &Config, fuel: bool) -> Result<Self, BenchError> {
        let engine = Engine::new(config)?;
        let (pin, bytes) = active_module()?;
        let component = Component::from_binary(&engine, &bytes)?;
        let version = pin.abi.rsplit_once('@').map_or("", |(_, version)| version);
        let interface = format!("{}@{version}", Family::RoleMatrix.interface());
        let interface = component
            .get_export_index(None, &interface)
            .ok_or("the module exports no role matrix")?;
        let export = component
            .get_export_index(Some(&interface), AuthorizeFacts::FUNCTION)
            .ok_or("the module exports no `authorize`")?;
        let pre = Linker::new(&engine).instantiate_pre(&component)?;
        Ok(Self {
            engine,
            pre,
            export,
            fuel,
        })
    }

    fn instance(&self) -> wasmtime::Result<(Store<()>, Authorize)> {
        let mut store = Store::new(&self.engine, ());
        // No ticker here: the epoch never ends anything.
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate(&mut store)?;
        let authorize = instance.get_typed_func(&mut store, self.export)?;
        Ok((store, authorize))
    }

    fn ask(&self, store: &mut Store<()>, authorize: &Authorize) -> wasmtime::Result<Ruling> {
        if self.fuel {
            store.set_fuel(FUEL)?;
        }
        Ok(authorize.call(store, (may_vote_forever(),))?.0)
    }

    fn fresh(&self) -> bool {
        self.instance()
            .and_then(|(mut store, authorize)| self.ask(&mut store, &authorize))
            .is_ok_and(|ruling| std::hint::black_box(ruling).rule == "vote")
    }
}

/// A typed function borrows its parameters in its type, so they live as long as the program.
fn may_vote_forever() -> &'static AuthorizeFacts {
    static FACTS: std::sync::LazyLock<AuthorizeFacts> = std::sync::LazyLock::new(may_vote);
    &FACTS
}

/// The active role matrix.
pub(crate) fn active_module() -> Result<(Pin, Vec<u8>), BenchError> {
    let dir = Dir::open_ambient_dir(crate::root().join("policies"), ambient_authority())?;
    let lock = Lock::parse(&dir.read_to_string("policies.lock")?)?;
    let pin = lock
        .pins()
        .iter()
        .find(|pin| pin.family == Family::RoleMatrix && pin.mode == Mode::Active)
        .ok_or("no role matrix is active")?;
    Ok((pin.clone(), dir.read(&pin.file)?))
}

/// One contender for each set-up.
///
/// # Errors
/// When an engine cannot be set up.
pub fn contenders() -> Result<Vec<Contender<'static>>, BenchError> {
    let config = || gotong_engine::config(Allocation::Pooled);
    let fresh = |name: &str, config: &Config, fuel: bool| -> Result<_, BenchError> {
        let tier = Tier::new(config, fuel)?;
        Ok(Contender::new(name, move || tier.fresh()))
    };
    let reused = Tier::new(&config(), true)?;
    let mut instance = None;
    let mut calls = 0;
    let reused = move || {
        if calls % CALLS_OF_AN_INSTANCE == 0 {
            instance = reused.instance().ok();
        }
        calls += 1;
        instance.as_mut().is_some_and(|(store, authorize)| {
            reused
                .ask(store, authorize)
                .is_ok_and(|ruling| std::hint::black_box(ruling).rule == "vote")
        })
    };
    Ok(vec![
        fresh(
            "fresh instance from the pool, as the engine has it",
            &config(),
            true,
        )?,
        fresh("the same without fuel", config().consume_fuel(false), false)?,
        fresh(
            "the same without NaN canonicalization",
            config().cranelift_nan_canonicalization(false),
            true,
        )?,
        fresh(
            "the same without either",
            config()
                .consume_fuel(false)
                .cranelift_nan_canonicalization(false),
            false,
        )?,
        fresh(
            "fresh instance, on-demand allocation",
            &gotong_engine::config(Allocation::OnDemand),
            true,
        )?,
        Contender::new("reused instance (not isolated)", reused),
    ])
}
