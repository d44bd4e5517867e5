// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places for secrets in few locked pages: a page is cut into places of one size.
//!
//! In: a length. Out: a place of at least that length, zeroed, until it is given back.
//!
//! **Invariant:** no two places overlap; a place that is free holds zeros. A long value has pages of its own.

use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, TryLockError};

use rustix::process::{Resource, getrlimit};

use super::pages::{PAGE, Pages};

/// How much is locked at once, where so much may be locked. Bytes.
const SLAB: usize = 64 * 1024;
/// The part of what may be locked that is taken at once.
const SLAB_PART: usize = 8;
/// The smallest place. Bytes.
const PLACE_MIN: usize = 64;
/// Sizes of places: 64, 128, … 4096 bytes.
const SIZES: usize = 7;
/// Slabs without a place in use that are kept for the next one.
const EMPTY_KEPT: usize = 1;
/// How often a thread asks for the list before it takes pages of its own: a forked child may have inherited a list that
/// a thread held which does not exist there.
const TURNS_MAX: usize = 1 << 20;

/// A place in locked memory.
pub(super) struct Place {
    pages: Arc<Pages>,
    start: NonNull<u8>,
    /// Where it is given back to; `None`: it has its pages alone.
    from: Option<Origin>,
}

// SAFETY: a place is handed out once, so it is its owner's alone.
unsafe impl Send for Place {}
// SAFETY: shared access only reads.
unsafe impl Sync for Place {}

#[derive(Clone, Copy)]
struct Origin {
    slab: usize,
    page: usize,
    place: u32,
}

/// One page of a slab.
#[derive(Clone, Copy)]
struct Cut {
    /// Which size it is cut into; `None`: not yet.
    size: Option<usize>,
    /// A bit for each place that is free.
    free: u64,
}

struct Slab {
    pages: Arc<Pages>,
    cuts: Vec<Cut>,
    used: usize,
}

/// The lists of one process.
struct Lists {
    slabs: Vec<Option<Slab>>,
    /// Pages with free places, per size.
    partial: [Vec<(usize, usize)>; SIZES],
    /// Pages that are not cut yet.
    whole: Vec<(usize, usize)>,
}

static LISTS: Mutex<Lists> =
    Mutex::new(Lists { slabs: Vec::new(), partial: [const { Vec::new() }; SIZES], whole: Vec::new() });

/// Size of a place of the kind `size`.
const fn bytes(size: usize) -> usize {
    PLACE_MIN << size
}

/// The kind that `length` bytes need; `None`: a place of their own.
fn size_for(length: usize) -> Option<usize> {
    (0..SIZES).find(|&size| length <= bytes(size))
}

/// Every place of a page of the kind `size`.
const fn all_free(size: usize) -> u64 {
    match PAGE / bytes(size) {
        64 => u64::MAX,
        places => (1 << places) - 1,
    }
}

/// How much is locked at once here.
fn slab_bytes() -> usize {
    let limit = getrlimit(Resource::Memlock).current.and_then(|limit| usize::try_from(limit).ok());
    limit.map_or(SLAB, |limit| limit / SLAB_PART / PAGE * PAGE).clamp(PAGE, SLAB)
}

/// Works on the lists; `None`: they are held and stay so.
fn with_lists<T>(work: impl FnOnce(&mut Lists) -> T) -> Option<T> {
    for _ in 0..TURNS_MAX {
        match LISTS.try_lock() {
            Ok(mut lists) => return Some(work(&mut lists)),
            // Nothing below panics with the lists half changed.
            Err(TryLockError::Poisoned(lists)) => return Some(work(&mut lists.into_inner())),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

impl Place {
    /// A place of at least `length` bytes, all zero.
    pub(super) fn take(length: usize) -> io::Result<Self> {
        let shared = size_for(length).and_then(|size| with_lists(|lists| lists.take(size)));
        match shared {
            Some(place) => place,
            None => {
                let pages = Arc::new(Pages::new(length)?);
                Ok(Self { start: pages.payload(), pages, from: None })
            }
        }
    }

    /// Where it begins. Accessible from now on.
    #[inline]
    pub(super) fn start(&self) -> NonNull<u8> {
        self.pages.reach();
        self.start
    }

    /// Gives it back. The owner has wiped it.
    pub(super) fn give(&self) {
        if let Some(from) = self.from {
            // If the lists are held for good the place stays taken: it is wiped.
            with_lists(|lists| lists.give(from));
        }
    }
}

impl Lists {
    fn take(&mut self, size: usize) -> io::Result<Place> {
        if let Some(place) = self.take_partial(size) {
            return Ok(place);
        }
        if self.whole.is_empty() {
            self.grow()?;
        }
        let place = self.whole.pop().and_then(|(slab, page)| {
            let cut = self.slabs.get_mut(slab)?.as_mut()?.cuts.get_mut(page)?;
            *cut = Cut { size: Some(size), free: all_free(size) };
            self.partial.get_mut(size)?.push((slab, page));
            self.take_partial(size)
        });
        place.ok_or_else(|| io::Error::other("the lists of locked memory contradict each other"))
    }

    fn take_partial(&mut self, size: usize) -> Option<Place> {
        let partial = self.partial.get_mut(size)?;
        let &(slab, page) = partial.last()?;
        let from = self.slabs.get_mut(slab)?.as_mut()?;
        let cut = from.cuts.get_mut(page)?;
        let place = cut.free.trailing_zeros();
        cut.free &= cut.free.checked_sub(1)?;
        if cut.free == 0 {
            partial.pop();
        }
        from.used += 1;
        let offset = page * PAGE + place as usize * bytes(size);
        debug_assert!(offset + bytes(size) <= from.pages.length(), "a place lies in its slab");
        // SAFETY: page and place lie within the slab's payload, as asserted: `page` indexes `cuts`, which has an entry
        // for each page of it, and `place` is a bit of `all_free(size)`.
        let start = unsafe { from.pages.payload().add(offset) };
        Some(Place { pages: Arc::clone(&from.pages), start, from: Some(Origin { slab, page, place }) })
    }

    /// Locks more memory: a slab, or a single page where a slab is more than is allowed.
    fn grow(&mut self) -> io::Result<()> {
        let pages = Pages::new(slab_bytes()).or_else(|_| Pages::new(PAGE))?;
        let cuts = vec![Cut { size: None, free: 0 }; pages.length() / PAGE];
        let at = self.slabs.iter().position(Option::is_none).unwrap_or(self.slabs.len());
        self.whole.extend((0..cuts.len()).rev().map(|page| (at, page)));
        let slab = Some(Slab { pages: Arc::new(pages), cuts, used: 0 });
        match self.slabs.get_mut(at) {
            Some(gap) => *gap = slab,
            None => self.slabs.push(slab),
        }
        Ok(())
    }

    fn give(&mut self, from: Origin) -> Option<()> {
        let slab = self.slabs.get_mut(from.slab)?.as_mut()?;
        let cut = slab.cuts.get_mut(from.page)?;
        let size = cut.size?;
        if cut.free == 0 {
            self.partial.get_mut(size)?.push((from.slab, from.page));
        }
        cut.free |= 1 << from.place;
        slab.used -= 1;
        if slab.used == 0 && self.slabs.iter().flatten().filter(|slab| slab.used == 0).count() > EMPTY_KEPT {
            self.partial
                .iter_mut()
                .chain([&mut self.whole])
                .for_each(|list| list.retain(|&(slab, _)| slab != from.slab));
            *self.slabs.get_mut(from.slab)? = None;
        }
        Some(())
    }
}

/// How many bytes are locked in slabs.
pub(super) fn locked_bytes() -> usize {
    with_lists(|lists| lists.slabs.iter().flatten().map(|slab| slab.pages.length()).sum()).unwrap_or(0)
}
