//! The linear memory of a run: bytes, of which some belong to terms, and how to go back.

use crate::term::{Piece, Terms, Value};

const BLOCK: usize = 64;

/// What was there before a write.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Bytes { at: u32, len: u8, old: u64 },
    Owner { at: u32, old: u32 },
    Size(u32),
}

/// An access outside the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

/// The memory.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    /// For each byte the term it belongs to, and which of its bytes it is; 0 where it is plain.
    owners: Vec<u32>,
    /// How many bytes of each block belong to terms.
    owned: Vec<u8>,
    trail: Vec<Undo>,
    most: usize,
}

impl Memory {
    pub(crate) fn new(bytes: &[u8], most: usize) -> Self {
        Self {
            bytes: bytes.to_vec(),
            owners: vec![0; bytes.len()],
            owned: vec![0; bytes.len() / BLOCK + 2],
            trail: Vec::new(),
            most,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Grows by so many bytes; the old size, if it may.
    pub(crate) fn grow(&mut self, by: usize) -> Option<usize> {
        let old = self.bytes.len();
        let new = old.checked_add(by).filter(|new| *new <= self.most)?;
        self.trail.push(Undo::Size(old as u32));
        self.resize(new);
        Some(old)
    }

    fn resize(&mut self, size: usize) {
        self.bytes.resize(size, 0);
        self.owners.resize(size, 0);
        self.owned.resize(size / BLOCK + 2, 0);
    }

    /// Where the memory stands now.
    pub(crate) fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Back to where it stood.
    pub(crate) fn undo(&mut self, mark: usize) {
        while self.trail.len() > mark {
            match self.trail.pop() {
                Some(Undo::Bytes { at, len, old }) => {
                    let (at, len) = (at as usize, usize::from(len));
                    self.bytes[at..at + len].copy_from_slice(&old.to_le_bytes()[..len]);
                }
                Some(Undo::Owner { at, old }) => self.set_owner(at as usize, old),
                Some(Undo::Size(size)) => self.resize(size as usize),
                None => {}
            }
        }
    }

    fn check(&self, at: u64, len: u64) -> Result<usize, OutOfBounds> {
        let end = at.checked_add(len).ok_or(OutOfBounds)?;
        if end <= self.bytes.len() as u64 {
            Ok(at as usize)
        } else {
            Err(OutOfBounds)
        }
    }

    /// Whether terms may be among these bytes, at most eight.
    fn has_terms(&self, at: usize, len: usize) -> bool {
        self.owned[at / BLOCK] | self.owned[(at + len - 1) / BLOCK] != 0
    }

    fn set_owner(&mut self, at: usize, owner: u32) {
        let old = self.owners[at];
        let owned = &mut self.owned[at / BLOCK];
        *owned = *owned + u8::from(owner != 0) - u8::from(old != 0);
        self.owners[at] = owner;
    }

    /// Reads up to eight bytes.
    pub(crate) fn load(
        &self,
        terms: &mut Terms<'_>,
        at: u64,
        len: usize,
    ) -> Result<Value, OutOfBounds> {
        let at = self.check(at, len as u64)?;
        let mut word = [0; 8];
        word[..len].copy_from_slice(&self.bytes[at..at + len]);
        if !self.has_terms(at, len) {
            return Ok(Value::concrete(u64::from_le_bytes(word)));
        }
        let mut pieces = [Piece::default(); 8];
        for (index, piece) in pieces[..len].iter_mut().enumerate() {
            let owner = self.owners[at + index];
            *piece = if owner == 0 {
                Piece {
                    term: 0,
                    byte: word[index],
                }
            } else {
                Piece {
                    term: owner >> 3,
                    byte: (owner & 7) as u8,
                }
            };
        }
        Ok(terms.bytes(pieces))
    }

    /// Writes up to eight bytes.
    pub(crate) fn store(
        &mut self,
        terms: &mut Terms<'_>,
        at: u64,
        len: usize,
        value: Value,
    ) -> Result<(), OutOfBounds> {
        let at = self.check(at, len as u64)?;
        if value.is_concrete() {
            self.write(at, &value.bits.to_le_bytes()[..len]);
            return Ok(());
        }
        let pieces = terms.pieces(value);
        let mut word = [0; 8];
        for (byte, piece) in word.iter_mut().zip(&pieces) {
            *byte = if piece.term == 0 { piece.byte } else { 0 };
        }
        self.write(at, &word[..len]);
        for (index, piece) in pieces[..len].iter().enumerate() {
            if piece.term != 0 {
                let old = self.owners[at + index];
                self.trail.push(Undo::Owner {
                    at: (at + index) as u32,
                    old,
                });
                self.set_owner(at + index, piece.term << 3 | u32::from(piece.byte));
            }
        }
        Ok(())
    }

    /// Writes plain bytes, at most eight.
    fn write(&mut self, at: usize, new: &[u8]) {
        let mut old = [0; 8];
        old[..new.len()].copy_from_slice(&self.bytes[at..at + new.len()]);
        self.trail.push(Undo::Bytes {
            at: at as u32,
            len: new.len() as u8,
            old: u64::from_le_bytes(old),
        });
        self.bytes[at..at + new.len()].copy_from_slice(new);
        if self.has_terms(at, new.len()) {
            for at in at..at + new.len() {
                let old = self.owners[at];
                if old != 0 {
                    self.trail.push(Undo::Owner { at: at as u32, old });
                    self.set_owner(at, 0);
                }
            }
        }
    }

    /// `memory.copy`.
    pub(crate) fn copy(
        &mut self,
        terms: &mut Terms<'_>,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        self.check(to, len)?;
        self.check(from, len)?;
        let chunks = len / 8;
        let tail = len % 8;
        let mut steps: Vec<(u64, usize)> = (0..chunks).map(|chunk| (chunk * 8, 8)).collect();
        if tail > 0 {
            steps.push((chunks * 8, tail as usize));
        }
        // Overlapping ranges are copied from the end that is not overwritten.
        if to > from {
            steps.reverse();
        }
        for (offset, len) in steps {
            let value = self.load(terms, from + offset, len)?;
            self.store(terms, to + offset, len, value)?;
        }
        Ok(())
    }

    /// `memory.fill`.
    pub(crate) fn fill(
        &mut self,
        terms: &mut Terms<'_>,
        to: u64,
        value: Value,
        len: u64,
    ) -> Result<(), OutOfBounds> {
        self.check(to, len)?;
        for offset in 0..len {
            self.store(terms, to + offset, 1, value)?;
        }
        Ok(())
    }
}
