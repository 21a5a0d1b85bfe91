//! Many small cubes as few large ones: the same inputs, in fewer words.

use std::collections::{BTreeMap, HashMap};

use crate::count::Count;
use crate::domain::{Cube, Domain, Kind, Range};

/// More cubes than this are only counted: it would take longer than reading them.
const MOST: usize = 20_000;
/// More cubes than this are united where they stand, and not cut anew.
const MOST_REBUILT: usize = 1_000;

/// Puts disjoint cubes together where they can be, the largest first, and counts their inputs.
pub(crate) fn tidy(domain: &Domain, cubes: Vec<Cube>) -> (Vec<Cube>, Count) {
    let inputs = cubes.iter().map(|cube| domain.count(cube)).sum();
    let mut tidied = if cubes.len() <= MOST {
        united(domain, cubes)
    } else {
        cubes
    };
    if tidied.len() <= MOST_REBUILT {
        let mut rebuilt = Vec::new();
        rebuild(domain, &domain.whole(), &tidied, &mut rebuilt);
        let rebuilt = united(domain, rebuilt);
        if rebuilt.len() < tidied.len() {
            tidied = rebuilt;
        }
    }
    let mut counted: Vec<(Count, Cube)> = tidied
        .drain(..)
        .map(|cube| (domain.count(&cube), cube))
        .collect();
    counted.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    (counted.into_iter().map(|(_, cube)| cube).collect(), inputs)
}

/// Cuts a region anew, first along what most of the cubes are cut along, until each piece is whole or empty.
fn rebuild(domain: &Domain, region: &Cube, cubes: &[Cube], into: &mut Vec<Cube>) {
    if cubes.is_empty() {
        return;
    }
    let covered: Count = cubes.iter().map(|cube| domain.count(cube)).sum();
    if covered == domain.count(region) {
        into.push(region.clone());
        return;
    }
    let Some((fact, parts)) = widest(domain, region, cubes) else {
        // Pieces of facts that are absent: they count as one.
        into.extend_from_slice(cubes);
        return;
    };
    for part in parts {
        let mut piece = region.clone();
        piece[fact] = part;
        let inside: Vec<Cube> = cubes
            .iter()
            .filter_map(|cube| domain.intersection(cube, &piece))
            .collect();
        rebuild(domain, &piece, &inside, into);
    }
}

/// The cut that most cubes share.
fn widest(domain: &Domain, region: &Cube, cubes: &[Cube]) -> Option<(usize, [Range; 2])> {
    let mut wanted: HashMap<(usize, [Range; 2]), usize> = HashMap::new();
    for cube in cubes {
        for (fact, (whole, range)) in region.iter().zip(cube).enumerate() {
            let within = domain.facts[fact].within;
            if within.is_some_and(|presence| region[presence] == Range::Words(0b11)) {
                continue;
            }
            for parts in cuts(&domain.facts[fact].kind, whole, range) {
                *wanted.entry((fact, parts)).or_default() += 1;
            }
        }
    }
    // The most wanted; among equals the same one in every run.
    wanted
        .into_iter()
        .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))
        .map(|(cut, _)| cut)
}

/// The cuts of a range that part of it asks for.
fn cuts(kind: &Kind, whole: &Range, part: &Range) -> Vec<[Range; 2]> {
    match (whole, part) {
        (Range::Words(whole), Range::Words(part)) if whole != part => {
            let (first, second) = (*part, whole & !part);
            vec![[
                Range::Words(first.min(second)),
                Range::Words(first.max(second)),
            ]]
        }
        (
            Range::Flags { clear, set },
            Range::Flags {
                clear: clear2,
                set: set2,
            },
        ) => {
            let told = (clear2 | set2) & !(clear | set) & kind.flag_mask();
            let bits = (0..64)
                .map(|bit| 1_u64 << bit)
                .filter(|bit| told & bit != 0);
            bits.map(|bit| {
                [
                    Range::Flags {
                        clear: clear | bit,
                        set: *set,
                    },
                    Range::Flags {
                        clear: *clear,
                        set: set | bit,
                    },
                ]
            })
            .collect()
        }
        (Range::Number(lo, hi), Range::Number(lo2, hi2)) => {
            let mut cuts = Vec::new();
            if lo < lo2 {
                cuts.push([Range::Number(*lo, lo2 - 1), Range::Number(*lo2, *hi)]);
            }
            if hi2 < hi {
                cuts.push([Range::Number(*lo, *hi2), Range::Number(hi2 + 1, *hi)]);
            }
            cuts
        }
        _ => Vec::new(),
    }
}

/// Unites cubes that differ in one fact only, until there are none.
fn united(domain: &Domain, mut cubes: Vec<Cube>) -> Vec<Cube> {
    loop {
        let before = cubes.len();
        for fact in 0..domain.facts.len() {
            cubes = merged(cubes, fact);
        }
        if cubes.len() == before {
            return cubes;
        }
    }
}

fn merged(cubes: Vec<Cube>, fact: usize) -> Vec<Cube> {
    let mut by_rest: BTreeMap<Cube, Vec<Range>> = BTreeMap::new();
    for mut cube in cubes {
        let range = std::mem::replace(&mut cube[fact], Range::Words(0));
        by_rest.entry(cube).or_default().push(range);
    }
    let mut united = Vec::new();
    for (rest, mut ranges) in by_rest {
        while let Some((index, other, range)) = pair(&ranges) {
            ranges[index] = range;
            ranges.swap_remove(other);
        }
        for range in ranges {
            let mut cube = rest.clone();
            cube[fact] = range;
            united.push(cube);
        }
    }
    united
}

fn pair(ranges: &[Range]) -> Option<(usize, usize, Range)> {
    for (index, a) in ranges.iter().enumerate() {
        for (other, b) in ranges.iter().enumerate().skip(index + 1) {
            if let Some(union) = a.union(b) {
                return Some((index, other, union));
            }
        }
    }
    None
}
