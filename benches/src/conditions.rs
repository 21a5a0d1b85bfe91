//! What a run was made under: without it a figure says nothing.

use std::num::NonZero;

use serde::Serialize;

/// A load beyond this means that something else runs too.
const QUIET: f64 = 1.0;

#[derive(Clone, Debug, Serialize)]
pub struct Conditions {
    pub cores: usize,
    pub processor: Option<String>,
    /// Of the minute before the run.
    pub load_average: Option<f64>,
    pub quick: bool,
    pub peers: bool,
}

impl Conditions {
    /// Read now: before anything is measured.
    pub fn now(quick: bool) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            processor: processor(),
            load_average: load_average(),
            quick,
            peers: cfg!(feature = "peers"),
        }
    }

    /// What must be said when the machine was not quiet.
    pub fn warning(&self) -> Option<String> {
        match self.load_average {
            Some(load) if load > QUIET => Some(format!(
                "the load average is {load:.2}: something else runs, and absolute times are too long; compare ratios"
            )),
            Some(_) => None,
            None => {
                Some("the load average cannot be read: the machine may not be quiet".to_owned())
            }
        }
    }
}

fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
