//! Writes the seeds of the fuzz targets: `cargo run -p gotong-engine --example fuzz_seeds -- fuzz/corpus`.
//!
//! They are made of what the repository has: the modules in `fixtures/modules`, the lock, the golden decisions.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use gotong_engine::build::componentize_for;
use gotong_engine::bundle::{self, Header, ModuleEntry, Writer};
use gotong_engine::{Decision, Digest, Engine, Family, Filter, Metadata};

/// Seeds are small: what is larger than this is left out.
const MOST: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args().nth(1).ok_or("usage: fuzz_seeds FOLDER")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let metadata = Metadata {
        name: "gate".into(),
        version: "9.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    for file in files(&root.join("fixtures/modules"), "wat")? {
        let bytes = wat::parse_file(&file)?;
        // A core module is encoded for its world; one that cannot be is a seed as it is.
        let module = componentize_for(Family::Gate, &bytes, &metadata).unwrap_or(bytes);
        seed(&corpus.join("check"), &module)?;
    }
    let lock = fs::read(root.join("policies/policies.lock"))?;
    seed(&corpus.join("lock"), &lock)?;
    for file in files(&root.join("fixtures/decisions"), "ndjson")? {
        let text = fs::read_to_string(&file)?;
        for line in text.lines().step_by(16) {
            seed(&corpus.join("canonical_json"), line.as_bytes())?;
            seed(&corpus.join("decision"), line.as_bytes())?;
        }
        let rows = text
            .lines()
            .take(3)
            .map(serde_json::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        seed(&corpus.join("bundle"), &bundle_of(&rows)?)?;
    }
    Ok(())
}

/// A bundle without the bytes of its modules, which would be most of it.
fn bundle_of(rows: &[Decision]) -> Result<Vec<u8>, Box<dyn Error>> {
    let header = Header {
        bundle_version: bundle::VERSION,
        created_at_ms: 0,
        engine: Engine::new()?.fingerprint(),
        filter: Filter::default(),
        host: "gotong".into(),
    };
    let mut writer = Writer::new(Vec::new(), header)?;
    for row in rows {
        let module = ModuleEntry {
            abi: row.abi.clone(),
            digest: row.module_digest.parse()?,
            family: row.family.parse()?,
            mode: None,
            name: row.module_name.clone(),
            version: row.module_version.clone(),
        };
        writer.module(module, None)?;
        writer.decision(row)?;
    }
    Ok(writer.finish()?.0)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A seed is named by its content, so that writing the same again changes nothing.
fn seed(folder: &Path, bytes: &[u8]) -> Result<(), std::io::Error> {
    if bytes.len() > MOST {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(&Digest::of(bytes).hex()[..16]), bytes)
}
