//! Files that somebody else wrote: only regular ones are opened, and no more of them is read than they may have.
//!
//! A pipe would be waited for, a device never ends.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use cap_std::fs::Dir;

/// The longest text that a tool reads whole: a lock, a key, a list of properties.
pub const MAX_TEXT: usize = 1 << 20;

/// A regular file, opened.
///
/// # Errors
/// When there is none, it is something else, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let about = std::fs::metadata(path)?;
    // Before it is opened: opening a pipe waits for its writer.
    regular(about.is_file(), about.is_dir())?;
    File::open(path)
}

/// The bytes of a regular file.
///
/// # Errors
/// When it cannot be read, or has more than `most` bytes.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    bounded(open(path)?, most)
}

/// The text of a regular file.
///
/// # Errors
/// When it cannot be read, has more than [`MAX_TEXT`] bytes, or is no text.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path, MAX_TEXT)?)
}

/// As [`read`], in a folder.
pub(crate) fn read_in(dir: &Dir, path: &str, most: usize) -> io::Result<Vec<u8>> {
    let about = dir.metadata(path)?;
    regular(about.is_file(), about.is_dir())?;
    bounded(dir.open(path)?, most)
}

/// As [`read_text`], in a folder.
pub(crate) fn read_text_in(dir: &Dir, path: &str) -> io::Result<String> {
    text(read_in(dir, path, MAX_TEXT)?)
}

fn regular(is_file: bool, is_dir: bool) -> io::Result<()> {
    match (is_file, is_dir) {
        (true, _) => Ok(()),
        (_, true) => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
    }
}

fn bounded(file: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes"),
        ));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_a_file_may_have() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("four");
        std::fs::write(&file, b"four").unwrap();
        assert_eq!(read(&file, 4).unwrap(), b"four");
        let says = read(&file, 3).unwrap_err().to_string();
        assert_eq!(says, "it has more than 3 bytes");
        let says = read(folder.path(), 3).unwrap_err().to_string();
        assert!(says.contains("directory"), "{says}");
        #[cfg(unix)]
        {
            let says = read_text(Path::new("/dev/zero")).unwrap_err().to_string();
            assert_eq!(says, "it is no regular file");
        }
    }
}
