//! A module as a command line gives it.

use std::path::{Path, PathBuf};

use gotong_engine::{CheckError, Checked, check};

/// A module that was read and passed the check.
pub(crate) struct Given {
    pub(crate) bytes: Vec<u8>,
    pub(crate) checked: Checked,
}

/// No such module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GivenError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` fails the load-time check", file.display())]
    Check { file: PathBuf, source: CheckError },
}

/// The module in a file.
pub(crate) fn file(path: &Path) -> Result<Given, GivenError> {
    let bytes = std::fs::read(path).map_err(|source| GivenError::Read {
        path: path.to_owned(),
        source,
    })?;
    let checked = check(&bytes).map_err(|source| GivenError::Check {
        file: path.to_owned(),
        source,
    })?;
    Ok(Given { bytes, checked })
}

/// What is said of a module in one line.
pub(crate) fn line(checked: &Checked) -> String {
    let says = &checked.metadata;
    format!(
        "{} {} {} ({} bytes)",
        says.name, says.version, checked.digest, checked.size
    )
}
