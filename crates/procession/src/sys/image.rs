//! Where a function lies in the program's image, so that a process of the same program finds it.
//!
//! Images are loaded at random addresses, but as wholes: a function is named by the image that it is
//! in and its distance from the image's base. An image is known by its program headers and its notes,
//! of which the build id is one: any other build has others.

use std::any::type_name;
use std::ffi::c_void;
use std::ops::Range;
use std::slice;

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |h, &b| (h ^ u64::from(b)).wrapping_mul(FNV_PRIME))
}

/// One loaded file: the program itself, or a library.
struct Image {
    base: u64,
    mark: u64,
    code: Vec<Range<u64>>,
}

/// What is loaded at this moment.
fn images() -> Vec<Image> {
    unsafe extern "C" fn note(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        images: *mut c_void,
    ) -> libc::c_int {
        // SAFETY: `images` is the vector below, which nobody else touches while this runs.
        let images = unsafe { &mut *images.cast::<Vec<Image>>() };
        // SAFETY: the loader gives a valid description, of an image that is loaded until the call ends.
        images.push(unsafe { describe(&*info) });
        0
    }
    let mut images = Vec::new();
    // SAFETY: the callback gets the vector that it expects, and does not unwind but for lack of memory,
    // which aborts.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut images).cast()) };
    images
}

/// # Safety
/// `info` describes an image that is loaded.
unsafe fn describe(info: &libc::dl_phdr_info) -> Image {
    let headers = if info.dlpi_phdr.is_null() {
        &[]
    } else {
        // SAFETY: so many headers are there, and nobody changes them.
        unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
    };
    let loaded = |flag: u32| {
        let has = move |h: &&libc::Elf64_Phdr| h.p_type == libc::PT_LOAD && h.p_flags & flag != 0;
        headers.iter().filter(has).map(|h| h.p_vaddr..h.p_vaddr.saturating_add(h.p_filesz))
    };
    let mut mark = FNV_BASIS;
    for h in headers {
        let kind = u64::from(h.p_type) << 32 | u64::from(h.p_flags);
        for word in [kind, h.p_offset, h.p_vaddr, h.p_filesz, h.p_memsz] {
            mark = hash(mark, &word.to_le_bytes());
        }
        let note = h.p_vaddr..h.p_vaddr.saturating_add(h.p_filesz);
        let readable = loaded(libc::PF_R).any(|l| l.start <= note.start && note.end <= l.end);
        if h.p_type == libc::PT_NOTE && readable {
            let at = std::ptr::with_exposed_provenance((info.dlpi_addr + note.start) as usize);
            // SAFETY: the bytes lie in a segment that is loaded and readable, and notes never change.
            mark = hash(mark, unsafe { slice::from_raw_parts(at, h.p_filesz as usize) });
        }
    }
    Image { base: info.dlpi_addr, mark, code: loaded(libc::PF_X).collect() }
}

/// The name of a function, for a process of the same program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    image: u64,
    offset: u64,
    /// Of the two others and of the function's type.
    check: u64,
}

impl Place {
    fn new<A, R>(image: u64, offset: u64) -> Place {
        let check = [image, offset].iter().fold(FNV_BASIS, |h, w| hash(h, &w.to_le_bytes()));
        Place { image, offset, check: hash(check, type_name::<fn(A) -> R>().as_bytes()) }
    }

    /// Of a function; `None` if no loaded image has it (it was made at run time).
    pub(crate) fn of<A, R>(function: fn(A) -> R) -> Option<Place> {
        let address = (function as *const ()).expose_provenance() as u64;
        images().iter().find_map(|image| {
            let offset = address.wrapping_sub(image.base);
            let has = image.code.iter().any(|code| code.contains(&offset));
            has.then(|| Place::new::<A, R>(image.mark, offset))
        })
    }

    /// The function; `None` if it is of another build, of another type, or no place at all.
    pub(crate) fn function<A, R>(self) -> Option<fn(A) -> R> {
        if self != Place::new::<A, R>(self.image, self.offset) {
            return None;
        }
        let images = images();
        let image = images.iter().find(|image| image.mark == self.image)?;
        image.code.iter().any(|code| code.contains(&self.offset)).then_some(())?;
        let address = image.base.wrapping_add(self.offset) as usize;
        let address: *const () = std::ptr::with_exposed_provenance(address);
        // SAFETY: the check says that the three words are together as `Place::of::<A, R>` made them,
        // so a function of this type lies at the offset of an image that this one is: same headers,
        // same build id. Its code is loaded there now.
        Some(unsafe { std::mem::transmute::<*const (), fn(A) -> R>(address) })
    }

    pub(crate) fn to_words(self) -> [u64; 3] {
        [self.image, self.offset, self.check]
    }

    pub(crate) fn from_words([image, offset, check]: [u64; 3]) -> Place {
        Place { image, offset, check }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(n: u32) -> u32 {
        2 * n
    }

    #[test]
    fn a_function_is_found_again() {
        let words = Place::of(double as fn(u32) -> u32).unwrap().to_words();
        let found: fn(u32) -> u32 = Place::from_words(words).function().unwrap();
        assert_eq!(found(21), 42);
        let closure: fn(u32) -> u32 = |n| n + 1;
        assert_eq!(Place::of(closure).unwrap().function::<u32, u32>().unwrap()(1), 2);
    }

    #[test]
    fn another_type_or_place_is_none() {
        let place = Place::of(double as fn(u32) -> u32).unwrap();
        assert!(place.function::<u64, u32>().is_none());
        for i in 0..3 {
            let mut words = place.to_words();
            words[i] ^= 0x10;
            assert!(Place::from_words(words).function::<u32, u32>().is_none(), "word {i}");
        }
        // A right check of a wrong place: another build's, or no code.
        let strange = Place::new::<u32, u32>(place.image ^ 1, place.offset);
        assert!(strange.function::<u32, u32>().is_none());
        let nowhere = Place::new::<u32, u32>(place.image, u64::MAX / 2);
        assert!(nowhere.function::<u32, u32>().is_none());
    }
}
