//! The case files of a policy: `cases/*.json`, a question each, and what is expected of its answer.

use std::path::{Path, PathBuf};

use gotong_engine::{Family, check_facts, check_ruling};
use serde::Deserialize;
use serde_json::Value;

/// The folder of a policy crate that holds them.
pub(crate) const FOLDER: &str = "cases";

/// A question, and what is expected of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file, as errors name it.
    pub(crate) file: PathBuf,
    /// The line that it begins in, from 1.
    pub(crate) line: usize,
    pub(crate) name: Option<String>,
    pub(crate) function: String,
    pub(crate) input: Value,
    /// Any part of the ruling.
    pub(crate) expect: Value,
}

/// The cases cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` holds no case: add a file `NAME.json` with a list of {{\"function\", \"input\", \"expect\"}}", .0.display())]
    None(PathBuf),
    #[error("`{}`, line {line}: {message}", file.display())]
    Syntax {
        file: PathBuf,
        line: usize,
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    name: Option<String>,
    function: String,
    input: Value,
    expect: Value,
}

impl Case {
    /// How messages name it.
    pub(crate) fn label(&self) -> String {
        let place = format!("{}:{}", self.file.display(), self.line);
        match &self.name {
            Some(name) => format!("{place} ({name})"),
            None => place,
        }
    }

    /// An error in it, with its place.
    pub(crate) fn wrong(&self, message: impl ToString) -> CaseError {
        CaseError::Syntax {
            file: self.file.clone(),
            line: self.line,
            message: message.to_string(),
        }
    }
}

/// Every case of a policy crate, by file name and then in the order of the file. Files with another extension are
/// left alone.
pub(crate) fn read(family: Family, crate_folder: &Path) -> Result<Vec<Case>, CaseError> {
    // As short as it can be said: it stands in every message.
    let folder = crate_folder.join(FOLDER);
    let folder = match std::env::current_dir() {
        Ok(here) => folder.strip_prefix(here).unwrap_or(&folder).to_owned(),
        Err(_) => folder,
    };
    let unreadable = |source| CaseError::Read {
        path: folder.clone(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = gotong_engine::input::read_text(&file).map_err(|source| CaseError::Read {
            path: file.clone(),
            source,
        })?;
        cases.extend(parse(family, &file, &text)?);
    }
    if cases.is_empty() {
        return Err(CaseError::None(folder));
    }
    Ok(cases)
}

/// The cases of one file: a case, or a list of them.
fn parse(family: Family, file: &Path, text: &str) -> Result<Vec<Case>, CaseError> {
    let wrong = |line: usize, message: String| CaseError::Syntax {
        file: file.to_owned(),
        line,
        message,
    };
    let items = match serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The line stands before it.
        let what = message
            .rsplit_once(" at line ")
            .map_or(&*message, |(what, _)| what);
        wrong(error.line(), what.to_owned())
    })? {
        Value::Array(items) => items,
        one @ Value::Object(_) => vec![one],
        other => {
            return Err(wrong(
                1,
                format!("`{other}` is neither a case nor a list of cases"),
            ));
        }
    };
    let mut lines = lines_of_items(text).into_iter();
    let mut cases = Vec::new();
    for item in items {
        let line = lines.next().unwrap_or(1);
        let written: Written =
            serde_json::from_value(item).map_err(|error| wrong(line, error.to_string()))?;
        let Written {
            name,
            function,
            input,
            expect,
        } = written;
        check_facts(family, &function, &input)
            .map_err(|error| wrong(line, format!("input: {error}")))?;
        check_ruling(family, &function, &expect)
            .map_err(|error| wrong(line, format!("expect: {error}")))?;
        cases.push(Case {
            file: file.to_owned(),
            line,
            name,
            function,
            input,
            expect,
        });
    }
    Ok(cases)
}

/// The lines in which the items of a list begin, or the one object that there is.
fn lines_of_items(text: &str) -> Vec<usize> {
    let in_list = text.trim_start().starts_with('[');
    let (mut line, mut depth, mut in_string, mut escaped) = (1, 0_usize, false, false);
    let mut lines = Vec::new();
    let mut expects_item = !in_list;
    for byte in text.bytes() {
        if byte == b'\n' {
            line += 1;
        }
        if in_string {
            (in_string, escaped) = match (escaped, byte) {
                (false, b'"') => (false, false),
                (false, b'\\') => (true, true),
                _ => (true, false),
            };
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        if expects_item && depth == usize::from(in_list) {
            lines.push(line);
            expects_item = false;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                expects_item |= in_list && depth == 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => expects_item = in_list && depth == 1,
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    const WEIGH: &str =
        r#"{"function": "weigh", "input": {"influence_permille": 1}, "expect": {}}"#;

    #[test]
    fn a_case_knows_the_line_it_begins_in() {
        let text = format!(
            "\n[ {WEIGH},\n\n  {{\n\"name\": \"a \\\"{{[\", \"function\": \"weigh\", \"input\": {{\"influence_permille\":\n2}}, \"expect\": {{}}}}, {WEIGH}\n, {WEIGH}]"
        );
        let cases = parse(Family::Gate, Path::new("a.json"), &text).unwrap();
        let lines: Vec<_> = cases.iter().map(|case| case.line).collect();
        assert_eq!(lines, [2, 4, 6, 7]);
        let one = parse(Family::Gate, Path::new("a.json"), &format!("\n\n{WEIGH}")).unwrap();
        assert_eq!(one[0].line, 3);
    }

    #[test]
    fn what_is_no_case_is_told_with_file_and_line() {
        for (text, says) in [
            ("[\n{]", "`a.json`, line 2: "),
            ("[\n1]", "`a.json`, line 2: "),
            ("3", "`a.json`, line 1: `3` is neither"),
            ("[{},\n{}]", "line 1: missing field `function`"),
            (
                r#"[{"function": "weigh", "input": {}, "expected": {}}]"#,
                "line 1: unknown field `expected`",
            ),
            (
                r#"{"function": "guess", "input": {}, "expect": {}}"#,
                "line 1: input: the family gate has no function `guess`: known are plan,",
            ),
            (
                r#"{"function": "weigh", "input": {"influence": 1}, "expect": {}}"#,
                "line 1: input: influence: unknown field `influence`",
            ),
            (
                r#"{"function": "weigh", "input": {"influence_permille": 1}, "expect": {"permile": 1}}"#,
                "line 1: expect: .: unknown field `permile`",
            ),
        ] {
            let error = parse(Family::Gate, Path::new("a.json"), text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }
}
