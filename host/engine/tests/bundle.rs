//! Bundles: what is written is read again, and nothing that was changed, cut or forged is.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use gotong_engine::bundle::{
    self, BundleError, Header, MAX_LINE, ModuleEntry, Modules, Problem, WriteError, Writer,
};
use gotong_engine::whatif::{Candidate, compare};
use gotong_engine::{
    Decision, Digest, Engine, Family, Filter, Mode, Run, Summary, check, printable, replay_all,
};
use modules::workspace;
use proptest::prelude::*;

/// The golden decisions of two families, in the order of their ids.
fn golden() -> Vec<Decision> {
    golden_of(&[Family::Gate, Family::RoleMatrix])
}

fn golden_of(families: &[Family]) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = families
        .iter()
        .flat_map(|family| {
            let file = workspace().join(format!("fixtures/decisions/{family}.ndjson"));
            let text = std::fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    decisions.sort_by(|a, b| a.decision_id.cmp(&b.decision_id));
    decisions
}

fn header() -> Header {
    Header {
        bundle_version: bundle::VERSION,
        created_at_ms: 1_800_000_000_000,
        engine: Engine::new().unwrap().fingerprint(),
        filter: Filter::default(),
        host: "gotong 0.1.0".into(),
    }
}

fn entry(name: &str, version: &str) -> (ModuleEntry, Vec<u8>) {
    let file = format!("policies/pinned/{name}@{version}.wasm");
    let bytes = std::fs::read(workspace().join(file)).unwrap();
    let checked = check(&bytes).unwrap();
    let entry = ModuleEntry {
        abi: checked.abi.clone(),
        digest: checked.digest,
        family: checked.metadata.family,
        mode: Some(Mode::Active),
        name: name.into(),
        version: version.into(),
    };
    (entry, bytes)
}

fn write(decisions: &[Decision]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header()).unwrap();
    for decision in decisions {
        let (entry, bytes) = entry(&decision.module_name, &decision.module_version);
        writer.module(entry, Some(&bytes)).unwrap();
        writer.decision(decision).unwrap();
    }
    writer.finish().unwrap().0
}

fn golden_bundle() -> &'static [u8] {
    static BUNDLE: LazyLock<Vec<u8>> = LazyLock::new(|| write(&golden()));
    &BUNDLE
}

/// A bundle of these lines with a trailer that fits: what a forger would write.
fn sealed(lines: &[Vec<u8>], decisions: u64, modules: u64) -> Vec<u8> {
    let mut text: Vec<u8> = lines
        .iter()
        .flat_map(|line| [&line[..], b"\n"].concat())
        .collect();
    let digest = Digest::of(&text);
    text.extend(
        format!(
            "{{\"trailer\":{{\"decisions\":{decisions},\"digest\":\"{digest}\",\"modules\":{modules}}}}}\n"
        )
        .into_bytes(),
    );
    text
}

fn lines(bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bundle
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.truncate(lines.len() - 2);
    lines
}

fn refused(bundle: &[u8]) -> BundleError {
    bundle::verify(bundle).unwrap_err()
}

fn says(error: &BundleError) -> String {
    let text = format!("{error}: {}", error.problem);
    assert_eq!(text, printable(&text));
    text
}

fn replayed(bundle: &[u8], filter: &Filter, threads: usize) -> Summary {
    let contents = bundle::verify(bundle).unwrap();
    let modules = Modules::load(&Engine::new().unwrap(), &contents).unwrap();
    let run = Run {
        threads: NonZeroUsize::new(threads).unwrap(),
        done: &|_| {},
    };
    bundle::replay(bundle, &contents, &modules, filter, &run).unwrap()
}

#[test]
fn a_bundle_replays_without_anything_else_and_as_its_source_does() {
    let decisions = golden();
    let summary = replayed(golden_bundle(), &Filter::default(), 1);
    assert_eq!(summary.tally.matching, decisions.len() as u64);
    assert_eq!(summary.tally.total(), summary.tally.matching);
    assert_eq!(summary, replayed(golden_bundle(), &Filter::default(), 4));
    let engine = Engine::new().unwrap();
    let dir = modules::open(&workspace().join("policies"));
    let policies = gotong_engine::Policies::load(&engine, &dir, None).unwrap();
    let source = decisions.into_iter().map(Ok::<_, ()>);
    let run = Run::on_every_core();
    let direct = replay_all(
        &policies,
        engine.fingerprint(),
        &run,
        source,
        |_| 1,
        |row| Ok(Some(row)),
    );
    assert_eq!(direct.unwrap(), summary);
}

#[test]
fn every_family_replays_from_a_bundle_and_its_own_module_changes_nothing() {
    let decisions = golden_of(Family::ALL);
    let bundle = write(&decisions);
    let summary = replayed(&bundle, &Filter::default(), 2);
    assert_eq!(summary.tally.matching, decisions.len() as u64);
    assert_eq!(summary.tally.total(), summary.tally.matching);
    let contents = bundle::verify(&bundle[..]).unwrap();
    let engine = Engine::new().unwrap();
    let modules = Modules::load(&engine, &contents).unwrap();
    for (entry, bytes) in &contents.modules {
        let candidate = Candidate::new(&engine, &entry.name, bytes.as_ref().unwrap()).unwrap();
        let run = Run::on_every_core();
        // Another version rules otherwise: that is what it is for.
        let digest = entry.digest.to_string();
        let own = decisions.iter().filter(|row| row.module_digest == digest);
        let rows = own.cloned().map(Ok::<_, ()>);
        let report = compare(&candidate, &modules, &run, rows, |_| 1, |row| Ok(Some(row)));
        let report = report.unwrap();
        assert!(report.holds() && report.decisions > 0, "{}", entry.name);
    }
}

#[test]
fn a_filter_leaves_out_what_it_does_not_ask_for() {
    let gate = golden().iter().filter(|row| row.family == "gate").count() as u64;
    let filter = Filter {
        family: Some(Family::Gate),
        ..Filter::default()
    };
    let summary = replayed(golden_bundle(), &filter, 2);
    assert_eq!(summary.tally.total(), gate);
    assert!(
        summary
            .modules
            .keys()
            .all(|module| module.starts_with("gate@"))
    );
}

#[test]
fn a_forged_decision_diverges_whatever_the_number_of_threads() {
    let mut decisions = golden();
    let forge = |row: &mut Decision| {
        let output = row.output.take().unwrap().replace("allow", "deny");
        row.output_digest = Some(Digest::of(&output).to_string());
        row.output = Some(output);
    };
    let allowed = |row: &&mut Decision| row.output.as_ref().unwrap().contains("allow");
    decisions.iter_mut().filter(allowed).take(3).for_each(forge);
    decisions[20].mode = "spectator".into();
    let forged = write(&decisions);
    let summary = replayed(&forged, &Filter::default(), 1);
    assert_eq!(summary.tally.diverged, 4);
    assert_eq!(summary.listed.len(), 4);
    assert!(
        summary
            .listed
            .is_sorted_by_key(|listed| &listed.decision_id)
    );
    assert_eq!(summary, replayed(&forged, &Filter::default(), 3));
}

#[test]
fn a_module_that_the_host_has_no_more_is_said_to_be_missing() {
    let decisions = golden();
    let mut writer = Writer::new(Vec::new(), header()).unwrap();
    for decision in &decisions {
        let (mut entry, bytes) = entry(&decision.module_name, &decision.module_version);
        let gone = decision.family == "gate";
        entry.mode = (!gone).then_some(Mode::Active);
        writer.module(entry, (!gone).then_some(&bytes[..])).unwrap();
        writer.decision(decision).unwrap();
    }
    let bundle = writer.finish().unwrap().0;
    let summary = replayed(&bundle, &Filter::default(), 2);
    let gone = decisions.iter().filter(|row| row.family == "gate").count() as u64;
    assert_eq!(
        (summary.tally.not_replayable, summary.tally.diverged),
        (gone, 0)
    );
    assert_eq!(summary.reasons.values().sum::<u64>(), gone);
    assert!(
        summary
            .reasons
            .keys()
            .all(|why| why.contains("no module gate@"))
    );
}

#[test]
fn what_a_forger_seals_is_refused_by_its_lines() {
    let good = lines(golden_bundle());
    let (decisions, modules) = (golden().len() as u64, 2);
    assert_eq!(sealed(&good, decisions, modules), golden_bundle());
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = good.clone();
        change(&mut lines);
        says(&refused(&sealed(&lines, decisions, modules)))
    };
    let is_module = |line: &Vec<u8>| line.starts_with(b"{\"module\"");
    let second = good.iter().skip(2).position(is_module).unwrap() + 2;
    let one_less = format!(
        "the trailer counts {decisions} decisions, the bundle holds {}",
        decisions - 1
    );
    type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Change<'_>); 16] = [
        ("line 1: a bundle begins with its header", &|lines| {
            drop(lines.remove(0))
        }),
        ("stands before its module", &|lines| drop(lines.remove(1))),
        ("line 2: decision", &|lines| lines.swap(1, 2)),
        ("does not come after", &|lines| {
            lines.insert(3, lines[2].clone())
        }),
        ("does not come after", &|lines| {
            let last = lines.len() - 1;
            lines.swap(last, last - 1);
        }),
        (&one_less, &|lines| drop(lines.pop())),
        ("stands there twice", &|lines| {
            lines.insert(second, lines[second].clone())
        }),
        ("a second header", &|lines| {
            lines.insert(2, lines[0].clone())
        }),
        ("no line of a bundle", &|lines| {
            lines.insert(2, b"{\"path\":\"/etc/passwd\"}".to_vec())
        }),
        ("no line of a bundle", &|lines| lines.insert(2, Vec::new())),
        ("no line of a bundle", &|lines| {
            lines.insert(2, vec![b'['; 100_000])
        }),
        ("no line of a bundle", &|lines| {
            lines.insert(2, b"{\"decision\":{}}".to_vec())
        }),
        (r"unknown field `a\nb\u{1b}[2J`", &|lines| {
            lines.insert(2, br#"{"module":{"a\nb\u001b[2J":null}}"#.to_vec())
        }),
        (r"decision `a\nb` stands before its module c\r", &|lines| {
            lines.insert(
                1,
                br#"{"decision":{"decision_id":"a\nb","module_digest":"c\r"}}"#.to_vec(),
            )
        }),
        ("not in canonical form", &|lines| lines[1].insert(1, b' ')),
        ("bundle version 2 is unknown", &|lines| {
            let header = String::from_utf8(lines[0].clone()).unwrap();
            lines[0] = header.replace("version\":1", "version\":2").into_bytes();
        }),
    ];
    for (expected, change) in cases {
        let says = with(change);
        assert!(says.contains(expected), "{expected}: {says}");
    }
    let counts = says(&refused(&sealed(&good, decisions, 3)));
    assert!(
        counts.contains("counts 3 modules, the bundle holds 2"),
        "{counts}"
    );
    let mut longer = golden_bundle().to_vec();
    longer.push(b'\n');
    let behind = says(&refused(&longer));
    assert!(
        behind.contains(&format!("line {}: ", good.len() + 2)),
        "{behind}"
    );
}

#[test]
fn a_forged_module_is_refused() {
    let good = lines(golden_bundle());
    let module: serde_json::Value = serde_json::from_slice(&good[1]).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut module = module.clone();
        change(&mut module["module"]);
        let line = serde_json_canonicalizer::to_vec(&module).unwrap();
        let lines = [good[0].clone(), line];
        says(&refused(&sealed(&lines, 0, 1)))
    };
    let wasm = module["module"]["wasm"].as_str().unwrap().to_owned();
    let digest_of = |text: &str| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap();
        Digest::of(bytes).to_string()
    };
    let one_changed = wasm.replacen("AA", "AB", 1);
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let cases: [(&str, Change<'_>); 7] = [
        ("line 2: module `", &|module| {
            module["wasm"] = one_changed.clone().into()
        }),
        ("not base64", &|module| {
            module["wasm"] = "../../etc/passwd.".into()
        }),
        ("fails the load-time check", &|module| {
            module["digest"] = digest_of("AAAA").into();
            module["wasm"] = "AAAA".into();
        }),
        ("its section says version", &|module| {
            module["version"] = "7.0.0".into()
        }),
        ("its section says abi", &|module| {
            module["abi"] = "gotong:policy@9.0.0".into()
        }),
        ("is longer than", &|module| {
            module["wasm"] = "A".repeat(1_500_000).into()
        }),
        ("no line of a bundle", &|module| {
            module["file"] = "/etc/passwd".into()
        }),
    ];
    for (expected, change) in cases {
        let says = with(change);
        assert!(says.contains(expected), "{expected}: {says}");
    }
}

#[test]
fn lines_modules_and_their_number_are_bounded() {
    let header = lines(golden_bundle()).remove(0);
    let mut endless = [&header[..], b"\n{\"decision\":"].concat();
    endless.resize(endless.len() + MAX_LINE + 10, b' ');
    let error = refused(&endless);
    assert!(
        matches!(error.problem, Problem::Oversized) && error.line == 2,
        "{error:?}"
    );
    let many = |number: usize| {
        let line = |index: usize| {
            let digest = Digest::of(index.to_string());
            format!("{{\"module\":{{\"abi\":\"a\",\"digest\":\"{digest}\",\"family\":\"gate\",\"mode\":null,\"name\":\"gate\",\"version\":\"1.0.0\",\"wasm\":null}}}}").into_bytes()
        };
        let lines: Vec<_> = [header.clone()]
            .into_iter()
            .chain((0..number).map(line))
            .collect();
        bundle::verify(&sealed(&lines, 0, number as u64)[..])
    };
    assert!(many(bundle::MAX_MODULES).is_ok());
    let error = many(bundle::MAX_MODULES + 1).unwrap_err();
    assert!(
        matches!(error.problem, Problem::TooManyModules),
        "{error:?}"
    );
}

#[test]
fn a_writer_keeps_the_order_that_a_reader_asks_for() {
    let decisions = golden();
    let (gate, bytes) = entry("gate", "1.0.1");
    let by_gate: Vec<&Decision> = decisions
        .iter()
        .filter(|row| row.module_digest == gate.digest.to_string())
        .collect();
    let mut writer = Writer::new(Vec::new(), header()).unwrap();
    let early = writer.decision(by_gate[0]);
    assert!(
        matches!(early, Err(WriteError::BeforeItsModule(_))),
        "{early:?}"
    );
    writer.module(gate, Some(&bytes)).unwrap();
    writer.decision(by_gate[1]).unwrap();
    for wrong in [by_gate[0], by_gate[1]] {
        assert!(matches!(
            writer.decision(wrong),
            Err(WriteError::Order { .. })
        ));
    }
    let (bundle, trailer) = writer.finish().unwrap();
    let read = bundle::verify(&bundle[..]).unwrap();
    assert_eq!((read.trailer, read.header), (trailer, header()));
    assert_eq!((trailer.decisions, trailer.modules), (1, 1));
}

#[test]
fn an_exchanged_file_is_noticed_between_the_two_readings() {
    let contents = bundle::verify(golden_bundle()).unwrap();
    let modules = Modules::load(&Engine::new().unwrap(), &contents).unwrap();
    let other = write(&golden()[..10]);
    let run = Run::on_every_core();
    let read = bundle::replay(&other[..], &contents, &modules, &Filter::default(), &run);
    assert!(matches!(read.unwrap_err().problem, Problem::Exchanged));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_changed_byte_is_noticed(at: prop::sample::Index, by in 1_u8..=255) {
        let mut bundle = golden_bundle().to_vec();
        let at = at.index(bundle.len());
        bundle[at] ^= by;
        let error = refused(&bundle);
        // Not before the line that was changed: nothing else is called wrong.
        let line = golden_bundle()[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        prop_assert!(error.line >= line, "{}", says(&error));
    }

    #[test]
    fn any_cut_is_noticed(at: prop::sample::Index) {
        let cut = &golden_bundle()[..at.index(golden_bundle().len())];
        let error = refused(cut);
        prop_assert!(matches!(error.problem, Problem::Truncated), "{}", says(&error));
    }

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>) {
        refused(&bytes);
    }
}
