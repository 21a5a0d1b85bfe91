//! The command line, read; what is wrong with it is told on one line as everything else is.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Reads the arguments of `program`. Otherwise with what exit code it ends: 0 behind a help that was asked for, 2
/// behind the one line that says what is wrong.
///
/// # Errors
/// When there is nothing to be run.
pub fn parse<C: Parser>(program: &str) -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Whoever asked for it may have stopped reading.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        _ => {
            complain!("{program}: {}", in_one_line(&error.render().to_string()));
            ExitCode::from(2)
        }
    })
}

/// What the parser says, without the usage that it repeats.
fn in_one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let is_said = |line: &&str| {
        !["Usage: ", "For more information"]
            .iter()
            .any(|end| line.starts_with(end))
    };
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(is_said)
        .filter(|line| !line.is_empty())
        .collect();
    gotong_engine::printable(&lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_left_out() {
        let text = "error: the following required arguments were not provided:\n  <FILE>\n\nUsage: x <FILE>\n\n\
                    For more information, try '--help'.\n";
        assert_eq!(
            in_one_line(text),
            "the following required arguments were not provided: <FILE>"
        );
    }
}
