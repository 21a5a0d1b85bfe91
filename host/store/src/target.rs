//! Where the store is, and how hard it holds on to what it acknowledged.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::StoreError;
use crate::people::Place;

/// Where a store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// In this process's memory; gone when it ends.
    Memory,
    /// In a directory of this machine, opened by one process at a time.
    Directory(PathBuf),
    /// In a SurrealDB server.
    Server(Server),
}

/// A SurrealDB server and the database user the host is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `ws://HOST:PORT` or `wss://HOST:PORT`.
    pub url: String,
    /// The namespace.
    pub namespace: String,
    /// The database in it.
    pub database: String,
    /// A user of that database.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

impl Server {
    pub(crate) fn place(&self) -> Place {
        Place {
            namespace: self.namespace.clone(),
            database: self.database.clone(),
        }
    }
}

/// A text that never shows itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A store address that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{address}` is not a store address; use memory, surrealkv://DIR or ws://USER:PASSWORD@HOST:PORT/NAMESPACE/DATABASE"
)]
pub struct TargetError {
    address: String,
}

impl Target {
    /// Whether the database runs inside this process.
    pub fn is_embedded(&self) -> bool {
        !matches!(self, Target::Server(_))
    }

    fn parse_server(address: &str) -> Option<Server> {
        let (scheme, rest) = address.split_once("://")?;
        let (login, place) = rest.rsplit_once('@')?;
        let (username, password) = login.split_once(':')?;
        let mut place = place.splitn(3, '/');
        let (host, namespace, database) = (place.next()?, place.next()?, place.next()?);
        let named = [username, host, namespace, database]
            .iter()
            .all(|part| !part.is_empty());
        (named && !database.contains('/')).then(|| Server {
            url: format!("{scheme}://{host}"),
            namespace: namespace.to_owned(),
            database: database.to_owned(),
            username: username.to_owned(),
            password: Secret::new(password),
        })
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(address: &str) -> Result<Self, TargetError> {
        let parsed = match address.split_once("://") {
            None if address == "memory" => Some(Target::Memory),
            Some(("surrealkv", path)) if !path.is_empty() => {
                Some(Target::Directory(PathBuf::from(path)))
            }
            Some(("ws" | "wss", _)) => Target::parse_server(address).map(Target::Server),
            _ => None,
        };
        parsed.ok_or_else(|| {
            // What stands before an `@` may be a password.
            let shown = address.rsplit_once('@').map_or(address, |(_, place)| place);
            TargetError {
                address: shown.to_owned(),
            }
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Memory => f.write_str("memory"),
            Target::Directory(path) => write!(f, "surrealkv://{}", path.display()),
            Target::Server(server) => {
                write!(f, "{}/{}/{}", server.url, server.namespace, server.database)
            }
        }
    }
}

/// The engine reads its choice from the environment, once, at the first transaction of the process.
const SYNC_DATA: &str = "SURREAL_SYNC_DATA";

/// What an acknowledged write in a [`Target::Directory`] survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: each commit waits for the disk.
    Synced,
    /// The end of the process, kill -9 included; power loss can take the newest commits.
    Fast,
}

impl Durability {
    /// Chooses for the whole process. Call it first in `main`, before the async runtime: the engine
    /// has no other switch than an environment variable. What an operator set there stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLate`] when the process already has other threads.
    pub fn apply(self) -> Result<(), StoreError> {
        if std::env::var_os(SYNC_DATA).is_some() {
            return Ok(());
        }
        if has_other_threads() {
            return Err(StoreError::TooLate);
        }
        let value = if self == Durability::Synced {
            "true"
        } else {
            "false"
        };
        // SAFETY: writing the environment is unsound only while another thread may read it; the check
        // above found none, and none can start during this call because this is the only thread.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(SYNC_DATA, value);
        }
        Ok(())
    }

    /// What the process does: the environment's word, as the engine reads it.
    pub fn current() -> Durability {
        let synced = std::env::var_os(SYNC_DATA).as_deref() == Some(OsStr::new("true"));
        if synced {
            Durability::Synced
        } else {
            Durability::Fast
        }
    }
}

/// Linux tells; elsewhere nothing is known, so nothing is risked.
fn has_other_threads() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() != 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood() {
        assert_eq!("memory".parse(), Ok(Target::Memory));
        assert_eq!(
            "surrealkv://data/x".parse(),
            Ok(Target::Directory("data/x".into()))
        );
        let Ok(Target::Server(server)) = "ws://host:p@ss@db:8000/gotong/main".parse() else {
            panic!("a server address")
        };
        assert_eq!(
            (server.url.as_str(), server.username.as_str()),
            ("ws://db:8000", "host")
        );
        assert_eq!(server.password.reveal(), "p@ss");
        assert_eq!(
            (server.namespace.as_str(), server.database.as_str()),
            ("gotong", "main")
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let target: Target = "ws://host:hunter2@db:8000/a/b".parse().expect("a target");
        assert!(!format!("{target:?} {target}").contains("hunter2"));
        let error = "ws://host:hunter2@db:8000"
            .parse::<Target>()
            .expect_err("no namespace");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn nonsense_is_refused() {
        for address in [
            "",
            "memory://",
            "surrealkv://",
            "postgres://a",
            "ws://a:b@c/d",
        ] {
            assert!(address.parse::<Target>().is_err(), "{address}");
        }
    }

    #[test]
    fn durability_cannot_be_chosen_once_threads_run() {
        assert!(matches!(
            Durability::Synced.apply(),
            Err(StoreError::TooLate)
        ));
    }
}
