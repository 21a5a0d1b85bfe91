//! What the modules that decide can refuse, as their cases show it: reasons, and the rules behind them.

use std::collections::BTreeSet;
use std::path::Path;

use gotong_engine::{Engine, Family, Mode, build, pin};
use serde_json::Value;

use crate::expect::rulings_of;
use crate::folder::Policies;
use crate::{ToolError, cases, given};

/// A reason for which a module answers `deny`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The module's family.
    pub family: Family,
    /// The module's name.
    pub module: String,
    /// The reason.
    pub reason: String,
    /// The rule that denies.
    pub rule: String,
    /// The rule in words.
    pub rule_text: String,
}

/// Every refusal that the cases of the active modules show, asked of the modules themselves; by family and reason.
///
/// # Errors
/// When the policies or the cases cannot be read, or a module cannot be asked.
pub fn refusals(policies: &Path) -> Result<Vec<Refusal>, ToolError> {
    let policies = Policies {
        folder: policies.to_owned(),
    };
    let packages = build::packages(&policies.workspace()?)?;
    let engine = Engine::new()?;
    let lock = pin::read_lock(&policies.open()?)?;
    let mut found = BTreeSet::new();
    for pin in lock.pins().iter().filter(|pin| pin.mode == Mode::Active) {
        let Some(package) = packages.iter().find(|package| package.name == pin.name) else {
            continue;
        };
        let module = given::file_or_pin(&pin.name, &policies)?.load(&engine)?;
        for case in cases::read(package.family, &package.folder)? {
            let asked = module
                .ask(&case.function, &case.input)
                .map_err(|error| case.wrong(format!("input: {error}")))?;
            let Some(output) = &asked.record.output else {
                continue;
            };
            let ruling: Value = serde_json::from_str(output)?;
            rulings_of(&ruling, &mut |rule, ruling| {
                if ruling.get("effect").and_then(Value::as_str) != Some("deny") {
                    return;
                }
                let reason = ruling.get("reason").and_then(Value::as_str);
                found.insert(Refusal {
                    family: pin.family,
                    module: pin.name.clone(),
                    reason: reason.unwrap_or_default().to_owned(),
                    rule: rule.to_owned(),
                    rule_text: module.rule_text(rule).unwrap_or_default().to_owned(),
                });
            });
        }
    }
    Ok(found.into_iter().collect())
}
