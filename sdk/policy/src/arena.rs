//! The memory of one call: a byte range, handed out from its start and never taken back.
//!
//! An instance answers one call and is thrown away with everything in it, so there is nothing to free. The arena counts addresses and never touches them; `guest.rs` makes pointers of them.

use core::alloc::Layout;
use core::num::NonZeroUsize;

/// What is left of a byte range.
#[derive(Debug)]
pub(crate) struct Arena {
    next: usize,
    end: usize,
}

impl Arena {
    /// An arena over the addresses from `start` up to and without `end`.
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { next: start, end }
    }

    /// The address of a new block, or `None` when the range cannot hold it.
    pub(crate) fn allocate(&mut self, layout: Layout) -> Option<NonZeroUsize> {
        let start = self.next.checked_next_multiple_of(layout.align())?;
        let block = NonZeroUsize::new(start)?;
        self.next = self.end_of(start, layout.size())?;
        Some(block)
    }

    /// Moves the end: the memory has grown by so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes);
    }

    /// Makes a block longer where it stands: only the newest block can, and only within the range.
    pub(crate) fn extend(&mut self, start: usize, old_size: usize, new_size: usize) -> bool {
        if start.checked_add(old_size) != Some(self.next) {
            return false;
        }
        match self.end_of(start, new_size) {
            Some(end) => {
                self.next = end;
                true
            }
            None => false,
        }
    }

    fn end_of(&self, start: usize, size: usize) -> Option<usize> {
        start.checked_add(size).filter(|end| *end <= self.end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn allocate(arena: &mut Arena, size: usize, align: usize) -> Option<usize> {
        arena.allocate(layout(size, align)).map(NonZeroUsize::get)
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_follow_one_another_aligned() {
        let mut arena = Arena::new(1001, 2000);
        assert_eq!(allocate(&mut arena, 3, 1), Some(1001));
        assert_eq!(allocate(&mut arena, 8, 8), Some(1008));
        assert_eq!(allocate(&mut arena, 0, 4), Some(1016));
        assert_eq!(allocate(&mut arena, 1, 1), Some(1016));
    }

    #[test]
    fn the_last_byte_is_handed_out_and_no_more() {
        let mut arena = Arena::new(16, 32);
        assert_eq!(allocate(&mut arena, 17, 1), None);
        assert_eq!(
            allocate(&mut arena, 16, 1),
            Some(16),
            "a refusal costs nothing"
        );
        assert_eq!(allocate(&mut arena, 1, 1), None);
        assert_eq!(allocate(&mut arena, 0, 1), Some(32));
    }

    #[test]
    fn the_newest_block_grows_in_place() {
        let mut arena = Arena::new(8, 72);
        let first = allocate(&mut arena, 8, 8).unwrap();
        let second = allocate(&mut arena, 8, 8).unwrap();
        assert!(
            !arena.extend(first, 8, 16),
            "another block stands behind it"
        );
        assert!(arena.extend(second, 8, 56));
        assert!(!arena.extend(second, 56, 57), "past the end");
        assert_eq!(allocate(&mut arena, 1, 1), None);
    }

    #[test]
    fn a_grown_arena_goes_on_where_it_was() {
        let mut arena = Arena::new(8, 16);
        assert_eq!(allocate(&mut arena, 4, 1), Some(8));
        assert_eq!(allocate(&mut arena, 8, 1), None);
        arena.grow(4);
        assert_eq!(allocate(&mut arena, 8, 1), Some(12));
        assert_eq!(allocate(&mut arena, 1, 1), None);
        arena.grow(usize::MAX);
        assert_eq!(allocate(&mut arena, 1, 1), Some(20));
    }

    #[test]
    fn no_address_overflows() {
        let mut arena = Arena::new(usize::MAX - 3, usize::MAX);
        assert_eq!(allocate(&mut arena, 8, 1), None);
        assert_eq!(allocate(&mut arena, 1, 16), None);
        assert!(!arena.extend(usize::MAX, 1, 2));
        assert_eq!(allocate(&mut arena, 3, 1), Some(usize::MAX - 3));
    }

    #[test]
    fn blocks_of_a_real_buffer_never_overlap() {
        let mut buffer = [0_u64; 64];
        let start = buffer.as_mut_ptr().addr();
        let mut arena = Arena::new(start, start + size_of_val(&buffer));
        let mut last_end = start;
        for round in 0.. {
            let wanted = layout(round % 9, 1 << (round % 5));
            let Some(block) = allocate(&mut arena, wanted.size(), wanted.align()) else {
                break;
            };
            assert!(block >= last_end);
            assert_eq!(block % wanted.align(), 0);
            last_end = block + wanted.size();
        }
        assert!(last_end <= start + size_of_val(&buffer));
    }
}
