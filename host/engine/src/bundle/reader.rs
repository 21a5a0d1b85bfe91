//! Reading a bundle, line by line.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::short;
use super::{
    BundleError, DECISION, Header, Line, MAX_LINE, MAX_MODULE_BYTES, MAX_MODULES, ModuleEntry,
    ModuleLine, Modules, Problem, Trailer, VERSION,
};
use crate::check::{self, MAX_SIZE};
use crate::decision::{Decision, Filter};
use crate::digest::Digest;
use crate::replay::{Run, Summary, replay_all};

/// The longest id of a decision, in bytes. A UUID has 36.
const MAX_ID: usize = 128;

/// A line behind the header.
#[derive(Debug)]
pub enum Entry {
    /// A module. `None` when the host that wrote the bundle had it no more.
    Module(ModuleEntry, Option<Vec<u8>>),
    /// A decision, not parsed yet.
    Decision(RawDecision),
}

/// A decision as its line holds it: parsed by whoever replays it, on a thread of their own.
#[derive(Debug)]
pub struct RawDecision {
    line: u64,
    /// All of the line, without its end.
    json: Vec<u8>,
}

/// The two fields that the order of lines goes by.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    decision_id: Cow<'a, str>,
    #[serde(borrow)]
    module_digest: Cow<'a, str>,
}

impl RawDecision {
    /// The row.
    ///
    /// # Errors
    /// When the line holds no decision, or one that is not written as this format writes it.
    pub fn parse(&self) -> Result<Decision, BundleError> {
        let wrong = |problem| BundleError {
            line: self.line,
            problem,
        };
        let row = row(&self.json);
        let decision: Decision =
            serde_json::from_slice(row).map_err(|error| wrong(Problem::unreadable(&error)))?;
        // One decision, one text: no other field, no other spelling that something could be hidden in.
        match decision.is_canonical(row) {
            true => Ok(decision),
            false => Err(wrong(Problem::NotCanonical)),
        }
    }

    /// How long it is, in bytes.
    pub fn size(&self) -> usize {
        self.json.len()
    }
}

/// What stands between `{"decision":` and `}`.
fn row(line: &[u8]) -> &[u8] {
    line.strip_prefix(DECISION.0)
        .and_then(|rest| rest.strip_suffix(DECISION.1))
        .unwrap_or_default()
}

/// The lines of a file, bounded, counted and hashed.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// The one that was read last, from 1.
    number: u64,
    hasher: Sha256,
}

impl<R: BufRead> Lines<R> {
    fn wrong(&self, problem: Problem) -> BundleError {
        BundleError {
            line: self.number,
            problem,
        }
    }

    /// The next line without its end. A line always has one: a file that stops without was cut.
    fn read(&mut self) -> Result<Vec<u8>, BundleError> {
        self.number += 1;
        let mut line = Vec::new();
        // With room for the line's end, so that a longer one is noticed and not read.
        let mut limited = (&mut self.input).take(MAX_LINE as u64 + 1);
        let read = limited.read_until(b'\n', &mut line);
        read.map_err(|error| self.wrong(Problem::Read(error)))?;
        match line.pop() {
            Some(b'\n') => Ok(line),
            Some(_) if line.len() >= MAX_LINE => Err(self.wrong(Problem::Oversized)),
            _ => Err(self.wrong(Problem::Truncated)),
        }
    }

    fn hash(&mut self, line: &[u8]) {
        self.hasher.update(line);
        self.hasher.update(b"\n");
    }
}

/// Reads a bundle from its beginning to its end, and checks what it reads against what came before and, at the
/// end, against the trailer. What has been read is not proven whole before [`Reader::next_entry`] has given `None`.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    header: Header,
    modules: HashSet<Digest>,
    module_bytes: usize,
    decisions: u64,
    newest: Option<String>,
    trailer: Option<Trailer>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or one of another version.
    pub fn new(input: R) -> Result<Self, BundleError> {
        let mut lines = Lines {
            input,
            number: 0,
            hasher: Sha256::new(),
        };
        let line = lines.read()?;
        let header = parse_header(&line).map_err(|problem| lines.wrong(problem))?;
        lines.hash(&line);
        Ok(Self {
            lines,
            header,
            modules: HashSet::new(),
            module_bytes: 0,
            decisions: 0,
            newest: None,
            trailer: None,
        })
    }

    /// Where the bundle comes from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The last line, once it has been read and everything before it is as it says.
    pub fn trailer(&self) -> Option<Trailer> {
        self.trailer
    }

    /// The next line; `None` behind the trailer, when everything is as it says.
    ///
    /// # Errors
    /// When a line is not what may stand there.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, BundleError> {
        if self.trailer.is_some() {
            return Ok(None);
        }
        let line = self.lines.read()?;
        if line.starts_with(DECISION.0) {
            self.place(&line)?;
            self.lines.hash(&line);
            self.decisions += 1;
            let raw = RawDecision {
                line: self.lines.number,
                json: line,
            };
            return Ok(Some(Entry::Decision(raw)));
        }
        match parse(&line).map_err(|problem| self.wrong(problem))? {
            Line::Header(_) => Err(self.wrong(Problem::SecondHeader)),
            Line::Module(module) => {
                self.lines.hash(&line);
                self.module(module).map(Some)
            }
            Line::Trailer(trailer) => {
                self.end(trailer)?;
                self.trailer = Some(trailer);
                Ok(None)
            }
        }
    }

    fn wrong(&self, problem: Problem) -> BundleError {
        self.lines.wrong(problem)
    }

    /// A decision behind the one before it, and behind its module.
    fn place(&mut self, line: &[u8]) -> Result<(), BundleError> {
        let place: Place<'_> = serde_json::from_slice(row(line))
            .map_err(|error| self.wrong(Problem::unreadable(&error)))?;
        if place.decision_id.len().max(place.module_digest.len()) > MAX_ID {
            let why = format!("an id or a digest of more than {MAX_ID} bytes");
            return Err(self.wrong(Problem::Unreadable(why)));
        }
        let known = place
            .module_digest
            .parse()
            .is_ok_and(|digest| self.modules.contains(&digest));
        if !known {
            return Err(self.wrong(Problem::BeforeItsModule {
                decision_id: place.decision_id.into_owned(),
                module: place.module_digest.into_owned(),
            }));
        }
        if let Some(before) = &self.newest
            && before.as_str() >= place.decision_id.as_ref()
        {
            return Err(self.wrong(Problem::Order {
                decision_id: place.decision_id.into_owned(),
                before: before.clone(),
            }));
        }
        // One allocation for all of them.
        let newest = self.newest.get_or_insert_default();
        newest.clear();
        newest.push_str(&place.decision_id);
        Ok(())
    }

    fn module(&mut self, line: ModuleLine) -> Result<Entry, BundleError> {
        let entry = ModuleEntry {
            abi: line.abi,
            digest: line.digest,
            family: line.family,
            mode: line.mode,
            name: line.name,
            version: line.version,
        };
        let bytes = line
            .wasm
            .map(|wasm| decode(&entry, &wasm))
            .transpose()
            .map_err(|problem| self.wrong(problem))?;
        self.module_bytes += bytes.as_ref().map_or(0, Vec::len);
        if self.modules.len() == MAX_MODULES || self.module_bytes > MAX_MODULE_BYTES {
            return Err(self.wrong(Problem::TooManyModules));
        }
        if !self.modules.insert(entry.digest) {
            return Err(self.wrong(Problem::SecondModule(entry.digest)));
        }
        Ok(Entry::Module(entry, bytes))
    }

    /// Everything against the trailer, and nothing behind it.
    fn end(&mut self, trailer: Trailer) -> Result<(), BundleError> {
        let found = Digest::from_hasher(self.lines.hasher.clone());
        if found != trailer.digest {
            return Err(self.wrong(Problem::Digest {
                says: trailer.digest,
                found,
            }));
        }
        let counts = [
            ("decisions", trailer.decisions, self.decisions),
            ("modules", trailer.modules, self.modules.len() as u64),
        ];
        if let Some((what, says, found)) = counts.into_iter().find(|(_, says, found)| says != found)
        {
            return Err(self.wrong(Problem::Count { what, says, found }));
        }
        let rest = self.lines.input.fill_buf();
        match rest.map(<[u8]>::is_empty) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.lines.number += 1;
                Err(self.wrong(Problem::BehindTrailer))
            }
            Err(error) => Err(self.wrong(Problem::Read(error))),
        }
    }
}

/// A line that is no decision's.
fn parse(line: &[u8]) -> Result<Line, Problem> {
    let parsed: Line = serde_json::from_slice(line).map_err(|error| Problem::unreadable(&error))?;
    // One bundle, one text: nothing can be hidden in another spelling.
    match serde_json_canonicalizer::to_vec(&parsed) {
        Ok(canonical) if canonical == line => Ok(parsed),
        _ => Err(Problem::NotCanonical),
    }
}

fn parse_header(line: &[u8]) -> Result<Header, Problem> {
    /// A later version may have other fields; it is refused by its number.
    #[derive(Deserialize)]
    struct Version {
        bundle_version: u32,
    }
    #[derive(Deserialize)]
    struct First {
        header: Version,
    }
    let first: First =
        serde_json::from_slice(line).map_err(|error| Problem::NoHeader(short(&error)))?;
    if first.header.bundle_version != VERSION {
        return Err(Problem::Version(first.header.bundle_version));
    }
    match parse(line)? {
        Line::Header(header) => Ok(header),
        _ => Err(Problem::NoHeader("it is another line".to_owned())),
    }
}

/// The bytes of a module that are what its line says.
fn decode(entry: &ModuleEntry, wasm: &str) -> Result<Vec<u8>, Problem> {
    let module = || format!("{}@{}", entry.name, entry.version);
    if wasm.len() > MAX_SIZE.div_ceil(3) * 4 {
        return Err(Problem::Oversized);
    }
    let bytes = STANDARD
        .decode(wasm)
        .map_err(|_| Problem::Base64(module()))?;
    let found = Digest::of(&bytes);
    if found != entry.digest {
        return Err(Problem::ModuleDigest {
            module: module(),
            expected: entry.digest,
            found,
        });
    }
    let checked = check::check(&bytes).map_err(|source| Problem::Module {
        module: module(),
        source,
    })?;
    let says = &checked.metadata;
    [
        ("name", says.name.as_str(), entry.name.as_str()),
        ("version", &says.version, &entry.version),
        ("family", says.family.as_str(), entry.family.as_str()),
        ("abi", &checked.abi, &entry.abi),
    ]
    .into_iter()
    .find(|(_, found, expected)| found != expected)
    .map_or(Ok(bytes), |(field, found, _)| {
        Err(Problem::Section {
            module: module(),
            field,
            found: found.to_owned(),
        })
    })
}

/// A bundle that is whole: what it holds, without its decisions.
#[derive(Debug)]
pub struct Contents {
    /// Where it comes from.
    pub header: Header,
    /// Its modules and their bytes, in their order.
    pub modules: Vec<(ModuleEntry, Option<Vec<u8>>)>,
    /// Its end.
    pub trailer: Trailer,
}

/// Reads a bundle to its end: whether it is whole, its modules are what they say, and its lines in order. The
/// decisions are not evaluated, and of each only its place is looked at.
///
/// # Errors
/// The first thing that is wrong, and in which line.
pub fn verify(input: impl BufRead) -> Result<Contents, BundleError> {
    let mut reader = Reader::new(input)?;
    let mut modules = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        if let Entry::Module(entry, bytes) = entry {
            modules.push((entry, bytes));
        }
    }
    let Some(trailer) = reader.trailer() else {
        return Err(reader.wrong(Problem::Truncated));
    };
    Ok(Contents {
        header: reader.header,
        modules,
        trailer,
    })
}

/// The decisions of a bundle that was verified, read once more.
#[derive(Debug)]
pub struct Decisions<R> {
    reader: Reader<R>,
    verified: Trailer,
    ended: bool,
}

impl<R: BufRead> Decisions<R> {
    /// Begins at the beginning of the same file.
    ///
    /// # Errors
    /// When it has no header any more.
    pub fn new(input: R, verified: &Contents) -> Result<Self, BundleError> {
        Ok(Self {
            reader: Reader::new(input)?,
            verified: verified.trailer,
            ended: false,
        })
    }

    fn advance(&mut self) -> Result<Option<RawDecision>, BundleError> {
        loop {
            match self.reader.next_entry()? {
                Some(Entry::Decision(decision)) => return Ok(Some(decision)),
                Some(Entry::Module(..)) => {}
                None if self.reader.trailer() == Some(self.verified) => return Ok(None),
                None => return Err(self.reader.wrong(Problem::Exchanged)),
            }
        }
    }
}

impl<R: BufRead> Iterator for Decisions<R> {
    type Item = Result<RawDecision, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Replays the decisions of a bundle that was verified, those that `filter` asks for.
///
/// # Errors
/// When the file is not what it was, or a line holds no decision.
pub fn replay(
    input: impl BufRead,
    verified: &Contents,
    modules: &Modules,
    filter: &Filter,
    run: &Run<'_>,
) -> Result<Summary, BundleError> {
    let read = |raw: RawDecision| {
        let decision = raw.parse()?;
        Ok(filter.matches(&decision).then_some(decision))
    };
    let decisions = Decisions::new(input, verified)?;
    replay_all(
        modules,
        modules.fingerprint(),
        run,
        decisions,
        RawDecision::size,
        read,
    )
}
