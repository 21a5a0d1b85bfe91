//! The `when` of a property: which inputs it is about.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::{Cube, Domain, Kind, Range};
use crate::property::{Wrong, wrong};

type Given<'a> = Spanned<DeValue<'a>>;

/// The disjoint cubes that a table of conditions describes.
pub(crate) fn read(when: &Given<'_>, domain: &Domain) -> Result<Vec<Cube>, Wrong> {
    let DeValue::Table(table) = when.get_ref() else {
        return wrong(when.span(), "`when` must be a table of facts");
    };
    let mut cubes = vec![domain.whole()];
    for (key, value) in table {
        let (fact, presence) = find(domain, key)?;
        let alternatives = match (presence, value.get_ref()) {
            (Some(presence), DeValue::String(word)) if word == "none" => {
                vec![(presence, vec![Range::Words(0b01)])]
            }
            (Some(presence), DeValue::String(word)) if word == "some" => {
                vec![(presence, vec![Range::Words(0b10)])]
            }
            (presence, _) => {
                let mut both = vec![(
                    fact,
                    ranges(&domain.facts[fact].kind, key.get_ref(), value)?,
                )];
                both.extend(presence.map(|presence| (presence, vec![Range::Words(0b10)])));
                both
            }
        };
        for (fact, ranges) in alternatives {
            cubes = cut(&cubes, fact, &ranges);
        }
        if cubes.is_empty() {
            return wrong(
                value.span(),
                format!(
                    "no input is like this: `{}` asks for what excludes itself",
                    key.get_ref()
                ),
            );
        }
    }
    Ok(cubes)
}

fn cut(cubes: &[Cube], fact: usize, ranges: &[Range]) -> Vec<Cube> {
    let pieces = cubes.iter().flat_map(|cube| {
        ranges.iter().filter_map(move |range| {
            let mut piece = cube.clone();
            piece[fact] = cube[fact].and(range)?;
            Some(piece)
        })
    });
    pieces.collect()
}

/// A fact by its name or by its whole path, and the fact that says whether it is there.
fn find(
    domain: &Domain,
    key: &Spanned<toml::de::DeString<'_>>,
) -> Result<(usize, Option<usize>), Wrong> {
    let name = key.get_ref().as_ref();
    let facts = domain.facts.iter().enumerate();
    let found: Vec<usize> = facts
        .filter(|(_, fact)| fact.kind != Kind::Presence)
        .filter(|(_, fact)| fact.name() == name || fact.path.join(".") == name)
        .map(|(index, _)| index)
        .collect();
    match found[..] {
        [fact] => Ok((fact, domain.facts[fact].within)),
        [] => {
            let names: Vec<&str> = domain
                .facts
                .iter()
                .filter(|fact| fact.kind != Kind::Presence)
                .map(|fact| fact.name())
                .collect();
            wrong(
                key.span(),
                format!(
                    "there is no fact `{name}`: expected one of {}",
                    names.join(", ")
                ),
            )
        }
        _ => {
            let paths: Vec<String> = found
                .iter()
                .map(|fact| domain.facts[*fact].path.join("."))
                .collect();
            wrong(
                key.span(),
                format!("`{name}` may be {}: write which", paths.join(" or ")),
            )
        }
    }
}

fn ranges(kind: &Kind, name: &str, value: &Given<'_>) -> Result<Vec<Range>, Wrong> {
    match kind {
        Kind::Words(words) => one_of(words, value).map(|set| vec![Range::Words(set)]),
        Kind::Bool | Kind::Presence => match value.get_ref() {
            DeValue::Boolean(holds) => Ok(vec![Range::Words(if *holds { 0b10 } else { 0b01 })]),
            _ => wrong(value.span(), format!("`{name}` must be true or false")),
        },
        Kind::Flags(words) => flags(words, name, value),
        Kind::Number(most) => {
            let (lo, hi) = bounds(name, value, *most)?;
            Ok(vec![Range::Number(lo, hi)])
        }
    }
}

/// Which of the words: one, several, or all but some. Never none.
pub(crate) fn one_of(words: &[String], value: &Given<'_>) -> Result<u64, Wrong> {
    let whole = u64::MAX >> (64 - words.len());
    let set = match value.get_ref() {
        DeValue::String(word) => bit(words, word, value)?,
        DeValue::Array(_) => set(words, value)?,
        DeValue::Table(table) => {
            let not = only_key(table, value, &["not"])?;
            whole
                & !match not.get_ref() {
                    DeValue::String(word) => bit(words, word, not)?,
                    _ => set(words, not)?,
                }
        }
        _ => {
            return wrong(
                value.span(),
                "expected a word, a list of words, or `{ not = … }`",
            );
        }
    };
    if set == 0 {
        return wrong(value.span(), "no word is left");
    }
    Ok(set)
}

fn bit(words: &[String], word: &str, at: &Given<'_>) -> Result<u64, Wrong> {
    match words.iter().position(|other| other == word) {
        Some(place) => Ok(1 << place),
        None => wrong(
            at.span(),
            format!(
                "there is no word `{word}`: expected one of {}",
                words.join(", ")
            ),
        ),
    }
}

/// A list of words as a set.
pub(crate) fn set(words: &[String], value: &Given<'_>) -> Result<u64, Wrong> {
    let DeValue::Array(list) = value.get_ref() else {
        return wrong(value.span(), "expected a list of words");
    };
    let mut set = 0;
    for each in list {
        let DeValue::String(word) = each.get_ref() else {
            return wrong(each.span(), "expected a word");
        };
        set |= bit(words, word, each)?;
    }
    Ok(set)
}

fn flags(words: &[String], name: &str, value: &Given<'_>) -> Result<Vec<Range>, Wrong> {
    let DeValue::Table(table) = value.get_ref() else {
        return wrong(
            value.span(),
            format!("`{name}` is a set: write `{{ has = […] }}`, `lacks`, `only`, `is` or `any`"),
        );
    };
    let whole = u64::MAX >> (64 - words.len());
    let (mut clear, mut must, mut any) = (0, 0, None);
    for (key, list) in table {
        let listed = set(words, list)?;
        match key.get_ref().as_ref() {
            "has" => must |= listed,
            "lacks" => clear |= listed,
            "only" => clear |= whole & !listed,
            "is" => {
                must |= listed;
                clear |= whole & !listed;
            }
            "any" if listed != 0 => any = Some(listed),
            "any" => return wrong(list.span(), "`any` of no words is never so"),
            other => return unknown(key, other, "has, lacks, only, is, any"),
        }
    }
    let fixed = Range::Flags { clear, set: must };
    if clear & must != 0 {
        return wrong(
            value.span(),
            format!("no input is like this: `{name}` asks for what excludes itself"),
        );
    }
    let Some(mut any) = any else {
        return Ok(vec![fixed]);
    };
    // The first that is there, then the first of the others, …: disjoint, and together any of them.
    let (mut ranges, mut earlier) = (Vec::new(), 0);
    while any != 0 {
        let bit = any & any.wrapping_neg();
        any &= !bit;
        ranges.extend(fixed.and(&Range::Flags {
            clear: earlier,
            set: bit,
        }));
        earlier |= bit;
    }
    Ok(ranges)
}

/// A number, or bounds of one.
pub(crate) fn bounds(name: &str, value: &Given<'_>, most: u64) -> Result<(u64, u64), Wrong> {
    let (lo, hi) = match value.get_ref() {
        DeValue::Integer(_) => {
            let number = number(name, value, most)?;
            (number, number)
        }
        DeValue::Table(table) if !table.is_empty() => {
            let (mut lo, mut hi) = (0, most);
            for (key, bound) in table {
                match key.get_ref().as_ref() {
                    "at_least" => lo = number(name, bound, most)?,
                    "at_most" => hi = number(name, bound, most)?,
                    other => return unknown(key, other, "at_least, at_most"),
                }
            }
            (lo, hi)
        }
        _ => {
            return wrong(
                value.span(),
                format!("`{name}` must be a number, or `{{ at_least = …, at_most = … }}`"),
            );
        }
    };
    if lo > hi {
        return wrong(
            value.span(),
            format!("no `{name}` is at least {lo} and at most {hi}"),
        );
    }
    Ok((lo, hi))
}

fn number(name: &str, value: &Given<'_>, most: u64) -> Result<u64, Wrong> {
    let parsed = match value.get_ref() {
        DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    };
    match parsed.filter(|number| *number <= most) {
        Some(number) => Ok(number),
        None => wrong(
            value.span(),
            format!("`{name}` must be a number from 0 to {most}"),
        ),
    }
}

pub(crate) fn unknown<T>(
    key: &Spanned<toml::de::DeString<'_>>,
    found: &str,
    expected: &str,
) -> Result<T, Wrong> {
    wrong(
        key.span(),
        format!("`{found}` is not known: expected one of {expected}"),
    )
}

/// The one key that a table has.
pub(crate) fn only_key<'t, 'a>(
    table: &'t DeTable<'a>,
    value: &Given<'a>,
    expected: &[&str],
) -> Result<&'t Given<'a>, Wrong> {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((key, inner)), None) if expected.contains(&key.get_ref().as_ref()) => Ok(inner),
        (Some((key, _)), None) => unknown(key, key.get_ref(), &expected.join(", ")),
        _ => wrong(
            value.span(),
            format!("expected {} alone", expected.join(" or ")),
        ),
    }
}
