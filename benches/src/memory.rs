//! What a loaded module costs in memory: the resident set of a process of its own while it loads 5, then 500 modules.

use std::process::Command;

use gotong_engine::{Engine, Module};
use serde::{Deserialize, Serialize};

use crate::{BenchError, tiers};

/// The option by which this program measures itself in a process of its own.
pub const OPTION: &str = "--resident";

const KIB_OF_A_PAGE: u64 = 4;

/// Where the curve begins: what the first modules cost is mostly the engine.
const FIRST: usize = 5;

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub points: Vec<Point>,
    /// From the first to the last point.
    pub kib_per_module: f64,
    /// The size of the module as a file.
    pub module_bytes: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Point {
    pub modules: usize,
    pub resident_kib: u64,
    pub load_ms: u64,
}

/// # Errors
/// When the process cannot be started, or its answer cannot be read.
pub fn run(modules: usize) -> Result<Report, BenchError> {
    let output = Command::new(std::env::current_exe()?)
        .arg(format!("{OPTION}={modules}"))
        .output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("measuring memory: {message}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// In the process of its own: loads that many modules and says what was resident on the way.
///
/// # Errors
/// When a module cannot be loaded, or the system does not say how much is resident.
pub fn load(modules: usize) -> Result<Report, BenchError> {
    let (_, bytes) = tiers::active_module()?;
    let engine = Engine::new()?;
    let started = std::time::Instant::now();
    let mut loaded = Vec::new();
    let mut points = Vec::new();
    for place in 0..modules {
        loaded.push(Module::from_bytes(&engine, &another(&bytes, place)?)?);
        let count = loaded.len();
        if count == FIRST || count == modules || count.is_multiple_of(modules.div_ceil(10)) {
            points.push(Point {
                modules: count,
                resident_kib: resident_kib()?,
                load_ms: u64::try_from(started.elapsed().as_millis())?,
            });
        }
    }
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err("no modules were loaded".into());
    };
    let kib_per_module = (last.resident_kib as f64 - first.resident_kib as f64)
        / (last.modules - first.modules).max(1) as f64;
    Ok(Report {
        points,
        kib_per_module,
        module_bytes: bytes.len(),
    })
}

/// The module under another version of the same length, so that no two of the loaded ones are the same.
fn another(module: &[u8], place: usize) -> Result<Vec<u8>, BenchError> {
    let key = br#""version":""#;
    let version = format!("{}.{}.{}", place / 100 % 10, place / 10 % 10, place % 10);
    let from = module
        .windows(key.len())
        .rposition(|window| window == key)
        .ok_or("the module's section names no version")?
        + key.len();
    let mut bytes = module.to_vec();
    let found = bytes
        .get_mut(from..from + version.len())
        .ok_or("the module's section names no version")?;
    found.copy_from_slice(version.as_bytes());
    if bytes.get(from + version.len()) == Some(&b'"') {
        Ok(bytes)
    } else {
        Err("the module's version is none of three digits".into())
    }
}

fn resident_kib() -> Result<u64, BenchError> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .ok_or("no resident set in /proc/self/statm")?
        .parse()?;
    Ok(pages * KIB_OF_A_PAGE)
}
