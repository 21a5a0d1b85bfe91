//! Texts of somebody else, before they are shown: none may steer a terminal or pass for a line of ours.

/// Whether a character does more than stand in its line: it ends the line, moves the cursor, or turns the direction
/// of what stands around it.
pub(crate) fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A text on one line of its own, with what would steer as `\u{…}`.
pub fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    plain
}

/// The same for the text of a JSON value, which stays that value: what would steer stands inside its strings alone,
/// but for the line ends of an indented one.
pub fn printable_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && steers(letter) {
            // None of them needs a pair of surrogates.
            plain.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_is_left() {
        let hostile = "a\nb\r\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{2066}\u{2028}";
        let plain = printable(hostile);
        assert_eq!(
            plain,
            r"a\nb\r\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{2066}\u{2028}"
        );
        assert_eq!(
            printable("Jalan Merdeka 5, 80 %, é"),
            "Jalan Merdeka 5, 80 %, é"
        );

        let value = serde_json::json!({"says": hostile});
        let text = printable_json(&format!("{value:#}"));
        assert!(!text.chars().any(|letter| letter != '\n' && steers(letter)));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
