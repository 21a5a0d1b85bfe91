//! What a module needs in place of an operating system: the global allocator and the panic handler.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;

use crate::arena::Arena;

/// A page of linear memory.
const PAGE: usize = 65_536;

#[global_allocator]
static MEMORY: Memory = Memory(UnsafeCell::new(None));

/// The arena over everything between the module's own data and the end of its memory, made at the first use.
#[derive(Debug)]
struct Memory(UnsafeCell<Option<Arena>>);

// SAFETY: a module has one thread: the load-time check refuses the threads proposal.
#[allow(unsafe_code)]
unsafe impl Sync for Memory {}

/// What one growth asks for beyond what is needed, so that a long list makes the memory grow a few times only.
const SPARE: usize = 64 << 10;

impl Memory {
    #[allow(unsafe_code)]
    fn with<T>(&self, use_it: impl FnOnce(&mut Arena) -> T) -> T {
        unsafe extern "C" {
            /// Placed by the linker behind stack and data.
            static __heap_base: u8;
        }
        // SAFETY: one thread (above), and neither `Arena` nor the closures below allocate, so that this is
        // the only reference into the cell while it lives.
        let arena = unsafe { &mut *self.0.get() };
        use_it(arena.get_or_insert_with(|| {
            Arena::new(
                (&raw const __heap_base).addr(),
                wasm32::memory_size::<0>() * PAGE,
            )
        }))
    }

    /// More memory, for a list that is longer than the ordinary ruling needs. Without it the request fails.
    #[cold]
    fn grow(&self, bytes: usize) -> bool {
        let grow = |bytes: usize| {
            let pages = bytes.div_ceil(PAGE);
            (wasm32::memory_grow::<0>(pages) != usize::MAX).then(|| pages * PAGE)
        };
        let grown = bytes
            .checked_add(SPARE)
            .and_then(grow)
            .or_else(|| grow(bytes));
        match grown {
            Some(more) => {
                self.with(|arena| arena.grow(more));
                true
            }
            None => false,
        }
    }
}

// SAFETY: `Arena` hands out aligned blocks that do not overlap, lie inside the linear memory and above
// everything the linker placed, and are never handed out again. Exhaustion traps and so never returns.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.with(|arena| arena.allocate(layout)).or_else(|| {
            // Enough for the block wherever the arena ends now.
            let bytes = layout.size().checked_add(layout.align())?;
            self.grow(bytes)
                .then(|| self.with(|arena| arena.allocate(layout)))?
        });
        match block {
            Some(address) => ptr::with_exposed_provenance_mut(address.get()),
            None => wasm32::unreachable(),
        }
    }

    /// Linear memory starts as zeros, grown or not, and no byte is handed out twice.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the same.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let old_size = layout.size();
        if new_size <= old_size || self.with(|arena| arena.extend(block.addr(), old_size, new_size))
        {
            return block;
        }
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, is not above `isize::MAX`;
        // the new block does not overlap the old one, which holds `old_size` bytes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            ptr::copy_nonoverlapping(block, moved, old_size);
            moved
        }
    }
}

/// A panic traps: the host records it, denies, and knows the trap.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}
