//! A bundle is hostile input: any bytes are read or refused in one line, by a reader that never panics.
//!
//! The trailer's digest would stop the fuzzer at the first line, so each input is read twice: as it is, and with a
//! trailer that fits.
#![no_main]

use gotong_engine::bundle::{Decisions, Entry, Reader, verify};
use gotong_engine::{Digest, printable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&sealed(bytes));
});

fn read(bytes: &[u8]) {
    match verify(bytes) {
        Ok(contents) => {
            let decisions =
                Decisions::new(bytes, &contents).expect("what was verified is read again");
            let read = decisions.filter(Result::is_ok).count() as u64;
            assert_eq!(read, contents.trailer.decisions);
        }
        Err(error) => {
            let says = format!("{error}: {}", error.problem);
            assert_eq!(says, printable(&says));
        }
    }
}

/// The whole lines of an input, and a last one that counts them and has their digest.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |place| place + 1);
    let mut text = bytes[..end].to_vec();
    let (mut modules, mut decisions) = (0_u64, 0_u64);
    if let Ok(mut reader) = Reader::new(&text[..]) {
        while let Ok(Some(entry)) = reader.next_entry() {
            match entry {
                Entry::Module(..) => modules += 1,
                Entry::Decision(_) => decisions += 1,
            }
        }
    }
    let digest = Digest::of(&text);
    text.extend(
        format!("{{\"trailer\":{{\"decisions\":{decisions},\"digest\":\"{digest}\",\"modules\":{modules}}}}}\n").bytes(),
    );
    text
}
